//! Carries a plan out: the status first, then at most one act. Each write is guarded by what the decision saw.

use std::time::Duration;

use super::crash::CrashPoint;
use super::error::ReconcileError;
use super::gather::Gathered;
use super::objects::Objects;
use super::shared::Shared;
use super::transitions::{self, Line};
use super::writes::{self, Refusal, Written};
use crate::answer::NotSentCause;
use crate::api::{CallAction, CallOutcome, EventType, FINALIZER, Reason, ZenlayerPort, ZenlayerPortStatus};
use crate::clock::Monotonic;
use crate::decision::{self, Action, Announcement, Facts, Intent, Plan, Turn, Warrant, with_outcome};
use crate::dispatch::Ticket;
use crate::mirror::Account;
use crate::spans::{Kind, Span};
use crate::zenlayer::{ChangeAnswer, Client, Permit};

/// A call is begun within this time of its record, or not at all: a settled record must not be followed by a late call. A
/// connection may take another 5 s, so that it leaves within 10 s.
const BEGIN_WITHIN: Duration = Duration::from_secs(5);

/// How often the outcome of a call is written again after a conflict; the record stays `Pending` if all fail.
const MOST_OUTCOME_WRITES: u32 = 3;

/// How carrying out a plan ended.
pub(super) enum Done {
    Settled,
    /// The finalizer is off, or the object is gone.
    Gone,
    /// The object is not what the decision saw: this is what it is now.
    Overtaken(Box<ZenlayerPort>),
    /// A call was made and its outcome is written: this is the object now.
    Called(Box<ZenlayerPort>),
}

pub(super) async fn execute(
    api: &Objects,
    object: &ZenlayerPort,
    plan: Plan,
    ticket: &mut Option<Ticket>,
    shared: &Shared,
) -> Result<Done, ReconcileError> {
    let status = plan.status(object);
    let Plan { row, action, event, display, .. } = plan;
    match action {
        Action::None => {
            if let Err(ended) = taken(write_status(api, object, status, row, shared).await?) {
                return Ok(ended);
            }
            if let Some(event) = &event {
                shared.events.send(object, event).await;
            }
            Ok(Done::Settled)
        }
        Action::AddFinalizer => add_finalizer(api, object, row, shared).await,
        Action::LetGo(reason) if display.is_some() => {
            match taken(write_status(api, object, status, row, shared).await?) {
                Ok(written) => let_go(api, &written, row, reason, event, shared).await,
                Err(ended) => Ok(ended),
            }
        }
        Action::LetGo(reason) => let_go(api, object, row, reason, event, shared).await,
        Action::Call(Intent { warrant, .. }) => {
            // Without a ticket there is nothing to send: the next round gets one.
            if ticket.is_none() {
                return Ok(Done::Overtaken(Box::new(object.clone())));
            }
            // Saves a record that another replica would have to wait for; safety does not rest on it.
            if !shared.leadership.is_current() {
                return Err(ReconcileError::NotLeading);
            }
            CrashPoint::BeforeRecord.reached();
            let started = shared.clock.monotonic();
            let written = match taken(write_status(api, object, status, row, shared).await?) {
                Ok(written) => written,
                Err(ended) => return Ok(ended),
            };
            shared.index.note(&written, shared.clock.monotonic());
            CrashPoint::AfterRecord.reached();
            let recorded = match Recorded::new(written, row, warrant) {
                Ok(recorded) => recorded,
                Err(written) => return Ok(Done::Overtaken(written)),
            };
            // Used only now: whoever was overtaken keeps its turn.
            let Some(ticket) = ticket.take() else { return Ok(Done::Overtaken(recorded.object)) };
            let (account, permit, _slot) = ticket.split();
            let answer = recorded.begin(&account, permit, started, shared).await;
            let line = Line { request_id: answer.request_id(), ..recorded.line() };
            line.log(
                &recorded.object,
                format_args!("the answer to {}: {answer}", recorded.warrant.action().as_str()),
            );
            CrashPoint::AfterCall.reached();
            let after = recorded.write_outcome(api, outcome(answer), shared).await?;
            if let Some(event) = &event {
                shared.events.send(object, event).await;
            }
            let Some((after, told)) = after else { return Ok(Done::Settled) };
            if let Some(told) = &told {
                shared.events.send(&after, told).await;
            }
            Ok(Done::Called(after))
        }
    }
}

/// The object with what was written, or how the plan ends without that.
fn taken(written: Written) -> Result<Box<ZenlayerPort>, Done> {
    match written {
        Written::Done(now) => Ok(now),
        Written::Overtaken(now) => Err(Done::Overtaken(now)),
        Written::Gone => Err(Done::Gone),
    }
}

