//! What an answer means. Everything here is a pure function of status, headers, and body.
//!
//! `code` decides, never `message`, and the status only as far as it goes: documented codes come with
//! statuses that are not documented (`docs/zenlayer-api.md`, error codes).

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::wire::{Envelope, Object, tidy};

/// A server that asks for more is asked again after this time.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// An answer, received to its end.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeAnswer {
    /// Zenlayer has accepted it; it is not done yet.
    Accepted { request_id: Option<String> },
    /// Zenlayer has said no, in words of its own; nothing was changed.
    Refused(Refusal),
    /// It may have been carried out, now or later.
    Unclear { why: String },
    /// It has not left this process: no connection came about, or Zenlayer had just asked for a pause.
    NotSent { why: String },
}

/// A definite no: 4xx with an error code of Zenlayer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub kind: RefusalKind,
    pub code: String,
    pub message: String,
    pub request_id: Option<String>,
    /// How long Zenlayer asked to be left alone.
    pub retry_after: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    Throttled,
    /// One of the documented codes for a port that these credentials do not see.
    NotFound,
    /// The credential is not accepted for anything.
    Unauthorized,
    /// The credential is good, this action is forbidden to it.
    PermissionDenied,
    /// The signature's time is more than five minutes off Zenlayer's clock.
    ClockSkew,
    Other,
}

/// Why there is no good reading.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("Zenlayer could not be read: {detail}")]
    Unavailable { detail: String },
    #[error("Zenlayer asks for fewer requests; reading goes on more slowly")]
    Throttled { retry_after: Option<Duration> },
    #[error(
        "Zenlayer does not accept the credential ({code}); check whether the key or token is still valid"
    )]
    Unauthorized { code: String },
    #[error("Zenlayer forbids the credential to read ports ({code}); grant its user access to SDN")]
    PermissionDenied { code: String },
    #[error("Zenlayer rejects the time of the request; check this machine's clock")]
    ClockSkew,
    #[error("Zenlayer knows no such port ({code})")]
    NotFound { code: String },
    #[error("Zenlayer refuses the reading with {code}: {message}")]
    Refused { code: String, message: String },
}

/// What to do before the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushback {
    None,
    /// Wait, but go on as fast as before.
    Pause(Duration),
    /// Slow down, and wait if a time is given.
    Throttled(Option<Duration>),
}

/// Classifies the answer to a change.
pub(super) fn classify_change(reply: &Reply) -> ChangeAnswer {
    match Answer::<IgnoredAny>::of(reply) {
        Answer::Good { request_id, .. } => ChangeAnswer::Accepted { request_id },
        Answer::Refused(refusal) => ChangeAnswer::Refused(refusal),
        Answer::Doubtful(why) => ChangeAnswer::Unclear { why },
    }
}

/// Classifies the answer to a reading. Here 429 and 401 speak for themselves, also from a proxy in between.
pub(super) fn classify_read<T: for<'de> Deserialize<'de>>(reply: &Reply) -> Result<T, ReadError> {
    match Answer::of(reply) {
        Answer::Good { response, .. } => Ok(response),
        Answer::Refused(refusal) => Err(refusal.into()),
        Answer::Doubtful(detail) => Err(match reply.status {
            StatusCode::TOO_MANY_REQUESTS => ReadError::Throttled { retry_after: reply.retry_after() },
            StatusCode::UNAUTHORIZED => ReadError::Unauthorized { code: "HTTP 401".to_owned() },
            _ => ReadError::Unavailable { detail },
        }),
    }
}

/// What an answer says, whatever was asked.
enum Answer<T> {
    /// HTTP 200 and well formed.
    Good { request_id: Option<String>, response: T },
    /// 4xx and well formed, with a code that leaves no doubt.
    Refused(Refusal),
    /// Anything else.
    Doubtful(String),
}

impl<T: for<'de> Deserialize<'de>> Answer<T> {
    fn of(reply: &Reply) -> Self {
        let status = reply.status;
        if reply.headers.contains_key("cf-mitigated") {
            return Self::Doubtful(format!("{status} from Cloudflare, which blocks this client"));
        }
        if status != StatusCode::OK {
            return Self::of_error(reply);
        }
        match Envelope::parse(&reply.body) {
            Ok(Envelope { code: None, response: Some(Object(response)), request_id, .. }) => {
                Self::Good { request_id: request_id.as_deref().map(tidy), response }
            }
            Ok(envelope @ Envelope { code: Some(_), .. }) => Self::Doubtful(error_text(status, &envelope)),
            Ok(_) => Self::Doubtful(format!("{status} without a response")),
            Err(error) => {
                Self::Doubtful(format!("{status} with a malformed body: {}", tidy(&error.to_string())))
            }
        }
    }

