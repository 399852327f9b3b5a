//! `.status` of a `ZenlayerPort`: what was seen, what was called, and what is being waited for.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::READY;
use crate::answer::{NotSentCause, Refusal};
use crate::fingerprint::Fingerprint;
use crate::port::{PortId, PortInfo, PortStatus};

/// What the operator knows about the port, and what it is doing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ZenlayerPortStatus {
    /// The `metadata.generation` that this status belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The port at the last status check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<ObservedPort>,

    /// The port that Zenlayer first returned for this id, and the keys for which Zenlayer returned it. With this the
    /// operator knows whether the id still belongs to the same port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<PortIdentity>,

    /// The record of this deletion. The operator writes it before each call that changes the port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,

    /// `Ready` is the summary. `Reconciling` is true while the operator or Zenlayer works. `Stalled` is true when a person
    /// must act.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

impl ZenlayerPortStatus {
    /// The condition that sums up.
    pub fn ready(&self) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == READY)
    }
}

/// A port, as Zenlayer's `DescribePorts` returned it.
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
    /// The data centre of the port.
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
    /// When the subscription of the port ends, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired_time: Option<String>,
}

impl ObservedPort {
    pub fn port_status(&self) -> PortStatus {
        PortStatus::from(self.status.as_str())
    }

    /// Whether it equals `ObservedPort::from(port)`.
    pub fn is_of(&self, port: &PortInfo) -> bool {
        let Self {
            status,
            name,
            port_type,
            data_center,
            connection_status,
            charge_type,
            created_time,
            expired_time,
        } = self;
        status == port.port_status.as_str()
            && *name == port.port_name
            && *port_type == port.port_type
            && data_center.as_ref() == port.dc_name.as_ref().or(port.dc_id.as_ref())
            && *connection_status == port.connection_status
            && *charge_type == port.port_charge_type
            && *created_time == port.created_time
            && *expired_time == port.expired_time
    }

    /// What was read of the port, as far as it is kept.
    pub fn as_port_info(&self, id: &PortId) -> PortInfo {
        PortInfo {
            port_id: id.clone(),
            port_status: self.port_status(),
            port_name: self.name.clone(),
            port_type: self.port_type.clone(),
            dc_id: None,
            dc_name: self.data_center.clone(),
            connection_status: self.connection_status.clone(),
            port_charge_type: self.charge_type.clone(),
            created_time: self.created_time.clone(),
            expired_time: self.expired_time.clone(),
        }
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

/// The port that Zenlayer first returned for the id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PortIdentity {
    /// The `createdTime` of that port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_time: Option<String>,
    /// Fingerprints of the keys that Zenlayer returned the port for: the shortened SHA-256 of the key id or token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub seen_by: Vec<Fingerprint>,
}

/// The record of one deletion.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own that outlives the calls")]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// The uid of the object that this record belongs to. The operator ignores a record with another uid.
    pub uid: String,
    /// During this deletion the port was in the recycle bin, or was moving there after the operator's TerminatePort. If
    /// someone restores the port, this is false again.
    #[serde(default)]
    pub seen_recycled: bool,
    /// How many times the port was running again after it was in the recycle bin, or after a TerminatePort that Zenlayer
    /// accepted.
    #[serde(default)]
    pub restorations: i64,
    /// Too many objects were deleted at once. This one waits until a person approves.
    #[serde(default)]
    pub latched: bool,
    /// The CustomResourceDefinition was deleted during this deletion. This object waits until a person approves.
    #[serde(default)]
    pub crd_deleted: bool,
    /// Zenlayer accepted a DestroyPort call of this deletion.
    #[serde(default)]
    pub destroy_accepted: bool,
    /// During this deletion the operator had credentials for calls. If someone deletes the Secret later, the operator
    /// continues with its copy.
    #[serde(default)]
    pub credentials_seen: bool,
    /// The newest call. The operator writes it before it sends the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Call>,
}

/// One call that changes the port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// The Zenlayer action.
    pub action: CallAction,
    /// The number of the call: the first call of the deletion has the number 1.
    pub attempt: i64,
    /// When the operator wrote this record. It sends the call within 10 s after that, or not at all.
    pub requested_time: Time,
    /// The status of the port before the call.
    pub port_status_before: String,
    /// Fingerprint of the key for the call.
    pub credential: Fingerprint,
    /// The call took effect: a status check showed it.
    #[serde(default)]
    pub landed: bool,
    /// A status check in time showed the port running after this TerminatePort, to which there was no clear answer.
    #[serde(default)]
    pub settled: bool,
    /// The port was running after this TerminatePort: ten minutes after Zenlayer accepted it, or, if there was no clear
    /// answer, after a time of more than ten minutes without a status check. This counts as a restoration.
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

/// The result of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CallOutcome {
    /// The operator is sending the call, or stopped before it got the answer.
    #[serde(rename_all = "camelCase")]
    Pending {},
    /// Zenlayer accepted the call, and does the work later.
    #[serde(rename_all = "camelCase")]
    Accepted {
        /// Zenlayer's id of the request. Give it to Zenlayer's support.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
    },
    /// Zenlayer refused the call. Nothing changed.
    Refused(Refusal),
    /// The operator did not send the call. Nothing changed.
    #[serde(rename_all = "camelCase")]
    NotSent {
        /// Why the operator did not send it.
        #[serde(default)]
        cause: NotSentCause,
        /// Why, in words.
        why: String,
    },
    /// There was no clear answer. Zenlayer may have carried out the call or not.
    #[serde(rename_all = "camelCase")]
    Unclear {
        /// What came instead of a clear answer.
        why: String,
    },
}
