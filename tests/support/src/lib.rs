//! What the tests that run the operator have in common.
//!
//! | module | what it does |
//! |---|---|
//! | [`oracle`] | judges what happened: data in, a verdict out |
//! | [`proxy`], [`tls`] | a connection that can be spoilt; Zenlayer behind TLS |
//!
//! It knows the operator by its API types and as a process, never by its decision. What a Kubernetes control plane is made of, and
//! knows nothing of the operator, is in `tests/cluster`.

pub mod oracle;
pub mod proxy;
pub mod tls;