    fn of_error(reply: &Reply) -> Self {
        let status = reply.status;
        let Ok(envelope) = Envelope::<IgnoredAny>::parse(&reply.body) else {
            let content_type = reply.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            return Self::Doubtful(format!(
                "{status} with a body of {}",
                tidy(content_type.unwrap_or("no type"))
            ));
        };
        // A server that gave up waiting does not know what became of the request.
        let definite = status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT;
        match envelope.code.as_deref() {
            Some(code) if definite && !code.is_empty() && !is_doubtful(code) => Self::Refused(Refusal {
                kind: RefusalKind::of(status, code),
                code: tidy(code),
                message: tidy(envelope.message.as_deref().unwrap_or_default()),
                request_id: envelope.request_id.as_deref().map(tidy),
                retry_after: reply.retry_after(),
            }),
            _ => Self::Doubtful(error_text(status, &envelope)),
        }
    }
}

/// Codes of failures on Zenlayer's side, after which the request may or may not have been carried out.
fn is_doubtful(code: &str) -> bool {
    matches!(
        code,
        "INTERNAL_SERVER_ERROR"
            | "SERVICE_TEMPORARY_UNAVAILABLE"
            | "REQUEST_TIMED_OUT"
            | "INVALID_OPERATION_TIMEOUT"
    )
}

fn error_text<T>(status: StatusCode, envelope: &Envelope<T>) -> String {
    let code = envelope.code.as_deref().map_or_else(|| "no error code".to_owned(), tidy);
    let message = envelope.message.as_deref().map(tidy).unwrap_or_default();
    let request_id = envelope.request_id.as_deref().map(tidy);
    format!("{status} with {}", sentence(&code, &message, request_id.as_deref()))
}

/// `CODE: message (request T…)`, without what is missing.
fn sentence(code: &str, message: &str, request_id: Option<&str>) -> String {
    let colon = if code.is_empty() || message.is_empty() { "" } else { ": " };
    let request = request_id.map(|id| format!(" (request {id})")).unwrap_or_default();
    format!("{code}{colon}{message}{request}")
}

impl RefusalKind {
    fn of(status: StatusCode, code: &str) -> Self {
        match code {
            _ if status == StatusCode::TOO_MANY_REQUESTS => Self::Throttled,
            "REQUEST_LIMIT_EXCEEDED" => Self::Throttled,
            // All codes that say this. `OPERATION_FAILED_RESOURCE_GROUP_NOT_FOUND` speaks of something else.
            "SELF_SERVICE_PORT_NOT_FOUND"
            | "INVALID_PORT_NOT_FOUND"
            | "OPERATION_FAILED_RESOURCE_NOT_FOUND" => Self::NotFound,
            "AUTHFAILURE_SIGNATURE_EXPIRED" => Self::ClockSkew,
            "AUTHFAILURE_UNAUTHORIZED_OPERATION" => Self::PermissionDenied,
            _ if code.starts_with("AUTHFAILURE_") || status == StatusCode::UNAUTHORIZED => Self::Unauthorized,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&sentence(&self.code, &self.message, self.request_id.as_deref()))
    }
}

impl From<Refusal> for ReadError {
    fn from(refusal: Refusal) -> Self {
        let Refusal { kind, code, message, request_id, retry_after } = refusal;
        match kind {
            RefusalKind::Throttled => Self::Throttled { retry_after },
            RefusalKind::NotFound => Self::NotFound { code },
            RefusalKind::Unauthorized => Self::Unauthorized { code },
            RefusalKind::PermissionDenied => Self::PermissionDenied { code },
            RefusalKind::ClockSkew => Self::ClockSkew,
            RefusalKind::Other => {
                Self::Refused { code, message: sentence("", &message, request_id.as_deref()) }
            }
        }
    }
}

impl Reply {
    pub(super) fn pushback(&self) -> Pushback {
        let limited = || {
            let code = Envelope::<IgnoredAny>::parse(&self.body).ok().and_then(|envelope| envelope.code);
            code.as_deref() == Some("REQUEST_LIMIT_EXCEEDED")
        };
        match self.status {
            StatusCode::OK => Pushback::None,
            StatusCode::TOO_MANY_REQUESTS => Pushback::Throttled(self.retry_after()),
            _ if limited() => Pushback::Throttled(self.retry_after()),
            StatusCode::SERVICE_UNAVAILABLE => self.retry_after().map_or(Pushback::None, Pushback::Pause),
            _ => Pushback::None,
        }
    }

    /// `Retry-After`, of at most five minutes.
    fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?;
        let asked = match text.trim().parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => self.until(text)?,
        };
        Some(asked.min(LONGEST_PAUSE))
    }

    /// The time from the answer to an HTTP date, by the server's own clock; zero if it has passed.
    fn until(&self, date: &str) -> Option<Duration> {
        let parse = |date: &str| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok();
        let now = parse(self.headers.get(DATE)?.to_str().ok()?)?;
        Some(Duration::try_from(parse(date)?.duration_since(now)).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
