//! The part of the simulator's journal that the oracles look at.

use std::collections::HashSet;
use std::fmt;

use zenlayer_simulator::{Cause, Journal, PortStatus, Request};

/// What was asked of the cloud and what changed there, in the order of time.
#[derive(Clone, Debug, Default)]
pub struct Chronicle {
    pub changes: Vec<ChangeRequest>,
    pub moves: Vec<Move>,
    /// How many requests asked for a list of ports.
    pub reads: usize,
}

/// A request to change a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRequest {
    /// When it came; its change may have been made later.
    pub at_ms: u64,
    pub change: Change,
    pub port_id: String,
    /// Whose key has signed it.
    pub account: Option<String>,
    /// It took effect, whatever was answered.
    pub committed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    Terminate,
    Destroy,
}

/// A change of a port that was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    pub at_ms: u64,
    pub port_id: String,
    /// None: it was not there before.
    pub from: Option<PortStatus>,
    /// None: it is gone.
    pub to: Option<PortStatus>,
    pub by: Mover,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mover {
    Request,
    Time,
    /// Somebody else than the operator.
    Person,
}

impl Chronicle {
    pub(super) fn status_at(&self, port_id: &str, at_ms: u64) -> Option<&PortStatus> {
        let before = self.moves.iter().rev().find(|step| step.port_id == port_id && step.at_ms <= at_ms);
        before?.to.as_ref()
    }

    /// The most times that DestroyPort took effect between two births of a port.
    pub(super) fn destroys_in_one_life(&self, port_id: &str) -> usize {
        let steps = self.moves.iter().filter(|step| step.port_id == port_id);
        let (most, last) = steps.fold((0, 0), |(most, count): (usize, usize), step| match step {
            Move { from: None, .. } => (most.max(count), 0),
            Move { to: Some(PortStatus::Destroying), by: Mover::Request, .. } => (most, count + 1),
            Move { .. } => (most, count),
        });
        most.max(last)
    }
}

impl From<&Journal> for Chronicle {
    fn from(journal: &Journal) -> Self {
        let committed: HashSet<u64> = journal
            .transitions()
            .iter()
            .filter_map(|step| match step.cause {
                Cause::Request(sequence) => Some(sequence),
                Cause::Time | Cause::Control => None,
            })
            .collect();
        let changes = journal.requests().iter().flat_map(|request| {
            let committed = committed.contains(&request.sequence);
            change(request).into_iter().flat_map(move |change| {
                request.port_ids.iter().map(move |port_id| ChangeRequest {
                    at_ms: request.at_ms,
                    change,
                    port_id: port_id.to_string(),
                    account: request.account.as_deref().map(str::to_owned),
                    committed,
                })
            })
        });
        let moves = journal.transitions().iter().map(|step| Move {
            at_ms: step.at_ms,
            port_id: step.port_id.to_string(),
            from: step.from.clone(),
            to: step.to.clone(),
            by: match step.cause {
                Cause::Request(_) => Mover::Request,
                Cause::Time => Mover::Time,
                Cause::Control => Mover::Person,
            },
        });
        let reads = journal.calls("DescribePorts").count();
        Self { changes: changes.collect(), moves: moves.collect(), reads }
    }
}

fn change(request: &Request) -> Option<Change> {
    match &*request.action {
        "TerminatePort" => Some(Change::Terminate),
        "DestroyPort" => Some(Change::Destroy),
        _ => None,
    }
}

impl fmt::Display for ChangeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = self.account.as_deref().unwrap_or("nobody");
        write!(f, "{:?}Port of {} by {by} at {} ms", self.change, self.port_id, self.at_ms)
    }
}
