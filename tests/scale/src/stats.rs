//! What many durations come to.

use std::time::Duration;

/// Median, 99th percentile and maximum, by nearest rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    pub median: Duration,
    pub p99: Duration,
    pub max: Duration,
}

impl Spread {
    /// All zero if there are none.
    pub fn of(durations: impl IntoIterator<Item = Duration>) -> Self {
        let mut sorted: Vec<Duration> = durations.into_iter().collect();
        sorted.sort_unstable();
        let rank = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).max(1);
            sorted.get(rank - 1).copied().unwrap_or_default()
        };
        Self { median: rank(50), p99: rank(99), max: rank(100) }
    }
}

/// Deterministic draws from a log-normal distribution: the `n`-th of `of` equally likely values, so that two runs see the
/// same cloud. Acklam's approximation of the normal quantile within its central region, clamped beyond (2.5 % on each
/// side), which also bounds how long a run takes.
pub fn log_normal(median: Duration, sigma: f64, n: usize, of: usize) -> Duration {
    let share = (small(n) + 0.5) / small(of.max(1));
    median.mul_f64((sigma * normal_quantile(share.clamp(0.025, 0.975))).exp())
}

/// Of the standard normal distribution, for shares from 0.02425 to 0.97575; relative error below 1.2e-9.
fn normal_quantile(share: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 6] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ];
    let q = share - 0.5;
    let r = q * q;
    let polynomial = |terms: [f64; 6]| terms.into_iter().fold(0.0, |sum, term| sum * r + term);
    q * polynomial(A) / polynomial(B)
}

/// Counts here are far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub fn small(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_spread_is_by_nearest_rank() {
        let spread = Spread::of((1..=200).rev().map(seconds));
        assert_eq!(spread, Spread { median: seconds(100), p99: seconds(198), max: seconds(200) });
        assert_eq!(Spread::of([seconds(7)]), Spread { median: seconds(7), p99: seconds(7), max: seconds(7) });
        assert_eq!(Spread::of([]), Spread::default());
    }

    #[test]
    fn the_quantiles_are_those_of_the_normal_distribution() {
        for (share, expected) in
            [(0.5, 0.0), (0.841_344_746, 1.0), (0.158_655_254, -1.0), (0.975, 1.959_963_985)]
        {
            let quantile = normal_quantile(share);
            assert!((quantile - expected).abs() < 1e-6, "{share}: {quantile}");
        }
    }

    #[test]
    fn half_of_the_draws_lie_below_the_median() {
        let draws: Vec<_> = (0..1000).map(|n| log_normal(seconds(60), 0.5, n, 1000)).collect();
        assert_eq!(draws.iter().filter(|draw| **draw < seconds(60)).count(), 500);
        assert!(draws.iter().max() < Some(&seconds(180)), "the tail is cut");
    }
}
