//! Whether it came as it was asked: a pure function of the cases, the journal and the objects that are left.

use std::fmt;

use anyhow::{Result, ensure};
use test_support::oracle::{Calls, Change, Chronicle};
use zenlayer_port_operator::api::{DeletionPolicy, ZenlayerPort};

use super::{Case, Wish, find, ready};

/// What came of each object, and what did not come as it was asked. Shown as a table.
#[derive(Clone, Debug)]
pub struct Verdict {
    rows: Vec<[String; 6]>,
    describes: usize,
    /// Empty if all came as it was asked.
    pub faults: Vec<String>,
}

/// Compares what was asked with what Zenlayer was called for and with what is left in Kubernetes.
pub fn judge(cases: &[Case], journal: &Chronicle, objects: &[ZenlayerPort]) -> Verdict {
    let mut faults: Vec<String> = cases.iter().flat_map(|case| faults_of(case, journal, objects)).collect();
    let owned = |port_id: &str| cases.iter().any(|case| case.port_id == port_id);
    let strangers = journal.changes().map(|request| request.port_id).filter(|port_id| !owned(port_id));
    faults.extend(strangers.map(|port_id| format!("{port_id}: called, though no object owns this port")));
    Verdict {
        rows: cases.iter().map(|case| row(case, journal, objects)).collect(),
        describes: journal.count("DescribePorts"),
        faults,
    }
}

/// An error if the port of an object that is held was called for before a person had followed the advice.
pub(super) fn ensure_uncalled(case: &Case, journal: &Chronicle) -> Result<()> {
    for change in Change::ALL {
        let Calls { sent, .. } = journal.calls(change, case.port_id);
        ensure!(sent == 0, "{}: {} was called {sent} times during the pause", case.object, change.action());
    }
    Ok(())
}

fn faults_of(case: &Case, journal: &Chronicle, objects: &[ZenlayerPort]) -> Vec<String> {
    let mut faults = Vec::new();
    for (change, wanted) in [(Change::Terminate, case.terminates), (Change::Destroy, case.destroys)] {
        let Calls { sent, committed } = journal.calls(change, case.port_id);
        let action = change.action();
        if committed != wanted {
            faults.push(format!("{}: {action} took effect {committed} times, not {wanted}", case.object));
        } else if wanted == 0 && sent > 0 {
            faults.push(format!("{}: {action} was called {sent} times, though never asked for", case.object));
        }
    }
    let port = journal.port(case.port_id);
    if port != case.port_left.as_ref() {
        let (is, wanted) = (word(port), word(case.port_left.as_ref()));
        faults.push(format!("{}: its port is {is}, not {wanted}", case.object));
    }
    let object = find(objects, case);
    faults.extend(match case.wish {
        Wish::Release | Wish::FollowAdvice(_) => object.map(|object| hangs(case, object)),
        Wish::LeaveAlone => harmed(object).map(|harm| format!("{}: {harm}", case.object)),
    });
    faults
}

/// Why a deleted object should not be there any more.
fn hangs(case: &Case, object: &ZenlayerPort) -> String {
    let finalizers = object.metadata.finalizers.iter().flatten().cloned().collect::<Vec<_>>().join(", ");
    let (reason, message) = ready(object).map_or(("", ""), |ready| (&ready.reason, &ready.message));
    format!("{}: still there, with finalizers [{finalizers}]; {reason}: {message}", case.object)
}

/// What is wrong with an object that should be as it was made.
fn harmed(object: Option<&ZenlayerPort>) -> Option<&'static str> {
    match object {
        None => Some("gone, though nobody deleted it"),
        Some(object) if object.is_terminating() => Some("being deleted, though nobody asked for it"),
        Some(object) if !object.has_finalizer() => {
            Some("without the finalizer that keeps its port from a leak")
        }
        Some(_) => None,
    }
}

const HEADINGS: [&str; 6] = ["OBJECT", "ASKED", "TERMINATEPORT", "DESTROYPORT", "PORT LEFT", "OBJECT LEFT"];

