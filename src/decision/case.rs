//! What the rows of the tables ask about: one object, what is known of its port, and what follows from both.

use std::time::Duration;

use super::facts::{self, Identity};
use super::freshness;
use super::message::Message;
use super::outcome::Outcome;
use super::record::{self, Standing};
use super::{Input, Lack, Setback};
use crate::answer::RefusalKind;
use crate::api::{Call, DeletionPolicy, Reason, Release, ZenlayerPort, ZenlayerPortStatus};
use crate::clock::Monotonic;
use crate::port::{PortInfo, PortStatus};
use crate::reading::{Cadence, Evidence, Presence, Reading, Unreadable};

/// What one decision is about.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) input: &'a Input<'a>,
    /// The object's status with all that is known by now, but for the conditions.
    pub(super) status: &'a ZenlayerPortStatus,
    /// The newest good reading, if it is young enough to be shown.
    reading: Option<&'a Reading>,
}

impl<'a> Case<'a> {
    pub(super) fn new(input: &'a Input<'a>, status: &'a ZenlayerPortStatus) -> Self {
        let good = input.evidence.and_then(|evidence| Some((evidence, evidence.good.as_ref()?)));
        let is_young = |(evidence, good): &(&Evidence, &Reading)| {
            input.now.monotonic.since(good.at) <= freshness::shown_for(input, evidence)
        };
        Self { input, status, reading: good.filter(is_young).map(|(_, reading)| reading) }
    }

    pub(super) fn object(&self) -> &'a ZenlayerPort {
        self.input.object
    }

    pub(super) fn policy(&self) -> DeletionPolicy {
        self.input.object.spec.deletion_policy
    }

    pub(super) fn monotonic(&self) -> Monotonic {
        self.input.now.monotonic
    }

    pub(super) fn reading(&self) -> Option<&'a Reading> {
        self.reading
    }

    /// The port, if the reading shows it.
    pub(super) fn port(&self) -> Option<&'a PortInfo> {
        match &self.reading?.presence {
            Presence::Seen(port) => Some(port),
            Presence::Absent => None,
        }
    }

    /// The port, if it is running: TerminatePort would work on it.
    pub(super) fn running(&self) -> Option<&'a PortInfo> {
        self.port().filter(|port| port.port_status == PortStatus::Running)
    }

    /// The port, if it is in the recycle bin: DestroyPort would work on it.
    pub(super) fn recycled(&self) -> Option<&'a PortInfo> {
        self.port().filter(|port| port.port_status == PortStatus::Recycled)
    }

    pub(super) fn identity_changed(&self) -> bool {
        self.port().is_some_and(|port| facts::identity(self.input, self.status, port) == Identity::Changed)
    }

    pub(super) fn release(&self) -> Option<&'a Release> {
        self.status.release.as_ref()
    }

    pub(super) fn call(&self) -> Option<&'a Call> {
        self.release()?.call.as_ref()
    }

    /// What the last call means for the next one.
    pub(super) fn standing(&self) -> Standing<'a> {
        let Some(reading) = self.reading else { return Standing::Free };
        record::standing(self.input, self.release(), reading)
    }

    /// Whether the reading justifies an act: it is young enough, and began at `not_before` or later.
    pub(super) fn is_fresh(&self, not_before: Monotonic) -> bool {
        self.reading.is_some_and(|reading| {
            self.monotonic().since(reading.at) <= self.input.timing.reading_valid && reading.at >= not_before
        })
    }

    /// A status check from before the deletion is no reason for what the deletion asks for.
    pub(super) fn deletion_seen(&self) -> Monotonic {
        self.input.context.deletion_known_since.unwrap_or(self.monotonic())
    }

    /// Do nothing. The poller reads at `cadence`, and also when a reading can show a restoration.
    pub(super) fn wait(&self, reason: Reason, message: Message<'a>, cadence: Cadence) -> Outcome<'a> {
        let outcome = Outcome::wait(reason, message, cadence);
        match facts::restoration_known_at(self.input, self.status) {
            Some(at) => outcome.fresh_after(at),
            None => outcome,
        }
    }

    /// Nothing more happens until a person or Zenlayer changes something.
    pub(super) fn hold(&self, reason: Reason, message: Message<'a>) -> Outcome<'a> {
        self.wait(reason, message, Cadence::Slow)
    }

    /// There is no usable reading: the poller reads now, and the status says why there is none yet.
    pub(super) fn unread(&self) -> Outcome<'a> {
        let now = self.monotonic();
        let Some(evidence) = self.input.evidence else {
            return self.wait(Reason::Observing, Message::FirstCheck, Cadence::Release).fresh_after(now);
        };
        let read_at = evidence.good.as_ref().map(|good| good.at);
        let failure = evidence.failure.as_ref();
        let Some(failure) = failure.filter(|failure| read_at.is_none_or(|read| failure.at > read)) else {
            // The operator seldom reads an idle port, and reads none in its grace period: the wait begins after that.
            let hurried_at = self.input.context.deletion_known_since;
            let outdated_at = read_at.map(|read| read + self.input.timing.reading_valid);
            let asked_at = if evidence.interval.is_some() { evidence.waiting_since } else { now };
            let since = hurried_at.max(outdated_at).max(Some(asked_at)).unwrap_or(asked_at);
            return self
                .wait(Reason::Observing, Message::Checking, Cadence::Release)
                .fresh_after(now)
                .show_after(since + self.input.timing.quiet);
        };
        let why = &failure.why;
        let reason = match (why.kind(), why) {
            (None, _) => Reason::CloudUnavailable,
            (Some(kind), Unreadable::Refused(_)) => cause(kind).unwrap_or(Reason::DescribeRefused),
            (Some(_), _) => Reason::Throttled,
        };
        self.wait(reason, Message::CannotCheck(why), Cadence::Release).fresh_after(now)
    }

    /// The port is still read, and what it does shows; only calls are held.
    pub(super) fn without_signer(&self, lack: &'a Lack) -> Outcome<'a> {
        match lack {
            Lack::Known(why) => self
                .hold(Reason::CredentialsUnavailable, Message::Said(why))
                .deadline(self.input.timing.credentials_recheck),
            Lack::Unread(setback) => self.unanswered(setback),
        }
    }

    /// A short failure of the API server is not shown.
    pub(super) fn unanswered(&self, setback: &'a Setback) -> Outcome<'a> {
        self.hold(Reason::ClusterStateUnknown, Message::TriesAgain(&setback.why))
            .deadline(setback.again_in.max(Duration::from_millis(1)))
            .show_after(setback.since + self.input.timing.quiet)
    }
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
