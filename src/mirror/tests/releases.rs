//! What releases cost in calls and in time, over the account in told time.

use super::account::{Account, Costs, Reads, Release};
use super::*;

/// Deletions, each so long after the one before: the API server answers about as fast.
const APART: Duration = Duration::from_millis(2);
/// Where the first deletion falls between two ticks decides much, so each figure is of several places: four, and of two for many
/// ports, which are spread by themselves.
const PLACES: u32 = 4;

/// How long the cloud takes to destroy a port.
#[derive(Clone, Copy, Debug)]
pub(super) enum Takes {
    Seconds(u64),
    /// Log-normal: of this median in seconds, with sigma 0.5, and without the longest and the shortest 2.5 %.
    About(u64),
    /// One half of the ports, and the other.
    Either(u64, u64),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Scenario {
    pub(super) ports: usize,
    pub(super) per_second: u32,
    pub(super) takes: Takes,
}

/// A release of all ports at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    /// DestroyPort and DescribePorts.
    pub(super) calls_per_port: f64,
    /// From DESTROYED to the end of the object, in seconds.
    pub(super) median: f64,
    pub(super) p99: f64,
    pub(super) longest_pause: Duration,
}

impl Takes {
    /// Of the port that has this place among so many; neighbours differ.
    fn of(self, number: usize, ports: usize) -> Duration {
        let place = small(number * 7919 % ports) + 0.5;
        let share = (place / small(ports)).clamp(0.025, 0.975);
        let millis = match self {
            Self::Seconds(seconds) => return Duration::from_secs(seconds),
            Self::Either(one, other) => return Duration::from_secs(if share < 0.5 { one } else { other }),
            // Tukey's approximation of the normal quantile.
            Self::About(median) => {
                let quantile = (share.powf(0.135) - (1.0 - share).powf(0.135)) / 0.1975;
                Duration::from_secs(median).mul_f64((0.5 * quantile).exp()).as_millis()
            }
        };
        Duration::from_millis(u64::try_from(millis).expect("not so long"))
    }
}

fn small(number: usize) -> f64 {
    f64::from(u32::try_from(number).expect("small"))
}

impl Scenario {
    pub(super) const fn new(ports: usize, per_second: u32, takes: Takes) -> Self {
        Self { ports, per_second, takes }
    }

    fn releases(&self, first: Monotonic) -> Vec<Release> {
        let release = |number| Release {
            deleted: first + APART * u32::try_from(number).expect("small"),
            takes: self.takes.of(number, self.ports),
        };
        (0..self.ports).map(release).collect()
    }
}

/// One release of each scenario after the other, in the same account.
pub(super) fn play(settings: MirrorSettings, reads: Reads, scenarios: &[Scenario]) -> Vec<Outcome> {
    let mut costs = vec![Costs::default(); scenarios.len()];
    let many = scenarios[0].ports > 100;
    for place in (0..PLACES).step_by(if many { 2 } else { 1 }) {
        let mut account = Account::new(settings, scenarios[0].per_second, reads);
        for (scenario, sum) in scenarios.iter().zip(&mut costs) {
            let tick = account.now().since(Monotonic::default()).as_secs() / 10 * 10 + 100;
            let offset = TICK * place / PLACES + Duration::from_millis(700);
            let first = Monotonic::from_start(Duration::from_secs(tick) + offset);
            let Costs { calls, lags, longest_pause } = account.release(&scenario.releases(first));
            sum.calls += calls;
            sum.lags.extend(lags);
            sum.longest_pause = sum.longest_pause.max(longest_pause);
        }
    }
    costs.into_iter().map(outcome).collect()
}

fn outcome(Costs { calls, mut lags, longest_pause }: Costs) -> Outcome {
    lags.sort_unstable();
    let percentile = |percent: usize| lags[(lags.len() * percent).div_ceil(100) - 1].as_secs_f64();
    Outcome {
        calls_per_port: 1.0 + small(calls) / small(lags.len()),
        median: percentile(50),
        p99: percentile(99),
        longest_pause,
    }
}

