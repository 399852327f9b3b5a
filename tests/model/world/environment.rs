//! What happens around the operator: time, Zenlayer's work, people, and faults.

use zenlayer_port_operator::api::{CallAction, DeletionPolicy};
use zenlayer_port_operator::port::PortStatus;

use super::object::{Key, Object, Which};
use super::scenarios::Scenario;
use super::situation::{CALL_KNOWN_MAX, DELETION_KNOWN_MAX, READING_AGE_MAX};
use super::{Before, Event, Port, Reading, Replica, Sent, Step, World, Write, digest};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cloud {
    Live,
    /// On its way into the bin.
    Deleting,
    InBin,
    Destroying,
    Gone,
}

/// What a person does, or Zenlayer of its own accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Delete(Which),
    SetPolicy(Which, DeletionPolicy),
    Protect(Which),
    Unprotect(Which),
    /// Types the command that the object's message prints.
    Approve(Which),
    ReplaceKey(Which, Key),
    MoveToBin,
    Restore,
    Destroy,
    /// Zenlayer empties the bin.
    Release,
    /// Another port gets the id.
    Recreate,
    DeleteManyMore,
}

/// What becomes of a call to Zenlayer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Net {
    Answered,
    LostBefore,
    LostAfter,
    /// It arrives when nobody waits for its answer any more.
    Delayed,
    /// It is accepted now and carried out later.
    AcceptedLate,
    /// It is accepted and never carried out.
    AcceptedInVain,
    Refused,
    Throttled,
    NotSent,
}

const FAULTY: [Net; 8] = [
    Net::LostBefore,
    Net::LostAfter,
    Net::Delayed,
    Net::AcceptedLate,
    Net::AcceptedInVain,
    Net::Refused,
    Net::Throttled,
    Net::NotSent,
];

impl Cloud {
    /// Whether a call leads here.
    pub fn is_reached_by(self, action: CallAction) -> bool {
        match action {
            CallAction::TerminatePort => matches!(self, Self::Deleting | Self::InBin),
            CallAction::DestroyPort => matches!(self, Self::Destroying | Self::Gone),
        }
    }

    /// As `DescribePorts` shows it; none: not listed.
    pub fn listed(self) -> Option<PortStatus> {
        match self {
            Self::Live => Some(PortStatus::Running),
            Self::Deleting => Some(PortStatus::Deleting),
            Self::InBin => Some(PortStatus::Recycled),
            Self::Destroying => Some(PortStatus::Destroying),
            Self::Gone => None,
        }
    }
}

impl Port {
    /// A list is less than a tick behind.
    fn shows_its_past(&self) -> bool {
        self.before.as_ref().is_some_and(|before| !before.ticked)
    }

    /// Where readings from now on may show it.
    pub fn may_show(&self) -> impl Iterator<Item = Cloud> {
        let before = self.before.as_ref().filter(|_| self.shows_its_past());
        [self.now].into_iter().chain(before.map(|before| before.cloud))
    }
}

impl World {
    /// All that can happen next.
    pub fn events(&self, scenario: &Scenario, events: &mut Vec<Event>) {
        if self.sent.is_empty() && self.objects.iter().all(Option::is_none) {
            return;
        }
        // A call arrives before its record can be taken for settled, or never.
        if self.sent.iter().all(|call| !call.ticked) {
            if !self.a_call_waits() {
                events.push(Event::Tick);
            } else if self.left.faults > 0 {
                events.push(Event::Stall);
            }
        }
        if !self.sent.is_empty() {
            events.extend([Event::Delivered, Event::Dropped]);
        }
        events.push(Event::Progress);
        if self.left.acts > 0 {
            events.extend(
                scenario.acts.iter().filter(|act| self.is_possible(**act)).map(|act| Event::Person(*act)),
            );
        }
        for (replica, views) in self.replicas.iter().enumerate() {
            if self.left.faults > 0 {
                events.push(Event::Crash { replica });
            }
            for of in 0..views.len() {
                self.events_of(replica, of, views, events);
            }
        }
    }

