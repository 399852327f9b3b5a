//! When the cloud is asked, and what that costs.

use super::*;

#[tokio::test(start_paused = true)]
async fn waiting_ports_cost_a_hundredth_of_a_call_a_tick_and_no_wake() {
    for (ports, calls_a_tick) in [(1, 1), (100, 1), (101, 2), (1000, 10)] {
        let mut bench = Bench::new();
        let account = bench.releasing(ports).await;
        bench.run_until(65.0).await;
        let calls = account.reader.calls();
        assert_eq!(calls.len(), calls_a_tick * 6, "{ports} ports over six ticks");
        let off_tick: Vec<_> = calls.iter().filter(|call| !is_tick(call.at)).collect();
        assert!(off_tick.is_empty(), "{ports} ports: not on a tick: {off_tick:?}");
        assert_eq!(bench.woken(), [0_usize; 0], "{ports} ports: nothing changed");
    }
}

fn is_tick(time: Monotonic) -> bool {
    time.since(Monotonic::default()).as_nanos().is_multiple_of(TICK.as_nanos())
}

#[tokio::test(start_paused = true)]
async fn chunks_are_the_same_at_every_tick() {
    let mut bench = Bench::new();
    let account = bench.releasing(250).await;
    *lock(&account.reader.latency) = Duration::from_millis(1300);
    let mut ticks = Vec::new();
    for tick in [15.0, 25.0, 35.0] {
        bench.run_until(tick).await;
        ticks.push(account.reader.calls().into_iter().map(|call| call.ids).collect::<Vec<_>>());
    }
    assert_eq!(ticks[0], ticks[1]);
    assert_eq!(ticks[1], ticks[2]);
    assert!(ticks[0].concat().is_sorted(), "in the order of the ids");
}

