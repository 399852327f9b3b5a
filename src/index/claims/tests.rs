//! Who claims a port, from the first moment on; and who is told of a change.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::super::{Change, IndexSettings, Received, ShownBy};
use super::*;
use crate::answer::{Refusal, Unreadable};
use crate::api::{
    APPROVE_ANNOTATION, CredentialsRef, DeletionPolicy, FINALIZER, ObservedPort, PortIdentity,
    ZenlayerPortSpec, ZenlayerPortStatus,
};
use crate::clock::Now;
use crate::credentials::Sources;
use crate::decision::{
    Attachments, Context, CrdState, CredentialState, GateSettings, Input, Listing, Timing, Turn, decide,
};
use crate::fingerprint::Fingerprint;
use crate::port::{PortId, PortInfo, PortStatus};
use crate::reading::{Failure, Reading};

const PATIENCE: Duration = Duration::from_secs(70);
const KEY: AccountKey = AccountKey::new([1; 32]);
const ANOTHER_KEY: AccountKey = AccountKey::new([2; 32]);
const CREATED: &str = "2025-11-05T08:00:00Z";

fn at(second: u64) -> Monotonic {
    Monotonic::from_start(Duration::from_secs(second))
}

fn object(name: &str, port: &str, uid: &str) -> ZenlayerPort {
    let spec = ZenlayerPortSpec {
        port_id: PortId::new(port),
        deletion_policy: DeletionPolicy::Destroy,
        deletion_protection: false,
        credentials_ref: Some(CredentialsRef { name: format!("of-{name}") }),
    };
    let mut object = ZenlayerPort::new(name, spec);
    object.metadata.namespace = Some("default".to_owned());
    object.metadata.uid = Some(uid.to_owned());
    object.metadata.creation_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    object.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    object
}

fn deleted(mut object: ZenlayerPort) -> ZenlayerPort {
    object.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    object
}

fn owning(mut object: ZenlayerPort, created_time: &str) -> ZenlayerPort {
    let identity =
        PortIdentity { created_time: Some(created_time.to_owned()), seen_by: vec![Fingerprint::new("a")] };
    object.status = Some(ZenlayerPortStatus { identity: Some(identity), ..ZenlayerPortStatus::default() });
    object
}

fn port() -> PortInfo {
    PortInfo {
        port_id: PortId::new("port-1"),
        port_status: PortStatus::Running,
        port_name: None,
        port_type: None,
        dc_id: None,
        dc_name: None,
        connection_status: None,
        port_charge_type: None,
        created_time: Some(CREATED.to_owned()),
        expired_time: None,
    }
}

fn evidence(presence: Option<Presence>, failure: Option<Unreadable>) -> Evidence {
    Evidence {
        by: Fingerprint::new("a"),
        good: presence.map(|presence| Reading { presence, at: at(100), since: at(100) }),
        failure: failure.map(|why| Failure { why, since: at(0), at: at(100) }),
        absences: None,
        waiting_since: at(0),
        interval: None,
    }
}

fn seen() -> Evidence {
    evidence(Some(Presence::Seen(port())), None)
}

/// An index with its objects.
struct World(Index);

impl World {
    fn of(objects: &[&ZenlayerPort]) -> Self {
        let settings = IndexSettings { patience: PATIENCE, window: PATIENCE, most_deletions: 21 };
        let sources = Arc::new(Sources::new(None, "zenlayer-system".to_owned()));
        let world = Self(Index::new(sources, settings, [None], at(0)));
        for object in objects {
            world.put(object, at(0));
        }
        world
    }

    fn put(&self, object: &ZenlayerPort, now: Monotonic) -> Change {
        self.0.put(Received(Ok(object.clone())), ShownBy::Watch, now)
    }

    /// Puts it, and returns the others who are woken.
    fn others(&self, object: &ZenlayerPort, now: Monotonic) -> Vec<String> {
        let woken = self.put(object, now).woken;
        names(woken.iter().filter(|woken| **woken != Reference::of(object)))
    }

