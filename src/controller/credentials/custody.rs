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
//! | nothing that is a credential, or nobody could tell since the start | the proved one, if it saw the port | nobody |
//! | nothing: the Secret is gone, its namespace is being deleted | the copy | the copy |
//! | nothing: the Secret is gone, its namespace stays | the copy | nobody |
//!
//! So a person who takes a credential away, or puts another account's in its place, stops what changes ports and not what
//! watches them. Once each port that the proved credential saw was shown to the new one, that is the proved one.

use std::collections::HashSet;
use std::sync::Arc;

use super::parts::Parts;
use crate::fingerprint::Fingerprint;
use crate::mirror::Account;

/// A credential as it was read, and what asks Zenlayer with it.
#[derive(Debug)]
pub(super) struct Held<R> {
    pub(super) account: Arc<Account<R>>,
    pub(super) parts: Parts,
}

/// What a source held when it was last read; where that is no credential, why, as a sentence.
#[derive(Debug)]
pub(super) enum Found<R> {
    Credential(Held<R>),
    /// It is there, and holds none.
    Unusable(String),
    /// The Secret is gone, or the right to read it is: a namespace that is being deleted loses both.
    Gone(String),
    /// It could not be read.
    Unknown(String),
}

/// A credential that has shown what it should, or was there first.
#[derive(Debug)]
pub(super) struct Proved<R> {
    pub(super) held: Held<R>,
    /// `metadata.uid` of the source's namespace, as far as known: another namespace of the same name has no part in it.
    pub(super) namespace: Option<String>,
    /// It is kept as a copy.
    pub(super) copied: bool,
}

/// An object, as far as it matters here.
#[derive(Clone, Debug)]
pub(in crate::controller) struct User {
    /// `metadata.uid`.
    pub(in crate::controller) uid: String,
    /// `status.identity.seenBy`.
    pub(in crate::controller) seen_by: Vec<Fingerprint>,
}

/// What a source has for one object.
#[derive(Debug)]
pub(super) enum Service<R> {
    /// It reads and signs.
    Full(Arc<Account<R>>),
    /// It reads; nobody signs.
    ReadOnly(Arc<Account<R>>, String),
    /// `old` goes on until `new` has been answered.
    Rotation {
        old: Arc<Account<R>>,
        new: Arc<Account<R>>,
    },
    /// The source is gone. What is left of it serves the namespace with that uid, and signs while that is being deleted.
    Copy {
        account: Arc<Account<R>>,
        namespace: Option<String>,
        why: String,
    },
    None(String),
}

/// The credentials of one source.
#[derive(Debug)]
pub(super) struct Custody<R> {
    found: Found<R>,
    proved: Option<Proved<R>>,
    /// The uids of objects whose ports the source's new credential was shown.
    shown: HashSet<String>,
    /// Not reported yet: the source holds something else than before.
    news: bool,
}

impl<R> Custody<R> {
    /// Takes over a copy that was kept, if there is one.
    pub(super) fn new(proved: Option<Proved<R>>) -> Self {
        let found = Found::Unknown("It has not been read yet.".to_owned());
        Self { found, proved, shown: HashSet::new(), news: false }
    }

    /// Takes in what was read. What could not be read is what it was.
    pub(super) fn take_in(&mut self, found: Found<R>) {
        if let (Found::Unknown(_), Found::Credential(_) | Found::Unusable(_) | Found::Gone(_)) =
            (&found, &self.found)
        {
            return;
        }
        let changed = !same(&self.found, &found);
        self.news |= changed;
        if changed {
            self.shown.clear();
        }
        self.found = found;
        if self.proved.is_none() {
            self.promote();
        }
    }

    /// Without copies, a source that is gone is gone for good.
    pub(super) fn forget_if_gone(&mut self) {
        if let Found::Gone(_) = self.found {
            self.proved = None;
        }
    }

    pub(super) fn serve(&self, user: &User) -> Service<R> {
        let Some(proved) = &self.proved else {
            return match &self.found {
                Found::Credential(held) => Service::Full(Arc::clone(&held.account)),
                Found::Unusable(why) | Found::Gone(why) | Found::Unknown(why) => Service::None(why.clone()),
            };
        };
        let old = Arc::clone(&proved.held.account);
        match (&self.found, self.candidate()) {
            (_, Some(new)) if self.waits(user) => Service::Rotation { old, new: Arc::clone(new) },
            (_, Some(new)) => Service::Full(Arc::clone(new)),
            (Found::Credential(_), None) => Service::Full(old),
            (Found::Unusable(why) | Found::Unknown(why), None) if user.seen_by.contains(&old.fingerprint) => {
                Service::ReadOnly(old, why.clone())
            }
            (Found::Unusable(why) | Found::Unknown(why), None) => Service::None(why.clone()),
            (Found::Gone(why), None) => {
                Service::Copy { account: old, namespace: proved.namespace.clone(), why: why.clone() }
            }
        }
    }

