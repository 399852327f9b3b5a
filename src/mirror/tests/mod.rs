//! The whole mirror over a scripted cloud, in paused time: no test waits, and each sees exact times.

mod account;
mod curve;
mod failures;
mod pace;
mod properties;
mod releases;
mod usage;
mod waking;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::{Account, AccountKey, Mirror, MirrorSettings, PortReader, ReadPriority, lock};
use crate::answer::{Refusal, RefusalKind};
use crate::clock::{Clock, Monotonic};
use crate::fingerprint::Fingerprint;
use crate::port::{PortId, PortInfo, PortStatus};
use crate::reading::{Cadence, Evidence, Unreadable, Want};
use crate::tasks::{self, TaskFailures};
use crate::wakes::{self, Wakes};

const TICK: Duration = Duration::from_secs(10);

pub(super) fn port_info(id: &str, status: &str) -> PortInfo {
    PortInfo {
        port_id: PortId::new(id),
        port_status: PortStatus::from(status),
        port_name: None,
        port_type: None,
        dc_id: None,
        dc_name: None,
        connection_status: None,
        port_charge_type: None,
        created_time: None,
        expired_time: None,
    }
}

fn port(number: usize) -> PortId {
    PortId::new(format!("port-{number:04}"))
}

fn unavailable() -> Unreadable {
    Unreadable::Unavailable("HTTP 503".to_owned())
}

/// A refusal with this code.
pub(super) fn refused(code: &str) -> Unreadable {
    let refusal = Refusal {
        kind: RefusalKind::of_code(code),
        code: code.to_owned(),
        message: String::new(),
        request_id: None,
    };
    Unreadable::Refused(refusal)
}

fn at(seconds: f64) -> Monotonic {
    Monotonic::from_start(Duration::from_secs_f64(seconds))
}

fn want(cadence: Cadence) -> Want {
    Want { cadence, fresh_after: None }
}

fn want_after(cadence: Cadence, fresh_after: Monotonic) -> Want {
    Want { cadence, fresh_after: Some(fresh_after) }
}

/// What the cloud does with a call.
#[derive(Clone, Debug, Default)]
enum Mood {
    #[default]
    Answer,
    Fail(Unreadable),
    Hang,
    Panic,
}

#[derive(Clone, Debug)]
struct Call {
    at: Monotonic,
    ids: Vec<PortId>,
    priority: ReadPriority,
}

/// An account of a scripted cloud.
#[derive(Debug)]
struct Cloud {
    clock: Clock,
    mood: Mutex<Mood>,
    latency: Mutex<Duration>,
    /// How long a request waits for its turn, or why it gets none.
    turn: Mutex<Result<Duration, Unreadable>>,
    ports: Mutex<BTreeMap<PortId, PortInfo>>,
    /// Chunks with one of these are refused.
    poison: Mutex<BTreeSet<PortId>>,
    calls: Mutex<Vec<Call>>,
}

impl Cloud {
    fn set(&self, mood: Mood) {
        *lock(&self.mood) = mood;
    }

    fn put(&self, port: &PortId, status: &str) {
        lock(&self.ports).insert(port.clone(), port_info(port.as_str(), status));
    }

    fn vanish(&self, port: &PortId) {
        lock(&self.ports).remove(port);
    }

    /// The calls since the last look.
    fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut *lock(&self.calls))
    }

    fn call_times(&self) -> Vec<Monotonic> {
        self.calls().iter().map(|call| call.at).collect()
    }
}

impl PortReader for Cloud {
    type Permit = ();

    async fn permit(&self, _: ReadPriority) -> Result<(), Unreadable> {
        let turn = lock(&self.turn).clone()?;
        if !turn.is_zero() {
            time::sleep(turn).await;
        }
        Ok(())
    }

    async fn read(
        &self,
        (): (),
        ids: &[PortId],
        priority: ReadPriority,
    ) -> Result<Vec<PortInfo>, Unreadable> {
        lock(&self.calls).push(Call { at: self.clock.monotonic(), ids: ids.to_vec(), priority });
        let mood = lock(&self.mood).clone();
        let poisoned = ids.iter().any(|id| lock(&self.poison).contains(id));
        let seen = ids.iter().filter_map(|id| lock(&self.ports).get(id).cloned()).collect();
        let latency = *lock(&self.latency);
        if !latency.is_zero() {
            time::sleep(latency).await;
        }
        match mood {
            Mood::Answer if poisoned => Err(refused("INVALID_PORT_ID")),
            Mood::Answer => Ok(seen),
            Mood::Fail(why) => Err(why),
            Mood::Hang => std::future::pending().await,
            Mood::Panic => panic!("as the test asked"),
        }
    }
}

struct Bench {
    clock: Clock,
    mirror: Mirror<usize, Cloud>,
    wakes: Wakes<usize>,
    shutdown: CancellationToken,
    _failures: TaskFailures,
}

impl Bench {
    fn new() -> Self {
        Self::with(MirrorSettings::default())
    }

    fn with(settings: MirrorSettings) -> Self {
        let clock = Clock::tokio(jiff::Timestamp::now());
        let shutdown = CancellationToken::new();
        let (wake, wakes) = wakes::channel();
        let (tasks, failures) = tasks::watched(&shutdown);
        let mirror = Mirror::new(settings, clock, Arc::new(wake), &tasks);
        Self { clock, mirror, wakes, shutdown, _failures: failures }
    }

    fn account(&self, number: u8) -> Account<Cloud> {
        let reader = Cloud {
            clock: self.clock,
            mood: Mutex::default(),
            latency: Mutex::default(),
            turn: Mutex::new(Ok(Duration::ZERO)),
            ports: Mutex::default(),
            poison: Mutex::default(),
            calls: Mutex::default(),
        };
        let fingerprint = Fingerprint::new(format!("account-{number}"));
        Account::new(AccountKey::new([number; 32]), fingerprint, Arc::new(reader))
    }

    /// An account with `count` ports in the bin, port `n` waited for by waiter `n`, just after the first reading.
    async fn releasing(&mut self, count: usize) -> Account<Cloud> {
        let account = self.account(1);
        for number in 0..count {
            account.reader.put(&port(number), "RECYCLED");
            self.mirror.observe(number, &account, &port(number));
        }
        self.run_until(1.0).await;
        account.reader.calls();
        self.woken();
        for number in 0..count {
            self.mirror.want(&number, want(Cadence::Release));
        }
        account
    }

    fn evidence(&self, number: usize, account: &Account<Cloud>) -> Evidence {
        self.mirror.observe(number, account, &port(number))
    }

    /// Lets everything happen up to a time since the start.
    async fn run_until(&self, seconds: f64) {
        time::sleep(at(seconds).since(self.clock.monotonic())).await;
        self.settle().await;
    }

    /// Lets everything happen that is due now.
    async fn settle(&self) {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    fn woken(&mut self) -> Vec<usize> {
        let mut woken = Vec::new();
        while let Some(Some(waiter)) = self.wakes.next().now_or_never() {
            woken.push(waiter);
        }
        woken.sort_unstable();
        woken
    }
}
