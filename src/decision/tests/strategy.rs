//! Every situation that the decision may meet, drawn so that none is too rare to be tried: the few values at which rows
//! change (ages, counts, times) come up often.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::scenario::*;
use crate::api::{
    APPROVE_ANNOTATION, Call, CallAction, DeletionPolicy, FINALIZER, ObservedPort, PortIdentity, Reason,
    Release, ZenlayerPortStatus,
};
use crate::clock::Monotonic;
use crate::decision::{
    Attachments, Claim, ClaimBasis, Context, CrdState, CredentialState, GateSettings, Lack, Listing, Setback,
    Turn,
};
use crate::fingerprint::Fingerprint;
use crate::port::{PortInfo, PortStatus};
use crate::reading::{Absences, Evidence, Failure, Presence, Reading, Unreadable};

pub(super) fn scenario() -> impl Strategy<Value = Scenario> {
    (object(), context(), weighted(0.95, evidence())).prop_map(|(scenario, context, evidence)| {
        scenario.with(|it| {
            // Evidence is that of the object's own credential.
            it.evidence = evidence.map(|evidence| match &context.credential {
                CredentialState::Usable(by) | CredentialState::ReadOnly { fingerprint: by, .. } => {
                    Evidence { by: by.clone(), ..evidence }
                }
                CredentialState::Unavailable(_) => evidence,
            });
            it.context = context;
        })
    })
}

fn object() -> impl Strategy<Value = Scenario> {
    let finalizers = prop_oneof![
        8 => Just(vec![FINALIZER]),
        1 => Just(vec!["example.com/backup", FINALIZER]),
        1 => Just(vec!["example.com/backup"]),
        1 => Just(vec![]),
    ];
    let facts = (
        weighted(0.8, Just(time(HOUR))),
        weighted(0.95, Just(UID)),
        weighted(0.9, ago()),
        weighted(0.1, Just(())),
        annotations(),
    );
    (facts, policy(), finalizers, weighted(0.8, status())).prop_map(|(facts, policy, finalizers, status)| {
        let (deletion, uid, age, protection, annotations) = facts;
        Scenario::living().with(|it| {
            let metadata = &mut it.object.metadata;
            metadata.deletion_timestamp = deletion;
            metadata.uid = uid.map(str::to_owned);
            metadata.annotations = annotations;
            metadata.creation_timestamp = age.map(|age| Time(wall() - age));
            metadata.finalizers = Some(finalizers.into_iter().map(str::to_owned).collect());
            it.object.spec.deletion_policy = policy;
            it.object.spec.deletion_protection = protection.is_some();
            it.object.status = status;
        })
    })
}

fn policy() -> impl Strategy<Value = DeletionPolicy> {
    use DeletionPolicy::{Destroy, Retain, Terminate, TerminateAndDestroy};
    prop_oneof![4 => Just(Destroy), 4 => Just(TerminateAndDestroy), 3 => Just(Terminate), 1 => Just(Retain)]
}

fn status() -> impl Strategy<Value = ZenlayerPortStatus> {
    let seen = of(port_status().prop_map(|status| ObservedPort::from(&port(status))));
    let shown = of((select(Reason::ALL), ago()).prop_map(|(reason, ago)| ready(reason, ago.as_secs())));
    (seen, of(identity()), of(release()), shown).prop_map(|(port, identity, release, shown)| {
        ZenlayerPortStatus {
            observed_generation: shown.is_some().then_some(GENERATION - 1),
            port,
            identity,
            release,
            conditions: shown.into_iter().collect(),
        }
    })
}

fn identity() -> impl Strategy<Value = PortIdentity> {
    let keys = vec![key(KEY), key(OTHER_KEY), key("1"), key("2")];
    (created_time(), subsequence(keys, 0..=4))
        .prop_map(|(created_time, seen_by)| PortIdentity { created_time, seen_by })
}

fn release() -> impl Strategy<Value = Release> {
    let uid = prop_oneof![9 => Just(UID), 1 => Just(OTHER_UID)];
    let rarely = || proptest::bool::weighted(0.1);
    let restorations = prop_oneof![8 => Just(0), 1 => Just(1), 1 => Just(2)];
    (uid, any::<bool>(), restorations, (rarely(), rarely()), rarely(), of(call())).prop_map(
        |(uid, seen_recycled, restorations, (latched, crd_deleted), destroy_accepted, call)| Release {
            uid: uid.to_owned(),
            seen_recycled,
            restorations,
            latched,
            crd_deleted,
            destroy_accepted,
            credentials_seen: seen_recycled,
            call,
        },
    )
}

