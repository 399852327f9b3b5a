//! What must hold in every run, told of each thing that happens as it happens. It reads what people, the API server and
//! Zenlayer did, never what the operator thinks.
//!
//! | oracle | what it says | when it is asked |
//! |---|---|---|
//! | no leak | an object goes only after its port has gone, or was left where the policy leaves it | an object goes |
//! | no wrong kill | a call leaves only after a record that was written while the object was deleted, not protected, its policy asked for the call, and no brake was on | a record, a call |
//! | bounded | one call for each record; one destruction in the life of a port; few writes for each object and hour, and few that are refused | a call, a change, an answer |
//! | nothing untrue | what an object, an Event or the log says is so, and steers no terminal; a command acts on its object alone | a change |
//! | no silence | what a person must know comes as an Event; the last one names the request | an Event, a minute later |
//! | liveness | in the end each object is gone, is held for a reason that is true, or is alive and says so | the end |
//! | no secret | no log line, Event or object holds a password | a line, a change |
//! | books closed | with no object left, nothing is polled, counted or queued, and no copy is kept | the end |
//! | no panic | no part of the operator panics | a line of the log |

mod bounds;
mod brakes;
mod change;
mod copies;
mod object;
mod told;
mod truth;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::Deserialize as _;
use zenlayer_port_operator::api::{DeletionPolicy, ZenlayerPort};
use zenlayer_simulator::{Cause, PortStatus, Transition};

pub use self::change::Change;
use self::copies::Kept;
use self::object::Subject;
use self::told::{Answers, Awaited, steers};
use self::truth::{PortTruth, Tenant};
use crate::plan::{Act, Config, Fault, Name, Plan};

/// So long after something happened, the operator knows of it if it knows of anything: its watch may be late.
const KNOWN_AFTER_MS: u64 = 120_000;
/// What was so when the operator last checked a port holds when its request arrives, but for what happens in this moment
/// (`docs/guarantees.md`, what remains): a check is good for 30 s, and a request may be on its way for 20 s.
const MOMENT_MS: u64 = 50_000;
/// The operator writes an object so many times in an hour at most.
const MOST_WRITES: u32 = 240;

/// What does not hold, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub oracle: &'static str,
    pub what: String,
}

impl Violation {
    pub fn new(oracle: &'static str, what: String) -> Self {
        Self { oracle, what }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.oracle, self.what)
    }
}

/// A request to change a port, as it leaves.
#[derive(Clone, Debug)]
pub struct Call {
    pub action: String,
    pub port: String,
    pub key: String,
}

#[derive(Debug)]
pub struct Oracle {
    config: Config,
    ports: BTreeMap<String, PortTruth>,
    /// By uid.
    subjects: BTreeMap<String, Subject>,
    tenants: BTreeMap<String, Tenant>,
    /// When the kind was deleted, and when it was made again.
    kind_deleted_ms: Option<u64>,
    kind_back_ms: Option<u64>,
    /// Nobody can read or write an object while its kind is not served, or in a namespace that is gone.
    kind_is_served: bool,
    gone_namespaces: BTreeSet<String>,
    leaving_namespaces: BTreeSet<String>,
    /// Those whose Secret holds a key of another's account, and that account.
    guests: BTreeMap<String, String>,
    /// When each fault of the plan is on.
    faults: Vec<Fault>,
    answers: BTreeMap<String, Answers>,
    awaited: Vec<Awaited>,
    kept: Kept,
    /// When a replica last ended.
    died_ms: Option<u64>,
    /// When a policy last denied a write.
    denied_ms: Option<u64>,
    /// From when until when the machine of the replicas stood still.
    stalls: Vec<(u64, u64)>,
    /// A fault made Zenlayer drop a TerminatePort that it had accepted.
    drops_calls: bool,
}

