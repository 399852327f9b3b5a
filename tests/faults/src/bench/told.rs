//! What objects have ever said of themselves, as a reason may be shown for a moment only; and when they went.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt as _;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use zenlayer_port_operator::api::{READY, ZenlayerPort};

/// Reason and message of a `Ready` condition.
pub(super) type Ready = (String, String);

/// By namespace and name.
type Heard = HashMap<(String, String), History>;

/// Of all objects of one name.
#[derive(Default)]
struct History {
    said: Vec<Ready>,
    /// When one of them was gone.
    gone: Vec<Instant>,
}

/// Watches namespaces until it is dropped.
pub(super) struct Told {
    heard: Arc<Mutex<Heard>>,
    watches: Vec<JoinHandle<()>>,
}

impl Told {
    pub(super) fn of<'a>(client: &Client, namespaces: impl IntoIterator<Item = &'a str>) -> Self {
        let heard = Arc::<Mutex<Heard>>::default();
        let watch = |namespace| {
            let (api, heard) =
                (Api::<ZenlayerPort>::namespaced(client.clone(), namespace), Arc::clone(&heard));
            tokio::spawn(async move {
                let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
                while let Some(event) = events.next().await {
                    match event {
                        Ok(Event::Apply(object) | Event::InitApply(object)) => {
                            hear(&mut lock(&heard), &object);
                        }
                        Ok(Event::Delete(object)) => {
                            lock(&heard).entry(key(&object)).or_default().gone.push(Instant::now());
                        }
                        Ok(Event::Init | Event::InitDone) | Err(_) => {}
                    }
                }
            })
        };
        let watches = namespaces.into_iter().map(watch).collect();
        Self { heard, watches }
    }

    /// How much objects of this name have said by now.
    pub(super) fn length(&self, namespace: &str, name: &str) -> usize {
        lock(&self.heard)
            .get(&(namespace.to_owned(), name.to_owned()))
            .map_or(0, |history| history.said.len())
    }

    /// The first word from a place on that is `meant`: where it stands, and the message.
    pub(super) fn find(
        &self,
        namespace: &str,
        name: &str,
        from: usize,
        meant: impl Fn(&Ready) -> bool,
    ) -> Option<(usize, String)> {
        let heard = lock(&self.heard);
        let words = &heard.get(&(namespace.to_owned(), name.to_owned()))?.said;
        let found = words.iter().enumerate().skip(from).find(|(_, word)| meant(word));
        found.map(|(place, (_, message))| (place, message.clone()))
    }

    /// The word at this place.
    pub(super) fn word(&self, namespace: &str, name: &str, place: usize) -> Option<Ready> {
        lock(&self.heard).get(&(namespace.to_owned(), name.to_owned()))?.said.get(place).cloned()
    }

    /// When an object of this name was gone, first after that.
    pub(super) fn gone(&self, namespace: &str, name: &str, after: Instant) -> Option<Instant> {
        let heard = lock(&self.heard);
        let history = heard.get(&(namespace.to_owned(), name.to_owned()))?;
        history.gone.iter().copied().find(|gone| *gone >= after)
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

fn key(object: &ZenlayerPort) -> (String, String) {
    let metadata = &object.metadata;
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

fn hear(heard: &mut Heard, object: &ZenlayerPort) {
    let Some(ready) = ready(object) else { return };
    let words = &mut heard.entry(key(object)).or_default().said;
    if words.last() != Some(&ready) {
        words.push(ready);
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}
