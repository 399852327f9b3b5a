//! The Secrets that objects name.

use anyhow::Result;
use serde_json::{Value, json};
use test_support::objects::{SECRET, key_secret};

use super::{Bench, Tenant};

/// What becomes of a Secret.
#[derive(Clone, Copy, Debug)]
pub enum Spoilt {
    Deleted,
    Emptied,
    Misnamed,
    Huge,
}

impl Spoilt {
    /// What the message says of it.
    pub fn complaint(self) -> &'static str {
        match self {
            Self::Deleted => "does not exist",
            Self::Emptied | Self::Misnamed => "it must contain accessKeyId and accessKeyPassword, or token",
            Self::Huge => "too long to be a credential",
        }
    }
}

impl Bench {
    /// Makes the tenant's Secret hold this.
    pub async fn put_tenants_secret(&self, id: &str, password: &str) -> Result<()> {
        self.put_secret(&self.tenant, id, password).await
    }

    /// Makes the tenant's Secret hold its own key again.
    pub async fn restore_tenants_secret(&self) -> Result<()> {
        self.put_tenants_secret("TENANT", &self.tenant.password).await
    }

    /// One more password that must be told nowhere.
    pub fn keep_secret(&mut self, password: String) {
        self.secrets.push(password);
    }

    /// Makes the tenant's Secret hold the neighbour's key.
    pub async fn swap_tenants_secret(&self) -> Result<()> {
        self.put_tenants_secret("NEIGHBOUR", &self.neighbour.password).await
    }

    pub(super) async fn put_secret(&self, tenant: &Tenant, id: &str, password: &str) -> Result<()> {
        let secret = key_secret(&tenant.namespace, SECRET, (id, password));
        self.cluster.apply(&secret.to_string()).await.map(drop)
    }

    /// Spoils the tenant's Secret.
    pub async fn spoil_secret(&self, way: Spoilt) -> Result<()> {
        let data: Value = match way {
            Spoilt::Deleted => {
                return self.kubectl(&["delete", "secret", SECRET, "--ignore-not-found"]).await.map(drop);
            }
            Spoilt::Emptied => json!({}),
            Spoilt::Misnamed => json!({ "accessKeyID": "VEVOQU5U", "password": "eA==" }),
            Spoilt::Huge => json!({ "accessKeyId": "QUFB".repeat(40_000), "accessKeyPassword": "eA==" }),
        };
        self.kubectl(&["delete", "secret", SECRET, "--ignore-not-found"]).await?;
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "data": data,
            "metadata": { "name": SECRET, "namespace": self.tenant.namespace },
        });
        let admin = self.cluster.kubectl_as(&self.cluster.kubeconfig());
        admin.run_with_input(&["create", "-f", "-"], &secret.to_string()).await.map(drop)
    }
}
