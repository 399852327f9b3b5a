//! One object, as the oracle knows it.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use zenlayer_port_operator::api::{
    APPROVE_ANNOTATION, CallAction, CallOutcome, DeletionPolicy, Reason, ZenlayerPort,
};

use super::Violation;
use crate::plan::Name;

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Subject {
    pub(super) uid: String,
    pub(super) name: Name,
    pub(super) port: String,
    pub(super) made_ms: u64,
    pub(super) deleted_ms: Option<u64>,
    pub(super) gone_ms: Option<u64>,
    pub(super) had_finalizer: bool,
    pub(super) has_finalizer: bool,
    /// It has the finalizer of another controller.
    pub(super) is_held: bool,
    pub(super) policy: DeletionPolicy,
    pub(super) protected: bool,
    /// It counts no longer as one of many.
    pub(super) is_approved: bool,
    pub(super) latched: bool,
    pub(super) reason: Option<String>,
    /// The port that it owns; none: it has seen no port.
    pub(super) owned: Option<Owned>,
    /// When its status first said that this deletion has seen the port in the bin.
    pub(super) recycled_ms: Option<u64>,
    pub(super) record: Option<Record>,
    /// By hour.
    pub(super) writes: BTreeMap<u64, u32>,
    /// Writes of the operator that came too late after another of its own, by hour.
    pub(super) outdated: BTreeMap<u64, u32>,
    /// Writes that the API server refused, by hour.
    pub(super) refused: BTreeMap<u64, u32>,
    /// The request of the newest call, if Zenlayer has accepted it.
    pub(super) accepted: Option<String>,
    /// Zenlayer has accepted a TerminatePort of this deletion.
    pub(super) terminate_accepted: bool,
    /// A status of this deletion was written while the Secret was there.
    pub(super) told_with_secret: bool,
    /// The reasons that Events told of, and when last.
    pub(super) told: BTreeMap<String, u64>,
    /// When a status check since the deletion first showed the port in the bin.
    pub(super) shown_in_bin_ms: Option<u64>,
    /// Consents to another port, and when the ports were made that was there and that was shown when they were given.
    consents: BTreeMap<String, [Option<Timestamp>; 2]>,
}

/// A port as the status of its object tells of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owned {
    /// When it was made, if that was told.
    pub(super) created: Option<Timestamp>,
}

/// The record of a call.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) action: String,
    pub(super) attempt: i64,
    pub(super) at_ms: u64,
    pub(super) sent: u32,
}

impl Subject {
    pub(super) fn new(object: &ZenlayerPort, now: u64) -> Self {
        let metadata = &object.metadata;
        Self {
            uid: metadata.uid.clone().unwrap_or_default(),
            name: Name::new(
                metadata.namespace.clone().unwrap_or_default(),
                metadata.name.clone().unwrap_or_default(),
            ),
            port: object.spec.port_id.to_string(),
            made_ms: now,
            deleted_ms: None,
            gone_ms: None,
            had_finalizer: false,
            has_finalizer: false,
            is_held: false,
            policy: object.spec.deletion_policy,
            protected: false,
            is_approved: false,
            latched: false,
            reason: None,
            owned: None,
            recycled_ms: None,
            record: None,
            writes: BTreeMap::new(),
            outdated: BTreeMap::new(),
            refused: BTreeMap::new(),
            accepted: None,
            terminate_accepted: false,
            told_with_secret: false,
            told: BTreeMap::new(),
            shown_in_bin_ms: None,
            consents: BTreeMap::new(),
        }
    }

