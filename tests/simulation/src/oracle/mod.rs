//! What must hold in every run, told of each thing that happens as it happens. It reads what people, the API server and
//! Zenlayer did, never what the operator thinks.
//!
//! | oracle | what it says | when it is asked |
//! |---|---|---|
//! | no leak | an object goes only after its port has gone, or was left where the policy leaves it | an object goes |
//! | no wrong kill | a call leaves only after a record that was written while the object was deleted, not protected, its policy asked for the call, and no brake was on | a record, a call |
//! | bounded | one call for each record; one destruction in the life of a port; few writes for each object and hour | a call, a change |
//! | liveness | in the end each object is gone, is held for a reason that is true, or is alive and says so | the end |
//! | no secret | no log line, Event or object holds a password | a line, a change |
//! | books closed | with no object left, nothing is polled, counted or queued | the end |
//! | no panic | no part of the operator panics | a line of the log |

mod change;
mod object;
mod truth;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::Deserialize as _;
use zenlayer_port_operator::api::{DeletionPolicy, Reason, ZenlayerPort};
use zenlayer_simulator::{Cause, PortStatus, Transition};

pub use self::change::Change;
use self::object::Subject;
use self::truth::{PortTruth, Tenant};
use crate::plan::{Act, Config, Name, Plan};

