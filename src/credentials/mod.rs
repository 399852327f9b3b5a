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

mod accounts;
mod copies;
mod custody;
mod keeping;
mod leftovers;
mod namespaces;
mod parts;
mod reading;
mod setbacks;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, future, stream};
use tokio::sync::Mutex;

use self::copies::{Copies, Copy};
use self::custody::{Custody, Service};
use self::namespaces::{NamespaceState, Namespaces};
use self::setbacks::{Failure, Setbacks};
use crate::api::ZenlayerPort;
use crate::clock::{Clock, Monotonic};
use crate::decision::Lack;
use crate::mirror::Account;
use crate::zenlayer::Client;

pub use self::accounts::Accounts;
pub use self::custody::User;
pub use self::keeping::Snapshot;
pub use self::leftovers::delete_leftover_copies;
pub use self::source::{OwnCredentials, OwnCredentialsError, Source, Sources};

/// Sources that are read again at a time: one that hangs holds up few others.
const REFRESHED_AT_ONCE: usize = 8;

/// Whether credentials are kept as copies in the operator's own namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialCopies {
    Keep,
    None,
}

/// What serves one object now.
pub enum Assigned<R = Client> {
    /// It reads and signs.
    Full(Arc<Account<R>>),
    /// It reads; why nobody signs.
    ReadOnly(Arc<Account<R>>, Lack),
    /// `current` goes on until `candidate` has been answered about the object's port.
    Rotation { current: Arc<Account<R>>, candidate: Arc<Account<R>> },
    /// Why there is none.
    None(Lack),
}

/// What a source has for one object.
pub struct Served {
    pub assigned: Assigned,
    /// Why its credentials are not kept as a copy; none: they are, or none is needed.
    pub not_copied: Option<Lack>,
}

/// A source's credentials.
type CacheEntry = Arc<Mutex<Cached>>;

#[derive(Default)]
struct Cached {
    /// None before the copy was looked for.
    custody: Option<Custody<Client>>,
    /// When the source was last read.
    read: Option<Monotonic>,
    reading: Setbacks,
    /// What the copy holds, as far as is known.
    copy: Option<Copy>,
    keeping: Setbacks,
    /// Reading the namespace of a Secret that is gone.
    looking: Setbacks,
}

pub struct Credentials {
    kubernetes: kube::Client,
    sources: Arc<Sources>,
    accounts: Accounts,
    copies: Option<Copies>,
    namespaces: Namespaces,
    clock: Clock,
    valid_for: Duration,
    cache: Mutex<BTreeMap<Source, CacheEntry>>,
}

impl Credentials {
    pub fn new(
        kubernetes: kube::Client,
        sources: Arc<Sources>,
        copies: CredentialCopies,
        accounts: Accounts,
        clock: Clock,
        valid_for: Duration,
    ) -> Self {
        let copies = match copies {
            CredentialCopies::Keep => Some(Copies::new(kubernetes.clone(), sources.home())),
            CredentialCopies::None => None,
        };
        let namespaces = Namespaces::new(kubernetes.clone());
        Self { kubernetes, sources, accounts, copies, namespaces, clock, valid_for, cache: Mutex::default() }
    }

    /// The source of an object's credentials, or why it has none.
    pub fn source_of(&self, object: &ZenlayerPort) -> Result<Source, String> {
        self.sources.of(object)
    }

    /// What the source has for this object now.
    pub async fn serve(
        &self,
        source: &Source,
        object: &ZenlayerPort,
        deletion_known_since: Option<Monotonic>,
    ) -> Served {
        let user = User { deletion_known_since, ..User::of(object) };
        let entry = self.entry(source).await;
        let mut cached = entry.lock().await;
        if let Err(lack) = self.read_if_due(source, &mut cached, None).await {
            return Served { assigned: Assigned::None(lack.clone()), not_copied: Some(lack) };
        }
        self.keep(source, &mut cached, None).await;
        let not_copied = cached.keeping.lack(self.clock.monotonic(), self.valid_for);
        let Some(custody) = &cached.custody else {
            return Served {
                assigned: Assigned::None(Lack::Known(
                    "The operator has no credentials for this object.".to_owned(),
                )),
                not_copied,
            };
        };
        let assigned = match custody.serve(&user, self.valid_for) {
            Service::Full(account) => Assigned::Full(account),
            Service::ReadOnly(account, why) => Assigned::ReadOnly(account, Lack::Known(why)),
            Service::Rotation { current, candidate } => Assigned::Rotation { current, candidate },
            Service::Unread(account, why) => {
                let lack = match source {
                    Source::Secret { .. } => cached.reading.lack(self.clock.monotonic(), self.valid_for),
                    Source::Own => None,
                };
                let lack = lack.unwrap_or(Lack::Known(why));
                account.map_or(Assigned::None(lack.clone()), |account| Assigned::ReadOnly(account, lack))
            }
            Service::Copy { account, namespace, why, signs } => {
                drop(cached);
                let name = object.metadata.namespace.as_deref().unwrap_or_default();
                let state = Box::pin(self.namespaces.look(name)).await;
                let unread = self.note_look(&entry, &state).await;
                by_copy(account, namespace.as_deref(), why, signs, &state, unread)
            }
            Service::None(why) => Assigned::None(Lack::Known(why)),
        };
        Served { assigned, not_copied }
    }

    /// Remembers whether the namespace of a Secret that is gone could be read; if not, returns what to say.
    async fn note_look(&self, entry: &CacheEntry, state: &NamespaceState) -> Option<Lack> {
        let now = self.clock.monotonic();
        let looking = &mut entry.lock().await.looking;
        match state {
            NamespaceState::Unknown(cause) => {
                let why =
                    format!("The operator could not check whether the namespace is being deleted: {cause}.");
                looking.failed(Failure::Unanswered(why), now);
            }
            NamespaceState::There { .. } | NamespaceState::NotGranted => {
                looking.end();
            }
        }
        looking.lack(now, self.valid_for)
    }

