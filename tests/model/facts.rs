//! The few values that all cases are made of.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use zenlayer_port_operator::answer::{Refusal, RefusalKind};
use zenlayer_port_operator::api::{
    APPROVE_ANNOTATION, DeletionPolicy, READY, Reason, ZenlayerPort, ZenlayerPortSpec,
};
use zenlayer_port_operator::clock::Monotonic;
use zenlayer_port_operator::fingerprint::Fingerprint;
use zenlayer_port_operator::port::{PortId, PortInfo, PortStatus};

/// This process has run for a day and a bit.
pub const NOW: Monotonic = Monotonic::from_start(seconds(100_000));

/// When the port was created, and when another was under the same id.
pub const CREATED: [&str; 2] = ["2025-11-05T08:00:00Z", "2025-12-24T18:00:00Z"];

pub const UIDS: [&str; 2] = ["5f0c9a3e-0000-4000-8000-000000000001", "7d1b2c4f-0000-4000-8000-000000000002"];

pub const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn wall() -> Timestamp {
    Timestamp::UNIX_EPOCH + seconds(1_767_355_200)
}

pub fn fingerprint(digest: &str) -> Fingerprint {
    Fingerprint::new(digest)
}

/// A refusal as the client makes it of a 4xx with this code.
pub fn refusal(code: &str) -> Refusal {
    Refusal {
        kind: RefusalKind::of_code(code),
        code: code.to_owned(),
        message: String::new(),
        request_id: None,
    }
}

/// A postpaid port, as `DescribePorts` shows it.
pub fn port(status: PortStatus, created: Option<&str>) -> PortInfo {
    PortInfo {
        port_id: PortId::new("port-1"),
        port_status: status,
        port_name: None,
        port_type: None,
        dc_id: None,
        dc_name: None,
        connection_status: None,
        port_charge_type: Some("POSTPAID".to_owned()),
        created_time: created.map(str::to_owned),
        expired_time: None,
    }
}

/// A day old, without finalizers.
pub fn object(uid: &str, policy: DeletionPolicy) -> ZenlayerPort {
    let day = seconds(24 * 3600);
    let metadata = ObjectMeta {
        name: Some("edge-1".to_owned()),
        namespace: Some("team-a".to_owned()),
        uid: Some(uid.to_owned()),
        generation: Some(1),
        creation_timestamp: Some(Time(wall() - day)),
        ..ObjectMeta::default()
    };
    let spec = ZenlayerPortSpec {
        port_id: PortId::new("port-1"),
        deletion_policy: policy,
        deletion_protection: false,
        credentials_ref: None,
    };
    ZenlayerPort { metadata, spec, status: None }
}

/// The first 8 digits of the SHA-256 of each of [`CREATED`], by which a consent names the port (`printf TIME | sha256sum`).
const DIGESTS: [&str; 2] = ["4bd54cce", "d4ce7ab4"];

/// A person has approved that these holds are passed, each of this restoration, and of this port.
pub fn approve(object: &mut ZenlayerPort, holds: impl Iterator<Item = (Reason, i64)>, port: usize) {
    let uid = object.metadata.uid.as_deref().and_then(|uid| uid.get(..8)).unwrap_or_default();
    let consents: Vec<String> = holds
        .map(|(reason, restoration)| match reason {
            Reason::RestoredElsewhere => format!("{}-{uid}-{restoration}", reason.as_str()),
            Reason::IdentityChanged => format!("{}-{uid}-{}", reason.as_str(), DIGESTS[port]),
            _ => format!("{}-{uid}", reason.as_str()),
        })
        .collect();
    object.metadata.annotations = Some([(APPROVE_ANNOTATION.to_owned(), consents.join(","))].into());
}

/// The reason that a status shows.
pub fn shown(conditions: &[Condition]) -> Option<Reason> {
    let ready = conditions.iter().find(|condition| condition.type_ == READY)?;
    Reason::parse(&ready.reason)
}
