//! A table of the decision as data: its rows are asked from top to bottom, and the first that answers decides.

use super::case::Case;
use super::outcome::Outcome;
use crate::api::Reason;

/// One row. `docs/decision.md` is generated from its words.
#[derive(Debug)]
pub struct Row {
    pub number: u8,
    /// When it answers.
    pub when: &'static str,
    /// What the operator does then.
    pub then: &'static str,
    /// What the object can show then.
    pub reasons: &'static [Reason],
    answer: Answer,
}

type Answer = for<'a> fn(&Case<'a>) -> Option<Outcome<'a>>;

pub(super) const fn row(
    number: u8,
    when: &'static str,
    then: &'static str,
    reasons: &'static [Reason],
    answer: Answer,
) -> Row {
    Row { number, when, then, reasons, answer }
}

/// The first row that answers, and its answer.
pub(super) fn first_answer<'a>(
    table: &'static [Row],
    case: &Case<'a>,
) -> Option<(&'static Row, Outcome<'a>)> {
    table.iter().find_map(|row| (row.answer)(case).map(|outcome| (row, outcome)))
}
