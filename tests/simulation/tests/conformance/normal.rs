//! Makes the answers of two servers comparable: versions, uids and times differ from run to run, and nothing else may.
//!
//! - The version of an object becomes its place among the versions of the scene: `v3`. The version of a list or of a
//!   bookmark becomes the last of these that it includes: `as of v3`.
//! - A uid becomes a name, in the order of appearance.
//! - A time that the script did not give becomes `now`, and says how fine it is.
//! - The token of a page becomes `token`. Managed fields go.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The times of the script are older than this; those of servers are not.
const SCRIPT: &str = "2025";

pub fn normalised(mut answers: Vec<Value>) -> Vec<Value> {
    let mut known = Known::default();
    for answer in &answers {
        known.collect(answer);
    }
    let order = known.versions.iter().zip(1..).map(|(version, number)| (*version, number)).collect();
    let names = Names { versions: order, uids: known.uids };
    for answer in &mut answers {
        names.rename(answer, false);
    }
    answers
}

#[derive(Default)]
struct Known {
    versions: BTreeSet<u64>,
    uids: BTreeMap<String, usize>,
}

impl Known {
    fn collect(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => {
                let version =
                    fields.get("metadata").and_then(|metadata| metadata["resourceVersion"].as_str());
                if let (Some(Ok(version)), false) = (version.map(str::parse), is_of_many(value)) {
                    self.versions.insert(version);
                }
                if let Some(uid) = fields.get("uid").and_then(Value::as_str) {
                    let next = self.uids.len() + 1;
                    self.uids.entry(uid.to_owned()).or_insert(next);
                }
                fields.values().for_each(|value| self.collect(value));
            }
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            _ => {}
        }
    }
}

/// A list, or a bookmark: its version is not that of an object.
fn is_of_many(value: &Value) -> bool {
    let Some(fields) = value.as_object() else { return false };
    let metadata = fields.get("metadata").and_then(Value::as_object);
    fields.contains_key("items") || metadata.is_some_and(|metadata| !metadata.contains_key("name"))
}

struct Names {
    versions: BTreeMap<u64, usize>,
    uids: BTreeMap<String, usize>,
}

impl Names {
    fn rename(&self, value: &mut Value, of_many: bool) {
        let is_of_many = is_of_many(value);
        match value {
            Value::Object(fields) => {
                fields.remove("managedFields");
                for (key, value) in fields.iter_mut() {
                    match (key.as_str(), value.as_str()) {
                        ("step", _) => {}
                        ("resourceVersion", Some(version)) => *value = self.version(version, of_many).into(),
                        ("continue", Some(token)) if !token.is_empty() => *value = "token".into(),
                        (_, Some(text)) => *value = self.text(text).into(),
                        ("metadata", None) => self.rename(value, is_of_many),
                        _ => self.rename(value, false),
                    }
                }
            }
            Value::Array(items) => {
                for item in items {
                    match item.as_str() {
                        Some(text) => *item = self.text(text).into(),
                        None => self.rename(item, false),
                    }
                }
            }
            _ => {}
        }
    }

    fn version(&self, text: &str, of_many: bool) -> String {
        let Ok(version) = text.parse::<u64>() else { return text.to_owned() };
        if of_many {
            let last = self.versions.range(..=version).next_back().map_or(0, |(_, number)| *number);
            return format!("as of v{last}");
        }
        self.versions.get(&version).map_or_else(|| text.to_owned(), |number| format!("v{number}"))
    }

    fn text(&self, text: &str) -> String {
        if let Some(time) = time(text) {
            return time;
        }
        let mut text = text.to_owned();
        for (uid, number) in &self.uids {
            text = text.replace(uid.as_str(), &format!("uid-{number}"));
        }
        for (before, after) in [("current: ", ""), ("too old resource version: 1 (", ")")] {
            if let Some(start) = text.find(before).map(|start| start + before.len()) {
                let end = text[start..]
                    .find(|one: char| !one.is_ascii_digit())
                    .map_or(text.len(), |end| start + end);
                if text[end..].starts_with(after) {
                    text.replace_range(start..end, "now");
                }
            }
        }
        self.versions_within(&text)
    }

    /// Numbers of three digits and more that are versions.
    fn versions_within(&self, text: &str) -> String {
        let mut renamed = String::new();
        let mut rest = text;
        while let Some(start) = rest.find(|one: char| one.is_ascii_digit()) {
            let length = rest[start..].find(|one: char| !one.is_ascii_digit()).unwrap_or(rest.len() - start);
            let digits = &rest[start..start + length];
            let is_apart = !rest[..start].ends_with(|one: char| one.is_alphanumeric() || one == '-');
            let number = digits.parse().ok().and_then(|version: u64| self.versions.get(&version));
            renamed.push_str(&rest[..start]);
            let number = number.filter(|_| length >= 3 && is_apart);
            renamed += &number.map_or_else(|| digits.to_owned(), |number| format!("v{number}"));
            rest = &rest[start + length..];
        }
        renamed + rest
    }
}

/// What a time of a server becomes.
fn time(text: &str) -> Option<String> {
    let is_time = text.len() >= 20 && text.as_bytes()[10] == b'T' && text.ends_with('Z');
    if !is_time || text < SCRIPT || text.parse::<jiff::Timestamp>().is_err() {
        return None;
    }
    let fraction = text.split_once('.').map_or(0, |(_, fraction)| fraction.len() - 1);
    Some(if fraction == 0 { "now".to_owned() } else { format!("now, with {fraction} digits") })
}
