//! What the operator's Lease tells: whether one runs, its version, and the settings that decide.

use std::num::NonZeroU32;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use serde::Serialize;

use super::screen::age;
use crate::decision::GateSettings;
use crate::lease::{Announced, LEASE_LABEL};
use crate::text::sanitized;

/// The operator as far as it can be seen from here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "seen")]
pub enum Operator {
    #[serde(rename_all = "camelCase")]
    Running {
        namespace: String,
        holder: String,
        renewed: Timestamp,
        announced: Option<Announced>,
        others: bool,
    },
    /// Nobody holds the Lease, or its term is over: what the objects show may be old.
    #[serde(rename_all = "camelCase")]
    Stopped { namespace: String, renewed: Option<Timestamp>, announced: Option<Announced>, others: bool },
    /// There is no Lease.
    Missing,
    /// It could not be read, or says what cannot be.
    #[serde(rename_all = "camelCase")]
    Unknown { why: String },
}

/// The most that the clock of a node may be ahead of the clock here.
const AHEAD: SignedDuration = SignedDuration::from_secs(60);

/// Longer than the term of any Lease of the operator, which is 15 s.
const LONGEST_TERM: SignedDuration = SignedDuration::from_secs(60);

impl Operator {
    /// The operator that watches this namespace; none: of all. If there are several, it is one that does not run, or else the
    /// one that pauses the fewest deletions: whoever may write a Lease can pretend to be an operator.
    pub fn of(leases: &[Lease], namespace: Option<&str>, now: Timestamp) -> Self {
        let is_ours = |lease: &&Lease| {
            namespace.is_none() || announced_in(lease).is_none_or(|announced| announced.watches(namespace))
        };
        let ours: Vec<&Lease> = leases.iter().filter(is_ours).collect();
        let others = ours.len() > 1;
        let seen = ours.into_iter().map(|lease| Self::by(lease, others, now));
        seen.max_by_key(Self::concern).unwrap_or(Self::Missing)
    }

    /// More is worse.
    fn concern(&self) -> (u8, bool, u32) {
        let state = match self {
            Self::Running { .. } => 0,
            Self::Unknown { .. } => 1,
            Self::Stopped { .. } => 2,
            Self::Missing => 3,
        };
        let gates = self.gates().unwrap_or_else(default_gates);
        let threshold = gates.mass_deletion_threshold.map_or(u32::MAX, NonZeroU32::get);
        (state, !gates.require_approval, threshold)
    }

    fn by(lease: &Lease, others: bool, now: Timestamp) -> Self {
        let namespace = lease.metadata.namespace.clone().unwrap_or_default();
        let announced = announced_in(lease);
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
        let renewed = spec.renew_time.map(|time| time.0);
        let term = SignedDuration::from_secs(i64::from(spec.lease_duration_seconds.unwrap_or_default()));
        match (holder, renewed) {
            (_, Some(renewed)) if renewed.duration_since(now) > AHEAD => {
                let why = format!(
                    "the Lease in namespace {namespace} was renewed in the future: compare the clocks."
                );
                Self::Unknown { why }
            }
            (Some(holder), Some(renewed)) if now.duration_since(renewed) <= term.min(LONGEST_TERM) * 2 => {
                let holder = sanitized(holder.split('_').next().unwrap_or_default());
                Self::Running { namespace, holder, renewed, announced, others }
            }
            (_, renewed) => Self::Stopped { namespace, renewed, announced, others },
        }
    }

    /// Whether nobody works.
    pub fn is_down(&self) -> bool {
        matches!(self, Self::Stopped { .. } | Self::Missing)
    }

    /// Whether there are several, of which this is one.
    pub fn has_others(&self) -> bool {
        matches!(self, Self::Running { others: true, .. } | Self::Stopped { others: true, .. })
    }

    pub fn describe(&self, now: Timestamp) -> String {
        let version = |announced: &Option<Announced>| {
            announced.as_ref().map(|announced| format!(" {}", announced.version)).unwrap_or_default()
        };
        match self {
            Self::Running { namespace, holder, renewed, announced, .. } => format!(
                "The operator{} runs in namespace {namespace} ({holder}, seen {} ago).",
                version(announced),
                age(now.duration_since(*renewed).max(SignedDuration::ZERO))
            ),
            Self::Stopped { namespace, renewed, announced, .. } => format!(
                "The operator{} in namespace {namespace} does not run{}: nothing happens, and what follows may be old.",
                version(announced),
                renewed
                    .map(|at| format!(" (last seen {} ago)", age(now.duration_since(at))))
                    .unwrap_or_default()
            ),
            Self::Missing => "There is no Lease of the operator in this cluster: it does not run, or is older than this plugin. \
                              What follows may be old."
                .to_owned(),
            Self::Unknown { why } => format!("Whether the operator runs is unknown: {why}"),
        }
    }

