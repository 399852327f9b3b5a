//! What this process remembers of an object: when it first saw what, by its own monotonic clock. Of most there is nothing to
//! remember.

use crate::api::ZenlayerPort;
use crate::clock::Monotonic;
use crate::decision::Facts;

#[derive(Debug, Default, PartialEq)]
pub(super) struct Memory {
    known_since: KnownSince,
    failures: u32,
    /// Until it is written: a reconcile that waits for its turn, conflicts or is cut short must not lose it.
    learnt: Option<Box<Facts>>,
}

/// Since when this process has known of an object's deletion, and of its newest call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownSince {
    pub deletion: Option<Monotonic>,
    /// With the attempt of the call.
    pub call: Option<(i64, Monotonic)>,
}

impl KnownSince {
    /// The object is shown now. `attempt` is that of its newest call.
    pub fn note(&mut self, is_terminating: bool, attempt: Option<i64>, now: Monotonic) {
        if is_terminating {
            self.deletion.get_or_insert(now);
        }
        if let Some(attempt) = attempt
            && self.call.is_none_or(|(known, _)| known != attempt)
        {
            self.call = Some((attempt, now));
        }
    }
}

impl Memory {
    /// Whether there is anything to remember of `object`.
    pub(super) fn is_worth(object: &ZenlayerPort) -> bool {
        object.is_terminating() || object.release().is_some_and(|release| release.call.is_some())
    }

    /// Takes in what is new on `object`.
    pub(super) fn note(&mut self, object: &ZenlayerPort, now: Monotonic) -> KnownSince {
        let call = object.release().and_then(|release| release.call.as_ref());
        self.known_since.note(object.is_terminating(), call.map(|call| call.attempt), now);
        self.known_since
    }

    /// Keeps `facts` for the next decision about `object`, as long as the API server does not have them; none: it has them.
    pub(super) fn learn(&mut self, object: &ZenlayerPort, facts: Option<&Facts>) {
        let new = facts.filter(|facts| **facts != Facts::stored_in(object));
        self.learnt = new.map(|facts| Box::new(facts.clone()));
    }

    /// The API server has taken a write, and `object` is what it made of it: what was learnt is kept as long as a part of it
    /// is not there.
    pub(super) fn written(&mut self, object: &ZenlayerPort) {
        let stored = Facts::stored_in(object);
        self.learnt.take_if(|learnt| stored.include(learnt));
    }

    /// What was learnt and is not written yet.
    pub(super) fn learnt(&self) -> Option<&Facts> {
        self.learnt.as_deref()
    }

    /// Counts a failed reconcile; returns how many there were in a row.
    pub(super) fn failed(&mut self) -> u32 {
        self.failures = self.failures.saturating_add(1);
        self.failures
    }

    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(deletion: &Value, attempt: Option<i64>) -> ZenlayerPort {
        let call = attempt.map(|attempt| {
            json!({
                "action": "DestroyPort", "attempt": attempt, "requestedTime": "2026-01-01T00:00:00Z",
                "portStatusBefore": "RECYCLED", "credential": "abc", "outcome": { "pending": {} },
            })
        });
        let object = json!({
            "apiVersion": "sdn.zenlayer.com/v1alpha1", "kind": "ZenlayerPort",
            "metadata": { "name": "edge", "uid": "1", "deletionTimestamp": deletion },
            "spec": { "portId": "port-1" }, "status": { "release": { "uid": "1", "call": call } },
        });
        serde_json::from_value(object).expect("a ZenlayerPort")
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic::default() + std::time::Duration::from_secs(seconds)
    }

    #[test]
    fn a_newer_call_is_known_since_it_was_first_seen_and_not_since_the_one_before() {
        let mut memory = Memory::default();
        let deleted = json!("2026-01-01T00:00:00Z");
        let mut known = |attempt, now| memory.note(&object(&deleted, attempt), at(now));
        assert_eq!(known(None, 1).call, None);
        assert_eq!(known(Some(1), 2).call, Some((1, at(2))));
        assert_eq!(known(Some(1), 50).call, Some((1, at(2))), "it is the same call");
        assert_eq!(known(Some(2), 60).call, Some((2, at(60))), "it is another call");
        assert_eq!(known(Some(2), 70).deletion, Some(at(1)), "the deletion is known since the first sight");
    }

    #[test]
    fn there_is_nothing_to_remember_of_an_object_that_only_lives() {
        assert!(!Memory::is_worth(&object(&json!(null), None)));
        assert!(Memory::is_worth(&object(&json!(null), Some(1))));
        assert!(Memory::is_worth(&object(&json!("2026-01-01T00:00:00Z"), None)));
    }

    #[test]
    fn failures_count_until_a_reconcile_ends_well_and_the_rest_is_kept() {
        let mut memory = Memory::default();
        memory.note(&object(&json!("2026-01-01T00:00:00Z"), None), at(1));
        assert_eq!([memory.failed(), memory.failed()], [1, 2]);
        memory.succeeded();
        assert_eq!(memory.failed(), 1);
        let known = memory.note(&object(&json!("2026-01-01T00:00:00Z"), None), at(5));
        assert_eq!(known.deletion, Some(at(1)));
    }
}
