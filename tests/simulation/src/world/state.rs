//! All that a world holds, and what each thing that happens does to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use zenlayer_simulator::{Cause, Cloud, Exchange, Now};

use super::ask::{Ask, Target};
use crate::api::{ApiServer, Body, Object};
use crate::chance::draw;
use crate::journal::Journal;
use crate::oracle::{Call, Change, Oracle, Violation};
use crate::plan::{Config, Crash, Name, Phase, Plan, Trouble};

/// So many lines within one millisecond mean that time stands still.
const MOST_AT_ONCE: u64 = 50_000;

/// The answer to a write has come after that, beside its way and its request's, if nothing goes wrong.
const KNOWN_BY_ITSELF: Duration = Duration::from_secs(2);

/// When a row or a reason was seen.
pub const CALM: &str = "calm";
pub const IN_FAULT: &str = "during a fault";
pub const AFTER_CRASH: &str = "after a crash";

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The time of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time {
    start: Instant,
    wall: Timestamp,
}

impl Time {
    /// All runs begin then.
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), wall: Timestamp::from_second(1_893_456_000).unwrap_or_default() }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) fn wall(&self) -> Timestamp {
        self.wall + self.elapsed()
    }

    pub(super) fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    pub(super) fn instant_of(&self, wall: Timestamp) -> Instant {
        let since = Duration::try_from(wall.duration_since(self.wall)).unwrap_or_default();
        self.start + since
    }

    pub(super) fn now(&self) -> Now {
        Now { monotonic: self.elapsed(), wall: self.wall() }
    }
}

/// One life of a replica, from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Life {
    pub(super) replica: u8,
    pub(super) number: u32,
}

impl std::fmt::Display for Life {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", char::from(b'a' + self.replica), self.number)
    }
}

/// What becomes of a request on its way.
#[derive(Clone, Debug)]
pub(super) struct Passage {
    pub(super) there: Duration,
    pub(super) back: Duration,
    pub(super) trouble: Option<Trouble>,
    /// Where its sender dies.
    pub(super) crash: Option<Crash>,
}

/// What happened in a run, counted.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub requests: u64,
    pub effects: u64,
    pub crashes: u64,
    /// Fault kinds and the kinds of requests that they met.
    pub troubles: BTreeMap<(String, String), u64>,
    /// The reasons that objects showed, and when.
    pub reasons: BTreeMap<(String, &'static str), u64>,
    /// The rows of the decision that the log told of, by table and number, and when.
    pub rows: BTreeMap<(&'static str, u8, &'static str), u64>,
    pub acts: BTreeMap<String, u64>,
}

pub(super) struct State {
    pub(super) plan: Arc<Plan>,
    pub(super) time: Time,
    pub(super) api: ApiServer,
    pub(super) cloud: Cloud,
    pub(super) journal: Journal,
    pub(super) oracle: Oracle,
    pub(super) violations: Vec<Violation>,
    pub(super) counts: Counts,
    /// Cancelled: the run ends.
    pub(super) stop: CancellationToken,
    /// The number of each replica's life; none: it is dead.
    alive: BTreeMap<u8, u32>,
    asked: BTreeMap<(u8, String), u64>,
    seen_version: u64,
    seen_transitions: usize,
    /// Who wrote each object last, and when, unless it was a person.
    writers: BTreeMap<String, (Life, Duration)>,
    /// How many lines were written at this time.
    at_once: (Duration, u64),
    crashed_at: Option<Duration>,
}

impl State {
    pub(super) fn new(
        plan: Arc<Plan>,
        time: Time,
        cloud: Cloud,
        journal: Journal,
        stop: CancellationToken,
    ) -> Self {
        let ahead = jiff::SignedDuration::from_secs(plan.config.api_clock_ahead_s);
        let api = ApiServer::new(move || time.wall() + ahead, plan.seed);
        let oracle = Oracle::new(&plan);
        Self {
            seen_version: api.version(),
            api,
            cloud,
            journal,
            oracle,
            violations: Vec::new(),
            counts: Counts::default(),
            stop,
            alive: BTreeMap::new(),
            asked: BTreeMap::new(),
            seen_transitions: 0,
            writers: BTreeMap::new(),
            at_once: (Duration::ZERO, 0),
            crashed_at: None,
            plan,
            time,
        }
    }

