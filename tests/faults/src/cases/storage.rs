//! K1, K2, K4: the API server and etcd themselves.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use test_cluster::Signal;

use super::cases;
use crate::bench::{Bench, Object, PATIENCE, Revisions};

cases! {
    "api-server-killed" ["K1" "K3"] Own
    "The API server is killed or restarted normally during deletions. The operator misses no deletion and repeats no call." |bench| {
        bench.start().await?;
        let objects = three_deleted(bench).await?;
        for round in 0..3 {
            bench.a_while(Duration::from_secs(3)).await;
            if round % 2 == 0 {
                bench.cluster.apiserver().kill()?;
            } else {
                bench.cluster.apiserver().signal(Signal::TERM)?;
                bench.cluster.apiserver().wait_exit(PATIENCE).await?;
            }
            bench.a_while(Duration::from_secs(2)).await;
            bench.cluster.apiserver().start()?;
            bench.cluster.wait_ready(PATIENCE).await?;
        }
        bench.all_go(&objects).await?;
    }

    "etcd-paused" ["K4"] Own
    "etcd stops for a while, so that writes time out but still take effect. The operator reads the objects again and repeats no call." |bench| {
        bench.start().await?;
        let objects = three_deleted(bench).await?;
        for _ in 0..2 {
            bench.a_while(Duration::from_secs(2)).await;
            let before = bench.lease_warnings();
            bench.cluster.etcd().pause()?;
            bench.until("a write has failed", async |bench| {
                Ok((bench.lease_warnings() > before).then_some(()))
            }).await?;
            bench.a_while(Duration::from_secs(6)).await;
            bench.cluster.etcd().resume()?;
            bench.cluster.wait_ready(PATIENCE).await?;
        }
        bench.all_go(&objects).await?;
    }

    "etcd-killed" ["K4"] Own
    "etcd is killed and comes back with its data." |bench| {
        bench.start().await?;
        let objects = three_deleted(bench).await?;
        bench.a_while(Duration::from_secs(3)).await;
        bench.cluster.etcd().restart()?;
        bench.cluster.wait_ready(PATIENCE).await?;
        bench.all_go(&objects).await?;
    }

    "restored-before-deletion" ["K4" "K2"] Own
    "An older etcd snapshot brings back an object that is not deleted, but its port is destroyed. The operator makes no call, and the object shows this." |bench| {
        let object = resurrected(bench, Revisions::JumpAhead).await?;
        goes_without_a_call(bench, object).await?;
    }

    "restored-with-old-revisions" ["K4" "K2"] Own
    "The same, but revisions go back, so that watches fall silent without an error. The operator notices with its next list." |bench| {
        let object = resurrected(bench, Revisions::GoBack).await?;
        goes_without_a_call(bench, object).await?;
    }

    "restored-in-deletion" ["K4" "K14"] Own
    "An older etcd snapshot brings back an object in its grace period, but its port is destroyed. The object disappears without a second call." |bench| {
        bench.value("deletion.grace=40s");
        bench.start().await?;
        let object = bench.recycled().await?;
        bench.delete(object).await?;
        bench.shows(object, "GracePeriod").await?;
        let snapshot = bench.snapshot().await?;
        bench.goes(object).await?;
        bench.restore(&snapshot, Revisions::JumpAhead).await?;
        bench.resurrect(object);
        bench.ask_for_deletion(object);
        bench.until("the object is back", async |bench| Ok(bench.get(object).await?.map(drop))).await.or_else(|error| {
            // It may have gone again already.
            if error.to_string().contains("in vain") { Ok(()) } else { Err(error) }
        })?;
        bench.goes(object).await?;
        let sent = bench.sent_for("DestroyPort", bench.port_of(object));
        ensure!(sent == 1, "O3 bounded: DestroyPort was sent {sent} times");
    }
}

async fn three_deleted(bench: &mut Bench) -> Result<[Object; 3]> {
    let objects = [bench.running_port().await?, bench.recycled().await?, bench.recycled().await?];
    for object in objects {
        bench.delete(object).await?;
    }
    Ok(objects)
}

/// An object that lives again after its port was destroyed by its deletion.
async fn resurrected(bench: &mut Bench, revisions: Revisions) -> Result<Object> {
    bench.start().await?;
    let object = bench.recycled().await?;
    let snapshot = bench.snapshot().await?;
    bench.delete(object).await?;
    bench.goes(object).await?;
    bench.restore(&snapshot, revisions).await?;
    bench.resurrect(object);
    let found = bench.get(object).await?.context("the snapshot holds the object")?;
    ensure!(!found.is_terminating(), "the snapshot is older than the deletion");
    Ok(object)
}

/// It says that its port is not there, and is deleted; nothing was called but for its first life.
async fn goes_without_a_call(bench: &mut Bench, object: Object) -> Result<()> {
    bench.shows(object, "PortNotFound").await?;
    bench.delete(object).await?;
    bench.goes(object).await?;
    let sent = bench.sent_for("DestroyPort", bench.port_of(object));
    ensure!(sent == 1, "O2 no wrong kill: DestroyPort was sent {sent} times for a port that was gone");
    Ok(())
}
