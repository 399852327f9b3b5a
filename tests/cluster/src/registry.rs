//! A container registry on loopback.

use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::assets::{Assets, Binary};
use crate::cluster::{Cluster, START_LIMIT};
use crate::ports::free_port;
use crate::process::Process;

/// A registry that keeps everything in memory and ends with its cluster. It speaks plain HTTP.
#[derive(Debug)]
pub struct Registry {
    address: String,
    /// Dropping it ends the registry.
    _process: Process,
}

impl Cluster {
    /// Starts a registry, and waits until it answers. `tools` are those of [`release_tools`](crate::release_tools).
    pub async fn start_registry(&self, tools: &Assets) -> Result<Registry> {
        for _ in 0..5 {
            let address = format!("127.0.0.1:{}", free_port()?);
            let (name, program) = (format!("registry-{address}"), tools.path(Binary::Crane));
            let args = ["registry", "serve", "--address", &address];
            let process = Process::new(&self.host().folder, &name, &program, args, [("", ""); 0])?;
            process.start()?;
            match wait_for(&process, &address, START_LIMIT).await {
                Ok(()) => return Ok(Registry { address, _process: process }),
                Err(_) if process.logs().contains("address already in use") => {}
                Err(error) => return Err(error),
            }
        }
        bail!("the registry found its port taken five times in a row")
    }
}

impl Registry {
    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

async fn wait_for(process: &Process, address: &str, within: Duration) -> Result<()> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let probe = async || {
        let answer = http.get(format!("http://{address}/v2/")).send().await?;
        ensure!(answer.status().is_success(), "/v2/ says {}", answer.status());
        Ok(())
    };
    process.ready(within, probe).await
}
