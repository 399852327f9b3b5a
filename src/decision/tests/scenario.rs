//! A situation to decide about, told in a few words: what differs from the plainest one.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};

use crate::answer::{NotSentCause, Refusal, RefusalKind};
use crate::api::{
    APPROVE_ANNOTATION, Call, CallAction, CallOutcome, DeletionPolicy, FINALIZER, ObservedPort, PortIdentity,
    READY, Reason, Release, ZenlayerPort, ZenlayerPortSpec, ZenlayerPortStatus,
};
use crate::clock::{Monotonic, Now};
use crate::decision::{
    Action, Announcement, Attachments, Claim, ClaimBasis, Context, CrdState, CredentialState, GateSettings,
    Input, Listing, Plan, Timing, Turn, decide,
};
use crate::fingerprint::Fingerprint;
use crate::port::{PortId, PortInfo, PortStatus};
use crate::reading::{Absences, Evidence, Failure, Presence, Reading, Unreadable, Want};

pub(super) const UID: &str = "5f0c9a3e-0000-4000-8000-000000000001";
pub(super) const OTHER_UID: &str = "7d1b2c4f-0000-4000-8000-000000000002";
pub(super) const NAMESPACE: &str = "team-a";
pub(super) const NAME: &str = "edge-1";
pub(super) const KEY: &str = "00000000000000aa";
pub(super) const OTHER_KEY: &str = "00000000000000bb";
pub(super) const CREATED: &str = "2025-11-05T08:00:00Z";
pub(super) const RECREATED: &str = "2025-12-24T18:00:00Z";
pub(super) const GENERATION: i64 = 7;

pub(super) const HOUR: u64 = 3600;

/// This process has run for a day and a bit.
pub(super) const NOW: Monotonic = Monotonic::from_start(Duration::from_secs(100_000));

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn key(digest: &str) -> Fingerprint {
    Fingerprint::new(digest)
}

pub(super) fn wall() -> Timestamp {
    "2026-01-02T12:00:00Z".parse().expect("a time")
}

pub(super) fn time(ago: u64) -> Time {
    Time(wall() - seconds(ago))
}

pub(super) fn port(status: PortStatus) -> PortInfo {
    PortInfo {
        port_id: PortId::new("port-1"),
        port_status: status,
        port_name: Some("uplink".to_owned()),
        port_type: Some("10G".to_owned()),
        dc_id: None,
        dc_name: Some("AMS1".to_owned()),
        connection_status: Some("ACTIVE".to_owned()),
        port_charge_type: Some("POSTPAID".to_owned()),
        created_time: Some(CREATED.to_owned()),
        expired_time: None,
    }
}

/// An object, what is known of its port, and the time.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) object: ZenlayerPort,
    pub(super) evidence: Option<Evidence>,
    pub(super) context: Context,
    pub(super) timing: Timing,
    pub(crate) now: Now,
}

/// The beginning of a scenario.
impl Scenario {
    /// An object a day old, whose port nobody has read though it was asked for an hour ago.
    pub(crate) fn living() -> Self {
        let spec = ZenlayerPortSpec {
            port_id: PortId::new("port-1"),
            deletion_policy: DeletionPolicy::Destroy,
            deletion_protection: false,
            credentials_ref: None,
        };
        let metadata = ObjectMeta {
            name: Some(NAME.to_owned()),
            namespace: Some(NAMESPACE.to_owned()),
            uid: Some(UID.to_owned()),
            generation: Some(GENERATION),
            creation_timestamp: Some(time(24 * HOUR)),
            finalizers: Some(vec![FINALIZER.to_owned()]),
            ..ObjectMeta::default()
        };
        Self {
            object: ZenlayerPort { metadata, spec, status: None },
            evidence: Some(Evidence {
                by: key(KEY),
                good: None,
                failure: None,
                absences: None,
                waiting_since: NOW - seconds(HOUR),
                interval: Some(seconds(10)),
            }),
            context: Context {
                credential: CredentialState::Usable(key(KEY)),
                not_copied: None,
                claims: Vec::new(),
                same_account: Vec::new(),
                deletions_at_once: 1,
                listing: Listing::Complete,
                crd: CrdState::Stays { created: time(48 * HOUR).0 },
                attachments: Attachments::Unknown,
                gates: GateSettings::default(),
                deletion_known_since: None,
                call_known_since: None,
                learnt: None,
                turn: Turn::Free,
            },
            timing: Timing::default(),
            now: Now { wall: wall(), monotonic: NOW },
        }
    }

