//! Figures for `/metrics`. No label holds anything that users choose, and every value of a label that can be known is there
//! from the start, with 0.

mod classic;
mod process;
mod state;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub use self::state::State;
use self::state::{Live, Sources};
use crate::api::{DeletionPolicy, Reason};
use crate::zenlayer::RequestMetrics;

/// What each name of this operator's metrics begins with.
const PREFIX: &str = "zenlayer_port_operator";

/// The commit that the build was told of.
const REVISION: &str = match option_env!("ZENLAYER_PORT_OPERATOR_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// In seconds.
const RECONCILE_BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0];
const DELETION_BUCKETS: [f64; 11] =
    [15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0, 172_800.0, 604_800.0];

/// How a reconcile ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReconcileResult {
    Ok,
    Kubernetes,
    Refused,
    Contended,
    NotLeading,
    Deadline,
    Panicked,
}

impl ReconcileResult {
    const ALL: [Self; 7] = [
        Self::Ok,
        Self::Kubernetes,
        Self::Refused,
        Self::Contended,
        Self::NotLeading,
        Self::Deadline,
        Self::Panicked,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Kubernetes => "kubernetes",
            Self::Refused => "refused",
            Self::Contended => "contended",
            Self::NotLeading => "not_leading",
            Self::Deadline => "deadline",
            Self::Panicked => "panicked",
        }
    }
}

/// The reasons that a deletion can end with.
const ENDS: [Reason; 5] = [
    Reason::PortDestroyed,
    Reason::PortGone,
    Reason::PortNeverFound,
    Reason::PortRetained,
    Reason::PortRecycled,
];

/// The metrics. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    reconciles: Family<ResultLabel, Counter>,
    reconcile_duration: Histogram,
    deletions: Family<ReasonLabel, Counter>,
    deletion_duration: Family<PolicyLabel, Histogram, fn() -> Histogram>,
    pub watch_errors: Counter,
    pub events_lost: Counter,
    sources: Arc<Sources>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicyLabel {
    policy: &'static str,
}

/// When a watch last heard of the API server.
#[derive(Clone, Debug)]
pub struct LastHeard(Arc<AtomicI64>);

impl LastHeard {
    fn since(start: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(start.as_second())))
    }

    /// The API server has answered or sent something at this time.
    pub fn at(&self, time: Timestamp) {
        self.0.store(time.as_second(), Ordering::Relaxed);
    }

    /// In seconds since 1970.
    pub(crate) fn seconds(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn never() -> Self {
        Self(Arc::default())
    }

    #[cfg(test)]
    pub(crate) fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(&RequestMetrics::default())
    }
}

impl Metrics {
    /// With those of the requests to Zenlayer.
    pub fn new(requests: &RequestMetrics) -> Self {
        let mut registry = Registry::default();
        let sources = Arc::new(Sources::default());
        registry
            .sub_registry_with_prefix("process")
            .register_collector(Box::new(process::Process::started()));
        let of_operator = registry.sub_registry_with_prefix(PREFIX);
        requests.register(of_operator);
        let mut metrics = Self {
            registry: Arc::default(),
            reconciles: Family::default(),
            reconcile_duration: Histogram::new(RECONCILE_BUCKETS),
            deletions: Family::default(),
            deletion_duration: Family::new_with_constructor(|| Histogram::new(DELETION_BUCKETS)),
            watch_errors: Counter::default(),
            events_lost: Counter::default(),
            sources: Arc::clone(&sources),
        };
        metrics.register(of_operator);
        of_operator.register_collector(Box::new(Live(sources)));
        metrics.registry = Arc::new(registry);
        metrics
    }

    fn register(&self, registry: &mut Registry) {
        registry.register(
            "build",
            "The version of the operator, and the commit that it was built from",
            Info::new([("version", env!("CARGO_PKG_VERSION")), ("revision", REVISION)]),
        );
        registry.register("reconciles", "Reconciles of an object, by result", self.reconciles.clone());
        registry.register(
            "reconcile_duration_seconds",
            "How long a reconcile of an object takes",
            self.reconcile_duration.clone(),
        );
        registry.register(
            "deletions",
            "Deletions that ended: the operator removed its finalizer, for this reason",
            self.deletions.clone(),
        );
        registry.register(
            "deletion_duration_seconds",
            "Time from the deletion of an object until the operator removes its finalizer, by deletionPolicy",
            self.deletion_duration.clone(),
        );
        registry.register(
            "watch_errors",
            "Times that the watch on ZenlayerPorts failed",
            self.watch_errors.clone(),
        );
        registry.register(
            "events_lost",
            "Kubernetes Events that the operator could not send",
            self.events_lost.clone(),
        );
        for result in ReconcileResult::ALL {
            drop(self.reconciles.get_or_create(&ResultLabel { result: result.as_str() }));
        }
        for reason in ENDS {
            drop(self.deletions.get_or_create(&ReasonLabel { reason: reason.as_str() }));
        }
        for policy in DeletionPolicy::ALL {
            drop(self.deletion_duration.get_or_create(&PolicyLabel { policy: policy.as_str() }));
        }
    }

    /// How to learn whether this replica leads.
    pub fn observe_leadership(&self, leads: impl Fn() -> bool + Send + Sync + 'static) {
        // Only the first counts: a process has one Lease.
        let _ = self.sources.leads.set(Box::new(leads));
    }

    /// Where the figures come from that only the leader has; none: it has ended.
    pub fn observe_state(&self, state: impl Fn() -> Option<State> + Send + Sync + 'static) {
        // Only the first counts: a process leads once.
        let _ = self.sources.state.set(Box::new(state));
    }

    /// A new watch, which is to say when it hears of the API server.
    pub fn watch(&self, start: Timestamp) -> LastHeard {
        let heard = LastHeard::since(start);
        self.sources.watches.lock().unwrap_or_else(PoisonError::into_inner).push(heard.clone());
        heard
    }

    pub fn count_reconcile(&self, result: ReconcileResult, took: Duration) {
        self.reconciles.get_or_create(&ResultLabel { result: result.as_str() }).inc();
        self.reconcile_duration.observe(took.as_secs_f64());
    }

    /// The operator has removed its finalizer.
    pub fn count_deletion(&self, policy: DeletionPolicy, reason: Reason, took: Duration) {
        self.deletions.get_or_create(&ReasonLabel { reason: reason.as_str() }).inc();
        self.deletion_duration
            .get_or_create(&PolicyLabel { policy: policy.as_str() })
            .observe(took.as_secs_f64());
    }

    /// The metrics in the OpenMetrics text format.
    pub fn open_metrics(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }

    /// The metrics in the classic text format of Prometheus, 0.0.4.
    pub fn classic(&self) -> String {
        classic::of(&self.open_metrics())
    }
}
