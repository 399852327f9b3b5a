//! What people are told: messages, Events and lines of the log.

use std::collections::BTreeMap;

use serde_json::Value;
use zenlayer_port_operator::api::ZenlayerPort;

use super::object::Subject;
use super::{Change, Oracle, Violation};
use crate::plan::{Fault, On};

/// What happened is told within this time, if nothing goes wrong.
const TOLD_WITHIN_MS: u64 = 60_000;
/// The same is told of an object once in this time.
const TOLD_AGAIN_MS: u64 = 600_000;
/// What Zenlayer answered explains what is shown for so long: longer than the pause after a call that failed.
const EXPLAINS_MS: u64 = 900_000;
/// Whoever waits for the end of a pause shows it by then, beside the way of a request and of an answer: if nothing goes wrong, and
/// else.
const PAUSE_KNOWN_MS: u64 = 2_000;
const PAUSE_KNOWN_LATE_MS: u64 = 10_000;
/// A status check that fails is shown by then.
const FAILURE_KNOWN_MS: u64 = 180_000;

/// These tell of the end of an object.
const ENDS: [&str; 4] = ["PortDestroyed", "PortGone", "PortNeverFound", "PortRetained"];
/// These appear with an Event.
const WITH_EVENT: [&str; 7] = [
    "Refused",
    "InUse",
    "MassDeletion",
    "CRDDeleted",
    "RestoredElsewhere",
    "IdentityChanged",
    "NotInRecycleBin",
];

/// An Event that must come.
#[derive(Debug)]
pub(super) struct Awaited {
    uid: String,
    reason: String,
    since_ms: u64,
}

/// What Zenlayer has answered to the keys of an account.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// When something last came that was no answer of Zenlayer's, or nothing.
    pub(super) unclear_ms: Option<u64>,
    /// The same for a status check.
    pub(super) unclear_check_ms: Option<u64>,
    /// It has refused something for another cause than its limit of requests.
    pub(super) refuses: bool,
    /// From when to when Zenlayer asked for no requests.
    pub(super) pause: Option<(u64, u64)>,
    /// The HTTP status of the newest answer to a call, by port.
    pub(super) calls: BTreeMap<String, u16>,
}

impl Oracle {
    /// What came to a request by this key: the HTTP status, if all of it came in time, and whether Zenlayer itself says so.
    pub fn zenlayer_answers(
        &mut self,
        key: &str,
        call_of: Option<&str>,
        status: Option<u16>,
        is_clear: bool,
        now: u64,
    ) {
        let answers = self.answers.entry(super::account_of(key).to_owned()).or_default();
        if is_clear && status.is_some_and(|status| (400..500).contains(&status) && status != 429) {
            answers.refuses = true;
        }
        if !is_clear || status.is_none_or(|status| !matches!(status, 200 | 429)) {
            answers.unclear_ms = Some(now);
            if call_of.is_none() {
                answers.unclear_check_ms = Some(now);
            }
        }
        match (call_of, status) {
            (Some(port), Some(status)) => drop(answers.calls.insert(port.to_owned(), status)),
            (Some(port), None) => drop(answers.calls.remove(port)),
            (None, _) => {}
        }
    }

    /// Zenlayer asks the holder of this key for no requests until then.
    pub fn zenlayer_pauses(&mut self, key: &str, now: u64, until: u64) {
        self.answers.entry(super::account_of(key).to_owned()).or_default().pause = Some((now, until));
    }

    /// What an object shows since now.
    pub(super) fn shows(
        &mut self,
        uid: &str,
        object: &ZenlayerPort,
        before: Option<&str>,
        now: u64,
    ) -> Vec<Violation> {
        let Some(ready) = object.status.as_ref().and_then(|status| status.ready()) else { return Vec::new() };
        let Some(subject) = self.subjects.get(uid) else { return Vec::new() };
        let (name, is_new) = (subject.name.clone(), before != Some(ready.reason.as_str()));
        let mut found = Vec::new();
        if let Some(why) = acts_on_others(&ready.message, &name.namespace, &name.name) {
            found.push(Violation::new(
                "nothing untrue",
                format!("the message of {name} {why}: {}", ready.message),
            ));
        }
        if is_new {
            let untrue = self.untrue(subject, object, &ready.reason, now);
            found.extend(untrue.map(|why| {
                Violation::new("nothing untrue", format!("{subject} says {}, and {why}", ready.reason))
            }));
            if WITH_EVENT.contains(&ready.reason.as_str()) {
                let (uid, reason) = (uid.to_owned(), ready.reason.clone());
                self.awaited.push(Awaited { uid, reason, since_ms: now });
            }
        }
        found
    }

