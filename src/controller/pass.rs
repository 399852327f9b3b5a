//! One pass over one object: gather what is known, decide, execute; on a conflict look again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;

use super::execute::{self, Done};
use super::invalid;
use super::objects::Objects;
use super::observe::Observed;
use super::shared::Shared;
use super::transitions;
use super::writes::Refusal;
use crate::api::ZenlayerPort;
use crate::decision::sighting::Evidence;
use crate::decision::{self, Action, Attachments, Context, CrdState, Input, Plan, Turn};
use crate::index::{Known, KnownSince, Reference};
use crate::mirror::Account;
use crate::server::ReconcileResult;
use crate::tasks::panic_message;
use crate::zenlayer::Client;

/// Reads and writes of the object in one pass before it gives way to others.
const MOST_ROUNDS: u32 = 8;

/// The bound of a whole pass: a call with its writes before and after it, and some.
const DEADLINE: Duration = Duration::from_secs(90);

/// Trust in events has a limit: every object is looked at this often, come what may.
const SAFETY_REQUEUE: Duration = Duration::from_hours(1);

/// When an object that waits for its turn is looked at again: it shows by then that Zenlayer asked for a pause.
const QUEUED_RECHECK: Duration = Duration::from_mins(1);

#[derive(Debug, thiserror::Error)]
pub(super) enum PassError {
    #[error("cannot {verb} {what}: {source}")]
    Kubernetes { verb: &'static str, what: &'static str, source: Box<kube::Error> },
    #[error("the API server refuses {what}: {refusal}")]
    Refused { what: &'static str, refusal: Refusal },
    #[error("the object changed several times during the reconcile")]
    Contended,
    #[error("this replica no longer leads, so it does not change the port")]
    NotLeading,
    #[error("the reconcile took longer than {} s", DEADLINE.as_secs())]
    Deadline,
    #[error("the reconcile panicked: {0}")]
    Panicked(String),
}

impl PassError {
    pub(super) fn class(&self) -> ReconcileResult {
        match self {
            Self::Kubernetes { .. } => ReconcileResult::Kubernetes,
            Self::Refused { .. } => ReconcileResult::Refused,
            Self::Contended => ReconcileResult::Contended,
            Self::NotLeading => ReconcileResult::NotLeading,
            Self::Deadline => ReconcileResult::Deadline,
            Self::Panicked(_) => ReconcileResult::Panicked,
        }
    }
}

/// Reconciles the object as it is known. Returns when it is to be reconciled again even if nothing wakes it.
pub(super) async fn reconcile(reference: Reference, shared: Arc<Shared>) -> Option<Duration> {
    match shared.index.newest(&reference)? {
        Known::Parsed(object) => match guarded(Arc::clone(&object), &shared).await {
            Ok(again) => again,
            Err(error) => Some(pause_after(&object, &error, &shared)),
        },
        Known::Invalid(invalid) => invalid::reconcile(&invalid, &shared).await,
    }
}

/// A pass that can neither hang nor take the controller down with it.
pub(super) async fn guarded(
    object: Arc<ZenlayerPort>,
    shared: &Shared,
) -> Result<Option<Duration>, PassError> {
    let began = shared.clock.monotonic();
    let pass = AssertUnwindSafe(pass(Arc::clone(&object), shared)).catch_unwind();
    let result = match tokio::time::timeout(DEADLINE, pass).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(PassError::Panicked(panic_message(panic.as_ref()))),
        Err(_) => Err(PassError::Deadline),
    };
    if result.is_ok() {
        shared.index.succeeded(&object);
    }
    let class = result.as_ref().err().map_or(ReconcileResult::Ok, PassError::class);
    shared.metrics.count_reconcile(class, shared.clock.monotonic().since(began));
    shared.after_pass(&object);
    result
}

