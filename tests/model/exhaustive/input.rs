//! A combination, as the decision gets it.

use std::num::NonZeroU32;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use zenlayer_port_operator::answer::NotSentCause;
use zenlayer_port_operator::api::{
    Actor, Call, CallAction, CallOutcome, FINALIZER, ObservedPort, PortIdentity, Reason, Release,
    ZenlayerPort, ZenlayerPortStatus,
};
use zenlayer_port_operator::clock::{Monotonic, Now};
use zenlayer_port_operator::decision::{
    Action, Attachments, Claim, ClaimBasis, Context, CrdState, CredentialState, Ending, Forecast,
    GateSettings, Input, Listing, Plan, Surroundings, Timing, Turn, decide, forecast,
};
use zenlayer_port_operator::port::{PortInfo, PortStatus};
use zenlayer_port_operator::reading::{Absences, Evidence, Failure, Presence, Reading, Unreadable, Want};

use super::case::{
    Age, Brake, Case, Claimed, Consent, Crd, Credential, Deletion, Finalizers, History, Identity, LastSeen,
    Life, Record, Run, Seen, Sighting, Standing,
};
use crate::facts::{self, CREATED, NOW, UIDS, seconds, wall};

const KEY: &str = "00000000000000aa";
const OTHER_KEY: &str = "00000000000000bb";

pub struct Situation {
    object: ZenlayerPort,
    evidence: Option<Evidence>,
    context: Context,
}

impl Situation {
    pub fn of(case: &Case) -> Self {
        Self { object: object(case), evidence: evidence(case), context: context(case) }
    }

    fn decide(&self) -> Plan {
        decide(&Input {
            object: &self.object,
            evidence: self.evidence.as_ref(),
            context: &self.context,
            timing: &Timing::default(),
            now: Now { wall: wall(), monotonic: NOW },
        })
    }

    pub fn plan(&self) -> Planned {
        let plan = self.decide();
        let status = plan.status(&self.object);
        let Plan { action, want, deadline, .. } = plan;
        Planned { status, action, want, deadline }
    }
}

/// What the operator does next, as far as a person sees it coming.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Calls(CallAction),
    Releases(Reason),
    /// It waits for a person.
    Pauses(Reason),
}

impl Situation {
    /// What the operator does, if it does not only wait.
    pub fn next(&self) -> Option<Next> {
        let Planned { action, status, .. } = self.plan();
        match action {
            Action::Call(intent) => Some(Next::Calls(intent.warrant.action())),
            Action::RemoveFinalizer(reason) => Some(Next::Releases(reason)),
            Action::None | Action::AddFinalizer => {
                let reason = facts::shown(&status.conditions)?;
                let waits = matches!(reason.actor(), Actor::Person | Actor::OtherFinalizers);
                waits.then_some(Next::Pauses(reason))
            }
        }
    }

    /// What `kubectl zenlayerport plan` says of it, from nothing but the status that the operator writes.
    pub fn forecast(&self) -> Option<Next> {
        let plan = self.decide();
        let mut object = self.object.clone();
        object.status = Some(plan.status_without_call(&self.object));
        let surroundings = Surroundings {
            claims: self.context.claims.clone(),
            deletions_at_once: self.context.deletions_at_once,
            gates: self.context.gates,
        };
        let Forecast { calls, ending } = forecast(&object, &surroundings, wall());
        match (calls.first(), ending) {
            (Some(call), _) => Some(Next::Calls(*call)),
            (None, Ending::Released(reason)) => Some(Next::Releases(reason)),
            (None, Ending::Held(judged)) => Some(Next::Pauses(judged.reason)),
            (None, Ending::NotChecked | Ending::NotOurs) => None,
        }
    }
}

/// A plan, with the status that it writes if all of it is carried out.
#[derive(Debug)]
pub struct Planned {
    pub status: ZenlayerPortStatus,
    pub action: Action,
    pub want: Option<Want>,
    pub deadline: Option<Duration>,
}

