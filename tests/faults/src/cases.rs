//! The cases, by where their faults are.

mod cloud_answers;
mod cloud_lists;
mod cloud_states;
mod kubernetes;
mod process;
mod scale;
mod storage;

use crate::Case;

/// Every case of the matrix.
pub static CASES: &[&[Case]] = &[
    process::CASES,
    kubernetes::CASES,
    storage::CASES,
    cloud_answers::CASES,
    cloud_lists::CASES,
    cloud_states::CASES,
    scale::CASES,
];

/// The cases that `cargo test` runs (`tests/fault_matrix.rs`): some of every kind.
pub const IN_CARGO_TEST: &[&str] = &[
    "killed-before-finalizer",
    "killed-at-any-moment",
    "terminated-mid-call",
    "paused-mid-call",
    "panics",
    "out-of-file-descriptors",
    "two-releases-active",
    "watch-cut",
    "conflict-storm",
    "no-right-to-status",
    "no-right-to-finalizer",
    "rejected-by-policy",
    "kind-deleted",
    "kind-applied-again",
    "finalizer-stripped",
    "secret-rotated-mid-call",
    "lease-lost",
    "restored-in-deletion",
    "applied-late",
    "bad-answers-to-calls",
    "half-open",
    "certificates",
    "redirected",
    "living-port-missing",
    "filter-ignored",
    "anothers-port",
    "id-used-again",
    "destroyed-by-somebody-else",
    "hostile-content",
];

/// A table of cases: name, faults, control plane, expectation, and the case as an `async` block with a bench.
macro_rules! cases {
    ($($name:literal [$($fault:literal)*] $plane:ident $expectation:literal |$bench:ident| $body:block)*) => {
        pub(super) const CASES: &[$crate::Case] = &[$(
            $crate::Case {
                name: $name,
                faults: &[$($fault),*],
                expectation: $expectation,
                plane: $crate::Plane::$plane,
                run: |$bench| Box::pin(async move { $body Ok(()) }),
            }
        ),*];
    };
}
use cases;
