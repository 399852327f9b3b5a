//! What becomes of a world in which nothing goes wrong any more: the operator is up, its calls and writes are answered,
//! and it looks at an object only when it has asked to be woken.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use zenlayer_port_operator::clock::Monotonic;

use super::environment::Net;
use super::object::Which;
use super::scenarios::Scenario;
use super::situation::{Decision, ticks};
use super::{Event, Left, Reading, Step, World, Write, digest, needs_a_person};
use crate::facts::NOW;

/// More ticks than any wait of the operator lasts, many times over.
const MOST_TICKS: u32 = 64;
/// With nothing new for so long, nothing will be.
const REST: u32 = 10;
/// More reconciles in a tick than this would be a loop.
const MOST_RECONCILES: u32 = 16;

/// Each object goes, or says which person has to act.
pub fn comes_to_rest(_: &Scenario, world: &World) -> bool {
    rest(world).is_ok()
}

/// Why an object hangs, if one does.
pub fn rest(world: &World) -> Result<(), String> {
    without_faults(world).map_or(Ok(()), run)
}

/// One process is up, whatever was under way is over, and it has begun to look. None where a promise is broken already.
fn without_faults(world: &World) -> Option<World> {
    if world.broken.is_some() {
        return None;
    }
    let mut world = world.clone();
    world.left = Left { faults: 0, slips: 0, acts: 0 };
    world.replicas.truncate(1);
    while !world.sent.is_empty() {
        world.happens(Event::Delivered);
    }
    for of in 0..2 {
        finish(&mut world, of);
    }
    world.broken.is_none().then_some(world)
}

/// Carries out what a reconcile under way has still to do: whether there was one.
fn finish(world: &mut World, of: Which) -> bool {
    let mut was_under_way = false;
    for _ in 0..MOST_RECONCILES {
        let Some(Step::UnderWay { run, .. }) = world.view(0, of).map(|view| &view.step) else { break };
        was_under_way = true;
        if run.calls() {
            world.call(0, of, Net::Answered);
        } else {
            world.go_on(0, of, Write::Answered);
        }
    }
    was_under_way
}

/// When an object is looked at again.
#[derive(Clone, Copy, Default, Hash)]
struct Wake {
    /// A good reading sent then or later.
    fresh_after: Option<Monotonic>,
    reads: bool,
    deadline: Option<Duration>,
    waited: u8,
    now: bool,
    /// What the mirror showed when it was last looked at.
    seen: u64,
}

impl Wake {
    fn after(decision: &Decision) -> Self {
        Self {
            fresh_after: decision.fresh_after,
            reads: decision.reads,
            deadline: decision.deadline,
            ..Self::default()
        }
    }
}

fn run(mut world: World) -> Result<(), String> {
    // Nothing is left to chance, so many worlds that differ now have one future.
    static TO_REST: LazyLock<Mutex<HashSet<u64>>> = LazyLock::new(Mutex::default);
    let mut wakes = [Wake { now: true, ..Wake::default() }; 2];
    let mut way = Vec::new();
    let mut rested = 0;
    for _ in 0..MOST_TICKS {
        world.forget_what_no_longer_counts();
        let here = digest(&(&world, wakes));
        if TO_REST.lock().unwrap_or_else(PoisonError::into_inner).contains(&here) {
            rested = REST;
        }
        way.push(here);
        if rested == REST {
            TO_REST.lock().unwrap_or_else(PoisonError::into_inner).extend(way);
            return Ok(());
        }
        let before = (world.objects.clone(), world.port.now);
        for (of, wake) in wakes.iter_mut().enumerate() {
            look(&mut world, of, wake)?;
        }
        if let Some(broken) = world.broken {
            return Err(broken.to_owned());
        }
        world.happens(Event::Tick);
        world.progress();
        for (of, wake) in wakes.iter_mut().enumerate() {
            pass_time(&mut world, of, wake);
        }
        rested = if before == (world.objects.clone(), world.port.now) { rested + 1 } else { 0 };
        if rested == REST {
            says_why(&world)?;
        }
    }
    Err("it never comes to rest".to_owned())
}

/// What is at rest is an object that lives, or one that a person has to do something about.
fn says_why(world: &World) -> Result<(), String> {
    world.objects.iter().flatten().try_for_each(|object| match object.status.shown {
        Some(reason) if !object.deleted || needs_a_person(reason) => Ok(()),
        shown => Err(format!("it hangs, and says {shown:?}")),
    })
}

/// Reconciles one object until there is nothing more to do now.
fn look(world: &mut World, of: Which, wake: &mut Wake) -> Result<(), String> {
    for _ in 0..MOST_RECONCILES {
        let is_there = world.objects[of].is_some();
        let is_news = world.view(0, of).map_or(is_there, |view| !view.is_current);
        if is_news {
            world.watch(0, of);
        }
        if !is_news && !wake.now && wake.seen == seen(world, of) {
            return Ok(());
        }
        (wake.now, wake.seen) = (false, seen(world, of));
        let decision = world.begin(0, of, Write::Answered);
        let went_on = finish(world, of);
        match decision {
            Some(decision) if decision.calls => wake.now = went_on,
            Some(decision) => *wake = Wake { seen: wake.seen, ..Wake::after(&decision) },
            // A conflict: it is looked at again.
            None => wake.now = world.objects[of].is_some(),
        }
        let key = world.keys[of].fingerprint();
        let sighting = world.view(0, of).and_then(|view| view.sighting.as_ref());
        let read_at = sighting.filter(|it| it.by.fingerprint() == key).map(|it| NOW - ticks(it.age));
        match wake.fresh_after {
            // The mirror wakes at once whom it has nothing new to tell.
            Some(at) if read_at >= Some(at) => wake.now = true,
            Some(at) if at <= NOW => {
                world.read(0, of, Reading::True);
                wake.now = true;
            }
            Some(_) | None => {}
        }
    }
    Err(format!("it is looked at for ever: {:?}", world.objects[of].as_ref().map(|it| it.status.shown)))
}

/// A tick has passed: the mirror reads if it is asked to, and what is new or due wakes the object.
fn pass_time(world: &mut World, of: Which, wake: &mut Wake) {
    wake.waited = wake.waited.saturating_add(1);
    let due = wake.fresh_after.is_some_and(|at| at <= NOW + ticks(wake.waited));
    if wake.reads {
        world.read(0, of, Reading::True);
    }
    let overdue = wake.deadline.is_some_and(|deadline| deadline <= ticks(wake.waited));
    wake.now |= overdue || (due && wake.reads);
}

/// What the mirror shows for an object.
fn seen(world: &World, of: Which) -> u64 {
    let sighting = world.replicas[0][of].as_ref().and_then(|view| view.sighting.as_ref());
    digest(&sighting.and_then(|sighting| sighting.seen.as_ref()))
}
