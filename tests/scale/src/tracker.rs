//! What a watch shows of all `ZenlayerPorts`, and when it showed it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::StreamExt as _;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt as _};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use zenlayer_port_operator::api::{ObservedPort, ZenlayerPort};

const POLL: Duration = Duration::from_millis(100);

/// So many objects are named that are not as they should be.
const SHOWN: usize = 5;

/// Watches until it is dropped. Objects are known by name alone, which the bench uses once.
pub struct Tracker {
    sights: Arc<Mutex<HashMap<String, Sight>>>,
    task: JoinHandle<()>,
}

#[derive(Clone, Debug)]
pub enum Sight {
    /// As the object's status tells of the port.
    There(ObservedPort),
    Gone(Instant),
}

impl Tracker {
    pub fn start(client: Client) -> Self {
        let sights = Arc::new(Mutex::new(HashMap::new()));
        let task = tokio::spawn(watch(client, Arc::clone(&sights)));
        Self { sights, task }
    }

    /// Waits until all these objects are as `wanted`.
    pub async fn until(
        &self,
        names: &[String],
        what: &str,
        within: Duration,
        wanted: impl Fn(&Sight) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + within;
        loop {
            let (missing, shown) = {
                let sights = lock(&self.sights);
                let is_missing = |name: &&String| !sights.get(*name).is_some_and(&wanted);
                let missing: Vec<&String> = names.iter().filter(is_missing).collect();
                let shown =
                    missing.iter().take(SHOWN).map(|name| format!("\n{name}: {:?}", sights.get(*name)));
                (missing.len(), shown.collect::<String>())
            };
            if missing == 0 {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{missing} of {} objects are not {what} after {} s, among them:{shown}",
                names.len(),
                within.as_secs()
            );
            sleep(POLL).await;
        }
    }

    /// When the object was seen to be gone.
    pub fn gone(&self, name: &str) -> Option<Instant> {
        match lock(&self.sights).get(name) {
            Some(Sight::Gone(at)) => Some(*at),
            Some(Sight::There(_)) | None => None,
        }
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(client: Client, sights: Arc<Mutex<HashMap<String, Sight>>>) {
    let mut events =
        watcher(Api::<ZenlayerPort>::all(client), watcher::Config::default()).default_backoff().boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => {
                let name = object.name_any();
                let port = object.status.and_then(|status| status.port).unwrap_or_default();
                lock(&sights).insert(name, Sight::There(port));
            }
            Ok(Event::Delete(object)) => {
                lock(&sights).insert(object.name_any(), Sight::Gone(Instant::now()));
            }
            Ok(Event::Init | Event::InitDone) => {}
            Err(error) => eprintln!("the bench's watch failed and goes on: {error}"),
        }
    }
}

/// A panic elsewhere left the map whole.
fn lock(sights: &Mutex<HashMap<String, Sight>>) -> MutexGuard<'_, HashMap<String, Sight>> {
    sights.lock().unwrap_or_else(PoisonError::into_inner)
}