    /// The object is like this now. Whether it has a new record of a call.
    pub(super) fn is_now(&mut self, object: &ZenlayerPort, now: u64) -> bool {
        self.has_finalizer = object.has_finalizer();
        self.had_finalizer |= self.has_finalizer;
        self.is_held = !object.other_finalizers().is_empty();
        self.policy = object.spec.deletion_policy;
        self.protected = object.spec.deletion_protection;
        self.is_approved = approves(object, Reason::MassDeletion);
        if object.is_terminating() {
            self.deleted_ms.get_or_insert(now);
        }
        let Some(status) = &object.status else { return false };
        self.owned = status
            .identity
            .as_ref()
            .map(|owned| Owned { created: owned.created_time.as_ref().and_then(|time| time.parse().ok()) });
        self.reason = status.ready().map(|ready| ready.reason.clone());
        let Some(release) = status.release.as_ref().filter(|release| release.uid == self.uid) else {
            return false;
        };
        self.latched = release.latched;
        if release.seen_recycled {
            self.recycled_ms.get_or_insert(now);
        }
        let Some(call) = &release.call else { return false };
        self.accepted = match &call.outcome {
            CallOutcome::Accepted { request_id } => request_id.clone(),
            _ => None,
        };
        self.terminate_accepted |=
            call.action == CallAction::TerminatePort && matches!(call.outcome, CallOutcome::Accepted { .. });
        if call.outcome != (CallOutcome::Pending {}) {
            return false;
        }
        if self.record.as_ref().is_some_and(|record| record.attempt == call.attempt) {
            return false;
        }
        self.record = Some(Record {
            action: call.action.as_str().to_owned(),
            attempt: call.attempt,
            at_ms: now,
            sent: 0,
        });
        true
    }

    /// Takes in which port each consent was given to: the one that was there then.
    pub(super) fn consents_are(
        &mut self,
        object: &ZenlayerPort,
        created: Option<Timestamp>,
        shown: Option<Timestamp>,
    ) {
        for consent in consents(object).filter(|it| it.starts_with(Reason::IdentityChanged.as_str())) {
            if !self.consents.contains_key(consent) {
                self.consents.insert(consent.to_owned(), [created, shown]);
            }
        }
    }

    /// Whether a person has given this very object the port that was made then.
    pub(super) fn consents_to(&self, object: &ZenlayerPort, created: Option<Timestamp>) -> bool {
        consents(object).any(|consent| {
            self.consents
                .get(consent)
                .is_some_and(|ports| ports.iter().any(|port| seconds(*port) == seconds(created)))
        })
    }

    /// The operator writes that the object owns another port than before, and nobody has given it that one.
    pub(super) fn takes_over(
        &self,
        before: Option<&ZenlayerPort>,
        after: &ZenlayerPort,
    ) -> Option<Violation> {
        let owned =
            |object: &ZenlayerPort| made(object.status.as_ref()?.identity.as_ref()?.created_time.as_ref()?);
        let (before, after_it) = (owned(before?)?, owned(after)?);
        let differs = before.as_second() != after_it.as_second();
        let what = || format!("{self} takes over a port that nobody has given to it");
        (differs && !self.consents_to(after, Some(after_it))).then(|| Violation::new("no wrong kill", what()))
    }

    /// Whether it counts together with that other one, and the operator must know it.
    pub(super) fn waits_beside(&self, other: &Self, now: u64) -> bool {
        self.uid != other.uid
            && self.gone_ms.is_none()
            && self.name.namespace == other.name.namespace
            && self.had_finalizer
            && self.deleted_ms.is_some_and(|at| now > at + super::KNOWN_AFTER_MS)
            && self.record.is_none()
            && self.policy != DeletionPolicy::Retain
            && !self.is_approved
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.port)
    }
}

pub(super) fn made(created_time: &str) -> Option<Timestamp> {
    created_time.parse().ok()
}

/// Zenlayer tells of whole seconds.
fn seconds(made: Option<Timestamp>) -> Option<i64> {
    made.map(Timestamp::as_second)
}

fn consents(object: &ZenlayerPort) -> impl Iterator<Item = &str> {
    let annotations = object.metadata.annotations.as_ref();
    let value = annotations.and_then(|annotations| annotations.get(APPROVE_ANNOTATION));
    value.into_iter().flat_map(|value| value.split(',')).map(str::trim)
}

/// Whether a person has let this brake go for this very object, and for what has happened so far.
pub(super) fn approves(object: &ZenlayerPort, reason: Reason) -> bool {
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let mut wanted = format!("{}-{}", reason.as_str(), uid.get(..8).unwrap_or_default());
    if reason == Reason::RestoredElsewhere {
        let release = object.status.as_ref().and_then(|status| status.release.as_ref());
        wanted = format!("{wanted}-{}", release.map_or(0, |release| release.restorations));
    }
    consents(object).any(|given| given == wanted)
}

/// The same for a consent that names more.
pub(super) fn approves_begins(object: &ZenlayerPort, reason: Reason) -> bool {
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let wanted = format!("{}-{}", reason.as_str(), uid.get(..8).unwrap_or_default());
    consents(object).any(|given| given.starts_with(&wanted))
}
