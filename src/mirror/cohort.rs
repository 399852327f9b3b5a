//! The ports that are waited for under one credential: what is known of them, what is due, whom a reading wakes.

use std::collections::BTreeMap;
use std::iter;
use std::mem;
use std::time::Duration;

use super::grid::Grid;
use super::pace::{Destroying, Pace};
use super::schedule::{Rank, Schedule, Slot};
use super::watched::{Next, Watched};
use super::{MirrorSettings, ReadPriority};
use crate::clock::Monotonic;
use crate::fingerprint::Fingerprint;
use crate::port::{PortId, PortInfo};
use crate::reading::{Evidence, Failure, Presence, Unreadable, Want};

/// After so many refusals without a good reading between them the account is taken to be refused, not some port of
/// it: what was to be read again is given up for now, and the account backs off.
const MAX_REFUSALS: u32 = 32;

/// Ports to be read in one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) ids: Vec<PortId>,
    pub(super) priority: ReadPriority,
    /// When it was taken to be read. It may leave later: its turn must come.
    pub(super) taken: Monotonic,
}

#[derive(Debug)]
pub(super) struct Cohort<K> {
    settings: MirrorSettings,
    grid: Grid,
    by: Fingerprint,
    /// Boxed, as a map has more room than it needs.
    ports: BTreeMap<PortId, Box<Watched<K>>>,
    schedule: Schedule,
    pace: Pace,
    /// When the plans last followed what was learnt.
    replanned: Monotonic,
    /// Parts of batches that were refused, to be read again.
    parts: Vec<Batch>,
    backoff: Option<Backoff>,
    /// Since the last good reading.
    refusals: u32,
    /// When the newest reading that was answered was sent. At first, when the first port came.
    answered: Monotonic,
}

/// The pause after failures that concern the whole account.
#[derive(Debug)]
struct Backoff {
    failures: u32,
    began: Monotonic,
    until: Monotonic,
    failure: Failure,
}

impl<K: Clone + Ord> Cohort<K> {
    pub(super) fn new(settings: MirrorSettings, by: Fingerprint, now: Monotonic) -> Self {
        Self {
            settings,
            grid: Grid::new(settings.release, settings.coalesce),
            by,
            ports: BTreeMap::new(),
            schedule: Schedule::default(),
            pace: Pace::new(settings),
            replanned: now,
            parts: Vec::new(),
            backoff: None,
            refusals: 0,
            answered: now,
        }
    }

    /// When a reading was answered last; none while nothing is to be read.
    pub(super) fn answered(&self) -> Option<Monotonic> {
        self.ports.values().any(|watched| watched.next != Next::Nothing).then_some(self.answered)
    }

    /// How many ports are waited for.
    pub(super) fn len(&self) -> usize {
        self.ports.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }

    /// What is known for the waiter, who is registered if it is new.
    pub(super) fn observe(&mut self, waiter: K, port: &PortId, now: Monotonic) -> Evidence {
        let watched = self.ports.entry(port.clone()).or_insert_with(|| {
            // A port that joins an account during its backoff is not read before its end, and the reason is known.
            let backoff = self.backoff.as_ref().filter(|backoff| now < backoff.until);
            Box::new(Watched::new(backoff.map(|backoff| backoff.failure.clone())))
        });
        let evidence = watched.observe(waiter, &self.by, &self.settings, self.grid, now);
        self.plan(port, now);
        evidence
    }

    /// Says whether the waiter is to be woken: the fresh reading that it wants is there.
    pub(super) fn want(&mut self, waiter: &K, port: &PortId, want: Want, now: Monotonic) -> bool {
        let Some(watched) = self.ports.get_mut(port) else { return false };
        let answered = watched.want(waiter, want, self.grid, now);
        self.plan(port, now);
        answered
    }

