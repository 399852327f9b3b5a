//! Who calls when, with the shipped rate limit and no network.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::clock::Clock;
use crate::fingerprint::Fingerprint;
use crate::tasks::{self, TaskFailures};
use crate::wakes::{self, Wakes};
use crate::zenlayer::{
    ApiVersion, Credential, Endpoint, Failure, HttpClient, InsecureEndpoint, Post, Rate, Reply, Settings,
    Timeouts, Transport,
};

#[derive(Debug)]
struct Unreachable;

impl HttpClient for Unreachable {
    fn send(&self, _: Post, _: usize) -> BoxFuture<'_, Result<Reply, Failure>> {
        std::future::pending().boxed()
    }
}

struct Scene {
    turns: Arc<Turns>,
    wakes: Wakes<Reference>,
    transport: Transport,
    _failures: TaskFailures,
}

impl Scene {
    fn new(requests_per_second: f64) -> Self {
        let endpoint = Endpoint::parse("http://127.0.0.1:1", InsecureEndpoint::Allow).expect("an endpoint");
        let settings = Settings {
            endpoint,
            proxy: None,
            api_version: ApiVersion::default(),
            requests_per_second: Rate::per_second(requests_per_second).expect("a rate"),
            timeouts: Timeouts::default(),
        };
        let transport = Transport::over(Unreachable, settings, Clock::tokio(Timestamp::UNIX_EPOCH));
        let (wake, wakes) = wakes::channel();
        let (tasks, failures) = tasks::watched(&CancellationToken::new());
        Self { turns: Turns::new(Arc::new(wake), &tasks), wakes, transport, _failures: failures }
    }

    fn account(&self, number: u32) -> Arc<Account<Client>> {
        let credential = Credential::access_key(&format!("KEY-{number}"), "PASSWORD").expect("a key");
        let (key, fingerprint) = (credential.key().into(), Fingerprint::new(credential.fingerprint()));
        let client = Client::new(&self.transport, credential);
        Arc::new(Account::new(key, fingerprint, Arc::new(client)))
    }

    /// Waits until this one is woken, and takes its ticket.
    async fn turn_of(&mut self, number: u32) -> Ticket {
        let next = self.wakes.next().await.expect("the wakes go on");
        assert_eq!(next, who(number));
        self.turns.take(&next).expect("it is woken for its turn")
    }

    /// Those who are woken once all that can happen at this time has happened.
    async fn woken(&mut self) -> BTreeSet<Reference> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        std::iter::from_fn(|| self.wakes.next().now_or_never().flatten()).collect()
    }
}

fn who(number: u32) -> Reference {
    Reference::named("ports", &format!("edge-{number:03}"))
}

#[tokio::test(start_paused = true)]
async fn those_beyond_eight_are_woken_in_the_order_in_which_they_asked() {
    let mut scene = Scene::new(1000.0);
    let (account, other) = (scene.account(1), scene.account(2));
    let mut tickets: VecDeque<_> = (0..8).filter_map(|n| scene.turns.ask(&who(n), &account)).collect();
    assert_eq!(tickets.len(), MOST_CALLS_OF_ONE, "the first eight need not wait");
    for late in [11, 9, 10] {
        assert!(scene.turns.ask(&who(late), &account).is_none(), "{late} is one too many");
    }
    assert!(scene.turns.ask(&who(99), &other).is_some(), "another account has its own");
    for next in [11, 9, 10] {
        tickets.pop_front();
        let ticket = scene.turn_of(next).await;
        assert!(scene.turns.ask(&who(50), &account).is_none(), "nobody goes before those who wait");
        tickets.push_back(ticket);
    }
}

