//! Everything that the server knows, and how a request finds its way.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::ask::{Ask, Path, Query, verb};
use super::failure::Failure;
use super::kinds::{Kind, Rules};
use super::object::{Object, meta_text};
use super::store::{Key, Store};
use super::watch::Watch;

/// What comes from outside, so that a run can be repeated: the time, and all that a server makes up.
pub(super) struct Outside {
    pub(super) now: Box<dyn Fn() -> Timestamp + Send>,
    random: u64,
}

impl Outside {
    pub(super) fn new(now: Box<dyn Fn() -> Timestamp + Send>, seed: u64) -> Self {
        Self { now, random: seed }
    }

    /// Whole seconds, as the real server writes them.
    pub(super) fn time(&self) -> String {
        (self.now)().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// SplitMix64: each number follows from the seed alone.
    pub(super) fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn uid(&mut self) -> String {
        let (high, low) = (self.random(), self.random());
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 48 & 0xfff,
            low & 0xffff_ffff_ffff
        )
    }

    /// What follows `generateName`.
    pub(super) fn suffix(&mut self) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let mut random = self.random();
        let letters = (0..5).map(|_| {
            let letter = LETTERS[usize::try_from(random % LETTERS.len() as u64).unwrap_or_default()];
            random /= LETTERS.len() as u64;
            char::from(letter)
        });
        letters.collect()
    }
}

pub(super) struct State {
    pub(super) store: Store,
    pub(super) outside: Outside,
    /// By group, version and plural.
    kinds: BTreeMap<(String, String, String), Arc<Kind>>,
    /// When the content of a terminating namespace is looked at, by uid; the same for definitions.
    pub(super) due: BTreeMap<String, Timestamp>,
    /// Watches that wait for a change.
    pub(super) waiting: BTreeMap<u64, Waker>,
    pub(super) watches: u64,
}

/// An answer.
pub(super) enum Reply {
    Whole(u16, Bytes),
    Watch(Box<Watch>),
}

