//! Why a reconcile failed.

use std::time::Duration;

use crate::reconcile::Rejection;
use crate::server::ReconcileResult;

/// The bound of a whole reconcile: a call with its writes before and after it, and some.
pub(super) const DEADLINE: Duration = Duration::from_secs(90);

#[derive(Debug, thiserror::Error)]
pub(super) enum ReconcileError {
    #[error("cannot {verb} {what}: {source}")]
    Kubernetes { verb: &'static str, what: &'static str, source: Box<kube::Error> },
    #[error("the API server refuses {what}: {rejection}")]
    Refused { what: &'static str, rejection: Rejection },
    #[error("the object changed several times during the reconcile")]
    Contended,
    #[error("this replica no longer leads, so it does not change the port")]
    NotLeading,
    #[error("the reconcile took longer than {} s", DEADLINE.as_secs())]
    Deadline,
    #[error("the reconcile panicked: {0}")]
    Panicked(String),
}

impl ReconcileError {
    pub(super) fn kubernetes(verb: &'static str, what: &'static str, source: kube::Error) -> Self {
        Self::Kubernetes { verb, what, source: Box::new(source) }
    }

    pub(super) fn class(&self) -> ReconcileResult {
        match self {
            Self::Kubernetes { .. } => ReconcileResult::Kubernetes,
            Self::Refused { .. } => ReconcileResult::Refused,
            Self::Contended => ReconcileResult::Contended,
            Self::NotLeading => ReconcileResult::NotLeading,
            Self::Deadline => ReconcileResult::Deadline,
            Self::Panicked(_) => ReconcileResult::Panicked,
        }
    }
}
