//! Effects at which a test can have the operator killed, or a reconcile panic. Compiled into debug builds only.

/// Names, in the environment of a debug build, an effect of a reconcile: `before-record` or `after-record`, and so on. The process
/// kills itself there; after `panic:`, each reconcile panics there.
pub const CRASH_AT: &str = "ZENLAYER_CRASH_AT";

/// Dies here, as by `kill -9`, or panics, if the environment says so. `when` is `before` or `after`.
#[cfg(debug_assertions)]
pub(super) fn reached(when: &str, effect: &str) {
    let Ok(asked) = std::env::var(CRASH_AT) else { return };
    let here = format!("{when}-{effect}");
    if asked == here {
        tracing::warn!(point = here, "{CRASH_AT} is set: killing this process");
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
    assert_ne!(asked.strip_prefix("panic:"), Some(here.as_str()), "as {CRASH_AT} says");
}

#[cfg(not(debug_assertions))]
pub(super) fn reached(_: &str, _: &str) {}
