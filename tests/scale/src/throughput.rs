//! How much the simulator itself can answer: no figure of the operator may be one of the simulator.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use zenlayer_simulator::Port;
use zenlayer_simulator::signature::{Signed, authorization};

use crate::Bench;
use crate::cloud::AccessKey;
use crate::proc;
use crate::stats::small;

/// Connections that ask at once.
const CONNECTIONS: usize = 32;

/// Signed readings of one port each, among so many ports.
#[derive(Clone, Copy, Debug)]
pub struct Throughput {
    pub ports: usize,
    /// As the bench saw it: its own client takes a core too.
    pub per_second: f64,
    /// Per second of the simulator's processor time; it has one thread.
    pub per_core_second: f64,
}

impl Throughput {
    pub async fn measure(bench: &Bench, ports: usize, lasts: Duration) -> Result<Self> {
        let account = format!("throughput-{}", bench.next_run());
        let key = AccessKey::of(&account);
        bench.cloud.put_account(&account, &key, None).await?;
        let ids: Arc<[String]> = (0..ports).map(|number| format!("{account}-{number:05}")).collect();
        bench.cloud.seed(&ids.iter().map(|id| Port::new(id).account(&account)).collect::<Vec<_>>()).await?;
        let asker = Arc::new(Asker::new(bench.cloud.url(), &key, ids)?);
        let pid = bench.cloud.pid()?;
        let (cpu, began) = (proc::cpu(pid)?, Instant::now());
        let workers = (0..CONNECTIONS).map(|_| {
            let asker = Arc::clone(&asker);
            async move {
                let worker = tokio::spawn(async move {
                    while began.elapsed() < lasts {
                        asker.ask().await?;
                    }
                    anyhow::Ok(())
                });
                worker.await?
            }
        });
        try_join_all(workers).await?;
        let (elapsed, cpu) = (began.elapsed(), proc::cpu(pid)?.saturating_sub(cpu));
        let readings = small(asker.asked.load(Ordering::Relaxed));
        bench.cloud.reset().await?;
        Ok(Self {
            ports,
            per_second: readings / elapsed.as_secs_f64(),
            per_core_second: readings / cpu.as_secs_f64().max(0.01),
        })
    }
}

struct Asker {
    http: reqwest::Client,
    url: String,
    host: String,
    key: AccessKey,
    ids: Arc<[String]>,
    asked: AtomicUsize,
}

impl Asker {
    fn new(url: &str, key: &AccessKey, ids: Arc<[String]>) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let host = url.trim_start_matches("http://").to_owned();
        let url = format!("{url}/api/v2/sdn");
        Ok(Self { http, url, host, key: key.clone(), ids, asked: AtomicUsize::new(0) })
    }

    async fn ask(&self) -> Result<()> {
        const JSON: &str = "application/json";
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let body = format!("{{\"portIds\":[\"{}\"]}}", self.ids[number % self.ids.len()]);
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs().to_string();
        let headers = [("content-type", JSON), ("host", self.host.as_str())];
        let signed = Signed { timestamp: &timestamp, headers: &headers, body: body.as_bytes() };
        let request = self
            .http
            .post(&self.url)
            .header("content-type", JSON)
            .header("authorization", authorization(&self.key.id, &self.key.password, &signed))
            .header("x-zc-signature-method", zenlayer_simulator::signature::METHOD)
            .header("x-zc-timestamp", &timestamp)
            .header("x-zc-version", "2023-08-30")
            .header("x-zc-action", "DescribePorts");
        let answer = request.body(body).send().await?.error_for_status()?.bytes().await?;
        ensure!(answer.len() > 100, "the simulator listed no port");
        Ok(())
    }
}
