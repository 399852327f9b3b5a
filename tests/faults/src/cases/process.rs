//! P1–P7, P9, P10: what happens to the operator's own process.

use std::time::Duration;

use anyhow::{Result, ensure};
use test_cluster::Signal;
use tokio::net::TcpStream;
use tokio::time::sleep;
use zenlayer_port_operator::api::DeletionPolicy;
use zenlayer_simulator::{PortStatus, Rule};

use super::cases;
use crate::bench::Bench;

cases! {
    "killed-before-finalizer" ["P1"] Shared
    "The operator is killed before it adds its finalizer." |bench| { killed_while_adding(bench, "before-finalizer").await?; }

    "killed-after-finalizer" ["P1"] Shared
    "The operator is killed after it added its finalizer." |bench| { killed_while_adding(bench, "after-finalizer").await?; }

    "killed-before-record" ["P1"] Shared
    "The operator is killed twice before it writes the record of a call. Then it finishes the deletion." |bench| { killed_at(bench, "before-record").await?; }

    "killed-after-record" ["P1"] Shared
    "The operator is killed twice between the record and the call. Then it finishes the deletion." |bench| { killed_at(bench, "after-record").await?; }

    "killed-after-call" ["P1"] Shared
    "The operator is killed after the answer to a call arrived and before it records the answer. It does not repeat the call." |bench| { killed_at(bench, "after-call").await?; }

    "killed-before-outcome" ["P1"] Shared
    "The operator is killed just before it writes the result of a call. It does not repeat the call." |bench| { killed_at(bench, "before-outcome").await?; }

    "killed-before-finalizer-removal" ["P1"] Shared
    "The operator is killed before it removes the finalizer. The object disappears, and the operator does not call again." |bench| {
        killed_at(bench, "before-finalizer-removal").await?;
    }

    "killed-at-any-moment" ["P1"] Shared
    "The operator is killed again and again at random times, during six whole deletions." |bench| {
        bench.start().await?;
        let mut objects = Vec::new();
        for _ in 0..3 {
            objects.push(bench.running_port().await?);
            objects.push(bench.recycled().await?);
        }
        for object in &objects {
            bench.delete(*object).await?;
        }
        for _ in 0..bench.chance.usize(3..7) {
            bench.a_while(Duration::from_secs(4)).await;
            bench.operator().restart()?;
        }
        bench.all_go(&objects).await?;
    }

    "terminated-mid-call" ["P2"] Shared
    "The operator gets SIGTERM during a call and SIGKILL at once. It does not repeat the call." |bench| {
        bench.start().await?;
        let (live, recycled) = (bench.running_port().await?, bench.recycled().await?);
        for action in ["TerminatePort", "DestroyPort"] {
            bench.fault(Rule::on(action).once().delay_answer(Duration::from_secs(5)));
        }
        bench.delete(live).await?;
        bench.delete(recycled).await?;
        until_called(bench).await?;
        bench.operator().signal(Signal::TERM)?;
        bench.operator().restart()?;
        bench.all_go(&[live, recycled]).await?;
    }

    "terminated-gracefully" ["P2"] Shared
    "The operator gets SIGTERM during a call. It waits for the answer and records it before it stops." |bench| {
        bench.start().await?;
        let object = bench.recycled().await?;
        bench.fault(Rule::on("DestroyPort").once().delay_answer(Duration::from_secs(3)));
        bench.delete(object).await?;
        until_called(bench).await?;
        bench.operator().signal(Signal::TERM)?;
        let ended = bench.operator().wait_exit(Duration::from_mins(1)).await?;
        ensure!(ended.success(), "it ended with {ended}");
        let release = bench.get(object).await?.and_then(|object| object.release().cloned());
        ensure!(release.is_some_and(|release| release.destroy_accepted), "the answer was not recorded");
        bench.goes(object).await?;
    }

    "paused-mid-call" ["P3"] Shared
    "The operator is frozen during a call until another replica has taken over, and then continues. The replicas make one call in total." |bench| {
        bench.start().await?;
        let object = bench.recycled().await?;
        let spoilt = bench.chance.bool();
        if spoilt {
            bench.fault(Rule::on("DestroyPort").once().delay_answer(Duration::from_secs(2)));
        }
        bench.delete(object).await?;
        if spoilt { until_called(bench).await? } else { bench.a_while(Duration::from_secs(3)).await }
        let first = bench.lease_holder().await?;
        bench.operator().pause()?;
        let other = bench.run(&[]).await?;
        bench.until("another replica has taken over", async |bench| {
            let holder = bench.lease_holder().await?;
            Ok((holder != first && !holder.is_empty()).then_some(()))
        }).await?;
        // Longer than a call is settled after.
        sleep(Duration::from_secs(7)).await;
        bench.operator().resume()?;
        bench.goes(object).await?;
        ensure!(bench.pod(other).exit_status()?.is_none(), "the replica that took over has ended");
    }

    "panics" ["P5"] Shared
    "A reconcile panics after each call. The operator keeps running and does not repeat the call." |bench| {
        bench.value("deletion.massDeletionThreshold=0");
        bench.start_crashing_at("panic:after-call").await?;
        let (live, recycled) = (bench.running_port().await?, bench.recycled().await?);
        bench.delete(live).await?;
        bench.delete(recycled).await?;
        bench.all_go(&[live, recycled]).await?;
        ensure!(bench.operator().exit_status()?.is_none(), "the process ended by a panic of one reconcile");
    }

    "out-of-file-descriptors" ["P9"] Shared
    "Connections to the operator's own port take all its file descriptors. The operator is slow, but makes no mistake." |bench| {
        let _limit = bench.limit_open_files(48)?;
        bench.start().await?;
        let (live, recycled) = (bench.running_port().await?, bench.recycled().await?);
        let address = bench.operator().url()?.trim_start_matches("http://").to_owned();
        let mut taken = Vec::new();
        for _ in 0..64 {
            taken.push(TcpStream::connect(&address).await?);
        }
        bench.delete(live).await?;
        bench.delete(recycled).await?;
        bench.a_while(Duration::from_secs(10)).await;
        drop(taken);
        bench.all_go(&[live, recycled]).await?;
    }

    "two-releases-active" ["P6" "P7"] Shared
    "Two releases, each with its own Lease, manage the same objects at the same time. They make one call in total." |bench| {
        bench.value("deletion.massDeletionThreshold=0");
        bench.start().await?;
        bench.start().await?;
        let mut objects = Vec::new();
        for _ in 0..4 {
            objects.push(bench.seed(PortStatus::Running, DeletionPolicy::TerminateAndDestroy).await?);
            objects.push(bench.seed(PortStatus::Recycled, DeletionPolicy::default()).await?);
        }
        bench.until_owned(&objects).await?;
        for object in &objects {
            bench.delete(*object).await?;
        }
        bench.all_go(&objects).await?;
    }

    "starved-of-cpu" ["P10"] Shared
    "The operator is stopped for nine tenths of the time. It is slow, but makes no mistake." |bench| {
        bench.start().await?;
        let (live, recycled) = (bench.running_port().await?, bench.recycled().await?);
        bench.delete(live).await?;
        bench.delete(recycled).await?;
        for _ in 0..30 {
            // It may have lost its Lease, and be about to be started again.
            if bench.operator().pause().is_ok() {
                sleep(Duration::from_millis(270)).await;
                bench.operator().resume()?;
            }
            sleep(Duration::from_millis(30)).await;
        }
        bench.all_go(&[live, recycled]).await?;
    }
}

