//! What the operator's promises rest on (`docs/guarantees.md`, what remains). A plan that breaks one of these finds nothing.

use zenlayer_simulator::{Answer, Apply};

use crate::plan::{Fault, On, Plan, Trouble};
use crate::seed::{BETWEEN_LIES_MS, LIE_MS};

/// A call that has no answer counts as one that is carried out no longer after a minute and a later status check.
const LATEST_CALL_MS: u64 = 45_000;

/// What the plan breaks.
pub fn broken(plan: &Plan) -> Vec<String> {
    let mut broken = Vec::new();
    for fault in &plan.faults {
        if fault.until_ms > plan.busy_ms {
            broken.push(format!("fault {} goes on when all must come to its end", fault.id));
        }
        if delays_call_by(fault) > LATEST_CALL_MS {
            broken.push(format!("fault {} lets a call arrive so late that it counts as lost", fault.id));
        }
    }
    let mut lies: Vec<&Fault> = plan.faults.iter().filter(|fault| is_lie(fault)).collect();
    lies.sort_by_key(|fault| fault.from_ms);
    broken.extend(
        lies.iter()
            .filter(|lie| lie.until_ms > lie.from_ms + LIE_MS)
            .map(|lie| format!("lie {} lasts too long", lie.id)),
    );
    let pairs = lies.windows(2).filter(|pair| pair[1].from_ms < pair[0].until_ms + BETWEEN_LIES_MS);
    broken.extend(pairs.map(|pair| format!("lie {} comes too soon after lie {}", pair[1].id, pair[0].id)));
    broken.extend(
        plan.acts
            .iter()
            .filter(|timed| timed.at_ms >= plan.busy_ms)
            .map(|timed| format!("{:?} comes too late", timed.act)),
    );
    broken
}

fn is_lie(fault: &Fault) -> bool {
    matches!(&fault.trouble, Trouble::Rule(rule) if matches!(rule.answer, Answer::List(_)))
}

fn delays_call_by(fault: &Fault) -> u64 {
    if !matches!(fault.on, On::Zenlayer(_)) {
        return 0;
    }
    match &fault.trouble {
        Trouble::Late { ms } => *ms,
        Trouble::Twice { after_ms } => *after_ms,
        Trouble::Rule(rule) => match rule.apply {
            Apply::After(delay) | Apply::Late(delay) => u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            Apply::Now | Apply::Never => 0,
        },
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_seed_makes_a_plan_that_breaks_what_the_promises_rest_on() {
        for seed in 0..2000 {
            let plan = Plan::from_seed(seed);
            assert_eq!(broken(&plan), Vec::<String>::new(), "seed {seed}");
        }
    }

    #[test]
    fn a_plan_is_the_same_when_it_comes_back_from_its_text() {
        for seed in 0..200 {
            let plan = Plan::from_seed(seed);
            let text = serde_json::to_string(&plan).expect("JSON");
            assert_eq!(serde_json::from_str::<Plan>(&text).expect("a plan"), plan, "seed {seed}");
        }
    }

    #[test]
    fn a_call_that_comes_too_late_and_lies_that_come_too_soon_are_noticed() {
        let mut plan = (0..1000)
            .map(Plan::from_seed)
            .find(|plan| plan.faults.iter().filter(|it| is_lie(it)).count() > 1);
        let plan = plan.as_mut().expect("a plan with lies");
        for fault in &mut plan.faults {
            if is_lie(fault) {
                fault.from_ms = 1;
                fault.until_ms = 1 + LIE_MS;
            }
        }
        plan.faults[0].on = On::Zenlayer("DestroyPort".to_owned());
        plan.faults[0].trouble = Trouble::Late { ms: 70_000 };
        let told = broken(plan).join("\n");
        assert!(told.contains("comes too soon after") && told.contains("counts as lost"), "{told}");
    }
}
