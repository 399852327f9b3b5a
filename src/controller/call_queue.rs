//! Whose call is next: each credential has a few under way at a time, in the order in which they were asked for. Who waits
//! holds no pass meanwhile, and is woken when it has its slot.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::mirror::AccountKey;
use crate::wakes::WakeSender;

/// Calls that one credential may have under way: each holds a pass, and an account that answers slowly must leave others
/// room to work.
const AT_A_TIME: usize = 8;

/// A slot is kept for who was woken for this long. Nobody comes whose object is gone.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// The queues of all credentials; `K` names who wants to call.
#[derive(Debug)]
pub(super) struct CallQueue<K: Clone + Eq + Hash> {
    wakes: Arc<WakeSender<K>>,
    lines: Mutex<HashMap<AccountKey, Line<K>>>,
}

/// The right to call under one credential, given back on drop.
#[must_use = "a slot that is not used holds up others"]
#[derive(Debug)]
pub(super) struct Slot<'a, K: Clone + Eq + Hash> {
    queue: &'a CallQueue<K>,
    credential: AccountKey,
}

impl<K: Clone + Eq + Hash> CallQueue<K> {
    pub(super) fn new(wakes: Arc<WakeSender<K>>) -> Self {
        Self { wakes, lines: Mutex::default() }
    }

    /// The slot that was kept for `who`, if it was woken for one.
    pub(super) fn take(&self, who: &K) -> Option<Slot<'_, K>> {
        let mut lines = self.lock();
        let credential =
            lines.iter_mut().find_map(|(credential, line)| line.take(who).then_some(*credential))?;
        Some(Slot { queue: self, credential })
    }

    /// A slot, if one is free; else `who` waits, and is woken when there is one.
    pub(super) fn ask(&self, who: &K, credential: AccountKey) -> Option<Slot<'_, K>> {
        let mut lines = self.lock();
        let line = lines.entry(credential).or_default();
        line.join(who);
        let woken = line.keep_free_slots(Instant::now());
        let taken = line.take(who);
        self.wakes.wake(woken.into_iter().filter(|next| next != who));
        // Not `then_some`: a slot that is made is given back.
        taken.then(|| Slot { queue: self, credential })
    }

    /// `who` wants to call no longer.
    pub(super) fn leave(&self, who: &K) {
        self.lock().retain(|_, line| {
            line.leave(who);
            self.wakes.wake(line.keep_free_slots(Instant::now()));
            !line.is_empty()
        });
    }

    /// No code between lock and unlock leaves a line half changed.
    fn lock(&self) -> MutexGuard<'_, HashMap<AccountKey, Line<K>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash> Slot<'_, K> {
    pub(super) fn is_of(&self, credential: AccountKey) -> bool {
        self.credential == credential
    }
}

impl<K: Clone + Eq + Hash> Drop for Slot<'_, K> {
    fn drop(&mut self) {
        let mut lines = self.queue.lock();
        let Some(line) = lines.get_mut(&self.credential) else { return };
        line.in_use -= 1;
        self.queue.wakes.wake(line.keep_free_slots(Instant::now()));
        if line.is_empty() {
            lines.remove(&self.credential);
        }
    }
}

/// One credential's: its slots, and who waits for one. Nobody is in both `kept` and `waiting`.
#[derive(Debug)]
struct Line<K> {
    in_use: usize,
    /// For whom a slot is kept, since when.
    kept: HashMap<K, Instant>,
    waiting: BTreeMap<u64, K>,
    tickets: HashMap<K, u64>,
    next_ticket: u64,
}

impl<K> Default for Line<K> {
    fn default() -> Self {
        Self {
            in_use: 0,
            kept: HashMap::new(),
            waiting: BTreeMap::new(),
            tickets: HashMap::new(),
            next_ticket: 0,
        }
    }
}

impl<K: Clone + Eq + Hash> Line<K> {
    fn join(&mut self, who: &K) {
        if !self.kept.contains_key(who) && !self.tickets.contains_key(who) {
            self.tickets.insert(who.clone(), self.next_ticket);
            self.waiting.insert(self.next_ticket, who.clone());
            self.next_ticket += 1;
        }
    }

    fn leave(&mut self, who: &K) {
        self.kept.remove(who);
        if let Some(ticket) = self.tickets.remove(who) {
            self.waiting.remove(&ticket);
        }
    }

    /// Uses the slot that is kept for `who`.
    fn take(&mut self, who: &K) -> bool {
        let kept = self.kept.remove(who).is_some();
        self.in_use += usize::from(kept);
        kept
    }

    /// Keeps each free slot for the next who waits, and says for whom.
    fn keep_free_slots(&mut self, now: Instant) -> Vec<K> {
        self.kept.retain(|_, since| now.duration_since(*since) < KEPT_FOR);
        let mut woken = Vec::new();
        while self.in_use + self.kept.len() < AT_A_TIME
            && let Some((_, next)) = self.waiting.pop_first()
        {
            self.tickets.remove(&next);
            self.kept.insert(next.clone(), now);
            woken.push(next);
        }
        woken
    }

