//! Which port is to be read when.

use std::collections::BTreeSet;
use std::mem;
use std::time::Duration;

use crate::clock::Monotonic;
use crate::port::PortId;

/// In what order ports that are due are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    Release,
    /// It is being destroyed: a call that has room for it takes it a little early.
    Destroying,
    Upkeep,
    /// Suspected of making the cloud refuse any batch that it is in: read last, each by itself.
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
pub(super) struct Schedule {
    release: BTreeSet<(Monotonic, PortId)>,
    destroying: BTreeSet<(Monotonic, PortId)>,
    upkeep: BTreeSet<(Monotonic, PortId)>,
    alone: BTreeSet<(Monotonic, PortId)>,
}

impl Schedule {
    pub(super) fn add(&mut self, slot: Slot, port: PortId) {
        self.rank(slot.rank).insert((slot.due, port));
    }

    pub(super) fn remove(&mut self, slot: Slot, port: &PortId) {
        self.rank(slot.rank).remove(&(slot.due, port.clone()));
    }

    /// When the first call is to leave. A reading of a port that is being destroyed waits for another a moment later, so that
    /// both are one call.
    pub(super) fn first(&self, coalesce: Duration) -> Option<Monotonic> {
        let [release, destroying, upkeep, alone] =
            [&self.release, &self.destroying, &self.upkeep, &self.alone].map(|rank| Some(rank.first()?.0));
        let joint = release.zip(destroying).and_then(|(release, destroying)| {
            let leaves = release - coalesce;
            (destroying..=destroying + coalesce * 2).contains(&leaves).then_some(leaves)
        });
        [release, joint.or(destroying), upkeep, alone].into_iter().flatten().min()
    }

    /// Up to `count` ports that may be read in one call: those that are due by `horizon`, and if there are any and room is left,
    /// those that are being destroyed and due by `reach`.
    pub(super) fn together(&self, count: usize, horizon: Monotonic, reach: Monotonic) -> Vec<PortId> {
        let ranks = [&self.release, &self.destroying, &self.upkeep].into_iter();
        let mut ports: Vec<_> = ranks.flat_map(|rank| due_by(rank, horizon)).take(count).cloned().collect();
        if !ports.is_empty() {
            let early = due_by(&self.destroying, reach).skip(due_by(&self.destroying, horizon).count());
            ports.extend(early.take(count - ports.len()).cloned());
        }
        ports
    }

    /// Plans all readings of ports that are being destroyed anew; `due` says when.
    pub(super) fn replan(&mut self, mut due: impl FnMut(&PortId, Monotonic) -> Monotonic) {
        let planned = mem::take(&mut self.destroying);
        self.destroying = planned.into_iter().map(|(before, port)| (due(&port, before), port)).collect();
    }

    /// A port that is due by `horizon` and is to be read alone.
    pub(super) fn alone(&self, horizon: Monotonic) -> Option<PortId> {
        due_by(&self.alone, horizon).next().cloned()
    }

    fn rank(&mut self, rank: Rank) -> &mut BTreeSet<(Monotonic, PortId)> {
        match rank {
            Rank::Release => &mut self.release,
            Rank::Destroying => &mut self.destroying,
            Rank::Upkeep => &mut self.upkeep,
            Rank::Alone => &mut self.alone,
        }
    }
}

fn due_by(rank: &BTreeSet<(Monotonic, PortId)>, horizon: Monotonic) -> impl Iterator<Item = &PortId> {
    rank.iter().take_while(move |(due, _)| *due <= horizon).map(|(_, port)| port)
}
