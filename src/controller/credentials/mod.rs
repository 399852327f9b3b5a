//! Where an object's Zenlayer credentials come from: a Secret beside it, or the operator's own files.
//!
//! ```text
//! Secret or files ─ read ─▶ Custody ─ serve ─▶ Service: who reads an object's port, and who signs its calls
//!                            ▲   │
//!                        get │   ▼ put
//!             copy of the Secret in the operator's own namespace
//! ```
//!
//! In the namespaces of users, Secrets are read by `get` alone. What was read is used for a minute; then, and after a 401, it
//! is read again.

mod copies;
mod custody;
mod namespaces;
mod parts;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, future, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use tokio::sync::Mutex;

use self::copies::{Copies, Copy};
use self::custody::{Custody, Found, Held, Proved, Service};
use self::namespaces::{NamespaceState, Namespaces};
use self::parts::Parts;
use super::accounts::Accounts;
use crate::api::ZenlayerPort;
use crate::clock::{Clock, Monotonic};
use crate::mirror::Account;
use crate::zenlayer::Client;

pub(super) use self::custody::User;

/// Sources that are read again at a time: one that hangs holds up few others.
const REFRESHED_AT_ONCE: usize = 8;

/// The operator's own credentials: files named as the keys of a Secret, and the namespaces that they serve.
#[derive(Clone, Debug)]
pub struct OwnCredentials {
    directory: PathBuf,
    namespaces: BTreeSet<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("--credentials-namespaces lists no namespace: the operator's own credentials would serve nobody")]
pub struct OwnCredentialsError;

impl OwnCredentials {
    pub fn new(
        directory: PathBuf,
        namespaces: impl IntoIterator<Item = String>,
    ) -> Result<Self, OwnCredentialsError> {
        let namespaces: BTreeSet<String> = namespaces.into_iter().collect();
        if namespaces.is_empty() { Err(OwnCredentialsError) } else { Ok(Self { directory, namespaces }) }
    }
}

/// Whether credentials are kept as copies in the operator's own namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialCopies {
    Keep,
    None,
}

/// Where one credential is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    Secret { namespace: String, name: String },
    Own,
}

/// What serves one object now.
pub(super) enum Assigned {
    /// It reads and signs.
    Full(Arc<Account<Client>>),
    /// It reads; why nobody signs.
    ReadOnly(Arc<Account<Client>>, String),
    /// `old` goes on until `new` has been answered about the object's port.
    Rotation { old: Arc<Account<Client>>, new: Arc<Account<Client>> },
    /// Why there is none.
    None(String),
}

/// A source's credentials, and when they were last read. None before the copy was looked for.
type Slot = Arc<Mutex<Option<Cached>>>;

struct Cached {
    custody: Custody<Client>,
    read: Option<Monotonic>,
}

pub(super) struct Credentials {
    kubernetes: kube::Client,
    own: Option<OwnCredentials>,
    accounts: Accounts,
    copies: Option<Copies>,
    namespaces: Namespaces,
    clock: Clock,
    valid_for: Duration,
    slots: Mutex<HashMap<Source, Slot>>,
}

impl Credentials {
    pub(super) fn new(
        kubernetes: kube::Client,
        own: Option<OwnCredentials>,
        copies: CredentialCopies,
        own_namespace: Option<&str>,
        accounts: Accounts,
        clock: Clock,
        valid_for: Duration,
    ) -> Self {
        let copies = match copies {
            CredentialCopies::Keep => Some(Copies::new(kubernetes.clone(), own_namespace)),
            CredentialCopies::None => None,
        };
        let namespaces = Namespaces::new(kubernetes.clone());
        Self { kubernetes, own, accounts, copies, namespaces, clock, valid_for, slots: Mutex::default() }
    }

    /// The source of an object's credentials, or why it has none.
    pub(super) fn source(&self, object: &ZenlayerPort) -> Result<Source, String> {
        let namespace = object.metadata.namespace.clone().unwrap_or_default();
        match (&object.spec.credentials_ref, &self.own) {
            (Some(secret), _) if secret.is_well_formed() => {
                Ok(Source::Secret { namespace, name: secret.name.clone() })
            }
            (Some(secret), _) => Err(format!(
                "spec.credentialsRef.name is {:?}, which cannot be the name of a Secret.",
                secret.name
            )),
            (None, Some(own)) if own.namespaces.contains(&namespace) => Ok(Source::Own),
            (None, Some(_)) => Err(format!(
                "The operator's own credentials do not serve namespace {namespace} (--credentials-namespaces), and \
                 spec.credentialsRef names no Secret."
            )),
            (None, None) => {
                Err("The operator has no credentials of its own, and spec.credentialsRef names no Secret."
                    .to_owned())
            }
        }
    }

