//! A world around the decision: an API server, Zenlayer, replicas of the operator, and people.
//!
//! The operator's part is the shipped code: [`operator`] carries out the effects of `reconcile::Reconcile` in this
//! world, and each may be the last before a crash. Time runs in ticks; a tick is as long as a reading is valid, the
//! grace lasts and a call waits for its turn to settle twice. All ages stop at the bound beyond which they mean the
//! same, attempts and people's acts are as many as there are faults and acts left: so the states are finitely many, and
//! all of them are walked.

mod environment;
mod fair;
mod object;
mod operator;
mod rules;
mod scenarios;
mod situation;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use stateright::{Checker, Model, Path, Property};
use zenlayer_port_operator::api::{CallAction, Reason};
use zenlayer_port_operator::port::PortStatus;

use crate::Effort;
use environment::{Act, Cloud, Net};
use object::{Key, Object, Which};
use operator::Run;
use scenarios::Scenario;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// What the API server holds; none: gone, or never there.
    objects: [Option<Object>; 2],
    keys: [Key; 2],
    port: Port,
    /// Calls that were sent and may still be carried out.
    sent: Vec<Sent>,
    replicas: Vec<Replica>,
    /// More deletions than the threshold began at about the same time.
    too_many: bool,
    left: Left,
    /// The newest attempt of each object that was sent.
    attempts: [i64; 2],
    broken: Option<&'static str>,
}

/// The port in the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Port {
    now: Cloud,
    /// Which of the ports that bore the id.
    number: usize,
    /// How it was before the newest change: what a reading may still show at first, and a decision rest on for as long as
    /// that reading is valid.
    before: Option<Before>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Before {
    cloud: Cloud,
    number: usize,
    ticked: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sent {
    action: CallAction,
    by: Which,
    /// The port that it was meant for.
    number: usize,
    ticked: bool,
    /// The port has been where the call leads, or readings may still show it there: whoever sees that takes it for carried
    /// out. What is late of it finds nothing to do, or does once more what the object asks for.
    overtaken: bool,
}

/// How many more faults and people's acts there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Left {
    faults: u8,
    /// Good readings without a port that is there: fewer in a row than the least proof.
    slips: u8,
    acts: u8,
}

/// What one process knows of each object; none: nothing yet. One that is down is one that does nothing for a while, and
/// after a crash it knows nothing.
pub type Replica = [Option<View>; 2];

/// What one process knows of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct View {
    /// Nobody has written the object since: a write of ours will succeed. What an old copy says need not be kept: each
    /// write that rests on it conflicts, and nothing is called before a write.
    is_current: bool,
    /// For how many ticks its deletion is known.
    deletion_known: Option<u8>,
    /// Its newest record, and for how many ticks that is known.
    call_known: Option<(i64, u8)>,
    sighting: Option<Sighting>,
    step: Step,
}

/// The newest good reading, and the run that it is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sighting {
    by: Key,
    /// The port's status and number; none: absent.
    seen: Option<(PortStatus, usize)>,
    age: u8,
    /// Ticks from the first to the newest of the run of readings that say the same.
    span: u8,
    /// How many of these there are.
    count: u8,
    /// So many ticks after the newest record became known; none: before.
    after_call: Option<u8>,
}

/// Where in a reconcile it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Step {
    #[default]
    Between,
    /// The next effect is still to be carried out. What was decided is meant for the port of this number.
    UnderWay { run: Arc<Run>, number: usize, in_time: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Tick,
    /// A tick in which a replica that has a call to send stands still.
    Stall,
    /// Zenlayer goes on with its work.
    Progress,
    Delivered,
    Dropped,
    Person(Act),
    /// It starts anew at once, or later.
    Crash {
        replica: usize,
    },
    /// A replica learns how an object is now: from the watch, or as a write of its own conflicts.
    Watch {
        replica: usize,
        of: Which,
    },
    Read {
        replica: usize,
        of: Which,
        what: Reading,
    },
    /// Gather, decide, and write what is decided.
    Begin {
        replica: usize,
        of: Which,
        write: Write,
    },
    Call {
        replica: usize,
        of: Which,
        net: Net,
    },
    /// Decide about the outcome of a call, and write that; or write what follows another write.
    GoOn {
        replica: usize,
        of: Which,
        write: Write,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    True,
    /// Of the state before the newest change.
    Stale,
    /// Good to look at, and without the port.
    Slip,
}

/// What becomes of a write to the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// It is carried out, unless it conflicts.
    Answered,
    Lost,
    /// It is carried out, and the answer is lost.
    Unheard,
}

