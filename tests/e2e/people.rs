//! What people do in a world.

use std::fmt::Display;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;
use test_support::objects::{self, SECRET, advised_command, spec};
use tokio::time::timeout;

use crate::world::{PATIENCE, Setup, World};

impl Setup {
    /// Starts, and the object `edge` owns the port `port-1` in the recycle bin, to be destroyed with it.
    pub async fn start_with_edge(self) -> Result<World> {
        let world = self.start().await?;
        world.own_until("edge", "port-1", "Destroy", "PortRecycled").await?;
        Ok(world)
    }
}

impl World {
    pub async fn put_secret(&self, id: &str, password: &str) -> Result<()> {
        self.secret_in(&self.namespace, id, password).await
    }

    pub async fn secret_in(&self, namespace: &str, id: &str, password: &str) -> Result<()> {
        self.apply(&objects::key_secret(namespace, SECRET, (id, password))).await
    }

    /// `kubectl apply`.
    pub async fn apply(&self, object: &Value) -> Result<()> {
        self.cluster.apply(&object.to_string()).await.map(drop)
    }

    /// Creates an object as a user would.
    pub async fn create(&self, name: &str, spec: Value) -> Result<()> {
        self.apply(&self.manifest(name, &spec)).await
    }

    /// The same, with these finalizers.
    pub async fn create_with_finalizers(&self, name: &str, spec: Value, finalizers: &Value) -> Result<()> {
        let mut object = self.manifest(name, &spec);
        object["metadata"]["finalizers"] = finalizers.clone();
        self.apply(&object).await
    }

    pub fn manifest(&self, name: &str, spec: &Value) -> Value {
        objects::manifest(&self.namespace, name, spec)
    }

    /// Changes an object by a merge patch.
    pub async fn patch(&self, name: &str, patch: impl Display) -> Result<()> {
        let patch = patch.to_string();
        self.kubectl(&["patch", "zenlayerport", name, "--type=merge", "-p", &patch]).await.map(drop)
    }

    /// Takes all finalizers off, the operator's too.
    pub async fn strip_finalizers(&self, name: &str) -> Result<()> {
        self.patch(name, r#"{"metadata":{"finalizers":null}}"#).await
    }

    /// Creates an object of this port and policy with the Secret of the namespace.
    pub async fn own(&self, name: &str, port: &str, policy: &str) -> Result<()> {
        self.create(name, spec(port, policy)).await
    }

    /// As [`World::own`], and waits until it shows this reason.
    pub async fn own_until(&self, name: &str, port: &str, policy: &str, reason: &str) -> Result<()> {
        self.own(name, port, policy).await?;
        self.until_alive(name, reason).await
    }

    /// `kubectl delete`, without waiting for the end.
    pub async fn delete(&self, name: &str) -> Result<()> {
        self.kubectl(&["delete", "zenlayerport", name, "--wait=false"]).await.map(drop)
    }

    /// kubectl in the objects' namespace.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        let all = [&["--namespace", &self.namespace], args].concat();
        self.cluster.kubectl(&all).await
    }

    /// Makes an object for each of these recycled ports, deletes all at once, and waits until all are held as one of too many;
    /// returns what each of them says.
    pub async fn hold_as_mass_deletion(&self, ids: &[String]) -> Result<Vec<String>> {
        for id in ids {
            self.own(id, id, "Destroy").await?;
        }
        for id in ids {
            self.until_alive(id, "PortRecycled").await?;
        }
        self.kubectl(&["delete", "zenlayerports", "--all", "--wait=false"]).await?;
        let mut messages = Vec::new();
        for id in ids {
            messages.push(self.until_reason(id, "MassDeletion").await?);
        }
        Ok(messages)
    }

    /// Types the last command that a message prints, to the letter.
    pub async fn type_command_of(&self, message: &str) -> Result<()> {
        self.type_command_of_as("", message).await
    }

    /// The same with more options at its end, such as `--as=NAME`.
    pub async fn type_command_of_as(&self, options: &str, message: &str) -> Result<()> {
        let command = advised_command(message).with_context(|| format!("no command in: {message}"))?;
        self.type_command(&format!("{command} {options}")).await
    }

    /// Types the command that follows these words of a message, up to the semicolon before the next.
    pub async fn type_command_after(&self, words: &str, message: &str) -> Result<()> {
        let (_, command) = message.split_once(words).context(format!("no {words:?} in: {message}"))?;
        self.type_command(command.split_once("; to ").map_or(command, |(command, _)| command)).await
    }

    pub async fn type_command(&self, command: &str) -> Result<()> {
        anyhow::ensure!(command.starts_with("kubectl "), "no command of kubectl: {command}");
        let plugin = Path::new(env!("CARGO_BIN_EXE_kubectl-zenlayerport")).parent().context("a folder")?;
        timeout(PATIENCE, self.cluster.type_command(&[plugin], command)).await?
    }
}
