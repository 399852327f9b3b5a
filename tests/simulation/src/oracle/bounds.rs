//! How much there may be of something: calls for a record, writes that are refused, deletions that are many.

use super::object::Subject;
use super::{Call, KNOWN_AFTER_MS, Oracle, Violation, account_of};

/// A call leaves so long after its record, or not at all (`docs/architecture.md`, the record).
const CALL_LEAVES_WITHIN_MS: u64 = 10_000;
/// The API server refuses so many writes of an object in an hour at most.
const MOST_REFUSED: u32 = 50;
/// Writes of an object that rest on what the same process has overwritten before, in an hour.
const MOST_OUTDATED: u32 = 3;
/// Calls by one key that a process makes at a time (`docs/architecture.md`).
const MOST_CALLS_AT_ONCE: u32 = 8;
/// An object counts as one of many for so long after its call or its end.
const COUNTS_MS: u64 = 600_000;

impl Oracle {
    /// A call to change a port leaves.
    pub fn call_leaves(&mut self, call: &Call, now: u64) -> Vec<Violation> {
        let wrong = |what: String| {
            vec![Violation::new("no wrong kill", format!("{} of {} {what}", call.action, call.port))]
        };
        let account = account_of(&call.key);
        let (subjects, guests) = (self.subjects.values_mut(), &self.guests);
        let is_of = |it: &Subject| guests.get(&it.name.namespace).unwrap_or(&it.name.namespace) == account;
        let mut asking: Vec<_> = subjects
            .filter(|it| it.port == call.port && is_of(it))
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

    /// Why an object is not one of many, though it is held as that.
    pub(super) fn one_of_few(&self, uid: &str, now: u64) -> Option<Violation> {
        let subject = self.subjects.get(uid)?;
        let account = self.account(&subject.name.namespace);
        let counts = |it: &&Subject| {
            let over = it.gone_ms.is_some_and(|gone| now > gone + COUNTS_MS + KNOWN_AFTER_MS);
            self.account(&it.name.namespace) == account && it.deleted_ms.is_some() && !over
        };
        let many = self.subjects.values().filter(counts).count();
        let threshold = usize::try_from(self.config.mass_deletion_threshold).unwrap_or_default();
        let what = || format!("{subject} is held as one of many, and there are {many} of its account");
        (many <= threshold).then(|| Violation::new("nothing untrue", what()))
    }

    /// A process makes so many calls by this key at a time.
    pub fn calls_at_once(&self, key: &str, calls: u32) -> Vec<Violation> {
        let what = || format!("{calls} calls by {key} are under way at a time");
        let is_too_many = calls > MOST_CALLS_AT_ONCE;
        is_too_many.then(|| Violation::new("bounded", what())).into_iter().collect()
    }

    /// A process has written an object, and had written it before, and not known that.
    pub fn writes_outdated(&mut self, object: &str, now: u64) -> Vec<Violation> {
        if !self.is_served(now.saturating_sub(KNOWN_AFTER_MS), now) {
            return Vec::new();
        }
        let mut subjects = self.subjects.values_mut().filter(|it| it.gone_ms.is_none());
        let Some(subject) = subjects.find(|it| it.name.to_string() == object) else { return Vec::new() };
        let outdated = subject.outdated.entry(now / 3_600_000).or_default();
        *outdated += 1;
        if *outdated != MOST_OUTDATED {
            return Vec::new();
        }
        let what = format!("{MOST_OUTDATED} writes of {subject} rested on what the writer had overwritten");
        vec![Violation::new("bounded", what)]
    }

    /// The API server has refused a write of an object.
    pub fn refuses(&mut self, object: &str, now: u64) -> Vec<Violation> {
        self.denied_ms = Some(now);
        let mut subjects = self.subjects.values_mut().filter(|it| it.gone_ms.is_none());
        let Some(subject) = subjects.find(|it| it.name.to_string() == object) else { return Vec::new() };
        let refused = subject.refused.entry(now / 3_600_000).or_default();
        *refused += 1;
        if *refused != MOST_REFUSED {
            return Vec::new();
        }
        vec![Violation::new("bounded", format!("{MOST_REFUSED} writes of {subject} were refused in an hour"))]
    }
}
