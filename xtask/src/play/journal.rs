//! The simulator's journal, in the form in which `GET /control/journal` serves it.

use serde::Deserialize;
use serde::de::IgnoredAny;
use zenlayer_simulator::PortStatus;

/// Every request and every committed transition, in order.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Journal {
    pub(super) requests: Vec<Request>,
    pub(super) transitions: Vec<Transition>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    pub(super) action: String,
    pub(super) port_ids: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Transition {
    pub(super) port_id: String,
    /// `None`: the port is gone.
    pub(super) to: Option<PortStatus>,
    pub(super) cause: Cause,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Cause {
    /// The request of some sequence number.
    Request(IgnoredAny),
    Time,
    Control,
}

/// A call that changes a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Terminate,
    Destroy,
}

impl Change {
    pub const ALL: [Self; 2] = [Self::Terminate, Self::Destroy];

    /// Zenlayer's word for the call.
    pub fn action(self) -> &'static str {
        match self {
            Self::Terminate => "TerminatePort",
            Self::Destroy => "DestroyPort",
        }
    }

    /// The state that the call takes a port to.
    pub fn leads_to(self) -> PortStatus {
        match self {
            Self::Terminate => PortStatus::Deleting,
            Self::Destroy => PortStatus::Destroying,
        }
    }
}

/// How often something was called, and how often that took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calls {
    pub sent: usize,
    pub committed: usize,
}

impl Journal {
    /// The calls of one kind for one port.
    pub fn calls(&self, change: Change, port_id: &str) -> Calls {
        let names = |request: &&Request| request.port_ids.iter().any(|id| id == port_id);
        let sent =
            self.requests.iter().filter(|request| request.action == change.action()).filter(names).count();
        let to = change.leads_to();
        let is_commit = |transition: &&Transition| {
            let by_request = matches!(transition.cause, Cause::Request(_));
            by_request && transition.port_id == port_id && transition.to.as_ref() == Some(&to)
        };
        Calls { sent, committed: self.transitions.iter().filter(is_commit).count() }
    }

    /// How many requests for this action there were, whatever they named.
    pub fn requests(&self, action: &str) -> usize {
        self.requests.iter().filter(|request| request.action == action).count()
    }

    /// The ports that calls which change something have named.
    pub fn changed_ports(&self) -> impl Iterator<Item = &str> {
        let changes = |request: &&Request| Change::ALL.iter().any(|change| change.action() == request.action);
        self.requests.iter().filter(changes).flat_map(|request| &request.port_ids).map(String::as_str)
    }

    /// Where a port is now; `None`: gone, or never there.
    pub fn port(&self, port_id: &str) -> Option<&PortStatus> {
        let mut latest_first = self.transitions.iter().rev();
        latest_first.find(|transition| transition.port_id == port_id)?.to.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use zenlayer_simulator::{Config, Port, Simulator};

    use super::*;

    #[test]
    fn the_journal_of_a_simulator_is_understood() {
        let simulator = Simulator::start(Config::default()).expect("a free port on loopback");
        simulator.seed(Port::new("port-1").status(PortStatus::Recycled));
        simulator.seed(Port::new("port-2"));
        simulator.remove_port("port-2");
        let shown = serde_json::to_value(simulator.journal()).expect("JSON");
        let journal: Journal = serde_json::from_value(shown).expect("the form that is served");
        assert_eq!(journal.port("port-1"), Some(&PortStatus::Recycled), "{journal:?}");
        assert_eq!(journal.port("port-2"), None, "{journal:?}");
    }

    #[test]
    fn the_causes_of_a_simulator_are_understood() {
        for cause in [
            zenlayer_simulator::Cause::Request(7),
            zenlayer_simulator::Cause::Time,
            zenlayer_simulator::Cause::Control,
        ] {
            let shown = serde_json::to_value(cause).expect("JSON");
            let read: Cause = serde_json::from_value(shown).expect("the form that is served");
            assert_eq!(
                matches!(read, Cause::Request(_)),
                matches!(cause, zenlayer_simulator::Cause::Request(_))
            );
        }
    }

    #[test]
    fn only_what_a_request_caused_counts_as_committed() {
        let transition = |cause| json!({ "portId": "port-1", "to": "DESTROYING", "cause": cause });
        let request = |action: &str, id: &str| json!({ "action": action, "portIds": [id] });
        let journal: Journal = serde_json::from_value(json!({
            "requests": [request("DestroyPort", "port-1"), request("DestroyPort", "port-1"), request("DestroyPort", "port-2")],
            "transitions": [transition(json!({ "request": 1 })), transition(json!("control")), transition(json!("time"))],
        }))
        .expect("a journal");
        assert_eq!(journal.calls(Change::Destroy, "port-1"), Calls { sent: 2, committed: 1 });
        assert_eq!(journal.calls(Change::Terminate, "port-1"), Calls { sent: 0, committed: 0 });
    }
}
