//! The operator: the shipped decision, and the shipped protocol, whose effects are carried out here.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use zenlayer_port_operator::api::{CallOutcome, Reason, ZenlayerPort};
use zenlayer_port_operator::index::KnownSince;
use zenlayer_port_operator::port::PortStatus;
use zenlayer_port_operator::reconcile::{
    BEGIN_WITHIN, Effect, Event, FinalizerWrite, Reconcile, Recorded, StatusWrite, WriteResult,
};

use super::environment::{Cloud, Net};
use super::object::{Key, Object, Outcome, Status, Which};
use super::situation::{CALL_KNOWN_MAX, Decision, Other, READING_AGE_MAX, Situation, ticks};
use super::{Reading, Sent, Sighting, Step, View, World, Write, rules};
use crate::facts::NOW;

/// As many absences, and as far apart, as the hardest proof asks for; and as long as a restored port is to be seen live.
const ABSENCES_MAX: u8 = 3;
const ABSENT_SPAN_MAX: u8 = 2;
const LIVE_SPAN_MAX: u8 = 1;

/// A reconcile under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    reconcile: Reconcile<()>,
    todo: Todo,
    /// The record of its call.
    recorded: Option<Recorded>,
}

/// The next effect, with nothing in it that the world does not feel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Todo {
    /// None: from the beginning.
    Decide(Option<Outcome>),
    Status {
        status: Status,
        what: StatusWrite,
    },
    AddFinalizer,
    RemoveFinalizer(Reason),
    Call(Recorded),
    Over,
}

impl Run {
    /// A reconcile that begins.
    pub fn fresh() -> Arc<Self> {
        static FRESH: LazyLock<Arc<Run>> = LazyLock::new(|| {
            let (reconcile, _) = Reconcile::begin(None);
            Arc::new(Run { reconcile, todo: Todo::Decide(None), recorded: None })
        });
        Arc::clone(&FRESH)
    }

    /// What the reconcile goes on with after this event. Turns come at once, and nobody misses an Event.
    pub fn after(&self, object: &ZenlayerPort, event: Event<()>) -> Self {
        let mut reconcile = self.reconcile.clone();
        let mut effect = reconcile.next(object, event);
        loop {
            let todo = match effect {
                Effect::TakeTurn(_) => {
                    effect = reconcile.next(object, Event::HasTurn(()));
                    continue;
                }
                Effect::Announce(_) => {
                    effect = reconcile.next(object, Event::Announced);
                    continue;
                }
                Effect::Decide { outcome: Some(outcome), .. } => Todo::Decide(Some(Outcome::of(&outcome))),
                Effect::WriteStatus { status, what, .. } => {
                    Todo::Status { status: Status::of(&status), what }
                }
                Effect::WriteFinalizers { what: FinalizerWrite::Addition, .. } => Todo::AddFinalizer,
                Effect::WriteFinalizers { what: FinalizerWrite::Removal { reason, .. }, .. } => {
                    Todo::RemoveFinalizer(reason)
                }
                Effect::Call(recorded, ()) => Todo::Call(recorded),
                // Another begins when the world lets it.
                Effect::Decide { outcome: None, .. } | Effect::End(_) => Todo::Over,
            };
            let recorded = match &todo {
                Todo::Call(recorded) => Some(recorded.clone()),
                _ => self.recorded.clone(),
            };
            return Self { reconcile, todo, recorded };
        }
    }

    pub fn calls(&self) -> bool {
        matches!(self.todo, Todo::Call(_))
    }

    /// The outcome that it decides about.
    pub fn outcome(&self) -> Option<CallOutcome> {
        match self.todo {
            Todo::Decide(outcome) => outcome.map(Outcome::told),
            _ => None,
        }
    }
}

impl Eq for Run {}

impl Hash for Run {
    /// A reconcile rests only before a call, or before it decides about the outcome of one: what it does then follows from these two and
    /// from the world. What else differs is what people read, and how many conflicts there were.
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.todo, &self.recorded).hash(state);
    }
}

