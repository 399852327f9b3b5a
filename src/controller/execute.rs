//! Carries a plan out: the status first, then at most one act. Each write is guarded by what the decision saw.

use std::time::Duration;

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch as JsonPatch, PatchOperation, RemoveOperation, TestOperation};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::crash::CrashPoint;
use super::pass::{Gathered, PassError, Turn, tell_mirror};
use super::shared::Shared;
use crate::answer::NotSentCause;
use crate::api::{CallAction, CallOutcome, FINALIZER, Reason, ZenlayerPort, ZenlayerPortStatus};
use crate::decision::{Action, Announcement, Facts, Intent, Plan, Warrant, with_outcome};
use crate::zenlayer::ChangeAnswer;

/// A call is begun within this time of its record, or not at all: a settled record must not be followed by a late call. A
/// connection may take another 5 s, so that it leaves within 10 s.
const BEGIN_WITHIN: Duration = Duration::from_secs(5);

/// How often the outcome of a call is written anew after a conflict; the record stays `Pending` if all fail.
const MOST_OUTCOME_WRITES: u32 = 3;

/// How carrying out a plan ended.
pub(super) enum Done {
    Settled,
    /// The finalizer is off.
    Gone,
    /// The object is not what the decision saw: look again.
    Conflict,
    /// A call was made and its outcome is written: this is the object now.
    Called(Box<ZenlayerPort>),
}

pub(super) async fn execute(
    api: &Api<ZenlayerPort>,
    object: &ZenlayerPort,
    plan: Plan,
    turn: Option<Turn>,
    shared: &Shared,
) -> Result<Done, PassError> {
    let status = plan.status(object);
    let Plan { action, event, .. } = plan;
    match action {
        Action::None => {
            let written = write_status(api, object, status, shared).await?;
            let Some(_) = written else { return Ok(Done::Conflict) };
            if let Some(event) = &event {
                shared.events.send(object, event).await;
            }
            Ok(Done::Settled)
        }
        Action::AddFinalizer => add_finalizer(api, object).await,
        Action::LetGo(reason) => {
            if let Some(event) = &event {
                shared.events.send(object, event).await;
            }
            let_go(api, object, reason, shared).await
        }
        Action::Call(Intent { warrant, .. }) => {
            // Without a turn there is nothing to send: the next round gets one.
            let Some(turn) = turn else { return Ok(Done::Conflict) };
            // Saves a record that another replica would have to wait for; safety does not rest on it.
            if !shared.leadership.is_current() {
                return Err(PassError::NotLeading);
            }
            CrashPoint::BeforeRecord.reached();
            let started = shared.clock.monotonic();
            let Some(written) = write_status(api, object, status, shared).await? else {
                return Ok(Done::Conflict);
            };
            shared.memory.note(&written, shared.clock.monotonic());
            CrashPoint::AfterRecord.reached();
            let Some(recorded) = Recorded::new(written, warrant) else { return Ok(Done::Conflict) };
            let answer = if shared.clock.monotonic().since(started) > BEGIN_WITHIN {
                ChangeAnswer::NotSent {
                    cause: NotSentCause::RecordTooSlow,
                    why: "writing its record took too long".to_owned(),
                }
            } else {
                recorded.call(turn).await
            };
            CrashPoint::AfterCall.reached();
            shared.metrics.count_call(recorded.warrant.action(), &answer);
            let after = recorded.write_outcome(api, outcome(answer), shared).await?;
            if let Some(event) = &event {
                shared.events.send(object, event).await;
            }
            let Some((after, told)) = after else { return Ok(Done::Settled) };
            if let Some(told) = &told {
                shared.events.send(&after, told).await;
            }
            Ok(Done::Called(Box::new(after)))
        }
    }
}

/// The proof that the record of a call is written: only with it can the call be made.
struct Recorded {
    object: ZenlayerPort,
    warrant: Warrant,
}

impl Recorded {
    /// None if `written`, what the API server made of the write, does not hold the pending record of the call.
    fn new(written: ZenlayerPort, warrant: Warrant) -> Option<Self> {
        warrant.is_recorded_in(&written).then_some(Self { object: written, warrant })
    }

    async fn call(&self, (account, permit): Turn) -> ChangeAnswer {
        let port = self.warrant.port_id();
        if account.fingerprint != *self.warrant.credential() {
            return ChangeAnswer::NotSent {
                cause: NotSentCause::CredentialsChanged,
                why: "the credentials changed in the meantime".to_owned(),
            };
        }
        let action = self.warrant.action();
        tracing::info!(
            namespace = self.object.metadata.namespace, name = self.object.metadata.name, %port,
            "calling {}", action.as_str(),
        );
        let answer = match action {
            CallAction::TerminatePort => account.terminate_port(permit, port).await,
            CallAction::DestroyPort => account.destroy_port(permit, port).await,
        };
        tracing::info!(
            namespace = self.object.metadata.namespace, name = self.object.metadata.name, %port, ?answer,
            "{} was answered", action.as_str(),
        );
        answer
    }

