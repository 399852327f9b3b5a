//! The write-ahead record: what is written before a call, and what its outcome makes of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::backoff::exponential;
use super::{Input, Intent, Warrant};
use crate::answer::{NotSentCause, Refusal, RefusalKind};
use crate::api::{Call, CallAction, CallOutcome, Release, ZenlayerPort, ZenlayerPortStatus};
use crate::clock::Monotonic;
use crate::fingerprint::Fingerprint;
use crate::reading::Reading;

/// What the newest record says about the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing<'a> {
    /// Nothing stands in the way.
    Free,
    /// The call may still be carried out, or its effect is still awaited.
    Blocks(&'a Call, Until),
    /// It changed nothing, and the pause after that ends then.
    Failed { call: &'a Call, failure: CallFailure<'a>, until: Monotonic },
}

/// Why a call changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallFailure<'a> {
    Refused(&'a Refusal),
    NotSent { cause: NotSentCause, why: &'a str },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Carried out, as another reading has shown: one sent then or later tells what became of the port.
    Read(Monotonic),
    /// Not known to be carried out or not: a reading sent then or later tells.
    Settled(Monotonic),
    /// Accepted, not seen to land yet; given up then.
    Landed(Monotonic),
}

pub(super) fn standing<'a>(
    input: &Input<'_>,
    release: Option<&'a Release>,
    reading: &Reading,
) -> Standing<'a> {
    let Some(call) = release.and_then(|release| release.call.as_ref()) else { return Standing::Free };
    let now = input.now.monotonic;
    // Not known yet to this process: known from now on.
    let known = input.context.call_known_since.unwrap_or(now);
    match &call.outcome {
        // A reading from before the call still shows the port as the call found it.
        _ if call.landed && reading.at >= known => Standing::Free,
        _ if call.landed => Standing::Blocks(call, Until::Read(known)),
        CallOutcome::Pending {} | CallOutcome::Unclear { .. } => {
            let settled = known + input.timing.settle;
            if reading.at >= settled {
                Standing::Free
            } else {
                Standing::Blocks(call, Until::Settled(settled))
            }
        }
        CallOutcome::Accepted { .. } => {
            let given_up = known + input.timing.land;
            if reading.at >= given_up {
                Standing::Free
            } else {
                Standing::Blocks(call, Until::Landed(given_up))
            }
        }
        CallOutcome::Refused(refusal) => failed(input, call, CallFailure::Refused(refusal), known, reading),
        CallOutcome::NotSent { cause, why } => {
            failed(input, call, CallFailure::NotSent { cause: *cause, why }, known, reading)
        }
    }
}

/// Whether the call was refused for the port's own sake, and not because of who asked, how often or when.
pub fn was_refused_as_is(call: &Call) -> bool {
    matches!(&call.outcome, CallOutcome::Refused(refusal) if refusal.kind == RefusalKind::Other)
}

fn failed<'a>(
    input: &Input<'_>,
    call: &'a Call,
    failure: CallFailure<'a>,
    known: Monotonic,
    reading: &Reading,
) -> Standing<'a> {
    let now = input.now.monotonic;
    let earlier = u32::try_from(call.attempt.saturating_sub(1)).unwrap_or(u32::MAX);
    let until = known + exponential(input.timing.refused_min, input.timing.refused_max, earlier);
    // A failure is followed by a reading: the port may have changed under our feet.
    if now >= until && reading.at >= known {
        Standing::Free
    } else {
        Standing::Failed { call, failure, until: until.max(now) }
    }
}

/// The next call after those that `status` knows of: its pending record, and the warrant for it.
pub(super) fn intend(
    input: &Input<'_>,
    status: &ZenlayerPortStatus,
    action: CallAction,
    port_status_before: &str,
    credential: &Fingerprint,
) -> Intent {
    let uid = input.object.metadata.uid.clone().unwrap_or_default();
    let last = status.release.as_ref().and_then(|release| release.call.as_ref());
    let attempt = last.map_or(0, |call| call.attempt).saturating_add(1);
    let record = Call {
        action,
        attempt,
        requested_time: Time(input.now.wall),
        port_status_before: port_status_before.to_owned(),
        credential: credential.clone(),
        landed: false,
        settled: false,
        without_effect: false,
        outcome: CallOutcome::Pending {},
    };
    let port_id = input.object.spec.port_id.clone();
    Intent { record, warrant: Warrant { action, port_id, uid, attempt, credential: credential.clone() } }
}

pub(super) fn is_pending(object: &ZenlayerPort, uid: &str, attempt: i64) -> bool {
    object.metadata.uid.as_deref() == Some(uid)
        && object
            .release()
            .and_then(|release| release.call.as_ref())
            .is_some_and(|call| call.attempt == attempt && call.outcome == CallOutcome::Pending {})
}

/// The object's status with the outcome of its newest call.
pub fn with_outcome(object: &ZenlayerPort, outcome: CallOutcome) -> ZenlayerPortStatus {
    let mut status = object.status.clone().unwrap_or_default();
    if let Some(release) = status.release.as_mut()
        && let Some(call) = release.call.as_mut()
    {
        release.destroy_accepted |=
            call.action == CallAction::DestroyPort && matches!(outcome, CallOutcome::Accepted { .. });
        call.outcome = outcome;
    }
    status
}