fn object(case: &Case) -> ZenlayerPort {
    let mut object = facts::object(UIDS[0], case.policy);
    let finalizers: &[&str] = match case.finalizers {
        Finalizers::Ours => &[FINALIZER],
        Finalizers::OursAndOthers => &["example.com/backup", FINALIZER],
        Finalizers::Others => &["example.com/backup"],
    };
    object.metadata.finalizers = Some(finalizers.iter().map(ToString::to_string).collect());
    object.metadata.deletion_timestamp = (case.life == Life::Deleted).then(|| Time(wall() - seconds(3600)));
    object.spec.deletion_protection = case.protected;
    match case.consent {
        Consent::ToNothing => {}
        Consent::To(reason) => facts::approve(&mut object, [(reason, 1)].into_iter(), 1),
        Consent::ToAll => facts::approve(&mut object, Reason::ALL.iter().map(|reason| (*reason, 1)), 1),
    }
    object.status = Some(ZenlayerPortStatus {
        port: last_seen(case),
        identity: identity(case.identity),
        release: Some(release(case)),
        ..ZenlayerPortStatus::default()
    });
    object
}

fn last_seen(case: &Case) -> Option<ObservedPort> {
    let status = match case.sighting {
        Sighting::Absent { last_seen: LastSeen::Live, .. } => PortStatus::Running,
        Sighting::Absent { last_seen: LastSeen::InBin, .. } => PortStatus::Recycled,
        Sighting::Absent { last_seen: LastSeen::Leaving, .. } => PortStatus::Destroying,
        Sighting::NotAskedFor | Sighting::Unread | Sighting::Seen(_) => return None,
    };
    Some(ObservedPort::from(&facts::port(status, Some(CREATED[0]))))
}

fn identity(identity: Identity) -> Option<PortIdentity> {
    let seen_by = match identity {
        Identity::Unknown => return None,
        Identity::SeenByThisKey | Identity::Untimed | Identity::Another => KEY,
        Identity::SeenByASibling | Identity::SeenByAStranger => OTHER_KEY,
    };
    Some(PortIdentity {
        created_time: Some(CREATED[0].to_owned()),
        seen_by: vec![facts::fingerprint(seen_by)],
    })
}

fn release(case: &Case) -> Release {
    let call = match case.record {
        Record::None => None,
        Record::Of(action, standing) => Some(Call {
            action,
            attempt: 1,
            requested_time: requested_time(case, standing),
            port_status_before: String::new(),
            credential: facts::fingerprint(KEY),
            landed: matches!(standing, Standing::Landed | Standing::LandedUnread),
            settled: false,
            without_effect: false,
            outcome: outcome(standing),
        }),
    };
    Release {
        uid: UIDS[0].to_owned(),
        seen_recycled: case.history == History::SeenInBin,
        restorations: i64::from(case.history == History::Restored),
        latched: case.brake == Brake::Latched,
        crd_deleted: case.crd == Crd::WasTerminating,
        destroy_accepted: case.destroy_accepted,
        credentials_seen: true,
        call,
    }
}

fn requested_time(case: &Case, standing: Standing) -> Time {
    let known = call_known_since(case).unwrap_or(NOW);
    let unknown_for = seconds(if standing == Standing::PendingUnwatched { 601 } else { 600 });
    Time(wall() - NOW.since(known) - unknown_for)
}

fn outcome(standing: Standing) -> CallOutcome {
    let refused = |code: &str| CallOutcome::Refused(facts::refusal(code));
    match standing {
        Standing::New | Standing::Pending | Standing::PendingSettled | Standing::PendingUnwatched => {
            CallOutcome::Pending {}
        }
        Standing::Unclear | Standing::UnclearSettled | Standing::UnclearUnwatched => {
            CallOutcome::Unclear { why: "it was reset".to_owned() }
        }
        Standing::Accepted | Standing::AcceptedGivenUp | Standing::Landed | Standing::LandedUnread => {
            CallOutcome::Accepted { request_id: None }
        }
        Standing::Refused | Standing::RefusedLongAgo | Standing::RefusedLongestAgo => {
            refused("OPERATION_DENIED")
        }
        Standing::Throttled | Standing::ThrottledLongAgo => refused("REQUEST_LIMIT_EXCEEDED"),
        Standing::NotSent | Standing::NotSentLongAgo => {
            CallOutcome::NotSent { cause: NotSentCause::RecordTooSlow, why: "too late".to_owned() }
        }
    }
}