    /// What the source has for this object now.
    pub(super) async fn serve(&self, source: &Source, object: &ZenlayerPort) -> Assigned {
        let slot = self.slot(source).await;
        let service = match self.current(source, &mut *slot.lock().await, None).await {
            Ok(custody) => custody.serve(&User::of(object)),
            Err(why) => Service::None(why),
        };
        match service {
            Service::Full(account) => Assigned::Full(account),
            Service::ReadOnly(account, why) => Assigned::ReadOnly(account, why),
            Service::Rotation { old, new } => Assigned::Rotation { old, new },
            Service::Copy { account, namespace, why } => {
                let name = object.metadata.namespace.as_deref().unwrap_or_default();
                by_copy(account, namespace.as_deref(), &why, self.namespaces.look(name).await)
            }
            Service::None(why) => Assigned::None(why),
        }
    }

    /// Zenlayer has answered 401 to `account`: perhaps the source holds a better one by now.
    pub(super) async fn rejected(&self, source: &Source, account: &Account<Client>, at: Monotonic) {
        let slot = self.slot(source).await;
        let mut slot = slot.lock().await;
        if let Ok(custody) = self.current(source, &mut slot, Some(at)).await {
            custody.rejected(account);
            self.keep_or_warn(source, custody).await;
        }
    }

    /// The source's new credential was shown the port of `object`.
    pub(super) async fn shown(&self, source: &Source, new: &Account<Client>, object: &ZenlayerPort) {
        let slot = self.slot(source).await;
        if let Some(cached) = slot.lock().await.as_mut() {
            cached.custody.shown(new, &User::of(object));
        }
    }

    /// Sees to it that the credential in use by `object` is kept as a copy, if copies are kept.
    pub(super) async fn keep_copy_for(&self, object: &ZenlayerPort) -> Result<(), String> {
        let Ok(source) = self.source(object) else { return Ok(()) };
        let slot = self.slot(&source).await;
        let mut slot = slot.lock().await;
        let custody = self.current(&source, &mut slot, None).await?;
        self.keep(&source, custody).await
    }

    /// Reads all sources again that are in use and known, forgets the others, lets new credentials take over that have
    /// proved themselves, and returns those that hold something new.
    pub(super) async fn refresh(&self, users: &HashMap<Source, Vec<User>>) -> HashSet<Source> {
        let known: Vec<(Source, Slot)> = {
            let mut slots = self.slots.lock().await;
            slots.retain(|source, _| users.contains_key(source));
            slots.iter().map(|(source, slot)| (source.clone(), Arc::clone(slot))).collect()
        };
        let refreshed = stream::iter(known).map(async |(source, slot)| {
            let mut slot = slot.lock().await;
            let custody = self.current(&source, &mut slot, Some(self.clock.monotonic())).await.ok()?;
            custody.settle(users.get(&source).map(Vec::as_slice).unwrap_or_default());
            self.keep_or_warn(&source, custody).await;
            custody.take_news().then_some(source)
        });
        refreshed.buffer_unordered(REFRESHED_AT_ONCE).filter_map(future::ready).collect().await
    }

    /// Deletes the copies of what is in use neither by `users` nor, by now, by anybody else.
    pub(super) async fn drop_copies(
        &self,
        users: &HashMap<Source, Vec<User>>,
        may_be_used: impl Fn(&Source) -> bool,
    ) {
        let Some(copies) = &self.copies else { return };
        let kept = copies.list().await.unwrap_or_else(|why| {
            tracing::warn!(why, "copies that are no longer needed stay for now");
            Vec::new()
        });
        for source in kept.into_iter().filter(|source| !users.contains_key(source)) {
            let Source::Secret { namespace, name } = &source else { continue };
            let slot = self.slot(&source).await;
            let mut slot = slot.lock().await;
            // A pass that held the slot before has an object, and may rely on the copy; one that comes later makes it anew.
            if may_be_used(&source) {
                continue;
            }
            *slot = None;
            match copies.delete(namespace, name).await {
                Ok(()) => {
                    tracing::info!(?source, "no object uses this Secret any more: its copy is deleted");
                }
                Err(why) => tracing::warn!(?source, why, "a copy that is no longer needed stays for now"),
            }
        }
    }

    /// Tells the log which rights are missing, before they are missed.
    pub(super) async fn check_rights(&self) {
        if let Some(copies) = &self.copies {
            self.namespaces.look(copies.namespace()).await;
        }
    }

    async fn slot(&self, source: &Source) -> Slot {
        Arc::clone(self.slots.lock().await.entry(source.clone()).or_default())
    }

