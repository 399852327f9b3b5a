//! What has to be so before a disruptive call, beside the state of the port.

use super::sighting::Cadence;
use super::status::Verdict;
use super::{CrdState, Input, Timing};
use crate::api::{
    CallAction, CallOutcome, DeletionPolicy, Reason, Release, ZenlayerPort, ZenlayerPortStatus,
};
use crate::clock::Monotonic;

/// The gate that is shut, if any. What holds for good and is known from the start is said before the grace is over.
pub(super) fn shut(input: &Input<'_>, status: &ZenlayerPortStatus) -> Option<Verdict> {
    deletion_protection(input)
        .or_else(|| mass_deletion(input, status))
        .or_else(|| approval(input))
        .or_else(|| grace(input))
        .or_else(|| crd_deletion(input))
}

fn deletion_protection(input: &Input<'_>) -> Option<Verdict> {
    input.object.spec.deletion_protection.then(|| {
        hold(
            Reason::DeletionProtected,
            format!(
                "Nothing is called for port {}: spec.deletionProtection is true.",
                input.object.spec.port_id
            ),
        )
    })
}

/// Marks, for good, a deletion that is one of too many at once, unless its DestroyPort was sent already.
pub(super) fn latch(input: &Input<'_>, mut status: ZenlayerPortStatus) -> ZenlayerPortStatus {
    let too_many = input
        .context
        .gates
        .mass_deletion_threshold
        .is_some_and(|threshold| input.context.deletions_at_once > threshold.get());
    if let Some(release) = status.release.as_mut()
        && too_many
        && !was_sent(release)
        && !input.object.approves(Reason::MassDeletion)
    {
        release.latched = true;
    }
    status
}

fn was_sent(release: &Release) -> bool {
    release.call.as_ref().is_some_and(|call| match call.outcome {
        CallOutcome::Refused(_) | CallOutcome::NotSent { .. } => false,
        CallOutcome::Pending {} | CallOutcome::Accepted { .. } | CallOutcome::Unclear { .. } => {
            call.action == CallAction::DestroyPort
        }
    })
}

fn mass_deletion(input: &Input<'_>, status: &ZenlayerPortStatus) -> Option<Verdict> {
    let latched = status.release.as_ref().is_some_and(|release| release.latched);
    (latched && !input.object.approves(Reason::MassDeletion)).then(|| {
        hold(
            Reason::MassDeletion,
            format!(
                "Port {} is one of many whose deletion began at about the same time; nothing is called.",
                input.object.spec.port_id
            ),
        )
    })
}

fn crd_deletion(input: &Input<'_>) -> Option<Verdict> {
    let id = &input.object.spec.port_id;
    match &input.context.crd {
        CrdState::Stays | CrdState::NotGranted => None,
        CrdState::Terminating => (!input.object.approves(Reason::CRDDeleted)).then(|| {
            hold(
                Reason::CRDDeleted,
                format!("Port {id} is not released, because the CustomResourceDefinition is being deleted."),
            )
        }),
        CrdState::Unknown(why) => {
            let fact = format!(
                "Nothing is called for port {id}: the CustomResourceDefinition could not be read: {why}."
            );
            let verdict = Verdict::wait(Reason::ClusterStateUnknown, fact, Cadence::Slow);
            Some(verdict.deadline(input.timing.release_interval))
        }
    }
}

fn approval(input: &Input<'_>) -> Option<Verdict> {
    let missing = input.context.gates.require_approval && !input.object.approves(Reason::ApprovalRequired);
    missing.then(|| {
        hold(
            Reason::ApprovalRequired,
            format!("Port {} is released once a person has approved it.", input.object.spec.port_id),
        )
    })
}

/// Whether the deletion of `object` is one of those that the brake on mass deletions counts.
pub fn counts_as_deletion(object: &ZenlayerPort) -> bool {
    object.is_terminating()
        && object.spec.deletion_policy != DeletionPolicy::Retain
        && !object.approves(Reason::MassDeletion)
}

/// Whether the grace of a deletion that is known since then is over.
pub fn grace_is_over(known_since: Option<Monotonic>, timing: &Timing, now: Monotonic) -> bool {
    now >= grace_ends(known_since, timing, now)
}

/// Measured from when this process saw the deletion, which was after `deletionTimestamp`, whatever the clocks say.
pub(super) fn grace_ends(known_since: Option<Monotonic>, timing: &Timing, now: Monotonic) -> Monotonic {
    known_since.unwrap_or(now) + timing.grace
}

fn grace(input: &Input<'_>) -> Option<Verdict> {
    let now = input.now.monotonic;
    let ends = grace_ends(input.context.deletion_known_since, input.timing, now);
    let remaining = ends.since(now);
    (!remaining.is_zero()).then(|| {
        Verdict::wait(
            Reason::GracePeriod,
            format!(
                "Nothing is called for port {} in the first moments of a deletion, nor before its turn among the \
                 account's calls.",
                input.object.spec.port_id
            ),
            Cadence::Paused,
        )
        .fresh_after(ends)
        .deadline(remaining)
    })
}

fn hold(reason: Reason, fact: String) -> Verdict {
    Verdict::wait(reason, fact, Cadence::Slow)
}
