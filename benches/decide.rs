//! Time and allocations of one decision, for objects as most of them are most of the time: nothing has changed since the
//! last look. `cargo bench --bench decide`.

use std::time::Duration;

use divan::{AllocProfiler, Bencher};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use zenlayer_port_operator::api::{
    Call, CallAction, CallOutcome, DeletionPolicy, FINALIZER, Release, ZenlayerPort, ZenlayerPortSpec,
    ZenlayerPortStatus,
};
use zenlayer_port_operator::clock::{Monotonic, Now};
use zenlayer_port_operator::decision::{
    Attachments, Context, CrdState, CredentialState, GateSettings, Input, Listing, Timing, Turn, decide,
};
use zenlayer_port_operator::fingerprint::Fingerprint;
use zenlayer_port_operator::port::{PortId, PortInfo, PortStatus};
use zenlayer_port_operator::reading::{Evidence, Presence, Reading};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const UID: &str = "5f0c9a3e-0000-4000-8000-000000000001";
const CREATED: &str = "2025-11-05T08:00:00Z";
/// This process has run for a day and a bit.
const NOW: Monotonic = Monotonic::from_start(Duration::from_secs(100_000));
const SECOND: Duration = Duration::from_secs(1);

fn main() {
    divan::main();
}

/// Its port lies in the recycle bin, and nobody asks for anything.
#[divan::bench]
fn idle(bencher: Bencher<'_, '_>) {
    measure(bencher, Situation::new(PortStatus::Recycled));
}

/// Deleted a moment ago: the grace runs.
#[divan::bench]
fn waiting(bencher: Bencher<'_, '_>) {
    measure(bencher, Situation::new(PortStatus::Recycled).deleted(2 * SECOND));
}

/// DestroyPort was accepted, and Zenlayer is at work.
#[divan::bench]
fn destroying(bencher: Bencher<'_, '_>) {
    measure(bencher, Situation::new(PortStatus::Destroying).deleted(50 * SECOND).called());
}

/// Deleted while its port is live, which its policy does not end.
#[divan::bench]
fn held(bencher: Bencher<'_, '_>) {
    measure(bencher, Situation::new(PortStatus::Running).deleted(50 * SECOND));
}

fn measure(bencher: Bencher<'_, '_>, situation: Situation) {
    let settled = situation.settled();
    bencher.bench(|| decide(divan::black_box(&settled.input())));
}

struct Situation {
    object: ZenlayerPort,
    evidence: Evidence,
    context: Context,
    timing: Timing,
    now: Now,
}

impl Situation {
    /// A day-old object whose port was seen so a second ago.
    fn new(status: PortStatus) -> Self {
        let key = Fingerprint::new("00000000000000aa");
        let wall: Timestamp = "2026-01-02T12:00:00Z".parse().expect("a time");
        let spec = ZenlayerPortSpec {
            port_id: PortId::new("port-0a1b2c3d"),
            deletion_policy: DeletionPolicy::Destroy,
            deletion_protection: false,
            credentials_ref: None,
        };
        let metadata = ObjectMeta {
            name: Some("edge".to_owned()),
            namespace: Some("network".to_owned()),
            uid: Some(UID.to_owned()),
            generation: Some(1),
            creation_timestamp: Some(Time(wall - 86_400 * SECOND)),
            finalizers: Some(vec![FINALIZER.to_owned()]),
            ..ObjectMeta::default()
        };
        let seen = Presence::Seen(port(status));
        Self {
            object: ZenlayerPort { metadata, spec, status: None },
            evidence: Evidence {
                by: key.clone(),
                good: Some(Reading { presence: seen, at: NOW - SECOND, since: NOW - 20 * SECOND }),
                failure: None,
                absences: None,
                waiting_since: NOW - 3600 * SECOND,
                interval: Some(10 * SECOND),
            },
            context: Context {
                credential: CredentialState::Usable(key),
                not_copied: None,
                claims: Vec::new(),
                same_account: Vec::new(),
                deletions_at_once: 1,
                listing: Listing::Complete,
                crd: CrdState::Stays { created: wall - 172_800 * SECOND },
                attachments: Attachments::Unknown,
                gates: GateSettings::default(),
                deletion_known_since: None,
                call_known_since: None,
                learnt: None,
                turn: Turn::Free,
            },
            timing: Timing::default(),
            now: Now { wall, monotonic: NOW },
        }
    }

    fn deleted(mut self, ago: Duration) -> Self {
        self.object.metadata.deletion_timestamp = Some(Time(self.now.wall - ago));
        self.context.deletion_known_since = Some(NOW - ago);
        self
    }

    /// Its DestroyPort was accepted 20 s ago.
    fn called(mut self) -> Self {
        let release = Release {
            uid: UID.to_owned(),
            seen_recycled: true,
            destroy_accepted: true,
            call: Some(Call {
                action: CallAction::DestroyPort,
                attempt: 1,
                requested_time: Time(self.now.wall - 20 * SECOND),
                port_status_before: "RECYCLED".to_owned(),
                credential: self.evidence.by.clone(),
                landed: true,
                settled: false,
                without_effect: false,
                outcome: CallOutcome::Accepted { request_id: None },
            }),
            ..Release::default()
        };
        self.object.status =
            Some(ZenlayerPortStatus { release: Some(release), ..ZenlayerPortStatus::default() });
        self.context.call_known_since = Some(NOW - 20 * SECOND);
        self
    }

    /// With the status that has been written before.
    fn settled(mut self) -> Self {
        let plan = decide(&self.input());
        self.object.status = Some(plan.status(&self.object));
        self
    }

    fn input(&self) -> Input<'_> {
        Input {
            object: &self.object,
            evidence: Some(&self.evidence),
            context: &self.context,
            timing: &self.timing,
            now: self.now,
        }
    }
}

fn port(status: PortStatus) -> PortInfo {
    PortInfo {
        port_id: PortId::new("port-0a1b2c3d"),
        port_status: status,
        port_name: Some("sin1-edge".to_owned()),
        port_type: Some("10G".to_owned()),
        dc_id: Some("SIN1".to_owned()),
        dc_name: Some("Singapore 1".to_owned()),
        connection_status: Some("ACTIVE".to_owned()),
        port_charge_type: Some("POSTPAID".to_owned()),
        created_time: Some(CREATED.to_owned()),
        expired_time: None,
    }
}
