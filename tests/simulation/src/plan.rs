//! What happens in a run, as data: it is made from a seed or written by hand, it can be made smaller, and it is kept as
//! JSON where a run found a fault.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zenlayer_port_operator::api::DeletionPolicy;
use zenlayer_simulator::{PortStatus, Rule};

/// The operator's namespace.
pub const HOME: &str = "zenlayer-system";

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// All chance that the plan does not name follows from it: latencies, and which request a fault meets.
    pub seed: u64,
    #[serde(default)]
    pub config: Config,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// Namespaces whose Secret holds a key of the account of another: its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub guests: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acts: Vec<Timed>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crashes: Vec<Crash>,
    /// Others who write objects all the time, also when all faults are over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writers: Vec<Writer>,
    /// Effects that are never answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<u64>,
    /// People act and faults happen until then. After that all must come to an end.
    pub busy_ms: u64,
    /// How long that may take.
    pub quiet_ms: u64,
    /// How long all must stay as it should be.
    pub settled_ms: u64,
}

impl Plan {
    /// A plan in which nothing happens.
    pub fn new(seed: u64, config: Config) -> Self {
        Self {
            seed,
            config,
            ports: Vec::new(),
            guests: BTreeMap::new(),
            acts: Vec::new(),
            faults: Vec::new(),
            crashes: Vec::new(),
            writers: Vec::new(),
            unanswered: Vec::new(),
            busy_ms: 0,
            quiet_ms: 0,
            settled_ms: 0,
        }
    }
}

/// The operator's settings, and how fast the world is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    pub replicas: u8,
    pub grace_s: u64,
    pub poll_s: u64,
    pub resync_s: u64,
    /// 0: none.
    pub mass_deletion_threshold: u32,
    pub require_approval: bool,
    pub keep_copies: bool,
    pub requests_per_second: f64,
    /// Empty: all.
    pub watch_namespaces: Vec<String>,
    /// The longest time of one way of a request.
    pub latency_ms: u64,
    /// How far each replica's wall clock is ahead.
    pub clock_ahead_s: Vec<i64>,
    /// The same for the API server's.
    pub api_clock_ahead_s: i64,
    /// A quota allows so many Secrets in the operator's namespace; none: there is no quota.
    pub most_copies: Option<u8>,
    pub terminate_s: u64,
    pub destroy_s: u64,
    pub destroyed_listed_s: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            replicas: 1,
            grace_s: 10,
            poll_s: 10,
            resync_s: 300,
            mass_deletion_threshold: 20,
            require_approval: false,
            keep_copies: true,
            requests_per_second: 10.0,
            watch_namespaces: Vec::new(),
            latency_ms: 40,
            clock_ahead_s: Vec::new(),
            api_clock_ahead_s: 0,
            most_copies: None,
            terminate_s: 5,
            destroy_s: 60,
            destroyed_listed_s: 30,
        }
    }
}

/// A port at Zenlayer at the beginning. The account's name is that of the namespace whose key sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Port {
    pub id: String,
    pub account: String,
    pub status: PortStatus,
    #[serde(default)]
    pub prepaid: bool,
    #[serde(default)]
    pub in_use: bool,
    /// Its name would steer a terminal.
    #[serde(default)]
    pub loud: bool,
}

/// What somebody does, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Timed {
    pub at_ms: u64,
    pub act: Act,
}

/// The namespace and the name of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name {
    pub namespace: String,
    pub name: String,
}

