//! When not being listed proves that a port is gone (`docs/architecture.md`, proof).
//!
//! Another account's key also answers "no such port", and must never release anything: so an absence proves something
//! only if whoever reports it has seen this very port, or nobody ever has.

use std::time::Duration;

use jiff::SignedDuration;

use super::Input;
use super::sighting::{Absences, Evidence};
use crate::api::{Call, CallAction, CallOutcome, ObservedPort, Reason, Release, ZenlayerPortStatus};
use crate::clock::Monotonic;
use crate::port::PortStatus;

/// What a run of absences is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// The port is gone, and this is how to say so.
    Gone(Reason),
    /// A good reading without the port, sent at this time or later, will prove it.
    NotYet { fresh_after: Monotonic },
    /// The credential never saw the port: no number of its readings proves anything.
    Unprovable,
}

/// How many good readings over what span prove the absence, given what was last known of the port.
struct Demand {
    readings: u32,
    span: Duration,
    says: Reason,
}

pub(super) fn of_absence(
    input: &Input<'_>,
    status: &ZenlayerPortStatus,
    evidence: &Evidence,
    absences: Absences,
) -> Proof {
    let Some(identity) = &status.identity else {
        return never_seen(input, absences);
    };
    let by_a_witness = identity.seen_by.contains(&evidence.by)
        || identity.seen_by.iter().any(|witness| input.context.same_account.contains(witness));
    if by_a_witness { judge(&demand(input, status), absences) } else { Proof::Unprovable }
}

fn never_seen(input: &Input<'_>, absences: Absences) -> Proof {
    let proof = &input.timing.proof;
    let age = input
        .object
        .metadata
        .creation_timestamp
        .as_ref()
        .map_or(SignedDuration::ZERO, |creation| input.now.wall.duration_since(creation.0));
    let too_young = SignedDuration::try_from(proof.never_seen_object_age)
        .unwrap_or(SignedDuration::MAX)
        .saturating_sub(age);
    match judge(&Demand { readings: 2, span: proof.never_seen, says: Reason::PortNeverFound }, absences) {
        Proof::Gone(_) if too_young.is_positive() => {
            let wait = too_young.unsigned_abs().min(proof.never_seen_object_age);
            Proof::NotYet { fresh_after: input.now.monotonic + wait }
        }
        verdict => verdict,
    }
}

fn demand(input: &Input<'_>, status: &ZenlayerPortStatus) -> Demand {
    let timing = &input.timing.proof;
    let ours = status.release.as_ref().is_some_and(destroyed_by_us);
    let accepted = status.release.as_ref().is_some_and(|release| release.destroy_accepted);
    let says = if ours { Reason::PortDestroyed } else { Reason::PortGone };
    let last_seen = status.port.as_ref().map(ObservedPort::port_status).unwrap_or_default();
    match last_seen {
        _ if accepted => Demand { readings: 2, span: timing.destroyed, says },
        PortStatus::Destroying | PortStatus::Destroyed => {
            Demand { readings: 2, span: timing.destroyed, says }
        }
        PortStatus::Recycled | PortStatus::Deleting => Demand { readings: 3, span: timing.recycled, says },
        PortStatus::Creating
        | PortStatus::Running
        | PortStatus::Updating
        | PortStatus::Recovering
        | PortStatus::Unknown(_) => Demand { readings: 3, span: timing.otherwise, says },
    }
}

/// Whether the port's end is the doing of this deletion: a DestroyPort of it was accepted, or was sent and not refused.
pub(super) fn destroyed_by_us(release: &Release) -> bool {
    let sent = |call: &Call| {
        call.action == CallAction::DestroyPort
            && !matches!(call.outcome, CallOutcome::Refused { .. } | CallOutcome::NotSent { .. })
    };
    release.destroy_accepted || release.call.as_ref().is_some_and(sent)
}

fn judge(demand: &Demand, absences: Absences) -> Proof {
    let spanned = absences.last.since(absences.first) >= demand.span;
    if absences.count >= demand.readings && spanned {
        return Proof::Gone(demand.says);
    }
    let next = absences.last + Duration::from_nanos(1);
    Proof::NotYet { fresh_after: next.max(absences.first + demand.span) }
}