/// The proof that the record of a call is written: only with it can the call be made.
struct Recorded {
    object: Box<ZenlayerPort>,
    /// The row that made the warrant.
    row: Option<u8>,
    warrant: Warrant,
}

impl Recorded {
    /// `written` back if it, which is what the API server made of the write, does not hold the pending record of the call.
    fn new(written: Box<ZenlayerPort>, row: Option<u8>, warrant: Warrant) -> Result<Self, Box<ZenlayerPort>> {
        if warrant.is_recorded_in(&written) {
            Ok(Self { object: written, row, warrant })
        } else {
            Err(written)
        }
    }

    /// The call, within the time that its record is good for.
    async fn begin(
        &self,
        account: &Account<Client>,
        permit: Permit,
        started: Monotonic,
        shared: &Shared,
    ) -> ChangeAnswer {
        if shared.clock.monotonic().since(started) > BEGIN_WITHIN {
            let why = "it took too long to write the record of the call".to_owned();
            return ChangeAnswer::NotSent { cause: NotSentCause::RecordTooSlow, why };
        }
        self.call(account, permit).await
    }

    async fn call(&self, account: &Account<Client>, permit: Permit) -> ChangeAnswer {
        let port = self.warrant.port_id();
        if account.fingerprint != *self.warrant.credential() {
            return ChangeAnswer::NotSent {
                cause: NotSentCause::CredentialsChanged,
                why: "the credentials changed after the decision".to_owned(),
            };
        }
        let action = self.warrant.action();
        self.line().log(&self.object, format_args!("calling {}", action.as_str()));
        match action {
            CallAction::TerminatePort => account.terminate_port(permit, port).await,
            CallAction::DestroyPort => account.destroy_port(permit, port).await,
        }
    }

