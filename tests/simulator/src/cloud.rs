//! The whole state, as one value that is told the time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::Config;
use crate::accounts::{Account, Accounts, RateLimit};
use crate::answer::{self, Body, Envelope, Severed};
use crate::api::{self, Call, Change, Listing};
use crate::error::ApiError;
use crate::faults::{Apply, Fault, Faults, Hit, Rule};
use crate::journal::{Cause, Journal, Reply, Request, RequestId, milliseconds};
use crate::life_cycle::{Ports, Times};
use crate::port::{ApiVersion, Port, PortStatus};

/// The time, as a [`Cloud`] is told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Since the start. It never goes back.
    pub monotonic: Duration,
    /// What the server's clock shows; it may be set. Signatures are checked by it, and ports get their
    /// `createdTime` from it.
    pub wall: Timestamp,
}

impl Now {
    /// What the clocks showed at this earlier time, if nobody has set them since.
    fn back_to(self, monotonic: Duration) -> Self {
        let ago = self.monotonic.saturating_sub(monotonic);
        Self { monotonic, wall: self.wall.checked_sub(ago).unwrap_or(self.wall) }
    }
}

/// The simulated Zenlayer without sockets, threads or clocks: the same calls, seed and times give the same
/// answers and the same journal, byte for byte.
///
/// [`advance`](Self::advance) tells it the time, and everything else happens at the time told last. It does not
/// look at a request's method and path.
pub struct Cloud {
    now: Now,
    seed: u64,
    accounts: Accounts,
    ports: Ports,
    faults: Faults,
    journal: Journal,
    /// Requests whose change a rule holds back, by the time of the change.
    held: BTreeMap<(Duration, u64), Arrival>,
    /// What those have come to whose answer had to wait for the change.
    results: BTreeMap<u64, Result<Value, ApiError>>,
}

/// A request that waits for its answer.
#[must_use = "the journal shows it as pending until it is answered"]
pub struct Exchange {
    /// How long it waits: not at all, unless a rule holds the answer back.
    pub wait: Duration,
    due: Duration,
    arrival: Arrival,
    /// `None`: the change comes first.
    result: Option<Result<Value, ApiError>>,
}

/// A request that has come in.
#[derive(Clone)]
struct Arrival {
    sequence: u64,
    request_id: RequestId,
    /// The call, or why it is refused whatever the ports are.
    call: Result<Call, ApiError>,
    fault: Option<Hit>,
}

/// Whether an execution changes anything.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Commit {
    Yes,
    No,
}

impl Cloud {
    /// Its accounts and ports are there from now on. Request ids are made from the seed; the address to listen
    /// on has no meaning here.
    pub fn new(config: Config, seed: u64, now: Now) -> Self {
        let mut cloud = Self {
            now,
            seed,
            accounts: Accounts::default(),
            ports: Ports::new(config.times),
            faults: Faults::default(),
            journal: Journal::new(),
            held: BTreeMap::new(),
            results: BTreeMap::new(),
        };
        config.accounts.into_iter().for_each(|account| cloud.put_account(account));
        config.ports.into_iter().for_each(|port| cloud.seed(port));
        cloud
    }

    /// Moves the time on, and makes every change that is due by then, in order, at its own time.
    pub fn advance(&mut self, now: Now) -> &mut Self {
        while let Some(held) = self.held.first_entry()
            && held.key().0 <= now.monotonic
        {
            let ((due, sequence), arrival) = held.remove_entry();
            self.now = now.back_to(due);
            self.ports.advance(due, &mut self.journal);
            let result = self.execute(&arrival, Commit::Yes);
            // Of a late change nobody is left to be told.
            if let Apply::After(_) = arrival.apply() {
                self.results.insert(sequence, result);
            }
        }
        self.now = now;
        self.ports.advance(now.monotonic, &mut self.journal);
        self
    }

    /// When it next changes by itself, in monotonic time: a passing state ends, or a change that a rule holds
    /// back is made. `None`: not before it is asked to.
    pub fn next_change(&self) -> Option<Duration> {
        let held = self.held.keys().next().map(|(due, _)| *due);
        held.into_iter().chain(self.ports.next_change()).min()
    }

