//! Makes a plan that finds something smaller, as long as it finds the same.

use crate::plan::{Config, Plan};
use crate::run;

/// The smallest plan that was found within so many runs.
pub fn shrink(plan: &Plan, oracle: &str, most_runs: usize) -> Plan {
    let mut shrinking = Shrinking { best: plan.clone(), oracle, left: most_runs };
    loop {
        let before = shrinking.best.clone();
        shrinking.end_early();
        shrinking.thin_out(|plan| &mut plan.acts);
        shrinking.thin_out(|plan| &mut plan.faults);
        shrinking.thin_out(|plan| &mut plan.writers);
        shrinking.thin_out(|plan| &mut plan.ports);
        shrinking.thin_out(|plan| &mut plan.crashes);
        shrinking.thin_out(|plan| &mut plan.unanswered);
        shrinking.settle_config();
        if shrinking.best == before || shrinking.left == 0 {
            return shrinking.best;
        }
    }
}

struct Shrinking<'a> {
    best: Plan,
    oracle: &'a str,
    left: usize,
}

impl Shrinking<'_> {
    /// Takes the plan if it finds the same.
    fn offer(&mut self, plan: Plan) -> bool {
        if plan == self.best || self.left == 0 {
            return false;
        }
        self.left -= 1;
        let finds = run(&plan).violations.first().is_some_and(|violation| violation.oracle == self.oracle);
        if finds {
            self.best = plan;
        }
        finds
    }

    /// Leaves out a half, a quarter, and so on down to single elements.
    fn thin_out<T: Clone>(&mut self, list: fn(&mut Plan) -> &mut Vec<T>) {
        let mut size = list(&mut self.best).len().div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < list(&mut self.best).len() {
                let mut plan = self.best.clone();
                let to = (from + size).min(list(&mut plan).len());
                list(&mut plan).drain(from..to);
                if !self.offer(plan) {
                    from += size;
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }

    /// People and faults stop as soon as possible.
    fn end_early(&mut self) {
        let mut plan = self.best.clone();
        let last = plan
            .acts
            .iter()
            .map(|timed| timed.at_ms + 1)
            .chain(plan.faults.iter().map(|fault| fault.until_ms));
        plan.busy_ms = last.max().unwrap_or(1);
        self.offer(plan);
        let mut plan = self.best.clone();
        for fault in &mut plan.faults {
            fault.one_in = 1;
        }
        self.offer(plan);
    }

    fn settle_config(&mut self) {
        let usual = Config::default();
        let settings: [fn(&mut Config, &Config); 13] = [
            |config, usual| config.replicas = usual.replicas,
            |config, _| config.clock_ahead_s.clear(),
            |config, _| config.latency_ms = 0,
            |config, usual| config.grace_s = usual.grace_s,
            |config, usual| config.poll_s = usual.poll_s,
            |config, usual| config.resync_s = usual.resync_s,
            |config, usual| config.mass_deletion_threshold = usual.mass_deletion_threshold,
            |config, usual| config.require_approval = usual.require_approval,
            |config, usual| config.keep_copies = usual.keep_copies,
            |config, usual| config.requests_per_second = usual.requests_per_second,
            |config, usual| config.terminate_s = usual.terminate_s,
            |config, usual| config.destroy_s = usual.destroy_s,
            |config, usual| config.destroyed_listed_s = usual.destroyed_listed_s,
        ];
        for set in settings {
            let mut plan = self.best.clone();
            set(&mut plan.config, &usual);
            self.offer(plan);
        }
    }
}
