//! A replica's way to the API server. The world carries each request, so it outlives its sender.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body::Frame;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::{Duration, Instant, Sleep, sleep, sleep_until, timeout};
use tower_service::Service;

use super::ask::{Ask, Target};
use super::state::{Life, Passage};
use super::{World, hold};
use crate::api;
use crate::plan::{Phase, Trouble};

/// As the operator's two clients give up: a request, and a list or a watch.
const REQUEST_SILENCE: Duration = Duration::from_secs(15);
const WATCH_SILENCE: Duration = Duration::from_secs(75);

#[derive(Clone)]
pub(super) struct ApiLink {
    pub(super) world: World,
    pub(super) life: Life,
}

type Answer = io::Result<Response<LinkBody>>;

impl Service<Request<kube::client::Body>> for ApiLink {
    type Response = Response<LinkBody>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let link = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await.map_err(io::Error::other)?;
            link.send(Request::from_parts(parts, body)).await
        })
    }
}

impl ApiLink {
    async fn send(self, request: Request<Bytes>) -> Answer {
        let ask = Ask::kubernetes(&request);
        let Some(passage) = self.world.depart(self.life, &ask) else { return pending().await };
        let follows = matches!(&ask.target, Target::Watch { .. })
            || ask.what == "GET zenlayerports"
            || (ask.what.starts_with("GET zenlayerports") && !ask.what.contains('/'));
        let limit = if follows { WATCH_SILENCE } else { REQUEST_SILENCE };
        let (answer, waits) = oneshot::channel();
        tokio::spawn(self.carry(ask, passage, request, answer));
        match timeout(limit, waits).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(broken()),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "nothing came from the API server")),
        }
    }

    async fn carry(
        self,
        ask: Ask,
        passage: Passage,
        request: Request<Bytes>,
        answer: oneshot::Sender<Answer>,
    ) {
        let Self { world, life } = &self;
        sleep(passage.there).await;
        match &passage.trouble {
            Some(Trouble::LostBefore) => {
                world.lock().never_arrives(*life, &ask, "is lost");
                sleep(passage.back).await;
                return drop(answer.send(Err(broken())));
            }
            Some(Trouble::Silence { carried_out: false }) => {
                world.lock().never_arrives(*life, &ask, "is never answered");
                return hold(answer).await;
            }
            Some(Trouble::Refused { status }) => {
                world.lock().never_arrives(*life, &ask, &format!("⇒ {status}, by a fault"));
                sleep(passage.back).await;
                return drop(answer.send(Ok(refusal(*status))));
            }
            _ => {}
        }
        let response = world.lock().asks_api(*life, &ask, &request);
        if passage.dies(Phase::Unanswered) {
            return world.kill(*life, passage.down());
        }
        let is_watch = response.body().is_watch();
        let response = match passage.trouble {
            Some(Trouble::LostAfter) => Err(broken()),
            Some(Trouble::Silence { .. }) => return hold(answer).await,
            Some(Trouble::FailedAfter { status }) => Ok(refusal(status)),
            Some(Trouble::Twice { after_ms }) if !is_watch => {
                self.again(&ask, request, after_ms);
                Ok(response.map(|body| self.clone().body(&ask, body)))
            }
            _ => Ok(response.map(|body| self.clone().body(&ask, body))),
        };
        sleep(passage.back).await;
        // Its sender may have given up.
        let _ = answer.send(response);
        if passage.dies(Phase::Answered) {
            sleep(Duration::from_millis(1)).await;
            world.kill(*life, passage.down());
        }
    }

    fn again(&self, ask: &Ask, request: Request<Bytes>, after_ms: u64) {
        let (link, ask) = (self.clone(), ask.clone());
        tokio::spawn(async move {
            sleep(Duration::from_millis(after_ms)).await;
            let _ = link.world.lock().asks_api(link.life, &ask, &request);
        });
    }

    fn body(self, ask: &Ask, body: api::Body) -> LinkBody {
        if !body.is_watch() {
            return LinkBody { inner: body, following: None };
        }
        let now = Instant::now();
        LinkBody {
            inner: body,
            following: Some(Box::new(Following {
                link: self,
                ask: ask.clone(),
                lines: VecDeque::new(),
                last: now,
                has_ended: false,
                next: Box::pin(sleep_until(now)),
                silence: Box::pin(sleep(WATCH_SILENCE)),
            })),
        }
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the connection to the API server broke")
}

