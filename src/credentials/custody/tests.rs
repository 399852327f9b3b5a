//! Who reads and who signs, row by row of the table.

use super::*;
use crate::mirror::AccountKey;

const TOGETHER: Duration = Duration::from_mins(1);

fn at(seconds: u64) -> Monotonic {
    Monotonic::from_start(Duration::from_secs(seconds))
}

/// `K1` is the key id K with the password 1.
fn found(credential: &str) -> Found<()> {
    match credential {
        "gone" => Found::Gone("gone".to_owned()),
        "forbidden" => Found::Forbidden("forbidden".to_owned()),
        "unusable" => Found::Unusable("unusable".to_owned()),
        "unknown" => Found::Unknown("unknown".to_owned()),
        _ => Found::Credential(held(credential)),
    }
}

fn held(credential: &str) -> Held<()> {
    let mut key = [0; 32];
    key[..2].copy_from_slice(credential.as_bytes());
    let account = Account::new(AccountKey::new(key), Fingerprint::new(&credential[..1]), Arc::new(()));
    Held { account: Arc::new(account), parts: Parts::token(credential) }
}

fn user(uid: &str, seen_by: &[&str]) -> User {
    let seen_by = seen_by.iter().map(|by| Fingerprint::new(*by)).collect();
    User { uid: uid.to_owned(), seen_by, ..User::default() }
}

/// An object of a port that `A` has seen, and whose deletion this process has known since then.
fn deleted(known_since: u64) -> User {
    User { deletion_known_since: Some(at(known_since)), ..user("1", &["A"]) }
}

/// Read every minute from the start.
fn holding(found_in_turn: &[&str]) -> Custody<()> {
    let mut custody = Custody::new(None);
    for (minute, one) in (0..).zip(found_in_turn) {
        custody.take_in(found(one), at(60 * minute));
    }
    custody
}

/// Another process kept this copy of namespace `uid-1`.
fn copied(proved: &str, next: Option<&str>) -> Custody<()> {
    Custody::new(Some(Kept {
        proved: held(proved),
        next: next.map(held),
        namespace: Some("uid-1".to_owned()),
    }))
}

fn copy(proved: &str, next: Option<&str>, namespace: Option<&str>) -> Copy {
    Copy {
        proved: Parts::token(proved),
        next: next.map(Parts::token),
        namespace: namespace.map(str::to_owned),
    }
}

#[track_caller]
fn assert_serves(custody: &Custody<()>, user: &User, expected: &str) {
    let name = |account: &Account<()>| {
        let is = |credential: &&str| account.key == held(credential).account.key;
        ["A1", "A2", "B1", "C1"].into_iter().find(is).expect("known")
    };
    let actual = match custody.serve(user, TOGETHER) {
        Service::Full(account) => format!("{} signs", name(&account)),
        Service::ReadOnly(account, why) => format!("{} reads, {why}", name(&account)),
        Service::Rotation { current, candidate } => format!("{} until {}", name(&current), name(&candidate)),
        Service::Copy { account, why, signs: false, .. } => format!("copy of {}, {why}", name(&account)),
        Service::Copy { account, why, signs: true, .. } => format!("copy of {} signs, {why}", name(&account)),
        Service::Unread(Some(account), why) => format!("{} reads for now, {why}", name(&account)),
        Service::Unread(None, why) => format!("{why} for now"),
        Service::None(why) => why,
    };
    assert_eq!(actual, expected, "{custody:#?}");
}

#[test]
fn the_first_credential_is_taken_as_it_is() {
    let mut custody = holding(&["gone"]);
    assert_serves(&custody, &user("1", &[]), "gone");
    custody.take_in(found("A1"), at(60));
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
    assert_eq!(custody.to_keep(), Some(copy("A1", Some("B1"), None)), "both are in use");
    custody.settle(std::slice::from_ref(&first));
    assert_serves(&custody, &second, "B1 signs");
    assert_eq!(custody.to_keep(), Some(copy("B1", None, None)));
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
    custody.take_in(found("C1"), at(120));
    custody.shown(&held("B1").account, &object);
    assert_serves(&custody, &object, "A1 until C1");
}

#[test]
fn the_former_credential_put_back_serves_at_once() {
    assert_serves(&holding(&["A1", "B1", "A1"]), &user("1", &["A"]), "A1 signs");
    assert_eq!(holding(&["A1", "B1", "A1"]).to_keep(), Some(copy("A1", None, None)));
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
    for gone in ["gone", "forbidden"] {
        let mut custody = holding(&["A1", gone]);
        assert_serves(&custody, &theirs, &format!("copy of A1, {gone}"));
        assert_serves(&custody, &of_another, &format!("copy of A1, {gone}"));
        custody.forget_if_gone();
        assert_serves(&custody, &theirs, gone);
    }
}

