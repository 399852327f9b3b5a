//! Which measurements there are, with how many ports each, and in what order.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use tokio::time::sleep;

use crate::baseline::{Baseline, Loop};
use crate::deletion::{Company, Deletion};
use crate::fleet::{DestroyTime, Layout};
use crate::hostile::{Filling, Hostile};
use crate::isolation::{Isolation, Trouble};
use crate::operator::{Operator, Values};
use crate::proc::Memory;
use crate::rest::{Periods, Rest};
use crate::throughput::Throughput;
use crate::{Bench, stats};

/// A part of the bench that can be run by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// An operator without objects; 1 to 10,000 ports at once in one account; 10,000 in 20.
    Numbers,
    /// 1,000 ports at 5, 30 and 40 requests a second, and with a scattered time to destroy.
    Rates,
    /// 10,000 objects: filled, idle, restarted, deleted in a storm of 429.
    Rest,
    /// 20 accounts, one of them in trouble.
    Isolation,
    /// The loops of other operators.
    Loops,
    /// Objects that users have filled with all that the API server takes.
    Hostile,
    /// How much the simulator can answer.
    Simulator,
}

impl Scenario {
    pub const ALL: [Self; 7] = [
        Self::Simulator,
        Self::Numbers,
        Self::Loops,
        Self::Rates,
        Self::Isolation,
        Self::Rest,
        Self::Hostile,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Numbers => "numbers",
            Self::Rates => "rates",
            Self::Rest => "rest",
            Self::Isolation => "isolation",
            Self::Loops => "loops",
            Self::Hostile => "hostile",
            Self::Simulator => "simulator",
        }
    }
}

/// What was measured; what was not is empty.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Of an operator without objects.
    pub empty: Option<Memory>,
    pub numbers: Vec<Deletion>,
    pub rates: Vec<Deletion>,
    pub rest: Option<Rest>,
    pub isolation: Vec<Isolation>,
    pub loops: Vec<Baseline>,
    pub hostile: Vec<Hostile>,
    pub throughput: Option<Throughput>,
}

const MINUTE: Duration = Duration::from_mins(1);
/// What the cloud takes to destroy a port, unless said otherwise.
const DESTROY: DestroyTime = DestroyTime::Fixed(MINUTE);
/// Requests per second and account, unless said otherwise.
const RATE: f64 = 200.0;
const MOST: usize = 10_000;

const fn ports(ports: usize) -> Layout {
    Layout { ports, accounts: 1, rate: RATE, destroy: DESTROY }
}

impl Findings {
    /// Adds what a scenario comes to.
    pub async fn measure(&mut self, bench: &Bench, scenario: Scenario) -> Result<()> {
        match scenario {
            Scenario::Numbers => self.numbers(bench).await?,
            Scenario::Rates => {
                let rates = [5.0, 30.0, 40.0].map(|rate| Layout { rate, ..ports(1000) });
                let scattered = Layout { destroy: DestroyTime::LogNormal(MINUTE), rate: 40.0, ..ports(1000) };
                self.rates = together(bench, rates.into_iter().chain([scattered])).await?;
            }
            Scenario::Rest => {
                let periods = Periods {
                    settle: Duration::from_secs(30),
                    idle: 10 * MINUTE,
                    sample: Duration::from_secs(30),
                    storm: 2 * MINUTE,
                };
                let layout = Layout { accounts: 20, ..ports(MOST) };
                self.rest = Some(Rest::measure(bench, layout, periods).await?);
            }
            Scenario::Isolation => {
                for trouble in Trouble::ALL {
                    // Scattered, so that no run owes its figures to where its ports fall between two ticks.
                    let destroy = DestroyTime::LogNormal(Duration::from_secs(20));
                    let layout = Layout { accounts: 20, destroy, ..ports(1000) };
                    self.isolation.push(Isolation::measure(bench, layout, trouble).await?);
                }
            }
            Scenario::Loops => {
                let layouts = [100, 1000].map(ports);
                let runs = layouts.into_iter().flat_map(|layout| Loop::ALL.map(|name| (name, layout)));
                let runs = runs.map(|(name, layout)| Baseline::measure(bench, name, layout));
                self.loops = try_join_all(runs).await?;
            }
            Scenario::Hostile => {
                for filling in Filling::ALL {
                    let layout = Layout { rate: 40.0, ..ports(filling.objects()) };
                    self.hostile.push(Hostile::measure(bench, layout, filling).await?);
                }
            }
            Scenario::Simulator => {
                let lasts = Duration::from_secs(10);
                self.throughput = Some(Throughput::measure(bench, MOST, lasts).await?);
            }
        }
        // Everything that it held is gone.
        bench.cloud.reset().await
    }

    async fn numbers(&mut self, bench: &Bench) -> Result<()> {
        self.empty = Some(empty(bench).await?);
        self.numbers = together(bench, [1, 10, 100].map(ports)).await?;
        for layout in [ports(1000), ports(MOST), Layout { accounts: 20, ..ports(MOST) }] {
            self.numbers.push(Deletion::measure(bench, layout, Company::Alone).await?);
            bench.cloud.reset().await?;
        }
        Ok(())
    }
}

/// Each with its own operator and account, all at the same time.
async fn together(bench: &Bench, layouts: impl IntoIterator<Item = Layout>) -> Result<Vec<Deletion>> {
    try_join_all(layouts.into_iter().map(|layout| Deletion::measure(bench, layout, Company::Others))).await
}

/// The memory of an operator that has nothing to do, a few seconds after its start.
async fn empty(bench: &Bench) -> Result<Memory> {
    let values = Values { endpoint: bench.cloud.url(), rate: RATE, namespaces: &[], grace: bench.grace };
    let operator = Operator::install(&bench.cluster, &bench.binaries.operator, &values).await?;
    sleep(Duration::from_secs(10)).await;
    let memory = operator.usage().await?.memory;
    operator.stop().await?;
    Ok(memory)
}

/// A smoke run of a few minutes, which checks counts and no times: every port destroyed by exactly one call (as always),
/// and no more calls than one port alone may take, and 1.15 for each.
pub async fn quick(bench: &Bench) -> Result<Findings> {
    let destroy = DestroyTime::Fixed(Duration::from_secs(5));
    let layouts = [1, 10, 100].map(|number| Layout { destroy, ..ports(number) });
    let numbers = together(bench, layouts).await?;
    for deletion in &numbers {
        let most = 1.15 * stats::small(deletion.layout.ports) + 9.0;
        let calls = stats::small(deletion.calls.total());
        ensure!(calls <= most, "{calls} calls for {} ports: {:?}", deletion.layout.ports, deletion.calls);
    }
    let layout = Layout { destroy, ..ports(10) };
    let loops = try_join_all(Loop::ALL.map(|name| Baseline::measure(bench, name, layout))).await?;
    bench.cloud.reset().await?;
    let throughput = Some(Throughput::measure(bench, 1000, Duration::from_secs(2)).await?);
    Ok(Findings { numbers, loops, throughput, ..Findings::default() })
}
