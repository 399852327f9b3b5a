//! Whether an object shows what is true, at the end, when nothing is wrong any more.

use jiff::Timestamp;
use zenlayer_port_operator::api::DeletionPolicy;
use zenlayer_simulator::PortStatus;

use super::Oracle;
use super::object::Subject;
use crate::plan::Port;

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
        }
    }
}

/// What happened to the key of a namespace.
#[derive(Debug, Default)]
pub(super) struct Tenant {
    pub(super) has_secret: bool,
    pub(super) rotated: bool,
    pub(super) revoked: bool,
}

impl Oracle {
    /// What is wrong about what the object shows.
    pub(super) fn is_right(&self, subject: &Subject) -> Result<(), String> {
        let reason = subject.reason.as_deref().unwrap_or("no reason");
        let truth = self.ports.get(&subject.port).filter(|truth| truth.account == subject.name.namespace);
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

    fn was_reissued(&self, subject: &Subject) -> bool {
        self.ports.get(&subject.port).is_some_and(|truth| truth.reissued_ms.is_some())
    }

    fn is_alive_and_says(&self, subject: &Subject, status: Option<&PortStatus>, reason: &str) -> bool {
        match reason {
            "CredentialsUnavailable" | "Unauthorized" | "CredentialsNotCopied" => !self.has_secret(subject),
            "PortClaimed" => self.has_another_owner(subject),
            "IdentityChanged" => self.was_reissued(subject),
            "PortNotFound" => matches!(status, None | Some(PortStatus::Destroyed)),
            "Running" => status == Some(&PortStatus::Running),
            "PortRecycled" => status == Some(&PortStatus::Recycled),
            "Destroying" => status == Some(&PortStatus::Destroying),
            _ => false,
        }
    }

    fn is_held_rightly(&self, subject: &Subject, status: Option<&PortStatus>, reason: &str) -> bool {
        let truth = self.ports.get(&subject.port);
        let tenant = self.tenants.get(&subject.name.namespace);
        let runs = status == Some(&PortStatus::Running);
        match reason {
            "NotInRecycleBin" => runs && subject.policy == DeletionPolicy::Destroy,
            "PrepaidPort" => runs && truth.is_some_and(|truth| truth.prepaid),
            "DeletionProtected" => subject.protected,
            "MassDeletion" => {
                let many = self.subjects.values().filter(|it| it.name.namespace == subject.name.namespace);
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
                !self.has_secret(subject) && (!self.config.keep_copies || worthless || !subject.had_finalizer)
            }
            "InUse" => truth.is_some_and(|truth| truth.in_use),
            "AbsenceUnproven" => status.is_none() && tenant.is_some_and(|tenant| tenant.rotated),
            _ => false,
        }
    }
}
