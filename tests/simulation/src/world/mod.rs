//! The world of a run: two servers, a network, people and replicas, in simulated time and on one thread.

mod ask;
mod kubernetes;
mod people;
mod replica;
mod state;
mod trace;
mod zenlayer;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, advance, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use self::ask::Ask;
use self::people::Keys;
use self::replica::{End, Running};
use self::state::{Life, Passage, State, Time, millis};

pub use self::state::{AFTER_CRASH, CALM, Counts, IN_FAULT};
use crate::chance::draw;
use crate::journal::{Difference, Journal};
use crate::oracle::Violation;
use crate::plan::{Act, Crash, Phase, Plan, Trouble, Writer};

/// A replica that ends by itself starts again after that.
const RESTART: Duration = Duration::from_secs(2);
/// How often it is looked whether all has come to an end.
const LOOK: Duration = Duration::from_secs(10);

/// What a run shows.
#[derive(Debug)]
pub struct Run {
    pub lines: Vec<String>,
    pub difference: Option<Difference>,
    pub violations: Vec<Violation>,
    pub simulated: Duration,
    pub counts: Counts,
}

/// Runs a plan from its beginning to its end.
pub fn run(plan: &Plan) -> Run {
    play(plan, None)
}

/// Runs it again, and stops where it goes another way than `expected`.
pub fn run_again(plan: &Plan, expected: Arc<Vec<String>>) -> Run {
    play(plan, Some(expected))
}

fn play(plan: &Plan, expected: Option<Arc<Vec<String>>>) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (deaths, died) = mpsc::unbounded_channel();
        let (ends, ended) = mpsc::unbounded_channel();
        let plan = Arc::new(plan.clone());
        let time = Time::new();
        let keys = Keys::of(&plan);
        let (cloud, stop) = (people::cloud(&plan, &keys, time), CancellationToken::new());
        let longest = Duration::from_millis(plan.busy_ms + plan.quiet_ms) + Duration::from_mins(1);
        let state = State::new(plan, time, cloud, Journal::new(expected), stop.clone());
        let under_way = Arc::default();
        let world = World { state: Arc::new(Mutex::new(state)), deaths, ends, under_way };
        let _log = trace::into(&world);
        let mut driver = Driver {
            world: world.clone(),
            keys,
            replicas: BTreeMap::new(),
            due: BTreeMap::new(),
            planned: 0,
            stays_down: BTreeMap::new(),
            settled: None,
            stall: Duration::ZERO,
        };
        // A timer always exists, or time would stand still where nothing waits for any.
        let _ = timeout(longest, driver.drive(stop, died, ended)).await;
        driver.judge();
        drop(driver);
        let mut state = world.lock();
        let journal = std::mem::take(&mut state.journal);
        let simulated = state.time.elapsed();
        let (lines, difference) = journal.finish();
        let violations = std::mem::take(&mut state.violations);
        Run { lines, difference, violations, simulated, counts: std::mem::take(&mut state.counts) }
    })
}

/// A handle that the network's requests and the replicas hold.
#[derive(Clone)]
pub(crate) struct World {
    state: Arc<Mutex<State>>,
    deaths: mpsc::UnboundedSender<(Life, Duration)>,
    ends: mpsc::UnboundedSender<End>,
    /// How many calls each process makes now by each key.
    under_way: Arc<Mutex<BTreeMap<(Life, String), u32>>>,
}

impl World {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request leaves. None: its sender is dead, and nobody waits for an answer.
    fn depart(&self, life: Life, ask: &Ask) -> Option<Passage> {
        let passage = self.lock().depart(life, ask)?;
        if passage.dies(Phase::Before) {
            self.lock().never_arrives(life, ask, "is not sent");
            self.kill(life, passage.down());
            return None;
        }
        Some(passage)
    }

    /// Ends a replica here and now: it sends nothing more.
    fn kill(&self, life: Life, down: Duration) {
        let mut state = self.lock();
        if state.is_alive(life) {
            state.dies(life, "is killed");
            state.counts.crashes += 1;
            let _ = self.deaths.send((life, down));
        }
    }