/// A call leaves so long after its record, or not at all (`docs/architecture.md`, the record).
const CALL_LEAVES_WITHIN_MS: u64 = 10_000;
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
            drops_calls: drops,
        }
    }

    /// A person is about to act.
    pub fn act(&mut self, act: &Act, now: u64) -> Vec<Violation> {
        match act {
            Act::Rotate { namespace } => self.tenant(namespace).rotated = true,
            Act::RevokeOldKeys { namespace } => self.tenant(namespace).revoked = true,
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
            Act::Detach { port } => {
                if let Some(truth) = self.ports.get_mut(port) {
                    truth.in_use = false;
                }
            }
            _ => {}
        }
        Vec::new()
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
        if matches!(step.cause, Cause::Request(_)) && step.to == Some(PortStatus::Destroying) {
            truth.destroys += 1;
            if truth.destroys > 1 {
                let what = format!("port {} was destroyed {} times", step.port_id, truth.destroys);
                found.push(Violation::new("bounded", what));
            }
        }
        found
    }

    /// A call to change a port leaves.
    pub fn call_leaves(&mut self, call: &Call, now: u64) -> Vec<Violation> {
        let wrong = |what: String| {
            vec![Violation::new("no wrong kill", format!("{} of {} {what}", call.action, call.port))]
        };
        let account = account_of(&call.key);
        let subjects = self.subjects.values_mut();
        let mut asking: Vec<_> = subjects
            .filter(|it| it.port == call.port && it.name.namespace == account)
            .filter(|it| it.record.as_ref().is_some_and(|record| record.action == call.action))
            .collect();
        let Some(subject) = asking.iter_mut().max_by_key(|it| it.record.as_ref().map(|record| record.at_ms))
        else {
            return wrong(format!("leaves by {}, and no object has a record of it", call.key));
        };
        let name = subject.name.clone();
        let Some(record) = &mut subject.record else { return Vec::new() };
        record.sent += 1;
        if record.sent > 1 {
            let what = format!(
                "{} of {} leaves {} times for call {} of {name}",
                call.action, call.port, record.sent, record.attempt
            );
            return vec![Violation::new("bounded", what)];
        }
        let age = now.saturating_sub(record.at_ms);
        if age > CALL_LEAVES_WITHIN_MS {
            return wrong(format!("leaves {age} ms after the record of {name}"));
        }
        Vec::new()
    }

    /// An object of any kind has changed.
    pub fn object_changes(&mut self, change: &Change<'_>, by_operator: bool, now: u64) -> Vec<Violation> {
        let mut found = Vec::new();
        if by_operator && change.after.is_some_and(|after| change.tells() && tells_secret(&after.to_string()))
        {
            found.push(Violation::new(
                "no secret",
                format!("{} {} holds a password", change.place, change.path),
            ));
        }
        if change.place == "secrets" && change.path.ends_with("/zenlayer") {
            let namespace = change.path.split('/').next().unwrap_or_default().to_owned();
            self.tenant(&namespace).has_secret = change.after.is_some();
        }
        if change.place == "namespaces" {
            self.gone_namespaces.remove(change.path);
            self.gone_namespaces.extend(change.after.is_none().then(|| change.path.to_owned()));
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
        let subject = self.subjects.entry(uid.clone()).or_insert_with(|| Subject::new(after, now));
        let is_new_record = subject.is_now(after, now);
        let mut found = Vec::new();
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

    /// Why no call may be recorded for this object now.
    fn forbids(&self, uid: &str, object: &ZenlayerPort, now: u64) -> Option<String> {
        let subject = self.subjects.get(uid)?;
        let record = subject.record.as_ref()?;
        let Some(deleted) = subject.deleted_ms else { return Some("it is not deleted".to_owned()) };
        let policy = object.spec.deletion_policy;
        let asks = match policy {
            DeletionPolicy::Retain => false,
            DeletionPolicy::Destroy => record.action == "DestroyPort",
            DeletionPolicy::Terminate => record.action == "TerminatePort",
            DeletionPolicy::TerminateAndDestroy => true,
        };
        if !asks {
            return Some(format!("its policy is {policy:?} and the call {}", record.action));
        }
        if !object.has_finalizer() {
            return Some("it has no finalizer".to_owned());
        }
        if object.spec.deletion_protection {
            return Some("it is protected".to_owned());
        }
        if now < deleted + self.config.grace_s * 1000 {
            return Some(format!("the grace is not over: it was deleted {} ms ago", now - deleted));
        }
        self.brake(subject, object, now).or_else(|| self.another_port_or_owner(subject, object, now))
    }

    /// A brake that is on, and that nobody has approved to pass.
    fn brake(&self, subject: &Subject, object: &ZenlayerPort, now: u64) -> Option<String> {
        let approved = |reason| object::approves(object, reason);
        if self.config.require_approval && !approved(Reason::ApprovalRequired) {
            return Some("nobody has approved it".to_owned());
        }
        let release = object.status.as_ref().and_then(|status| status.release.as_ref());
        if release.is_some_and(|release| release.latched) && !approved(Reason::MassDeletion) {
            return Some("it is held as one of many".to_owned());
        }
        if release.is_some_and(|release| release.crd_deleted) && !approved(Reason::CRDDeleted) {
            return Some("it is held as its kind was deleted".to_owned());
        }
        let with_kind = self.kind_deleted_ms.zip(subject.deleted_ms);
        let until = self.kind_back_ms.unwrap_or(u64::MAX);
        if with_kind
            .is_some_and(|(kind, object)| (kind..=until).contains(&object) && now > kind + KNOWN_AFTER_MS)
            && !approved(Reason::CRDDeleted)
        {
            return Some("it was deleted with its kind".to_owned());
        }
        let threshold = usize::try_from(self.config.mass_deletion_threshold).unwrap_or_default();
        let others = self.subjects.values().filter(|it| it.waits_beside(subject, now)).count();
        if threshold > 0 && others + 1 > threshold && !approved(Reason::MassDeletion) {
            return Some(format!("{others} others of its account wait to be called for too"));
        }
        let truth = self.ports.get(&subject.port)?;
        let restored = truth.restored_ms.filter(|at| {
            now > at + KNOWN_AFTER_MS && subject.recycled_ms.is_some_and(|recycled| recycled < *at)
        });
        if restored.is_some() && !approved(Reason::RestoredElsewhere) {
            return Some("somebody has restored the port that this deletion had seen in the bin".to_owned());
        }
        None
    }

    fn another_port_or_owner(&self, subject: &Subject, object: &ZenlayerPort, now: u64) -> Option<String> {
        let truth = self.ports.get(&subject.port)?;
        if truth.account != subject.name.namespace {
            return Some(format!("the port is of account {}", truth.account));
        }
        let owned = object.status.as_ref().and_then(|status| status.identity.as_ref()?.created_time.clone());
        let owned: Option<Timestamp> = owned.and_then(|text| text.parse().ok());
        let is_known = truth.reissued_ms.is_none_or(|at| now > at + KNOWN_AFTER_MS);
        let differs =
            owned.zip(truth.created).is_some_and(|(owned, created)| owned.as_second() != created.as_second());
        if differs && is_known && !object::approves_begins(object, Reason::IdentityChanged) {
            return Some("the id is that of another port now".to_owned());
        }
        let mut others = self.subjects.values().filter(|it| it.gone_ms.is_none() && it.uid != subject.uid);
        let staying = others.find(|it| {
            it.port == subject.port
                && it.name.namespace == subject.name.namespace
                && it.deleted_ms.is_none()
                && now > it.made_ms + KNOWN_AFTER_MS
        });
        staying.map(|it| format!("{} has the same port and stays", it.name))
    }

    fn object_goes(&mut self, before: &ZenlayerPort, now: u64) -> Option<Violation> {
        let uid = before.metadata.uid.clone().unwrap_or_default();
        let subject = self.subjects.get_mut(&uid)?;
        subject.gone_ms = Some(now);
        // Nobody can hold an object that never had the finalizer.
        if !subject.had_finalizer {
            return None;
        }
        let truth = self.ports.get(&subject.port).filter(|truth| truth.account == subject.name.namespace);
        let left = truth.and_then(|truth| truth.status.clone());
        let policy = before.spec.deletion_policy;
        let released = match (policy, &left) {
            (DeletionPolicy::Retain, _) | (_, None | Some(PortStatus::Destroyed)) => true,
            (DeletionPolicy::Terminate, Some(status)) => {
                matches!(status, PortStatus::Recycled | PortStatus::Destroying)
                    || truth.and_then(|truth| truth.restored_ms).is_some_and(|at| now <= at + MOMENT_MS)
            }
            (DeletionPolicy::Destroy | DeletionPolicy::TerminateAndDestroy, Some(_)) => false,
        };
        let what = format!("{} goes under {policy:?} while its port is {left:?}", subject.name);
        (!released).then(|| Violation::new("no leak", what))
    }

    /// Whether each object that is left shows what is true, and waits for nobody but people.
    pub fn is_settled(&self) -> bool {
        self.left().all(|subject| !self.is_reachable(subject) || self.is_right(subject).is_ok())
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
        wrong.map(|(subject, why)| Violation::new("liveness", format!("{subject} {why}"))).collect()
    }

    pub fn reads_log(&self, line: &str) -> Vec<Violation> {
        if tells_secret(line) {
            vec![Violation::new("no secret", line.trim().to_owned())]
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
