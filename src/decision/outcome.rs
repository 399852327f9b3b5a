//! The answer of a row, and the plan that carries it out.

use std::fmt::Write as _;
use std::time::Duration;

use super::conditions::{self, Stall};
use super::message::Message;
use super::{Action, Announcement, Display, Input, Plan, freshness, record};
use crate::api::{CallAction, Reason, ZenlayerPortStatus};
use crate::clock::Monotonic;
use crate::fingerprint::Fingerprint;
use crate::port::PortInfo;
use crate::reading::{Cadence, Want};

/// Bytes that most messages fit into, with their advice.
const USUAL_MESSAGE: usize = 512;

/// What a row of a table says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcome<'a> {
    pub(super) reason: Reason,
    pub(super) message: Message<'a>,
    /// Sentences about what else is wrong.
    pub(super) besides: [Option<&'a str>; 2],
    pub(super) act: Act<'a>,
    pub(super) want: Option<Want>,
    pub(super) deadline: Option<Duration>,
    /// What is shown, and when.
    pub(super) shown: Shown,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Act<'a> {
    None,
    AddFinalizer,
    RemoveFinalizer,
    Call { action: CallAction, port: &'a PortInfo, credential: &'a Fingerprint },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    AtOnce,
    /// Until then it is too fleeting to be written.
    After(Monotonic),
    /// Shown, but worth no Event.
    WithoutEvent,
    /// What is shown already tells it.
    AsBefore,
}

impl<'a> Outcome<'a> {
    /// Nothing is done; the poller reads at `cadence`.
    pub(super) fn wait(reason: Reason, message: Message<'a>, cadence: Cadence) -> Self {
        let want = Some(Want { cadence, fresh_after: None });
        Self { want, ..Self::act(Act::None, reason, message) }
    }

    pub(super) fn remove_finalizer(reason: Reason, message: Message<'a>) -> Self {
        Self::act(Act::RemoveFinalizer, reason, message)
    }

    fn act(act: Act<'a>, reason: Reason, message: Message<'a>) -> Self {
        Self { reason, message, besides: [None; 2], act, want: None, deadline: None, shown: Shown::AtOnce }
    }

    /// A reading sent at this time or later is news; of several such times the earliest counts.
    #[must_use]
    pub(super) fn fresh_after(mut self, at: Monotonic) -> Self {
        if let Some(want) = self.want.as_mut() {
            want.fresh_after = Some(want.fresh_after.map_or(at, |earlier| earlier.min(at)));
        }
        self
    }

    /// The poller reads at `cadence` instead.
    #[must_use]
    pub(super) fn at_cadence(self, cadence: Cadence) -> Self {
        Self { want: self.want.map(|want| Want { cadence, ..want }), ..self }
    }

    #[must_use]
    pub(super) fn deadline(mut self, after: Duration) -> Self {
        self.deadline = Some(self.deadline.map_or(after, |earlier| earlier.min(after)));
        self
    }

    #[must_use]
    pub(super) fn show_after(self, at: Monotonic) -> Self {
        Self { shown: Shown::After(at), ..self }
    }

    /// The plan that carries it out, `status` being the object's with all that is known by now.
    pub(super) fn into_plan(self, row: Option<u8>, input: &Input<'_>, status: &ZenlayerPortStatus) -> Plan {
        let plan = Plan { row, ..Plan::nothing() };
        let action = match &self.act {
            Act::AddFinalizer => return Plan { action: Action::AddFinalizer, ..plan },
            Act::RemoveFinalizer => {
                let fact = self.fact(input);
                // The object goes: a last status would only be one more write. Where others keep it, it is the last chance to
                // show the end. Nobody needs the advice any more.
                let stays = !input.object.other_finalizers().is_empty();
                let shown =
                    stays.then(|| conditions::display(input.object, input.now, status, self.reason, &fact));
                return Plan {
                    display: shown.and_then(|(display, _)| display),
                    action: Action::RemoveFinalizer(self.reason),
                    event: Announcement::of(plan.row, self.reason, || fact),
                    ..plan
                };
            }
            Act::None => Action::None,
            Act::Call { action, port, credential } => {
                Action::Call(record::intend(input, status, *action, port.port_status.as_str(), credential))
            }
        };
        let outcome = match freshness::until_stale(input) {
            Some(remaining) => self.deadline(remaining),
            None => self,
        };
        let (display, event, outcome) = outcome.show(plan.row, input, status);
        let Self { want, deadline, .. } = outcome;
        Plan { display, action, want, deadline, event, ..plan }
    }

    fn show(
        self,
        row: Option<u8>,
        input: &Input<'_>,
        status: &ZenlayerPortStatus,
    ) -> (Option<Display>, Option<Announcement>, Self) {
        if let Shown::After(at) = self.shown {
            let hidden = at.since(input.now.monotonic);
            if !hidden.is_zero() {
                return (None, None, self.deadline(hidden));
            }
        }
        if self.shown == Shown::AsBefore {
            return (None, None, self);
        }
        let message = conditions::with_advice(input.object, status, self.reason, self.fact(input));
        let is_new = conditions::shown(status) != Some(self.reason.as_str());
        let (display, stall) = conditions::display(input.object, input.now, status, self.reason, &message);
        let is_told = is_new && self.shown != Shown::WithoutEvent;
        let event = if is_told { Announcement::of(row, self.reason, || message) } else { None };
        let outcome = match stall {
            Stall::Never | Stall::Stalled => self,
            Stall::In(remaining) => self.deadline(remaining),
        };
        (display, event, outcome)
    }

    fn fact(&self, input: &Input<'_>) -> String {
        let mut fact = String::with_capacity(USUAL_MESSAGE);
        // A String takes whatever is written.
        let _ = write!(fact, "{}", self.message.of(input.object));
        for sentence in self.besides.into_iter().flatten() {
            fact.push(' ');
            fact.push_str(sentence);
        }
        fact
    }
}

impl Announcement {
    /// The Event that the appearance of `reason` is worth, if any.
    pub(super) fn of(row: Option<u8>, reason: Reason, message: impl FnOnce() -> String) -> Option<Self> {
        reason.event().map(|event_type| Self { row, reason, event_type, message: message() })
    }
}
