//! What the other objects of the cluster mean for one: who owns the same port, and how many deletions there are at once.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::operator::{Operator, default_gates};
use crate::api::{FINALIZER, ZenlayerPort};
use crate::decision::{Claim, ClaimBasis, DeletionProgress, GateSettings, Surroundings, deletion_progress};
use crate::fingerprint::Fingerprint;
use crate::port::PortId;

/// All objects that are known, by what they have in common.
pub struct Neighbours<'a> {
    by_port: HashMap<&'a PortId, Vec<Neighbour<'a>>>,
    /// Those that are being deleted, or are to be, and count.
    deletions: Vec<Deletion<'a>>,
    gates: GateSettings,
}

/// Another object, and whether it is deleted too.
#[derive(Clone, Copy)]
struct Neighbour<'a> {
    object: &'a ZenlayerPort,
    goes: bool,
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
    /// `planned` are to be deleted together. Of `known` those count that the operator watches.
    pub fn new(known: &'a [ZenlayerPort], planned: &'a [ZenlayerPort], operator: &Operator) -> Self {
        let gates = operator.gates().unwrap_or_else(default_gates);
        let uids: HashSet<_> = planned.iter().map(|object| object.metadata.uid.as_deref()).collect();
        let others = known.iter().filter(|object| {
            operator.watches(object.metadata.namespace.as_deref())
                && !uids.contains(&object.metadata.uid.as_deref())
        });
        let others = others.map(|object| Neighbour { object, goes: object.is_terminating() });
        let all = planned.iter().map(|object| Neighbour { object, goes: true }).chain(others);
        let mut by_port: HashMap<&PortId, Vec<Neighbour<'_>>> = HashMap::new();
        let mut deletions = Vec::new();
        for neighbour in all {
            let object = neighbour.object;
            by_port.entry(&object.spec.port_id).or_default().push(neighbour);
            if neighbour.goes && counts(object) {
                deletions.push(Deletion { uid: object.metadata.uid.as_deref(), keys: Keys::of(object) });
            }
        }
        Self { by_port, deletions, gates }
    }

    /// What the decision about `object` rests on beside the object.
    pub fn of(&self, object: &ZenlayerPort) -> Surroundings {
        let uid = object.metadata.uid.as_deref();
        let others = self.by_port.get(&object.spec.port_id).into_iter().flatten();
        let others = others.filter(|other| other.object.metadata.uid.as_deref() != uid);
        let keys = Keys::of(object);
        let together = self.deletions.iter().filter(|it| it.uid == uid || it.keys.count_with(&keys));
        // One beyond the threshold says enough.
        let most = self.gates.mass_deletion_threshold.map_or(0, NonZeroU32::get).saturating_add(1);
        let together = together.take(usize::try_from(most).unwrap_or(usize::MAX)).count();
        Surroundings {
            claims: others.map(|other| claim(object, *other)).collect(),
            deletions_at_once: u32::try_from(together).unwrap_or(u32::MAX).max(1),
            gates: self.gates,
        }
    }
}

/// As the operator counts, but for objects that are gone already: not what a person or the policy exempts. What was called
/// for counts for ten minutes, and longer here.
fn counts(object: &ZenlayerPort) -> bool {
    let mut deleted = object.clone();
    deleted.metadata.deletion_timestamp.get_or_insert(Time(jiff::Timestamp::UNIX_EPOCH));
    if !object.is_terminating() {
        deleted.metadata.finalizers.get_or_insert_default().push(FINALIZER.to_owned());
    }
    matches!(deletion_progress(&deleted), DeletionProgress::Due | DeletionProgress::Called)
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

fn claim(object: &ZenlayerPort, Neighbour { object: other, goes }: Neighbour<'_>) -> Claim {
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
        terminating: goes,
        basis,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, port: &str, deleted: bool) -> ZenlayerPort {
        let mut value = json!({
            "apiVersion": "sdn.zenlayer.com/v1alpha1", "kind": "ZenlayerPort",
            "metadata": { "name": name, "namespace": "team-a", "uid": name, "finalizers": [FINALIZER] },
            "spec": { "portId": port, "credentialsRef": { "name": "zenlayer" } },
            "status": { "identity": { "seenBy": ["aa"] } },
        });
        if deleted {
            value["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        serde_json::from_value(value).expect("a ZenlayerPort")
    }

    #[test]
    fn owners_that_are_deleted_together_do_not_keep_each_other() {
        let known = [object("a", "port-1", false), object("b", "port-1", false)];
        let goes = |planned: &[ZenlayerPort]| {
            let of_a = Neighbours::new(&known, planned, &Operator::Missing).of(&known[0]);
            of_a.claims.iter().map(|claim| claim.terminating).collect::<Vec<_>>()
        };
        assert_eq!(goes(&known[..1]), [false], "b stays");
        assert_eq!(goes(&known), [true], "b goes too");
    }

    #[test]
    fn deletions_of_one_key_count_with_those_that_are_planned_and_each_once() {
        let known: Vec<_> = (0..30).map(|n| object(&format!("o{n}"), &format!("port-{n}"), n < 10)).collect();
        let at_once = |planned: &[ZenlayerPort]| {
            Neighbours::new(&known, planned, &Operator::Missing).of(&known[29]).deletions_at_once
        };
        assert_eq!(at_once(&known[29..]), 11, "the ten and itself");
        assert_eq!(at_once(&known[..10]), 10, "those that go already count once");
        assert_eq!(at_once(&known), 21, "one beyond the threshold says enough");
    }
}
