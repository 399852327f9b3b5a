//! What the other objects of the cluster mean for one: who owns the same port, and how many deletions there are at once.

use std::collections::{HashMap, HashSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::operator::{Operator, default_gates};
use crate::api::ZenlayerPort;
use crate::decision::{Claim, ClaimBasis, DeletionProgress, GateSettings, Surroundings, deletion_progress};
use crate::fingerprint::Fingerprint;
use crate::port::PortId;

/// All objects that are known, by what they have in common.
pub struct Neighbours<'a> {
    by_port: HashMap<&'a PortId, Vec<&'a ZenlayerPort>>,
    /// Those that are being deleted, or are to be, and count.
    deletions: Vec<Deletion<'a>>,
    gates: GateSettings,
}

/// An object whose port the operator may call for.
struct Deletion<'a> {
    uid: Option<&'a str>,
    keys: Keys<'a>,
}

/// What makes two deletions count together.
struct Keys<'a> {
    secret: Option<(&'a str, &'a str)>,
    seen_by: &'a [Fingerprint],
}

impl<'a> Neighbours<'a> {
    /// `planned` are to be deleted together. Of `all` those count that the operator watches.
    pub fn new(all: &'a [ZenlayerPort], planned: &'a [ZenlayerPort], operator: &Operator) -> Self {
        let gates = operator.gates().unwrap_or_else(default_gates);
        let all = || all.iter().filter(|object| operator.watches(object.metadata.namespace.as_deref()));
        let mut by_port: HashMap<&PortId, Vec<&ZenlayerPort>> = HashMap::new();
        for object in all() {
            by_port.entry(&object.spec.port_id).or_default().push(object);
        }
        let uids: HashSet<_> = planned.iter().map(|object| object.metadata.uid.as_deref()).collect();
        let is_planned = |object: &ZenlayerPort| uids.contains(&object.metadata.uid.as_deref());
        let planned_ones = planned.iter().filter(|object| counts(object));
        let others = all().filter(|object| object.is_terminating() && counts(object) && !is_planned(object));
        let deletions = planned_ones
            .chain(others)
            .map(|object| Deletion { uid: object.metadata.uid.as_deref(), keys: Keys::of(object) })
            .collect();
        Self { by_port, deletions, gates }
    }

    /// What the decision about `object` rests on beside the object.
    pub fn of(&self, object: &ZenlayerPort) -> Surroundings {
        let others = self.by_port.get(&object.spec.port_id).into_iter().flatten();
        let others = others.filter(|other| other.metadata.uid != object.metadata.uid);
        let keys = Keys::of(object);
        let uid = object.metadata.uid.as_deref();
        let together = self.deletions.iter().filter(|it| it.uid == uid || it.keys.count_with(&keys));
        // One beyond the threshold says enough.
        let most = self.gates.mass_deletion_threshold.map_or(0, std::num::NonZeroU32::get).saturating_add(1);
        let together = together.take(usize::try_from(most).unwrap_or(usize::MAX)).count();
        Surroundings {
            claims: others.map(|other| claim(object, other)).collect(),
            deletions_at_once: u32::try_from(together).unwrap_or(u32::MAX).max(1),
            gates: self.gates,
        }
    }
}

/// As the operator counts: not what was called for, nor what a person or the policy exempts.
fn counts(object: &ZenlayerPort) -> bool {
    let mut deleted = object.clone();
    deleted.metadata.deletion_timestamp.get_or_insert(Time(jiff::Timestamp::UNIX_EPOCH));
    deleted.metadata.finalizers.get_or_insert_default().push(crate::api::FINALIZER.to_owned());
    deletion_progress(&deleted) == DeletionProgress::Due
}

impl<'a> Keys<'a> {
    fn of(object: &'a ZenlayerPort) -> Self {
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        let secret = object.spec.credentials_ref.as_ref();
        let identity = object.status.as_ref().and_then(|status| status.identity.as_ref());
        Self {
            secret: secret.map(|secret| (namespace, secret.name.as_str())),
            seen_by: identity.map_or(&[], |identity| &identity.seen_by),
        }
    }

    /// They name the same Secret, or none (the operator's own key), or Zenlayer returned the ports of both for one key.
    fn count_with(&self, other: &Self) -> bool {
        self.secret == other.secret || self.seen_by.iter().any(|key| other.seen_by.contains(key))
    }
}

fn claim(object: &ZenlayerPort, other: &ZenlayerPort) -> Claim {
    let identity = other.status.as_ref().and_then(|status| status.identity.as_ref());
    let basis = match identity {
        Some(identity) => ClaimBasis::Saw { created_time: identity.created_time.clone() },
        None if Keys::of(object).count_with(&Keys::of(other)) => ClaimBasis::SameCredential,
        None => ClaimBasis::None,
    };
    Claim {
        namespace: other.namespace().unwrap_or_default(),
        name: other.name_any(),
        uid: other.uid().unwrap_or_default(),
        creation: other.creation_timestamp().map(|time| time.0),
        terminating: other.is_terminating(),
        basis,
    }
}