fn call() -> impl Strategy<Value = Call> {
    let action = select(&[CallAction::TerminatePort, CallAction::DestroyPort]);
    let attempt = select(&[1, 2, 5, 99, i64::MAX]);
    let codes = &[
        "REQUEST_LIMIT_EXCEEDED",
        "AUTHFAILURE_SIGNATURE_EXPIRED",
        "AUTHFAILURE_X",
        "INVALID_PORT_NOT_FOUND",
        "OTHER",
    ];
    let outcome = prop_oneof![
        Just(pending()),
        Just(unclear()),
        Just(accepted()),
        Just(not_sent()),
        select(codes).prop_map(refused),
    ];
    let rarely = || proptest::bool::weighted(0.2);
    let ago = select(&[1, HOUR, 30 * HOUR]);
    (action, attempt, (rarely(), rarely(), rarely()), ago, outcome).prop_map(
        |(action, attempt, (landed, settled, without_effect), ago, outcome)| Call {
            action,
            attempt,
            requested_time: time(ago),
            port_status_before: "RECYCLED".to_owned(),
            credential: key(KEY),
            landed,
            settled: settled && action == CallAction::TerminatePort,
            without_effect: without_effect && action == CallAction::TerminatePort && !landed,
            outcome,
        },
    )
}

fn context() -> impl Strategy<Value = Context> {
    let credential = prop_oneof![
        8 => Just(CredentialState::Usable(key(KEY))),
        2 => Just(CredentialState::Usable(key(OTHER_KEY))),
        1 => Just(CredentialState::ReadOnly {
            fingerprint: key(KEY),
            why: "Secret team-a/keys was deleted.".into(),
        }),
        1 => Just(CredentialState::Unavailable("Secret team-a/keys does not exist.".into())),
        1 => lack().prop_map(CredentialState::Unavailable),
        1 => lack().prop_map(|why| CredentialState::ReadOnly { fingerprint: key(KEY), why }),
    ];
    let claims = prop_oneof![3 => Just(vec![]), 1 => vec(other_claim(), 1..3)];
    let same_account =
        prop_oneof![3 => Just(vec![]), 1 => select(&[KEY, "1"]).prop_map(|one| vec![key(one)])];
    let known = (weighted(0.9, moment()), weighted(0.9, moment()));
    let credential = (credential, weighted(0.2, lack()));
    let turn = prop_oneof![
        4 => Just(Turn::Free),
        1 => Just(Turn::BehindOthers),
        1 => Just(Turn::Paused("Zenlayer asked for a pause".to_owned())),
    ];
    let known = (known, turn);
    (credential, claims, same_account, (around_the_port(), listing()), known).prop_map(
        |(
            (credential, not_copied),
            claims,
            same_account,
            ((mass, required, crd, attachments), listing),
            ((deletion, call), turn),
        )| Context {
            credential,
            not_copied,
            claims,
            same_account,
            deletions_at_once: if mass { 21 } else { 20 },
            listing,
            crd,
            attachments,
            gates: GateSettings { mass_deletion_threshold: NonZeroU32::new(20), require_approval: required },
            deletion_known_since: deletion,
            call_known_since: call,
            learnt: None,
            turn,
        },
    )
}

/// What a person must see to, or what the API server did not tell.
fn lack() -> impl Strategy<Value = Lack> {
    let unread = moment().prop_map(|since| {
        Lack::Unread(Setback {
            why: "Secret team-a/keys could not be read.".to_owned(),
            since,
            again_in: seconds(1),
        })
    });
    prop_oneof![Just(Lack::from("The copy of Secret team-a/keys could not be written.")), unread]
}

fn listing() -> impl Strategy<Value = Listing> {
    prop_oneof![
        18 => Just(Listing::Complete),
        1 => moment().prop_map(|since| Listing::UnderWay { since }),
        1 => moment().prop_map(|since| Listing::Behind { since }),
    ]
}

/// Too many deletions at once, consent required, the CRD's state, what uses the port.
fn around_the_port() -> impl Strategy<Value = (bool, bool, CrdState, Attachments)> {
    let rarely = || proptest::bool::weighted(0.1);
    let crd = prop_oneof![
        8 => Just(CrdState::Stays { created: time(48 * HOUR).0 }),
        // The object was deleted an hour ago.
        1 => select(&[HOUR - 1, HOUR, HOUR + 1]).prop_map(|ago| CrdState::Stays { created: time(ago).0 }),
        2 => Just(CrdState::NotGranted),
        1 => Just(CrdState::Terminating),
        1 => Just(CrdState::Unknown("a timeout".to_owned())),
    ];
    let attachments = prop_oneof![
        2 => Just(Attachments::Unknown),
        1 => Just(Attachments::Known(vec![])),
        1 => Just(Attachments::Known(vec!["private connect connect-1".to_owned()])),
    ];
    (rarely(), rarely(), crd, attachments)
}

/// Mostly none; else some that count and some that look like it.
fn annotations() -> impl Strategy<Value = Option<BTreeMap<String, String>>> {
    let approvable = Reason::ALL.iter().copied().filter(|reason| reason.is_approvable());
    let consents = approvable.flat_map(|reason| [consent(reason, 1), consent(reason, 2)]);
    let others = ["MassDeletion-7d1b2c4f", "ApprovalRequired", "RestoredElsewhere-5f0c9a3e-0000", ""];
    let all: BTreeSet<String> = consents.chain(others.map(str::to_owned)).collect();
    let all = Vec::from_iter(all);
    let value =
        (subsequence(all, 1..=4), select(&[",", ", ", " ,\n"])).prop_map(|(some, comma)| some.join(comma));
    weighted(0.3, value.prop_map(|value| [(APPROVE_ANNOTATION.to_owned(), value)].into()))
}