    /// The same, deleted an hour ago.
    pub(crate) fn deleting(policy: DeletionPolicy) -> Self {
        Self::living().with(|it| {
            it.object.spec.deletion_policy = policy;
            it.object.metadata.deletion_timestamp = Some(time(HOUR));
            it.context.deletion_known_since = Some(NOW - seconds(HOUR));
        })
    }
}

/// What differs.
impl Scenario {
    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Read just now, by the object's credential.
    pub(crate) fn seen(self, status: PortStatus) -> Self {
        self.seen_as(port(status))
    }

    pub(super) fn seen_as(self, port: PortInfo) -> Self {
        self.read(Presence::Seen(port), 0)
    }

    /// In the state before, but the reading is this old.
    pub(super) fn seen_ago(self, status: PortStatus, ago: u64) -> Self {
        self.read(Presence::Seen(port(status)), ago)
    }

    /// Absent in so many readings, the first so long ago and the last just now.
    pub(super) fn absent(self, count: u32, span: u64) -> Self {
        self.read(Presence::Absent, 0)
            .evidence(|it| it.absences = Some(Absences { count, first: NOW - seconds(span), last: NOW }))
    }

    fn read(self, presence: Presence, ago: u64) -> Self {
        let at = self.now.monotonic - seconds(ago);
        self.evidence(|it| it.good = Some(Reading { presence, at, since: at }))
    }

    pub(super) fn evidence(mut self, change: impl FnOnce(&mut Evidence)) -> Self {
        change(self.evidence.as_mut().expect("evidence"));
        self
    }

    pub(super) fn failing(self, why: Unreadable) -> Self {
        self.evidence(|it| it.failure = Some(Failure { why, since: NOW - seconds(60), at: NOW }))
    }

    pub(super) fn without_credentials(self) -> Self {
        self.with(|it| {
            it.context.credential = CredentialState::Unavailable("Secret team-a/keys does not exist.".into());
            it.evidence = None;
        })
    }

    pub(super) fn only_reads(self) -> Self {
        self.with(|it| {
            it.context.credential = CredentialState::ReadOnly {
                fingerprint: key(KEY),
                why: "Secret team-a/keys was deleted.".into(),
            };
        })
    }

    pub(super) fn also_finalized_by(self, other: &str) -> Self {
        self.with(|it| it.object.metadata.finalizers.get_or_insert_default().push(other.to_owned()))
    }

    pub(super) fn protected(self) -> Self {
        self.with(|it| it.object.spec.deletion_protection = true)
    }

    /// This process learned of the deletion so many seconds ago.
    pub(super) fn deleted_ago(self, ago: u64) -> Self {
        self.with(|it| it.context.deletion_known_since = Some(NOW - seconds(ago)))
    }

    /// More than the threshold were deleted at once.
    pub(super) fn among_too_many(self) -> Self {
        self.deleted_at_once(21)
    }

    /// So many were, of which twenty may be.
    pub(super) fn deleted_at_once(self, count: u32) -> Self {
        self.with(|it| {
            it.context.deletions_at_once = count;
            it.context.gates.mass_deletion_threshold = NonZeroU32::new(20);
        })
    }

    pub(super) fn approval_required(self) -> Self {
        self.with(|it| it.context.gates.require_approval = true)
    }

    pub(super) fn crd(self, state: CrdState) -> Self {
        self.with(|it| it.context.crd = state)
    }

    /// Zenlayer says that these use the port.
    pub(super) fn used_by(self, users: &[&str]) -> Self {
        let users = users.iter().map(ToString::to_string).collect();
        self.with(|it| it.context.attachments = Attachments::Known(users))
    }

    /// A person has approved that it passes the hold of this reason, in the words that its message prints.
    pub(super) fn approved(self, reason: Reason) -> Self {
        let consent = self.consent(reason);
        self.annotated(&consent)
    }

