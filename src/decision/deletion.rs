//! An object that is being deleted: the table of `docs/architecture.md`, row by row.
//!
//! Top to bottom, the first row that matches wins. A *hold* changes nothing in the cloud until something else changes; a
//! *wait* ends when the mirror has news.

use super::claims::Obstacle;
use super::facts::{self, Identity, identity, remember};
use super::proof::{self, Proof};
use super::record::{self, CallFailure, Standing, Until, standing};
use super::sighting::{Cadence, Evidence, Presence, Reading};
use super::status::{Act, Verdict, conclude};
use super::{Attachments, CredentialState, Input, Lack, Plan, claims, gates, upkeep};
use crate::answer::NotSentCause;
use crate::api::{Call, CallAction, CallOutcome, DeletionPolicy, FINALIZER, Reason, ZenlayerPortStatus};
use crate::clock::Monotonic;
use crate::fingerprint::Fingerprint;
use crate::port::{PortInfo, PortStatus};

pub(super) fn decide(input: &Input<'_>) -> Plan {
    let status = remember(input);
    let status = gates::latch(input, status);
    let mut verdict = verdict(input, &status);
    if let Some(at) = facts::restoration_known_at(input, &status) {
        verdict = verdict.fresh_after(at);
    }
    conclude(input, status, verdict)
}

fn verdict(input: &Input<'_>, status: &ZenlayerPortStatus) -> Verdict {
    let spec = &input.object.spec;
    let id = &spec.port_id;

    // 1
    if spec.deletion_policy == DeletionPolicy::Retain {
        return Verdict::let_go(
            Reason::PortRetained,
            format!("The operator leaves port {id} as it is, because spec.deletionPolicy is Retain."),
        );
    }
    // 2
    if let Some(others) = other_finalizers(input) {
        return Verdict::wait(
            Reason::WaitingForFinalizers,
            format!("The operator does not change the port until the other finalizers are gone: {others}."),
            Cadence::Slow,
        );
    }
    // 3
    let signer = match &input.context.credential {
        CredentialState::Usable(fingerprint) => Ok(fingerprint),
        CredentialState::ReadOnly { why, .. } => Err(why),
        CredentialState::Unavailable(lack) => return upkeep::without_credentials(input, lack),
    };
    // 4
    let (evidence, reading) = match upkeep::current_reading(input) {
        Ok(current) => current,
        Err(unread) => return unread,
    };
    // 5 and 6, absent
    let port = match &reading.presence {
        Presence::Seen(port) => port,
        Presence::Absent => return absent(input, status, evidence, reading),
    };
    let at = match &port.port_status {
        // 5, listed as DESTROYED
        PortStatus::Destroyed => {
            return if_fresh(input, evidence, reading, seen_deletion(input), || destroyed(input, status));
        }
        // 7
        PortStatus::Destroying => {
            return Verdict::wait(
                Reason::Destroying,
                format!("Zenlayer is destroying port {id}. After that, the operator removes the finalizer."),
                Cadence::Release,
            );
        }
        // 8
        PortStatus::Creating | PortStatus::Deleting | PortStatus::Updating | PortStatus::Recovering => {
            return in_transition(input, status, port);
        }
        // 9
        PortStatus::Unknown(word) => {
            return Verdict::wait(
                Reason::UnknownPortStatus,
                format!(
                    "Zenlayer reports the status {word:?} for port {id}. This version of the operator does not \
                     know that status and makes no change."
                ),
                Cadence::Slow,
            );
        }
        PortStatus::Running => Place::Live,
        PortStatus::Recycled => Place::RecycleBin,
    };
    in_place(input, status, signer, evidence, reading, port, at)
}

/// Where a port is on which a call would work.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Live,
    RecycleBin,
}

