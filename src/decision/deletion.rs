//! An object that is being deleted: its table.
//!
//! Top to bottom, the first row that answers decides. A *hold* changes nothing in the cloud until something else changes; a
//! *wait* ends when the poller has news.

use super::case::Case;
use super::claims::{self, Obstacle};
use super::message::{MadeCall, Message};
use super::outcome::{Act, Outcome, Shown};
use super::proof::{self, Proof};
use super::record::{self, CallFailure, Standing, Until};
use super::table::{Row, row};
use super::{Attachments, CredentialState, Turn, case, facts, gates, upkeep};
use crate::answer::NotSentCause;
use crate::api::Reason::{
    AbsenceUnproven, ClusterStateUnknown, Confirming, ConfirmingAbsence, CredentialsUnavailable, Destroying,
    IdentityChanged, InUse, NotInRecycleBin, Observing, PortBusy, PortClaimed, PortDestroyed, PortGone,
    PortNeverFound, PortRecycled, PortRetained, PrepaidPort, Queued, RestoredElsewhere, Terminating,
    Throttled, UnknownPortStatus, WaitingForFinalizers,
};
use crate::api::{Call, CallAction, CallOutcome, DeletionPolicy, Reason};
use crate::port::PortStatus;
use crate::reading::{Cadence, Presence};

const REMOVE_WHEN_FRESH: &str = "remove the finalizer; as row 4 if the status check is older than 30 s";

pub const DELETION: &[Row] = &[
    row(1, "the policy is `Retain`", "remove the finalizer, without a call", &[PortRetained], retained),
    row(
        2,
        "the object has other finalizers",
        "wait: this operator acts last",
        &[WaitingForFinalizers],
        other_finalizers,
    ),
    row(
        3,
        "there is no usable key",
        "pause; wait if the API server did not answer",
        &[CredentialsUnavailable, ClusterStateUnknown],
        upkeep::no_credentials,
    ),
    row(
        4,
        "there is no status check, it is too old, or it failed",
        "check now; wait",
        upkeep::UNREAD,
        upkeep::unread,
    ),
    row(
        5,
        "the port is `DESTROYED`, or proven to be gone",
        REMOVE_WHEN_FRESH,
        &[PortDestroyed, PortGone, PortNeverFound],
        gone,
    ),
    row(
        6,
        "the port is absent, but that is not proven yet",
        "wait for more checks; pause if they cannot prove it; as row 4 if the number of checks is not known",
        &[ConfirmingAbsence, AbsenceUnproven],
        absent,
    ),
    row(7, "the port is `DESTROYING`", "wait", &[Destroying], destroying),
    row(
        8,
        "the port is `CREATING`, `DELETING`, `UPDATING` or `RECOVERING`",
        "wait",
        &[Terminating, PortBusy],
        in_transition,
    ),
    row(9, "this version does not know the port's status", "pause", &[UnknownPortStatus], unknown_status),
    row(
        10,
        "during this deletion the port was in the bin, and now it is running; or Zenlayer accepted `TerminatePort` 10 min \
         ago, and the port is still running; or there was no clear answer to `TerminatePort`, then no status check for \
         10 min, and the port is running",
        "pause until approved; first wait for a second check",
        &[RestoredElsewhere, Observing],
        restored_while_running,
    ),
    row(
        11,
        "the last call has not taken effect, may still be carried out, or is newer than the status check",
        "wait",
        &[Confirming, Terminating, Destroying],
        awaiting_call,
    ),
    row(
        12,
        "`createdTime` differs from the first one seen",
        "pause until approved",
        &[IdentityChanged],
        upkeep::identity_changed,
    ),
    row(
        13,
        "the port is in the bin and the policy is `Terminate`",
        REMOVE_WHEN_FRESH,
        &[PortRecycled],
        left_in_bin,
    ),
    row(
        14,
        "the port is in the bin again after a restoration",
        "pause until approved",
        &[RestoredElsewhere, Observing],
        restored,
    ),
    row(
        15,
        "another object has the same port, and it stays or is older; or this is not known yet",
        "pause; wait at most grace + 60 s if it is not known yet",
        &[PortClaimed, Observing],
        claimed,
    ),
    row(16, "the port is running and prepaid", "pause", &[PrepaidPort], prepaid),
    row(17, "the port is running and the policy is `Destroy`", "pause", &[NotInRecycleBin], not_in_bin),
    row(
        18,
        "a [safety check](architecture.md#safety-checks-before-a-call) says no",
        "pause or wait",
        gates::REASONS,
        gates::shut,
    ),
    row(
        19,
        "Zenlayer refused the last call, and something uses the port",
        "pause for at most 10 min",
        &[InUse],
        in_use,
    ),
    row(
        20,
        "the last call changed nothing, and the delay after it is not over",
        "wait",
        FAILED,
        after_failure,
    ),
    row(
        21,
        "the key may be used for status checks only",
        "pause; wait if the API server did not answer",
        &[CredentialsUnavailable, ClusterStateUnknown],
        no_key_for_calls,
    ),
    row(
        22,
        "the status check began before the grace period ended, is older than 30 s, or was made with another key",
        "as row 4",
        upkeep::UNREAD,
        last_look,
    ),
    row(
        23,
        "other calls of the key come first, or Zenlayer asked for a pause",
        "wait",
        &[Queued, Throttled],
        not_its_turn,
    ),
    row(
        24,
        "the port is running (and the policy is `Terminate` or `TerminateAndDestroy`)",
        "write the record, then `TerminatePort`",
        &[Terminating],
        terminate,
    ),
    row(25, "the port is in the bin", "write the record, then `DestroyPort`", &[Destroying], destroy),
];

