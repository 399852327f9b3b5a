//! What is left of a deletion once its object is gone: the last Event and one line of the log carry it.

use std::fmt;

use super::{CallAction, CallOutcome, ZenlayerPort};

/// Names the port, and the request that ended it, as Zenlayer's support asks for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt<'a> {
    pub port_id: &'a str,
    /// Zenlayer's name of the port, if it was ever seen and is not empty.
    pub port_name: Option<&'a str>,
    pub last_call: Option<CallAction>,
    /// Zenlayer's answer to the last call accepts it.
    pub is_accepted: bool,
    /// Zenlayer's id of the request that it accepted.
    pub request_id: Option<&'a str>,
}

impl ZenlayerPort {
    pub fn receipt(&self) -> Receipt<'_> {
        let port = self.status.as_ref().and_then(|status| status.port.as_ref());
        let call = self.release().and_then(|release| release.call.as_ref());
        let accepted = call.and_then(|call| match &call.outcome {
            CallOutcome::Accepted { request_id } => Some(request_id.as_deref()),
            CallOutcome::Pending {}
            | CallOutcome::Refused { .. }
            | CallOutcome::NotSent { .. }
            | CallOutcome::Unclear { .. } => None,
        });
        Receipt {
            port_id: self.spec.port_id.as_str(),
            port_name: port.and_then(|port| port.name.as_deref()).filter(|name| !name.trim().is_empty()),
            last_call: call.map(|call| call.action),
            is_accepted: accepted.is_some(),
            request_id: accepted.flatten(),
        }
    }
}

impl fmt::Display for Receipt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Port {}", self.port_id)?;
        if let Some(name) = self.port_name {
            write!(f, " ({name})")?;
        }
        let Some(last_call) = self.last_call.map(CallAction::as_str) else {
            return f.write_str(": the operator made no call in this deletion.");
        };
        match (self.is_accepted, self.request_id) {
            (true, Some(request_id)) => {
                write!(f, ": Zenlayer accepted {last_call} (requestId {request_id}).")
            }
            (true, None) => write!(f, ": Zenlayer accepted {last_call}."),
            (false, _) => {
                write!(f, ": the last call was {last_call}, and no answer says that Zenlayer accepted it.")
            }
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
            assert_eq!(told, "Port port-1: the operator made no call in this deletion.");
        }
        let accepted = release(&json!({ "accepted": {} }));
        assert_eq!(receipt(&json!({ "release": accepted })), "Port port-1: Zenlayer accepted DestroyPort.");
    }

    #[test]
    fn it_claims_no_request_that_was_not_accepted_or_is_of_another_deletion() {
        let unclear = release(&json!({ "unclear": { "why": "?" } }));
        assert_eq!(
            receipt(&json!({ "release": unclear })),
            "Port port-1: the last call was DestroyPort, and no answer says that Zenlayer accepted it."
        );
        let none = "Port port-1: the operator made no call in this deletion.";
        let mut of_another = release(&json!({ "accepted": { "requestId": "T1" } }));
        of_another["uid"] = json!("2");
        assert_eq!(receipt(&json!({ "release": of_another })), none);
        assert_eq!(receipt(&json!(null)), none);
    }
}
