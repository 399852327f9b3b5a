//! Answers as bytes: right ones and spoiled ones.

use std::borrow::Cow;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::StatusCode;
use hyper::body::Frame;
use hyper::http::response::Builder;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::faults::Answer;
use crate::journal::{Reply, RequestId};

pub(crate) type Response = hyper::Response<UnsyncBoxBody<Bytes, Severed>>;

const JSON: &str = "application/json";

/// The connection ends here, without the rest of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severed {
    /// By FIN.
    Close,
    /// By RST.
    Reset,
}

impl Severed {
    /// What ended this connection, if it was a rule.
    pub(crate) fn of(error: &hyper::Error) -> Option<Self> {
        error.source().and_then(|source| source.downcast_ref().copied())
    }
}

impl fmt::Display for Severed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("severed by a rule")
    }
}

impl Error for Severed {}

/// An answer in the API's form (`docs/zenlayer-api.md`, answers).
pub(crate) struct Envelope {
    request_id: RequestId,
    status: u16,
    code: Option<Cow<'static, str>>,
    retry_after: Option<String>,
    body: Bytes,
}

impl Envelope {
    pub(crate) fn new(request_id: RequestId, result: Result<Value, ApiError>) -> Self {
        let id = request_id.to_string();
        match result {
            Ok(mut response) => {
                response["requestId"] = Value::from(id.as_str());
                let body = json!({ "requestId": id, "response": response });
                Self { request_id, status: 200, code: None, retry_after: None, body: body.to_string().into() }
            }
            Err(ApiError { status, code, message, retry_after }) => {
                let body = json!({ "requestId": id, "code": code, "message": message });
                Self { request_id, status, code: Some(code), retry_after, body: body.to_string().into() }
            }
        }
    }

    pub(crate) fn reply(&self) -> Reply {
        Reply::Sent { status: self.status, code: self.code.clone() }
    }

    fn head(&self) -> Builder {
        let head = hyper::Response::builder().status(self.status).header("content-type", JSON);
        match &self.retry_after {
            Some(value) => head.header("retry-after", value),
            None => head,
        }
    }

    pub(crate) fn whole(self) -> Response {
        finish(self.head(), full(self.body))
    }

    /// Half the body that the header announces.
    fn truncated(self) -> Response {
        let half = self.body.slice(..self.body.len() / 2);
        // Between the two the connection writes out what it has.
        let broken_off = stream::once(async {
            tokio::task::yield_now().await;
            Err(Severed::Close)
        });
        let head = self.head().header("content-length", self.body.len());
        finish(head, streamed(stream::iter([Ok(half)]).chain(broken_off)))
    }

    fn slow(self, each_byte: Duration) -> Response {
        let head = self.head().header("content-length", self.body.len());
        let bytes = stream::iter(0..self.body.len()).then(move |at| {
            let byte = self.body.slice(at..=at);
            async move {
                tokio::time::sleep(each_byte).await;
                Ok(byte)
            }
        });
        finish(head, streamed(bytes))
    }
}

/// What a rule makes of the right answer.
pub(crate) fn spoiled(answer: &Answer, right: Envelope) -> (Reply, Result<Response, Severed>) {
    let sent = |status: u16| Reply::Sent { status, code: None };
    match answer {
        Answer::Right | Answer::List(_) => (right.reply(), Ok(right.whole())),
        Answer::Truncated => (right.reply(), Ok(right.truncated())),
        Answer::Slow(each_byte) => (right.reply(), Ok(right.slow(*each_byte))),
        Answer::Error { status, code, retry_after } => {
            let error = ApiError {
                retry_after: retry_after.clone(),
                ..ApiError::new(*status, code.clone(), "by a rule of the simulator")
            };
            let refusal = Envelope::new(right.request_id, Err(error));
            (refusal.reply(), Ok(refusal.whole()))
        }
        Answer::Replaced { status, headers, body } => {
            let head =
                headers.iter().fold(hyper::Response::builder().status(*status), |head, (name, value)| {
                    head.header(name, value)
                });
            (sent(*status), Ok(finish(head, full(body.clone().into()))))
        }
        Answer::Huge(bytes) => {
            let head = hyper::Response::builder().header("content-type", JSON);
            (sent(200), Ok(finish(head, streamed(padding(*bytes)))))
        }
        Answer::Lost => (Reply::Unanswered, Err(Severed::Close)),
        Answer::Reset => (Reply::Unanswered, Err(Severed::Reset)),
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

/// A plain answer that is not of the API.
pub(crate) fn text(status: StatusCode, text: &'static str) -> Response {
    let head = hyper::Response::builder().status(status).header("content-type", "text/plain");
    finish(head, full(Bytes::from_static(text.as_bytes())))
}

/// A JSON document that is not of the API.
pub(crate) fn json(status: StatusCode, body: &(impl serde::Serialize + ?Sized)) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => {
            let head = hyper::Response::builder().status(status).header("content-type", JSON);
            finish(head, full(body.into()))
        }
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the answer cannot be written as JSON\n"),
    }
}

fn full(body: Bytes) -> UnsyncBoxBody<Bytes, Severed> {
    Full::new(body).map_err(|never: Infallible| match never {}).boxed_unsync()
}

fn streamed(
    chunks: impl Stream<Item = Result<Bytes, Severed>> + Send + 'static,
) -> UnsyncBoxBody<Bytes, Severed> {
    StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))).boxed_unsync()
}

/// Only a rule can name a status or header that HTTP does not have; its author is told.
fn finish(head: Builder, body: UnsyncBoxBody<Bytes, Severed>) -> Response {
    head.body(body).unwrap_or_else(|error| {
        let message = format!("a rule asks for an answer that is not HTTP: {error}\n");
        let mut response = hyper::Response::new(full(message.into()));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}
