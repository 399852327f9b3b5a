//! The port mirror: what the cloud says of every port that somebody waits for.
//!
//! It is the twin of kube's watcher for an API that has no watch. Per credential one *poller* reads all ports that
//! are waited for, in batches of up to 100 ids, on ticks that are aligned across the process, so that a thousand
//! waiting ports cost ten calls a tick. It wakes a waiter when the answer *changed*, or when the fresh reading that
//! the waiter asked for is there; a port that stays as it is wakes nobody.
//!
//! ```text
//!   observe · want · forget                                 Wakes: whom to reconcile
//!            │                                                      ▲
//!            ▼                 take ──► PortReader::read ──► record ┘
//!   Mirror ──► Poller (one task per credential) around a Cohort
//!                                                       ├ History: what readings told of a port
//!                                                       ├ Schedule:    which port is to be read when
//!                                                       ├ Pace:      how long ports take to be destroyed
//!                                                       └ Grid:      the ticks
//! ```
//!
//! What uses a port is read beside that, only for ports whose call was refused: [`Usage`].
//!
//! All that is under the poller is pure and is told the time; the poller only sleeps, reads and records.

mod cohort;
mod grid;
mod history;
mod pace;
mod poller;
mod schedule;
mod settings;
#[cfg(test)]
mod tests;
mod usage;
mod watched;
mod zenlayer;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use self::poller::{Poller, Totals};
use crate::clock::{Clock, Monotonic};
use crate::fingerprint::Fingerprint;
use crate::port::{PortId, PortInfo};
use crate::reading::{Evidence, Unreadable, Want};
use crate::tasks::Tasks;
use crate::wakes::WakeSender;

pub use self::settings::MirrorSettings;
pub use self::usage::{Usage, UsageReader, UsageSettings};

/// What a reading is for; the client's limiter serves releases first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadPriority {
    Release,
    Upkeep,
}

/// Reads ports with one credential.
pub trait PortReader: Send + Sync + 'static {
    /// The right to send one request.
    type Permit: Send;

    /// Waits until a request may be sent: what a reading says is at least as new as the end of this wait.
    fn permit(&self, priority: ReadPriority)
    -> impl Future<Output = Result<Self::Permit, Unreadable>> + Send;

    /// Reads all the `ids` (1 to [`MirrorSettings::batch`] of them). `Ok` is a good reading, as `Presence` defines it: of these
    /// ids, exactly the ports that it returns exist.
    ///
    /// A failure that [may be about a port](Unreadable::may_be_about_a_port) is taken to be the fault of some of the ids,
    /// and the batch is read again in halves; any other is taken to concern the whole account.
    fn read(
        &self,
        permit: Self::Permit,
        ids: &[PortId],
        priority: ReadPriority,
    ) -> impl Future<Output = Result<Vec<PortInfo>, Unreadable>> + Send;
}

/// Tells credentials apart: a hash of key id *and* secret, or of the token, so that naming another tenant's key id
/// does not lead to that tenant's poller.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountKey([u8; 32]);

impl AccountKey {
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl fmt::Debug for AccountKey {
    /// Shows nothing: the digest covers a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountKey(…)")
    }
}

/// A credential as the mirror needs it. The reader that comes first serves its key for as long as anybody waits
/// under it.
#[derive(Debug)]
pub struct Account<R> {
    pub key: AccountKey,
    pub fingerprint: Fingerprint,
    /// Only the mirror reads: whoever decides must not wait for the cloud.
    reader: Arc<R>,
}

impl<R> Account<R> {
    pub fn new(key: AccountKey, fingerprint: Fingerprint, reader: Arc<R>) -> Self {
        Self { key, fingerprint, reader }
    }
}

/// For metrics; the reads are calls of [`PortReader::read`] since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MirrorStats {
    pub accounts: usize,
    pub ports: usize,
    pub reads_ok: u64,
    pub reads_failed: u64,
    /// The oldest, over the accounts that have something to read, of the times when the last reading was answered: with
    /// ports, or with a refusal other than a limit on requests.
    pub oldest_answer: Option<Monotonic>,
}

/// The mirror; `K` names who waits for a port. Its calls are cheap and never wait for the cloud. Dropping it, or
/// a shutdown, ends its tasks.
#[derive(Debug)]
pub struct Mirror<K, R> {
    settings: MirrorSettings,
    clock: Clock,
    wakes: Arc<WakeSender<K>>,
    totals: Arc<Totals>,
    state: Mutex<State<K, R>>,
    tasks: Tasks,
    stop: CancellationToken,
}