fn shipped(scenarios: &[Scenario]) -> Vec<Outcome> {
    play(MirrorSettings::default(), Reads::AsShipped, scenarios)
}

fn constant(scenario: Scenario) -> Outcome {
    play(MirrorSettings::default(), Reads::ByConstantTick, &[scenario])[0]
}

/// 60 s to destroy a port, at 40 requests a second.
const fn minute(ports: usize) -> Scenario {
    Scenario::new(ports, 40, Takes::Seconds(60))
}

#[test]
fn with_a_constant_tick_a_thousand_ports_come_to_what_the_bench_measured() {
    let outcome = constant(minute(1000));
    assert!((1.08..1.15).contains(&outcome.calls_per_port), "1.145 in the bench: {outcome:?}");
    assert!((10.0..11.5).contains(&outcome.median), "10.9 s in the bench: {outcome:?}");
}

#[test]
fn half_of_a_thousand_ports_are_gone_within_8_s_even_the_first_time_and_for_no_more_calls_than_the_goal() {
    let first_time = shipped(&[minute(1000); 2]);
    for (outcome, most) in first_time.iter().zip([1.12, 1.10]) {
        assert!(outcome.median <= 8.0 && outcome.calls_per_port <= most, "{first_time:?}");
    }
}

#[test]
fn few_ports_cost_no_more_calls_and_no_more_time_than_with_a_constant_tick() {
    for takes in [Takes::Seconds(60), Takes::About(60)] {
        for ports in [1, 10, 100] {
            let scenario = Scenario::new(ports, 40, takes);
            let (before, after) = (constant(scenario), shipped(&[scenario; 2]));
            for outcome in &after {
                let is_no_worse = outcome.calls_per_port <= before.calls_per_port
                    && outcome.median <= before.median
                    && outcome.p99 <= before.p99;
                assert!(is_no_worse, "{scenario:?}: {before:?}, then {after:?}");
            }
        }
    }
}

#[test]
fn scattered_times_do_not_make_it_dear() {
    for takes in [Takes::About(60), Takes::About(20), Takes::Either(20, 300), Takes::Seconds(10)] {
        let scenario = Scenario::new(400, 40, takes);
        let (before, after) = (constant(scenario), shipped(&[scenario; 2]));
        for outcome in &after {
            let is_no_worse = outcome.calls_per_port <= before.calls_per_port + 0.03
                && outcome.median < before.median - 1.0
                && outcome.p99 <= before.p99 + 1.0;
            assert!(is_no_worse, "{scenario:?}: {before:?}, then {after:?}");
        }
    }
}

#[test]
fn a_slow_account_is_read_seldom_once_it_is_known_to_be_slow() {
    let scenario = Scenario::new(100, 40, Takes::Seconds(3600));
    let (before, after) = (constant(scenario), shipped(&[scenario; 2]));
    let outcome = after[1];
    assert!(outcome.calls_per_port - 1.0 < (before.calls_per_port - 1.0) / 3.0, "{before:?}, then {after:?}");
    assert!(outcome.p99 <= before.p99, "{before:?}, then {after:?}");
    assert_eq!(outcome.longest_pause, MirrorSettings::default().held, "{after:?}");
}

#[test]
fn an_account_that_changes_is_learnt_anew_within_one_release() {
    for [earlier, later] in [[60, 20], [300, 20], [20, 300], [3600, 60]] {
        let [earlier, later] =
            [earlier, later].map(|seconds| Scenario::new(100, 40, Takes::Seconds(seconds)));
        let outcomes = shipped(&[earlier, earlier, later, later]);
        let before = constant(later);
        let held = MirrorSettings::default().held.as_secs_f64();
        assert!(
            outcomes[2].p99 <= before.p99 + held,
            "the first time: {later:?}: {before:?}, then {outcomes:?}"
        );
        let learnt = outcomes[3];
        let is_no_worse =
            learnt.median <= before.median && learnt.calls_per_port <= before.calls_per_port + 0.03;
        assert!(is_no_worse, "after that: {later:?}: {before:?}, then {outcomes:?}");
    }
}
