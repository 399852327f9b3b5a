//! What objects have ever said of themselves: a reason may be shown for a moment only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt as _;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use tokio::task::JoinHandle;
use zenlayer_port_operator::api::{READY, ZenlayerPort};

/// Reason and message of a `Ready` condition.
pub(super) type Ready = (String, String);

/// By namespace and name.
type Said = HashMap<(String, String), Vec<Ready>>;

/// Watches namespaces until it is dropped.
pub(super) struct Told {
    said: Arc<Mutex<Said>>,
    watches: Vec<JoinHandle<()>>,
}

impl Told {
    pub(super) fn of<'a>(client: &Client, namespaces: impl IntoIterator<Item = &'a str>) -> Self {
        let said = Arc::<Mutex<Said>>::default();
        let watch = |namespace| {
            let (api, said) = (Api::<ZenlayerPort>::namespaced(client.clone(), namespace), Arc::clone(&said));
            tokio::spawn(async move {
                let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
                while let Some(event) = events.next().await {
                    if let Ok(Event::Apply(object) | Event::InitApply(object)) = event {
                        hear(&mut lock(&said), &object);
                    }
                }
            })
        };
        let watches = namespaces.into_iter().map(watch).collect();
        Self { said, watches }
    }

    /// How much objects of this name have said by now.
    pub(super) fn length(&self, namespace: &str, name: &str) -> usize {
        lock(&self.said).get(&(namespace.to_owned(), name.to_owned())).map_or(0, Vec::len)
    }

    /// The first word of this reason from a place on: where it stands, and the message.
    pub(super) fn find(
        &self,
        namespace: &str,
        name: &str,
        from: usize,
        reason: &str,
    ) -> Option<(usize, String)> {
        let said = lock(&self.said);
        let words = said.get(&(namespace.to_owned(), name.to_owned()))?;
        let found = words.iter().enumerate().skip(from).find(|(_, (said, _))| said == reason);
        found.map(|(place, (_, message))| (place, message.clone()))
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.watches.iter().for_each(JoinHandle::abort);
    }
}

/// The `Ready` condition of an object.
pub(super) fn ready(object: &ZenlayerPort) -> Option<Ready> {
    let conditions = &object.status.as_ref()?.conditions;
    let ready = conditions.iter().find(|condition| condition.type_ == READY)?;
    Some((ready.reason.clone(), ready.message.clone()))
}

fn hear(said: &mut Said, object: &ZenlayerPort) {
    let (Some(ready), metadata) = (ready(object), &object.metadata) else { return };
    let key = (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default());
    let words = said.entry(key).or_default();
    if words.last() != Some(&ready) {
        words.push(ready);
    }
}

fn lock(said: &Mutex<Said>) -> MutexGuard<'_, Said> {
    said.lock().unwrap_or_else(PoisonError::into_inner)
}