#[derive(Debug)]
struct State<K, R> {
    places: BTreeMap<K, Place>,
    pollers: BTreeMap<AccountKey, Arc<Poller<K, R>>>,
}

/// Where a waiter waits.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    account: AccountKey,
    port: PortId,
}

impl<K, R> Mirror<K, R>
where
    K: Clone + Ord + Send + 'static,
    R: PortReader,
{
    /// A mirror that waits for nothing yet. It tells `wakes` whom to look at again.
    pub fn new(settings: MirrorSettings, clock: Clock, wakes: Arc<WakeSender<K>>, tasks: &Tasks) -> Self {
        Self {
            settings,
            clock,
            wakes,
            totals: Arc::default(),
            state: Mutex::new(State { places: BTreeMap::new(), pollers: BTreeMap::new() }),
            tasks: tasks.clone(),
            stop: tasks.shutdown().child_token(),
        }
    }

    /// What is known of the port for this waiter, who from now on waits there and nowhere else. Somebody new is
    /// taken to release the port, and it is read at once. To be called within a tokio runtime.
    pub fn observe(&self, waiter: K, account: &Account<R>, port: &PortId) -> Evidence {
        let now = self.clock.monotonic();
        let place = Place { account: account.key, port: port.clone() };
        let mut state = lock(&self.state);
        let arrived = state.places.get(&waiter) != Some(&place);
        if arrived {
            state.leave(&waiter, now);
            state.places.insert(waiter.clone(), place);
        }
        let poller = state.pollers.entry(account.key).or_insert_with(|| self.start_poller(account));
        let evidence = poller.cohort().observe(waiter, port, now);
        if arrived {
            poller.reconsider();
        }
        evidence
    }

    /// Sets how often the waiter's port is read, and from when on a reading is news to it even if it is unchanged;
    /// if such a reading is there already, the waiter is woken at once. Somebody unknown is ignored.
    pub fn want(&self, waiter: &K, want: Want) {
        let now = self.clock.monotonic();
        let state = lock(&self.state);
        let Some(place) = state.places.get(waiter) else { return };
        let Some(poller) = state.pollers.get(&place.account) else { return };
        if poller.cohort().want(waiter, &place.port, want, now) {
            self.wakes.wake([waiter.clone()]);
        }
        poller.reconsider();
    }

    /// Nobody of that name waits any more. What is known of a port goes with the last who waited for it, and so
    /// does an account's poller.
    pub fn forget(&self, waiter: &K) {
        lock(&self.state).leave(waiter, self.clock.monotonic());
    }

    /// All who wait for a port.
    pub fn waiters(&self) -> Vec<K> {
        lock(&self.state).places.keys().cloned().collect()
    }

    pub fn stats(&self) -> MirrorStats {
        let state = lock(&self.state);
        MirrorStats {
            accounts: state.pollers.len(),
            ports: state.pollers.values().map(|poller| poller.cohort().len()).sum(),
            reads_ok: self.totals.ok(),
            reads_failed: self.totals.failed(),
            oldest_answer: state.pollers.values().filter_map(|poller| poller.cohort().answered()).min(),
        }
    }

    fn start_poller(&self, account: &Account<R>) -> Arc<Poller<K, R>> {
        let poller = Arc::new(Poller::new(
            self.settings,
            self.clock,
            account,
            Arc::clone(&self.wakes),
            Arc::clone(&self.totals),
            self.stop.child_token(),
        ));
        self.tasks.spawn("reads ports", Arc::clone(&poller).run());
        poller
    }
}

impl<K, R> Drop for Mirror<K, R> {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl<K, R> State<K, R>
where
    K: Clone + Ord + Send + 'static,
    R: PortReader,
{
    fn leave(&mut self, waiter: &K, now: Monotonic) {
        let Some(place) = self.places.remove(waiter) else { return };
        let Entry::Occupied(poller) = self.pollers.entry(place.account) else { return };
        let nobody_left = {
            let mut cohort = poller.get().cohort();
            cohort.forget(waiter, &place.port, now);
            cohort.is_empty()
        };
        if nobody_left {
            poller.remove().stop();
        } else {
            poller.get().reconsider();
        }
    }
}

/// No code between `lock` and unlock leaves a state half changed that the next could not work with.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
