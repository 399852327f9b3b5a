//! Sends spans to a collector of traces: OTLP over HTTP, in protobuf. A thread of its own does it, from a queue that drops what
//! it cannot hold: nothing waits for the collector.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{
    BatchConfig, BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor,
};
use reqwest::{Url, redirect, retry};
use tokio::runtime::Handle;

use crate::spans::{self, Ended, Kind, Value};
use crate::text::root_cause;
use crate::zenlayer::Proxy;

const NAME: &str = env!("CARGO_PKG_NAME");
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// For a connection, and for a whole request.
const CONNECT: Duration = Duration::from_secs(5);
const REQUEST: Duration = Duration::from_secs(10);

/// In spans.
const LONGEST_QUEUE: usize = 16_384;
/// Between two looks at the queue.
const SHORTEST_DELAY: Duration = Duration::from_millis(100);

/// How long the end of the process waits for the last spans.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// More of an answer is not read.
const LONGEST_ANSWER: usize = 64 * 1024;

/// The export of spans; none where nobody asked for it.
pub struct Traces(Option<Arc<BatchSpanProcessor>>);

impl Traces {
    /// Exports spans to the collector at `endpoint`, or at what the standard variables name. An error is
    /// logged and has no other effect: the operator's work does not depend on traces.
    pub fn start(
        endpoint: Option<&str>,
        pod: &[(&'static str, &str)],
        variable: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let Some(url) = url(endpoint, &variable) else { return Self(None) };
        match processor(&url, pod, &variable) {
            Ok(processor) => {
                let scope = InstrumentationScope::builder(NAME).with_version(VERSION).build();
                let queue = Arc::clone(&processor);
                spans::export_by(move |span| queue.on_end(data(span, scope.clone())));
                Self(Some(processor))
            }
            Err(error) => {
                tracing::warn!("the operator sends no traces: {error:#}; this has no other effect");
                Self(None)
            }
        }
    }

    /// Sends what has not been sent yet, within a time.
    #[expect(clippy::disallowed_methods, reason = "the process is ending")]
    pub async fn flush(self) {
        let Some(processor) = self.0 else { return };
        // An error has been logged already.
        let _ = tokio::task::spawn_blocking(move || processor.shutdown_with_timeout(LAST_WORDS)).await;
    }
}

/// Where traces are sent; none: nowhere.
fn url(endpoint: Option<&str>, variable: &impl Fn(&str) -> Option<String>) -> Option<String> {
    if variable("OTEL_SDK_DISABLED").is_some_and(|value| value.trim().eq_ignore_ascii_case("true")) {
        return None;
    }
    variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| {
        let base = endpoint?.trim().trim_end_matches('/');
        (!base.is_empty()).then(|| format!("{base}/v1/traces"))
    })
}

fn processor(
    url: &str,
    pod: &[(&'static str, &str)],
    variable: &impl Fn(&str) -> Option<String>,
) -> anyhow::Result<Arc<BatchSpanProcessor>> {
    // The text itself is not repeated: it might hold a password.
    let parsed = Url::parse(url.trim()).context("the endpoint of the collector is not a URL")?;
    ensure!(
        matches!(parsed.scheme(), "http" | "https"),
        "the endpoint of the collector must begin with http:// or https://"
    );
    let collector = Collector::at(&parsed, variable)?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(collector)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(parsed.as_str())
        .build()?;
    let mut processor = BatchSpanProcessor::new(exporter, batches(variable));
    processor.set_resource(&resource(pod, variable));
    Ok(Arc::new(processor))
}

/// How spans are queued. A number outside the limits counts as the nearest limit: the queue takes all its memory at the start.
fn batches(variable: &impl Fn(&str) -> Option<String>) -> BatchConfig {
    let bounded = |spans| usize::try_from(spans).map_or(LONGEST_QUEUE, |spans| spans.clamp(1, LONGEST_QUEUE));
    let number = |name| variable(name)?.trim().parse::<u64>().ok();
    let mut batches = BatchConfigBuilder::default();
    if let Some(spans) = number("OTEL_BSP_MAX_QUEUE_SIZE") {
        batches = batches.with_max_queue_size(bounded(spans));
    }
    if let Some(spans) = number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE") {
        batches = batches.with_max_export_batch_size(bounded(spans));
    }
    if let Some(milliseconds) = number("OTEL_BSP_SCHEDULE_DELAY") {
        batches = batches.with_scheduled_delay(Duration::from_millis(milliseconds).max(SHORTEST_DELAY));
    }
    batches.build()
}

/// Who sends them. What the standard variables say counts more.
fn resource(pod: &[(&'static str, &str)], variable: &impl Fn(&str) -> Option<String>) -> Resource {
    let resource = Resource::builder_empty()
        .with_service_name(NAME)
        .with_attribute(KeyValue::new("service.version", VERSION))
        .with_attributes(pod.iter().map(|(key, value)| KeyValue::new(*key, (*value).to_owned())))
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match variable("OTEL_SERVICE_NAME") {
        Some(name) => resource.with_service_name(name).build(),
        None => resource.build(),
    }
}

fn data(span: Ended, instrumentation_scope: InstrumentationScope) -> SpanData {
    let Ended { place, parent, kind, name, start, end, attributes, error } = span;
    let mut attributes: Vec<KeyValue> = attributes
        .into_iter()
        .map(|(key, value)| match value {
            Value::Text(text) => KeyValue::new(key, text),
            Value::Number(number) => KeyValue::new(key, number),
        })
        .collect();
    let status = if let Some(error) = error {
        attributes.push(KeyValue::new("error.type", error.clone()));
        Status::error(error)
    } else {
        Status::Unset
    };
    let (trace, id) = (TraceId::from(place.trace), SpanId::from(place.span));
    SpanData {
        span_context: SpanContext::new(trace, id, TraceFlags::SAMPLED, false, TraceState::NONE),
        parent_span_id: parent.map_or(SpanId::INVALID, SpanId::from),
        parent_span_is_remote: false,
        span_kind: match kind {
            Kind::Internal => SpanKind::Internal,
            Kind::Client => SpanKind::Client,
        },
        name: name.into(),
        start_time: start,
        end_time: end,
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status,
        instrumentation_scope,
    }
}

/// The way to the collector. It logs when the collector stops taking traces and when it takes them again, and not each failure.
#[derive(Debug)]
struct Collector {
    http: reqwest::Client,
    /// `scheme://host:port`.
    shown: String,
    is_failing: AtomicBool,
    /// The thread that sends has none of its own.
    runtime: Handle,
}

impl Collector {
    fn at(url: &Url, variable: &impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(REQUEST)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false);
        // The same proxy as for Zenlayer, where none is set for Zenlayer alone: it is for https only.
        let http = match Proxy::from_environment(variable)? {
            Some(proxy) => http.proxy(proxy.to_reqwest()?),
            None => http,
        };
        let port = url.port_or_known_default().unwrap_or_default();
        Ok(Self {
            http: http.build()?,
            shown: format!("{}://{}:{port}", url.scheme(), url.host_str().unwrap_or_default()),
            is_failing: AtomicBool::new(false),
            runtime: Handle::current(),
        })
    }

    fn told(&self, failure: Option<&str>) {
        let was_failing = self.is_failing.swap(failure.is_some(), Ordering::Relaxed);
        match failure {
            Some(why) if !was_failing => tracing::warn!(
                collector = self.shown,
                why,
                "the collector does not take traces, so they are lost; this has no other effect. The operator says when it \
                 takes them again",
            ),
            None if was_failing => tracing::info!(collector = self.shown, "the collector takes traces again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answered = self.runtime.spawn(exchange(self.http.clone(), request)).await;
        let answered = answered.unwrap_or_else(|_| Err("the operator ends".into()));
        match &answered {
            Ok(answer) if answer.status().is_success() => self.told(None),
            Ok(answer) => self.told(Some(&answer.status().to_string())),
            Err(error) => self.told(Some(&root_cause(error.as_ref()))),
        }
        answered
    }
}

async fn exchange(http: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let mut answer = http.execute(request.try_into()?).await?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Err("the answer is too long".into());
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::new(body.into());
    *response.status_mut() = answer.status();
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use opentelemetry::Key;
    use tokio::io::{AsyncBufReadExt, BufReader};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;
    use crate::spans::Place;

    fn set(variables: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        let variables: Vec<(String, String)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        move |name| variables.iter().find(|(set, _)| set == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn traces_go_where_the_flag_or_the_standard_variables_say() {
        let collector = Some("http://collector:4318/");
        let own = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces.example/in")];
        for (endpoint, variables, expected) in [
            (None, &[][..], None),
            (Some(" "), &[], None),
            (collector, &[], Some("http://collector:4318/v1/traces")),
            (collector, &own, Some("https://traces.example/in")),
            (None, &own, Some("https://traces.example/in")),
            (collector, &[("OTEL_SDK_DISABLED", "TRUE")], None),
        ] {
            assert_eq!(url(endpoint, &set(variables)).as_deref(), expected, "{endpoint:?} {variables:?}");
        }
    }

    #[test]
    fn the_queue_of_spans_stays_within_bounds_whatever_the_variables_say() {
        for (variables, expected) in [
            (&[][..], "max_queue_size: 2048, scheduled_delay: 5s, max_export_batch_size: 512"),
            (
                &[("OTEL_BSP_MAX_QUEUE_SIZE", "1000000"), ("OTEL_BSP_SCHEDULE_DELAY", "0")],
                "max_queue_size: 16384, scheduled_delay: 100ms, max_export_batch_size: 512",
            ),
            (
                &[("OTEL_BSP_MAX_QUEUE_SIZE", "0"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0")],
                "max_queue_size: 1, scheduled_delay: 5s, max_export_batch_size: 1",
            ),
        ] {
            let batches = format!("{:?}", batches(&set(variables)));
            assert!(batches.contains(expected), "{variables:?} make {batches}");
        }
    }

    #[test]
    fn a_service_is_named_as_the_variables_say() {
        let name = |variables: &[(&str, &str)]| {
            let resource = resource(&[("k8s.pod.name", "pod-1")], &set(variables));
            assert_eq!(resource.get(&Key::new("k8s.pod.name")), Some("pod-1".into()));
            resource.get(&Key::new("service.name")).map(|name| name.to_string())
        };
        assert_eq!(name(&[]).as_deref(), Some(NAME));
        assert_eq!(name(&[("OTEL_SERVICE_NAME", "ports")]).as_deref(), Some("ports"));
    }

    #[tokio::test]
    async fn an_endpoint_that_is_none_is_not_repeated_for_it_may_hold_a_password() {
        for url in ["me:hunter2@collector", "ftp://me:hunter2@collector/", "http://me:hunter2@[/"] {
            let error = format!("{:#}", processor(url, &[], &set(&[])).expect_err(url));
            assert!(error.contains("the endpoint of the collector") && !error.contains("hunter2"), "{error}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_end_of_the_process_does_not_wait_for_a_collector_that_hangs() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/v1/traces", listener.local_addr().expect("an address"));
        let processor = processor(&url, &[], &set(&[])).expect("a processor");
        let now = SystemTime::now();
        processor.on_end(data(
            Ended {
                place: Place { trace: 1, span: 1 },
                parent: None,
                kind: Kind::Internal,
                name: "reconcile",
                start: now,
                end: now,
                attributes: Vec::new(),
                error: None,
            },
            InstrumentationScope::default(),
        ));
        let flushed = timeout(REQUEST / 2, Traces(Some(processor)).flush()).await;
        assert!(flushed.is_ok(), "it waits for an answer");
        assert!(timeout(REQUEST, listener.accept()).await.is_ok(), "the collector was asked");
    }

    #[tokio::test]
    async fn a_collector_behind_https_is_reached_through_the_proxy_of_the_environment() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let proxy = format!("http://{}", listener.local_addr().expect("an address"));
        let url = Url::parse("https://collector.example/v1/traces").expect("a URL");
        let collector = Collector::at(&url, &set(&[("HTTPS_PROXY", &proxy)])).expect("a way");
        let request = Request::post(url.as_str()).body(Bytes::new()).expect("a request");
        tokio::spawn(async move { collector.send_bytes(request).await.map(drop) });
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await.expect("a line");
        assert_eq!(line.trim_end(), "CONNECT collector.example:443 HTTP/1.1");
    }
}
