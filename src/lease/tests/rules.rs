//! The rules one by one, by the clock of one candidate.

use std::time::Duration;

use crate::clock::Monotonic;
use crate::lease::election::{Election, LeaseTiming, Loss, Record, Standing, Step, Write};

fn at(seconds: f64) -> Monotonic {
    Monotonic::from_start(Duration::from_secs_f64(seconds))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn held(version: &str, holder: &str) -> Record {
    Record { version: version.to_owned(), holder: Some(holder.to_owned()), duration: seconds(15) }
}

fn write(version: Option<&str>) -> Step {
    Step::Write(Write { version: version.map(str::to_owned), holder: Some("me".to_owned()) })
}

fn candidate() -> Election {
    Election::new("me".to_owned(), LeaseTiming::default(), at(0.0))
}

/// It has written version 1 at 0 s.
fn leader() -> Election {
    let mut leader = candidate();
    leader.looked(None, at(0.0));
    leader.wrote(held("1", "me"), at(0.0), at(0.1));
    leader
}

/// What it wants once it has seen `seen` at `seconds`.
fn after_look(candidate: &mut Election, seen: Option<Record>, seconds: f64) -> Step {
    candidate.looked(seen, at(seconds));
    candidate.step(at(seconds))
}

#[test]
fn a_lease_that_is_absent_is_created_and_one_that_is_free_is_taken() {
    assert_eq!(candidate().step(at(0.0)), Step::Look);
    assert_eq!(after_look(&mut candidate(), None, 0.0), write(None));
    let released = Record { holder: None, ..held("7", "") };
    assert_eq!(after_look(&mut candidate(), Some(released), 0.0), write(Some("7")));
}

#[test]
fn a_held_lease_is_left_alone_until_it_was_seen_unchanged_for_its_duration() {
    let mut candidate = candidate();
    for second in [0.0, 2.0, 14.0] {
        let step = after_look(&mut candidate, Some(held("1", "other")), second);
        assert!(matches!(step, Step::Wait(_)), "{step:?} at {second} s");
    }
    assert_eq!(candidate.step(at(14.5)), Step::Wait(Duration::from_millis(500)), "not beyond its end");
    assert_eq!(candidate.step(at(15.0)), Step::Look, "what was seen at 14 s is no ground to take it");
    assert_eq!(after_look(&mut candidate, Some(held("1", "other")), 15.0), write(Some("1")));
}

#[test]
fn every_change_starts_the_wait_anew_whatever_times_the_lease_tells() {
    let mut candidate = candidate();
    for (version, second) in [("1", 0.0), ("2", 14.0), ("2", 28.0)] {
        let step = after_look(&mut candidate, Some(held(version, "other")), second);
        assert!(matches!(step, Step::Wait(_)), "{step:?} at {second} s");
    }
    assert_eq!(after_look(&mut candidate, Some(held("2", "other")), 29.0), write(Some("2")));
}

#[test]
fn a_longer_duration_of_the_holder_counts_but_not_one_beyond_all_reason() {
    for (recorded, patience) in [(1, 15.0), (30, 30.0), (1_000_000, 60.0)] {
        let lease = Record { duration: seconds(recorded), ..held("1", "other") };
        let mut candidate = candidate();
        candidate.looked(Some(lease.clone()), at(0.0));
        let early = after_look(&mut candidate, Some(lease.clone()), patience - 0.5);
        assert_eq!(early, Step::Wait(Duration::from_millis(500)), "recorded: {recorded} s");
        assert_eq!(after_look(&mut candidate, Some(lease), patience), write(Some("1")));
    }
}

#[test]
fn a_lease_that_somebody_deletes_is_still_its_holders_for_its_duration() {
    let mut candidate = candidate();
    candidate.looked(Some(held("1", "other")), at(0.0));
    for second in [10.0, 24.0] {
        let step = after_look(&mut candidate, None, second);
        assert!(matches!(step, Step::Wait(_)), "{step:?} at {second} s");
    }
    assert_eq!(after_look(&mut candidate, None, 25.0), write(None));

    let mut leader = leader();
    leader.failed(at(2.0), at(2.1));
    assert_eq!(after_look(&mut leader, None, 4.0), write(None), "its holder puts it back");
}

#[test]
fn the_leader_renews_and_its_term_runs_from_when_the_renewal_was_sent() {
    let mut leader = leader();
    assert_eq!(leader.standing(), Standing::Leading { until: at(10.0) });
    assert_eq!(leader.step(at(0.5)), Step::Wait(Duration::from_millis(1500)));
    assert_eq!(leader.step(at(2.0)), write(Some("1")));
    leader.wrote(held("2", "me"), at(2.0), at(4.5));
    assert_eq!(leader.standing(), Standing::Leading { until: at(12.0) });
    assert_eq!(leader.step(at(4.5)), write(Some("2")), "a slow answer delays no renewal further");
}

#[test]
fn a_renewal_without_an_answer_is_looked_for_before_it_is_repeated() {
    let mut leader = leader();
    leader.failed(at(2.0), at(2.1));
    assert_eq!(leader.step(at(4.0)), Step::Look);
    let step = after_look(&mut leader, Some(held("2", "me")), 4.1);
    assert_eq!(step, write(Some("2")), "it had been carried out");
    assert_eq!(
        leader.standing(),
        Standing::Leading { until: at(10.0) },
        "that it was does not prolong the term"
    );
}

#[test]
fn the_term_is_lost_at_its_deadline_and_when_another_is_seen_to_hold_the_lease() {
    let mut failing = leader();
    failing.failed(at(2.0), at(5.0));
    assert_eq!(failing.patience(at(8.0)), seconds(2), "no request outlives the term");
    assert_eq!(failing.step(at(10.0)), Step::Lost(Loss::Deadline(seconds(10))));

    let mut deposed = leader();
    deposed.failed(at(2.0), at(2.1));
    assert_eq!(
        after_look(&mut deposed, Some(held("2", "other")), 4.0),
        Step::Lost(Loss::Taken("other".to_owned()))
    );
}

#[test]
fn an_answer_that_a_pause_has_made_old_gives_no_term() {
    let mut paused = candidate();
    paused.looked(None, at(0.0));
    paused.wrote(held("1", "me"), at(0.0), at(60.0));
    assert_eq!(paused.step(at(60.0)), Step::Lost(Loss::Deadline(seconds(10))));
}

#[test]
fn failing_looks_grow_rarer_for_a_candidate_but_not_for_the_leader() {
    let mut candidate = candidate();
    let pauses = [2, 4, 8, 15, 15].map(|pause| {
        candidate.failed(at(0.0), at(0.0));
        (candidate.step(at(0.0)), Step::Wait(seconds(pause)))
    });
    for (step, expected) in pauses {
        assert_eq!(step, expected);
    }
    let mut leader = leader();
    for sent in [2.0, 4.0, 6.0] {
        leader.failed(at(sent), at(sent));
        assert_eq!(leader.step(at(sent)), Step::Wait(seconds(2)));
    }
}

#[test]
fn resigning_ends_the_term_and_frees_only_what_is_ours() {
    let mut leader = leader();
    assert_eq!(leader.resign(), Some(Write { version: Some("1".to_owned()), holder: None }));
    assert_eq!(leader.standing(), Standing::Unknown);

    let mut waiting = candidate();
    waiting.looked(Some(held("1", "other")), at(0.0));
    assert_eq!(waiting.resign(), None);
    assert_eq!(candidate().resign(), None);
}

#[test]
fn tests_shorten_the_times_but_leave_room_for_a_stall() {
    let scaled = LeaseTiming::default().scaled(0.1);
    assert_eq!((scaled.duration, scaled.renew_deadline), (seconds(6), seconds(4)));
    assert_eq!(LeaseTiming::default().scaled(1.0), LeaseTiming::default());
}