    fn get(&self, name: &str) -> Option<Arc<ZenlayerPort>> {
        self.0.newest(&Reference::of(&object(name, "", ""))).map(|known| Arc::clone(known.object()))
    }

    fn claims(&self, object: &ZenlayerPort, account: Option<AccountKey>, now: Monotonic) -> Vec<Claim> {
        self.0.claims(object, account, now)
    }

    /// What the claim of the only other object rests on.
    fn basis(&self, object: &ZenlayerPort, now: Monotonic) -> ClaimBasis {
        let claims = self.claims(object, Some(KEY), now);
        assert_eq!(claims.len(), 1, "{claims:?}");
        claims[0].basis.clone()
    }
}

fn names<'a>(references: impl IntoIterator<Item = &'a Reference>) -> Vec<String> {
    references.into_iter().map(|reference| reference.name().to_owned()).collect()
}

fn references(objects: &[&ZenlayerPort]) -> Vec<Reference> {
    objects.iter().map(|&object| Reference::of(object)).collect()
}

#[test]
fn objects_of_one_port_know_each_other_until_one_goes() {
    let (a, b, c) = (object("a", "port-1", "1"), object("b", "port-1", "2"), object("c", "port-2", "3"));
    let world = World::of(&[&a, &b, &c]);
    let names = |object| world.claims(object, None, at(0)).into_iter().map(|it| it.name).collect::<Vec<_>>();
    assert_eq!(names(&a), ["b"]);
    assert_eq!(names(&c), [""; 0]);
    assert_eq!(
        world.0.remove(&Reference::of(&b), at(0)).woken,
        references(&[&a]),
        "the one that stays is told"
    );
    assert_eq!(names(&a), [""; 0]);
}

#[test]
fn an_object_created_anew_under_the_same_name_replaces_the_one_that_is_gone() {
    let world = World::of(&[&object("a", "port-1", "1")]);
    assert_eq!(world.put(&object("a", "port-1", "1"), at(1)), Change::default(), "the same object again");
    let new = object("a", "port-2", "2");
    assert_eq!(world.put(&new, at(1)).ended, Some(Reference::of(&new)));
}

/// A port is handed over: another object of another Secret is made for it, and this one is deleted in the same moment.
#[test]
fn a_claim_is_waited_for_until_the_other_object_has_looked() {
    let (old, new) = (deleted(owning(object("old", "port-1", "1"), CREATED)), object("new", "port-1", "2"));
    let world = World::of(&[&old, &new]);
    let not_known = ClaimBasis::NotKnown { until: at(0) + PATIENCE };
    assert_eq!(world.basis(&old, at(0)), not_known, "its Secret is not read");
    assert_eq!(world.0.looked(&new, None, None), [], "there is no news");
    assert_eq!(world.basis(&old, at(5)), not_known, "its Secret could not be read");
    assert_eq!(world.0.looked(&new, Some(KEY), None), references(&[&old]), "its Secret is read");
    assert_eq!(world.basis(&old, at(6)), ClaimBasis::SameCredential);
    world.0.looked(&new, Some(ANOTHER_KEY), None);
    assert_eq!(world.basis(&old, at(6)), not_known, "another key may see the port, too");
    assert_eq!(world.0.looked(&new, Some(ANOTHER_KEY), Some(&seen())), references(&[&old]));
    assert_eq!(world.basis(&old, at(7)), ClaimBasis::Saw { created_time: Some(CREATED.to_owned()) });
}

