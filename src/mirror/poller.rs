//! The task of one account: sleeps until something is due, reads, records, wakes.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::sync::Notify;
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::cohort::{Batch, Cohort};
use super::{Account, MirrorSettings, PortReader, lock};
use crate::answer::Unreadable;
use crate::clock::{Clock, Monotonic};
use crate::port::PortInfo;
use crate::wakes::WakeSender;

/// Counts the reads of all accounts.
#[derive(Debug, Default)]
pub(super) struct Totals {
    ok: AtomicU64,
    failed: AtomicU64,
}

impl Totals {
    pub(super) fn ok(&self) -> u64 {
        self.ok.load(Ordering::Relaxed)
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
pub(super) struct Poller<K, R> {
    settings: MirrorSettings,
    clock: Clock,
    reader: Arc<R>,
    cohort: Mutex<Cohort<K>>,
    changed: Notify,
    wakes: Arc<WakeSender<K>>,
    totals: Arc<Totals>,
    stop: CancellationToken,
}

/// The end of one call.
struct Done {
    batch: Batch,
    sent: Monotonic,
    answer: Result<Vec<PortInfo>, Unreadable>,
}

impl<K: Clone + Ord, R: PortReader> Poller<K, R> {
    pub(super) fn new(
        settings: MirrorSettings,
        clock: Clock,
        account: &Account<R>,
        wakes: Arc<WakeSender<K>>,
        totals: Arc<Totals>,
        stop: CancellationToken,
    ) -> Self {
        let cohort = Mutex::new(Cohort::new(settings, account.fingerprint.clone(), clock.monotonic()));
        let reader = Arc::clone(&account.reader);
        Self { settings, clock, reader, cohort, changed: Notify::new(), wakes, totals, stop }
    }

    pub(super) fn cohort(&self) -> MutexGuard<'_, Cohort<K>> {
        lock(&self.cohort)
    }

    /// To be called after a change of the cohort: something may be due earlier now.
    pub(super) fn reconsider(&self) {
        self.changed.notify_one();
    }

    /// Ends the task and drops the readings under way.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    pub(super) async fn run(self: Arc<Self>) {
        let mut reads = FuturesUnordered::new();
        loop {
            while reads.len() < self.settings.concurrent_reads.get() {
                let now = self.clock.monotonic();
                let Some(batch) = self.cohort().take(now) else { break };
                reads.push(self.read(batch));
            }
            let all_busy = reads.len() == self.settings.concurrent_reads.get();
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                Some(done) = reads.next() => self.record(done),
                () = self.changed.notified() => {}
                () = self.until_due(), if !all_busy => {}
            }
        }
    }

    async fn until_due(&self) {
        let next = self.cohort().next_due();
        match next {
            Some(due) => time::sleep(due.since(self.clock.monotonic())).await,
            None => std::future::pending().await,
        }
    }

    /// Reads one batch. Nothing that happens in the reader ends the poller.
    async fn read(&self, batch: Batch) -> Done {
        let sent = OnceLock::new();
        let reading = AssertUnwindSafe(async {
            let permit = self.reader.permit(batch.priority).await?;
            let _ = sent.set(self.clock.monotonic());
            self.reader.read(permit, &batch.ids, batch.priority).await
        });
        let within = self.settings.read_timeout;
        let answer = match time::timeout(within, reading.catch_unwind()).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Unreadable::Unavailable(
                "the operator failed while it checked the port (a panic, see the log); please report it"
                    .to_owned(),
            )),
            Err(_) if sent.get().is_none() => Err(Unreadable::NotAsked(format!(
                "for {within:?}, other requests of the same account went first, because the rate of requests is \
                 limited"
            ))),
            Err(_) => Err(Unreadable::Unavailable(format!("no answer within {within:?}"))),
        };
        // What was never sent failed when it was due.
        let sent = sent.get().copied().unwrap_or(batch.taken);
        Done { batch, sent, answer }
    }

    fn record(&self, done: Done) {
        let total = if done.answer.is_ok() { &self.totals.ok } else { &self.totals.failed };
        total.fetch_add(1, Ordering::Relaxed);
        let woken = self.cohort().record(done.batch, done.sent, done.answer, self.clock.monotonic());
        self.wakes.wake(woken);
    }
}
