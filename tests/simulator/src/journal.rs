//! What happened: every request, and every change of a port that was committed.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::port::PortStatus;

/// All requests by sequence number, and all transitions in the order of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Journal {
    /// Of the first request here; others came before the last reset.
    #[serde(skip)]
    first_sequence: u64,
    requests: Vec<Request>,
    transitions: Vec<Transition>,
}

/// One request to the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Counts on from 1 over resets.
    pub sequence: u64,
    /// When it came, in milliseconds since the start.
    pub at_ms: u64,
    /// Who sent it; `None`: not authenticated.
    pub account: Option<Arc<str>>,
    /// The access key's id or the token's name; `None`: not authenticated.
    pub key: Option<Arc<str>>,
    /// `X-ZC-Action` as it came.
    pub action: Box<str>,
    /// The ids in the body.
    pub port_ids: Box<[Box<str>]>,
    /// Its own id, shown in the answer.
    pub request_id: RequestId,
    /// The rule that spoiled it.
    pub fault: Option<u64>,
    /// What was answered.
    #[serde(flatten)]
    pub reply: Reply,
}

/// The end of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reply", rename_all = "camelCase")]
pub enum Reply {
    /// A rule holds it back still.
    Pending,
    /// The connection was closed or reset without an answer.
    Unanswered,
    /// An answer was sent, whole or in part.
    Sent {
        /// The HTTP status.
        status: u16,
        /// The business code of a refusal.
        code: Option<Cow<'static, str>>,
    },
}

impl Reply {
    /// The HTTP status, if an answer was sent.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Sent { status, .. } => Some(*status),
            Self::Pending | Self::Unanswered => None,
        }
    }

    /// The business code, if a refusal was sent.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Sent { code, .. } => code.as_deref(),
            Self::Pending | Self::Unanswered => None,
        }
    }
}

/// A committed change of one port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// When it took effect, in milliseconds since the start.
    pub at_ms: u64,
    /// The port.
    pub port_id: Arc<str>,
    /// `None`: there was no such port.
    pub from: Option<PortStatus>,
    /// `None`: the port is gone.
    pub to: Option<PortStatus>,
    /// What made it.
    pub cause: Cause,
}

/// Why a port changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    /// The request of this sequence number.
    Request(u64),
    /// The time of a passing state was over.
    Time,
    /// The test, by library or control API.
    Control,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self { first_sequence: 1, requests: Vec::new(), transitions: Vec::new() }
    }

    /// Every request, in order of arrival.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// Every committed change, in order of time.
    pub fn transitions(&self) -> &[Transition] {
        &self.transitions
    }

    /// The requests for one action.
    pub fn calls(&self, action: &str) -> impl Iterator<Item = &Request> {
        self.requests.iter().filter(move |request| &*request.action == action)
    }

    /// The requests for one action that name this port.
    pub fn calls_for(&self, action: &str, port_id: &str) -> impl Iterator<Item = &Request> {
        self.calls(action).filter(move |request| request.port_ids.iter().any(|id| &**id == port_id))
    }

    /// The changes of one port.
    pub fn transitions_of(&self, port_id: &str) -> impl Iterator<Item = &Transition> {
        self.transitions.iter().filter(move |transition| &*transition.port_id == port_id)
    }

    /// How many times a `DestroyPort` took effect on this port, whatever was answered.
    pub fn committed_destroys(&self, port_id: &str) -> usize {
        self.committed(port_id, &PortStatus::Destroying)
    }

    /// How many times a `TerminatePort` took effect on this port, whatever was answered.
    pub fn committed_terminates(&self, port_id: &str) -> usize {
        self.committed(port_id, &PortStatus::Deleting)
    }

    fn committed(&self, port_id: &str, to: &PortStatus) -> usize {
        self.transitions_of(port_id)
            .filter(|transition| {
                matches!(transition.cause, Cause::Request(_)) && transition.to.as_ref() == Some(to)
            })
            .count()
    }

    pub(crate) fn next_sequence(&self) -> u64 {
        self.first_sequence + self.requests.len() as u64
    }

    pub(crate) fn request(&mut self, request: Request) {
        self.requests.push(request);
    }

    /// Completes the entry of a request; nothing, if a reset has removed it.
    pub(crate) fn replied(&mut self, sequence: u64, reply: Reply) {
        let index = sequence.checked_sub(self.first_sequence).and_then(|index| usize::try_from(index).ok());
        if let Some(request) = index.and_then(|index| self.requests.get_mut(index)) {
            request.reply = reply;
        }
    }

    pub(crate) fn transition(
        &mut self,
        port_id: &str,
        from: Option<PortStatus>,
        to: Option<PortStatus>,
        cause: Cause,
        at: Duration,
    ) {
        self.transitions.push(Transition {
            at_ms: milliseconds(at),
            port_id: port_id.into(),
            from,
            to,
            cause,
        });
    }

    pub(crate) fn clear(&mut self) {
        self.first_sequence = self.next_sequence();
        self.requests.clear();
        self.transitions.clear();
    }
}

pub(crate) fn milliseconds(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

/// A request id as Zenlayer writes it: `T` and an upper-case UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(pub(crate) u128);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = format!("{:032X}", self.0);
        write!(f, "T{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