/// A person gives both objects of a port the one that has its id now, and deletes one of them.
#[test]
fn who_may_adopt_another_port_claims_it_before_its_status_says_so() {
    const EARLIER: &str = "2024-01-01T00:00:00Z";
    let (going, mut staying) = (
        deleted(owning(object("going", "port-1", "11111111"), EARLIER)),
        owning(object("staying", "port-1", "22222222"), EARLIER),
    );
    let mut status = staying.status.take().unwrap_or_default();
    status.port = Some(ObservedPort::from(&port()));
    staying.status = Some(status.clone());
    let world = World::of(&[&going, &staying]);
    let claimed = |created: &str| ClaimBasis::Saw { created_time: Some(created.to_owned()) };
    assert_eq!(world.basis(&going, at(0)), claimed(EARLIER));
    let consent = staying.approval_of(Reason::IdentityChanged, &status);
    staying.metadata.annotations = Some([(APPROVE_ANNOTATION.to_owned(), consent)].into());
    assert_eq!(world.others(&staying, at(1)), ["going"], "it is news to the other");
    assert_eq!(world.basis(&going, at(1)), claimed(CREATED));
}

#[test]
fn two_secrets_with_one_key_see_each_other() {
    let (one, other) = (object("one", "port-1", "1"), object("other", "port-1", "2"));
    let world = World::of(&[&one, &other]);
    world.0.looked(&other, Some(KEY), Some(&evidence(Some(Presence::Absent), None)));
    assert_eq!(world.basis(&one, at(0)), ClaimBasis::SameCredential);
}

#[test]
fn only_an_answer_of_the_others_own_account_says_that_it_claims_nothing() {
    let (one, other) = (object("one", "port-1", "1"), object("other", "port-1", "2"));
    let world = World::of(&[&one, &other]);
    let refused = |kind| {
        Unreadable::Refused(Refusal {
            kind,
            code: "CODE".to_owned(),
            message: String::new(),
            request_id: None,
        })
    };
    for (evidence, is_known) in [
        (evidence(Some(Presence::Absent), None), true),
        (evidence(None, Some(refused(RefusalKind::NotFound))), true),
        (evidence(None, Some(refused(RefusalKind::Unauthorized))), true),
        (evidence(None, Some(refused(RefusalKind::PermissionDenied))), true),
        (evidence(None, Some(refused(RefusalKind::Throttled))), false),
        (evidence(None, Some(refused(RefusalKind::ClockSkew))), false),
        (evidence(None, Some(refused(RefusalKind::Other))), false),
        (evidence(None, Some(Unreadable::Unavailable("a timeout".to_owned()))), false),
        (evidence(None, Some(Unreadable::NotAsked("Zenlayer asked for a pause".to_owned()))), false),
        (evidence(None, None), false),
    ] {
        world.0.looked(&other, Some(ANOTHER_KEY), Some(&evidence));
        assert_eq!(world.basis(&one, at(0)) == ClaimBasis::None, is_known, "{evidence:?}");
    }
}

#[test]
fn one_tenant_makes_another_wait_for_a_minute_at_most_however_many_objects_it_makes() {
    let own = deleted(owning(object("own", "port-1", "1"), CREATED));
    let world = World::of(&[&own]);
    let (mut waited, mut second) = (true, 0);
    while waited && second < 600 {
        second += 10;
        world.put(&object("hostile", "port-1", &second.to_string()), at(second));
        waited = match world.basis(&own, at(second)) {
            ClaimBasis::NotKnown { until } => until > at(second),
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(at(second).since(at(10)), PATIENCE);
    world.0.remove(&Reference::of(&object("hostile", "port-1", "")), at(700));
    assert_eq!(world.claims(&own, Some(KEY), at(700)), []);
    world.put(&object("successor", "port-1", "s"), at(700));
    let waits_anew = ClaimBasis::NotKnown { until: at(700) + PATIENCE };
    assert_eq!(world.basis(&own, at(700)), waits_anew, "nobody has kept it waiting in between");
}

#[test]
fn others_are_told_of_what_they_decide_upon_and_of_nothing_else() {
    let (one, other) = (object("one", "port-1", "1"), object("other", "port-1", "2"));
    let world = World::of(&[&one, &other]);
    let changed = |change: &dyn Fn(&mut ZenlayerPort)| {
        let mut object = other.clone();
        change(&mut object);
        object
    };
    for (object, is_news) in [
        (changed(&|it| it.metadata.annotations = Some([("a".to_owned(), "b".to_owned())].into())), false),
        (changed(&|it| it.spec.deletion_policy = DeletionPolicy::Retain), false),
        (changed(&|it| it.status.get_or_insert_default().observed_generation = Some(7)), false),
        (deleted(other.clone()), true),
        (owning(other.clone(), CREATED), true),
        (changed(&|it| it.spec.credentials_ref = None), true),
        (changed(&|it| it.metadata.uid = Some("3".to_owned())), true),
    ] {
        world.put(&other, at(0));
        assert_eq!(!world.others(&object, at(0)).is_empty(), is_news, "{object:?}");
    }
}

#[test]
fn nothing_is_left_of_an_object_that_waited_and_went() {
    let own = deleted(owning(object("own", "port-1", "1"), CREATED));
    let world = World::of(&[&own, &object("other", "port-1", "2")]);
    world.basis(&own, at(0));
    world.0.remove(&Reference::of(&own), at(0));
    world.basis(&own, at(0));
    let left = world.0.lock().objects.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&left), ["other"], "a reconcile that outlives its object leaves nothing behind");
}

