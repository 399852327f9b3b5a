//! Parts of a deterministic simulation. So far: [`ApiServer`], a Kubernetes API server in memory behind a real
//! `kube::Client`.
//!
//! It answers as kube-apiserver 1.36 does, as far as the operator and its people ask: `tests/conformance` plays a script
//! to it, and compares the answers with those of a real one, which `golden.json` holds. `cargo xtask conformance --record`
//! records them again.
//!
//! # What it does otherwise, knowingly
//!
//! It says so with 501 and `NotImplemented`, never with an answer that could be taken for a real one:
//!
//! - server-side apply, strategic merge patches, and `fieldValidation=Strict`;
//! - deletion of collections, `propagationPolicy` `Foreground` and `Orphan`, a deletion with `dryRun`;
//! - `sendInitialEvents`; selectors with `in` and `notin`; subresources other than `status`;
//! - rules of definitions other than `self.matches('…')` and `self == oldSelf`; policies with an expression other than
//!   `false`.
//!
//! It says nothing of these:
//!
//! - There is no RBAC: everybody may do everything. `managedFields` are not kept. Lists are never shown as tables.
//! - A write counts at once, as no cache is behind: a policy and a quota are in force when they are stored, a definition at
//!   the next [`ApiServer::work`]. The real server takes up to a second, and answers `status unknown for quota` meanwhile.
//! - The control plane writes nothing of its own into a namespace (`kube-root-ca.crt`). A quota counts the objects that are
//!   there; its own status stays empty, and it counts no kind of a definition that the real one would not know yet.
//! - Events do not expire, and one that the core group writes gets no defaults.
//! - Several causes of one refusal come in one order; the real server's order varies.
//! - A malformed body, patch or token is refused with other words. Of a schema it knows types, `required`, `enum`,
//!   `minLength`, `maxLength`, `minimum`, `nullable`, defaults, and the rules above. It drops fields that it does not know.
//! - A watch without `timeoutSeconds` lasts 45 minutes; the real server draws between 30 and 60. Bookmarks come each minute
//!   and 2 s before the end; the real server sends them about then, or not at all.
//! - A version that is asked for and is too large is refused at once; the real server waits 3 s for it.
//! - A namespace is emptied 5 s after its deletion and looked at again each 8 s, a definition each 5 s.

mod api;
pub mod assumptions;
pub mod campaign;
pub mod chance;
pub mod document;
pub mod journal;
pub mod oracle;
pub mod page;
pub mod plan;
pub mod seed;
pub mod shrink;
pub mod story;
pub mod sweep;
mod world;

pub use api::{ApiServer, Body};
pub use world::{AFTER_CRASH, CALM, Counts, IN_FAULT, Run, run, run_again};
