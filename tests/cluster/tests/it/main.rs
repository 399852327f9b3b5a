//! The test cluster against itself. All tests but those about its end share one cluster.

mod control_plane;
mod jobs;
mod lifetime;
mod pods;

use std::time::Duration;

use test_cluster::Cluster;
use tokio::sync::OnceCell;
use tokio::time::{self, Instant};

/// Never dropped: the keeper ends it.
async fn cluster() -> &'static Cluster {
    static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
    CLUSTER.get_or_init(async || Cluster::start().await.expect("the shared cluster starts")).await
}

/// Repeats `check` until it returns `Ok`; panics with its last word after a minute.
async fn eventually<T>(what: &str, check: impl AsyncFn() -> Result<T, String>) -> T {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        match check().await {
            Ok(value) => return value,
            Err(last) if Instant::now() > deadline => panic!("{what}: not after a minute: {last}"),
            Err(_) => time::sleep(Duration::from_millis(50)).await,
        }
    }
}
