//! Gathers what a decision about one object rests on, and decides.

use std::sync::Arc;

use super::observe::Observed;
use super::shared::Shared;
use super::transitions;
use crate::api::ZenlayerPort;
use crate::decision::{self, Action, Attachments, Context, CrdState, Input, Plan, Turn};
use crate::index::{KnownSince, Reference};
use crate::mirror::Account;
use crate::reading::Evidence;
use crate::zenlayer::Client;

/// What a decision about one object rests on.
pub(super) struct Gathered {
    pub(super) account: Option<Arc<Account<Client>>>,
    evidence: Option<Evidence>,
    context: Context,
}

impl Gathered {
    pub(super) async fn of(object: &ZenlayerPort, shared: &Shared) -> Self {
        let known = shared.index.note(object, shared.clock.monotonic());
        let Observed { account, credential, not_copied, evidence } =
            Observed::of(object, known.deletion, shared).await;
        let key = account.as_ref().map(|account| account.key);
        shared.wakes.wake(shared.index.looked(object, key, evidence.as_ref()));
        let now = shared.clock.monotonic();
        let context = Context {
            credential,
            not_copied,
            claims: shared.index.claims(object, key, now),
            same_account: shared
                .index
                .same_account(object, account.as_ref().map(|account| &account.fingerprint)),
            deletions_at_once: shared.index.deletions_at_once(object, evidence.as_ref(), now),
            listing: shared.index.listing(object, known.deletion),
            crd: crd_state(object, known, shared).await,
            attachments: attachments(object, account.as_deref(), shared),
            gates: shared.gates,
            deletion_known_since: known.deletion,
            call_known_since: known.call,
            learnt: shared.index.learnt(object),
            turn: Turn::Free,
        };
        Self { account, evidence, context }
    }

    /// Decides, and keeps what the decision has learnt and wants to be read, whatever becomes of the plan.
    pub(super) fn decide(&self, object: &ZenlayerPort, turn: Turn, shared: &Shared) -> Plan {
        // What one decision has learnt is not news to the next.
        let context = Context { turn, learnt: shared.index.learnt(object), ..self.context.clone() };
        let plan = decision::decide(&Input {
            object,
            evidence: self.evidence.as_ref(),
            context: &context,
            timing: &shared.timing,
            now: shared.clock.now(),
        });
        tell_mirror(object, &plan, shared);
        transitions::log_landed(object, context.learnt.as_deref(), &plan);
        shared.index.learn(object, plan.facts.as_ref());
        plan
    }
}

/// Read when the grace is over, and not for each object before that.
async fn crd_state(object: &ZenlayerPort, known: KnownSince, shared: &Shared) -> CrdState {
    let Some(deletion) = known.deletion.filter(|_| object.is_terminating()) else {
        return CrdState::Unknown("the operator reads it after the deletion of the object".to_owned());
    };
    if decision::grace_is_over(known.deletion, &shared.timing, shared.clock.monotonic()) {
        shared.crd.state(deletion).await
    } else {
        CrdState::Unknown("the operator reads it after the grace period".to_owned())
    }
}

/// Watched only for a port whose call was refused; nobody waits here for what is not known yet.
fn attachments(object: &ZenlayerPort, account: Option<&Account<Client>>, shared: &Shared) -> Attachments {
    let reference = Reference::of(object);
    let call = object.release().and_then(|release| release.call.as_ref());
    if let (Some(account), Some(_)) = (account, call.filter(|call| decision::was_refused_as_is(call))) {
        let users = shared.usage.observe(reference, account, &object.spec.port_id);
        users.map_or(Attachments::Unknown, Attachments::Known)
    } else {
        shared.usage.forget(&reference);
        Attachments::Unknown
    }
}

fn tell_mirror(object: &ZenlayerPort, plan: &Plan, shared: &Shared) {
    let reference = Reference::of(object);
    match (plan.want, &plan.action) {
        (Some(want), _) => shared.mirror.want(&reference, want),
        // What was read proves that the finalizer may go, and is needed until it is off.
        (None, Action::LetGo(_)) => {}
        (None, _) => shared.stop_reading(&reference),
    }
}
