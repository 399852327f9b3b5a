//! What is scraped, and the dashboard.

use serde_json::{Value, json};
use test_cluster::as_grafana_sends;

use crate::alerts::run_promtool;
use crate::{CHART, find, helm, render, template};

#[tokio::test]
async fn nothing_is_made_for_prometheus_and_grafana_unless_it_is_asked_for() {
    let objects = render(&[]).await;
    for kind in ["ServiceMonitor", "PodMonitor", "PrometheusRule", "ConfigMap"] {
        assert!(find(&objects, kind).is_none(), "{kind}");
    }
}

#[tokio::test]
async fn both_monitors_scrape_the_operator_as_the_job_that_the_alerts_look_for() {
    for (value, kind, endpoints) in [
        ("metrics.serviceMonitor", "ServiceMonitor", "endpoints"),
        ("metrics.podMonitor", "PodMonitor", "podMetricsEndpoints"),
    ] {
        let values = [
            format!("{value}.enabled=true"),
            format!("{value}.interval=1m"),
            format!("{value}.labels.release=kps"),
        ];
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let objects = render(&values).await;
        let monitor = find(&objects, kind).expect("a monitor");
        assert_eq!(monitor["metadata"]["labels"]["release"], "kps");
        let job = json!([{ "targetLabel": "job", "replacement": "zpo-zenlayer-port-operator" }]);
        let endpoint = json!([{ "port": "http", "path": "/metrics", "interval": "1m", "relabelings": job }]);
        assert_eq!(monitor["spec"][endpoints], endpoint);
        let selector = monitor["spec"]["selector"]["matchLabels"].as_object().expect("labels");
        let labels = match kind {
            "ServiceMonitor" => &find(&objects, "Service").expect("a Service")["metadata"]["labels"],
            _ => &template(&objects, "Deployment")["metadata"]["labels"],
        };
        assert!(
            selector.iter().all(|(name, value)| labels[name] == *value),
            "{kind}: {selector:?}, {labels}"
        );
        let port = &template(&objects, "Deployment")["spec"]["containers"][0]["ports"][0]["name"];
        assert_eq!(port, "http");
    }
}

#[tokio::test]
async fn pods_are_not_scraped_twice() {
    let both = "metrics.serviceMonitor.enabled=true,metrics.podMonitor.enabled=true";
    let output = helm(&["template", "zpo", CHART, "--set", both]).await;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("enable one of them"), "{error}");
}

async fn dashboard() -> Value {
    let values = ["metrics.grafanaDashboard.enabled=true", "metrics.grafanaDashboard.namespace=monitoring"];
    let objects = render(&values).await;
    let map = find(&objects, "ConfigMap").expect("a ConfigMap");
    assert_eq!(map["metadata"]["namespace"], "monitoring");
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    let text = map["data"]["zenlayer-port-operator.json"].as_str().expect("a dashboard");
    serde_json::from_str(text).expect("JSON")
}

fn panels(dashboard: &Value) -> Vec<&Value> {
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    panels.filter(|panel| panel["type"] != "row").collect()
}

/// The queries of all panels and annotations.
fn queries(dashboard: &Value) -> Vec<&str> {
    let targets =
        panels(dashboard).into_iter().flat_map(|panel| panel["targets"].as_array().expect("queries"));
    let annotations = dashboard["annotations"]["list"].as_array().expect("annotations");
    targets.chain(annotations).map(|query| query["expr"].as_str().expect("a query")).collect()
}

#[tokio::test]
async fn promtool_understands_every_query_of_the_dashboard() {
    let dashboard = dashboard().await;
    let filled = queries(&dashboard).into_iter().map(as_grafana_sends);
    let rules: Vec<Value> =
        filled.zip(0..).map(|(expr, n)| json!({ "record": format!("query:{n}"), "expr": expr })).collect();
    assert!(rules.len() > 20, "{}", rules.len());
    let rules = json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    run_promtool(&["check", "rules", "rules.json"], &[("rules.json", &rules)]).await;
}

#[tokio::test]
async fn every_panel_says_what_it_shows_and_asks_the_chosen_data_source() {
    let dashboard = dashboard().await;
    let mut ids = Vec::new();
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().expect("a title");
        assert!(panel["description"].as_str().is_some_and(|it| it.ends_with('.')), "{title}");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title} has no unit");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        ids.push(panel["id"].as_u64().expect("an id"));
    }
    ids.dedup();
    assert_eq!(ids.len(), panels(&dashboard).len(), "each panel has an id of its own");
    assert_eq!(
        (&dashboard["uid"], &dashboard["editable"]),
        (&json!("zenlayer-port-operator"), &json!(false))
    );
    for variable in dashboard["templating"]["list"].as_array().expect("variables").iter().skip(1) {
        assert_eq!(variable["refresh"], 2, "{variable}: read again when the time range changes");
        assert_eq!(variable["allValue"], ".+", "{variable}");
    }
}

#[tokio::test]
async fn every_query_is_about_the_chosen_replicas_and_follows_the_interval_of_the_scrapes() {
    let dashboard = dashboard().await;
    for query in queries(&dashboard) {
        let metrics = query.matches("zenlayer_port_operator_").count() + query.matches("process_").count();
        let chosen = query.matches("{job=~\"$job\",instance=~\"$instance\"").count();
        assert_eq!(metrics, chosen, "{query}");
        for rate in query.split("rate(").skip(1) {
            let range = rate.split_once('[').map(|(_, range)| range).unwrap_or_default();
            assert!(range.starts_with("$__rate_interval]"), "{query}");
        }
    }
}

#[tokio::test]
async fn no_panel_covers_another() {
    let dashboard = dashboard().await;
    let mut taken = std::collections::BTreeSet::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        let at = |name: &str| panel["gridPos"][name].as_u64().expect("a number");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(x < 24 && taken.insert((x, y)), "{} at {x}, {y}", panel["title"]);
            }
        }
    }
}
