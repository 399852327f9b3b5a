//! `cargo xtask mutants`: the decision, and the shell around it, are made wrong on purpose, and the tests have to notice.

mod shell;
mod table;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use tokio::process::Command;
use tokio::time;

use crate::interrupt::Interrupt;
use crate::mutation::{Copy, Mutant, SWITCH};
use crate::{commit, root};

const PACKAGE: &str = "zenlayer-port-operator";

/// Longer than any suite takes, even on a busy machine: whoever is not done by then was led astray by the mutation.
const LIMIT: Duration = Duration::from_mins(4);

/// Put one mistake at a time into the decision, or into the code around it, and see which tests notice it.
///
/// Works on a copy, which is built once, with all mistakes in it. A run of all mutants writes docs/mutants.md.
#[derive(Debug, Args)]
pub struct Options {
    /// Try only the mutants whose names contain this, and do not write docs/mutants.md.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,

    /// Only the mutants of this part; docs/mutants.md is left as it is.
    #[arg(long, value_enum)]
    part: Option<Part>,

    /// Only the mutants that no test noticed, according to docs/mutants.md, and those that are new. Their rows are replaced there.
    #[arg(long, conflicts_with_all = ["only", "part"])]
    survivors: bool,
}

/// Which part a mutant is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// What is decided, and what that rests on.
    Decision,
    /// What gathers, carries out and keeps.
    Shell,
}

/// Tests that are run together: the name of their target, and what the names of the tests begin with.
struct Suite {
    title: &'static str,
    /// Which mutants it is to notice.
    of: Part,
    target: &'static str,
    tests: &'static [&'static str],
}

const SUITES: [Suite; 4] = [
    Suite {
        title: "rows and properties",
        of: Part::Decision,
        target: "zenlayer_port_operator",
        tests: &["decision::", "zenlayer::answer", "text::", "api::approval"],
    },
    Suite { title: "all inputs", of: Part::Decision, target: "model", tests: &["exhaustive::"] },
    Suite { title: "model", of: Part::Decision, target: "model", tests: &["world::"] },
    Suite {
        title: "shell",
        of: Part::Shell,
        target: "zenlayer_port_operator",
        tests: &[
            "controller::",
            "credentials::",
            "dispatch::",
            "index::",
            "lease::",
            "mirror::",
            "reconcile::",
            "server::",
            "uninstall::",
            "wakes::",
            "zenlayer::",
            "cli::",
        ],
    },
];

/// What a suite makes of a mutant.
enum Verdict {
    /// It is about the other part.
    NotRun,
    Survived,
    Killed {
        by: Vec<String>,
    },
    /// It is not done in time.
    Endless,
}

pub async fn run(options: Options) -> Result<()> {
    let document = root().join("docs").join("mutants.md");
    let before = if options.survivors { fs::read_to_string(&document)? } else { String::new() };
    let is_chosen = |(part, mutant): &(Part, &Mutant)| {
        options.part.is_none_or(|only| only == *part)
            && options.only.as_ref().is_none_or(|only| mutant.name.contains(only))
            && (!options.survivors
                || rows(&before).find(|row| name_of(row) == mutant.name).is_none_or(|row| !is_noticed(row)))
    };
    let chosen: Vec<(Part, &Mutant)> = all().filter(is_chosen).collect();
    ensure!(!chosen.is_empty(), "no mutant is called so");
    let (began, commit) = (Instant::now(), commit().await?);
    let copy = Copy::new().await?;
    let mut interrupt = Interrupt::listen()?;
    let mut tried = Vec::new();
    let mutants: Vec<Mutant> = chosen.iter().map(|(_, mutant)| **mutant).collect();
    let build =
        ["test", "--profile", "simulate", "--package", PACKAGE, "--no-run", "--lib", "--test", "model"];
    let binaries = interrupt.unless(copy.build(&mutants, &build)).await?;
    for (part, mutant) in chosen {
        let verdicts = interrupt.unless(try_out(&copy, &binaries, part, mutant)).await?;
        println!("{}", row(mutant, &verdicts));
        tried.push((mutant, verdicts));
    }
    println!("{} mutants in {} s", tried.len(), began.elapsed().as_secs());
    let tried_rows: Vec<String> = tried.iter().map(|(mutant, verdicts)| row(mutant, verdicts)).collect();
    if options.survivors {
        let names = all().map(|(_, mutant)| mutant.name);
        fs::write(&document, report(&replaced(&before, &tried_rows, names), &since(&before, &commit)))?;
    } else if options.only.is_none() && options.part.is_none() {
        fs::write(&document, report(&tried_rows, &format!("at commit {commit}")))?;
    }
    let survivors: Vec<_> =
        tried.iter().filter(|(_, verdicts)| !verdicts.iter().any(noticed)).map(|(it, _)| it.name).collect();
    ensure!(survivors.is_empty(), "no test notices: {}", survivors.join("; "));
    Ok(())
}

