//! What the operator's Lease tells: whether one runs, its version, and the settings that decide.

use std::num::NonZeroU32;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use serde::Serialize;

use super::screen::age;
use crate::decision::GateSettings;
use crate::lease::Announced;

/// The operator as far as it can be seen from here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "seen")]
pub enum Operator {
    #[serde(rename_all = "camelCase")]
    Running { namespace: String, holder: String, renewed: Timestamp, announced: Option<Announced> },
    /// Nobody holds the Lease, or its term is over: what the objects show may be old.
    #[serde(rename_all = "camelCase")]
    Stopped { namespace: String, renewed: Option<Timestamp>, announced: Option<Announced> },
    /// There is no Lease.
    Missing,
    /// It could not be read.
    #[serde(rename_all = "camelCase")]
    Unknown { why: String },
}

impl Operator {
    /// The newest of the Leases of operators that watch this namespace; none: whatever they watch.
    pub fn of(leases: &[Lease], namespace: Option<&str>, now: Timestamp) -> Self {
        let is_ours = |lease: &&Lease| {
            namespace.is_none()
                || Announced::in_lease(lease).is_none_or(|announced| announced.watches(namespace))
        };
        let renewed =
            |lease: &Lease| lease.spec.as_ref().and_then(|spec| spec.renew_time.as_ref()).map(|time| time.0);
        let Some(lease) = leases.iter().filter(is_ours).max_by_key(|lease| renewed(lease)) else {
            return Self::Missing;
        };
        let namespace = lease.metadata.namespace.clone().unwrap_or_default();
        let announced = Announced::in_lease(lease);
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
        let seconds = i64::from(spec.lease_duration_seconds.unwrap_or_default());
        match (holder, renewed(lease)) {
            (Some(holder), Some(renewed))
                if now.duration_since(renewed) <= SignedDuration::from_secs(seconds.saturating_mul(2)) =>
            {
                let holder = holder.split('_').next().unwrap_or_default().to_owned();
                Self::Running { namespace, holder, renewed, announced }
            }
            (_, renewed) => Self::Stopped { namespace, renewed, announced },
        }
    }

    pub fn describe(&self, now: Timestamp) -> String {
        let version = |announced: &Option<Announced>| {
            announced.as_ref().map(|announced| format!(" {}", announced.version)).unwrap_or_default()
        };
        match self {
            Self::Running { namespace, holder, renewed, announced } => format!(
                "The operator{} runs in namespace {namespace} ({holder}, seen {} ago).",
                version(announced),
                age(now.duration_since(*renewed).max(SignedDuration::ZERO))
            ),
            Self::Stopped { namespace, renewed, announced } => format!(
                "The operator{} in namespace {namespace} does not run{}: nothing happens, and what follows may be old. \
                 See: kubectl get pods -n {namespace} -l app.kubernetes.io/name=zenlayer-port-operator",
                version(announced),
                renewed
                    .map(|at| format!(" (last seen {} ago)", age(now.duration_since(at))))
                    .unwrap_or_default()
            ),
            Self::Missing => {
                "There is no Lease of the operator in this cluster: it does not run, or is older than this \
                              plugin. What follows may be old."
                    .to_owned()
            }
            Self::Unknown { why } => format!("Whether the operator runs is unknown: {why}"),
        }
    }

    /// Whether it counts the objects of this namespace.
    pub fn watches(&self, namespace: Option<&str>) -> bool {
        match self {
            Self::Running { announced, .. } | Self::Stopped { announced, .. } => {
                announced.as_ref().is_none_or(|announced| announced.watches(namespace))
            }
            Self::Missing | Self::Unknown { .. } => true,
        }
    }

    /// What it was started with; none where it does not say.
    pub fn gates(&self) -> Option<GateSettings> {
        match self {
            Self::Running { announced, .. } | Self::Stopped { announced, .. } => {
                announced.as_ref().map(gates)
            }
            Self::Missing | Self::Unknown { .. } => None,
        }
    }
}

fn gates(announced: &Announced) -> GateSettings {
    GateSettings {
        mass_deletion_threshold: NonZeroU32::new(announced.mass_deletion_threshold),
        require_approval: announced.require_approval,
    }
}

/// The settings of an operator that does not say its own.
pub fn default_gates() -> GateSettings {
    GateSettings { mass_deletion_threshold: NonZeroU32::new(20), require_approval: false }
}
