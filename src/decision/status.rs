//! From a verdict to a plan: conditions, the Event of a transition, and when to look again.

use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::sighting::{Cadence, Want};
use super::{Action, Announcement, Display, Facts, Input, Plan, freshness, record};
use crate::api::{
    Actor, CallAction, EventType, READY, RECONCILING, Readiness, Reason, STALLED, ZenlayerPort,
    ZenlayerPortStatus,
};
use crate::clock::{Monotonic, Now};
use crate::fingerprint::Fingerprint;

/// What a row of the table says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) reason: Reason,
    /// What is the case, for this object; the reason's advice is added to it.
    pub(super) fact: String,
    pub(super) act: Act,
    pub(super) want: Option<Want>,
    pub(super) deadline: Option<Duration>,
    /// Until then the reason is too fleeting to be written.
    pub(super) show_after: Option<Monotonic>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Act {
    None,
    LetGo,
    Call { action: CallAction, port_status: String, credential: Fingerprint },
}

impl Verdict {
    /// Nothing is done; the mirror reads at `cadence`.
    pub(super) fn wait(reason: Reason, fact: impl Into<String>, cadence: Cadence) -> Self {
        Self {
            reason,
            fact: fact.into(),
            act: Act::None,
            want: Some(Want { cadence, fresh_after: None }),
            deadline: None,
            show_after: None,
        }
    }

    pub(super) fn let_go(reason: Reason, fact: impl Into<String>) -> Self {
        Self { reason, fact: fact.into(), act: Act::LetGo, want: None, deadline: None, show_after: None }
    }

    /// A reading sent at this time or later is news; of several such times the earliest counts.
    #[must_use]
    pub(super) fn fresh_after(mut self, at: Monotonic) -> Self {
        if let Some(want) = self.want.as_mut() {
            want.fresh_after = Some(want.fresh_after.map_or(at, |earlier| earlier.min(at)));
        }
        self
    }

    #[must_use]
    pub(super) fn deadline(mut self, after: Duration) -> Self {
        self.deadline = Some(self.deadline.map_or(after, |earlier| earlier.min(after)));
        self
    }

    #[must_use]
    pub(super) fn show_after(mut self, at: Monotonic) -> Self {
        self.show_after = Some(at);
        self
    }
}

/// The plan that carries out `verdict`, `status` being the object's with the newest reading taken in.
pub(super) fn conclude(input: &Input<'_>, mut status: ZenlayerPortStatus, verdict: Verdict) -> Plan {
    let facts = Facts::of(&status);
    let action = match &verdict.act {
        Act::LetGo => {
            return Plan {
                facts,
                // The object goes: a last status would only be one more write.
                display: None,
                action: Action::LetGo(verdict.reason),
                want: None,
                deadline: None,
                // Without the advice, which would be about an object that is no more.
                event: announce(verdict.reason, verdict.fact),
            };
        }
        Act::None => Action::None,
        Act::Call { action, port_status, credential } => {
            Action::Call(record::intend(input, &status, *action, port_status, credential))
        }
    };

    let verdict = match freshness::until_stale(input) {
        Some(remaining) => verdict.deadline(remaining),
        None => verdict,
    };
    let now = input.now.monotonic;
    if let Some(hidden) = verdict.show_after.map(|at| at.since(now)).filter(|hidden| !hidden.is_zero()) {
        let verdict = verdict.deadline(hidden);
        let Verdict { want, deadline, .. } = verdict;
        return Plan { facts, display: None, action, want, deadline, event: None };
    }

    let message = message(input.object, &status, verdict.reason, &verdict.fact);
    let (stall, event) = show(input.object, input.now, &mut status, verdict.reason, message);
    let verdict = match stall {
        Stall::Never | Stall::Stalled => verdict,
        Stall::In(remaining) => verdict.deadline(remaining),
    };
    let Verdict { want, deadline, .. } = verdict;
    Plan { facts, display: Some(Display::of(status)), action, want, deadline, event }
}

impl Display {
    fn of(status: ZenlayerPortStatus) -> Self {
        Self { observed_generation: status.observed_generation, conditions: status.conditions }
    }
}

/// The status of an object that cannot be parsed, and so not be decided about, and the Event of the transition to it.
/// `object` is what could be understood of it, and `fact` says what could not.
pub fn held_as_invalid(
    object: &ZenlayerPort,
    fact: &str,
    now: Now,
) -> (ZenlayerPortStatus, Option<Announcement>) {
    held(object, Reason::InvalidSpec, fact, now)
}

/// The status of an object that the API server does not let the operator change as it must, and the Event of the
/// transition to it.
pub fn held_as_refused(
    object: &ZenlayerPort,
    fact: &str,
    now: Now,
) -> (ZenlayerPortStatus, Option<Announcement>) {
    held(object, Reason::UpdateRefused, fact, now)
}

/// The Event where even the status cannot be written.
pub fn refused_update(object: &ZenlayerPort, fact: &str) -> Announcement {
    let status = object.status.clone().unwrap_or_default();
    let reason = Reason::UpdateRefused;
    let event_type = EventType::Warning;
    Announcement { reason, event_type, message: message(object, &status, reason, fact) }
}

fn held(
    object: &ZenlayerPort,
    reason: Reason,
    fact: &str,
    now: Now,
) -> (ZenlayerPortStatus, Option<Announcement>) {
    let mut status = object.status.clone().unwrap_or_default();
    let message = message(object, &status, reason, fact);
    let (_, event) = show(object, now, &mut status, reason, message);
    (status, event)
}

