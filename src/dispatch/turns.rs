//! Whose call is next. At most [`MOST_CALLS`] are under way at a time, at most [`MOST_CALLS_OF_ONE`] of one credential, and no
//! more than the rate of the credential allows. Those of one credential have their turn in the order in which they asked for
//! it. The credentials take turns: each waits with one call at a time for a slot, and slots are given in the order of the
//! requests for them. So the next call of a credential waits for at most one call of each other credential.
//!
//! Whoever waits occupies no reconcile. Whoever is woken has its [`Ticket`]: a slot, and the permit of the rate limit.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::index::Reference;
use crate::mirror::{Account, AccountKey};
use crate::tasks::Tasks;
use crate::wakes::WakeSender;
use crate::zenlayer::{Client, Permit};

/// Calls that may be under way: each occupies a reconcile, and others must find room beside them.
pub const MOST_CALLS: u16 = 24;

/// Calls that one credential may have under way: an account that answers slowly must leave others room to call.
const MOST_CALLS_OF_ONE: usize = 8;

#[derive(Debug)]
pub struct Turns {
    wakes: Arc<WakeSender<Reference>>,
    tasks: Tasks,
    slots: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lines: BTreeMap<AccountKey, Line>,
    /// In which line each waits.
    places: BTreeMap<Reference, AccountKey>,
    /// Those who have been woken for their turn.
    tickets: BTreeMap<Reference, Ticket>,
}

/// Those who wait for a call of one credential. It is there as long as a task serves it.
#[derive(Debug)]
struct Line {
    slots: Arc<Semaphore>,
    waiting: VecDeque<Reference>,
    is_served: bool,
}

/// The right to make one call by one credential. Its slot is free again when this is dropped.
#[must_use = "a ticket that is not used holds up others"]
#[derive(Debug)]
pub struct Ticket {
    account: Arc<Account<Client>>,
    permit: Permit,
    slots: Slots,
}

/// One of all calls, and one of the credential's.
pub type Slots = (OwnedSemaphorePermit, OwnedSemaphorePermit);

impl Ticket {
    pub fn is_of(&self, account: AccountKey) -> bool {
        self.account.key == account
    }

    /// The permit of the rate limit, to be used now, and the slots, to be kept until the outcome is written.
    pub fn split(self) -> (Arc<Account<Client>>, Permit, Slots) {
        (self.account, self.permit, self.slots)
    }
}

impl Turns {
    pub fn new(wakes: Arc<WakeSender<Reference>>, tasks: &Tasks) -> Arc<Self> {
        let slots = Arc::new(Semaphore::new(usize::from(MOST_CALLS)));
        Arc::new(Self { wakes, tasks: tasks.clone(), slots, state: Mutex::default() })
    }

    /// The ticket of `who`, if it was woken for its turn.
    pub fn take(&self, who: &Reference) -> Option<Ticket> {
        self.lock().tickets.remove(who)
    }

    /// A ticket, if `who` can call at once; else it waits, and is woken when it has one.
    pub fn ask(self: &Arc<Self>, who: &Reference, account: &Arc<Account<Client>>) -> Option<Ticket> {
        let mut state = self.lock();
        match state.tickets.remove(who) {
            // Its turn came while its reconcile was under way.
            Some(ticket) if ticket.is_of(account.key) => return Some(ticket),
            _ if state.places.get(who) == Some(&account.key) => return None,
            _ => state.leave(who),
        }
        let state = &mut *state;
        let line = state.lines.entry(account.key).or_insert_with(Line::new);
        if !line.is_served {
            if let Some(ticket) = self.at_once(account, line) {
                return Some(ticket);
            }
            line.is_served = true;
            self.tasks.spawn("gives calls their turns", Arc::clone(self).serve(Arc::clone(account)));
        }
        line.waiting.push_back(who.clone());
        state.places.insert(who.clone(), account.key);
        None
    }

    /// `who` wants to call no longer.
    pub fn leave(&self, who: &Reference) {
        self.lock().leave(who);
    }

    /// All who wait for their turn, or have been woken for it.
    pub fn waiters(&self) -> Vec<Reference> {
        let state = self.lock();
        state.places.keys().chain(state.tickets.keys()).cloned().collect()
    }

    pub fn has_ticket(&self, who: &Reference) -> bool {
        self.lock().tickets.contains_key(who)
    }

    /// How many wait for their turn.
    pub fn waiting(&self) -> usize {
        self.lock().places.len()
    }

    fn at_once(&self, account: &Arc<Account<Client>>, line: &Line) -> Option<Ticket> {
        let own = Arc::clone(&line.slots).try_acquire_owned().ok()?;
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        let permit = account.try_change_permit()?;
        Some(Ticket { account: Arc::clone(account), permit, slots: (slot, own) })
    }

    /// Gives those who wait for this account their tickets, one after the other, until nobody waits.
    async fn serve(self: Arc<Self>, account: Arc<Account<Client>>) {
        while let Some(slots) = self.next_line(&account) {
            let Ok(own) = slots.acquire_owned().await else { return };
            let permit = account.change_permit().await;
            let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else { return };
            let mut state = self.lock();
            let next = state.lines.get_mut(&account.key).and_then(|line| line.waiting.pop_front());
            if let Some(next) = next {
                state.places.remove(&next);
                let ticket = Ticket { account: Arc::clone(&account), permit, slots: (slot, own) };
                state.tickets.insert(next.clone(), ticket);
                self.wakes.wake([next]);
            }
        }
    }

    /// The slots of the account's line if anybody waits there. If nobody does, nobody serves it any more.
    fn next_line(&self, account: &Account<Client>) -> Option<Arc<Semaphore>> {
        let mut state = self.lock();
        let line = state.lines.get_mut(&account.key)?;
        line.is_served = !line.waiting.is_empty();
        let slots = line.is_served.then(|| Arc::clone(&line.slots));
        state.drop_idle();
        slots
    }

    /// No code between lock and unlock leaves it half changed.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn leave(&mut self, who: &Reference) {
        self.tickets.remove(who);
        if let Some(line) = self.places.remove(who).and_then(|key| self.lines.get_mut(&key)) {
            line.waiting.retain(|other| other != who);
        }
        self.drop_idle();
    }

    /// A line that nobody serves is kept only while calls of its account are under way: they count.
    fn drop_idle(&mut self) {
        self.lines.retain(|_, line| line.is_served || line.slots.available_permits() < MOST_CALLS_OF_ONE);
    }
}

impl Line {
    fn new() -> Self {
        Self {
            slots: Arc::new(Semaphore::new(MOST_CALLS_OF_ONE)),
            waiting: VecDeque::new(),
            is_served: false,
        }
    }
}

#[cfg(test)]
mod tests;
