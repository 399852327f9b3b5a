//! Which of a source's credentials serves an object: the one that has proved itself, or what the source holds by now.
//!
//! The first credential that a source holds is taken as it is. When it is replaced, object by object:
//!
//! | the source holds | who reads the object's port | who signs its calls |
//! |---|---|---|
//! | the proved credential | that | that |
//! | a new one; the proved one never saw the port | the new one | the new one |
//! | a new one, which has not been answered yet (a second, as a rule) | the proved one | the proved one |
//! | a new one, which was shown the port | the new one | the new one |
//! | a new one, which was answered without the port, or not well | the proved one | nobody |
//! | a new one, and Zenlayer answers 401 to the proved one | the new one | the new one |
//! | nothing that is a credential | the last one that served the object, if it saw the port | nobody |
//! | nobody could tell since the start: the API server does not answer | the same | nobody, for now |
//! | nothing: the Secret is gone, its namespace is being deleted | the copy | the copy |
//! | nothing: the Secret is gone; it was there when the object's deletion began, or less than a minute before | the copy | the copy |
//! | nothing: the Secret is gone, and was before that; or the object is not deleted | the copy | nobody |
//! | nobody may read the Secret, and its namespace is being deleted | the copy | the copy |
//! | nobody may read the Secret, and its namespace stays | the copy | nobody |
//! | the Secret is gone, or may not be read, and the namespace is another than the copy was made for | nobody | nobody |
//!
//! So a person who takes a credential away before the object is deleted, or puts another account's in its place, stops what
//! changes ports and not what watches them. A Secret that goes together with its object, or after it, stops nothing. Once each
//! port that the proved credential saw was shown to the new one, that is the proved one. Until then the copy holds both, and
//! serves each object by the one that served it last.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::copies::Copy;
use super::parts::Parts;
use crate::clock::Monotonic;
use crate::fingerprint::Fingerprint;
use crate::mirror::Account;

/// A credential as it was read, and what asks Zenlayer with it.
#[derive(Debug)]
pub(super) struct Held<R> {
    pub(super) account: Arc<Account<R>>,
    pub(super) parts: Parts,
}

impl<R> Clone for Held<R> {
    fn clone(&self) -> Self {
        Self { account: Arc::clone(&self.account), parts: self.parts.clone() }
    }
}

/// What a source held when it was last read; where that is no credential, why, as a sentence.
#[derive(Debug)]
pub(super) enum Found<R> {
    Credential(Held<R>),
    /// It is there, and holds none.
    Unusable(String),
    /// The Secret is gone.
    Gone(String),
    /// The operator may not read it. A namespace that is being deleted loses its Roles, too.
    Forbidden(String),
    /// It could not be read.
    Unknown(String),
}

/// The credentials of a source that do not need it any more.
#[derive(Debug)]
pub(super) struct Kept<R> {
    /// The one that has shown what it should, or was there first.
    pub(super) proved: Held<R>,
    /// The one that the source held after it, as far as it has not taken over for all objects.
    pub(super) next: Option<Held<R>>,
    /// `metadata.uid` of the source's namespace, as far as known: another namespace of the same name has no part in them.
    pub(super) namespace: Option<String>,
}

/// An object, as far as it matters here.
#[derive(Clone, Debug, Default)]
pub struct User {
    /// `metadata.uid`.
    pub uid: String,
    /// `status.identity.seenBy`.
    pub seen_by: Vec<Fingerprint>,
    /// Since when this process has known that the object is being deleted.
    pub deletion_known_since: Option<Monotonic>,
    /// `status.release.credentialsSeen`.
    pub credentials_seen: bool,
}

/// What a source has for one object.
#[derive(Debug)]
pub(super) enum Service<R> {
    /// It reads and signs.
    Full(Arc<Account<R>>),
    /// It reads; nobody signs.
    ReadOnly(Arc<Account<R>>, String),
    /// `current` goes on until `candidate` has been answered.
    Rotation {
        current: Arc<Account<R>>,
        candidate: Arc<Account<R>>,
    },
    /// The source is gone. What is left of it serves the namespace with that uid, and signs while that is being deleted.
    Copy {
        account: Arc<Account<R>>,
        namespace: Option<String>,
        why: String,
        /// It signs in a namespace that stays, too: the Secret went with the object, or after it.
        signs: bool,
    },
    /// The source has not been read yet; what is left of it reads, if there is anything. Why, as a sentence.
    Unread(Option<Arc<Account<R>>>, String),
    None(String),
}

