//! `cargo xtask simulate --mutants`: how many seeds it takes until the simulation notices a mistake.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use tokio::process::Command;
use tokio::time::timeout;

use super::Options;
use super::table::{LEFT_OUT, MUTANTS, WHY_NOT};
use crate::interrupt::Interrupt;
use crate::mutation::{Copy, Mutant, SWITCH};
use crate::{commit, root};

/// Seeds of a mistake.
const SEEDS: u64 = 1000;
/// Longer than so many seeds take: whoever is not done by then was led astray by the mistake.
const LIMIT: Duration = Duration::from_mins(90);

/// Characters of what the simulation says that the table shows.
const LONGEST: usize = 160;

/// What the simulation says of a mistake.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Noticed(Found),
    Unnoticed { seeds: u64 },
    Endless,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
struct Found {
    seeds: u64,
    rule: String,
    what: String,
}

pub(super) async fn run(options: &Options) -> Result<()> {
    let document = root().join("docs").join("simulation.md");
    let before = fs::read_to_string(&document)?;
    let mut rows = rows_of(&before);
    let is_chosen = |mutant: &[Mutant]| {
        let name = name_of(mutant);
        let row = rows.iter().find(|row| name_in(row) == name);
        options.only.as_ref().is_none_or(|only| name.contains(only))
            && (!options.missing || row.is_none_or(|row| !is_noticed(row)))
    };
    let chosen: Vec<_> = mutants().filter(|mutant| is_chosen(mutant)).collect();
    ensure!(!chosen.is_empty(), "no mistake is called so");
    let (seeds, commit) = (options.seeds.unwrap_or(SEEDS), commit().await?);
    let copy = Copy::new().await?;
    let mut interrupt = Interrupt::listen()?;
    let binary = interrupt.unless(build(&copy)).await?;
    for mutant in chosen {
        let began = Instant::now();
        let noticed = notice(copy.path(), &binary, name_of(mutant), options, seeds);
        let verdict = interrupt.unless(noticed).await?;
        println!("{}: {verdict:?}, in {} s", name_of(mutant), began.elapsed().as_secs());
        let new = row(name_of(mutant), &verdict, &commit);
        rows.retain(|row| name_in(row) != name_of(mutant));
        rows.push(new);
        // After each of them: whoever interrupts this goes on with `--missing`.
        fs::write(&document, with_power(&before, &section(&rows)))?;
    }
    Ok(())
}

/// Changes that stand together and have one name are one mistake.
fn mutants() -> impl Iterator<Item = &'static [Mutant]> {
    MUTANTS.chunk_by(|one, next| one.name == next.name)
}

fn name_of(mutant: &[Mutant]) -> &'static str {
    mutant.first().map_or("", |change| change.name)
}

/// The simulation with all mistakes in it, each behind a switch: one build serves them all.
async fn build(copy: &Copy) -> Result<PathBuf> {
    let build = [
        "build",
        "--profile",
        "simulate",
        "--manifest-path",
        "tests/simulation/Cargo.toml",
        "--bin",
        "simulate",
    ];
    let mut binaries = copy.build(MUTANTS, &build).await?;
    binaries.remove("simulate").context("cargo has built no binary simulate")
}

async fn notice(
    folder: &Path,
    binary: &Path,
    mistake: &str,
    options: &Options,
    seeds: u64,
) -> Result<Verdict> {
    let run = Command::new(binary)
        .arg("--first")
        .args(["--seeds", &seeds.to_string(), "--seed", &options.seed.to_string()])
        .args(["--threads", &options.threads.to_string()])
        .env(SWITCH, mistake)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output();
    let Ok(output) = timeout(LIMIT, run).await else { return Ok(Verdict::Endless) };
    let output = output.with_context(|| format!("starting {}", binary.display()))?;
    ensure!(output.status.success(), "the simulation ended with {}", output.status);
    let found: Option<Found> = serde_json::from_slice(&output.stdout)?;
    Ok(found.map_or(Verdict::Unnoticed { seeds }, Verdict::Noticed))
}

fn row(name: &str, verdict: &Verdict, commit: &str) -> String {
    let (seeds, rule, what) = match verdict {
        Verdict::Noticed(Found { seeds, rule, what }) => (seeds.to_string(), rule.as_str(), short(what)),
        Verdict::Unnoticed { seeds } => (format!("– ({seeds})"), "", String::new()),
        Verdict::Endless => ("1".to_owned(), "it never ends", String::new()),
    };
    format!("| {name} | {seeds} | {rule} | {what} | {commit} |")
}

/// What fits into a cell.
fn short(what: &str) -> String {
    let one_line = what.replace('|', "/").replace('\n', " ");
    match one_line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", one_line[..end].trim_end()),
        None => one_line,
    }
}

