//! Watches: what has changed since a version, in order, and then what changes.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::ask::Ask;
use super::failure::Failure;
use super::object::{Object, set_meta};
use super::read::{admits, check_selectors, no_version, shown};
use super::state::State;
use super::store::Change;

/// How long a watch lasts that does not say. The real server draws between 30 and 60 minutes.
const LIFETIME: Duration = Duration::from_mins(45);

/// Where a watch stands.
pub(super) struct Watch {
    ask: Ask,
    /// All changes up to this version have been sent.
    position: u64,
    /// What is sent before any change.
    first: VecDeque<Bytes>,
    /// Nothing follows what is sent first.
    ends: bool,
    pub(super) id: u64,
}

/// What a watch has to say.
pub(super) enum Next {
    Event(Bytes),
    /// Nothing yet.
    Wait,
    End,
}

impl Watch {
    pub(super) fn lifetime(&self) -> Duration {
        self.ask.query.timeout_seconds.map_or(LIFETIME, Duration::from_secs)
    }

    pub(super) fn wants_bookmarks(&self) -> bool {
        self.ask.query.bookmarks
    }
}

impl State {
    pub(super) fn watch(&mut self, ask: Ask) -> Result<Watch, Failure> {
        if ask.query.initial_events {
            return Err(Failure::unknown("sendInitialEvents"));
        }
        check_selectors(&ask)?;
        let asked: u64 = match &ask.query.version {
            None => 0,
            Some(version) => version.parse().map_err(|_| Failure::internal(no_version(version)))?,
        };
        self.watches += 1;
        let mut watch = Watch { position: asked, first: VecDeque::new(), ends: false, id: self.watches, ask };
        if asked == 0 {
            watch.position = self.store.version();
            watch.first = self.all(&watch.ask);
        } else if asked < self.store.forgotten() {
            let why = format!("too old resource version: {asked} ({})", self.store.forgotten());
            watch.first.push_back(line("ERROR", Failure::expired(why).status().to_string().as_bytes()));
            watch.ends = true;
        }
        Ok(watch)
    }

    /// Everything that is there, as if it were new.
    fn all(&self, ask: &Ask) -> VecDeque<Bytes> {
        let (place, prefix) = (ask.kind.place(), ask.prefix());
        let objects = self.store.of(&place, &prefix).take_while(|(key, _)| key.path.starts_with(&prefix));
        let objects = objects.filter(|(key, object)| is_meant(ask, &key.path) && admits(ask, object.value()));
        objects.map(|(_, object)| line("ADDED", &shown(&ask.kind, object, ask.metadata_only))).collect()
    }

    pub(super) fn next(&self, watch: &mut Watch) -> Next {
        if let Some(line) = watch.first.pop_front() {
            return Next::Event(line);
        }
        let kind = &watch.ask.kind;
        let is_served = self.kind(&kind.group, &kind.version, &kind.plural).is_some();
        if watch.ends || watch.position < self.store.forgotten() {
            return Next::End;
        }
        for change in self.store.after(watch.position) {
            watch.position = change.version;
            if let Some(line) = event(&watch.ask, change) {
                return Next::Event(line);
            }
        }
        if is_served { Next::Wait } else { Next::End }
    }
}

/// A line that says only how far the watch is.
pub(super) fn bookmark(watch: &Watch) -> Bytes {
    let (kind, api_version) = if watch.ask.metadata_only {
        ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned())
    } else {
        (watch.ask.kind.kind.as_str(), watch.ask.kind.api_version())
    };
    let object = json!({
        "kind": kind, "apiVersion": api_version,
        "metadata": { "resourceVersion": watch.position.to_string() },
    });
    line("BOOKMARK", object.to_string().as_bytes())
}

/// Whether an object of this path is in the collection, or is the one that is watched.
fn is_meant(ask: &Ask, path: &str) -> bool {
    match &ask.name {
        Some(name) => ask.key(name).path == path,
        None => path.starts_with(&ask.prefix()),
    }
}

/// What a change is to those who see only what their selectors let through.
fn event(ask: &Ask, change: &Change) -> Option<Bytes> {
    if change.key.place != ask.kind.place() || !is_meant(ask, &change.key.path) {
        return None;
    }
    let seen = |object: &Option<std::sync::Arc<Object>>| {
        object.as_ref().filter(|object| admits(ask, object.value())).cloned()
    };
    let (what, object) = match (seen(&change.before), seen(&change.after)) {
        (None, Some(after)) => ("ADDED", after),
        (Some(_), Some(after)) => ("MODIFIED", after),
        // The last content, in the version of its end.
        (Some(before), None) => {
            let mut object: Value = before.value().clone();
            set_meta(&mut object, "resourceVersion", change.version.to_string());
            ("DELETED", std::sync::Arc::new(Object::new(object)))
        }
        (None, None) => return None,
    };
    Some(line(what, &shown(&ask.kind, &object, ask.metadata_only)))
}

fn line(what: &str, object: &[u8]) -> Bytes {
    let mut line = format!("{{\"type\":\"{what}\",\"object\":").into_bytes();
    line.extend_from_slice(object);
    line.extend_from_slice(b"}\n");
    Bytes::from(line)
}