    pub(super) fn config(&self) -> &Config {
        &self.plan.config
    }

    pub(super) fn tell(&mut self, what: &str) {
        let now = self.time.elapsed();
        let same = self.journal.write(now, what);
        let grain = Duration::from_millis(millis(now));
        self.at_once = if self.at_once.0 == grain { (grain, self.at_once.1 + 1) } else { (grain, 1) };
        if self.at_once.1 == MOST_AT_ONCE {
            self.violate(vec![Violation::new(
                "time stands still",
                format!("{MOST_AT_ONCE} lines at one moment"),
            )]);
        }
        if !same {
            self.stop.cancel();
        }
    }

    pub(super) fn violate(&mut self, found: Vec<Violation>) {
        for violation in found {
            self.journal.write(self.time.elapsed(), &format!("VIOLATION {violation}"));
            self.violations.push(violation);
            self.stop.cancel();
        }
    }

    pub(super) fn born(&mut self, life: Life) {
        self.alive.insert(life.replica, life.number);
        self.tell(&format!("{life} starts"));
    }

    pub(super) fn dies(&mut self, life: Life, how: &str) {
        self.alive.remove(&life.replica);
        self.crashed_at = Some(self.time.elapsed());
        self.oracle.dies(millis(self.time.elapsed()));
        self.tell(&format!("{life} {how}"));
    }

    pub(super) fn is_alive(&self, life: Life) -> bool {
        self.alive.get(&life.replica) == Some(&life.number)
    }

    pub(super) fn is_anybody_alive(&self) -> bool {
        !self.alive.is_empty()
    }

    /// A request leaves. None: its sender is dead.
    pub(super) fn depart(&mut self, life: Life, ask: &Ask) -> Option<Passage> {
        if !self.is_alive(life) {
            return None;
        }
        self.counts.requests += 1;
        let nth = self.asked.entry((life.replica, ask.what.clone())).or_default();
        *nth += 1;
        let nth = *nth;
        let purpose = format!("{} {}", life.replica, ask.what);
        let way = |which: &str| {
            let longest = self.plan.config.latency_ms;
            Duration::from_millis(draw(self.plan.seed, &format!("{which} {purpose}"), nth) % (longest + 1))
        };
        let mut passage = Passage { there: way("there"), back: way("back"), trouble: None, crash: None };
        let now = millis(self.time.elapsed());
        let fault = self.plan.faults.iter().find(|fault| {
            (fault.from_ms..fault.until_ms).contains(&now)
                && fault.replica.is_none_or(|replica| replica == life.replica)
                && ask.is_met_by(&fault.on)
                && draw(self.plan.seed, &format!("fault {} {purpose}", fault.id), nth)
                    .is_multiple_of(fault.one_in.max(1))
        });
        passage.trouble = fault.map(|fault| fault.trouble.clone());
        if ask.is_effect() {
            self.counts.effects += 1;
            let effect = self.counts.effects;
            passage.crash = self.plan.crashes.iter().copied().find(|crash| crash.effect == effect);
            if self.plan.unanswered.contains(&effect) {
                passage.trouble = Some(Trouble::Silence { carried_out: false });
            }
        }
        match &passage.trouble {
            Some(Trouble::Late { ms }) => passage.there += Duration::from_millis(*ms),
            Some(Trouble::Slow { ms }) => passage.back += Duration::from_millis(*ms),
            _ => {}
        }
        if let Some(trouble) = &passage.trouble {
            *self.counts.troubles.entry((name_of(trouble), ask.class())).or_default() += 1;
        }
        if let Target::Zenlayer { action, port: Some(port), key, .. } = &ask.target
            && passage.crash.is_none_or(|crash| crash.phase != Phase::Before)
        {
            let call = Call { action: action.clone(), port: port.clone(), key: key.clone() };
            let found = self.oracle.call_leaves(&call, now);
            self.violate(found);
        }
        Some(passage)
    }