    /// Takes a request in, and makes its change unless a rule says otherwise. [`answer`](Self::answer) ends it
    /// after [`Exchange::wait`].
    pub fn request(&mut self, request: &http::Request<impl AsRef<[u8]>>) -> Exchange {
        let arrival = self.arrive(request.headers(), request.body().as_ref());
        let mut wait = arrival.fault.as_ref().map(|hit| hit.rule.delay_answer).unwrap_or_default();
        let result = match arrival.apply() {
            Apply::Now => Some(self.execute(&arrival, Commit::Yes)),
            Apply::Never => Some(self.execute(&arrival, Commit::No)),
            Apply::After(delay) => {
                self.hold(&arrival, *delay);
                wait = wait.saturating_add(*delay);
                None
            }
            Apply::Late(delay) => {
                let result = self.execute(&arrival, Commit::No);
                self.hold(&arrival, *delay);
                Some(result)
            }
        };
        // What is held for no time is due.
        self.advance(self.now);
        Exchange { wait, due: self.now.monotonic.saturating_add(wait), arrival, result }
    }

    /// The end of a request: what is sent, or how the connection ends without an answer.
    ///
    /// # Panics
    ///
    /// If [`Exchange::wait`] is not over.
    pub fn answer(&mut self, exchange: Exchange) -> Result<http::Response<Body>, Severed> {
        let Exchange { due, arrival, result, .. } = exchange;
        let now = self.now.monotonic;
        assert!(due <= now, "the answer is due at {due:?}, now is {now:?}");
        let result = result.or_else(|| self.results.remove(&arrival.sequence));
        let right =
            Envelope::new(arrival.request_id, result.expect("a change is made before it is answered"));
        let (reply, response) = answer::spoiled(arrival.fault.as_ref().map(|hit| &hit.rule.answer), right);
        self.journal.replied(arrival.sequence, reply);
        response
    }

    /// Adds an account, or replaces it with all its credentials and its limit.
    pub fn put_account(&mut self, account: Account) {
        self.accounts.put(account, self.now.monotonic);
    }

    /// Limits the requests of an account from now on, with a full bucket; `None`: no limit.
    pub fn set_rate_limit(&mut self, account: &str, limit: Option<RateLimit>) {
        self.accounts.set_rate_limit(account.into(), limit, self.now.monotonic);
    }

    /// Changes how long passing states last that begin from now on.
    pub fn set_times(&mut self, times: Times) {
        self.ports.set_times(times);
    }

    /// The ports of all accounts, in order of id.
    pub fn ports(&self) -> impl Iterator<Item = &Port> {
        self.ports.index().values().map(|tracked| &tracked.port)
    }

    /// A port as it is now; `None`: there is none, or none any more.
    pub fn port(&self, port_id: &str) -> Option<&Port> {
        self.ports.index().get(port_id).map(|tracked| &tracked.port)
    }

    /// Adds a port, or replaces that with its id.
    pub fn seed(&mut self, port: Port) {
        self.put(port, Cause::Control);
    }

    /// Takes a port away behind everybody's back. Whether it was there.
    pub fn remove_port(&mut self, port_id: &str) -> bool {
        self.ports.remove(port_id, Cause::Control, self.now.monotonic, &mut self.journal)
    }

    /// Forces a status, from which time moves on unless the port is frozen. Whether the port is there.
    pub fn set_status(&mut self, port_id: &str, status: PortStatus) -> bool {
        self.ports.set_status(port_id, status, Cause::Control, self.now.monotonic, &mut self.journal)
    }

    /// Holds a port in the statuses that it gets, or lets time move it on again, the current state's whole
    /// time from now. Whether the port is there.
    pub fn set_frozen(&mut self, port_id: &str, frozen: bool) -> bool {
        self.ports.set_frozen(port_id, frozen, self.now.monotonic)
    }

    /// Deletes whatever the port is a part of. Whether the port is there.
    pub fn detach(&mut self, port_id: &str) -> bool {
        self.ports.detach(port_id)
    }

    /// As if what it is a part of were moved to the recycle bin. Whether the port was there.
    pub fn recycle_users(&mut self, port_id: &str) -> bool {
        self.ports.recycle_users(port_id)
    }

    /// Sets a rule; returns its id.
    pub fn fault(&mut self, rule: Rule) -> u64 {
        self.faults.add(rule, self.ports.index())
    }

    /// The rules in force and how often they were met.
    pub fn faults(&self) -> &[Fault] {
        self.faults.all()
    }

    /// Clears one rule. Whether it was there.
    pub fn clear_fault(&mut self, id: u64) -> bool {
        self.faults.remove(id)
    }

    /// Clears all rules; requests that they hold back stay held.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// What has happened until now.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Forgets ports, rules and journal; accounts and times stay.
    pub fn reset(&mut self) {
        self.ports.clear();
        self.faults.clear();
        self.journal.clear();
    }

