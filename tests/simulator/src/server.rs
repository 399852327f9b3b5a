//! The listener: one thread with its own runtime, HTTP/1.1 without TLS.

use std::future::poll_fn;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::answer::{self, Envelope, Response, Severed};
use crate::cloud::{Arrival, Commit};
use crate::faults::{Apply, Rule};
use crate::{Shared, control};

/// Where the API is served.
const API_PATH: &str = "/api/v2/sdn";
/// The longest request body; 10,000 seeded ports fit in.
const MAX_BODY_BYTES: usize = 16 << 20;
/// How long to wait before accepting again when the process is out of file descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(20);

/// A running listener; dropping it closes it and all its connections.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(listen: SocketAddr, shared: Arc<Shared>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, shared) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("zenlayer-simulator".to_owned()).spawn(serve)?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It panicked only if a bug was reported on stderr already.
            let _ = thread.join();
        }
    }
}

async fn accept(listener: tokio::net::TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, Arc::clone(&shared)));
            }
            Err(_) => tokio::time::sleep(ACCEPT_BACKOFF).await,
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| Box::pin(route(Arc::clone(&shared), request)));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let ended = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    if let Err(error) = ended
        && Severed::of(&error) == Some(Severed::Reset)
    {
        let _ = connection.into_parts().io.into_inner().set_zero_linger();
    }
}

async fn route(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response, Severed> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY_BYTES).collect().await else {
        return Ok(answer::text(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long or broken off\n"));
    };
    let body = body.to_bytes();
    let path = head.uri.path();
    if path == API_PATH {
        if head.method != Method::POST {
            return Ok(answer::text(StatusCode::METHOD_NOT_ALLOWED, "the API takes POST only\n"));
        }
        return call(&shared, &head, &body).await;
    }
    if let Some(path) = path.strip_prefix("/control/") {
        return Ok(control::handle(&shared, &head.method, path, &body));
    }
    match path {
        "/healthz" => Ok(answer::text(StatusCode::OK, "ok\n")),
        _ => Ok(answer::text(StatusCode::NOT_FOUND, "not found; the API is at /api/v2/sdn\n")),
    }
}

async fn call(shared: &Arc<Shared>, head: &Parts, body: &[u8]) -> Result<Response, Severed> {
    let (arrival, rule) = {
        let mut cloud = shared.cloud();
        let arrival = cloud.arrive(head, body);
        let Some(rule) = arrival.fault.as_ref().map(|hit| Arc::clone(&hit.rule)) else {
            let envelope = Envelope::new(arrival.request_id, cloud.execute(&arrival, Commit::Yes));
            cloud.journal.replied(arrival.sequence, envelope.reply());
            return Ok(envelope.whole());
        };
        (arrival, rule)
    };
    // A task of its own goes on when the client hangs up, as a real server would.
    let task = tokio::spawn(spoil(Arc::clone(shared), arrival, rule));
    task.await.unwrap_or(Err(Severed::Close))
}

/// Executes and answers a request as its rule says.
async fn spoil(shared: Arc<Shared>, arrival: Arrival, rule: Arc<Rule>) -> Result<Response, Severed> {
    let result = match rule.apply {
        Apply::Now => shared.cloud().execute(&arrival, Commit::Yes),
        Apply::Never => shared.cloud().execute(&arrival, Commit::No),
        Apply::After(delay) => {
            tokio::time::sleep(delay).await;
            shared.cloud().execute(&arrival, Commit::Yes)
        }
        Apply::Late(delay) => {
            let (later, arrival) = (Arc::clone(&shared), arrival.clone());
            let result = shared.cloud().execute(&arrival, Commit::No);
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                // Refused by then: nobody is left to be told.
                let _ = later.cloud().execute(&arrival, Commit::Yes);
            });
            result
        }
    };
    if !rule.delay_answer.is_zero() {
        tokio::time::sleep(rule.delay_answer).await;
    }
    let (reply, response) = answer::spoiled(&rule.answer, Envelope::new(arrival.request_id, result));
    shared.cloud().journal.replied(arrival.sequence, reply);
    response
}
