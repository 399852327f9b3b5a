use std::collections::BTreeSet;

use super::*;

/// The metrics of a process that leads.
fn leader() -> Metrics {
    let metrics = Metrics::default();
    metrics.observe_leadership(|| true);
    metrics.observe_state(|| Some(State::default()));
    metrics
}

/// Name, labels and value of each sample.
fn samples(text: &str) -> Vec<(&str, &str, &str)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            (name, labels.trim_end_matches('}'), value)
        })
        .collect()
}

#[test]
fn open_metrics_end_once() {
    let text = leader().open_metrics();
    assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1, "{text}");
    assert!(text.contains("# TYPE zenlayer_port_operator_reconciles counter\n"), "{text}");
}

#[test]
fn in_the_classic_format_each_family_has_the_name_of_its_samples() {
    let text = leader().classic();
    let families: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    for (name, ..) in samples(&text) {
        let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        let family = of_histogram.filter(|family| families.contains(family)).unwrap_or(name);
        assert!(families.contains(family), "{name} has no type in\n{text}");
        assert!(text.contains(&format!("# HELP {family} ")), "{name} has no help in\n{text}");
    }
    assert!(text.contains("# TYPE zenlayer_port_operator_build_info gauge\n"), "{text}");
    assert!(!text.contains("# EOF"), "{text}");
}

#[test]
fn what_can_be_counted_is_there_from_the_start() {
    let text = leader().classic();
    let samples = samples(&text);
    let values = |name: &str| -> Vec<(&str, &str)> {
        let name = format!("zenlayer_port_operator_{name}");
        samples.iter().filter(|sample| sample.0 == name).map(|sample| (sample.1, sample.2)).collect()
    };
    for (name, series) in [
        ("reconciles_total", 7),
        ("deletions_total", 5),
        ("deletion_duration_seconds_count", 4),
        ("api_requests_total", 45),
        ("api_request_duration_seconds_count", 5),
        ("rate_limit_wait_seconds_count", 1),
        ("watch_errors_total", 1),
        ("events_lost_total", 1),
        ("status_checks_total", 2),
        ("ports", Reason::ALL.len()),
        ("oldest_deletion_timestamp_seconds", 1),
    ] {
        let values = values(name);
        assert_eq!(values.len(), series, "{name}: {values:?}");
        assert!(values.iter().all(|(_, value)| *value == "0"), "{name}: {values:?}");
    }
}

#[test]
fn no_label_holds_what_users_choose() {
    let text = leader().classic();
    let mut names = BTreeSet::new();
    for (_, labels, _) in samples(&text) {
        names.extend(labels.split("\",").filter_map(|label| label.split_once('=')).map(|(name, _)| name));
    }
    let known = ["action", "le", "policy", "reason", "result", "revision", "status", "version"];
    assert_eq!(names, BTreeSet::from(known));
}

#[test]
fn of_several_watches_the_one_that_is_silent_counts() {
    let metrics = leader();
    let _lively = metrics.watch(Timestamp::now());
    metrics.watch(Timestamp::now()).forget();
    let text = metrics.classic();
    assert!(text.contains("_last_watch_event_timestamp_seconds 0\n"), "{text}");
}

#[test]
fn a_watch_that_never_lists_its_objects_is_told_and_no_object_is_counted() {
    let metrics = Metrics::default();
    metrics.observe_leadership(|| true);
    metrics.observe_state(|| None);
    assert!(!metrics.classic().contains("_last_watch_event_timestamp_seconds"), "there is no watch yet");
    metrics.watch(Timestamp::now()).forget();
    let text = metrics.classic();
    assert!(text.contains("_last_watch_event_timestamp_seconds 0\n"), "{text}");
    assert!(!text.contains("_terminating_ports"), "{text}");
}

#[test]
fn the_process_is_measured() {
    let text = leader().classic();
    for name in [
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_virtual_memory_bytes",
    ] {
        let value =
            samples(&text).iter().find(|sample| sample.0 == name).map(|sample| sample.2.parse::<f64>());
        let value = value.unwrap_or_else(|| panic!("{name} is missing from\n{text}")).expect("a number");
        assert!(value > 0.0 || name == "process_cpu_seconds_total", "{name} {value}");
    }
}