/// The rows of the table in a document.
fn rows_of(document: &str) -> Vec<String> {
    let (_, power) = split(document);
    power.lines().filter(|line| line.starts_with("| ")).skip(1).map(str::to_owned).collect()
}

fn name_in(row: &str) -> &str {
    row.split(" | ").next().unwrap_or_default().trim_start_matches("| ")
}

fn seeds_in(row: &str) -> Option<u64> {
    row.split(" | ").nth(1)?.parse().ok()
}

fn is_noticed(row: &str) -> bool {
    seeds_in(row).is_some()
}

/// The document before the section, and the section.
fn split(document: &str) -> (&str, &str) {
    document.split_at(document.find("\n## Power\n").unwrap_or(document.len()))
}

fn with_power(document: &str, section: &str) -> String {
    format!("{}{section}", split(document).0)
}

/// The section: a row for each mistake that was tried, in the order of the table.
fn section(rows: &[String]) -> String {
    let rows: Vec<&String> =
        mutants().filter_map(|mutant| rows.iter().find(|row| name_in(row) == name_of(mutant))).collect();
    let mut text = "\n## Power\n\nWritten by `cargo xtask simulate --mutants`. One mistake at a time is put into a copy of the \
                    code: each is one that this operator, or a design of it, once had. The table says after how many seeds \
                    the simulation noticed it, by which rule, in which words, and at which commit. –: not within that many \
                    seeds.\n\n| mistake | seeds | rule | what it says | commit |\n|---|---|---|---|---|\n"
        .to_owned();
    for row in &rows {
        let _ = writeln!(text, "{row}");
    }
    let mut seeds: Vec<u64> = rows.iter().filter_map(|row| seeds_in(row)).collect();
    seeds.sort_unstable();
    let _ = writeln!(
        text,
        "\n{} of {} are noticed, half of them within {} seeds.",
        seeds.len(),
        rows.len(),
        seeds.get(seeds.len() / 2).copied().unwrap_or_default()
    );
    let untried = mutants().map(name_of).filter(|name| rows.iter().all(|row| name_in(row) != *name));
    let untried: Vec<&str> = untried.collect();
    if !untried.is_empty() {
        let _ = writeln!(text, "\nNot tried yet (`--missing`): {}.", untried.join("; "));
    }
    let unnoticed = rows.iter().filter(|row| !is_noticed(row)).map(|row| name_in(row));
    list(&mut text, "Not noticed", unnoticed.map(|name| (name, why_not(name))));
    list(&mut text, "Not in the simulation", LEFT_OUT.iter().copied());
    text
}

fn why_not(name: &str) -> &'static str {
    WHY_NOT.iter().find(|(of, _)| *of == name).map_or("not explained yet", |(_, why)| *why)
}

fn list<'a>(text: &mut String, title: &str, entries: impl Iterator<Item = (&'a str, &'a str)>) {
    for (number, (name, why)) in entries.enumerate() {
        if number == 0 {
            let _ = writeln!(text, "\n{title}:\n");
        }
        let _ = writeln!(text, "- *{name}*: {why}");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_mistake_changes_the_code_as_it_is_and_has_a_name_of_its_own() {
        for mutant in MUTANTS {
            mutant.changes_one_place();
        }
        let names: BTreeSet<&str> = mutants().map(name_of).collect();
        assert_eq!(names.len(), mutants().count(), "two mistakes have one name");
        for (name, _) in WHY_NOT {
            assert!(names.contains(name), "{name} is explained and not in the table");
        }
    }

    #[test]
    fn a_row_that_is_tried_again_replaces_its_older_one_and_the_rest_of_the_document_stays() {
        let [first, second] = [MUTANTS[0].name, name_of(mutants().nth(1).expect("a second"))];
        let found = Found { seeds: 7, rule: "no leak".to_owned(), what: "a | b".to_owned() };
        let rows = [
            row(second, &Verdict::Unnoticed { seeds: 300 }, "one"),
            row(first, &Verdict::Noticed(found), "two"),
        ];
        let document = with_power("# The simulation\n\n| a | b |\n|---|---|\n| 1 | 2 |\n", &section(&rows));
        assert!(document.starts_with("# The simulation\n\n| a | b |"), "{document}");
        let table = rows_of(&document);
        assert_eq!(table, [rows[1].clone(), rows[0].clone()], "in the order of the table: {document}");
        assert_eq!(table[0], format!("| {first} | 7 | no leak | a / b | two |"));
        assert!(document.contains("1 of 2 are noticed, half of them within 7 seeds."), "{document}");
        assert!(document.contains(&format!("- *{second}*: ")), "{document}");
        assert!(is_noticed(&table[0]) && !is_noticed(&table[1]));
        assert_eq!(with_power(&document, &section(&rows)), document, "it is written over");
    }
}
