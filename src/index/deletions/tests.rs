//! Whatever is deleted, goes and comes: too many at once are seen to be too many.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use super::*;
use crate::answer::{NotSentCause, Refusal, RefusalKind};
use crate::api::{
    APPROVE_ANNOTATION, Call, CallAction, CallOutcome, DeletionPolicy, FINALIZER, PortIdentity, Release,
    ZenlayerPortSpec, ZenlayerPortStatus,
};
use crate::port::PortId;

const WINDOW: Duration = Duration::from_mins(10);
const THRESHOLD: u32 = 20;
const A_KEY: &str = "aaaa";

fn deletions() -> Deletions {
    Deletions::new(WINDOW, THRESHOLD as usize + 1)
}

fn at(second: u64) -> Monotonic {
    Monotonic::from_start(Duration::from_secs(second))
}

fn secret(name: &str) -> Source {
    Source::Secret { namespace: "team-a".to_owned(), name: name.to_owned() }
}

/// An object that is being deleted, whose port was seen by `key`.
fn deleted(name: &str, key: Option<&str>) -> ZenlayerPort {
    let spec = ZenlayerPortSpec {
        port_id: PortId::new("port-1"),
        deletion_policy: DeletionPolicy::Destroy,
        deletion_protection: false,
        credentials_ref: None,
    };
    let mut object = ZenlayerPort::new(name, spec);
    object.metadata.namespace = Some("team-a".to_owned());
    object.metadata.uid = Some(format!("{name}-uid-0000"));
    object.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    object.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    let seen_by = |key: &str| PortIdentity { created_time: None, seen_by: vec![Fingerprint::new(key)] };
    object.status = Some(ZenlayerPortStatus { identity: key.map(seen_by), ..ZenlayerPortStatus::default() });
    object
}

fn called(mut object: ZenlayerPort, action: CallAction, outcome: CallOutcome) -> ZenlayerPort {
    let call = Call {
        action,
        attempt: 1,
        requested_time: Time(Timestamp::UNIX_EPOCH),
        port_status_before: "RECYCLED".to_owned(),
        credential: Fingerprint::new(A_KEY),
        landed: false,
        settled: false,
        without_effect: false,
        outcome,
    };
    let uid = object.metadata.uid.clone().unwrap_or_default();
    object.status.get_or_insert_default().release =
        Some(Release { uid, call: Some(call), ..Release::default() });
    object
}

fn refusal() -> Refusal {
    Refusal { kind: RefusalKind::Other, code: "NO".to_owned(), message: String::new(), request_id: None }
}

fn destroyed(object: ZenlayerPort) -> ZenlayerPort {
    called(object, CallAction::DestroyPort, CallOutcome::Pending {})
}

/// So many objects of one key are deleted, each with a Secret of its own.
fn many(deletions: &Deletions, count: u32, now: Monotonic) -> Vec<ZenlayerPort> {
    let objects: Vec<_> = (0..count).map(|number| deleted(&format!("edge-{number}"), Some(A_KEY))).collect();
    for object in &objects {
        deletions.put(object, Some(&secret(object.metadata.name.as_deref().unwrap_or_default())), now);
    }
    objects
}

fn count(deletions: &Deletions, object: &ZenlayerPort, now: Monotonic) -> u32 {
    deletions.at_once(object, None, None, now)
}

#[test]
fn a_deletion_that_waits_counts_however_long_it_waits_and_whatever_the_clocks_say() {
    let deletions = deletions();
    let hours_ago = many(&deletions, THRESHOLD, at(0));
    let mut newer = deleted("newer", Some(A_KEY));
    for half_an_hour_off in [-1800, 1800, 24 * 3600] {
        newer.metadata.deletion_timestamp = Timestamp::from_second(half_an_hour_off).ok().map(Time);
        deletions.put(&newer, Some(&secret("newer")), at(20_000));
        for object in hours_ago.iter().chain([&newer]) {
            assert_eq!(count(&deletions, object, at(20_000)), THRESHOLD + 1, "{:?}", object.metadata.name);
        }
    }
}

#[test]
fn of_a_hundred_thousand_deletions_at_once_none_is_let_through() {
    let deletions = deletions();
    let objects = many(&deletions, 100_000, at(0));
    let newer = deleted("newer", Some(A_KEY));
    deletions.put(&newer, None, at(3600));
    let asked = objects.iter().step_by(100).chain([&newer]);
    assert!(asked.into_iter().all(|object| count(&deletions, object, at(3600)) > THRESHOLD));
    for object in &objects {
        deletions.remove(&Reference::of(object), at(3601));
    }
    assert!(count(&deletions, &newer, at(3602)) > THRESHOLD, "those that went a second ago count");
    assert_eq!(count(&deletions, &newer, at(3601 + 600)), 1, "the others went ten minutes ago");
    let known = deletions.lock(at(3601 + 600));
    assert_eq!(
        (known.deletions.len(), known.groups.len(), known.ended.len()),
        (1, 1, 0),
        "nothing is left over"
    );
}

