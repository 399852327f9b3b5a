//! How long a reading is good enough to be shown.

use std::time::Duration;

use super::Input;
use crate::reading::Evidence;

/// A reading is shown for three of its ticks, so that a failed one writes nothing.
pub(super) fn shown_for(input: &Input<'_>, evidence: &Evidence) -> Duration {
    let tick = evidence.interval.unwrap_or(input.timing.slow_interval);
    (tick * 3).max(input.timing.reading_valid)
}

/// While readings fail, the time until the last good one is too old to be shown: nothing else would wake the object then.
pub(super) fn until_stale(input: &Input<'_>) -> Option<Duration> {
    let evidence = input.evidence?;
    let (good, failure) = (evidence.good.as_ref()?, evidence.failure.as_ref()?);
    let stale = good.at + shown_for(input, evidence) + Duration::from_millis(1);
    (failure.at > good.at).then(|| stale.since(input.now.monotonic)).filter(|remaining| !remaining.is_zero())
}