fn retained<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    (case.policy() == DeletionPolicy::Retain).then(|| {
        let too_late_for = case.call().and_then(made);
        Outcome::remove_finalizer(
            PortRetained,
            Message::Retained { too_late_for, others: case.object().other_finalizers() },
        )
    })
}

/// The call, unless it is known to have changed nothing.
fn made(call: &Call) -> Option<MadeCall> {
    match call.outcome {
        _ if call.landed => Some(MadeCall::Accepted(call.action)),
        CallOutcome::Accepted { .. } => Some(MadeCall::Accepted(call.action)),
        CallOutcome::Pending {} | CallOutcome::Unclear { .. } => Some(MadeCall::PerhapsSent(call.action)),
        CallOutcome::Refused(_) | CallOutcome::NotSent { .. } => None,
    }
}

fn other_finalizers<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    let others = case.object().other_finalizers();
    (!others.is_empty()).then(|| case.hold(WaitingForFinalizers, Message::OtherFinalizers(others)))
}

fn gone<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    let reading = case.reading()?;
    let (not_before, reason, message) = match &reading.presence {
        Presence::Seen(port) if port.port_status == PortStatus::Destroyed => {
            let by_us = case.release().is_some_and(proof::destroyed_by_us);
            let reason = if by_us { PortDestroyed } else { PortGone };
            (case.deletion_seen(), reason, Message::Destroyed { by_us })
        }
        Presence::Seen(_) => return None,
        Presence::Absent => {
            let (absences, Proof::Gone(reason)) = absence(case)? else { return None };
            let never_seen = reason == PortNeverFound;
            let message =
                if never_seen { Message::NeverReturned } else { Message::Gone { checks: absences.count } };
            (reading.at, reason, message)
        }
    };
    Some(if case.is_fresh(not_before) { Outcome::remove_finalizer(reason, message) } else { case.unread() })
}

/// The run of readings without the port, and what it is worth.
fn absence(case: &Case<'_>) -> Option<(crate::reading::Absences, Proof)> {
    let evidence = case.input.evidence?;
    let absences = evidence.absences?;
    Some((absences, proof::of_absence(case.input, case.status, evidence, absences)))
}

