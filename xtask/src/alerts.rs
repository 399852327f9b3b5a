//! The alerts of the chart. Which reason belongs to which alert, and after which time, follows from `src/api/reason.rs`.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use zenlayer_port_operator::api::{Actor, Reason};

/// Stands for the labels of one release, which only the chart knows.
const SELECTOR: &str = "SELECTOR";
/// Stands for the age of a status check that is too old, in seconds: it depends on a value of the chart.
const READING_AGE: &str = "READING_AGE";

/// What the leader told last is true until there is a new one: a hand-over does not begin the wait of an alert anew.
const HANDOVER: &str = "5m";

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    Critical,
    Warning,
    Info,
}

/// As a `PrometheusRule` has it.
#[derive(Debug, Serialize)]
struct Rule {
    alert: &'static str,
    expr: String,
    #[serde(rename = "for")]
    lasts: String,
    labels: Labels,
    annotations: Annotations,
}

#[derive(Debug, Serialize)]
struct Labels {
    severity: Severity,
}

#[derive(Debug, Serialize)]
struct Annotations {
    summary: &'static str,
    description: String,
}

/// An alert about objects that show one of some reasons for too long.
struct OfReasons {
    alert: &'static str,
    summary: &'static str,
    lasts: Duration,
    severity: Severity,
}

const NEEDS_PERSON: OfReasons = OfReasons {
    alert: "ZenlayerPortNeedsPerson",
    summary: "ZenlayerPorts wait for a person.",
    lasts: HOUR,
    severity: Severity::Warning,
};
const MASS_DELETION: OfReasons = OfReasons {
    alert: "ZenlayerPortMassDeletion",
    summary: "The operator has paused many deletions until a person approves them.",
    lasts: Duration::from_mins(5),
    severity: Severity::Warning,
};
const CREDENTIALS: OfReasons = OfReasons {
    alert: "ZenlayerPortCredentialsRefused",
    summary: "Zenlayer refuses credentials, or there are none.",
    lasts: Duration::from_mins(15),
    severity: Severity::Warning,
};
const NOT_COPIED: OfReasons = OfReasons {
    alert: "ZenlayerPortCredentialsNotCopied",
    summary: "The operator cannot keep copies of Secrets.",
    lasts: Duration::from_mins(15),
    severity: Severity::Warning,
};
const UNAVAILABLE: OfReasons = OfReasons {
    alert: "ZenlayerPortCloudUnavailable",
    summary: "Zenlayer's API does not answer.",
    // With the time until an object counts as stalled, this is a quarter of an hour.
    lasts: Duration::from_mins(5),
    severity: Severity::Warning,
};
const ZENLAYER_SLOW: OfReasons = OfReasons {
    alert: "ZenlayerPortZenlayerSlow",
    summary: "Zenlayer works on ports for longer than usual.",
    lasts: Duration::from_mins(15),
    severity: Severity::Warning,
};
const THROTTLED: OfReasons = OfReasons {
    alert: "ZenlayerPortThrottled",
    summary: "The limit on requests to Zenlayer holds deletions up.",
    lasts: Duration::from_mins(15),
    severity: Severity::Info,
};
const WAITS_TOO_LONG: OfReasons = OfReasons {
    alert: "ZenlayerPortWaitsTooLong",
    summary: "ZenlayerPorts wait for longer than usual, and not for a person.",
    lasts: Duration::from_mins(15),
    severity: Severity::Warning,
};

const OF_REASONS: [&OfReasons; 8] = [
    &NEEDS_PERSON,
    &MASS_DELETION,
    &CREDENTIALS,
    &NOT_COPIED,
    &UNAVAILABLE,
    &ZENLAYER_SLOW,
    &THROTTLED,
    &WAITS_TOO_LONG,
];