    /// The new credential was shown the port of this object.
    pub(super) fn shown(&mut self, new: &Account<R>, user: &User) {
        if self.candidate().is_some_and(|candidate| candidate.key == new.key) {
            self.shown.insert(user.uid.clone());
        }
    }

    /// Zenlayer answers 401 to this credential. If it is the proved one and there is another, that takes its place.
    pub(super) fn rejected(&mut self, account: &Account<R>) {
        let proved = self.proved.as_ref().map(|proved| proved.held.account.key);
        if proved == Some(account.key) && self.candidate().is_some() {
            self.promote();
        }
    }

    /// Lets the new credential take over if none of the source's objects waits for it to be shown a port.
    pub(super) fn settle(&mut self, users: &[User]) {
        self.shown.retain(|uid| users.iter().any(|user| user.uid == *uid));
        if self.candidate().is_some() && !users.iter().any(|user| self.waits(user)) {
            self.promote();
        }
    }

    /// The proved credential, if it is still to be kept as a copy. Once the Secret is gone it is too late: the namespace may
    /// be another by now.
    pub(super) fn uncopied(&mut self) -> Option<&mut Proved<R>> {
        let gone = matches!(self.found, Found::Gone(_));
        self.proved.as_mut().filter(|proved| !proved.copied && !gone)
    }

    /// Whether there is news, the first time after it came.
    pub(super) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// What the source holds instead of the proved credential.
    fn candidate(&self) -> Option<&Arc<Account<R>>> {
        match (&self.found, &self.proved) {
            (Found::Credential(new), Some(proved)) if new.account.key != proved.held.account.key => {
                Some(&new.account)
            }
            _ => None,
        }
    }

    /// The proved credential saw the port of this object, and the new one was not shown it yet.
    fn waits(&self, user: &User) -> bool {
        let saw = |proved: &Proved<R>| user.seen_by.contains(&proved.held.account.fingerprint);
        self.proved.as_ref().is_some_and(saw) && !self.shown.contains(&user.uid)
    }

    fn promote(&mut self) {
        if let Found::Credential(new) = &self.found {
            let held = Held { account: Arc::clone(&new.account), parts: new.parts.clone() };
            self.proved = Some(Proved { held, namespace: None, copied: false });
            self.shown.clear();
        }
    }
}

