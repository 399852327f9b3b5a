//! What is particular about each kind: what a write may change, what is filled in, what is refused.

use serde_json::{Value, json};

use super::failure::Cause;
use super::kinds::{Kind, Rules};
use super::names;
use super::object::{drop_field, finalizers, is_terminating, keep_meta, meta, meta_text};

/// The names that the core group and `events.k8s.io` have for the same fields of an Event.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// The finalizer that keeps a definition until its objects are gone.
pub(super) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// The Event as the core group shows it.
pub(super) fn as_core_event(event: &Value) -> Value {
    let mut event = event.clone();
    event["apiVersion"] = json!("v1");
    for (core, new) in EVENT_FIELDS {
        rename(&mut event, new, core);
    }
    event
}

/// The Event as it is stored.
fn as_new_event(event: &mut Value) {
    event["apiVersion"] = json!("events.k8s.io/v1");
    for (core, new) in EVENT_FIELDS {
        rename(event, core, new);
    }
}

fn rename(object: &mut Value, from: &str, to: &str) {
    let Some(fields) = object.as_object_mut() else { return };
    if let Some(value) = fields.remove(from) {
        fields.insert(to.to_owned(), value);
    }
}

/// Fills in and drops what a kind does by itself, at every write.
fn complete(kind: &Kind, object: &mut Value) {
    if !matches!(kind.rules, Rules::Custom { .. }) {
        drop_nulls(object);
    }
    match &kind.rules {
        Rules::Custom { schema, .. } => schema.complete(object),
        Rules::Secret => complete_secret(object),
        Rules::Event { core } => {
            if *core {
                as_new_event(object);
            }
            for (field, empty) in
                [("deprecatedFirstTimestamp", Value::Null), ("deprecatedLastTimestamp", Value::Null)]
            {
                if object[field].is_null() {
                    object[field] = empty;
                }
            }
            if object["deprecatedSource"].is_null() {
                object["deprecatedSource"] = json!({});
            }
        }
        Rules::Lease if object["spec"].is_null() => object["spec"] = json!({}),
        Rules::Namespace => {
            let name = meta_text(object, "name").to_owned();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(name);
        }
        Rules::Definition => complete_definition(object),
        Rules::Quota if object["spec"].is_null() => object["spec"] = json!({}),
        _ => {}
    }
}

/// The kinds of the server's own take null for nothing.
fn drop_nulls(value: &mut Value) {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
        fields.values_mut().for_each(drop_nulls);
    }
}

fn complete_secret(secret: &mut Value) {
    if let Some(Value::Object(texts)) = secret.as_object_mut().and_then(|fields| fields.remove("stringData"))
    {
        use base64::Engine as _;
        for (key, text) in texts {
            let bytes = text.as_str().unwrap_or_default();
            secret["data"][key] = json!(base64::engine::general_purpose::STANDARD.encode(bytes));
        }
    }
    if secret["type"].as_str().unwrap_or_default().is_empty() {
        secret["type"] = json!("Opaque");
    }
    if secret["data"].as_object().is_none_or(serde_json::Map::is_empty) {
        drop_field(secret, "data");
    }
}

fn complete_definition(definition: &mut Value) {
    let kind = definition["spec"]["names"]["kind"].as_str().unwrap_or_default().to_owned();
    let names = &mut definition["spec"]["names"];
    if names["listKind"].is_null() {
        names["listKind"] = json!(format!("{kind}List"));
    }
    if names["singular"].is_null() {
        names["singular"] = json!(kind.to_lowercase());
    }
    if definition["spec"]["conversion"].is_null() {
        definition["spec"]["conversion"] = json!({ "strategy": "None" });
    }
}

/// Makes what somebody sent into the object to be stored.
pub(super) fn prepare_create(kind: &Kind, object: &mut Value) {
    complete(kind, object);
    if kind.has_generation() {
        object["metadata"]["generation"] = json!(1);
    }
    match &kind.rules {
        Rules::Custom { schema, .. } if schema.has_status => drop_field(object, "status"),
        Rules::Namespace => {
            object["spec"]["finalizers"] = json!(["kubernetes"]);
            object["status"] = json!({ "phase": "Active" });
        }
        Rules::Definition => {
            let stored = object["spec"]["versions"].as_array().into_iter().flatten();
            let stored = stored.filter(|version| version["storage"] == Value::Bool(true));
            let stored: Vec<&Value> = stored.map(|version| &version["name"]).collect();
            object["status"] = json!({
                "conditions": null, "acceptedNames": { "plural": "", "kind": "" }, "storedVersions": stored,
            });
        }
        Rules::Quota | Rules::Policy => object["status"] = json!({}),
        _ => {}
    }
}

