//! C13, C14: lists that are not what they seem.

use std::time::Duration;

use anyhow::ensure;
use zenlayer_simulator::{ListFault, Rule};

use super::cases;
use crate::bench::LONG_GRACE;

cases! {
    "destroyed-still-listed" ["C13"] Shared
    "A list is out of date and still shows a destroyed port in the recycle bin. The operator does not destroy the port twice." |bench| {
        bench.start().await?;
        let object = bench.recycled().await?;
        bench.fault(Rule::on("DescribePorts").list([ListFault::Stale]));
        bench.delete(object).await?;
        bench.until("the port is gone", async |bench| {
            Ok(bench.cloud.port(bench.port_of(object)).is_none().then_some(()))
        }).await?;
        bench.shows(object, "Destroying").await?;
        bench.a_while(Duration::from_secs(5)).await;
        bench.calm();
        bench.goes(object).await?;
    }

    "living-port-missing" ["C13"] Shared
    "A list misses a port that exists, at any stage of the deletion. The operator does not take the port for gone." |bench| {
        bench.start().await?;
        let (live, recycled) = (bench.running_port().await?, bench.recycled().await?);
        for object in [live, recycled] {
            let missing = ListFault::Without(bench.port_of(object).to_owned());
            // Two in a row would be the whole proof once DestroyPort was accepted.
            let skip = bench.chance.u64(0..5);
            bench.fault(Rule::on("DescribePorts").skip(skip).times(1).list([missing]));
            bench.delete(object).await?;
        }
        bench.all_go(&[live, recycled]).await?;
    }

    "empty-lists-for-long" ["C12" "C13"] Shared
    "Empty lists before the first call do not prove that the port is gone. When the port is listed again, the operator destroys it." |bench| {
        bench.value(LONG_GRACE).start().await?;
        let object = bench.recycled().await?;
        // Three are the proof for a port that was last seen in the bin.
        let empty = bench.fault(Rule::on("DescribePorts").times(2).list([ListFault::Empty]));
        bench.delete(object).await?;
        bench.until("both empty lists were given", async |bench| {
            let spent = bench.cloud.faults().iter().any(|fault| fault.id == empty && fault.spoiled == 2);
            Ok(spent.then_some(()))
        }).await?;
        bench.goes(object).await?;
        let port = bench.port_of(object).to_owned();
        ensure!(bench.cloud.journal().committed_destroys(&port) == 1, "O1 no leak: it went without its port");
    }

    "wrong-pages" ["C14"] Shared
    "The pages of a list do not fit together. The operator does not use them, and the object waits and shows the cause." |bench| {
        bench.value(LONG_GRACE).start().await?;
        let object = bench.recycled().await?;
        let port = bench.port_of(object).to_owned();
        let mut lies = vec![
            vec![ListFault::Without(port.clone()), ListFault::TotalCount(1)],
            vec![ListFault::Twice],
            vec![ListFault::Empty, ListFault::TotalCount(7)],
            vec![ListFault::TotalCount(0)],
            vec![ListFault::TotalCount(3)],
        ];
        bench.chance.shuffle(&mut lies);
        let last = lies.pop().unwrap_or_default();
        for lie in lies {
            bench.fault(Rule::on("DescribePorts").times(2).list(lie));
        }
        bench.fault(Rule::on("DescribePorts").list(last));
        bench.delete(object).await?;
        bench.shows(object, "CloudUnavailable").await?;
        bench.neighbour_goes_before(object).await?;
        bench.calm();
        bench.goes(object).await?;
    }

    "filter-ignored" ["C14"] Shared
    "Zenlayer ignores the filter and lists all ports. The operator changes no other port." |bench| {
        bench.start().await?;
        let (object, other) = (bench.recycled().await?, bench.recycled().await?);
        bench.fault(Rule::on("DescribePorts").list([ListFault::IgnoreIds]));
        bench.delete(object).await?;
        bench.a_while(Duration::from_secs(4)).await;
        bench.calm();
        bench.goes(object).await?;
        bench.shows(other, "PortRecycled").await?;
    }
}
