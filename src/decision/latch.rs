//! What is marked in the status of an object until a person approves it: one of many deletions, and a deletion of the CRD.

use super::{CrdState, Input};
use crate::api::{CallAction, CallOutcome, DeletionPolicy, Reason, Release, ZenlayerPort};

/// Marks a deletion that a person has to approve. The mark stays when its cause is over.
pub(super) fn mark(input: &Input<'_>, release: &mut Release) {
    release.latched |= is_one_of_too_many(input, release);
    release.crd_deleted |= goes_with_its_crd(input);
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
