//! What a watch has shown of objects, and when: a state may last for a moment only.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::{ApiResource, Object};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use serde::Deserialize;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use zenlayer_port_operator::api::{DeletionPolicy, FINALIZER, ObservedPort, READY, ZenlayerPort};

use crate::objects::Ready;
use crate::oracle::{Deletion, Expected, Subject, Wish};
use crate::wait::until;

/// So much later than it happens the watch may show a change.
const LAG: Duration = Duration::from_secs(1);

/// So many objects are named that are not as they should be.
const SHOWN: usize = 5;

/// Watches until it is dropped.
pub struct Witness {
    record: Arc<Mutex<Record>>,
    watches: Vec<JoinHandle<()>>,
}

/// One object, from its creation to its end.
#[derive(Clone, Debug)]
pub struct Life {
    uid: String,
    port_id: String,
    /// What was asked of it, and from when on.
    wishes: Vec<(Instant, Deletion, DeletionPolicy)>,
    /// It had the operator's finalizer, and nobody took that off before the deletion.
    has_promise: bool,
    /// As its status tells of the port.
    pub port: Option<ObservedPort>,
    pub gone: Option<Instant>,
}

/// Of all objects of one name in a namespace.
#[derive(Debug)]
struct History {
    namespace: String,
    said: Vec<Ready>,
    lives: Vec<Life>,
}

/// By name.
#[derive(Default)]
struct Record(HashMap<String, Vec<History>>);

/// A `ZenlayerPort` that only a later version of the operator can parse is one too.
type Shown = Object<ShownSpec, ShownStatus>;

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ShownSpec {
    port_id: String,
    deletion_policy: serde_json::Value,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct ShownStatus {
    #[serde(default)]
    conditions: Vec<Condition>,
    port: Option<ObservedPort>,
}

impl Witness {
    /// Of the objects in these namespaces.
    pub fn of<'a>(client: &Client, namespaces: impl IntoIterator<Item = &'a str>) -> Self {
        Self::of_apis(namespaces.into_iter().map(|namespace| {
            (Some(namespace.to_owned()), Api::namespaced_with(client.clone(), namespace, &kind()))
        }))
    }

    /// Of all objects.
    pub fn of_all(client: Client) -> Self {
        Self::of_apis([(None, Api::all_with(client, &kind()))])
    }

    fn of_apis(apis: impl IntoIterator<Item = (Option<String>, Api<Shown>)>) -> Self {
        let record = Arc::<Mutex<Record>>::default();
        let watches =
            apis.into_iter().map(|(namespace, api)| tokio::spawn(watch(api, namespace, Arc::clone(&record))));
        Self { watches: watches.collect(), record }
    }

    /// How much objects of this name have said by now.
    pub fn words(&self, namespace: &str, name: &str) -> usize {
        self.look(namespace, name, |history| history.said.len()).unwrap_or_default()
    }

    /// The first word from a place on that is `meant`: where it stands, and the message.
    pub fn find(
        &self,
        namespace: &str,
        name: &str,
        from: usize,
        meant: impl Fn(&Ready) -> bool,
    ) -> Option<(usize, String)> {
        self.look(namespace, name, |history| {
            let found = history.said.iter().enumerate().skip(from).find(|(_, word)| meant(word));
            found.map(|(place, (_, message))| (place, message.clone()))
        })?
    }

    /// The word at this place.
    pub fn word(&self, namespace: &str, name: &str, place: usize) -> Option<Ready> {
        self.look(namespace, name, |history| history.said.get(place).cloned())?
    }

    /// When an object of this name was gone, first after that.
    pub fn gone(&self, namespace: &str, name: &str, after: Instant) -> Option<Instant> {
        self.look(namespace, name, |history| {
            history.lives.iter().filter_map(|life| life.gone).find(|gone| *gone >= after)
        })?
    }

    fn look<T>(&self, namespace: &str, name: &str, look: impl FnOnce(&History) -> T) -> Option<T> {
        let record = lock(&self.record);
        let history = record.0.get(name)?.iter().find(|history| history.namespace == namespace)?;
        Some(look(history))
    }

    /// The newest object of a name that occurs in one namespace alone.
    pub fn newest(&self, name: &str) -> Option<Life> {
        lock(&self.record).newest(name).cloned()
    }

    /// Waits until all these objects are as `wanted`. Their names occur in one namespace each.
    pub async fn until_all(
        &self,
        names: &[String],
        what: &str,
        within: Duration,
        wanted: impl Fn(&Life) -> bool,
    ) -> Result<()> {
        let is_wanted = |record: &Record, name: &String| record.newest(name).is_some_and(&wanted);
        let all = until(within, what, async || {
            let record = lock(&self.record);
            Ok(names.iter().all(|name| is_wanted(&record, name)).then_some(()))
        });
        all.await.with_context(|| {
            let record = lock(&self.record);
            let missing: Vec<&String> = names.iter().filter(|name| !is_wanted(&record, name)).collect();
            let shown = missing.iter().take(SHOWN).map(|name| format!("\n{name}: {:?}", record.newest(name)));
            let shown: String = shown.collect();
            format!("{} of {} objects are not {what}, among them:{shown}", missing.len(), names.len())
        })
    }

    /// What the oracle judges of the objects that have an account, by namespace and name: that of their credentials. How each of
    /// them is to end is open. Times count from `start`.
    pub fn subjects<'a>(
        &self,
        start: Instant,
        account: impl Fn(&str, &str) -> Option<&'a str>,
    ) -> Vec<Subject> {
        let record = lock(&self.record);
        let mut subjects = Vec::new();
        for (name, history) in record.0.iter().flat_map(|(name, all)| all.iter().map(move |it| (name, it))) {
            let object = (history.namespace.as_str(), name.as_str());
            if let Some(account) = account(object.0, object.1) {
                subjects.extend(history.lives.iter().map(|life| life.subject(object, account, start)));
            }
        }
        subjects
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.watches.iter().for_each(JoinHandle::abort);
    }
}

