//! The objects of the play, their ports, and what is to come of both.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use zenlayer_port_operator::api::{CredentialsRef, DeletionPolicy, Reason, ZenlayerPort, ZenlayerPortSpec};
use zenlayer_port_operator::port::PortId;
use zenlayer_simulator::{Port, PortStatus, Times};

/// The Secret that all objects name.
pub const SECRET: &str = "zenlayer";

/// One object and its port.
#[derive(Clone, Debug)]
pub struct Case {
    /// The object's name.
    pub object: &'static str,
    pub port_id: &'static str,
    /// Where the port is at the beginning; `None`: there is no such port.
    pub port: Option<PortStatus>,
    pub policy: DeletionPolicy,
    pub wish: Wish,
    /// How many calls of each kind are to take effect.
    pub terminates: usize,
    pub destroys: usize,
    /// Where the port is to be at the end; `None`: gone.
    pub port_left: Option<PortStatus>,
}

/// What is asked for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Deleted, it is to go.
    Release,
    /// Deleted, it is to be held for this reason, and to go once the command in its message was typed.
    FollowAdvice(Reason),
    /// It is not deleted.
    LeaveAlone,
}

pub const CASES: [Case; 7] = [
    Case {
        object: "recycled",
        port_id: "port-recycled",
        port: Some(PortStatus::Recycled),
        policy: DeletionPolicy::Destroy,
        wish: Wish::Release,
        terminates: 0,
        destroys: 1,
        port_left: None,
    },
    Case {
        object: "running",
        port_id: "port-running",
        port: Some(PortStatus::Running),
        policy: DeletionPolicy::Destroy,
        wish: Wish::FollowAdvice(Reason::NotInRecycleBin),
        terminates: 1,
        destroys: 1,
        port_left: None,
    },
    Case {
        object: "terminate-and-destroy",
        port_id: "port-terminate-and-destroy",
        port: Some(PortStatus::Running),
        policy: DeletionPolicy::TerminateAndDestroy,
        wish: Wish::Release,
        terminates: 1,
        destroys: 1,
        port_left: None,
    },
    Case {
        object: "terminate",
        port_id: "port-terminate",
        port: Some(PortStatus::Running),
        policy: DeletionPolicy::Terminate,
        wish: Wish::Release,
        terminates: 1,
        destroys: 0,
        port_left: Some(PortStatus::Recycled),
    },
    Case {
        object: "retain",
        port_id: "port-retain",
        port: Some(PortStatus::Running),
        policy: DeletionPolicy::Retain,
        wish: Wish::Release,
        terminates: 0,
        destroys: 0,
        port_left: Some(PortStatus::Running),
    },
    Case {
        object: "wrong-id",
        port_id: "no-such-port",
        port: None,
        policy: DeletionPolicy::Destroy,
        wish: Wish::Release,
        terminates: 0,
        destroys: 0,
        port_left: None,
    },
    Case {
        object: "untouched",
        port_id: "port-untouched",
        port: Some(PortStatus::Running),
        policy: DeletionPolicy::TerminateAndDestroy,
        wish: Wish::LeaveAlone,
        terminates: 0,
        destroys: 0,
        port_left: Some(PortStatus::Running),
    },
];

impl Case {
    /// What is shown once the port was read.
    pub fn first_reason(&self) -> Reason {
        match &self.port {
            Some(PortStatus::Recycled) => Reason::PortRecycled,
            Some(_) => Reason::Running,
            None => Reason::PortNotFound,
        }
    }

    /// The object, for `kubectl apply`.
    pub fn object(&self, namespace: &str) -> ZenlayerPort {
        ZenlayerPort {
            metadata: ObjectMeta {
                name: Some(self.object.to_owned()),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            spec: ZenlayerPortSpec {
                port_id: PortId::new(self.port_id),
                deletion_policy: self.policy,
                deletion_protection: self.wish == Wish::LeaveAlone,
                credentials_ref: Some(CredentialsRef { name: SECRET.to_owned() }),
            },
            status: None,
        }
    }

    /// The port, for a simulator.
    pub fn seed(&self) -> Option<Port> {
        let port = Port::new(self.port_id).name(self.port_name()).status(self.port.clone()?);
        Some(match self.policy {
            // Both ways in which a destroyed port goes occur: listed for a while, and gone at once.
            DeletionPolicy::TerminateAndDestroy => {
                port.times(Times { destroyed_listed_for: Duration::from_secs(2), ..TIMES })
            }
            DeletionPolicy::Destroy | DeletionPolicy::Terminate | DeletionPolicy::Retain => port,
        })
    }

    /// Zenlayer's name of the port.
    pub fn port_name(&self) -> String {
        format!("uplink-{}", self.object)
    }
}

/// How long the simulator takes: short, for those who watch.
pub const TIMES: Times = Times {
    create: Duration::from_secs(5),
    terminate: Duration::from_secs(3),
    renew: Duration::from_secs(5),
    destroy: Duration::from_secs(6),
    destroyed_listed_for: Duration::ZERO,
};
