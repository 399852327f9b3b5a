//! What to do about one `ZenlayerPort`: a pure function of plain values.
//!
//! No IO, clock or randomness is imported here (`tests/architecture.rs` holds that), so the same function runs in unit
//! tests, property tests and the operator. It is the first row that answers of one of two tables: [`DELETION`] for an
//! object that is being deleted, [`UPKEEP`] for one that lives.

mod backoff;
mod case;
mod claims;
mod conditions;
mod deletion;
mod facts;
mod forecast;
mod freshness;
mod gates;
mod latch;
mod message;
mod outcome;
mod proof;
mod record;
mod table;
mod timing;
mod upkeep;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::{Call, CallAction, EventType, Reason, Release, ZenlayerPort, ZenlayerPortStatus};
use crate::clock::{Monotonic, Now};
use crate::fingerprint::Fingerprint;
use crate::port::PortId;
use crate::reading::{Evidence, Want};
use case::Case;

pub use backoff::error_backoff;
pub use claims::{Claim, ClaimBasis};
pub use conditions::{held_as_invalid, held_as_refused, refused_update, show};
pub use deletion::DELETION;
pub use facts::Facts;
pub use forecast::{Ending, Forecast, Judgement, Surroundings, forecast, judge};
pub use gates::grace_is_over;
pub use latch::{DeletionProgress, deletion_progress};
pub use record::{was_refused_as_is, with_outcome};
pub use table::Row;
pub use timing::Timing;
pub use upkeep::UPKEEP;

/// All that a decision rests on.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    pub object: &'a ZenlayerPort,
    /// What the object's credential has read of the port; none without a usable credential.
    pub evidence: Option<&'a Evidence>,
    pub context: &'a Context,
    pub timing: &'a Timing,
    pub now: Now,
}

/// What is known beside the object and its port.
#[derive(Clone, Debug)]
pub struct Context {
    pub credential: CredentialState,
    /// Why the object's credentials are not kept as a copy; none: they are, or no copy is needed.
    pub not_copied: Option<Lack>,
    /// Other objects with the same `portId`.
    pub claims: Vec<Claim>,
    /// Fingerprints that are known to belong to one account with the object's credential: some object has been seen by
    /// both.
    pub same_account: Vec<Fingerprint>,
    /// How many deletions there are at once with this one, itself included: of objects with the same credentials, whose
    /// policy is not `Retain`, that nobody has approved, and whose DestroyPort was not sent, or only within the last ten
    /// minutes. Counted no further than one beyond the threshold.
    pub deletions_at_once: u32,
    /// Whether all objects are known whose deletions and claims count.
    pub listing: Listing,
    pub crd: CrdState,
    /// What uses the port, as far as it was asked for: after a call was refused.
    pub attachments: Attachments,
    pub gates: GateSettings,
    /// When this process first saw the object's `deletionTimestamp`.
    pub deletion_known_since: Option<Monotonic>,
    /// Since when this process has known the object's newest call record (uid and attempt).
    pub call_known_since: Option<Monotonic>,
    /// What this process has learnt of the object and not written yet.
    pub learnt: Option<Box<Facts>>,
    /// Whether a call could be made now.
    pub turn: Turn,
}

/// Whether a call of the credential may be made now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    /// It may, or nobody has asked yet.
    #[default]
    Free,
    /// Other calls of the credential come first.
    BehindOthers,
    /// Zenlayer asked for a pause: until when, as part of a sentence.
    Paused(String),
}

/// What the operator's configuration says of the gates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GateSettings {
    /// More deletions at once than this are held; none: never.
    pub mass_deletion_threshold: Option<std::num::NonZeroU32>,
    /// Each release waits for a person's consent.
    pub require_approval: bool,
}

/// Whether all objects are known that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    Complete,
    UnderWay {
        since: Monotonic,
    },
    /// The watch has not shown the deletion of the object yet, which is known since then, and so perhaps not what others did
    /// before it.
    Behind {
        since: Monotonic,
    },
}

/// Whether the CustomResourceDefinition, and all objects with it, is being deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CrdState {
    Stays {
        created: Timestamp,
    },
    /// It is being deleted, or gone.
    Terminating,
    /// It could not be read.
    Unknown(String),
    /// The operator may not read it: this gate is off.
    NotGranted,
}

/// What keeps a port in use: private connects and cloud routers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attachments {
    /// There was no reason to ask, or no answer.
    Unknown,
    /// Named as people know them; none: the port is not in use.
    Known(Vec<String>),
}

/// The credential that reads the port, and whether it may sign its calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialState {
    Usable(Fingerprint),
    /// It reads and proves as any other, but nothing is called by it.
    ReadOnly {
        fingerprint: Fingerprint,
        why: Lack,
    },
    /// Why there is none.
    Unavailable(Lack),
}

/// Why there are no credentials, or why they do not sign, or are not kept as a copy. Each reason is a sentence to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Which Secret, and what is wrong with it: a person must act.
    Known(String),
    /// The Kubernetes API server did not tell. It is asked again.
    Unread(Setback),
}

impl From<&str> for Lack {
    fn from(why: &str) -> Self {
        Self::Known(why.to_owned())
    }
}

