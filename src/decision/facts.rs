//! What is known of an object's port and of its deletion: what its status holds beside the conditions. Facts are only
//! ever added to, so that they can be carried from one reconcile to the next whatever becomes of the plan.

use std::borrow::Cow;

use jiff::SignedDuration;

use super::{CredentialState, Input, latch};
use crate::api::{
    Call, CallAction, CallOutcome, ObservedPort, PortIdentity, Reason, Release, ZenlayerPort,
    ZenlayerPortStatus,
};
use crate::clock::Monotonic;
use crate::fingerprint::Fingerprint;
use crate::port::{PortInfo, PortStatus, same_instant};
use crate::reading::{Presence, Reading};

/// How many fingerprints `identity.seenBy` keeps.
const SEEN_BY_MAX: usize = 4;

/// The part of a status that was learnt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    port: Option<ObservedPort>,
    identity: Option<PortIdentity>,
    release: Option<Release>,
}

/// Whether the port seen now is the one that this object saw first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    Same,
    /// The id now names a port with another creation time.
    Changed,
}

impl Facts {
    pub fn of(status: &ZenlayerPortStatus) -> Self {
        let ZenlayerPortStatus { port, identity, release, observed_generation: _, conditions: _ } = status;
        Self { port: port.clone(), identity: identity.clone(), release: release.clone() }
    }

    /// None if `known` is borrowed from the object's status.
    pub(super) fn if_new(known: Cow<'_, ZenlayerPortStatus>) -> Option<Self> {
        match known {
            Cow::Borrowed(_) => None,
            Cow::Owned(ZenlayerPortStatus { port, identity, release, .. }) => {
                Some(Self { port, identity, release })
            }
        }
    }

    /// The facts that the API server has of `object`.
    pub fn stored_in(object: &ZenlayerPort) -> Self {
        object.status.as_ref().map(Self::of).unwrap_or_default()
    }

    /// The newest call, if it took effect.
    pub fn landed(&self) -> Option<&Call> {
        self.release.as_ref()?.call.as_ref().filter(|call| call.landed)
    }

    pub(super) fn put_into(self, status: &mut ZenlayerPortStatus) {
        let Self { port, identity, release } = self;
        (status.port, status.identity, status.release) = (port, identity, release);
    }

    /// Whether they hold all that is `learnt`.
    pub fn include(&self, learnt: &Self) -> bool {
        self.clone().with(learnt) == *self
    }

    /// These facts, which are stored, with those that were `learnt` from them since and may not be stored yet. Nothing of
    /// either is lost, and the record of a call is the newer of the two.
    #[must_use]
    pub(super) fn with(self, learnt: &Self) -> Self {
        let adopted = self.identity.as_ref().zip(learnt.identity.as_ref()).is_some_and(|(stored, learnt)| {
            let times = stored.created_time.as_deref().zip(learnt.created_time.as_deref());
            times.is_some_and(|(stored, learnt)| !same_instant(stored, learnt))
        });
        let release = match (self.release, learnt.release.clone()) {
            (Some(stored), Some(learnt)) if stored.uid == learnt.uid => {
                Some(newer_release(stored, learnt, adopted))
            }
            (stored, learnt) => learnt.or(stored),
        };
        let identity = match (self.identity, learnt.identity.clone()) {
            (Some(stored), Some(learnt)) if !adopted => Some(both_identities(&stored, learnt)),
            (stored, learnt) => learnt.or(stored),
        };
        Self { port: learnt.port.clone().or(self.port), identity, release }
    }
}

fn both_identities(stored: &PortIdentity, mut learnt: PortIdentity) -> PortIdentity {
    learnt.created_time = learnt.created_time.or_else(|| stored.created_time.clone());
    for witness in stored.seen_by.iter().rev() {
        if learnt.seen_by.len() < SEEN_BY_MAX && !learnt.seen_by.contains(witness) {
            learnt.seen_by.insert(0, witness.clone());
        }
    }
    learnt
}

fn newer_release(stored: Release, learnt: Release, adopted: bool) -> Release {
    // What was stored of the port before tells nothing of the one that was adopted.
    let of_port = if adopted || learnt.restorations > stored.restorations { &learnt } else { &stored };
    let of_both = !adopted && learnt.restorations == stored.restorations;
    Release {
        seen_recycled: of_port.seen_recycled || (of_both && learnt.seen_recycled),
        restorations: of_port.restorations,
        latched: stored.latched || learnt.latched,
        crd_deleted: stored.crd_deleted || learnt.crd_deleted,
        destroy_accepted: learnt.destroy_accepted || (!adopted && stored.destroy_accepted),
        credentials_seen: stored.credentials_seen || learnt.credentials_seen,
        call: newer_call(stored.call, learnt.call),
        uid: learnt.uid,
    }
}

