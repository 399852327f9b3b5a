//! Places at which a test can have the operator killed, or a reconcile panic. Compiled into debug builds only.

/// Names, in the environment of a debug build, the point at which the process kills itself; after `panic:`, the point at
/// which each reconcile panics.
pub const CRASH_AT: &str = "ZENLAYER_CRASH_AT";

/// The steps of taking hold, of a disruptive call and of letting go, between which a process may die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CrashPoint {
    BeforeFinalizer,
    AfterFinalizer,
    BeforeRecord,
    AfterRecord,
    AfterCall,
    BeforeOutcome,
    BeforeFinalizerRemoval,
}

impl CrashPoint {
    #[cfg(debug_assertions)]
    fn name(self) -> &'static str {
        match self {
            Self::BeforeFinalizer => "before-finalizer",
            Self::AfterFinalizer => "after-finalizer",
            Self::BeforeRecord => "before-record",
            Self::AfterRecord => "after-record",
            Self::AfterCall => "after-call",
            Self::BeforeOutcome => "before-outcome",
            Self::BeforeFinalizerRemoval => "before-finalizer-removal",
        }
    }

    /// Dies here, as by `kill -9`, or panics, if the environment says so.
    #[cfg(debug_assertions)]
    pub(super) fn reached(self) {
        let Ok(asked) = std::env::var(CRASH_AT) else { return };
        if asked == self.name() {
            tracing::warn!(point = self.name(), "{CRASH_AT} is set: killing this process");
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
        assert_ne!(asked.strip_prefix("panic:"), Some(self.name()), "as {CRASH_AT} says");
    }

    #[cfg(not(debug_assertions))]
    pub(super) fn reached(self) {}
}