impl Life {
    /// Nothing goes unless somebody deletes it. Without a finalizer, it goes at once.
    fn is_gone(&mut self) {
        let now = Instant::now();
        if let Some((_, Deletion::NotAsked, policy)) = self.wishes.last().copied() {
            self.wishes.push((now, Deletion::Asked, policy));
        }
        self.gone = Some(now);
    }

    fn subject(&self, object: (&str, &str), account: &str, start: Instant) -> Subject {
        let ms =
            |at: Instant| u64::try_from(at.saturating_duration_since(start).as_millis()).unwrap_or(u64::MAX);
        let wish = |&(at, deletion, policy): &(Instant, Deletion, DeletionPolicy)| Wish {
            at_ms: ms(at.checked_sub(LAG).unwrap_or(start)),
            deletion,
            policy,
        };
        Subject {
            wishes: self.wishes.iter().map(wish).collect(),
            gone_at_ms: self.gone.map(ms),
            expected: Expected::Open,
            excused: (!self.has_promise).then_some("the operator has promised nothing"),
            ..Subject::created(object, &self.port_id, account, (0, DeletionPolicy::Retain))
        }
    }
}

impl Record {
    fn newest(&self, name: &str) -> Option<&Life> {
        self.0.get(name)?.first()?.lives.last()
    }

    fn history(&mut self, object: &Shown) -> &mut History {
        let namespace = object.metadata.namespace.clone().unwrap_or_default();
        let histories = self.0.entry(object.metadata.name.clone().unwrap_or_default()).or_default();
        let place = histories.iter().position(|history| history.namespace == namespace);
        let place = place.unwrap_or_else(|| {
            histories.push(History { namespace, said: Vec::new(), lives: Vec::new() });
            histories.len() - 1
        });
        &mut histories[place]
    }

    fn shows(&mut self, object: Shown) {
        let (now, uid) = (Instant::now(), uid(&object));
        let wish = wish(&object);
        let has_finalizer = object.metadata.finalizers.iter().flatten().any(|it| it == FINALIZER);
        let history = self.history(&object);
        let place = history.lives.iter().position(|life| life.uid == uid);
        let place = place.unwrap_or_else(|| {
            let port_id = object.spec.port_id.clone();
            history.lives.push(Life {
                uid,
                port_id,
                wishes: Vec::new(),
                has_promise: false,
                port: None,
                gone: None,
            });
            history.lives.len() - 1
        });
        let life = &mut history.lives[place];
        // One that is back, as a restored etcd has it.
        life.gone = None;
        if has_finalizer || wish.0 == Deletion::NotAsked {
            life.has_promise = has_finalizer;
        }
        if life.wishes.last().is_none_or(|(_, deletion, policy)| (*deletion, *policy) != wish) {
            life.wishes.push((now, wish.0, wish.1));
        }
        let Some(status) = object.status else { return };
        life.port = status.port;
        let ready = status.conditions.into_iter().find(|condition| condition.type_ == READY);
        let Some(ready) = ready.map(|ready| (ready.reason, ready.message)) else { return };
        if history.said.last() != Some(&ready) {
            history.said.push(ready);
        }
    }

    fn is_gone(&mut self, object: &Shown) {
        let uid = uid(object);
        let lives = &mut self.history(object).lives;
        lives.iter_mut().filter(|life| life.uid == uid).for_each(Life::is_gone);
    }

    /// A new list of a namespace, or of all: what is not in it has gone while nobody watched.
    fn lists(&mut self, namespace: Option<&str>, uids: &HashSet<String>) {
        let histories = self.0.values_mut().flatten();
        let listed =
            histories.filter(|history| namespace.is_none_or(|namespace| history.namespace == namespace));
        let missing = listed.flat_map(|history| &mut history.lives).filter(|life| !uids.contains(&life.uid));
        missing.filter(|life| life.gone.is_none()).for_each(Life::is_gone);
    }
}

/// What is asked of an object; nothing if nobody knows its policy.
fn wish(object: &Shown) -> (Deletion, DeletionPolicy) {
    let policy = serde_json::from_value(object.spec.deletion_policy.clone());
    match policy {
        Ok(policy) if object.metadata.deletion_timestamp.is_some() => (Deletion::Asked, policy),
        policy => (Deletion::NotAsked, policy.unwrap_or(DeletionPolicy::Retain)),
    }
}

fn uid(object: &Shown) -> String {
    object.metadata.uid.clone().unwrap_or_default()
}

fn kind() -> ApiResource {
    ApiResource::erase::<ZenlayerPort>(&())
}

async fn watch(api: Api<Shown>, namespace: Option<String>, record: Arc<Mutex<Record>>) {
    let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
    let mut listed = HashSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => {
                listed.insert(uid(&object));
                lock(&record).shows(object);
            }
            Ok(Event::InitDone) => lock(&record).lists(namespace.as_deref(), &listed),
            Ok(Event::Apply(object)) => lock(&record).shows(object),
            Ok(Event::Delete(object)) => lock(&record).is_gone(&object),
            // It goes on, with a new list if need be.
            Err(_) => {}
        }
    }
}

/// A panic elsewhere left it whole.
fn lock(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}