/// Decides about each object that is woken, and writes what differs, until nobody is woken any more; returns the number of
/// writes.
fn writes_after(world: &World, woken: impl IntoIterator<Item = String>) -> usize {
    let mut woken: BTreeSet<String> = woken.into_iter().collect();
    let mut writes = 0;
    while let Some(name) = woken.pop_first() {
        let Some(object) = world.get(&name) else { continue };
        woken.extend(names(&world.0.looked(&object, Some(KEY), Some(&seen()))));
        let status = decide(&Input {
            object: &object,
            evidence: Some(&seen()),
            context: &Context {
                credential: CredentialState::Usable(Fingerprint::new("a")),
                claims: world.claims(&object, Some(KEY), at(100)),
                same_account: Vec::new(),
                deletions_at_once: 1,
                listing: Listing::Complete,
                crd: CrdState::NotGranted,
                attachments: Attachments::Unknown,
                gates: GateSettings::default(),
                deletion_known_since: object.is_terminating().then_some(at(0)),
                call_known_since: None,
                learnt: None,
                turn: Turn::Free,
                not_copied: None,
            },
            timing: &Timing::default(),
            now: Now { wall: Timestamp::UNIX_EPOCH, monotonic: at(100) },
        })
        .status(&object);
        if object.status.as_ref() != Some(&status) {
            writes += 1;
            assert!(writes < 1000, "they wake each other for ever: {:#?}\n{:#?}", object.status, status);
            let written = ZenlayerPort { status: Some(status), ..(*object).clone() };
            woken.extend(world.others(&written, at(100)));
        }
    }
    writes
}

#[test]
fn one_edit_of_thirty_objects_on_one_port_costs_thirty_writes_at_most() {
    let all: Vec<String> = (0..30).map(|number| format!("edge-{number:02}")).collect();
    let objects: Vec<ZenlayerPort> = all.iter().map(|name| object(name, "port-1", name)).collect();
    let world = World::of(&objects.iter().collect::<Vec<_>>());
    writes_after(&world, all.clone());
    assert_eq!(writes_after(&world, all.clone()), 0, "they have come to rest");
    for (what, name, edit) in [
        (
            "a policy",
            "edge-07",
            &(|it: &mut ZenlayerPort| it.spec.deletion_policy = DeletionPolicy::Terminate) as &dyn Fn(&mut _),
        ),
        ("a deletion", "edge-00", &|it: &mut ZenlayerPort| it.clone_from(&deleted(it.clone()))),
        ("a Secret", "edge-29", &|it: &mut ZenlayerPort| it.spec.credentials_ref = None),
    ] {
        let mut edited = (*world.get(name).expect("it is there")).clone();
        edit(&mut edited);
        edited.metadata.generation = Some(2);
        let woken = names(&world.put(&edited, at(100)).woken);
        let writes = writes_after(&world, woken);
        assert!((1..=30).contains(&writes), "{what}: {writes} writes");
    }
}