/// The pause after a failed pass, longer with each that fails in a row.
pub(super) fn pause_after(object: &ZenlayerPort, error: &PassError, shared: &Shared) -> Duration {
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

async fn pass(mut object: Arc<ZenlayerPort>, shared: &Shared) -> Result<Option<Duration>, PassError> {
    let api = api_of(&object, shared);
    let reference = Reference::of(object.as_ref());
    // Of a turn that came, if it did: what is decided now is not older than the call that it justifies.
    let mut ticket = shared.turns.take(&reference);
    for _ in 0..MOST_ROUNDS {
        let gathered = Gathered::of(&object, shared).await;
        let mut plan = gathered.decide(&object, Turn::Free, shared);
        if let (Action::Call(_), Some(account)) = (&plan.action, &gathered.account) {
            ticket = ticket
                .filter(|ticket| ticket.is_of(account.key))
                .or_else(|| shared.turns.ask(&reference, account));
            if ticket.is_none() {
                let pause = account.paused();
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
        let execute = Box::pin(execute::execute(&api, &object, plan, ticket.take(), shared));
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
    Err(PassError::Contended)
}

pub(super) fn api_of(object: &ZenlayerPort, shared: &Shared) -> Objects {
    Objects::within(shared.kubernetes.clone(), object.metadata.namespace.as_deref())
}

/// What a decision about one object rests on.
pub(super) struct Gathered {
    pub(super) account: Option<Arc<Account<Client>>>,
    evidence: Option<Evidence>,
    context: Context,
}

impl Gathered {
    pub(super) async fn of(object: &ZenlayerPort, shared: &Shared) -> Self {
        let known = shared.index.note(object, shared.clock.monotonic());
        let Observed { account, credential, not_copied, evidence } =
            Observed::of(object, known.deletion, shared).await;
        let key = account.as_ref().map(|account| account.key);
        shared.wakes.wake(shared.index.looked(object, key, evidence.as_ref()));
        let now = shared.clock.monotonic();
        let context = Context {
            credential,
            not_copied,
            claims: shared.index.claims(object, key, now),
            same_account: shared
                .index
                .same_account(object, account.as_ref().map(|account| &account.fingerprint)),
            deletions_at_once: shared.index.deletions_at_once(object, evidence.as_ref(), now),
            listing: shared.index.listing(object, known.deletion),
            crd: crd_state(object, known, shared).await,
            attachments: attachments(object, account.as_deref(), shared),
            gates: shared.gates,
            deletion_known_since: known.deletion,
            call_known_since: known.call,
            learnt: shared.index.learnt(object),
            turn: Turn::Free,
        };
        Self { account, evidence, context }
    }

    /// Decides, and keeps what the decision has learnt and wants to be read, whatever becomes of the plan.
    pub(super) fn decide(&self, object: &ZenlayerPort, turn: Turn, shared: &Shared) -> Plan {
        // What one decision has learnt is not news to the next.
        let context = Context { turn, learnt: shared.index.learnt(object), ..self.context.clone() };
        let plan = decision::decide(&Input {
            object,
            evidence: self.evidence.as_ref(),
            context: &context,
            timing: &shared.timing,
            now: shared.clock.now(),
        });
        tell_mirror(object, &plan, shared);
        transitions::log_landed(object, context.learnt.as_deref(), &plan);
        shared.index.learn(object, plan.facts.as_ref());
        plan
    }
}

/// Read when the grace is over, and not for each object before that.
async fn crd_state(object: &ZenlayerPort, known: KnownSince, shared: &Shared) -> CrdState {
    let Some(deletion) = known.deletion.filter(|_| object.is_terminating()) else {
        return CrdState::Unknown("the operator reads it after the deletion of the object".to_owned());
    };
    if decision::grace_is_over(known.deletion, &shared.timing, shared.clock.monotonic()) {
        shared.crd.state(deletion).await
    } else {
        CrdState::Unknown("the operator reads it after the grace period".to_owned())
    }
}

/// Watched only for a port whose call was refused; nobody waits here for what is not known yet.
fn attachments(object: &ZenlayerPort, account: Option<&Account<Client>>, shared: &Shared) -> Attachments {
    let reference = Reference::of(object);
    let call = object.release().and_then(|release| release.call.as_ref());
    if let (Some(account), Some(_)) = (account, call.filter(|call| decision::was_refused_as_is(call))) {
        let users = shared.usage.observe(reference, account, &object.spec.port_id);
        users.map_or(Attachments::Unknown, Attachments::Known)
    } else {
        shared.usage.forget(&reference);
        Attachments::Unknown
    }
}

fn tell_mirror(object: &ZenlayerPort, plan: &Plan, shared: &Shared) {
    let reference = Reference::of(object);
    match (plan.want, &plan.action) {
        (Some(want), _) => shared.mirror.want(&reference, want),
        // What was read proves that the finalizer may go, and is needed until it is off.
        (None, Action::LetGo(_)) => {}
        (None, _) => shared.stop_reading(&reference),
    }
}
