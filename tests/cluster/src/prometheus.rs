//! A Prometheus on loopback.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result, bail, ensure};
use jiff::Timestamp;
use reqwest::Url;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::assets::{self, Binary};
use crate::cluster::START_LIMIT;
use crate::folder::{Folder, Keeper};
use crate::host::Host;
use crate::pod::RunningPod;
use crate::ports::free_port;
use crate::process::Process;

/// Between two scrapes, and between two evaluations of the rules. A test does not wait for long, and a busy machine can still
/// answer a scrape within it.
const INTERVAL: &str = "250ms";

/// Something that is scraped.
#[derive(Clone, Debug)]
pub struct Target {
    /// `127.0.0.1:PORT`.
    address: String,
    labels: BTreeMap<&'static str, String>,
}

impl Target {
    /// A Pod that serves `/metrics`, with the labels that it gets from a ServiceMonitor with this job.
    pub fn of_pod(pod: &RunningPod, job: &str) -> Result<Self> {
        let address = pod.url()?.strip_prefix("http://").context("not http")?.to_owned();
        let labels = [("job", job), ("namespace", pod.namespace()), ("pod", pod.name())];
        let labels = labels.map(|(name, value)| (name, value.to_owned())).into();
        Ok(Self { address, labels })
    }
}

/// A running Prometheus with a folder of its own. Both end when it is dropped.
#[derive(Debug)]
pub struct Prometheus {
    url: Url,
    http: reqwest::Client,
    _process: Process,
    /// Last, as it removes the folder when dropped.
    _keeper: Keeper,
}

/// One series at one moment.
#[derive(Clone, Debug, Deserialize)]
pub struct Sample {
    #[serde(rename = "metric")]
    pub labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "value_of_pair")]
    pub value: f64,
}

/// A rule, and how its last evaluation went.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    pub name: String,
    /// `ok`, `err`, or `unknown` before the first evaluation.
    pub health: String,
    pub last_error: Option<String>,
    pub last_evaluation: Timestamp,
}

/// An alert that is pending or fires.
#[derive(Clone, Debug, Deserialize)]
pub struct Alert {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub state: String,
}

impl Prometheus {
    /// Starts it, and waits until it answers. Each of the `rules` is the content of a rule file, as in the `spec` of a
    /// PrometheusRule. The first time on a machine this may build it, as [`Assets`](crate::Assets) are built.
    pub async fn start(targets: &[Target], rules: &[Value]) -> Result<Self> {
        let program = assets::prometheus().await?.path(Binary::Prometheus);
        let (keeper, folder) = Host::new_folder()?;
        let config = write_config(&folder, targets, rules)?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        for _ in 0..5 {
            let address = format!("127.0.0.1:{}", free_port()?);
            let args = [
                format!("--config.file={config}"),
                format!("--storage.tsdb.path={}", folder.join("data").display()),
                format!("--web.listen-address={address}"),
            ];
            let process = Process::new(&folder, "prometheus", &program, args, [("", ""); 0])?;
            process.start()?;
            let url: Url = format!("http://{address}/").parse()?;
            match wait_for(&process, &http, &url).await {
                Ok(()) => return Ok(Self { url, http, _process: process, _keeper: keeper }),
                Err(_) if process.logs().contains("address already in use") => {}
                Err(error) => return Err(error),
            }
        }
        bail!("Prometheus found its port taken five times in a row")
    }

    /// What an expression evaluates to now.
    pub async fn query(&self, expression: &str) -> Result<Vec<Sample>> {
        #[derive(Deserialize)]
        struct Answer {
            result: Vec<Sample>,
        }
        let answer: Answer =
            self.get("query", &[("query", expression)]).await.context(expression.to_owned())?;
        Ok(answer.result)
    }

    /// All rules, in the order of their files.
    pub async fn rules(&self) -> Result<Vec<Rule>> {
        #[derive(Deserialize)]
        struct Answer {
            groups: Vec<Group>,
        }
        #[derive(Deserialize)]
        struct Group {
            rules: Vec<Rule>,
        }
        let answer: Answer = self.get("rules", &[]).await?;
        Ok(answer.groups.into_iter().flat_map(|group| group.rules).collect())
    }

    /// The alerts that are pending or fire.
    pub async fn alerts(&self) -> Result<Vec<Alert>> {
        #[derive(Deserialize)]
        struct Answer {
            alerts: Vec<Alert>,
        }
        let answer: Answer = self.get("alerts", &[]).await?;
        Ok(answer.alerts)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T> {
        #[derive(Deserialize)]
        struct Answer<T> {
            data: T,
        }
        let mut url = self.url.join("api/v1/")?.join(path)?;
        url.query_pairs_mut().extend_pairs(query);
        let answer = self.http.get(url).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "Prometheus says {status}: {text}");
        let answer: Answer<T> = serde_json::from_str(&text).with_context(|| text.clone())?;
        Ok(answer.data)
    }
}

/// A query of a dashboard as Grafana sends it when all jobs and all instances are chosen.
pub fn as_grafana_sends(query: &str) -> String {
    query.replace("$__rate_interval", "5m").replace("$job", ".+").replace("$instance", ".+")
}

/// Writes the configuration with its rule files; JSON is YAML. Returns the path.
fn write_config(folder: &Folder, targets: &[Target], rules: &[Value]) -> Result<String> {
    let mut rule_files = Vec::new();
    for (number, content) in (1..).zip(rules) {
        let file = folder.join(&format!("rules-{number}.json"));
        fs::write(&file, content.to_string())?;
        rule_files.push(file);
    }
    let targets =
        targets.iter().map(|target| json!({ "targets": [target.address], "labels": target.labels }));
    let config = json!({
        "global": { "scrape_interval": INTERVAL, "scrape_timeout": INTERVAL, "evaluation_interval": INTERVAL },
        "rule_files": rule_files,
        "scrape_configs": [{ "job_name": "targets", "static_configs": targets.collect::<Vec<_>>() }],
    });
    let file = folder.join("prometheus.json");
    fs::write(&file, config.to_string())?;
    Ok(file.display().to_string())
}

async fn wait_for(process: &Process, http: &reqwest::Client, url: &Url) -> Result<()> {
    let url = url.join("-/ready")?;
    let probe = async || {
        let status = http.get(url.clone()).send().await?.status();
        ensure!(status.is_success(), "/-/ready says {status}");
        Ok(())
    };
    process.ready(START_LIMIT, probe).await
}

/// A pair of a time and a number in quotes, which may be `NaN` or `+Inf`.
fn value_of_pair<'de, D: Deserializer<'de>>(pair: D) -> Result<f64, D::Error> {
    let (_time, value) = <(f64, String)>::deserialize(pair)?;
    value.parse().map_err(D::Error::custom)
}
