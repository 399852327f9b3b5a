//! One fault at each effect of a story.

use crate::plan::{Crash, Phase, Plan};
use crate::run;
use crate::story::Story;

/// A story in which one thing goes wrong.
#[derive(Clone, Debug)]
pub struct Variant {
    pub name: String,
    pub plan: Plan,
}

/// The replica dies at each effect, in each phase. Another one starts soon after that, or has stood by.
pub fn crashes(story: &Story, replicas: u8) -> Vec<Variant> {
    each_effect(story, replicas, |effect| {
        Phase::ALL.map(|phase| {
            let crash = Crash { effect, phase, down_ms: 500 };
            (format!("{phase:?}"), Box::new(move |plan: &mut Plan| plan.crashes.push(crash)) as Change)
        })
    })
}

/// The request of each effect is never answered, so that its sender gives it up and goes on.
pub fn silences(story: &Story) -> Vec<Variant> {
    each_effect(story, 1, |effect| {
        [(
            "never answered".to_owned(),
            Box::new(move |plan: &mut Plan| plan.unanswered.push(effect)) as Change,
        )]
    })
}

/// All of these, with one replica and with two.
pub fn all(story: &Story) -> Vec<Variant> {
    [crashes(story, 1), crashes(story, 2), silences(story)].concat()
}

type Change = Box<dyn Fn(&mut Plan)>;

fn each_effect<const N: usize>(
    story: &Story,
    replicas: u8,
    changes: impl Fn(u64) -> [(String, Change); N],
) -> Vec<Variant> {
    let mut plan = story.plan.clone();
    plan.config.replicas = replicas;
    let effects = run(&plan).counts.effects;
    let all = (1..=effects).flat_map(|effect| {
        changes(effect).map(|(what, change)| {
            let mut plan = plan.clone();
            change(&mut plan);
            Variant { name: format!("{}, {replicas} replicas: effect {effect} {what}", story.name), plan }
        })
    });
    all.collect()
}
