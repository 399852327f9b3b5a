//! What must hold after every fault, as one pure function of what happened.
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
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use zenlayer_port_operator::api::DeletionPolicy;
use zenlayer_simulator::PortStatus;

pub use self::chronicle::{Change, ChangeRequest, Chronicle, Move, Mover};

/// A call may leave so long after the record that justified it (`docs/architecture.md`, the record), in milliseconds.
const CALL_LEAVES_WITHIN_MS: u64 = 10_000;

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

/// All that does not hold; empty if all is well.
pub fn judge(evidence: &Evidence) -> Vec<Violation> {
    let Evidence { chronicle, subjects, texts, secrets, limits } = evidence;
    let say = |oracle, whats: Vec<String>| whats.into_iter().map(move |what| Violation { oracle, what });
    let each = |look: &dyn Fn(&Subject) -> Option<String>| subjects.iter().filter_map(look).collect();
    let found = [
        (Oracle::NoLeak, each(&|subject| leak(subject, chronicle))),
        (Oracle::NoWrongKill, wrong_kills(chronicle, subjects)),
        (Oracle::Bounded, unbounded(chronicle, *limits)),
        (Oracle::Liveness, each(&wrong_end)),
        (Oracle::Truth, subjects.iter().flat_map(untold).collect()),
        (Oracle::Isolation, each(&held_up)),
        (Oracle::NoSecret, told_secrets(texts, secrets)),
    ];
    found.into_iter().flat_map(|(oracle, whats)| say(oracle, whats)).collect()
}

fn wrong_kills(chronicle: &Chronicle, subjects: &[Subject]) -> Vec<String> {
    let committed = chronicle.changes.iter().filter(|request| request.committed);
    let unasked = committed.filter(|request| !subjects.iter().any(|subject| subject.asks_for(request)));
    unasked.map(|request| format!("{request} took effect, and no deleted object asked for it")).collect()
}

fn untold(subject: &Subject) -> Vec<String> {
    let shown = subject.reason.as_deref().unwrap_or("nothing");
    let never = subject.told.iter().filter(|(_, seen)| *seen == Seen::Never);
    never
        .map(|(reason, _)| format!("{subject} never showed {reason}; in the end it showed {shown}"))
        .collect()
}

fn held_up(subject: &Subject) -> Option<String> {
    let until = subject.unaffected_until_ms?;
    let in_time = subject.gone_at_ms.is_some_and(|gone| gone <= until);
    (!in_time).then(|| format!("{subject} was held up by a fault that was not its own"))
}

/// So many characters of a password in a row are told by nobody by chance.
const TELLING: usize = 6;

fn told_secrets(texts: &[(String, String)], secrets: &[String]) -> Vec<String> {
    let parts = |secret: &String| {
        let characters: Vec<char> = secret.chars().collect();
        let parts = characters.windows(TELLING.min(characters.len())).map(|part| part.iter().collect());
        parts.collect::<Vec<String>>()
    };
    let parts: Vec<String> = secrets.iter().flat_map(parts).collect();
    let judged = texts.iter().filter_map(|(place, text)| {
        if text.trim().is_empty() {
            return Some(format!("{place} is empty, so it shows nothing"));
        }
        let told = parts.iter().any(|part| text.contains(part.as_str()));
        told.then(|| format!("{place} holds a part of a credential"))
    });
    judged.collect()
}

fn leak(subject: &Subject, chronicle: &Chronicle) -> Option<String> {
    let gone_at = subject.gone_at_ms.filter(|_| subject.excused.is_none())?;
    let wish = subject.wishes.iter().rev().find(|wish| wish.at_ms <= gone_at)?;
    if wish.deletion == Deletion::NotAsked {
        return Some(format!("{subject} is gone, and nobody deleted it"));
    }
    let left = chronicle.status_at(&subject.port_id, gone_at);
    let released = match (wish.policy, left) {
        (DeletionPolicy::Retain, _) | (_, None | Some(PortStatus::Destroyed)) => true,
        (DeletionPolicy::Terminate, Some(status)) => {
            matches!(status, PortStatus::Recycled | PortStatus::Destroying)
        }
        (DeletionPolicy::Destroy | DeletionPolicy::TerminateAndDestroy, Some(_)) => false,
    };
    (!released).then(|| format!("{subject} went under {:?} while its port was {left:?}", wish.policy))
}

fn wrong_end(subject: &Subject) -> Option<String> {
    let shown = subject.reason.as_deref().unwrap_or("no reason");
    match (subject.expected, subject.gone_at_ms) {
        (Expected::Gone, Some(_)) | (Expected::Alive, None) => None,
        (Expected::Gone, None) => Some(format!("{subject} does not go: {shown}")),
        (Expected::Held(reason), None) if shown == reason => None,
        (Expected::Held(reason), None) => Some(format!("{subject} is to be held as {reason} and is {shown}")),
        (Expected::Alive | Expected::Held(_), Some(_)) => Some(format!("{subject} is gone and was to stay")),
    }
}

fn unbounded(chronicle: &Chronicle, limits: Limits) -> Vec<String> {
    let mut found = Vec::new();
    let mut sends = BTreeMap::<(&str, Change), Vec<u64>>::new();
    for request in &chronicle.changes {
        sends.entry((&request.port_id, request.change)).or_default().push(request.at_ms);
    }
    for ((port, change), times) in &sends {
        if times.len() > limits.sends {
            found.push(format!("{change:?}Port of {port} was sent {} times, at {times:?} ms", times.len()));
        }
    }
    let ports: BTreeSet<&str> = sends.into_keys().map(|(port, _)| port).collect();
    for port in ports {
        let most = chronicle.destroys_in_one_life(port);
        if most > 1 {
            found.push(format!("port {port} was destroyed {most} times"));
        }
    }
    if chronicle.reads > limits.reads {
        found.push(format!("{} readings, more than {}", chronicle.reads, limits.reads));
    }
    found
}

impl Subject {
    /// Whether this object justified a request that took effect.
    fn asks_for(&self, request: &ChangeRequest) -> bool {
        let ends = |index: usize| self.wishes.get(index + 1).map_or(u64::MAX, |next| next.at_ms);
        let in_force = |(index, wish): &(usize, &Wish)| {
            wish.at_ms <= request.at_ms && request.at_ms <= ends(*index).saturating_add(CALL_LEAVES_WITHIN_MS)
        };
        self.port_id == request.port_id
            && request.account.as_deref() == Some(self.account.as_str())
            && self.gone_at_ms.is_none_or(|gone| request.at_ms <= gone)
            && self.wishes.iter().enumerate().filter(in_force).any(|(_, wish)| wish.allows(request.change))
    }
}

impl Wish {
    fn allows(&self, change: Change) -> bool {
        self.deletion == Deletion::Asked
            && match self.policy {
                DeletionPolicy::Retain => false,
                DeletionPolicy::Destroy => change == Change::Destroy,
                DeletionPolicy::Terminate => change == Change::Terminate,
                DeletionPolicy::TerminateAndDestroy => true,
            }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ({})", self.namespace, self.name, self.port_id)
    }
}