async fn until_called(bench: &Bench) -> Result<()> {
    let sent = bench.until("a call was sent", async |bench| {
        let sent = bench.cloud.with_journal(|journal| {
            journal.calls("DestroyPort").count() + journal.calls("TerminatePort").count()
        });
        Ok((sent > 0).then_some(()))
    });
    sent.await
}

/// Two objects are deleted while the operator kills itself at this point each time it gets there; after the second time it
/// is started without that.
async fn killed_at(bench: &mut Bench, point: &str) -> Result<()> {
    let doomed = bench.start_crashing_at(point).await?;
    let (live, recycled) = (bench.running_port().await?, bench.recycled().await?);
    let mut objects = [live, recycled];
    bench.chance.shuffle(&mut objects);
    for object in objects {
        bench.delete(object).await?;
    }
    bench.until_ended(doomed).await?;
    bench.pod(doomed).start()?;
    bench.until_ended(doomed).await?;
    bench.end(doomed)?;
    bench.run(&[]).await?;
    bench.all_go(&[live, recycled]).await
}

/// Killed before anything was promised: what is deleted then is finished by whoever comes next, or had no finalizer.
async fn killed_while_adding(bench: &mut Bench, point: &str) -> Result<()> {
    let doomed = bench.start_crashing_at(point).await?;
    let object = bench.seed(PortStatus::Recycled, DeletionPolicy::default()).await?;
    bench.until_ended(doomed).await?;
    bench.end(doomed)?;
    bench.run(&[]).await?;
    bench.shows(object, "PortRecycled").await?;
    bench.delete(object).await?;
    bench.goes(object).await
}