/// The alert that tells of objects which are stalled for this reason; none if no object can be, or another one tells.
fn alert_of(reason: Reason) -> Option<&'static OfReasons> {
    match (reason, reason.actor()) {
        // The metric of invalid objects tells of it, also where the status cannot be written.
        (Reason::InvalidSpec, _) => None,
        (Reason::MassDeletion | Reason::CRDDeleted, _) => Some(&MASS_DELETION),
        (
            Reason::Unauthorized
            | Reason::PermissionDenied
            | Reason::ClockSkew
            | Reason::CredentialsUnavailable,
            _,
        ) => Some(&CREDENTIALS),
        (Reason::CredentialsNotCopied, _) => Some(&NOT_COPIED),
        (Reason::CloudUnavailable, _) => Some(&UNAVAILABLE),
        (Reason::Throttled | Reason::Queued, _) => Some(&THROTTLED),
        (_, Actor::Person) => Some(&NEEDS_PERSON),
        (_, Actor::Zenlayer) => Some(&ZENLAYER_SLOW),
        (_, Actor::Operator | Actor::OtherFinalizers) => reason.stalls_after().map(|_| &WAITS_TOO_LONG),
        (_, Actor::Nobody) => None,
    }
}

/// The alerts as a YAML list of rules. The chart fills in `SELECTOR` and `READING_AGE`.
pub fn rules() -> Result<String> {
    let rules: Vec<Rule> = OF_REASONS.iter().map(|of| of.rule()).chain(others()).collect();
    let head = "# The alerts, with SELECTOR and READING_AGE to be filled in. `cargo xtask generate` writes this file from\n\
                # xtask/src/alerts.rs and src/api/reason.rs. Do not edit it.\n";
    Ok(format!("{head}{}", serde_saphyr::to_string(&rules)?))
}

impl OfReasons {
    fn rule(&self) -> Rule {
        let its = |reason: &&Reason| alert_of(**reason).is_some_and(|of| of.alert == self.alert);
        let reasons: Vec<Reason> = Reason::ALL.iter().filter(its).copied().collect();
        let words: Vec<&str> = reasons.iter().map(|reason| reason.as_str()).collect();
        let stalled = told(&format!("stalled_ports{{{SELECTOR},reason=~\"{}\"}}", words.join("|")), "max");
        let stalls: Vec<String> = reasons
            .iter()
            .filter(|reason| reason.actor() != Actor::Person)
            .filter_map(|reason| {
                Some(format!("{} after {}", reason.as_str(), in_words(reason.stalls_after()?)))
            })
            .collect();
        let stalls = match stalls.join(", ") {
            none if none.is_empty() => none,
            stalls => format!(" An object counts as stalled: {stalls}."),
        };
        Rule::new(
            self.alert,
            format!("{stalled} > 0"),
            self.lasts,
            self.severity,
            self.summary,
            format!(
                "{{{{ $value }}}} ZenlayerPorts are stalled with the reason {{{{ $labels.reason }}}}.{stalls} To see them: \
                 kubectl get zenlayerports --all-namespaces --output wide | grep {{{{ $labels.reason }}}}"
            ),
        )
    }
}

impl Rule {
    fn new(
        alert: &'static str,
        expr: String,
        lasts: Duration,
        severity: Severity,
        summary: &'static str,
        description: impl Into<String>,
    ) -> Self {
        let annotations = Annotations { summary, description: description.into() };
        let lasts = format!("{}m", lasts.as_secs() / 60);
        Self { alert, expr, lasts, labels: Labels { severity }, annotations }
    }
}

/// What the leader told last, whichever Pod it is.
fn told(series: &str, aggregation: &str) -> String {
    format!(
        "{aggregation} without (pod, instance) (last_over_time(zenlayer_port_operator_{series}[{HANDOVER}]))"
    )
}