/// Makes what somebody sent into the object to be stored after `before`: with the old status, or with nothing but a new one.
pub(super) fn prepare_update(kind: &Kind, object: &mut Value, before: &Value, status: bool) {
    complete(kind, object);
    if status {
        let new = object["status"].clone();
        *object = before.clone();
        if new.is_null() { drop_field(object, "status") } else { object["status"] = new }
    } else if kind.has_status() {
        if before["status"].is_null() {
            drop_field(object, "status");
        } else {
            object["status"] = before["status"].clone();
        }
        if matches!(kind.rules, Rules::Namespace) {
            object["spec"] = before["spec"].clone();
        }
    }
    if meta_text(object, "uid").is_empty() {
        keep_meta(before, object, "uid");
    }
    for field in ["creationTimestamp", "generation"] {
        keep_meta(before, object, field);
    }
    if is_terminating(before) {
        keep_meta(before, object, "deletionTimestamp");
    }
    if meta(object, "deletionGracePeriodSeconds").is_null() {
        keep_meta(before, object, "deletionGracePeriodSeconds");
    }
    if kind.has_generation() && !status && differs_beyond_metadata(object, before) {
        let generation = meta(before, "generation").as_i64().unwrap_or_default();
        object["metadata"]["generation"] = json!(generation + 1);
    }
}

fn differs_beyond_metadata(object: &Value, before: &Value) -> bool {
    let other = |value: &Value| {
        let mut value = value.clone();
        drop_field(&mut value, "metadata");
        value
    };
    other(object) != other(before)
}

/// What is wrong with an object that is to be made.
pub(super) fn causes_of_create(kind: &Kind, object: &Value) -> Vec<Cause> {
    let mut causes = names::causes(kind, object);
    check(kind, object, None, &mut causes);
    causes
}

/// What is wrong with a change.
pub(super) fn causes_of_update(kind: &Kind, object: &Value, before: &Value, status: bool) -> Vec<Cause> {
    let mut causes = Vec::new();
    if is_terminating(before) {
        let old = finalizers(before);
        let mut new: Vec<&str> = finalizers(object).into_iter().filter(|name| !old.contains(name)).collect();
        new.sort_unstable();
        if !new.is_empty() {
            let new: Vec<String> = new.iter().map(|name| format!("{name:?}")).collect();
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers \
                 []string{{{}}}",
                new.join(", ")
            );
            causes.push(Cause::forbidden("metadata.finalizers", &why));
        }
    }
    for field in ["name", "namespace", "uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        if meta(object, field) != meta(before, field) {
            causes.push(Cause::invalid(
                format!("metadata.{field}"),
                meta(object, field),
                "field is immutable",
            ));
        }
    }
    causes.extend(names::causes_of_texts(object));
    // The real server looks at the metadata twice, and says so.
    causes.extend(causes.clone());
    match &kind.rules {
        Rules::Custom { schema, .. } if status => schema.check_status(object, Some(before), &mut causes),
        _ => check(kind, object, Some(before), &mut causes),
    }
    causes
}

fn check(kind: &Kind, object: &Value, before: Option<&Value>, causes: &mut Vec<Cause>) {
    match &kind.rules {
        Rules::Custom { schema, .. } => schema.check(object, before, causes),
        Rules::Lease => causes.extend(lease_causes(object)),
        Rules::Secret => causes.extend(secret_causes(object, before)),
        Rules::Event { core: false } if before.is_none() => causes.extend(event_causes(object)),
        _ => {}
    }
}

fn lease_causes(lease: &Value) -> Vec<Cause> {
    let bounds = [
        ("leaseDurationSeconds", 1, "must be greater than 0"),
        ("leaseTransitions", 0, "must be greater than or equal to 0"),
    ];
    let wrong = bounds.into_iter().filter_map(|(field, least, why)| {
        let value = &lease["spec"][field];
        let is_wrong = value.as_i64().is_some_and(|number| number < least);
        is_wrong.then(|| Cause::invalid(format!("spec.{field}"), value, why))
    });
    wrong.collect()
}

fn secret_causes(secret: &Value, before: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    for key in secret["data"].as_object().into_iter().flatten().map(|(key, _)| key) {
        if !key.chars().all(|one| one.is_ascii_alphanumeric() || "-_.".contains(one)) {
            causes.push(Cause::invalid(format!("data[{key}]"), &json!(key), names::CONFIG_KEY));
        }
    }
    let Some(before) = before else { return causes };
    if secret["type"] != before["type"] {
        causes.push(Cause::invalid("type", &secret["type"], "field is immutable"));
    }
    if before["immutable"] == Value::Bool(true) && secret["data"] != before["data"] {
        causes.push(Cause::forbidden("data", "field is immutable when `immutable` is set"));
    }
    causes
}

/// What the newer API of Events demands.
fn event_causes(event: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for field in ["reportingController", "reportingInstance", "action", "reason"] {
        if event[field].as_str().unwrap_or_default().is_empty() {
            causes.push(Cause::required(field, ""));
            if field == "reportingController" {
                causes.push(Cause::invalid(field, &json!(""), "name part must be non-empty"));
                causes.push(Cause::invalid(field, &json!(""), names::QUALIFIED));
            }
        }
    }
    if event["eventTime"].is_null() {
        causes.push(Cause::required("eventTime", ""));
    }
    if !matches!(event["type"].as_str(), Some("Normal" | "Warning")) {
        let why = format!("has invalid value: {}", event["type"].as_str().unwrap_or_default());
        causes.push(Cause::invalid("type", &json!(""), &why));
    }
    let note = event["note"].as_str().unwrap_or_default();
    if note.len() > 1024 {
        causes.push(Cause::invalid("message", &json!(""), "can have at most 1024 characters"));
    }
    causes
}
