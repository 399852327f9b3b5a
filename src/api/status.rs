//! `.status` of a `ZenlayerPort`: what was seen, what was called, and what is being waited for.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fingerprint::Fingerprint;
use crate::port::{PortInfo, PortStatus};

/// What the operator knows of the port, and what it is doing about it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ZenlayerPortStatus {
    /// The `metadata.generation` that this status was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The port as last seen at Zenlayer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<ObservedPort>,

    /// Which port this object saw first under its id, and who has seen it: proof that it is still the same port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<PortIdentity>,

    /// The record of this deletion, written before each call that changes the port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,

    /// `Ready` is the summary. `Reconciling` is true where the operator or Zenlayer will move things on, `Stalled` where a
    /// person must act.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// A port as Zenlayer's `DescribePorts` described it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObservedPort {
    /// Zenlayer's `portStatus`: CREATING, RUNNING, UPDATING, DELETING, RECYCLED (in the recycle bin), RECOVERING,
    /// DESTROYING or DESTROYED.
    pub status: String,
    /// Zenlayer's name of the port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// 1G, 10G or 40G.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub port_type: Option<String>,
    /// The data centre that the port is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_center: Option<String>,
    /// ACTIVE or DOWN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_status: Option<String>,
    /// PREPAID or POSTPAID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge_type: Option<String>,
    /// When Zenlayer created the port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_time: Option<String>,
    /// When the port expires, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired_time: Option<String>,
}

impl ObservedPort {
    pub fn port_status(&self) -> PortStatus {
        PortStatus::from(self.status.as_str())
    }
}

impl From<&PortInfo> for ObservedPort {
    fn from(port: &PortInfo) -> Self {
        Self {
            status: port.port_status.as_str().to_owned(),
            name: port.port_name.clone(),
            port_type: port.port_type.clone(),
            data_center: port.dc_name.clone().or_else(|| port.dc_id.clone()),
            connection_status: port.connection_status.clone(),
            charge_type: port.port_charge_type.clone(),
            created_time: port.created_time.clone(),
            expired_time: port.expired_time.clone(),
        }
    }
}

/// Which port was seen first under the id, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PortIdentity {
    /// The port's `createdTime` when it was first seen, in whatever state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_time: Option<String>,
    /// Fingerprints of the credentials that have seen the port: SHA-256 of the key id or token, shortened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub seen_by: Vec<Fingerprint>,
}

/// The record of one deletion. All of it but `call` outlives the calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// The uid of the object that this record belongs to; that of another uid is ignored.
    pub uid: String,
    /// This deletion has seen the port in the recycle bin, or on its way there after its own TerminatePort. A restoration
    /// sets it back.
    #[serde(default)]
    pub seen_recycled: bool,
    /// How often this deletion has found the port running again after that, or after an accepted TerminatePort.
    #[serde(default)]
    pub restorations: i64,
    /// This deletion was one of many at a time, and is held until a person approves it.
    #[serde(default)]
    pub latched: bool,
    /// Zenlayer has accepted a DestroyPort of this deletion.
    #[serde(default)]
    pub destroy_accepted: bool,
    /// The newest call, recorded before it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Call>,
}

/// One call that changes the port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// The Zenlayer action that is called.
    pub action: CallAction,
    /// Counts the calls of this deletion, from 1.
    pub attempt: i64,
    /// When the call was recorded; it is sent within 10 s of that, or not at all.
    pub requested_time: Time,
    /// The port's status that justified the call.
    pub port_status_before: String,
    /// Fingerprint of the credential that signs the call.
    pub credential: Fingerprint,
    /// The port was seen to follow the call.
    #[serde(default)]
    pub landed: bool,
    /// Zenlayer accepted this TerminatePort, and ten minutes later the port was still running: it counts as a restoration.
    #[serde(default)]
    pub without_effect: bool,
    /// What Zenlayer answered.
    pub outcome: CallOutcome,
}

/// The two actions that change a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CallAction {
    TerminatePort,
    DestroyPort,
}

impl CallAction {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TerminatePort => "TerminatePort",
            Self::DestroyPort => "DestroyPort",
        }
    }
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CallOutcome {
    /// It is about to be sent, or was sent by a process that did not live to hear the answer.
    #[serde(rename_all = "camelCase")]
    Pending {},
    /// Zenlayer accepted the call; the work itself is asynchronous.
    #[serde(rename_all = "camelCase")]
    Accepted {
        /// Zenlayer's id of the request, which its support asks for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
    },
    /// Zenlayer refused the call: nothing was changed.
    #[serde(rename_all = "camelCase")]
    Refused {
        /// Zenlayer's error code.
        code: String,
        /// Zenlayer's id of the request, which its support asks for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
    },
    /// It never left the operator: nothing was changed.
    #[serde(rename_all = "camelCase")]
    NotSent {
        /// What kept it from being sent.
        why: String,
    },
    /// No answer that could be understood: it may or may not have been carried out.
    #[serde(rename_all = "camelCase")]
    Unclear {
        /// What came instead of an answer.
        why: String,
    },
}
