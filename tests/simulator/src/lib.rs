//! A simulator of the Zenlayer API for SDN ports, for tests, demos and users.
//!
//! It speaks `POST /api/v2/sdn` strictly (signatures, paging, refusals, asynchronous life cycle), fails in
//! every way a [`Rule`] asks for, and keeps a [`Journal`] of what was asked and what took effect. What the
//! real API does where its documentation is silent is marked in comments as invented.
//!
//! ```
//! use zenlayer_simulator::{Account, Answer, Config, Port, PortStatus, Rule, Simulator};
//!
//! let simulator = Simulator::start(Config {
//!     accounts: vec![Account::new("default").key("KEY", "PASSWORD")],
//!     ..Config::default()
//! })?;
//! simulator.seed(Port::new("port-1").status(PortStatus::Recycled));
//! // The next DestroyPort takes effect, but its answer is lost.
//! simulator.fault(Rule::on("DestroyPort").once().answer(Answer::Lost));
//!
//! // … let a client of `simulator.url()` destroy the port …
//!
//! let journal = simulator.journal();
//! assert_eq!(journal.calls("DestroyPort").count(), journal.committed_destroys("port-1"));
//! # anyhow::Ok(())
//! ```
//!
//! The same can be done over HTTP, under `/control/` of the same listener: `zenlayer-simulator --help` lists
//! the routes. Everything it serves is plain HTTP/1.1 on a thread of its own, so it can be used from
//! asynchronous and blocking tests alike, and everything ends when the last [`Simulator`] handle is dropped.
//!
//! # Without a server
//!
//! A [`Simulator`] is only the shell of a [`Cloud`]: it reads the clocks, draws a seed, sleeps and sends. A
//! deterministic simulation has a [`Cloud`] to itself, as a value that is told the time with each call and says
//! how long to wait:
//!
//! ```
//! use std::time::Duration;
//! use zenlayer_simulator::{Cloud, Config, Now, Port, PortStatus};
//!
//! let at = |seconds| Now {
//!     monotonic: Duration::from_secs(seconds),
//!     wall: "2026-01-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap() + Duration::from_secs(seconds),
//! };
//! let mut cloud = Cloud::new(Config::default(), 7, at(0));
//! cloud.advance(at(10)).seed(Port::new("port-1").status(PortStatus::Deleting));
//! assert_eq!(cloud.next_change(), Some(Duration::from_secs(15)));
//!
//! let request = http::Request::new("{}"); // … signed by the code under test …
//! let exchange = cloud.advance(at(20)).request(&request);
//! // … sleep in simulated time …
//! let later = at(20 + exchange.wait.as_secs());
//! let answer = cloud.advance(later).answer(exchange).expect("no rule cuts the connection");
//! assert_eq!(answer.status(), 401, "it was not signed");
//! assert_eq!(cloud.port("port-1").map(|port| port.port_status.as_str()), Some("RECYCLED"));
//! ```

mod accounts;
mod answer;
mod api;
mod cloud;
mod control;
mod error;
mod faults;
mod journal;
mod life_cycle;
mod port;
mod server;
pub mod signature;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;

pub use crate::accounts::{Account, Credential, CredentialKind, DEFAULT_ACCOUNT, RateLimit};
pub use crate::answer::{Body, Severed};
pub use crate::cloud::{Cloud, Exchange, Now};
pub use crate::control::HELP as CONTROL_API;
pub use crate::faults::{Answer, Apply, Fault, ListFault, Rule};
pub use crate::journal::{Cause, Journal, Reply, Request, RequestId, Transition};
pub use crate::life_cycle::Times;
pub use crate::port::{ChargeType, Port, PortStatus, PortUser};

use crate::server::Server;

/// What a simulator starts with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; a free port of 127.0.0.1 by default.
    pub listen: SocketAddr,
    /// The accounts; none by default.
    pub accounts: Vec<Account>,
    /// The ports; none by default.
    pub ports: Vec<Port>,
    /// How long passing states last.
    pub times: Times,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            accounts: Vec::new(),
            ports: Vec::new(),
            times: Times::default(),
        }
    }
}

/// A running simulator. Clones are handles of the same one; it ends with the last.
#[derive(Clone)]
pub struct Simulator {
    shared: Arc<Shared>,
    server: Arc<Server>,
}

