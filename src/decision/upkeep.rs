//! An object that lives: its status is kept true, and nothing is changed in the cloud. What a living object and one that
//! is being deleted have in common stands here too.

use std::time::Duration;

use super::claims::{self, Claim};
use super::facts::{Identity, identity, remember};
use super::freshness;
use super::sighting::{Cadence, Evidence, Presence, Reading, Unreadable};
use super::status::{Verdict, conclude};
use super::{Action, CredentialState, Input, Lack, Plan, Setback};
use crate::answer::RefusalKind;
use crate::api::{Reason, ZenlayerPortStatus};
use crate::port::{PortInfo, PortStatus};

pub(super) fn decide(input: &Input<'_>) -> Plan {
    if !input.object.has_finalizer() {
        let Some(lack) = &input.context.not_copied else {
            return Plan { action: Action::AddFinalizer, ..Plan::nothing(input.object) };
        };
        return conclude(input, input.object.status.clone().unwrap_or_default(), unprotected(input, lack));
    }
    let status = remember(input);
    let mut verdict = verdict(input, &status);
    if let CredentialState::ReadOnly { why: Lack::Known(why), .. } = &input.context.credential {
        verdict.fact = format!("{} {why}", verdict.fact);
    }
    if let Some(lack) = &input.context.not_copied {
        verdict = not_copied(input, verdict, lack);
    }
    conclude(input, status, verdict)
}

/// The finalizer is not added before the copy is there: without it, an object whose Secret goes first could not release its port.
fn unprotected(input: &Input<'_>, lack: &Lack) -> Verdict {
    let id = &input.object.spec.port_id;
    let so = format!(
        "The object has no finalizer yet: if you delete it now, the operator does not destroy port {id}."
    );
    let verdict = match lack {
        Lack::Known(why) => Verdict::wait(Reason::CredentialsNotCopied, format!("{why} {so}"), Cadence::Slow)
            .deadline(input.timing.credentials_recheck),
        Lack::Unread(setback) => unanswered(input, setback),
    };
    Verdict { want: None, ..verdict }
}

/// The port is looked after; only the deletion of its namespace could leave it without credentials. What else is wrong with it
/// is told first.
fn not_copied(input: &Input<'_>, verdict: Verdict, lack: &Lack) -> Verdict {
    let why = match lack {
        Lack::Known(why) => why,
        Lack::Unread(setback) => {
            let shown_at = setback.since + input.timing.quiet;
            let hidden = shown_at.since(input.now.monotonic);
            if !hidden.is_zero() {
                return verdict.deadline(hidden);
            }
            &setback.why
        }
    };
    let reason = match (verdict.reason, lack) {
        (Reason::Running, Lack::Known(_)) => Reason::CredentialsNotCopied,
        (reason, _) => reason,
    };
    Verdict { reason, fact: format!("{} {why}", verdict.fact), ..verdict }
        .deadline(input.timing.credentials_recheck)
}

fn verdict(input: &Input<'_>, status: &ZenlayerPortStatus) -> Verdict {
    let id = &input.object.spec.port_id;
    if let CredentialState::Unavailable(lack) = &input.context.credential {
        return without_credentials(input, lack);
    }
    let (evidence, reading) = match current_reading(input) {
        Ok(current) => current,
        Err(unread) => return Verdict { want: unread.want.map(slowly), ..unread },
    };
    let port = match &reading.presence {
        Presence::Seen(port) => port,
        Presence::Absent => return absent(input, evidence),
    };
    if identity(input, status, port) == Identity::Changed {
        return identity_changed(input, status, port);
    }
    if let Some(claim) = claims::competing(port.created_time.as_deref(), &input.context.claims) {
        return claimed(input, claim);
    }
    let (reason, fact) = match &port.port_status {
        PortStatus::Running => (Reason::Running, format!("Port {id} is RUNNING.")),
        PortStatus::Recycled => (
            Reason::PortRecycled,
            format!(
                "Port {id} is in the recycle bin. Zenlayer destroys it 24 hours to 2 days after it was terminated."
            ),
        ),
        PortStatus::Creating | PortStatus::Updating | PortStatus::Deleting | PortStatus::Recovering => {
            (Reason::PortBusy, format!("Port {id} is {}.", port.port_status.as_str()))
        }
        PortStatus::Destroying => (
            Reason::Destroying,
            format!(
                "Zenlayer is destroying port {id}. Someone else started that: you did not delete this object."
            ),
        ),
        PortStatus::Destroyed => {
            (Reason::PortNotFound, format!("Port {id} is DESTROYED. Someone else destroyed it."))
        }
        PortStatus::Unknown(word) => (
            Reason::UnknownPortStatus,
            format!(
                "Zenlayer reports the status {word:?} for port {id}. This version of the operator does not know \
                 that status."
            ),
        ),
    };
    Verdict::wait(reason, fact, Cadence::Slow)
}

/// A living object is in no hurry.
fn slowly(want: super::sighting::Want) -> super::sighting::Want {
    super::sighting::Want { cadence: Cadence::Slow, ..want }
}

/// One slip of a list is not worth an alarm; two readings are.
fn absent(input: &Input<'_>, evidence: &Evidence) -> Verdict {
    let id = &input.object.spec.port_id;
    let apart = input.timing.proof.destroyed;
    match evidence.absences {
        Some(absences) if absences.count >= 2 && absences.last.since(absences.first) >= apart => {
            Verdict::wait(
                Reason::PortNotFound,
                format!("Zenlayer returns no port {id} for these credentials."),
                Cadence::Slow,
            )
        }
        Some(absences) => Verdict::wait(
            Reason::ConfirmingAbsence,
            format!("Zenlayer does not list port {id}. The operator checks again to be sure."),
            Cadence::Slow,
        )
        .fresh_after(absences.first + apart)
        .show_after(absences.first + input.timing.quiet),
        None => unread(input, evidence),
    }
}

