//! What was asked of each object, and when it was seen to be gone: what the oracle judges, beside what the play itself expects.
//!
//! The clock is that of the simulator, which may run elsewhere: what is asked now comes after all that its journal has by now.

use serde_json::Value;
use test_support::oracle::{Chronicle, Deletion, Evidence, Expected, Limits, Subject, judge};
use zenlayer_port_operator::api::ZenlayerPort;
use zenlayer_simulator::DEFAULT_ACCOUNT;

use super::{CASES, Case, Wish, find};

/// One subject for each case, in their order.
pub(super) struct Notes(Vec<Subject>);

impl Notes {
    /// The objects are about to be created.
    pub(super) fn new(namespace: &str, journal: &Chronicle) -> Self {
        let at_ms = now_ms(journal);
        let created = CASES.iter().map(|case| {
            let object = (namespace, case.object);
            let subject = Subject::created(object, case.port_id, DEFAULT_ACCOUNT, (at_ms, case.policy));
            // The play says itself how each of them is to end.
            Subject { expected: Expected::Open, ..subject }
        });
        Self(created.collect())
    }

    /// All but those that are left alone are about to be deleted.
    pub(super) fn deletes(&mut self, journal: &Chronicle) {
        for (case, subject) in CASES.iter().zip(&mut self.0) {
            if case.wish != Wish::LeaveAlone {
                subject.ask(now_ms(journal), |wish| wish.deletion = Deletion::Asked);
            }
        }
    }

    /// Somebody is about to type the words of an advice.
    pub(super) fn follows_advice(&mut self, case: &Case, words: &[String], journal: &Chronicle) {
        let patches = words.iter().filter_map(|word| serde_json::from_str::<Value>(word).ok());
        let mut policies = patches
            .filter_map(|patch| serde_json::from_value(patch.pointer("/spec/deletionPolicy")?.clone()).ok());
        let subject = self.0.iter_mut().find(|subject| subject.name == case.object);
        if let (Some(policy), Some(subject)) = (policies.next(), subject) {
            subject.ask_for_policy(now_ms(journal), policy);
        }
    }

    /// These objects were there before the journal was read.
    pub(super) fn sees(&mut self, objects: &[ZenlayerPort], journal: &Chronicle) {
        for (case, subject) in CASES.iter().zip(&mut self.0) {
            if find(objects, case).is_none() && subject.gone_at_ms.is_none() {
                subject.gone_at_ms = Some(journal.end_ms());
            }
        }
    }

    /// What does not hold. How often calls are sent is counted elsewhere.
    pub(super) fn violations(self, chronicle: Chronicle) -> impl Iterator<Item = String> {
        let limits = Limits { sends: usize::MAX, reads: usize::MAX };
        let evidence = Evidence { chronicle, subjects: self.0, limits, ..Evidence::default() };
        judge(&evidence).into_iter().map(|violation| violation.to_string())
    }
}

fn now_ms(journal: &Chronicle) -> u64 {
    journal.end_ms() + 1
}

#[cfg(test)]
mod tests {
    use test_support::oracle::{Change, Move, Mover, Request};
    use zenlayer_simulator::PortStatus;

    use super::*;

    /// A call for the port of a case takes effect, so many milliseconds after all before.
    fn commits(journal: &mut Chronicle, change: Change, case: &Case, later: u64) {
        let at_ms = journal.end_ms() + later;
        journal.requests.push(Request {
            at_ms,
            action: change.action().to_owned(),
            port_ids: vec![case.port_id.to_owned()],
            account: Some(DEFAULT_ACCOUNT.to_owned()),
            committed: true,
            status: Some(200),
        });
        moves(journal, case, Some(change.leads_to()), Mover::Request, at_ms);
    }

    fn moves(journal: &mut Chronicle, case: &Case, to: Option<PortStatus>, by: Mover, at_ms: u64) {
        journal.moves.push(Move { at_ms, port_id: case.port_id.to_owned(), from: case.port.clone(), to, by });
    }

    #[test]
    fn calls_after_the_deletion_and_after_the_advice_are_as_asked_and_calls_before_are_wrong_kills() {
        let (recycled, running) = (&CASES[0], &CASES[1]);
        let violations = |early: bool| {
            let mut journal = Chronicle::default();
            let mut notes = Notes::new("demo", &journal);
            if early {
                commits(&mut journal, Change::Destroy, recycled, 1);
            }
            notes.deletes(&journal);
            if !early {
                commits(&mut journal, Change::Destroy, recycled, 1);
            }
            let advice = ["patch", "-p", r#"{"spec":{"deletionPolicy":"TerminateAndDestroy"}}"#];
            notes.follows_advice(running, &advice.map(str::to_owned), &journal);
            commits(&mut journal, Change::Terminate, running, 1);
            notes.violations(journal).collect::<Vec<_>>()
        };
        assert_eq!(violations(false), [""; 0]);
        let found = violations(true);
        assert!(found.len() == 1 && found[0].starts_with("O2 no wrong kill: DestroyPort"), "{found:?}");
    }

    #[test]
    fn an_object_that_is_gone_while_its_port_is_there_is_a_leak() {
        let mut journal = Chronicle::default();
        for case in &CASES {
            moves(&mut journal, case, case.port.clone(), Mover::Person, 1);
        }
        let mut notes = Notes::new("demo", &journal);
        notes.deletes(&journal);
        let left = CASES.iter().filter(|case| case.object != "recycled").map(|case| case.object("demo"));
        commits(&mut journal, Change::Destroy, &CASES[0], 1);
        notes.sees(&left.collect::<Vec<_>>(), &journal);
        let found: Vec<_> = notes.violations(journal).collect();
        assert!(found.len() == 1 && found[0].starts_with("O1 no leak: demo/recycled"), "{found:?}");
    }
}