    /// The command that shows why it does not run; none if it runs.
    pub fn look_at(&self) -> Option<String> {
        let pods = |scope: &str| {
            let (key, value) = LEASE_LABEL;
            format!("kubectl get pods {scope} -l {key}={value}")
        };
        match self {
            Self::Stopped { namespace, .. } => Some(pods(&format!("-n {namespace}"))),
            Self::Missing => Some(pods("-A")),
            Self::Running { .. } | Self::Unknown { .. } => None,
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

/// Whoever may write a Lease may write what they like into it.
fn announced_in(lease: &Lease) -> Option<Announced> {
    let announced = Announced::in_lease(lease)?;
    Some(Announced { version: sanitized(&announced.version), ..announced })
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: &str = "2026-01-01T00:01:00Z";

    fn lease(renewed: &str, announced: &str) -> Lease {
        serde_json::from_value(json!({
            "metadata": { "name": "x", "namespace": "zenlayer-system", "annotations": { "sdn.zenlayer.com/operator": announced } },
            "spec": { "holderIdentity": "pod-1_0123", "leaseDurationSeconds": 15, "renewTime": renewed },
        }))
        .expect("a Lease")
    }

    fn of(leases: &[Lease], namespace: Option<&str>) -> String {
        Operator::of(leases, namespace, NOW.parse().expect("a time")).describe(NOW.parse().expect("a time"))
    }

    const FRESH: &str = "2026-01-01T00:00:50.000000Z";
    const STALE: &str = "2026-01-01T00:00:20.000000Z";
    const ANNOUNCED: &str = r#"{"version":"1.2.3","massDeletionThreshold":20,"requireApproval":false}"#;

    #[test]
    fn a_lease_that_nobody_renews_says_that_nothing_happens() {
        let running = of(&[lease(FRESH, ANNOUNCED)], None);
        assert!(
            running.starts_with("The operator 1.2.3 runs in namespace zenlayer-system (pod-1, seen 10s ago)"),
            "{running}"
        );
        let stopped = of(&[lease(STALE, ANNOUNCED)], None);
        assert!(stopped.contains("does not run (last seen 40s ago): nothing happens"), "{stopped}");
        let future = of(&[lease("2027-01-01T00:00:00.000000Z", ANNOUNCED)], None);
        assert!(future.contains("renewed in the future"), "{future}");
        assert!(of(&[], None).contains("There is no Lease"));
    }

    #[test]
    fn of_several_operators_the_one_that_is_down_is_told_and_a_namespace_has_its_own() {
        let of_b =
            r#"{"version":"2","massDeletionThreshold":1,"requireApproval":true,"watchNamespaces":["b"]}"#;
        let of_a =
            r#"{"version":"1","massDeletionThreshold":20,"requireApproval":false,"watchNamespaces":["a"]}"#;
        let leases = [lease(FRESH, of_a), lease(STALE, of_b)];
        assert!(of(&leases, None).starts_with("The operator 2 in namespace zenlayer-system does not run"));
        assert!(of(&leases, Some("a")).starts_with("The operator 1 runs"));
        assert!(of(&leases, Some("b")).contains("does not run"));
    }

    #[test]
    fn a_forged_lease_hides_no_outage_and_promises_no_pause() {
        let forged = |renewed| {
            let announced = r#"{"version":"9","massDeletionThreshold":1,"requireApproval":true}"#;
            let mut lease = lease(renewed, announced);
            lease.spec.as_mut().expect("a spec").lease_duration_seconds = Some(i32::MAX);
            lease
        };
        let of_both = |true_one: &str| {
            let leases = [forged(FRESH), lease(true_one, ANNOUNCED)];
            Operator::of(&leases, Some("a"), NOW.parse().expect("a time"))
        };
        assert!(of_both(STALE).is_down(), "{:?}", of_both(STALE));
        assert_eq!(
            of_both(FRESH).gates().expect("its settings").mass_deletion_threshold,
            NonZeroU32::new(20)
        );
        let old = Operator::of(&[forged("2025-12-31T23:00:00.000000Z")], None, NOW.parse().expect("a time"));
        assert!(old.is_down(), "nobody has renewed it for an hour: {old:?}");
    }

    #[test]
    fn what_stands_in_a_lease_steers_no_terminal() {
        let forged = r#"{"version":"1\u001b[2J","massDeletionThreshold":20,"requireApproval":false}"#;
        let told = of(&[lease(FRESH, forged)], None);
        assert!(!told.contains('\u{1b}'), "{told:?}");
    }
}