fn all() -> impl Iterator<Item = (Part, &'static Mutant)> {
    let decision = table::MUTANTS.iter().map(|mutant| (Part::Decision, mutant));
    decision.chain(shell::MUTANTS.iter().map(|mutant| (Part::Shell, mutant)))
}

fn noticed(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Killed { .. } | Verdict::Endless)
}

/// Which tests notice the mutant.
async fn try_out(
    copy: &Copy,
    binaries: &HashMap<String, PathBuf>,
    part: Part,
    mutant: &Mutant,
) -> Result<[Verdict; SUITES.len()]> {
    let mut verdicts = [const { Verdict::NotRun }; SUITES.len()];
    for (verdict, suite) in verdicts.iter_mut().zip(&SUITES).filter(|(_, suite)| suite.of == part) {
        let binary = binaries.get(suite.target).with_context(|| format!("no tests {}", suite.target))?;
        *verdict = run_tests(copy, binary, suite, mutant).await?;
    }
    Ok(verdicts)
}

async fn run_tests(copy: &Copy, binary: &Path, suite: &Suite, mutant: &Mutant) -> Result<Verdict> {
    let run = Command::new(binary)
        .args(suite.tests)
        .env(SWITCH, mutant.name)
        // That a test fails is all that counts, not its smallest example.
        .env("PROPTEST_MAX_SHRINK_ITERS", "0")
        .current_dir(copy.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let Ok(output) = time::timeout(LIMIT, run).await else { return Ok(Verdict::Endless) };
    let output = output.with_context(|| format!("starting {}", binary.display()))?;
    if output.status.success() {
        return Ok(Verdict::Survived);
    }
    let by = failed(&String::from_utf8_lossy(&output.stdout));
    ensure!(!by.is_empty(), "{} ended with {}, and names no test", suite.title, output.status);
    Ok(Verdict::Killed { by })
}

/// The tests that failed, as libtest lists them.
fn failed(output: &str) -> Vec<String> {
    let results = output.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    let mut failed: Vec<String> = results.map(|name| name.replace(" - should panic", "")).collect();
    failed.sort();
    failed
}

fn row(mutant: &Mutant, verdicts: &[Verdict]) -> String {
    let cells = verdicts.iter().map(|verdict| match verdict {
        Verdict::NotRun => String::new(),
        Verdict::Survived => "–".to_owned(),
        Verdict::Endless => "killed: it never ends".to_owned(),
        Verdict::Killed { by } => {
            let first = by.first().map_or("", |first| first.rsplit("::").next().unwrap_or(first));
            format!("{}: {}", by.len(), first.replace('_', " "))
        }
    });
    format!("| {} | {} |", mutant.name, cells.collect::<Vec<_>>().join(" | "))
}

/// The rows of the table in a document.
fn rows(document: &str) -> impl Iterator<Item = &str> {
    document.lines().filter(|line| line.starts_with("| ")).skip(1)
}

fn name_of(row: &str) -> &str {
    row.split(" | ").next().unwrap_or_default().trim_start_matches("| ")
}

/// Whether the tests of this column, or of any column, noticed it: a cell that holds more than a dash.
fn is_noticed_by(row: &str, column: usize) -> bool {
    let cell = row.trim_end_matches('|').split(" | ").nth(column + 1).unwrap_or_default().trim();
    !matches!(cell, "" | "–")
}

fn is_noticed(row: &str) -> bool {
    (0..SUITES.len()).any(|column| is_noticed_by(row, column))
}

/// The rows of a document, those that were tried again replaced, in the order of the names.
fn replaced<'a>(document: &str, again: &[String], names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let newest_first = || again.iter().map(String::as_str).chain(rows(document));
    names.filter_map(|name| newest_first().find(|row| name_of(row) == name)).map(str::to_owned).collect()
}

