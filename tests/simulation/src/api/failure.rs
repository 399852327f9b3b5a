//! What the server answers when it refuses: a `Status`, in the words of the real one.

use serde_json::{Map, Value, json};

use super::kinds::Kind;

/// An answer other than success.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    pub(super) code: u16,
    reason: Option<&'static str>,
    message: String,
    details: Option<Value>,
    /// A token with which a list may go on.
    token: Option<String>,
    /// The message is the whole answer.
    plain: bool,
}

/// One thing that is wrong with an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cause {
    pub(super) kind: &'static str,
    pub(super) field: String,
    pub(super) text: String,
}

impl Cause {
    pub(super) fn new(kind: &'static str, field: impl Into<String>, text: impl Into<String>) -> Self {
        Self { kind, field: field.into(), text: text.into() }
    }

    /// A value that may not be so.
    pub(super) fn invalid(field: impl Into<String>, value: &Value, why: &str) -> Self {
        let shown = match value {
            Value::Object(_) | Value::Array(_) => go_value(value),
            Value::Null => "null".to_owned(),
            other => other.to_string(),
        };
        Self::new("FieldValueInvalid", field, format!("Invalid value: {shown}: {why}"))
    }

    pub(super) fn required(field: impl Into<String>, why: &str) -> Self {
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        Self::new("FieldValueRequired", field, format!("Required value{why}"))
    }

    pub(super) fn forbidden(field: impl Into<String>, why: &str) -> Self {
        Self::new("FieldValueForbidden", field, format!("Forbidden: {why}"))
    }
}

/// A list or an object as the real server prints it: as JSON.
fn go_value(value: &Value) -> String {
    value.to_string()
}

