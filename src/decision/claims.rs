//! Who else owns the same port.

use jiff::Timestamp;

use crate::api::ZenlayerPort;
use crate::clock::Monotonic;
use crate::port::same_instant;

/// Another object with the same `portId`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub creation: Option<Timestamp>,
    pub terminating: bool,
    pub basis: ClaimBasis,
}

/// What makes another object an owner of the port that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimBasis {
    /// Its own credential has seen a port of this id, created then, as far as that was told.
    Saw { created_time: Option<String> },
    /// It has not looked yet, and will see what this object sees: it has the same credential.
    SameCredential,
    /// It has not looked yet, and may see the port. After that time it counts as [`Self::None`].
    NotKnown { until: Monotonic },
    /// It has looked and seen no port, or has no credential: anyone may write any id.
    None,
}

/// What keeps an object that is being deleted from its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Obstacle<'a> {
    /// This object owns the port too. It stays, or goes too but was there first.
    Owner(&'a Claim),
    /// Another object may; it is known by then.
    PerhapsAnOwner { until: Monotonic },
}

pub(super) fn obstacle<'a>(
    object: &ZenlayerPort,
    created_time: Option<&str>,
    claims: &'a [Claim],
    now: Monotonic,
) -> Option<Obstacle<'a>> {
    let before_ours = |claim: &&Claim| !claim.terminating || claim.age() < age(object);
    let owner = first(claims.iter().filter(before_ours).filter(|claim| claim.is_of(created_time)));
    let not_known = claims.iter().filter(before_ours).filter_map(|claim| match claim.basis {
        ClaimBasis::NotKnown { until } if until > now => Some(until),
        _ => None,
    });
    owner.map(Obstacle::Owner).or_else(|| not_known.max().map(|until| Obstacle::PerhapsAnOwner { until }))
}

/// The claim of another object on the port of an object that lives.
pub(super) fn competing<'a>(created_time: Option<&str>, claims: &'a [Claim]) -> Option<&'a Claim> {
    first(claims.iter().filter(|claim| claim.is_of(created_time)))
}

/// Always the same one of several, whatever else changes: it is named in a message.
fn first<'a>(claims: impl Iterator<Item = &'a Claim>) -> Option<&'a Claim> {
    claims.min_by(|one, other| one.age().cmp(&other.age()))
}

impl Claim {
    /// It owns the port that was created then.
    fn is_of(&self, created_time: Option<&str>) -> bool {
        match &self.basis {
            ClaimBasis::Saw { created_time: theirs } => {
                created_time.zip(theirs.as_deref()).is_none_or(|(ours, theirs)| same_instant(ours, theirs))
            }
            ClaimBasis::SameCredential => true,
            ClaimBasis::NotKnown { .. } | ClaimBasis::None => false,
        }
    }

    /// Older by creation time, then by uid, so that of any two exactly one goes first.
    fn age(&self) -> (Option<Timestamp>, &str) {
        (self.creation, &self.uid)
    }
}

fn age(object: &ZenlayerPort) -> (Option<Timestamp>, &str) {
    let creation = object.metadata.creation_timestamp.as_ref().map(|time| time.0);
    (creation, object.metadata.uid.as_deref().unwrap_or_default())
}
