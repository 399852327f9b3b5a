//! Twenty accounts, one of which is in trouble: what the others notice.

use std::time::Duration;

use anyhow::Result;
use zenlayer_simulator::{Answer, Rule};

use crate::Bench;
use crate::deletion::lags;
use crate::fleet::{Fleet, Layout};
use crate::operator::{Operator, Values};
use crate::stats::Spread;

/// What is wrong with the first account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    None,
    /// Its key is answered 401.
    Dead,
    /// Every request is answered 429.
    Throttled,
    /// Every answer takes 15 s, a little less than the operator waits.
    Slow,
}

/// What deletions in the other accounts came to.
#[derive(Clone, Copy, Debug)]
pub struct Isolation {
    pub trouble: Trouble,
    /// From DESTROYED in the cloud to the object's end.
    pub lag: Spread,
    /// From the first deletion asked for to the last object gone.
    pub took: Duration,
}

impl Trouble {
    pub const ALL: [Self; 4] = [Self::None, Self::Dead, Self::Throttled, Self::Slow];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Dead => "dead (401)",
            Self::Throttled => "throttled (429)",
            Self::Slow => "slow (15 s an answer)",
        }
    }

    fn rule(self, account: &str) -> Option<Rule> {
        let refusal = |status, code: &str| Answer::Error { status, code: code.to_owned(), retry_after: None };
        let of_account = Rule { account: Some(account.to_owned()), ..Rule::default() };
        match self {
            Self::None => None,
            Self::Dead => Some(of_account.answer(refusal(401, "AUTHFAILURE_SIGNATURE_FAILURE"))),
            Self::Throttled => Some(of_account.answer(refusal(429, "REQUEST_LIMIT_EXCEEDED"))),
            Self::Slow => Some(Rule { delay_answer: Duration::from_secs(15), ..of_account }),
        }
    }
}

impl Isolation {
    /// Trouble begins after the fill and ends when the others are done; then the troubled account must come to its end too.
    pub async fn measure(bench: &Bench, layout: Layout, trouble: Trouble) -> Result<Self> {
        let fleet = Fleet::lay_out(bench, layout).await?;
        let values =
            Values { endpoint: bench.cloud.url(), rate: layout.rate, namespaces: &[], grace: bench.grace };
        let operator = Operator::install(&bench.cluster, &bench.binaries.operator, &values).await?;
        fleet.create(bench).await?;
        if let Some(rule) = trouble.rule(&fleet.tenants[0].account) {
            bench.cloud.fault(&rule).await?;
        }
        let others: Vec<String> = fleet.ports_of(|account| account != fleet.tenants[0].account);
        let began = std::time::Instant::now();
        fleet.delete(bench).await?;
        fleet.until_gone(bench, &others, Duration::ZERO).await?;
        let took = began.elapsed();
        bench.cloud.clear_faults().await?;
        fleet.until_gone(bench, &fleet.ports, fleet.layout.destroy.longest()).await?;
        operator.stop().await?;
        let journal = bench.cloud.journal().await?;
        fleet.judge(bench, &journal)?;
        Ok(Self { trouble, lag: Spread::of(lags(bench, &journal, &others)), took })
    }
}
