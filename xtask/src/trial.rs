//! A cluster that exists already, for as long as something is tried in it: a namespace, the chart, and their removal.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use zenlayer_port_operator::api;

use crate::chart::RELEASE;
use crate::interrupt::{Interrupt, Interrupted};
use crate::play::Stage;
use crate::tool::Tool;

/// A value of the chart: no other operator is in the cluster, so the CustomResourceDefinition is ours to remove.
pub(crate) const REMOVE_CRD: &str = "crds.keep=false";

/// A namespace of our own, for the operator and its objects.
pub(crate) struct Trial {
    pub(crate) stage: Stage,
    pub(crate) helm: Tool,
}

impl Trial {
    /// Makes the namespace. Refuses a cluster in which an operator may be at work already.
    pub(crate) async fn begin(kubectl: Tool, helm: Tool, prefix: &str) -> Result<Self> {
        let crd = crd_name();
        let found = kubectl.run(&["get", "crd", &crd, "--ignore-not-found", "--output=name"]).await?;
        ensure!(
            found.is_empty(),
            "this cluster already has the CustomResourceDefinition {crd}. An operator that runs in it would act on the \
             objects of this trial, and the removal would delete its ZenlayerPorts. Use another cluster. If nobody needs \
             it here: kubectl delete crd {crd}"
        );
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "generateName": format!("{prefix}-"),
                "labels": { "pod-security.kubernetes.io/enforce": "restricted" },
            },
        });
        let create = ["create", "--filename", "-", "--output", "jsonpath={.metadata.name}"];
        let namespace = kubectl.run_with_input(&create, &namespace.to_string()).await?;
        println!("Namespace {namespace}, Pod Security restricted");
        Ok(Self { stage: Stage { kubectl, namespace }, helm })
    }

    /// A value of the chart: the operator leaves objects in other namespaces alone.
    pub(crate) fn only_its_namespace(&self) -> String {
        format!("watchNamespaces={{{}}}", self.stage.namespace)
    }

    /// Removes everything again. If `tried` failed, the log of the operator is printed before that. With `check`, the Job of
    /// the chart that refuses to uninstall while objects are left must agree.
    pub(crate) async fn end(self, tried: Result<()>, check: bool, interrupt: &mut Interrupt) -> Result<()> {
        if tried.as_ref().is_err_and(|error| !error.is::<Interrupted>()) {
            self.print_diagnostics().await;
        }
        println!("\nRemoving it all …");
        let removed = interrupt.unless(self.remove(check)).await.with_context(|| self.leftovers());
        if let (Err(_), Err(error)) = (&tried, &removed) {
            eprintln!("{error:#}");
        }
        tried.and(removed)
    }

    /// Prints what tells why it failed; what cannot be had is passed over with a word.
    async fn print_diagnostics(&self) {
        let deployment = format!("deployment/{RELEASE}");
        for what in [
            &["get", "pods", "--output=wide"][..],
            &["get", "events", "--sort-by=.lastTimestamp"],
            &["get", "zenlayerports", "--output=wide"],
            &["logs", &deployment, "--tail=200"],
        ] {
            let command = [what, &["--namespace", &self.stage.namespace]].concat();
            match self.stage.kubectl.run(&command).await {
                Ok(text) => eprintln!("\n$ kubectl {}\n{}", command.join(" "), text.trim_end()),
                Err(error) => eprintln!("\n{error:#}"),
            }
        }
    }

    async fn remove(&self, check: bool) -> Result<()> {
        let Stage { kubectl, namespace } = &self.stage;
        let crd = crd_name();
        if !kubectl.run(&["get", "crd", &crd, "--ignore-not-found", "--output=name"]).await?.is_empty() {
            self.refuse_to_delete_others().await?;
            if let Err(error) = self.strip_objects().await {
                eprintln!("{error:#}");
            }
        }
        let uninstall = ["uninstall", RELEASE, "--namespace", namespace, "--ignore-not-found"];
        let without_check: &[&str] = if check { &[] } else { &["--no-hooks"] };
        self.helm.run(&[&uninstall, without_check].concat()).await?;
        kubectl.run(&["delete", "namespace", namespace, "--timeout=120s"]).await?;
        kubectl.run(&["wait", "--for=delete", &format!("crd/{crd}"), "--timeout=60s"]).await?;
        Ok(())
    }

    /// The CustomResourceDefinition goes with the chart, and with it all ZenlayerPorts of the cluster.
    async fn refuse_to_delete_others(&self) -> Result<()> {
        let Stage { kubectl, namespace } = &self.stage;
        let list = ["get", "zenlayerports", "--all-namespaces", "--no-headers", "--output"];
        let columns = "custom-columns=NAMESPACE:.metadata.namespace,NAME:.metadata.name";
        let listed = kubectl.run(&[&list[..], &[columns]].concat()).await?;
        let others = others(&listed, namespace);
        ensure!(
            others.is_empty(),
            "someone made ZenlayerPorts in other namespaces: {}. The removal would delete them, so nothing is removed. When \
             nobody needs them, delete them, and then: helm uninstall {RELEASE} -n {namespace} && kubectl delete namespace \
             {namespace}",
            others.join(", ")
        );
        Ok(())
    }

    /// Deletes objects that are left, by force: their ports are only simulated.
    async fn strip_objects(&self) -> Result<()> {
        let Stage { kubectl, namespace } = &self.stage;
        for object in self.stage.objects().await? {
            let name = object.metadata.name.unwrap_or_default();
            let object = ["zenlayerport", &name, "--namespace", namespace];
            let patch = [&["patch"], &object[..], &["--type=merge", "-p"]].concat();
            for command in [
                [&patch[..], &[r#"{"spec":{"deletionProtection":false}}"#]].concat(),
                [&["delete"], &object[..], &["--wait=false"]].concat(),
                [&patch[..], &[r#"{"metadata":{"finalizers":null}}"#]].concat(),
            ] {
                if let Err(error) = kubectl.run(&command).await {
                    // It may have gone by itself meanwhile; if not, the deletion of the namespace says so.
                    eprintln!("{error:#}");
                }
            }
        }
        Ok(())
    }

    fn leftovers(&self) -> String {
        format!("namespace {} or what is in it could not be removed", self.stage.namespace)
    }
}

/// The objects, as `namespace/name`, that are not in `namespace`.
fn others(listed: &str, namespace: &str) -> Vec<String> {
    let objects = listed.lines().filter_map(|line| line.split_once(char::is_whitespace));
    let others = objects.filter(|(of, _)| *of != namespace);
    others.map(|(namespace, name)| format!("{namespace}/{}", name.trim())).collect()
}

/// `zenlayerports.sdn.zenlayer.com`.
fn crd_name() -> String {
    api::custom_resource_definition().metadata.name.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_other_namespaces_are_named() {
        let listed = "demo-x7   edge\nteam-a    uplink-1\n";
        assert_eq!(others(listed, "demo-x7"), ["team-a/uplink-1"]);
        assert!(others("demo-x7   edge\n", "demo-x7").is_empty());
    }
}
