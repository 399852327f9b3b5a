//! What can be understood of an object that this version cannot parse; in all else it asks for nothing.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_json::Value;

use super::{DeletionPolicy, ZenlayerPort, ZenlayerPortSpec, ZenlayerPortStatus};
use crate::port::PortId;

impl ZenlayerPort {
    /// It keeps its port and is protected, as its policy may be one that this version does not know. It still owns its port.
    pub fn salvaged(metadata: ObjectMeta, spec: &Value, status: &Value) -> Self {
        Self { metadata, spec: salvaged_spec(spec), status: Some(salvaged_status(status)) }
    }
}

fn salvaged_spec(spec: &Value) -> ZenlayerPortSpec {
    ZenlayerPortSpec {
        port_id: PortId::new(spec.get("portId").and_then(Value::as_str).unwrap_or_default()),
        deletion_policy: DeletionPolicy::Retain,
        deletion_protection: true,
        credentials_ref: salvaged_part(spec, "credentialsRef"),
    }
}

fn salvaged_status(status: &Value) -> ZenlayerPortStatus {
    let conditions = status.get("conditions").and_then(Value::as_array).into_iter().flatten();
    ZenlayerPortStatus {
        observed_generation: salvaged_part(status, "observedGeneration"),
        identity: salvaged_part(status, "identity"),
        conditions: conditions.filter_map(|condition| Deserialize::deserialize(condition).ok()).collect(),
        ..ZenlayerPortStatus::default()
    }
}

fn salvaged_part<'a, T: Deserialize<'a>>(data: &'a Value, part: &str) -> Option<T> {
    T::deserialize(data.get(part)?).ok()
}