    fn is_empty(&self) -> bool {
        self.in_use == 0 && self.kept.is_empty() && self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};
    use proptest::prelude::*;

    use super::*;
    use crate::wakes::{self, Wakes};

    const CREDENTIAL: AccountKey = AccountKey::new([1; 32]);
    const OTHER: AccountKey = AccountKey::new([2; 32]);

    fn queue() -> (CallQueue<u32>, Wakes<u32>) {
        let (wakes, woken) = wakes::channel();
        (CallQueue::new(Arc::new(wakes)), woken)
    }

    fn woken(wakes: &mut Wakes<u32>) -> Vec<u32> {
        let mut woken: Vec<u32> = std::iter::from_fn(|| wakes.next().now_or_never().flatten()).collect();
        woken.sort_unstable();
        woken
    }

    /// Eight who call, and some who wait.
    fn full(queue: &CallQueue<u32>, waiting: u32) -> Vec<Slot<'_, u32>> {
        let slots: Vec<_> = (0..8).filter_map(|who| queue.ask(&who, CREDENTIAL)).collect();
        assert_eq!(slots.len(), AT_A_TIME, "the first eight need not wait");
        for who in 8..8 + waiting {
            assert!(queue.ask(&who, CREDENTIAL).is_none(), "{who} is one too many");
        }
        slots
    }

    #[tokio::test(start_paused = true)]
    async fn those_beyond_eight_are_woken_in_the_order_in_which_they_asked() {
        let (queue, mut wakes) = queue();
        let mut slots = full(&queue, 3);
        assert!(queue.ask(&99, OTHER).is_some(), "another credential has its own");
        for next in [8, 9, 10] {
            drop(slots.pop());
            assert_eq!(woken(&mut wakes), [next]);
            assert!(queue.ask(&50, CREDENTIAL).is_none(), "nobody goes before {next}, who is woken");
            slots.push(queue.take(&next).expect("its slot is kept"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_makes_room_whether_it_waits_or_was_woken() {
        let (queue, mut wakes) = queue();
        let mut slots = full(&queue, 4);
        queue.leave(&8);
        drop(slots.pop());
        assert_eq!(woken(&mut wakes), [9]);
        queue.leave(&9);
        assert_eq!(woken(&mut wakes), [10]);
        assert!(queue.take(&8).is_none() && queue.take(&9).is_none(), "they left");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_is_not_kept_forever_for_who_does_not_come() {
        let (queue, mut wakes) = queue();
        let mut slots = full(&queue, 2);
        drop(slots.pop());
        assert_eq!(woken(&mut wakes), [8]);
        tokio::time::advance(KEPT_FOR).await;
        drop(slots.pop());
        assert_eq!(woken(&mut wakes), [9]);
        assert!(queue.ask(&50, CREDENTIAL).is_some(), "the slot of 8 is free again");
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Ask(u32),
        Take(u32),
        Leave(u32),
        GiveBack(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let who = 0..40_u32;
        prop_oneof![
            4 => who.clone().prop_map(Step::Ask),
            3 => who.clone().prop_map(Step::Take),
            1 => who.prop_map(Step::Leave),
            2 => (0..AT_A_TIME).prop_map(Step::GiveBack),
        ]
    }

    proptest! {
        /// Whatever is done: never more than eight, no slot stays free while somebody waits, and nothing is left over.
        #[test]
        fn no_slot_is_given_twice_and_none_is_lost(steps in prop::collection::vec(step(), 0..300)) {
            let (queue, _wakes) = queue();
            let mut slots = Vec::new();
            for step in steps {
                match step {
                    Step::Ask(who) => slots.extend(queue.ask(&who, CREDENTIAL)),
                    Step::Take(who) => slots.extend(queue.take(&who)),
                    Step::Leave(who) => queue.leave(&who),
                    Step::GiveBack(at) => drop((at < slots.len()).then(|| slots.swap_remove(at))),
                }
                let lines = queue.lock();
                let Some(line) = lines.get(&CREDENTIAL) else {
                    prop_assert!(slots.is_empty());
                    continue;
                };
                prop_assert_eq!(line.in_use, slots.len());
                prop_assert!(line.in_use + line.kept.len() <= AT_A_TIME, "{:?}", line);
                prop_assert!(line.waiting.is_empty() || line.in_use + line.kept.len() == AT_A_TIME, "{:?}", line);
                prop_assert_eq!(line.waiting.len(), line.tickets.len());
            }
            drop(slots);
            (0..40).for_each(|who| queue.leave(&who));
            prop_assert!(queue.lock().is_empty());
        }
    }
}
