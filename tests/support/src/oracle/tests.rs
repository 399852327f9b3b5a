//! Each oracle is shown evidence in which all is well but one thing.

use zenlayer_simulator::PortStatus;

use super::*;

const GONE: u64 = 9_000;

fn request(at_ms: u64, action: &str, committed: bool) -> Request {
    Request {
        at_ms,
        action: action.to_owned(),
        port_ids: vec!["port-1".to_owned()],
        account: Some("tenant".to_owned()),
        committed,
        status: Some(200),
    }
}

/// An object on a recycled port, deleted at 5 s; the port is destroyed at 6 s and gone at 8 s, the object at 9 s.
fn as_it_should_be() -> Evidence {
    let step = |at_ms, from, to, by| Move { at_ms, port_id: "port-1".to_owned(), from, to, by };
    let (recycled, destroying) = (Some(PortStatus::Recycled), Some(PortStatus::Destroying));
    let wish = Wish { at_ms: 1_000, deletion: Deletion::NotAsked, policy: DeletionPolicy::Destroy };
    Evidence {
        chronicle: Chronicle {
            requests: vec![request(6_000, "DestroyPort", true), request(7_000, "DescribePorts", false)],
            moves: vec![
                step(0, None, recycled.clone(), Mover::Person),
                step(6_000, recycled, destroying.clone(), Mover::Request),
                step(8_000, destroying, None, Mover::Time),
            ],
        },
        subjects: vec![Subject {
            wishes: vec![wish, Wish { at_ms: 5_000, deletion: Deletion::Asked, ..wish }],
            gone_at_ms: Some(GONE),
            expected: Expected::Gone,
            told: vec![("Destroying".to_owned(), Seen::Yes)],
            unaffected_until_ms: Some(10_000),
            ..Subject::created(("ports", "edge"), "port-1", "tenant", (wish.at_ms, wish.policy))
        }],
        texts: vec![("the log".to_owned(), "calling DestroyPort".to_owned())],
        secrets: vec!["Vq7kWm2xZr9t".to_owned()],
        limits: Limits::default(),
    }
}

/// Which oracles do not hold after `spoil` changed the evidence.
fn violated(spoil: impl FnOnce(&mut Evidence)) -> Vec<Oracle> {
    let mut evidence = as_it_should_be();
    spoil(&mut evidence);
    judge(&evidence).into_iter().map(|violation| violation.oracle).collect()
}

#[test]
fn nothing_is_violated_where_all_is_well() {
    assert_eq!(judge(&as_it_should_be()), []);
}

#[test]
fn an_object_that_went_before_its_port_is_a_leak() {
    assert_eq!(violated(|it| it.chronicle.moves[2].at_ms = GONE + 1), [Oracle::NoLeak]);
}

#[test]
fn an_object_that_went_undeleted_is_a_leak_and_its_call_a_wrong_kill() {
    let found = violated(|it| it.subjects[0].wishes.truncate(1));
    assert_eq!(found, [Oracle::NoLeak, Oracle::NoWrongKill]);
}

#[test]
fn retain_leaves_the_port_and_makes_its_destruction_a_wrong_kill() {
    let found = violated(|it| {
        it.subjects[0].wishes.iter_mut().for_each(|wish| wish.policy = DeletionPolicy::Retain);
    });
    assert_eq!(found, [Oracle::NoWrongKill]);
}

#[test]
fn terminate_leaves_the_port_in_the_bin_but_not_live() {
    let ended_as = |status: PortStatus| {
        violated(|it| {
            it.subjects[0].wishes.iter_mut().for_each(|wish| wish.policy = DeletionPolicy::Terminate);
            it.chronicle.requests[0].action = "TerminatePort".to_owned();
            it.chronicle.moves.truncate(1);
            it.chronicle.moves[0].to = Some(status);
        })
    };
    assert_eq!(ended_as(PortStatus::Recycled), []);
    assert_eq!(ended_as(PortStatus::Running), [Oracle::NoLeak]);
}

#[test]
fn a_port_may_be_left_where_a_person_stripped_the_finalizer() {
    let found = violated(|it| {
        it.chronicle.moves.truncate(1);
        it.chronicle.requests.clear();
        it.subjects[0].excused = Some("a person stripped the finalizer");
    });
    assert_eq!(found, []);
}

#[test]
fn a_call_before_the_deletion_is_a_wrong_kill() {
    assert_eq!(violated(|it| it.chronicle.requests[0].at_ms = 4_999), [Oracle::NoWrongKill]);
}

#[test]
fn a_call_by_another_account_is_a_wrong_kill() {
    let found = violated(|it| it.chronicle.requests[0].account = Some("stranger".to_owned()));
    assert_eq!(found, [Oracle::NoWrongKill]);
}