    /// A request that is lost or waits for ever is told of too.
    pub(super) fn never_arrives(&mut self, life: Life, ask: &Ask, why: &str) {
        self.tell(&format!("{life}: {} #{:08x} {why}", ask.what, ask.digest));
    }

    pub(super) fn asks_api(&mut self, life: Life, ask: &Ask, request: &Request<Bytes>) -> Response<Body> {
        self.pass_time();
        let answer = self.api.answer(request);
        let status = answer.status().as_u16();
        self.tell(&format!("{life}: {} #{:08x} ⇒ {status}", ask.what, ask.digest));
        self.see_changes(Some(life));
        if let Some(object) = ask.written_port().filter(|_| status == 409) {
            self.is_overtaken(object, life);
        }
        if let Some(object) = ask.written_port().filter(|_| matches!(status, 403 | 422)) {
            let found = self.oracle.refuses(object, millis(self.time.elapsed()));
            self.violate(found);
        }
        answer
    }

    pub(super) fn asks_zenlayer(&mut self, life: Life, ask: &Ask, request: &Request<String>) -> Exchange {
        self.pass_time();
        let exchange = self.cloud.request(request);
        self.tell(&format!("{life}: {} #{:08x} arrives", ask.what, ask.digest));
        self.see_transitions();
        exchange
    }

    /// What is due at Zenlayer by now happens.
    pub(super) fn pass_time(&mut self) {
        self.cloud.advance(self.time.now());
        self.see_transitions();
    }

    /// What has changed at the API server is told of and judged.
    pub(super) fn see_changes(&mut self, by: Option<Life>) {
        let changes = self.api.changes_after(self.seen_version);
        for change in &changes {
            self.seen_version = change.version;
            let change = Change {
                place: &change.key.place,
                path: &change.key.path,
                before: change.before.as_deref().map(Object::value),
                after: change.after.as_deref().map(Object::value),
            };
            if let Some(line) = change.line() {
                self.tell(&line);
            }
            self.count_reason(&change);
            if change.place.starts_with("zenlayerports.") {
                self.writers.remove(change.path);
                let by = by.map(|life| (change.path.to_owned(), (life, self.time.elapsed())));
                self.writers.extend(by);
            }
            let now = millis(self.time.elapsed());
            let found = self.oracle.object_changes(&change, by.is_some(), now);
            self.violate(found);
        }
    }

    /// A write of this process came too late after another of its own.
    fn is_overtaken(&mut self, object: &str, life: Life) {
        let now = self.time.elapsed();
        let known = KNOWN_BY_ITSELF + Duration::from_millis(2 * self.config().latency_ms);
        if self.writers.get(object).is_some_and(|(writer, at)| *writer == life && now > *at + known) {
            let found = self.oracle.writes_outdated(object, millis(now));
            self.violate(found);
        }
    }

    fn see_transitions(&mut self) {
        let all = self.cloud.journal().transitions();
        let new: Vec<_> = all[self.seen_transitions..].to_vec();
        self.seen_transitions = all.len();
        for step in new {
            let word = |status: &Option<zenlayer_simulator::PortStatus>| {
                status.as_ref().map_or_else(|| "none".to_owned(), |status| status.as_str().to_owned())
            };
            let by = match step.cause {
                Cause::Request(_) => "a request",
                Cause::Time => "time",
                Cause::Control => "a person",
            };
            self.tell(&format!("  {}: {} → {} by {by}", step.port_id, word(&step.from), word(&step.to)));
            let created = self.cloud.port(&step.port_id).and_then(|port| port.created_time);
            let found = self.oracle.port_changes(&step, created);
            self.violate(found);
        }
    }