fn newer_call(stored: Option<Call>, learnt: Option<Call>) -> Option<Call> {
    match (stored, learnt) {
        (Some(stored), Some(learnt)) if stored.attempt == learnt.attempt => Some(Call {
            landed: stored.landed || learnt.landed,
            settled: stored.settled || learnt.settled,
            without_effect: stored.without_effect || learnt.without_effect,
            outcome: if stored.outcome == (CallOutcome::Pending {}) {
                learnt.outcome
            } else {
                stored.outcome
            },
            ..learnt
        }),
        (Some(stored), Some(learnt)) if stored.attempt > learnt.attempt => Some(stored),
        (stored, learnt) => learnt.or(stored),
    }
}

/// The object's status with what was learnt before and the newest good reading taken in; borrowed if that is nothing new.
/// The conditions are left for the decision to set.
pub(super) fn remember<'a>(input: &Input<'a>) -> Cow<'a, ZenlayerPortStatus> {
    static NOTHING: ZenlayerPortStatus = ZenlayerPortStatus {
        observed_generation: None,
        port: None,
        identity: None,
        release: None,
        conditions: Vec::new(),
    };
    let mut status = Cow::Borrowed(input.object.status.as_ref().unwrap_or(&NOTHING));
    if let Some(learnt) = &input.context.learnt {
        Facts::of(&status).with(learnt).put_into(status.to_mut());
    }
    let reading = input.evidence.and_then(|evidence| evidence.good.as_ref().map(|good| (evidence, good)));

    // Else it would count for the first restoration of another port, too.
    let consent_is_spent = input.object.approves_given(Reason::RestoredElsewhere, &status);
    let mut adopted = false;
    if let Some((evidence, Reading { presence: Presence::Seen(port), .. })) = reading {
        if status.port.as_ref().is_none_or(|known| !known.is_of(port)) {
            status.to_mut().port = Some(ObservedPort::from(port));
        }
        if identity(input, &status, port) == Identity::Same {
            adopted = is_another(&status, port);
            take_in_identity(&mut status, port, &evidence.by);
        }
    }
    if input.object.is_terminating() {
        let mut release = own_release(input.object, &status);
        if adopted {
            // What this deletion knows of the port before says nothing of this one; a call may still reach it, by its id.
            release = Release {
                uid: release.uid,
                latched: release.latched,
                credentials_seen: release.credentials_seen,
                crd_deleted: release.crd_deleted,
                restorations: if consent_is_spent { release.restorations } else { 0 },
                call: release.call,
                ..Release::default()
            };
        }
        release.credentials_seen |= matches!(input.context.credential, CredentialState::Usable(_));
        if let Some((_, good)) = reading {
            take_in_release(&mut release, input, &status, good);
        }
        latch::mark(input, &mut release);
        if status.release.as_ref() != Some(&release) {
            status.to_mut().release = Some(release);
        }
    }
    status
}

/// The record of this deletion. A record with another uid comes from a restored backup.
fn own_release(object: &ZenlayerPort, status: &ZenlayerPortStatus) -> Release {
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let own = status.release.as_ref().filter(|release| release.uid == uid);
    own.cloned().unwrap_or_else(|| Release { uid: uid.to_owned(), ..Release::default() })
}

