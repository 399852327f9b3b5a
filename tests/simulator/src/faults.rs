//! Faults: rules that spoil chosen requests.
//!
//! A rule says three things, each on its own: which requests it meets, what becomes of their change
//! ([`Apply`]), and what the client gets ([`Answer`]). An answer lost after the commit is thus
//! `Rule::on("DestroyPort").answer(Answer::Lost)`, and a 502 before it
//! `Rule::on("DestroyPort").apply(Apply::Never).answer(Answer::html(502))`.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::accounts::Caller;
use crate::life_cycle::PortIndex;

/// A fault. Only authenticated requests within the rate limit meet rules; of several rules that match,
/// the one set first has the request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Rule {
    /// Only requests for this action, even one that the simulator does not know; `None`: all.
    pub action: Option<String>,
    /// Only requests of this account.
    pub account: Option<String>,
    /// Only requests by this access key id or token name.
    pub key: Option<String>,
    /// Only requests that name this port.
    pub port_id: Option<String>,
    /// Lets so many matching requests pass first.
    pub skip: u64,
    /// Meets so many requests; `None`: until cleared.
    pub times: Option<u64>,
    /// What becomes of the change asked for.
    pub apply: Apply,
    /// Holds the answer back for so long, after the change.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub delay_answer: Duration,
    /// What the client gets.
    pub answer: Answer,
}

/// What becomes of the change that a request asks for. A client that hangs up stops nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Apply {
    /// It is made.
    #[default]
    Now,
    /// It is made so much later, and answered after that.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    After(Duration),
    /// It is answered as if made, and made so much later, if it is then still allowed.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    Late(Duration),
    /// It is answered as if made, and never made.
    Never,
}

/// What the client gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// The right answer.
    #[default]
    Right,
    /// A refusal in the API's form.
    #[serde(rename_all = "camelCase")]
    Error {
        /// HTTP status.
        status: u16,
        /// Business code.
        code: String,
        /// The value of `Retry-After`: seconds, a date, or nonsense.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// This, whatever it means.
    #[serde(rename_all = "camelCase")]
    Replaced {
        /// HTTP status.
        status: u16,
        /// Names and values.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// Sent as it is.
        #[serde(default)]
        body: String,
    },
    /// The right answer, but for these lies about the list of ports, told in this order.
    List(Vec<ListFault>),
    /// The first half of the right answer's body, then the end of the connection.
    Truncated,
    /// The right answer, one byte each time.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    Slow(Duration),
    /// Status 200 and a body of so many bytes, without a `Content-Length`.
    Huge(u64),
    /// None: the connection is closed.
    Lost,
    /// None: the connection is reset.
    Reset,
}

impl Answer {
    /// An HTML page, as a proxy or CDN sends it.
    pub fn html(status: u16) -> Self {
        let body = format!("<!DOCTYPE html><html><body><h1>{status}</h1></body></html>");
        Self::Replaced { status, headers: vec![("content-type".into(), "text/html".into())], body }
    }

    /// A JSON document, well formed or not.
    pub fn json(status: u16, body: impl Into<String>) -> Self {
        let headers = vec![("content-type".into(), "application/json".into())];
        Self::Replaced { status, headers, body: body.into() }
    }

    /// Status 200 and nothing.
    pub fn empty() -> Self {
        Self::json(200, "")
    }

    /// A business code with HTTP status 200.
    pub fn code_in_200(code: impl Into<String>) -> Self {
        Self::Error { status: 200, code: code.into(), retry_after: None }
    }

    /// A redirect to another place.
    pub fn redirect(location: impl Into<String>) -> Self {
        Self::Replaced {
            status: 307,
            headers: vec![("location".into(), location.into())],
            body: String::new(),
        }
    }
}

/// A lie of `DescribePorts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ListFault {
    /// All ports as they were when the rule was set. Holds for the whole list, wherever it stands.
    Stale,
    /// `portIds` is ignored. Holds for the whole list, wherever it stands.
    IgnoreIds,
    /// No port, and a `totalCount` of 0.
    Empty,
    /// Not this port, and one less in `totalCount`.
    Without(String),
    /// Every port twice, and twice the `totalCount`.
    Twice,
    /// This `totalCount`, with the items as they are.
    TotalCount(u64),
}

impl Rule {
    /// A rule for every request; it spoils nothing until told how.
    pub fn any() -> Self {
        Self::default()
    }

    /// A rule for the requests for one action.
    pub fn on(action: impl Into<String>) -> Self {
        Self { action: Some(action.into()), ..Self::default() }
    }

    /// Only requests of this account.
    #[must_use]
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// Only requests by this access key id or token name.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Only requests that name this port.
    #[must_use]
    pub fn port(mut self, port_id: impl Into<String>) -> Self {
        self.port_id = Some(port_id.into());
        self
    }

