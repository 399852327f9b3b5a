//! Whatever one thing goes wrong at whatever effect of a story: nothing is lost, and all comes to its end.

use simulation::sweep::{self, Variant};
use simulation::{run, story};

fn all_end_well(variants: &[Variant]) {
    let mut wrong = Vec::new();
    for variant in variants {
        let run = run(&variant.plan);
        if let Some(violation) = run.violations.first() {
            let lines = run.lines.iter().filter(|line| !line.contains("leases") && !line.contains(" log: "));
            let last: Vec<String> = lines.cloned().collect();
            let last = last[last.len().saturating_sub(60)..].join("\n");
            wrong.push(format!("{}: {violation}\n{last}", variant.name));
        }
    }
    let names: Vec<&str> = wrong.iter().map(|text| text.lines().next().unwrap_or_default()).collect();
    let page = wrong.first().cloned().unwrap_or_default();
    assert!(
        wrong.is_empty(),
        "{} of {} ended wrong:\n{}\n\nthe first:\n{page}",
        wrong.len(),
        variants.len(),
        names.join("\n")
    );
    println!("{} ended well", variants.len());
}

#[test]
fn a_replica_may_die_at_each_effect_of_one_deletion() {
    all_end_well(&sweep::crashes(&story::one_deletion(), 1));
}
