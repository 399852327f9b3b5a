//! Carries out the effects of reconciles.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;

use super::crash;
use super::error::{DEADLINE, ReconcileError};
use super::gather::{Gathered, Observer};
use super::invalid;
use super::registrations::Registrations;
use super::transitions::{self, Line};
use super::writer::Writer;
use super::writes::Written;
use crate::api::{CallAction, CallOutcome, ZenlayerPort, ZenlayerPortStatus};
use crate::clock::Monotonic;
use crate::decision::{self, Action, Plan, Turn};
use crate::dispatch::{Slots, Ticket};
use crate::index::{Known, Reference};
use crate::lease::Leadership;
use crate::reconcile::{Effect, End, Event, FinalizerWrite, Reconcile, Recorded, StatusWrite, WriteResult};
use crate::server::{Metrics, ReconcileResult};
use crate::spans::Span;
use crate::tasks::panic_message;
use crate::zenlayer::ChangeAnswer;

/// Trust in events has a limit: every object is looked at this often, come what may.
const SAFETY_REQUEUE: Duration = Duration::from_hours(1);

pub(super) struct Reconciler {
    pub(super) observer: Observer,
    pub(super) writer: Writer,
    pub(super) registrations: Arc<Registrations>,
    pub(super) leadership: Leadership,
    pub(super) metrics: Metrics,
}

/// Carries out the effects of one reconcile.
struct Driver<'a> {
    by: &'a Reconciler,
    reference: Reference,
    /// The newest that was got from the API server.
    object: Arc<ZenlayerPort>,
    /// What the newest decision rests on.
    gathered: Option<Gathered>,
    /// Of a call whose outcome is not written yet.
    slots: Option<Slots>,
    /// When the newest decision was made.
    decided: Monotonic,
    /// What is done since the last decision.
    span: Span,
}

impl Reconciler {
    /// Reconciles the object as it is known. Returns when it is to be reconciled again even if nothing wakes it.
    pub(super) async fn reconcile(self: Arc<Self>, reference: Reference) -> Option<Duration> {
        match self.observer.index.newest(&reference)? {
            Known::Parsed(object) => match self.guarded(Arc::clone(&object)).await {
                Ok(again) => again,
                Err(error) => Some(self.pause_after(&object, &error)),
            },
            Known::Invalid(invalid) => {
                let written = in_time(invalid::write_status(&invalid, &self.writer)).await;
                written.err().map(|error| invalid::pause_after(&invalid, &error))
            }
        }
    }

    /// A reconcile that can neither hang nor take the others down with it.
    pub(super) async fn guarded(
        &self,
        object: Arc<ZenlayerPort>,
    ) -> Result<Option<Duration>, ReconcileError> {
        let clock = self.observer.clock;
        let began = clock.monotonic();
        let result = in_time(self.run(Arc::clone(&object))).await;
        let class = result.as_ref().err().map_or(ReconcileResult::Ok, ReconcileError::class);
        self.metrics.count_reconcile(class, clock.monotonic().since(began));
        self.registrations.after_reconcile(&object);
        result
    }

    /// The pause after a failed reconcile, longer with each that fails in a row.
    pub(super) fn pause_after(&self, object: &ZenlayerPort, error: &ReconcileError) -> Duration {
        let failures = self.observer.index.failed(object);
        let mut hasher = DefaultHasher::new();
        object.metadata.uid.hash(&mut hasher);
        let pause = decision::error_backoff(failures, hasher.finish());
        tracing::warn!(
            namespace = object.metadata.namespace, name = object.metadata.name, uid = object.metadata.uid,
            port = %object.spec.port_id, %error, failures,
            retry_in_seconds = pause.as_secs(), "the reconcile failed; the operator tries again",
        );
        pause
    }

    async fn run(&self, object: Arc<ZenlayerPort>) -> Result<Option<Duration>, ReconcileError> {
        let mut driver = Driver {
            by: self,
            reference: Reference::of(object.as_ref()),
            object,
            gathered: None,
            slots: None,
            decided: Monotonic::default(),
            span: Span::default(),
        };
        let ended = Box::pin(driver.effects()).await;
        let ended = ended.and_then(|end| self.ended(&driver.object, end));
        driver.span.set_error(ended.as_ref().err().map(|error| error.class().as_str()));
        ended
    }

    fn ended(&self, object: &ZenlayerPort, end: End) -> Result<Option<Duration>, ReconcileError> {
        match end {
            End::Settled { again } => {
                self.observer.index.succeeded(object);
                Ok(Some(again.unwrap_or(SAFETY_REQUEUE).min(SAFETY_REQUEUE)))
            }
            // What failed before the wait may fail after it: the failures count on.
            End::Queued { again } => Ok(Some(again)),
            End::Gone => {
                self.registrations.end(&Reference::of(object));
                Ok(None)
            }
            End::Contended => Err(ReconcileError::Contended),
            End::Refused { what, rejection } => Err(ReconcileError::Refused { what, rejection }),
        }
    }
}

/// The end of `work`, which comes in any case.
async fn in_time<T>(work: impl Future<Output = Result<T, ReconcileError>>) -> Result<T, ReconcileError> {
    match tokio::time::timeout(DEADLINE, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(ReconcileError::Panicked(panic_message(panic.as_ref()))),
        Err(_) => Err(ReconcileError::Deadline),
    }
}

