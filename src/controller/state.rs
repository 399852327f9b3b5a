//! What the objects are like, for the metrics: read out of the caches when somebody asks, so that it is never old.

use futures::FutureExt;
use kube::runtime::reflector::Store;

use super::shared::Shared;
use crate::api::{Reason, STALLED, ZenlayerPort, ZenlayerPortStatus};
use crate::server::State;

impl Shared {
    /// None until every watch has listed its objects: nothing yet is not the same as no objects.
    pub(super) fn state(&self) -> Option<State> {
        let has_listed = self.stores.get().is_some_and(|stores| stores.values().all(is_listed));
        has_listed.then(|| self.state_of_objects())
    }

    fn state_of_objects(&self) -> State {
        let (mirror, now) = (self.mirror.stats(), self.clock.now());
        let mut state = State {
            invalid: self.invalids.len() as u64,
            call_queue: self.calls.len() as u64,
            oldest_reading: mirror.oldest_answer.map(|answered| now.wall - now.monotonic.since(answered)),
            mirror,
            ..State::default()
        };
        for object in self.objects() {
            add(&mut state, &object);
        }
        state
    }
}

fn is_listed(store: &Store<ZenlayerPort>) -> bool {
    store.wait_until_ready().now_or_never().is_some_and(|ready| ready.is_ok())
}

fn add(state: &mut State, object: &ZenlayerPort) {
    let conditions = object.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let ready = object.status.as_ref().and_then(ZenlayerPortStatus::ready);
    // A new object shows nothing yet, and one of a later version may show what this one does not know: both are looked at
    // soon.
    let reason = ready.and_then(|ready| Reason::parse(&ready.reason)).unwrap_or(Reason::Observing);
    *state.shown.entry(reason).or_default() += 1;
    if conditions.iter().any(|condition| condition.type_ == STALLED && condition.status == "True") {
        *state.stalled.entry(reason).or_default() += 1;
    }
    if let Some(deleted) = &object.metadata.deletion_timestamp {
        state.terminating += 1;
        let oldest = state.oldest_deletion.map_or(deleted.0, |oldest| oldest.min(deleted.0));
        state.oldest_deletion = Some(oldest);
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::reflector;
    use kube::runtime::watcher::Event;

    use super::*;

    #[test]
    fn a_store_is_listed_only_after_the_end_of_its_first_list() {
        let (store, mut writer) = reflector::store::<ZenlayerPort>();
        assert!(!is_listed(&store), "nothing is known yet");
        writer.apply_watcher_event(&Event::Init);
        assert!(!is_listed(&store), "the list is under way");
        writer.apply_watcher_event(&Event::InitDone);
        assert!(is_listed(&store));
    }
}
