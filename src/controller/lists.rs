//! Whether the watches have shown all objects that there are: deletions are counted, and claims looked for, among them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::Monotonic;
use crate::decision::Listing;

/// The lists that are under way, each since when, by the namespace of their watch (none: all namespaces).
#[derive(Debug)]
pub(super) struct Lists(Mutex<HashMap<Option<String>, Monotonic>>);

impl Lists {
    /// At the start nothing is listed of any watch.
    pub(super) fn of(watches: impl IntoIterator<Item = Option<String>>, now: Monotonic) -> Self {
        Self(Mutex::new(watches.into_iter().map(|namespace| (namespace, now)).collect()))
    }

    pub(super) fn begins(&self, namespace: Option<&str>, now: Monotonic) {
        self.lock().entry(namespace.map(str::to_owned)).or_insert(now);
    }

    pub(super) fn ends(&self, namespace: Option<&str>) {
        self.lock().remove(&namespace.map(str::to_owned));
    }

    pub(super) fn state(&self) -> Listing {
        self.lock().values().min().map_or(Listing::Complete, |since| Listing::UnderWay { since: *since })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Option<String>, Monotonic>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: u64) -> Monotonic {
        Monotonic::from_start(Duration::from_secs(second))
    }

    #[test]
    fn all_objects_are_known_once_each_watch_has_listed_its_own() {
        let lists = Lists::of([Some("a".to_owned()), Some("b".to_owned())], at(1));
        assert_eq!(lists.state(), Listing::UnderWay { since: at(1) }, "nothing is listed at the start");
        lists.ends(Some("a"));
        assert_eq!(lists.state(), Listing::UnderWay { since: at(1) }, "b is not listed");
        lists.ends(Some("b"));
        assert_eq!(lists.state(), Listing::Complete);
    }

    #[test]
    fn while_a_watch_lists_anew_objects_may_be_unknown() {
        let lists = Lists::of([None], at(1));
        lists.ends(None);
        lists.begins(None, at(5));
        lists.begins(None, at(9));
        assert_eq!(
            lists.state(),
            Listing::UnderWay { since: at(5) },
            "a list that fails is still the same wait"
        );
        lists.ends(None);
        assert_eq!(lists.state(), Listing::Complete);
    }
}