    pub(super) fn forget(&mut self, waiter: &K, port: &PortId, now: Monotonic) {
        let Some(watched) = self.ports.get_mut(port) else { return };
        if watched.forget(waiter) {
            self.plan(port, now);
            return;
        }
        let Some(watched) = self.ports.remove(port) else { return };
        self.pace.forget(watched.good());
        if let Next::Planned(slot) = watched.next {
            self.schedule.remove(slot, port);
        }
        for part in &mut self.parts {
            part.ids.retain(|id| id != port);
        }
        self.parts.retain(|part| !part.ids.is_empty());
    }

    /// When [`Self::take`] next has something; none if nothing is to be read until something changes.
    pub(super) fn next_due(&self) -> Option<Monotonic> {
        let due = if self.parts.is_empty() {
            self.schedule.first(self.grid.coalesce())?
        } else {
            Monotonic::default()
        };
        Some(self.backoff.as_ref().map_or(due, |backoff| due.max(backoff.until)))
    }

    /// The next call to make, if one is due: ports that are due or nearly so, releases first; then what was refused.
    /// Its end must be [recorded](Self::record).
    pub(super) fn take(&mut self, now: Monotonic) -> Option<Batch> {
        if self.next_due()? > now {
            return None;
        }
        let horizon = now + self.grid.coalesce();
        let reach = now + self.grid.tick() / 2;
        let together = self.schedule.together(self.settings.batch.get(), horizon, reach);
        if !together.is_empty() {
            return Some(self.depart(together, now));
        }
        if let Some(part) = self.parts.pop() {
            return Some(Batch { taken: now, ..part });
        }
        let alone = self.schedule.alone(horizon)?;
        Some(self.depart(vec![alone], now))
    }

    fn depart(&mut self, mut ids: Vec<PortId>, now: Monotonic) -> Batch {
        let mut priority = ReadPriority::Upkeep;
        for id in &ids {
            let Some(watched) = self.ports.get_mut(id) else { continue };
            if let Next::Planned(slot) = mem::replace(&mut watched.next, Next::InFlight) {
                self.schedule.remove(slot, id);
            }
            if watched.priority() == ReadPriority::Release {
                priority = ReadPriority::Release;
            }
        }
        ids.sort_unstable();
        Batch { ids, priority, taken: now }
    }

    /// Records the end of a call that was sent at `sent`, and says who is to be woken.
    pub(super) fn record(
        &mut self,
        batch: Batch,
        sent: Monotonic,
        answer: Result<Vec<PortInfo>, Unreadable>,
        now: Monotonic,
    ) -> Vec<K> {
        if answer.as_ref().map_or_else(Unreadable::is_answer, |_| true) {
            self.answered = self.answered.max(sent);
        }
        let mut given_up = Vec::new();
        match &answer {
            Ok(_) => {
                self.backoff = None;
                self.refusals = 0;
            }
            Err(why) if why.may_be_about_a_port() && self.blames_a_port(batch.taken) => {
                self.refusals += 1;
                if batch.ids.len() > 1 {
                    self.split(batch);
                    return Vec::new();
                }
            }
            Err(why) => {
                self.back_off(why, batch.taken, sent, now);
                self.refusals = 0;
                let parts = mem::take(&mut self.parts);
                given_up.extend(parts.into_iter().map(|part| (part, Err(why.clone()))));
            }
        }
        let outcomes = iter::once((batch, answer)).chain(given_up);
        outcomes.flat_map(|(batch, answer)| self.conclude(&batch, sent, answer, now)).collect()
    }

