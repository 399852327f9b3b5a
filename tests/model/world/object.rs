//! An object as the API server holds it, with nothing in it that no decision tells apart.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use zenlayer_port_operator::answer::{NotSentCause, RefusalKind};
use zenlayer_port_operator::api::{
    self, CallAction, CallOutcome, DeletionPolicy, FINALIZER, ObservedPort, PortIdentity, READY, Reason,
    ZenlayerPort, ZenlayerPortStatus,
};
use zenlayer_port_operator::fingerprint::Fingerprint;
use zenlayer_port_operator::port::PortStatus;

use super::needs_a_person;
use crate::facts::{self, CREATED, UIDS, wall};

/// One of the two objects of a world.
pub type Which = usize;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Object {
    pub policy: DeletionPolicy,
    pub protected: bool,
    pub deleted: bool,
    pub finalized: bool,
    pub consents: Vec<Consent>,
    pub status: Status,
}

/// A person has approved that one hold is passed, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Consent {
    pub reason: Reason,
    /// Which one, where the hold is of a restoration; else 0.
    pub restoration: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Status {
    pub shown: Option<Reason>,
    pub last_seen: Option<PortStatus>,
    pub identity: Option<Identity>,
    pub release: Option<Release>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Which of the ports that bore the id.
    pub port: usize,
    pub seen_by: Vec<Key>,
}

/// What the Secret of an object holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    First,
    /// Another key of the same account.
    Second,
    /// A third key of the same account, which is limited to other ports.
    Limited,
    /// A key of another account, which sees no port of ours.
    Foreign,
    /// Nothing: the Secret was deleted, and the copy of the first key only reads.
    CopyOfFirst,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Release {
    pub seen_recycled: bool,
    pub restorations: i64,
    pub latched: bool,
    pub destroy_accepted: bool,
    pub call: Option<Call>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    pub action: CallAction,
    pub attempt: i64,
    pub landed: bool,
    pub settled: bool,
    pub without_effect: bool,
    pub outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Pending,
    Accepted,
    Refused,
    Throttled,
    NotSent,
    Unclear,
}

impl Key {
    pub fn fingerprint(self) -> Fingerprint {
        facts::fingerprint(match self {
            Self::First | Self::CopyOfFirst => "00000000000000aa",
            Self::Second => "00000000000000bb",
            Self::Limited => "00000000000000cc",
            Self::Foreign => "00000000000000ff",
        })
    }

    fn of(fingerprint: &Fingerprint) -> Self {
        let keys = [Self::First, Self::Second, Self::Limited, Self::Foreign];
        keys.into_iter().find(|key| key.fingerprint() == *fingerprint).expect("a key of the model")
    }

    pub fn sees_the_port(self) -> bool {
        !matches!(self, Self::Limited | Self::Foreign)
    }
}

impl Outcome {
    pub fn told(self) -> CallOutcome {
        match self {
            Self::Pending => CallOutcome::Pending {},
            Self::Accepted => CallOutcome::Accepted { request_id: None },
            Self::Refused => CallOutcome::Refused(facts::refusal("OPERATION_DENIED")),
            Self::Throttled => CallOutcome::Refused(facts::refusal("REQUEST_LIMIT_EXCEEDED")),
            Self::NotSent => CallOutcome::NotSent { cause: NotSentCause::NoConnection, why: String::new() },
            Self::Unclear => CallOutcome::Unclear { why: String::new() },
        }
    }

    pub fn of(outcome: &CallOutcome) -> Self {
        match outcome {
            CallOutcome::Pending {} => Self::Pending,
            CallOutcome::Accepted { .. } => Self::Accepted,
            CallOutcome::Refused(refusal) if refusal.kind == RefusalKind::Throttled => Self::Throttled,
            CallOutcome::Refused(_) => Self::Refused,
            CallOutcome::NotSent { .. } => Self::NotSent,
            CallOutcome::Unclear { .. } => Self::Unclear,
        }
    }
}

impl Object {
    pub fn new(policy: DeletionPolicy) -> Self {
        Self {
            policy,
            protected: false,
            deleted: false,
            finalized: true,
            consents: Vec::new(),
            status: Status::default(),
        }
    }

    pub fn release(&self) -> Option<&Release> {
        self.status.release.as_ref()
    }

    pub fn consents_to(&self, reason: Reason) -> bool {
        self.consents.contains(&Consent { reason, restoration: 0 })
    }

    pub fn consents_to_restoration(&self, restoration: i64) -> bool {
        self.consents.contains(&Consent { reason: Reason::RestoredElsewhere, restoration })
    }

