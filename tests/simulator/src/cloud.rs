//! The whole state, as one value that knows the time.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::Instant;

use hyper::http::request::Parts;
use jiff::Timestamp;
use serde_json::Value;

use crate::accounts::{Account, Accounts, RateLimit};
use crate::api::{self, Call, Change, Listing};
use crate::error::ApiError;
use crate::faults::{Faults, Hit, Rule};
use crate::journal::{Cause, Journal, Reply, Request, RequestId};
use crate::life_cycle::{Ports, Times};
use crate::port::{ApiVersion, Port, PortStatus};

pub(crate) struct Cloud {
    now: Instant,
    accounts: Accounts,
    ports: Ports,
    pub(crate) faults: Faults,
    pub(crate) journal: Journal,
    request_ids: RandomState,
}

/// A request that has come in.
#[derive(Clone)]
pub(crate) struct Arrival {
    pub(crate) sequence: u64,
    pub(crate) request_id: RequestId,
    /// The call, or why it is refused whatever the ports are.
    call: Result<Call, ApiError>,
    pub(crate) fault: Option<Hit>,
}

/// Whether an execution changes anything.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commit {
    Yes,
    No,
}

impl Cloud {
    pub(crate) fn new(times: Times, now: Instant) -> Self {
        Self {
            now,
            accounts: Accounts::default(),
            ports: Ports::new(times),
            faults: Faults::default(),
            journal: Journal::new(now),
            request_ids: RandomState::new(),
        }
    }

    /// Moves the time on. Everything else happens at this time.
    pub(crate) fn advance(&mut self, now: Instant) {
        self.now = now;
        self.ports.advance(now, &mut self.journal);
    }

    /// Takes a request in: who sent it, what it asks, and which rule meets it.
    pub(crate) fn arrive(&mut self, head: &Parts, body: &[u8]) -> Arrival {
        let sequence = self.journal.next_sequence();
        let request_id = self.request_id(sequence);
        let parsed: Result<Value, _> = serde_json::from_slice(body);
        let action = text_header(head, "x-zc-action").unwrap_or_default();
        let port_ids = parsed.as_ref().map(port_ids).unwrap_or_default();
        let caller = self.accounts.authenticate(&head.headers, body, Timestamp::now().as_second());
        let key = caller.as_ref().ok().map(|caller| (Arc::clone(&caller.account), Arc::clone(&caller.key)));
        let admitted = caller.and_then(|caller| {
            self.accounts.admit(&caller.account, self.now)?;
            Ok(caller)
        });
        let fault = admitted.as_ref().ok().and_then(|caller| self.faults.meet(action, caller, &port_ids));
        let call = admitted.and_then(|caller| {
            let body = parsed
                .map_err(|error| ApiError::invalid_parameter("INVALID_PARAMETER_TYPE", error.to_string()))?;
            Ok(Call {
                action: required_action(head)?.into(),
                version: version(head)?,
                caller,
                request_id,
                body,
            })
        });
        let (account, key) = key.unzip();
        self.journal.request(Request {
            sequence,
            at_ms: self.journal.milliseconds(self.now),
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
    pub(crate) fn execute(&mut self, arrival: &Arrival, commit: Commit) -> Result<Value, ApiError> {
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

    fn commit(&mut self, change: Change, cause: Cause) {
        match change {
            Change::Create(port) => self.ports.put(*port, cause, self.now, &mut self.journal),
            Change::SetStatus { port_id, to } => {
                self.ports.set_status(&port_id, to, cause, self.now, &mut self.journal);
            }
        }
        // Times of zero are over at once.
        self.ports.advance(self.now, &mut self.journal);
    }

    pub(crate) fn put_account(&mut self, account: Account) {
        self.accounts.put(account, self.now);
    }

    pub(crate) fn set_rate_limit(&mut self, account: &str, limit: Option<RateLimit>) {
        self.accounts.set_rate_limit(account.into(), limit, self.now);
    }

    pub(crate) fn set_times(&mut self, times: Times) {
        self.ports.set_times(times);
    }

    pub(crate) fn ports(&self) -> impl Iterator<Item = &Port> {
        self.ports.index().values().map(|tracked| &tracked.port)
    }

    pub(crate) fn port(&self, port_id: &str) -> Option<&Port> {
        self.ports.index().get(port_id).map(|tracked| &tracked.port)
    }

    pub(crate) fn seed(&mut self, port: Port) {
        self.ports.put(port, Cause::Control, self.now, &mut self.journal);
    }

    /// Whether the port was there.
    pub(crate) fn remove_port(&mut self, port_id: &str) -> bool {
        self.ports.remove(port_id, Cause::Control, self.now, &mut self.journal)
    }

    /// Whether the port was there.
    pub(crate) fn set_status(&mut self, port_id: &str, status: PortStatus) -> bool {
        self.ports.set_status(port_id, status, Cause::Control, self.now, &mut self.journal)
    }

    /// Whether the port was there.
    pub(crate) fn set_frozen(&mut self, port_id: &str, frozen: bool) -> bool {
        self.ports.set_frozen(port_id, frozen, self.now)
    }

    /// Whether the port was there.
    pub(crate) fn detach(&mut self, port_id: &str) -> bool {
        self.ports.detach(port_id)
    }

    pub(crate) fn add_fault(&mut self, rule: Rule) -> u64 {
        self.faults.add(rule, self.ports.index())
    }

    /// Forgets ports, rules and journal; accounts and times stay.
    pub(crate) fn reset(&mut self) {
        self.ports.clear();
        self.faults.clear();
        self.journal.clear();
    }

    fn request_id(&self, sequence: u64) -> RequestId {
        let [high, low] = [0_u8, 1].map(|half| u128::from(self.request_ids.hash_one((half, sequence))));
        RequestId(high << 64 | low)
    }
}

fn text_header<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    head.headers.get(name).and_then(|value| value.to_str().ok())
}

fn required_action(head: &Parts) -> Result<&str, ApiError> {
    text_header(head, "x-zc-action").ok_or_else(|| ApiError::missing_parameter("X-ZC-Action"))
}

fn version(head: &Parts) -> Result<ApiVersion, ApiError> {
    let version =
        text_header(head, "x-zc-version").ok_or_else(|| ApiError::missing_parameter("X-ZC-Version"))?;
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
