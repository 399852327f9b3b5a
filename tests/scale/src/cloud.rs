//! The simulated Zenlayer: a process of its own, told what to do over its control API.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};
use test_support::oracle::Chronicle;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use zenlayer_simulator::{Port, Rule};

/// Ends with this.
pub struct Cloud {
    process: Child,
    url: String,
    http: reqwest::Client,
    /// When the simulator's time began, by this process's clock.
    began: Instant,
}

impl Cloud {
    pub async fn start(binary: &Path) -> Result<Self> {
        let mut process = Command::new(binary)
            .args(["--listen", "127.0.0.1:0"])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting the simulator")?;
        let said = process.stdout.take().context("the simulator has no stdout")?;
        let url = BufReader::new(said).lines().next_line().await?.context("the simulator told no URL")?;
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(2)).build()?;
        let mut cloud = Self { process, url, http, began: Instant::now() };
        cloud.began = cloud.beginning().await?;
        Ok(cloud)
    }

    /// Has something done now, and looks at what time the simulator did it.
    async fn beginning(&self) -> Result<Instant> {
        let before = Instant::now();
        self.seed(&[Port::new("clock")]).await?;
        let middle = before + before.elapsed() / 2;
        let step = self.journal().await?.moves.pop().context("the journal is empty")?;
        self.reset().await?;
        middle.checked_sub(Duration::from_millis(step.at_ms)).context("before this machine started")
    }

    /// When the simulator's time began, by this process's clock.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// The simulator's time as this process's.
    pub fn instant(&self, at_ms: u64) -> Instant {
        self.began + Duration::from_millis(at_ms)
    }

    /// This moment as the simulator's time.
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn pid(&self) -> Result<u32> {
        self.process.id().context("the simulator has ended")
    }

    /// An account with one access key, limited to so many requests a second.
    pub async fn put_account(&self, name: &str, key: &AccessKey, per_second: Option<f64>) -> Result<()> {
        let account = json!({
            "name": name,
            "credentials": [{ "id": key.id, "secret": key.password }],
            "rateLimit": per_second.map(|per_second| json!({ "perSecond": per_second })),
        });
        self.ask(Method::PUT, "accounts", &account).await.map(drop)
    }

    pub async fn seed(&self, ports: &[Port]) -> Result<()> {
        self.ask(Method::POST, "ports", &ports).await.map(drop)
    }

    pub async fn fault(&self, rule: &Rule) -> Result<()> {
        self.ask(Method::POST, "faults", rule).await.map(drop)
    }

    pub async fn clear_faults(&self) -> Result<()> {
        self.ask(Method::DELETE, "faults", &Value::Null).await.map(drop)
    }

    /// Forgets ports, faults and what happened.
    pub async fn reset(&self) -> Result<()> {
        self.ask(Method::POST, "reset", &Value::Null).await.map(drop)
    }

    pub async fn journal(&self) -> Result<Chronicle> {
        let journal = self.ask(Method::GET, "journal", &Value::Null).await?;
        serde_json::from_slice(&journal).context("the simulator's journal cannot be read")
    }

    async fn ask(&self, method: Method, path: &str, body: &impl Serialize) -> Result<Vec<u8>> {
        let request = self.http.request(method, format!("{}/control/{path}", self.url)).json(body);
        let answer = request.send().await?.error_for_status()?;
        Ok(answer.bytes().await?.into())
    }
}

/// Of an account of the simulator; it opens nothing else.
#[derive(Clone, Debug)]
pub struct AccessKey {
    pub id: String,
    pub password: String,
}

impl AccessKey {
    pub fn of(account: &str) -> Self {
        Self { id: format!("key-of-{account}"), password: format!("password-of-{account}") }
    }
}
