//! A part of the fault matrix (`tests/faults`), some of every kind; `cargo xtask faults` runs it all.

use std::path::PathBuf;

use fault_matrix::{CASES, Case, IN_CARGO_TEST, Matrix, Outcome};

/// The same each time: what fails here is to fail again.
const SEED: u64 = 7;

const AT_A_TIME: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_the_fault_matrix_holds() {
    let cases: Vec<(&Case, u64)> = IN_CARGO_TEST.iter().map(|name| (case(name), SEED)).collect();
    let matrix = Matrix::new(PathBuf::from(env!("CARGO_BIN_EXE_zenlayer-port-operator")));
    let outcomes = matrix.run(cases, AT_A_TIME, |_| {}).await;
    let failed: Vec<String> = outcomes.iter().filter_map(failure).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

fn case(name: &str) -> &'static Case {
    let found = CASES.iter().copied().flatten().find(|case| case.name == name);
    found.unwrap_or_else(|| panic!("there is no case {name}"))
}

fn failure(outcome: &Outcome) -> Option<String> {
    let Outcome { case, seed, result, .. } = outcome;
    let error = result.as_ref().err()?;
    Some(format!("cargo xtask faults --case {case} --seed {seed}\n{error:#}"))
}
