//! `simulate`: runs the operator through many seeds, or through one plan. `cargo xtask simulate` builds and starts it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use serde_json::json;
use simulation::campaign::{campaign, through};
use simulation::document::{document, power_in};
use simulation::page::page;
use simulation::plan::Plan;
use simulation::shrink::shrink;
use simulation::{Run, run, story, sweep};

/// Run the operator in simulated time, on an API server and a Zenlayer in memory, with faults and people of a seed.
#[derive(Debug, Parser)]
struct Options {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed. With --full, the only one.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print the whole journal of one seed.
    #[arg(long)]
    full: bool,
    /// Instead of seeds, put a crash and a lost answer at each effect of each story.
    #[arg(long)]
    sweep: bool,
    /// End with the first seed that finds something, and say so in one line of JSON.
    #[arg(long, hide = true)]
    first: bool,
    /// Run this plan instead, and print its journal.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// How many runs may be spent to make the plan of a failure smaller.
    #[arg(long, default_value_t = 150)]
    shrink: usize,
    /// Where the smaller plans of failures are written.
    #[arg(long, value_name = "DIRECTORY", default_value = "target/simulation")]
    found: PathBuf,
    /// Write what the seeds came to into this file.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// What the file says of how it was made.
    #[arg(long, hide = true, default_value = "")]
    about: String,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.plan.is_some() || options.full {
        return one(&options);
    }
    if options.first {
        return first(&options);
    }
    let talking = Mutex::new(());
    let tell = |plan: &Plan, run: &Run| {
        let told = told(&options, plan, run);
        let _turn = talking.lock();
        println!("{told}");
    };
    let all = if options.sweep {
        let variants = story::all().into_iter().flat_map(|story| sweep::all(&story));
        through(variants.map(|variant| (variant.name, variant.plan)), options.threads, None, tell)
    } else {
        campaign(options.seed..options.seed + options.seeds, options.threads, tell)
    };
    print!("{}", all.report());
    if let Some(file) = &options.write {
        let before = fs::read_to_string(file).unwrap_or_default();
        let written = document(&all, &options.about) + power_in(&before);
        if let Err(error) = fs::write(file, written) {
            return refuse(&format!("{}: {error}", file.display()));
        }
    }
    for (_, name, violation) in &all.failed {
        println!("{name}: {violation}");
    }
    if all.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How many seeds it takes to find something.
fn first(options: &Options) -> ExitCode {
    let is_found = AtomicBool::new(false);
    let plans = (options.seed..options.seed + options.seeds)
        .take_while(|_| !is_found.load(Ordering::Relaxed))
        .map(|seed| (seed.to_string(), Plan::from_seed(seed)));
    let found = Mutex::new(BTreeMap::new());
    let _all = through(plans, options.threads, None, |plan, run| {
        is_found.store(true, Ordering::Relaxed);
        if let (Ok(mut found), Some(violation)) = (found.lock(), run.violations.first()) {
            found.insert(plan.seed, violation.clone());
        }
    });
    let found = found.into_inner().unwrap_or_default();
    // All seeds before it have been run.
    let told = found.first_key_value().map(|(seed, violation)| {
        json!({ "seeds": seed - options.seed + 1, "rule": violation.oracle, "what": violation.what })
    });
    println!("{}", told.unwrap_or_default());
    ExitCode::SUCCESS
}

fn one(options: &Options) -> ExitCode {
    let plan = match &options.plan {
        Some(file) => match fs::read_to_string(file).map(|text| serde_json::from_str(&text)) {
            Ok(Ok(plan)) => plan,
            Ok(Err(error)) => return refuse(&format!("{}: {error}", file.display())),
            Err(error) => return refuse(&format!("{}: {error}", file.display())),
        },
        None => Plan::from_seed(options.seed),
    };
    let run = run(&plan);
    println!("{}", run.lines.join("\n"));
    if run.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("simulate: {why}");
    ExitCode::from(2)
}

/// A page about the smallest plan that finds the same.
fn told(options: &Options, plan: &Plan, failed: &Run) -> String {
    let Some(violation) = failed.violations.first() else { return String::new() };
    let small = shrink(plan, violation.oracle, options.shrink);
    let json = serde_json::to_string_pretty(&small).unwrap_or_default();
    let name = violation.oracle.replace(' ', "-");
    let file = options.found.join(format!("{name}-{}.json", plan.seed));
    let written = fs::create_dir_all(&options.found).and_then(|()| fs::write(&file, json + "\n"));
    let where_to = written.map_or_else(|error| error.to_string(), |()| file.display().to_string());
    format!("seed {}: {violation}\n{where_to}\n\n{}", plan.seed, page(&run(&small)))
}
