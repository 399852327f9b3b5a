use std::time::Duration;

/// The durations that decisions rest on. All but `grace` and the intervals are fixed in production; tests shorten them
/// together by [`Timing::scaled`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The age up to which a reading justifies an act.
    pub reading_valid: Duration,
    /// Between `deletionTimestamp` and the first disruptive call.
    pub grace: Duration,
    /// How long a deletion counts towards a mass deletion after its call was sent or its object went.
    pub mass_deletion_window: Duration,
    /// How long a call without a clear answer may still be carried out.
    pub settle: Duration,
    /// How long an accepted call may take to show.
    pub land: Duration,
    /// Between two readings that show a port live after it was in the bin.
    pub restored_apart: Duration,
    /// How long `Observing` and `ConfirmingAbsence` last before they are shown.
    pub quiet: Duration,
    /// How long after the grace a call waits for what another object with the same port id has seen.
    pub claim_wait: Duration,
    /// Between credentials that cannot be used and the next look at them.
    pub credentials_recheck: Duration,
    /// Between two questions about what uses the ports of an account.
    pub attachments_recheck: Duration,
    /// Between two lists of all objects: a watch on an etcd that was restored to older revisions shows nothing and does not
    /// fail, and no deletion may be missed for good.
    pub relist: Duration,
    /// The pause after the first refusal; it doubles up to `refused_max`.
    pub refused_min: Duration,
    pub refused_max: Duration,
    pub proof: ProofTiming,
    /// The mirror's pauses between readings.
    pub release_interval: Duration,
    pub held_interval: Duration,
    pub slow_interval: Duration,
}

/// How far apart the good readings without a port must be to prove its absence (`docs/architecture.md`, proof).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofTiming {
    pub never_seen: Duration,
    /// The age of an object below which "never seen" proves nothing.
    pub never_seen_object_age: Duration,
    pub destroyed: Duration,
    pub recycled: Duration,
    pub otherwise: Duration,
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            reading_valid: seconds(30),
            grace: seconds(10),
            mass_deletion_window: seconds(600),
            settle: seconds(60),
            land: seconds(600),
            restored_apart: seconds(10),
            quiet: seconds(10),
            claim_wait: seconds(60),
            credentials_recheck: seconds(60),
            attachments_recheck: seconds(60),
            relist: seconds(600),
            refused_min: seconds(30),
            refused_max: seconds(600),
            proof: ProofTiming {
                never_seen: seconds(30),
                never_seen_object_age: seconds(60),
                destroyed: seconds(5),
                recycled: seconds(120),
                otherwise: seconds(600),
            },
            release_interval: seconds(10),
            held_interval: seconds(60),
            slow_interval: seconds(300),
        }
    }
}

impl Timing {
    /// The same with every duration multiplied by `factor`.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        let scale = |duration: Duration| duration.mul_f64(factor);
        let Self { reading_valid, grace, settle, land, restored_apart, quiet, credentials_recheck, .. } =
            self;
        let ProofTiming { never_seen, never_seen_object_age, destroyed, recycled, otherwise } = self.proof;
        Self {
            reading_valid: scale(reading_valid),
            grace: scale(grace),
            mass_deletion_window: scale(self.mass_deletion_window),
            settle: scale(settle),
            land: scale(land),
            restored_apart: scale(restored_apart),
            quiet: scale(quiet),
            claim_wait: scale(self.claim_wait),
            credentials_recheck: scale(credentials_recheck),
            attachments_recheck: scale(self.attachments_recheck),
            relist: scale(self.relist),
            refused_min: scale(self.refused_min),
            refused_max: scale(self.refused_max),
            proof: ProofTiming {
                never_seen: scale(never_seen),
                never_seen_object_age: scale(never_seen_object_age),
                destroyed: scale(destroyed),
                recycled: scale(recycled),
                otherwise: scale(otherwise),
            },
            release_interval: scale(self.release_interval),
            held_interval: scale(self.held_interval),
            slow_interval: scale(self.slow_interval),
        }
    }
}
