//! A real Prometheus scrapes a running operator, evaluates the alerts of the chart, and answers the queries of its dashboard.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::Value;
use test_cluster::{Alert, Prometheus, Sample, Target, as_grafana_sends};

use crate::world::{CHART, World, given, recycled, run, running, until};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

const ENABLED: &str = "metrics.prometheusRule.enabled=true";

/// The rules that Helm renders for the operator of this world.
async fn rules(world: &World, value: &str) -> Result<Value> {
    let release = world.release();
    let template = ["template", release, CHART, "--namespace", release, "--set", value];
    let only = ["--show-only", "templates/prometheusrule.yaml"];
    let rendered = world.cluster.helm(&[&template[..], &only].concat()).await?;
    let rendered: Value = serde_saphyr::from_str(&rendered)?;
    Ok(rendered["spec"].clone())
}

/// A Prometheus that scrapes the operator of this world as a ServiceMonitor of the chart says.
async fn scraping(world: &World, rules: &[Value]) -> Result<Prometheus> {
    let target = Target::of_pod(world.operator(), &world.deployment())?;
    Prometheus::start(&[target], rules).await
}

/// Waits until this is the only alert, and in this state.
async fn until_only_alert(prometheus: &Prometheus, name: &str, state: &str) -> Result<Alert> {
    let only = until("there is this alert and no other", async || {
        let alerts = prometheus.alerts().await?;
        let is_wanted = |alert: &&Alert| alert.labels["alertname"] == name && alert.state == state;
        Ok(alerts.first().filter(|alert| alerts.len() == 1 && is_wanted(alert)).cloned())
    });
    match only.await {
        Ok(alert) => Ok(alert),
        Err(error) => Err(error.context(format!("{name} {state}, but: {:#?}", prometheus.alerts().await?))),
    }
}

/// Waits until each rule was evaluated on two scrapes, as a rate needs them, then fails if one of them has an error.
async fn assert_that_all_rules_work(prometheus: &Prometheus, number: usize) -> Result<()> {
    let rate = "rate(zenlayer_port_operator_reconciles_total[15m])";
    until("there are two scrapes", async || Ok(prometheus.query(rate).await?.pop())).await?;
    let now = Timestamp::now();
    let rules = until("all rules are evaluated again", async || {
        let rules = prometheus.rules().await?;
        Ok(rules.iter().all(|rule| rule.last_evaluation > now).then_some(rules))
    });
    let rules = rules.await?;
    let wrong: Vec<_> = rules.iter().filter(|rule| rule.health != "ok").collect();
    ensure!(wrong.is_empty(), "{wrong:#?}");
    ensure!(rules.len() == number, "{} rules instead of {number}", rules.len());
    Ok(())
}

#[test]
fn prometheus_evaluates_all_alerts_and_fires_the_one_about_an_object_that_needs_a_person() {
    run(async {
        let world = given([running("port-1")]).start().await?;
        world.own_until("edge", "port-1", "Destroy", "Running").await?;
        world.delete("edge").await?;
        world.until_reason("edge", "NotInRecycleBin").await?;

        let as_shipped = rules(&world, ENABLED).await?;
        let number = as_shipped["groups"][0]["rules"].as_array().context("rules")?.len();
        ensure!(number > 10, "{number} rules");
        let prometheus = scraping(&world, &[as_shipped]).await?;
        assert_that_all_rules_work(&prometheus, number).await?;
        until_only_alert(&prometheus, "ZenlayerPortNeedsPerson", "pending").await?;
        drop(prometheus);

        let soon = format!("{ENABLED},metrics.prometheusRule.overrides.ZenlayerPortNeedsPerson.for=1s");
        let soon = rules(&world, &soon).await?;
        let prometheus = scraping(&world, &[soon]).await?;
        let alert = until_only_alert(&prometheus, "ZenlayerPortNeedsPerson", "firing").await?;
        let job = world.deployment();
        let labels = [
            ("alertname", "ZenlayerPortNeedsPerson"),
            ("job", job.as_str()),
            ("namespace", world.release()),
            ("reason", "NotInRecycleBin"),
            ("severity", "warning"),
        ];
        let labels: BTreeMap<_, _> = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        ensure!(alert.labels == labels, "{:#?}", alert.labels);
        let description = &alert.annotations["description"];
        ensure!(
            description.starts_with("1 ZenlayerPorts are stalled with the reason NotInRecycleBin."),
            "{description}"
        );
        let url = &alert.annotations["runbook_url"];
        let (document, anchor) = url.split_once('#').context(url.clone())?;
        let runbook = fs::read_to_string(format!("{ROOT}/{document}"))?;
        let sections = runbook.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_lowercase);
        ensure!(sections.into_iter().any(|section| section == anchor), "{document} has no section {anchor}");
        Ok(())
    });
}

/// A query of the dashboard, and the text that is written beside what it shows.
struct Query {
    of: String,
    expression: String,
    legend: String,
}

impl Query {
    fn new(of: &Value, query: &Value, legend: &str) -> Result<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned).context("not a text");
        let expression = as_grafana_sends(&text(&query["expr"])?);
        Ok(Self { of: text(of)?, expression, legend: text(&query[legend])? })
    }

    /// Whether this has a number, and every label that the legend names.
    fn is_shown(&self, sample: &Sample) -> bool {
        let labels = self.legend.split("{{").skip(1).filter_map(|rest| Some(rest.split_once("}}")?.0));
        let mut labels = labels.map(|label| sample.labels.get(label));
        sample.value.is_finite() && labels.all(|label| label.is_some_and(|value| !value.is_empty()))
    }
}

/// The queries of all panels, and of the annotations.
fn queries() -> Result<Vec<Query>> {
    let dashboard = fs::read_to_string(format!("{ROOT}/deploy/chart/files/dashboard.json"))?;
    let dashboard: Value = serde_json::from_str(&dashboard)?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut queries = Vec::new();
    for panel in list(&dashboard["panels"]) {
        for target in list(&panel["targets"]) {
            queries.push(Query::new(&panel["title"], &target, "legendFormat")?);
        }
    }
    for annotation in list(&dashboard["annotations"]["list"]) {
        queries.push(Query::new(&annotation["name"], &annotation, "titleFormat")?);
    }
    Ok(queries)
}

/// Annotations of what does not happen here.
const WITHOUT_ANSWER: [&str; 1] = ["Restarts"];

#[test]
fn prometheus_has_an_answer_to_every_query_of_the_dashboard() {
    run(async {
        let world = given([recycled("port-1"), running("port-2")]).start().await?;
        world.own("edge", "port-1", "Destroy").await?;
        world.own("other", "port-2", "Destroy").await?;
        world.until_alive("edge", "PortRecycled").await?;
        world.until_alive("other", "Running").await?;
        let prometheus = scraping(&world, &[]).await?;
        let leads = "zenlayer_port_operator_leader == 1";
        until("the operator is scraped", async || Ok(prometheus.query(leads).await?.pop())).await?;
        world.delete("edge").await?;
        world.delete("other").await?;
        world.until_gone("edge").await?;
        world.until_reason("other", "NotInRecycleBin").await?;

        let queries = queries()?;
        ensure!(queries.len() > 25, "{} queries", queries.len());
        for query in queries {
            let is_expected = !WITHOUT_ANSWER.contains(&query.of.as_str());
            let what = format!("there is an answer to the query of {:?}: {}", query.of, query.expression);
            until(&what, async || {
                let answer = prometheus.query(&query.expression).await?;
                Ok((!is_expected || answer.iter().any(|sample| query.is_shown(sample))).then_some(()))
            })
            .await?;
        }
        Ok(())
    });
}
