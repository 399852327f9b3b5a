//! How names must be formed.

use serde_json::{Value, json};

use super::failure::Cause;
use super::kinds::{Kind, Rules};
use super::object::{finalizers, meta, meta_text};

pub(super) const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

pub(super) const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

pub(super) const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

pub(super) const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

/// What is wrong with the metadata of an object that is to be made.
pub(super) fn causes(kind: &Kind, object: &Value) -> Vec<Cause> {
    let name = meta_text(object, "name");
    let mut causes = Vec::new();
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
    } else if let Some(why) = wrong_name(kind, name) {
        causes.push(Cause::invalid("metadata.name", &json!(name), &why));
    }
    causes.extend(causes_of_texts(object));
    causes
}

fn wrong_name(kind: &Kind, name: &str) -> Option<String> {
    match kind.rules {
        Rules::Namespace if name.len() > 63 => Some("must be no more than 63 bytes".to_owned()),
        Rules::Namespace if !is_label(name) => Some(LABEL.to_owned()),
        Rules::Namespace => None,
        _ if name.len() > 253 => Some("must be no more than 253 bytes".to_owned()),
        _ if !name.split('.').all(is_label) => Some(SUBDOMAIN.to_owned()),
        _ => None,
    }
}

/// Labels and finalizers must be well formed in every write.
pub(super) fn causes_of_texts(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (key, value) in meta(object, "labels").as_object().into_iter().flatten() {
        if !is_qualified(key) {
            causes.push(Cause::invalid("metadata.labels", &json!(key), QUALIFIED));
        }
        let text = value.as_str().unwrap_or_default();
        if !text.is_empty() && !is_word(text) {
            causes.push(Cause::invalid("metadata.labels", value, LABEL_VALUE));
        }
    }
    for finalizer in finalizers(object) {
        if !is_qualified(finalizer) {
            causes.push(Cause::invalid("metadata.finalizers", &json!(finalizer), QUALIFIED));
        }
    }
    causes
}

fn is_label(text: &str) -> bool {
    let inner = |one: char| one.is_ascii_lowercase() || one.is_ascii_digit();
    text.starts_with(inner) && text.ends_with(inner) && text.chars().all(|one| inner(one) || one == '-')
}

fn is_word(text: &str) -> bool {
    let outer = |one: char| one.is_ascii_alphanumeric();
    text.len() <= 63
        && text.starts_with(outer)
        && text.ends_with(outer)
        && text.chars().all(|one| outer(one) || "-_.".contains(one))
}

fn is_qualified(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => prefix.split('.').all(is_label) && is_word(name),
        None => is_word(text),
    }
}
