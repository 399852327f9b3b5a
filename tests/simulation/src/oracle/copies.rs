//! The copies of Secrets in the operator's own namespace, as the API server has them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::object::Subject;
use super::{Change, Oracle, Violation};

const OF_NAMESPACE: &str = "sdn.zenlayer.com/copy-of-namespace";
const OF_NAMESPACE_UID: &str = "sdn.zenlayer.com/copy-of-namespace-uid";

/// Secrets, copies of them, and namespaces.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// By the namespace that it is of.
    copies: BTreeMap<String, Value>,
    /// The key id in each tenant's Secret.
    keys: BTreeMap<String, String>,
    /// The uid of each namespace.
    namespaces: BTreeMap<String, String>,
}

impl Kept {
    pub(super) fn see(&mut self, change: &Change<'_>) {
        let object = change.after.or(change.before);
        match change.place {
            "namespaces" => {
                let uid = change.after.and_then(|it| it["metadata"]["uid"].as_str());
                self.namespaces.remove(change.path);
                self.namespaces.extend(uid.map(|uid| (change.path.to_owned(), uid.to_owned())));
            }
            "secrets" => {
                let copy_of = object.and_then(|it| it["metadata"]["annotations"][OF_NAMESPACE].as_str());
                if let Some(namespace) = copy_of {
                    self.copies.remove(namespace);
                    self.copies.extend(change.after.map(|copy| (namespace.to_owned(), copy.clone())));
                } else if let Some(namespace) = change.path.strip_suffix("/zenlayer") {
                    let key = change.after.and_then(|it| it["data"]["accessKeyId"].as_str());
                    self.keys.remove(namespace);
                    self.keys.extend(key.map(|key| (namespace.to_owned(), key.to_owned())));
                }
            }
            _ => {}
        }
    }

    /// Why the copy would not serve if the namespace were deleted now.
    fn lacks(&self, namespace: &str) -> Option<String> {
        let key = self.keys.get(namespace)?;
        let Some(copy) = self.copies.get(namespace) else {
            return Some("no copy of its Secret is kept".to_owned());
        };
        let holds =
            copy["data"].as_object().into_iter().flatten().any(|(_, value)| value.as_str() == Some(key));
        if !holds {
            return Some("the copy of its Secret holds another key".to_owned());
        }
        let uid = self.namespaces.get(namespace).map(String::as_str);
        let made_for = copy["metadata"]["annotations"][OF_NAMESPACE_UID].as_str();
        (uid != made_for).then(|| "the copy of its Secret is for an earlier namespace of the name".to_owned())
    }
}

impl Oracle {
    /// At the end: each object that lives is protected against the deletion of its namespace, and nothing is kept for nobody.
    pub(super) fn wrong_copies(&self) -> Vec<Violation> {
        if !self.config.keep_copies {
            return Vec::new();
        }
        let lives = |subject: &&Subject| {
            subject.deleted_ms.is_none() && subject.has_finalizer && self.is_reachable(subject)
        };
        let unprotected = self.left().filter(lives).filter(|_| self.config.most_copies.is_none());
        let unprotected = unprotected
            .filter_map(|it| self.kept.lacks(&it.name.namespace).map(|why| (it, why)))
            .map(|(it, why)| Violation::new("no leak", format!("{it} is alive, and {why}")));
        let used = |namespace: &str| self.left().any(|it| it.name.namespace == namespace);
        let useless =
            self.kept.copies.keys().filter(|namespace| self.kind_is_served && !used(namespace)).map(
                |namespace| {
                    let what = format!("a copy of the Secret of {namespace} is kept, and no object uses it");
                    Violation::new("books closed", what)
                },
            );
        unprotected.chain(useless).collect()
    }
}
