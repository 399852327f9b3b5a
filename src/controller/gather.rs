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

/// A decision, and the account that reads the object's port.
pub(super) struct Decided {
    pub(super) plan: Plan,
    pub(super) account: Option<Arc<Account<Client>>>,
}

impl Observer {
    /// Decides about `object`, with `outcome` as that of its newest call if there is one.
    pub(super) async fn decide(
        &self,
        object: &ZenlayerPort,
        outcome: Option<CallOutcome>,
        turn: Turn,
    ) -> Decided {
        let Some(outcome) = outcome else {
            let gathered = self.gather(object, turn).await;
            let plan = self.decide_on(&gathered, object);
            return Decided { plan, account: gathered.account };
        };
        let told = told(object, outcome);
        // Before anything else: this process must know the outcome even if it cannot be written.
        self.index.learn(object, Some(&Facts::stored_in(&told)));
        let gathered = self.gather(&told, turn).await;
        let plan = self.decide_on(&gathered, &told);
        // What it tells is not written yet.
        self.index.learn(object, Some(&plan.known(&told)));
        Decided { plan, account: gathered.account }
    }

    pub(super) async fn gather(&self, object: &ZenlayerPort, turn: Turn) -> Gathered {
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
            learnt: self.index.learnt(object),
            turn,
        };
        Gathered { account, evidence, context }
    }

    /// Decides, and keeps what the decision has learnt and wants to be read, whatever becomes of the plan.
    pub(super) fn decide_on(&self, gathered: &Gathered, object: &ZenlayerPort) -> Plan {
        let plan = decision::decide(&Input {
            object,
            evidence: gathered.evidence.as_ref(),
            context: &gathered.context,
            timing: &self.timing,
            now: self.clock.now(),
        });
        self.tell_mirrors(object, &plan);
        transitions::log_landed(object, gathered.context.learnt.as_deref(), &plan);
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