/// The credentials of one source.
#[derive(Debug)]
pub(super) struct Custody<R> {
    found: Found<R>,
    kept: Option<Kept<R>>,
    /// When the source was last seen to hold a credential.
    held_at: Option<Monotonic>,
    /// The uids of objects whose ports the source's new credential was shown.
    shown: BTreeSet<String>,
    /// Not reported yet: the source holds something else than before.
    news: bool,
}

impl<R> Custody<R> {
    /// Takes over a copy that was kept, if there is one.
    pub(super) fn new(kept: Option<Kept<R>>) -> Self {
        let found = Found::Unknown("The operator has not read the credentials yet.".to_owned());
        Self { found, kept, held_at: None, shown: BTreeSet::new(), news: false }
    }

    /// Takes in what was read at that time. What could not be read is what it was.
    pub(super) fn take_in(&mut self, found: Found<R>, at: Monotonic) {
        if let (
            Found::Unknown(_),
            Found::Credential(_) | Found::Unusable(_) | Found::Gone(_) | Found::Forbidden(_),
        ) = (&found, &self.found)
        {
            return;
        }
        if matches!(found, Found::Credential(_)) {
            self.held_at = Some(at);
        }
        let changed = !same(&self.found, &found);
        self.news |= changed;
        if changed {
            self.shown.clear();
        }
        let replaced = self.candidate().cloned();
        self.found = found;
        if self.kept.is_none() {
            self.promote();
        }
        if let Some(kept) = &mut self.kept {
            match &self.found {
                Found::Credential(new) => {
                    kept.next = (new.account.key != kept.proved.account.key).then(|| new.clone());
                }
                Found::Unusable(_) | Found::Gone(_) | Found::Forbidden(_) | Found::Unknown(_) => {
                    kept.next = replaced.or(kept.next.take());
                }
            }
        }
    }

    /// Without copies, a source that is gone is gone for good.
    pub(super) fn forget_if_gone(&mut self) {
        if let Found::Gone(_) | Found::Forbidden(_) = self.found {
            self.kept = None;
        }
    }

    /// The namespace of the source has this uid: what was kept for an earlier one of the same name is nothing to it, but for a
    /// credential that is in its own Secret, too.
    pub(super) fn bind(&mut self, uid: &str) {
        let Some(kept) = &mut self.kept else { return };
        if !matches!(self.found, Found::Credential(_)) || kept.namespace.as_deref() == Some(uid) {
            return;
        }
        let is_of_another = kept.namespace.is_some();
        kept.namespace = Some(uid.to_owned());
        if is_of_another {
            self.promote();
        }
    }

    /// What the copy of the source must hold; none while the source does not show it, as the namespace may be another by now.
    pub(super) fn to_keep(&self) -> Option<Copy> {
        let kept = self.kept.as_ref().filter(|_| matches!(self.found, Found::Credential(_)))?;
        Some(Copy {
            proved: kept.proved.parts.clone(),
            next: kept.next.as_ref().map(|next| next.parts.clone()),
            namespace: kept.namespace.clone(),
        })
    }

