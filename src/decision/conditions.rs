//! How an object is shown: the conditions of one reason.

use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{Announcement, Display};
use crate::api::{Actor, EventType, READY, RECONCILING, Reason, STALLED, ZenlayerPort, ZenlayerPortStatus};
use crate::clock::Now;

/// The status of an object that cannot be parsed, and so not be decided about, and the Event of the transition to it.
/// `object` is what could be understood of it, and `fact` says what could not.
pub fn held_as_invalid(
    object: &ZenlayerPort,
    fact: &str,
    now: Now,
) -> (ZenlayerPortStatus, Option<Announcement>) {
    show(object, Reason::InvalidSpec, fact, now)
}

/// The status of an object that the API server does not let the operator change as it must, and the Event of the
/// transition to it.
pub fn held_as_refused(
    object: &ZenlayerPort,
    fact: &str,
    now: Now,
) -> (ZenlayerPortStatus, Option<Announcement>) {
    show(object, Reason::UpdateRefused, fact, now)
}

/// The Event where even the status cannot be written.
pub fn refused_update(object: &ZenlayerPort, fact: &str) -> Announcement {
    let reason = Reason::UpdateRefused;
    let message = with_advice(object, &object.status.clone().unwrap_or_default(), reason, fact.to_owned());
    Announcement { row: None, reason, event_type: EventType::Warning, message }
}

/// The status of an object that shows this reason, and the Event of the transition to it.
pub fn show(
    object: &ZenlayerPort,
    reason: Reason,
    fact: &str,
    now: Now,
) -> (ZenlayerPortStatus, Option<Announcement>) {
    let mut status = object.status.clone().unwrap_or_default();
    let message = with_advice(object, &status, reason, fact.to_owned());
    let is_new = shown(&status) != Some(reason.as_str());
    if let (Some(display), _) = display(object, now, &status, reason, &message) {
        display.put_into(&mut status);
    }
    let event = if is_new { Announcement::of(None, reason, || message) } else { None };
    (status, event)
}

/// The reason that is shown.
pub(super) fn shown(status: &ZenlayerPortStatus) -> Option<&str> {
    status.ready().map(|ready| ready.reason.as_str())
}

/// For how long the reason has been shown.
pub(super) fn shown_for(status: &ZenlayerPortStatus, now: Now) -> Option<SignedDuration> {
    status.ready().map(|ready| now.wall.duration_since(ready.last_transition_time.0))
}

/// `fact`, followed by what a person can do.
pub(super) fn with_advice(
    object: &ZenlayerPort,
    status: &ZenlayerPortStatus,
    reason: Reason,
    mut fact: String,
) -> String {
    fact.push(' ');
    reason.advise(&mut fact, object, status);
    fact
}

/// When a wait for this reason counts as stalled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stall {
    Never,
    In(Duration),
    Stalled,
}

/// The conditions that show `reason`; none if they are shown already.
pub(super) fn display(
    object: &ZenlayerPort,
    now: Now,
    status: &ZenlayerPortStatus,
    reason: Reason,
    message: &str,
) -> (Option<Display>, Stall) {
    let readiness = reason.readiness().as_str();
    // The time of `Ready` also moves with its reason ("when the underlying condition changed"): it tells how long this
    // reason has lasted, whichever process looks.
    let same = |old: &&Condition| old.status == readiness && old.reason == reason.as_str();
    let since = status.ready().filter(same).map_or(now.wall, |old| old.last_transition_time.0);
    let stall = stall(reason, now.wall.duration_since(since));
    let flag = |on: bool| if on { ("True", message) } else { ("False", "") };
    let (reconciling, reconciles) = flag(reason.actor().moves_on());
    let (stalled, stalls) = flag(stall == Stall::Stalled);
    let told =
        [(READY, readiness, message), (RECONCILING, reconciling, reconciles), (STALLED, stalled, stalls)];
    let generation = object.metadata.generation;
    let is_told = |(old, (kind, value, message)): (&Condition, &(&str, &str, &str))| {
        (old.type_.as_str(), old.status.as_str(), old.message.as_str()) == (*kind, *value, *message)
            && old.reason == reason.as_str()
            && old.observed_generation == generation
    };
    if status.observed_generation == generation
        && status.conditions.len() >= told.len()
        && status.conditions.iter().zip(&told).all(is_told)
    {
        return (None, stall);
    }
    let made = told.map(|(kind, value, message)| {
        let kept = condition(status, kind).filter(|old| kind != READY && old.status == value);
        let since =
            if kind == READY { since } else { kept.map_or(now.wall, |old| old.last_transition_time.0) };
        Condition {
            type_: kind.to_owned(),
            status: value.to_owned(),
            reason: reason.as_str().to_owned(),
            message: message.to_owned(),
            observed_generation: generation,
            last_transition_time: Time(since),
        }
    });
    let others =
        status.conditions.iter().filter(|it| ![READY, RECONCILING, STALLED].contains(&it.type_.as_str()));
    let conditions = made.into_iter().chain(others.cloned()).collect();
    (Some(Display { observed_generation: generation, conditions }), stall)
}

fn stall(reason: Reason, lasted: SignedDuration) -> Stall {
    match (reason.actor(), reason.stalls_after()) {
        (Actor::Person, _) => Stall::Stalled,
        (_, None) => Stall::Never,
        (_, Some(after)) => remaining(after, lasted).map_or(Stall::Stalled, Stall::In),
    }
}

/// `after` less what has `lasted`; none once nothing is left.
pub(super) fn remaining(after: Duration, lasted: SignedDuration) -> Option<Duration> {
    let lasted = Duration::try_from(lasted).unwrap_or_default();
    after.checked_sub(lasted).filter(|left| !left.is_zero())
}

fn condition<'a>(status: &'a ZenlayerPortStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == kind)
}

impl Display {
    pub(super) fn put_into(self, status: &mut ZenlayerPortStatus) {
        let Self { observed_generation, conditions } = self;
        (status.observed_generation, status.conditions) = (observed_generation, conditions);
    }
}