impl State {
    pub(super) fn new(outside: Outside) -> Self {
        let kinds = Kind::built_in().into_iter().map(|kind| (path_of(&kind), kind)).collect();
        let mut state = Self {
            store: Store::new(),
            outside,
            kinds,
            due: BTreeMap::new(),
            waiting: BTreeMap::new(),
            watches: 0,
        };
        for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            let kind = state.kind("", "v1", "namespaces").expect("a kind of its own");
            let namespace = json!({
                "kind": "Namespace", "apiVersion": "v1",
                "metadata": {
                    "name": name, "uid": state.outside.uid(), "creationTimestamp": state.outside.time(),
                    "labels": { "kubernetes.io/metadata.name": name },
                },
                "spec": { "finalizers": ["kubernetes"] }, "status": { "phase": "Active" },
            });
            state.store.put(Key::new(kind.place(), None, name), namespace);
        }
        state
    }

    pub(super) fn kind(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Kind>> {
        self.kinds.get(&(group.to_owned(), version.to_owned(), plural.to_owned())).cloned()
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.kinds.values()
    }

    /// Serves what the definition says, and no longer what it said.
    pub(super) fn serve(&mut self, before: Option<&Value>, now: Option<&Value>) {
        for kind in before.into_iter().flat_map(Kind::defined) {
            self.kinds.remove(&path_of(&kind));
        }
        for kind in now.into_iter().flat_map(Kind::defined) {
            self.kinds.insert(path_of(&kind), kind);
        }
    }

    pub(super) fn namespace(&self, name: &str) -> Option<&Arc<Object>> {
        self.store.get(&Key::new("namespaces".to_owned(), None, name))
    }

    pub(super) fn answer(&mut self, request: &http::Request<Bytes>) -> Result<Reply, Failure> {
        let ask = self.ask(request)?;
        let body = request.body();
        let name = ask.name.clone();
        match (verb(request.method(), &ask), name.as_deref()) {
            ("watch", _) => self.watch(ask).map(|watch| Reply::Watch(Box::new(watch))),
            ("list", _) => self.list(&ask).map(|text| Reply::Whole(200, text)),
            ("get", Some(name)) => self.get(&ask, name).map(|text| Reply::Whole(200, text)),
            ("create", None) => self.create(&ask, parsed(body)?),
            // A name in the path counts for nothing.
            ("create", Some(_)) if is_custom(&ask.kind) && ask.subresource.is_none() => {
                self.create(&ask, parsed(body)?)
            }
            ("update", Some(name)) => self.replace(&ask, name, parsed(body)?),
            ("patch", Some(name)) => {
                let format = request.headers().get(http::header::CONTENT_TYPE);
                let format = format.and_then(|value| value.to_str().ok()).unwrap_or_default();
                self.patch(&ask, name, format, body)
            }
            ("delete", Some(name)) if ask.subresource.is_none() => {
                let options = if body.is_empty() { json!({}) } else { parsed(body)? };
                self.delete(&ask, name, &options)
            }
            ("deletecollection", None) => Err(Failure::unknown("how to delete a collection")),
            (verb, _) if is_custom(&ask.kind) => Err(Failure::not_supported(&ask.kind, verb)),
            _ => Err(Failure::method("the server does not allow this method on the requested resource")),
        }
    }

    fn ask(&self, request: &http::Request<Bytes>) -> Result<Ask, Failure> {
        let path = Path::parse(request.uri().path()).ok_or_else(Failure::no_such_path)?;
        let kind = self.kind(path.group, path.version, path.plural).ok_or_else(Failure::no_such_path)?;
        let namespaced = path.namespace.is_some();
        if kind.namespaced != namespaced && (namespaced || path.name.is_some()) {
            return Err(Failure::no_such_path());
        }
        let writes = request.method() == Method::POST;
        if kind.namespaced && !namespaced && writes {
            if is_custom(&kind) {
                return Err(Failure::no_such_path());
            }
            return Err(Failure::method("the server does not allow this method on the requested resource"));
        }
        match path.subresource {
            None => {}
            Some("status") if kind.has_status() => {}
            Some(_) if is_custom(&kind) => {
                return Err(Failure::not_found(&kind, path.name.unwrap_or_default()));
            }
            Some(other) => return Err(Failure::unknown(&format!("the subresource {other}"))),
        }
        let accept = request.headers().get(http::header::ACCEPT);
        let accept = accept.and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        Ok(Ask {
            namespace: path.namespace.map(str::to_owned),
            name: path.name.map(str::to_owned),
            subresource: path.subresource.map(str::to_owned),
            query: Query::parse(request.uri())?,
            metadata_only: accept.contains("as=PartialObjectMetadata"),
            kind,
        })
    }

    /// Tells all watches that something has changed.
    pub(super) fn wake(&mut self) {
        for waker in std::mem::take(&mut self.waiting).into_values() {
            waker.wake();
        }
    }

    /// The labels of a namespace, by which policies choose.
    pub(super) fn labels_of_namespace(&self, name: &str) -> Value {
        self.namespace(name).map(|object| object.value()["metadata"]["labels"].clone()).unwrap_or_default()
    }
}

fn is_custom(kind: &Kind) -> bool {
    matches!(kind.rules, Rules::Custom { .. })
}

fn path_of(kind: &Kind) -> (String, String, String) {
    (kind.group.clone(), kind.version.clone(), kind.plural.clone())
}

fn parsed(body: &[u8]) -> Result<Value, Failure> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| Failure::bad_request(error.to_string()))?;
    if value.is_object() { Ok(value) } else { Err(Failure::bad_request("the body is no object")) }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.kinds().flat_map(|kind| {
            let place = kind.place();
            let of: Vec<String> = self
                .store
                .of(&place, "")
                .map(|(key, object)| {
                    format!("{place} {} {}", key.path, meta_text(object.value(), "resourceVersion"))
                })
                .collect();
            of
        });
        f.debug_list().entries(names).finish()
    }
}
