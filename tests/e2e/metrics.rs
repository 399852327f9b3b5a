//! The metrics of a running operator: as promtool wants them, and as the alerts and the dashboard ask for them. And the
//! commands of the runbook.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use test_support::metrics::{metrics, samples};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::world::{given, recycled, run, running};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The values of each label of each metric.
type Scrape = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// What the leader tells once it has destroyed a port.
async fn metrics_after_a_deletion() -> Result<String> {
    let world = given([recycled("port-1")]).start_with_edge().await?;
    world.delete("edge").await?;
    world.until_gone("edge").await?;
    // The finalizer is off a moment before that is counted.
    let counted = "deletions_total{reason=\"PortDestroyed\"} 1";
    world
        .until("the deletion is counted", async || {
            let text = metrics(world.operator()).await?;
            Ok(text.contains(counted).then_some(text))
        })
        .await
}

fn scrape(text: &str) -> Scrape {
    let mut scrape = Scrape::new();
    for sample in samples(text) {
        let known = scrape.entry(sample.name.to_owned()).or_default();
        for (label, value) in sample.labels() {
            known.entry(label.to_owned()).or_default().insert(value.to_owned());
        }
    }
    scrape
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics_of_a_running_operator() {
    run(async {
        let text = metrics_after_a_deletion().await?;
        let mut promtool = Command::new(test_cluster::promtool().await?)
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        promtool.stdin.take().context("its input")?.write_all(text.as_bytes()).await?;
        let output = promtool.wait_with_output().await?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        ensure!(output.status.success() && said.is_empty(), "{said}\n{text}");
        Ok(())
    });
}

/// What Prometheus adds to each series.
const OF_PROMETHEUS: [&str; 4] = ["job", "instance", "namespace", "pod"];

/// What the expressions of the alerts and of the dashboard are.
fn expressions() -> Result<Vec<String>> {
    let read = |file: &str| fs::read_to_string(format!("{ROOT}/deploy/chart/files/{file}"));
    let alerts: Vec<Value> = serde_saphyr::from_str(&read("alerts.yaml")?)?;
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")?)?;
    let targets = dashboard["panels"].as_array().into_iter().flatten();
    let targets = targets.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let annotations = dashboard["annotations"]["list"].as_array().into_iter().flatten();
    let expressions = alerts.iter().chain(targets).chain(annotations);
    let expressions = expressions.map(|one| one["expr"].as_str().context("an expression").map(str::to_owned));
    expressions.collect()
}

/// What an expression asks for that the operator does not have.
fn unknown(expression: &str, scrape: &Scrape) -> Vec<String> {
    let mut unknown = Vec::new();
    let mut labels_of_all = BTreeSet::from(OF_PROMETHEUS);
    let of_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let starts =
        ["zenlayer_port_operator_", "process_"].iter().flat_map(|prefix| expression.match_indices(prefix));
    for (start, _) in starts {
        let rest = &expression[start..];
        let (name, rest) = rest.split_at(rest.find(|it| !of_name(it)).unwrap_or(rest.len()));
        let Some(labels) = scrape.get(name) else {
            unknown.push(name.to_owned());
            continue;
        };
        labels_of_all.extend(labels.keys().map(String::as_str));
        let matchers =
            rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(inside, _)| inside);
        for matcher in matchers.split(',').filter(|matcher| *matcher != "SELECTOR" && !matcher.is_empty()) {
            let (label, values) = matcher.split_once(['=', '!']).unwrap_or((matcher, ""));
            let values = values.trim_start_matches(['=', '~']).trim_matches('"');
            if OF_PROMETHEUS.contains(&label) {
                continue;
            }
            let known = labels.get(label);
            let values = values.split('|').filter(|value| known.is_none_or(|known| !known.contains(*value)));
            unknown.extend(values.map(|value| format!("{name}{{{label}=\"{value}\"}}")));
        }
    }
    for word in [" by (", " without ("] {
        for list in expression.split(word).skip(1).filter_map(|rest| rest.split_once(')')) {
            let labels = list.0.split(',').map(str::trim);
            unknown.extend(labels.filter(|label| !labels_of_all.contains(label)).map(str::to_owned));
        }
    }
    unknown
}

