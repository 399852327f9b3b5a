//! An object that lives: its table. Its status is kept true, and nothing is changed in the cloud.

use super::case::Case;
use super::claims;
use super::message::Message;
use super::outcome::{Act, Outcome};
use super::table::{Row, row};
use super::{CredentialState, Lack};
use crate::api::Reason::{
    self, ClockSkew, CloudUnavailable, ClusterStateUnknown, ConfirmingAbsence, CredentialsNotCopied,
    CredentialsUnavailable, DescribeRefused, Destroying, IdentityChanged, Observing, PermissionDenied,
    PortBusy, PortClaimed, PortNotFound, PortRecycled, Running, Throttled, Unauthorized, UnknownPortStatus,
};
use crate::port::PortStatus;
use crate::reading::Cadence;

pub const UPKEEP: &[Row] = &[
    row(
        1,
        "the object has no finalizer, and its key is not kept as a copy yet",
        "wait; do not add the finalizer",
        &[CredentialsNotCopied, ClusterStateUnknown],
        unprotected,
    ),
    row(2, "the object has no finalizer", "add the finalizer", &[], add_finalizer),
    row(
        3,
        "there is no usable key",
        "wait for a key",
        &[CredentialsUnavailable, ClusterStateUnknown],
        no_credentials,
    ),
    row(4, "there is no status check, it is too old, or it failed", "check now; wait", UNREAD, unread_slowly),
    row(
        5,
        "the port is absent",
        "check again: the second check shows it; as row 4 if the number of checks is not known",
        &[PortNotFound, ConfirmingAbsence],
        absent,
    ),
    row(
        6,
        "`createdTime` differs from the first one seen",
        "tell a person",
        &[IdentityChanged],
        identity_changed,
    ),
    row(7, "another object has the same port", "tell a person", &[PortClaimed], claimed),
    row(8, "the port is running", "nothing", &[Running, CredentialsNotCopied], running),
    row(9, "the port is in the bin", "tell a person", &[PortRecycled], recycled),
    row(
        10,
        "the port is `CREATING`, `DELETING`, `UPDATING` or `RECOVERING`",
        "wait",
        &[PortBusy],
        in_transition,
    ),
    row(11, "the port is `DESTROYING`", "tell a person", &[Destroying], destroying),
    row(12, "the port is `DESTROYED`", "tell a person", &[PortNotFound], destroyed),
    row(
        13,
        "this version does not know the port's status",
        "tell a person",
        &[UnknownPortStatus],
        unknown_status,
    ),
];

/// What can be shown where there is no good reading.
pub(super) const UNREAD: &[Reason] =
    &[Observing, CloudUnavailable, Throttled, DescribeRefused, Unauthorized, PermissionDenied, ClockSkew];

/// The finalizer is not added before the copy is there: without it, an object whose Secret goes first could not release its port.
fn unprotected<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    if case.object().has_finalizer() {
        return None;
    }
    let outcome = match case.input.context.not_copied.as_ref()? {
        Lack::Known(why) => case
            .hold(CredentialsNotCopied, Message::Unprotected(why))
            .deadline(case.input.timing.credentials_recheck),
        Lack::Unread(setback) => case.unanswered(setback),
    };
    Some(Outcome { want: None, ..outcome })
}

fn add_finalizer<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    let missing = !case.object().has_finalizer();
    missing.then(|| Outcome { act: Act::AddFinalizer, ..case.hold(Observing, Message::FirstCheck) })
}

/// Nothing is read either.
pub(super) fn no_credentials<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    let CredentialState::Unavailable(lack) = &case.input.context.credential else { return None };
    Some(Outcome { want: None, ..case.without_signer(lack) })
}

pub(super) fn unread<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    case.reading().is_none().then(|| case.unread())
}

/// A living object is in no hurry.
fn unread_slowly<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    unread(case).map(|outcome| outcome.at_cadence(Cadence::Slow))
}

/// One slip of a list is not worth an alarm; two readings are.
fn absent<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    if case.port().is_some() {
        return None;
    }
    let apart = case.input.timing.proof.destroyed;
    let absences = case.input.evidence.and_then(|evidence| evidence.absences);
    Some(match absences {
        Some(absences) if absences.count >= 2 && absences.last.since(absences.first) >= apart => {
            case.hold(PortNotFound, Message::NotReturned)
        }
        Some(absences) => case
            .hold(ConfirmingAbsence, Message::ChecksAbsence)
            .fresh_after(absences.first + apart)
            .show_after(absences.first + case.input.timing.quiet),
        None => case.unread(),
    })
}

pub(super) fn identity_changed<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    let now = case.port().filter(|_| case.identity_changed())?;
    let first = case.status.identity.as_ref().and_then(|identity| identity.created_time.as_deref());
    Some(case.hold(IdentityChanged, Message::IsAnotherPort { now, first }))
}

fn claimed<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    let claim = claims::competing(case.port()?.created_time.as_deref(), &case.input.context.claims)?;
    Some(case.hold(PortClaimed, Message::BelongsToo(claim)))
}

fn running<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    case.running()?;
    let reason = match case.input.context.not_copied {
        Some(Lack::Known(_)) => CredentialsNotCopied,
        Some(Lack::Unread(_)) | None => Running,
    };
    Some(case.hold(reason, Message::IsRunning))
}

fn recycled<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    case.recycled()?;
    Some(case.hold(PortRecycled, Message::IsInRecycleBin))
}

/// What the port is in the middle of, if it is.
pub(super) fn transition<'a>(case: &Case<'a>) -> Option<&'a PortStatus> {
    let status = &case.port()?.port_status;
    let in_transition = matches!(
        status,
        PortStatus::Creating | PortStatus::Deleting | PortStatus::Updating | PortStatus::Recovering
    );
    in_transition.then_some(status)
}

fn in_transition<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    transition(case).map(|status| case.hold(PortBusy, Message::IsBusy(status)))
}

fn destroying<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    case.port().filter(|port| port.port_status == PortStatus::Destroying)?;
    Some(case.hold(Destroying, Message::IsDestroyedBySomeone { over: false }))
}

fn destroyed<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    case.port().filter(|port| port.port_status == PortStatus::Destroyed)?;
    Some(case.hold(PortNotFound, Message::IsDestroyedBySomeone { over: true }))
}

fn unknown_status<'a>(case: &Case<'a>) -> Option<Outcome<'a>> {
    let PortStatus::Unknown(word) = &case.port()?.port_status else { return None };
    Some(case.hold(UnknownPortStatus, Message::ReportsUnknownStatus(word)))
}

/// What else is wrong with the credentials of an object that has its finalizer is told beside the answer: its port is looked
/// after, and only the deletion of its Secret or namespace could leave it without them.
pub(super) fn with_credentials_told<'a>(case: &Case<'a>, mut outcome: Outcome<'a>) -> Outcome<'a> {
    if !case.object().has_finalizer() {
        return outcome;
    }
    if let CredentialState::ReadOnly { why: Lack::Known(why), .. } = &case.input.context.credential {
        outcome.besides[0] = Some(why);
    }
    let Some(lack) = &case.input.context.not_copied else { return outcome };
    let why = match lack {
        Lack::Known(why) => why,
        Lack::Unread(setback) => {
            let hidden = (setback.since + case.input.timing.quiet).since(case.monotonic());
            if !hidden.is_zero() {
                return outcome.deadline(hidden);
            }
            &setback.why
        }
    };
    outcome.besides[1] = Some(why);
    outcome.deadline(case.input.timing.credentials_recheck)
}