fn in_place(
    input: &Input<'_>,
    status: &ZenlayerPortStatus,
    signer: Result<&Fingerprint, &Lack>,
    evidence: &Evidence,
    reading: &Reading,
    port: &PortInfo,
    place: Place,
) -> Verdict {
    let spec = &input.object.spec;
    let id = &spec.port_id;
    let standing = standing(input, status.release.as_ref(), reading);

    // 10
    let identity = identity(input, status, port);
    if place == Place::Live
        && identity == Identity::Same
        && let Some(restored) = restored(input, status, reading)
    {
        return restored;
    }
    // 11
    if let Standing::Blocks(call, blocked) = standing {
        return awaiting_call(input, call, blocked);
    }
    // 12
    if identity == Identity::Changed {
        return upkeep::identity_changed(input, status, port);
    }
    // 13
    if place == Place::RecycleBin && spec.deletion_policy == DeletionPolicy::Terminate {
        return if_fresh(input, evidence, reading, seen_deletion(input), || {
            Verdict::let_go(
                Reason::PortRecycled,
                format!(
                    "Port {id} is in the recycle bin, and the policy Terminate leaves it there: the operator \
                     removes the finalizer. Zenlayer destroys the port 24 hours to 2 days after it was terminated, \
                     unless someone restores it in the Zenlayer console."
                ),
            )
        });
    }
    // 10, in the bin again
    if let Some(restored) = restored(input, status, reading) {
        return restored;
    }
    // 14
    if let Some(obstacle) = claimed(input, port) {
        return obstacle;
    }
    // 15
    if place == Place::Live && port.is_prepaid() {
        return Verdict::wait(
            Reason::PrepaidPort,
            format!("Port {id} is RUNNING and prepaid. Zenlayer's API cannot terminate a prepaid port."),
            Cadence::Slow,
        );
    }
    // 16
    if place == Place::Live && spec.deletion_policy == DeletionPolicy::Destroy {
        return Verdict::wait(
            Reason::NotInRecycleBin,
            format!(
                "Port {id} is RUNNING. The policy Destroy only destroys a port that is in the recycle bin."
            ),
            Cadence::Held,
        );
    }
    // 17
    if let Some(shut) = gates::shut(input, status) {
        return shut;
    }
    // 18
    if let Some(blockers) = in_use(input, status) {
        return blockers;
    }
    if let Standing::Failed { call, failure, until } = standing {
        return failed(input, call, failure, until);
    }
    // 3, for a call
    let credential = match signer {
        Ok(credential) if *credential == evidence.by => credential,
        // Who signs must have seen what it acts on.
        Ok(_) => return upkeep::unread(input, evidence),
        Err(lack) => return upkeep::without_signer(input, lack),
    };
    let last_look = gates::grace_ends(input.context.deletion_known_since, input.timing, input.now.monotonic);
    if_fresh(input, evidence, reading, last_look, || {
        let (reason, action) = match place {
            // 19
            Place::Live => (Reason::Terminating, CallAction::TerminatePort),
            // 20
            Place::RecycleBin => (Reason::Destroying, CallAction::DestroyPort),
        };
        call(reason, action, port, credential)
    })
}

fn other_finalizers(input: &Input<'_>) -> Option<String> {
    let finalizers = input.object.metadata.finalizers.iter().flatten();
    let others: Vec<&str> =
        finalizers.map(String::as_str).filter(|finalizer| *finalizer != FINALIZER).collect();
    (!others.is_empty()).then(|| others.join(", "))
}

/// The port was in the bin during this deletion, and somebody has restored it; or perhaps has, as long as only one reading
/// says so.
fn restored(input: &Input<'_>, status: &ZenlayerPortStatus, reading: &Reading) -> Option<Verdict> {
    let id = &input.object.spec.port_id;
    let release = status.release.as_ref()?;
    if release.restorations > 0 && !input.object.approves_given(Reason::RestoredElsewhere, status) {
        let fact = match &release.call {
            Some(call) if call.without_effect => format!(
                "Zenlayer accepted TerminatePort for port {id}, but the port is still running. Either Zenlayer dropped the \
                 request, or someone restored the port from the recycle bin. The operator does not repeat it by itself."
            ),
            _ => format!(
                "Port {id} was in the recycle bin during this deletion, and someone restored it. The operator makes no \
                 changes to it."
            ),
        };
        return Some(Verdict::wait(Reason::RestoredElsewhere, fact, Cadence::Slow));
    }
    let known_at = facts::restoration_known_at(input, status)?;
    let fact = format!(
        "Port {id} was in the recycle bin and is running now. The operator checks again whether someone restored \
         it."
    );
    let verdict = Verdict::wait(Reason::Observing, fact, Cadence::Release).fresh_after(known_at);
    Some(verdict.show_after(reading.since + input.timing.quiet))
}