impl Name {
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (namespace, name) = text.split_once('/').ok_or("an object is named NAMESPACE/NAME")?;
        Ok(Self::new(namespace, name))
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.to_string()
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What a person, another controller or a machine does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Act {
    Create {
        object: Name,
        port: String,
        policy: DeletionPolicy,
    },
    Delete {
        object: Name,
    },
    SetPolicy {
        object: Name,
        policy: DeletionPolicy,
    },
    Protect {
        object: Name,
        on: bool,
    },
    /// Types what the object's message prints, if that is an approval.
    Approve {
        object: Name,
    },
    /// Another controller puts a finalizer of its own on, or takes it off.
    Hold {
        object: Name,
        on: bool,
    },
    /// Somebody makes an object in the operator's namespace that names the operator's copy of some Secret.
    Steal {
        object: Name,
        port: String,
    },
    /// Another controller writes a label.
    Touch {
        object: Name,
        label: u64,
    },

    /// The following are done in the console of Zenlayer.
    Terminate {
        port: String,
    },
    Restore {
        port: String,
    },
    Destroy {
        port: String,
    },
    /// The id is given to another port.
    Reissue {
        port: String,
    },
    /// Whatever used the port no longer does.
    Detach {
        port: String,
    },

    /// What uses the port goes to the recycle bin, and is still listed.
    RecycleUsers {
        port: String,
    },
    /// The port has a status that no document knows.
    Suspend {
        port: String,
    },
    /// It runs again.
    Resume {
        port: String,
    },

    /// A new key of the same account takes the place of the one in the Secret.
    Rotate {
        namespace: String,
    },
    /// The same with a key that sees these ports only.
    RotateLimited {
        namespace: String,
        ports: Vec<String>,
    },
    /// The Secret names the key of another tenant, whose password nobody has told.
    Forge {
        namespace: String,
        victim: String,
    },
    /// The account's older keys are valid no longer.
    RevokeOldKeys {
        namespace: String,
    },
    DeleteSecret {
        namespace: String,
    },
    /// The Secret with the key that is valid now.
    PutSecret {
        namespace: String,
    },
    CreateNamespace {
        namespace: String,
    },
    DeleteNamespace {
        namespace: String,
    },
    /// A policy denies all updates of objects, or of their statuses.
    Deny {
        statuses: bool,
    },
    /// It is taken away.
    Allow,
    DeleteDefinition,
    /// Somebody takes the finalizer of the definition off, to get it unstuck.
    ForceDefinition,
    ApplyDefinition,

    /// The process is killed, and starts again after that.
    Crash {
        replica: u8,
        down_ms: u64,
    },
    /// It is told to stop, and starts again after that.
    Restart {
        replica: u8,
        down_ms: u64,
    },
    /// The API server restarts: it no longer knows what has changed before.
    ForgetHistory,
    /// The machine of all replicas stands still, as a virtual machine that is moved: nothing is sent or received, and every timer
    /// is late.
    Stall {
        ms: u64,
    },
}

/// Another controller that writes a label of an object again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Writer {
    pub object: Name,
    pub every_ms: u64,
}

/// Something that goes wrong for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// By which chance is told apart.
    pub id: u64,
    pub from_ms: u64,
    pub until_ms: u64,
    /// None: all.
    #[serde(default)]
    pub replica: Option<u8>,
    pub on: On,
    pub trouble: Trouble,
    /// It meets one of so many requests.
    pub one_in: u64,
}

/// Which requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum On {
    /// Those to the API server whose line begins so: `PUT zenlayerports`; empty: all, but no watches.
    Api(String),
    /// The watches of this kind; empty: all.
    Watch(String),
    /// Those to Zenlayer for this action; empty: all.
    Zenlayer(String),
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Trouble {
    /// The connection breaks before the request is read.
    LostBefore,
    /// It is carried out, and the connection breaks before the answer.
    LostAfter,
    /// Nothing comes back.
    Silence { carried_out: bool },
    /// The API server refuses it.
    Refused { status: u16 },
    /// It is carried out, and the answer says that it failed.
    FailedAfter { status: u16 },
    /// It arrives so much later.
    Late { ms: u64 },
    /// Its answer, or the next line of a watch, comes so much later.
    Slow { ms: u64 },
    /// It arrives a second time.
    Twice { after_ms: u64 },
    /// A watch ends, as it may do at any time.
    Ends,
    /// A watch breaks in the middle of a line.
    Breaks,
    /// Zenlayer does what this rule says.
    Rule(Box<Rule>),
}

/// A replica dies at its n-th effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Crash {
    pub effect: u64,
    pub phase: Phase,
    pub down_ms: u64,
}

/// Where the process is when it dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// The request has not left.
    Before,
    /// It was carried out, and the answer has not come.
    Unanswered,
    /// The answer has just come.
    Answered,
}

impl Phase {
    pub const ALL: [Self; 3] = [Self::Before, Self::Unanswered, Self::Answered];
}
