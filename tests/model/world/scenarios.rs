//! The worlds that are walked: each with its own powers, so that together they cover all, and each can be walked whole.

use std::num::NonZeroUsize;

use zenlayer_port_operator::api::DeletionPolicy::{self, Destroy, Retain, Terminate, TerminateAndDestroy};

use super::environment::{Act, Cloud};
use super::object::{Key, Object};
use super::{Left, Port, Replica, World};
use crate::Effort;

pub struct Scenario {
    pub name: &'static str,
    /// The policies, and the states of the port, to begin with.
    policies: &'static [DeletionPolicy],
    clouds: &'static [Cloud],
    /// A second object on the same port, with its key and whether it is deleted too.
    other: Option<(Key, bool)>,
    replicas: usize,
    deleted: bool,
    pub acts: &'static [Act],
    left: Left,
    short: &'static [Bound],
    deep: &'static [Bound],
}

/// How far a scenario is walked.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    pub left: Left,
    /// So many events and no more; none: to the end.
    pub depth: Option<NonZeroUsize>,
}

impl Bound {
    const fn events(self, depth: usize) -> Self {
        Self { depth: NonZeroUsize::new(depth), ..self }
    }
}

impl Scenario {
    pub fn bounds(&self, effort: Effort) -> &'static [Bound] {
        match effort {
            Effort::Short => self.short,
            Effort::Deep => self.deep,
        }
    }

    pub fn within(&self, bound: Bound) -> Self {
        Self { left: bound.left, ..*self }
    }

    pub fn beginnings(&self) -> Vec<World> {
        let each_policy =
            self.policies.iter().flat_map(|policy| self.clouds.iter().map(move |cloud| (*policy, *cloud)));
        each_policy.map(|(policy, cloud)| self.beginning(policy, cloud)).collect()
    }

    fn beginning(&self, policy: DeletionPolicy, cloud: Cloud) -> World {
        let object = Object { deleted: self.deleted, ..Object::new(policy) };
        let other = self.other.map(|(_, deleted)| Object { deleted, ..Object::new(policy) });
        World {
            objects: [Some(object), other],
            keys: [Key::First, self.other.map_or(Key::First, |(key, _)| key)],
            port: Port { now: cloud, number: 0, before: None },
            sent: Vec::new(),
            replicas: vec![Replica::default(); self.replicas],
            too_many: false,
            left: self.left,
            attempts: [0, 0],
            broken: None,
        }
    }
}

const NONE: Left = Left { faults: 0, slips: 0, acts: 0 };

const fn left(faults: u8, slips: u8, acts: u8) -> Bound {
    Bound { left: Left { faults, slips, acts }, depth: None }
}

const POLICIES: &[DeletionPolicy] = &[Destroy, TerminateAndDestroy, Terminate];

/// One object, one process, and all that can go wrong on the way to the API server and to Zenlayer.
pub const FAULTS: Scenario = Scenario {
    name: "faults",
    policies: POLICIES,
    clouds: &[Cloud::Live, Cloud::InBin],
    other: None,
    replicas: 1,
    deleted: true,
    acts: &[],
    left: NONE,
    short: &[left(1, 0, 0)],
    deep: &[left(3, 1, 0)],
};

/// People change their minds about the object, and work on the port in the console; so does Zenlayer.
pub const PEOPLE: Scenario = Scenario {
    name: "people",
    acts: &[
        Act::SetPolicy(0, Destroy),
        Act::SetPolicy(0, TerminateAndDestroy),
        Act::SetPolicy(0, Terminate),
        Act::SetPolicy(0, Retain),
        Act::Protect(0),
        Act::Unprotect(0),
        Act::Approve(0),
        Act::MoveToBin,
        Act::Restore,
        Act::Destroy,
        Act::Release,
        Act::Recreate,
        Act::DeleteManyMore,
    ],
    short: &[left(0, 0, 1), left(0, 0, 2).events(14)],
    deep: &[left(1, 1, 3), left(2, 1, 1)],
    ..FAULTS
};

/// Two processes that both believe to lead.
pub const REPLICAS: Scenario = Scenario {
    name: "replicas",
    policies: &[Destroy, TerminateAndDestroy],
    replicas: 2,
    short: &[left(1, 0, 0).events(13)],
    deep: &[left(1, 0, 0).events(34), left(2, 1, 0).events(20)],
    ..FAULTS
};

/// Living objects, which are deleted at some time.
pub const LIVES: Scenario = Scenario {
    name: "lives",
    policies: &[Destroy, TerminateAndDestroy],
    deleted: false,
    acts: &[Act::Delete(0), Act::MoveToBin, Act::Restore, Act::Destroy],
    short: &[left(0, 1, 2)],
    deep: &[left(2, 1, 3)],
    ..FAULTS
};

/// The Secret holds another key, of the same account or another, or none.
pub const KEYS: Scenario = Scenario {
    name: "keys",
    policies: &[TerminateAndDestroy],
    acts: &[
        Act::ReplaceKey(0, Key::First),
        Act::ReplaceKey(0, Key::Second),
        Act::ReplaceKey(0, Key::Limited),
        Act::ReplaceKey(0, Key::Foreign),
        Act::ReplaceKey(0, Key::CopyOfFirst),
        Act::Destroy,
    ],
    short: &[left(0, 0, 2)],
    deep: &[left(1, 1, 3)],
    ..FAULTS
};

/// Another object has the same port, by a key of the same account, and is deleted as well or later.
pub const CLAIMS: Scenario = Scenario {
    name: "claims",
    policies: &[Destroy, TerminateAndDestroy],
    clouds: &[Cloud::InBin],
    other: Some((Key::Second, true)),
    acts: &[Act::SetPolicy(0, Retain), Act::Protect(0), Act::Delete(1), Act::ReplaceKey(1, Key::Foreign)],
    short: &[left(0, 0, 0)],
    deep: &[left(1, 1, 1)],
    ..FAULTS
};

/// Another object has the same port, by the same key, and stays until it is deleted too.
pub const KEPT: Scenario = Scenario {
    name: "kept",
    other: Some((Key::First, false)),
    short: &[left(0, 0, 1)],
    deep: &[left(1, 1, 2)],
    ..CLAIMS
};
