//! Whose call is next: a few are under way at a time, fewer of one credential, and those of one credential in the order in
//! which they were asked for. Who waits holds no pass meanwhile, and is woken when it has its slot.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::mirror::AccountKey;
use crate::wakes::WakeSender;

/// Calls that may be under way: each holds a pass, and what was read must find passes that are free.
pub(super) const MOST_CALLS: u16 = 24;

/// Calls that one credential may have under way: an account that answers slowly must leave others room to call.
const MOST_CALLS_OF_ONE: usize = 8;

/// A slot is kept for who was woken for this long. Nobody comes whose object is gone.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// The queues of all credentials; `K` names who wants to call.
#[derive(Debug)]
pub(super) struct CallQueue<K: Clone + Eq + Hash> {
    wakes: Arc<WakeSender<K>>,
    lines: Mutex<Lines<K>>,
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
        Self { wakes, lines: Mutex::new(Lines { by_credential: HashMap::new(), last_turn: 0 }) }
    }

    /// The slot that was kept for `who`, if it was woken for one.
    pub(super) fn take(&self, who: &K) -> Option<Slot<'_, K>> {
        let mut lines = self.lock();
        let mut lines = lines.by_credential.iter_mut();
        let credential = lines.find_map(|(credential, line)| line.take(who).then_some(*credential))?;
        Some(Slot { queue: self, credential })
    }

    /// A slot, if one is free; else `who` waits, and is woken when there is one.
    pub(super) fn ask(&self, who: &K, credential: AccountKey) -> Option<Slot<'_, K>> {
        let mut lines = self.lock();
        lines.of(credential).join(who);
        let woken = lines.keep_free_slots(Instant::now());
        let taken = lines.by_credential.get_mut(&credential).is_some_and(|line| line.take(who));
        self.wakes.wake(woken.into_iter().filter(|next| next != who));
        // Not `then_some`: a slot that is made is given back.
        taken.then(|| Slot { queue: self, credential })
    }

    /// `who` wants to call no longer.
    pub(super) fn leave(&self, who: &K) {
        let mut lines = self.lock();
        lines.by_credential.values_mut().for_each(|line| line.leave(who));
        self.wakes.wake(lines.keep_free_slots(Instant::now()));
    }

    /// All who wait for their turn, or have been woken for it.
    pub(super) fn waiters(&self) -> Vec<K> {
        let lines = self.lock();
        let waiting =
            lines.by_credential.values().flat_map(|line| line.waiting.values().chain(line.kept.keys()));
        waiting.cloned().collect()
    }

    /// How many wait for their turn.
    pub(super) fn len(&self) -> usize {
        self.lock().by_credential.values().map(|line| line.waiting.len()).sum()
    }

    fn give_back(&self, credential: AccountKey) {
        let mut lines = self.lock();
        let turn = lines.draw_turn();
        if let Some(line) = lines.by_credential.get_mut(&credential) {
            line.in_use -= 1;
            line.turn = turn;
        }
        self.wakes.wake(lines.keep_free_slots(Instant::now()));
    }

    /// No code between lock and unlock leaves a line half changed.
    fn lock(&self) -> MutexGuard<'_, Lines<K>> {
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
        self.queue.give_back(self.credential);
    }
}

#[derive(Debug)]
struct Lines<K> {
    by_credential: HashMap<AccountKey, Line<K>>,
    last_turn: u64,
}

impl<K: Clone + Eq + Hash> Lines<K> {
    fn draw_turn(&mut self) -> u64 {
        self.last_turn += 1;
        self.last_turn
    }

    fn of(&mut self, credential: AccountKey) -> &mut Line<K> {
        let turn = self.draw_turn();
        self.by_credential.entry(credential).or_insert_with(|| Line::new(turn))
    }

    /// Keeps each free slot for one who waits, and says for whom. The credential that has the fewest is served first, and
    /// of several the one that has had so few for longest: neither many calls nor slow ones hold up another credential's
    /// first.
    fn keep_free_slots(&mut self, now: Instant) -> Vec<K> {
        self.by_credential.values_mut().for_each(|line| line.forget_who_does_not_come(now));
        let slots = self.by_credential.values().map(Line::slots).sum();
        let mut free = usize::from(MOST_CALLS).saturating_sub(slots);
        let mut woken = Vec::new();
        while free > 0 {
            let turn = self.draw_turn();
            let lines = self.by_credential.values_mut().filter(|line| line.can_use_a_slot());
            let Some(line) = lines.min_by_key(|line| (line.slots(), line.turn)) else { break };
            line.turn = turn;
            woken.extend(line.keep_slot_for_next(now));
            free -= 1;
        }
        self.by_credential.retain(|_, line| !line.is_empty());
        woken
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
    /// Drawn again with each slot that is given or given back.
    turn: u64,
}

impl<K: Clone + Eq + Hash> Line<K> {
    fn new(turn: u64) -> Self {
        Self {
            in_use: 0,
            kept: HashMap::new(),
            waiting: BTreeMap::new(),
            tickets: HashMap::new(),
            next_ticket: 0,
            turn,
        }
    }

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

    fn forget_who_does_not_come(&mut self, now: Instant) {
        self.kept.retain(|_, since| now.duration_since(*since) < KEPT_FOR);
    }