/// What the operator could not do for a moment, and tries again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setback {
    pub why: String,
    /// Since when it has failed.
    pub since: Monotonic,
    /// The time until it is tried again.
    pub again_in: Duration,
}

/// What to do: write the status if it differs from the object's, do `action`, then look again when the mirror has what
/// `want` asks for, or after `deadline`.
///
/// Its three parts are written apart from each other: the facts always, whatever becomes of the action; the record of a
/// call only just before that call; and what is shown only where it tells what is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The number of the row that answered; none: no table was asked.
    pub row: Option<u8>,
    /// All that is known now of the port and of this deletion; none: as in the status of the object.
    pub facts: Option<Facts>,
    /// How the object is shown; none: as before.
    pub display: Option<Display>,
    pub action: Action,
    /// What the mirror should read; none where it has nothing to do for this object.
    pub want: Option<Want>,
    /// When to decide again even if nothing changes.
    pub deadline: Option<Duration>,
    /// The Event that this plan's transition is worth.
    pub event: Option<Announcement>,
}

/// What `kubectl get` and `describe` show.
#[derive(Clone, Debug, PartialEq)]
pub struct Display {
    pub observed_generation: Option<i64>,
    pub conditions: Vec<Condition>,
}

/// A transition that is worth an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The row that says so, if one does.
    pub row: Option<u8>,
    pub reason: Reason,
    pub event_type: EventType,
    pub message: String,
}

/// At most one of these per reconcile.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one is made a reconcile")]
pub enum Action {
    None,
    AddFinalizer,
    /// Take our finalizer off: the port is proven gone, was never there, or is left by policy.
    RemoveFinalizer(Reason),
    /// Write the record of the call, then call Zenlayer.
    Call(Intent),
}

/// A call that is due: its record, and the proof that it is justified.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    pub record: Call,
    pub warrant: Warrant,
}

/// The proof that a disruptive call is justified: only [`deletion`] makes one, in the rows that say so. It names the
/// record (uid and attempt) that must have been written before it may be used.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Warrant {
    action: CallAction,
    port_id: PortId,
    uid: String,
    attempt: i64,
    credential: Fingerprint,
}

impl Warrant {
    pub fn action(&self) -> CallAction {
        self.action
    }

    pub fn port_id(&self) -> &PortId {
        &self.port_id
    }

    pub fn credential(&self) -> &Fingerprint {
        &self.credential
    }

    /// Whether `object` carries the pending record of this very call.
    pub fn is_recorded_in(&self, object: &ZenlayerPort) -> bool {
        record::is_pending(object, &self.uid, self.attempt)
    }

    /// Whether the newest record of `object` is this call's, whatever its outcome.
    pub fn is_newest_of(&self, object: &ZenlayerPort) -> bool {
        object
            .release()
            .and_then(|release| release.call.as_ref())
            .is_some_and(|call| call.attempt == self.attempt)
            && object.metadata.uid.as_deref() == Some(self.uid.as_str())
    }
}

/// Decides what to do about one object. Total: it has an answer to every input.
pub fn decide(input: &Input<'_>) -> Plan {
    let is_terminating = input.object.is_terminating();
    if is_terminating && !input.object.has_finalizer() {
        return Plan::nothing();
    }
    let known = facts::remember(input);
    let case = Case::new(input, &known);
    let table = if is_terminating { DELETION } else { UPKEEP };
    let (row, outcome) = table::first_answer(table, &case).unzip();
    let outcome = outcome.unwrap_or_else(|| case.unread());
    let outcome = if is_terminating { outcome } else { upkeep::with_credentials_told(&case, outcome) };
    let plan = outcome.into_plan(row.map(|row| row.number), input, &known);
    Plan { facts: Facts::if_new(known), ..plan }
}

impl Plan {
    /// The status of `object`, which was decided about, as the whole plan has it, the record of its call included.
    pub fn status(&self, object: &ZenlayerPort) -> ZenlayerPortStatus {
        let mut status = self.status_without_call(object);
        if let Action::Call(Intent { record, .. }) = &self.action {
            let release = status.release.get_or_insert_with(Release::default);
            release.call = Some(record.clone());
            self.show_in(&mut status);
        }
        status
    }

    /// The status of `object` where a call that the plan asks for is not made now: neither its record nor what would be
    /// shown during it.
    pub fn status_without_call(&self, object: &ZenlayerPort) -> ZenlayerPortStatus {
        let mut status = object.status.clone().unwrap_or_default();
        if let Some(facts) = self.facts.clone() {
            facts.put_into(&mut status);
        }
        if !matches!(self.action, Action::Call(_)) {
            self.show_in(&mut status);
        }
        status
    }

    /// What is known of `object`, which was decided about.
    pub fn known(&self, object: &ZenlayerPort) -> Facts {
        self.facts.clone().unwrap_or_else(|| Facts::stored_in(object))
    }

    fn show_in(&self, status: &mut ZenlayerPortStatus) {
        if let Some(display) = self.display.clone() {
            display.put_into(status);
        }
    }

    /// Somebody else's finalizers keep the object: it is no longer ours.
    fn nothing() -> Self {
        Self {
            row: None,
            facts: None,
            display: None,
            action: Action::None,
            want: None,
            deadline: None,
            event: None,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
