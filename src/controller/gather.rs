//! Gathers what a decision about one object rests on, and decides.

use std::sync::Arc;

use super::crd::Crd;
use super::observe::Observed;
use super::registrations::Mirrors;
use super::transitions;
use crate::api::{CallOutcome, ZenlayerPort};
use crate::clock::Clock;
use crate::credentials::Credentials;
use crate::decision::{
    self, Action, Attachments, Context, CrdState, Facts, GateSettings, Input, Plan, Timing, Turn,
};
use crate::index::{Index, KnownSince, Reference};
use crate::mirror::Account;
use crate::reading::Evidence;
use crate::reconcile::told;
use crate::wakes::WakeSender;
use crate::zenlayer::Client;

/// Knows what there is to know of an object.
pub(super) struct Observer {
    pub(super) index: Arc<Index>,
    pub(super) mirrors: Arc<Mirrors>,
    pub(super) credentials: Arc<Credentials>,
    pub(super) crd: Crd,
    pub(super) wakes: Arc<WakeSender<Reference>>,
    pub(super) timing: Timing,
    pub(super) gates: GateSettings,
    pub(super) clock: Clock,
}

/// What a decision about one object rests on.
pub(super) struct Gathered {
    pub(super) account: Option<Arc<Account<Client>>>,
    evidence: Option<Evidence>,
    context: Context,
}

impl Observer {
    /// The newest call of `object` has this outcome: this process knows it even if it cannot be written.
    pub(super) fn learn_outcome(&self, object: &ZenlayerPort, outcome: &CallOutcome) {
        self.index.learn(object, Some(&Facts::stored_in(&told(object, outcome.clone()))));
    }

    /// Decides about `object` with `outcome` as that of its newest call, which is not written yet.
    pub(super) async fn decide_with_outcome(&self, object: &ZenlayerPort, outcome: CallOutcome) -> Plan {
        let told = told(object, outcome);
        let gathered = self.gather(&told).await;
        let plan = self.decide(&gathered, &told, Turn::Free);
        self.index.learn(object, Some(&plan.known(&told)));
        plan
    }

    pub(super) async fn gather(&self, object: &ZenlayerPort) -> Gathered {
        let known = self.index.note(object, self.clock.monotonic());
        let Observed { account, credential, not_copied, evidence } =
            Observed::of(object, known.deletion, &self.credentials, &self.mirrors).await;
        let key = account.as_ref().map(|account| account.key);
        self.wakes.wake(self.index.looked(object, key, evidence.as_ref()));
        let now = self.clock.monotonic();
        let context = Context {
            credential,
            not_copied,
            claims: self.index.claims(object, key, now),
            same_account: self
                .index
                .same_account(object, account.as_ref().map(|account| &account.fingerprint)),
            deletions_at_once: self.index.deletions_at_once(object, evidence.as_ref(), now),
            listing: self.index.listing(object, known.deletion),
            crd: self.crd_state(object, known).await,
            attachments: self.attachments(object, account.as_deref()),
            gates: self.gates,
            deletion_known_since: known.deletion,
            call_known_since: known.call.map(|(_, since)| since),
            learnt: None,
            turn: Turn::Free,
        };
        Gathered { account, evidence, context }
    }

    /// Decides, and keeps what the decision has learnt and wants to be read, whatever becomes of the plan.
    pub(super) fn decide(&self, gathered: &Gathered, object: &ZenlayerPort, turn: Turn) -> Plan {
        // What one decision has learnt is not news to the next.
        let context = Context { turn, learnt: self.index.learnt(object), ..gathered.context.clone() };
        let plan = decision::decide(&Input {
            object,
            evidence: gathered.evidence.as_ref(),
            context: &context,
            timing: &self.timing,
            now: self.clock.now(),
        });
        self.tell_mirrors(object, &plan);
        transitions::log_landed(object, context.learnt.as_deref(), &plan);
        self.index.learn(object, plan.facts.as_ref());
        plan
    }

    /// Read when the grace is over, and not for each object before that.
    async fn crd_state(&self, object: &ZenlayerPort, known: KnownSince) -> CrdState {
        let Some(deletion) = known.deletion.filter(|_| object.is_terminating()) else {
            return CrdState::Unknown("the operator reads it after the deletion of the object".to_owned());
        };
        if decision::grace_is_over(known.deletion, &self.timing, self.clock.monotonic()) {
            self.crd.state(deletion).await
        } else {
            CrdState::Unknown("the operator reads it after the grace period".to_owned())
        }
    }

    /// Watched only for a port whose call was refused; nobody waits here for what is not known yet.
    fn attachments(&self, object: &ZenlayerPort, account: Option<&Account<Client>>) -> Attachments {
        let reference = Reference::of(object);
        let call = object.release().and_then(|release| release.call.as_ref());
        if let (Some(account), Some(_)) = (account, call.filter(|call| decision::was_refused_as_is(call))) {
            let users = self.mirrors.usage.observe(reference, account, &object.spec.port_id);
            users.map_or(Attachments::Unknown, Attachments::Known)
        } else {
            self.mirrors.usage.forget(&reference);
            Attachments::Unknown
        }
    }

    fn tell_mirrors(&self, object: &ZenlayerPort, plan: &Plan) {
        let reference = Reference::of(object);
        match (plan.want, &plan.action) {
            (Some(want), _) => self.mirrors.ports.want(&reference, want),
            // What was read proves that the finalizer may go, and is needed until it is off.
            (None, Action::RemoveFinalizer(_)) => {}
            (None, _) => self.mirrors.forget(&reference),
        }
    }
}
