//! What Zenlayer was asked and what changed there: the simulator's journal as plain data, from its process or over HTTP.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::Deserialize;
use zenlayer_simulator::{Cause, Journal, PortStatus};

/// Requests and changes, each in the order of time. Times are milliseconds since the simulator started.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Served")]
pub struct Chronicle {
    pub requests: Vec<Request>,
    pub moves: Vec<Move>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// When it came; its change may have been made later.
    pub at_ms: u64,
    /// Zenlayer's word for it, such as `DestroyPort`.
    pub action: String,
    pub port_ids: Vec<String>,
    /// Whose key has signed it.
    pub account: Option<String>,
    /// It changed a port, whatever was answered.
    pub committed: bool,
    /// The HTTP status of the answer, if there was one.
    pub status: Option<u16>,
}

/// A request to change one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeRequest<'a> {
    pub at_ms: u64,
    pub change: Change,
    pub port_id: &'a str,
    pub account: Option<&'a str>,
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

/// How many requests to change a port there were, and how many took effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    pub sent: usize,
    pub committed: usize,
}

impl Change {
    pub const ALL: [Self; 2] = [Self::Terminate, Self::Destroy];

    /// Zenlayer's word for it.
    pub fn action(self) -> &'static str {
        match self {
            Self::Terminate => "TerminatePort",
            Self::Destroy => "DestroyPort",
        }
    }

    /// The status that a port gets by it.
    pub fn leads_to(self) -> PortStatus {
        match self {
            Self::Terminate => PortStatus::Deleting,
            Self::Destroy => PortStatus::Destroying,
        }
    }
}

impl Chronicle {
    /// The requests to change a port, one for each port that they name.
    pub fn changes(&self) -> impl Iterator<Item = ChangeRequest<'_>> {
        self.requests.iter().flat_map(|request| {
            let change = Change::ALL.into_iter().find(|change| change.action() == request.action);
            change.into_iter().flat_map(move |change| {
                request.port_ids.iter().map(move |port_id| ChangeRequest {
                    at_ms: request.at_ms,
                    change,
                    port_id,
                    account: request.account.as_deref(),
                    committed: request.committed,
                })
            })
        })
    }

    /// The calls of one kind, by the port that they are for.
    pub fn calls_by_port(&self, change: Change) -> HashMap<&str, Calls> {
        let mut calls = HashMap::<&str, Calls>::new();
        for request in self.changes().filter(|request| request.change == change) {
            calls.entry(request.port_id).or_default().sent += 1;
        }
        let to = Some(change.leads_to());
        for step in self.moves.iter().filter(|step| step.by == Mover::Request && step.to == to) {
            calls.entry(&step.port_id).or_default().committed += 1;
        }
        calls
    }

    /// The calls of one kind for one port.
    pub fn calls(&self, change: Change, port_id: &str) -> Calls {
        self.calls_by_port(change).get(port_id).copied().unwrap_or_default()
    }

    /// How many requests for this action there were, whatever they named.
    pub fn count(&self, action: &str) -> usize {
        self.requests.iter().filter(|request| request.action == action).count()
    }

    /// What a port was last; none: it is gone, or was never there.
    pub fn port(&self, port_id: &str) -> Option<&PortStatus> {
        self.moves.iter().rev().find(|step| step.port_id == port_id)?.to.as_ref()
    }

    /// When the last of all this happened.
    pub fn end_ms(&self) -> u64 {
        let requests = self.requests.last().map_or(0, |request| request.at_ms);
        self.moves.last().map_or(0, |step| step.at_ms).max(requests)
    }
}