/// A port that is another, but for which a person gave consent, is the object's own.
pub(super) fn identity(input: &Input<'_>, status: &ZenlayerPortStatus, port: &PortInfo) -> Identity {
    if is_another(status, port) && !input.object.approves_given(Reason::IdentityChanged, status) {
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

fn take_in_identity(status: &mut Cow<'_, ZenlayerPortStatus>, port: &PortInfo, by: &Fingerprint) {
    // The keys that saw another port have not seen this one.
    let known = status.identity.as_ref().filter(|_| !is_another(status, port));
    let mut identity = known.cloned().unwrap_or_default();
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
    if status.identity.as_ref() != Some(&identity) {
        status.to_mut().identity = Some(identity);
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
    if let Some(call) = release.call.as_mut() {
        call.landed |= is_seen_to_follow(call, input, good, seen);
        release.seen_recycled |= call.action == CallAction::TerminatePort && call.landed && !is_live(good);
    }
    if release.seen_recycled {
        if live_long_enough(input, good) {
            release.seen_recycled = false;
            release.restorations += 1;
            // The last call may have moved the port there, or may not. It is judged now, so that it does not count again.
            match release.call.as_mut().filter(|call| awaits_effect(call)) {
                Some(call) if is_accepted(call) => call.without_effect = true,
                Some(call) => call.settled = true,
                None => {}
            }
        }
    } else if let Some(call) = release.call.as_mut() {
        if is_without_effect(call, input, good) {
            call.without_effect = true;
            release.restorations += 1;
        } else if is_settled(call, input, good) {
            call.settled = true;
        }
    }
}

/// A reading from after the call shows the port where the call leads.
fn is_seen_to_follow(call: &Call, input: &Input<'_>, good: &Reading, seen: Option<&PortStatus>) -> bool {
    let read_after_call = input.context.call_known_since.is_some_and(|known| good.at >= known);
    read_after_call
        && match (call.action, seen) {
            (
                CallAction::TerminatePort,
                Some(PortStatus::Deleting | PortStatus::Recycled | PortStatus::Recovering),
            ) => true,
            (CallAction::DestroyPort, Some(PortStatus::Destroying | PortStatus::Destroyed)) => true,
            // One reading without the port is not enough to call it landed: were it a slip of the list, the next call would
            // go out while this one may still be carried out. `proof` judges absences.
            (CallAction::TerminatePort | CallAction::DestroyPort, _) => false,
        }
}

/// The port was not seen to follow TerminatePort in the time that this may take, or nobody looked for longer than that:
/// Zenlayer has not carried out the call, or somebody has restored the port before a reading showed it in the bin.
fn is_without_effect(call: &Call, input: &Input<'_>, good: &Reading) -> bool {
    let Some(known) = input.context.call_known_since else { return false };
    let is_over = if is_accepted(call) {
        good.at >= known + input.timing.land
    } else {
        can_no_longer_be_carried_out(known, input, good) && !is_read_in_time(call, known, input, good)
    };
    awaits_effect(call) && is_live(good) && is_over
}

/// TerminatePort had no clear answer, and a reading in time says that it was not carried out.
fn is_settled(call: &Call, input: &Input<'_>, good: &Reading) -> bool {
    let is_over = input.context.call_known_since.is_some_and(|known| {
        can_no_longer_be_carried_out(known, input, good) && is_read_in_time(call, known, input, good)
    });
    awaits_effect(call) && !is_accepted(call) && is_live(good) && is_over
}

fn can_no_longer_be_carried_out(known: Monotonic, input: &Input<'_>, good: &Reading) -> bool {
    good.at >= known + input.timing.settle
}

/// Neither before this process knew the call nor after that was there a time so long that the port can have been in the bin
/// and restored.
fn is_read_in_time(call: &Call, known: Monotonic, input: &Input<'_>, good: &Reading) -> bool {
    let land = input.timing.land;
    let known_at = input.now.wall - input.now.monotonic.since(known);
    let unknown_for = known_at.duration_since(call.requested_time.0);
    unknown_for <= land.try_into().unwrap_or(SignedDuration::MAX) && good.at <= known + land
}

/// TerminatePort may have been carried out, and what is seen of the port has not told yet.
fn awaits_effect(call: &Call) -> bool {
    let may_be_carried_out = !matches!(call.outcome, CallOutcome::Refused(_) | CallOutcome::NotSent { .. });
    let is_judged = call.landed || call.without_effect || (call.settled && !is_accepted(call));
    call.action == CallAction::TerminatePort && may_be_carried_out && !is_judged
}

fn is_accepted(call: &Call) -> bool {
    matches!(call.outcome, CallOutcome::Accepted { .. })
}

/// Two readings far enough apart say that the port is live, and none between them says otherwise.
fn live_long_enough(input: &Input<'_>, good: &Reading) -> bool {
    is_live(good) && good.at.since(good.since) >= input.timing.restored_apart
}

/// When a reading will tell that the port, which this deletion saw in the bin and is live now, was restored.
pub(super) fn restoration_known_at(input: &Input<'_>, status: &ZenlayerPortStatus) -> Option<Monotonic> {
    // Else the release is a restored backup's.
    let release = status.release.as_ref().filter(|_| input.object.is_terminating())?;
    let good = input.evidence?.good.as_ref()?;
    let Presence::Seen(port) = &good.presence else { return None };
    let is_ours = identity(input, status, port) == Identity::Same;
    (release.seen_recycled && is_live(good) && is_ours).then(|| good.since + input.timing.restored_apart)
}

fn is_live(good: &Reading) -> bool {
    matches!(&good.presence, Presence::Seen(port) if port.port_status == PortStatus::Running)
}
