//! Ten thousand objects at rest, a restart among them, and a storm of refusals while they are deleted.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::time::sleep;
use zenlayer_simulator::{Answer, Rule};

use crate::Bench;
use crate::deletion::Calls;
use crate::fleet::{Fleet, Layout};
use crate::operator::{Operator, Usage, Values};
use crate::proc::Memory;
use crate::prometheus::Requests;

/// How the time at rest is cut up.
#[derive(Clone, Copy, Debug)]
pub struct Periods {
    /// After the fill, until the first figure is taken.
    pub settle: Duration,
    pub idle: Duration,
    pub sample: Duration,
    pub storm: Duration,
}

/// One fleet from its making to its end.
#[derive(Clone, Debug)]
pub struct Rest {
    pub layout: Layout,
    pub filled: Duration,
    /// At the end of the fill.
    pub fill_memory: Memory,
    pub idle: Idle,
    pub restart: Restart,
    pub storm: Storm,
}

/// Nothing happens.
#[derive(Clone, Debug)]
pub struct Idle {
    pub lasted: Duration,
    /// Memory by the time since the beginning.
    pub samples: Vec<(Duration, Memory)>,
    pub cpu: Duration,
    pub reconciles: f64,
    pub calls: Calls,
    pub requests: Requests,
}

/// While the operator was down every port was renamed, so that each status has to be written anew.
#[derive(Clone, Debug)]
pub struct Restart {
    /// From the start of the process to all objects up to date.
    pub took: Duration,
    pub memory: Memory,
    pub cpu: Duration,
    pub calls: Calls,
}

/// All objects are deleted, and for some time all requests of all accounts are answered 429.
#[derive(Clone, Debug)]
pub struct Storm {
    pub lasted: Duration,
    /// While it lasted.
    pub calls: Calls,
    pub reconciles: f64,
    pub requests: Requests,
    /// From its end to the last object gone.
    pub recovered: Duration,
    pub memory: Memory,
}

impl Rest {
    pub async fn measure(bench: &Bench, layout: Layout, periods: Periods) -> Result<Self> {
        let fleet = Fleet::lay_out(bench, layout).await?;
        let values =
            Values { endpoint: bench.cloud.url(), rate: layout.rate, namespaces: &[], grace: bench.grace };
        let operator = Operator::install(&bench.cluster, &bench.binaries.operator, &values).await?;
        let filled = fleet.create(bench).await?;
        let fill_memory = operator.usage().await?.memory;
        let stage = Stage { bench, fleet, operator };
        sleep(periods.settle).await;
        let idle = stage.idle(periods).await?;
        let restart = stage.restart().await?;
        let storm = stage.storm(periods.storm).await?;
        stage.operator.stop().await?;
        Ok(Self { layout, filled, fill_memory, idle, restart, storm })
    }
}

struct Stage<'a> {
    bench: &'a Bench,
    fleet: Fleet,
    operator: Operator,
}

impl Stage<'_> {
    async fn idle(&self, periods: Periods) -> Result<Idle> {
        let before = self.operator.usage().await?;
        let requests = self.bench.requests().await?;
        let (from_ms, began) = (self.bench.cloud.now_ms(), Instant::now());
        let mut samples = vec![(Duration::ZERO, before.memory)];
        let mut after = before;
        while began.elapsed() < periods.idle {
            sleep(periods.sample.min(periods.idle.saturating_sub(began.elapsed()))).await;
            after = self.operator.usage().await?;
            samples.push((began.elapsed(), after.memory));
        }
        Ok(Idle {
            lasted: began.elapsed(),
            samples,
            cpu: after.cpu.saturating_sub(before.cpu),
            reconciles: after.reconciles - before.reconciles,
            calls: self.calls_since(from_ms).await?,
            requests: self.bench.requests().await? - &requests,
        })
    }

    async fn restart(&self) -> Result<Restart> {
        const RENAMED: &str = "renamed";
        self.operator.stop().await?;
        self.fleet.seed(self.bench, RENAMED).await?;
        let (from_ms, began) = (self.bench.cloud.now_ms(), Instant::now());
        self.operator.start()?;
        let updated = self.fleet.until_up_to_date(self.bench, RENAMED).await;
        updated.with_context(|| self.operator.last_words())?;
        let took = began.elapsed();
        let Usage { cpu, memory, .. } = self.operator.usage().await?;
        Ok(Restart { took, memory, cpu, calls: self.calls_since(from_ms).await? })
    }

    async fn storm(&self, lasts: Duration) -> Result<Storm> {
        let refusal =
            Answer::Error { status: 429, code: "REQUEST_LIMIT_EXCEEDED".to_owned(), retry_after: None };
        let before = self.operator.usage().await?;
        let requests = self.bench.requests().await?;
        let (from_ms, began) = (self.bench.cloud.now_ms(), Instant::now());
        self.bench.cloud.fault(&Rule::default().answer(refusal)).await?;
        self.fleet.delete(self.bench).await?;
        sleep(lasts.saturating_sub(began.elapsed())).await;
        let calls = self.calls_since(from_ms).await?;
        let during = self.operator.usage().await?;
        let requests = self.bench.requests().await? - &requests;
        self.bench.cloud.clear_faults().await?;
        let (lasted, ended) = (began.elapsed(), Instant::now());
        self.fleet.until_gone(self.bench, &self.fleet.ports, Duration::from_mins(10)).await?;
        self.fleet.judge(self.bench, &self.bench.cloud.journal().await?)?;
        Ok(Storm {
            lasted,
            calls,
            reconciles: during.reconciles - before.reconciles,
            requests,
            recovered: ended.elapsed(),
            memory: self.operator.usage().await?.memory,
        })
    }

    async fn calls_since(&self, from_ms: u64) -> Result<Calls> {
        let accounts: HashSet<&str> =
            self.fleet.tenants.iter().map(|tenant| tenant.account.as_str()).collect();
        Ok(Calls::of(&self.bench.cloud.journal().await?, &accounts, from_ms))
    }
}