    /// A reason that appears is counted.
    fn count_reason(&mut self, change: &Change<'_>) {
        let (before, after) = change.reasons();
        let Some(after) = after.filter(|after| before != Some(*after)) else { return };
        let when = self.when();
        *self.counts.reasons.entry((after.to_owned(), when)).or_default() += 1;
    }

    /// The log names the row of the decision that led to what it tells.
    pub(super) fn count_row(&mut self, line: &str) {
        let line = line.trim_end();
        let field = |name: &str| {
            line.split_once(name).map(|(_, rest)| rest.split([' ', '"']).next().unwrap_or_default())
        };
        let Some(row) = field(" row=").and_then(|row| row.parse().ok()) else { return };
        let (namespace, name) = (field(" namespace=\""), field(" name=\""));
        let object = Name::new(namespace.unwrap_or_default(), name.unwrap_or_default());
        let table = if self.oracle.is_deleted(&object) { "deletion" } else { "upkeep" };
        let when = self.when();
        *self.counts.rows.entry((table, row, when)).or_default() += 1;
    }

    fn when(&self) -> &'static str {
        let now = self.time.elapsed();
        let (ms, minute) = (millis(now), Duration::from_mins(1));
        if self.crashed_at.is_some_and(|at| now.saturating_sub(at) < minute) {
            AFTER_CRASH
        } else if self.plan.faults.iter().any(|fault| (fault.from_ms..fault.until_ms + 60_000).contains(&ms))
        {
            IN_FAULT
        } else {
            CALM
        }
    }

    /// When it is that time by the clock of the API server.
    pub(super) fn instant_of(&self, wall: Timestamp) -> Instant {
        let ahead = jiff::SignedDuration::from_secs(self.config().api_clock_ahead_s);
        self.time.instant_of(wall - ahead)
    }

    /// What comes to a request to Zenlayer ([`Oracle::zenlayer_answers`]).
    pub(super) fn zenlayer_answers(&mut self, ask: &Ask, status: Option<u16>, is_clear: bool) {
        if let Target::Zenlayer { port, key, .. } = &ask.target {
            let now = millis(self.time.elapsed());
            self.oracle.zenlayer_answers(key, port.as_deref(), status, is_clear, now);
        }
    }

    /// Zenlayer tells what ports are like.
    pub(super) fn zenlayer_shows(&mut self, ask: &Ask) {
        if let Target::Zenlayer { asks_about, key, .. } = &ask.target {
            let now = millis(self.time.elapsed());
            let found = self.oracle.zenlayer_shows(key, asks_about, now);
            self.violate(found);
        }
    }

    /// A process makes so many calls by this key at a time.
    pub(super) fn calls_at_once(&mut self, key: &str, calls: u32) {
        let found = self.oracle.calls_at_once(key, calls);
        self.violate(found);
    }

    /// Zenlayer asks for a pause of so many seconds.
    pub(super) fn zenlayer_pauses(&mut self, ask: &Ask, seconds: u64) {
        if let Target::Zenlayer { key, .. } = &ask.target {
            let now = millis(self.time.elapsed());
            self.oracle.zenlayer_pauses(key, now, now + seconds * 1000);
        }
    }

    /// An object as the API server has it now.
    pub(super) fn read(&self, path: &str) -> Option<Value> {
        let request = Request::get(path).body(Bytes::new()).ok()?;
        let answer = self.api.answer(&request);
        let ok = answer.status().is_success();
        let text = answer.into_body().into_whole()?;
        serde_json::from_slice(&text).ok().filter(|_| ok)
    }
}

fn name_of(trouble: &Trouble) -> String {
    let text = match trouble {
        Trouble::Rule(rule) => format!("{:?}/{:?}", rule.apply, rule.answer),
        other => format!("{other:?}"),
    };
    let end = text.find([' ', '{', '(']).unwrap_or(text.len());
    match trouble {
        Trouble::Rule(_) => text.split([' ', '{', '(']).next().unwrap_or_default().to_owned() + " rule",
        _ => text[..end].to_owned(),
    }
}