    /// Lets so many matching requests pass first.
    #[must_use]
    pub fn skip(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// Meets so many requests, then no more.
    #[must_use]
    pub fn times(mut self, requests: u64) -> Self {
        self.times = Some(requests);
        self
    }

    /// Meets one request.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// What becomes of the change.
    #[must_use]
    pub fn apply(mut self, apply: Apply) -> Self {
        self.apply = apply;
        self
    }

    /// What the client gets.
    #[must_use]
    pub fn answer(mut self, answer: Answer) -> Self {
        self.answer = answer;
        self
    }

    /// Holds the answer back.
    #[must_use]
    pub fn delay_answer(mut self, delay: Duration) -> Self {
        self.delay_answer = delay;
        self
    }

    /// Refuses with this status and code: nothing is applied.
    #[must_use]
    pub fn refuse(self, status: u16, code: impl Into<String>) -> Self {
        self.apply(Apply::Never).answer(Answer::Error { status, code: code.into(), retry_after: None })
    }

    /// Refuses with 429 and perhaps a `Retry-After`: nothing is applied.
    #[must_use]
    pub fn throttle(self, retry_after: Option<&str>) -> Self {
        self.apply(Apply::Never).answer(Answer::Error {
            status: 429,
            code: "REQUEST_LIMIT_EXCEEDED".to_owned(),
            retry_after: retry_after.map(str::to_owned),
        })
    }

    /// Lies about the list of ports.
    #[must_use]
    pub fn list(self, lies: impl IntoIterator<Item = ListFault>) -> Self {
        self.answer(Answer::List(lies.into_iter().collect()))
    }

    fn matches(&self, action: &str, caller: &Caller, port_ids: &[Box<str>]) -> bool {
        let meets = |wanted: &Option<String>, actual: &str| wanted.as_ref().is_none_or(|it| it == actual);
        meets(&self.action, action)
            && meets(&self.account, &caller.account)
            && meets(&self.key, &caller.key)
            && self.port_id.as_ref().is_none_or(|wanted| port_ids.iter().any(|id| **id == **wanted))
    }

    fn is_stale(&self) -> bool {
        matches!(&self.answer, Answer::List(lies) if lies.contains(&ListFault::Stale))
    }
}

/// A rule in force and how often it was met.
#[derive(Clone, Debug, Serialize)]
pub struct Fault {
    /// Its number, as setting it returned.
    pub id: u64,
    /// The rule.
    pub rule: Arc<Rule>,
    /// Requests that matched and came to it, those let pass included.
    pub seen: u64,
    /// Requests that it spoiled.
    pub spoiled: u64,
    /// The ports when the rule was set, if it shows them.
    #[serde(skip)]
    snapshot: Option<Arc<Snapshot>>,
}

struct Snapshot(PortIndex);

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snapshot({} ports)", self.0.len())
    }
}

/// A rule that has met a request.
#[derive(Clone)]
pub(crate) struct Hit {
    pub(crate) id: u64,
    pub(crate) rule: Arc<Rule>,
    snapshot: Option<Arc<Snapshot>>,
}

impl Hit {
    /// The lies to tell about a list.
    pub(crate) fn lies(&self) -> &[ListFault] {
        match &self.rule.answer {
            Answer::List(lies) => lies,
            _ => &[],
        }
    }

    /// The ports to show, if not the real ones.
    pub(crate) fn stale_ports(&self) -> Option<&PortIndex> {
        self.snapshot.as_ref().map(|snapshot| &snapshot.0)
    }
}

/// The rules in force, in the order in which they were set.
#[derive(Default)]
pub(crate) struct Faults {
    rules: Vec<Fault>,
    last_id: u64,
}

impl Faults {
    pub(crate) fn add(&mut self, rule: Rule, ports: &PortIndex) -> u64 {
        self.last_id += 1;
        let snapshot = rule.is_stale().then(|| Arc::new(Snapshot(ports.clone())));
        self.rules.push(Fault { id: self.last_id, rule: Arc::new(rule), seen: 0, spoiled: 0, snapshot });
        self.last_id
    }

    /// Whether it was there.
    pub(crate) fn remove(&mut self, id: u64) -> bool {
        let before = self.rules.len();
        self.rules.retain(|fault| fault.id != id);
        self.rules.len() < before
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(crate) fn all(&self) -> &[Fault] {
        &self.rules
    }

    /// The rule that spoils this request.
    pub(crate) fn meet(&mut self, action: &str, caller: &Caller, port_ids: &[Box<str>]) -> Option<Hit> {
        self.rules.iter_mut().find_map(|fault| {
            if !fault.rule.matches(action, caller, port_ids) {
                return None;
            }
            fault.seen += 1;
            let spent = fault.rule.times.is_some_and(|times| fault.spoiled >= times);
            if fault.seen <= fault.rule.skip || spent {
                return None;
            }
            fault.spoiled += 1;
            Some(Hit { id: fault.id, rule: Arc::clone(&fault.rule), snapshot: fault.snapshot.clone() })
        })
    }
}