    /// What the annotation must hold to approve.
    pub(super) fn consent(&self, reason: Reason) -> String {
        let status = self.object.status.as_ref();
        let restorations =
            status.and_then(|it| it.release.as_ref()).map_or(0, |release| release.restorations.max(1));
        consent(reason, restorations)
    }

    /// The annotation that gives consent has this value.
    pub(super) fn annotated(self, value: &str) -> Self {
        let annotation = (APPROVE_ANNOTATION.to_owned(), value.to_owned());
        self.with(|it| it.object.metadata.annotations = Some([annotation].into()))
    }

    pub(super) fn status(self, change: impl FnOnce(&mut ZenlayerPortStatus)) -> Self {
        self.with(|it| change(it.object.status.get_or_insert_default()))
    }

    /// The object has owned the port of [`CREATED`], last seen in this state by [`KEY`].
    pub(super) fn remembers(self, status: PortStatus) -> Self {
        self.status(|it| {
            it.port = Some(ObservedPort::from(&port(status)));
            it.identity =
                Some(PortIdentity { created_time: Some(CREATED.to_owned()), seen_by: vec![key(KEY)] });
        })
    }

    pub(super) fn release(self, change: impl FnOnce(&mut Release)) -> Self {
        self.status(|it| {
            change(it.release.get_or_insert_with(|| Release { uid: UID.to_owned(), ..Release::default() }));
        })
    }

    /// This deletion's newest call, the first one, which this process has known for so long.
    pub(super) fn called(self, action: CallAction, outcome: CallOutcome, known: u64) -> Self {
        self.release(|it| {
            it.call = Some(Call {
                action,
                attempt: 1,
                requested_time: time(known),
                port_status_before: "RECYCLED".to_owned(),
                credential: key(KEY),
                landed: false,
                settled: false,
                without_effect: false,
                outcome,
            });
        })
        .with(|it| it.context.call_known_since = Some(NOW - seconds(known)))
    }

    /// This process has known of the newest call for so long.
    pub(super) fn called_again_ago(self, known: u64) -> Self {
        self.with(|it| it.context.call_known_since = Some(it.now.monotonic - seconds(known)))
    }

    pub(super) fn call(self, change: impl FnOnce(&mut Call)) -> Self {
        self.release(|it| change(it.call.as_mut().expect("a call")))
    }

    /// Another living object of the namespace has seen the same port.
    pub(super) fn claimed(self) -> Self {
        self.claimed_by(claim())
    }

    pub(super) fn claimed_by(self, claim: Claim) -> Self {
        self.with(|it| it.context.claims.push(claim))
    }

    /// `Ready` has had this reason for so long.
    pub(super) fn showing(self, reason: Reason, ago: u64) -> Self {
        self.status(|it| it.conditions = vec![ready(reason, ago)])
    }

    /// The plan's status is written; the record of a call is known from then on.
    pub(super) fn written(self) -> Self {
        let plan = self.plan();
        self.with(|it| {
            it.object.status = Some(plan.status);
            it.context.learnt = None;
            if matches!(plan.action, Action::Call(_)) {
                it.context.call_known_since = Some(it.now.monotonic);
            }
        })
    }

    /// Time passes, and the port is read again with the same result.
    pub(super) fn later(self, by: u64) -> Self {
        let later = self.with(|it| {
            it.now.wall += seconds(by);
            it.now.monotonic = it.now.monotonic + seconds(by);
        });
        let now = later.now.monotonic;
        later.evidence(|it| {
            if let Some(good) = it.good.as_mut() {
                good.at = now;
            }
        })
    }
}

/// What the annotation must hold to approve: this restoration, or the port of [`RECREATED`].
pub(super) fn consent(reason: Reason, restorations: i64) -> String {
    let of_object = format!("{}-5f0c9a3e", reason.as_str());
    match reason {
        Reason::RestoredElsewhere => format!("{of_object}-{restorations}"),
        // printf 2025-12-24T18:00:00Z | sha256sum
        Reason::IdentityChanged => format!("{of_object}-d4ce7ab4"),
        _ => of_object,
    }
}

