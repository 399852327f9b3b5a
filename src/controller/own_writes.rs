//! What this process wrote and its watch has not shown yet. A decision about the older object in the cache could conclude that
//! there is nothing to write, and so leave a status that is no longer true.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::ResourceExt;

use crate::api::ZenlayerPort;
use crate::clock::Monotonic;

/// By uid. One goes when the watch shows it or a newer one, or a list that began later.
#[derive(Debug, Default)]
pub(super) struct OwnWrites(Mutex<HashMap<String, Write>>);

#[derive(Debug)]
struct Write {
    /// As the API server returned it.
    object: Arc<ZenlayerPort>,
    /// When that was.
    at: Monotonic,
}

impl OwnWrites {
    /// The API server has taken a write, and `written` is the object since then.
    pub(super) fn wrote(&self, written: &ZenlayerPort, now: Monotonic) {
        let Some(uid) = written.uid() else { return };
        let mut all = self.lock();
        if all.get(&uid).is_none_or(|known| is_newer(written, &known.object)) {
            all.insert(uid, Write { object: Arc::new(written.clone()), at: now });
        }
    }

    /// The newer of what the cache holds and what was written.
    pub(super) fn newest(&self, cached: Arc<ZenlayerPort>) -> Arc<ZenlayerPort> {
        let Some(uid) = cached.uid() else { return cached };
        match self.lock().get(&uid) {
            Some(written) if is_newer(&written.object, &cached) => Arc::clone(&written.object),
            _ => cached,
        }
    }

    /// The watch shows the object like this.
    pub(super) fn shown(&self, object: &ZenlayerPort) {
        let Some(uid) = object.uid() else { return };
        let mut all = self.lock();
        if all.get(&uid).is_some_and(|written| !is_newer(&written.object, object)) {
            all.remove(&uid);
        }
    }

    /// A list that began at that time contains the object. So it is newer than everything that was written before, even if its
    /// version is lower because someone restored etcd from a snapshot.
    pub(super) fn listed(&self, object: &ZenlayerPort, began: Monotonic) {
        let Some(uid) = object.uid() else { return };
        let mut all = self.lock();
        if all.get(&uid).is_some_and(|written| written.at < began) {
            all.remove(&uid);
        }
    }

    pub(super) fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// Keeps those of objects with such a uid.
    pub(super) fn retain(&self, known: impl Fn(&str) -> bool) {
        self.lock().retain(|uid, _| known(uid));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Write>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Versions of one object are compared as numbers: Kubernetes promises that of all API servers since 1.35, and etcd has
/// always counted so. Where one is no number nothing is newer than what the watch shows.
fn is_newer(one: &ZenlayerPort, other: &ZenlayerPort) -> bool {
    let version = |object: &ZenlayerPort| object.resource_version()?.parse::<u128>().ok();
    version(one).zip(version(other)).is_some_and(|(one, other)| one > other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(uid: &str, version: &str) -> Arc<ZenlayerPort> {
        let metadata = serde_json::json!({ "name": "edge", "uid": uid, "resourceVersion": version });
        let object = serde_json::json!({
            "apiVersion": "sdn.zenlayer.com/v1alpha1", "kind": "ZenlayerPort",
            "metadata": metadata, "spec": { "portId": "port-1" },
        });
        Arc::new(serde_json::from_value(object).expect("a ZenlayerPort"))
    }

    fn newest(writes: &OwnWrites, uid: &str, version: &str) -> String {
        writes.newest(object(uid, version)).resource_version().expect("a version")
    }

    #[test]
    fn the_cache_counts_once_it_is_as_new_as_the_last_write() {
        let writes = OwnWrites::default();
        assert_eq!(newest(&writes, "a", "9"), "9", "nothing was written");
        writes.wrote(&object("a", "10"), Monotonic::default());
        assert_eq!(newest(&writes, "a", "9"), "10", "9 is older, though it is the greater text");
        assert_eq!(newest(&writes, "a", "11"), "11");
        assert_eq!(newest(&writes, "b", "9"), "9", "another object of the same name");
    }

    #[test]
    fn a_write_is_kept_until_the_watch_shows_it_or_a_newer_one() {
        let writes = OwnWrites::default();
        for (shown, left) in [("9", 1), ("10", 0)] {
            writes.wrote(&object("a", "10"), Monotonic::default());
            writes.shown(&object("a", shown));
            assert_eq!(writes.len(), left, "after {shown} was shown");
        }
        writes.wrote(&object("a", "10"), Monotonic::default());
        writes.shown(&object("a", "12"));
        assert_eq!(writes.len(), 0, "a newer one was shown");
    }

    #[test]
    fn an_answer_that_comes_late_does_not_replace_a_newer_write() {
        let writes = OwnWrites::default();
        writes.wrote(&object("a", "12"), Monotonic::default());
        writes.wrote(&object("a", "10"), Monotonic::default());
        assert_eq!(newest(&writes, "a", "9"), "12");
    }

    #[test]
    fn where_versions_are_no_numbers_the_watch_counts() {
        let writes = OwnWrites::default();
        writes.wrote(&object("a", "x2"), Monotonic::default());
        assert_eq!(newest(&writes, "a", "x1"), "x1");
        writes.shown(&object("a", "x1"));
        assert_eq!(writes.len(), 0);
    }

    #[test]
    fn what_was_written_after_a_list_began_may_be_newer_than_the_list() {
        let at = |second| Monotonic::from_start(std::time::Duration::from_secs(second));
        let writes = OwnWrites::default();
        writes.wrote(&object("a", "10"), at(5));
        writes.listed(&object("a", "9"), at(5));
        assert_eq!(writes.len(), 1, "the list may have been read before");
        writes.listed(&object("b", "9"), at(6));
        assert_eq!(writes.len(), 1, "it is of another object");
        writes.listed(&object("a", "9"), at(6));
        assert_eq!(writes.len(), 0);
    }
}