    /// How late the next line of a watch comes, and what is wrong with it.
    fn lag(&self, life: Life, ask: &Ask) -> (Duration, Option<Trouble>) {
        let part = Ask { what: format!("{} line", ask.what), ..ask.clone() };
        match self.lock().depart(life, &part) {
            Some(passage) if matches!(passage.trouble, Some(Trouble::Silence { .. })) => {
                (Duration::from_mins(10), None)
            }
            Some(passage) => (passage.back, passage.trouble),
            None => (Duration::ZERO, None),
        }
    }
}

impl Passage {
    fn dies(&self, phase: Phase) -> bool {
        self.crash.is_some_and(|crash| crash.phase == phase)
    }

    fn down(&self) -> Duration {
        Duration::from_millis(self.crash.map_or(0, |Crash { down_ms, .. }| down_ms))
    }
}

/// Keeps the answer back for so long that nobody waits for it any more.
async fn hold<T>(answer: oneshot::Sender<T>) {
    tokio::time::sleep(Duration::from_mins(10)).await;
    drop(answer);
}

/// What is due at a time.
enum Due {
    Act(Act),
    Start(u8),
    ApiServer,
    Look,
    Write(Writer),
}

struct Driver {
    world: World,
    keys: Keys,
    replicas: BTreeMap<u8, Running>,
    /// By time and order.
    due: BTreeMap<(Instant, u64), Due>,
    planned: u64,
    /// How long a replica stays down that was told to stop.
    stays_down: BTreeMap<u8, Duration>,
    /// Since when all has come to its end.
    settled: Option<Instant>,
    /// How long all stands still from now on.
    stall: Duration,
}