pub(super) fn ready(reason: Reason, ago: u64) -> Condition {
    Condition {
        type_: READY.to_owned(),
        status: "False".to_owned(),
        reason: reason.as_str().to_owned(),
        message: "As before.".to_owned(),
        observed_generation: Some(GENERATION - 1),
        last_transition_time: time(ago),
    }
}

pub(super) fn claim() -> Claim {
    Claim {
        namespace: NAMESPACE.to_owned(),
        name: "edge-2".to_owned(),
        uid: OTHER_UID.to_owned(),
        creation: Some(time(HOUR).0),
        terminating: false,
        basis: ClaimBasis::Saw { created_time: Some(CREATED.to_owned()) },
    }
}

/// A plan, with the status that it writes if all of it is carried out.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Planned {
    pub(super) status: ZenlayerPortStatus,
    pub(super) action: Action,
    pub(super) want: Option<Want>,
    pub(super) deadline: Option<Duration>,
    pub(super) event: Option<Announcement>,
}

/// What is decided.
impl Scenario {
    pub(super) fn plan(&self) -> Planned {
        let plan = self.decided();
        let status = plan.status(&self.object);
        let Plan { action, want, deadline, event, .. } = plan;
        Planned { status, action, want, deadline, event }
    }

    pub(crate) fn decided(&self) -> Plan {
        decide(&Input {
            object: &self.object,
            evidence: self.evidence.as_ref(),
            context: &self.context,
            timing: &self.timing,
            now: self.now,
        })
    }

    /// Nothing is done, for this reason.
    #[track_caller]
    pub(super) fn waits(&self, reason: Reason) -> Planned {
        let plan = self.plan();
        assert_eq!((shown(&plan), &plan.action), (Some(reason.as_str()), &Action::None), "{plan:#?}");
        plan
    }

    /// Nothing is done yet but to ask for a reading at once.
    #[track_caller]
    pub(super) fn asks_for_a_reading(&self) {
        let plan = self.plan();
        let fresh_after = plan.want.and_then(|want| want.fresh_after);
        assert_eq!((fresh_after, &plan.action), (Some(self.now.monotonic), &Action::None), "{plan:#?}");
    }

    #[track_caller]
    pub(super) fn removes_finalizer(&self, reason: Reason) -> Planned {
        let plan = self.plan();
        assert_eq!(plan.action, Action::RemoveFinalizer(reason), "{plan:#?}");
        let advises = plan.event.as_ref().is_some_and(|event| event.message.contains("kubectl"));
        assert!(!advises, "nothing is to be typed about an object that goes: {plan:#?}");
        plan
    }

    #[track_caller]
    pub(super) fn calls(&self, action: CallAction) -> Planned {
        let plan = self.plan();
        match &plan.action {
            Action::Call(intent) if intent.warrant.action() == action => plan,
            other => panic!("{other:?} instead of {}: {plan:#?}", action.as_str()),
        }
    }
}

pub(super) fn shown(plan: &Planned) -> Option<&str> {
    condition(&plan.status, READY).map(|ready| ready.reason.as_str())
}

pub(super) fn condition<'a>(status: &'a ZenlayerPortStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == kind)
}

pub(super) fn pending() -> CallOutcome {
    CallOutcome::Pending {}
}

pub(super) fn unclear() -> CallOutcome {
    CallOutcome::Unclear { why: "the connection was reset".to_owned() }
}

pub(super) fn accepted() -> CallOutcome {
    CallOutcome::Accepted { request_id: Some("T1".to_owned()) }
}

pub(super) fn refused(code: &str) -> CallOutcome {
    CallOutcome::Refused(refusal(code))
}

pub(super) fn not_sent() -> CallOutcome {
    let why = "no connection to Zenlayer".to_owned();
    CallOutcome::NotSent { cause: NotSentCause::NoConnection, why }
}

/// A refusal as the client makes it of a 4xx with this code.
pub(super) fn refusal(code: &str) -> Refusal {
    Refusal {
        kind: RefusalKind::of_code(code),
        code: code.to_owned(),
        message: "words of Zenlayer".to_owned(),
        request_id: Some("T1".to_owned()),
    }
}

/// A reading that was refused with this code.
pub(super) fn reading_refused(code: &str) -> Unreadable {
    Unreadable::Refused(refusal(code))
}