/// The state that the listener and all handles share, and the clocks that it is told.
pub(crate) struct Shared {
    cloud: Mutex<Cloud>,
    started: Instant,
}

impl Shared {
    fn new(config: Config) -> Self {
        let started = Instant::now();
        // The standard library draws it from the operating system.
        let seed = RandomState::new().hash_one(());
        Self { cloud: Mutex::new(Cloud::new(config, seed, now(started))), started }
    }

    /// The state, as of now. A panic elsewhere left it whole: no step of it spans two states.
    pub(crate) fn cloud(&self) -> MutexGuard<'_, Cloud> {
        let mut cloud = self.cloud.lock().unwrap_or_else(PoisonError::into_inner);
        cloud.advance(now(self.started));
        cloud
    }
}

fn now(started: Instant) -> Now {
    Now { monotonic: started.elapsed(), wall: Timestamp::now() }
}

impl Simulator {
    /// Starts to listen. Fails if the address cannot be used.
    pub fn start(config: Config) -> anyhow::Result<Self> {
        let listen = config.listen;
        let shared = Arc::new(Shared::new(config));
        let server = Arc::new(Server::start(listen, Arc::clone(&shared))?);
        Ok(Self { shared, server })
    }

    /// The endpoint without the API's path, such as `http://127.0.0.1:8099`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// Adds an account, or replaces it with all its credentials and its limit.
    pub fn put_account(&self, account: Account) {
        self.shared.cloud().put_account(account);
    }

    /// Limits the requests of an account from now on, with a full bucket; `None`: no limit.
    pub fn set_rate_limit(&self, account: &str, limit: Option<RateLimit>) {
        self.shared.cloud().set_rate_limit(account, limit);
    }

    /// Changes how long passing states last that begin from now on.
    pub fn set_times(&self, times: Times) {
        self.shared.cloud().set_times(times);
    }

    /// Adds a port, or replaces that with its id.
    pub fn seed(&self, port: Port) {
        self.shared.cloud().seed(port);
    }

    /// A port as it is now; `None`: there is none, or none any more.
    pub fn port(&self, port_id: &str) -> Option<Port> {
        self.shared.cloud().port(port_id).cloned()
    }

    /// The ports of all accounts, in order of id.
    pub fn ports(&self) -> Vec<Port> {
        self.shared.cloud().ports().cloned().collect()
    }

    /// Deletes whatever the port is a part of. Whether the port is there.
    pub fn detach(&self, port_id: &str) -> bool {
        self.shared.cloud().detach(port_id)
    }

    /// Forces a status, from which time moves on unless the port is frozen. Whether the port is there.
    pub fn set_status(&self, port_id: &str, status: PortStatus) -> bool {
        self.shared.cloud().set_status(port_id, status)
    }

    /// Holds a port in the statuses that it gets, or lets time move it on again, the current state's whole
    /// time from now. Whether the port is there.
    pub fn set_frozen(&self, port_id: &str, frozen: bool) -> bool {
        self.shared.cloud().set_frozen(port_id, frozen)
    }

    /// Takes a port away behind everybody's back. Whether it was there.
    pub fn remove_port(&self, port_id: &str) -> bool {
        self.shared.cloud().remove_port(port_id)
    }

    /// Sets a rule; returns its id.
    pub fn fault(&self, rule: Rule) -> u64 {
        self.shared.cloud().fault(rule)
    }

    /// The rules in force and how often they were met.
    pub fn faults(&self) -> Vec<Fault> {
        self.shared.cloud().faults().to_vec()
    }

    /// Clears one rule. Whether it was there.
    pub fn clear_fault(&self, id: u64) -> bool {
        self.shared.cloud().clear_fault(id)
    }

    /// Clears all rules; requests that they hold back stay held.
    pub fn clear_faults(&self) {
        self.shared.cloud().clear_faults();
    }

    /// What has happened until now. For a poll, [`with_journal`](Self::with_journal) copies nothing.
    pub fn journal(&self) -> Journal {
        self.with_journal(Journal::clone)
    }

    /// Looks at what has happened until now, while everything else waits: `look` must not call the simulator.
    pub fn with_journal<T>(&self, look: impl FnOnce(&Journal) -> T) -> T {
        look(self.shared.cloud().journal())
    }

    /// Forgets ports, rules and journal; accounts and times stay.
    pub fn reset(&self) {
        self.shared.cloud().reset();
    }
}