const RESTS: &str = "once faults stop, each object goes or says what it waits for";

impl Model for Scenario {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        self.beginnings()
    }

    fn actions(&self, world: &World, events: &mut Vec<Event>) {
        if world.broken.is_none() {
            world.events(self, events);
        }
    }

    fn next_state(&self, world: &World, event: Event) -> Option<World> {
        let mut next = world.clone();
        next.happens(event);
        next.forget_what_no_longer_counts();
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no promise is broken", |_, world: &World| world.broken.is_none()),
            Property::always(RESTS, fair::comes_to_rest),
            Property::sometimes("a port is released", |_, world: &World| {
                world.port.now == Cloud::Gone && world.objects.iter().all(Option::is_none)
            }),
            Property::sometimes("a person is waited for", |_, world: &World| {
                world.objects.iter().flatten().any(|object| object.status.shown.is_some_and(needs_a_person))
            }),
        ]
    }
}

/// Stands for a value among many.
fn digest<T: Hash>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn needs_a_person(reason: Reason) -> bool {
    reason.actor() == zenlayer_port_operator::api::Actor::Person
}

/// Walks all states of a scenario within its bounds.
fn walk(scenario: &Scenario) {
    for bound in scenario.bounds(Effort::asked_for()) {
        let began = Instant::now();
        let checker = scenario.within(*bound).checker().threads(processors());
        let checker = match bound.depth {
            Some(depth) => checker.target_max_depth(depth.get()),
            None => checker,
        };
        let checker = checker.spawn_bfs().join();
        let Left { faults, slips, acts } = bound.left;
        println!(
            "| {} | {} | {faults} | {slips} | {acts} | {} | {} | {}{} | {:.1} |",
            scenario.name,
            scenario.beginnings().len(),
            checker.unique_state_count(),
            checker.state_count(),
            checker.max_depth(),
            if bound.depth.is_some() { ", cut" } else { "" },
            began.elapsed().as_secs_f64(),
        );
        for property in ["no promise is broken", RESTS] {
            if let Some(path) = checker.discovery(property) {
                tell(scenario.name, property, path);
            }
        }
        checker.assert_properties();
    }
}

/// The shortest way to a broken promise.
fn tell(name: &str, property: &str, path: Path<World, Event>) -> ! {
    let last = path.last_state().clone();
    let hangs = fair::rest(&last).err();
    let steps: Vec<String> = path.into_actions().iter().map(|event| format!("{event:?}")).collect();
    panic!("{name}: {property}: {:?} {hangs:?}\n{}\n{last:#?}", last.broken, steps.join("\n"));
}

/// In the short walk the tests share the processors.
fn processors() -> usize {
    match Effort::asked_for() {
        Effort::Short => 1,
        Effort::Deep => thread::available_parallelism().map_or(1, usize::from),
    }
}

#[test]
fn faults_on_the_way_to_the_api_server_and_to_zenlayer_break_no_promise() {
    walk(&scenarios::FAULTS);
}

#[test]
fn people_may_change_their_minds_and_work_in_the_console_meanwhile() {
    walk(&scenarios::PEOPLE);
}

#[test]
fn replicas_that_both_believe_to_lead_do_no_harm() {
    walk(&scenarios::REPLICAS);
}

#[test]
fn lives_may_be_long_before_an_object_is_deleted() {
    walk(&scenarios::LIVES);
}

#[test]
fn keys_of_the_same_account_and_of_another_may_come_and_go() {
    walk(&scenarios::KEYS);
}

#[test]
fn claims_of_two_objects_that_are_deleted_release_their_port_once() {
    walk(&scenarios::CLAIMS);
}

#[test]
fn kept_by_another_object_a_port_is_not_released() {
    walk(&scenarios::KEPT);
}