    fn events_of(&self, replica: usize, of: Which, views: &Replica, events: &mut Vec<Event>) {
        let Some(view) = &views[of] else {
            if self.objects[of].is_some() {
                events.push(Event::Watch { replica, of });
            }
            return;
        };
        let faulty = self.left.faults > 0;
        if view.step == Step::Between && !view.is_current {
            events.push(Event::Watch { replica, of });
        }
        let writes = [Write::Answered, Write::Lost, Write::Unheard];
        let writes = writes.into_iter().take(if faulty { 3 } else { 1 });
        match &view.step {
            Step::Between => {
                if view.is_current {
                    events.extend(writes.map(|write| Event::Begin { replica, of, write }));
                }
                let stale = (faulty && self.port.shows_its_past()).then_some(Reading::Stale);
                let slip = (self.left.slips > 0 && self.port.now != Cloud::Gone).then_some(Reading::Slip);
                let readings = [Reading::True].into_iter().chain(stale).chain(slip);
                let readings =
                    readings.filter(|_| of == 0 || self.keys[0] != self.keys[1] || views[0].is_none());
                events.extend(readings.map(|what| Event::Read { replica, of, what }));
            }
            Step::UnderWay { run, .. } if run.calls() => {
                let nets = [Net::Answered].into_iter().chain(FAULTY.into_iter().filter(|_| faulty));
                events.extend(nets.map(|net| Event::Call { replica, of, net }));
            }
            Step::UnderWay { .. } => events.extend(writes.map(|write| Event::GoOn { replica, of, write })),
        }
    }

    pub fn happens(&mut self, event: Event) {
        match event {
            Event::Tick => self.tick(),
            Event::Stall => {
                self.left.faults -= 1;
                self.tick();
            }
            Event::Progress => self.progress(),
            Event::Delivered => {
                let call = self.sent.remove(0);
                self.carry_out(&call);
            }
            Event::Dropped => _ = self.sent.remove(0),
            Event::Person(act) => {
                self.left.acts -= 1;
                self.act(act);
            }
            Event::Crash { replica } => {
                self.left.faults -= 1;
                self.replicas[replica] = Replica::default();
            }
            Event::Watch { replica, of } => self.watch(replica, of),
            Event::Read { replica, of, what } => {
                self.left.faults -= u8::from(what == Reading::Stale);
                self.left.slips -= u8::from(what == Reading::Slip);
                self.read(replica, of, what);
            }
            Event::Begin { replica, of, write } => {
                self.left.faults -= u8::from(write != Write::Answered);
                self.begin(replica, of, write);
            }
            Event::Call { replica, of, net } => {
                self.left.faults -= u8::from(net != Net::Answered);
                self.call(replica, of, net);
            }
            Event::GoOn { replica, of, write } => {
                self.left.faults -= u8::from(write != Write::Answered);
                self.go_on(replica, of, write);
            }
        }
    }

    /// A record is written, and its call is about to be sent.
    fn a_call_waits(&self) -> bool {
        self.replicas
            .iter()
            .flatten()
            .flatten()
            .any(|view| matches!(&view.step, Step::UnderWay { run, in_time: true, .. } if run.calls()))
    }

    fn tick(&mut self) {
        match &mut self.port.before {
            Some(before) if !before.ticked => before.ticked = true,
            before => *before = None,
        }
        for call in &mut self.sent {
            call.ticked = true;
        }
        for view in self.replicas.iter_mut().flatten().flatten() {
            let older = |age: &mut u8, most: u8| *age = (*age + 1).min(most);
            if let Some(known) = &mut view.deletion_known {
                older(known, DELETION_KNOWN_MAX);
            }
            if let Some((_, known)) = &mut view.call_known {
                older(known, CALL_KNOWN_MAX);
            }
            if let Some(sighting) = &mut view.sighting {
                older(&mut sighting.age, READING_AGE_MAX);
            }
            if let Step::UnderWay { in_time, .. } = &mut view.step {
                *in_time = false;
            }
        }
    }

    pub fn progress(&mut self) {
        match self.port.now {
            Cloud::Deleting => self.becomes(Cloud::InBin),
            Cloud::Destroying => self.becomes(Cloud::Gone),
            Cloud::Live | Cloud::InBin | Cloud::Gone => {}
        }
    }

