//! An object as it is stored: its JSON, and the text of it, which is written once for all who read it.

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Value, json};

#[derive(Debug)]
pub(crate) struct Object {
    value: Value,
    text: OnceLock<Bytes>,
}

impl Object {
    pub(super) fn new(value: Value) -> Self {
        Self { value, text: OnceLock::new() }
    }

    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    pub(super) fn text(&self) -> &Bytes {
        self.text.get_or_init(|| Bytes::from(self.value.to_string()))
    }
}

/// A field of the metadata.
pub(super) fn meta<'a>(object: &'a Value, field: &str) -> &'a Value {
    &object["metadata"][field]
}

/// A field of the metadata that is text; empty if there is none.
pub(super) fn meta_text<'a>(object: &'a Value, field: &str) -> &'a str {
    meta(object, field).as_str().unwrap_or_default()
}

pub(super) fn version_of(object: &Value) -> u64 {
    meta_text(object, "resourceVersion").parse().unwrap_or_default()
}

pub(super) fn set_meta(object: &mut Value, field: &str, value: impl Into<Value>) {
    object["metadata"][field] = value.into();
}

/// Takes a field out of the metadata, or out of the object.
pub(super) fn drop_field(parent: &mut Value, field: &str) {
    if let Some(parent) = parent.as_object_mut() {
        parent.remove(field);
    }
}

pub(super) fn is_terminating(object: &Value) -> bool {
    !meta(object, "deletionTimestamp").is_null()
}

pub(super) fn finalizers(object: &Value) -> Vec<&str> {
    meta(object, "finalizers").as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Copies a field of the metadata from one object to another; takes it out if the first has none.
pub(super) fn keep_meta(from: &Value, to: &mut Value, field: &str) {
    match meta(from, field) {
        Value::Null => drop_field(&mut to["metadata"], field),
        value => set_meta(to, field, value.clone()),
    }
}

/// Empty lists, maps and texts of the metadata are not stored; nor are fields that are null.
pub(super) fn tidy_metadata(object: &mut Value) {
    let Some(metadata) = object["metadata"].as_object_mut() else { return };
    metadata.retain(|_, value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    });
    metadata.remove("managedFields");
    metadata.remove("selfLink");
}

/// `PartialObjectMetadata`: all that those see who do not need the rest.
pub(super) fn metadata_only(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
    })
}
