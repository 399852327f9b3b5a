//! All that a decision rests on, and what the shipped `decide` makes of it.
//!
//! `decide` is a pure function: each situation is put to it once, and what it answers is kept.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::Duration;

use zenlayer_port_operator::clock::{Monotonic, Now};
use zenlayer_port_operator::decision::{
    Action, Attachments, Claim, ClaimBasis, Context, CrdState, CredentialState, GateSettings, Input, Listing,
    Timing, Turn, decide,
};
use zenlayer_port_operator::reading::{self, Absences, Evidence, Presence};
use zenlayer_port_operator::reconcile::{Event, told};

use super::Sighting;
use super::object::{Identity, Key, Object, Which};
use super::operator::Run;
use crate::facts::{self, CREATED, NOW, UIDS, seconds, wall};

/// Beyond these ages nothing changes any more: a reading is no longer valid, an accepted call is given up, and a reading
/// that is still valid began after the grace.
pub const READING_AGE_MAX: u8 = 2;
pub const CALL_KNOWN_MAX: u8 = 2;
pub const DELETION_KNOWN_MAX: u8 = 2;
/// A reading is shown for three times as long, which is no longer than it is valid; [`crate::exhaustive`] has the rest.
const INTERVAL: Duration = Duration::from_millis(300);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Situation {
    pub which: Which,
    pub object: Object,
    pub key: Key,
    pub sighting: Option<Sighting>,
    pub deletion_known: Option<u8>,
    pub call_known: Option<u8>,
    /// The other object on the same port.
    pub other: Option<Other>,
    pub too_many: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Other {
    pub deleted: bool,
    pub same_key: bool,
    pub identity: Option<Identity>,
}

/// A decision, as far as the world feels it.
#[derive(Debug)]
pub struct Decision {
    /// What the reconcile goes on with.
    pub run: Arc<Run>,
    pub calls: bool,
    /// A good reading sent then or later is news.
    pub fresh_after: Option<Monotonic>,
    pub reads: bool,
    pub deadline: Option<Duration>,
}

/// A tick is a second here.
pub fn ticks(ticks: u8) -> Duration {
    seconds(ticks.into())
}

fn timing() -> Timing {
    let mut timing = Timing {
        reading_valid: ticks(1),
        grace: ticks(1),
        settle: ticks(2),
        land: ticks(2),
        restored_apart: ticks(1),
        quiet: ticks(0),
        credentials_recheck: ticks(1),
        attachments_recheck: ticks(1),
        refused_min: ticks(1),
        refused_max: ticks(1),
        release_interval: ticks(1),
        held_interval: ticks(1),
        slow_interval: ticks(1),
        ..Timing::default()
    };
    timing.proof.never_seen = ticks(1);
    timing.proof.never_seen_object_age = ticks(0);
    timing.proof.destroyed = ticks(1);
    timing.proof.recycled = ticks(2);
    timing.proof.otherwise = ticks(2);
    timing
}

impl Situation {
    /// Decides in the course of `run`.
    pub fn decide(self, run: &Arc<Run>) -> Arc<Decision> {
        type Decisions = HashMap<(Arc<Run>, Situation), Arc<Decision>>;
        static KNOWN: LazyLock<RwLock<Decisions>> = LazyLock::new(RwLock::default);
        let asked = (Arc::clone(run), self);
        if let Some(known) = KNOWN.read().unwrap_or_else(PoisonError::into_inner).get(&asked) {
            return Arc::clone(known);
        }
        let decision = Arc::new(asked.1.decide_now(run));
        KNOWN.write().unwrap_or_else(PoisonError::into_inner).insert(asked, Arc::clone(&decision));
        decision
    }

    fn decide_now(&self, run: &Run) -> Decision {
        let object = self.object.told(self.which);
        let about = run.outcome().map_or_else(|| object.clone(), |outcome| told(&object, outcome));
        let plan = decide(&Input {
            object: &about,
            evidence: Some(&self.evidence()),
            context: &self.context(),
            timing: &timing(),
            now: Now { wall: wall(), monotonic: NOW },
        });
        let want = plan.want;
        Decision {
            calls: matches!(plan.action, Action::Call(_)),
            fresh_after: want.and_then(|want| want.fresh_after),
            reads: want
                .is_some_and(|want| want.cadence != reading::Cadence::Paused || want.fresh_after.is_some()),
            deadline: plan.deadline,
            run: Arc::new(run.after(&object, Event::Decided(Box::new(plan)))),
        }
    }

    fn evidence(&self) -> Evidence {
        let good = self.sighting.as_ref().map(|sighting| {
            let at = NOW - ticks(sighting.age);
            let presence = match &sighting.seen {
                Some((status, number)) => Presence::Seen(facts::port(status.clone(), Some(CREATED[*number]))),
                None => Presence::Absent,
            };
            reading::Reading { presence, at, since: at - ticks(sighting.span) }
        });
        let absences =
            self.sighting.as_ref().filter(|sighting| sighting.seen.is_none()).zip(good.as_ref()).map(
                |(sighting, good)| Absences {
                    count: sighting.count.into(),
                    first: good.since,
                    last: good.at,
                },
            );
        Evidence {
            by: self.key.fingerprint(),
            good,
            failure: None,
            absences,
            waiting_since: NOW - seconds(1000),
            interval: Some(INTERVAL),
        }
    }

    fn context(&self) -> Context {
        let fingerprint = self.key.fingerprint();
        let seen_by_other = self
            .other
            .as_ref()
            .and_then(|other| other.identity.as_ref())
            .map(|identity| identity.told().seen_by)
            .filter(|keys| keys.contains(&fingerprint));
        Context {
            credential: match self.key {
                Key::CopyOfFirst => CredentialState::ReadOnly { fingerprint, why: "".into() },
                Key::First | Key::Second | Key::Limited | Key::Foreign => {
                    CredentialState::Usable(fingerprint)
                }
            },
            not_copied: None,
            claims: self.other.as_ref().map(|other| other.claim(1 - self.which)).into_iter().collect(),
            same_account: match self.key {
                // Objects of other ports tell that.
                Key::Limited => [Key::First, Key::Second].map(Key::fingerprint).into(),
                Key::First | Key::Second | Key::Foreign | Key::CopyOfFirst => {
                    seen_by_other.unwrap_or_default()
                }
            },
            deletions_at_once: if self.too_many { 2 } else { 1 },
            listing: Listing::Complete,
            crd: CrdState::Stays { created: wall() - seconds(2 * 24 * 3600) },
            attachments: Attachments::Unknown,
            gates: GateSettings { mass_deletion_threshold: 1.try_into().ok(), require_approval: false },
            deletion_known_since: self.deletion_known.map(|known| NOW - ticks(known)),
            call_known_since: self.call_known.map(|known| match &self.sighting {
                Some(Sighting { age, after_call: Some(after_call), .. }) => NOW - ticks(age + after_call),
                // Read before, though perhaps within the same tick.
                Some(Sighting { age, after_call: None, .. }) => {
                    NOW - ticks(known.min(*age)) + Duration::from_millis(1)
                }
                None => NOW - ticks(known),
            }),
            learnt: None,
            turn: Turn::Free,
        }
    }
}

impl Other {
    fn claim(&self, which: Which) -> Claim {
        Claim {
            namespace: "team-a".to_owned(),
            name: String::new(),
            uid: UIDS[which].to_owned(),
            // Both objects were created at the same time.
            creation: facts::object(UIDS[which], zenlayer_port_operator::api::DeletionPolicy::Retain)
                .metadata
                .creation_timestamp
                .map(|time| time.0),
            terminating: self.deleted,
            basis: match &self.identity {
                Some(identity) => ClaimBasis::Saw { created_time: identity.told().created_time },
                None if self.same_key => ClaimBasis::SameCredential,
                None => ClaimBasis::None,
            },
        }
    }
}
