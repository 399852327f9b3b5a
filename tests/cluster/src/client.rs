//! Kubeconfig files, and clients made from them.

use std::path::Path;

use anyhow::{Context as _, Result};
use k8s_openapi::ByteString;
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use crate::folder::write_private;

/// Where an API server is, and how to know that it is the right one: a cluster as in a kubeconfig.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint(Value);

impl Endpoint {
    pub(crate) fn new(url: &str, ca_pem: &str) -> Self {
        let ca = ByteString(ca_pem.as_bytes().to_vec()); // base64 when serialized
        Self(json!({ "server": url, "certificate-authority-data": ca }))
    }

    pub(crate) fn of(cluster: &kube::config::Cluster) -> Result<Self> {
        Ok(Self(serde_json::to_value(cluster)?))
    }

    /// Writes a kubeconfig with one context. `user` is as in a kubeconfig: `{"token": …}`, `{"tokenFile": …}`.
    pub(crate) fn write_kubeconfig(&self, path: &Path, namespace: &str, user: &Value) -> Result<()> {
        // JSON is YAML.
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "test", "cluster": self.0 }],
            "users": [{ "name": "test", "user": user }],
            "contexts": [{
                "name": "test",
                "context": { "cluster": "test", "user": "test", "namespace": namespace },
            }],
            "current-context": "test",
        });
        write_private(path, serde_json::to_vec_pretty(&kubeconfig)?)
            .with_context(|| format!("writing {}", path.display()))
    }
}

/// A client with the identity of `kubeconfig`. It lives as long as the tokio runtime that it is made in, so
/// tests that share a cluster make one each.
pub async fn client_for(kubeconfig: &Path) -> Result<Client> {
    // It fails if one is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    if config.cluster_url.host() == Some("127.0.0.1") {
        config.proxy_url = None; // the environment's, which is not for loopback
    }
    Ok(Client::try_from(config)?)
}