fn same<R>(before: &Found<R>, now: &Found<R>) -> bool {
    match (before, now) {
        (Found::Credential(before), Found::Credential(now)) => before.account.key == now.account.key,
        (Found::Unusable(before), Found::Unusable(now))
        | (Found::Gone(before), Found::Gone(now))
        | (Found::Unknown(before), Found::Unknown(now)) => before == now,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::AccountKey;

    /// `K1` is the key id K with the password 1.
    fn found(credential: &str) -> Found<()> {
        match credential {
            "gone" => Found::Gone("gone".to_owned()),
            "unusable" => Found::Unusable("unusable".to_owned()),
            "unknown" => Found::Unknown("unknown".to_owned()),
            _ => Found::Credential(held(credential)),
        }
    }

    fn held(credential: &str) -> Held<()> {
        let mut key = [0; 32];
        key[..2].copy_from_slice(credential.as_bytes());
        let account = Account {
            key: AccountKey::new(key),
            fingerprint: Fingerprint::new(&credential[..1]),
            reader: Arc::new(()),
        };
        Held { account: Arc::new(account), parts: Parts::default() }
    }

    fn user(uid: &str, seen_by: &[&str]) -> User {
        User { uid: uid.to_owned(), seen_by: seen_by.iter().map(|by| Fingerprint::new(*by)).collect() }
    }

    fn holding(found_in_turn: &[&str]) -> Custody<()> {
        let mut custody = Custody::new(None);
        for one in found_in_turn {
            custody.take_in(found(one));
        }
        custody
    }

    fn is(account: &Account<()>, credential: &str) -> bool {
        account.key == held(credential).account.key
    }

    #[track_caller]
    fn assert_serves(custody: &Custody<()>, user: &User, expected: &str) {
        let name = |account: &Account<()>| {
            ["A1", "A2", "B1", "C1"].into_iter().find(|credential| is(account, credential)).expect("known")
        };
        let actual = match custody.serve(user) {
            Service::Full(account) => format!("{} signs", name(&account)),
            Service::ReadOnly(account, why) => format!("{} reads, {why}", name(&account)),
            Service::Rotation { old, new } => format!("{} until {}", name(&old), name(&new)),
            Service::Copy { account, why, .. } => format!("copy of {}, {why}", name(&account)),
            Service::None(why) => why,
        };
        assert_eq!(actual, expected, "{custody:#?}");
    }

    #[test]
    fn the_first_credential_is_taken_as_it_is() {
        let mut custody = holding(&["gone"]);
        assert_serves(&custody, &user("1", &[]), "gone");
        custody.take_in(found("A1"));
        assert_serves(&custody, &user("1", &[]), "A1 signs");
        assert!(custody.take_news() && !custody.take_news(), "news is told once");
    }

    #[test]
    fn a_new_credential_serves_each_object_whose_port_it_was_shown_and_takes_over_with_the_last() {
        let mut custody = holding(&["A1", "B1"]);
        let (first, second, fresh) = (user("1", &["A"]), user("2", &["A"]), user("3", &[]));
        assert_serves(&custody, &first, "A1 until B1");
        assert_serves(&custody, &fresh, "B1 signs");
        custody.shown(&held("B1").account, &first);
        assert_serves(&custody, &first, "B1 signs");
        custody.settle(&[first.clone(), second.clone(), fresh]);
        assert_serves(&custody, &second, "A1 until B1");
        custody.settle(std::slice::from_ref(&first));
        assert_serves(&custody, &second, "B1 signs");
        assert!(
            custody.uncopied().is_some_and(|proved| is(&proved.held.account, "B1")),
            "it is to be copied"
        );
    }

    #[test]
    fn a_new_password_of_the_same_key_id_has_to_prove_itself_too() {
        let mut custody = holding(&["A1", "A2"]);
        let object = user("1", &["A"]);
        assert_serves(&custody, &object, "A1 until A2");
        custody.shown(&held("A2").account, &object);
        assert_serves(&custody, &object, "A2 signs");
    }

    #[test]
    fn what_one_credential_was_shown_is_nothing_to_the_next() {
        let mut custody = holding(&["A1", "B1"]);
        let object = user("1", &["A"]);
        custody.take_in(found("C1"));
        custody.shown(&held("B1").account, &object);
        assert_serves(&custody, &object, "A1 until C1");
    }

    #[test]
    fn the_former_credential_put_back_serves_at_once() {
        assert_serves(&holding(&["A1", "B1", "A1"]), &user("1", &["A"]), "A1 signs");
    }

    #[test]
    fn a_rejected_credential_gives_way_to_a_new_one_and_only_that() {
        let object = user("1", &["A"]);
        let mut custody = holding(&["A1", "B1"]);
        custody.rejected(&held("C1").account);
        assert_serves(&custody, &object, "A1 until B1");
        custody.rejected(&held("A1").account);
        assert_serves(&custody, &object, "B1 signs");
        custody.rejected(&held("B1").account);
        assert_serves(&custody, &object, "B1 signs");
    }

    #[test]
    fn a_source_without_a_credential_reads_on_for_the_objects_that_the_former_one_saw() {
        let (theirs, of_another) = (user("1", &["A"]), user("2", &[]));
        assert_serves(&holding(&["A1", "unusable"]), &theirs, "A1 reads, unusable");
        assert_serves(&holding(&["A1", "unusable"]), &of_another, "unusable");
        assert_serves(&holding(&["A1", "gone"]), &theirs, "copy of A1, gone");
        assert_serves(&holding(&["A1", "gone"]), &of_another, "copy of A1, gone");
        let mut custody = holding(&["A1", "gone"]);
        custody.forget_if_gone();
        assert_serves(&custody, &user("1", &["A"]), "gone");
    }

    #[test]
    fn what_could_not_be_read_is_what_it_was() {
        assert_serves(&holding(&["A1", "unknown"]), &user("1", &["A"]), "A1 signs");
        assert_serves(&holding(&["A1", "gone", "unknown"]), &user("1", &["A"]), "copy of A1, gone");
        let copy = Proved { held: held("A1"), namespace: None, copied: true };
        let mut custody = Custody::new(Some(copy));
        custody.take_in(found("unknown"));
        assert_serves(&custody, &user("1", &["A"]), "A1 reads, unknown");
        assert_serves(&custody, &user("2", &[]), "unknown");
    }
}