/// Those that follow from no reason.
fn others() -> [Rule; 8] {
    let metric = |name: &str| format!("zenlayer_port_operator_{name}{{{SELECTOR}}}");
    let age = |name: &str| {
        format!("time() - (min without (pod, instance) (last_over_time({}[{HANDOVER}]) > 0))", metric(name))
    };
    let reconciles = |results: &str| {
        let series = format!("zenlayer_port_operator_reconciles_total{{{SELECTOR}{results}}}");
        format!("sum without (pod, instance, result) (rate({series}[15m]))")
    };
    [
        Rule::new(
            "ZenlayerPortDeletionOverdue",
            format!("{} > {}", age("oldest_deletion_timestamp_seconds"), (24 * HOUR).as_secs()),
            15 * MINUTE,
            Severity::Warning,
            "A deletion has been in progress for more than 24 hours.",
            "The oldest deletion of a ZenlayerPort began {{ $value | humanizeDuration }} ago. To see all deletions: \
             kubectl get zenlayerports --all-namespaces --output wide",
        ),
        Rule::new(
            "ZenlayerPortInvalid",
            format!("{} > 0", told(&format!("invalid_objects{{{SELECTOR}}}"), "max")),
            30 * MINUTE,
            Severity::Warning,
            "The operator cannot parse some ZenlayerPorts.",
            "This version of the operator cannot parse {{ $value }} ZenlayerPorts, and does nothing about them. To see them: \
             kubectl get zenlayerports --all-namespaces --output wide | grep InvalidSpec",
        ),
        Rule::new(
            "ZenlayerPortReadingsStale",
            format!("{} > {READING_AGE}", age("oldest_reading_timestamp_seconds")),
            5 * MINUTE,
            Severity::Warning,
            "Zenlayer has not answered the status checks of a key for too long.",
            "The last answer to a status check of one of the keys came {{ $value | humanizeDuration }} ago.",
        ),
        Rule::new(
            "ZenlayerPortWatchStale",
            format!("{} > {}", age("last_watch_event_timestamp_seconds"), (10 * MINUTE).as_secs()),
            5 * MINUTE,
            Severity::Warning,
            "The operator hears nothing from the API server.",
            "A watch on ZenlayerPorts last heard from the API server {{ $value | humanizeDuration }} ago. The operator does not \
             know of new deletions.",
        ),
        Rule::new(
            "ZenlayerPortReconcilesFailing",
            format!("{} / {} > 0.5", reconciles(",result!=\"ok\""), reconciles("")),
            15 * MINUTE,
            Severity::Warning,
            "Most reconciles of ZenlayerPorts fail.",
            "{{ $value | humanizePercentage }} of all reconciles fail. The log of the operator says why.",
        ),
        Rule::new(
            "ZenlayerPortNoLeader",
            format!("sum without (pod, instance) ({}) != 1", metric("leader")),
            5 * MINUTE,
            Severity::Critical,
            "No replica of the operator works, or more than one thinks that it does.",
            "{{ $value }} replicas of the operator say that they lead. It must be 1. With 0, no deletion goes on.",
        ),
        Rule::new(
            "ZenlayerPortOperatorAbsent",
            format!("absent({})", metric("build_info")),
            10 * MINUTE,
            Severity::Critical,
            "There are no metrics of the operator.",
            "The operator does not run, or Prometheus does not scrape it. No other alert about ZenlayerPorts works meanwhile.",
        ),
        Rule::new(
            "ZenlayerPortOperatorRestarting",
            format!(
                "sum without (pod, instance) (changes(process_start_time_seconds{{{SELECTOR}}}[1h])) > 3"
            ),
            5 * MINUTE,
            Severity::Warning,
            "The operator restarts again and again.",
            "The operator restarted {{ $value }} times within an hour. The log of the last run says why.",
        ),
    ]
}

fn in_words(duration: Duration) -> String {
    match duration.as_secs() / 60 {
        minutes if minutes >= 120 && minutes % 60 == 0 => format!("{} h", minutes / 60),
        minutes => format!("{minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_that_can_be_stalled_has_an_alert() {
        for &reason in Reason::ALL {
            let can_stall = reason.actor() == Actor::Person || reason.stalls_after().is_some();
            let has_alert = alert_of(reason).is_some() || reason == Reason::InvalidSpec;
            assert_eq!(has_alert, can_stall, "{}", reason.as_str());
        }
        for of in OF_REASONS {
            assert!(!of.rule().expr.contains("reason=~\"\""), "{} has no reason", of.alert);
        }
    }

    #[test]
    fn an_outage_is_told_a_quarter_of_an_hour_after_it_began() {
        let stalls = Reason::CloudUnavailable.stalls_after().expect("it stalls");
        assert_eq!(stalls + UNAVAILABLE.lasts, Duration::from_mins(15));
    }
}