    /// Writes the outcome, with what is to be said about it, while the record is still this call's; returns the object and
    /// the Event that the outcome is worth. None: it no longer is, or the object kept changing; a record that stays
    /// `Pending` settles by readings.
    async fn write_outcome(
        &self,
        api: &Api<ZenlayerPort>,
        outcome: CallOutcome,
        shared: &Shared,
    ) -> Result<Option<(ZenlayerPort, Option<Announcement>)>, PassError> {
        let mut object = self.object.clone();
        for _ in 0..MOST_OUTCOME_WRITES {
            let told =
                ZenlayerPort { status: Some(with_outcome(&object, outcome.clone())), ..object.clone() };
            let gathered = Gathered::of(&told, shared).await;
            let plan = gathered.decide(&told, shared);
            tell_mirror(&told, &plan, shared);
            shared.memory.learn(&object, &plan.facts);
            CrashPoint::BeforeOutcome.reached();
            // The Event of a next call is sent with that call.
            let event = plan.event.clone().filter(|_| !matches!(plan.action, Action::Call(_)));
            let status = plan.status_without_call(&told);
            if let Some(written) = write_status(api, &object, status, shared).await? {
                return Ok(Some((written, event)));
            }
            let name = object.metadata.name.clone().unwrap_or_default();
            match api.get_opt(&name).await.map_err(|error| kubernetes("get", "the object", error))? {
                Some(newer) if self.warrant.is_newest_of(&newer) => object = newer,
                Some(_) | None => return Ok(None),
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

/// PUTs `status` onto the object as the decision saw it; none on a conflict. What is unchanged is not written.
async fn write_status(
    api: &Api<ZenlayerPort>,
    object: &ZenlayerPort,
    status: ZenlayerPortStatus,
    shared: &Shared,
) -> Result<Option<ZenlayerPort>, PassError> {
    if object.status.as_ref().unwrap_or(&ZenlayerPortStatus::default()) == &status {
        return Ok(Some(object.clone()));
    }
    let name = object.metadata.name.clone().unwrap_or_default();
    let body = ZenlayerPort { status: Some(status), ..object.clone() };
    match api.replace_status(&name, &PostParams::default(), &body).await {
        Ok(written) => {
            shared.memory.learn(&written, &Facts::stored_in(&written));
            Ok(Some(written))
        }
        Err(kube::Error::Api(answer)) if answer.is_conflict() || answer.is_not_found() => Ok(None),
        Err(error) => Err(kubernetes("update", "the object's status", error)),
    }
}

async fn add_finalizer(api: &Api<ZenlayerPort>, object: &ZenlayerPort) -> Result<Done, PassError> {
    let add = match &object.metadata.finalizers {
        Some(finalizers) if !finalizers.is_empty() => add(&["metadata", "finalizers", "-"], json!(FINALIZER)),
        _ => add(&["metadata", "finalizers"], json!([FINALIZER])),
    };
    CrashPoint::BeforeFinalizer.reached();
    let patched = patch(api, object, vec![add]).await?;
    CrashPoint::AfterFinalizer.reached();
    match patched {
        Patched::Done | Patched::Gone => Ok(Done::Settled),
        Patched::Conflict => Ok(Done::Conflict),
    }
}

async fn let_go(
    api: &Api<ZenlayerPort>,
    object: &ZenlayerPort,
    reason: Reason,
    shared: &Shared,
) -> Result<Done, PassError> {
    let finalizers = object.metadata.finalizers.as_deref().unwrap_or_default();
    let Some(at) = finalizers.iter().position(|finalizer| finalizer == FINALIZER) else {
        return Ok(Done::Gone);
    };
    let index = at.to_string();
    let path = ["metadata", "finalizers", index.as_str()];
    CrashPoint::BeforeFinalizerRemoval.reached();
    let remove = PatchOperation::Remove(RemoveOperation { path: pointer(&path) });
    match patch(api, object, vec![test(&path, json!(FINALIZER)), remove]).await? {
        Patched::Conflict => Ok(Done::Conflict),
        Patched::Done | Patched::Gone => {
            shared.metrics.count_let_go(reason);
            tracing::info!(
                namespace = object.metadata.namespace, name = object.metadata.name, port = %object.spec.port_id,
                reason = reason.as_str(), "the finalizer is off",
            );
            Ok(Done::Gone)
        }
    }
}

enum Patched {
    Done,
    Conflict,
    Gone,
}

/// A JSON patch that applies only to the object that the decision saw.
async fn patch(
    api: &Api<ZenlayerPort>,
    object: &ZenlayerPort,
    operations: Vec<PatchOperation>,
) -> Result<Patched, PassError> {
    let mut guarded = vec![
        test(&["metadata", "uid"], json!(object.metadata.uid)),
        test(&["metadata", "resourceVersion"], json!(object.metadata.resource_version)),
    ];
    guarded.extend(operations);
    let name = object.metadata.name.clone().unwrap_or_default();
    let patch: Patch<ZenlayerPort> = Patch::Json(JsonPatch(guarded));
    match api.patch(&name, &PatchParams::default(), &patch).await {
        Ok(_) => Ok(Patched::Done),
        Err(kube::Error::Api(answer)) if answer.is_not_found() => Ok(Patched::Gone),
        // A test that fails is answered with 422.
        Err(kube::Error::Api(answer)) if answer.is_conflict() || answer.is_invalid() => Ok(Patched::Conflict),
        Err(error) => Err(kubernetes("patch", "the object's finalizers", error)),
    }
}

fn pointer(path: &[&str]) -> PointerBuf {
    PointerBuf::from_tokens(path.iter().copied())
}

fn test(path: &[&str], value: Value) -> PatchOperation {
    PatchOperation::Test(TestOperation { path: pointer(path), value })
}

fn add(path: &[&str], value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation { path: pointer(path), value })
}

pub(super) fn kubernetes(verb: &'static str, what: &'static str, source: kube::Error) -> PassError {
    PassError::Kubernetes { verb, what, source: Box::new(source) }
}