fn absent<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    if case.port().is_some() {
        return None;
    }
    let Some((absences, proof)) = absence(case) else { return Some(case.unread()) };
    Some(match proof {
        Proof::NotYet { fresh_after } => case
            .wait(ConfirmingAbsence, Message::ConfirmsAbsence, Cadence::Release)
            .fresh_after(fresh_after)
            .show_after(absences.first + case.input.timing.quiet),
        Proof::Gone(_) | Proof::Unprovable => case.hold(AbsenceUnproven, Message::AbsenceUnproven),
    })
}

fn destroying<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    case.port().filter(|port| port.port_status == PortStatus::Destroying)?;
    Some(case.wait(Destroying, Message::Destroying, Cadence::Release))
}

fn in_transition<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    let status = upkeep::transition(case)?;
    let our_terminate =
        case.call().is_some_and(|call| call.action == CallAction::TerminatePort && call.landed);
    Some(if *status == PortStatus::Deleting && our_terminate {
        case.wait(Terminating, Message::MovesToRecycleBin, Cadence::Release)
    } else {
        case.wait(PortBusy, Message::WaitsForPort(status), Cadence::Release)
    })
}

fn unknown_status<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    let PortStatus::Unknown(word) = &case.port()?.port_status else { return None };
    Some(case.hold(UnknownPortStatus, Message::DoesNotKnowStatus(word)))
}

fn restored_while_running<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    case.running()?;
    if case.identity_changed() { None } else { restored(case) }
}

/// The port was in the bin during this deletion, and somebody has restored it; or perhaps has, as long as only one reading
/// says so.
fn restored<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    let release = case.release()?;
    if release.restorations > 0 && !case.object().approves_given(RestoredElsewhere, case.status) {
        let message = match release.call.as_ref().filter(|call| call.without_effect) {
            Some(call) if matches!(call.outcome, CallOutcome::Accepted { .. }) => {
                Message::TerminateWithoutEffect
            }
            Some(call) => Message::TerminateUnchecked(call),
            None => Message::Restored,
        };
        return Some(case.hold(RestoredElsewhere, message));
    }
    facts::restoration_known_at(case.input, case.status)?;
    let outcome = case.wait(Observing, Message::PerhapsRestored, Cadence::Release);
    Some(outcome.show_after(case.reading()?.since + case.input.timing.quiet))
}

fn awaiting_call<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    let Standing::Blocks(call, until) = case.standing() else { return None };
    let follows = match call.action {
        CallAction::TerminatePort => Terminating,
        CallAction::DestroyPort => Destroying,
    };
    let (reason, message, at) = match (until, &call.outcome) {
        (Until::Settled(at), CallOutcome::Unclear { why }) => {
            (Confirming, Message::AwaitsUnclear { call, why }, at)
        }
        (Until::Settled(at), _) => (Confirming, Message::AwaitsUnanswered(call), at),
        (Until::Landed(at), _) => (follows, Message::AwaitsEffect(call), at),
        (Until::Read(at), _) => (follows, Message::TookEffect(call), at),
    };
    Some(case.wait(reason, message, Cadence::Release).fresh_after(at))
}

fn left_in_bin<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    case.recycled().filter(|_| case.policy() == DeletionPolicy::Terminate)?;
    Some(if case.is_fresh(case.deletion_seen()) {
        Outcome::remove_finalizer(PortRecycled, Message::StaysInRecycleBin)
    } else {
        case.unread()
    })
}

/// Another object owns the port too, or may: what it has seen is not known yet.
fn claimed<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    let created_time = case.port()?.created_time.as_deref();
    Some(match claims::obstacle(case.object(), created_time, &case.input.context.claims, case.monotonic())? {
        Obstacle::Owner(claim) => case.hold(PortClaimed, Message::BelongsToo(claim)),
        Obstacle::PerhapsAnOwner { until } => case
            .wait(Observing, Message::PerhapsBelongsToo, Cadence::Release)
            .deadline(until.since(case.monotonic())),
    })
}

fn prepaid<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    case.running().filter(|port| port.is_prepaid())?;
    Some(case.hold(PrepaidPort, Message::Prepaid))
}

