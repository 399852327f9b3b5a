//! One reconcile of one object as a protocol without IO: [`Reconcile::next`] is told what became of an effect, and answers with
//! the next one. The controller carries effects out, and so does the model, in a world of its own.
//!
//! ```text
//! decide ─▶ write the status ─▶ announce ─▶ end
//!        ─▶ write the status ─▶ remove the finalizer ─▶ announce ─▶ end
//!        ─▶ take a turn ─▶ (it must wait) decide ─▶ write the status ─▶ end
//!                       ─▶ write the record ─▶ call ─▶ decide ─▶ write the outcome ─▶ announce ─▶ decide …
//! ```
//!
//! A process may die before and after each effect. The one after it begins with a decision.

mod effect;
mod recorded;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::api::{CallOutcome, FINALIZER, Reason, ZenlayerPort, ZenlayerPortStatus};
use crate::clock::Now;
use crate::decision::{self, Action, Announcement, Intent, Plan, Turn, Warrant, with_outcome};

pub use self::effect::{Effect, End, Event, FinalizerWrite, Rejection, StatusWrite, WriteResult};
pub use self::recorded::{BEGIN_WITHIN, Recorded};

/// Decisions in one reconcile before it gives way to others. Those about the outcome of a call, and those of whoever must wait for
/// its turn, do not count: they follow one that does.
const MOST_DECISIONS: u32 = 8;

/// How often the outcome of a call is written if others write the object meanwhile; the record stays `Pending` if all fail.
const MOST_OUTCOME_WRITES: u32 = 3;

/// When an object that waits for its turn is reconciled again: it shows by then that Zenlayer asked for a pause.
const QUEUED_RECHECK: Duration = Duration::from_mins(1);

/// How far a reconcile has come. `T` is the right to make one call.
#[derive(Clone, Debug, PartialEq)]
pub struct Reconcile<T> {
    stage: Stage<T>,
    /// Of a turn that came. It is used only after the record is written: whoever is overtaken keeps its turn.
    ticket: Option<T>,
    decisions: u32,
    /// The row of the newest decision.
    row: Option<u8>,
}

/// What the next event is about.
#[derive(Clone, Debug, PartialEq)]
enum Stage<T> {
    Deciding(Turn),
    TakingTurn(Box<ZenlayerPortStatus>, Call),
    Writing(Write<T>),
    Calling(Call),
    /// Decides what the object is like with the outcome of its call.
    Answered(Answered),
    Announcing(Option<Announcement>, Then),
    Ended,
}

/// A write, and with it what follows.
#[derive(Clone, Debug, PartialEq)]
enum Write<T> {
    Status {
        event: Option<Announcement>,
        end: End,
    },
    StatusBeforeRemoval {
        reason: Reason,
        event: Option<Announcement>,
    },
    /// That the API server refuses a write.
    Refusal {
        event: Option<Announcement>,
        end: End,
    },
    Record {
        call: Call,
        ticket: T,
    },
    Outcome {
        answered: Answered,
        event: Option<Announcement>,
    },
    Finalizer,
    FinalizerRemoval {
        event: Option<Announcement>,
    },
}

/// A call that is decided upon.
#[derive(Clone, Debug, PartialEq)]
struct Call {
    warrant: Warrant,
    event: Option<Announcement>,
    again: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq)]
struct Answered {
    call: Call,
    outcome: CallOutcome,
    /// How often it was written in vain.
    conflicts: u32,
}

/// What follows the announcements.
#[derive(Clone, Debug, PartialEq)]
enum Then {
    Decide,
    End(End),
}

/// `object` with this outcome of its newest call.
pub fn told(object: &ZenlayerPort, outcome: CallOutcome) -> ZenlayerPort {
    ZenlayerPort { status: Some(with_outcome(object, outcome)), ..object.clone() }
}

impl<T> Reconcile<T> {
    /// `ticket` is that of a turn that came, if it did: what is decided from now on is not older than the call that it
    /// justifies.
    pub fn begin(ticket: Option<T>) -> (Self, Effect<T>) {
        let mut reconcile = Self { stage: Stage::Ended, ticket, decisions: 0, row: None };
        let first = reconcile.decide();
        (reconcile, first)
    }

