//! Whether the watches have shown all objects that there are: deletions are counted, and claims looked for, among them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::Monotonic;
use crate::decision::Listing;

/// The namespace of a watch; none: it shows all namespaces.
type Watch = Option<String>;

#[derive(Debug)]
pub(super) struct Lists {
    watches: BTreeSet<Watch>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The lists that are under way, each since when.
    under_way: BTreeMap<Watch, Monotonic>,
    /// The watches that have not listed their objects once.
    unlisted: BTreeSet<Watch>,
}

impl Lists {
    /// At the start nothing is listed of any watch.
    pub(super) fn of(watches: impl IntoIterator<Item = Watch>, now: Monotonic) -> Self {
        let watches: BTreeSet<Watch> = watches.into_iter().collect();
        let under_way = watches.iter().map(|watch| (watch.clone(), now)).collect();
        let state = Mutex::new(State { under_way, unlisted: watches.clone() });
        Self { watches, state }
    }

    pub(super) fn begins(&self, namespace: Option<&str>, now: Monotonic) {
        self.lock().under_way.entry(namespace.map(str::to_owned)).or_insert(now);
    }

    pub(super) fn ends(&self, namespace: Option<&str>) {
        let mut state = self.lock();
        let watch = namespace.map(str::to_owned);
        state.under_way.remove(&watch);
        state.unlisted.remove(&watch);
    }

    pub(super) fn state(&self) -> Listing {
        let since = self.lock().under_way.values().min().copied();
        since.map_or(Listing::Complete, |since| Listing::UnderWay { since })
    }

    /// Whether every watch has listed its objects once.
    pub(super) fn all_listed(&self) -> bool {
        self.lock().unlisted.is_empty()
    }

    /// Whether the objects of this namespace are watched and were listed once.
    pub(super) fn has_listed(&self, namespace: &str) -> bool {
        let watch = [None, Some(namespace.to_owned())].into_iter().find(|watch| self.watches.contains(watch));
        watch.is_some_and(|watch| !self.lock().unlisted.contains(&watch))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn what_nobody_watches_is_not_listed_and_what_was_listed_once_stays_so() {
        let lists = Lists::of([Some("a".to_owned())], at(1));
        assert!(!lists.has_listed("a") && !lists.all_listed());
        lists.ends(Some("a"));
        lists.begins(Some("a"), at(5));
        assert!(lists.has_listed("a") && lists.all_listed());
        assert!(!lists.has_listed("b"), "another operator may watch it");
        let all = Lists::of([None], at(1));
        all.ends(None);
        assert!(all.has_listed("b"));
    }
}
