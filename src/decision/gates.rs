//! What has to be so before a disruptive call, beside the state of the port.

use super::sighting::Cadence;
use super::status::Verdict;
use super::{CrdState, Input, Listing, Timing};
use crate::api::{
    CallAction, CallOutcome, DeletionPolicy, Reason, Release, ZenlayerPort, ZenlayerPortStatus,
};
use crate::clock::Monotonic;

/// The gate that is shut, if any. What holds for good and is known from the start is said before the grace is over.
pub(super) fn shut(input: &Input<'_>, status: &ZenlayerPortStatus) -> Option<Verdict> {
    deletion_protection(input)
        .or_else(|| mass_deletion(input, status))
        .or_else(|| approval(input))
        .or_else(|| crd_deletion(input, status))
        .or_else(|| grace(input))
        .or_else(|| unread_crd(input))
        .or_else(|| listing(input))
}

fn deletion_protection(input: &Input<'_>) -> Option<Verdict> {
    input.object.spec.deletion_protection.then(|| {
        hold(
            Reason::DeletionProtected,
            format!(
                "The operator does not change port {}, because spec.deletionProtection is true.",
                input.object.spec.port_id
            ),
        )
    })
}

/// Marks a deletion for good that a person has to approve: it stays held when what held it is over.
pub(super) fn latch(input: &Input<'_>, mut status: ZenlayerPortStatus) -> ZenlayerPortStatus {
    if let Some(release) = status.release.as_mut() {
        release.latched |= is_one_of_too_many(input, release);
        release.crd_deleted |= goes_with_its_crd(input);
    }
    status
}

/// Unless its DestroyPort was sent already.
fn is_one_of_too_many(input: &Input<'_>, release: &Release) -> bool {
    let too_many = input
        .context
        .gates
        .mass_deletion_threshold
        .is_some_and(|threshold| input.context.deletions_at_once > threshold.get());
    too_many && !was_sent(release) && !input.object.approves(Reason::MassDeletion)
}

/// The deletion of the CRD deletes all objects. If the CRD is younger than the deletion of the object, another one was there
/// before, and its deletion may have been what deleted the object. Times are in whole seconds.
fn goes_with_its_crd(input: &Input<'_>) -> bool {
    let object = input.object;
    let may_go_with_it = match &input.context.crd {
        CrdState::Terminating => true,
        CrdState::Stays { created } => {
            object.metadata.deletion_timestamp.as_ref().is_some_and(|deletion| deletion.0 <= *created)
        }
        CrdState::NotGranted | CrdState::Unknown(_) => false,
    };
    may_go_with_it && !object.approves(Reason::CRDDeleted)
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
                "This is one of many deletions of the same account within a short time. The operator does not \
                 change port {} until you approve the deletion.",
                input.object.spec.port_id
            ),
        )
    })
}

fn crd_deletion(input: &Input<'_>, status: &ZenlayerPortStatus) -> Option<Verdict> {
    let latched = status.release.as_ref().is_some_and(|release| release.crd_deleted);
    (latched && !input.object.approves(Reason::CRDDeleted)).then(|| {
        hold(
            Reason::CRDDeleted,
            format!(
                "The CustomResourceDefinition is being deleted, or was deleted and created again. This may have \
                 deleted the object, so the operator does not change port {} until you approve the deletion.",
                input.object.spec.port_id
            ),
        )
    })
}

fn unread_crd(input: &Input<'_>) -> Option<Verdict> {
    let CrdState::Unknown(why) = &input.context.crd else { return None };
    let id = &input.object.spec.port_id;
    let fact = format!(
        "The operator does not change port {id}, because it could not read the CustomResourceDefinition: {why}."
    );
    let verdict = Verdict::wait(Reason::ClusterStateUnknown, fact, Cadence::Slow);
    Some(verdict.deadline(input.timing.release_interval))
}

/// Another object that is not known yet may own the port, or be one deletion too many.
fn listing(input: &Input<'_>) -> Option<Verdict> {
    let (since, why) = match input.context.listing {
        Listing::Complete => return None,
        Listing::UnderWay { since } => (since, "it is still listing the ZenlayerPorts"),
        Listing::Behind { since } => {
            (since, "the Kubernetes API server has not sent it all changes from before this deletion")
        }
    };
    let id = &input.object.spec.port_id;
    let fact = format!("The operator does not change port {id} yet, because {why}.");
    let verdict = Verdict::wait(Reason::ClusterStateUnknown, fact, Cadence::Release);
    Some(verdict.deadline(input.timing.release_interval).show_after(since + input.timing.quiet))
}

fn approval(input: &Input<'_>) -> Option<Verdict> {
    let missing = input.context.gates.require_approval && !input.object.approves(Reason::ApprovalRequired);
    missing.then(|| {
        hold(
            Reason::ApprovalRequired,
            format!(
                "The operator does not change port {} until you approve the deletion.",
                input.object.spec.port_id
            ),
        )
    })
}

/// How far a deletion is, as the brake on mass deletions sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletionProgress {
    /// Nobody deletes the object, or its policy or a person exempts it.
    NotCounted,
    /// Its port may still be called for.
    Due,
    /// Its DestroyPort was sent.
    Called,
    /// Our finalizer is off.
    Released,
}

pub fn deletion_progress(object: &ZenlayerPort) -> DeletionProgress {
    if !object.is_terminating() {
        DeletionProgress::NotCounted
    } else if !object.has_finalizer() {
        DeletionProgress::Released
    } else if object.spec.deletion_policy == DeletionPolicy::Retain || object.approves(Reason::MassDeletion) {
        DeletionProgress::NotCounted
    } else if object.release().is_some_and(was_sent) {
        DeletionProgress::Called
    } else {
        DeletionProgress::Due
    }
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
                "The operator does not change port {} during the grace period. After that, the request for the \
                 port may wait for other requests of the same account.",
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