fn row(case: &Case, journal: &Chronicle, objects: &[ZenlayerPort]) -> [String; 6] {
    let asked = match case.wish {
        Wish::Release => format!("delete, {}", policy(case.policy)),
        Wish::FollowAdvice(_) => format!("delete, {}, then as advised", policy(case.policy)),
        Wish::LeaveAlone => "nothing".to_owned(),
    };
    let calls = |change| {
        let Calls { sent, committed } = journal.calls(change, case.port_id);
        if sent == committed { sent.to_string() } else { format!("{sent}, {committed} took effect") }
    };
    let object = if find(objects, case).is_some() { "yes" } else { "no" };
    [
        case.object.to_owned(),
        asked,
        calls(Change::Terminate),
        calls(Change::Destroy),
        word(journal.port(case.port_id)).to_owned(),
        object.to_owned(),
    ]
}

fn policy(policy: DeletionPolicy) -> &'static str {
    match policy {
        DeletionPolicy::Destroy => "Destroy",
        DeletionPolicy::TerminateAndDestroy => "TerminateAndDestroy",
        DeletionPolicy::Terminate => "Terminate",
        DeletionPolicy::Retain => "Retain",
    }
}

fn word(port: Option<&zenlayer_simulator::PortStatus>) -> &str {
    port.map_or("none", |status| status.as_str())
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headings = HEADINGS.map(str::to_owned);
        let lines = || [&headings].into_iter().chain(&self.rows);
        let widths =
            [0, 1, 2, 3, 4, 5].map(|column| lines().map(|line| line[column].len()).max().unwrap_or(0));
        for line in lines() {
            let padded = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}   "));
            writeln!(f, "{}", padded.collect::<String>().trim_end())?;
        }
        writeln!(f, "DescribePorts was called {} times, for all of them together.", self.describes)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use test_support::oracle::{Move, Mover, Request};
    use zenlayer_port_operator::api::FINALIZER;
    use zenlayer_simulator::PortStatus;

    use super::super::CASES;
    use super::*;

    fn sends(journal: &mut Chronicle, change: Change, port_id: &str) {
        journal.requests.push(Request {
            at_ms: 0,
            action: change.action().to_owned(),
            port_ids: vec![port_id.to_owned()],
            account: None,
            committed: false,
            status: None,
        });
    }

    fn moves(journal: &mut Chronicle, port_id: &str, to: Option<PortStatus>, by: Mover) {
        journal.moves.push(Move { at_ms: 0, port_id: port_id.to_owned(), from: None, to, by });
    }

    fn commits(journal: &mut Chronicle, change: Change, port_id: &str) {
        sends(journal, change, port_id);
        moves(journal, port_id, Some(change.leads_to()), Mover::Request);
    }

    /// The journal and the objects after a play in which all went well.
    fn as_asked() -> (Chronicle, Vec<ZenlayerPort>) {
        let mut journal = Chronicle::default();
        for case in &CASES {
            moves(&mut journal, case.port_id, case.port.clone(), Mover::Person);
            (0..case.terminates).for_each(|_| commits(&mut journal, Change::Terminate, case.port_id));
            (0..case.destroys).for_each(|_| commits(&mut journal, Change::Destroy, case.port_id));
            moves(&mut journal, case.port_id, case.port_left.clone(), Mover::Time);
        }
        let left = CASES.iter().filter(|case| case.wish == Wish::LeaveAlone);
        (journal, left.map(held).collect())
    }

    fn held(case: &Case) -> ZenlayerPort {
        let mut object = case.object("demo");
        object.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
        object
    }

    fn case(name: &str) -> &'static Case {
        const ALL: &[Case] = &CASES;
        ALL.iter().find(|case| case.object == name).expect("a case of this name")
    }

    #[track_caller]
    fn assert_only_fault(journal: &Chronicle, objects: &[ZenlayerPort], expected: &str) {
        let faults = judge(&CASES, journal, objects).faults;
        assert!(
            faults.len() == 1 && faults[0].contains(expected),
            "expected {expected:?}, found {faults:#?}"
        );
    }

    #[test]
    fn what_came_as_it_was_asked_has_no_fault() {
        let (journal, objects) = as_asked();
        assert_eq!(judge(&CASES, &journal, &objects).faults, [""; 0]);
    }

    #[test]
    fn a_second_destroy_that_takes_effect_is_a_fault() {
        let (mut journal, objects) = as_asked();
        commits(&mut journal, Change::Destroy, "port-recycled");
        moves(&mut journal, "port-recycled", None, Mover::Time);
        assert_only_fault(&journal, &objects, "recycled: DestroyPort took effect 2 times, not 1");
    }

    #[test]
    fn a_destroy_by_other_hands_does_not_count_as_ours() {
        let (mut journal, objects) = as_asked();
        for step in journal.moves.iter_mut().filter(|step| step.port_id == "port-recycled") {
            step.by = Mover::Person;
        }
        assert_only_fault(&journal, &objects, "recycled: DestroyPort took effect 0 times, not 1");
    }

    #[test]
    fn a_call_that_nobody_asked_for_is_a_fault_even_if_it_was_refused() {
        for name in ["retain", "wrong-id", "untouched"] {
            let (mut journal, objects) = as_asked();
            sends(&mut journal, Change::Terminate, case(name).port_id);
            assert_only_fault(&journal, &objects, &format!("{name}: TerminatePort was called 1 times"));
        }
    }

    #[test]
    fn a_refused_call_that_was_tried_again_is_none() {
        let (mut journal, objects) = as_asked();
        sends(&mut journal, Change::Destroy, "port-recycled");
        let verdict = judge(&CASES, &journal, &objects);
        assert_eq!(verdict.faults, [""; 0]);
        assert!(verdict.to_string().contains("2, 1 took effect"), "{verdict}");
    }

    #[test]
    fn a_call_for_a_port_of_nobody_is_a_fault() {
        let (mut journal, objects) = as_asked();
        sends(&mut journal, Change::Destroy, "port-of-a-stranger");
        assert_only_fault(&journal, &objects, "port-of-a-stranger");
    }

    #[test]
    fn a_call_for_an_object_that_is_held_is_a_fault() {
        let mut journal = Chronicle::default();
        ensure_uncalled(case("running"), &journal).expect("nothing was called");
        sends(&mut journal, Change::Terminate, "port-running");
        let fault = ensure_uncalled(case("running"), &journal).expect_err("called while held").to_string();
        assert!(fault.contains("running: TerminatePort was called 1 times during the pause"), "{fault}");
    }

    #[test]
    fn a_port_that_is_not_where_it_should_be_is_a_fault() {
        let (mut journal, objects) = as_asked();
        moves(&mut journal, "port-terminate", None, Mover::Time);
        assert_only_fault(&journal, &objects, "terminate: its port is none, not RECYCLED");
    }

    #[test]
    fn a_deleted_object_that_is_still_there_is_a_fault_that_names_its_finalizer() {
        for name in ["recycled", "running", "wrong-id"] {
            let (journal, mut objects) = as_asked();
            objects.push(held(case(name)));
            assert_only_fault(
                &journal,
                &objects,
                &format!("{name}: still there, with finalizers [{FINALIZER}]"),
            );
        }
    }

    #[test]
    fn an_object_that_nobody_deleted_must_be_whole() {
        let (journal, objects) = as_asked();
        assert_only_fault(&journal, &[], "untouched: gone");

        let mut deleted = objects.clone();
        deleted[0].metadata.deletion_timestamp = Some(Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH));
        assert_only_fault(&journal, &deleted, "untouched: being deleted");

        let mut bare = objects;
        bare[0].metadata.finalizers = None;
        assert_only_fault(&journal, &bare, "untouched: without the finalizer");
    }
}
