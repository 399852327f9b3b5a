//! Faults on the side of Kubernetes that need no process to be hurt: rights taken away, writers that get in between.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use test_support::objects::advised_command;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use zenlayer_port_operator::api::ZenlayerPort;

use super::{Bench, Object};

/// Somebody who keeps writing to an object until this is dropped.
pub struct Churn(JoinHandle<()>);

impl Drop for Churn {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Bench {
    /// Somebody sets an annotation of these objects anew, again and again: each write makes a write of the operator that was
    /// decided about before it a conflict.
    pub fn churn(&self, objects: &[Object], pause: Duration) -> Churn {
        let writers: Vec<(Api<ZenlayerPort>, String)> = objects
            .iter()
            .map(|object| {
                let subject = &self.subjects[object.0];
                (Api::namespaced(self.client.clone(), &subject.namespace), subject.name.clone())
            })
            .collect();
        let writers = Arc::new(writers);
        Churn(tokio::spawn(async move {
            for count in 0_u64.. {
                for (api, name) in writers.iter() {
                    let patch =
                        json!({ "metadata": { "annotations": { "example.com/flap": count.to_string() } } });
                    // The object may be gone by now.
                    let _ = api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
                }
                sleep(pause).await;
            }
        }))
    }

    /// Takes a right away from the operator, everywhere; returns what [`Bench::grant_again`] needs to give it back.
    pub async fn revoke(&self, resource: &str, verbs: &[&str]) -> Result<Vec<Value>> {
        self.revoke_where(|_| true, resource, verbs).await
    }

    /// As [`Bench::revoke`], by the Roles of the tenant's namespace alone.
    pub async fn revoke_from_tenant(&self, resource: &str, verbs: &[&str]) -> Result<Vec<Value>> {
        let namespace = &self.tenant.namespace;
        self.revoke_where(|role| role["metadata"]["namespace"] == *namespace, resource, verbs).await
    }

    async fn revoke_where(
        &self,
        concerned: impl Fn(&Value) -> bool,
        resource: &str,
        verbs: &[&str],
    ) -> Result<Vec<Value>> {
        let mut before = Vec::new();
        for release in &self.releases {
            let selector = format!("app.kubernetes.io/instance={}", release.name());
            let args = ["get", "clusterroles,roles", "--all-namespaces", "-l", &selector, "-o", "json"];
            let roles: Value = serde_json::from_str(&self.cluster.kubectl(&args).await?)?;
            let roles = roles["items"].as_array().context("a list of roles")?.iter().cloned();
            for mut role in roles.filter(&concerned) {
                strip(&mut role["metadata"]);
                let mut less = role.clone();
                for rule in less["rules"].as_array_mut().into_iter().flatten() {
                    if names(&rule["resources"], resource) {
                        take_away(rule, resource, verbs);
                    }
                }
                if less != role {
                    self.replace(&less).await?;
                    before.push(role);
                }
            }
        }
        ensure!(!before.is_empty(), "no role of the operator grants {resource}");
        Ok(before)
    }

    pub async fn grant_again(&self, roles: Vec<Value>) -> Result<()> {
        for role in roles {
            self.replace(&role).await?;
        }
        Ok(())
    }

    /// Has the API server refuse every write to the status of the tenant's objects; returns once it does.
    pub async fn refuse_status_writes(&self, name: &str) -> Result<()> {
        let api = "admissionregistration.k8s.io/v1";
        let namespace = &self.tenant.namespace;
        let rule = json!({
            "apiGroups": ["sdn.zenlayer.com"], "apiVersions": ["*"], "operations": ["UPDATE"],
            "resources": ["zenlayerports/status"],
        });
        let here = json!({ "matchLabels": { "kubernetes.io/metadata.name": namespace } });
        let policy = json!({
            "apiVersion": api, "kind": "ValidatingAdmissionPolicy", "metadata": { "name": name },
            "spec": {
                "matchConstraints": { "resourceRules": [rule], "namespaceSelector": here },
                "validations": [{ "expression": "false", "message": "no status in this namespace" }],
            },
        });
        let binding = json!({
            "apiVersion": api, "kind": "ValidatingAdmissionPolicyBinding", "metadata": { "name": name },
            "spec": { "policyName": name, "validationActions": ["Deny"] },
        });
        for manifest in [policy, binding] {
            self.cluster.apply(&manifest.to_string()).await?;
        }
        let object = self.subjects.first().context("there is no object")?.name.clone();
        let probe = r#"{"status":{"observedGeneration":1}}"#;
        self.until("the policy is in force", async |bench| {
            let patch = ["patch", "zenlayerport", &object, "--subresource=status", "--type=merge"];
            let dry = ["-p", probe, "--dry-run=server"];
            Ok(bench.kubectl(&[&patch[..], &dry].concat()).await.is_err().then_some(()))
        })
        .await
    }

    /// Types the last command that a message prints, to the letter.
    pub async fn type_command_of(&self, message: &str) -> Result<()> {
        let command = advised_command(message).with_context(|| format!("no command in: {message}"))?;
        self.cluster.type_command(&[], command).await
    }

    async fn replace(&self, role: &Value) -> Result<()> {
        let admin = self.cluster.kubectl_as(&self.cluster.kubeconfig());
        admin.run_with_input(&["replace", "-f", "-"], &role.to_string()).await.map(drop)
    }
}

fn strip(metadata: &mut Value) {
    for field in ["resourceVersion", "uid", "creationTimestamp", "managedFields"] {
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.remove(field);
        }
    }
}

fn names(list: &Value, word: &str) -> bool {
    list.as_array().is_some_and(|list| list.iter().any(|one| one == word))
}

/// A rule that names several resources keeps its verbs for the others: it is the resource that goes.
fn take_away(rule: &mut Value, resource: &str, verbs: &[&str]) {
    let alone = rule["resources"].as_array().is_some_and(|resources| resources.len() == 1);
    let (list, gone): (_, &[&str]) = if alone { ("verbs", verbs) } else { ("resources", &[resource]) };
    if let Some(list) = rule[list].as_array_mut() {
        list.retain(|one| !gone.iter().any(|gone| one == gone));
        if list.is_empty() {
            // A rule may not be empty; this one grants nothing.
            list.push(json!("none"));
        }
    }
}