/// When the rows of a document were made, and when those which survived or were new.
fn since(document: &str, commit: &str) -> String {
    let before =
        document.split("`cargo xtask mutants` ").nth(1).and_then(|rest| rest.split(". Do not").next());
    format!("{}, those that survived or are new at commit {commit}", before.unwrap_or("earlier"))
}

fn report(rows: &[String], when: &str) -> String {
    let mut text = format!(
        "# Mutants\n\nWritten by `cargo xtask mutants` {when}. Do not edit this file. Each row is one mistake that was \
         put into the code. It says how many tests of each kind noticed it, and names the first of them. –: none of this \
         kind. A cell is empty where the tests are about another part of the code.\n\n",
    );
    let titles = SUITES.map(|suite| suite.title).join(" | ");
    let _ = writeln!(text, "| mutation | {titles} |\n|---|{}", "---|".repeat(SUITES.len()));
    for row in rows {
        let _ = writeln!(text, "{row}");
    }
    let noticed = rows.iter().filter(|row| is_noticed(row)).count();
    let _ = write!(text, "\n{noticed} of {} are noticed:", rows.len());
    for (column, suite) in SUITES.iter().enumerate() {
        let by = rows.iter().filter(|row| is_noticed_by(row, column)).count();
        let _ = write!(text, "{} {by} by {}", if column == 0 { "" } else { "," }, suite.title);
    }
    text.push_str(".\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mutation_changes_one_place_of_the_code_as_it_is() {
        for (_, mutant) in all() {
            mutant.changes_one_place();
        }
    }

    #[test]
    fn the_tests_that_failed_are_named_in_order() {
        let output =
            "running 3 tests\ntest b::y ... FAILED\ntest a::x ... FAILED\ntest c ... ok\n\n---- b::y stdout";
        assert_eq!(failed(output), ["a::x", "b::y"]);
    }

    #[test]
    fn a_row_names_the_first_test_of_each_kind() {
        let verdicts = [
            Verdict::Killed { by: vec!["a::no_call".to_owned(), "b".to_owned()] },
            Verdict::Survived,
            Verdict::NotRun,
        ];
        let shown = row(&Mutant { name: "no grace", file: "", search: "", replacement: "" }, &verdicts);
        assert_eq!(shown, "| no grace | 2: no call | – |  |");
    }

    #[test]
    fn a_survivor_that_was_tried_again_has_a_new_row_and_the_sum_counts_it() {
        let row = |name: &str, cells: [&str; 4]| format!("| {name} | {} |", cells.join(" | "));
        let first = [row("no grace", ["2: a", "–", "–", ""]), row("no end", ["", "", "", "–"])];
        let document = report(&first, "at commit one");
        assert!(
            document.contains("1 of 2 are noticed: 1 by rows and properties, 0 by all inputs"),
            "{document}"
        );
        let survivors: Vec<_> = rows(&document).filter(|row| !is_noticed(row)).map(name_of).collect();
        assert_eq!(survivors, ["no end"]);
        let tried = [row("no end", ["", "", "", "1: it ends"]), row("new", ["", "", "", "1: it is new"])];
        let again = replaced(&document, &tried, ["no grace", "new", "no end"].into_iter());
        let document = report(&again, &since(&document, "two"));
        assert!(
            document.contains("at commit one, those that survived or are new at commit two."),
            "{document}"
        );
        assert!(document.contains("3 of 3 are noticed") && document.contains("2 by shell"), "{document}");
    }
}
