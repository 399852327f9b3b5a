//! What must hold whatever happens, as one pure function of what happened. It shares no code with the operator's decision.
//!
//! Whoever judges fills an [`Evidence`], and [`judge`] lists what does not hold:
//!
//! | oracle | what it says |
//! |---|---|
//! | O1 no leak | an object goes only after its port has gone, or was left where the policy leaves it |
//! | O2 no wrong kill | a call took effect only on a port whose object was deleted then, under a policy that asks for it, by a key of its own account |
//! | O3 bounded | each action is sent at most once for a port, unless the case says why it is repeated; at most one `DestroyPort` takes effect in the life of a port; reading has an end |
//! | O4 liveness | after the faults, each object ends as it should: gone, held for a reason that says so, or alive |
//! | O5 truth | while a fault lasted, the object named its real cause |
//! | O6 isolation | what another tenant deleted meanwhile was gone before the fault was |
//! | O7 no secret | no log, event, object or metric holds a part of a credential |

mod chronicle;
mod rules;
#[cfg(test)]
mod tests;

use std::fmt;

use zenlayer_port_operator::api::DeletionPolicy;

pub use self::chronicle::{Calls, Change, ChangeRequest, Chronicle, Move, Mover, Request};
pub use self::rules::judge;

/// All that a case leaves behind to be judged. Times are milliseconds since the simulator started.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    pub chronicle: Chronicle,
    pub subjects: Vec<Subject>,
    /// Where something was written, and what.
    pub texts: Vec<(String, String)>,
    /// What must stand in none of them.
    pub secrets: Vec<String>,
    pub limits: Limits,
}

/// How many requests are enough.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests for one action on one port, whether they took effect or not. A case that makes calls fail allows more.
    pub sends: usize,
    pub reads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { sends: 1, reads: 1000 }
    }
}

/// One `ZenlayerPort`, what was asked of it and what became of it.
#[derive(Clone, Debug)]
pub struct Subject {
    pub name: String,
    pub namespace: String,
    pub port_id: String,
    /// The account that its credentials are of.
    pub account: String,
    /// What people asked for, oldest first; the first is its creation.
    pub wishes: Vec<Wish>,
    /// When it was first found to be gone.
    pub gone_at_ms: Option<u64>,
    pub expected: Expected,
    /// The reason that it showed at the end.
    pub reason: Option<String>,
    /// The reasons that it was to show, and whether it did.
    pub told: Vec<(String, Seen)>,
    /// When it had to be gone, as nothing that was wrong concerned it.
    pub unaffected_until_ms: Option<u64>,
    /// Why it may go without its port: a person has made it so.
    pub excused: Option<&'static str>,
}

/// What was asked from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    pub at_ms: u64,
    pub deletion: Deletion,
    pub policy: DeletionPolicy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    NotAsked,
    Asked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Alive,
    Gone,
    Held(&'static str),
    /// Whoever judges says it elsewhere.
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Yes,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Oracle {
    NoLeak,
    NoWrongKill,
    Bounded,
    Liveness,
    Truth,
    Isolation,
    NoSecret,
}

impl fmt::Display for Oracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoLeak => "O1 no leak",
            Self::NoWrongKill => "O2 no wrong kill",
            Self::Bounded => "O3 bounded",
            Self::Liveness => "O4 liveness",
            Self::Truth => "O5 truth",
            Self::Isolation => "O6 isolation",
            Self::NoSecret => "O7 no secret",
        })
    }
}

/// An oracle that does not hold, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub oracle: Oracle,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.oracle, self.what)
    }
}

impl Subject {
    /// An object that is created now, of which nothing is expected but to stay. `object` is its namespace and name.
    pub fn created(object: (&str, &str), port_id: &str, account: &str, wish: (u64, DeletionPolicy)) -> Self {
        let ((namespace, name), (at_ms, policy)) = (object, wish);
        Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            port_id: port_id.to_owned(),
            account: account.to_owned(),
            wishes: vec![Wish { at_ms, deletion: Deletion::NotAsked, policy }],
            gone_at_ms: None,
            expected: Expected::Alive,
            reason: None,
            told: Vec::new(),
            unaffected_until_ms: None,
            excused: None,
        }
    }

    /// Its deletion is asked for: it is to go.
    pub fn ask_for_deletion(&mut self, at_ms: u64) {
        self.ask(at_ms, |wish| wish.deletion = Deletion::Asked);
        self.expected = Expected::Gone;
    }

    /// Another policy is asked for.
    pub fn ask_for_policy(&mut self, at_ms: u64, policy: DeletionPolicy) {
        self.ask(at_ms, |wish| wish.policy = policy);
    }

    /// Something else is asked from now on. What is not changed stays as it was.
    pub fn ask(&mut self, at_ms: u64, change: impl FnOnce(&mut Wish)) {
        let mut wish = self.wishes[self.wishes.len() - 1];
        change(&mut wish);
        self.wishes.push(Wish { at_ms, ..wish });
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ({})", self.namespace, self.name, self.port_id)
    }
}
