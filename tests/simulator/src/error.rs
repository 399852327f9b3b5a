//! Refusals of the API, with the documented codes and HTTP statuses (`docs/zenlayer-api.md`, error codes).

use std::borrow::Cow;

/// An answer other than success: `{"requestId","code","message"}` with a status that is not 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
    /// The value of a `Retry-After` header.
    pub(crate) retry_after: Option<String>,
}

impl ApiError {
    pub(crate) fn new(status: u16, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), retry_after: None }
    }

    pub(crate) fn invalid_authorization(why: &str) -> Self {
        Self::new(401, "AUTHFAILURE_INVALID_AUTHORIZATION", why)
    }

    pub(crate) fn signature_failure() -> Self {
        Self::new(401, "AUTHFAILURE_SIGNATURE_FAILURE", "the signature does not match the request")
    }

    pub(crate) fn signature_expired() -> Self {
        Self::new(401, "AUTHFAILURE_SIGNATURE_EXPIRED", "the timestamp is more than 5 minutes off")
    }

    /// Also the answer to an unknown action.
    pub(crate) fn unauthorized_operation(action: &str) -> Self {
        let message = format!("`{action}` does not exist or is not granted");
        Self::new(401, "AUTHFAILURE_UNAUTHORIZED_OPERATION", message)
    }

    pub(crate) fn request_limit_exceeded(retry_after: Option<String>) -> Self {
        Self { retry_after, ..Self::new(429, "REQUEST_LIMIT_EXCEEDED", "too many requests") }
    }

    pub(crate) fn missing_parameter(name: &str) -> Self {
        Self::new(400, "MISSING_PARAMETER", format!("`{name}` is required"))
    }

    /// `code` is one of `INVALID_PARAMETER_*`.
    pub(crate) fn invalid_parameter(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    /// The documented "7105" is a business number, not an HTTP status; 404 is what similar codes have.
    pub(crate) fn port_not_found(port_id: &str) -> Self {
        Self::new(404, "SELF_SERVICE_PORT_NOT_FOUND", format!("the port `{port_id}` is not found"))
    }
}
