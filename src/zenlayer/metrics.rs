//! How many requests there were, how they ended, and how long they took.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::action::Action;
use super::answer::ChangeAnswer;
use crate::answer::{RefusalKind, Unreadable};

/// In seconds.
const DURATION_BUCKETS: [f64; 10] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const WAIT_BUCKETS: [f64; 9] = [0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0];

/// Of the requests of all credentials. Clones share them.
#[derive(Clone, Debug)]
pub struct RequestMetrics {
    requests: Family<RequestLabels, Counter>,
    durations: Family<ActionLabel, Histogram, fn() -> Histogram>,
    waits: Histogram,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestResult {
    Ok,
    Refused(RefusalKind),
    /// No answer, or one that says nothing.
    Unclear,
    /// There was no connection to send it on.
    NotSent,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    action: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActionLabel {
    action: &'static str,
}

impl RequestResult {
    const ALL: [Self; 9] = [
        Self::Ok,
        Self::Refused(RefusalKind::Throttled),
        Self::Refused(RefusalKind::NotFound),
        Self::Refused(RefusalKind::Unauthorized),
        Self::Refused(RefusalKind::PermissionDenied),
        Self::Refused(RefusalKind::ClockSkew),
        Self::Refused(RefusalKind::Other),
        Self::Unclear,
        Self::NotSent,
    ];

    pub(super) fn of_change(answer: &ChangeAnswer) -> Self {
        match answer {
            ChangeAnswer::Accepted { .. } => Self::Ok,
            ChangeAnswer::Refused(refusal) => Self::Refused(refusal.kind),
            ChangeAnswer::Unclear { .. } => Self::Unclear,
            ChangeAnswer::NotSent { .. } => Self::NotSent,
        }
    }

    pub(super) fn of_reading<T>(answer: &Result<T, Unreadable>) -> Self {
        match answer {
            Ok(_) => Self::Ok,
            Err(Unreadable::Refused(refusal)) => Self::Refused(refusal.kind),
            Err(Unreadable::Unavailable(_) | Unreadable::NotAsked(_)) => Self::Unclear,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused(RefusalKind::Throttled) => "throttled",
            Self::Refused(RefusalKind::NotFound) => "not_found",
            Self::Refused(RefusalKind::Unauthorized) => "unauthorized",
            Self::Refused(RefusalKind::PermissionDenied) => "permission_denied",
            Self::Refused(RefusalKind::ClockSkew) => "clock_skew",
            Self::Refused(RefusalKind::Other) => "refused",
            Self::Unclear => "unclear",
            Self::NotSent => "not_sent",
        }
    }
}

impl Default for RequestMetrics {
    /// Each series is there from the start.
    fn default() -> Self {
        let metrics = Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS)),
            waits: Histogram::new(WAIT_BUCKETS),
        };
        for action in Action::ALL.map(Action::name) {
            drop(metrics.durations.get_or_create(&ActionLabel { action }));
            for result in RequestResult::ALL.map(RequestResult::as_str) {
                drop(metrics.requests.get_or_create(&RequestLabels { action, result }));
            }
        }
        metrics
    }
}

impl RequestMetrics {
    pub fn register(&self, registry: &mut Registry) {
        let help = "Requests to Zenlayer, by action and result";
        registry.register("api_requests", help, self.requests.clone());
        let help = "How long a request to Zenlayer takes, by action";
        registry.register("api_request_duration_seconds", help, self.durations.clone());
        let help =
            "How long a request to Zenlayer waits before it is sent, because the rate of requests is limited";
        registry.register("rate_limit_wait_seconds", help, self.waits.clone());
    }

    pub(super) fn count(&self, action: Action, result: RequestResult) {
        self.requests.get_or_create(&RequestLabels { action: action.name(), result: result.as_str() }).inc();
    }

    pub(super) fn took(&self, action: Action, duration: Duration) {
        self.durations.get_or_create(&ActionLabel { action: action.name() }).observe(duration.as_secs_f64());
    }

    /// For the limiters.
    pub(super) fn waits(&self) -> Histogram {
        self.waits.clone()
    }
}
