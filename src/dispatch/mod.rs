//! Whose turn it is: for a reconcile, and for a call.
//!
//! Whoever is woken may go. A reconcile that wants to call and cannot do so at once ends, and is woken when it has its
//! [`Ticket`].

mod queue;
mod turns;

use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::time;
use tokio_util::sync::CancellationToken;

use self::queue::Queue;
use crate::clock::Clock;
use crate::index::Reference;
use crate::wakes::Wakes;

pub use self::turns::{MOST_CALLS, Slots, Ticket, Turns};

/// Reconciles under way at a time: all calls there may be, and some that are free for what was read. Each has its own
/// connection to the API server, with buffers.
const MOST_RECONCILES: usize = MOST_CALLS as usize + 8;

/// Reconciles whoever is woken, until the shutdown and the end of what is under way. `reconcile` says when it is to be called
/// again for the object even if nothing wakes it; none: not before that.
pub async fn run<F>(
    mut wakes: Wakes<Reference>,
    turns: &Turns,
    reconcile: impl Fn(Reference) -> F,
    clock: Clock,
    shutdown: &CancellationToken,
) where
    F: Future<Output = Option<Duration>>,
{
    let mut queue = Queue::default();
    let mut running = FuturesUnordered::new();
    while !(shutdown.is_cancelled() && running.is_empty()) {
        // Whoever is woken is in line at once, however many reconciles end meanwhile.
        while let Some(Some(woken)) = wakes.next().now_or_never() {
            wake(&mut queue, woken, turns);
        }
        while running.len() < MOST_RECONCILES
            && !shutdown.is_cancelled()
            && let Some(next) = queue.next(clock.monotonic())
        {
            running.push(reconcile(next.clone()).map(|again| (next, again)));
        }
        let timer = queue.next_timer();
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
                queue.ended(reference.clone(), again.map(|pause| clock.monotonic() + pause));
                // Its turn may have come meanwhile.
                if turns.has_ticket(&reference) {
                    queue.wake_first(reference);
                }
            }
            Some(woken) = wakes.next() => wake(&mut queue, woken, turns),
            () = until_timer, if !is_full && !shutdown.is_cancelled() => {}
        }
    }
}

/// Whoever has a ticket goes soon, as others wait for its slots; but only every fourth time, as a deletion takes other reconciles
/// too.
fn wake(queue: &mut Queue, woken: Reference, turns: &Turns) {
    if turns.has_ticket(&woken) {
        queue.wake_first(woken);
    } else {
        queue.wake(woken);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::tasks;
    use crate::wakes;

    fn edge() -> Reference {
        Reference::named("ports", "edge")
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_is_reconciled_when_it_is_woken_and_when_it_asked_for_it_until_the_shutdown() {
        let shutdown = CancellationToken::new();
        let (tasks, _failures) = tasks::watched(&shutdown);
        let (wake, wakes) = wakes::channel();
        let wake = Arc::new(wake);
        let turns = Turns::new(Arc::clone(&wake), &tasks);
        let (clock, seconds) = (Clock::tokio(Timestamp::UNIX_EPOCH), RefCell::new(Vec::new()));
        wake.wake([edge()]);
        let reconcile = async |_: Reference| {
            // Each takes a second, and the next is to begin ten seconds later.
            time::sleep(Duration::from_secs(1)).await;
            seconds.borrow_mut().push(clock.monotonic().since(crate::clock::Monotonic::default()).as_secs());
            Some(Duration::from_secs(10))
        };
        let people = async {
            time::sleep(Duration::from_secs(15)).await;
            wake.wake([edge()]);
            time::sleep(Duration::from_millis(500)).await;
            // It is under way, and the next is due soon after: the one ends, and the other does not begin.
            shutdown.cancel();
        };
        futures::join!(run(wakes, &turns, reconcile, clock, &shutdown), people);
        assert_eq!(*seconds.borrow(), [1, 12, 16]);
    }
}
