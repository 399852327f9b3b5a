//! The loop that most operators run, as a client of the same cloud: each object describes its own port, destroys it, and
//! looks again after a pause (`file:line` of each in the document that the bench writes).
//!
//! Kubernetes is left out, which favours them: no write of a status delays a call.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use tokio::time::sleep;
use zenlayer_port_operator::port::{PortId, PortStatus};
use zenlayer_port_operator::zenlayer::{
    ApiVersion, Batch, Client, Credential, Endpoint, InsecureEndpoint, Priority, Rate, Settings, Timeouts,
    Transport,
};
use zenlayer_simulator::{self as simulator, Port, Times};

use crate::Bench;
use crate::cloud::AccessKey;
use crate::deletion::{Calls, destroyed, destroyed_once};
use crate::fleet::{DestroyTime, Layout};
use crate::stats::{Spread, small};

/// Whose loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loop {
    /// openstack-resource-controller: again after 1 s.
    Orc,
    /// cluster-api-provider-aws: again after 60 s.
    Capa,
    /// Crossplane: again after 1 s, 2 s, 4 s … 60 s, and Delete is called in each reconcile while the resource is there.
    Crossplane,
}

impl Loop {
    pub const ALL: [Self; 3] = [Self::Orc, Self::Capa, Self::Crossplane];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Orc => "every 1 s (ORC)",
            Self::Capa => "every 60 s (CAPA)",
            Self::Crossplane => "1 s to 60 s, Delete each time (Crossplane)",
        }
    }

    fn pause(self, reconciles: u32) -> Duration {
        match self {
            Self::Orc => Duration::from_secs(1),
            Self::Capa => Duration::from_mins(1),
            Self::Crossplane => Duration::from_secs(1 << reconciles.min(6)).min(Duration::from_mins(1)),
        }
    }

    /// Whether it calls DestroyPort for a port that was seen so.
    fn destroys(self, status: &PortStatus) -> bool {
        match status {
            PortStatus::Recycled => true,
            PortStatus::Destroying => self == Self::Crossplane,
            _ => false,
        }
    }
}

/// What a loop came to.
#[derive(Clone, Debug)]
pub struct Baseline {
    pub name: Loop,
    pub layout: Layout,
    pub calls: Calls,
    /// From DESTROYED in the cloud to when the loop has seen that the port is gone.
    pub lag: Spread,
    pub took: Duration,
}

impl Baseline {
    /// `layout` must be of one account.
    pub async fn measure(bench: &Bench, name: Loop, layout: Layout) -> Result<Self> {
        let account = format!("baseline-{}", bench.next_run());
        let key = AccessKey::of(&account);
        bench.cloud.put_account(&account, &key, Some(layout.rate)).await?;
        let ids: Vec<String> = (0..layout.ports).map(|number| format!("{account}-{number:05}")).collect();
        let DestroyTime::Fixed(destroy) = layout.destroy else {
            anyhow::bail!("the loops are measured with a fixed time to destroy");
        };
        let ports = ids.iter().map(|id| {
            let times = Times { destroy, ..Times::default() };
            Port::new(id).account(&account).status(simulator::PortStatus::Recycled).times(times)
        });
        bench.cloud.seed(&ports.collect::<Vec<_>>()).await?;
        let client = Arc::new(client(bench.cloud.url(), &key, layout.rate)?);
        let (from_ms, began) = (bench.cloud.now_ms(), Instant::now());
        let loops = ids.iter().map(|id| {
            let task = tokio::spawn(reconcile(name, Arc::clone(&client), PortId::new(id.as_str())));
            async move { anyhow::Ok((id.as_str(), task.await?)) }
        });
        let gone: HashMap<&str, Instant> = try_join_all(loops).await?.into_iter().collect();
        let took = began.elapsed();
        let journal = bench.cloud.journal().await?;
        destroyed_once(&journal, &ids)?;
        let lags = destroyed(&journal).into_iter().filter_map(|(port, at_ms)| {
            Some(gone.get(port)?.saturating_duration_since(bench.cloud.instant(at_ms)))
        });
        let lag = Spread::of(lags);
        Ok(Self {
            name,
            layout,
            calls: Calls::of(&journal, &HashSet::from([account.as_str()]), from_ms),
            lag,
            took,
        })
    }

    pub fn calls_per_port(&self) -> f64 {
        small(self.calls.total()) / small(self.layout.ports)
    }
}

/// The operator's own client: the same signing, limiter, and pauses after a 429.
fn client(url: &str, key: &AccessKey, rate: f64) -> Result<Client> {
    let settings = Settings {
        endpoint: Endpoint::parse(url, InsecureEndpoint::Refuse).context("the simulator's URL")?,
        proxy: None,
        api_version: ApiVersion::default(),
        requests_per_second: Rate::per_second(rate)?,
        timeouts: Timeouts::default(),
    };
    Ok(Client::new(&Transport::new(settings)?, Credential::access_key(&key.id, &key.password)?))
}

/// Runs until the port is seen to be gone; a reading that fails is tried again after the next pause. When that was.
async fn reconcile(name: Loop, client: Arc<Client>, id: PortId) -> Instant {
    let ids = [id];
    let Some(own) = Batch::new(&ids) else { unreachable!("one id is neither none nor too many") };
    let mut reconciles = 0;
    loop {
        let reading = async {
            let permit = client.read_permit(Priority::Release).await?;
            client.describe_ports(permit, own, Priority::Release).await
        };
        if let Ok(seen) = reading.await {
            match seen.first() {
                None => return Instant::now(),
                Some(port) if port.port_status == PortStatus::Destroyed => return Instant::now(),
                Some(port) if name.destroys(&port.port_status) => {
                    // Whatever is answered, the next look tells.
                    let _ = client.destroy_port(client.change_permit().await, &ids[0]).await;
                }
                Some(_) => {}
            }
        }
        sleep(name.pause(reconciles)).await;
        reconciles += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crossplane_doubles_its_pause_up_to_a_minute() {
        let pauses: Vec<u64> =
            (0..8).map(|reconciles| Loop::Crossplane.pause(reconciles).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    }
}