    /// The next effect. `object` is the newest that this reconcile has got from the API server.
    pub fn next(&mut self, object: &ZenlayerPort, event: Event<T>) -> Effect<T> {
        match (std::mem::replace(&mut self.stage, Stage::Ended), event) {
            (Stage::Deciding(turn), Event::Decided(plan)) => self.decided(object, *plan, &turn),
            (Stage::TakingTurn(status, call), Event::HasTurn(ticket)) => {
                self.write_status(object, *status, Write::Record { call, ticket })
            }
            (Stage::TakingTurn(..), Event::MustWait(turn)) => self.decide_waiting(turn),
            (Stage::Writing(write), Event::Written(result)) => self.written(object, write, result),
            (Stage::Calling(call), Event::Answered(outcome)) => {
                self.answered(Answered { call, outcome, conflicts: 0 })
            }
            (Stage::Answered(answered), Event::Decided(plan)) => self.write_outcome(object, answered, &plan),
            (Stage::Announcing(more, then), Event::Announced) => self.announce([more, None], then),
            // An answer to something else: nothing that was decided is carried out.
            (_, _) => self.decide(),
        }
    }

    fn decide(&mut self) -> Effect<T> {
        if self.decisions == MOST_DECISIONS {
            return Effect::End(End::Contended);
        }
        self.decisions += 1;
        self.stage = Stage::Deciding(Turn::Free);
        Effect::Decide { outcome: None, turn: Turn::Free }
    }

    /// What the object shows while it waits for its turn.
    fn decide_waiting(&mut self, turn: Turn) -> Effect<T> {
        self.stage = Stage::Deciding(turn.clone());
        Effect::Decide { outcome: None, turn }
    }

    /// The status first, then at most one act.
    fn decided(&mut self, object: &ZenlayerPort, plan: Plan, turn: &Turn) -> Effect<T> {
        let status = plan.status(object);
        let Plan { row, action, event, display, deadline, .. } = plan;
        self.row = row;
        if !matches!(action, Action::Call(_)) {
            self.ticket = None;
        }
        match action {
            Action::None => {
                let end = match turn {
                    Turn::Free => End::Settled { again: deadline },
                    Turn::BehindOthers | Turn::Paused(_) => End::Queued { again: QUEUED_RECHECK },
                };
                self.write_status(object, status, Write::Status { event, end })
            }
            Action::AddFinalizer => self.add_finalizer(object),
            Action::RemoveFinalizer(reason) if display.is_some() => {
                self.write_status(object, status, Write::StatusBeforeRemoval { reason, event })
            }
            Action::RemoveFinalizer(reason) => self.remove_finalizer(object, reason, event),
            // Whoever waits does not call.
            Action::Call(_) if *turn != Turn::Free => self.decide(),
            Action::Call(Intent { warrant, .. }) => {
                let call = Call { warrant, event, again: deadline };
                self.stage = Stage::TakingTurn(Box::new(status), call);
                Effect::TakeTurn(self.ticket.take())
            }
        }
    }

    /// What is unchanged is not written. A record always is: only its write tells that no other call has it.
    fn write_status(
        &mut self,
        object: &ZenlayerPort,
        status: ZenlayerPortStatus,
        write: Write<T>,
    ) -> Effect<T> {
        let is_record = matches!(write, Write::Record { .. });
        if !is_record && object.status.as_ref().unwrap_or(&ZenlayerPortStatus::default()) == &status {
            return self.written(object, write, WriteResult::Done);
        }
        let what = match write {
            Write::Record { .. } => StatusWrite::Record,
            Write::Outcome { .. } => StatusWrite::Outcome,
            _ => StatusWrite::Display,
        };
        self.stage = Stage::Writing(write);
        Effect::WriteStatus { status: Box::new(status), what, row: self.row }
    }

    fn add_finalizer(&mut self, object: &ZenlayerPort) -> Effect<T> {
        let mut finalizers = object.metadata.finalizers.clone().unwrap_or_default();
        finalizers.push(FINALIZER.to_owned());
        self.stage = Stage::Writing(Write::Finalizer);
        Effect::WriteFinalizers { finalizers, what: FinalizerWrite::Addition, row: self.row }
    }

    /// The Event about the end of the port comes after that, so it is sent once.
    fn remove_finalizer(
        &mut self,
        object: &ZenlayerPort,
        reason: Reason,
        event: Option<Announcement>,
    ) -> Effect<T> {
        let mut finalizers = object.metadata.finalizers.clone().unwrap_or_default();
        finalizers.retain(|finalizer| finalizer != FINALIZER);
        let receipt = object.receipt();
        let event =
            event.map(|event| Announcement { message: format!("{} {receipt}", event.message), ..event });
        let why = event.as_ref().map_or_else(|| receipt.to_string(), |event| event.message.clone());
        self.stage = Stage::Writing(Write::FinalizerRemoval { event });
        Effect::WriteFinalizers { finalizers, what: FinalizerWrite::Removal { reason, why }, row: self.row }
    }

