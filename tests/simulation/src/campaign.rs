//! Many seeds, on several threads.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::plan::Plan;
use crate::{Counts, Run, run};

/// What many runs came to.
#[derive(Debug, Default)]
pub struct Campaign {
    pub runs: u64,
    pub simulated: Duration,
    /// Processor time, of all threads together.
    pub took: Duration,
    pub counts: Counts,
    /// Runs in which a port was destroyed.
    pub destroying: u64,
    /// In the order of the plans: its name, and what did not hold.
    pub failed: Vec<(usize, String, String)>,
}

/// Runs these seeds. `tell` is called for each that finds something, with its plan and its run.
pub fn campaign(seeds: std::ops::Range<u64>, threads: usize, tell: impl Fn(&Plan, &Run) + Sync) -> Campaign {
    within(seeds, |_| true, threads, None, tell)
}

/// The same for those that `chosen` says, but none begins after that time.
pub fn within(
    seeds: std::ops::Range<u64>,
    chosen: impl Fn(&u64) -> bool + Send,
    threads: usize,
    limit: Option<Duration>,
    tell: impl Fn(&Plan, &Run) + Sync,
) -> Campaign {
    let plans = seeds.filter(chosen).map(|seed| (format!("seed {seed}"), Plan::from_seed(seed)));
    through(plans, threads, limit, tell)
}

/// Runs plans, each with its name, as they come.
pub fn through(
    plans: impl Iterator<Item = (String, Plan)> + Send,
    threads: usize,
    limit: Option<Duration>,
    tell: impl Fn(&Plan, &Run) + Sync,
) -> Campaign {
    let (plans, all, began) =
        (Mutex::new(plans.enumerate()), Mutex::new(Campaign::default()), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while limit.is_none_or(|limit| began.elapsed() < limit) {
                    let next = plans.lock().map(|mut plans| plans.next());
                    let Ok(Some((number, (name, plan)))) = next else { return };
                    let began = processor_time();
                    let run = run(&plan);
                    let took = processor_time().saturating_sub(began);
                    if !run.violations.is_empty() {
                        tell(&plan, &run);
                    }
                    if let Ok(mut all) = all.lock() {
                        all.add(number, name, &run, took);
                    }
                }
            });
        }
    });
    let mut all = all.into_inner().unwrap_or_default();
    all.failed.sort();
    all
}

/// How long a core has worked for this thread.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

impl Campaign {
    fn add(&mut self, number: usize, name: String, run: &Run, took: Duration) {
        self.runs += 1;
        self.simulated += run.simulated;
        self.took += took;
        self.destroying += u64::from(run.lines.iter().any(|line| line.contains("DESTROYING → DESTROYED")));
        self.counts.add(&run.counts);
        self.failed.extend(run.violations.first().map(|violation| (number, name, violation.to_string())));
    }

    /// Simulated hours for each minute of one core.
    pub fn hours_a_minute(&self) -> f64 {
        self.simulated.as_secs_f64() / 60.0 / self.took.as_secs_f64().max(0.001)
    }

    pub fn report(&self) -> String {
        let mut text = String::new();
        let hours = self.simulated.as_secs_f64() / 3600.0;
        let counts = &self.counts;
        let _ = writeln!(
            text,
            "{} runs, {hours:.0} simulated hours, {:.0} hours a minute of one core; {} requests, {} effects, {} crashes; a \
             port was destroyed in {} runs",
            self.runs,
            self.hours_a_minute(),
            counts.requests,
            counts.effects,
            counts.crashes,
            self.destroying,
        );
        text
    }
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.effects += other.effects;
        self.crashes += other.crashes;
        sum(&mut self.troubles, &other.troubles);
        sum(&mut self.reasons, &other.reasons);
        sum(&mut self.rows, &other.rows);
        sum(&mut self.acts, &other.acts);
    }
}

fn sum<K: Clone + Ord>(into: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
    for (key, count) in from {
        *into.entry(key.clone()).or_default() += count;
    }
}
