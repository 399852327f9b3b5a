//! What a deletion leaves in the log and in a collector of traces.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;
use tokio::net::TcpListener;
use zenlayer_simulator::{Account, Answer, Rule};

use crate::secrets::{PASSWORD, shapes};
use crate::world::{PATIENCE, Setup, World, given, recycled, run, running};

/// What the collector asks for in a header.
const HEADER: &str = "hK3~mV8_xT5.qB1";

/// Takes traces, and keeps what it is sent.
struct Collector {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

impl Collector {
    async fn start(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let (address, requests) = (listener.local_addr()?, Arc::<Mutex<Vec<_>>>::default());
        let app = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&requests));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { address, requests })
    }

    fn requests(&self) -> Vec<(HeaderMap, Bytes)> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn resources(&self) -> Result<Vec<opentelemetry_proto::tonic::trace::v1::ResourceSpans>> {
        let mut all = Vec::new();
        for (_, body) in self.requests() {
            all.extend(ExportTraceServiceRequest::decode(body)?.resource_spans);
        }
        Ok(all)
    }

    fn spans(&self) -> Result<Vec<Span>> {
        let scopes = self.resources()?.into_iter().flat_map(|resource| resource.scope_spans);
        Ok(scopes.flat_map(|scope| scope.spans).collect())
    }
}

type Requests = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

async fn take(State(requests): State<Requests>, headers: HeaderMap, body: Bytes) -> StatusCode {
    requests.lock().unwrap_or_else(PoisonError::into_inner).push((headers, body));
    StatusCode::OK
}

fn exporting_to(collector: SocketAddr, setup: Setup) -> Setup {
    setup.value(format!("tracing.otlp.endpoint=http://{collector}"))
}

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Attributes as text.
fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

impl World {
    /// The object's uid.
    async fn uid(&self, name: &str) -> Result<String> {
        self.kubectl(&["get", "zenlayerport", name, "--output", "jsonpath={.metadata.uid}"]).await
    }

    /// Zenlayer's id of the only request of this action.
    fn request_id(&self, action: &str) -> String {
        let journal = self.journal();
        let calls: Vec<_> = journal.calls(action).collect();
        let [call] = &calls[..] else { panic!("{action} was called {} times", calls.len()) };
        call.request_id.to_string()
    }
}

#[test]
fn a_deletion_is_one_trace_named_by_the_uid_of_its_object_and_tells_no_secret() {
    run(async {
        let collector = Collector::start(ANY_PORT).await?;
        let world = exporting_to(collector.address, given([running("port-1"), running("port-2")]))
            .without_secret()
            .env("OTEL_EXPORTER_OTLP_HEADERS", format!("x-key={HEADER}"))
            .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=try")
            .start()
            .await?;
        world.simulator.put_account(Account::new("default").key("KEY", PASSWORD));
        world.put_secret("KEY", PASSWORD).await?;
        world.own("edge", "port-1", "TerminateAndDestroy").await?;
        world.own("other", "port-2", "Retain").await?;
        world.until_alive("edge", "Running").await?;
        let uid = world.uid("edge").await?;
        world.simulator.fault(Rule::on("DescribePorts").once().answer(Answer::html(502)));
        world.delete("edge").await?;
        world.until_gone("edge").await?;
        let selector = ["--field-selector", "involvedObject.name=edge"];
        let of_event = ["--output", "jsonpath={.items[0].involvedObject.uid}"];
        let events = [&["get", "events"][..], &selector, &of_event].concat();
        assert_eq!(world.kubectl(&events).await?, uid, "the Events name it when the object is gone");
        // What is still in the queue is sent before the process ends.
        world.operator().terminate(PATIENCE).await?;

        let spans = collector.spans()?;
        let (trace, root) = ids(&uid);
        let of_deletion: Vec<&Span> = spans.iter().filter(|span| span.trace_id == trace).collect();
        let named = |name: &str| {
            let named: Vec<&Span> = of_deletion.iter().copied().filter(|span| span.name == name).collect();
            named
        };
        let [whole] = named("delete ZenlayerPort")[..] else { panic!("{of_deletion:#?}\n{}", world.log()) };
        assert_eq!((&whole.span_id, whole.parent_span_id.is_empty()), (&root, true));
        let told = |key| attribute(&whole.attributes, key);
        assert_eq!(told("reason").as_deref(), Some("PortDestroyed"));
        assert_eq!(told("request_id"), Some(world.request_id("DestroyPort")));
        assert_eq!((told("name").as_deref(), told("port").as_deref()), (Some("edge"), Some("port-1")));
        for (action, row) in [("TerminatePort", "24"), ("DestroyPort", "25")] {
            let [call] = named(action)[..] else { panic!("one span of {action}: {of_deletion:#?}") };
            let told = |key| attribute(&call.attributes, key);
            assert_eq!(told("request_id"), Some(world.request_id(action)));
            assert_eq!(told("http.request.method").as_deref(), Some("POST"));
            assert_eq!(told("http.response.status_code").as_deref(), Some("200"));
            let by =
                of_deletion.iter().find(|span| span.span_id == call.parent_span_id).context("a reconcile")?;
            assert_eq!((by.name.as_str(), &by.parent_span_id), ("reconcile", &root));
            assert_eq!(attribute(&by.attributes, "row").as_deref(), Some(row));
        }
        for span in &of_deletion {
            let is_whole = span.span_id == root;
            let has_parent = of_deletion.iter().any(|parent| parent.span_id == span.parent_span_id);
            assert!(is_whole || has_parent, "its parent is not there: {span:#?}");
        }

        // Of the checks of ports, only the one that failed.
        let checks: Vec<&Span> = spans.iter().filter(|span| span.name == "DescribePorts").collect();
        let [failed] = checks[..] else { panic!("one status check failed: {checks:#?}") };
        assert_eq!(attribute(&failed.attributes, "http.response.status_code").as_deref(), Some("502"));
        assert_eq!(attribute(&failed.attributes, "error.type").as_deref(), Some("unclear"));

        assert_resource(&collector, &world)?;
        assert_no_secret(&collector, &world)
    });
}

