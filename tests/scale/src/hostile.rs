//! Objects that users have filled with all that the API server takes: what the operator's memory makes of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use kube::api::ObjectMeta;

use crate::Bench;
use crate::fleet::{Fleet, Layout};
use crate::operator::{Operator, Values};
use crate::proc::Memory;

/// What the objects are filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filling {
    /// 256 KiB of annotations, which is all that an object may have.
    Annotations,
    /// Labels, up to the size that etcd takes: with what the API server notes about each, 1.4 MiB.
    Labels,
}

/// One fleet of them.
#[derive(Clone, Debug)]
pub struct Hostile {
    pub layout: Layout,
    pub filling: Filling,
    /// From the first object made to all up to date.
    pub filled: Duration,
    /// The most that there was while they were made.
    pub fill_memory: Memory,
    /// From the start of a process that finds them all to all up to date.
    pub restarted: Duration,
    pub restart_memory: Memory,
}

impl Filling {
    pub const ALL: [Self; 2] = [Self::Labels, Self::Annotations];

    pub fn objects(self) -> usize {
        match self {
            Self::Annotations => 1000,
            Self::Labels => 100,
        }
    }

    fn metadata(self) -> ObjectMeta {
        match self {
            Self::Annotations => {
                let most = (256 << 10) - "fat".len();
                let annotations = BTreeMap::from([("fat".to_owned(), "x".repeat(most))]);
                ObjectMeta { annotations: Some(annotations), ..ObjectMeta::default() }
            }
            Self::Labels => {
                let labels = (0..16_000).map(|number| (format!("l{number:05}"), "x".repeat(63)));
                ObjectMeta { labels: Some(labels.collect()), ..ObjectMeta::default() }
            }
        }
    }
}

impl Hostile {
    pub async fn measure(bench: &Bench, layout: Layout, filling: Filling) -> Result<Self> {
        let fleet = Fleet::lay_out(bench, layout).await?;
        let values =
            Values { endpoint: bench.cloud.url(), rate: layout.rate, namespaces: &[], grace: bench.grace };
        let operator = Operator::install(&bench.cluster, &bench.binaries.operator, &values).await?;
        let filled = fleet.create_with(bench, &filling.metadata()).await?;
        let fill_memory = operator.usage().await?.memory;
        operator.stop().await?;
        // Renamed, so that each status tells when the new process has decided about its object.
        fleet.seed(bench, "renamed").await?;
        let began = Instant::now();
        operator.start()?;
        fleet.until_up_to_date(bench, "renamed").await?;
        let restarted = began.elapsed();
        let restart_memory = operator.usage().await?.memory;
        operator.stop().await?;
        // They stay: each write of one is another megabyte for etcd, and the cluster ends with the bench.
        Ok(Self { layout, filling, filled, fill_memory, restarted, restart_memory })
    }
}
