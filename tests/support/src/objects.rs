//! Objects as people write them, and what they show.

use serde_json::{Value, json};
use zenlayer_port_operator::api::ZenlayerPort;

/// The Secret that objects name.
pub const SECRET: &str = "zenlayer-credentials";

/// Reason and message of a `Ready` condition.
pub type Ready = (String, String);

/// A `ZenlayerPort`.
pub fn manifest(namespace: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "sdn.zenlayer.com/v1alpha1", "kind": "ZenlayerPort",
        "metadata": { "name": name, "namespace": namespace }, "spec": spec,
    })
}

/// The spec of an object with [`SECRET`].
pub fn spec(port_id: &str, policy: &str) -> Value {
    json!({ "portId": port_id, "deletionPolicy": policy, "credentialsRef": { "name": SECRET } })
}

/// A Secret of these fields alone, whatever it held before.
pub fn secret(namespace: &str, name: &str, fields: &[(&str, &str)]) -> Value {
    let fields: Value = fields.iter().copied().collect();
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "namespace": namespace },
        "data": null, "stringData": fields,
    })
}

/// A Secret with an access key: its id and its password.
pub fn key_secret(namespace: &str, name: &str, key: (&str, &str)) -> Value {
    secret(namespace, name, &[("accessKeyId", key.0), ("accessKeyPassword", key.1)])
}

/// Several objects in one manifest.
pub fn list(items: &[Value]) -> Value {
    json!({ "apiVersion": "v1", "kind": "List", "items": items })
}

/// What an object shows; none: nothing yet.
pub fn ready(object: &ZenlayerPort) -> Option<Ready> {
    let ready = object.status.as_ref()?.ready()?;
    Some((ready.reason.clone(), ready.message.clone()))
}

/// The command at the end of a message, which lets a deletion go on.
pub fn advised_command(message: &str) -> Option<&str> {
    let (_, command) = message.rsplit_once(": ")?;
    command.starts_with("kubectl ").then_some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advised_command_is_the_last_one() {
        let message =
            "It is held. To keep it: kubectl a. To remove the finalizer: kubectl patch x -p '{\"a\":1}'";
        assert_eq!(advised_command(message), Some("kubectl patch x -p '{\"a\":1}'"));
        assert_eq!(advised_command("Wait."), None);
        assert_eq!(advised_command("Zenlayer said: no"), None);
    }
}