fn not_in_bin<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    case.running().filter(|_| case.policy() == DeletionPolicy::Destroy)?;
    Some(case.wait(NotInRecycleBin, Message::NotInRecycleBin, Cadence::Held))
}

/// Zenlayer refused the last call, and something uses the port. What uses it may be known wrongly, so the call is tried
/// again after the longest pause all the same.
fn in_use<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    let Attachments::Known(users) = &case.input.context.attachments else { return None };
    let call = case.call()?;
    let CallOutcome::Refused(refusal) = &call.outcome else { return None };
    let known_since = case.input.context.call_known_since.unwrap_or(case.monotonic());
    let again = known_since + case.input.timing.refused_max;
    let holds =
        !users.is_empty() && !call.landed && record::was_refused_as_is(call) && case.monotonic() < again;
    holds.then(|| case.hold(InUse, Message::InUse { users, call, refusal }).fresh_after(again))
}

const FAILED: &[Reason] = &[
    Reason::Refused,
    Throttled,
    Reason::Unauthorized,
    Reason::PermissionDenied,
    Reason::ClockSkew,
    Reason::CloudUnavailable,
    Queued,
];

/// The last call changed nothing; there is a pause before the next.
fn after_failure<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    let Standing::Failed { call, failure, until } = case.standing() else { return None };
    let reason = match failure {
        CallFailure::Refused(refusal) => case::cause(refusal.kind).unwrap_or(Reason::Refused),
        CallFailure::NotSent { cause, .. } => not_sent(cause),
    };
    let soon = until.since(case.monotonic()) <= case.input.timing.held_interval;
    let cadence = if soon { Cadence::Release } else { Cadence::Slow };
    Some(case.wait(reason, Message::CallFailed { call, failure }, cadence).fresh_after(until))
}

fn not_sent(cause: NotSentCause) -> Reason {
    match cause {
        NotSentCause::Throttled => Throttled,
        NotSentCause::NoConnection | NotSentCause::Unknown => Reason::CloudUnavailable,
        // The operator's own doing: the call is due again after the pause.
        NotSentCause::RecordTooSlow | NotSentCause::CredentialsChanged => Queued,
    }
}

fn no_key_for_calls<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    let CredentialState::ReadOnly { why, .. } = &case.input.context.credential else { return None };
    Some(case.without_signer(why))
}

/// A call needs a reading that began after the deletion and its grace, by the very key that signs.
fn last_look<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    let CredentialState::Usable(key) = &case.input.context.credential else { return None };
    let context = case.input.context;
    let grace_ends = gates::grace_ends(context.deletion_known_since, case.input.timing, case.monotonic());
    let seen_by_key = case.input.evidence.is_some_and(|evidence| evidence.by == *key);
    (!seen_by_key || !case.is_fresh(grace_ends)).then(|| case.unread())
}

fn not_its_turn<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    match &case.input.context.turn {
        Turn::Free => None,
        Turn::Paused(why) => {
            let outcome = case.wait(Throttled, Message::WaitsForPause(why), Cadence::Release);
            Some(Outcome { shown: Shown::WithoutEvent, ..outcome })
        }
        Turn::BehindOthers => {
            let shown = if gates::grace_tells_of_turn(case) { Shown::AsBefore } else { Shown::AtOnce };
            Some(Outcome { shown, ..case.wait(Queued, Message::WaitsForTurn, Cadence::Release) })
        }
    }
}

fn terminate<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    case.running()?;
    call(case, Terminating, CallAction::TerminatePort)
}

fn destroy<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    case.recycled()?;
    call(case, Destroying, CallAction::DestroyPort)
}

fn call<'a>(case: &Case<'a>, reason: Reason, action: CallAction) -> Option<Outcome<'a>> {
    let (port, CredentialState::Usable(credential)) = (case.port()?, &case.input.context.credential) else {
        return None;
    };
    let act = Act::Call { action, port, credential };
    Some(Outcome { act, ..case.wait(reason, Message::Calls { action, port }, Cadence::Release) })
}
