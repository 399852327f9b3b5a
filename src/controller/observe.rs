//! Which credential reads an object's port, which signs its calls, and what was read.

use std::sync::Arc;

use super::registrations::Mirrors;
use crate::answer::RefusalKind;
use crate::api::ZenlayerPort;
use crate::clock::Monotonic;
use crate::credentials::{Assigned, Credentials, Served, Source};
use crate::decision::{CredentialState, Lack};
use crate::index::Reference;
use crate::mirror::Account;
use crate::reading::{Cadence, Evidence, Presence, Unreadable, Want};
use crate::zenlayer::Client;

pub(super) struct Observed {
    /// What reads the port, and signs its calls if `credential` says so.
    pub(super) account: Option<Arc<Account<Client>>>,
    pub(super) credential: CredentialState,
    /// Why the credentials are not kept as a copy.
    pub(super) not_copied: Option<Lack>,
    pub(super) evidence: Option<Evidence>,
}

impl Observed {
    pub(super) async fn of(
        object: &ZenlayerPort,
        deletion_known_since: Option<Monotonic>,
        credentials: &Credentials,
        mirrors: &Mirrors,
    ) -> Self {
        let source = match credentials.source_of(object) {
            Ok(source) => source,
            Err(why) => return Self::nothing(object, Lack::Known(why), mirrors),
        };
        let observed = Self::from(&source, object, deletion_known_since, credentials, mirrors).await;
        match (&observed.account, observed.rejected_at()) {
            (Some(account), Some(at)) => {
                Box::pin(credentials.rejected(&source, account, at)).await;
                Self::from(&source, object, deletion_known_since, credentials, mirrors).await
            }
            _ => observed,
        }
    }

    async fn from(
        source: &Source,
        object: &ZenlayerPort,
        deletion_known_since: Option<Monotonic>,
        credentials: &Credentials,
        mirrors: &Mirrors,
    ) -> Self {
        let Served { assigned, not_copied } = credentials.serve(source, object, deletion_known_since).await;
        let observed = match assigned {
            Assigned::Full(account) => Self::by(account, None, object, mirrors),
            Assigned::ReadOnly(account, why) => Self::by(account, Some(why), object, mirrors),
            Assigned::None(why) => Self::nothing(object, why, mirrors),
            Assigned::Rotation { current, candidate } => match probe(&candidate, object, mirrors) {
                Probe::Unanswered => Self::read(current, None, object, mirrors),
                Probe::Failed(why) => Self::read(current, Some(Lack::Known(why)), object, mirrors),
                Probe::Shown => {
                    credentials.shown(source, &candidate, object).await;
                    Self::by(candidate, None, object, mirrors)
                }
            },
        };
        Self { not_copied, ..observed }
    }

    /// No rotation is under way that concerns this object.
    fn by(
        account: Arc<Account<Client>>,
        holds: Option<Lack>,
        object: &ZenlayerPort,
        mirrors: &Mirrors,
    ) -> Self {
        mirrors.probes.forget(&Reference::of(object));
        Self::read(account, holds, object, mirrors)
    }

    fn read(
        account: Arc<Account<Client>>,
        holds: Option<Lack>,
        object: &ZenlayerPort,
        mirrors: &Mirrors,
    ) -> Self {
        let fingerprint = account.fingerprint.clone();
        let credential = match holds {
            None => CredentialState::Usable(fingerprint),
            Some(why) => CredentialState::ReadOnly { fingerprint, why },
        };
        let evidence = mirrors.ports.observe(Reference::of(object), &account, &object.spec.port_id);
        Self { account: Some(account), credential, not_copied: None, evidence: Some(evidence) }
    }

    fn nothing(object: &ZenlayerPort, why: Lack, mirrors: &Mirrors) -> Self {
        mirrors.probes.forget(&Reference::of(object));
        Self {
            account: None,
            credential: CredentialState::Unavailable(why),
            not_copied: None,
            evidence: None,
        }
    }

    /// When Zenlayer last answered 401, if it has answered nothing better since.
    fn rejected_at(&self) -> Option<Monotonic> {
        let failure = self.evidence.as_ref()?.failure.as_ref()?;
        (failure.why.kind() == Some(RefusalKind::Unauthorized)).then_some(failure.at)
    }
}

/// What Zenlayer shows a source's candidate of an object's port.
enum Probe {
    Unanswered,
    Shown,
    /// Why it cannot take over, as a sentence.
    Failed(String),
}

fn probe(candidate: &Account<Client>, object: &ZenlayerPort, mirrors: &Mirrors) -> Probe {
    let reference = Reference::of(object);
    let id = &object.spec.port_id;
    let Evidence { good, failure, waiting_since, .. } =
        mirrors.probes.observe(reference.clone(), candidate, id);
    // Nobody is in a hurry for the second answer: the first says which account it is.
    let unanswered = good.is_none() && failure.is_none();
    let fresh_after = unanswered.then_some(waiting_since);
    mirrors.probes.want(&reference, Want { cadence: Cadence::Held, fresh_after });
    let cause = match (good.map(|good| good.presence), failure.map(|failure| failure.why)) {
        (Some(Presence::Seen(_)), _) => return Probe::Shown,
        (None, None) => return Probe::Unanswered,
        (_, Some(Unreadable::Refused(refusal))) if refusal.kind == RefusalKind::Unauthorized => {
            format!("Zenlayer does not accept the new credentials ({refusal})")
        }
        (_, Some(Unreadable::Refused(refusal))) if refusal.kind == RefusalKind::PermissionDenied => {
            format!("Zenlayer does not permit DescribePorts ({refusal})")
        }
        (Some(Presence::Absent), _) => "Zenlayer lists no such port".to_owned(),
        (None, Some(_)) => "the operator could not check the port with them yet".to_owned(),
    };
    Probe::Failed(format!(
        "Someone replaced the credentials, and Zenlayer has not returned port {id} for the new ones: {cause}. The \
         operator checks the port with the old credentials, but does not change it until Zenlayer returns the port \
         for the new ones, or you put the old ones back."
    ))
}