#[tokio::test(start_paused = true)]
async fn a_new_waiter_is_read_at_once_with_all_that_come_within_the_coalescing_time() {
    let bench = Bench::new();
    let account = bench.account(1);
    for number in 0..50 {
        bench.mirror.observe(number, &account, &port(number));
        time::sleep(Duration::from_millis(4)).await;
    }
    bench.run_until(5.0).await;
    let calls = account.reader.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!((calls[0].at, calls[0].ids.len()), (at(0.25), 50));
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_is_wanted_close_to_a_tick_is_one_with_the_ticks() {
    let mut bench = Bench::new();
    let account = bench.releasing(2).await;
    bench.run_until(9.9).await;
    bench.mirror.want(&0, want_after(Cadence::Release, at(9.9)));
    bench.run_until(19.0).await;
    let calls = account.reader.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!((calls[0].at, calls[0].ids.len()), (at(10.0), 2));
}

#[tokio::test(start_paused = true)]
async fn to_ask_again_and_again_does_not_put_the_reading_off() {
    let mut bench = Bench::new();
    let account = bench.releasing(1).await;
    for step in 0..10_u32 {
        let now = 2.0 + f64::from(step) * 0.1;
        bench.run_until(now).await;
        bench.mirror.want(&0, want_after(Cadence::Paused, at(now)));
    }
    let calls = account.reader.calls();
    let first = calls.first().map(|call| (call.at, call.priority));
    assert_eq!(first, Some((at(2.25), ReadPriority::Release)), "the grace is part of a release: {calls:?}");
}

#[tokio::test(start_paused = true)]
async fn slower_cadences_cost_a_call_an_interval() {
    for (cadence, times) in [
        (Cadence::Held, vec![at(60.0), at(120.0), at(180.0), at(240.0), at(300.0)]),
        (Cadence::Slow, vec![at(300.0)]),
        (Cadence::Paused, vec![]),
    ] {
        let mut bench = Bench::new();
        let account = bench.releasing(100).await;
        (0..100).for_each(|number| bench.mirror.want(&number, want(cadence)));
        bench.run_until(305.0).await;
        let calls = account.reader.calls();
        assert_eq!(calls.iter().map(|call| call.at).collect::<Vec<_>>(), times, "{cadence:?}");
        let upkeep = calls.iter().all(|call| call.priority == ReadPriority::Upkeep);
        assert!(upkeep, "{cadence:?}: behind the releases in the client's queue");
    }
}

#[tokio::test(start_paused = true)]
async fn all_cadences_that_are_due_share_a_tick_and_its_chunk() {
    let mut bench = Bench::new();
    let account = bench.releasing(3).await;
    bench.mirror.want(&1, want(Cadence::Held));
    bench.mirror.want(&2, want(Cadence::Slow));
    bench.run_until(299.0).await;
    account.reader.calls();
    bench.run_until(305.0).await;
    let calls = account.reader.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!((calls[0].ids.len(), calls[0].priority), (3, ReadPriority::Release));
}

#[tokio::test(start_paused = true)]
async fn a_port_that_becomes_urgent_is_read_from_the_next_tick_on() {
    let mut bench = Bench::new();
    let account = bench.releasing(1).await;
    bench.mirror.want(&0, want(Cadence::Paused));
    bench.run_until(123.0).await;
    bench.mirror.want(&0, want(Cadence::Release));
    bench.run_until(145.0).await;
    assert_eq!(account.reader.call_times(), [at(130.0), at(140.0)]);
    let waiting_since = bench.evidence(0, &account).waiting_since;
    assert_eq!(waiting_since, at(123.0), "nobody waited for it in the pause");
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_waits_for_a_free_call_is_not_skipped_when_it_is_wanted_again() {
    let one = 1.try_into().expect("not zero");
    let mut bench = Bench::with(MirrorSettings { batch: one, concurrent_reads: one, ..Default::default() });
    let account = bench.releasing(2).await;
    *lock(&account.reader.latency) = Duration::from_secs(7);
    bench.run_until(15.0).await;
    bench.mirror.want(&1, want(Cadence::Release));
    bench.run_until(19.0).await;
    assert_eq!(account.reader.call_times(), [at(10.0), at(17.0)]);
}

#[tokio::test(start_paused = true)]
async fn several_waiters_on_one_port_cost_one_id_at_the_fastest_of_their_cadences() {
    let mut bench = Bench::new();
    let account = bench.releasing(1).await;
    bench.mirror.observe(7, &account, &port(0));
    bench.mirror.want(&7, want(Cadence::Slow));
    bench.run_until(35.0).await;
    let calls = account.reader.calls();
    assert_eq!(calls.iter().map(|call| call.at).collect::<Vec<_>>(), [at(10.0), at(20.0), at(30.0)]);
    assert!(calls.iter().all(|call| call.ids == [port(0)]), "{calls:?}");
    assert_eq!(bench.mirror.stats().ports, 1);
    bench.mirror.forget(&0);
    bench.run_until(299.0).await;
    assert_eq!(account.reader.call_times(), [], "the fast one is gone");
}

#[tokio::test(start_paused = true)]
async fn what_is_urgent_overtakes_a_long_queue_of_upkeep() {
    let mut bench = Bench::new();
    let account = bench.releasing(1000).await;
    (1..1000).for_each(|number| bench.mirror.want(&number, want(Cadence::Slow)));
    bench.mirror.want(&0, want(Cadence::Paused));
    bench.run_until(299.0).await;
    *lock(&account.reader.latency) = Duration::from_secs(1);
    bench.run_until(300.5).await;
    bench.mirror.want(&0, want_after(Cadence::Release, at(300.5)));
    bench.run_until(305.0).await;
    let calls = account.reader.calls();
    let urgent = calls.iter().position(|call| call.priority == ReadPriority::Release);
    assert_eq!(urgent, Some(4), "right after the calls under way: {:?}", calls.len());
}

#[tokio::test(start_paused = true)]
async fn nobody_left_ends_the_poller_and_leaves_nothing_behind() {
    let mut bench = Bench::new();
    let account = bench.releasing(3).await;
    bench.mirror.forget(&0);
    assert_eq!((bench.mirror.stats().accounts, bench.mirror.stats().ports), (1, 2));
    bench.mirror.forget(&1);
    bench.mirror.forget(&2);
    bench.settle().await;
    assert_eq!((bench.mirror.stats().accounts, bench.mirror.stats().ports), (0, 0));
    assert_eq!(Arc::strong_count(&account.reader), 1, "the task holds its reader no longer");
    bench.run_until(100.0).await;
    assert_eq!(account.reader.call_times(), []);
    assert_eq!(bench.evidence(0, &account).good, None, "what was known is forgotten");
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_while_the_port_is_being_read_takes_that_reading() {
    let mut bench = Bench::new();
    let account = bench.releasing(2).await;
    *lock(&account.reader.latency) = Duration::from_millis(100);
    bench.run_until(10.0).await;
    bench.mirror.forget(&0);
    bench.mirror.observe(0, &account, &port(0));
    bench.run_until(19.0).await;
    assert_eq!(account.reader.call_times(), [at(10.0)]);
    assert_eq!(bench.woken(), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_changes_account_or_port_waits_in_one_place_only() {
    let mut bench = Bench::new();
    let old = bench.releasing(1).await;
    let new = bench.account(2);
    let evidence = bench.evidence(0, &new);
    assert_eq!((evidence.good, evidence.by), (None, new.fingerprint.clone()));
    bench.run_until(5.0).await;
    assert_eq!((old.reader.calls().len(), new.reader.calls().len()), (0, 1));
    assert_eq!(bench.mirror.stats().accounts, 1);
    bench.mirror.observe(0, &new, &port(8));
    bench.run_until(15.0).await;
    let calls = new.reader.calls();
    assert!(calls.iter().all(|call| call.ids == [port(8)]), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_mirror_or_of_the_process_ends_the_tasks_and_the_wakes() {
    for cancel in [true, false] {
        let mut bench = Bench::new();
        let account = bench.releasing(1).await;
        if cancel {
            bench.shutdown.cancel();
            bench.run_until(100.0).await;
            assert_eq!(account.reader.call_times(), []);
        }
        let Bench { mirror, mut wakes, .. } = bench;
        drop(mirror);
        assert_eq!(time::timeout(TICK, wakes.next()).await, Ok(None), "the stream ends");
        assert_eq!(Arc::strong_count(&account.reader), 1, "the task holds its reader no longer");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reading_counts_from_when_its_request_leaves_and_not_from_when_it_was_due() {
    let mut bench = Bench::new();
    let account = bench.releasing(1).await;
    *lock(&account.reader.turn) = Ok(Duration::from_secs(4));
    *lock(&account.reader.latency) = Duration::from_secs(1);
    bench.run_until(16.0).await;
    assert_eq!(account.reader.call_times(), [at(14.0)]);
    assert_eq!(bench.evidence(0, &account).good.map(|good| good.at), Some(at(14.0)));
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_waits_for_its_turn_answers_who_asks_meanwhile() {
    let mut bench = Bench::new();
    let account = bench.releasing(1).await;
    *lock(&account.reader.turn) = Ok(Duration::from_secs(4));
    bench.run_until(12.0).await;
    bench.mirror.want(&0, want_after(Cadence::Paused, at(12.0)));
    bench.run_until(15.0).await;
    assert_eq!((bench.woken(), account.reader.call_times()), (vec![0], vec![at(14.0)]));
}
