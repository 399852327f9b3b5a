//! What became of a request to Zenlayer, in words that the client, the mirrors, the decision and the status share.

use std::fmt;

use schemars::JsonSchema;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::{Deserialize, Deserializer, Serialize};

/// Zenlayer said no: nothing was changed, and nothing was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// What the refusal is about.
    #[schemars(with = "Option<RefusalKind>")]
    pub kind: RefusalKind,
    /// Zenlayer's error code.
    pub code: String,
    /// What Zenlayer says about it, shortened.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Zenlayer's id of the request. Give it to Zenlayer's support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RefusalKind {
    /// The account sends too many requests.
    Throttled,
    /// Zenlayer returns no such port for these credentials.
    NotFound,
    /// Zenlayer does not accept the credentials.
    Unauthorized,
    /// The credentials are valid, but Zenlayer does not permit this action.
    PermissionDenied,
    /// The time in the request differs from Zenlayer's clock by more than five minutes.
    ClockSkew,
    /// Any other refusal. It is about the port or the request.
    Other,
}

impl RefusalKind {
    /// What a code alone tells (`docs/zenlayer-api.md`, error codes).
    pub fn of_code(code: &str) -> Self {
        match code {
            "REQUEST_LIMIT_EXCEEDED" => Self::Throttled,
            // `OPERATION_FAILED_RESOURCE_GROUP_NOT_FOUND` speaks of something else.
            "SELF_SERVICE_PORT_NOT_FOUND"
            | "INVALID_PORT_NOT_FOUND"
            | "OPERATION_FAILED_RESOURCE_NOT_FOUND" => Self::NotFound,
            "AUTHFAILURE_SIGNATURE_EXPIRED" => Self::ClockSkew,
            "AUTHFAILURE_UNAUTHORIZED_OPERATION" => Self::PermissionDenied,
            _ if code.starts_with("AUTHFAILURE_") => Self::Unauthorized,
            _ => Self::Other,
        }
    }

    fn parse(word: &str) -> Option<Self> {
        let word: StrDeserializer<'_, ValueError> = word.into_deserializer();
        Self::deserialize(word).ok()
    }
}

impl<'de> Deserialize<'de> for Refusal {
    /// A kind that is missing (an earlier version wrote none) or unknown (a later one wrote it) follows from the code.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Stored {
            kind: Option<String>,
            code: String,
            #[serde(default)]
            message: String,
            request_id: Option<String>,
        }
        let Stored { kind, code, message, request_id } = Stored::deserialize(deserializer)?;
        let kind = kind.as_deref().and_then(RefusalKind::parse);
        let kind = kind.unwrap_or_else(|| RefusalKind::of_code(&code));
        Ok(Self { kind, code, message, request_id })
    }
}

impl fmt::Display for Refusal {
    /// `CODE: message (request T…)`, without what is missing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.code.is_empty() || self.message.is_empty() { "" } else { ": " };
        write!(f, "{}{colon}{}", self.code, self.message)?;
        self.request_id.as_ref().map_or(Ok(()), |id| write!(f, " (request {id})"))
    }
}

/// Why a call was not sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum NotSentCause {
    /// Zenlayer asked the operator to send fewer requests.
    Throttled,
    /// There was no connection to Zenlayer.
    NoConnection,
    /// It took so long to write the record of the call that the decision was too old.
    RecordTooSlow,
    /// The credentials changed after the decision.
    CredentialsChanged,
    /// An earlier version of the operator wrote no cause.
    #[default]
    Unknown,
}

/// Why there is no good reading.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// No connection, a timeout, 5xx, or an answer that is not a good reading.
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Refused(Refusal),
    /// Zenlayer was not asked, for the sake of its limit of requests: why not, as part of a sentence.
    #[error("{0}")]
    NotAsked(String),
}

impl Unreadable {
    /// What the failure is about; none where Zenlayer did not say.
    pub fn kind(&self) -> Option<RefusalKind> {
        match self {
            Self::Unavailable(_) => None,
            Self::Refused(refusal) => Some(refusal.kind),
            Self::NotAsked(_) => Some(RefusalKind::Throttled),
        }
    }

    /// Whether Zenlayer has answered, and not only that it was asked too often.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.kind != RefusalKind::Throttled)
    }

    /// Whether both say the same, but for the id of the request.
    pub fn has_same_cause(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Refused(one), Self::Refused(other)) => {
                (one.kind, &one.code, &one.message) == (other.kind, &other.code, &other.message)
            }
            _ => self == other,
        }
    }

    /// Whether one of several ports that were asked for together may be to blame.
    pub fn may_be_about_a_port(&self) -> bool {
        matches!(self.kind(), Some(RefusalKind::NotFound | RefusalKind::Other))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_that_an_earlier_or_later_version_stored_is_told_by_its_code() {
        for (stored, kind) in [
            (json!({ "code": "REQUEST_LIMIT_EXCEEDED" }), RefusalKind::Throttled),
            (json!({ "code": "INVALID_PORT_NOT_FOUND", "requestId": "T1" }), RefusalKind::NotFound),
            (json!({ "code": "AUTHFAILURE_UNAUTHORIZED_OPERATION" }), RefusalKind::PermissionDenied),
            (json!({ "code": "AUTHFAILURE_X", "kind": "OutOfFashion" }), RefusalKind::Unauthorized),
            (json!({ "code": "OPERATION_DENIED", "kind": null }), RefusalKind::Other),
            (json!({ "code": "SLOW_DOWN", "kind": "Throttled" }), RefusalKind::Throttled),
        ] {
            let refusal: Refusal = serde_json::from_value(stored.clone()).expect("a refusal");
            assert_eq!(refusal.kind, kind, "{stored}");
        }
    }

    #[test]
    fn a_refusal_is_shown_with_code_message_and_request() {
        let refusal = |message: &str, request_id: Option<&str>| Refusal {
            kind: RefusalKind::Other,
            code: "CODE".to_owned(),
            message: message.to_owned(),
            request_id: request_id.map(str::to_owned),
        };
        assert_eq!(refusal("some words", Some("T1")).to_string(), "CODE: some words (request T1)");
        assert_eq!(refusal("", None).to_string(), "CODE");
    }
}
