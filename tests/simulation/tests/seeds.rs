//! Plans that once found something, and as many seeds as fit into half a minute.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use simulation::campaign::within;
use simulation::page::page;
use simulation::plan::Plan;
use simulation::seed::Size;
use simulation::{assumptions, run, run_again};

fn found() -> Vec<(PathBuf, Plan)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("found");
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path());
    let mut files: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|it| it == "json")).collect();
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let plan = fs::read_to_string(&file).expect("a file");
            (file, serde_json::from_str(&plan).expect("a plan"))
        })
        .collect()
}

#[test]
fn what_a_seed_once_found_does_not_come_back() {
    for (file, plan) in found() {
        assert_eq!(assumptions::broken(&plan), Vec::<String>::new(), "{}", file.display());
        let run = run(&plan);
        assert!(run.violations.is_empty(), "{}\n{}", file.display(), page(&run));
    }
}

/// No seed begins after this time, so that the test ends within a minute. How many there are depends on the machine.
const BUDGET: Duration = Duration::from_secs(30);

#[test]
fn whatever_a_seed_brings_the_promises_hold() {
    // Without the long ones and the crowds.
    let short = |seed: &u64| Size::of(*seed) == Size::Short;
    let last = (0..).filter(short).nth(40).unwrap_or_default();
    let campaign = within(0..last, short, 2, Some(BUDGET), |_, run| println!("{}", page(run)));
    assert!(campaign.failed.is_empty(), "{:#?}", campaign.failed);
    println!("{}", campaign.report());
}

#[test]
fn a_seed_makes_the_same_journal_each_time() {
    for seed in [0, 1] {
        let plan = Plan::from_seed(seed);
        let first = Arc::new(run(&plan).lines);
        let again = std::thread::spawn(move || run_again(&plan, first)).join().expect("a run");
        assert_eq!(again.difference.map(|difference| difference.to_string()), None, "seed {seed}");
    }
}