    /// Zenlayer has answered 401 to `account`: perhaps the source holds a better one by now.
    pub async fn rejected(&self, source: &Source, account: &Account<Client>, at: Monotonic) {
        let entry = self.entry(source).await;
        let mut cached = entry.lock().await;
        if self.read_if_due(source, &mut cached, Some(at)).await.is_ok()
            && let Some(custody) = &mut cached.custody
        {
            custody.rejected(account);
            self.keep(source, &mut cached, None).await;
        }
    }

    /// The source's new credential was shown the port of `object`.
    pub async fn shown(&self, source: &Source, new: &Account<Client>, object: &ZenlayerPort) {
        let entry = self.entry(source).await;
        if let Some(custody) = &mut entry.lock().await.custody {
            custody.shown(new, &User::of(object));
        }
    }

    /// Reads all sources again that `users` use, forgets those that nobody may use, lets new credentials take over that have proved
    /// themselves, compares the copies with them, and returns the sources of which there is news.
    pub async fn refresh(
        &self,
        users: &BTreeMap<Source, Vec<User>>,
        snapshot: Option<&Snapshot>,
        may_be_used: impl Fn(&Source) -> bool,
    ) -> BTreeSet<Source> {
        let in_use: Vec<(Source, CacheEntry)> = {
            let mut cache = self.cache.lock().await;
            cache.retain(|source, _| users.contains_key(source) || may_be_used(source));
            let entry =
                |source: &Source| (source.clone(), Arc::clone(cache.entry(source.clone()).or_default()));
            users.keys().map(entry).collect()
        };
        let refreshed = stream::iter(in_use).map(async |(source, entry)| {
            let mut cached = entry.lock().await;
            self.read_if_due(&source, &mut cached, Some(self.clock.monotonic())).await.ok()?;
            cached.custody.as_mut()?.settle(users.get(&source).map(Vec::as_slice).unwrap_or_default());
            self.keep(&source, &mut cached, snapshot).await;
            cached.custody.as_mut()?.take_news().then_some(source)
        });
        refreshed.buffer_unordered(REFRESHED_AT_ONCE).filter_map(future::ready).collect().await
    }

    /// Tells the log which rights are missing, before they are missed.
    pub async fn check_rights(&self) {
        if let Some(copies) = &self.copies {
            self.namespaces.look(copies.namespace()).await;
        }
    }

    async fn entry(&self, source: &Source) -> CacheEntry {
        Arc::clone(self.cache.lock().await.entry(source.clone()).or_default())
    }
}

impl User {
    pub fn of(object: &ZenlayerPort) -> Self {
        let identity = object.status.as_ref().and_then(|status| status.identity.as_ref());
        Self {
            uid: object.metadata.uid.clone().unwrap_or_default(),
            seen_by: identity.map(|identity| identity.seen_by.clone()).unwrap_or_default(),
            deletion_known_since: None,
            credentials_seen: object.release().is_some_and(|release| release.credentials_seen),
        }
    }
}

/// What the copy of a Secret that is gone may do: a person who deletes a Secret puts on a brake, and a namespace or an object
/// that is being deleted takes its Secret along.
fn by_copy<R>(
    account: Arc<Account<R>>,
    made_for: Option<&str>,
    why: String,
    signs: bool,
    namespace: &NamespaceState,
    unread: Option<Lack>,
) -> Assigned<R> {
    match namespace {
        NamespaceState::There { uid, .. } if uid.as_deref() != made_for => Assigned::None(Lack::Known(why)),
        NamespaceState::There { terminating: true, .. } => Assigned::Full(account),
        NamespaceState::There { .. } | NamespaceState::NotGranted if signs => Assigned::Full(account),
        NamespaceState::There { .. } | NamespaceState::NotGranted => Assigned::ReadOnly(
            account,
            Lack::Known(format!(
                "{why} The operator checks the port with its copy of the Secret, but does not change the port \
                 until the Secret exists again."
            )),
        ),
        NamespaceState::Unknown(_) => Assigned::ReadOnly(account, unread.unwrap_or(Lack::Known(why))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_copy_of(made_for: Option<&str>, signs: bool, namespace: &NamespaceState) -> &'static str {
        let key = crate::mirror::AccountKey::new([0; 32]);
        let account = Account::new(key, crate::fingerprint::Fingerprint::new("A"), Arc::new(()));
        match by_copy(Arc::new(account), made_for, "Gone.".to_owned(), signs, namespace, None) {
            Assigned::Full(_) => "signs",
            Assigned::ReadOnly(..) => "reads",
            Assigned::Rotation { .. } => "rotates",
            Assigned::None(_) => "nobody",
        }
    }

    #[test]
    fn a_copy_signs_while_its_namespace_goes_or_for_an_object_that_its_secret_went_with() {
        let there = |uid: &str, terminating| NamespaceState::There { uid: Some(uid.to_owned()), terminating };
        let unknown = NamespaceState::Unknown("a timeout".to_owned());
        for (namespace, went_before, went_with) in [
            (there("uid-1", true), "signs", "signs"),
            (there("uid-1", false), "reads", "signs"),
            (there("uid-2", true), "nobody", "nobody"),
            (there("uid-2", false), "nobody", "nobody"),
            (NamespaceState::NotGranted, "reads", "signs"),
            (unknown, "reads", "reads"),
        ] {
            assert_eq!(by_copy_of(Some("uid-1"), false, &namespace), went_before, "{namespace:?}");
            assert_eq!(by_copy_of(Some("uid-1"), true, &namespace), went_with, "{namespace:?}");
        }
    }
}
