//! The Kubernetes API of the operator: `sdn.zenlayer.com/v1alpha1`, kind `ZenlayerPort`.
//!
//! The doc comments on the fields are what `kubectl explain zenlayerport` prints.

mod approval;
mod reason;
mod receipt;
mod salvage;
mod status;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::CustomResourceExt;
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

pub use approval::{APPROVE_ANNOTATION, ReadAnnotation};
pub use reason::{Actor, Advice, EventType, READY, RECONCILING, Readiness, Reason, Remedy, STALLED};
pub use receipt::Receipt;
pub use status::{Call, CallAction, CallOutcome, ObservedPort, PortIdentity, Release, ZenlayerPortStatus};

use crate::fingerprint::Fingerprint;
use crate::port::PortId;

/// Held by every `ZenlayerPort` until its port is proven gone, or left alone by its policy.
pub const FINALIZER: &str = "sdn.zenlayer.com/destroy-port";

/// A ZenlayerPort stands for one Zenlayer SDN port. When you delete the object, the operator destroys the port.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "sdn.zenlayer.com",
    version = "v1alpha1",
    kind = "ZenlayerPort",
    plural = "zenlayerports",
    namespaced,
    shortname = "zlp",
    category = "zenlayer",
    status = "ZenlayerPortStatus",
    derive = "PartialEq",
    doc = "A ZenlayerPort stands for one Zenlayer SDN port. When you delete the object, the operator destroys the port.",
    printcolumn(
        name = "Port-ID",
        type_ = "string",
        json_path = ".spec.portId",
        description = "Zenlayer's id of the port"
    ),
    printcolumn(
        name = "Port-Name",
        type_ = "string",
        json_path = ".status.port.name",
        description = "Zenlayer's name of the port"
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.port.status",
        description = "Zenlayer's status of the port, at the last status check"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why the port is in this state, or what the operator waits for"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Policy", type_ = "string", json_path = ".spec.deletionPolicy", priority = 1),
    printcolumn(name = "Type", type_ = "string", json_path = ".status.port.type", priority = 1),
    printcolumn(name = "Datacenter", type_ = "string", json_path = ".status.port.dataCenter", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    )
)]
pub struct ZenlayerPortSpec {
    /// Zenlayer's id of the port. You cannot change it: create another object for another port.
    #[x_kube(
        validation = Rule::new("self.matches('^[A-Za-z0-9_-]+$')")
            .message("portId is Zenlayer's id of a port: 1 to 64 letters, digits, '-' or '_'"),
        validation = Rule::new("self == oldSelf")
            .message("portId cannot be changed: create another ZenlayerPort for another port")
    )]
    pub port_id: PortId,

    /// What happens to the port when you delete this object. You can change it at any time, also while the object is being
    /// deleted. The operator always uses the current value.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// While this is true, the operator never terminates or destroys the port, whatever the policy says.
    #[serde(default)]
    pub deletion_protection: bool,

    /// The Secret with the Zenlayer key to use. Without it the operator uses its own key, if its configuration allows that
    /// for this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_ref: Option<CredentialsRef>,
}

/// What happens to the port when you delete the object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Destroy the port if it is in the recycle bin. If it is running, change nothing and wait.
    #[default]
    Destroy,
    /// Move the port to the recycle bin first, which stops its traffic. Then destroy it.
    TerminateAndDestroy,
    /// Move the port to the recycle bin, which stops its traffic, and remove the finalizer. Zenlayer destroys the port 24
    /// hours to 2 days later. Until then you can restore it in the Zenlayer console.
    Terminate,
    /// Remove the finalizer and leave the port as it is.
    Retain,
}

impl DeletionPolicy {
    pub const ALL: [Self; 4] = [Self::Destroy, Self::TerminateAndDestroy, Self::Terminate, Self::Retain];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Destroy => "Destroy",
            Self::TerminateAndDestroy => "TerminateAndDestroy",
            Self::Terminate => "Terminate",
            Self::Retain => "Retain",
        }
    }
}

/// Names a Secret in the object's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
pub struct CredentialsRef {
    /// Name of a Secret in the same namespace with the keys `accessKeyId` and `accessKeyPassword`, or `token`.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')")
        .message("credentialsRef.name is the name of a Secret: lower case letters, digits, '-' and '.'"))]
    pub name: String,
}

impl CredentialsRef {
    /// Whether the name can be that of a Secret. It becomes a part of a path, which must not lead elsewhere, and an object
    /// may be older than the schema that refuses such a name.
    pub fn is_well_formed(&self) -> bool {
        let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let name = self.name.as_bytes();
        name.len() <= 253
            && name.iter().all(|byte| alphanumeric(byte) || matches!(byte, b'-' | b'.'))
            && name.first().is_some_and(alphanumeric)
            && name.last().is_some_and(alphanumeric)
    }
}

impl JsonSchema for PortId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PortId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": 64 })
    }

    fn inline_schema() -> bool {
        true
    }
}

impl JsonSchema for Fingerprint {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Fingerprint".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }

    fn inline_schema() -> bool {
        true
    }
}

/// The CustomResourceDefinition that the operator is built for.
pub fn custom_resource_definition() -> CustomResourceDefinition {
    ZenlayerPort::crd()
}

impl ZenlayerPort {
    /// `deletionTimestamp` is set: somebody asked for the end of this object.
    pub fn is_terminating(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    pub fn has_finalizer(&self) -> bool {
        self.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
    }

    /// The finalizers of others.
    pub fn other_finalizers(&self) -> Vec<&str> {
        let finalizers = self.metadata.finalizers.iter().flatten().map(String::as_str);
        finalizers.filter(|finalizer| *finalizer != FINALIZER).collect()
    }

    /// The write-ahead record of this very object: that of another uid (a restored backup's) does not count.
    pub fn release(&self) -> Option<&Release> {
        let uid = self.metadata.uid.as_deref()?;
        self.status.as_ref()?.release.as_ref().filter(|release| release.uid == uid)
    }
}

#[cfg(test)]
mod tests;
