//! What is left of a deletion once its object is gone: the last Event and one line of the log carry it.

use std::fmt;

use super::{CallAction, CallOutcome, ZenlayerPort};

/// Names the port, and the request that ended it, as Zenlayer's support asks for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt<'a> {
    pub port_id: &'a str,
    /// Zenlayer's name of the port, if it was ever seen and is not empty.
    pub port_name: Option<&'a str>,
    /// The newest call that Zenlayer accepted.
    pub action: Option<CallAction>,
    pub request_id: Option<&'a str>,
}

impl ZenlayerPort {
    pub fn receipt(&self) -> Receipt<'_> {
        let port = self.status.as_ref().and_then(|status| status.port.as_ref());
        let call = self.release().and_then(|release| release.call.as_ref());
        let accepted = call.and_then(|call| match &call.outcome {
            CallOutcome::Accepted { request_id } => Some((call.action, request_id.as_deref())),
            CallOutcome::Pending {}
            | CallOutcome::Refused { .. }
            | CallOutcome::NotSent { .. }
            | CallOutcome::Unclear { .. } => None,
        });
        Receipt {
            port_id: self.spec.port_id.as_str(),
            port_name: port.and_then(|port| port.name.as_deref()).filter(|name| !name.trim().is_empty()),
            action: accepted.map(|(action, _)| action),
            request_id: accepted.and_then(|(_, request_id)| request_id),
        }
    }
}

impl fmt::Display for Receipt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Port {}", self.port_id)?;
        if let Some(name) = self.port_name {
            write!(f, " ({name})")?;
        }
        match (self.action, self.request_id) {
            (Some(action), Some(request_id)) => {
                write!(f, ": Zenlayer accepted {} (requestId {request_id}).", action.as_str())
            }
            (Some(action), None) => write!(f, ": Zenlayer accepted {}.", action.as_str()),
            (None, _) => f.write_str(": Zenlayer accepted no call of this deletion."),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn receipt(status: &serde_json::Value) -> String {
        let object = json!({
            "apiVersion": "sdn.zenlayer.com/v1alpha1", "kind": "ZenlayerPort",
            "metadata": { "name": "edge", "uid": "1" }, "spec": { "portId": "port-1" }, "status": status,
        });
        serde_json::from_value::<ZenlayerPort>(object).expect("a ZenlayerPort").receipt().to_string()
    }

    fn release(outcome: &serde_json::Value) -> serde_json::Value {
        json!({ "uid": "1", "call": {
            "action": "DestroyPort", "attempt": 1, "requestedTime": "2026-01-01T00:00:00Z",
            "portStatusBefore": "RECYCLED", "credential": "abc", "outcome": outcome,
        } })
    }

    #[test]
    fn it_names_the_port_and_the_request_that_ended_it() {
        let port = json!({ "status": "DESTROYED", "name": "sin1-edge" });
        let accepted = release(&json!({ "accepted": { "requestId": "T1" } }));
        assert_eq!(
            receipt(&json!({ "port": port, "release": accepted })),
            "Port port-1 (sin1-edge): Zenlayer accepted DestroyPort (requestId T1)."
        );
        for nameless in ["", " "] {
            let port = json!({ "status": "DESTROYED", "name": nameless });
            let told = receipt(&json!({ "port": port }));
            assert_eq!(told, "Port port-1: Zenlayer accepted no call of this deletion.");
        }
        let accepted = release(&json!({ "accepted": {} }));
        assert_eq!(receipt(&json!({ "release": accepted })), "Port port-1: Zenlayer accepted DestroyPort.");
    }

    #[test]
    fn it_claims_no_request_that_was_not_accepted_or_is_of_another_deletion() {
        let none = "Port port-1: Zenlayer accepted no call of this deletion.";
        assert_eq!(receipt(&json!({ "release": release(&json!({ "unclear": { "why": "?" } })) })), none);
        let mut of_another = release(&json!({ "accepted": { "requestId": "T1" } }));
        of_another["uid"] = json!("2");
        assert_eq!(receipt(&json!({ "release": of_another })), none);
        assert_eq!(receipt(&json!(null)), none);
    }
}
