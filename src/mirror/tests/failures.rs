//! Readings that fail: what they cost, whom they wake, whom they leave alone.

use super::*;
use crate::reading::Failure;

#[tokio::test(start_paused = true)]
async fn an_account_that_fails_is_asked_ever_less_often_until_it_answers() {
    let mut bench = Bench::new();
    let account = bench.releasing(1).await;
    account.reader.set(Mood::Fail(unavailable()));
    bench.run_until(265.0).await;
    let times = [10.0, 20.0, 40.0, 80.0, 140.0, 200.0, 260.0];
    assert_eq!(account.reader.call_times(), times.map(at));
    assert_eq!(bench.woken(), [0], "the failures began once");
    let failure = bench.evidence(0, &account).failure;
    assert_eq!(failure, Some(Failure { why: unavailable(), since: at(10.0), at: at(260.0) }));
    account.reader.set(Mood::Answer);
    bench.run_until(345.0).await;
    assert_eq!(account.reader.call_times(), [320.0, 330.0, 340.0].map(at));
    assert_eq!(bench.woken(), [0], "the failures ended");
    assert_eq!(bench.evidence(0, &account).failure, None);
}

#[tokio::test(start_paused = true)]
async fn the_chunks_of_one_tick_fail_as_one() {
    let mut bench = Bench::new();
    let account = bench.releasing(1000).await;
    account.reader.set(Mood::Fail(refused("REQUEST_LIMIT_EXCEEDED")));
    bench.run_until(25.0).await;
    let times: BTreeSet<_> = account.reader.call_times().into_iter().collect();
    assert_eq!(times, [at(10.0), at(20.0)].into(), "the first pause is one tick");
}

#[tokio::test(start_paused = true)]
async fn another_kind_of_failure_is_news_and_another_detail_is_not() {
    let mut bench = Bench::new();
    let account = bench.releasing(1).await;
    let steps = [
        (Mood::Fail(refused("REQUEST_LIMIT_EXCEEDED")), 15.0, vec![0]),
        (Mood::Fail(Unreadable::Unavailable("timeout".to_owned())), 25.0, vec![0]),
        (Mood::Fail(Unreadable::Unavailable("HTTP 502".to_owned())), 45.0, vec![]),
        (Mood::Answer, 85.0, vec![0]),
        (Mood::Answer, 95.0, vec![]),
    ];
    for (mood, until, woken) in steps {
        account.reader.set(mood.clone());
        bench.run_until(until).await;
        assert_eq!(bench.woken(), woken, "{mood:?} until {until} s");
    }
}

#[tokio::test(start_paused = true)]
async fn an_urgent_wish_does_not_make_a_failing_account_spin() {
    let mut bench = Bench::new();
    let account = bench.releasing(1).await;
    account.reader.set(Mood::Fail(unavailable()));
    bench.mirror.want(&0, want_after(Cadence::Paused, at(1.0)));
    for second in 1..100_u32 {
        bench.run_until(f64::from(second)).await;
        bench.mirror.want(&0, want_after(Cadence::Paused, at(f64::from(second))));
    }
    assert_eq!(account.reader.call_times(), [1.25, 10.0, 30.0, 70.0].map(at));
}

#[tokio::test(start_paused = true)]
async fn who_joins_a_failing_account_is_told_why_at_once() {
    let mut bench = Bench::new();
    let account = bench.releasing(1).await;
    account.reader.set(Mood::Fail(refused("AUTHFAILURE_X")));
    bench.run_until(45.0).await;
    let failure = bench.evidence(5, &account).failure;
    let why = refused("AUTHFAILURE_X");
    assert_eq!(failure, Some(Failure { why, since: at(10.0), at: at(40.0) }));
    account.reader.calls();
    bench.run_until(79.0).await;
    assert_eq!(account.reader.call_times(), [], "and does not add to its load");
}

