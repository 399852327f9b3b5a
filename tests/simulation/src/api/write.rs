//! POST, PUT and PATCH.

use std::sync::Arc;

use bytes::Bytes;
use json_patch::{AddOperation, PatchOperation};
use serde_json::{Value, json};

use super::ask::Ask;
use super::failure::{Cause, Failure};
use super::kinds::{Kind, Rules};
use super::object::{
    Object, drop_field, finalizers, is_terminating, meta_text, set_meta, tidy_metadata, version_of,
};
use super::read::shown;
use super::state::{Reply, State};
use super::strategy;

/// The formats of patches that the server knows, and those that the real one lists.
const MERGE: &str = "application/merge-patch+json";
const JSON: &str = "application/json-patch+json";

impl State {
    pub(super) fn create(&mut self, ask: &Ask, object: Value) -> Result<Reply, Failure> {
        let mut object = received(ask, object)?;
        if matches!(ask.kind.rules, Rules::Review) {
            return Ok(review(object));
        }
        for field in ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
            drop_field(&mut object["metadata"], field);
        }
        let version = version_of(&object);
        if meta_text(&object, "name").is_empty() && !meta_text(&object, "generateName").is_empty() {
            let name = format!("{}{}", meta_text(&object, "generateName"), self.outside.suffix());
            set_meta(&mut object, "name", name);
        }
        let name = meta_text(&object, "name").to_owned();
        self.check_lifecycle(ask, &name, true)?;
        self.fill_in(&mut object);
        strategy::prepare_create(&ask.kind, &mut object);
        tidy_metadata(&mut object);
        let causes = strategy::causes_of_create(&ask.kind, &object);
        if !causes.is_empty() {
            return Err(Failure::invalid(ask.kind.error_group(), &ask.kind.kind, &name, &causes));
        }
        check_known(&ask.kind, &object)?;
        self.check_policies(ask, &name, "CREATE")?;
        self.check_quotas(ask, &name)?;
        if version != 0 {
            return Err(Failure::internal("resourceVersion should not be set on objects to be created"));
        }
        let key = ask.key(&name);
        if let Some(found) = self.store.get(&key) {
            return Err(Failure::already_exists(&ask.kind, &name, is_terminating(found.value())));
        }
        let stored = if ask.query.dry_run {
            drop_field(&mut object["metadata"], "resourceVersion");
            Arc::new(Object::new(object))
        } else {
            self.store.put(key, object)
        };
        Ok(Reply::Whole(201, shown(&ask.kind, &stored, ask.metadata_only)))
    }

    /// What the server says of a new object.
    fn fill_in(&mut self, object: &mut Value) {
        let uid = self.outside.uid();
        set_meta(object, "uid", uid);
        set_meta(object, "creationTimestamp", self.outside.time());
    }

    pub(super) fn replace(&mut self, ask: &Ask, name: &str, object: Value) -> Result<Reply, Failure> {
        let given = meta_text(&object, "name");
        if given != name {
            let why = format!("the name of the object ({given}) does not match the name on the URL ({name})");
            return Err(Failure::bad_request(why));
        }
        let object = received(ask, object)?;
        let Some(before) = self.store.get(&ask.key(name)).cloned() else {
            if ask.kind.creates_on_update() && ask.subresource.is_none() {
                return self.create_by_update(ask, name, object);
            }
            return Err(Failure::not_found(&ask.kind, name));
        };
        let (given, found) = (meta_text(&object, "uid"), meta_text(before.value(), "uid"));
        if !given.is_empty() && given != found {
            return Err(Failure::conflict(
                &ask.kind,
                name,
                &wrong_uid(&ask.kind, &ask.key(name).path, given, found),
            ));
        }
        let unconditional = version_of(&object) == 0 && ask.kind.updates_unconditionally();
        self.update(ask, name, &before, object, unconditional)
    }

    fn create_by_update(&mut self, ask: &Ask, name: &str, mut object: Value) -> Result<Reply, Failure> {
        let given = meta_text(&object, "uid");
        if !given.is_empty() {
            return Err(Failure::conflict(
                &ask.kind,
                name,
                &wrong_uid(&ask.kind, &ask.key(name).path, given, ""),
            ));
        }
        drop_field(&mut object["metadata"], "resourceVersion");
        self.create(ask, object)
    }

    pub(super) fn patch(
        &mut self,
        ask: &Ask,
        name: &str,
        format: &str,
        body: &Bytes,
    ) -> Result<Reply, Failure> {
        if format != MERGE && format != JSON {
            return Err(Failure::unknown(&format!("patches of the format {format}")));
        }
        let before = self.store.get(&ask.key(name)).cloned();
        let before = before.ok_or_else(|| Failure::not_found(&ask.kind, name))?;
        let mut object: Value = serde_json::from_slice(&shown(&ask.kind, &before, false)).unwrap_or_default();
        if format == MERGE {
            let patch: Value = serde_json::from_slice(body)
                .map_err(|_| Failure::bad_request("error decoding patch: invalid character"))?;
            json_patch::merge(&mut object, &patch);
        } else {
            let patch: json_patch::Patch = serde_json::from_slice(body)
                .map_err(|_| Failure::bad_request("error decoding patch: json: cannot unmarshal"))?;
            apply(&mut object, patch).map_err(|_| Failure::patch_does_not_fit())?;
        }
        let given = meta_text(&object, "name");
        if given != name {
            let why = format!("the name of the object ({given}) does not match the name on the URL ({name})");
            return Err(Failure::bad_request(why));
        }
        let object = received(ask, object)?;
        self.update(ask, name, &before, object, false)
    }

    /// Stores what follows `before`.
    fn update(
        &mut self,
        ask: &Ask,
        name: &str,
        before: &Arc<Object>,
        mut object: Value,
        unconditional: bool,
    ) -> Result<Reply, Failure> {
        self.check_lifecycle(ask, name, false)?;
        let known = version_of(before.value());
        match version_of(&object) {
            _ if unconditional => {}
            0 => {
                let why = Cause::new(
                    "FieldValueInvalid",
                    "metadata.resourceVersion",
                    "Invalid value: 0: must be specified for an update",
                );
                return Err(Failure::invalid(&ask.kind.group, &ask.kind.plural, name, &[why]));
            }
            version if version != known => return Err(Failure::modified(&ask.kind, name)),
            _ => {}
        }
        strategy::prepare_update(&ask.kind, &mut object, before.value(), ask.is_status());
        tidy_metadata(&mut object);
        set_meta(&mut object, "resourceVersion", known.to_string());
        let causes = strategy::causes_of_update(&ask.kind, &object, before.value(), ask.is_status());
        if !causes.is_empty() {
            return Err(Failure::invalid(ask.kind.error_group(), &ask.kind.kind, name, &causes));
        }
        check_known(&ask.kind, &object)?;
        self.check_policies(ask, name, "UPDATE")?;
        let stored = self.store_update(ask, name, before, object);
        Ok(Reply::Whole(200, shown(&ask.kind, &stored, ask.metadata_only)))
    }

    /// A write that changes nothing is none; one that takes the last finalizer off removes the object.
    fn store_update(&mut self, ask: &Ask, name: &str, before: &Arc<Object>, object: Value) -> Arc<Object> {
        let key = ask.key(name);
        let is_done = is_terminating(before.value())
            && finalizers(&object).is_empty()
            && object["spec"]["finalizers"].as_array().is_none_or(Vec::is_empty);
        if ask.query.dry_run {
            return Arc::new(Object::new(object));
        }
        if is_done {
            self.store.remove(&key);
            self.serve_changed(&ask.kind, Some(before.value()), None);
            return Arc::new(Object::new(object));
        }
        if object == *before.value() {
            return Arc::clone(before);
        }
        let stored = self.store.put(key, object);
        self.serve_changed(&ask.kind, Some(before.value()), Some(stored.value()));
        stored
    }

    /// A definition that has changed changes what is served, once it was served.
    pub(super) fn serve_changed(&mut self, kind: &Kind, before: Option<&Value>, now: Option<&Value>) {
        if matches!(kind.rules, Rules::Definition) && before.is_some_and(super::controllers::is_established) {
            self.serve(before, now);
        }
    }
}

