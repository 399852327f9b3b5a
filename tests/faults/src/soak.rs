//! The soak: faults of chance over many objects, for as long as one likes; then nothing is leaked, nothing was wrongly
//! killed, and memory is where it was.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use test_support::oracle::Limits;
use tokio::time::Instant;
use zenlayer_port_operator::api::DeletionPolicy;
use zenlayer_simulator::{Answer, Apply, ListFault, PortStatus, Rule};

use crate::bench::{Bench, Object};
use crate::cluster;

/// Objects at a time.
const OBJECTS: usize = 200;

/// Memory may be so much more in the second half than in the first: allocators keep some.
const MEMORY_MARGIN_KIB: u64 = 12 << 10;

/// What a soak came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Soaked {
    pub released: usize,
    pub faults: usize,
    /// The most resident memory at the end of a round, in the first half and in the second, in KiB. Not that of two moments:
    /// the operator is started anew now and then.
    pub memory_kib: (u64, u64),
}

impl fmt::Display for Soaked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { released, faults, memory_kib: (early, late) } = self;
        write!(
            f,
            "{released} objects went through {faults} faults; resident memory was at most {early} KiB in the first half and {late} KiB in the second."
        )
    }
}

/// Mixes faults over [`OBJECTS`] objects until the time is over, and judges the whole.
pub async fn soak(operator: PathBuf, seed: u64, duration: Duration) -> Result<Soaked> {
    let mut bench = Bench::new(cluster().await?, operator, seed).await?;
    bench.value("deletion.massDeletionThreshold=0").start().await?;
    // Faults make calls fail; what takes effect twice is too often all the same.
    bench.limits = Limits { sends: 30, reads: usize::MAX };
    let mut soaked = Soaked::default();
    let began = Instant::now();
    let mut objects = Vec::new();
    while began.elapsed() < duration {
        let missing = OBJECTS - objects.len();
        for _ in 0..3 {
            let (status, policy) = kind(&mut bench.chance);
            objects.extend(bench.many(missing / 3, status, policy).await?);
        }
        bench.until_owned(&objects).await?;
        soaked.faults += 1;
        strike(&mut bench).await?;
        bench.chance.shuffle(&mut objects);
        let going = objects.split_off(objects.len() - objects.len().min(40));
        for object in &going {
            bench.delete(*object).await?;
        }
        bench.a_while(Duration::from_secs(8)).await;
        bench.calm();
        bench.all_go(&going).await?;
        soaked.released += going.len();
        let (early, late) = &mut soaked.memory_kib;
        let half = if began.elapsed() < duration / 2 { early } else { late };
        *half = (*half).max(bench.memory_kib(0)?);
    }
    release_all(&mut bench, &objects).await?;
    soaked.released += objects.len();
    let violations = bench.verdict().await?;
    let listed: Vec<String> = violations.iter().map(ToString::to_string).collect();
    if !listed.is_empty() {
        // The cluster and its folder go with the bench, and without the log nobody learns how it came about.
        let log = std::env::temp_dir().join(format!("soak-{seed}.log"));
        std::fs::write(&log, bench.operator().logs())?;
        bail!("{}\nthe operator's log is kept as {}", listed.join("\n"), log.display());
    }
    let (early, late) = soaked.memory_kib;
    ensure!(late <= early + MEMORY_MARGIN_KIB, "memory grew from {early} KiB to {late} KiB");
    Ok(soaked)
}

async fn release_all(bench: &mut Bench, objects: &[Object]) -> Result<()> {
    for object in objects {
        bench.delete(*object).await?;
    }
    bench.all_go(objects).await
}

fn kind(chance: &mut fastrand::Rng) -> (PortStatus, DeletionPolicy) {
    match chance.u8(0..5) {
        0 => (PortStatus::Running, DeletionPolicy::TerminateAndDestroy),
        1 => (PortStatus::Running, DeletionPolicy::Terminate),
        2 => (PortStatus::Running, DeletionPolicy::Retain),
        _ => (PortStatus::Recycled, DeletionPolicy::Destroy),
    }
}

/// One fault of chance; those at Zenlayer last until they are calmed.
async fn strike(bench: &mut Bench) -> Result<()> {
    let times = bench.chance.u64(1..40);
    let action = ["DescribePorts", "TerminatePort", "DestroyPort"][bench.chance.usize(0..3)];
    let rule = Rule::on(action).times(times);
    let at_zenlayer = match bench.chance.u8(0..14) {
        0 => rule.answer(Answer::Lost),
        1 => rule.answer(Answer::Reset),
        2 => rule.apply(Apply::Never).answer(Answer::html(502)),
        3 => rule.answer(Answer::Truncated),
        4 => rule.throttle(Some("1")),
        5 => rule.apply(Apply::Late(Duration::from_millis(bench.chance.u64(0..9000)))).answer(Answer::Lost),
        6 => rule.delay_answer(Duration::from_millis(bench.chance.u64(0..4000))),
        // Two of them, far enough apart, are the whole proof that a port that was never seen is not there.
        7 => Rule::on("DescribePorts").times(1).list([ListFault::Empty]),
        8 => Rule::on("DescribePorts").times(times).list([ListFault::Twice]),
        9 => return bench.operator().restart(),
        10 => {
            bench.cluster.apiserver().restart()?;
            return bench.cluster.wait_ready(crate::bench::PATIENCE).await;
        }
        11 => {
            bench.operator().pause()?;
            bench.a_while(Duration::from_secs(4)).await;
            return bench.operator().resume();
        }
        12 => {
            bench.cluster.etcd().pause()?;
            bench.a_while(Duration::from_secs(4)).await;
            bench.cluster.etcd().resume()?;
            return bench.cluster.wait_ready(crate::bench::PATIENCE).await;
        }
        _ => return Ok(()),
    };
    bench.fault(at_zenlayer);
    Ok(())
}
