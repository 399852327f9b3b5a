//! The server in memory answers as a real API server does.
//!
//! The real answers are recorded: `cargo xtask conformance --record` writes `golden.json` anew, `cargo xtask conformance`
//! says whether the real server still answers so. What the server in memory knowingly does otherwise is not in the script:
//! the documentation of the crate lists it.

mod normal;
mod play;
mod script;
mod step;

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::{Map, Value};
use simulation::ApiServer;
use step::{Scene, Step};
use test_cluster::Cluster;

use self::play::play;

/// Set: the real server's answers are written down. Else they are compared with those that are.
const RECORD: &str = "CONFORMANCE_RECORD";

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden.json")
}

fn definition() -> Value {
    let file =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../crds/zenlayerports.sdn.zenlayer.com.yaml");
    serde_saphyr::from_str(&fs::read_to_string(file).expect("the definition")).expect("YAML")
}

/// What is there before the first scene: the kind ZenlayerPort.
fn beginning() -> Scene {
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let steps = steps![
        step::post(definitions, definition()),
        step::get("/apis/sdn.zenlayer.com/v1alpha1/zenlayerports").until(200, "items"),
    ];
    Scene { name: "beginning", steps }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime")
}

/// A server whose clock is that of the runtime.
fn server() -> ApiServer {
    let started = tokio::time::Instant::now();
    let start: Timestamp = "2030-01-01T00:00:00Z".parse().expect("a time");
    let now = move || start + SignedDuration::try_from(started.elapsed()).unwrap_or_default();
    ApiServer::new(now, 7)
}

async fn in_memory(scene: &Scene) -> Result<Vec<Value>> {
    let server = server();
    let client = server.client();
    let between = || {
        server.work();
    };
    play(&client, &beginning(), between).await?;
    Ok(normal::normalised(play(&client, scene, between).await?))
}

#[test]
fn the_server_in_memory_answers_as_the_real_one_did() {
    let recorded: Value =
        serde_json::from_str(&fs::read_to_string(golden()).expect("golden.json")).expect("JSON");
    let mut wrong = Vec::new();
    for scene in script::scenes() {
        let said = runtime().block_on(in_memory(&scene));
        let said = said.unwrap_or_else(|error| vec![format!("{error:#}").into()]);
        wrong.extend(differences(scene.name, &recorded[scene.name], &said));
    }
    assert!(wrong.is_empty(), "{} answers differ:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn the_script_asks_for_at_least_two_hundred_things() {
    let scenes = script::scenes();
    let steps = scenes.iter().flat_map(|scene| &scene.steps);
    let asked = steps.filter(|step| !matches!(step, Step::Lines(..) | Step::Rest(_))).count();
    assert!(asked >= 200, "{asked}");
}

#[test]
#[ignore = "starts a control plane: cargo xtask conformance"]
fn the_real_server_still_answers_so() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let answers = runtime.block_on(ask_the_real_server()).expect("answers");
    if std::env::var_os(RECORD).is_some() {
        fs::write(golden(), written(&answers)).expect("golden.json");
        return;
    }
    let recorded: Value =
        serde_json::from_str(&fs::read_to_string(golden()).expect("golden.json")).expect("JSON");
    let wrong: Vec<String> = answers
        .iter()
        .flat_map(|(name, said)| differences(name, &recorded[name], said.as_array().expect("a list")))
        .collect();
    assert!(wrong.is_empty(), "{} answers differ:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

async fn ask_the_real_server() -> Result<Map<String, Value>> {
    let cluster = Cluster::start().await?;
    let client = client_of(&cluster).await?;
    play(&client, &beginning(), || ()).await?;
    let mut answers = Map::new();
    for scene in script::scenes() {
        let said = play(&client, &scene, || ()).await?;
        answers.insert(scene.name.to_owned(), normal::normalised(said).into());
    }
    Ok(answers)
}

/// A client that asks once: kube's own would ask again after a 504.
async fn client_of(cluster: &Cluster) -> Result<Client> {
    // It is installed by the cluster's own client.
    cluster.client().await?;
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig())?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.proxy_url = None;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

/// One line for each step, so that a difference is a line.
fn written(answers: &Map<String, Value>) -> String {
    let scenes = answers.iter().map(|(name, steps)| {
        let steps: Vec<String> = steps.as_array().into_iter().flatten().map(Value::to_string).collect();
        format!("{}: [\n{}\n]", Value::from(name.as_str()), steps.join(",\n"))
    });
    format!("{{\n{}\n}}\n", scenes.collect::<Vec<_>>().join(",\n"))
}

fn differences(scene: &str, recorded: &Value, said: &[Value]) -> Vec<String> {
    let nothing = Vec::new();
    let recorded = recorded.as_array().unwrap_or(&nothing);
    let count = recorded.len().max(said.len());
    let pairs = (0..count).map(|number| (number, recorded.get(number), said.get(number)));
    let differ = pairs.filter(|(_, recorded, said)| recorded != said);
    let shown = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
    differ
        .map(|(number, recorded, said)| {
            format!("{scene} {number}\n  recorded: {}\n  said:     {}", shown(recorded), shown(said))
        })
        .collect()
}
