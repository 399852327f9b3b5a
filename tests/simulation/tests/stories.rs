//! Stories without faults: what happens is what should happen, and the same each time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use simulation::{Run, run, run_again, story};

/// What people did, and what became of the objects and the ports, without times and with the first words of messages.
fn told(run: &Run) -> Vec<String> {
    let what = run.lines.iter().filter_map(|line| line.split_once(' ').map(|(_, what)| what));
    let told = what.filter(|what| {
        let is_effect = what.starts_with("  team-a/") || what.starts_with("  port-");
        is_effect || (what.starts_with("people: ") && what.contains("zenlayerports/"))
    });
    told.map(|what| what.trim().split(", says").next().unwrap_or_default().to_owned()).collect()
}

fn no_violation(name: &str, run: &Run) {
    let shown: Vec<String> = run.violations.iter().map(ToString::to_string).collect();
    assert!(shown.is_empty(), "{name}: {shown:#?}\n{}", page(run));
}

/// The journal without the lines that come all the time.
fn page(run: &Run) -> String {
    let lines = run.lines.iter().filter(|line| !line.contains("leases") && !line.contains(" log: "));
    lines.cloned().collect::<Vec<_>>().join("\n")
}

#[test]
fn one_deletion_goes_its_way() {
    let run = run(&story::one_deletion().plan);
    no_violation("one deletion", &run);
    let expected = [
        "port-1: none → RECYCLED by a person",
        "team-a/edge: made",
        "team-a/edge: finalizers [\"sdn.zenlayer.com/destroy-port\"]",
        "team-a/edge: none → PortRecycled",
        "people: DELETE team-a/zenlayerports/edge ⇒ 200",
        "team-a/edge: deleted",
        "team-a/edge: PortRecycled → GracePeriod",
        "team-a/edge: DestroyPort #1 pending, GracePeriod → Destroying",
        "port-1: RECYCLED → DESTROYING by a request",
        "team-a/edge: DestroyPort #1 accepted",
        "team-a/edge: DestroyPort #1 accepted, landed",
        "port-1: DESTROYING → DESTROYED by time",
        "team-a/edge: gone",
        "port-1: DESTROYED → none by time",
    ];
    assert_eq!(told(&run), expected, "{}", page(&run));
}

#[test]
fn each_story_ends_as_its_policy_says() {
    let began = Instant::now();
    let mut simulated = Duration::ZERO;
    for story in story::all() {
        let run = run(&story.plan);
        no_violation(story.name, &run);
        println!("{}: {} lines, {:?}", story.name, run.lines.len(), run.simulated);
        simulated += run.simulated;
    }
    let hours = simulated.as_secs_f64() / 3600.0;
    println!("{:.0} simulated hours a minute", hours * 60.0 / began.elapsed().as_secs_f64());
}

/// The second run is compared while it goes, so that it ends at the first line that differs.
#[test]
fn a_plan_runs_the_same_way_each_time() {
    for story in story::all() {
        let first = Arc::new(run(&story.plan).lines);
        let again = run_again(&story.plan, Arc::clone(&first));
        assert_eq!(again.difference.map(|difference| difference.to_string()), None, "{}", story.name);
        let plan = story.plan.clone();
        let elsewhere = std::thread::spawn(move || run_again(&plan, first)).join().expect("a run");
        assert_eq!(elsewhere.difference.map(|difference| difference.to_string()), None, "{}", story.name);
    }
}
