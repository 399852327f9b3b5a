//! Whatever one thing goes wrong at whatever effect of a story: nothing is lost, and all comes to its end.
//!
//! `cargo xtask simulate --sweep` does the same to all stories, also with two replicas.

use simulation::campaign::through;
use simulation::page::page;
use simulation::story::{self, Story};
use simulation::sweep::{self, Variant};

fn all_end_well(variants: Vec<Variant>) {
    let count = variants.len();
    assert!(count > 10, "the story has too few effects: {count} variants");
    let plans = variants.into_iter().map(|variant| (variant.name, variant.plan));
    let all = through(plans, 2, None, |_, run| println!("{}", page(run)));
    assert!(all.failed.is_empty(), "{} of {count} end wrong: {:#?}", all.failed.len(), all.failed);
}

fn terminate_and_destroy() -> Story {
    story::all().into_iter().find(|story| story.name == "terminate and destroy").expect("a story")
}

#[test]
fn a_replica_may_die_at_each_effect() {
    all_end_well(sweep::crashes(&terminate_and_destroy(), 1));
}

#[test]
fn each_request_may_stay_without_an_answer() {
    all_end_well(sweep::silences(&terminate_and_destroy()));
}
