//! One account in told time: its ports are released, the cloud takes a while to destroy each, and the cohort says when they
//! are read. No sockets and no sleeps: an hour takes a moment, and each run comes to the same.
//!
//! What stands around the cohort is the simplest that behaves like it: the limiter of the account, which lets changes go
//! first; the reconcile of an object; the poller with its four calls at a time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::*;
use crate::mirror::cohort::{Batch, Cohort};

/// From an answer to the end of the reconcile that it causes.
const RECONCILE: Duration = Duration::from_millis(200);
/// From the proof to the moment when a watch shows that the object is gone.
const REMOVAL: Duration = Duration::from_millis(200);
/// From a request to its answer.
const ANSWER: Duration = Duration::from_millis(20);
const GRACE: Duration = Duration::from_secs(10);
/// The age up to which a reading justifies a call.
const VALID: Duration = Duration::from_secs(30);
/// Between the two readings that prove that a destroyed port is gone.
const PROOF: Duration = Duration::from_secs(5);
/// How many changes go before a reading that waits.
const PATIENCE: u32 = 4;
/// What the limiter's bucket holds.
const BURST: Duration = Duration::from_millis(500);

/// How the account is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    AsShipped,
    /// Every ten seconds: the cloud never says DESTROYING, so nothing is learnt.
    ByConstantTick,
}

/// A port: when its object is deleted, and how long the cloud takes to destroy it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Release {
    pub(super) deleted: Monotonic,
    pub(super) takes: Duration,
}

/// What releases came to, from the first deletion on.
#[derive(Clone, Debug, Default)]
pub(super) struct Costs {
    /// Readings of up to a hundred ports.
    pub(super) calls: usize,
    /// From DESTROYED to the end of the object, port by port.
    pub(super) lags: Vec<Duration>,
    /// The longest pause in the plans, as the evidence tells it.
    pub(super) longest_pause: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Reconcile(usize),
    /// A request may be sent.
    Token,
    /// To the call of that number, sent then.
    Answer(usize, Monotonic),
    /// Something of the cohort is due.
    Due,
}

#[derive(Clone, Copy, Debug)]
struct Port {
    release: Release,
    queued: bool,
    called: Option<Monotonic>,
    ended: bool,
}

pub(super) struct Account {
    now: Monotonic,
    /// Between two requests.
    every: Duration,
    reads: Reads,
    cohort: Cohort<usize>,
    ports: Vec<Port>,
    events: BinaryHeap<Reverse<(Monotonic, Event)>>,
    calls: Vec<Option<Batch>>,
    under_way: usize,
    changes: VecDeque<usize>,
    readings: VecDeque<usize>,
    passed_over: u32,
    /// Up to when the limiter has given tokens away.
    given: Monotonic,
    costs: Costs,
}

impl Account {
    /// An account that allows so many requests a second.
    pub(super) fn new(settings: MirrorSettings, per_second: u32, reads: Reads) -> Self {
        let start = Monotonic::default();
        Self {
            now: start,
            every: Duration::from_secs(1) / per_second,
            reads,
            cohort: Cohort::new(settings, Fingerprint::new("account"), start),
            ports: Vec::new(),
            events: BinaryHeap::new(),
            calls: Vec::new(),
            under_way: 0,
            changes: VecDeque::new(),
            readings: VecDeque::new(),
            passed_over: 0,
            given: start,
            costs: Costs::default(),
        }
    }

    pub(super) fn now(&self) -> Monotonic {
        self.now
    }

    /// Makes objects for these ports, deletes each when it is time, and ends when all are gone.
    pub(super) fn release(&mut self, releases: &[Release]) -> Costs {
        for release in releases {
            let number = self.ports.len();
            self.ports.push(Port { release: *release, queued: false, called: None, ended: false });
            self.cohort.observe(number, &port(number), self.now);
            self.at(release.deleted, Event::Reconcile(number));
        }
        let first = releases.iter().map(|release| release.deleted).min().unwrap_or_default();
        self.costs = Costs::default();
        while self.costs.lags.len() < releases.len() {
            self.poll();
            let Reverse((at, event)) = self.events.pop().expect("something happens until all are gone");
            self.now = self.now.max(at);
            self.happen(event);
            if self.now < first {
                self.costs.calls = 0;
            }
        }
        std::mem::take(&mut self.costs)
    }