#[tokio::test(start_paused = true)]
async fn who_leaves_makes_room_whether_it_waits_or_was_woken() {
    let mut scene = Scene::new(1000.0);
    let account = scene.account(1);
    let mut tickets: Vec<_> = (0..8).filter_map(|n| scene.turns.ask(&who(n), &account)).collect();
    for late in 8..12 {
        assert!(scene.turns.ask(&who(late), &account).is_none());
    }
    scene.turns.leave(&who(8));
    tickets.pop();
    assert_eq!(scene.woken().await, BTreeSet::from([who(9)]));
    scene.turns.leave(&who(9));
    assert_eq!(scene.woken().await, BTreeSet::from([who(10)]));
    assert!(scene.turns.take(&who(9)).is_none(), "it left");
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_the_rate_of_its_account_and_holds_up_no_other() {
    let mut scene = Scene::new(2.0);
    let (slow, other) = (scene.account(1), scene.account(2));
    assert!(scene.turns.ask(&who(0), &slow).is_some(), "the first permit is there");
    let began = tokio::time::Instant::now();
    for late in [1, 2] {
        assert!(scene.turns.ask(&who(late), &slow).is_none(), "the next permit comes in half a second");
    }
    assert!(scene.turns.ask(&who(3), &other).is_some());
    for (late, after) in [(1, 500), (2, 1000)] {
        drop(scene.turn_of(late).await);
        assert_eq!(began.elapsed().as_millis(), after);
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_call_of_an_account_waits_for_one_call_of_each_other_account_at_most() {
    let mut scene = Scene::new(1000.0);
    let accounts: Vec<_> = (0..6).map(|number| scene.account(number)).collect();
    let mut tickets = VecDeque::new();
    // Five accounts want more than there is, and a sixth comes last, with one call.
    for number in 0..100 {
        tickets.extend(scene.turns.ask(&who(number), &accounts[number as usize % 5]));
        scene.woken().await;
    }
    assert!(scene.turns.ask(&who(200), &accounts[5]).is_none(), "all slots are in use");
    scene.woken().await;
    for served in 1.. {
        assert!(served <= 6, "five accounts went before it, each once");
        tickets.pop_front();
        let woken = scene.woken().await;
        assert_eq!(woken.len(), 1, "a slot that is free is used: {woken:?}");
        if woken.contains(&who(200)) {
            break;
        }
        tickets.extend(woken.iter().filter_map(|next| scene.turns.take(next)));
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Ask(u32),
    Take(u32),
    Leave(u32),
    GiveBack(usize),
    TimePasses,
}

fn step() -> impl Strategy<Value = Step> {
    let number = 0..80_u32;
    prop_oneof![
        8 => number.clone().prop_map(Step::Ask),
        6 => number.clone().prop_map(Step::Take),
        2 => number.prop_map(Step::Leave),
        4 => (0..usize::from(MOST_CALLS)).prop_map(Step::GiveBack),
        2 => Just(Step::TimePasses),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever is done: never more calls than there may be, no slot stays free while somebody waits for it, and nothing is
    /// left over.
    #[test]
    fn no_slot_is_given_twice_and_none_is_lost(steps in prop::collection::vec(step(), 0..300)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let mut scene = Scene::new(1000.0);
            let accounts: Vec<_> = (0..5).map(|number| scene.account(number)).collect();
            let account = |number: u32| &accounts[number as usize % 5];
            let mut tickets = Vec::new();
            for step in steps {
                match step {
                    Step::Ask(number) => tickets.extend(scene.turns.ask(&who(number), account(number))),
                    Step::Take(number) => tickets.extend(scene.turns.take(&who(number))),
                    Step::Leave(number) => scene.turns.leave(&who(number)),
                    Step::GiveBack(at) => drop((at < tickets.len()).then(|| tickets.swap_remove(at))),
                    Step::TimePasses => {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        no_slot_is_free_while_somebody_waits(&scene.turns)?;
                    }
                }
                let given = tickets.iter().chain(scene.turns.lock().tickets.values()).map(|it| it.account.key).collect::<Vec<_>>();
                prop_assert!(given.len() <= usize::from(MOST_CALLS), "{}", given.len());
                for one in &accounts {
                    let its = given.iter().filter(|key| **key == one.key).count();
                    prop_assert!(its <= MOST_CALLS_OF_ONE, "{its}");
                }
            }
            drop(tickets);
            (0..80).for_each(|number| scene.turns.leave(&who(number)));
            scene.woken().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            scene.turns.leave(&who(0));
            let state = scene.turns.lock();
            prop_assert!(state.lines.is_empty() && state.tickets.is_empty(), "{:?}", state);
            prop_assert_eq!(scene.turns.slots.available_permits(), usize::from(MOST_CALLS));
            Ok(())
        })?;
    }
}

fn no_slot_is_free_while_somebody_waits(turns: &Turns) -> Result<(), TestCaseError> {
    let state = turns.lock();
    for line in state.lines.values().filter(|line| !line.waiting.is_empty()) {
        // The task that serves the line holds one, and waits for a slot of all.
        let must_wait = turns.slots.available_permits() == 0 || line.slots.available_permits() == 0;
        prop_assert!(must_wait, "{:?}", state);
    }
    Ok(())
}
