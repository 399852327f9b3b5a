//! When not being listed proves that a port is gone (`docs/architecture.md`, proof).
//!
//! A key of another account also answers "no such port", and so does a key that Zenlayer limits to a resource group. So an
//! absence proves something only if the key that reports it has seen this very port, or nobody ever has. Of a port that is known
//! to be on its way out, another key of the same account may report the end.

use std::time::Duration;

use super::Input;
use crate::api::{Call, CallAction, CallOutcome, ObservedPort, Reason, Release, ZenlayerPortStatus};
use crate::clock::Monotonic;
use crate::port::PortStatus;
use crate::reading::{Absences, Evidence};

/// What a run of absences is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// The port is gone, and this is how to say so.
    Gone(Reason),
    /// A good reading without the port, sent at this time or later, will prove it.
    NotYet { fresh_after: Monotonic },
    /// The credential never saw the port, and may not see it at all: no number of its readings proves anything.
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
    let saw_it = identity.seen_by.contains(&evidence.by);
    let is_of_the_account = identity.seen_by.iter().any(|by| input.context.same_account.contains(by));
    if saw_it || (is_of_the_account && is_leaving(status)) {
        judge(&demand(input, status), absences)
    } else {
        Proof::Unprovable
    }
}

/// Nothing brings the port back: Zenlayer accepted our DestroyPort, or it was last seen while it was destroyed, or after that.
fn is_leaving(status: &ZenlayerPortStatus) -> bool {
    let accepted = status.release.as_ref().is_some_and(|release| release.destroy_accepted);
    accepted || matches!(last_seen(status), PortStatus::Destroying | PortStatus::Destroyed)
}

fn last_seen(status: &ZenlayerPortStatus) -> PortStatus {
    status.port.as_ref().map(ObservedPort::port_status).unwrap_or_default()
}

fn never_seen(input: &Input<'_>, absences: Absences) -> Proof {
    let proof = &input.timing.proof;
    let too_young = proof.never_seen_object_age.saturating_sub(age(input));
    match judge(&Demand { readings: 2, span: proof.never_seen, says: Reason::PortNeverFound }, absences) {
        Proof::Gone(_) if !too_young.is_zero() => {
            Proof::NotYet { fresh_after: input.now.monotonic + too_young }
        }
        verdict => verdict,
    }
}

/// How old the object is at least. Both of its times are the API server's, and what passed since is this process's: clocks that
/// differ make it neither too old nor young for ever.
fn age(input: &Input<'_>) -> Duration {
    let metadata = &input.object.metadata;
    let lived = metadata.creation_timestamp.as_ref().zip(metadata.deletion_timestamp.as_ref());
    let lived = lived.map(|(creation, deletion)| deletion.0.duration_since(creation.0));
    let lived = lived.and_then(|lived| Duration::try_from(lived).ok()).unwrap_or_default();
    let known_since = input.context.deletion_known_since;
    lived.saturating_add(known_since.map_or(Duration::ZERO, |since| input.now.monotonic.since(since)))
}

fn demand(input: &Input<'_>, status: &ZenlayerPortStatus) -> Demand {
    let timing = &input.timing.proof;
    let ours = status.release.as_ref().is_some_and(destroyed_by_us);
    let accepted = status.release.as_ref().is_some_and(|release| release.destroy_accepted);
    let says = if ours { Reason::PortDestroyed } else { Reason::PortGone };
    match last_seen(status) {
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
            && !matches!(call.outcome, CallOutcome::Refused(_) | CallOutcome::NotSent { .. })
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