impl View {
    /// What this process remembers of the object from now on.
    fn note(&mut self, object: &Object) {
        let attempt = object.release().and_then(|release| release.call.as_ref()).map(|call| call.attempt);
        let mut known = KnownSince {
            deletion: self.deletion_known.map(|age| NOW - ticks(age)),
            call: self.call_known.map(|(attempt, age)| (attempt, NOW - ticks(age))),
        };
        let before = known;
        known.note(object.deleted, attempt, NOW);
        if known.deletion != before.deletion {
            self.deletion_known = Some(0);
        }
        if known.call != before.call {
            self.call_known = known.call.map(|(attempt, _)| (attempt, 0));
            if let Some(sighting) = &mut self.sighting {
                sighting.after_call = None;
            }
        }
    }

    /// The same twice within a tick is no news.
    fn read(&mut self, seen: Option<(PortStatus, usize)>, by: Key) {
        let is_news = self.sighting.as_ref().is_none_or(|before| {
            let unread_call = self.call_known.is_some() && before.after_call.is_none();
            before.age > 0 || before.seen != seen || before.by != by || unread_call
        });
        if is_news {
            self.take_in(seen, by);
        }
    }

    fn take_in(&mut self, seen: Option<(PortStatus, usize)>, by: Key) {
        let before = self.sighting.take().filter(|before| before.by.fingerprint() == by.fingerprint());
        let status = |seen: &Option<(PortStatus, usize)>| seen.as_ref().map(|(status, _)| status.clone());
        let before = before.filter(|before| status(&before.seen) == status(&seen));
        let span = before.as_ref().map_or(0, |before| before.span + before.age);
        let (span, count) = match &seen {
            // Only of a port that is live it counts for how long it has been.
            Some((PortStatus::Running, _)) => (span.min(LIVE_SPAN_MAX), 1),
            Some(_) => (0, 1),
            None => {
                (span.min(ABSENT_SPAN_MAX), before.map_or(1, |before| (before.count + 1).min(ABSENCES_MAX)))
            }
        };
        let after_call = self.call_known.map(|(_, known)| known);
        self.sighting = Some(Sighting { by, seen, age: 0, span, count, after_call });
    }

    /// A reading that is too old to rest on counts only for the run that the next may lengthen: each reading wakes its
    /// object at once, so what it says was noted long ago. How old a record is counts until its call is
    /// seen to have landed; then it counts only whether the reading is older.
    pub fn forget_what_no_longer_counts(&mut self, is_called: bool) {
        self.sighting.take_if(|it| {
            let begins_no_run = it.seen.as_ref().is_some_and(|(status, _)| *status != PortStatus::Running);
            it.age == READING_AGE_MAX && begins_no_run
        });
        if is_called || !self.is_current || self.step != Step::Between {
            return;
        }
        if let Some((_, known)) = &mut self.call_known {
            *known = CALL_KNOWN_MAX;
        }
        if let Some(sighting) = &mut self.sighting {
            sighting.after_call = sighting.after_call.map(|_| 0);
        }
    }
}

impl World {
    pub fn view(&mut self, replica: usize, of: Which) -> Option<&mut View> {
        self.replicas[replica][of].as_mut()
    }

    /// The replica learns how the object is now.
    pub fn watch(&mut self, replica: usize, of: Which) {
        let view = &mut self.replicas[replica][of];
        let Some(object) = &self.objects[of] else {
            *view = None;
            return;
        };
        let view = view.get_or_insert_default();
        view.is_current = true;
        view.note(object);
    }

