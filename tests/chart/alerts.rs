//! The alerts: promtool says that they are valid, and when they fire.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;
use test_cluster::promtool;
use tokio::process::Command;

use crate::{CHART, find, helm, render};

const ENABLED: &str = "metrics.prometheusRule.enabled=true";
const JOB: &str = "zpo-zenlayer-port-operator";

/// The groups of rules of a release `zpo` in the namespace `system`.
async fn groups(values: &[&str]) -> Value {
    let objects = render(&[&[ENABLED], values].concat()).await;
    find(&objects, "PrometheusRule").expect("a PrometheusRule")["spec"].clone()
}

async fn rules(values: &[&str]) -> Vec<Value> {
    groups(values).await["groups"][0]["rules"].as_array().expect("rules").clone()
}

fn name(rule: &Value) -> &str {
    rule["alert"].as_str().expect("the name of an alert")
}

/// Runs promtool in a folder that has these files; JSON is YAML too.
pub async fn run_promtool(args: &[&str], files: &[(&str, &Value)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        fs::write(folder.path().join(name), content.to_string()).expect("a file");
    }
    let promtool = promtool().await.expect("promtool");
    let output = Command::new(promtool).args(args).current_dir(&folder).output().await.expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "promtool {args:?}: {}", String::from_utf8_lossy(&said));
    folder
}

/// One series: its metric, its labels, and its value each minute, as promtool writes it.
type Series = (&'static str, &'static str, String);

fn series(metric: &'static str, labels: &'static str, values: impl Into<String>) -> Series {
    (metric, labels, values.into())
}

/// Which alerts fire, with how many label sets, at these minutes. A pod `a` leads, unless the series say otherwise.
async fn assert_fires(values: &[&str], given: Vec<Series>, expected: &[(u32, &[(&str, u32)])]) {
    let mut given = given;
    for metric in ["leader", "build_info"] {
        if !given.iter().any(|one| one.0 == metric) {
            given.push(series(metric, "pod=\"a\"", "1x3000"));
        }
    }
    let input = given.iter().map(|(metric, labels, values)| {
        let prefix = if metric.starts_with("process_") { "" } else { "zenlayer_port_operator_" };
        let series = format!("{prefix}{metric}{{job=\"{JOB}\",namespace=\"system\",{labels}}}");
        json!({ "series": series, "values": values })
    });
    let tests = expected.iter().map(|(minute, alerts)| {
        let samples = alerts
            .iter()
            .map(|(alert, count)| json!({ "labels": format!("{{alertname=\"{alert}\"}}"), "value": count }));
        json!({
            "expr": "count by (alertname) (ALERTS{alertstate=\"firing\"})",
            "eval_time": format!("{minute}m"), "exp_samples": samples.collect::<Vec<_>>(),
        })
    });
    let test = json!({
        "rule_files": ["rules.json"],
        "evaluation_interval": "1m",
        "tests": [{
            "interval": "1m",
            "input_series": input.collect::<Vec<_>>(),
            "promql_expr_test": tests.collect::<Vec<_>>(),
        }],
    });
    let rules = groups(values).await;
    run_promtool(&["test", "rules", "test.json"], &[("rules.json", &rules), ("test.json", &test)]).await;
}

#[tokio::test]
async fn promtool_finds_nothing_wrong_with_the_rules() {
    let args = ["check", "rules", "--lint=all", "--lint-fatal", "rules.json"];
    run_promtool(&args, &[("rules.json", &groups(&[]).await)]).await;
}

#[tokio::test]
async fn an_alert_says_what_it_is_about_how_bad_it_is_and_where_to_read_on() {
    for rule in rules(&["metrics.prometheusRule.runbookUrl=https://docs.example/runbook"]).await {
        let (alert, annotations) = (name(&rule), &rule["annotations"]);
        assert!(alert.len() <= 40 && alert.starts_with("ZenlayerPort"), "{alert}");
        let severity = rule["labels"]["severity"].as_str().unwrap_or_default();
        assert!(["critical", "warning", "info"].contains(&severity), "{alert}: {severity}");
        let anchor = alert.to_lowercase();
        assert_eq!(annotations["runbook_url"], format!("https://docs.example/runbook#{anchor}"));
        // The same for all that an alert is about, so that it can be the title of a page.
        let summary = annotations["summary"].as_str().unwrap_or_default();
        assert!(summary.ends_with('.') && !summary.contains("{{"), "{alert}: {summary}");
        assert!(annotations["description"].as_str().is_some_and(|it| it.len() > 40), "{alert}");
    }
}

#[tokio::test]
async fn each_alert_has_its_section_in_the_runbook_and_each_section_its_alert() {
    let runbook =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/runbook.md")).expect("it is there");
    let sections: BTreeSet<&str> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let rules = rules(&[]).await;
    assert_eq!(sections, rules.iter().map(name).collect());
    for section in runbook.split("\n## ").skip(1) {
        let alert = section.lines().next().unwrap_or_default();
        for part in ["**Meaning**", "**Look at**", "**Type**"] {
            assert!(section.contains(part), "{alert} lacks {part}");
        }
    }
}

