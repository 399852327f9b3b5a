//! What is stored, and how it came to be so: one counter for all kinds, and the changes of the last while.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::object::{Object, set_meta};

/// The first version, so high that no small number in a text is taken for one.
const FIRST_VERSION: u64 = 1000;

/// How many changes are kept for watches and pages.
const HISTORY: usize = 20_000;

/// Where an object is. Objects are in the order of their keys, as in the real store: `a-b/x` comes before `a/x`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// The plural and the group.
    pub(crate) place: String,
    /// The namespace and the name, or the name alone.
    pub(crate) path: String,
}

impl Key {
    pub(super) fn new(place: String, namespace: Option<&str>, name: &str) -> Self {
        let path = namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"));
        Self { place, path }
    }
}

/// A write. Without `before` it made the object, without `after` it removed it.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) key: Key,
    pub(crate) before: Option<Arc<Object>>,
    pub(crate) after: Option<Arc<Object>>,
}

#[derive(Debug)]
pub(super) struct Store {
    objects: BTreeMap<Key, Arc<Object>>,
    version: u64,
    changes: VecDeque<Change>,
    /// Nothing is known of changes up to this version.
    forgotten: u64,
}

/// The objects of a place at some version.
pub(super) type Objects = BTreeMap<Key, Arc<Object>>;

impl Store {
    pub(super) fn new() -> Self {
        Self {
            objects: BTreeMap::new(),
            version: FIRST_VERSION,
            changes: VecDeque::new(),
            forgotten: FIRST_VERSION - 1,
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// The version of the last change that is no longer known.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Arc<Object>> {
        self.objects.get(key)
    }

    /// The objects of a place, in order, from the path `from` on.
    pub(super) fn of<'a>(
        &'a self,
        place: &'a str,
        from: &str,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Object>)> + use<'a> {
        let first = Key { place: place.to_owned(), path: from.to_owned() };
        self.objects.range(first..).take_while(move |(key, _)| key.place == place)
    }

    /// The objects of a place as they were at a version; none if that is forgotten.
    pub(super) fn at(&self, place: &str, version: u64) -> Option<Objects> {
        if version < self.forgotten {
            return None;
        }
        let mut objects: Objects =
            self.of(place, "").map(|(key, object)| (key.clone(), Arc::clone(object))).collect();
        let later = self.changes.iter().rev().take_while(|change| change.version > version);
        for change in later.filter(|change| change.key.place == place) {
            match &change.before {
                Some(before) => objects.insert(change.key.clone(), Arc::clone(before)),
                None => objects.remove(&change.key),
            };
        }
        Some(objects)
    }

    /// The changes after a version, in order. Some are missing if that is forgotten.
    pub(super) fn after(&self, version: u64) -> impl Iterator<Item = &Change> {
        let first = self.changes.partition_point(|change| change.version <= version);
        self.changes.range(first..)
    }

    /// Stores the object in a new version, and returns it with that.
    pub(super) fn put(&mut self, key: Key, mut object: Value) -> Arc<Object> {
        self.version += 1;
        set_meta(&mut object, "resourceVersion", self.version.to_string());
        let object = Arc::new(Object::new(object));
        let before = self.objects.insert(key.clone(), Arc::clone(&object));
        self.remember(Change { version: self.version, key, before, after: Some(Arc::clone(&object)) });
        object
    }

    /// Removes the object, which is a version of its own.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Arc<Object>> {
        let before = self.objects.remove(key)?;
        self.version += 1;
        let change = Change {
            version: self.version,
            key: key.clone(),
            before: Some(Arc::clone(&before)),
            after: None,
        };
        self.remember(change);
        Some(before)
    }

    /// As after a restart: watches from before get 410.
    pub(super) fn forget(&mut self) {
        self.changes.clear();
        self.forgotten = self.version;
    }

    fn remember(&mut self, change: Change) {
        self.changes.push_back(change);
        if self.changes.len() > HISTORY {
            self.forgotten = self.changes.pop_front().map_or(self.forgotten, |oldest| oldest.version);
        }
    }
}
