//! What the figures were measured on; nothing that tells whose machine it is.

use std::fs;
use std::thread::available_parallelism;

use anyhow::Result;

use crate::Bench;

#[derive(Clone, Debug)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_gib: u64,
    pub kubernetes: String,
    pub rustc: String,
    /// Of the code that was measured.
    pub commit: String,
}

impl Machine {
    /// `rustc`: what `rustc --version` says; `commit`: the one that is checked out.
    pub async fn of(bench: &Bench, rustc: String, commit: String) -> Result<Self> {
        let field = |file: &str, name: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            line.map(|value| value.trim_start_matches([' ', '\t', ':']).to_owned())
        };
        let kib = field("/proc/meminfo", "MemTotal").unwrap_or_default();
        let kib: u64 = kib.trim_end_matches("kB").trim().parse().unwrap_or_default();
        Ok(Self {
            processor: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: available_parallelism()?.get(),
            memory_gib: kib.div_ceil(1 << 20),
            kubernetes: bench.client.apiserver_version().await?.git_version,
            rustc,
            commit,
        })
    }
}