impl Oracle {
    pub fn new(plan: &Plan) -> Self {
        let ports = plan.ports.iter().map(|port| (port.id.clone(), PortTruth::of(port)));
        let drops = plan.faults.iter().any(|fault| {
            matches!(&fault.trouble, crate::plan::Trouble::Rule(rule) if rule.apply != zenlayer_simulator::Apply::Now)
        });
        Self {
            config: plan.config.clone(),
            ports: ports.collect(),
            subjects: BTreeMap::new(),
            tenants: BTreeMap::new(),
            kind_deleted_ms: None,
            kind_back_ms: None,
            kind_is_served: true,
            gone_namespaces: BTreeSet::new(),
            leaving_namespaces: BTreeSet::new(),
            guests: plan.guests.clone(),
            faults: plan.faults.clone(),
            answers: BTreeMap::new(),
            awaited: Vec::new(),
            kept: Kept::default(),
            died_ms: None,
            denied_ms: None,
            stalls: Vec::new(),
            drops_calls: drops,
        }
    }

    /// A person is about to act.
    pub fn act(&mut self, act: &Act, now: u64) -> Vec<Violation> {
        match act {
            Act::Rotate { namespace } => self.tenant(namespace).rotated = true,
            Act::RotateLimited { namespace, ports } => {
                let tenant = self.tenant(namespace);
                tenant.rotated = true;
                tenant.sees_only = Some(ports.iter().cloned().collect());
            }
            Act::RevokeOldKeys { namespace } => self.tenant(namespace).revoked = true,
            Act::Forge { namespace, .. } => self.tenant(namespace).forged = true,
            Act::DeleteDefinition => {
                self.kind_deleted_ms = Some(now);
                self.kind_back_ms = None;
            }
            Act::ApplyDefinition => self.kind_back_ms = Some(now),
            Act::Restore { port } => {
                let restored = self.ports.get_mut(port).filter(|it| it.status == Some(PortStatus::Recycled));
                if let Some(truth) = restored {
                    truth.restored_ms = Some(now);
                }
            }
            Act::Reissue { port } => {
                if let Some(truth) = self.ports.get_mut(port) {
                    truth.reissued_ms = Some(now);
                }
            }
            Act::Detach { port } | Act::RecycleUsers { port } => {
                if let Some(truth) = self.ports.get_mut(port) {
                    truth.in_use = false;
                }
            }
            Act::Deny { .. } | Act::Allow => self.denied_ms = Some(now),
            Act::Stall { ms } => self.stalls.push((now, now + ms)),
            _ => {}
        }
        Vec::new()
    }

    /// When a moment ago was: what stands still is not late.
    fn a_moment_before(&self, now: u64) -> u64 {
        let from = now.saturating_sub(MOMENT_MS);
        let stood_still =
            self.stalls.iter().filter(|(_, until)| *until > from).map(|(began, until)| until - began);
        from.saturating_sub(stood_still.sum())
    }

    /// A replica has ended.
    pub fn dies(&mut self, now: u64) {
        self.died_ms = Some(now);
    }

    /// The account whose key the Secret of a namespace holds.
    fn account<'a>(&'a self, namespace: &'a str) -> &'a str {
        self.guests.get(namespace).map_or(namespace, String::as_str)
    }

    fn tenant(&mut self, namespace: &str) -> &mut Tenant {
        self.tenants.entry(namespace.to_owned()).or_default()
    }

    /// A port has changed; `created` is what it shows now.
    pub fn port_changes(&mut self, step: &Transition, created: Option<Timestamp>) -> Vec<Violation> {
        let Some(truth) = self.ports.get_mut(&*step.port_id) else { return Vec::new() };
        let mut found = Vec::new();
        if step.from.is_none() {
            truth.destroys = 0;
        }
        truth.status.clone_from(&step.to);
        truth.created = created.or(truth.created);
        truth.history.push((step.at_ms, truth.status.clone(), truth.created));
        if matches!(step.cause, Cause::Request(_)) && step.to == Some(PortStatus::Destroying) {
            truth.destroys += 1;
            if truth.destroys > 1 {
                let what = format!("port {} was destroyed {} times", step.port_id, truth.destroys);
                found.push(Violation::new("bounded", what));
            }
        }
        found
    }