impl Driver {
    async fn drive(
        &mut self,
        stop: CancellationToken,
        mut died: mpsc::UnboundedReceiver<(Life, Duration)>,
        mut ended: mpsc::UnboundedReceiver<End>,
    ) {
        self.begin();
        loop {
            let next = self.next();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some((life, down)) = died.recv() => self.bury(life, down),
                Some(end) = ended.recv() => self.end(&end),
                () = sleep_until(next) => {
                    self.world.lock().pass_time();
                    if self.is_over() {
                        return;
                    }
                    advance(std::mem::take(&mut self.stall)).await;
                }
            }
        }
    }

    fn begin(&mut self) {
        let plan = Arc::clone(&self.world.lock().plan);
        people::prepare(&mut self.world.lock(), &self.keys);
        let time = self.world.lock().time;
        for timed in &plan.acts {
            self.at(time.at(timed.at_ms), Due::Act(timed.act.clone()));
        }
        for replica in 0..plan.config.replicas {
            let after = draw(plan.seed, "start", u64::from(replica)) % 1000;
            self.at(time.at(after * u64::from(replica)), Due::Start(replica));
        }
        for writer in &plan.writers {
            self.at(time.at(writer.every_ms), Due::Write(writer.clone()));
        }
        self.at(time.at(plan.busy_ms), Due::Look);
    }

    fn at(&mut self, when: Instant, due: Due) {
        self.planned += 1;
        self.due.insert((when, self.planned), due);
    }

    fn next(&self) -> Instant {
        let state = self.world.lock();
        let change = state.cloud.next_change().map(|at| state.time.at(0) + at);
        let due = self.due.keys().next().map(|(at, _)| *at);
        let far = Instant::now() + Duration::from_hours(1);
        change.into_iter().chain(due).min().unwrap_or(far)
    }

    /// Does what is due. Whether the run is over.
    fn is_over(&mut self) -> bool {
        while let Some(first) = self.due.first_entry()
            && first.key().0 <= Instant::now()
        {
            match first.remove() {
                Due::Act(act) => self.act(&act),
                Due::Start(replica) => self.start(replica),
                Due::ApiServer => self.work(),
                Due::Write(writer) => self.write(writer),
                Due::Look => {
                    if self.has_settled() {
                        return true;
                    }
                    self.at(Instant::now() + LOOK, Due::Look);
                }
            }
        }
        false
    }

    fn act(&mut self, act: &Act) {
        let kind = format!("{act:?}");
        let kind = kind.split([' ', '{']).next().unwrap_or_default().to_owned();
        *self.world.lock().counts.acts.entry(kind).or_default() += 1;
        match act {
            Act::Crash { replica, down_ms } => {
                if let Some(running) = self.replicas.get(replica) {
                    self.world.kill(running.life, Duration::from_millis(*down_ms));
                }
            }
            Act::Restart { replica, down_ms } => {
                if let Some(running) = self.replicas.get(replica) {
                    self.world.lock().tell(&format!("{} is told to stop", running.life));
                    running.shutdown.cancel();
                    self.stays_down.insert(*replica, Duration::from_millis(*down_ms));
                }
            }
            _ => {
                let mut state = self.world.lock();
                let now = millis(state.time.elapsed());
                if let Act::Stall { ms } = act {
                    state.tell(&format!("the machine stands still for {ms} ms"));
                    self.stall += Duration::from_millis(*ms);
                }
                let found = state.oracle.act(act, now);
                state.violate(found);
                people::perform(&mut state, &mut self.keys, act);
                drop(state);
                self.work();
            }
        }
    }

    fn write(&mut self, writer: Writer) {
        let label = self.planned;
        people::perform(
            &mut self.world.lock(),
            &mut self.keys,
            &Act::Touch { object: writer.object.clone(), label },
        );
        self.at(Instant::now() + Duration::from_millis(writer.every_ms), Due::Write(writer));
    }

    /// What the control plane does by itself.
    fn work(&mut self) {
        let mut state = self.world.lock();
        let next = state.api.work();
        state.see_changes(None);
        let when = next.map(|next| state.instant_of(next));
        drop(state);
        self.due.retain(|_, due| !matches!(due, Due::ApiServer));
        if let Some(when) = when {
            self.at(when.max(Instant::now() + Duration::from_millis(1)), Due::ApiServer);
        }
    }

    fn start(&mut self, replica: u8) {
        let number = self.replicas.get(&replica).map_or(1, |before| before.life.number + 1);
        let life = Life { replica, number };
        self.world.lock().born(life);
        self.replicas.insert(replica, Running::start(&self.world, life));
    }

    fn bury(&mut self, life: Life, down: Duration) {
        if let Some(running) = self.replicas.get(&life.replica).filter(|running| running.life == life) {
            running.task.abort();
        }
        self.at(Instant::now() + down, Due::Start(life.replica));
    }

    fn end(&mut self, end: &End) {
        if !self.world.lock().is_alive(end.life) {
            return;
        }
        let mut state = self.world.lock();
        state.dies(end.life, &end.how);
        if end.how.contains("panic") {
            state.violate(vec![Violation::new("no panic", end.how.clone())]);
        }
        drop(state);
        let down = self.stays_down.remove(&end.life.replica).unwrap_or(RESTART);
        self.at(Instant::now() + down, Due::Start(end.life.replica));
    }

    fn has_settled(&mut self) -> bool {
        let now = Instant::now();
        let state = self.world.lock();
        if !state.oracle.is_settled() || !state.is_anybody_alive() {
            self.settled = None;
            return false;
        }
        let lasts = Duration::from_millis(state.plan.settled_ms);
        now.duration_since(*self.settled.get_or_insert(now)) >= lasts
    }

    /// The end: whether all is as it should be.
    fn judge(&mut self) {
        let state = self.world.lock();
        if !state.violations.is_empty() || state.stop.is_cancelled() {
            return;
        }
        let mut found = state.oracle.end();
        let objects = state.oracle.objects_left();
        drop(state);
        let metrics = self.replicas.values().map(|running| running.metrics.open_metrics());
        if objects == 0 {
            found.extend(metrics.filter_map(|text| crate::oracle::open_books(&text)));
        }
        self.world.lock().violate(found);
    }
}