fn other_claim() -> impl Strategy<Value = Claim> {
    let uid = select(&[OTHER_UID, "00000000-0000-4000-8000-000000000000"]);
    let until = select(vec![NOW - seconds(1), NOW, NOW + seconds(1), NOW + seconds(70)]);
    let basis = prop_oneof![
        4 => created_time().prop_map(|created_time| ClaimBasis::Saw { created_time }),
        1 => Just(ClaimBasis::SameCredential),
        1 => Just(ClaimBasis::None),
        1 => until.prop_map(|until| ClaimBasis::NotKnown { until }),
    ];
    (of(ago()), uid, any::<bool>(), basis).prop_map(|(age, uid, terminating, basis)| Claim {
        creation: age.map(|age| wall() - age),
        uid: uid.to_owned(),
        terminating,
        basis,
        ..claim()
    })
}

pub(super) fn evidence() -> impl Strategy<Value = Evidence> {
    let interval = of(select(&[10, 60, 300]).prop_map(seconds));
    let failure = weighted(0.2, (unreadable(), moment(), moment()));
    let reading = prop_oneof![1 => Just((None, None)), 4 => sighting(), 4 => absence()];
    (reading, failure, moment(), interval).prop_map(|((good, absences), failure, waiting_since, interval)| {
        Evidence {
            by: Fingerprint::new(KEY),
            good,
            failure: failure.map(|(why, one, other)| Failure {
                why,
                since: one.min(other),
                at: one.max(other),
            }),
            absences,
            waiting_since,
            interval,
        }
    })
}

type Told = (Option<Reading>, Option<Absences>);

fn sighting() -> impl Strategy<Value = Told> {
    let charge = select(&["POSTPAID", "POSTPAID", "POSTPAID", "PREPAID"]);
    let port = (port_status(), created_time(), charge).prop_map(|(status, created_time, charge)| PortInfo {
        created_time,
        port_charge_type: Some(charge.to_owned()),
        ..port(status)
    });
    (port, recent(), ago()).prop_map(|(port, at, span)| {
        (Some(Reading { presence: Presence::Seen(port), at, since: at - span }), None)
    })
}

fn absence() -> impl Strategy<Value = Told> {
    (recent(), ago(), weighted(0.95, 1..5_u32)).prop_map(|(last, span, count)| {
        let first = last - span;
        let absences = count.map(|count| Absences { count, first, last });
        (Some(Reading { presence: Presence::Absent, at: last, since: first }), absences)
    })
}

fn unreadable() -> impl Strategy<Value = Unreadable> {
    select(vec![
        Unreadable::Unavailable("timeout".to_owned()),
        Unreadable::NotAsked("Zenlayer asked the operator to send no requests".to_owned()),
        reading_refused("REQUEST_LIMIT_EXCEEDED"),
        reading_refused("AUTHFAILURE_X"),
        reading_refused("AUTHFAILURE_UNAUTHORIZED_OPERATION"),
        reading_refused("AUTHFAILURE_SIGNATURE_EXPIRED"),
        reading_refused("INVALID_PORT_NOT_FOUND"),
        reading_refused("OTHER"),
    ])
}

fn port_status() -> impl Strategy<Value = PortStatus> {
    let words = &[
        "CREATING",
        "UPDATING",
        "DELETING",
        "RECOVERING",
        "DESTROYING",
        "DESTROYED",
        "SUSPENDED",
        "",
        "RUNNING",
    ];
    prop_oneof![2 => select(words), 1 => Just("RUNNING"), 1 => Just("RECYCLED")].prop_map(PortStatus::from)
}

/// Mostly that of one port, in two notations; sometimes missing or of another.
fn created_time() -> impl Strategy<Value = Option<String>> {
    let times = [
        Some(CREATED),
        Some(CREATED),
        Some("2025-11-05T09:00:00+01:00"),
        None,
        Some(RECREATED),
        Some("soon"),
    ];
    select(times.to_vec()).prop_map(|time| time.map(str::to_owned))
}

/// Around the bounds of the rules.
fn ago() -> impl Strategy<Value = Duration> {
    let bounds = &[5, 10, 30, 60, 120, 240, 600, 1800, 3600];
    let around = (select(bounds), -1..=1_i64).prop_map(|(bound, off)| {
        Duration::from_nanos((bound * 1_000_000_000_u64).saturating_add_signed(off))
    });
    prop_oneof![1 => Just(Duration::ZERO), 2 => around, 1 => (0..4000_u64).prop_map(seconds)]
}

fn moment() -> impl Strategy<Value = Monotonic> {
    ago().prop_map(|ago| NOW - ago)
}

fn recent() -> impl Strategy<Value = Monotonic> {
    prop_oneof![2 => Just(NOW), 1 => Just(NOW - seconds(10)), 1 => moment()]
}
