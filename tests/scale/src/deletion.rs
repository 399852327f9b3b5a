//! Deletes a fleet at once, and measures what that takes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use test_support::oracle::{Change, Chronicle};
use zenlayer_simulator::PortStatus;

use crate::Bench;
use crate::fleet::{Fleet, Layout};
use crate::operator::{Operator, Usage, Values};
use crate::proc::Memory;
use crate::prometheus::Requests;
use crate::stats::{Spread, small};

/// What deleting a fleet came to.
#[derive(Clone, Debug)]
pub struct Deletion {
    pub layout: Layout,
    /// From the first object made to all up to date.
    pub filled: Duration,
    /// From the first deletion asked for to the last object gone.
    pub took: Duration,
    pub calls: Calls,
    /// From DESTROYED in the cloud to the object's end.
    pub lag: Spread,
    pub reconciles: f64,
    pub cpu: Duration,
    pub memory: Memory,
    /// None where other operators were at work on the same API server.
    pub requests: Option<Requests>,
}

/// Requests to Zenlayer by action, those that were refused included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    pub by_action: BTreeMap<String, usize>,
    /// Answered with 429.
    pub throttled: usize,
}

impl Calls {
    /// Those of these accounts since `from_ms`.
    pub fn of(journal: &Chronicle, accounts: &HashSet<&str>, from_ms: u64) -> Self {
        let mut calls = Self::default();
        let theirs =
            |account: &Option<String>| account.as_deref().is_some_and(|name| accounts.contains(name));
        for request in &journal.requests {
            if request.at_ms >= from_ms && theirs(&request.account) {
                *calls.by_action.entry(request.action.clone()).or_default() += 1;
                calls.throttled += usize::from(request.status == Some(429));
            }
        }
        calls
    }

    pub fn total(&self) -> usize {
        self.by_action.values().sum()
    }

    pub fn count(&self, action: &str) -> usize {
        self.by_action.get(action).copied().unwrap_or_default()
    }
}

/// Who else works on the API server meanwhile, so that its counts are not this operator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    Alone,
    Others,
}

impl Deletion {
    /// Installs an operator for a fleet of its own, fills, deletes, and waits for the last object to go.
    pub async fn measure(bench: &Bench, layout: Layout, company: Company) -> Result<Self> {
        let fleet = Fleet::lay_out(bench, layout).await?;
        let namespaces = match company {
            Company::Alone => Vec::new(),
            Company::Others => fleet.namespaces(),
        };
        let values = Values {
            endpoint: bench.cloud.url(),
            rate: layout.rate,
            namespaces: &namespaces,
            grace: bench.grace,
        };
        let operator = Operator::install(&bench.cluster, &bench.binaries.operator, &values).await?;
        let filled = fleet.create(bench).await?;
        let deletion = Self::of_filled(bench, &fleet, &operator, company, filled).await?;
        operator.stop().await?;
        Ok(deletion)
    }

    /// Of a fleet whose objects are there and up to date.
    pub async fn of_filled(
        bench: &Bench,
        fleet: &Fleet,
        operator: &Operator,
        company: Company,
        filled: Duration,
    ) -> Result<Self> {
        let Usage { cpu, reconciles, .. } = operator.usage().await?;
        let requests = bench.requests().await?;
        let (from_ms, began) = (bench.cloud.now_ms(), Instant::now());
        fleet.delete(bench).await?;
        fleet.until_gone(bench, &fleet.ports, Duration::ZERO).await?;
        let took = began.elapsed();
        let after = operator.usage().await?;
        let requests = bench.requests().await? - &requests;
        let journal = bench.cloud.journal().await?;
        fleet.judge(bench, &journal)?;
        let accounts = fleet.tenants.iter().map(|tenant| tenant.account.as_str()).collect();
        Ok(Self {
            layout: fleet.layout,
            filled,
            took,
            calls: Calls::of(&journal, &accounts, from_ms),
            lag: Spread::of(lags(bench, &journal, &fleet.ports)),
            reconciles: after.reconciles - reconciles,
            cpu: after.cpu.saturating_sub(cpu),
            memory: after.memory,
            requests: (company == Company::Alone).then_some(requests),
        })
    }

    pub fn calls_per_port(&self) -> f64 {
        small(self.calls.total()) / small(self.layout.ports)
    }
}

/// Each of these ports must have been destroyed by exactly one call that took effect.
pub fn destroyed_once(journal: &Chronicle, ports: &[String]) -> Result<()> {
    let calls = journal.calls_by_port(Change::Destroy);
    for port in ports {
        let count = calls.get(port.as_str()).map_or(0, |calls| calls.committed);
        ensure!(count == 1, "{count} calls destroyed {port}");
    }
    Ok(())
}

/// When the cloud had destroyed each port, by its id.
pub fn destroyed(journal: &Chronicle) -> HashMap<&str, u64> {
    let destroyed = journal.moves.iter().filter(|step| step.to == Some(PortStatus::Destroyed));
    destroyed.map(|step| (step.port_id.as_str(), step.at_ms)).collect()
}

/// From when the cloud had destroyed each port to when its object was seen to be gone.
pub fn lags(bench: &Bench, journal: &Chronicle, ports: &[String]) -> Vec<Duration> {
    let destroyed = destroyed(journal);
    let lag = |port: &String| {
        let gone = bench.witness.newest(port)?.gone?;
        let destroyed = bench.cloud.instant(*destroyed.get(port.as_str())?).into();
        Some(gone.saturating_duration_since(destroyed))
    };
    ports.iter().filter_map(lag).collect()
}