#[tokio::test]
async fn the_alerts_are_about_this_release_alone() {
    for rule in rules(&[]).await {
        let expr = rule["expr"].as_str().expect("an expression");
        let selectors = expr.matches("{job=\"zpo-zenlayer-port-operator\",namespace=\"system\"").count();
        let metrics = expr.matches("zenlayer_port_operator_").count() + expr.matches("process_").count();
        assert_eq!(selectors, metrics, "{expr}");
        assert!(!expr.contains("SELECTOR") && !expr.contains("READING_AGE"), "{expr}");
    }
}

#[tokio::test]
async fn an_alert_can_be_changed_and_left_out() {
    let set = |path: &str| format!("metrics.prometheusRule.overrides.{path}");
    let values = [
        set("ZenlayerPortThrottled.enabled=false"),
        set("ZenlayerPortNeedsPerson.for=4h"),
        set("ZenlayerPortNeedsPerson.severity=critical"),
        set("ZenlayerPortNeedsPerson.labels.team=network"),
        "metrics.prometheusRule.labels.release=prometheus".to_owned(),
    ];
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let changed = rules(&values).await;
    assert_eq!(changed.len(), rules(&[]).await.len() - 1);
    assert!(!changed.iter().any(|rule| name(rule) == "ZenlayerPortThrottled"));
    let rule = changed.iter().find(|rule| name(rule) == "ZenlayerPortNeedsPerson").expect("it is there");
    assert_eq!(rule["for"], "4h");
    assert_eq!(rule["labels"], json!({ "severity": "critical", "team": "network" }));
    let objects = render(&[&[ENABLED], &values[..]].concat()).await;
    let object = find(&objects, "PrometheusRule").expect("a PrometheusRule");
    assert_eq!(object["metadata"]["labels"]["release"], "prometheus");

    let misspelt = set("ZenlayerPortNeedsPersons.enabled=false");
    let output = helm(&["template", "zpo", CHART, "--set", ENABLED, "--set", &misspelt]).await;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("there is no alert ZenlayerPortNeedsPersons"), "{error}");
}

#[tokio::test]
async fn nothing_fires_while_all_is_well_and_while_another_replica_takes_over() {
    let told = |pod_a: &'static str, pod_b: &'static str, metric: &'static str, value: &str| {
        // For half an hour by one Pod, then by the other.
        [
            series(metric, pod_a, format!("{value}x30 stale")),
            series(metric, pod_b, format!("_x31 {value}x200")),
        ]
    };
    let mut given = vec![
        series("leader", "pod=\"a\"", "1x30 stale"),
        series("leader", "pod=\"b\"", "0x31 1x200"),
        series("build_info", "pod=\"a\"", "1x30 stale"),
        series("build_info", "pod=\"b\"", "1x240"),
        series("process_start_time_seconds", "pod=\"a\"", "1x30 stale"),
        series("process_start_time_seconds", "pod=\"b\"", "2x240"),
        series("last_watch_event_timestamp_seconds", "pod=\"a\"", "0+60x30 stale"),
        series("last_watch_event_timestamp_seconds", "pod=\"b\"", "_x31 1860+60x200"),
        series("oldest_reading_timestamp_seconds", "pod=\"a\"", "0+60x30 stale"),
        series("oldest_reading_timestamp_seconds", "pod=\"b\"", "_x31 1860+60x200"),
        series("reconciles_total", "pod=\"a\",result=\"ok\"", "0+9x30 stale"),
        series("reconciles_total", "pod=\"a\",result=\"kubernetes\"", "0+1x30 stale"),
    ];
    given.extend(told("pod=\"a\",reason=\"InUse\"", "pod=\"b\",reason=\"InUse\"", "stalled_ports", "0"));
    given.extend(told("pod=\"a\"", "pod=\"b\"", "invalid_objects", "0"));
    given.extend(told("pod=\"a\"", "pod=\"b\"", "oldest_deletion_timestamp_seconds", "0"));
    assert_fires(&[], given, &[(10, &[]), (33, &[]), (60, &[]), (200, &[])]).await;
}

#[tokio::test]
async fn a_wait_for_a_person_is_told_after_an_hour_once_for_each_reason_also_across_a_hand_over() {
    let given = vec![
        series("leader", "pod=\"a\"", "1x30 stale"),
        series("leader", "pod=\"b\"", "0x32 1x200"),
        series("stalled_ports", "pod=\"a\",reason=\"InUse\"", "2x30 stale"),
        series("stalled_ports", "pod=\"b\",reason=\"InUse\"", "_x32 2x70 0x50"),
        series("stalled_ports", "pod=\"a\",reason=\"NotInRecycleBin\"", "1x30 stale"),
        series("stalled_ports", "pod=\"b\",reason=\"NotInRecycleBin\"", "_x32 1x200"),
    ];
    let both: &[(&str, u32)] = &[("ZenlayerPortNeedsPerson", 2)];
    let one: &[(&str, u32)] = &[("ZenlayerPortNeedsPerson", 1)];
    assert_fires(&[], given, &[(59, &[]), (61, both), (115, one)]).await;
}