impl Driver<'_> {
    async fn effects(&mut self) -> Result<End, ReconcileError> {
        let (mut reconcile, mut effect) = Reconcile::begin(self.by.registrations.turns.take(&self.reference));
        loop {
            let name = effect.name();
            crash::reached("before", name);
            let event = match effect {
                Effect::Decide { outcome: Some(outcome), .. } => {
                    let plan = self.by.observer.decide_with_outcome(&self.object, outcome).await;
                    Event::Decided(Box::new(plan))
                }
                Effect::Decide { outcome: None, turn } => Event::Decided(self.decide(turn).await),
                Effect::TakeTurn(held) => self.take_turn(held),
                Effect::WriteStatus { status, what, row } => {
                    Event::Written(self.write_status(*status, what, row).await?)
                }
                Effect::WriteFinalizers { finalizers, what, row } => {
                    Event::Written(self.write_finalizers(&finalizers, &what, row).await?)
                }
                Effect::Call(recorded, ticket) => Event::Answered(self.call(recorded, ticket).await),
                Effect::Announce(event) => {
                    self.span.around(self.by.writer.events.send(&self.object, &event)).await;
                    Event::Announced
                }
                Effect::End(end) => return Ok(end),
            };
            crash::reached("after", name);
            effect = reconcile.next(&self.object, event);
        }
    }

    /// An object that must wait for its turn is decided about once more, on what is known already.
    async fn decide(&mut self, turn: Turn) -> Box<Plan> {
        self.span.set_error(None);
        self.slots = None;
        let observer = &self.by.observer;
        let held = self.gathered.take().filter(|_| turn != Turn::Free);
        let gathered = match held {
            Some(gathered) => gathered,
            None => observer.gather(&self.object).await,
        };
        let waits = turn != Turn::Free;
        self.decided = observer.clock.monotonic();
        let plan = observer.decide(&gathered, &self.object, turn);
        if !waits && !matches!(plan.action, Action::Call(_)) {
            self.by.registrations.turns.leave(&self.reference);
        }
        self.span = transitions::reconcile(&self.object, &plan);
        self.gathered = Some(gathered);
        Box::new(plan)
    }

    /// A ticket serves the account that the decision is about, and not while Zenlayer asks for a pause.
    fn take_turn(&mut self, held: Option<Ticket>) -> Event<Ticket> {
        // A call is by a key that has read the port.
        let account = self.gathered.as_ref().and_then(|gathered| gathered.account.as_ref());
        let Some(account) = account else { return Event::MustWait(Turn::BehindOthers) };
        let pause = account.paused();
        let held = held.filter(|ticket| ticket.is_of(account.key) && pause.is_none());
        if let Some(ticket) = held.or_else(|| self.by.registrations.turns.ask(&self.reference, account)) {
            return Event::HasTurn(ticket);
        }
        // Nothing was done.
        self.span.discard();
        Event::MustWait(pause.map_or(Turn::BehindOthers, |pause| Turn::Paused(pause.to_string())))
    }

    async fn write_status(
        &mut self,
        status: ZenlayerPortStatus,
        what: StatusWrite,
        row: Option<u8>,
    ) -> Result<WriteResult, ReconcileError> {
        // Saves a record that another replica would have to wait for; safety does not rest on it.
        if what == StatusWrite::Record && !self.by.leadership.is_current() {
            return Err(ReconcileError::NotLeading);
        }
        let written = self.span.around(self.by.writer.status(&self.object, status, row)).await?;
        let result = self.take_in(written);
        if what == StatusWrite::Record && result == WriteResult::Done {
            self.by.observer.index.note(&self.object, self.by.observer.clock.monotonic());
        }
        Ok(result)
    }

    async fn write_finalizers(
        &mut self,
        finalizers: &[String],
        what: &FinalizerWrite,
        row: Option<u8>,
    ) -> Result<WriteResult, ReconcileError> {
        let write = self.by.writer.finalizers(&self.object, finalizers, what, row);
        let written = self.span.around(write).await?;
        Ok(self.take_in(written))
    }

    fn take_in(&mut self, written: Written) -> WriteResult {
        match written {
            Written::Done(now) => {
                self.object = Arc::new(*now);
                WriteResult::Done
            }
            Written::Overtaken(now) => {
                self.object = Arc::new(*now);
                WriteResult::Overtaken
            }
            Written::Gone => WriteResult::Gone,
            Written::Refused(rejection) => WriteResult::Refused(rejection, self.by.observer.clock.now()),
        }
    }

    /// Makes the call, if it may still be made.
    async fn call(&mut self, recorded: Recorded, ticket: Ticket) -> CallOutcome {
        let (account, permit, slots) = ticket.split();
        self.slots = Some(slots);
        let since_decision = self.by.observer.clock.monotonic().since(self.decided);
        let (action, port) = (recorded.action(), recorded.port_id());
        let line = Line { row: recorded.row(), reason: transitions::reason(&self.object), ..Line::default() };
        let answer = if let Err((cause, why)) = recorded.check(since_decision, &account.fingerprint) {
            ChangeAnswer::NotSent { cause, why: why.to_owned() }
        } else {
            line.log(&self.object, format_args!("calling {}", action.as_str()));
            let call = async {
                match action {
                    CallAction::TerminatePort => account.terminate_port(permit, port).await,
                    CallAction::DestroyPort => account.destroy_port(permit, port).await,
                }
            };
            self.span.around(call).await
        };
        let line = Line { request_id: answer.request_id(), ..line };
        line.log(&self.object, format_args!("the answer to {}: {answer}", action.as_str()));
        let outcome = outcome(answer);
        self.by.observer.learn_outcome(&self.object, &outcome);
        outcome
    }
}

fn outcome(answer: ChangeAnswer) -> CallOutcome {
    match answer {
        ChangeAnswer::Accepted { request_id } => CallOutcome::Accepted { request_id },
        ChangeAnswer::Refused(refusal) => CallOutcome::Refused(refusal),
        ChangeAnswer::Unclear { why } => CallOutcome::Unclear { why },
        ChangeAnswer::NotSent { cause, why } => CallOutcome::NotSent { cause, why },
    }
}
