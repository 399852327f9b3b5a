//! The client of one credential.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::action::Action;
use super::answer::{ChangeAnswer, classify_change, classify_read};
use super::credential::Credential;
use super::http_client::{Failure, Reply};
use super::limiter::{Limiter, Pause, Permit, Priority};
use super::metrics::RequestResult;
use super::transport::Transport;
use super::wire::{Object, Page};
use crate::answer::{NotSentCause, Unreadable};
use crate::port::{PortId, PortInfo};
use crate::spans::{Kind, Span};

/// Items of one page, always asked for: left to itself, a server gives 20, and live ports would look gone.
const PAGE_SIZE: usize = 100;

/// Pages of one reading. A server that gives less on a page than asked for is followed this far.
const MOST_PAGES: usize = 20;

/// A reading waits for the end of a pause that is no longer than this.
const SHORT_PAUSE: Duration = Duration::from_secs(10);

/// Speaks for one credential. Clones share its limiter, and all clients share their [`Transport`].
#[derive(Clone, Debug)]
pub struct Client {
    transport: Transport,
    credential: Credential,
    limiter: Arc<Limiter>,
}

/// The ids of one reading: at least one, for an empty list would list the account, and at most a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch<'a>(&'a [PortId]);

impl<'a> Batch<'a> {
    pub const MOST: usize = 100;

    /// `None` if `ids` are none or too many.
    pub fn new(ids: &'a [PortId]) -> Option<Self> {
        (1..=Self::MOST).contains(&ids.len()).then_some(Self(ids))
    }
}

impl Client {
    pub fn new(transport: &Transport, credential: Credential) -> Self {
        let limiter = Arc::new(Limiter::new(
            transport.settings().requests_per_second,
            transport.metrics().waits(),
            transport.clock(),
        ));
        Self { transport: transport.clone(), credential, limiter }
    }

    /// Reads the ports of a batch, in no particular order. A port that is left out of an `Ok` was absent
    /// beyond doubt: the answer was complete, it held only ports that were asked for, and none twice.
    pub async fn describe_ports(
        &self,
        permit: Permit,
        batch: Batch<'_>,
        priority: Priority,
    ) -> Result<Vec<PortInfo>, Unreadable> {
        let filter = json!({ "portIds": batch.0 });
        let ports: Vec<PortInfo> =
            self.list(permit, Action::DescribePorts, &filter, batch.0.len(), priority).await?;
        let mut missing: BTreeSet<&PortId> = batch.0.iter().collect();
        match ports.iter().find(|port| !missing.remove(&port.port_id)) {
            None => Ok(ports),
            Some(_) => Err(bad_reading("a port that the operator did not ask for, or the same port twice")),
        }
    }

    /// Waits for the right to send one reading, but not for the end of a long pause that Zenlayer asked for: whoever waits
    /// for the reading learns why there is none.
    pub async fn read_permit(&self, priority: Priority) -> Result<Permit, Unreadable> {
        let mut permit = pin!(self.limiter.acquire(priority));
        loop {
            if let Some(pause) = self.paused().filter(|pause| pause.left > SHORT_PAUSE) {
                return Err(Unreadable::NotAsked(pause.to_string()));
            }
            if let Ok(permit) = timeout(SHORT_PAUSE, &mut permit).await {
                return Ok(permit);
            }
        }
    }

    /// Whether Zenlayer asked for a pause that still lasts.
    pub fn paused(&self) -> Option<Pause> {
        self.limiter.paused()
    }

    /// Waits for the right to send one change. To be had before the change is put on record.
    pub async fn change_permit(&self) -> Permit {
        self.limiter.acquire(Priority::Change).await
    }

    /// The right to send one change, if it is to be had at once.
    pub fn try_change_permit(&self) -> Option<Permit> {
        self.limiter.try_acquire(Priority::Change)
    }

    /// Asks Zenlayer to move a port to the recycle bin, which stops its traffic. If the future is dropped,
    /// the outcome is as unclear as after a timeout.
    pub async fn terminate_port(&self, permit: Permit, id: &PortId) -> ChangeAnswer {
        self.change(permit, Action::TerminatePort, id).await
    }

    /// Asks Zenlayer to release a port that lies in the recycle bin, for good. If the future is dropped, the
    /// outcome is as unclear as after a timeout.
    pub async fn destroy_port(&self, permit: Permit, id: &PortId) -> ChangeAnswer {
        self.change(permit, Action::DestroyPort, id).await
    }