    /// Records what an answer says of each port of its batch.
    fn conclude(
        &mut self,
        batch: &Batch,
        sent: Monotonic,
        answer: Result<Vec<PortInfo>, Unreadable>,
        now: Monotonic,
    ) -> Vec<K> {
        let alone = batch.ids.len() == 1;
        let mut answer = answer.map(|infos| {
            infos.into_iter().map(|info| (info.port_id.clone(), info)).collect::<BTreeMap<_, _>>()
        });
        let mut woken = Vec::new();
        let mut ended = false;
        for id in &batch.ids {
            let Some(watched) = self.ports.get_mut(id) else { continue };
            let outcome = match &mut answer {
                Ok(seen) => Ok(seen.remove(id).map_or(Presence::Absent, Presence::Seen)),
                Err(why) => Err(why.clone()),
            };
            watched.suspect(alone, &outcome);
            let before = watched.good().and_then(Destroying::of);
            woken.extend(watched.record(sent, outcome));
            ended |= self.pace.learn(before, watched.good());
            watched.arrive(&self.settings, &self.pace, self.grid, now);
            self.plan(id, now);
        }
        if ended {
            self.replan(now);
        }
        woken
    }

    /// Others may be about to end too. Not more often than is of use, as it concerns many ports.
    fn replan(&mut self, now: Monotonic) {
        if now.since(self.replanned) < self.grid.tick() / 8 {
            return;
        }
        self.replanned = now;
        let Self { ports, pace, grid, schedule, .. } = self;
        schedule.replan(|id, before| {
            let Some(watched) = ports.get_mut(id) else { return before };
            watched.hurry(pace);
            let due = watched.due(*grid).unwrap_or(before).min(before);
            watched.next = Next::Planned(Slot { rank: Rank::Destroying, due });
            due
        });
    }

    /// Whether a refusal is still taken to be the fault of a port, and not of the account.
    fn blames_a_port(&self, taken: Monotonic) -> bool {
        let account_backed_off = self.backoff.as_ref().is_some_and(|backoff| taken <= backoff.began);
        self.refusals < MAX_REFUSALS && !account_backed_off
    }

    /// Some id of the batch makes the cloud refuse it: halves tell which. Who is to blame is read alone from then
    /// on, for as long as it is not seen.
    fn split(&mut self, Batch { mut ids, priority, taken }: Batch) {
        ids.retain(|id| match self.ports.get_mut(id) {
            Some(watched) if watched.next == Next::InFlight => {
                watched.suspected = true;
                true
            }
            _ => false,
        });
        let second = ids.split_off(ids.len() / 2);
        let halves = [ids, second].into_iter().filter(|ids| !ids.is_empty());
        self.parts.extend(halves.map(|ids| Batch { ids, priority, taken }));
    }

    fn back_off(&mut self, why: &Unreadable, taken: Monotonic, sent: Monotonic, now: Monotonic) {
        let (failures, since) = match &self.backoff {
            // It was under way when the backoff began, and is part of the same failure.
            Some(backoff) if taken <= backoff.began => return,
            Some(backoff) => (backoff.failures.saturating_add(1), backoff.failure.since),
            None => (1, sent),
        };
        let pause = doubled(self.grid.tick(), failures - 1).min(self.settings.max_backoff);
        self.backoff = Some(Backoff {
            failures,
            began: now,
            until: self.grid.next(Some(now), pause, now),
            failure: Failure { why: why.clone(), since, at: sent },
        });
    }

    /// Brings the schedule up to date with what is wanted of the port.
    fn plan(&mut self, port: &PortId, now: Monotonic) {
        let Some(watched) = self.ports.get_mut(port) else { return };
        watched.set_pace(&self.settings, &self.pace, self.grid, now);
        if watched.next == Next::InFlight {
            return;
        }
        let planned = watched.due(self.grid).map(|due| Slot { rank: watched.rank(), due });
        let next = planned.map_or(Next::Nothing, Next::Planned);
        if watched.next == next {
            return;
        }
        if let Next::Planned(slot) = mem::replace(&mut watched.next, next) {
            self.schedule.remove(slot, port);
        }
        if let Some(slot) = planned {
            self.schedule.add(slot, port.clone());
        }
    }
}

fn doubled(duration: Duration, times: u32) -> Duration {
    duration.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX))
}