impl Failure {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        let reason = Some(reason);
        Self { code, reason, message: message.into(), details: None, token: None, plain: false }
    }

    fn about(mut self, group: &str, kind: &str, name: &str) -> Self {
        let parts = [("name", name), ("group", group), ("kind", kind)];
        let parts = parts.into_iter().filter(|(_, text)| !text.is_empty());
        self.details =
            Some(parts.map(|(key, text)| (key.to_owned(), json!(text))).collect::<Map<_, _>>().into());
        self
    }

    /// About an object of this kind. The real server writes the plural in the field `kind`.
    fn of(self, kind: &Kind, name: &str) -> Self {
        self.about(&kind.group, &kind.plural, name)
    }

    fn because(mut self, causes: &[Cause]) -> Self {
        let causes: Vec<Value> = causes
            .iter()
            .map(|cause| {
                let parts =
                    [("reason", cause.kind), ("message", cause.text.as_str()), ("field", &cause.field)];
                let parts = parts.into_iter().filter(|(_, text)| !text.is_empty());
                parts.map(|(key, text)| (key.to_owned(), json!(text))).collect::<Map<_, _>>().into()
            })
            .collect();
        let details = self.details.get_or_insert_with(|| json!({}));
        details["causes"] = causes.into();
        self
    }

    /// The path leads nowhere.
    pub(super) fn no_such_path() -> Self {
        Self { plain: true, ..Self::new(404, "", "404 page not found\n") }
    }

    pub(super) fn not_found(kind: &Kind, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} \"{name}\" not found", kind.resource())).of(kind, name)
    }

    pub(super) fn already_exists(kind: &Kind, name: &str, is_terminating: bool) -> Self {
        let prefix = if is_terminating { "object is being deleted: " } else { "" };
        let message = format!("{prefix}{} \"{name}\" already exists", kind.resource());
        Self::new(409, "AlreadyExists", message).of(kind, name)
    }

    pub(super) fn not_supported(kind: &Kind, verb: &str) -> Self {
        let message = format!("{verb} is not supported on resources of kind \"{}\"", kind.resource());
        Self::new(405, "MethodNotAllowed", message).of(kind, "")
    }

    pub(super) fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.resource());
        Self::new(409, "Conflict", message).of(kind, name)
    }

    /// A precondition of a deletion. The real server writes the kind where it else writes the plural.
    pub(super) fn precondition(kind: &Kind, name: &str, why: &str) -> Self {
        let of = kind.in_group(&kind.kind);
        let message = format!("Operation cannot be fulfilled on {of} \"{name}\": {why}");
        Self::new(409, "Conflict", message).about(&kind.group, &kind.kind, name)
    }

    pub(super) fn modified(kind: &Kind, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, why)
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(super) fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        let message = match name {
            "" => format!("{} is forbidden: {why}", kind.resource()),
            name => format!("{} \"{name}\" is forbidden: {why}", kind.resource()),
        };
        Self::new(403, "Forbidden", message).of(kind, name)
    }

    pub(super) fn terminating(kind: &Kind, name: &str, namespace: &str) -> Self {
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        let text = format!("namespace {namespace} is being terminated");
        let cause = Cause::new("NamespaceTerminating", "metadata.namespace", text);
        Self::forbidden(kind, name, &why).because(&[cause])
    }

    /// A policy's refusal: the words of a 403 with the code of a 422, unless the policy says otherwise.
    pub(super) fn denied(kind: &Kind, name: &str, why: &str, reason: &str) -> Self {
        let (code, reason) = match reason {
            "Unauthorized" => (401, "Unauthorized"),
            "Forbidden" => (403, "Forbidden"),
            "RequestEntityTooLarge" => (413, "RequestEntityTooLarge"),
            _ => (422, "Invalid"),
        };
        let cause = Cause::new("", "", why);
        let forbidden = Self::forbidden(kind, name, why).because(&[cause]);
        Self { code, reason: Some(reason), ..forbidden }
    }

    /// `of`: the kind, or for a missing version the plural, as the real server has it.
    pub(super) fn invalid(group: &str, of: &str, name: &str, causes: &[Cause]) -> Self {
        let mut said: Vec<String> = Vec::new();
        for cause in causes {
            let text = format!("{}: {}", cause.field, cause.text);
            // What is said twice is told once.
            if !said.contains(&text) {
                said.push(text);
            }
        }
        let said = match &said[..] {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let of_group = if group.is_empty() { of.to_owned() } else { format!("{of}.{group}") };
        let message = format!("{of_group} \"{name}\" is invalid: {said}");
        Self::new(422, "Invalid", message).about(group, of, name).because(causes)
    }

    /// A JSON patch that does not fit.
    pub(super) fn patch_does_not_fit() -> Self {
        let mut failure =
            Self::new(422, "Invalid", "the server rejected our request due to an error in our request");
        failure.details = Some(json!({}));
        failure
    }

    pub(super) fn method(message: &str) -> Self {
        let mut failure = Self::new(405, "MethodNotAllowed", message);
        failure.details = Some(json!({}));
        failure
    }

    pub(super) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub(super) fn token_expired(token: String) -> Self {
        let message = "The provided continue parameter is too old to display a consistent list result. You can start a \
                       new list without the continue parameter, or use the continue token in this response to retrieve \
                       the remainder of the results. Continuing with the provided token results in an inconsistent \
                       list - objects that were created, modified, or deleted between the time the first chunk was \
                       returned and now may show up in the list.";
        Self { token: Some(token), ..Self::expired(message) }
    }

    pub(super) fn too_large_version(asked: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        let mut failure = Self::new(504, "Timeout", message);
        let cause = Cause::new("ResourceVersionTooLarge", "", "Too large resource version");
        failure.details = Some(json!({ "retryAfterSeconds": 1 }));
        failure.because(&[cause])
    }

    /// An error that the real server did not think of.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        let failure = Self::new(500, "", message);
        Self { reason: None, ..failure }
    }

    /// What the real server can do, and this one cannot. Nobody takes this answer for one of the real server.
    pub(super) fn unknown(what: &str) -> Self {
        Self::new(501, "NotImplemented", format!("the API server in memory does not know {what}"))
    }

    pub(super) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if let Some(token) = &self.token {
            status["metadata"]["continue"] = json!(token);
        }
        if let Some(reason) = self.reason {
            status["reason"] = json!(reason);
        }
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status
    }

    /// The answer's text, if it is not JSON.
    pub(super) fn plain(&self) -> Option<&str> {
        self.plain.then_some(&self.message)
    }
}