/// The trace of an object's deletion, and its root span.
fn ids(uid: &str) -> (Vec<u8>, Vec<u8>) {
    let digits = uid.replace('-', "");
    let trace = u128::from_str_radix(&digits, 16).expect("a uid is a UUID").to_be_bytes();
    (trace.to_vec(), trace[8..].to_vec())
}

fn assert_resource(collector: &Collector, world: &World) -> Result<()> {
    for resource in collector.resources()? {
        let resource = resource.resource.context("a resource")?;
        let told = |key| attribute(&resource.attributes, key);
        assert_eq!(told("service.name").as_deref(), Some("zenlayer-port-operator"));
        assert_eq!(told("k8s.namespace.name").as_deref(), Some(world.release()));
        assert_eq!(told("deployment.environment.name").as_deref(), Some("try"));
    }
    Ok(())
}

fn assert_no_secret(collector: &Collector, world: &World) -> Result<()> {
    let requests = collector.requests();
    assert!(!requests.is_empty(), "nothing was sent");
    for (headers, body) in requests {
        assert_eq!(headers["x-key"], HEADER);
        let sent = String::from_utf8_lossy(&body);
        for shape in shapes(PASSWORD)?.iter().chain(&shapes(HEADER)?) {
            assert!(!sent.contains(shape), "{shape} is sent: {sent}");
        }
    }
    let log = world.operator().logs();
    assert!(!log.contains(HEADER), "the header of the collector is in the log");
    Ok(())
}

#[test]
fn of_many_calls_that_wait_for_their_turn_each_is_logged_once_as_landed() {
    run(async {
        let ids: Vec<String> = (1..=20).map(|number| format!("port-{number}")).collect();
        let ports = given(ids.iter().map(|id| running(id)));
        let world = ports.value("deletion.massDeletionThreshold=0").start().await?;
        for id in &ids {
            world.own(id, id, "TerminateAndDestroy").await?;
        }
        for id in &ids {
            world.until_alive(id, "Running").await?;
        }
        world.kubectl(&["delete", "zenlayerports", "--all", "--wait=false"]).await?;
        for id in &ids {
            world.until_gone(id).await?;
        }
        let log = world.operator().logs();
        for id in &ids {
            let port = format!(" port={id} ");
            let landed =
                log.lines().filter(|line| line.contains("TerminatePort took effect") && line.contains(&port));
            assert_eq!(landed.count(), 1, "{id}: {}", world.log());
        }
        Ok(())
    });
}

#[test]
fn a_collector_that_is_down_is_told_of_once_and_delays_no_deletion() {
    run(async {
        // Its port is free again, and nobody else takes it while it is bound without listening.
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(ANY_PORT)?;
        let address = socket.local_addr()?;
        let world = exporting_to(address, given([recycled("port-1"), recycled("port-2")]))
            .env("OTEL_BSP_SCHEDULE_DELAY", "100")
            .start()
            .await?;
        for (name, port) in [("edge", "port-1"), ("other", "port-2")] {
            world.own_until(name, port, "Destroy", "PortRecycled").await?;
            world.delete(name).await?;
            world.until_gone(name).await?;
        }
        world.assert_only_destroyed(&["port-1", "port-2"]);
        let times = |words: &str| world.operator().logs().matches(words).count();
        assert_eq!(times("the collector does not take traces"), 1, "{}", world.log());

        drop(socket);
        let collector = Collector::start(address).await?;
        world.simulator.seed(running("port-3"));
        world.own_until("third", "port-3", "Retain", "Running").await?;
        let again = || (times("the collector takes traces again") == 1).then_some(());
        world.until("the operator tells of it", async || Ok(again())).await?;
        assert!(!collector.spans()?.is_empty());
        Ok(())
    });
}