    /// An object of any kind has changed.
    pub fn object_changes(&mut self, change: &Change<'_>, by_operator: bool, now: u64) -> Vec<Violation> {
        let mut found = self.overdue(now);
        let place = || format!("{} {}", change.place, change.path);
        if by_operator && change.after.is_some_and(|after| change.tells() && tells_secret(&after.to_string()))
        {
            found.push(Violation::new("no secret", format!("{} holds a password", place())));
        }
        if by_operator && change.told().is_some_and(steers) {
            let what = format!("{} holds a control character: {:?}", place(), change.told());
            found.push(Violation::new("nothing untrue", what));
        }
        if let ("events", true, Some(event)) = (change.place, by_operator, change.after) {
            found.extend(self.event(event, now));
        }
        self.kept.see(change);
        if change.place == "secrets" && change.path.ends_with("/zenlayer") {
            let namespace = change.path.split('/').next().unwrap_or_default().to_owned();
            let tenant = self.tenant(&namespace);
            tenant.has_secret = change.after.is_some();
            tenant.lacked |= change.after.is_none();
        }
        if change.place == "namespaces" {
            let is_leaving = change.after.is_some_and(|it| !it["metadata"]["deletionTimestamp"].is_null());
            for (names, is_in) in [
                (&mut self.gone_namespaces, change.after.is_none()),
                (&mut self.leaving_namespaces, is_leaving),
            ] {
                names.remove(change.path);
                names.extend(is_in.then(|| change.path.to_owned()));
            }
        }
        if change.place.starts_with("customresourcedefinitions.") {
            self.kind_is_served = change.after.is_some();
        }
        if !change.place.starts_with("zenlayerports.") {
            return found;
        }
        let parsed =
            |value: Option<&serde_json::Value>| value.and_then(|value| ZenlayerPort::deserialize(value).ok());
        match (parsed(change.before), parsed(change.after)) {
            (before, Some(after)) => found.extend(self.object_is(before.as_ref(), &after, by_operator, now)),
            (Some(before), None) => found.extend(self.object_goes(&before, now)),
            (None, None) => {}
        }
        found
    }

    fn object_is(
        &mut self,
        before: Option<&ZenlayerPort>,
        after: &ZenlayerPort,
        by_operator: bool,
        now: u64,
    ) -> Vec<Violation> {
        let uid = after.metadata.uid.clone().unwrap_or_default();
        let created = self.ports.get(after.spec.port_id.as_str()).and_then(|truth| truth.created);
        let tenant = self.tenants.get(after.metadata.namespace.as_deref().unwrap_or_default());
        let has_secret = tenant.is_some_and(|tenant| tenant.has_secret)
            && self.is_calm(now.saturating_sub(KNOWN_AFTER_MS), now);
        let subject = self.subjects.entry(uid.clone()).or_insert_with(|| Subject::new(after, now));
        let was_latched = subject.latched;
        let is_new_record = subject.is_now(after, now);
        let shown = before
            .and_then(|before| object::made(before.status.as_ref()?.port.as_ref()?.created_time.as_ref()?));
        subject.consents_are(after, created, shown);
        let taken = if by_operator { subject.takes_over(before, after) } else { None };
        let release = after.release().filter(|release| release.uid == uid);
        let says_so = release.is_some_and(|release| release.credentials_seen);
        subject.told_with_secret |= by_operator && (says_so || (has_secret && release.is_some()));
        let is_latched = subject.latched && !was_latched;
        let mut found: Vec<Violation> = taken.into_iter().collect();
        if by_operator {
            let shown =
                before.and_then(|before| before.status.as_ref()?.ready()).map(|ready| ready.reason.as_str());
            found.extend(self.shows(&uid, after, shown, now));
        }
        found.extend(is_latched.then(|| self.one_of_few(&uid, now)).flatten());
        let Some(subject) = self.subjects.get_mut(&uid) else { return found };
        if by_operator && before.is_some() {
            let writes = subject.writes.entry(now / 3_600_000).or_default();
            *writes += 1;
            if *writes == MOST_WRITES {
                let what = format!("{} was written {MOST_WRITES} times in an hour", subject.name);
                found.push(Violation::new("bounded", what));
            }
        }
        if is_new_record {
            let forbidden = self.forbids(&uid, after, now);
            let name = self.subjects[&uid].name.clone();
            found.extend(
                forbidden
                    .map(|why| Violation::new("no wrong kill", format!("{name} records a call, and {why}"))),
            );
        }
        found
    }