#[test]
fn a_deletion_counts_for_ten_minutes_after_its_call_was_sent_or_its_object_went() {
    let deletions = deletions();
    let objects = many(&deletions, 3, at(0));
    deletions.put(&destroyed(objects[1].clone()), None, at(100));
    deletions.remove(&Reference::of(&objects[2]), at(200));
    assert_eq!(count(&deletions, &objects[0], at(699)), 3);
    deletions.remove(&Reference::of(&objects[1]), at(650));
    assert_eq!(count(&deletions, &objects[0], at(700)), 2, "the call counts from when it was sent");
    assert_eq!(count(&deletions, &objects[0], at(800)), 1);
}

#[test]
fn a_call_that_this_process_finds_already_sent_counts_for_ten_minutes_from_then() {
    let deletions = deletions();
    let (waiting, sent) = (deleted("waiting", Some(A_KEY)), destroyed(deleted("sent", Some(A_KEY))));
    deletions.put(&sent, None, at(50));
    deletions.put(&waiting, None, at(50));
    deletions.put(&sent, None, at(500));
    assert_eq!(count(&deletions, &waiting, at(649)), 2);
    assert_eq!(count(&deletions, &waiting, at(650)), 1);
    deletions.put(&sent, None, at(700));
    assert_eq!(count(&deletions, &waiting, at(700)), 1, "it has counted once");
}

#[test]
fn a_call_that_changed_nothing_leaves_the_deletion_waiting() {
    let deletions = deletions();
    let objects = many(&deletions, 2, at(0));
    let not_sent = CallOutcome::NotSent { cause: NotSentCause::NoConnection, why: String::new() };
    for (second, object) in [
        (1, destroyed(objects[1].clone())),
        (2, called(objects[1].clone(), CallAction::DestroyPort, not_sent)),
        (3, called(objects[1].clone(), CallAction::TerminatePort, CallOutcome::Pending {})),
    ] {
        deletions.put(&object, None, at(second));
        assert_eq!(count(&deletions, &objects[0], at(second)), 2, "{:?}", object.status);
    }
    assert_eq!(count(&deletions, &objects[0], at(5000)), 2);
}

#[test]
fn what_is_retained_or_approved_does_not_count() {
    let deletions = deletions();
    let objects = many(&deletions, 2, at(0));
    let mut retained = objects[1].clone();
    retained.spec.deletion_policy = DeletionPolicy::Retain;
    let mut approved = objects[1].clone();
    approved.metadata.annotations =
        Some([(APPROVE_ANNOTATION.to_owned(), "MassDeletion-edge-1-u".to_owned())].into());
    for exempt in [retained, approved] {
        deletions.put(&exempt, None, at(1));
        assert_eq!(count(&deletions, &objects[0], at(1)), 1);
        deletions.put(&objects[1], None, at(2));
        assert_eq!(count(&deletions, &objects[0], at(2)), 2);
    }
}

#[test]
fn objects_with_one_secret_count_together_before_it_was_ever_read() {
    let deletions = deletions();
    let (first, second, other) = (deleted("first", None), deleted("second", None), deleted("other", None));
    for (object, source) in [(&first, "shared"), (&second, "shared"), (&other, "another")] {
        deletions.put(object, Some(&secret(source)), at(0));
    }
    assert_eq!(deletions.at_once(&first, Some(&secret("shared")), None, at(0)), 2);
    assert_eq!(deletions.at_once(&other, Some(&secret("another")), None, at(0)), 1);
}

#[test]
fn a_stranger_who_names_anothers_key_counts_for_nobody_but_himself() {
    let deletions = deletions();
    let own = deleted("own", Some(A_KEY));
    deletions.put(&own, Some(&secret("own")), at(0));
    for number in 0..=THRESHOLD {
        // No reading by the key with a wrong password ever shows a port.
        let strangers = deleted(&format!("strangers-{number}"), None);
        deletions.put(&strangers, Some(&secret("strangers")), at(0));
        deletions.remove(&Reference::of(&strangers), at(0));
    }
    assert_eq!(deletions.at_once(&own, Some(&secret("own")), Some(&Fingerprint::new(A_KEY)), at(1)), 1);
}

#[test]
fn a_port_that_was_seen_a_moment_ago_counts_with_those_of_the_key_before_its_status_says_so() {
    let deletions = deletions();
    many(&deletions, THRESHOLD, at(0));
    let new = deleted("new", None);
    deletions.put(&new, None, at(0));
    assert_eq!(deletions.at_once(&new, None, None, at(0)), 1);
    assert_eq!(deletions.at_once(&new, None, Some(&Fingerprint::new(A_KEY)), at(0)), THRESHOLD + 1);
}

