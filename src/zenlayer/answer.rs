//! What an answer means. Everything here is a pure function of status, headers, and body.
//!
//! `code` decides, never `message`, and the status only as far as it goes: documented codes come with
//! statuses that are not documented (`docs/zenlayer-api.md`, error codes).

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderValue, LOCATION, RETRY_AFTER};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::http_client::Reply;
use super::wire::{Envelope, Object};
use crate::answer::{NotSentCause, Refusal, RefusalKind, Unreadable};
use crate::text::sanitized;

/// A server that asks for more is asked again after this time.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeAnswer {
    /// Zenlayer has accepted it; it is not done yet.
    Accepted { request_id: Option<String> },
    /// Zenlayer has said no, by a 4xx with an error code; nothing was changed.
    Refused(Refusal),
    /// It may have been carried out, now or later: what came instead of an answer.
    Unclear { why: String },
    /// It has not left this process.
    NotSent { cause: NotSentCause, why: String },
}

impl ChangeAnswer {
    /// Zenlayer's id of the request.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Accepted { request_id } => request_id.as_deref(),
            Self::Refused(refusal) => refusal.request_id.as_deref(),
            Self::Unclear { .. } | Self::NotSent { .. } => None,
        }
    }
}

impl fmt::Display for ChangeAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { .. } => f.write_str("accepted"),
            Self::Refused(refusal) => write!(f, "refused: {refusal}"),
            Self::Unclear { why } => write!(f, "no clear answer: {why}"),
            Self::NotSent { why, .. } => write!(f, "not sent: {why}"),
        }
    }
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
pub(super) fn classify_read<T: for<'de> Deserialize<'de>>(reply: &Reply) -> Result<T, Unreadable> {
    let bare = |kind| {
        let code = format!("HTTP {}", reply.status.as_u16());
        Unreadable::Refused(Refusal { kind, code, message: String::new(), request_id: None })
    };
    match Answer::of(reply) {
        Answer::Good { response, .. } => Ok(response),
        Answer::Refused(refusal) => Err(Unreadable::Refused(refusal)),
        Answer::Doubtful(why) => Err(match reply.status {
            StatusCode::TOO_MANY_REQUESTS => bare(RefusalKind::Throttled),
            StatusCode::UNAUTHORIZED => bare(RefusalKind::Unauthorized),
            _ => Unreadable::Unavailable(why),
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
            return Self::Doubtful(format!("{status} from Cloudflare, which blocks the operator"));
        }
        if status != StatusCode::OK {
            return Self::of_error(reply);
        }
        match Envelope::parse(&reply.body) {
            Ok(Envelope { code: None, response: Some(Object(response)), request_id, .. }) => {
                Self::Good { request_id: request_id.as_deref().map(sanitized), response }
            }
            Ok(envelope @ Envelope { code: Some(_), .. }) => Self::Doubtful(error_text(status, &envelope)),
            Ok(_) => Self::Doubtful(format!("{status} with a body that has no response")),
            Err(error) => {
                Self::Doubtful(format!("{status} with a malformed body: {}", sanitized(&error.to_string())))
            }
        }
    }

    fn of_error(reply: &Reply) -> Self {
        let status = reply.status;
        let Ok(envelope) = Envelope::<IgnoredAny>::parse(&reply.body) else {
            return Self::Doubtful(format!("{status} with {}", reply.what_came_instead()));
        };
        // A server that gave up waiting does not know what became of the request.
        let definite = status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT;
        match envelope.code.as_deref() {
            Some(code) if definite && !code.is_empty() && !is_doubtful(code) => {
                Self::Refused(refusal(status, &envelope))
            }
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
    let refusal = refusal(status, envelope);
    let code = if refusal.code.is_empty() { "no error code".to_owned() } else { refusal.code };
    format!("{status} with {}", Refusal { code, ..refusal })
}

/// The one place where a refusal is made: the code tells what it is about, and the status where the code does not.
fn refusal<T>(status: StatusCode, envelope: &Envelope<T>) -> Refusal {
    let code = envelope.code.as_deref().unwrap_or_default();
    let kind = match (RefusalKind::of_code(code), status) {
        (_, StatusCode::TOO_MANY_REQUESTS) => RefusalKind::Throttled,
        (RefusalKind::Other | RefusalKind::NotFound, StatusCode::UNAUTHORIZED) => RefusalKind::Unauthorized,
        // Who may not look has not seen that there is no port.
        (RefusalKind::NotFound, StatusCode::FORBIDDEN) => RefusalKind::PermissionDenied,
        (kind, _) => kind,
    };
    Refusal {
        kind,
        code: sanitized(code),
        message: sanitized(envelope.message.as_deref().unwrap_or_default()),
        request_id: envelope.request_id.as_deref().map(sanitized),
    }
}

impl Reply {
    /// What an answer that does not speak as Zenlayer does holds instead.
    fn what_came_instead(&self) -> String {
        let header = |name| self.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        match header(LOCATION) {
            // What is behind the question mark may be secret.
            Some(place) if self.status.is_redirection() => {
                format!("a redirect to {}", sanitized(place.split('?').next().unwrap_or_default()))
            }
            _ => format!("a body of {}", sanitized(header(CONTENT_TYPE).unwrap_or("no type"))),
        }
    }

    pub(super) fn pushback(&self) -> Pushback {
        let limited = || {
            let code = Envelope::<IgnoredAny>::parse(&self.body).ok().and_then(|envelope| envelope.code);
            code.is_some_and(|code| RefusalKind::of_code(&code) == RefusalKind::Throttled)
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
