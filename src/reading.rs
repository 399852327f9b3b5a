//! What is known of a port in the cloud, and since when.
//!
//! Three-valued on purpose: a port that could not be read is never an absent port.

use std::time::Duration;

use crate::clock::Monotonic;
use crate::fingerprint::Fingerprint;
use crate::port::PortInfo;

pub use crate::answer::Unreadable;

/// What a good reading (HTTP 200, well formed, complete, only ids that were asked for, none twice)
/// said of one port.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every reading sees a port")]
pub enum Presence {
    Seen(PortInfo),
    Absent,
}

/// The newest good reading of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub presence: Presence,
    /// When the request of the reading was sent: what it says is at least as new as that.
    pub at: Monotonic,
    /// The `at` of the first reading of the unbroken run of good readings that said the same: absent, or seen with
    /// this very `portStatus`.
    pub since: Monotonic,
}

/// The newest failed reading, if no good one came after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub why: Unreadable,
    /// When failures for this port began, without a good reading since.
    pub since: Monotonic,
    pub at: Monotonic,
}

/// An unbroken run of good readings without the port, all by one credential. Any reading with the port ends it; a failed reading
/// neither ends nor lengthens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absences {
    pub count: u32,
    pub first: Monotonic,
    pub last: Monotonic,
}

/// All that one credential's readings tell of one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The credential that read.
    pub by: Fingerprint,
    pub good: Option<Reading>,
    pub failure: Option<Failure>,
    pub absences: Option<Absences>,
    /// Since when somebody has waited for this port by this credential, without a pause.
    pub waiting_since: Monotonic,
    /// The pause between two readings that was last asked for, or the longer one that the mirror makes instead; none while paused.
    pub interval: Option<Duration>,
}

/// How often the mirror reads a port of its own accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cadence {
    /// A release is under way: the aligned tick (10 s), or as often as the account has learnt while the port is destroyed.
    Release,
    /// A live port held as `NotInRecycleBin` (1 min).
    Held,
    /// Alive, held, or queued beyond the next minute (5 min).
    Slow,
    /// During the grace: not at all.
    Paused,
}

/// What an object asks of the mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    pub cadence: Cadence,
    /// Read by this time (at once if it has passed) unless a good reading sent at or after it is there, and wake the
    /// object when there is.
    pub fresh_after: Option<Monotonic>,
}
