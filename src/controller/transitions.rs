//! What the operator reports about an object: one line of the log for each transition, and spans for a collector of traces. Both
//! use the same names for its fields.

use std::fmt::Display;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::writes::Written;
use crate::api::{Call, CallOutcome, EventType, Reason, ZenlayerPort, ZenlayerPortStatus};
use crate::decision::{Action, Facts, Plan};
use crate::spans::{self, Kind, Span};

/// A line about one object.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Line<'a> {
    /// The row of the decision that led to it.
    pub(super) row: Option<u8>,
    pub(super) reason: Option<&'a str>,
    /// Zenlayer's id of the request.
    pub(super) request_id: Option<&'a str>,
    pub(super) warns: bool,
}

impl Line<'_> {
    pub(super) fn log(self, object: &ZenlayerPort, text: impl Display) {
        let Self { row, reason, request_id, warns } = self;
        let (metadata, port) = (&object.metadata, &object.spec.port_id);
        let (namespace, name, uid) = (&metadata.namespace, &metadata.name, &metadata.uid);
        if warns {
            tracing::warn!(namespace, name, uid, %port, row, reason, request_id, "{text}");
        } else {
            tracing::info!(namespace, name, uid, %port, row, reason, request_id, "{text}");
        }
    }
}

/// Logs what the write of a status has changed: `before` is the object as it was. The reconcile logs the calls.
pub(super) fn log_status(before: &ZenlayerPort, after: &ZenlayerPort, row: Option<u8>) {
    if let Some(shown) = ready(after)
        && reason(before) != Some(shown.reason.as_str())
    {
        let warns = Reason::parse(&shown.reason).and_then(Reason::event) == Some(EventType::Warning);
        let line = Line { row, reason: Some(&shown.reason), request_id: None, warns };
        line.log(after, &shown.message);
    }
    if let Some(call) = newest_call(after)
        && newest_call(before).is_none_or(|old| old.attempt != call.attempt)
    {
        let line = Line { row, reason: reason(after), ..Line::default() };
        line.log(after, format_args!("wrote the record of {}", call.action.as_str()));
    }
}

/// Logs that a call took effect, if `plan` is the first to say so: neither the status nor what was `learnt` before does.
pub(super) fn log_landed(object: &ZenlayerPort, learnt: Option<&Facts>, plan: &Plan) {
    let Some(call) = plan.facts.as_ref().and_then(Facts::landed) else { return };
    let is_told = |facts: &Facts| facts.landed().is_some_and(|told| told.attempt == call.attempt);
    if is_told(&Facts::stored_in(object)) || learnt.is_some_and(is_told) {
        return;
    }
    let request_id = match &call.outcome {
        CallOutcome::Accepted { request_id } => request_id.as_deref(),
        _ => None,
    };
    let line = Line { row: plan.row, reason: reason(object), request_id, warns: false };
    line.log(object, format_args!("{} took effect", call.action.as_str()));
}

fn newest_call(object: &ZenlayerPort) -> Option<&Call> {
    object.release().and_then(|release| release.call.as_ref())
}

fn ready(object: &ZenlayerPort) -> Option<&Condition> {
    object.status.as_ref().and_then(ZenlayerPortStatus::ready)
}

/// The reason that the object shows.
pub(super) fn reason(object: &ZenlayerPort) -> Option<&str> {
    ready(object).map(|ready| ready.reason.as_str())
}

/// The span of a reconcile that changes something; none where it changes nothing.
pub(super) fn reconcile(object: &ZenlayerPort, plan: &Plan) -> Span {
    if !spans::are_exported() {
        return Span::default();
    }
    let status = plan.status(object);
    if plan.action == Action::None && object.status.clone().unwrap_or_default() == status {
        return Span::default();
    }
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let mut span = if object.is_terminating() {
        Span::of_deletion(uid, "reconcile")
    } else {
        Span::start("reconcile", Kind::Internal)
    };
    describe(&mut span, object);
    if let Some(row) = plan.row {
        span.set_number("row", row);
    }
    let reason = match &plan.action {
        Action::RemoveFinalizer(reason) => Some(reason.as_str()),
        Action::None | Action::AddFinalizer | Action::Call(_) => {
            status.ready().map(|ready| ready.reason.as_str())
        }
    };
    if let Some(reason) = reason {
        span.set("reason", reason);
    }
    span.set("action", action(&plan.action));
    span
}

/// The span of a whole deletion, which ends with this.
pub(super) fn end_deletion(object: &ZenlayerPort, reason: Reason) {
    let (Some(uid), Some(deleted)) = (&object.metadata.uid, &object.metadata.deletion_timestamp) else {
        return;
    };
    let mut span = Span::whole_deletion(uid, "delete ZenlayerPort", deleted.0.into());
    describe(&mut span, object);
    span.set("policy", object.spec.deletion_policy.as_str());
    span.set("reason", reason.as_str());
    if let Some(request_id) = object.receipt().request_id {
        span.set("request_id", request_id);
    }
}

/// How a write to the API server ended, which began with its span.
pub(super) fn end_write(mut span: Span, answer: &kube::Result<Written>) {
    span.set_error(match answer {
        Ok(Written::Done(_)) => None,
        Ok(Written::Overtaken(_)) => Some("overtaken"),
        Ok(Written::Gone) => Some("gone"),
        Ok(Written::Refused(_)) => Some("refused"),
        Err(_) => Some("kubernetes"),
    });
}

fn describe(span: &mut Span, object: &ZenlayerPort) {
    let metadata = &object.metadata;
    for (key, value) in [("namespace", &metadata.namespace), ("name", &metadata.name), ("uid", &metadata.uid)]
    {
        span.set(key, value.as_deref().unwrap_or_default());
    }
    span.set("port", object.spec.port_id.as_str());
}

fn action(action: &Action) -> &'static str {
    match action {
        Action::None => "write the status",
        Action::AddFinalizer => "add the finalizer",
        Action::RemoveFinalizer(_) => "remove the finalizer",
        Action::Call(intent) => intent.warrant.action().as_str(),
    }
}
