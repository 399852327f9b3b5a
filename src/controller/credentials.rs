//! Where an object's Zenlayer credentials come from: a Secret beside it, or the operator's own files.
//!
//! Secrets are read by `get` alone. What was read is used for a minute; then, and after a 401, it is read again.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use tokio::sync::Mutex;

use super::accounts::Accounts;
use crate::api::{CredentialsRef, ZenlayerPort};
use crate::clock::{Clock, Monotonic};
use crate::mirror::Account;
use crate::zenlayer::{Client, Credential, CredentialError};

const ACCESS_KEY_ID: &str = "accessKeyId";
const ACCESS_KEY_PASSWORD: &str = "accessKeyPassword";
const TOKEN: &str = "token";

/// A credential is a few dozen characters; what is longer is not one.
const LONGEST: usize = 4096;

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

/// Where one credential is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    Secret { namespace: String, name: String },
    Own,
}

/// What a source held when it was last read.
type Held = Result<Arc<Account<Client>>, String>;

#[derive(Debug)]
struct Cached {
    held: Held,
    read: Monotonic,
}

pub(super) struct Credentials {
    kubernetes: kube::Client,
    own: Option<OwnCredentials>,
    accounts: Accounts,
    clock: Clock,
    valid_for: Duration,
    cache: Mutex<HashMap<Source, Arc<Mutex<Option<Cached>>>>>,
}

impl Credentials {
    pub(super) fn new(
        kubernetes: kube::Client,
        own: Option<OwnCredentials>,
        accounts: Accounts,
        clock: Clock,
        valid_for: Duration,
    ) -> Self {
        Self { kubernetes, own, accounts, clock, valid_for, cache: Mutex::default() }
    }

    /// The source of an object's credentials, or why it has none.
    pub(super) fn source(&self, object: &ZenlayerPort) -> Result<Source, String> {
        let namespace = object.metadata.namespace.clone().unwrap_or_default();
        match (&object.spec.credentials_ref, &self.own) {
            (Some(CredentialsRef { name }), _) => Ok(Source::Secret { namespace, name: name.clone() }),
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

    /// What the source holds: as last read, if that was not before `not_before` and less than a minute ago.
    pub(super) async fn held(&self, source: &Source, not_before: Option<Monotonic>) -> Held {
        let slot = Arc::clone(self.cache.lock().await.entry(source.clone()).or_default());
        // One read serves all who wait for it.
        let mut slot = slot.lock().await;
        let now = self.clock.monotonic();
        if let Some(cached) = slot.as_ref()
            && now.since(cached.read) < self.valid_for
            && not_before.is_none_or(|not_before| cached.read >= not_before)
        {
            return cached.held.clone();
        }
        let held = match self.read(source).await {
            Read::Found(held) => held,
            // Not to know is no reason to forget.
            Read::Unknown(why) => match slot.take() {
                Some(Cached { held: Ok(account), .. }) => {
                    tracing::warn!(
                        ?source,
                        why,
                        "credentials could not be read again; the known ones stay in use"
                    );
                    Ok(account)
                }
                _ => Err(why),
            },
        };
        *slot = Some(Cached { held: held.clone(), read: now });
        held
    }

    /// Reads all sources in `used` again that are due, drops the others, and returns those that hold something new.
    pub(super) async fn refresh(&self, used: &HashSet<Source>) -> Vec<Source> {
        let known: Vec<(Source, Option<Held>)> = {
            let mut cache = self.cache.lock().await;
            cache.retain(|source, _| used.contains(source));
            let mut known = Vec::with_capacity(cache.len());
            for (source, slot) in cache.iter() {
                known.push((source.clone(), slot.lock().await.as_ref().map(|cached| cached.held.clone())));
            }
            known
        };
        let mut changed = Vec::new();
        for (source, before) in known {
            let now = self.held(&source, Some(self.clock.monotonic())).await;
            if before.is_some_and(|before| !same(&before, &now)) {
                changed.push(source);
            }
        }
        changed
    }

    async fn read(&self, source: &Source) -> Read {
        match source {
            Source::Secret { namespace, name } => {
                let secrets: Api<Secret> = Api::namespaced(self.kubernetes.clone(), namespace);
                match secrets.get_opt(name).await {
                    Ok(Some(secret)) => {
                        let data = secret.data.unwrap_or_default();
                        let part = |key: &str| {
                            data.get(key).map(|value| String::from_utf8_lossy(&value.0).into_owned())
                        };
                        self.parse(&format!("Secret {namespace}/{name}"), part)
                    }
                    Ok(None) => Read::Found(Err(format!("Secret {namespace}/{name} does not exist."))),
                    Err(kube::Error::Api(status)) if status.is_forbidden() => Read::Found(Err(format!(
                        "The operator may not read Secret {namespace}/{name}: its RBAC lacks `get` on secrets there."
                    ))),
                    Err(error) => {
                        Read::Unknown(format!("Secret {namespace}/{name} could not be read: {error}."))
                    }
                }
            }
            Source::Own => {
                let Some(own) = &self.own else { return Read::Found(Err("There are none.".to_owned())) };
                let mut parts = HashMap::new();
                for key in [ACCESS_KEY_ID, ACCESS_KEY_PASSWORD, TOKEN] {
                    match read_file(&own.directory, key).await {
                        Ok(Some(value)) => drop(parts.insert(key, value)),
                        Ok(None) => {}
                        Err(error) => {
                            return Read::Unknown(format!(
                                "The operator's own credentials could not be read ({key}): {error}."
                            ));
                        }
                    }
                }
                self.parse("The operator's credentials directory", |key| parts.get(key).cloned())
            }
        }
    }

    fn parse(&self, place: &str, part: impl Fn(&str) -> Option<String>) -> Read {
        let too_long = [ACCESS_KEY_ID, ACCESS_KEY_PASSWORD, TOKEN]
            .into_iter()
            .find(|key| part(key).is_some_and(|value| value.len() > LONGEST));
        if let Some(key) = too_long {
            return Read::Found(Err(format!("{place}: {key} is longer than any credential.")));
        }
        let credential: Result<Credential, CredentialError> =
            match (part(ACCESS_KEY_ID), part(ACCESS_KEY_PASSWORD), part(TOKEN)) {
                (_, _, Some(token)) => Credential::token(&token),
                (Some(id), Some(password), None) => Credential::access_key(&id, &password),
                (None, _, None) | (_, None, None) => {
                    return Read::Found(Err(format!(
                        "{place} must hold {ACCESS_KEY_ID} and {ACCESS_KEY_PASSWORD}, or {TOKEN}."
                    )));
                }
            };
        Read::Found(match credential {
            Ok(credential) => Ok(self.accounts.of(credential)),
            Err(error) => Err(format!("{place}: {error}.")),
        })
    }
}

/// What reading a source gave.
enum Read {
    /// It was read: it holds a credential, or something that is none.
    Found(Held),
    /// It could not be read.
    Unknown(String),
}

fn same(before: &Held, now: &Held) -> bool {
    match (before, now) {
        (Ok(before), Ok(now)) => before.key == now.key,
        (Err(before), Err(now)) => before == now,
        _ => false,
    }
}

async fn read_file(directory: &Path, name: &str) -> io::Result<Option<String>> {
    let path = directory.join(name);
    let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path));
    match read.await.map_err(io::Error::other)? {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
