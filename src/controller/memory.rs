//! What this process remembers of objects, by uid: when it first saw what, on its own monotonic clock. Of most there is
//! nothing to remember.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::api::ZenlayerPort;
use crate::clock::Monotonic;
use crate::decision::Facts;

#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<String, Remembered>>);

#[derive(Debug, Default, PartialEq)]
struct Remembered {
    deletion_known_since: Option<Monotonic>,
    /// The attempt of the newest call record, and since when it is known.
    call: Option<(i64, Monotonic)>,
    failures: u32,
    /// Until it is written: a reconcile that waits for its turn, conflicts or is cut short must not lose it.
    learnt: Option<Box<Facts>>,
}

/// Since when this process has known of an object's deletion and of its newest call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KnownSince {
    pub(super) deletion: Option<Monotonic>,
    pub(super) call: Option<Monotonic>,
}

impl Memory {
    /// Takes in what is new on `object`.
    pub(super) fn note(&self, object: &ZenlayerPort, now: Monotonic) -> KnownSince {
        let call = object.release().and_then(|release| release.call.as_ref());
        if !object.is_terminating() && call.is_none() {
            return KnownSince::default();
        }
        self.with(object, |remembered| {
            if object.is_terminating() {
                remembered.deletion_known_since.get_or_insert(now);
            }
            if let Some(call) = call
                && remembered.call.is_none_or(|(attempt, _)| attempt != call.attempt)
            {
                remembered.call = Some((call.attempt, now));
            }
            KnownSince {
                deletion: remembered.deletion_known_since,
                call: remembered.call.map(|(_, since)| since),
            }
        })
        .unwrap_or_default()
    }

    /// Keeps `facts` for the next decision about `object`, as long as the API server does not have them; none: it has them.
    pub(super) fn learn(&self, object: &ZenlayerPort, facts: Option<&Facts>) {
        let Some(uid) = &object.metadata.uid else { return };
        let mut all = self.lock();
        if let Some(facts) = facts.filter(|facts| **facts != Facts::stored_in(object)) {
            all.entry(uid.clone()).or_default().learnt = Some(Box::new(facts.clone()));
        } else if let Some(remembered) = all.get_mut(uid) {
            remembered.learnt = None;
            if *remembered == Remembered::default() {
                all.remove(uid);
            }
        }
    }

    /// The API server has taken a write, and `object` is what it made of it: what was learnt is kept as long as a part of it
    /// is not there.
    pub(super) fn written(&self, object: &ZenlayerPort) {
        let Some(uid) = &object.metadata.uid else { return };
        let mut all = self.lock();
        let Some(remembered) = all.get_mut(uid) else { return };
        let stored = Facts::stored_in(object);
        remembered.learnt.take_if(|learnt| stored.include(learnt));
        if *remembered == Remembered::default() {
            all.remove(uid);
        }
    }

    /// What was learnt of `object` and is not written yet.
    pub(super) fn learnt(&self, object: &ZenlayerPort) -> Option<Box<Facts>> {
        let uid = object.metadata.uid.as_ref()?;
        self.lock().get(uid).and_then(|remembered| remembered.learnt.clone())
    }

    /// Counts a failed pass; returns how many there were in a row.
    pub(super) fn failed(&self, object: &ZenlayerPort) -> u32 {
        let count = |remembered: &mut Remembered| {
            remembered.failures = remembered.failures.saturating_add(1);
            remembered.failures
        };
        self.with(object, count).unwrap_or(1)
    }

    pub(super) fn succeeded(&self, object: &ZenlayerPort) {
        let Some(uid) = &object.metadata.uid else { return };
        let mut all = self.lock();
        if let Some(remembered) = all.get_mut(uid) {
            remembered.failures = 0;
            if *remembered == Remembered::default() {
                all.remove(uid);
            }
        }
    }

    pub(super) fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// Keeps what is remembered of objects with such a uid.
    pub(super) fn retain(&self, known: impl Fn(&str) -> bool) {
        self.lock().retain(|uid, _| known(uid));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn with<T>(&self, object: &ZenlayerPort, f: impl FnOnce(&mut Remembered) -> T) -> Option<T> {
        let uid = object.metadata.uid.clone()?;
        Some(f(self.lock().entry(uid).or_default()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Remembered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(uid: &str, deletion: &Value, attempt: Option<i64>) -> ZenlayerPort {
        let call = attempt.map(|attempt| {
            json!({
                "action": "DestroyPort", "attempt": attempt, "requestedTime": "2026-01-01T00:00:00Z",
                "portStatusBefore": "RECYCLED", "credential": "abc", "outcome": { "pending": {} },
            })
        });
        let object = json!({
            "apiVersion": "sdn.zenlayer.com/v1alpha1", "kind": "ZenlayerPort",
            "metadata": { "name": "edge", "uid": uid, "deletionTimestamp": deletion },
            "spec": { "portId": "port-1" }, "status": { "release": { "uid": uid, "call": call } },
        });
        serde_json::from_value(object).expect("a ZenlayerPort")
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic::default() + std::time::Duration::from_secs(seconds)
    }

    #[test]
    fn a_newer_call_is_known_since_it_was_first_seen_and_not_since_the_one_before() {
        let memory = Memory::default();
        let deleted = json!("2026-01-01T00:00:00Z");
        let known = |attempt, now| memory.note(&object("1", &deleted, attempt), at(now));
        assert_eq!(known(None, 1).call, None);
        assert_eq!(known(Some(1), 2).call, Some(at(2)));
        assert_eq!(known(Some(1), 50).call, Some(at(2)), "it is the same call");
        assert_eq!(known(Some(2), 60).call, Some(at(60)), "it is another call");
        assert_eq!(known(Some(2), 70).deletion, Some(at(1)), "the deletion is known since the first sight");
    }

    #[test]
    fn nothing_is_remembered_of_an_object_that_only_lives_nor_after_it_is_forgotten() {
        let memory = Memory::default();
        memory.note(&object("1", &json!(null), None), at(1));
        assert_eq!(memory.len(), 0);
        let deleted = object("1", &json!("2026-01-01T00:00:00Z"), Some(1));
        memory.note(&deleted, at(1));
        memory.forget("1");
        let known = memory.note(&deleted, at(5));
        assert_eq!((known.deletion, known.call), (Some(at(5)), Some(at(5))), "nothing of before is left");
    }

    #[test]
    fn failures_count_until_a_pass_ends_well() {
        let memory = Memory::default();
        let object = object("1", &json!(null), None);
        assert_eq!([memory.failed(&object), memory.failed(&object)], [1, 2]);
        memory.succeeded(&object);
        assert_eq!(memory.len(), 0, "nothing is left to remember");
        assert_eq!(memory.failed(&object), 1);
        let deleted = self::object("1", &json!("2026-01-01T00:00:00Z"), None);
        memory.note(&deleted, at(1));
        memory.succeeded(&deleted);
        assert_eq!(memory.note(&deleted, at(5)).deletion, Some(at(1)), "the rest is kept");
    }
}
