//! What the objects are like. It is read when it is scraped, so that it is never old, and only the leader tells it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::LastHeard;
use crate::api::{Actor, Reason};
use crate::mirror::MirrorStats;

/// What the leader knows at one moment.
#[derive(Debug, Default)]
pub struct State {
    /// How many objects show each reason.
    pub shown: BTreeMap<Reason, u64>,
    /// How many of these are stalled.
    pub stalled: BTreeMap<Reason, u64>,
    /// Objects that are being deleted.
    pub terminating: u64,
    /// When the first of these was deleted.
    pub oldest_deletion: Option<Timestamp>,
    /// Objects that this version cannot parse.
    pub invalid: u64,
    /// Objects that wait for their turn to call.
    pub call_queue: u64,
    pub mirror: MirrorStats,
    /// The oldest, over all keys, of the times when Zenlayer last answered a status check.
    pub oldest_reading: Option<Timestamp>,
}

#[derive(Default)]
pub(super) struct Sources {
    pub(super) leads: OnceLock<Box<dyn Fn() -> bool + Send + Sync>>,
    pub(super) state: OnceLock<Box<dyn Fn() -> Option<State> + Send + Sync>>,
    pub(super) watches: Mutex<Vec<LastHeard>>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sources")
    }
}

impl Sources {
    /// Of the watch that has heard nothing for longest; none: there is no watch yet.
    fn last_heard(&self) -> Option<i64> {
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.iter().map(LastHeard::seconds).min()
    }
}

#[derive(Debug)]
pub(super) struct Live(pub(super) Arc<Sources>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShownLabels {
    status: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

impl Collector for Live {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let leads = self.0.leads.get().is_some_and(|leads| leads());
        let help = "1 if this replica leads, 0 if it waits. Only the leader has the metrics of objects, watches and keys";
        gauge(&mut encoder, "leader", help, leads.into())?;
        if !leads {
            return Ok(());
        }
        // Also before the first list: a list that fails must not be silent.
        if let Some(last_heard) = self.0.last_heard() {
            let help = "When the watch on ZenlayerPorts last heard from the API server, in seconds since 1970. The oldest of all \
                        watches";
            gauge(&mut encoder, "last_watch_event_timestamp_seconds", help, last_heard)?;
        }
        self.0.state.get().and_then(|state| state()).map_or(Ok(()), |state| state.encode(&mut encoder))
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: i64) -> fmt::Result {
    ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

/// A gauge of a count.
fn count(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    gauge(encoder, name, help, i64::try_from(value).unwrap_or(i64::MAX))
}

/// In seconds since 1970, or 0.
fn seconds(at: Option<Timestamp>) -> i64 {
    at.map_or(0, Timestamp::as_second)
}

/// Whether an object that shows the reason can be stalled.
fn can_stall(reason: Reason) -> bool {
    reason.actor() == Actor::Person || reason.stalls_after().is_some()
}

impl State {
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_reasons(encoder)?;
        count(encoder, "terminating_ports", "ZenlayerPorts that are being deleted", self.terminating)?;
        let help =
            "When the oldest deletion that is in progress began, in seconds since 1970. 0 if there is none";
        gauge(encoder, "oldest_deletion_timestamp_seconds", help, seconds(self.oldest_deletion))?;
        let help = "ZenlayerPorts that this version of the operator cannot parse (InvalidSpec)";
        count(encoder, "invalid_objects", help, self.invalid)?;
        let help = "ZenlayerPorts whose call to Zenlayer waits for other calls";
        count(encoder, "call_queue_length", help, self.call_queue)?;
        self.encode_mirror(encoder)
    }

    fn encode_reasons(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let of = |counts: &BTreeMap<Reason, u64>, reason| {
            ConstGauge::new(
                i64::try_from(counts.get(&reason).copied().unwrap_or_default()).unwrap_or(i64::MAX),
            )
        };
        let help = "ZenlayerPorts, by status and reason of the condition Ready";
        let mut ports = encoder.encode_descriptor("ports", help, None, MetricType::Gauge)?;
        for &reason in Reason::ALL {
            let labels = ShownLabels { status: reason.readiness().as_str(), reason: reason.as_str() };
            of(&self.shown, reason).encode(ports.encode_family(&labels)?)?;
        }
        let help = "ZenlayerPorts with the condition Stalled, by reason: a person must look at them";
        let mut stalled = encoder.encode_descriptor("stalled_ports", help, None, MetricType::Gauge)?;
        for &reason in Reason::ALL.iter().filter(|reason| can_stall(**reason)) {
            let labels = ReasonLabel { reason: reason.as_str() };
            of(&self.stalled, reason).encode(stalled.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn encode_mirror(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let MirrorStats { accounts, ports, reads_ok, reads_failed, .. } = self.mirror;
        count(encoder, "polled_keys", "Zenlayer keys that the operator checks ports with", accounts as u64)?;
        count(encoder, "polled_ports", "Ports that the operator checks", ports as u64)?;
        let help = "When Zenlayer last answered a status check, in seconds since 1970. The oldest of all keys that have a \
                    check to make; 0 if there is none";
        gauge(encoder, "oldest_reading_timestamp_seconds", help, seconds(self.oldest_reading))?;
        let help = "Status checks of up to 100 ports, by result";
        let mut checks = encoder.encode_descriptor("status_checks", help, None, MetricType::Counter)?;
        for (result, number) in [("ok", reads_ok), ("failed", reads_failed)] {
            ConstCounter::new(number).encode(checks.encode_family(&ResultLabel { result })?)?;
        }
        Ok(())
    }
}
