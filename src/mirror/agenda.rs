//! Which port is to be read when.

use std::collections::BTreeSet;

use crate::clock::Monotonic;
use crate::port::PortId;

/// In what order ports that are due are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    Release,
    Upkeep,
    /// Suspected of making the cloud refuse any chunk that it is in: read last, each by itself.
    Alone,
}

/// One planned reading of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) rank: Rank,
    pub(super) due: Monotonic,
}

/// The planned readings of an account, at most one for each port.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    release: BTreeSet<(Monotonic, PortId)>,
    upkeep: BTreeSet<(Monotonic, PortId)>,
    alone: BTreeSet<(Monotonic, PortId)>,
}

impl Agenda {
    pub(super) fn add(&mut self, slot: Slot, port: PortId) {
        self.rank(slot.rank).insert((slot.due, port));
    }

    pub(super) fn remove(&mut self, slot: Slot, port: &PortId) {
        self.rank(slot.rank).remove(&(slot.due, port.clone()));
    }

    /// When the first reading is due.
    pub(super) fn first(&self) -> Option<Monotonic> {
        [&self.release, &self.upkeep, &self.alone].into_iter().filter_map(|rank| Some(rank.first()?.0)).min()
    }

    /// Up to `count` ports that are due by `horizon` and may be read in one call.
    pub(super) fn together(&self, count: usize, horizon: Monotonic) -> Vec<PortId> {
        let release = due_by(&self.release, horizon);
        release.chain(due_by(&self.upkeep, horizon)).take(count).cloned().collect()
    }

    /// A port that is due by `horizon` and is to be read alone.
    pub(super) fn alone(&self, horizon: Monotonic) -> Option<PortId> {
        due_by(&self.alone, horizon).next().cloned()
    }

    fn rank(&mut self, rank: Rank) -> &mut BTreeSet<(Monotonic, PortId)> {
        match rank {
            Rank::Release => &mut self.release,
            Rank::Upkeep => &mut self.upkeep,
            Rank::Alone => &mut self.alone,
        }
    }
}

fn due_by(rank: &BTreeSet<(Monotonic, PortId)>, horizon: Monotonic) -> impl Iterator<Item = &PortId> {
    rank.iter().take_while(move |(due, _)| *due <= horizon).map(|(_, port)| port)
}
