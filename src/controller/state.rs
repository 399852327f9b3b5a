//! What the objects are like, for the metrics: read out of the caches when somebody asks, so that it is never old.

use super::shared::Shared;
use crate::api::{Reason, STALLED, ZenlayerPort, ZenlayerPortStatus};
use crate::index::Known;
use crate::server::State;

impl Shared {
    /// None until every watch has listed its objects: nothing yet is not the same as no objects.
    pub(super) fn state(&self) -> Option<State> {
        self.index.is_listed().then(|| self.state_of_objects())
    }

    fn state_of_objects(&self) -> State {
        let (mirror, now) = (self.mirror.stats(), self.clock.now());
        let mut state = State {
            call_queue: self.turns.waiting() as u64,
            oldest_reading: mirror.oldest_answer.map(|answered| now.wall - now.monotonic.since(answered)),
            mirror,
            ..State::default()
        };
        for known in self.index.objects() {
            state.invalid += u64::from(matches!(known, Known::Invalid(_)));
            add(&mut state, known.object());
        }
        state
    }
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
