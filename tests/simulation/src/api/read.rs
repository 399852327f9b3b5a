//! GET: an object, a page of a list.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{BufMut as _, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ask::Ask;
use super::failure::Failure;
use super::kinds::{Kind, Rules};
use super::object::{Object, metadata_only};
use super::state::State;
use super::store::{Key, Objects};
use super::strategy::as_core_event;

/// Where the next page begins: the real server's own format.
#[derive(Deserialize, Serialize)]
struct Token {
    v: String,
    rv: i64,
    start: String,
}

impl Token {
    fn encode(version: i64, start: &str) -> String {
        let token = Self { v: "meta.k8s.io/v1".to_owned(), rv: version, start: start.to_owned() };
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&token).unwrap_or_default())
    }

    fn decode(text: &str) -> Result<Self, Failure> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let token = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        token.ok_or_else(|| Failure::bad_request("continue key is not valid"))
    }
}

impl State {
    pub(super) fn get(&self, ask: &Ask, name: &str) -> Result<Bytes, Failure> {
        self.check_version(ask)?;
        let object = self.store.get(&ask.key(name)).ok_or_else(|| Failure::not_found(&ask.kind, name))?;
        Ok(shown(&ask.kind, object, ask.metadata_only))
    }

    pub(super) fn list(&self, ask: &Ask) -> Result<Bytes, Failure> {
        self.check_version(ask)?;
        check_selectors(ask)?;
        let place = ask.kind.place();
        let prefix = ask.prefix();
        let (version, from) = self.start(ask, &prefix)?;
        let then: Objects;
        let mut objects: Box<dyn Iterator<Item = (&Key, &Arc<Object>)>> = if version == self.store.version() {
            Box::new(self.store.of(&place, &from))
        } else {
            let Some(found) = self.store.at(&place, version) else {
                return Err(expired(ask, &prefix, &from));
            };
            then = found;
            Box::new(then.range(Key { place: place.clone(), path: from }..))
        };
        objects = Box::new(objects.filter(|(key, _)| key.path.starts_with(&prefix)));
        // One name is one key: there is no page after it.
        if let Some(name) = ask.query.fields.exact("metadata.name") {
            let path = format!("{prefix}{name}");
            if ask.namespace.is_some() || !ask.kind.namespaced {
                objects = Box::new(objects.filter(move |(key, _)| key.path == path));
            }
        }
        // What is answered from the real server's cache is not cut into pages.
        let cached = ask.query.version.as_deref() == Some("0");
        let limit = ask.query.limit.filter(|_| !cached).unwrap_or(usize::MAX);
        let mut items = Vec::new();
        let mut last = None;
        let mut rest = 0;
        for (key, object) in objects {
            if items.len() == limit {
                rest += 1;
            } else if admits(ask, object.value()) {
                items.push(Arc::clone(object));
                last = Some(key.path.clone());
            }
        }
        let selects = !ask.query.labels.is_empty() || !ask.query.fields.is_empty();
        let mut metadata = json!({ "resourceVersion": version.to_string() });
        if matches!(ask.kind.rules, Rules::Custom { .. }) && !ask.metadata_only {
            metadata["continue"] = json!("");
        }
        if let (Some(last), true) = (last, rest > 0) {
            let start = last.strip_prefix(&prefix).unwrap_or(&last).to_owned() + "\0";
            metadata["continue"] = json!(Token::encode(i64::try_from(version).unwrap_or_default(), &start));
            if !selects {
                metadata["remainingItemCount"] = json!(rest);
            }
        }
        Ok(list_text(ask, &metadata, &items))
    }

    /// The version that is shown, and the path of the first object.
    fn start(&self, ask: &Ask, prefix: &str) -> Result<(u64, String), Failure> {
        if let Some(token) = &ask.query.token {
            let token = Token::decode(token)?;
            let path = format!("{prefix}{}", token.start);
            // A version of -1: whatever is there now.
            let version = u64::try_from(token.rv).unwrap_or(self.store.version());
            return Ok((version, path));
        }
        let exact = ask.query.version_match.as_deref() == Some("Exact");
        let version = ask.query.version.as_deref().and_then(|version| version.parse().ok());
        let version = version.filter(|_| exact).unwrap_or(self.store.version());
        Ok((version, prefix.to_owned()))
    }