    /// The source's credentials: as last read, if that was not before `not_before` and less than a minute ago. One read
    /// serves all who wait for the slot.
    async fn current<'a>(
        &self,
        source: &Source,
        slot: &'a mut Option<Cached>,
        not_before: Option<Monotonic>,
    ) -> Result<&'a mut Custody<Client>, String> {
        let copy = match slot {
            Some(_) => None,
            None => self.copy_of(source).await?,
        };
        let cached = slot.get_or_insert_with(|| Cached { custody: Custody::new(copy), read: None });
        let now = self.clock.monotonic();
        let due = cached.read.is_none_or(|read| {
            now.since(read) >= self.valid_for || not_before.is_some_and(|not_before| read < not_before)
        });
        if due {
            let found = self.read(source).await;
            if let Found::Unknown(why) = &found {
                tracing::warn!(
                    ?source,
                    why,
                    "credentials could not be read; those that are known stay in use"
                );
            }
            cached.custody.take_in(found);
            if self.copies.is_none() {
                cached.custody.forget_if_gone();
            }
            cached.read = Some(now);
        }
        Ok(&mut cached.custody)
    }

    async fn copy_of(&self, source: &Source) -> Result<Option<Proved<Client>>, String> {
        let (Some(copies), Source::Secret { namespace, name }) = (&self.copies, source) else {
            return Ok(None);
        };
        let Some(Copy { parts, namespace: uid }) = copies.get(namespace, name).await? else {
            return Ok(None);
        };
        Ok(match self.parse("Its copy", parts) {
            Found::Credential(held) => Some(Proved { held, namespace: uid, copied: true }),
            // Somebody spoilt it: it is written anew.
            Found::Unusable(_) | Found::Gone(_) | Found::Unknown(_) => None,
        })
    }

    async fn keep_or_warn(&self, source: &Source, custody: &mut Custody<Client>) {
        if let Err(why) = self.keep(source, custody).await {
            tracing::warn!(?source, why, "a credential in use is not kept as a copy yet; it is tried again");
        }
    }

    async fn keep(&self, source: &Source, custody: &mut Custody<Client>) -> Result<(), String> {
        let (Some(copies), Source::Secret { namespace, name }) = (&self.copies, source) else {
            return Ok(());
        };
        let Some(proved) = custody.uncopied() else { return Ok(()) };
        proved.namespace = match self.namespaces.look(namespace).await {
            NamespaceState::There { uid, .. } => uid,
            NamespaceState::NotGranted => None,
            NamespaceState::Unknown(why) => {
                return Err(format!(
                    "The copy of Secret {namespace}/{name} is not made, for its namespace could not be read: {why}."
                ));
            }
        };
        let copy = Copy { parts: proved.held.parts.clone(), namespace: proved.namespace.clone() };
        copies.put(namespace, name, &copy).await?;
        proved.copied = true;
        Ok(())
    }

    async fn read(&self, source: &Source) -> Found<Client> {
        match source {
            Source::Secret { namespace, name } => {
                let secrets: Api<Secret> = Api::namespaced(self.kubernetes.clone(), namespace);
                let place = format!("Secret {namespace}/{name}");
                match secrets.get_opt(name).await {
                    Ok(Some(secret)) => {
                        self.parse(&place, Parts::of_secret(&secret.data.unwrap_or_default()))
                    }
                    Ok(None) => Found::Gone(format!("{place} does not exist.")),
                    Err(kube::Error::Api(answer)) if answer.is_forbidden() => Found::Gone(format!(
                        "The operator may not read {place}: its RBAC lacks `get` on secrets there."
                    )),
                    Err(error) => Found::Unknown(format!("{place} could not be read: {}.", brief(&error))),
                }
            }
            Source::Own => {
                let Some(own) = &self.own else { return Found::Unusable("There are none.".to_owned()) };
                match Parts::of_directory(&own.directory).await {
                    Ok(parts) => self.parse("The operator's credentials directory", parts),
                    Err(error) => {
                        Found::Unknown(format!("The operator's own credentials could not be read: {error}."))
                    }
                }
            }
        }
    }

    fn parse(&self, place: &str, parts: Parts) -> Found<Client> {
        match parts.credential() {
            Ok(credential) => Found::Credential(Held { account: self.accounts.of(credential), parts }),
            Err(error) => Found::Unusable(format!("{place} holds no usable credential: {error}.")),
        }
    }
}

impl User {
    pub(super) fn of(object: &ZenlayerPort) -> Self {
        let identity = object.status.as_ref().and_then(|status| status.identity.as_ref());
        Self {
            uid: object.metadata.uid.clone().unwrap_or_default(),
            seen_by: identity.map(|identity| identity.seen_by.clone()).unwrap_or_default(),
        }
    }
}

/// What the API server says; its whole answer is too long to be shown.
fn brief(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(answer) => answer.message.clone(),
        other => other.to_string(),
    }
}

/// What the copy of a Secret that is gone may do: a person who deletes a Secret puts on a brake, and a namespace that is
/// being deleted takes its Secrets along.
fn by_copy(
    account: Arc<Account<Client>>,
    made_for: Option<&str>,
    why: &str,
    namespace: NamespaceState,
) -> Assigned {
    match namespace {
        NamespaceState::There { uid, .. } if uid.as_deref() != made_for => Assigned::None(why.to_owned()),
        NamespaceState::There { terminating: true, .. } => Assigned::Full(account),
        NamespaceState::There { terminating: false, .. } | NamespaceState::NotGranted => Assigned::ReadOnly(
            account,
            format!(
                "{why} The port is read with a copy of it, but nothing is called until it is there again."
            ),
        ),
        NamespaceState::Unknown(cause) => Assigned::ReadOnly(
            account,
            format!(
                "{why} Nothing is called before it is known whether its namespace is being deleted: {cause}."
            ),
        ),
    }
}
