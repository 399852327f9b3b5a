//! What uses ports: read by one task an account, waited for by nobody.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::mirror::usage::{Usage, UsageReader, UsageSettings};

const SETTINGS: UsageSettings = UsageSettings {
    interval: Duration::from_mins(1),
    max_backoff: Duration::from_mins(10),
    timeout: Duration::from_mins(2),
};

/// The lists of an account, which take their time.
#[derive(Debug, Default)]
struct Lists {
    latency: Mutex<Duration>,
    answer: Mutex<Option<Vec<(PortId, String)>>>,
    readings: AtomicUsize,
}

impl UsageReader for Lists {
    async fn users(&self) -> Result<Vec<(PortId, String)>, Unreadable> {
        self.readings.fetch_add(1, Ordering::Relaxed);
        let latency = *lock(&self.latency);
        time::sleep(latency).await;
        lock(&self.answer).clone().ok_or_else(unavailable)
    }
}

struct Scene {
    usage: Usage<usize, Lists>,
    wakes: Wakes<usize>,
    account: Account<Lists>,
    _failures: TaskFailures,
}

impl Scene {
    fn new(answer: Option<&[(usize, &str)]>) -> Self {
        let (wake, wakes) = wakes::channel();
        let (tasks, failures) = tasks::watched(&CancellationToken::new());
        let usage = Usage::new(SETTINGS, Clock::tokio(jiff::Timestamp::now()), Arc::new(wake), &tasks);
        let key = AccountKey::new([1; 32]);
        let account = Account::new(key, Fingerprint::new("account-1"), Arc::new(Lists::default()));
        let scene = Self { usage, wakes, account, _failures: failures };
        scene.answers(answer);
        scene
    }

    fn answers(&self, answer: Option<&[(usize, &str)]>) {
        let named = |answer: &[(usize, &str)]| {
            answer.iter().map(|(n, user)| (port(*n), (*user).to_owned())).collect()
        };
        *lock(&self.account.reader.answer) = answer.map(named);
    }

    fn observe(&self, waiter: usize) -> Option<Vec<String>> {
        self.usage.observe(waiter, &self.account, &port(waiter))
    }

    fn readings(&self) -> usize {
        self.account.reader.readings.load(Ordering::Relaxed)
    }

    async fn woken_within(&mut self, seconds: u64) -> Vec<usize> {
        time::sleep(Duration::from_secs(seconds)).await;
        let mut woken: Vec<_> = std::iter::from_fn(|| self.wakes.next().now_or_never().flatten()).collect();
        woken.sort_unstable();
        woken
    }
}

#[tokio::test(start_paused = true)]
async fn forty_busy_ports_of_a_slow_account_cost_one_reading_and_nobody_waits_for_it() {
    let mut scene = Scene::new(Some(&[(7, "private connect connect-7")]));
    *lock(&scene.account.reader.latency) = Duration::from_secs(100);
    assert!(
        (0..40).all(|waiter| scene.observe(waiter).is_none()),
        "nothing is known yet, and that is said at once"
    );
    assert_eq!(scene.woken_within(99).await, [0; 0]);
    assert_eq!(
        scene.woken_within(2).await,
        (0..40).collect::<Vec<_>>(),
        "all are woken when the answer is there"
    );
    assert_eq!(scene.readings(), 1);
    assert_eq!(scene.observe(7), Some(vec!["private connect connect-7".to_owned()]));
    assert_eq!(scene.observe(8), Some(vec![]), "nothing uses it");
}

#[tokio::test(start_paused = true)]
async fn only_a_change_wakes_and_only_those_whom_it_concerns() {
    let mut scene = Scene::new(Some(&[(1, "private connect a"), (2, "cloud router b")]));
    assert!((scene.observe(1), scene.observe(2)) == (None, None));
    assert_eq!(scene.woken_within(1).await, [1, 2]);
    assert_eq!(scene.woken_within(600).await, [0; 0], "nothing changes for ten minutes");
    assert_eq!(scene.readings(), 11, "read once a minute");
    scene.answers(Some(&[(2, "cloud router b")]));
    assert_eq!(scene.woken_within(60).await, [1]);
    assert_eq!(scene.observe(1), Some(vec![]));
}

#[tokio::test(start_paused = true)]
async fn an_account_that_fails_is_read_ever_less_often_and_an_old_answer_is_not_told_for_ever() {
    let mut scene = Scene::new(Some(&[(1, "private connect a")]));
    scene.observe(1);
    assert_eq!(scene.woken_within(1).await, [1]);
    scene.answers(None);
    time::sleep(Duration::from_secs(170)).await;
    assert!(scene.observe(1).is_some_and(|users| users.len() == 1), "one failure takes nothing back");
    time::sleep(Duration::from_secs(3429)).await;
    assert_eq!(scene.observe(1), None);
    // After 0, 1, 3, 7 and 15 minutes, and then every ten.
    assert_eq!(scene.readings(), 9);
    scene.answers(Some(&[]));
    assert_eq!(scene.woken_within(600).await, [1]);
    assert_eq!(scene.observe(1), Some(vec![]));
}

#[tokio::test(start_paused = true)]
async fn nobody_left_ends_the_task_even_while_it_reads() {
    let scene = Scene::new(Some(&[]));
    *lock(&scene.account.reader.latency) = Duration::from_secs(100);
    scene.observe(1);
    scene.observe(2);
    time::sleep(Duration::from_secs(1)).await;
    scene.usage.forget(&1);
    scene.usage.forget(&2);
    time::sleep(Duration::from_secs(1)).await;
    assert_eq!(Arc::strong_count(&scene.account.reader), 1, "the task holds its reader no longer");
    scene.observe(1);
    time::sleep(Duration::from_secs(1)).await;
    drop(scene.usage);
    time::sleep(Duration::from_secs(1)).await;
    assert_eq!(Arc::strong_count(&scene.account.reader), 1, "nor does a task outlive what it belongs to");
}