    fn written(&mut self, object: &ZenlayerPort, write: Write<T>, result: WriteResult) -> Effect<T> {
        match result {
            WriteResult::Done => self.after(object, write),
            WriteResult::Overtaken => self.overtaken(object, write),
            WriteResult::Gone => match write {
                Write::Outcome { answered, .. } => {
                    self.announce([answered.call.event, None], Then::End(End::Gone))
                }
                Write::Refusal { end, .. } => Effect::End(end),
                _ => Effect::End(End::Gone),
            },
            WriteResult::Refused(rejection, now) => self.refused(object, write, rejection, now),
        }
    }

    fn after(&mut self, object: &ZenlayerPort, write: Write<T>) -> Effect<T> {
        match write {
            Write::Status { event, end } => self.announce([event, None], Then::End(end)),
            Write::StatusBeforeRemoval { reason, event } => self.remove_finalizer(object, reason, event),
            Write::Refusal { event, end } => self.announce([event, None], Then::End(end)),
            Write::Record { call, ticket } => {
                if let Some(recorded) = Recorded::new(object, &call.warrant, self.row) {
                    self.stage = Stage::Calling(call);
                    Effect::Call(recorded, ticket)
                } else {
                    self.ticket = Some(ticket);
                    self.decide()
                }
            }
            Write::Outcome { answered, event } => self.announce([answered.call.event, event], Then::Decide),
            Write::Finalizer => Effect::End(End::Settled { again: None }),
            Write::FinalizerRemoval { event } => self.announce([event, None], Then::End(End::Gone)),
        }
    }

    /// The object is not what the decision saw.
    fn overtaken(&mut self, object: &ZenlayerPort, write: Write<T>) -> Effect<T> {
        match write {
            Write::Record { ticket, .. } => {
                self.ticket = Some(ticket);
                self.decide()
            }
            Write::Outcome { answered: Answered { call, outcome, conflicts }, .. } => {
                if conflicts + 1 < MOST_OUTCOME_WRITES && call.warrant.is_newest_of(object) {
                    self.answered(Answered { call, outcome, conflicts: conflicts + 1 })
                } else {
                    // A record that stays `Pending` settles by readings.
                    let end = End::Settled { again: call.again };
                    self.announce([call.event, None], Then::End(end))
                }
            }
            Write::Refusal { end, .. } => Effect::End(end),
            _ => self.decide(),
        }
    }

    /// The object says so, if even that is not refused.
    fn refused(
        &mut self,
        object: &ZenlayerPort,
        write: Write<T>,
        rejection: Rejection,
        now: Now,
    ) -> Effect<T> {
        let (what, is_of_status) = match write {
            Write::Refusal { event, end } => return self.announce([event, None], Then::End(end)),
            Write::Finalizer => ("to add the operator's finalizer", false),
            Write::FinalizerRemoval { .. } => ("to remove the operator's finalizer", false),
            _ => ("the update of the object's status", true),
        };
        let fact = format!("The API server refuses {what}: {rejection}.");
        let end = End::Refused { what, rejection };
        if is_of_status {
            // It cannot be shown on the object. The failure of the reconcile is in the log.
            let event = decision::refused_update(object, &fact);
            return self.announce([Some(event), None], Then::End(end));
        }
        let (status, event) = decision::held_as_refused(object, &fact, now);
        self.row = None;
        self.write_status(object, status, Write::Refusal { event, end })
    }

    fn answered(&mut self, answered: Answered) -> Effect<T> {
        let outcome = Some(answered.outcome.clone());
        self.stage = Stage::Answered(answered);
        Effect::Decide { outcome, turn: Turn::Free }
    }

    /// Writes the outcome, with what is to be shown with it.
    fn write_outcome(&mut self, object: &ZenlayerPort, answered: Answered, plan: &Plan) -> Effect<T> {
        let status = plan.status_without_call(&told(object, answered.outcome.clone()));
        // The Event of a next act is sent with that act.
        let event = plan.event.clone().filter(|_| matches!(plan.action, Action::None));
        self.row = plan.row;
        self.write_status(object, status, Write::Outcome { answered, event })
    }

    fn announce(&mut self, events: [Option<Announcement>; 2], then: Then) -> Effect<T> {
        let mut events = events.into_iter().flatten();
        match (events.next(), then) {
            (Some(event), then) => {
                self.stage = Stage::Announcing(events.next(), then);
                Effect::Announce(event)
            }
            (None, Then::Decide) => self.decide(),
            (None, Then::End(end)) => Effect::End(end),
        }
    }
}
