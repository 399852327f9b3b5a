use std::sync::Arc;

use proptest::prelude::*;
use tokio::sync::mpsc;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const WALL: Timestamp = Timestamp::UNIX_EPOCH;

fn limiter(rate: Rate) -> Limiter {
    Limiter::new(rate, Histogram::new([1.0]), Clock::System)
}

fn rate(per_second: f64) -> Rate {
    Rate::per_second(per_second).expect("a valid rate")
}

/// How many tokens the bucket gives until `end`, asked again whenever it says so.
fn drain(bucket: &mut Bucket, from: Instant, end: Instant) -> u32 {
    let mut now = from;
    let mut tokens = 0;
    while now <= end {
        match bucket.take(now) {
            Ok(()) => tokens += 1,
            Err(wait) => now += wait,
        }
    }
    tokens
}

#[test]
fn a_bucket_gives_half_a_second_s_worth_at_once_and_then_its_rate() {
    let start = Instant::now();
    let mut bucket = Bucket::new(rate(10.0), start);
    assert_eq!(drain(&mut bucket, start, start), 5, "the burst");
    assert_eq!(drain(&mut bucket, start, start + 10 * SECOND), 100, "ten seconds at the rate");
    assert_eq!(drain(&mut bucket, start + 500 * SECOND, start + 500 * SECOND), 5, "after a rest");
}

#[test]
fn a_bucket_of_less_than_one_a_second_still_holds_one() {
    let start = Instant::now();
    let mut bucket = Bucket::new(rate(0.1), start);
    assert_eq!(bucket.take(start), Ok(()));
    assert_eq!(bucket.take(start), Err(10 * SECOND));
}

#[test]
fn a_429_halves_the_rate_once_for_all_requests_under_way() {
    let start = Instant::now();
    let mut bucket = Bucket::new(rate(8.0), start);
    bucket.slow_down(start, WALL, None);
    bucket.slow_down(start + SECOND / 2, WALL, None);
    assert!((4.0..4.2).contains(&bucket.rate), "halved once: {}", bucket.rate);
    bucket.slow_down(start + SECOND, WALL, None);
    assert!((2.0..2.2).contains(&bucket.rate), "halved again a second later: {}", bucket.rate);
}

#[test]
fn the_rate_has_a_floor_and_recovers_within_a_minute() {
    let start = Instant::now();
    let mut bucket = Bucket::new(rate(8.0), start);
    let mut now = start;
    for _ in 0..100 {
        now += SECOND;
        bucket.slow_down(now, WALL, None);
    }
    assert!((0.5..0.6).contains(&bucket.rate), "the floor: {}", bucket.rate);
    bucket.count(now + 60 * SECOND);
    assert!((bucket.rate - 8.0).abs() < 1e-9, "recovered: {}", bucket.rate);
}

#[test]
fn nothing_is_given_before_retry_after_has_passed() {
    let start = Instant::now();
    let mut bucket = Bucket::new(rate(10.0), start);
    bucket.slow_down(start, WALL, Some(30 * SECOND));
    assert_eq!(bucket.paused(start).map(|pause| pause.left), Some(30 * SECOND));
    assert_eq!(drain(&mut bucket, start, start + 30 * SECOND), 0);
    assert_eq!(bucket.paused(start + 30 * SECOND), None);
    assert!(bucket.take(start + 31 * SECOND).is_ok(), "{bucket:?}");
}

#[test]
fn a_lower_priority_is_passed_over_four_times_at_most() {
    let mut queue = Queue::default();
    for priority in [Priority::Change, Priority::Upkeep, Priority::Release] {
        queue.enter(priority);
    }
    let turns: Vec<_> =
        std::iter::from_fn(|| queue.next().inspect(|&next| queue.granted(next))).take(12).collect();
    assert_eq!(turns[..4], [Priority::Change; 4], "{turns:?}");
    assert_eq!(turns[4..6], [Priority::Release, Priority::Upkeep], "{turns:?}");
    let changes = turns.iter().filter(|&&turn| turn == Priority::Change).count();
    assert!(changes >= 7, "{changes} of 12 turns are changes: {turns:?}");
}