/// As `GET /control/journal` serves it.
#[derive(Deserialize)]
struct Served {
    requests: Vec<ServedRequest>,
    transitions: Vec<ServedTransition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServedRequest {
    sequence: u64,
    at_ms: u64,
    account: Option<String>,
    action: String,
    port_ids: Vec<String>,
    status: Option<u16>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServedTransition {
    at_ms: u64,
    port_id: String,
    from: Option<PortStatus>,
    to: Option<PortStatus>,
    cause: ServedCause,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum ServedCause {
    /// By its sequence number.
    Request(u64),
    Time,
    Control,
}

impl From<Served> for Chronicle {
    fn from(served: Served) -> Self {
        let by_request = |step: &ServedTransition| match step.cause {
            ServedCause::Request(sequence) => Some(sequence),
            ServedCause::Time | ServedCause::Control => None,
        };
        let committed: HashSet<u64> = served.transitions.iter().filter_map(by_request).collect();
        let requests = served.requests.into_iter().map(|request| Request {
            at_ms: request.at_ms,
            committed: committed.contains(&request.sequence),
            action: request.action,
            port_ids: request.port_ids,
            account: request.account,
            status: request.status,
        });
        let moves = served.transitions.into_iter().map(|step| Move {
            at_ms: step.at_ms,
            port_id: step.port_id,
            from: step.from,
            to: step.to,
            by: match step.cause {
                ServedCause::Request(_) => Mover::Request,
                ServedCause::Time => Mover::Time,
                ServedCause::Control => Mover::Person,
            },
        });
        Self { requests: requests.collect(), moves: moves.collect() }
    }
}

impl From<&Journal> for Chronicle {
    fn from(journal: &Journal) -> Self {
        let requests = journal.requests().iter().map(|request| ServedRequest {
            sequence: request.sequence,
            at_ms: request.at_ms,
            account: request.account.as_deref().map(str::to_owned),
            action: request.action.to_string(),
            port_ids: request.port_ids.iter().map(ToString::to_string).collect(),
            status: request.reply.status(),
        });
        let transitions = journal.transitions().iter().map(|step| ServedTransition {
            at_ms: step.at_ms,
            port_id: step.port_id.to_string(),
            from: step.from.clone(),
            to: step.to.clone(),
            cause: match step.cause {
                Cause::Request(sequence) => ServedCause::Request(sequence),
                Cause::Time => ServedCause::Time,
                Cause::Control => ServedCause::Control,
            },
        });
        Served { requests: requests.collect(), transitions: transitions.collect() }.into()
    }
}

impl fmt::Display for ChangeRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = self.account.unwrap_or("nobody");
        write!(f, "{:?}Port of {} by {by} at {} ms", self.change, self.port_id, self.at_ms)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use zenlayer_simulator::{Config, Port, Simulator};

    use super::*;

    #[test]
    fn the_journal_of_a_simulator_is_understood_as_it_is_and_as_it_is_served() {
        let simulator = Simulator::start(Config::default()).expect("a free port on loopback");
        simulator.seed(Port::new("port-1").status(PortStatus::Recycled));
        simulator.seed(Port::new("port-2"));
        simulator.remove_port("port-2");
        let shown = serde_json::to_value(simulator.journal()).expect("JSON");
        let served: Chronicle = serde_json::from_value(shown).expect("the form that is served");
        let own = Chronicle::from(&simulator.journal());
        assert_eq!(own.moves, served.moves);
        assert_eq!(served.port("port-1"), Some(&PortStatus::Recycled), "{served:?}");
        assert_eq!(served.port("port-2"), None, "{served:?}");
    }

    #[test]
    fn the_causes_of_a_simulator_are_understood() {
        for cause in [Cause::Request(7), Cause::Time, Cause::Control] {
            let shown = serde_json::to_value(cause).expect("JSON");
            let read: ServedCause = serde_json::from_value(shown).expect("the form that is served");
            assert_eq!(matches!(read, ServedCause::Request(7)), matches!(cause, Cause::Request(_)));
        }
    }

    #[test]
    fn only_what_a_request_caused_counts_as_committed() {
        let transition = |cause| json!({ "atMs": 1, "portId": "port-1", "from": null, "to": "DESTROYING", "cause": cause });
        let request = |sequence, id: &str| json!({ "sequence": sequence, "atMs": 1, "account": null, "action": "DestroyPort", "portIds": [id] });
        let chronicle: Chronicle = serde_json::from_value(json!({
            "requests": [request(1, "port-1"), request(2, "port-1"), request(3, "port-2")],
            "transitions": [transition(json!({ "request": 1 })), transition(json!("control")), transition(json!("time"))],
        }))
        .expect("a journal");
        assert_eq!(chronicle.calls(Change::Destroy, "port-1"), Calls { sent: 2, committed: 1 });
        assert_eq!(chronicle.calls(Change::Terminate, "port-1"), Calls { sent: 0, committed: 0 });
        assert_eq!(chronicle.requests.iter().filter(|request| request.committed).count(), 1);
    }
}