#[test]
fn a_secret_that_goes_with_its_object_or_after_it_stops_nothing() {
    // Seen for the last time at 60 s.
    let custody = holding(&["A1", "A1", "gone"]);
    for known_since in [0, 60, 61, 119, 120] {
        assert_serves(&custody, &deleted(known_since), "copy of A1 signs, gone");
    }
}

#[test]
fn a_secret_that_was_gone_before_its_object_was_deleted_is_a_brake() {
    assert_serves(&holding(&["A1", "A1", "gone"]), &deleted(121), "copy of A1, gone");
    assert_serves(&holding(&["A1", "unusable", "unusable", "gone"]), &deleted(181), "copy of A1, gone");
    // Seen for the last time by another process: nobody knows when.
    let mut custody = copied("A1", None);
    custody.take_in(found("gone"), at(0));
    assert_serves(&custody, &deleted(0), "copy of A1, gone");
}

#[test]
fn a_release_under_way_goes_on_without_its_secret_over_a_restart() {
    let mut custody = copied("A1", None);
    custody.take_in(found("gone"), at(0));
    let under_way = User { credentials_seen: true, ..deleted(0) };
    assert_serves(&custody, &under_way, "copy of A1 signs, gone");
    custody.take_in(found("forbidden"), at(60));
    assert_serves(&custody, &under_way, "copy of A1, forbidden");
}

#[test]
fn a_secret_that_goes_in_the_middle_of_a_rotation_leaves_both_credentials() {
    let (waits, shown, fresh) = (user("1", &["A"]), user("2", &["A", "B"]), user("3", &[]));
    let mut after_a_restart = copied("A1", Some("B1"));
    after_a_restart.take_in(found("gone"), at(0));
    for custody in [holding(&["A1", "B1", "gone"]), after_a_restart] {
        assert_serves(&custody, &waits, "copy of A1, gone");
        assert_serves(&custody, &shown, "copy of B1, gone");
        assert_serves(&custody, &fresh, "copy of B1, gone");
    }
    let mut custody = holding(&["A1", "B1", "gone"]);
    custody.rejected(&held("B1").account);
    assert_serves(&custody, &shown, "copy of A1, gone");
    let mut custody = holding(&["A1", "B1", "gone"]);
    custody.rejected(&held("A1").account);
    assert_serves(&custody, &waits, "copy of B1, gone");
}

#[test]
fn what_could_not_be_read_is_what_it_was() {
    assert_serves(&holding(&["A1", "unknown"]), &user("1", &["A"]), "A1 signs");
    assert_serves(&holding(&["A1", "gone", "unknown"]), &user("1", &["A"]), "copy of A1, gone");
}

#[test]
fn what_could_not_be_read_since_the_start_is_a_matter_of_time() {
    assert_serves(&holding(&["unknown"]), &user("1", &["A"]), "unknown for now");
    let mut custody = copied("A1", None);
    custody.take_in(found("unknown"), at(0));
    assert_serves(&custody, &user("1", &["A"]), "A1 reads for now, unknown");
    assert_serves(&custody, &user("2", &[]), "unknown for now");
}

#[test]
fn a_copy_is_of_the_namespace_that_its_secret_is_in_now() {
    // The namespace was deleted and made again, with the same Secret in it.
    let mut custody = copied("A1", None);
    custody.take_in(found("A1"), at(0));
    custody.bind("uid-2");
    assert_eq!(custody.to_keep(), Some(copy("A1", None, Some("uid-2"))));

    // With another: the credential of the namespace that is gone serves nobody.
    let mut custody = copied("A1", None);
    custody.take_in(found("B1"), at(0));
    custody.bind("uid-2");
    assert_serves(&custody, &user("1", &["A"]), "B1 signs");
    assert_eq!(custody.to_keep(), Some(copy("B1", None, Some("uid-2"))));

    // The same namespace: a rotation.
    let mut custody = copied("A1", None);
    custody.take_in(found("B1"), at(0));
    custody.bind("uid-1");
    assert_serves(&custody, &user("1", &["A"]), "A1 until B1");
    assert_eq!(custody.to_keep(), Some(copy("A1", Some("B1"), Some("uid-1"))));
}

#[test]
fn nothing_is_kept_of_a_secret_that_is_not_there() {
    for found_now in ["gone", "forbidden", "unusable", "unknown"] {
        let mut custody = copied("A1", None);
        custody.take_in(found(found_now), at(0));
        custody.bind("uid-2");
        assert_eq!(custody.to_keep(), None, "{found_now}: the copy stays as it is");
    }
    let mut custody = copied("A1", None);
    custody.take_in(found("gone"), at(0));
    custody.bind("uid-2");
    let Service::Copy { namespace, .. } = custody.serve(&user("1", &["A"]), TOGETHER) else {
        panic!("{custody:#?}")
    };
    assert_eq!(namespace.as_deref(), Some("uid-1"), "the new namespace has no part in it");
}
