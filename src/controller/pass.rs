//! One pass over one object: gather what is known, decide, execute; on a conflict look again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use kube::runtime::controller::Action as Requeue;

use super::execute::{self, Done};
use super::memory::KnownSince;
use super::objects::Objects;
use super::observe::Observed;
use super::reference::reference;
use super::shared::Shared;
use super::transitions;
use super::writes::Refusal;
use crate::api::ZenlayerPort;
use crate::decision::sighting::Evidence;
use crate::decision::{self, Action, Attachments, Context, CrdState, Input, Plan, Turn};
use crate::mirror::Account;
use crate::server::ReconcileResult;
use crate::tasks::panic_message;
use crate::zenlayer::{Client, Permit};

/// Reads and writes of the object in one pass before it gives way to others.
const MOST_ROUNDS: u32 = 8;

/// The bound of a whole pass: a call with its writes before and after it, and some.
const DEADLINE: Duration = Duration::from_secs(90);

/// Trust in events has a limit: every object is looked at this often, come what may.
const SAFETY_REQUEUE: Duration = Duration::from_hours(1);

/// How long a pass that has its slot waits until the account's rate allows the call; then others may use the slot.
const PERMIT_PATIENCE: Duration = Duration::from_secs(10);

/// When a pass whose permit did not come in that time asks for a slot again.
const PERMIT_RETRY: Duration = Duration::from_secs(1);

/// When an object that waits for a slot is looked at again, even if nothing wakes it.
const SLOT_RECHECK: Duration = Duration::from_mins(1);

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

/// A pass that can neither hang nor take the controller down with it.
pub(super) async fn guarded(object: Arc<ZenlayerPort>, shared: Arc<Shared>) -> Result<Requeue, PassError> {
    let began = shared.clock.monotonic();
    let pass = AssertUnwindSafe(pass(Arc::clone(&object), &shared)).catch_unwind();
    let result = match tokio::time::timeout(DEADLINE, pass).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(PassError::Panicked(panic_message(panic.as_ref()))),
        Err(_) => Err(PassError::Deadline),
    };
    if result.is_ok() {
        shared.memory.succeeded(&object);
    }
    let class = result.as_ref().err().map_or(ReconcileResult::Ok, PassError::class);
    shared.metrics.count_reconcile(class, shared.clock.monotonic().since(began));
    shared.after_pass(&object);
    result
}

/// The pause after a failed pass, longer with each that fails in a row.
#[expect(clippy::needless_pass_by_value, reason = "the signature is kube's")]
pub(super) fn error_policy(object: Arc<ZenlayerPort>, error: &PassError, shared: Arc<Shared>) -> Requeue {
    let failures = if shared.is_known(&object) { shared.memory.failed(&object) } else { 1 };
    let mut hasher = DefaultHasher::new();
    object.metadata.uid.hash(&mut hasher);
    let pause = decision::error_backoff(failures, hasher.finish());
    tracing::warn!(
        namespace = object.metadata.namespace, name = object.metadata.name, uid = object.metadata.uid,
        port = %object.spec.port_id, %error, failures,
        retry_in_seconds = pause.as_secs(), "the reconcile failed; the operator tries again",
    );
    Requeue::requeue(pause)
}

async fn pass(cached: Arc<ZenlayerPort>, shared: &Shared) -> Result<Requeue, PassError> {
    let mut object = shared.own_writes.newest(cached);
    let api = api_of(&object, shared);
    let reference = reference(object.as_ref());
    let mut slot = shared.calls.take(&reference);
    let mut permit = None;
    for _ in 0..MOST_ROUNDS {
        let mut gathered = Gathered::of(&object, shared).await;
        let mut plan = gathered.decide(&object, shared);
        if !matches!(plan.action, Action::Call(_)) {
            shared.calls.leave(&reference);
        } else if let (None, Some(account)) = (&permit, &gathered.account) {
            slot = slot
                .filter(|slot| slot.is_of(account.key))
                .or_else(|| shared.calls.ask(&reference, account.key));
            let pause = account.paused().filter(|pause| pause.left > PERMIT_PATIENCE);
            if slot.is_some()
                && pause.is_none()
                && let Ok(granted) = tokio::time::timeout(PERMIT_PATIENCE, account.change_permit()).await
            {
                // Waiting has taken time, and a decision must not be older than the call it justifies: decide again.
                permit = Some((Arc::clone(account), granted));
                continue;
            }
            let had_slot = slot.take().is_some();
            let retry = match &pause {
                Some(pause) => pause.left + PERMIT_RETRY,
                None if had_slot => PERMIT_RETRY,
                None => SLOT_RECHECK,
            };
            gathered.context.turn = pause.map_or(Turn::BehindOthers, |pause| Turn::Paused(pause.to_string()));
            // What the first decision has learnt is not news to the second one.
            gathered.context.learnt = shared.memory.learnt(&object);
            plan = Plan { deadline: Some(retry), ..gathered.decide(&object, shared) };
        }
        let deadline = plan.deadline;
        let mut span = transitions::reconcile(&object, &plan);
        let execute = Box::pin(execute::execute(&api, &object, plan, permit.take(), shared));
        let done = span.around(execute).await;
        span.set_error(done.as_ref().err().map(|error| error.class().as_str()));
        drop(span);
        match done? {
            Done::Settled => return Ok(requeue(deadline)),
            Done::Gone => {
                shared.stop_reading(&reference);
                return Ok(Requeue::await_change());
            }
            Done::Overtaken(now) | Done::Called(now) => object = Arc::new(*now),
        }
    }
    Err(PassError::Contended)
}

fn requeue(deadline: Option<Duration>) -> Requeue {
    Requeue::requeue(deadline.unwrap_or(SAFETY_REQUEUE).min(SAFETY_REQUEUE))
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
        let known = shared.memory.note(object, shared.clock.monotonic());
        let Observed { account, credential, not_copied, evidence } =
            Observed::of(object, known.deletion, shared).await;
        let context = Context {
            credential,
            not_copied,
            claims: shared.claims(object, account.as_ref().map(|account| account.key), evidence.as_ref()),
            same_account: shared.same_account(object, account.as_ref().map(|account| &account.fingerprint)),
            deletions_at_once: shared.deletions_at_once(object, evidence.as_ref()),
            listing: shared.listing(object, known.deletion),
            crd: crd_state(object, known, shared).await,
            attachments: attachments(object, account.as_deref(), shared),
            gates: shared.gates,
            deletion_known_since: known.deletion,
            call_known_since: known.call,
            learnt: shared.memory.learnt(object),
            turn: Turn::Free,
        };
        Self { account, evidence, context }
    }

    /// Decides, and keeps what the decision has learnt and wants to be read, whatever becomes of the plan.
    pub(super) fn decide(&self, object: &ZenlayerPort, shared: &Shared) -> Plan {
        let plan = decision::decide(&Input {
            object,
            evidence: self.evidence.as_ref(),
            context: &self.context,
            timing: &shared.timing,
            now: shared.clock.now(),
        });
        tell_mirror(object, &plan, shared);
        transitions::log_landed(object, self.context.learnt.as_deref(), &plan);
        shared.memory.learn(object, plan.facts.as_ref());
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
    let reference = reference(object);
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
    let reference = reference(object);
    match (plan.want, &plan.action) {
        (Some(want), _) => shared.mirror.want(&reference, want),
        // What was read proves that the finalizer may go, and is needed until it is off.
        (None, Action::LetGo(_)) => {}
        (None, _) => shared.stop_reading(&reference),
    }
}

/// The permit to call, and the account that it is of.
pub(super) type Granted = (Arc<Account<Client>>, Permit);
