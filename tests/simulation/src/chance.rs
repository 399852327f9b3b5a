//! Chance that can be repeated: each number follows from the seed and from what it is for.
//!
//! There is no stream of numbers that all draw from: whatever is left out of a run, the rest is drawn as before.

/// A number for this purpose, and for the n-th time of it.
pub fn draw(seed: u64, purpose: &str, nth: u64) -> u64 {
    let text = purpose.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mixed(mixed(seed ^ text).wrapping_add(nth.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

/// The last steps of `SplitMix64`.
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A short name for a text.
pub fn digest(text: &[u8]) -> u32 {
    let hash =
        text.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    hash ^ (hash >> 15)
}

/// Many numbers for one purpose.
#[derive(Clone, Debug)]
pub struct Dice {
    seed: u64,
    purpose: String,
    thrown: u64,
}

impl Dice {
    pub fn new(seed: u64, purpose: impl Into<String>) -> Self {
        Self { seed, purpose: purpose.into(), thrown: 0 }
    }

    pub fn throw(&mut self) -> u64 {
        self.thrown += 1;
        draw(self.seed, &self.purpose, self.thrown)
    }

    /// From the first to the last, both included.
    pub fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.throw() % (last.saturating_sub(first) + 1)
    }

    /// Whether it happens that happens so many times in a hundred.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.throw() % 100 < chance
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.throw() % from.len() as u64).unwrap_or_default()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_follows_from_seed_purpose_and_count_alone() {
        assert_eq!(draw(1, "latency", 3), draw(1, "latency", 3));
        let numbers =
            [draw(1, "latency", 3), draw(2, "latency", 3), draw(1, "faults", 3), draw(1, "latency", 4)];
        let different: std::collections::BTreeSet<u64> = numbers.into_iter().collect();
        assert_eq!(different.len(), 4, "{numbers:?}");
    }

    #[test]
    fn half_of_many_throws_at_fifty_percent_happen() {
        let mut dice = Dice::new(7, "coin");
        let happened = (0..10_000).filter(|_| dice.percent(50)).count();
        assert!((4_800..5_200).contains(&happened), "{happened}");
    }
}
