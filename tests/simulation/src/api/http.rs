//! The server as a tower service, which is what a `kube::Client` wants.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body::Frame;
use tokio::time::{Duration, Instant, Sleep, sleep_until};
use tower_service::Service;

use super::ApiServer;
use super::failure::Failure;
use super::state::Reply;
use super::watch::{Next, Watch, bookmark};

/// Bookmarks come once in this while, and once more so long before the end.
const BOOKMARK: Duration = Duration::from_mins(1);
const LAST_BOOKMARK: Duration = Duration::from_secs(2);

/// The body of an answer.
pub struct Body(Content);

enum Content {
    Whole(Option<Bytes>),
    Watch(Box<Following>),
}

/// A watch that somebody reads.
struct Following {
    server: ApiServer,
    watch: Watch,
    end: Instant,
    bookmark: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
}

impl Service<Request<kube::client::Body>> for ApiServer {
    type Response = Response<Body>;
    type Error = kube::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await?;
            Ok(server.answer(&Request::from_parts(parts, body)))
        })
    }
}

impl ApiServer {
    /// Carries a request out, whole, before it returns. The body of a watch goes on.
    #[must_use]
    pub fn answer(&self, request: &Request<Bytes>) -> Response<Body> {
        let answer = self.change(|state| state.answer(request));
        let (code, body, kind) = match answer {
            Ok(Reply::Whole(code, text)) => (code, Content::Whole(Some(text)), "application/json"),
            Ok(Reply::Watch(watch)) => {
                (200, Content::Watch(Box::new(Following::new(self.clone(), *watch))), "application/json")
            }
            Err(failure) => refusal(&failure),
        };
        let mut response = Response::new(Body(body));
        *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or_default();
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
        response
    }
}

fn refusal(failure: &Failure) -> (u16, Content, &'static str) {
    let (text, kind) = match failure.plain() {
        Some(text) => (text.to_owned(), "text/plain; charset=utf-8"),
        None => (failure.status().to_string(), "application/json"),
    };
    (failure.code, Content::Whole(Some(Bytes::from(text))), kind)
}

impl Body {
    pub(crate) fn whole(text: Bytes) -> Self {
        Self(Content::Whole(Some(text)))
    }

    /// The text of an answer that is no watch.
    pub(crate) fn into_whole(self) -> Option<Bytes> {
        match self.0 {
            Content::Whole(text) => text,
            Content::Watch(_) => None,
        }
    }

    pub(crate) fn is_watch(&self) -> bool {
        matches!(self.0, Content::Watch(_))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.get_mut().0 {
            Content::Whole(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Content::Watch(watch) => {
                watch.poll_line(context).map(|line| line.map(|line| Ok(Frame::data(line))))
            }
        }
    }
}

impl Following {
    fn new(server: ApiServer, watch: Watch) -> Self {
        let now = Instant::now();
        let end = now + watch.lifetime();
        let mut following = Self { server, watch, end, bookmark: None, sleep: Box::pin(sleep_until(end)) };
        following.plan_bookmark(now);
        following
    }

    /// When the next bookmark is due, if there is one before the end.
    fn plan_bookmark(&mut self, now: Instant) {
        let last = self.end - LAST_BOOKMARK;
        let next = last.min(now + BOOKMARK);
        self.bookmark = Some(next).filter(|next| self.watch.wants_bookmarks() && *next > now);
        self.sleep.as_mut().reset(self.bookmark.unwrap_or(self.end));
    }

    fn poll_line(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let next = self.server.change_nothing(|state| {
            let next = state.next(&mut self.watch);
            if matches!(next, Next::Wait) {
                state.waiting.insert(self.watch.id, context.waker().clone());
            }
            next
        });
        match next {
            Next::Event(line) => return Poll::Ready(Some(line)),
            Next::End => return Poll::Ready(None),
            Next::Wait => {}
        }
        ready!(self.sleep.as_mut().poll(context));
        if self.bookmark.is_none() {
            return Poll::Ready(None);
        }
        self.plan_bookmark(Instant::now());
        Poll::Ready(Some(bookmark(&self.watch)))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.server.change_nothing(|state| state.waiting.remove(&self.watch.id));
    }
}
