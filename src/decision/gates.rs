//! What has to be so before a disruptive call, beside the state of the port.

use std::time::Duration;

use super::case::Case;
use super::conditions;
use super::message::Message;
use super::outcome::Outcome;
use super::{CrdState, Listing, Timing};
use crate::api::Reason;
use crate::clock::Monotonic;
use crate::reading::Cadence;

/// What the gate that is shut can show.
pub(super) const REASONS: &[Reason] = &[
    Reason::DeletionProtected,
    Reason::MassDeletion,
    Reason::ApprovalRequired,
    Reason::CRDDeleted,
    Reason::GracePeriod,
    Reason::ClusterStateUnknown,
];

/// The gate that is shut, if any. What holds for good and is known from the start is said before the grace is over.
pub(super) fn shut<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    deletion_protection(case)
        .or_else(|| mass_deletion(case))
        .or_else(|| approval(case))
        .or_else(|| crd_deletion(case))
        .or_else(|| grace(case))
        .or_else(|| unread_crd(case))
        .or_else(|| listing(case))
}

fn deletion_protection<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    let protected = case.object().spec.deletion_protection;
    protected.then(|| case.hold(Reason::DeletionProtected, Message::Protected))
}

fn mass_deletion<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    let latched = case.release().is_some_and(|release| release.latched);
    let held = latched && !case.object().approves(Reason::MassDeletion);
    held.then(|| case.hold(Reason::MassDeletion, Message::OneOfMany))
}

fn approval<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    let asked = case.input.context.gates.require_approval;
    let held = asked && !case.object().approves(Reason::ApprovalRequired);
    held.then(|| case.hold(Reason::ApprovalRequired, Message::NotApproved))
}

fn crd_deletion<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    let latched = case.release().is_some_and(|release| release.crd_deleted);
    let held = latched && !case.object().approves(Reason::CRDDeleted);
    held.then(|| case.hold(Reason::CRDDeleted, Message::CrdDeleted))
}

fn grace<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    let ends = grace_ends(case.input.context.deletion_known_since, case.input.timing, case.monotonic());
    let remaining = ends.since(case.monotonic());
    (!remaining.is_zero()).then(|| {
        case.wait(Reason::GracePeriod, Message::GracePeriod, Cadence::Paused)
            .fresh_after(ends)
            .deadline(remaining)
    })
}

/// The message of the grace tells of the turn too, so that most objects need no write for it.
const TELLS_OF_TURN: Duration = Duration::from_mins(5);

pub(super) fn grace_tells_of_turn(case: &Case<'_>) -> bool {
    conditions::shown(case.status) == Some(Reason::GracePeriod.as_str())
        && conditions::shown_for(case.status, case.input.now)
            .is_some_and(|lasted| conditions::remaining(TELLS_OF_TURN, lasted).is_some())
}

fn unread_crd<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    let CrdState::Unknown(why) = &case.input.context.crd else { return None };
    let outcome = case.hold(Reason::ClusterStateUnknown, Message::CrdUnread(why));
    Some(outcome.deadline(case.input.timing.release_interval))
}

/// Another object that is not known yet may own the port, or be one deletion too many.
fn listing<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    let (since, message) = match case.input.context.listing {
        Listing::Complete => return None,
        Listing::UnderWay { since } => (since, Message::Listing),
        Listing::Behind { since } => (since, Message::WatchIsBehind),
    };
    let timing = case.input.timing;
    let outcome = case.wait(Reason::ClusterStateUnknown, message, Cadence::Release);
    Some(outcome.deadline(timing.release_interval).show_after(since + timing.quiet))
}

/// Whether the grace of a deletion that is known since then is over.
pub fn grace_is_over(known_since: Option<Monotonic>, timing: &Timing, now: Monotonic) -> bool {
    now >= grace_ends(known_since, timing, now)
}

/// Measured from when this process saw the deletion, which was after `deletionTimestamp`, whatever the clocks say.
pub(super) fn grace_ends(known_since: Option<Monotonic>, timing: &Timing, now: Monotonic) -> Monotonic {
    known_since.unwrap_or(now) + timing.grace
}
