//! What a reconcile asks for, and what it is told.

use std::time::Duration;

use super::Recorded;
use crate::api::{CallOutcome, Reason, ZenlayerPortStatus};
use crate::clock::Now;
use crate::decision::{Announcement, Plan, Turn};

/// What is to be done next. Writes are of the newest version of the object that this reconcile has got: if it has changed since, they do
/// nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect<T> {
    /// Gather what is known of the object, with `outcome` as that of its newest call if there is one, and decide. Whoever must wait for
    /// its turn decides on what is gathered already.
    Decide {
        outcome: Option<CallOutcome>,
        turn: Turn,
    },
    /// Get the right to call now. What is given is of an earlier turn, and may serve again.
    TakeTurn(Option<T>),
    WriteStatus {
        status: Box<ZenlayerPortStatus>,
        what: StatusWrite,
        row: Option<u8>,
    },
    WriteFinalizers {
        finalizers: Vec<String>,
        what: FinalizerWrite,
        row: Option<u8>,
    },
    /// Call Zenlayer, if [`Recorded::check`] lets it.
    Call(Recorded, T),
    /// Send an Event.
    Announce(Announcement),
    End(End),
}

/// What became of an effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<T> {
    Decided(Box<Plan>),
    HasTurn(T),
    MustWait(Turn),
    Written(WriteResult),
    Answered(CallOutcome),
    Announced,
}

/// What a write of the status is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatusWrite {
    Display,
    Record,
    Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinalizerWrite {
    Addition,
    /// The end of the deletion, and why.
    Removal {
        reason: Reason,
        why: String,
    },
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteResult {
    Done,
    /// Another write was first.
    Overtaken,
    /// There is no such object any more, or one that this version cannot parse; the watch tells more.
    Gone,
    Refused(Rejection, Now),
}

/// Why the API server does not take a write as it is, in its own words where it has any.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The object is still what was decided about.
    #[error("{words} (HTTP {code})")]
    Answered { code: u16, words: String },
    /// What was learnt would be lost.
    #[error(
        "the API server dropped a part of it. The CustomResourceDefinition may be from an older version of the operator: apply \
         the one of this version"
    )]
    Pruned,
}

/// How a reconcile ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// There is nothing more to do now.
    Settled {
        again: Option<Duration>,
    },
    /// The object shows that it waits for its turn. Whether what comes then ends well is not known.
    Queued {
        again: Duration,
    },
    /// The finalizer is off, or the object is gone.
    Gone,
    /// The object changed again and again.
    Contended,
    Refused {
        what: &'static str,
        rejection: Rejection,
    },
}

impl<T> Effect<T> {
    /// Names it for whoever wants a process to die before or after it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Decide { outcome: None, .. } => "decision",
            Self::Decide { outcome: Some(_), .. } => "decision-with-outcome",
            Self::TakeTurn(_) => "turn",
            Self::WriteStatus { what: StatusWrite::Display, .. } => "status",
            Self::WriteStatus { what: StatusWrite::Record, .. } => "record",
            Self::WriteStatus { what: StatusWrite::Outcome, .. } => "outcome",
            Self::WriteFinalizers { what: FinalizerWrite::Addition, .. } => "finalizer",
            Self::WriteFinalizers { what: FinalizerWrite::Removal { .. }, .. } => "finalizer-removal",
            Self::Call(..) => "call",
            Self::Announce(_) => "event",
            Self::End(_) => "end",
        }
    }
}
