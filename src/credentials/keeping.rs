//! Keeps the copies what they must be: compared with what the Secret and its namespace are now, on first use, after each change
//! and on each refresh.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};

use super::copies::Copy;
use super::custody::Custody;
use super::namespaces::NamespaceState;
use super::setbacks::Failure;
use super::{Cached, Credentials, REFRESHED_AT_ONCE, Source, User};

/// What the copies of a refresh are compared with, read at once for all of them.
pub struct Snapshot {
    copies: BTreeMap<Source, Copy>,
    namespaces: BTreeMap<String, NamespaceState>,
}

impl Credentials {
    /// The copies as they are, and the namespaces of all sources in use; none if no copies are kept, or they could not be listed.
    pub async fn snapshot(&self, users: &BTreeMap<Source, Vec<User>>) -> Option<Snapshot> {
        let copies = match self.copies.as_ref()?.list().await {
            Ok(copies) => copies,
            Err(failure) => {
                tracing::warn!(
                    why = failure.why(),
                    "cannot check the copies of Secrets; the operator tries again"
                );
                return None;
            }
        };
        let namespaces: BTreeSet<String> = users
            .keys()
            .filter_map(|source| match source {
                Source::Secret { namespace, .. } => Some(namespace.clone()),
                Source::Own => None,
            })
            .collect();
        let looks = stream::iter(namespaces).map(async |namespace| {
            let state = self.namespaces.look(&namespace).await;
            (namespace, state)
        });
        Some(Snapshot { copies, namespaces: looks.buffer_unordered(REFRESHED_AT_ONCE).collect().await })
    }

    /// Makes the copy of the source what it must be, unless it is known to be that.
    pub(super) async fn keep(&self, source: &Source, cached: &mut Cached, snapshot: Option<&Snapshot>) {
        let (Some(_), Source::Secret { namespace, .. }) = (&self.copies, source) else { return };
        let now = self.clock.monotonic();
        let Some(wanted) = cached.custody.as_ref().and_then(Custody::to_keep) else { return };
        let is_known = cached.copy.as_ref() == Some(&wanted);
        if snapshot.is_none() && (is_known || !cached.keeping.is_due(now, self.valid_for)) {
            return;
        }
        let state = match snapshot.and_then(|snapshot| snapshot.namespaces.get(namespace)) {
            Some(state) => state.clone(),
            None => Box::pin(self.namespaces.look(namespace)).await,
        };
        let changed = match Box::pin(self.keep_in(source, cached, state, snapshot)).await {
            Ok(()) => cached.keeping.end(),
            Err(failure) => {
                tracing::warn!(
                    ?source,
                    why = failure.why(),
                    "cannot keep a copy of a Secret that is in use; the operator tries again"
                );
                cached.keeping.failed(failure, now)
            }
        };
        if changed && let Some(custody) = &mut cached.custody {
            custody.mark_news();
        }
    }

    async fn keep_in(
        &self,
        source: &Source,
        cached: &mut Cached,
        state: NamespaceState,
        snapshot: Option<&Snapshot>,
    ) -> Result<(), Failure> {
        let (Some(copies), Source::Secret { namespace, name }, Some(custody)) =
            (&self.copies, source, &mut cached.custody)
        else {
            return Ok(());
        };
        match state {
            NamespaceState::There { uid: Some(uid), .. } => custody.bind(&uid),
            NamespaceState::There { uid: None, .. } | NamespaceState::NotGranted => {}
            NamespaceState::Unknown(cause) => {
                return Err(Failure::Unanswered(format!(
                    "The operator did not copy Secret {namespace}/{name}, because it could not read namespace \
                     {namespace}: {cause}."
                )));
            }
        }
        let Some(wanted) = custody.to_keep() else { return Ok(()) };
        let there = match snapshot {
            Some(snapshot) => snapshot.copies.get(source).cloned(),
            None => copies.get(namespace, name).await?,
        };
        if there.as_ref() != Some(&wanted) {
            cached.copy = None;
            copies.put(namespace, name, &wanted).await?;
        }
        cached.copy = Some(wanted);
        Ok(())
    }

    /// Deletes the copies of what is in use neither by `users` nor, by now, by anybody else.
    pub async fn drop_copies(
        &self,
        snapshot: &Snapshot,
        users: &BTreeMap<Source, Vec<User>>,
        may_be_used: impl Fn(&Source) -> bool,
    ) {
        let Some(copies) = &self.copies else { return };
        for source in snapshot.copies.keys().filter(|source| !users.contains_key(source)) {
            let Source::Secret { namespace, name } = source else { continue };
            let entry = self.entry(source).await;
            let mut entry = entry.lock().await;
            // A reconcile that held the entry before has an object, and may rely on the copy; one that comes later makes it again.
            if may_be_used(source) {
                continue;
            }
            *entry = Cached::default();
            match copies.delete(namespace, name).await {
                Ok(()) => {
                    tracing::info!(?source, "deleted the copy of a Secret that no object uses any more");
                }
                Err(failure) => {
                    tracing::warn!(
                        ?source,
                        why = failure.why(),
                        "cannot delete the copy of a Secret that no object uses any more; the operator tries again"
                    );
                }
            }
        }
    }
}