impl Case {
    /// When the newest good reading was sent, if there is one.
    pub fn newest_reading(&self) -> Option<Monotonic> {
        let age = match self.age {
            Age::Seconds0 => 0,
            Age::Seconds30 => 30,
            Age::Seconds31 => 31,
            Age::Seconds901 => 901,
        };
        match self.sighting {
            Sighting::NotAskedFor | Sighting::Unread => None,
            Sighting::Seen(_) | Sighting::Absent { .. } => Some(NOW - seconds(age)),
        }
    }
}

fn read_at(case: &Case) -> Monotonic {
    case.newest_reading().unwrap_or(NOW)
}

/// A second before the bound, or at it.
fn call_known_since(case: &Case) -> Option<Monotonic> {
    let Record::Of(_, standing) = case.record else { return None };
    let read_at = read_at(case);
    Some(match standing {
        Standing::New => return None,
        Standing::Pending | Standing::Unclear => read_at - seconds(59),
        Standing::PendingSettled | Standing::UnclearSettled | Standing::PendingUnwatched => {
            read_at - seconds(60)
        }
        Standing::UnclearUnwatched => read_at - seconds(601),
        Standing::Accepted => read_at - seconds(599),
        Standing::AcceptedGivenUp => read_at - seconds(600),
        Standing::Landed => read_at,
        Standing::LandedUnread => read_at + seconds(1),
        Standing::Refused | Standing::Throttled | Standing::NotSent => NOW - seconds(29),
        Standing::RefusedLongAgo | Standing::ThrottledLongAgo | Standing::NotSentLongAgo => {
            read_at.min(NOW - seconds(30))
        }
        Standing::RefusedLongestAgo => read_at.min(NOW - seconds(600)),
    })
}

fn evidence(case: &Case) -> Option<Evidence> {
    let at = read_at(case);
    let (presence, span) = match case.sighting {
        Sighting::NotAskedFor => return None,
        Sighting::Unread => (None, 0),
        Sighting::Seen(seen) => {
            let span = if seen == Seen::LiveTwice { 10 } else { 9 };
            (Some(Presence::Seen(port(seen, case.identity))), span)
        }
        Sighting::Absent { run, .. } => (Some(Presence::Absent), absences(run).1),
    };
    let good = presence.map(|presence| Reading { presence, at, since: at - seconds(span) });
    Some(Evidence {
        by: facts::fingerprint(KEY),
        failure: good.is_none().then_some(Failure {
            why: Unreadable::Refused(facts::refusal("REQUEST_LIMIT_EXCEEDED")),
            since: at,
            at,
        }),
        absences: match case.sighting {
            Sighting::Absent { run, .. } => {
                let (count, span) = absences(run);
                Some(Absences { count, first: at - seconds(span), last: at })
            }
            Sighting::NotAskedFor | Sighting::Unread | Sighting::Seen(_) => None,
        },
        good,
        waiting_since: at - seconds(3600),
        interval: Some(seconds(300)),
    })
}

/// How many, over how long.
fn absences(run: Run) -> (u32, u64) {
    match run {
        Run::Once => (1, 0),
        Run::TwiceIn5s => (2, 5),
        Run::TwiceIn30s => (2, 30),
        Run::ThriceIn2min => (3, 120),
        Run::ThriceIn10min => (3, 600),
    }
}

