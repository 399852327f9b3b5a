//! Figures for `/metrics`, in the OpenMetrics text format. No label holds anything that users choose.

use std::sync::{Arc, OnceLock};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::answer::RefusalKind;
use crate::api::{CallAction, Reason};
use crate::mirror::MirrorStats;
use crate::zenlayer::ChangeAnswer;

/// The counters. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    reconciles: Family<ResultLabel, Counter>,
    calls: Family<CallLabel, Counter>,
    released: Family<ReasonLabel, Counter>,
    pub watch_errors: Counter,
    pub invalid_objects: Gauge,
    pub events_lost: Counter,
    mirror: Arc<OnceLock<ReadMirror>>,
}

type ReadMirror = Box<dyn Fn() -> MirrorStats + Send + Sync>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabel {
    action: &'static str,
    answer: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("zenlayer_port_operator");
        let reconciles = Family::<ResultLabel, Counter>::default();
        let calls = Family::<CallLabel, Counter>::default();
        let released = Family::<ReasonLabel, Counter>::default();
        let (watch_errors, events_lost) = (Counter::default(), Counter::default());
        let invalid_objects = Gauge::default();
        registry.register("reconciles", "Reconciles of an object, by result", reconciles.clone());
        registry.register(
            "zenlayer_changes",
            "TerminatePort and DestroyPort calls, by Zenlayer's answer",
            calls.clone(),
        );
        registry.register(
            "finalizers_removed",
            "Finalizers that the operator removed, by reason",
            released.clone(),
        );
        registry.register(
            "watch_errors",
            "Times that the watch on ZenlayerPorts failed",
            watch_errors.clone(),
        );
        registry.register(
            "invalid_objects",
            "ZenlayerPorts that this version cannot parse (InvalidSpec)",
            invalid_objects.clone(),
        );
        registry.register("events_lost", "Kubernetes Events that could not be sent", events_lost.clone());
        Self {
            registry: Arc::new(registry),
            reconciles,
            calls,
            released,
            watch_errors,
            invalid_objects,
            events_lost,
            mirror: Arc::default(),
        }
    }
}

impl Metrics {
    /// Where the figures of the port mirror come from.
    pub fn observe_mirror(&self, stats: impl Fn() -> MirrorStats + Send + Sync + 'static) {
        // Only the first counts; there is one mirror.
        let _ = self.mirror.set(Box::new(stats));
    }

    pub fn count_pass(&self, result: &'static str) {
        self.reconciles.get_or_create(&ResultLabel { result }).inc();
    }

    pub fn count_call(&self, action: CallAction, answer: &ChangeAnswer) {
        let answer = match answer {
            ChangeAnswer::Accepted { .. } => "accepted",
            ChangeAnswer::Refused(refusal) => match refusal.kind {
                RefusalKind::Throttled => "throttled",
                RefusalKind::NotFound => "not_found",
                RefusalKind::Unauthorized => "unauthorized",
                RefusalKind::PermissionDenied => "permission_denied",
                RefusalKind::ClockSkew => "clock_skew",
                RefusalKind::Other => "refused",
            },
            ChangeAnswer::Unclear { .. } => "unclear",
            ChangeAnswer::NotSent { .. } => "not_sent",
        };
        self.calls.get_or_create(&CallLabel { action: action.as_str(), answer }).inc();
    }

    pub fn count_let_go(&self, reason: Reason) {
        self.released.get_or_create(&ReasonLabel { reason: reason.as_str() }).inc();
    }

    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = prometheus_client::encoding::text::encode_registry(&mut text, &self.registry);
        if let Some(stats) = self.mirror.get().map(|stats| stats()) {
            let _ = encode_mirror(&mut text, &stats);
        }
        let _ = prometheus_client::encoding::text::encode_eof(&mut text);
        text
    }
}

fn encode_mirror(text: &mut String, stats: &MirrorStats) -> std::fmt::Result {
    use prometheus_client::metrics::gauge::ConstGauge;
    let mut registry = Registry::with_prefix("zenlayer_port_operator_mirror");
    let gauge = |figure: usize| ConstGauge::new(i64::try_from(figure).unwrap_or(i64::MAX));
    let counter = |figure: u64| prometheus_client::metrics::counter::ConstCounter::new(figure);
    registry.register("accounts", "Keys that the operator checks ports with", gauge(stats.accounts));
    registry.register("ports", "Ports that the operator checks", gauge(stats.ports));
    registry.register("reads", "Status checks of up to 100 ports that succeeded", counter(stats.reads_ok));
    registry.register(
        "reads_failed",
        "Status checks of up to 100 ports that failed",
        counter(stats.reads_failed),
    );
    prometheus_client::encoding::text::encode_registry(text, &registry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_one_open_metrics_text() {
        let metrics = Metrics::default();
        metrics.count_pass("ok");
        metrics.count_call(CallAction::DestroyPort, &ChangeAnswer::Unclear { why: String::new() });
        metrics.observe_mirror(|| MirrorStats { accounts: 1, ports: 2, reads_ok: 3, reads_failed: 4 });
        let text = metrics.encode();
        for line in [
            "zenlayer_port_operator_reconciles_total{result=\"ok\"} 1",
            "zenlayer_port_operator_zenlayer_changes_total{action=\"DestroyPort\",answer=\"unclear\"} 1",
            "zenlayer_port_operator_mirror_reads_total 3",
        ] {
            assert!(text.contains(line), "{line} is missing from\n{text}");
        }
        assert!(text.ends_with("# EOF\n"), "{text}");
        assert_eq!(text.matches("# EOF").count(), 1, "{text}");
    }
}