    /// The mirror reads the port by the object's key, for each object of that key.
    pub fn read(&mut self, replica: usize, of: Which, what: Reading) {
        let (key, port) = (self.keys[of], self.port.clone());
        let listed = |cloud: Cloud, number| cloud.listed().map(|status| (status, number));
        let seen = match (what, &port.before) {
            _ if !key.sees_the_port() => None,
            (Reading::Slip, _) => None,
            (Reading::Stale, Some(before)) => listed(before.cloud, before.number),
            (Reading::True | Reading::Stale, _) => listed(port.now, port.number),
        };
        for (view, by) in self.replicas[replica].iter_mut().zip(self.keys) {
            if let Some(view) = view.as_mut().filter(|_| by == key) {
                view.read(seen.clone(), key);
            }
        }
    }

    /// Begins a reconcile; returns what was decided, if it was written.
    pub fn begin(&mut self, replica: usize, of: Which, write: Write) -> Option<Arc<Decision>> {
        let object = self.objects[of].clone()?;
        let decision = self.situation(replica, of, object)?.decide(&Run::fresh());
        self.write(replica, of, Arc::clone(&decision.run), write)?;
        Some(decision)
    }

    /// Goes on with a reconcile under way: decides about the outcome of its call, or writes what follows another write.
    pub fn go_on(&mut self, replica: usize, of: Which, write: Write) {
        let Some(view) = self.view(replica, of) else { return };
        let is_current = view.is_current;
        let Step::UnderWay { mut run, .. } = std::mem::take(&mut view.step) else { return };
        if run.outcome().is_some() {
            if !is_current {
                self.watch(replica, of);
            }
            let Some(object) = self.objects[of].clone() else { return };
            let Some(situation) = self.situation(replica, of, object.clone()) else { return };
            run = Arc::clone(&situation.clone().decide(&run).run);
            if !is_current {
                // Its first write conflicts.
                let overtaken = Event::Written(WriteResult::Overtaken);
                run = Arc::new(run.after(&object.told(of), overtaken));
                if run.outcome().is_some() {
                    run = Arc::clone(&situation.decide(&run).run);
                }
            }
        }
        self.write(replica, of, run, write);
    }

    /// Carries out a write, and rests before the next effect; none on a conflict or an error, which end the reconcile.
    fn write(&mut self, replica: usize, of: Which, run: Arc<Run>, write: Write) -> Option<()> {
        match &run.todo {
            Todo::Status { status, what } => {
                if *what == StatusWrite::Record && write != Write::Lost {
                    self.broken = self.broken.or(rules::against_a_record(self, of, status));
                }
                self.put(replica, of, status, write)?;
            }
            Todo::AddFinalizer => {
                self.patch(replica, of, write, |object| Some(Object { finalized: true, ..object }))?;
            }
            Todo::RemoveFinalizer(reason) => {
                if write != Write::Lost {
                    self.broken = self.broken.or(rules::against_removal(self, of, *reason));
                }
                self.patch(replica, of, write, |_| None)?;
            }
            Todo::Decide(_) | Todo::Call(_) | Todo::Over => {
                self.rest(replica, of, run);
                return Some(());
            }
        }
        if let Some(object) = &self.objects[of] {
            let next = run.after(&object.told(of), Event::Written(WriteResult::Done));
            self.rest(replica, of, Arc::new(next));
        }
        Some(())
    }

    fn rest(&mut self, replica: usize, of: Which, run: Arc<Run>) {
        let identity = self.objects[of].as_ref().and_then(|object| object.status.identity.as_ref());
        let number = identity.map_or(0, |identity| identity.port);
        if let Some(view) = self.view(replica, of) {
            view.step = match run.todo {
                Todo::Over => Step::Between,
                _ => Step::UnderWay { in_time: run.calls(), run, number },
            };
        }
    }