/// An answer that comes from the server before it looks at the request, or from a proxy.
fn refusal(status: u16) -> Response<LinkBody> {
    let (text, kind) = if status == 429 {
        ("Too many requests, please try again later.\n".to_owned(), "text/plain; charset=utf-8")
    } else {
        let reason = match status {
            403 => "Forbidden",
            503 => "ServiceUnavailable",
            504 => "Timeout",
            _ => "InternalError",
        };
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": status,
            "reason": reason, "message": "the server does not work, by a fault of the simulation",
        });
        (status.to_string(), "application/json")
    };
    let body = LinkBody { inner: api::Body::whole(Bytes::from(text)), following: None };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    if status == 429 {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    response
}

/// An answer on its way.
pub(super) struct LinkBody {
    inner: api::Body,
    following: Option<Box<Following>>,
}

/// A watch whose lines come late.
struct Following {
    link: ApiLink,
    ask: Ask,
    lines: VecDeque<(Instant, Line)>,
    last: Instant,
    /// Nothing more is taken from the server.
    has_ended: bool,
    next: Pin<Box<Sleep>>,
    silence: Pin<Box<Sleep>>,
}

enum Line {
    Whole(Bytes),
    Half(Bytes),
    End,
}

impl http_body::Body for LinkBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let LinkBody { inner, following } = self.get_mut();
        let Some(following) = following else {
            let whole = Pin::new(inner).poll_frame(context);
            return whole.map(|frame| frame.map(|frame| frame.map_err(|never| match never {})));
        };
        following.take(inner, context);
        following.poll_line(context)
    }
}

impl Following {
    /// Takes what the server has, and decides when it comes.
    fn take(&mut self, inner: &mut api::Body, context: &mut Context<'_>) {
        while !self.has_ended
            && let Poll::Ready(frame) = http_body::Body::poll_frame(Pin::new(&mut *inner), context)
        {
            let data = frame.and_then(Result::ok).and_then(|frame| frame.into_data().ok());
            let (lag, trouble) = self.link.world.lag(self.link.life, &self.ask);
            self.last = self.last.max(Instant::now() + lag);
            let line = match (data, trouble) {
                (Some(data), Some(Trouble::Breaks)) => Line::Half(data.slice(..data.len() / 2)),
                (None, _) | (_, Some(Trouble::Ends)) => Line::End,
                (Some(data), _) => Line::Whole(data),
            };
            self.has_ended = !matches!(line, Line::Whole(_));
            self.lines.push_back((self.last, line));
        }
    }

    fn poll_line(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some((due, _)) = self.lines.front() else { return self.poll_silence(context) };
        self.next.as_mut().reset(*due);
        if self.next.as_mut().poll(context).is_pending() {
            return self.poll_silence(context);
        }
        self.silence.as_mut().reset(Instant::now() + WATCH_SILENCE);
        Poll::Ready(match self.lines.pop_front().map(|(_, line)| line) {
            Some(Line::Whole(data)) => Some(Ok(Frame::data(data))),
            Some(Line::Half(data)) => {
                self.lines.push_front((Instant::now(), Line::End));
                Some(Ok(Frame::data(data)))
            }
            Some(Line::End) | None => {
                self.lines.push_front((Instant::now(), Line::End));
                None
            }
        })
    }

    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.silence
            .as_mut()
            .poll(context)
            .map(|()| Some(Err(io::Error::new(io::ErrorKind::TimedOut, "nothing came from the API server"))))
    }
}