    /// Takes a request in: who sent it, what it asks, and which rule meets it.
    fn arrive(&mut self, headers: &HeaderMap, body: &[u8]) -> Arrival {
        let sequence = self.journal.next_sequence();
        let request_id = self.request_id(sequence);
        let parsed: Result<Value, _> = serde_json::from_slice(body);
        let action = text_header(headers, "x-zc-action").unwrap_or_default();
        let port_ids = parsed.as_ref().map(port_ids).unwrap_or_default();
        let caller = self.accounts.authenticate(headers, body, self.now.wall.as_second());
        let key = caller.as_ref().ok().map(|caller| (Arc::clone(&caller.account), Arc::clone(&caller.key)));
        let admitted = caller.and_then(|caller| {
            self.accounts.admit(&caller.account, self.now.monotonic)?;
            Ok(caller)
        });
        let fault = admitted.as_ref().ok().and_then(|caller| self.faults.meet(action, caller, &port_ids));
        let call = admitted.and_then(|caller| {
            let body = parsed
                .map_err(|error| ApiError::invalid_parameter("INVALID_PARAMETER_TYPE", error.to_string()))?;
            Ok(Call {
                action: required_action(headers)?.into(),
                version: version(headers)?,
                caller,
                request_id,
                body,
            })
        });
        let (account, key) = key.unzip();
        self.journal.request(Request {
            sequence,
            at_ms: milliseconds(self.now.monotonic),
            account,
            key,
            action: action.into(),
            port_ids,
            request_id,
            fault: fault.as_ref().map(|hit| hit.id),
            reply: Reply::Pending,
        });
        Arrival { sequence, request_id, call, fault }
    }

    /// The right answer to a request as the ports are now (or as its rule shows them), with its change made.
    fn execute(&mut self, arrival: &Arrival, commit: Commit) -> Result<Value, ApiError> {
        let call = arrival.call.as_ref().map_err(ApiError::clone)?;
        let fault = arrival.fault.as_ref();
        let listing = Listing {
            ports: fault.and_then(Hit::stale_ports).unwrap_or(self.ports.index()),
            lies: fault.map(Hit::lies).unwrap_or_default(),
        };
        let evaluation = api::evaluate(call, self.ports.index(), listing)?;
        if commit == Commit::Yes
            && let Some(change) = evaluation.change
        {
            self.commit(change, Cause::Request(arrival.sequence));
        }
        Ok(evaluation.response)
    }

    /// Makes its change so much later.
    fn hold(&mut self, arrival: &Arrival, delay: Duration) {
        let due = self.now.monotonic.saturating_add(delay);
        self.held.insert((due, arrival.sequence), arrival.clone());
    }

    fn commit(&mut self, change: Change, cause: Cause) {
        let now = self.now.monotonic;
        match change {
            Change::Create(port) => self.put(*port, cause),
            Change::SetStatus { port_id, to } => {
                self.ports.set_status(&port_id, to, cause, now, &mut self.journal);
            }
        }
        // Times of zero are over at once.
        self.ports.advance(now, &mut self.journal);
    }

    fn put(&mut self, mut port: Port, cause: Cause) {
        port.created_time.get_or_insert(self.now.wall);
        self.ports.put(port, cause, self.now.monotonic, &mut self.journal);
    }

    fn request_id(&self, sequence: u64) -> RequestId {
        let digest = Sha256::digest([self.seed.to_be_bytes(), sequence.to_be_bytes()].concat());
        RequestId(digest.iter().take(16).fold(0, |id, byte| id << 8 | u128::from(*byte)))
    }
}

impl Arrival {
    /// What becomes of its change.
    fn apply(&self) -> &Apply {
        self.fault.as_ref().map_or(&Apply::Now, |hit| &hit.rule.apply)
    }
}

fn text_header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn required_action(headers: &HeaderMap) -> Result<&str, ApiError> {
    text_header(headers, "x-zc-action").ok_or_else(|| ApiError::missing_parameter("X-ZC-Action"))
}

fn version(headers: &HeaderMap) -> Result<ApiVersion, ApiError> {
    let version =
        text_header(headers, "x-zc-version").ok_or_else(|| ApiError::missing_parameter("X-ZC-Version"))?;
    ApiVersion::parse(version).ok_or_else(|| {
        let message = format!("X-ZC-Version `{version}` is neither 2023-08-30 nor 2026-04-01");
        ApiError::invalid_parameter("INVALID_PARAMETER_VALUE", message)
    })
}

/// The ports that a body names, as far as it can be read.
fn port_ids(body: &Value) -> Box<[Box<str>]> {
    let many = body["portIds"].as_array().into_iter().flatten();
    body.get("portId").into_iter().chain(many).filter_map(|id| id.as_str().map(Box::from)).collect()
}
