//! The listener: one thread with its own runtime, HTTP/1.1 without TLS. It sleeps and sends as the cloud says.

use std::convert::Infallible;
use std::error::Error as _;
use std::future::poll_fn;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryFutureExt as _, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::answer::{self, Body, Response, Severed};
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
    let service = service_fn(|request| {
        Box::pin(route(Arc::clone(&shared), request).map_ok(|response| response.map(sent)))
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let ended = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    if let Err(error) = ended
        && severed(&error) == Some(Severed::Reset)
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
        return call(&shared, &Request::from_parts(head, body)).await;
    }
    if let Some(path) = path.strip_prefix("/control/") {
        return Ok(control::handle(&shared, &head.method, path, &body));
    }
    match path {
        "/healthz" => Ok(answer::text(StatusCode::OK, "ok\n")),
        _ => Ok(answer::text(StatusCode::NOT_FOUND, "not found; the API is at /api/v2/sdn\n")),
    }
}

async fn call(shared: &Arc<Shared>, request: &Request<Bytes>) -> Result<Response, Severed> {
    let exchange = {
        let mut cloud = shared.cloud();
        let exchange = cloud.request(request);
        if exchange.wait.is_zero() {
            return cloud.answer(exchange);
        }
        exchange
    };
    let shared = Arc::clone(shared);
    // A task of its own goes on when the client hangs up, as a real server would.
    let task = tokio::spawn(async move {
        tokio::time::sleep(exchange.wait).await;
        shared.cloud().answer(exchange)
    });
    task.await.unwrap_or(Err(Severed::Close))
}

/// What ended this connection, if it was a rule.
fn severed(error: &hyper::Error) -> Option<Severed> {
    error.source().and_then(|source| source.downcast_ref().copied())
}

/// The body on its way.
fn sent(body: Body) -> UnsyncBoxBody<Bytes, Severed> {
    match body {
        Body::Whole(bytes) => Full::new(bytes).map_err(|never: Infallible| match never {}).boxed_unsync(),
        Body::Truncated(bytes) => {
            // Between the two the connection writes out what it has.
            let broken_off = stream::once(async {
                tokio::task::yield_now().await;
                Err(Severed::Close)
            });
            streamed(stream::iter([Ok(bytes)]).chain(broken_off))
        }
        Body::Slow { bytes, each_byte } => streamed(stream::iter(0..bytes.len()).then(move |at| {
            let byte = bytes.slice(at..=at);
            async move {
                tokio::time::sleep(each_byte).await;
                Ok(byte)
            }
        })),
        Body::Huge(bytes) => streamed(padding(bytes)),
    }
}

/// So many bytes, made as they are sent.
fn padding(bytes: u64) -> impl Stream<Item = Result<Bytes, Severed>> {
    const CHUNK: Bytes = Bytes::from_static(&[b' '; 64 << 10]);
    stream::unfold(bytes, |left| async move {
        let chunk = CHUNK.slice(..usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK.len()));
        (left > 0).then(|| (Ok(chunk.clone()), left - chunk.len() as u64))
    })
}

fn streamed(
    chunks: impl Stream<Item = Result<Bytes, Severed>> + Send + 'static,
) -> UnsyncBoxBody<Bytes, Severed> {
    StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))).boxed_unsync()
}