/// What this server would have to understand to store the object, and does not.
fn check_known(kind: &Kind, object: &Value) -> Result<(), Failure> {
    match kind.rules {
        Rules::Definition => match super::schema::Schema::unknown_rule(&object["spec"]["versions"]) {
            Some(rule) => Err(Failure::unknown(&format!("the rule {rule}"))),
            None => Ok(()),
        },
        Rules::Policy => super::admission::check_policy(object),
        _ => Ok(()),
    }
}

/// The object as it came, with the namespace of the path. Refused if it says it is of another kind or namespace.
fn received(ask: &Ask, mut object: Value) -> Result<Value, Failure> {
    let version = ask.kind.api_version();
    let said = object["apiVersion"].as_str().unwrap_or(&version).to_owned();
    if said != version {
        let why = format!(
            "the API version in the data ({said}) does not match the expected API version ({version})"
        );
        return Err(Failure::bad_request(why));
    }
    object["apiVersion"] = json!(version);
    object["kind"] = json!(ask.kind.kind);
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    if let Some(namespace) = &ask.namespace {
        let said = meta_text(&object, "namespace");
        if !said.is_empty() && said != namespace {
            let why = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Failure::bad_request(why));
        }
        set_meta(&mut object, "namespace", namespace.clone());
    }
    Ok(object)
}

/// As the real server does it: a `replace` of a field that is not there adds it.
fn apply(object: &mut Value, patch: json_patch::Patch) -> Result<(), json_patch::PatchError> {
    for operation in patch.0 {
        let operation = match operation {
            PatchOperation::Replace(replace) if is_new_field(object, &replace.path.to_string()) => {
                PatchOperation::Add(AddOperation { path: replace.path, value: replace.value })
            }
            other => other,
        };
        json_patch::patch(object, &[operation])?;
    }
    Ok(())
}

fn is_new_field(object: &Value, path: &str) -> bool {
    let parent = path.rsplit_once('/').and_then(|(parent, _)| object.pointer(parent));
    parent.is_some_and(Value::is_object) && object.pointer(path).is_none()
}

/// The real server's store says so.
fn wrong_uid(kind: &Kind, path: &str, given: &str, found: &str) -> String {
    let key = kind.storage_key(path);
    format!(
        "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: \
         UID in precondition: {given}, UID in object meta: {found}"
    )
}

/// There is no RBAC: everybody may do everything.
fn review(mut review: Value) -> Reply {
    review["status"] = json!({ "allowed": true });
    tidy_metadata(&mut review);
    Reply::Whole(201, Bytes::from(review.to_string()))
}
