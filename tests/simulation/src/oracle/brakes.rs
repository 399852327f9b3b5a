//! Why no call may be recorded for an object.

use jiff::Timestamp;
use zenlayer_port_operator::api::{DeletionPolicy, Reason, ZenlayerPort};
use zenlayer_simulator::PortStatus;

use super::object::{self, Record, Subject};
use super::{KNOWN_AFTER_MS, Oracle, Violation, account_of};
use crate::plan::{Fault, On, Trouble};

/// What no object names is read no longer after that.
const FORGOTTEN_MS: u64 = 4 * 60_000;
/// The operator knows of a deletion after that, if nothing goes wrong.
const DELETION_KNOWN_MS: u64 = 5_000;

impl Oracle {
    /// Why no call may be recorded for this object now.
    pub(super) fn forbids(&self, uid: &str, object: &ZenlayerPort, now: u64) -> Option<String> {
        let subject = self.subjects.get(uid)?;
        let record = subject.record.as_ref()?;
        let Some(deleted) = subject.deleted_ms else { return Some("it is not deleted".to_owned()) };
        let policy = object.spec.deletion_policy;
        let asks = match policy {
            DeletionPolicy::Retain => false,
            DeletionPolicy::Destroy => record.action == "DestroyPort",
            DeletionPolicy::Terminate => record.action == "TerminatePort",
            DeletionPolicy::TerminateAndDestroy => true,
        };
        if !asks {
            return Some(format!("its policy is {policy:?} and the call {}", record.action));
        }
        if !object.has_finalizer() {
            return Some("it has no finalizer".to_owned());
        }
        if object.spec.deletion_protection {
            return Some("it is protected".to_owned());
        }
        if now < deleted + self.config.grace_s * 1000 {
            return Some(format!("the grace is not over: it was deleted {} ms ago", now - deleted));
        }
        self.brake(subject, object, now)
            .or_else(|| self.another_port_or_owner(subject, object, now))
            .or_else(|| self.last_look(subject, record, deleted, now))
    }

    /// A call rests on a status check that began after the grace, and not long ago: at some moment since then the port was as
    /// the call needs it.
    fn last_look(&self, subject: &Subject, record: &Record, deleted: u64, now: u64) -> Option<String> {
        let from = self.looks_from(deleted, now);
        let truth = self.ports.get(&subject.port)?;
        let wanted = if record.action == "DestroyPort" { PortStatus::Recycled } else { PortStatus::Running };
        let was = truth.was(from, now, |status, _| status == Some(&wanted));
        (!was).then(|| format!("no status check since the grace can have shown the port as {wanted:?}"))
    }

    /// When the status check began at the earliest that a call of now rests on.
    fn looks_from(&self, deleted: u64, now: u64) -> u64 {
        self.a_moment_before(now).max(deleted + self.config.grace_s * 1000)
    }

    /// A brake that is on, and that nobody has approved to pass.
    fn brake(&self, subject: &Subject, object: &ZenlayerPort, now: u64) -> Option<String> {
        let record = subject.record.as_ref()?;
        let approved = |reason| object::approves(object, reason);
        if self.config.require_approval && !approved(Reason::ApprovalRequired) {
            return Some("nobody has approved it".to_owned());
        }
        let release = object.status.as_ref().and_then(|status| status.release.as_ref());
        if release.is_some_and(|release| release.latched) && !approved(Reason::MassDeletion) {
            return Some("it is held as one of many".to_owned());
        }
        if release.is_some_and(|release| release.crd_deleted) && !approved(Reason::CRDDeleted) {
            return Some("it is held as its kind was deleted".to_owned());
        }
        let with_kind = self.kind_deleted_ms.zip(subject.deleted_ms);
        let until = self.kind_back_ms.unwrap_or(u64::MAX);
        if with_kind
            .is_some_and(|(kind, object)| (kind..=until).contains(&object) && now > kind + KNOWN_AFTER_MS)
            && !approved(Reason::CRDDeleted)
        {
            return Some("it was deleted with its kind".to_owned());
        }
        let threshold = usize::try_from(self.config.mass_deletion_threshold).unwrap_or_default();
        let others = self.subjects.values().filter(|it| it.waits_beside(subject, now)).count();
        if threshold > 0 && others + 1 > threshold && !approved(Reason::MassDeletion) {
            return Some(format!("{others} others of its account wait to be called for too"));
        }
        let truth = self.ports.get(&subject.port)?;
        if record.action == "TerminatePort"
            && subject.terminate_accepted
            && !approved(Reason::RestoredElsewhere)
            && !object::approves_begins(object, Reason::IdentityChanged)
        {
            return Some("Zenlayer has accepted a TerminatePort of this deletion before".to_owned());
        }
        let restored = truth.restored_ms.filter(|at| {
            // Nor does it matter what another port went through that had the id.
            let is_of_it =
                |recycled: u64| recycled < *at && truth.reissued_ms.is_none_or(|other| other < recycled);
            // What is terminated runs, so it was looked at since. What is destroyed may have been restored just now.
            let is_known = record.action == "TerminatePort" || now > at + KNOWN_AFTER_MS;
            is_known && self.seen_in_bin(subject, now).is_some_and(is_of_it)
        });
        if restored.is_some() && !approved(Reason::RestoredElsewhere) {
            return Some("somebody has restored the port that this deletion had seen in the bin".to_owned());
        }
        None
    }

