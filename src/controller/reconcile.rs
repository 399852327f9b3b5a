//! One reconcile of one object: gather what is known, decide, execute; on a conflict look again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;

use super::error::{DEADLINE, ReconcileError};
use super::execute::{self, Done};
use super::gather::Gathered;
use super::invalid;
use super::objects::Objects;
use super::shared::Shared;
use super::transitions;
use crate::api::ZenlayerPort;
use crate::decision::{self, Action, Plan, Turn};
use crate::index::{Known, Reference};
use crate::server::ReconcileResult;
use crate::tasks::panic_message;

/// Reads and writes of the object in one reconcile before it gives way to others.
const MOST_ROUNDS: u32 = 8;

/// Trust in events has a limit: every object is looked at this often, come what may.
const SAFETY_REQUEUE: Duration = Duration::from_hours(1);

/// When an object that waits for its turn is looked at again: it shows by then that Zenlayer asked for a pause.
const QUEUED_RECHECK: Duration = Duration::from_mins(1);

/// Reconciles the object as it is known. Returns when it is to be reconciled again even if nothing wakes it.
pub(super) async fn reconcile(reference: Reference, shared: Arc<Shared>) -> Option<Duration> {
    match shared.index.newest(&reference)? {
        Known::Parsed(object) => match guarded(Arc::clone(&object), &shared).await {
            Ok(again) => again,
            Err(error) => Some(pause_after(&object, &error, &shared)),
        },
        Known::Invalid(invalid) => {
            let written = in_time(invalid::write_status(&invalid, &shared)).await;
            written.err().map(|error| invalid::pause_after(&invalid, &error))
        }
    }
}

/// A reconcile that can neither hang nor take the others down with it.
pub(super) async fn guarded(
    object: Arc<ZenlayerPort>,
    shared: &Shared,
) -> Result<Option<Duration>, ReconcileError> {
    let began = shared.clock.monotonic();
    let result = in_time(decide_and_execute(Arc::clone(&object), shared)).await;
    if result.is_ok() {
        shared.index.succeeded(&object);
    }
    let class = result.as_ref().err().map_or(ReconcileResult::Ok, ReconcileError::class);
    shared.metrics.count_reconcile(class, shared.clock.monotonic().since(began));
    shared.after_reconcile(&object);
    result
}

/// The end of `work`, which comes in any case.
async fn in_time<T>(work: impl Future<Output = Result<T, ReconcileError>>) -> Result<T, ReconcileError> {
    match tokio::time::timeout(DEADLINE, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(ReconcileError::Panicked(panic_message(panic.as_ref()))),
        Err(_) => Err(ReconcileError::Deadline),
    }
}

/// The pause after a failed reconcile, longer with each that fails in a row.
pub(super) fn pause_after(object: &ZenlayerPort, error: &ReconcileError, shared: &Shared) -> Duration {
    let failures = shared.index.failed(object);
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

async fn decide_and_execute(
    mut object: Arc<ZenlayerPort>,
    shared: &Shared,
) -> Result<Option<Duration>, ReconcileError> {
    let api = api_of(&object, shared);
    let reference = Reference::of(object.as_ref());
    // Of a turn that came, if it did: what is decided now is not older than the call that it justifies.
    let mut ticket = shared.turns.take(&reference);
    for _ in 0..MOST_ROUNDS {
        let gathered = Gathered::of(&object, shared).await;
        let mut plan = gathered.decide(&object, Turn::Free, shared);
        if let (Action::Call(_), Some(account)) = (&plan.action, &gathered.account) {
            let pause = account.paused();
            ticket = ticket
                .filter(|ticket| ticket.is_of(account.key) && pause.is_none())
                .or_else(|| shared.turns.ask(&reference, account));
            if ticket.is_none() {
                let turn = pause.map_or(Turn::BehindOthers, |pause| Turn::Paused(pause.to_string()));
                let queued = gathered.decide(&object, turn, shared);
                plan = Plan { deadline: Some(QUEUED_RECHECK), ..queued };
            }
        } else {
            ticket = None;
            shared.turns.leave(&reference);
        }
        let deadline = plan.deadline;
        let mut span = transitions::reconcile(&object, &plan);
        let execute = Box::pin(execute::execute(&api, &object, plan, &mut ticket, shared));
        let done = span.around(execute).await;
        span.set_error(done.as_ref().err().map(|error| error.class().as_str()));
        drop(span);
        match done? {
            Done::Settled => return Ok(Some(deadline.unwrap_or(SAFETY_REQUEUE).min(SAFETY_REQUEUE))),
            Done::Gone => {
                shared.stop_reading(&reference);
                return Ok(None);
            }
            Done::Overtaken(now) | Done::Called(now) => object = Arc::new(*now),
        }
    }
    Err(ReconcileError::Contended)
}

pub(super) fn api_of(object: &ZenlayerPort, shared: &Shared) -> Objects {
    Objects::within(shared.kubernetes.clone(), object.metadata.namespace.as_deref())
}