    /// The consent that the object's message asks for, if it does.
    pub fn to_approve(&self) -> Option<Consent> {
        let shown = self.status.shown?;
        let restoration = match shown {
            Reason::RestoredElsewhere => self.release()?.restorations,
            _ => 0,
        };
        let asked_for = Consent { reason: shown, restoration };
        let is_new = !self.consents.contains(&asked_for);
        (needs_a_person(shown) && shown.is_approvable() && is_new).then_some(asked_for)
    }

    /// As the API server would give it.
    pub fn told(&self, which: Which) -> ZenlayerPort {
        let mut object = facts::object(UIDS[which], self.policy);
        object.spec.deletion_protection = self.protected;
        object.metadata.deletion_timestamp = self.deleted.then(|| Time(wall()));
        object.metadata.finalizers = self.finalized.then(|| vec![FINALIZER.to_owned()]);
        if !self.consents.is_empty() {
            // Of the ports under an id only the second is another than the object's.
            facts::approve(
                &mut object,
                self.consents.iter().map(|consent| (consent.reason, consent.restoration)),
                1,
            );
        }
        object.status = Some(self.status.told(which));
        object
    }
}

impl Identity {
    pub fn told(&self) -> PortIdentity {
        PortIdentity {
            created_time: Some(CREATED[self.port].to_owned()),
            seen_by: self.seen_by.iter().map(|key| key.fingerprint()).collect(),
        }
    }

    fn of(identity: &PortIdentity) -> Self {
        let created = identity.created_time.as_deref();
        let port = CREATED.iter().position(|one| Some(*one) == created).expect("a time of the model");
        Self { port, seen_by: identity.seen_by.iter().map(Key::of).collect() }
    }
}

impl Status {
    pub fn told(&self, which: Which) -> ZenlayerPortStatus {
        let last_seen = self.last_seen.clone();
        ZenlayerPortStatus {
            observed_generation: Some(1),
            port: last_seen.map(|status| ObservedPort::from(&facts::port(status, None))),
            identity: self.identity.as_ref().map(Identity::told),
            release: self.release.as_ref().map(|release| release.told(which)),
            conditions: self.shown.map(ready).into_iter().collect(),
        }
    }

    pub fn of(status: &ZenlayerPortStatus) -> Self {
        Self {
            shown: facts::shown(&status.conditions).map(as_far_as_it_counts),
            last_seen: status.port.as_ref().map(|port| as_far_as_it_proves(&port.port_status())),
            identity: status.identity.as_ref().map(Identity::of),
            release: status.release.as_ref().map(Release::of),
        }
    }
}

impl Release {
    fn told(&self, which: Which) -> api::Release {
        api::Release {
            uid: UIDS[which].to_owned(),
            seen_recycled: self.seen_recycled,
            restorations: self.restorations,
            latched: self.latched,
            crd_deleted: false,
            destroy_accepted: self.destroy_accepted,
            // What a copy may sign is decided before `decide` is asked.
            credentials_seen: true,
            call: self.call.as_ref().map(|call| api::Call {
                action: call.action,
                attempt: call.attempt,
                requested_time: Time(wall()),
                port_status_before: String::new(),
                credential: Key::First.fingerprint(),
                landed: call.landed,
                settled: call.settled,
                without_effect: call.without_effect,
                outcome: call.outcome.told(),
            }),
        }
    }

    fn of(release: &api::Release) -> Self {
        Self {
            seen_recycled: release.seen_recycled,
            restorations: release.restorations,
            latched: release.latched,
            destroy_accepted: release.destroy_accepted,
            call: release.call.as_ref().map(|call| Call {
                action: call.action,
                attempt: call.attempt,
                landed: call.landed,
                settled: call.settled,
                without_effect: call.without_effect,
                outcome: Outcome::of(&call.outcome),
            }),
        }
    }
}

/// Whoever else is to act, the object waits: no decision and no promise tells these reasons apart.
fn as_far_as_it_counts(shown: Reason) -> Reason {
    if needs_a_person(shown) { shown } else { Reason::Observing }
}

/// What was last seen of a port tells only how much proves its absence.
fn as_far_as_it_proves(last_seen: &PortStatus) -> PortStatus {
    match last_seen {
        PortStatus::Destroying | PortStatus::Destroyed => PortStatus::Destroying,
        PortStatus::Deleting | PortStatus::Recycled => PortStatus::Recycled,
        _ => PortStatus::Running,
    }
}

fn ready(reason: Reason) -> Condition {
    Condition {
        type_: READY.to_owned(),
        status: "False".to_owned(),
        reason: reason.as_str().to_owned(),
        message: String::new(),
        observed_generation: Some(1),
        last_transition_time: Time(wall()),
    }
}