/// Starts one waiter for each priority, in this order, and tells in which order they got their permits.
async fn order_of(limiter: &Arc<Limiter>, waiters: &[Priority]) -> Vec<Priority> {
    let (sender, mut granted) = mpsc::channel(waiters.len());
    for &priority in waiters {
        let (limiter, sender) = (Arc::clone(limiter), sender.clone());
        tokio::spawn(async move {
            let _permit = limiter.acquire(priority).await;
            sender.send(priority).await.expect("the test waits");
        });
        tokio::task::yield_now().await;
    }
    drop(sender);
    let mut order = Vec::new();
    granted.recv_many(&mut order, waiters.len()).await;
    while order.len() < waiters.len() {
        order.extend(granted.recv().await);
    }
    order
}

#[tokio::test(start_paused = true)]
async fn changes_go_before_releases_and_these_before_upkeep() {
    use Priority::{Change, Release, Upkeep};
    let limiter = Arc::new(limiter(rate(1.0)));
    let _burst = limiter.acquire(Upkeep).await;
    let order = order_of(&limiter, &[Upkeep, Release, Upkeep, Change, Release, Change]).await;
    assert_eq!(order, [Change, Change, Release, Release, Upkeep, Upkeep]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_holds_nobody_back() {
    let limiter = Arc::new(limiter(rate(1.0)));
    let _burst = limiter.acquire(Priority::Upkeep).await;
    let start = Instant::now();
    let given_up = tokio::time::timeout(SECOND / 10, limiter.acquire(Priority::Change)).await;
    assert!(given_up.is_err(), "there was no token yet");
    let _permit = limiter.acquire(Priority::Upkeep).await;
    assert!(start.elapsed() <= SECOND + SECOND / 100, "waited {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_also_those_that_wait_already() {
    let limiter = Arc::new(limiter(rate(1.0)));
    let _burst = limiter.acquire(Priority::Change).await;
    let start = Instant::now();
    let waiter = tokio::spawn({
        let limiter = Arc::clone(&limiter);
        async move { limiter.acquire(Priority::Change).await }
    });
    tokio::task::yield_now().await;
    limiter.heed(Pushback::Pause(20 * SECOND));
    assert_eq!(limiter.paused().map(|pause| pause.left), Some(20 * SECOND));
    let _permit = waiter.await.expect("the waiter gets its permit");
    assert!(start.elapsed() >= 20 * SECOND, "waited only {:?}", start.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_more_tokens_than_burst_and_rate_allow(
        per_second in 0.01..1000.0_f64,
        steps in prop::collection::vec((0..3000_u64, 0..4_u8), 1..200),
    ) {
        let start = Instant::now();
        let mut bucket = Bucket::new(rate(per_second), start);
        let (mut now, mut tokens) = (start, 0.0);
        for (millis, step) in steps {
            now += Duration::from_millis(millis);
            match step {
                0 => bucket.slow_down(now, WALL, Some(Duration::from_millis(millis))),
                _ => match bucket.take(now) {
                    Ok(()) => tokens += 1.0,
                    Err(wait) => prop_assert!(!wait.is_zero() && wait < Duration::from_hours(1), "{wait:?}"),
                },
            }
            let allowed = (per_second / 2.0).max(1.0) + per_second * (now - start).as_secs_f64();
            prop_assert!(tokens <= allowed + 1e-3, "{tokens} tokens where {allowed} are allowed");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_was_throttled_is_asked_half_as_often() {
    let limiter = limiter(rate(2.0));
    limiter.heed(Pushback::Throttled(None));
    let began = Instant::now();
    drop(limiter.acquire(Priority::Release).await);
    assert!(began.elapsed() > SECOND * 3 / 4, "every second, and not twice: {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_a_permit_at_once_tells_those_who_wait() {
    let limiter = limiter(rate(1.0));
    drop(limiter.acquire(Priority::Change).await);
    let mut upkeep = Box::pin(limiter.acquire(Priority::Upkeep));
    assert!(futures::poll!(&mut upkeep).is_pending());
    for _ in 0..3 {
        drop(limiter.acquire(Priority::Release).await);
    }
    let mut release = Box::pin(limiter.acquire(Priority::Release));
    assert!(futures::poll!(&mut release).is_pending() && futures::poll!(&mut upkeep).is_pending());
    tokio::time::advance(SECOND).await;
    // Now the upkeep was passed over often enough, and is next.
    assert!(limiter.try_acquire(Priority::Change).is_some());
    let both = futures::future::join(release, upkeep);
    assert!(tokio::time::timeout(SECOND * 5, both).await.is_ok(), "they wait for each other");
}