    /// Why what is shown cannot be true.
    fn untrue(&self, subject: &Subject, object: &ZenlayerPort, reason: &str, now: u64) -> Option<String> {
        let answers = self.answers.get(self.account(&subject.name.namespace));
        let lately = |at: Option<u64>| at.is_some_and(|at| now <= at + EXPLAINS_MS);
        let tenant = self.tenants.get(&subject.name.namespace);
        let outcome = object.release().and_then(|release| release.call.as_ref()).map(|call| &call.outcome);
        let outcome = outcome.and_then(|outcome| serde_json::to_value(outcome).ok()).unwrap_or_default();
        match reason {
            // Its requests name another's key.
            _ if tenant.is_some_and(|tenant| tenant.forged) => None,
            "CloudUnavailable" if !lately(answers.and_then(|it| it.unclear_ms)) => {
                Some("every answer of Zenlayer's was clear".to_owned())
            }
            "CloudUnavailable"
                if outcome["notSent"]["cause"] == "Throttled"
                    && answers
                        .and_then(|it| it.unclear_check_ms)
                        .is_none_or(|at| now > at + FAILURE_KNOWN_MS) =>
            {
                Some("its call waits for a pause, and every status check was answered".to_owned())
            }
            "DescribeRefused" if answers.is_none_or(|it| !it.refuses) => {
                Some("Zenlayer has refused nothing but too many requests".to_owned())
            }
            "Refused" | "InUse" if outcome["refused"].is_null() => Some("no call was refused".to_owned()),
            "Refused" | "InUse" if answers.is_none_or(|it| !it.refuses) => {
                Some("Zenlayer has refused nothing but too many requests".to_owned())
            }
            "CredentialsUnavailable"
                if tenant.is_some_and(|tenant| !tenant.lacked && !tenant.rotated && !tenant.forged) =>
            {
                Some("its Secret was there all the time".to_owned())
            }
            "Queued" if outcome["notSent"].is_null() && tenant.is_some_and(|tenant| !tenant.rotated) => {
                let (from, until) = answers.and_then(|it| it.pause)?;
                let is_calm = self.is_calm(from.saturating_sub(PAUSE_KNOWN_LATE_MS), now);
                let soon = PAUSE_KNOWN_MS + 2 * self.config.latency_ms;
                let known = from + if is_calm { soon } else { PAUSE_KNOWN_LATE_MS }..until;
                let is_same_process = self.died_ms.is_none_or(|at| at < from);
                (known.contains(&now) && is_same_process)
                    .then(|| "Zenlayer asked for a pause that lasts".to_owned())
            }
            "Confirming" => {
                let why = outcome["unclear"]["why"].as_str()?;
                let status =
                    answers.and_then(|it| it.calls.get(&subject.port)).filter(|status| **status != 200)?;
                let says = why.contains(&status.to_string());
                (!says).then(|| format!("not that the answer was {status}, but {why:?}"))
            }
            _ => None,
        }
    }