#[test]
fn a_call_after_the_object_has_gone_is_a_wrong_kill() {
    assert_eq!(violated(|it| it.chronicle.requests[0].at_ms = GONE + 1), [Oracle::NoWrongKill]);
}

#[test]
fn a_termination_that_the_policy_does_not_ask_for_is_a_wrong_kill() {
    assert_eq!(
        violated(|it| it.chronicle.requests[0].action = "TerminatePort".to_owned()),
        [Oracle::NoWrongKill]
    );
}

#[test]
fn a_call_that_was_under_way_when_the_policy_changed_is_none() {
    let changed = |at_ms| {
        move |it: &mut Evidence| {
            let retain = Wish { at_ms, policy: DeletionPolicy::Retain, ..it.subjects[0].wishes[1] };
            it.subjects[0].wishes.push(retain);
            it.chronicle.requests[0].at_ms = 16_500;
            it.subjects[0].gone_at_ms = Some(17_000);
            it.subjects[0].unaffected_until_ms = None;
        }
    };
    assert_eq!(violated(changed(7_000)), []);
    assert_eq!(violated(changed(6_000)), [Oracle::NoWrongKill]);
}

#[test]
fn a_second_destruction_in_one_life_is_too_many() {
    let found = violated(|it| {
        let again = Move { at_ms: 7_000, ..it.chronicle.moves[1].clone() };
        it.chronicle.moves.insert(2, again);
    });
    assert_eq!(found, [Oracle::Bounded]);
}

#[test]
fn requests_without_end_are_too_many() {
    let reading = || request(7_000, "DescribePorts", false);
    let found = violated(|it| it.chronicle.requests.extend((0..1000).map(|_| reading())));
    assert_eq!(found, [Oracle::Bounded]);
}

#[test]
fn a_request_that_is_sent_twice_is_too_many_though_only_one_takes_effect() {
    let twice = |sends| {
        violated(|it| {
            it.chronicle.requests.push(request(6_000, "DestroyPort", false));
            it.limits.sends = sends;
        })
    };
    assert_eq!(twice(1), [Oracle::Bounded]);
    assert_eq!(twice(2), [], "the case allows it");
}

#[test]
fn one_request_of_each_action_is_not_too_many() {
    let found = violated(|it| {
        it.subjects[0].wishes.iter_mut().for_each(|wish| wish.policy = DeletionPolicy::TerminateAndDestroy);
        it.chronicle.requests.insert(0, request(6_000, "TerminatePort", true));
    });
    assert_eq!(found, []);
}

#[test]
fn an_object_that_stays_must_say_why() {
    let stays = |expected, reason: &str| {
        violated(|it| {
            let subject = &mut it.subjects[0];
            (subject.gone_at_ms, subject.unaffected_until_ms) = (None, None);
            (subject.expected, subject.reason) = (expected, Some(reason.to_owned()));
        })
    };
    assert_eq!(stays(Expected::Held("PortClaimed"), "PortClaimed"), []);
    assert_eq!(stays(Expected::Held("PortClaimed"), "Observing"), [Oracle::Liveness]);
    assert_eq!(stays(Expected::Gone, "Destroying"), [Oracle::Liveness]);
    assert_eq!(stays(Expected::Alive, "Running"), []);
}

#[test]
fn an_object_that_was_to_stay_must_be_there() {
    assert_eq!(violated(|it| it.subjects[0].expected = Expected::Alive), [Oracle::Liveness]);
}

#[test]
fn a_reason_that_was_never_shown_is_not_the_truth() {
    assert_eq!(violated(|it| it.subjects[0].told[0].1 = Seen::Never), [Oracle::Truth]);
}

#[test]
fn another_tenant_that_waits_for_the_end_of_a_fault_is_not_isolated() {
    assert_eq!(violated(|it| it.subjects[0].unaffected_until_ms = Some(GONE - 1)), [Oracle::Isolation]);
}

#[test]
fn a_password_in_a_text_is_a_secret_told() {
    assert_eq!(violated(|it| it.texts[0].1.push_str(" with Vq7kWm2xZr9t")), [Oracle::NoSecret]);
}

#[test]
fn the_first_or_last_characters_of_a_password_are_a_secret_told_too() {
    for part in ["Vq7kWm", "2xZr9t"] {
        assert_eq!(violated(|it| it.texts[0].1.push_str(part)), [Oracle::NoSecret], "{part}");
    }
}

#[test]
fn a_text_that_could_not_be_had_shows_nothing() {
    assert_eq!(violated(|it| it.texts[0].1.clear()), [Oracle::NoSecret]);
}
