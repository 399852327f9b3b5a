//! Scripted runs: what people do, without faults. A sweep puts a fault at each of their effects.

use zenlayer_port_operator::api::DeletionPolicy;
use zenlayer_simulator::PortStatus;

use crate::plan::{Act, Config, Name, Plan, Port, Timed};

const MINUTE: u64 = 60_000;

/// A run by its name.
#[derive(Clone, Debug)]
pub struct Story {
    pub name: &'static str,
    pub plan: Plan,
}

/// Makes a plan act by act.
struct Script(Plan);

impl Script {
    fn new() -> Self {
        Self(Plan { quiet_ms: 150 * MINUTE, settled_ms: MINUTE, ..Plan::new(1, Config::default()) })
    }

    fn port(mut self, id: &str, status: PortStatus) -> Self {
        let (id, account) = (id.to_owned(), "team-a".to_owned());
        self.0.ports.push(Port { id, account, status, prepaid: false, in_use: false, loud: false });
        self
    }

    fn at(mut self, seconds: u64, act: Act) -> Self {
        self.0.acts.push(Timed { at_ms: seconds * 1000, act });
        self.0.busy_ms = self.0.busy_ms.max(seconds * 1000 + 1);
        self
    }

    /// An object for the port, made at once.
    fn object(self, name: &str, port: &str, policy: DeletionPolicy) -> Self {
        self.at(0, Act::Create { object: object(name), port: port.to_owned(), policy })
    }

    fn delete(self, seconds: u64, name: &str) -> Self {
        self.at(seconds, Act::Delete { object: object(name) })
    }

    fn named(self, name: &'static str) -> Story {
        Story { name, plan: self.0 }
    }
}

fn object(name: &str) -> Name {
    Name::new("team-a", name)
}

fn team() -> String {
    "team-a".to_owned()
}

/// A port in the bin, whose object is deleted.
pub fn one_deletion() -> Story {
    Script::new()
        .port("port-1", PortStatus::Recycled)
        .object("edge", "port-1", DeletionPolicy::Destroy)
        .delete(60, "edge")
        .named("one deletion")
}

/// All that is swept.
pub fn all() -> Vec<Story> {
    use DeletionPolicy::{Destroy, Retain, Terminate, TerminateAndDestroy};
    use PortStatus::{Recycled, Running};
    let port_1 = || "port-1".to_owned();
    let one = |status, policy| {
        Script::new().port("port-1", status).object("edge", "port-1", policy).delete(60, "edge")
    };
    vec![
        one_deletion(),
        one(Running, TerminateAndDestroy).named("terminate and destroy"),
        one(Running, Terminate).named("terminate"),
        one(Running, Retain).named("retain"),
        one(Running, Destroy).named("a running port that the policy leaves"),
        one(Running, Destroy)
            .at(150, Act::SetPolicy { object: object("edge"), policy: TerminateAndDestroy })
            .named("the policy is changed while the object waits"),
        Script::new().object("edge", "port-9", Destroy).delete(120, "edge").named("a wrong id"),
        one(Running, TerminateAndDestroy).at(50, Act::Rotate { namespace: team() }).named("a rotated key"),
        one(Running, TerminateAndDestroy)
            .at(50, Act::Rotate { namespace: team() })
            .at(58, Act::RevokeOldKeys { namespace: team() })
            .named("a rotated key, and the old one is revoked"),
        Script::new()
            .port("port-1", Recycled)
            .port("port-2", Running)
            .object("edge", "port-1", Destroy)
            .object("core", "port-2", TerminateAndDestroy)
            .at(60, Act::DeleteNamespace { namespace: team() })
            .named("a deleted namespace"),
        one(Running, TerminateAndDestroy)
            .at(85, Act::Restore { port: port_1() })
            .at(300, Act::Approve { object: object("edge") })
            .named("a person restores the port"),
        one(Recycled, Destroy)
            .at(66, Act::Restore { port: port_1() })
            .named("a person restores the port in the grace"),
        one(Recycled, Destroy).at(65, Act::DeleteSecret { namespace: team() }).named("the Secret goes too"),
        one(Running, TerminateAndDestroy)
            .at(71, Act::Restart { replica: 0, down_ms: 30_000 })
            .named("the operator is updated"),
        Script::new()
            .port("port-1", Recycled)
            .object("edge", "port-1", Destroy)
            .object("twin", "port-1", Destroy)
            .delete(60, "edge")
            .delete(240, "twin")
            .named("two objects with one port"),
    ]
}
