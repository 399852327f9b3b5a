//! A person's consent to pass one hold of one object.
//!
//! The value names the object by its uid, so that it can be neither kept in Git nor restored from a backup.

use super::{Reason, ZenlayerPort};

/// `<reason>-<first 8 characters of the object's uid>`, several separated by commas.
pub const APPROVE_ANNOTATION: &str = "sdn.zenlayer.com/approve";

impl ZenlayerPort {
    /// Whether a person has consented to pass the hold of this reason of this very object.
    pub fn approves(&self, reason: Reason) -> bool {
        let consent = self.consent_to(reason);
        self.consents().any(|given| consent.as_deref() == Some(given))
    }

    /// What the annotation must hold to approve; none for an object without a uid, which nobody can approve.
    fn consent_to(&self, reason: Reason) -> Option<String> {
        let uid = self.metadata.uid.as_deref()?.get(..8)?;
        Some(format!("{}-{uid}", reason.as_str()))
    }

    fn consents(&self) -> impl Iterator<Item = &str> {
        let annotations = self.metadata.annotations.as_ref();
        let value = annotations.and_then(|annotations| annotations.get(APPROVE_ANNOTATION));
        value.into_iter().flat_map(|value| value.split(',')).map(str::trim)
    }

    /// The command that gives consent, those given before included.
    pub(super) fn approve_command(&self, reason: Reason) -> String {
        let namespace = self.metadata.namespace.as_deref().unwrap_or_default();
        let name = self.metadata.name.as_deref().unwrap_or_default();
        // Only those that are worth something: whatever else stands there is not to be typed by anybody.
        let given = Reason::ALL.iter().filter(|given| **given != reason && self.approves(**given));
        let consents: Vec<String> =
            given.chain([&reason]).filter_map(|reason| self.consent_to(*reason)).collect();
        format!(
            "kubectl annotate zenlayerport {name} -n {namespace} --overwrite {APPROVE_ANNOTATION}={}",
            consents.join(",")
        )
    }
}

/// The command that approves this hold of all objects of a namespace that are latched: it asks for them when it is typed,
/// so that it is no longer for a thousand than for one.
pub(super) fn approve_all_command(reason: Reason, namespace: &str) -> String {
    format!(
        "kubectl get zenlayerports -n {namespace} -o go-template='{{{{range $o := .items}}}}{{{{with $o.status}}}}\
         {{{{with .release}}}}{{{{if .latched}}}}kubectl annotate zenlayerport {{{{$o.metadata.name}}}} -n {namespace} --overwrite \
         {APPROVE_ANNOTATION}={}-{{{{slice $o.metadata.uid 0 8}}}}{{{{\"\\n\"}}}}{{{{end}}}}{{{{end}}}}{{{{end}}}}{{{{end}}}}' | sh",
        reason.as_str()
    )
}

#[cfg(test)]
mod tests;
