//! Answers: right ones and spoiled ones.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::response::Builder;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::faults::Answer;
use crate::journal::{Reply, RequestId};

pub(crate) type Response = http::Response<Body>;

const JSON: &str = "application/json";

/// The body of an answer, and how it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// At once.
    Whole(Bytes),
    /// This much at once, then the connection is closed. The header `content-length` announces more.
    Truncated(Bytes),
    /// One byte each time, the first after the first pause.
    Slow {
        /// The whole body.
        bytes: Bytes,
        /// The pause before each byte.
        each_byte: Duration,
    },
    /// So many spaces, as fast as they are taken.
    Huge(u64),
}

/// The connection ends here, without the rest of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severed {
    /// By FIN.
    Close,
    /// By RST.
    Reset,
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

    fn reply(&self) -> Reply {
        Reply::Sent { status: self.status, code: self.code.clone() }
    }

    fn head(&self) -> Builder {
        let head = http::Response::builder().status(self.status).header("content-type", JSON);
        match &self.retry_after {
            Some(value) => head.header("retry-after", value),
            None => head,
        }
    }

    fn whole(self) -> Response {
        finish(self.head(), Body::Whole(self.body))
    }

    /// Half the body that the header announces.
    fn truncated(self) -> Response {
        let half = self.body.slice(..self.body.len() / 2);
        finish(self.head().header("content-length", self.body.len()), Body::Truncated(half))
    }

    fn slow(self, each_byte: Duration) -> Response {
        let head = self.head().header("content-length", self.body.len());
        finish(head, Body::Slow { bytes: self.body, each_byte })
    }
}

/// What a rule makes of the right answer; `None`: no rule has met the request.
pub(crate) fn spoiled(answer: Option<&Answer>, right: Envelope) -> (Reply, Result<Response, Severed>) {
    let sent = |status: u16| Reply::Sent { status, code: None };
    match answer {
        None | Some(Answer::Right | Answer::List(_)) => (right.reply(), Ok(right.whole())),
        Some(Answer::Truncated) => (right.reply(), Ok(right.truncated())),
        Some(Answer::Slow(each_byte)) => (right.reply(), Ok(right.slow(*each_byte))),
        Some(Answer::Error { status, code, retry_after }) => {
            let error = ApiError {
                retry_after: retry_after.clone(),
                ..ApiError::new(*status, code.clone(), "by a rule of the simulator")
            };
            let refusal = Envelope::new(right.request_id, Err(error));
            (refusal.reply(), Ok(refusal.whole()))
        }
        Some(Answer::Replaced { status, headers, body }) => {
            let head =
                headers.iter().fold(http::Response::builder().status(*status), |head, (name, value)| {
                    head.header(name, value)
                });
            (sent(*status), Ok(finish(head, Body::Whole(body.clone().into()))))
        }
        Some(Answer::Huge(bytes)) => {
            let head = http::Response::builder().header("content-type", JSON);
            (sent(200), Ok(finish(head, Body::Huge(*bytes))))
        }
        Some(Answer::Lost) => (Reply::Unanswered, Err(Severed::Close)),
        Some(Answer::Reset) => (Reply::Unanswered, Err(Severed::Reset)),
    }
}

/// A plain answer that is not of the API.
pub(crate) fn text(status: StatusCode, text: &'static str) -> Response {
    let head = http::Response::builder().status(status).header("content-type", "text/plain");
    finish(head, Body::Whole(Bytes::from_static(text.as_bytes())))
}

/// A JSON document that is not of the API.
pub(crate) fn json(status: StatusCode, body: &(impl serde::Serialize + ?Sized)) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => {
            let head = http::Response::builder().status(status).header("content-type", JSON);
            finish(head, Body::Whole(body.into()))
        }
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the answer cannot be written as JSON\n"),
    }
}

/// Only a rule can name a status or header that HTTP does not have; its author is told.
fn finish(head: Builder, body: Body) -> Response {
    head.body(body).unwrap_or_else(|error| {
        let message = format!("a rule asks for an answer that is not HTTP: {error}\n");
        let mut response = http::Response::new(Body::Whole(message.into()));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}