#[tokio::test(start_paused = true)]
async fn who_joins_an_account_whose_backoff_is_over_is_read_at_once() {
    let mut bench = Bench::new();
    let account = bench.releasing(1).await;
    bench.mirror.want(&0, want(Cadence::Slow));
    account.reader.set(Mood::Fail(unavailable()));
    bench.run_until(350.0).await;
    assert_eq!(account.reader.call_times(), [at(300.0)]);
    account.reader.set(Mood::Answer);
    assert_eq!(bench.evidence(5, &account).failure, None);
    bench.run_until(351.0).await;
    assert_eq!(account.reader.call_times(), [at(350.25)]);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_fails_or_hangs_does_not_delay_another() {
    for mood in [Mood::Hang, Mood::Fail(refused("REQUEST_LIMIT_EXCEEDED")), Mood::Panic] {
        let mut bench = Bench::new();
        let healthy = bench.releasing(1).await;
        let sick = bench.account(2);
        sick.reader.set(mood.clone());
        (100..1100).for_each(|number| _ = bench.evidence(number, &sick));
        bench.run_until(35.0).await;
        assert_eq!(healthy.reader.call_times(), [10.0, 20.0, 30.0].map(at), "{mood:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_hangs_does_not_delay_the_other_chunks() {
    let mut bench = Bench::new();
    let account = bench.releasing(101).await;
    account.reader.set(Mood::Hang);
    bench.mirror.want(&100, want_after(Cadence::Release, at(2.0)));
    bench.run_until(3.0).await;
    account.reader.set(Mood::Answer);
    bench.run_until(35.0).await;
    let calls = account.reader.calls();
    let times: Vec<_> = calls.iter().map(|call| (call.at, call.ids.len())).collect();
    assert_eq!(times, [(at(2.25), 1), (at(10.0), 100), (at(20.0), 100), (at(30.0), 100)]);
}

#[tokio::test(start_paused = true)]
async fn a_hang_or_a_panic_is_recorded_as_unavailable_and_the_poller_goes_on() {
    for mood in [Mood::Hang, Mood::Panic] {
        let mut bench = Bench::new();
        let account = bench.releasing(1).await;
        account.reader.set(mood.clone());
        bench.run_until(131.0).await;
        assert_eq!(bench.woken(), [0], "{mood:?}");
        let failure = bench.evidence(0, &account).failure.map(|failure| failure.why);
        assert!(matches!(failure, Some(Unreadable::Unavailable(_))), "{mood:?}: {failure:?}");
        account.reader.set(Mood::Answer);
        bench.run_until(265.0).await;
        assert_eq!((bench.woken(), bench.evidence(0, &account).failure), (vec![0], None), "{mood:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_chunk_is_read_in_halves_and_only_the_offender_fails() {
    let mut bench = Bench::new();
    let account = bench.releasing(300).await;
    lock(&account.reader.poison).insert(port(142));
    bench.run_until(15.0).await;
    let calls = account.reader.calls();
    assert!(calls.len() <= 3 + 14, "a batch of 100 is halved seven times: {} calls", calls.len());
    assert_eq!(bench.woken(), [142]);
    let read = |number| bench.evidence(number, &account).good.is_some_and(|good| good.at == at(10.0));
    assert!((0..300).filter(|number| *number != 142).all(read), "all others were read at the tick");
    bench.run_until(25.0).await;
    assert_eq!(account.reader.calls().len(), 4, "from then on the offender is read alone");
    lock(&account.reader.poison).clear();
    bench.run_until(35.0).await;
    account.reader.calls();
    bench.run_until(45.0).await;
    assert_eq!(account.reader.calls().len(), 3, "and among the others again once it was seen");
    assert_eq!(bench.woken(), [142]);
}

#[tokio::test(start_paused = true)]
async fn an_offender_that_is_wanted_urgently_is_tried_once_a_tick() {
    let mut bench = Bench::new();
    let account = bench.releasing(1).await;
    lock(&account.reader.poison).insert(port(0));
    bench.mirror.want(&0, want_after(Cadence::Slow, at(1.0)));
    bench.run_until(35.0).await;
    assert_eq!(account.reader.call_times(), [1.25, 10.0, 20.0, 30.0].map(at));
}

#[tokio::test(start_paused = true)]
async fn a_port_that_is_forgotten_while_its_chunk_is_halved_is_not_read_again() {
    let one = 1.try_into().expect("not zero");
    let mut bench = Bench::with(MirrorSettings { concurrent_reads: one, ..Default::default() });
    let account = bench.releasing(4).await;
    *lock(&account.reader.latency) = Duration::from_secs(1);
    lock(&account.reader.poison).insert(port(3));
    bench.run_until(11.5).await;
    bench.mirror.forget(&0);
    account.reader.calls();
    bench.run_until(19.0).await;
    let read: BTreeSet<_> = account.reader.calls().into_iter().flat_map(|call| call.ids).collect();
    assert_eq!(read, [port(1), port(2), port(3)].into());
}

#[tokio::test(start_paused = true)]
async fn many_offenders_do_not_keep_the_others_from_being_read() {
    let mut bench = Bench::new();
    let account = bench.releasing(1000).await;
    lock(&account.reader.poison).extend((0..100).map(port));
    bench.run_until(600.0).await;
    account.reader.calls();
    bench.run_until(615.0).await;
    let stale =
        |number: &usize| bench.evidence(*number, &account).good.is_none_or(|good| good.at < at(600.0));
    assert_eq!((100..1000).filter(stale).count(), 0, "all healthy ports are read at every tick");
    assert!(account.reader.calls().len() < 120);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_refused_as_a_whole_backs_off() {
    let mut bench = Bench::new();
    let account = bench.releasing(1000).await;
    account.reader.set(Mood::Fail(refused("ACCOUNT_SUSPENDED")));
    bench.run_until(600.0).await;
    account.reader.calls();
    bench.run_until(900.0).await;
    let calls = account.reader.calls();
    let times: BTreeSet<_> = calls.iter().map(|call| call.at).collect();
    assert_eq!(times.len(), 5, "once a minute: {times:?}");
    assert!(calls.len() < 5 * 60, "about one call a batch: {}", calls.len());
    assert_eq!(bench.woken().len(), 1000);
}

#[tokio::test(start_paused = true)]
async fn reads_are_counted_by_result() {
    let mut bench = Bench::new();
    let account = bench.releasing(101).await;
    account.reader.set(Mood::Fail(unavailable()));
    bench.run_until(15.0).await;
    let stats = bench.mirror.stats();
    assert_eq!((stats.accounts, stats.ports, stats.reads_ok, stats.reads_failed), (1, 101, 2, 2));
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_paused_is_throttled_however_long_the_pause_lasts() {
    let mut bench = Bench::new();
    let account = bench.releasing(1).await;
    let paused =
        Unreadable::NotAsked("Zenlayer asked the operator to send no requests before 12:00:00Z".to_owned());
    *lock(&account.reader.turn) = Err(paused.clone());
    for until in [15.0, 125.0, 245.0, 305.0] {
        bench.run_until(until).await;
        assert_eq!(
            bench.evidence(0, &account).failure.map(|failure| failure.why),
            Some(paused.clone()),
            "{until}"
        );
    }
    assert_eq!(account.reader.call_times(), [], "nothing was sent");
    *lock(&account.reader.turn) = Ok(Duration::ZERO);
    bench.run_until(370.0).await;
    assert_eq!(bench.evidence(0, &account).failure, None);
}

#[tokio::test(start_paused = true)]
async fn a_reading_whose_turn_never_comes_is_throttled_and_not_unavailable() {
    let mut bench = Bench::new();
    let account = bench.releasing(1).await;
    *lock(&account.reader.turn) = Ok(Duration::from_secs(1000));
    bench.run_until(131.0).await;
    let failure = bench.evidence(0, &account).failure.map(|failure| failure.why);
    let Some(Unreadable::NotAsked(why)) = failure else { panic!("{failure:?}") };
    assert!(why.contains("rate of requests"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn the_time_of_the_last_answer_stands_still_while_there_is_none() {
    let mut bench = Bench::new();
    let account = bench.releasing(1).await;
    let answered = |bench: &Bench| bench.mirror.stats().oldest_answer.expect("there is a port to read");
    bench.run_until(15.0).await;
    assert_eq!(answered(&bench), at(10.0));
    for mood in [Mood::Fail(unavailable()), Mood::Fail(refused("REQUEST_LIMIT_EXCEEDED")), Mood::Hang] {
        let now = bench.clock.monotonic().since(Monotonic::default()).as_secs_f64();
        account.reader.set(mood.clone());
        bench.run_until(now + 200.0).await;
        assert_eq!(answered(&bench), at(10.0), "{mood:?} is no answer");
    }
    account.reader.set(Mood::Fail(refused("AUTHFAILURE_INVALID_AUTHORIZATION")));
    bench.run_until(1200.0).await;
    let refused = answered(&bench);
    assert!(refused > at(1000.0), "a refusal of the key is an answer: {refused:?}");
    // Another account has nothing to read.
    let idle = bench.account(2);
    bench.mirror.observe(7, &idle, &port(7));
    bench.run_until(1201.0).await;
    bench.mirror.want(&7, want(Cadence::Paused));
    bench.run_until(3000.0).await;
    assert!(answered(&bench) > at(2900.0), "who reads nothing is not late: {:?}", answered(&bench));
}

#[tokio::test(start_paused = true)]
async fn while_readings_fail_the_last_good_one_is_worth_as_long_as_the_pause_that_was_planned() {
    let mut bench = Bench::new();
    let account = bench.releasing(100).await;
    let ports = |first: usize| (first..first + 100).map(port);
    ports(0).for_each(|port| account.reader.put(&port, "DESTROYING"));
    bench.run_until(305.0).await;
    ports(0).for_each(|port| account.reader.vanish(&port));
    bench.run_until(315.0).await;
    ports(100).for_each(|port| account.reader.put(&port, "DESTROYING"));
    (100..200).for_each(|number| _ = bench.evidence(number, &account));
    (0..100).for_each(|number| bench.mirror.forget(&number));
    bench.run_until(317.0).await;
    account.reader.calls();
    let pause = bench.evidence(100, &account).interval;
    assert_eq!(pause, Some(MirrorSettings::default().held), "it is known that ports take 300 s");
    account.reader.set(Mood::Fail(unavailable()));
    bench.run_until(395.0).await;
    assert_eq!(account.reader.call_times(), [375.0, 380.0].map(at), "and then at ticks again");
    let evidence = bench.evidence(100, &account);
    assert_eq!((evidence.interval, evidence.failure.map(|failure| failure.since)), (pause, Some(at(375.0))));
}