#[tokio::test]
async fn each_reason_is_told_by_its_own_alert_after_its_own_time() {
    for (reason, alert, minutes) in [
        ("MassDeletion", "ZenlayerPortMassDeletion", 5),
        ("CRDDeleted", "ZenlayerPortMassDeletion", 5),
        ("Unauthorized", "ZenlayerPortCredentialsRefused", 15),
        ("CredentialsNotCopied", "ZenlayerPortCredentialsNotCopied", 15),
        ("CloudUnavailable", "ZenlayerPortCloudUnavailable", 5),
        ("Destroying", "ZenlayerPortZenlayerSlow", 15),
        ("Queued", "ZenlayerPortThrottled", 15),
        ("ClusterStateUnknown", "ZenlayerPortWaitsTooLong", 15),
        ("WaitingForFinalizers", "ZenlayerPortWaitsTooLong", 15),
        ("UpdateRefused", "ZenlayerPortNeedsPerson", 60),
    ] {
        let labels: &'static str = format!("pod=\"a\",reason=\"{reason}\"").leak();
        let given = vec![series("stalled_ports", labels, "1x100")];
        assert_fires(&[], given, &[(minutes - 1, &[]), (minutes + 1, &[(alert, 1)])]).await;
    }
}

#[tokio::test]
async fn a_deletion_that_lasts_for_a_day_is_told() {
    // It began in the first minute, and ends after 26 hours.
    let given = vec![series("oldest_deletion_timestamp_seconds", "pod=\"a\"", "60x1560 0x60")];
    let overdue: &[(&str, u32)] = &[("ZenlayerPortDeletionOverdue", 1)];
    let day = 24 * 60 + 1;
    assert_fires(&[], given, &[(day + 14, &[]), (day + 17, overdue), (1570, &[])]).await;
}

#[tokio::test]
async fn objects_that_cannot_be_parsed_are_told() {
    let given = vec![series("invalid_objects", "pod=\"a\"", "3x60")];
    assert_fires(&[], given, &[(29, &[]), (31, &[("ZenlayerPortInvalid", 1)])]).await;
}

#[tokio::test]
async fn old_status_checks_are_told_by_the_interval_of_the_checks() {
    let stands_still = || vec![series("oldest_reading_timestamp_seconds", "pod=\"a\"", "60x300")];
    let stale: &[(&str, u32)] = &[("ZenlayerPortReadingsStale", 1)];
    // Three checks of five minutes, after the first minute; and five minutes.
    assert_fires(&[], stands_still(), &[(20, &[]), (23, stale)]).await;
    let hourly = ["polling.resyncInterval=1h"];
    assert_fires(&hourly, stands_still(), &[(180, &[]), (188, stale)]).await;
    let often = ["polling.resyncInterval=30s"];
    assert_fires(&often, stands_still(), &[(15, &[]), (18, stale)]).await;
}

#[tokio::test]
async fn a_watch_that_hears_nothing_is_told() {
    let given = vec![series("last_watch_event_timestamp_seconds", "pod=\"a\"", "60x60")];
    assert_fires(&[], given, &[(15, &[]), (18, &[("ZenlayerPortWatchStale", 1)])]).await;
}

#[tokio::test]
async fn reconciles_that_fail_are_told_if_they_are_most() {
    let rate = |failed: &str| {
        vec![
            series("reconciles_total", "pod=\"a\",result=\"ok\"", "0+10x60"),
            series("reconciles_total", "pod=\"a\",result=\"kubernetes\"", format!("0+{failed}x60")),
        ]
    };
    assert_fires(&[], rate("8"), &[(50, &[])]).await;
    assert_fires(&[], rate("30"), &[(14, &[]), (20, &[("ZenlayerPortReconcilesFailing", 1)])]).await;
}

#[tokio::test]
async fn a_lack_of_leaders_and_an_excess_of_them_are_told() {
    let leaders = |a: &str, b: &str| {
        vec![
            series("leader", "pod=\"a\"", format!("{a}x30")),
            series("leader", "pod=\"b\"", format!("{b}x30")),
        ]
    };
    let told: &[(&str, u32)] = &[("ZenlayerPortNoLeader", 1)];
    assert_fires(&[], leaders("0", "0"), &[(4, &[]), (6, told)]).await;
    assert_fires(&[], leaders("1", "1"), &[(4, &[]), (6, told)]).await;
    assert_fires(&[], leaders("0", "1"), &[(20, &[])]).await;
}

#[tokio::test]
async fn an_operator_that_is_not_there_is_told() {
    let given =
        vec![series("build_info", "pod=\"a\"", "1x5 stale"), series("leader", "pod=\"a\"", "1x5 stale")];
    assert_fires(&[], given, &[(14, &[]), (17, &[("ZenlayerPortOperatorAbsent", 1)])]).await;
}

#[tokio::test]
async fn an_operator_that_starts_again_and_again_is_told() {
    let given = vec![series("process_start_time_seconds", "pod=\"a\"", "0+300x5 1500x100")];
    assert_fires(&[], given, &[(4, &[]), (12, &[("ZenlayerPortOperatorRestarting", 1)]), (80, &[])]).await;
}
