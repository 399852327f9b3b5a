//! The cases, by what they spoil.

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
