//! The table of all cases and how they came out, for `docs/faults.md`.

use std::fmt::Write as _;

use crate::{CASES, Case, Outcome};

const HEAD: &str = "# Faults survived

Written by `cargo xtask faults`, which runs every case below: the operator's own process, a real API server and etcd, and a
simulated Zenlayer over TCP. The numbers of the faults are P for the operator's process, K for Kubernetes, C for the cloud and
S for scale. Every duration of the operator is a tenth of what it is in production.

After each case these must hold, judged from the simulator's journal, the API server and all that was written:

| oracle | what it says |
|---|---|
| O1 no leak | an object goes only after its port has gone, or was left where the policy leaves it |
| O2 no wrong kill | a call took effect only on a port whose object was deleted then, under a policy that asks for it, by a key of its own account |
| O3 bounded | at most one `DestroyPort` takes effect in the life of a port, and no request is sent without end |
| O4 liveness | after the faults, each object ends as it should: gone, held for a reason that says so, or alive |
| O5 truth | while a fault lasted, the object named its real cause |
| O6 isolation | what another tenant deleted meanwhile was gone before the fault was |
| O7 no secret | no log, event, object or metric holds a part of a credential |

`cargo xtask faults --case NAME --seed N` replays one. `cargo test` runs a part of them.

| case | faults | expectation | seed | outcome |
|---|---|---|---|---|
";

const TAIL: &str = "
What is not made here, as nothing runs in containers and nothing leaves loopback: names that do not resolve (C9), the node's
clock (K15), memory and disk running out (P4, P9), a conversion of versions (K8, P8).
";

/// The table as Markdown; several outcomes of one case become one row.
pub fn report(outcomes: &[Outcome]) -> String {
    let mut text = HEAD.to_owned();
    for case in CASES.iter().copied().flatten() {
        let of_it: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.case == case.name).collect();
        if !of_it.is_empty() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}", row(case, &of_it));
        }
    }
    text + TAIL
}

fn row(case: &Case, outcomes: &[&Outcome]) -> String {
    let seeds: Vec<String> = outcomes.iter().map(|outcome| outcome.seed.to_string()).collect();
    let failed: Vec<String> = outcomes
        .iter()
        .filter(|outcome| outcome.result.is_err())
        .map(|outcome| outcome.seed.to_string())
        .collect();
    let outcome =
        if failed.is_empty() { "held".to_owned() } else { format!("**failed** with {}", failed.join(", ")) };
    let Case { name, faults, expectation, .. } = case;
    format!("| {name} | {} | {expectation} | {} | {outcome} |", faults.join(", "), seeds.join(", "))
}