    /// An Event, and what it is about.
    pub(super) fn event(&mut self, event: &Value, now: u64) -> Vec<Violation> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (uid, reason) = (text(&event["regarding"]["uid"]), text(&event["reason"]));
        let note = text(&event["note"]);
        let mut found = Vec::new();
        if let Some(subject) = self.subjects.get_mut(&uid) {
            subject.told.insert(reason.clone(), now);
            if ENDS.contains(&reason.as_str()) && subject.has_finalizer {
                let what = format!("an Event says {reason} of {subject}, which still has the finalizer");
                found.push(Violation::new("nothing untrue", what));
            }
            let receipt = subject.accepted.as_deref().filter(|_| reason == "PortDestroyed");
            if let Some(missing) = receipt
                .into_iter()
                .chain([subject.port.as_str()])
                .find(|it| ENDS.contains(&reason.as_str()) && !note.contains(it))
            {
                let what = format!("the last Event of {subject} does not name {missing}: {note}");
                found.push(Violation::new("no silence", what));
            }
        }
        self.awaited.retain(|awaited| awaited.uid != uid || awaited.reason != reason);
        found
    }

    /// Events that should have come by now.
    pub(super) fn overdue(&mut self, now: u64) -> Vec<Violation> {
        let (due, waits) = std::mem::take(&mut self.awaited)
            .into_iter()
            .partition(|awaited| now > awaited.since_ms + TOLD_WITHIN_MS);
        self.awaited = waits;
        let due: Vec<Awaited> = due;
        let missing = due.into_iter().filter(|awaited| {
            let subject = self.subjects.get(&awaited.uid);
            let told = subject.and_then(|subject| subject.told.get(&awaited.reason));
            // Who is gone, or whose namespace goes, has no Events.
            let can_be_told = subject.is_some_and(|subject| {
                subject.gone_ms.is_none() && !self.leaving_namespaces.contains(&subject.name.namespace)
            });
            can_be_told
                && told.is_none_or(|told| awaited.since_ms > told + TOLD_AGAIN_MS)
                && self.is_calm(awaited.since_ms.saturating_sub(TOLD_WITHIN_MS), now)
        });
        let missing: Vec<Violation> = missing
            .map(|Awaited { uid, reason, .. }| {
                let name =
                    self.subjects.get(&uid).map(|subject| subject.name.to_string()).unwrap_or_default();
                Violation::new("no silence", format!("{name} says {reason}, and no Event does"))
            })
            .collect();
        missing
    }

    /// Some such fault of the plan was on in that time.
    pub(super) fn is_faulty(&self, from: u64, until: u64, is: impl Fn(&Fault) -> bool) -> bool {
        self.faults.iter().any(|it| is(it) && it.from_ms <= until && from <= it.until_ms)
    }

    /// No fault of the plan met a request to the API server in that time, and no replica stood still; watches may be late.
    pub(super) fn is_served(&self, from: u64, until: u64) -> bool {
        !self.is_faulty(from, until, |it| matches!(it.on, On::Api(_)))
            && !self.stalls.iter().any(|(began, ended)| *began <= until && from <= *ended)
    }

    /// No fault of the plan met the API server in that time, no replica died or stood still, and nothing else hindered writes.
    pub(super) fn is_calm(&self, from: u64, until: u64) -> bool {
        self.died_ms.is_none_or(|at| at < from)
            && self.denied_ms.is_none_or(|at| at < from)
            && self.kind_deleted_ms.is_none()
            && self.is_served(from, until)
            && !self.is_faulty(from, until, |it| matches!(it.on, On::Watch(_)))
    }
}

/// Whether a command that the message prints is about anything but the object.
fn acts_on_others(message: &str, namespace: &str, name: &str) -> Option<&'static str> {
    let own = format!(" {name} -n {namespace}");
    let commands = message.split("kubectl ").skip(1).filter(|command| command.contains("zenlayerport"));
    let mut commands = commands.map(|command| command.split("; ").next().unwrap_or(command));
    commands.find_map(|command| {
        if command.contains(" --all") || command.contains(" | ") {
            Some("prints a command that acts on other objects too")
        } else if !command.contains(&own) {
            Some("prints a command that does not act on the object")
        } else {
            None
        }
    })
}

/// Whether there is a character that steers a terminal.
pub(super) fn steers(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(char::is_control),
        Value::Array(items) => items.iter().any(steers),
        Value::Object(fields) => fields.values().any(steers),
        _ => false,
    }
}

impl Change<'_> {
    /// What the operator has written there.
    pub(super) fn told(&self) -> Option<&Value> {
        let after = self.after?;
        match self.place {
            "events" => Some(after),
            place if place.starts_with("zenlayerports.") => Some(&after["status"]),
            _ => None,
        }
    }
}