#[test]
fn the_alerts_and_the_dashboard_ask_for_nothing_that_the_operator_does_not_have() {
    run(async {
        let scrape = scrape(&metrics_after_a_deletion().await?);
        let expressions = expressions()?;
        ensure!(expressions.len() > 40, "{} expressions", expressions.len());
        let unknown: Vec<_> = expressions.iter().flat_map(|one| unknown(one, &scrape)).collect();
        ensure!(unknown.is_empty(), "{unknown:#?}");
        let asked = |name: &String| {
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            expressions.iter().any(|expression| expression.contains(family.unwrap_or(name)))
        };
        let idle: Vec<_> = scrape.keys().filter(|name| !asked(name)).collect();
        let known = ["process_max_fds", "process_open_fds", "process_virtual_memory_bytes"];
        ensure!(idle == known, "nothing asks for {idle:?}");
        Ok(())
    });
}

#[test]
fn what_the_operator_does_not_have_is_found() {
    let scrape =
        scrape("zenlayer_port_operator_ports{status=\"True\",reason=\"Running\"} 1\nprocess_open_fds 3\n");
    for (expression, expected) in [
        ("sum(zenlayer_port_operator_ports{SELECTOR,reason=~\"Running\"})", None),
        ("sum by (reason) (process_open_fds / zenlayer_port_operator_ports{job=\"x\"})", None),
        ("zenlayer_port_operator_port", Some("zenlayer_port_operator_port")),
        ("max(process_max_fds)", Some("process_max_fds")),
        (
            "zenlayer_port_operator_ports{reason=~\"Running|Lost\"}",
            Some("zenlayer_port_operator_ports{reason=\"Lost\"}"),
        ),
        ("zenlayer_port_operator_ports{reasons!=\"\"}", Some("zenlayer_port_operator_ports{reasons=\"\"}")),
        ("sum by (policy) (zenlayer_port_operator_ports)", Some("policy")),
    ] {
        assert_eq!(unknown(expression, &scrape), expected.into_iter().collect::<Vec<_>>(), "{expression}");
    }
}

/// What needs a node, an editor, the Prometheus Operator, or a chart of this folder.
const NOT_TYPED: [&str; 5] =
    ["kubectl logs", "kubectl rollout", "kubectl edit", "kubectl get servicemonitors", "helm "];

#[test]
fn the_commands_of_the_runbook_can_be_typed() {
    run(async {
        let world = given([running("port-1"), running("port-2")]).start().await?;
        for (name, port) in [("edge", "port-1"), ("other", "port-2")] {
            world.own_until(name, port, "Destroy", "Running").await?;
        }
        world.delete("edge").await?;
        world.until_reason("edge", "NotInRecycleBin").await?;
        let runbook = fs::read_to_string(format!("{ROOT}/docs/runbook.md"))?;
        let (release, name) = (world.release(), world.deployment());
        let lines = runbook.replace("\\\n", "");
        let commands = lines.lines().filter_map(|line| line.strip_prefix("$ "));
        let is_typed = |command: &&str| !NOT_TYPED.iter().any(|it| command.starts_with(it));
        // A change comes last: it lets the object go.
        let (changes, looks): (Vec<&str>, Vec<&str>) =
            commands.filter(is_typed).partition(|command| command.starts_with("kubectl patch"));
        let commands = [looks, changes].concat();
        ensure!(commands.len() > 20, "{} commands", commands.len());
        for command in commands {
            // What looks for a reason finds none in this namespace.
            let command = command.split(" | ").next().unwrap_or_default();
            let command = command
                .replace("zenlayer-system:zenlayer-port-operator", &format!("{release}:{name}"))
                .replace("lease zenlayer-port-operator", &format!("lease {name}"))
                .replace("leases/zenlayer-port-operator", &format!("leases/{name}"))
                .replace("zenlayer-system", release)
                .replace("--namespace NAMESPACE", &format!("--namespace {}", world.namespace))
                .replace(" NAME ", " edge ");
            world.type_command(&command).await?;
        }
        world.until_gone("edge").await
    });
}