    async fn change(&self, _permit: Permit, action: Action, id: &PortId) -> ChangeAnswer {
        // The pause may have been asked for after the permit was given.
        if let Some(pause) = self.paused() {
            let why = pause.to_string();
            return ChangeAnswer::NotSent { cause: NotSentCause::Throttled, why };
        }
        let body = json!({ "portId": id }).to_string();
        let (reply, span) = Box::pin(self.send(action, body)).await;
        let answer = match reply {
            Ok(reply) => classify_change(&reply),
            Err(Failure::NotSent(why)) => ChangeAnswer::NotSent { cause: NotSentCause::NoConnection, why },
            Err(Failure::Lost(why)) => ChangeAnswer::Unclear { why },
        };
        self.conclude(span, action, RequestResult::of_change(&answer), answer.request_id());
        answer
    }

    /// Reads a list to its end: at most `most` items, whose count must be the same on every page and right.
    pub(super) async fn list<T: for<'de> Deserialize<'de>>(
        &self,
        permit: Permit,
        action: Action,
        filter: &Value,
        most: usize,
        priority: Priority,
    ) -> Result<Vec<T>, Unreadable> {
        let mut items = Vec::new();
        let mut total = None;
        let mut permit = Some(permit);
        for number in 1..=MOST_PAGES {
            let mut body = filter.clone();
            body["pageNum"] = json!(number);
            body["pageSize"] = json!(PAGE_SIZE);
            let permit = match permit.take() {
                Some(first) => first,
                None => self.read_permit(priority).await?,
            };
            let page: Page<T> = self.read(permit, action, body.to_string()).await?;
            let expected = *total.get_or_insert(page.total_count);
            let ended = page.data_set.is_empty();
            items.extend(page.data_set.into_iter().map(|Object(item)| item));
            if page.total_count != expected {
                return Err(bad_reading("pages that do not belong together: the list changed meanwhile"));
            }
            if expected > most || items.len() > expected {
                return Err(bad_reading("more items than it should"));
            }
            if items.len() == expected {
                return Ok(items);
            }
            if ended {
                return Err(bad_reading("fewer items than its totalCount"));
            }
        }
        Err(bad_reading("too many pages"))
    }

    async fn read<T: for<'de> Deserialize<'de>>(
        &self,
        _permit: Permit,
        action: Action,
        body: String,
    ) -> Result<T, Unreadable> {
        let (reply, mut span) = self.send(action, body).await;
        let (result, answer) = match reply {
            Ok(reply) => {
                let answer = classify_read(&reply);
                (RequestResult::of_reading(&answer), answer)
            }
            Err(Failure::NotSent(detail)) => (RequestResult::NotSent, Err(Unreadable::Unavailable(detail))),
            Err(Failure::Lost(detail)) => (RequestResult::Unclear, Err(Unreadable::Unavailable(detail))),
        };
        let request_id = match &answer {
            // There are many. The reconcile that decides about the answer has its own span.
            Ok(_) => {
                span.discard();
                None
            }
            Err(Unreadable::Refused(refusal)) => refusal.request_id.as_deref(),
            Err(Unreadable::Unavailable(_) | Unreadable::NotAsked(_)) => None,
        };
        self.conclude(span, action, result, request_id);
        answer
    }

    async fn send(&self, action: Action, body: String) -> (Result<Reply, Failure>, Span) {
        let mut span = Span::start(action.name(), Kind::Client);
        self.transport.describe(&mut span);
        // It counts as cancelled until there is an answer: the caller may stop waiting.
        let reply = self.transport.post(&self.credential, action, body).await;
        if let Ok(reply) = &reply {
            self.limiter.heed(reply.pushback());
            span.set_number("http.response.status_code", reply.status.as_u16());
        }
        (reply, span)
    }

    /// Records the result of a request in the metrics and in its span.
    fn conclude(&self, mut span: Span, action: Action, result: RequestResult, request_id: Option<&str>) {
        self.transport.metrics().count(action, result);
        span.set("result", result.as_str());
        if let Some(request_id) = request_id {
            span.set("request_id", request_id);
        }
        span.set_error((result != RequestResult::Ok).then_some(result.as_str()));
    }
}

fn bad_reading(what: &str) -> Unreadable {
    Unreadable::Unavailable(format!("the answer contains {what}"))
}

#[cfg(test)]
mod tests;