    fn line(&self) -> Line<'_> {
        Line { row: self.row, reason: transitions::reason(&self.object), ..Line::default() }
    }

    /// Writes the outcome, with what is to be said about it, while the record is still this call's; returns the object and
    /// the Event that the outcome is worth. None: it no longer is, or the object kept changing; a record that stays
    /// `Pending` settles by readings.
    async fn write_outcome(
        &self,
        api: &Objects,
        outcome: CallOutcome,
        shared: &Shared,
    ) -> Result<Option<(Box<ZenlayerPort>, Option<Announcement>)>, ReconcileError> {
        let mut object = self.object.clone();
        // Before anything else: this process must know the outcome even if it cannot be written.
        let answered =
            ZenlayerPort { status: Some(with_outcome(&object, outcome.clone())), ..*object.clone() };
        shared.index.learn(&object, Some(&Facts::stored_in(&answered)));
        for _ in 0..MOST_OUTCOME_WRITES {
            let told =
                ZenlayerPort { status: Some(with_outcome(&object, outcome.clone())), ..*object.clone() };
            let gathered = Gathered::of(&told, shared).await;
            let plan = gathered.decide(&told, Turn::Free, shared);
            // What it tells is not written yet.
            shared.index.learn(&object, Some(&plan.known(&told)));
            CrashPoint::BeforeOutcome.reached();
            // The Event of a next act is sent with that act.
            let event = plan.event.clone().filter(|_| matches!(plan.action, Action::None));
            let status = plan.status_without_call(&told);
            match write_status(api, &object, status, plan.row, shared).await? {
                Written::Done(written) => return Ok(Some((written, event))),
                Written::Overtaken(newer) if self.warrant.is_newest_of(&newer) => object = newer,
                Written::Overtaken(_) | Written::Gone => return Ok(None),
            }
        }
        Ok(None)
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

/// PUTs `status` onto the object as the decision saw it. What is unchanged is not written.
async fn write_status(
    api: &Objects,
    object: &ZenlayerPort,
    status: ZenlayerPortStatus,
    row: Option<u8>,
    shared: &Shared,
) -> Result<Written, ReconcileError> {
    let what = "the update of the object's status";
    match put_status(api, object, status, row, shared).await? {
        Ok(written) => Ok(written),
        Err(refusal) => {
            // It cannot be shown on the object. The failure of the reconcile is in the log.
            shared.events.send(object, &decision::refused_update(object, &told(what, &refusal))).await;
            Err(ReconcileError::Refused { what, refusal })
        }
    }
}

async fn put_status(
    api: &Objects,
    object: &ZenlayerPort,
    status: ZenlayerPortStatus,
    row: Option<u8>,
    shared: &Shared,
) -> Result<Result<Written, Refusal>, ReconcileError> {
    if object.status.as_ref().unwrap_or(&ZenlayerPortStatus::default()) == &status {
        return Ok(Ok(Written::Done(Box::new(object.clone()))));
    }
    let body = ZenlayerPort { status: Some(status), ..object.clone() };
    let span = Span::part("PUT zenlayerports/status", Kind::Client);
    let answer = writes::status(api, &body).await;
    transitions::end_write(span, &answer);
    let answer = answer.map_err(|error| kubernetes("update", "the object's status", error))?;
    if let Ok(Written::Done(written)) = &answer {
        shared.wrote(written);
        transitions::log_status(object, written, row);
    }
    Ok(answer)
}

/// Writes the object's finalizers; if the API server refuses that, the object says so.
async fn write_finalizers(
    api: &Objects,
    object: &ZenlayerPort,
    finalizers: &[String],
    what: &'static str,
    shared: &Shared,
) -> Result<Written, ReconcileError> {
    let span = Span::part("PATCH zenlayerports", Kind::Client);
    let answer = writes::finalizers(api, object, finalizers).await;
    transitions::end_write(span, &answer);
    let refusal = match answer.map_err(|error| kubernetes("patch", "the object's finalizers", error))? {
        Ok(written) => {
            if let Written::Done(now) = &written {
                shared.wrote(now);
            }
            return Ok(written);
        }
        Err(refusal) => refusal,
    };
    let (status, event) = decision::held_as_refused(object, &told(what, &refusal), shared.clock.now());
    // Not if it was overtaken: then it is looked at again.
    let shown = put_status(api, object, status, None, shared).await?;
    if let Some(event) = event.filter(|_| !matches!(shown, Ok(Written::Overtaken(_) | Written::Gone))) {
        shared.events.send(object, &event).await;
    }
    Err(ReconcileError::Refused { what, refusal })
}

fn told(what: &str, refusal: &Refusal) -> String {
    format!("The API server refuses {what}: {refusal}.")
}

async fn add_finalizer(
    api: &Objects,
    object: &ZenlayerPort,
    row: Option<u8>,
    shared: &Shared,
) -> Result<Done, ReconcileError> {
    let mut finalizers = object.metadata.finalizers.clone().unwrap_or_default();
    finalizers.push(FINALIZER.to_owned());
    CrashPoint::BeforeFinalizer.reached();
    let what = "to add the operator's finalizer";
    let written = write_finalizers(api, object, &finalizers, what, shared).await?;
    CrashPoint::AfterFinalizer.reached();
    Ok(match taken(written) {
        Ok(now) => {
            Line { row, ..Line::default() }.log(&now, "added the finalizer");
            Done::Settled
        }
        Err(ended) => ended,
    })
}

/// Removes the finalizer. The Event about the end of the port comes after that, so it is sent once.
async fn let_go(
    api: &Objects,
    object: &ZenlayerPort,
    row: Option<u8>,
    reason: Reason,
    event: Option<Announcement>,
    shared: &Shared,
) -> Result<Done, ReconcileError> {
    let mut finalizers = object.metadata.finalizers.clone().unwrap_or_default();
    finalizers.retain(|finalizer| finalizer != FINALIZER);
    CrashPoint::BeforeFinalizerRemoval.reached();
    let what = "to remove the operator's finalizer";
    let written = write_finalizers(api, object, &finalizers, what, shared).await?;
    if let Err(ended) = taken(written) {
        return Ok(ended);
    }
    if let Some(deleted) = &object.metadata.deletion_timestamp {
        let took = shared.clock.now().wall.duration_since(deleted.0);
        let took = Duration::try_from(took).unwrap_or_default();
        shared.metrics.count_deletion(object.spec.deletion_policy, reason, took);
    }
    transitions::end_deletion(object, reason);
    let receipt = object.receipt();
    let event = event.map(|event| Announcement { message: format!("{} {receipt}", event.message), ..event });
    let why = event.as_ref().map_or_else(|| receipt.to_string(), |event| event.message.clone());
    let warns = reason.event() == Some(EventType::Warning);
    let line = Line { row, reason: Some(reason.as_str()), request_id: receipt.request_id, warns };
    line.log(object, format_args!("removed the finalizer. {why}"));
    if let Some(event) = &event {
        shared.events.send(object, event).await;
    }
    Ok(Done::Gone)
}

pub(super) fn kubernetes(verb: &'static str, what: &'static str, source: kube::Error) -> ReconcileError {
    ReconcileError::Kubernetes { verb, what, source: Box::new(source) }
}