    /// Since when the operator has known that the port was in the bin during this deletion.
    fn seen_in_bin(&self, subject: &Subject, now: u64) -> Option<u64> {
        let lives = |at: &u64| self.is_calm(*at, now);
        subject.recycled_ms.or(subject.shown_in_bin_ms.filter(lives))
    }

    /// Zenlayer tells the holder of this key in time what these ports are like.
    pub fn zenlayer_shows(&mut self, key: &str, ports: &[String], now: u64) -> Vec<Violation> {
        let account = account_of(key);
        let knows = |it: &Subject| {
            let tenant = self.tenants.get(&it.name.namespace);
            let truth = self.ports.get(&it.port);
            it.gone_ms.is_none()
                && it.had_finalizer
                && ports.contains(&it.port)
                && self.account(&it.name.namespace) == account
                && it.deleted_ms.is_some_and(|at| now > at + DELETION_KNOWN_MS && self.is_calm(at, now))
                && tenant.is_some_and(|tenant| !tenant.rotated && !tenant.lacked && !tenant.forged)
                && truth.is_some_and(|it| it.status == Some(PortStatus::Recycled) && it.reissued_ms.is_none())
        };
        let shown = self.subjects.values().filter(|it| knows(it)).map(|it| it.uid.clone());
        for uid in shown.collect::<Vec<_>>() {
            if let Some(subject) = self.subjects.get_mut(&uid) {
                subject.shown_in_bin_ms.get_or_insert(now);
            }
        }
        ports.iter().filter_map(|port| self.read_for_nobody(port, now)).collect()
    }

    /// A port is read, and no object has named it for a while.
    fn read_for_nobody(&self, port: &str, now: u64) -> Option<Violation> {
        let ends: Option<Vec<u64>> =
            self.subjects.values().filter(|it| it.port == port).map(|it| it.gone_ms).collect();
        let last = ends?.into_iter().max()?;
        let is_over = now > last + FORGOTTEN_MS && self.is_calm(last, now);
        is_over.then(|| Violation::new("books closed", format!("{port} is read, and no object names it")))
    }

    fn another_port_or_owner(&self, subject: &Subject, object: &ZenlayerPort, now: u64) -> Option<String> {
        let truth = self.ports.get(&subject.port)?;
        if truth.account != self.account(&subject.name.namespace) {
            return Some(format!("the port is of account {}", truth.account));
        }
        let owned = object.status.as_ref().and_then(|status| status.identity.as_ref()?.created_time.clone());
        let owned: Option<Timestamp> = owned.and_then(|text| text.parse().ok());
        let is = |created: Option<Timestamp>| {
            owned.zip(created).is_none_or(|(owned, created)| same(owned, created))
        };
        let from = self.looks_from(subject.deleted_ms.unwrap_or(now), now);
        let differs = !truth.was(from, now, |_, created| is(created));
        if differs && !subject.consents_to(object, truth.created) {
            return Some("the id is that of another port now".to_owned());
        }
        let mut others = self.subjects.values().filter(|it| it.gone_ms.is_none() && it.uid != subject.uid);
        let staying = others.find(|it| {
            it.port == subject.port
                && self.account(&it.name.namespace) == truth.account
                && it.deleted_ms.is_none()
                && self.is_known_to_own(it, subject, truth.created, now)
        });
        staying.map(|it| format!("{} has the same port and stays", it.name))
    }

    /// Whether the operator must take it for another owner of the port that was made then.
    fn is_known_to_own(&self, it: &Subject, subject: &Subject, created: Option<Timestamp>, now: u64) -> bool {
        match it.owned {
            Some(owned) => owned.created.zip(created).is_none_or(|(owned, created)| same(owned, created)),
            // Of one that has seen no port the key must be the same, or it must have had the time to look.
            None if it.name.namespace == subject.name.namespace => now > it.made_ms + KNOWN_AFTER_MS,
            None => self.must_be_known(it, subject, now),
        }
    }

    /// The operator learns of an object before the deletion of another that came later, and waits until it has looked at its port.
    fn must_be_known(&self, other: &Subject, subject: &Subject, now: u64) -> bool {
        let before = subject.deleted_ms.is_some_and(|deleted| other.made_ms < deleted);
        let can_look = self.tenants.get(&other.name.namespace).is_some_and(|tenant| {
            tenant.has_secret && !tenant.lacked && !tenant.rotated && !tenant.revoked && !tenant.forged
        });
        let from = other.made_ms.saturating_sub(KNOWN_AFTER_MS);
        let fails =
            |it: &Fault| matches!(it.on, On::Zenlayer(_)) && !matches!(it.trouble, Trouble::Slow { .. });
        before
            && can_look
            && self.config.requests_per_second >= 2.0
            && self.is_calm(from, now)
            && !self.is_faulty(from, now, fails)
    }
}

/// Zenlayer tells of whole seconds.
fn same(one: Timestamp, other: Timestamp) -> bool {
    one.as_second() == other.as_second()
}
