//! The rules, each told on its own and sharing no code with the table that they are held against.

use zenlayer_port_operator::api::CallAction::{DestroyPort, TerminatePort};
use zenlayer_port_operator::api::DeletionPolicy::{Retain, Terminate};
use zenlayer_port_operator::api::{CallOutcome, Reason};
use zenlayer_port_operator::decision::{Action, Intent};

use super::case::{
    Age, Brake, Case, Claimed, Crd, Credential, Deletion, Finalizers, History, Identity, LastSeen, Life,
    Record, Run, Seen, Sighting, Standing,
};
use super::input::Planned;
use crate::facts;

/// A rule's name, and when it holds.
type Rule = (&'static str, fn(&Case) -> bool);
type RuleOfPlans = (&'static str, fn(&Case, &Planned) -> bool);

/// A call is made unless one of these holds.
pub const AGAINST_A_CALL: [Rule; 18] = [
    ("the object lives", |case| case.life == Life::Alive),
    ("our finalizer is not the last", |case| case.finalizers != Finalizers::Ours),
    ("there are no credentials", |case| case.credential == Credential::Missing),
    ("the credentials may only read", |case| case.credential == Credential::OnlyReads),
    ("the reading is older than 30 s", |case| !is_fresh(case)),
    ("it is another port than the object's", is_another),
    ("the last call may still be carried out", is_under_way),
    ("the pause after a call that changed nothing", is_pausing),
    ("it is in use, as a refusal had it asked for", is_in_use),
    ("it was restored, or perhaps was", is_restored),
    ("another object owns it and goes later, or never", |case| {
        matches!(case.claim, Claimed::ByALivingObject | Claimed::ByAnOlderThatGoesToo)
    }),
    ("another object may own it, and is not known yet", |case| case.claim == Claimed::PerhapsByAnOlder),
    ("deletionProtection", |case| case.protected),
    ("the grace, which is over before the last look", |case| !began_after_grace(case)),
    ("one of many deletions", is_one_of_many),
    ("the CRD goes, or perhaps does", |case| match case.crd {
        Crd::Stays | Crd::NotGranted => false,
        Crd::Terminating | Crd::WasTerminating | Crd::AppliedAgain => !case.has_consent(Reason::CRDDeleted),
        Crd::Unread => true,
    }),
    ("not all objects are listed", |case| !case.listed),
    ("consent is required", |case| case.consent_required && !case.has_consent(Reason::ApprovalRequired)),
];

/// Why the finalizer comes off, where it does.
pub fn end(case: &Case) -> Option<Reason> {
    if case.life == Life::Alive || case.finalizers == Finalizers::Others {
        return None;
    }
    if case.policy == Retain {
        return Some(Reason::PortRetained);
    }
    if case.finalizers != Finalizers::Ours || case.credential == Credential::Missing || !is_fresh(case) {
        return None;
    }
    let gone = if is_our_doing(case) { Reason::PortDestroyed } else { Reason::PortGone };
    match case.sighting {
        Sighting::Seen(Seen::Destroyed) => began_after_deletion(case).then_some(gone),
        Sighting::Seen(Seen::InBin) => (began_after_deletion(case)
            && case.policy == Terminate
            && !is_another(case)
            && !is_under_way(case))
        .then_some(Reason::PortRecycled),
        Sighting::Absent { last_seen, run } => {
            let proves = match (case.identity, last_seen) {
                (Identity::Unknown, _) => return (run >= Run::TwiceIn30s).then_some(Reason::PortNeverFound),
                (Identity::SeenByAStranger, _) => return None,
                (Identity::SeenByASibling, LastSeen::Live | LastSeen::InBin) if !case.destroy_accepted => {
                    return None;
                }
                _ if case.destroy_accepted => Run::TwiceIn5s,
                (_, LastSeen::Leaving) => Run::TwiceIn5s,
                (_, LastSeen::InBin) => Run::ThriceIn2min,
                (_, LastSeen::Live) => Run::ThriceIn10min,
            };
            (run >= proves).then_some(gone)
        }
        Sighting::NotAskedFor | Sighting::Unread | Sighting::Seen(_) => None,
    }
}

/// What holds of every plan, whatever it decides.
pub const OF_EVERY_PLAN: [RuleOfPlans; 8] = [
    (
        "a call goes with the pending record of the next attempt, by the credential that will sign it",
        |case, plan| {
            let Action::Call(Intent { warrant, .. }) = &plan.action else { return true };
            let attempt = if case.record == Record::None { 1 } else { 2 };
            plan.status.release.as_ref().and_then(|release| release.call.as_ref()).is_some_and(|call| {
                call.attempt == attempt
                    && call.outcome == CallOutcome::Pending {}
                    && call.action == warrant.action()
                    && call.credential == *warrant.credential()
            })
        },
    ),
    ("without a call the record stays as it was, but that it may have landed", |case, plan| {
        let call = plan.status.release.as_ref().and_then(|release| release.call.as_ref());
        matches!(plan.action, Action::Call(_))
            || call.map(|call| call.attempt) == (case.record != Record::None).then_some(1)
    }),
    ("what this deletion has learned of its port is not forgotten", |case, plan| {
        let after = plan.status.release.as_ref();
        has_adopted_another(case)
            || after.is_some_and(|after| {
                let restored = i64::from(case.history == History::Restored);
                (after.seen_recycled || case.history != History::SeenInBin || after.restorations > restored)
                    && after.restorations >= restored
                    && (after.destroy_accepted || !case.destroy_accepted)
            })
    }),
    ("a latch stays, and one of many is latched at once", |case, plan| {
        let held = case.brake == Brake::Latched || (is_acting(case, plan) && is_one_of_many(case));
        !held || plan.status.release.as_ref().is_some_and(|after| after.latched)
    }),
    ("a deletion that may be that of the CRD is marked so at once, and stays marked", |case, plan| {
        let goes = matches!(case.crd, Crd::Terminating | Crd::AppliedAgain);
        let marked = case.crd == Crd::WasTerminating
            || (goes && is_acting(case, plan) && !case.has_consent(Reason::CRDDeleted));
        !marked || plan.status.release.as_ref().is_some_and(|after| after.crd_deleted)
    }),
    ("Ready is true only of a living object with our finalizer", |case, plan| {
        let ready = facts::shown(&plan.status.conditions) == Some(Reason::Running);
        !ready || (case.life == Life::Alive && case.finalizers != Finalizers::Others)
    }),
    ("a wait is woken", |case, plan| {
        let waits = plan.action == Action::None && case.finalizers != Finalizers::Others;
        !waits || plan.want.is_some() || plan.deadline.is_some()
    }),
    ("a wait is not woken at once, by a reading that is there already", |case, plan| {
        let wanted = plan.want.and_then(|want| want.fresh_after);
        plan.deadline.is_none_or(|deadline| !deadline.is_zero())
            && wanted.is_none_or(|wanted| case.newest_reading().is_none_or(|read| read < wanted))
    }),
];

/// It is deleted, ours, and keeps the finalizer: then the status that is written counts.
fn is_acting(case: &Case, plan: &Planned) -> bool {
    case.life == Life::Deleted
        && case.finalizers != Finalizers::Others
        && !matches!(plan.action, Action::RemoveFinalizer(_))
}

fn is_fresh(case: &Case) -> bool {
    matches!(case.age, Age::Seconds0 | Age::Seconds30)
}

fn began_after_deletion(case: &Case) -> bool {
    case.age == Age::Seconds0 || (case.age != Age::Seconds901 && case.deletion == Deletion::Seconds60)
}

/// The grace is 10 s long.
fn began_after_grace(case: &Case) -> bool {
    case.deletion != Deletion::Seconds9 && began_after_deletion(case)
}

fn is_another(case: &Case) -> bool {
    case.identity == Identity::Another && !case.has_consent(Reason::IdentityChanged)
}

/// A person lets the object own another port from now on, and it was seen.
fn has_adopted_another(case: &Case) -> bool {
    let seen = matches!(case.sighting, Sighting::Seen(_));
    seen && case.identity == Identity::Another && case.has_consent(Reason::IdentityChanged)
}

/// The port is seen to have followed a TerminatePort.
fn has_landed(case: &Case) -> bool {
    match case.record {
        Record::None | Record::Of(_, Standing::New | Standing::LandedUnread) => false,
        Record::Of(_, Standing::Landed) => true,
        Record::Of(TerminatePort, standing) => {
            let recent = matches!(standing, Standing::Refused | Standing::Throttled | Standing::NotSent);
            let read_since = !recent || case.age == Age::Seconds0;
            case.sighting == Sighting::Seen(Seen::InBin) && read_since && !is_another(case)
        }
        Record::Of(DestroyPort, _) => false,
    }
}

fn is_under_way(case: &Case) -> bool {
    let Record::Of(_, standing) = case.record else { return false };
    let awaited = matches!(
        standing,
        Standing::New | Standing::Pending | Standing::Unclear | Standing::Accepted | Standing::LandedUnread
    );
    awaited && !has_landed(case)
}

fn is_pausing(case: &Case) -> bool {
    let Record::Of(_, standing) = case.record else { return false };
    let recent = matches!(standing, Standing::Refused | Standing::Throttled | Standing::NotSent);
    recent && !has_landed(case)
}

fn is_in_use(case: &Case) -> bool {
    let Record::Of(_, standing) = case.record else { return false };
    let refused = matches!(standing, Standing::Refused | Standing::RefusedLongAgo);
    case.in_use && refused && !has_landed(case)
}

/// A consent is to one restoration, the first.
fn is_restored(case: &Case) -> bool {
    let history = match case.history {
        // A consent that was given for the port before is spent.
        History::Restored if case.has_consent(Reason::RestoredElsewhere) => History::Restored,
        _ if has_adopted_another(case) => History::Nothing,
        history => history,
    };
    let is_live = matches!(case.sighting, Sighting::Seen(Seen::Live | Seen::LiveTwice));
    let given_up = matches!(
        case.record,
        Record::Of(
            TerminatePort,
            Standing::AcceptedGivenUp | Standing::PendingUnwatched | Standing::UnclearUnwatched
        )
    );
    let restorations = match history {
        // One reading does not tell yet.
        History::SeenInBin if case.sighting == Sighting::Seen(Seen::Live) => return true,
        History::SeenInBin => u32::from(is_live),
        History::Nothing => u32::from(is_live && given_up),
        History::Restored => 1 + u32::from(is_live && given_up),
    };
    match restorations {
        0 => false,
        1 => !case.has_consent(Reason::RestoredElsewhere),
        _ => true,
    }
}

/// A DestroyPort went out, as far as is known.
fn has_sent_a_destroy(case: &Case) -> bool {
    match case.record {
        Record::None | Record::Of(TerminatePort, _) => false,
        Record::Of(DestroyPort, standing) => matches!(
            standing,
            Standing::New
                | Standing::Pending
                | Standing::PendingSettled
                | Standing::Unclear
                | Standing::UnclearSettled
                | Standing::PendingUnwatched
                | Standing::UnclearUnwatched
                | Standing::Accepted
                | Standing::AcceptedGivenUp
                | Standing::Landed
                | Standing::LandedUnread
        ),
    }
}

fn is_our_doing(case: &Case) -> bool {
    (case.destroy_accepted && !has_adopted_another(case)) || has_sent_a_destroy(case)
}

fn is_one_of_many(case: &Case) -> bool {
    let latched = match case.brake {
        Brake::Off => false,
        Brake::Latched => true,
        Brake::TooManyAtOnce => !has_sent_a_destroy(case),
    };
    latched && !case.has_consent(Reason::MassDeletion)
}