    fn object_goes(&mut self, before: &ZenlayerPort, now: u64) -> Option<Violation> {
        let uid = before.metadata.uid.clone().unwrap_or_default();
        let a_moment_ago = self.a_moment_before(now);
        let subject = self.subjects.get_mut(&uid)?;
        subject.gone_ms = Some(now);
        subject.has_finalizer = false;
        // Nobody can hold an object that never had the finalizer.
        if !subject.had_finalizer {
            return None;
        }
        let account = self.guests.get(&subject.name.namespace).unwrap_or(&subject.name.namespace);
        let truth = self.ports.get(&subject.port).filter(|truth| truth.account == *account);
        let left = truth.and_then(|truth| truth.status.clone());
        let policy = before.spec.deletion_policy;
        let tenant = self.tenants.get(&subject.name.namespace);
        let is_hidden = tenant
            .and_then(|tenant| tenant.sees_only.as_ref())
            .is_some_and(|ports| !ports.contains(&subject.port));
        // A key that never showed the port, and one that is told of its end by another (`docs/guarantees.md`, what remains).
        if is_hidden && (subject.owned.is_none() || left == Some(PortStatus::Destroying)) {
            return None;
        }
        let released = match (policy, &left) {
            (DeletionPolicy::Retain, _) | (_, None | Some(PortStatus::Destroyed)) => true,
            (DeletionPolicy::Terminate, Some(status)) => {
                matches!(status, PortStatus::Recycled | PortStatus::Destroying)
                    || truth.and_then(|truth| truth.restored_ms).is_some_and(|at| a_moment_ago <= at)
            }
            (DeletionPolicy::Destroy | DeletionPolicy::TerminateAndDestroy, Some(_)) => false,
        };
        let what = format!("{} goes under {policy:?} while its port is {left:?}", subject.name);
        (!released).then(|| Violation::new("no leak", what))
    }

    /// Whether each object that is left shows what is true, and waits for nobody but people.
    pub fn is_settled(&self) -> bool {
        self.left().all(|subject| !self.is_reachable(subject) || self.is_right(subject).is_ok())
            && self.wrong_copies().is_empty()
    }

    /// Whether the object that has this name now is being deleted.
    pub fn is_deleted(&self, name: &Name) -> bool {
        let newest =
            self.subjects.values().filter(|subject| subject.name == *name).max_by_key(|it| it.made_ms);
        newest.is_some_and(|subject| subject.deleted_ms.is_some())
    }

    pub fn objects_left(&self) -> usize {
        self.left().count()
    }

    fn is_reachable(&self, subject: &Subject) -> bool {
        self.kind_is_served && !self.gone_namespaces.contains(&subject.name.namespace)
    }

    fn left(&self) -> impl Iterator<Item = &Subject> {
        self.subjects.values().filter(|subject| subject.gone_ms.is_none())
    }

    /// What does not hold at the end.
    pub fn end(&self) -> Vec<Violation> {
        let reachable = self.left().filter(|subject| self.is_reachable(subject));
        let wrong = reachable.filter_map(|subject| self.is_right(subject).err().map(|why| (subject, why)));
        let wrong = wrong.map(|(subject, why)| Violation::new("liveness", format!("{subject} {why}")));
        wrong.chain(self.wrong_copies()).collect()
    }

    pub fn reads_log(&self, line: &str) -> Vec<Violation> {
        if tells_secret(line) {
            vec![Violation::new("no secret", line.trim().to_owned())]
        } else if line.trim_end().contains(char::is_control) {
            vec![Violation::new("nothing untrue", format!("the log holds a control character: {line:?}"))]
        } else {
            Vec::new()
        }
    }
}

/// Each password of the simulation begins so.
fn tells_secret(text: &str) -> bool {
    text.contains("hunter-")
}

fn account_of(key: &str) -> &str {
    key.strip_prefix("KEY-").and_then(|rest| rest.rsplit_once('-')).map_or("", |(account, _)| account)
}

/// What the metrics of a replica still count when no object is left.
pub fn open_books(metrics: &str) -> Option<Violation> {
    let open = metrics.lines().find(|line| {
        let counts =
            ["_ports{", "_terminating_ports ", "_polled_ports ", "_call_queue_length ", "_invalid_objects "];
        line.starts_with("zenlayer_port_operator")
            && counts.iter().any(|count| line.contains(count))
            && !line.ends_with(" 0")
    });
    open.map(|line| Violation::new("books closed", format!("no object is left, and the metrics say {line}")))
}

#[cfg(test)]
mod tests;