/// The newest reading, if it is young enough to be shown; else what to say and do without one.
#[expect(clippy::result_large_err, reason = "a verdict is no error, and one is made a pass")]
pub(super) fn current_reading<'a>(input: &Input<'a>) -> Result<(&'a Evidence, &'a Reading), Verdict> {
    let Some(evidence) = input.evidence else {
        let fact =
            format!("The operator is about to check port {} for the first time.", input.object.spec.port_id);
        return Err(Verdict::wait(Reason::Observing, fact, Cadence::Release).fresh_after(input.now.monotonic));
    };
    match &evidence.good {
        Some(reading) if input.now.monotonic.since(reading.at) <= freshness::shown_for(input, evidence) => {
            Ok((evidence, reading))
        }
        _ => Err(unread(input, evidence)),
    }
}

/// There is no reading that would do: the mirror reads now, and the status says why it has not yet.
pub(super) fn unread(input: &Input<'_>, evidence: &Evidence) -> Verdict {
    let id = &input.object.spec.port_id;
    let read_at = evidence.good.as_ref().map(|good| good.at);
    let failure = evidence.failure.as_ref().filter(|failure| read_at.is_none_or(|read| failure.at > read));
    let Some(failure) = failure else {
        let now = input.now.monotonic;
        // A port in no hurry is seldom read, and one in its grace not at all: the wait begins when that ends.
        let hurried_at = input.context.deletion_known_since;
        let outdated_at = read_at.map(|read| read + input.timing.reading_valid);
        let asked_at = if evidence.interval.is_some() { evidence.waiting_since } else { now };
        let since = hurried_at.max(outdated_at).max(Some(asked_at)).unwrap_or(asked_at);
        return Verdict::wait(
            Reason::Observing,
            format!("The operator is checking the status of port {id}."),
            Cadence::Release,
        )
        .fresh_after(now)
        .show_after(since + input.timing.quiet);
    };
    let why = &failure.why;
    let (reason, fact) = match (why.kind(), why) {
        (None, _) => {
            (Reason::CloudUnavailable, format!("The operator cannot check port {id}: {why}. It tries again."))
        }
        (Some(kind), Unreadable::Refused(_)) => (
            cause(kind).unwrap_or(Reason::DescribeRefused),
            format!("The operator cannot check port {id}: Zenlayer refuses DescribePorts with {why}."),
        ),
        (Some(_), _) => (Reason::Throttled, format!("The operator cannot check port {id} now: {why}.")),
    };
    Verdict::wait(reason, fact, Cadence::Release).fresh_after(input.now.monotonic)
}

/// The reason of a refusal that is about who asks, how often or when; none for one that is about the port or the request.
pub(super) fn cause(kind: RefusalKind) -> Option<Reason> {
    match kind {
        RefusalKind::Throttled => Some(Reason::Throttled),
        RefusalKind::Unauthorized => Some(Reason::Unauthorized),
        RefusalKind::PermissionDenied => Some(Reason::PermissionDenied),
        RefusalKind::ClockSkew => Some(Reason::ClockSkew),
        RefusalKind::NotFound | RefusalKind::Other => None,
    }
}

pub(super) fn without_credentials(input: &Input<'_>, lack: &Lack) -> Verdict {
    Verdict { want: None, ..without_signer(input, lack) }
}

/// The port is still read, and what it does shows; only calls are held.
pub(super) fn without_signer(input: &Input<'_>, lack: &Lack) -> Verdict {
    match lack {
        Lack::Known(why) => Verdict::wait(Reason::CredentialsUnavailable, why, Cadence::Slow)
            .deadline(input.timing.credentials_recheck),
        Lack::Unread(setback) => unanswered(input, setback),
    }
}

/// A failure of the API server that lasts a moment is no news.
fn unanswered(input: &Input<'_>, setback: &Setback) -> Verdict {
    let fact = format!("{} The operator tries again.", setback.why);
    Verdict::wait(Reason::ClusterStateUnknown, fact, Cadence::Slow)
        .deadline(setback.again_in.max(Duration::from_millis(1)))
        .show_after(setback.since + input.timing.quiet)
}

pub(super) fn identity_changed(input: &Input<'_>, status: &ZenlayerPortStatus, port: &PortInfo) -> Verdict {
    let first = status.identity.as_ref().and_then(|identity| identity.created_time.as_deref());
    Verdict::wait(
        Reason::IdentityChanged,
        format!(
            "Zenlayer returns another port for the id {}: it was created at {}, but the port that this object \
             owned was created at {}. The operator makes no change.",
            input.object.spec.port_id,
            port.created_time.as_deref().unwrap_or("an unknown time"),
            first.unwrap_or("an unknown time"),
        ),
        Cadence::Slow,
    )
}

/// The other object is named only within the namespace: elsewhere its name is its owner's business.
pub(super) fn claimed(input: &Input<'_>, claim: &Claim) -> Verdict {
    let id = &input.object.spec.port_id;
    let who = if input.object.metadata.namespace.as_deref() == Some(claim.namespace.as_str()) {
        format!("ZenlayerPort {}", claim.name)
    } else {
        "a ZenlayerPort in another namespace".to_owned()
    };
    Verdict::wait(Reason::PortClaimed, format!("Port {id} also belongs to {who}."), Cadence::Slow)
}
