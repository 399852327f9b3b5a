//! What an object's status must remember of what was just seen, before anything is decided.

use super::Input;
use super::sighting::{Presence, Reading};
use crate::api::{CallAction, ObservedPort, PortIdentity, Reason, Release, ZenlayerPortStatus};
use crate::clock::Monotonic;
use crate::fingerprint::Fingerprint;
use crate::port::{PortInfo, PortStatus, same_instant};

/// How many fingerprints `identity.seenBy` keeps.
const SEEN_BY_MAX: usize = 4;

/// Whether the port seen now is the one that this object saw first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    Same,
    /// The id now names a port with another creation time.
    Changed,
}

/// The object's status with the newest good reading taken in. The conditions are left for the decision to set.
pub(super) fn remember(input: &Input<'_>) -> ZenlayerPortStatus {
    let mut status = input.object.status.clone().unwrap_or_default();
    let reading = input.evidence.and_then(|evidence| evidence.good.as_ref().map(|good| (evidence, good)));

    let mut adopted = false;
    if let Some((evidence, Reading { presence: Presence::Seen(port), .. })) = reading {
        status.port = Some(ObservedPort::from(port));
        if identity(input, &status, port) == Identity::Same {
            adopted = is_another(&status, port);
            take_in_identity(&mut status, port, &evidence.by);
        }
    }
    if input.object.is_terminating() {
        let mut release = input.object.release().cloned().unwrap_or_else(|| Release {
            uid: input.object.metadata.uid.clone().unwrap_or_default(),
            ..Release::default()
        });
        if adopted {
            // What this deletion knows of the port before says nothing of this one; a call may still reach it, by its id.
            release = Release {
                uid: release.uid,
                latched: release.latched,
                call: release.call,
                ..Release::default()
            };
        }
        if let Some((_, good)) = reading {
            take_in_release(&mut release, input, &status, good);
        }
        status.release = Some(release);
    }
    status
}

/// A port that is another, but for which a person gave consent, is the object's own.
pub(super) fn identity(input: &Input<'_>, status: &ZenlayerPortStatus, port: &PortInfo) -> Identity {
    if is_another(status, port) && !input.object.approves(Reason::IdentityChanged) {
        Identity::Changed
    } else {
        Identity::Same
    }
}

/// A creation time that is missing is unknown, not different.
fn is_another(status: &ZenlayerPortStatus, port: &PortInfo) -> bool {
    let first = status.identity.as_ref().and_then(|identity| identity.created_time.as_deref());
    first.zip(port.created_time.as_deref()).is_some_and(|(first, now)| !same_instant(first, now))
}

fn take_in_identity(status: &mut ZenlayerPortStatus, port: &PortInfo, by: &Fingerprint) {
    if is_another(status, port) {
        // Whoever saw the port before has not seen this one.
        status.identity = None;
    }
    let identity = status.identity.get_or_insert_with(PortIdentity::default);
    if port.created_time.is_some() {
        identity.created_time.clone_from(&port.created_time);
    }
    if !identity.seen_by.contains(by) {
        if identity.seen_by.len() >= SEEN_BY_MAX {
            // The newest key is the one that will have to tell of the port's end.
            identity.seen_by.remove(0);
        }
        identity.seen_by.push(by.clone());
    }
}

fn take_in_release(release: &mut Release, input: &Input<'_>, status: &ZenlayerPortStatus, good: &Reading) {
    let seen = match &good.presence {
        Presence::Seen(port) if identity(input, status, port) == Identity::Changed => return,
        Presence::Seen(port) => Some(&port.port_status),
        Presence::Absent => None,
    };
    if seen == Some(&PortStatus::Recycled) {
        release.seen_recycled = true;
    }
    if release.seen_recycled && live_long_enough(input, good) {
        release.restored = true;
    }
    let Some(call) = release.call.as_mut() else { return };
    let read_after_call = input.context.call_known_since.is_some_and(|known| good.at >= known);
    call.landed |= read_after_call
        && match (call.action, seen) {
            (CallAction::TerminatePort, Some(PortStatus::Deleting | PortStatus::Recycled)) => true,
            (CallAction::DestroyPort, Some(PortStatus::Destroying | PortStatus::Destroyed)) => true,
            // One reading without the port is not enough to call it landed: were it a slip of the list, the next call would
            // go out while this one may still be carried out. `proof` judges absences.
            (CallAction::TerminatePort | CallAction::DestroyPort, _) => false,
        };
}

/// Two readings far enough apart say that the port is live, and none between them says otherwise.
fn live_long_enough(input: &Input<'_>, good: &Reading) -> bool {
    is_live(good) && good.at.since(good.since) >= input.timing.restored_apart
}

/// When a reading will tell that the port, which this deletion saw in the bin and is live now, was restored.
pub(super) fn restoration_known_at(input: &Input<'_>, status: &ZenlayerPortStatus) -> Option<Monotonic> {
    let release = status.release.as_ref()?;
    let good = input.evidence?.good.as_ref()?;
    let Presence::Seen(port) = &good.presence else { return None };
    let is_ours = identity(input, status, port) == Identity::Same;
    (release.seen_recycled && !release.restored && is_live(good) && is_ours)
        .then(|| good.since + input.timing.restored_apart)
}

fn is_live(good: &Reading) -> bool {
    matches!(&good.presence, Presence::Seen(port) if port.port_status == PortStatus::Running)
}