    fn slots(&self) -> usize {
        self.in_use + self.kept.len()
    }

    fn can_use_a_slot(&self) -> bool {
        self.slots() < MOST_CALLS_OF_ONE && !self.waiting.is_empty()
    }

    fn keep_slot_for_next(&mut self, now: Instant) -> Option<K> {
        let (_, next) = self.waiting.pop_first()?;
        self.tickets.remove(&next);
        self.kept.insert(next.clone(), now);
        Some(next)
    }

    fn is_empty(&self) -> bool {
        self.slots() == 0 && self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};
    use proptest::prelude::*;

    use super::*;
    use crate::wakes::{self, Wakes};

    const CREDENTIAL: AccountKey = credential(1);
    const OTHER: AccountKey = credential(2);

    const fn credential(number: u32) -> AccountKey {
        AccountKey::new([number.to_be_bytes()[3]; 32])
    }

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
        assert_eq!(slots.len(), MOST_CALLS_OF_ONE, "the first eight need not wait");
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

    #[tokio::test(start_paused = true)]
    async fn of_many_credentials_the_one_with_the_fewest_calls_under_way_is_next() {
        let (queue, mut wakes) = queue();
        let mut slots = Vec::new();
        for who in 0..60 {
            slots.extend(queue.ask(&who, credential(who % 3)));
        }
        assert_eq!(slots.len(), usize::from(MOST_CALLS), "three credentials take all there is");
        for (late, of) in [(100, 10), (101, 11), (102, 10)] {
            assert!(queue.ask(&late, credential(of)).is_none(), "{late} is one too many");
        }
        for next in [100, 101, 102] {
            drop(slots.pop());
            assert_eq!(woken(&mut wakes), [next], "whoever came with many before does not hold it up");
            slots.insert(0, queue.take(&next).expect("its slot is kept"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn credentials_that_all_wait_are_served_in_turn() {
        let (queue, mut wakes) = queue();
        let many = u32::from(MOST_CALLS) + 2;
        let ask = |who| queue.ask(&who, credential(who % many));
        let mut slots: Vec<_> = (0..3 * many).filter_map(ask).collect();
        let mut order = Vec::new();
        for _ in 0..2 * many {
            drop(slots.remove(0));
            let next = woken(&mut wakes);
            slots.extend(next.iter().filter_map(|who| queue.take(who)));
            order.extend(next);
        }
        let expected: Vec<u32> = (u32::from(MOST_CALLS)..u32::from(MOST_CALLS) + 2 * many).collect();
        assert_eq!(order, expected, "each credential has its next call when all others have had theirs");
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Ask(u32),
        Take(u32),
        Leave(u32),
        GiveBack(usize),
        TimePasses,
    }

    fn step() -> impl Strategy<Value = Step> {
        let who = 0..80_u32;
        prop_oneof![
            8 => who.clone().prop_map(Step::Ask),
            6 => who.clone().prop_map(Step::Take),
            2 => who.prop_map(Step::Leave),
            4 => (0..usize::from(MOST_CALLS)).prop_map(Step::GiveBack),
            1 => Just(Step::TimePasses),
        ]
    }

    proptest! {
        /// Whatever is done: never more than there may be, no slot stays free while somebody waits for it, and nothing is
        /// left over.
        #[test]
        fn no_slot_is_given_twice_and_none_is_lost(steps in prop::collection::vec(step(), 0..400)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            runtime.expect("a runtime").block_on(async {
                let (queue, _wakes) = queue();
                let mut slots = Vec::new();
                for step in steps {
                    match step {
                        Step::Ask(who) => slots.extend(queue.ask(&who, credential(who % 5))),
                        Step::Take(who) => slots.extend(queue.take(&who)),
                        Step::Leave(who) => queue.leave(&who),
                        Step::GiveBack(at) => drop((at < slots.len()).then(|| slots.swap_remove(at))),
                        Step::TimePasses => tokio::time::advance(KEPT_FOR / 2).await,
                    }
                    check(&queue.lock(), &slots)?;
                }
                drop(slots);
                (0..80).for_each(|who| queue.leave(&who));
                prop_assert!(queue.lock().by_credential.is_empty());
                Ok(())
            })?;
        }
    }

    fn check(lines: &Lines<u32>, in_use: &[Slot<'_, u32>]) -> Result<(), TestCaseError> {
        let all = usize::from(MOST_CALLS);
        let slots: usize = lines.by_credential.values().map(Line::slots).sum();
        prop_assert!(slots <= all, "{:?}", lines);
        for number in 0..5 {
            let its = credential(number);
            let Some(line) = lines.by_credential.get(&its) else { continue };
            prop_assert_eq!(line.in_use, in_use.iter().filter(|slot| slot.is_of(its)).count());
            prop_assert!(line.slots() <= MOST_CALLS_OF_ONE, "{:?}", line);
            prop_assert!(line.slots() > 0 || !line.waiting.is_empty(), "{:?}", line);
            let must_wait = slots == all || line.slots() == MOST_CALLS_OF_ONE;
            prop_assert!(line.waiting.is_empty() || must_wait, "{:?}", line);
            prop_assert_eq!(line.waiting.len(), line.tickets.len());
        }
        Ok(())
    }
}