/// An act needs a reading that is fresh enough to justify it, and that began at `not_before` or later; without one, one is
/// asked for.
fn if_fresh(
    input: &Input<'_>,
    evidence: &Evidence,
    reading: &Reading,
    not_before: Monotonic,
    act: impl FnOnce() -> Verdict,
) -> Verdict {
    let is_young = input.now.monotonic.since(reading.at) <= input.timing.reading_valid;
    if is_young && reading.at >= not_before { act() } else { upkeep::unread(input, evidence) }
}

/// What was read before the deletion justifies nothing that the deletion asks for.
fn seen_deletion(input: &Input<'_>) -> Monotonic {
    input.context.deletion_known_since.unwrap_or(input.now.monotonic)
}

fn destroyed(input: &Input<'_>, status: &ZenlayerPortStatus) -> Verdict {
    let id = &input.object.spec.port_id;
    if status.release.as_ref().is_some_and(proof::destroyed_by_us) {
        Verdict::let_go(Reason::PortDestroyed, format!("Port {id} is DESTROYED."))
    } else {
        Verdict::let_go(Reason::PortGone, format!("Port {id} is DESTROYED. Someone else destroyed it."))
    }
}

fn absent(input: &Input<'_>, status: &ZenlayerPortStatus, evidence: &Evidence, reading: &Reading) -> Verdict {
    let id = &input.object.spec.port_id;
    let Some(absences) = evidence.absences else { return upkeep::unread(input, evidence) };
    match proof::of_absence(input, status, evidence, absences) {
        Proof::Gone(reason) => if_fresh(input, evidence, reading, reading.at, || {
            let fact = match reason {
                Reason::PortNeverFound => format!(
                    "Zenlayer never returned port {id} for these credentials. The operator destroyed nothing."
                ),
                _ => format!(
                    "Zenlayer no longer lists port {id}: {} status checks did not find it.",
                    absences.count
                ),
            };
            Verdict::let_go(reason, fact)
        }),
        Proof::NotYet { fresh_after } => Verdict::wait(
            Reason::ConfirmingAbsence,
            format!(
                "Zenlayer does not list port {id}. The operator checks again to make sure that the port is gone."
            ),
            Cadence::Release,
        )
        .fresh_after(fresh_after)
        .show_after(absences.first + input.timing.quiet),
        Proof::Unprovable => Verdict::wait(
            Reason::AbsenceUnproven,
            format!(
                "Zenlayer does not list port {id} for the current credentials. It listed the port before, but \
                 never for these credentials. They may belong to another account or may not see every port, so \
                 this does not prove that the port is gone."
            ),
            Cadence::Slow,
        ),
    }
}

fn in_transition(input: &Input<'_>, status: &ZenlayerPortStatus, port: &PortInfo) -> Verdict {
    let id = &input.object.spec.port_id;
    let call = status.release.as_ref().and_then(|release| release.call.as_ref());
    let follows_our_call = port.port_status == PortStatus::Deleting
        && call.is_some_and(|call| call.action == CallAction::TerminatePort && call.landed);
    if follows_our_call {
        return Verdict::wait(
            Reason::Terminating,
            format!("Zenlayer is moving port {id} to the recycle bin."),
            Cadence::Release,
        );
    }
    let word = port.port_status.as_str();
    Verdict::wait(
        Reason::PortBusy,
        format!("Port {id} is {word}. The operator waits until that ends."),
        Cadence::Release,
    )
}

fn awaiting_call(input: &Input<'_>, call: &Call, until: Until) -> Verdict {
    let id = &input.object.spec.port_id;
    let name = call.action.as_str();
    let follows = match call.action {
        CallAction::TerminatePort => Reason::Terminating,
        CallAction::DestroyPort => Reason::Destroying,
    };
    match until {
        Until::Settled(at) => {
            let sent = match &call.outcome {
                CallOutcome::Unclear { why } => {
                    format!("The operator sent {name} for port {id} and got no clear answer: {why}.")
                }
                _ => format!(
                    "The operator may have sent {name} for port {id}, but has no record of an answer."
                ),
            };
            let fact =
                format!("{sent} It checks the port to learn whether Zenlayer carried out the request.");
            Verdict::wait(Reason::Confirming, fact, Cadence::Release).fresh_after(at)
        }
        Until::Landed(at) => Verdict::wait(
            follows,
            format!(
                "Zenlayer accepted {name} for port {id}, but the status of the port has not changed yet."
            ),
            Cadence::Release,
        )
        .fresh_after(at),
        Until::Read(at) => Verdict::wait(
            follows,
            format!("{name} for port {id} took effect. The operator checks the port again."),
            Cadence::Release,
        )
        .fresh_after(at),
    }
}