    /// A version that is asked for must be a number, and not of the future.
    fn check_version(&self, ask: &Ask) -> Result<(), Failure> {
        let Some(version) = &ask.query.version else { return Ok(()) };
        let Ok(number) = version.parse::<u64>() else {
            return Err(Failure::bad_request(format!("invalid resource version: {}", no_version(version))));
        };
        if number > self.store.version() {
            return Err(Failure::too_large_version(number, self.store.version()));
        }
        Ok(())
    }
}

fn expired(ask: &Ask, prefix: &str, from: &str) -> Failure {
    if ask.query.token.is_none() {
        return Failure::expired("The resourceVersion for the provided list is too old.");
    }
    let start = from.strip_prefix(prefix).unwrap_or(from);
    Failure::token_expired(Token::encode(-1, start))
}

/// Why a text is no version.
pub(super) fn no_version(text: &str) -> String {
    format!(
        "resourceVersion: Invalid value: \"{text}\": strconv.ParseUint: parsing \"{text}\": invalid syntax"
    )
}

/// Fields by which objects of all kinds can be selected, and those of Events.
pub(super) fn check_selectors(ask: &Ask) -> Result<(), Failure> {
    let known = |key: &str| match ask.kind.rules {
        Rules::Event { .. } => true,
        _ => matches!(key, "metadata.name" | "metadata.namespace"),
    };
    match ask.query.fields.keys().find(|key| !known(key)) {
        Some(key) => Err(Failure::bad_request(format!("field label not supported: {key}"))),
        None => Ok(()),
    }
}

/// Whether the selectors let the object through.
pub(super) fn admits(ask: &Ask, object: &Value) -> bool {
    let (labels, fields) = (&ask.query.labels, &ask.query.fields);
    if fields.is_empty() {
        return labels.admits_labels(object);
    }
    let core = matches!(ask.kind.rules, Rules::Event { core: true }).then(|| as_core_event(object));
    labels.admits_labels(object) && fields.admits_fields(core.as_ref().unwrap_or(object))
}

/// The object's text, as this kind shows it.
pub(super) fn shown(kind: &Kind, object: &Object, only_metadata: bool) -> Bytes {
    if only_metadata {
        return Bytes::from(metadata_only(object.value()).to_string());
    }
    match kind.rules {
        Rules::Event { core: true } => Bytes::from(as_core_event(object.value()).to_string()),
        _ => object.text().clone(),
    }
}

/// A list is put together from the texts of its objects.
fn list_text(ask: &Ask, metadata: &Value, items: &[Arc<Object>]) -> Bytes {
    let (kind, api_version) = if ask.metadata_only {
        ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned())
    } else {
        (ask.kind.list_kind.clone(), ask.kind.api_version())
    };
    let head = format!(
        "{{\"kind\":{},\"apiVersion\":{},\"metadata\":{metadata},\"items\":[",
        json!(kind),
        json!(api_version)
    );
    let mut text = BytesMut::from(head.as_bytes());
    // The real server leaves the kind out of the items of a kind of its own.
    let typed = !matches!(ask.kind.rules, Rules::Custom { .. }) && !ask.metadata_only;
    for (number, item) in items.iter().enumerate() {
        if number > 0 {
            text.put_u8(b',');
        }
        let item = shown(&ask.kind, item, ask.metadata_only);
        if typed {
            let mut value: Value = serde_json::from_slice(&item).unwrap_or_default();
            super::object::drop_field(&mut value, "kind");
            super::object::drop_field(&mut value, "apiVersion");
            text.put_slice(value.to_string().as_bytes());
        } else {
            text.put_slice(&item);
        }
    }
    text.put_slice(b"]}");
    text.freeze()
}
