//! The tables as tables: their numbers, their words, and that no row is idle.

use std::collections::BTreeSet;

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use super::scenario::*;
use super::strategy::scenario;
use crate::api::CallAction::DestroyPort;
use crate::api::DeletionPolicy::Destroy;
use crate::api::{READY, Reason};
use crate::decision::case::Case;
use crate::decision::{Action, DELETION, Input, Row, UPKEEP, facts, table};
use crate::port::PortStatus::Recycled;

const SAMPLES: usize = 10_000;

fn table_of(it: &Scenario) -> &'static [Row] {
    if it.object.is_terminating() { DELETION } else { UPKEEP }
}

/// Random cases that a table is asked about, always the same, and some that chance seldom makes.
pub(super) fn cases() -> impl Iterator<Item = Scenario> {
    let mut runner = TestRunner::deterministic();
    let called = Scenario::deleting(Destroy).called(DestroyPort, refused("OPERATION_DENIED"), 1);
    let in_use = called.clone().used_by(&["private connect connect-1"]).seen(Recycled);
    let unused = called.used_by(&[]).seen(Recycled);
    let random = move || scenario().new_tree(&mut runner).expect("a scenario").current();
    let cases = std::iter::repeat_with(random).take(SAMPLES).chain([in_use, unused]);
    cases.filter(|it| it.object.has_finalizer() || !it.object.is_terminating())
}

impl Scenario {
    fn input(&self) -> Input<'_> {
        Input {
            object: &self.object,
            evidence: self.evidence.as_ref(),
            context: &self.context,
            timing: &self.timing,
            now: self.now,
        }
    }
}

#[test]
fn rows_are_numbered_in_order() {
    for rows in [DELETION, UPKEEP] {
        let numbers: Vec<_> = rows.iter().map(|row| usize::from(row.number)).collect();
        assert_eq!(numbers, (1..=rows.len()).collect::<Vec<_>>());
    }
}

#[test]
fn a_row_shows_no_reason_that_it_does_not_name() {
    for it in cases() {
        let plan = it.decided();
        let row = plan.row.and_then(|number| table_of(&it).iter().find(|row| row.number == number));
        let row = row.unwrap_or_else(|| panic!("no row answers: {it:#?}"));
        let shown = match (&plan.action, &plan.display) {
            (Action::RemoveFinalizer(reason), _) => Some(*reason),
            (_, Some(display)) => {
                let ready = display.conditions.iter().find(|it| it.type_ == READY).expect("Ready");
                Some(Reason::parse(&ready.reason).expect("a reason"))
            }
            (_, None) => None,
        };
        let as_row_4 = row.then.contains("as row 4");
        let named = |reason: &Reason| {
            row.reasons.contains(reason) || (as_row_4 && table_of(&it)[3].reasons.contains(reason))
        };
        assert!(shown.as_ref().is_none_or(named), "row {} shows {shown:?}: {plan:#?}", row.number);
    }
}

#[test]
fn without_any_row_something_is_decided_otherwise() {
    let deletion = DELETION.iter().map(|row| ("deletion", row.number));
    let mut idle: BTreeSet<_> = deletion.chain(UPKEEP.iter().map(|row| ("upkeep", row.number))).collect();
    for it in cases() {
        if idle.is_empty() {
            return;
        }
        let input = it.input();
        let status = facts::remember(&input);
        let case = Case::new(&input, &status);
        let rows = table_of(&it);
        let Some((row, outcome)) = table::first_answer(rows, &case) else { continue };
        let rest = &rows[usize::from(row.number)..];
        if table::first_answer(rest, &case).is_none_or(|(_, next)| next != outcome) {
            let name = if it.object.is_terminating() { "deletion" } else { "upkeep" };
            idle.remove(&(name, row.number));
        }
    }
    assert!(
        idle.is_empty(),
        "without these rows nothing would be decided otherwise: {idle:?}. Does `strategy.rs` draw a case for each?"
    );
}