/// The message of the grace tells of the turn too, so that most objects need no write for it.
const GRACE_TELLS_OF_TURN: Duration = Duration::from_mins(5);

impl Plan {
    /// What remains of a plan to call while the call takes its turn behind others, or waits for the end of a pause that
    /// Zenlayer asked for, as `pause` says: its facts, and to show that.
    #[must_use]
    pub fn queued(self, object: &ZenlayerPort, pause: Option<String>, now: Now) -> Self {
        let mut status = self.status_without_call(object);
        let told_by_the_grace = condition(&status, READY).is_some_and(|ready| {
            let lasted = now.wall.duration_since(ready.last_transition_time.0);
            ready.reason == Reason::GracePeriod.as_str() && remaining(GRACE_TELLS_OF_TURN, lasted).is_some()
        });
        let id = &object.spec.port_id;
        let (reason, fact) = match pause {
            Some(why) => (Reason::Throttled, format!("The request for port {id} waits: {why}.")),
            None => (
                Reason::Queued,
                format!("The request for port {id} waits for other requests of the same account."),
            ),
        };
        if reason == Reason::Throttled || !told_by_the_grace {
            let message = message(object, &status, reason, &fact);
            show(object, now, &mut status, reason, message);
        }
        Self { display: Some(Display::of(status)), action: Action::None, event: None, ..self }
    }
}

/// Puts `reason` into the conditions; returns when it counts as stalled, and the Event that it is worth if it is new.
fn show(
    object: &ZenlayerPort,
    now: Now,
    status: &mut ZenlayerPortStatus,
    reason: Reason,
    message: String,
) -> (Stall, Option<Announcement>) {
    let is_new = condition(status, READY).is_none_or(|ready| ready.reason != reason.as_str());
    let stall = set_conditions(object, now, status, reason, &message);
    (stall, is_new.then(|| announce(reason, message)).flatten())
}

fn message(object: &ZenlayerPort, status: &ZenlayerPortStatus, reason: Reason, fact: &str) -> String {
    let advice = reason.advice_for(object, status);
    if advice.is_empty() { fact.to_owned() } else { format!("{fact} {advice}") }
}

fn announce(reason: Reason, message: String) -> Option<Announcement> {
    reason.event().map(|event_type| Announcement { reason, event_type, message })
}

fn condition<'a>(status: &'a ZenlayerPortStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == kind)
}

enum Stall {
    Never,
    In(Duration),
    Stalled,
}

fn set_conditions(
    object: &ZenlayerPort,
    now: Now,
    status: &mut ZenlayerPortStatus,
    reason: Reason,
    message: &str,
) -> Stall {
    let ready = Condition {
        type_: READY.to_owned(),
        status: match reason.readiness() {
            Readiness::True => "True",
            Readiness::False => "False",
            Readiness::Unknown => "Unknown",
        }
        .to_owned(),
        reason: reason.as_str().to_owned(),
        message: message.to_owned(),
        observed_generation: object.metadata.generation,
        last_transition_time: Time(now.wall),
    };
    // The time of `Ready` also moves with its reason ("when the underlying condition changed"): it tells how long this
    // reason has lasted, whichever process looks.
    let ready = keep_time(status, ready, |old, new| old.status == new.status && old.reason == new.reason);
    let lasted = now.wall.duration_since(ready.last_transition_time.0);
    let stall = match (reason.actor(), reason.stalls_after()) {
        (Actor::Person, _) => Stall::Stalled,
        (_, None) => Stall::Never,
        (_, Some(after)) => match remaining(after, lasted) {
            Some(left) => Stall::In(left),
            None => Stall::Stalled,
        },
    };
    let abnormal = |kind: &str, on: bool| {
        let text = if on { message.to_owned() } else { String::new() };
        let value = if on { "True" } else { "False" }.to_owned();
        Condition { type_: kind.to_owned(), status: value, message: text, ..ready.clone() }
    };
    let reconciling = abnormal(RECONCILING, matches!(reason.actor(), Actor::Operator | Actor::Zenlayer));
    let stalled = abnormal(STALLED, matches!(stall, Stall::Stalled));
    let timed = |condition: Condition| Condition { last_transition_time: Time(now.wall), ..condition };
    let same_status = |old: &Condition, new: &Condition| old.status == new.status;
    let reconciling = keep_time(status, timed(reconciling), same_status);
    let stalled = keep_time(status, timed(stalled), same_status);

    status.conditions.retain(|other| ![READY, RECONCILING, STALLED].contains(&other.type_.as_str()));
    status.conditions.splice(0..0, [ready, reconciling, stalled]);
    status.observed_generation = object.metadata.generation;
    stall
}

/// `after` less what has `lasted`; none once nothing is left.
fn remaining(after: Duration, lasted: SignedDuration) -> Option<Duration> {
    let lasted = Duration::try_from(lasted).unwrap_or_default();
    after.checked_sub(lasted).filter(|left| !left.is_zero())
}

fn keep_time(
    status: &ZenlayerPortStatus,
    new: Condition,
    unchanged: impl Fn(&Condition, &Condition) -> bool,
) -> Condition {
    match condition(status, &new.type_) {
        Some(old) if unchanged(old, &new) => {
            Condition { last_transition_time: old.last_transition_time.clone(), ..new }
        }
        _ => new,
    }
}