#[test]
fn all_are_woken_once_when_they_become_too_many() {
    let deletions = deletions();
    let objects = many(&deletions, THRESHOLD, at(0));
    let one_more = deleted("one-more", Some(A_KEY));
    let woken: BTreeSet<_> = deletions.put(&one_more, None, at(1)).into_iter().collect();
    let all = objects.iter().chain([&one_more]).map(Reference::of).collect();
    assert_eq!(woken, all);
    assert!(deletions.put(&one_more, None, at(2)).is_empty(), "nothing has changed");
    assert!(deletions.put(&deleted("another", Some(A_KEY)), None, at(2)).is_empty(), "they know already");
}

/// What may happen to one of a few objects.
#[derive(Clone, Copy, Debug)]
enum Step {
    Show(usize, Shown),
    Remove(usize),
    Pass(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Living,
    Due,
    Called,
    Refused,
    Retained,
    Stripped,
}

const OBJECTS: usize = 8;

/// Two Secrets and two keys, in every combination, and some whose port nobody has seen.
fn of(object: usize) -> (Source, Option<&'static str>) {
    (secret(["one", "two"][object % 2]), [Some("aaaa"), None, Some("bbbb")][object / 2 % 3])
}

fn shown(number: usize, shown: Shown) -> ZenlayerPort {
    let mut object = deleted(&number.to_string(), of(number).1);
    match shown {
        Shown::Living => object.metadata.deletion_timestamp = None,
        Shown::Due => {}
        Shown::Called => object = destroyed(object),
        Shown::Refused => {
            object = called(object, CallAction::DestroyPort, CallOutcome::Refused(refusal()));
        }
        Shown::Retained => object.spec.deletion_policy = DeletionPolicy::Retain,
        Shown::Stripped => object.metadata.finalizers = None,
    }
    object
}

fn step() -> impl Strategy<Value = Step> {
    use Shown::{Called, Due, Living, Refused, Retained, Stripped};
    let shown = prop::sample::select(&[Living, Due, Due, Called, Refused, Retained, Stripped]);
    prop_oneof![
        6 => (0..OBJECTS, shown).prop_map(|(object, shown)| Step::Show(object, shown)),
        2 => (0..OBJECTS).prop_map(Step::Remove),
        2 => prop::sample::select(&[1, 299, 300, 600]).prop_map(Step::Pass),
    ]
}

proptest! {
    /// Told a second time, from all that has happened: whoever waits counts, and whoever has stopped to wait counts on.
    #[test]
    fn it_counts_who_waits_and_who_has_waited_within_the_window(steps in prop::collection::vec(step(), 0..80)) {
        let deletions = Deletions::new(WINDOW, OBJECTS * 100);
        let mut now = 0;
        let mut there: BTreeMap<usize, Shown> = BTreeMap::new();
        // Of each deletion that has ended: the object's number, and when it ended.
        let mut ended: Vec<(usize, u64)> = Vec::new();
        for step in steps {
            match step {
                Step::Pass(seconds) => now += seconds,
                Step::Show(object, word) => {
                    deletions.put(&shown(object, word), Some(&of(object).0), at(now));
                    let before = there.insert(object, word);
                    let waited = matches!(before, Some(Shown::Due | Shown::Refused));
                    match word {
                        Shown::Called if before != Some(Shown::Called) => ended.push((object, now)),
                        Shown::Stripped if waited && of(object).1.is_some() => ended.push((object, now)),
                        // It waits again, or is exempt: an earlier end of this deletion no longer counts.
                        Shown::Due | Shown::Refused | Shown::Living | Shown::Retained
                            if before == Some(Shown::Called) => {
                            let last = ended.iter().rposition(|(of, _)| *of == object).expect("it was called");
                            ended.remove(last);
                        }
                        _ => {}
                    }
                }
                Step::Remove(object) => {
                    deletions.remove(&Reference::of(&shown(object, Shown::Due)), at(now));
                    let waited = matches!(there.remove(&object), Some(Shown::Due | Shown::Refused));
                    if waited && of(object).1.is_some() {
                        ended.push((object, now));
                    }
                }
            }
            for object in there.keys().copied().filter(|object| there[object] == Shown::Due) {
                let together = |other: &usize| {
                    of(*other).0 == of(object).0 || of(object).1.is_some() && of(*other).1 == of(object).1
                };
                let waiting = there.iter().filter(|(other, word)| {
                    **other != object && matches!(word, Shown::Due | Shown::Refused) && together(other)
                });
                let recent = ended.iter().filter(|(other, end)| now - end < 600 && together(other));
                let expected = 1 + waiting.count() + recent.count();
                let counted = deletions.at_once(&shown(object, Shown::Due), Some(&of(object).0), None, at(now));
                prop_assert_eq!(counted as usize, expected, "of {}", object);
            }
        }
        // Nothing of a deletion stays once it has ended and its object is gone.
        let known: BTreeSet<_> = there.keys().copied().collect();
        for object in known {
            deletions.remove(&Reference::of(&shown(object, Shown::Due)), at(now));
        }
        let left = deletions.lock(at(now + 600));
        prop_assert!(left.deletions.is_empty() && left.groups.is_empty() && left.ended.is_empty(), "{left:?}");
    }
}
