//! DELETE: marks what has finalizers, removes what has none.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::ask::Ask;
use super::failure::Failure;
use super::kinds::{Kind, Rules};
use super::object::{Object, finalizers, is_terminating, meta, meta_text, set_meta};
use super::read::shown;
use super::state::{Reply, State};
use super::store::Key;
use super::strategy::CLEANUP;

/// Namespaces that stay.
const IMMORTAL: [&str; 3] = ["default", "kube-public", "kube-system"];

impl State {
    pub(super) fn delete(&mut self, ask: &Ask, name: &str, options: &Value) -> Result<Reply, Failure> {
        check_options(options)?;
        let key = ask.key(name);
        if matches!(ask.kind.rules, Rules::Namespace) && IMMORTAL.contains(&name) {
            return Err(Failure::forbidden(&ask.kind, name, "this namespace may not be deleted"));
        }
        let before = self.store.get(&key).cloned().ok_or_else(|| Failure::not_found(&ask.kind, name))?;
        check_preconditions(&ask.kind, name, before.value(), &options["preconditions"])?;
        self.check_policies(ask, name, "DELETE")?;
        if ask.query.dry_run || options["dryRun"].as_array().is_some_and(|given| !given.is_empty()) {
            return Err(Failure::unknown("how to rehearse a deletion"));
        }
        Ok(match self.remove_or_mark(&ask.kind, &key, &before) {
            Some(marked) => Reply::Whole(200, shown(&ask.kind, &marked, ask.metadata_only)),
            None => Reply::Whole(200, removed(&ask.kind, before.value())),
        })
    }

    /// The object as it is marked; none if it is gone.
    pub(super) fn remove_or_mark(
        &mut self,
        kind: &Kind,
        key: &Key,
        before: &Arc<Object>,
    ) -> Option<Arc<Object>> {
        let keeps = match kind.rules {
            Rules::Namespace => {
                before.value()["spec"]["finalizers"].as_array().is_some_and(|all| !all.is_empty())
            }
            Rules::Definition => !is_terminating(before.value()),
            _ => false,
        };
        if !keeps && finalizers(before.value()).is_empty() {
            self.store.remove(key);
            self.serve_changed(kind, Some(before.value()), None);
            return None;
        }
        let mut object = before.value().clone();
        if is_terminating(before.value()) {
            let has_grace = !meta(&object, "deletionGracePeriodSeconds").is_null();
            if has_grace || !matches!(kind.rules, Rules::Definition) {
                return Some(Arc::clone(before));
            }
            set_meta(&mut object, "deletionGracePeriodSeconds", 0);
            return Some(self.store.put(key.clone(), object));
        }
        set_meta(&mut object, "deletionTimestamp", self.outside.time());
        match kind.rules {
            Rules::Namespace => object["status"]["phase"] = json!("Terminating"),
            Rules::Definition => self.mark_definition(&mut object),
            _ => set_meta(&mut object, "deletionGracePeriodSeconds", 0),
        }
        let generation = meta(&object, "generation").as_i64().unwrap_or_default();
        if generation > 0 && !matches!(kind.rules, Rules::Definition) {
            set_meta(&mut object, "generation", generation + 1);
        }
        let stored = self.store.put(key.clone(), object);
        self.serve_changed(kind, Some(before.value()), Some(stored.value()));
        Some(stored)
    }

    fn mark_definition(&self, definition: &mut Value) {
        let mut kept: Vec<Value> = finalizers(definition).into_iter().map(|name| json!(name)).collect();
        if !kept.contains(&json!(CLEANUP)) {
            kept.push(json!(CLEANUP));
        }
        set_meta(definition, "finalizers", kept);
        let condition = json!({
            "type": "Terminating", "status": "True", "lastTransitionTime": self.outside.time(),
            "reason": "InstanceDeletionPending",
            "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        });
        match definition["status"]["conditions"].as_array_mut() {
            Some(conditions) => conditions.push(condition),
            None => definition["status"]["conditions"] = json!([condition]),
        }
    }
}

/// What the server would have to do otherwise, and cannot.
fn check_options(options: &Value) -> Result<(), Failure> {
    match options["propagationPolicy"].as_str() {
        None | Some("Background") => {}
        Some(policy) => return Err(Failure::unknown(&format!("the propagation policy {policy}"))),
    }
    match options["gracePeriodSeconds"].as_i64() {
        // No kind here has a grace period of its own.
        None | Some(_) => Ok(()),
    }
}

fn check_preconditions(kind: &Kind, name: &str, object: &Value, wanted: &Value) -> Result<(), Failure> {
    for (field, word, end) in
        [("uid", "UID", "deleted and then recreated"), ("resourceVersion", "ResourceVersion", "modified")]
    {
        let (Some(wanted), found) = (wanted[field].as_str(), meta_text(object, field)) else { continue };
        if wanted == found {
            continue;
        }
        if matches!(kind.rules, Rules::Namespace | Rules::Definition) {
            let why = format!(
                "Precondition failed: {word} in precondition: {wanted}, {word} in object meta: {found}"
            );
            return Err(Failure::conflict(kind, name, &why));
        }
        let why = format!(
            "the {word} in the precondition ({wanted}) does not match the {word} in record ({found}). The object \
             might have been {end}"
        );
        return Err(Failure::precondition(kind, name, &why));
    }
    Ok(())
}

fn removed(kind: &Kind, object: &Value) -> Bytes {
    let mut details = json!({
        "name": meta_text(object, "name"), "kind": kind.plural, "uid": meta_text(object, "uid"),
    });
    if !kind.group.is_empty() {
        details["group"] = json!(kind.group);
    }
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
    });
    Bytes::from(status.to_string())
}
