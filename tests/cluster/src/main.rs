//! Starts a cluster, says how to use it and ends it on Ctrl-C.

use anyhow::Result;
use test_cluster::Cluster;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<()> {
    let cluster = Cluster::start().await?;
    println!("export KUBECONFIG='{}'", cluster.kubeconfig().display());
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
