//! Whether an object shows what is true, at the end, when nothing is wrong any more.

use std::collections::BTreeSet;

use jiff::Timestamp;
use zenlayer_port_operator::api::DeletionPolicy;
use zenlayer_simulator::PortStatus;

use super::Oracle;
use super::object::Subject;
use crate::plan::{HOME, Port};

/// A port as it is.
#[derive(Debug)]
pub(super) struct PortTruth {
    pub(super) account: String,
    pub(super) status: Option<PortStatus>,
    pub(super) created: Option<Timestamp>,
    pub(super) prepaid: bool,
    pub(super) in_use: bool,
    /// How many times DestroyPort took effect since it was made.
    pub(super) destroys: u32,
    pub(super) restored_ms: Option<u64>,
    pub(super) reissued_ms: Option<u64>,
    /// From when it was in which status, and when the port was made that it was then.
    pub(super) history: Vec<(u64, Option<PortStatus>, Option<Timestamp>)>,
}

impl PortTruth {
    pub(super) fn of(port: &Port) -> Self {
        Self {
            account: port.account.clone(),
            status: None,
            created: None,
            prepaid: port.prepaid,
            in_use: port.in_use,
            destroys: 0,
            restored_ms: None,
            reissued_ms: None,
            history: Vec::new(),
        }
    }

    /// Whether it was so at any moment from the one time to the other.
    pub(super) fn was(
        &self,
        from: u64,
        until: u64,
        is: impl Fn(Option<&PortStatus>, Option<Timestamp>) -> bool,
    ) -> bool {
        let ends = self.history.iter().skip(1).map(|(at, ..)| *at).chain([u64::MAX]);
        let spans = self.history.iter().zip(ends);
        spans
            .filter(|((at, ..), end)| *at <= until && from <= *end)
            .any(|((_, status, created), _)| is(status.as_ref(), *created))
    }
}

/// What happened to the key of a namespace.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Tenant {
    pub(super) has_secret: bool,
    pub(super) rotated: bool,
    pub(super) revoked: bool,
    /// The Secret was not there at some time.
    pub(super) lacked: bool,
    /// The Secret holds another's key id, and not its password.
    pub(super) forged: bool,
    /// A key that was in the Secret is limited to these ports; it may be what is left.
    pub(super) sees_only: Option<BTreeSet<String>>,
}

impl Oracle {
    /// What is wrong about what the object shows.
    pub(super) fn is_right(&self, subject: &Subject) -> Result<(), String> {
        let reason = subject.reason.as_deref().unwrap_or("no reason");
        let account = self.account(&subject.name.namespace);
        let truth = self.ports.get(&subject.port).filter(|truth| truth.account == account);
        let status = truth.and_then(|truth| truth.status.as_ref());
        let right = match subject.deleted_ms {
            None => self.is_alive_and_says(subject, status, reason),
            Some(_) => self.is_held_rightly(subject, status, reason),
        };
        let deleted = if subject.deleted_ms.is_some() { "deleted" } else { "alive" };
        let status = status.map_or("gone", PortStatus::as_str);
        if right { Ok(()) } else { Err(format!("is {deleted} and says {reason}, and its port is {status}")) }
    }

    fn has_secret(&self, subject: &Subject) -> bool {
        self.tenants.get(&subject.name.namespace).is_some_and(|tenant| tenant.has_secret)
    }

    fn has_another_owner(&self, subject: &Subject) -> bool {
        self.left().any(|it| it.uid != subject.uid && it.port == subject.port)
    }

    /// The key of its Secret is good for nothing, or not for its port: a person has seen to that.
    fn has_no_good_key(&self, subject: &Subject) -> bool {
        let of = |namespace: &str| self.tenants.get(namespace);
        let (own, account) = (&subject.name.namespace, self.account(&subject.name.namespace));
        of(own).is_some_and(|tenant| {
            tenant.forged || tenant.sees_only.as_ref().is_some_and(|ports| !ports.contains(&subject.port))
        }) || (account != own
            && of(account).is_some_and(|tenant| tenant.revoked || tenant.sees_only.is_some()))
            || own == HOME
    }

    fn was_reissued(&self, subject: &Subject) -> bool {
        self.ports.get(&subject.port).is_some_and(|truth| truth.reissued_ms.is_some())
    }

    fn is_alive_and_says(&self, subject: &Subject, status: Option<&PortStatus>, reason: &str) -> bool {
        match reason {
            "CredentialsNotCopied" => self.config.most_copies.is_some(),
            "CredentialsUnavailable" | "Unauthorized" => {
                !self.has_secret(subject) || self.has_no_good_key(subject)
            }
            "PortClaimed" => self.has_another_owner(subject),
            "IdentityChanged" => self.was_reissued(subject),
            "PortNotFound" => {
                matches!(status, None | Some(PortStatus::Destroyed)) || self.has_no_good_key(subject)
            }
            "Running" => status == Some(&PortStatus::Running),
            "PortRecycled" => status == Some(&PortStatus::Recycled),
            "Destroying" => status == Some(&PortStatus::Destroying),
            "UnknownPortStatus" => matches!(status, Some(PortStatus::Other(_))),
            _ => false,
        }
    }

    fn is_held_rightly(&self, subject: &Subject, status: Option<&PortStatus>, reason: &str) -> bool {
        let truth = self.ports.get(&subject.port);
        let tenant = self.tenants.get(&subject.name.namespace);
        let runs = status == Some(&PortStatus::Running);
        match reason {
            "WaitingForFinalizers" => subject.is_held,
            "UnknownPortStatus" => matches!(status, Some(PortStatus::Other(_))),
            "NotInRecycleBin" => runs && subject.policy == DeletionPolicy::Destroy,
            "PrepaidPort" => runs && truth.is_some_and(|truth| truth.prepaid),
            "DeletionProtected" => subject.protected,
            "MassDeletion" => {
                let account = self.account(&subject.name.namespace);
                let many = self.subjects.values().filter(|it| self.account(&it.name.namespace) == account);
                let many = many.filter(|it| it.deleted_ms.is_some()).count();
                subject.latched
                    && !subject.is_approved
                    && many > usize::try_from(self.config.mass_deletion_threshold).unwrap_or_default()
            }
            "ApprovalRequired" => self.config.require_approval,
            "CRDDeleted" => self.kind_deleted_ms.is_some(),
            "RestoredElsewhere" => truth.is_some_and(|truth| truth.restored_ms.is_some()) || self.drops_calls,
            "IdentityChanged" => self.was_reissued(subject),
            "PortClaimed" => self.has_another_owner(subject),
            // What it had is kept as a copy, unless the copy is good for nothing.
            "CredentialsUnavailable" | "Unauthorized" => {
                let worthless = tenant.is_some_and(|tenant| tenant.rotated || tenant.revoked);
                let is_kept = self.config.keep_copies && self.config.most_copies.is_none();
                // After a restart nobody can tell whether the Secret was deleted before the object, which is a brake, or
                // after it, if no status of the deletion says so.
                let is_brake = !subject.told_with_secret;
                self.has_no_good_key(subject)
                    || (!self.has_secret(subject)
                        && (!is_kept || worthless || !subject.had_finalizer || is_brake))
            }
            "InUse" => truth.is_some_and(|truth| truth.in_use),
            "AbsenceUnproven" => {
                let rotated = self.tenants.get(self.account(&subject.name.namespace));
                (status.is_none() && rotated.or(tenant).is_some_and(|tenant| tenant.rotated))
                    || self.has_no_good_key(subject)
            }
            _ => false,
        }
    }
}
