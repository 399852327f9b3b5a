use std::num::NonZeroUsize;
use std::time::Duration;

use crate::reading::Cadence;

/// The pace of the mirror.
#[derive(Clone, Copy, Debug)]
pub struct MirrorSettings {
    /// The tick, and the interval of [`Cadence::Release`]. A port that is being destroyed is read up to four times as often,
    /// or as seldom as every `held`, once the account has learnt how long its ports take.
    pub release: Duration,
    /// The interval of [`Cadence::Held`]; like `slow` it is rounded up to whole ticks.
    pub held: Duration,
    /// The interval of [`Cadence::Slow`].
    pub slow: Duration,
    /// How long a reading that is wanted at once waits for others to join it; at most a quarter of a tick.
    pub coalesce: Duration,
    /// The price of a call: while ports are destroyed, an account makes one when they have been gone for so long, all together
    /// and as far as it can foresee that. The shorter, the more calls (`docs/pace.md`).
    pub worth: Duration,
    /// How many ids a call asks for; Zenlayer takes up to 100 (`docs/zenlayer-api.md`, listing ports).
    pub batch: NonZeroUsize,
    /// How many calls one account may have under way.
    pub concurrent_reads: NonZeroUsize,
    /// After this long a call counts as failed, its wait for the client's limiter included.
    pub read_timeout: Duration,
    /// The longest pause after failures of an account; the first pause is a tick, each further one twice as long.
    pub max_backoff: Duration,
}

impl Default for MirrorSettings {
    fn default() -> Self {
        const CHUNK: NonZeroUsize = NonZeroUsize::new(100).unwrap();
        const CONCURRENT_READS: NonZeroUsize = NonZeroUsize::new(4).unwrap();
        Self {
            release: Duration::from_secs(10),
            held: Duration::from_mins(1),
            slow: Duration::from_mins(5),
            coalesce: Duration::from_millis(250),
            worth: Duration::from_mins(5),
            batch: CHUNK,
            concurrent_reads: CONCURRENT_READS,
            read_timeout: Duration::from_mins(2),
            max_backoff: Duration::from_mins(1),
        }
    }
}

impl MirrorSettings {
    /// The pause between two readings; none while paused.
    pub(super) fn interval(&self, cadence: Cadence) -> Option<Duration> {
        match cadence {
            Cadence::Release => Some(self.release),
            Cadence::Held => Some(self.held),
            Cadence::Slow => Some(self.slow),
            Cadence::Paused => None,
        }
    }
}
