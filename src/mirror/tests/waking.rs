//! Who is woken, and when.

use super::*;
use crate::reading::{Absences, Presence, Reading};

#[tokio::test(start_paused = true)]
async fn the_first_reading_and_every_change_wake_the_waiter_once() {
    let mut bench = Bench::new();
    let account = bench.account(1);
    account.reader.put(&port(0), "RECYCLED");
    let first = bench.evidence(0, &account);
    assert_eq!((first.good, first.waiting_since, first.interval), (None, at(0.0), Some(TICK)));
    bench.run_until(1.0).await;
    assert_eq!(bench.woken(), [0], "the first reading");
    account.reader.put(&port(0), "DESTROYING");
    bench.run_until(9.0).await;
    assert_eq!(bench.woken(), [0_usize; 0], "not read yet");
    bench.run_until(11.0).await;
    assert_eq!(bench.woken(), [0], "another status");
    bench.run_until(3600.0).await;
    assert_eq!(bench.woken(), [0_usize; 0], "an hour of DESTROYING");
    account.reader.vanish(&port(0));
    bench.run_until(3611.0).await;
    assert_eq!(bench.woken(), [0], "gone");
    let evidence = bench.evidence(0, &account);
    let absent = Reading { presence: Presence::Absent, at: at(3610.0), since: at(3610.0) };
    assert_eq!(evidence.good, Some(absent));
    assert_eq!((evidence.waiting_since, evidence.by), (at(0.0), account.fingerprint));
}

#[tokio::test(start_paused = true)]
async fn a_fresh_reading_wakes_the_one_who_asked_once_though_nothing_changed() {
    let mut bench = Bench::new();
    let account = bench.releasing(1).await;
    bench.mirror.observe(7, &account, &port(0));
    bench.run_until(2.0).await;
    bench.woken();
    account.reader.calls();
    bench.mirror.want(&0, want_after(Cadence::Release, at(4.0)));
    bench.run_until(9.0).await;
    assert_eq!(account.reader.call_times(), [at(4.25)]);
    assert_eq!(bench.woken(), [0], "not the other one, who did not ask");
    bench.run_until(35.0).await;
    assert_eq!(bench.woken(), [0_usize; 0], "once is enough");
}

#[tokio::test(start_paused = true)]
async fn a_fresh_reading_that_is_there_already_wakes_at_once_and_costs_nothing() {
    let mut bench = Bench::new();
    let account = bench.releasing(1).await;
    bench.mirror.want(&0, want_after(Cadence::Paused, at(0.25)));
    assert_eq!(bench.woken(), [0]);
    bench.run_until(100.0).await;
    assert_eq!(account.reader.call_times(), []);
}

#[tokio::test(start_paused = true)]
async fn a_reading_sent_before_the_time_asked_for_is_no_answer() {
    let mut bench = Bench::new();
    let account = bench.releasing(1).await;
    *lock(&account.reader.latency) = Duration::from_secs(3);
    bench.run_until(10.5).await;
    bench.mirror.want(&0, want_after(Cadence::Release, at(10.5)));
    bench.run_until(13.2).await;
    assert_eq!(bench.woken(), [0_usize; 0], "the reading of the tick was sent at 10 s");
    bench.run_until(17.0).await;
    assert_eq!(bench.woken(), [0]);
    assert_eq!(account.reader.call_times(), [at(10.0), at(13.0)], "the next follows the one under way");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_no_longer_wanted_wakes_nobody() {
    let mut bench = Bench::new();
    let account = bench.releasing(1).await;
    bench.mirror.want(&0, want_after(Cadence::Paused, at(50.0)));
    bench.mirror.want(&0, want(Cadence::Paused));
    bench.run_until(100.0).await;
    assert_eq!((account.reader.call_times(), bench.woken()), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn only_good_readings_count_as_absences() {
    let mut bench = Bench::new();
    let account = bench.releasing(1).await;
    account.reader.vanish(&port(0));
    bench.run_until(25.0).await;
    account.reader.set(Mood::Fail(unavailable()));
    bench.run_until(65.0).await;
    account.reader.set(Mood::Answer);
    account.reader.calls();
    bench.run_until(125.0).await;
    let good = account.reader.call_times();
    let absences = bench.evidence(0, &account).absences.expect("the port is absent");
    let count = u32::try_from(good.len()).expect("a few") + 2;
    assert_eq!(absences, Absences { count, first: at(10.0), last: good[good.len() - 1] });
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_overtaken_is_ignored() {
    let mut bench = Bench::new();
    let account = bench.releasing(2).await;
    *lock(&account.reader.latency) = Duration::from_secs(8);
    bench.run_until(11.0).await;
    bench.mirror.forget(&0);
    account.reader.put(&port(0), "DESTROYING");
    *lock(&account.reader.latency) = Duration::ZERO;
    bench.evidence(0, &account);
    bench.run_until(17.0).await;
    assert_eq!(bench.woken(), [0]);
    let newer = bench.evidence(0, &account).good;
    bench.run_until(19.0).await;
    assert_eq!(bench.evidence(0, &account).good, newer, "the answer to the request of 10 s came at 18 s");
    assert_eq!(bench.woken(), [0_usize; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_sleeps_gets_every_waiter_once() {
    let mut bench = Bench::new();
    let account = bench.releasing(500).await;
    for (tick, status) in [(11.0, "DESTROYING"), (21.0, "DESTROYED"), (31.0, "UNHEARD_OF")] {
        (0..500).for_each(|number| account.reader.put(&port(number), status));
        bench.run_until(tick).await;
    }
    assert_eq!(bench.woken(), (0..500).collect::<Vec<_>>());
}