/// Another object owns the port too, or may: what it has seen is not known yet.
fn claimed(input: &Input<'_>, port: &PortInfo) -> Option<Verdict> {
    let now = input.now.monotonic;
    let created_time = port.created_time.as_deref();
    match claims::obstacle(input.object, created_time, &input.context.claims, now)? {
        Obstacle::Owner(claim) => Some(upkeep::claimed(input, claim)),
        Obstacle::PerhapsAnOwner { until } => {
            let fact = format!(
                "Another ZenlayerPort has the same portId {}. The operator makes no change until it knows whether \
                 that object owns the port.",
                input.object.spec.port_id
            );
            Some(Verdict::wait(Reason::Observing, fact, Cadence::Release).deadline(until.since(now)))
        }
    }
}

/// Zenlayer refused the last call, and something uses the port. What uses it may be known wrongly, so the call is tried
/// again after the longest pause all the same.
fn in_use(input: &Input<'_>, status: &ZenlayerPortStatus) -> Option<Verdict> {
    let Attachments::Known(users) = &input.context.attachments else { return None };
    let call = status.release.as_ref()?.call.as_ref()?;
    let CallOutcome::Refused(refusal) = &call.outcome else { return None };
    let now = input.now.monotonic;
    let again = input.context.call_known_since.unwrap_or(now) + input.timing.refused_max;
    let holds = !users.is_empty() && !call.landed && record::was_refused_as_is(call) && now < again;
    holds.then(|| {
        let (id, name) = (&input.object.spec.port_id, call.action.as_str());
        let fact = format!(
            "Port {id} is in use by {}. Zenlayer refused {name} with {refusal} (attempt {}).",
            first_of(users),
            call.attempt
        );
        Verdict::wait(Reason::InUse, fact, Cadence::Slow).fresh_after(again)
    })
}

/// The first few, and how many there are beside.
fn first_of(users: &[String]) -> String {
    const SHOWN: usize = 5;
    let (shown, more) = users.split_at(users.len().min(SHOWN));
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    format!("{}{more}", shown.join(", "))
}

/// The last call changed nothing; there is a pause before the next.
fn failed(input: &Input<'_>, call: &Call, failure: CallFailure<'_>, until: Monotonic) -> Verdict {
    let id = &input.object.spec.port_id;
    let name = call.action.as_str();
    let attempt = call.attempt;
    let (reason, fact) = match failure {
        CallFailure::Refused(refusal) => (
            upkeep::cause(refusal.kind).unwrap_or(Reason::Refused),
            format!("Zenlayer refused {name} for port {id} with {refusal} (attempt {attempt})."),
        ),
        CallFailure::NotSent { cause, why } => (
            not_sent(cause),
            format!("The operator did not send {name} for port {id} (attempt {attempt}): {why}."),
        ),
    };
    let soon = until.since(input.now.monotonic) <= input.timing.held_interval;
    Verdict::wait(reason, fact, if soon { Cadence::Release } else { Cadence::Slow }).fresh_after(until)
}

fn not_sent(cause: NotSentCause) -> Reason {
    match cause {
        NotSentCause::Throttled => Reason::Throttled,
        NotSentCause::NoConnection | NotSentCause::Unknown => Reason::CloudUnavailable,
        // The operator's own doing: the call is due again after the pause.
        NotSentCause::RecordTooSlow | NotSentCause::CredentialsChanged => Reason::Queued,
    }
}

fn call(reason: Reason, action: CallAction, port: &PortInfo, credential: &Fingerprint) -> Verdict {
    let before = port.port_status.as_str();
    let fact =
        format!("The operator calls {} for port {}, which is {before}.", action.as_str(), port.port_id);
    Verdict {
        act: Act::Call { action, port_status: before.to_owned(), credential: credential.clone() },
        ..Verdict::wait(reason, fact, Cadence::Release)
    }
}