    fn at(&mut self, time: Monotonic, event: Event) {
        self.events.push(Reverse((time, event)));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Reconcile(number) if !self.ports[number].ended => self.reconcile(number),
            Event::Reconcile(_) | Event::Due => {}
            Event::Token => self.send(),
            Event::Answer(call, sent) => {
                let batch = self.calls[call].take().expect("one answer to a call");
                self.under_way -= 1;
                let seen = batch.ids.iter().filter_map(|id| self.seen(id, sent)).collect();
                for waiter in self.cohort.record(batch, sent, Ok(seen), self.now) {
                    self.at(self.now + RECONCILE, Event::Reconcile(waiter));
                }
            }
        }
    }

    /// What the poller does.
    fn poll(&mut self) {
        while self.under_way < 4
            && let Some(batch) = self.cohort.take(self.now)
        {
            self.under_way += 1;
            self.readings.push_back(self.calls.len());
            self.calls.push(Some(batch));
            self.ask_for_token();
        }
        if let Some(due) = self.cohort.next_due().filter(|due| self.under_way < 4 && *due > self.now) {
            self.at(due, Event::Due);
        }
    }

    fn reconcile(&mut self, number: usize) {
        let evidence = self.cohort.observe(number, &port(number), self.now);
        if self.ports[number].called.is_some() {
            self.costs.longest_pause = self.costs.longest_pause.max(evidence.interval.unwrap_or_default());
        }
        let Some(want) = self.decide(number, &evidence) else {
            let port_ended = self.ends(number).expect("only what was destroyed is absent");
            self.costs.lags.push((self.now + REMOVAL).since(port_ended));
            self.ports[number].ended = true;
            return self.cohort.forget(&number, &port(number), self.now);
        };
        if self.cohort.want(&number, &port(number), want, self.now) {
            self.at(self.now + RECONCILE, Event::Reconcile(number));
        }
    }

    /// What the object asks for; none if the port is proven to be gone.
    fn decide(&mut self, number: usize, evidence: &Evidence) -> Option<Want> {
        let Port { release, queued, called, .. } = self.ports[number];
        let grace_ends = release.deleted + GRACE;
        if let Some(run) = evidence.absences {
            let proven = run.count >= 2 && run.last.since(run.first) >= PROOF;
            let next = run.last + Duration::from_nanos(1);
            return (!proven).then(|| want_after(Cadence::Release, next.max(run.first + PROOF)));
        }
        if self.now < release.deleted {
            return Some(want(Cadence::Slow));
        }
        if self.now < grace_ends {
            self.at(grace_ends, Event::Reconcile(number));
            return Some(want_after(Cadence::Paused, grace_ends));
        }
        let is_fresh =
            |good: &crate::reading::Reading| good.at >= grace_ends && self.now.since(good.at) <= VALID;
        if called.is_none() && !evidence.good.as_ref().is_some_and(is_fresh) {
            return Some(want_after(Cadence::Release, self.now));
        }
        if !queued {
            self.ports[number].queued = true;
            self.changes.push_back(number);
            self.ask_for_token();
        }
        Some(want(Cadence::Release))
    }

    fn ask_for_token(&mut self) {
        self.given = self.given.max(self.now - BURST) + self.every;
        self.at(self.given.max(self.now), Event::Token);
    }

    /// Sends the request whose turn it is: a change, unless a reading was passed over too often.
    fn send(&mut self) {
        let reading_first = self.changes.is_empty() || self.passed_over >= PATIENCE;
        if let Some(call) = self.readings.pop_front_if(|_| reading_first) {
            self.passed_over = 0;
            self.costs.calls += 1;
            self.at(self.now + ANSWER, Event::Answer(call, self.now));
        } else if let Some(number) = self.changes.pop_front() {
            self.passed_over += u32::from(!self.readings.is_empty());
            self.ports[number].called = Some(self.now);
            self.at(self.now + ANSWER, Event::Reconcile(number));
        }
    }

    fn ends(&self, number: usize) -> Option<Monotonic> {
        Some(self.ports[number].called? + self.ports[number].release.takes)
    }

    fn seen(&self, id: &PortId, at: Monotonic) -> Option<PortInfo> {
        let number: usize =
            id.as_str().trim_start_matches("port-").parse().expect("a name that the test gave");
        let is_called = self.ports[number].called.is_some_and(|called| called <= at);
        let is_gone = self.ends(number).is_some_and(|ends| ends <= at);
        let status = match self.reads {
            Reads::AsShipped if is_called => "DESTROYING",
            Reads::ByConstantTick if is_called => "UPDATING",
            Reads::AsShipped | Reads::ByConstantTick => "RECYCLED",
        };
        (!is_gone).then(|| port_info(id.as_str(), status))
    }
}
