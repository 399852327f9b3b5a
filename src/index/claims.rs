//! Who else claims an object's port.

use super::{Index, Reference};
use crate::answer::RefusalKind;
use crate::api::{Reason, ZenlayerPort};
use crate::clock::Monotonic;
use crate::decision::{Claim, ClaimBasis};
use crate::mirror::AccountKey;
use crate::reading::{Evidence, Presence};

/// How far an object is on its way to see its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// When this process first saw the object.
    since: Monotonic,
    account: Option<AccountKey>,
    seen: Seen,
}

/// What an object's own credential has seen of its port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Seen {
    #[default]
    NotYet,
    Nothing,
    Port {
        created_time: Option<String>,
    },
}

impl Index {
    /// Takes in what the object's own credential has seen; returns the others of its port if that is news to them.
    pub fn looked(
        &self,
        object: &ZenlayerPort,
        account: Option<AccountKey>,
        evidence: Option<&Evidence>,
    ) -> Vec<Reference> {
        let seen = Seen::by(evidence);
        let is_news = self.with(object, |entry| {
            let Some(look) = &mut entry.look else { return false };
            let now = Look { since: look.since, account, seen };
            let is_news = **look != now;
            **look = now;
            is_news
        });
        if is_news != Some(true) {
            return Vec::new();
        }
        let own = Reference::of(object);
        let mut others = self.lock().of_port(&object.spec.port_id);
        others.retain(|other| *other != own);
        others
    }

    /// The claims of others on the port of `object`, whose own account is `account`.
    pub fn claims(&self, object: &ZenlayerPort, account: Option<AccountKey>, now: Monotonic) -> Vec<Claim> {
        let own = Reference::of(object);
        let source = self.sources.of(object).ok();
        let contents = self.lock();
        let others = contents.of_port(&object.spec.port_id).into_iter().filter(|other| *other != own);
        let others = others.filter_map(|other| contents.objects.get(&other));
        let mut claims: Vec<Claim> = others
            .map(|entry| {
                let (other, look) = (entry.known.object(), entry.look.as_deref());
                let same_account =
                    || look.and_then(|look| look.account).is_some_and(|its| account == Some(its));
                let same_source = || source.is_some() && self.sources.of(other).ok() == source;
                claim(other, self.basis(other, look, same_account, same_source))
            })
            .collect();
        drop(contents);
        let waits = claims.iter().any(|claim| matches!(claim.basis, ClaimBasis::NotKnown { .. }));
        let waits_since = self.waits(object, waits && object.is_terminating(), now);
        for claim in &mut claims {
            if let (ClaimBasis::NotKnown { until }, Some(since)) = (&mut claim.basis, waits_since) {
                // However many objects others make, one after the other, this one does not wait for ever.
                *until = (*until).min(since + self.patience);
            }
        }
        claims
    }

    fn basis(
        &self,
        other: &ZenlayerPort,
        look: Option<&Look>,
        same_account: impl Fn() -> bool,
        same_source: impl Fn() -> bool,
    ) -> ClaimBasis {
        let created_time = match (identity(other), look.map(|look| &look.seen)) {
            (Some(created_time), _) | (None, Some(Seen::Port { created_time })) => Some(created_time.clone()),
            (None, _) => None,
        };
        match (created_time, look) {
            (Some(created_time), _) => ClaimBasis::Saw { created_time },
            (None, _) if same_account() || same_source() => ClaimBasis::SameCredential,
            (None, Some(Look { seen: Seen::NotYet, since, .. })) => {
                ClaimBasis::NotKnown { until: *since + self.patience }
            }
            (None, _) => ClaimBasis::None,
        }
    }

    /// Since when the object waits without a pause, if it does.
    fn waits(&self, object: &ZenlayerPort, waits: bool, now: Monotonic) -> Option<Monotonic> {
        let since = self.with(object, |entry| {
            entry.waits_since = waits.then(|| entry.waits_since.unwrap_or(now));
            entry.waits_since
        });
        // A reconcile may outlive its object.
        since.unwrap_or_else(|| waits.then_some(now))
    }
}

impl Look {
    pub(super) fn begun(now: Monotonic) -> Self {
        Self { since: now, account: None, seen: Seen::NotYet }
    }
}

impl Seen {
    fn by(evidence: Option<&Evidence>) -> Self {
        let Some(evidence) = evidence else { return Self::NotYet };
        match (&evidence.good, &evidence.failure) {
            (Some(good), _) => match &good.presence {
                Presence::Seen(port) => Self::Port { created_time: port.created_time.clone() },
                Presence::Absent => Self::Nothing,
            },
            (None, Some(failure)) => match failure.why.kind() {
                Some(RefusalKind::NotFound | RefusalKind::Unauthorized | RefusalKind::PermissionDenied) => {
                    Self::Nothing
                }
                Some(RefusalKind::Throttled | RefusalKind::ClockSkew | RefusalKind::Other) | None => {
                    Self::NotYet
                }
            },
            (None, None) => Self::NotYet,
        }
    }
}

/// When the port that the object owns was created, as far as that was told; none: it has seen no port. A port that it may adopt
/// by a person's consent is its own from then on, and not only when its status says so.
pub(super) fn identity(object: &ZenlayerPort) -> Option<&Option<String>> {
    let status = object.status.as_ref()?;
    let adopted = status.port.as_ref().filter(|_| object.approves_given(Reason::IdentityChanged, status));
    match adopted {
        Some(port) => Some(&port.created_time),
        None => Some(&status.identity.as_ref()?.created_time),
    }
}

/// Nothing has changed that the decisions about other objects of the port rest on.
pub(super) fn claims_the_same(before: &ZenlayerPort, now: &ZenlayerPort) -> bool {
    before.metadata.uid == now.metadata.uid
        && before.metadata.creation_timestamp == now.metadata.creation_timestamp
        && before.is_terminating() == now.is_terminating()
        && before.spec.port_id == now.spec.port_id
        && before.spec.credentials_ref == now.spec.credentials_ref
        && identity(before) == identity(now)
}

fn claim(other: &ZenlayerPort, basis: ClaimBasis) -> Claim {
    let metadata = other.metadata.clone();
    Claim {
        namespace: metadata.namespace.unwrap_or_default(),
        name: metadata.name.unwrap_or_default(),
        uid: metadata.uid.unwrap_or_default(),
        creation: metadata.creation_timestamp.map(|time| time.0),
        terminating: other.is_terminating(),
        basis,
    }
}

#[cfg(test)]
mod tests;
