//! Whose turn it is: for a reconcile, and for a call.
//!
//! Whoever is woken may go. A reconcile that wants to call and cannot do so at once ends, and is woken when it has its
//! [`Ticket`].

mod schedule;
mod turns;

use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::time;
use tokio_util::sync::CancellationToken;

use self::schedule::Schedule;
use crate::clock::Clock;
use crate::index::Reference;
use crate::wakes::Wakes;

pub use self::turns::{MOST_CALLS, Ticket, Turns};

/// Reconciles under way at a time: all calls there may be, and some that are free for what was read. Each has its connection
/// to the API server, and that its buffers.
const MOST_RECONCILES: usize = MOST_CALLS as usize + 8;

/// Reconciles whoever is woken, until the shutdown and the end of what is under way. `reconcile` says when it is to be called
/// again for the object even if nothing wakes it; none: not before that.
pub async fn run<F>(
    mut wakes: Wakes<Reference>,
    reconcile: impl Fn(Reference) -> F,
    clock: Clock,
    shutdown: &CancellationToken,
) where
    F: Future<Output = Option<Duration>>,
{
    let mut schedule = Schedule::default();
    let mut running = FuturesUnordered::new();
    while !(shutdown.is_cancelled() && running.is_empty()) {
        // Whoever is woken is in line at once, however many reconciles end meanwhile.
        while let Some(Some(woken)) = wakes.next().now_or_never() {
            schedule.wake(woken);
        }
        while running.len() < MOST_RECONCILES
            && !shutdown.is_cancelled()
            && let Some(next) = schedule.next(clock.monotonic())
        {
            running.push(reconcile(next.clone()).map(|again| (next, again)));
        }
        let timer = schedule.next_timer();
        let until_timer = async {
            match timer {
                Some(at) => time::sleep(at.since(clock.monotonic())).await,
                None => std::future::pending().await,
            }
        };
        let is_full = running.len() == MOST_RECONCILES;
        tokio::select! {
            biased;
            () = shutdown.cancelled(), if running.is_empty() => {}
            Some((reference, again)) = running.next() => {
                schedule.ended(reference, again.map(|pause| clock.monotonic() + pause));
            }
            Some(woken) = wakes.next() => schedule.wake(woken),
            () = until_timer, if !is_full => {}
        }
    }
}
