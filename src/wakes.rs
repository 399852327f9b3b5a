//! Whom to look at again: a set, so that it loses nobody, yet never holds more than there are.

use std::collections::{BTreeSet, btree_set};
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures::Stream;

/// The stream of those to reconcile. Somebody woken several times before being looked at comes once. It ends with
/// its [`WakeSender`].
#[derive(Debug)]
pub struct Wakes<K> {
    batch: btree_set::IntoIter<K>,
    pending: Arc<Mutex<Pending<K>>>,
}

/// The other end of [`Wakes`].
#[derive(Debug)]
pub struct WakeSender<K>(Arc<Mutex<Pending<K>>>);

#[derive(Debug)]
struct Pending<K> {
    waiters: BTreeSet<K>,
    consumer: Option<Waker>,
    closed: bool,
}

/// An empty set of those to wake.
pub fn channel<K>() -> (WakeSender<K>, Wakes<K>) {
    let pending = Pending { waiters: BTreeSet::new(), consumer: None, closed: false };
    let pending = Arc::new(Mutex::new(pending));
    (WakeSender(Arc::clone(&pending)), Wakes { batch: BTreeSet::new().into_iter(), pending })
}

impl<K: Ord> WakeSender<K> {
    pub fn wake(&self, waiters: impl IntoIterator<Item = K>) {
        let mut pending = lock(&self.0);
        if pending.closed {
            return;
        }
        pending.waiters.extend(waiters);
        if !pending.waiters.is_empty()
            && let Some(consumer) = pending.consumer.take()
        {
            consumer.wake();
        }
    }
}

impl<K> Drop for WakeSender<K> {
    fn drop(&mut self) {
        let mut pending = lock(&self.0);
        pending.closed = true;
        if let Some(consumer) = pending.consumer.take() {
            consumer.wake();
        }
    }
}

impl<K: Ord + Unpin> Stream for Wakes<K> {
    type Item = K;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<K>> {
        let Self { batch, pending } = self.get_mut();
        if let Some(waiter) = batch.next() {
            return Poll::Ready(Some(waiter));
        }
        let mut pending = lock(pending);
        if pending.waiters.is_empty() && !pending.closed {
            pending.consumer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        *batch = mem::take(&mut pending.waiters).into_iter();
        Poll::Ready(batch.next())
    }
}

impl<K> Drop for Wakes<K> {
    /// Nobody takes wakes any more, so none are kept.
    fn drop(&mut self) {
        let mut pending = lock(&self.pending);
        pending.closed = true;
        pending.waiters = BTreeSet::new();
    }
}

/// No code between lock and unlock leaves a set half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};
    use tokio::task::yield_now;

    use super::channel;

    #[tokio::test]
    async fn who_waits_hears_of_a_single_wake() {
        let (wake, mut wakes) = channel();
        let waiting = tokio::spawn(async move { wakes.next().await });
        yield_now().await;
        wake.wake([1]);
        yield_now().await;
        let heard = waiting.now_or_never().and_then(Result::ok).flatten();
        assert_eq!(heard, Some(1), "nothing but the wake makes it go on");
    }
}
