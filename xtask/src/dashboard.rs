//! The Grafana dashboard of the chart.

use anyhow::Result;
use serde_json::{Value, json};
use zenlayer_port_operator::api::{Actor, Reason};

/// What each query is limited to.
const OURS: &str = "job=~\"$job\",instance=~\"$instance\"";

enum Kind {
    /// One number.
    Stat,
    /// Lines over time.
    Lines,
    /// Areas over time, one on top of the other.
    Stack,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    Count,
    Seconds,
    RequestsPerSecond,
    PerSecond,
    Bytes,
}

impl Unit {
    /// As Grafana names it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Count => "short",
            Self::Seconds => "s",
            Self::RequestsPerSecond => "reqps",
            Self::PerSecond => "ops",
            Self::Bytes => "bytes",
        }
    }
}

pub(crate) struct Panel {
    pub(crate) title: &'static str,
    description: &'static str,
    kind: Kind,
    pub(crate) unit: Unit,
    /// Each with its legend.
    pub(crate) queries: Vec<(String, &'static str)>,
}

/// Panels of one size.
pub(crate) struct Row {
    pub(crate) title: &'static str,
    width: usize,
    height: usize,
    pub(crate) panels: Vec<Panel>,
}

/// All rows, from top to bottom.
pub(crate) fn rows() -> [Row; 4] {
    [
        Row { title: "Who must act", width: 6, height: 5, panels: summary() },
        Row { title: "Ports and deletions", width: 8, height: 9, panels: ports() },
        Row { title: "Requests to Zenlayer", width: 8, height: 8, panels: requests() },
        Row { title: "The operator", width: 8, height: 8, panels: operator() },
    ]
}

/// The dashboard as JSON.
pub fn dashboard() -> Result<String> {
    let mut panels = Vec::new();
    let mut y = 0;
    for Row { title, width, height, panels: row } in rows() {
        panels.push(json!({
            "id": panels.len() + 1, "type": "row", "title": title, "collapsed": false, "panels": [],
            "gridPos": { "x": 0, "y": y, "w": 24, "h": 1 },
        }));
        y += 1;
        for (at, panel) in row.iter().enumerate() {
            let (x, y) = (at * width % 24, y + at * width / 24 * height);
            panels.push(panel.render(panels.len() + 1, &json!({ "x": x, "y": y, "w": width, "h": height })));
        }
        y += (row.len() * width).div_ceil(24) * height;
    }
    let dashboard = json!({
        "uid": "zenlayer-port-operator",
        "title": "Zenlayer port operator",
        "description": "What ZenlayerPorts wait for, and how the operator works. `cargo xtask generate` writes this file.",
        "tags": ["zenlayer"],
        "editable": false,
        "schemaVersion": 39,
        "time": { "from": "now-6h", "to": "now" },
        "refresh": "1m",
        "timezone": "browser",
        "templating": { "list": variables() },
        "annotations": { "list": annotations() },
        "panels": panels,
    });
    Ok(serde_json::to_string_pretty(&dashboard)? + "\n")
}

fn source() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

fn variables() -> Value {
    let of_label = |name: &str, label: &str, matchers: &str| {
        let query = format!("label_values(zenlayer_port_operator_build_info{matchers}, {name})");
        json!({
            "name": name, "label": label, "type": "query", "datasource": source(), "query": query,
            // When the time range changes.
            "refresh": 2,
            "multi": true, "includeAll": true, "allValue": ".+", "current": { "text": "All", "value": "$__all" },
        })
    };
    json!([
        { "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus" },
        of_label("job", "Job", ""),
        of_label("instance", "Instance", "{job=~\"$job\"}"),
    ])
}

fn annotations() -> Value {
    let leads = format!("zenlayer_port_operator_leader{{{OURS}}}");
    json!([
        {
            "name": "Another replica leads", "datasource": source(), "enable": true, "iconColor": "blue",
            "expr": format!("({leads} == 1) unless ({leads} offset 2m == 1)"), "step": "60s",
            "titleFormat": "{{pod}} leads",
        },
        {
            "name": "Restarts", "datasource": source(), "enable": true, "iconColor": "red",
            "expr": format!("changes(process_start_time_seconds{{{OURS}}}[2m]) > 0"), "step": "60s",
            "titleFormat": "{{pod}} restarted",
        },
    ])
}

/// The metric of the operator, with matchers beside those of the dashboard.
fn metric(name: &str, matchers: &str) -> String {
    format!("zenlayer_port_operator_{name}{{{OURS}{matchers}}}")
}

fn rate(name: &str, matchers: &str) -> String {
    format!("rate({}[$__rate_interval])", metric(name, matchers))
}

fn quantile(name: &str, by: &str) -> String {
    let buckets = rate(&format!("{name}_bucket"), "");
    format!("histogram_quantile(0.95, sum by (le{by}) ({buckets}))")
}

fn age(name: &str) -> String {
    format!("time() - (min({}) > 0)", metric(name, ""))
}

fn summary() -> Vec<Panel> {
    let acts = |acts: fn(Actor) -> bool| {
        let reasons = Reason::ALL.iter().filter(|reason| acts(reason.actor()));
        let reasons: Vec<&str> = reasons.map(|reason| reason.as_str()).collect();
        format!("sum({})", metric("ports", &format!(",reason=~\"{}\"", reasons.join("|"))))
    };
    let panel = |title, description, unit, query| Panel {
        title,
        description,
        kind: Kind::Stat,
        unit,
        queries: vec![(query, "")],
    };
    vec![
        panel(
            "A person",
            "ZenlayerPorts that wait for a person. `kubectl get zenlayerports -A -o wide` says what to do.",
            Unit::Count,
            acts(|actor| actor == Actor::Person),
        ),
        panel(
            "Zenlayer",
            "ZenlayerPorts that Zenlayer works on.",
            Unit::Count,
            acts(|actor| actor == Actor::Zenlayer),
        ),
        panel(
            "The operator, or others",
            "ZenlayerPorts that the operator works on, or that wait for the owners of other finalizers.",
            Unit::Count,
            acts(|actor| matches!(actor, Actor::Operator | Actor::OtherFinalizers)),
        ),
        panel(
            "Oldest deletion",
            "How long ago the oldest deletion began that is still in progress.",
            Unit::Seconds,
            age("oldest_deletion_timestamp_seconds"),
        ),
    ]
}

fn ports() -> Vec<Panel> {
    vec![
        Panel {
            title: "ZenlayerPorts by reason",
            description: "How many objects show each reason. The document of reasons explains each of them.",
            kind: Kind::Stack,
            unit: Unit::Count,
            queries: vec![(format!("sum by (reason) ({}) > 0", metric("ports", "")), "{{reason}}")],
        },
        Panel {
            title: "Stalled, by reason",
            description: "Objects that a person should look at.",
            kind: Kind::Stack,
            unit: Unit::Count,
            queries: vec![(format!("sum by (reason) ({}) > 0", metric("stalled_ports", "")), "{{reason}}")],
        },
        Panel {
            title: "In progress",
            description: "Objects that are being deleted, and those of them that wait for their turn to call Zenlayer.",
            kind: Kind::Lines,
            unit: Unit::Count,
            queries: vec![
                (format!("sum({})", metric("terminating_ports", "")), "being deleted"),
                (format!("sum({})", metric("call_queue_length", "")), "wait for their turn"),
                (format!("sum({})", metric("invalid_objects", "")), "cannot be parsed"),
            ],
        },
        Panel {
            title: "Deletions that ended",
            description: "How many deletions ended, by the reason why the operator removed its finalizer.",
            kind: Kind::Stack,
            unit: Unit::Count,
            queries: vec![(
                format!("sum by (reason) (increase({}[$__rate_interval]))", metric("deletions_total", "")),
                "{{reason}}",
            )],
        },
        Panel {
            title: "Duration of deletions (95 %)",
            description: "From the deletion of an object until the operator removes its finalizer. Deletions that are still in \
                          progress are not in it.",
            kind: Kind::Lines,
            unit: Unit::Seconds,
            queries: vec![(quantile("deletion_duration_seconds", ", policy"), "{{policy}}")],
        },
        Panel {
            title: "Requests for each destroyed port",
            description: "All requests to Zenlayer of a day, divided by the ports that were destroyed on it.",
            kind: Kind::Lines,
            unit: Unit::Count,
            queries: vec![(
                format!(
                    "sum(increase({}[1d])) / sum(increase({}[1d]))",
                    metric("api_requests_total", ""),
                    metric("deletions_total", ",reason=\"PortDestroyed\"")
                ),
                "requests",
            )],
        },
    ]
}

fn requests() -> Vec<Panel> {
    vec![
        Panel {
            title: "Requests",
            description: "Requests to Zenlayer each second, by action.",
            kind: Kind::Stack,
            unit: Unit::RequestsPerSecond,
            queries: vec![(format!("sum by (action) ({})", rate("api_requests_total", "")), "{{action}}")],
        },
        Panel {
            title: "Requests that failed",
            description: "Requests to Zenlayer each second that were refused, not answered or not sent, by result.",
            kind: Kind::Stack,
            unit: Unit::RequestsPerSecond,
            queries: vec![(
                format!("sum by (result) ({})", rate("api_requests_total", ",result!=\"ok\"")),
                "{{result}}",
            )],
        },
        Panel {
            title: "Duration of requests (95 %)",
            description: "How long Zenlayer takes to answer, and how long a request waits for the limit on requests.",
            kind: Kind::Lines,
            unit: Unit::Seconds,
            queries: vec![
                (quantile("api_request_duration_seconds", ", action"), "{{action}}"),
                (quantile("rate_limit_wait_seconds", ""), "wait before it is sent"),
            ],
        },
        Panel {
            title: "Age of what is known",
            description: "How long ago Zenlayer last answered a status check (of the key where that is longest ago), and how long \
                          ago the API server last sent something.",
            kind: Kind::Lines,
            unit: Unit::Seconds,
            queries: vec![
                (age("oldest_reading_timestamp_seconds"), "status check"),
                (age("last_watch_event_timestamp_seconds"), "watch"),
            ],
        },
        Panel {
            title: "Status checks",
            description: "Checks of up to 100 ports each second, by result.",
            kind: Kind::Stack,
            unit: Unit::RequestsPerSecond,
            queries: vec![(format!("sum by (result) ({})", rate("status_checks_total", "")), "{{result}}")],
        },
        Panel {
            title: "Keys and ports",
            description: "Zenlayer keys that the operator checks ports with, and the ports that it checks.",
            kind: Kind::Lines,
            unit: Unit::Count,
            queries: vec![
                (format!("sum({})", metric("polled_keys", "")), "keys"),
                (format!("sum({})", metric("polled_ports", "")), "ports"),
            ],
        },
    ]
}

fn operator() -> Vec<Panel> {
    let process = |name: &str| format!("process_{name}{{{OURS}}}");
    vec![
        Panel {
            title: "Leader",
            description: "1 for the replica that works.",
            kind: Kind::Lines,
            unit: Unit::Count,
            queries: vec![(format!("max by (pod) ({})", metric("leader", "")), "{{pod}}")],
        },
        Panel {
            title: "Reconciles",
            description: "Reconciles each second, by result.",
            kind: Kind::Stack,
            unit: Unit::PerSecond,
            queries: vec![(format!("sum by (result) ({})", rate("reconciles_total", "")), "{{result}}")],
        },
        Panel {
            title: "Duration of reconciles (95 %)",
            description: "How long a reconcile takes. One that calls Zenlayer waits for the answer.",
            kind: Kind::Lines,
            unit: Unit::Seconds,
            queries: vec![(quantile("reconcile_duration_seconds", ""), "reconcile")],
        },
        Panel {
            title: "Memory",
            description: "Memory of each replica that is in RAM.",
            kind: Kind::Lines,
            unit: Unit::Bytes,
            queries: vec![(format!("max by (pod) ({})", process("resident_memory_bytes")), "{{pod}}")],
        },
        Panel {
            title: "CPU",
            description: "CPU time of each replica, in seconds each second.",
            kind: Kind::Lines,
            unit: Unit::Count,
            queries: vec![(
                format!("sum by (pod) (rate({}[$__rate_interval]))", process("cpu_seconds_total")),
                "{{pod}}",
            )],
        },
        Panel {
            title: "Errors around the API server",
            description: "Times each second that the watch failed, and Events that could not be sent.",
            kind: Kind::Lines,
            unit: Unit::PerSecond,
            queries: vec![
                (format!("sum({})", rate("watch_errors_total", "")), "watch failed"),
                (format!("sum({})", rate("events_lost_total", "")), "Event lost"),
            ],
        },
    ]
}

impl Panel {
    fn render(&self, id: usize, place: &Value) -> Value {
        let targets = self.queries.iter().zip('A'..).map(|((expr, legend), letter)| {
            json!({ "refId": letter, "expr": expr, "legendFormat": legend, "datasource": source() })
        });
        let stacking = if matches!(self.kind, Kind::Stack) { "normal" } else { "none" };
        let (kind, options, custom) = match self.kind {
            Kind::Stat => (
                "stat",
                json!({ "reduceOptions": { "calcs": ["lastNotNull"] }, "graphMode": "area", "colorMode": "none" }),
                json!({}),
            ),
            Kind::Lines | Kind::Stack => (
                "timeseries",
                json!({ "legend": { "displayMode": "list", "placement": "bottom" }, "tooltip": { "mode": "multi" } }),
                json!({ "stacking": { "mode": stacking }, "fillOpacity": if stacking == "normal" { 30 } else { 0 } }),
            ),
        };
        json!({
            "id": id, "type": kind, "title": self.title, "description": self.description, "gridPos": place,
            "datasource": source(), "targets": targets.collect::<Vec<_>>(), "options": options,
            "fieldConfig": { "defaults": { "unit": self.unit.as_str(), "min": 0, "custom": custom }, "overrides": [] },
        })
    }
}