fn port(seen: Seen, identity: Identity) -> PortInfo {
    let status = match seen {
        Seen::Live | Seen::LiveTwice | Seen::LivePrepaid => PortStatus::Running,
        Seen::InBin => PortStatus::Recycled,
        Seen::Deleting => PortStatus::Deleting,
        Seen::Updating => PortStatus::Updating,
        Seen::Destroying => PortStatus::Destroying,
        Seen::Destroyed => PortStatus::Destroyed,
        Seen::Odd => PortStatus::Unknown("ODD".to_owned()),
    };
    let created = match identity {
        Identity::Untimed => None,
        Identity::Another => Some(CREATED[1]),
        Identity::Unknown
        | Identity::SeenByThisKey
        | Identity::SeenByASibling
        | Identity::SeenByAStranger => Some(CREATED[0]),
    };
    let charge_type = if seen == Seen::LivePrepaid { "PREPAID" } else { "POSTPAID" };
    PortInfo { port_charge_type: Some(charge_type.to_owned()), ..facts::port(status, created) }
}

fn context(case: &Case) -> Context {
    Context {
        credential: match case.credential {
            Credential::Signs => CredentialState::Usable(facts::fingerprint(KEY)),
            Credential::OnlyReads => CredentialState::ReadOnly {
                fingerprint: facts::fingerprint(KEY),
                why: "The Secret was deleted.".into(),
            },
            Credential::Missing => CredentialState::Unavailable("There is no Secret.".into()),
        },
        not_copied: None,
        claims: claim(case.claim).into_iter().collect(),
        same_account: match case.identity {
            Identity::SeenByASibling => vec![facts::fingerprint(OTHER_KEY)],
            _ => Vec::new(),
        },
        deletions_at_once: if case.brake == Brake::TooManyAtOnce { 21 } else { 20 },
        listing: if case.listed { Listing::Complete } else { Listing::UnderWay { since: NOW - seconds(60) } },
        crd: match case.crd {
            Crd::Stays | Crd::WasTerminating => CrdState::Stays { created: wall() - seconds(48 * 3600) },
            Crd::AppliedAgain => CrdState::Stays { created: wall() - seconds(60) },
            Crd::NotGranted => CrdState::NotGranted,
            Crd::Terminating => CrdState::Terminating,
            Crd::Unread => CrdState::Unknown("a timeout".to_owned()),
        },
        attachments: if case.in_use {
            Attachments::Known(vec!["private connect connect-1".to_owned()])
        } else {
            Attachments::Unknown
        },
        gates: GateSettings {
            mass_deletion_threshold: NonZeroU32::new(20),
            require_approval: case.consent_required,
        },
        deletion_known_since: Some(match case.deletion {
            Deletion::Seconds9 => NOW - seconds(9),
            Deletion::Seconds10 => NOW - seconds(10),
            Deletion::Seconds60 => NOW - seconds(60),
        }),
        call_known_since: call_known_since(case),
        learnt: None,
        turn: Turn::Free,
    }
}

fn claim(claimed: Claimed) -> Option<Claim> {
    let older = Duration::from_hours(48);
    let (age, terminating) = match claimed {
        Claimed::No => return None,
        Claimed::ByALivingObject | Claimed::ByAStranger | Claimed::ByOneThatNeverLooked => (older, false),
        Claimed::ByAnOlderThatGoesToo | Claimed::PerhapsByAnOlder => (older, true),
        Claimed::ByAYoungerThatGoesToo => (seconds(60), true),
    };
    Some(Claim {
        namespace: "team-a".to_owned(),
        name: "edge-2".to_owned(),
        uid: UIDS[1].to_owned(),
        creation: Some(wall() - age),
        terminating,
        basis: match claimed {
            Claimed::ByAStranger => ClaimBasis::None,
            Claimed::PerhapsByAnOlder => ClaimBasis::NotKnown { until: NOW + seconds(1) },
            Claimed::ByOneThatNeverLooked => ClaimBasis::NotKnown { until: NOW },
            _ => ClaimBasis::Saw { created_time: None },
        },
    })
}