    /// A source that is gone was there when the object's deletion began if it was seen at most `together` before.
    pub(super) fn serve(&self, user: &User, together: Duration) -> Service<R> {
        let Some(kept) = &self.kept else {
            return match &self.found {
                Found::Credential(held) => Service::Full(Arc::clone(&held.account)),
                Found::Unknown(why) => Service::Unread(None, why.clone()),
                Found::Unusable(why) | Found::Gone(why) | Found::Forbidden(why) => Service::None(why.clone()),
            };
        };
        let left = Arc::clone(kept.serves(user));
        let has_seen = user.seen_by.contains(&left.fingerprint);
        match (&self.found, self.candidate()) {
            (_, Some(new)) if self.waits(user) => Service::Rotation {
                current: Arc::clone(&kept.proved.account),
                candidate: Arc::clone(&new.account),
            },
            (Found::Credential(held), _) => Service::Full(Arc::clone(&held.account)),
            (Found::Unusable(why), _) if has_seen => Service::ReadOnly(left, why.clone()),
            (Found::Unusable(why), _) => Service::None(why.clone()),
            (Found::Unknown(why), _) => Service::Unread(has_seen.then_some(left), why.clone()),
            (Found::Gone(why) | Found::Forbidden(why), _) => Service::Copy {
                account: left,
                namespace: kept.namespace.clone(),
                why: why.clone(),
                signs: matches!(self.found, Found::Gone(_)) && self.went_with(user, together),
            },
        }
    }

    /// The source was there when the object's deletion began, or shortly before.
    fn went_with(&self, user: &User, together: Duration) -> bool {
        let shortly_before = self
            .held_at
            .zip(user.deletion_known_since)
            .is_some_and(|(held_at, known)| known <= held_at + together);
        user.credentials_seen || shortly_before
    }

    /// The new credential was shown the port of this object.
    pub(super) fn shown(&mut self, new: &Account<R>, user: &User) {
        if self.candidate().is_some_and(|candidate| candidate.account.key == new.key) {
            self.shown.insert(user.uid.clone());
        }
    }

    /// Zenlayer answers 401 to this credential. If there is another, that takes its place.
    pub(super) fn rejected(&mut self, account: &Account<R>) {
        let Some(kept) = &mut self.kept else { return };
        if kept.proved.account.key == account.key {
            if let Some(next) = kept.next.take() {
                kept.proved = next;
                self.shown.clear();
            }
        } else if !matches!(self.found, Found::Credential(_)) {
            kept.next.take_if(|next| next.account.key == account.key);
        }
    }

    /// Lets the new credential take over if none of the source's objects waits for it to be shown a port.
    pub(super) fn settle(&mut self, users: &[User]) {
        let uids: BTreeSet<&str> = users.iter().map(|user| user.uid.as_str()).collect();
        self.shown.retain(|uid| uids.contains(uid.as_str()));
        if self.candidate().is_some() && !users.iter().any(|user| self.waits(user)) {
            self.promote();
        }
    }

    pub(super) fn mark_news(&mut self) {
        self.news = true;
    }

    /// Whether there is news, the first time after it came.
    pub(super) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// What the source holds instead of the proved credential.
    fn candidate(&self) -> Option<&Held<R>> {
        match (&self.found, &self.kept) {
            (Found::Credential(new), Some(kept)) if new.account.key != kept.proved.account.key => Some(new),
            _ => None,
        }
    }

    /// The proved credential saw the port of this object, and the new one was not shown it yet.
    fn waits(&self, user: &User) -> bool {
        let saw = |kept: &Kept<R>| user.seen_by.contains(&kept.proved.account.fingerprint);
        self.kept.as_ref().is_some_and(saw) && !self.shown.contains(&user.uid)
    }

    fn promote(&mut self) {
        if let Found::Credential(new) = &self.found {
            let namespace = self.kept.take().and_then(|kept| kept.namespace);
            self.kept = Some(Kept { proved: new.clone(), next: None, namespace });
            self.shown.clear();
        }
    }
}

impl<R> Kept<R> {
    /// What served the object last, as far as its status tells.
    fn serves(&self, user: &User) -> &Arc<Account<R>> {
        let saw = |held: &&Held<R>| user.seen_by.contains(&held.account.fingerprint);
        let next = self.next.as_ref().filter(|next| saw(next) || !saw(&&self.proved));
        &next.unwrap_or(&self.proved).account
    }
}

fn same<R>(before: &Found<R>, now: &Found<R>) -> bool {
    match (before, now) {
        (Found::Credential(before), Found::Credential(now)) => before.account.key == now.account.key,
        (Found::Unusable(before), Found::Unusable(now))
        | (Found::Gone(before), Found::Gone(now))
        | (Found::Forbidden(before), Found::Forbidden(now))
        | (Found::Unknown(before), Found::Unknown(now)) => before == now,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
