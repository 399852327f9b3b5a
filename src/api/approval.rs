//! A person's consent to pass one hold of one object.
//!
//! The value names the object by its uid, so that it can be neither kept in Git nor restored from a backup.

use aws_lc_rs::digest::{SHA256, digest};

use super::{Reason, ZenlayerPort, ZenlayerPortStatus};

/// `<reason>-<first 8 characters of the object's uid>`, several separated by commas. A reason that can occur again names
/// the occurrence too, so that its consent is spent:
///
/// - `RestoredElsewhere-<uid>-<n>`: the n-th restoration of this deletion;
/// - `IdentityChanged-<uid>-<first 8 hexadecimal digits of the SHA-256 of the port's createdTime>`.
pub const APPROVE_ANNOTATION: &str = "sdn.zenlayer.com/approve";

/// An annotation that the operator reads. Of all others nothing is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadAnnotation {
    Approve,
}

impl ReadAnnotation {
    pub const ALL: &[Self] = &[Self::Approve];

    pub fn name(self) -> &'static str {
        match self {
            Self::Approve => APPROVE_ANNOTATION,
        }
    }
}

impl ZenlayerPort {
    /// Whether a person has approved that this very object passes the hold of this reason, as `status` tells it: its
    /// latest restoration, or the port that is there now.
    pub fn approves_given(&self, reason: Reason, status: &ZenlayerPortStatus) -> bool {
        let mut consents = self.consents().peekable();
        if consents.peek().is_none() {
            return false;
        }
        let consent = self.consent_to(reason, status);
        consents.any(|given| consent.as_deref() == Some(given))
    }

    /// The same, by the object's own status: for reasons that do not occur twice.
    pub fn approves(&self, reason: Reason) -> bool {
        self.approves_given(reason, self.status.as_ref().unwrap_or(&ZenlayerPortStatus::default()))
    }

    /// What the annotation must hold to approve; none for an object without a uid, which nobody can approve, and where
    /// there is nothing to approve.
    fn consent_to(&self, reason: Reason, status: &ZenlayerPortStatus) -> Option<String> {
        let uid = self.metadata.uid.as_deref()?.get(..8)?;
        let reason_of_object = format!("{}-{uid}", reason.as_str());
        match reason {
            Reason::RestoredElsewhere => {
                let release = status.release.as_ref().filter(|release| release.restorations > 0)?;
                Some(format!("{reason_of_object}-{}", release.restorations))
            }
            Reason::IdentityChanged => {
                let created_time = status.port.as_ref()?.created_time.as_deref()?;
                Some(format!("{reason_of_object}-{}", short_digest(created_time)))
            }
            _ => Some(reason_of_object),
        }
    }

    fn consents(&self) -> impl Iterator<Item = &str> {
        let annotations = self.metadata.annotations.as_ref();
        let value = annotations.and_then(|annotations| annotations.get(APPROVE_ANNOTATION));
        value.into_iter().flat_map(|value| value.split(',')).map(str::trim)
    }

    /// The value of the annotation that gives consent, those given before included.
    pub fn approval_of(&self, reason: Reason, status: &ZenlayerPortStatus) -> String {
        // Only those that are worth something: whatever else stands there is not to be typed by anybody.
        let given =
            Reason::ALL.iter().filter(|given| **given != reason && self.approves_given(**given, status));
        let consents: Vec<String> =
            given.chain([&reason]).filter_map(|reason| self.consent_to(*reason, status)).collect();
        consents.join(",")
    }

    /// The command that gives it.
    pub(super) fn approve_command(&self, reason: Reason, status: &ZenlayerPortStatus) -> String {
        let namespace = self.metadata.namespace.as_deref().unwrap_or_default();
        let name = self.metadata.name.as_deref().unwrap_or_default();
        let approval = self.approval_of(reason, status);
        format!(
            "kubectl annotate zenlayerport {name} -n {namespace} --overwrite {APPROVE_ANNOTATION}={approval}"
        )
    }
}

/// The first 8 hexadecimal digits of the SHA-256 of `text`.
fn short_digest(text: &str) -> String {
    let mut head = [0; 4];
    head.copy_from_slice(&digest(&SHA256, text.as_bytes()).as_ref()[..4]);
    format!("{:08x}", u32::from_be_bytes(head))
}

#[cfg(test)]
mod tests;