    fn becomes(&mut self, now: Cloud) {
        let (cloud, number) = (self.port.now, self.port.number);
        self.port.before = Some(Before { cloud, number, ticked: false });
        self.port.now = now;
        for call in &mut self.sent {
            call.overtaken |= now.is_reached_by(call.action);
        }
    }

    /// Zenlayer gets a call: whether it does what it is asked.
    pub fn carry_out(&mut self, call: &Sent) -> bool {
        let next = match (call.action, self.port.now) {
            (CallAction::TerminatePort, Cloud::Live) => Cloud::Deleting,
            (CallAction::DestroyPort, Cloud::InBin) => Cloud::Destroying,
            _ => return false,
        };
        if call.number != self.port.number {
            self.broken = Some("a call for one port has hit another");
        }
        self.becomes(next);
        true
    }

    fn is_possible(&self, act: Act) -> bool {
        let object = |which: Which| self.objects[which].as_ref();
        match act {
            Act::Delete(which) => object(which).is_some_and(|object| !object.deleted),
            Act::SetPolicy(which, policy) => object(which).is_some_and(|object| object.policy != policy),
            Act::Protect(which) => object(which).is_some_and(|object| !object.protected),
            Act::Unprotect(which) => object(which).is_some_and(|object| object.protected),
            Act::Approve(which) => object(which).and_then(Object::to_approve).is_some(),
            Act::ReplaceKey(which, key) => object(which).is_some() && self.keys[which] != key,
            Act::MoveToBin => self.port.now == Cloud::Live,
            Act::Restore | Act::Destroy | Act::Release => self.port.now == Cloud::InBin,
            // No id is given anew within seconds.
            Act::Recreate => {
                let settled = self.port.before.is_none() && self.sent.is_empty();
                self.port.now == Cloud::Gone && self.port.number == 0 && settled
            }
            Act::DeleteManyMore => !self.too_many,
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Delete(which) => self.edit(which, |object| object.deleted = true),
            Act::SetPolicy(which, policy) => self.edit(which, |object| object.policy = policy),
            Act::Protect(which) => self.edit(which, |object| object.protected = true),
            Act::Unprotect(which) => self.edit(which, |object| object.protected = false),
            Act::Approve(which) => self.edit(which, |object| object.consents.extend(object.to_approve())),
            Act::ReplaceKey(which, key) => self.keys[which] = key,
            Act::MoveToBin | Act::Restore | Act::Destroy | Act::Release => {
                self.becomes(match act {
                    Act::MoveToBin => Cloud::InBin,
                    Act::Restore => Cloud::Live,
                    Act::Destroy => Cloud::Destroying,
                    _ => Cloud::Gone,
                });
            }
            Act::Recreate => {
                self.becomes(Cloud::Live);
                self.port.number = 1;
            }
            Act::DeleteManyMore => self.too_many = true,
        }
    }

    fn edit(&mut self, which: Which, change: impl FnOnce(&mut Object)) {
        let Some(mut object) = self.objects[which].clone() else { return };
        change(&mut object);
        // The API server drops an object that is deleted and that nothing holds.
        self.store(which, Some(object).filter(|object| !object.deleted || object.finalized));
    }

    /// The API server takes a write in: what others know of the object is old from now on.
    pub fn store(&mut self, which: Which, object: Option<Object>) {
        self.objects[which] = object;
        for view in self.replicas.iter_mut().filter_map(|views| views[which].as_mut()) {
            view.is_current = false;
        }
    }

    /// Makes worlds equal that have the same future.
    pub fn forget_what_no_longer_counts(&mut self) {
        let is_called = |object: &Option<Object>| {
            let call = object.as_ref().and_then(|object| object.release()?.call.as_ref());
            call.is_some_and(|call| !call.landed)
        };
        let is_called = [is_called(&self.objects[0]), is_called(&self.objects[1])];
        for (of, is_called) in is_called.into_iter().enumerate() {
            for view in self.replicas.iter_mut().filter_map(|views| views[of].as_mut()) {
                view.forget_what_no_longer_counts(is_called);
            }
        }
        // Replicas differ in what they know, not in who they are.
        if self.replicas.len() > 1 {
            self.replicas.sort_by_cached_key(digest);
        }
    }
}