    /// What a replica that is up to date has to decide about; none for one that is not: its writes conflict.
    fn situation(&self, replica: usize, of: Which, object: Object) -> Option<Situation> {
        let view = self.replicas[replica][of].as_ref().filter(|view| view.is_current)?;
        let key = self.keys[of];
        let is_by_this = |sighting: &&Sighting| sighting.by.fingerprint() == key.fingerprint();
        Some(Situation {
            which: of,
            object,
            key,
            sighting: view.sighting.as_ref().filter(is_by_this).cloned(),
            deletion_known: view.deletion_known,
            call_known: view.call_known.map(|(_, known)| known),
            other: self.objects[1 - of].as_ref().map(|other| Other {
                deleted: other.deleted,
                same_key: self.keys[1 - of] == key,
                identity: other.status.identity.clone(),
            }),
            too_many: self.too_many,
        })
    }

    /// PUTs the status if it differs; none on a conflict or an error.
    fn put(&mut self, replica: usize, of: Which, status: &Status, write: Write) -> Option<()> {
        if self.objects[of].as_ref()?.status == *status {
            return Some(());
        }
        self.patch(replica, of, write, |object| Some(Object { status: status.clone(), ..object }))
    }

    /// A write that the API server takes only if the object is still as the replica knows it.
    fn patch(
        &mut self,
        replica: usize,
        of: Which,
        write: Write,
        change: impl FnOnce(Object) -> Option<Object>,
    ) -> Option<()> {
        if write == Write::Lost {
            return None;
        }
        if !self.view(replica, of)?.is_current {
            // The object is read again, and decided about anew.
            self.watch(replica, of);
            return None;
        }
        let object = self.objects[of].clone()?;
        self.store(of, change(object));
        if write == Write::Unheard {
            return None;
        }
        self.watch(replica, of);
        Some(())
    }

    /// Sends a call whose record is written, if it may still be sent.
    pub fn call(&mut self, replica: usize, of: Which, net: Net) {
        let key = self.keys[of].fingerprint();
        let Some(view) = self.view(replica, of) else { return };
        let Step::UnderWay { run, number, in_time } = view.step.clone() else { return };
        let Todo::Call(recorded) = &run.todo else { return };
        let since_decision = if in_time { Duration::ZERO } else { 2 * BEGIN_WITHIN };
        let outcome = if recorded.check(since_decision, &key).is_ok() && net != Net::NotSent {
            let action = recorded.action();
            let breach = rules::against_sending(self, replica, of, action);
            self.broken = self.broken.or(breach);
            let attempt = self.newest_attempt(replica, of);
            self.attempts[of] = attempt.max(self.attempts[of]);
            let overtaken = self.port.may_show().any(|cloud| cloud.is_reached_by(action));
            self.send(&Sent { action, by: of, number, ticked: false, overtaken }, net)
        } else {
            Outcome::NotSent
        };
        match self.objects[of].as_ref().map(|object| object.told(of)) {
            Some(object) => {
                let answered = run.after(&object, Event::Answered(outcome.told()));
                self.rest(replica, of, Arc::new(answered));
            }
            // It went meanwhile: there is nothing to write the outcome onto.
            None => {
                if let Some(view) = self.view(replica, of) {
                    view.step = Step::Between;
                }
            }
        }
    }

    fn send(&mut self, call: &Sent, net: Net) -> Outcome {
        match net {
            Net::Answered if self.carry_out(call) => Outcome::Accepted,
            Net::Answered | Net::Refused => Outcome::Refused,
            Net::Throttled => Outcome::Throttled,
            Net::NotSent => Outcome::NotSent,
            Net::LostBefore => Outcome::Unclear,
            Net::LostAfter => {
                self.carry_out(call);
                Outcome::Unclear
            }
            Net::Delayed => {
                self.sent.push(call.clone());
                Outcome::Unclear
            }
            Net::AcceptedLate => {
                self.sent.push(call.clone());
                Outcome::Accepted
            }
            Net::AcceptedInVain => Outcome::Accepted,
        }
    }

    /// The attempt whose record the replica has just written.
    pub fn newest_attempt(&mut self, replica: usize, of: Which) -> i64 {
        self.view(replica, of).and_then(|view| view.call_known).map_or(0, |(attempt, _)| attempt)
    }
}
