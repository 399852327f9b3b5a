//! What uses the ports whose calls Zenlayer refused: private connects and cloud routers.
//!
//! There is no way to ask about one port, so per credential one task reads both lists, as long as somebody waits for them.
//! It wakes those for whom the answer changed. Nobody waits for an answer: [`Usage::observe`] tells what is known.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use super::{Account, AccountKey, lock};
use crate::answer::Unreadable;
use crate::clock::{Clock, Monotonic};
use crate::port::PortId;
use crate::tasks::Tasks;
use crate::wakes::WakeSender;

/// Reads what uses the ports of one credential.
pub trait UsageReader: Send + Sync + 'static {
    /// Each port that is used, with the name of what uses it. One port may come several times.
    fn users(&self) -> impl Future<Output = Result<Vec<(PortId, String)>, Unreadable>> + Send;
}

/// The pace of [`Usage`].
#[derive(Clone, Copy, Debug)]
pub struct UsageSettings {
    /// Between two readings of one credential.
    pub interval: Duration,
    /// The longest pause after failures; the first is the interval, each further one twice as long.
    pub max_backoff: Duration,
    /// After this long a reading counts as failed.
    pub timeout: Duration,
}

impl UsageSettings {
    /// How long an answer is good enough to be told.
    fn valid_for(&self) -> Duration {
        self.interval * 3
    }
}

/// What uses ports; `K` names who waits. Its calls are cheap and never wait for the cloud. Dropping it, or a
/// shutdown, ends its tasks.
#[derive(Debug)]
pub struct Usage<K, R> {
    settings: UsageSettings,
    clock: Clock,
    wakes: Arc<WakeSender<K>>,
    state: Mutex<State<K, R>>,
    tasks: Tasks,
    stop: CancellationToken,
}

#[derive(Debug)]
struct State<K, R> {
    places: BTreeMap<K, AccountKey>,
    lists: BTreeMap<AccountKey, Arc<List<K, R>>>,
}

/// The lists of one credential.
#[derive(Debug)]
struct List<K, R> {
    settings: UsageSettings,
    clock: Clock,
    reader: Arc<R>,
    known: Mutex<Known<K>>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Known<K> {
    waiters: BTreeMap<K, PortId>,
    answer: Option<Answer>,
}

#[derive(Debug)]
struct Answer {
    at: Monotonic,
    users: BTreeMap<PortId, Vec<String>>,
}

impl<K, R> Usage<K, R>
where
    K: Clone + Ord + Send + 'static,
    R: UsageReader,
{
    pub fn new(settings: UsageSettings, clock: Clock, wakes: Arc<WakeSender<K>>, tasks: &Tasks) -> Self {
        let state = Mutex::new(State { places: BTreeMap::new(), lists: BTreeMap::new() });
        Self { settings, clock, wakes, state, tasks: tasks.clone(), stop: tasks.shutdown().child_token() }
    }

    /// What uses the port, as far as it is known, for this waiter, who is woken when that changes. To be called within a
    /// tokio runtime.
    pub fn observe(&self, waiter: K, account: &Account<R>, port: &PortId) -> Option<Vec<String>> {
        let mut state = lock(&self.state);
        if state.places.get(&waiter) != Some(&account.key) {
            state.leave(&waiter);
            state.places.insert(waiter.clone(), account.key);
        }
        let list = state.lists.entry(account.key).or_insert_with(|| self.start(account));
        let mut known = lock(&list.known);
        known.waiters.insert(waiter, port.clone());
        known.users(port, self.clock.monotonic(), self.settings.valid_for())
    }

    /// Nobody of that name waits any more. What is known goes with the last who waited under its credential.
    pub fn forget(&self, waiter: &K) {
        lock(&self.state).leave(waiter);
    }

    /// All who wait.
    pub fn waiters(&self) -> Vec<K> {
        lock(&self.state).places.keys().cloned().collect()
    }

    fn start(&self, account: &Account<R>) -> Arc<List<K, R>> {
        let list = Arc::new(List {
            settings: self.settings,
            clock: self.clock,
            reader: Arc::clone(&account.reader),
            known: Mutex::new(Known { waiters: BTreeMap::new(), answer: None }),
            stop: self.stop.child_token(),
        });
        self.tasks.spawn("checks what uses the ports", Arc::clone(&list).run(Arc::clone(&self.wakes)));
        list
    }
}

impl<K, R> Drop for Usage<K, R> {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl<K: Ord, R> State<K, R> {
    fn leave(&mut self, waiter: &K) {
        let Some(key) = self.places.remove(waiter) else { return };
        let Entry::Occupied(list) = self.lists.entry(key) else { return };
        let nobody_left = {
            let mut known = lock(&list.get().known);
            known.waiters.remove(waiter);
            known.waiters.is_empty()
        };
        if nobody_left {
            list.remove().stop.cancel();
        }
    }
}

impl<K: Clone + Ord, R: UsageReader> List<K, R> {
    async fn run(self: Arc<Self>, wakes: Arc<WakeSender<K>>) {
        let mut pause = self.settings.interval;
        loop {
            let Some(read) = self.stop.run_until_cancelled(self.read()).await else { return };
            match read {
                Ok(users) => {
                    let woken =
                        lock(&self.known).take_in(users, self.clock.monotonic(), self.settings.valid_for());
                    wakes.wake(woken);
                    pause = self.settings.interval;
                }
                Err(why) => {
                    tracing::warn!(%why, "cannot check what uses the ports of an account; the operator tries again");
                    pause = (pause * 2).min(self.settings.max_backoff);
                }
            }
            let Some(()) = self.stop.run_until_cancelled(tokio::time::sleep(pause)).await else { return };
        }
    }

    /// Nothing that happens in the reader ends the task.
    async fn read(&self) -> Result<Vec<(PortId, String)>, Unreadable> {
        let reading = AssertUnwindSafe(self.reader.users()).catch_unwind();
        match tokio::time::timeout(self.settings.timeout, reading).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Unreadable::Unavailable(
                "the operator failed while it checked what uses the ports (a panic, see the log)".to_owned(),
            )),
            Err(_) => Err(Unreadable::Unavailable(format!("no answer within {:?}", self.settings.timeout))),
        }
    }
}

impl<K: Clone + Ord> Known<K> {
    fn users(&self, port: &PortId, now: Monotonic, valid_for: Duration) -> Option<Vec<String>> {
        let answer = self.answer.as_ref().filter(|answer| now.since(answer.at) <= valid_for)?;
        Some(answer.users.get(port).cloned().unwrap_or_default())
    }

    /// Replaces what is known, and names those for whom it changed.
    fn take_in(&mut self, used: Vec<(PortId, String)>, now: Monotonic, valid_for: Duration) -> Vec<K> {
        let before: BTreeMap<K, _> = self
            .waiters
            .iter()
            .map(|(waiter, port)| (waiter.clone(), self.users(port, now, valid_for)))
            .collect();
        let mut users: BTreeMap<PortId, Vec<String>> = BTreeMap::new();
        for (port, user) in used {
            users.entry(port).or_default().push(user);
        }
        self.answer = Some(Answer { at: now, users });
        let changed = |(waiter, port): (&K, &PortId)| {
            (before.get(waiter) != Some(&self.users(port, now, valid_for))).then(|| waiter.clone())
        };
        self.waiters.iter().filter_map(changed).collect()
    }
}