#[test]
fn a_collector_that_never_answers_delays_neither_a_deletion_nor_the_end_of_the_operator() {
    run(async {
        let listener = TcpListener::bind(ANY_PORT).await?;
        let world = exporting_to(listener.local_addr()?, given([recycled("port-1")]))
            .env("OTEL_BSP_SCHEDULE_DELAY", "100")
            .start()
            .await?;
        world.own_until("edge", "port-1", "Destroy", "PortRecycled").await?;
        world.delete("edge").await?;
        world.until_gone_with("edge", &["port-1"]).await?;
        let is_told = || world.operator().logs().contains("the collector does not take traces").then_some(());
        world.until("the operator gives up the first request", async || Ok(is_told())).await?;
        let status = world.operator().terminate(PATIENCE).await?;
        assert!(status.success(), "{status}: {}", world.log());
        drop(listener);
        Ok(())
    });
}

/// A line of the log about one object.
#[derive(Debug, serde::Deserialize)]
struct Line {
    namespace: String,
    name: String,
    uid: String,
    port: String,
    row: Option<u8>,
    reason: Option<String>,
    request_id: Option<String>,
    message: String,
}

#[test]
fn each_transition_of_a_deletion_is_one_line_of_the_log() {
    run(async {
        let world = given([running("port-1")])
            .value("log.format=json")
            // Long enough to be seen.
            .times(|times| times.destroy = Duration::from_secs(5))
            .start()
            .await?;
        world.own_until("edge", "port-1", "Destroy", "Running").await?;
        let uid = world.uid("edge").await?;
        world.delete("edge").await?;
        world.until_held("edge", "NotInRecycleBin").await?;
        let policy = json!({ "spec": { "deletionPolicy": "TerminateAndDestroy" } });
        world.patch("edge", policy).await?;
        world.until_gone("edge").await?;

        let log = world.operator().logs();
        let lines = log.lines().filter(|line| line.contains(&uid)).map(serde_json::from_str);
        let lines: Vec<Line> = lines.collect::<Result<_, _>>().context(log.clone())?;
        let (terminate, destroy) = (world.request_id("TerminatePort"), world.request_id("DestroyPort"));
        let wanted = [
            ("added the finalizer", None, None),
            ("", Some("Running"), None),
            ("", Some("NotInRecycleBin"), None),
            ("", Some("Terminating"), None),
            ("wrote the record of TerminatePort", Some("Terminating"), None),
            ("calling TerminatePort", Some("Terminating"), None),
            ("the answer to TerminatePort: accepted", Some("Terminating"), Some(&terminate)),
            ("TerminatePort took effect", Some("Terminating"), Some(&terminate)),
            ("", Some("Destroying"), None),
            ("wrote the record of DestroyPort", Some("Destroying"), None),
            ("calling DestroyPort", Some("Destroying"), None),
            ("the answer to DestroyPort: accepted", Some("Destroying"), Some(&destroy)),
            ("DestroyPort took effect", Some("Destroying"), Some(&destroy)),
            ("removed the finalizer", Some("PortDestroyed"), Some(&destroy)),
        ];
        let mut last = None;
        for (words, reason, request_id) in wanted {
            let is_wanted = |line: &&Line| {
                let is_of_state = !STEPS.iter().any(|step| line.message.contains(step));
                let is_of_words =
                    if words.is_empty() { is_of_state } else { line.message.starts_with(words) };
                is_of_words && line.reason.as_deref() == reason && line.request_id.as_ref() == request_id
            };
            let found: Vec<usize> = (0..lines.len()).filter(|at| is_wanted(&&lines[*at])).collect();
            let [at] = found[..] else { panic!("{words:?} {reason:?}: {} lines\n{lines:#?}", found.len()) };
            assert!(last < Some(at), "{words:?} {reason:?} comes too early: {lines:#?}");
            last = Some(at);
        }
        assert_eq!(last, Some(lines.len() - 1), "nothing follows the end: {lines:#?}");
        for line in &lines {
            let of = (line.namespace.as_str(), line.name.as_str(), line.uid.as_str(), line.port.as_str());
            assert_eq!(of, (world.namespace.as_str(), "edge", uid.as_str(), "port-1"));
            assert!(line.row.is_some(), "it names no row: {line:?}");
        }
        Ok(())
    });
}

/// In lines about what the operator does; the others tell what an object shows.
const STEPS: [&str; 6] =
    ["the finalizer", "wrote the record", "calling ", "the answer to", "took effect", "removed the"];
