//! What a deletion does if Zenlayer and the API server answer and each call takes effect: what `kubectl zenlayerport plan`
//! says before anything is deleted. It asks the same tables as the operator, about what the object's status tells.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    Action, Attachments, Claim, Context, CrdState, CredentialState, GateSettings, Input, Listing, Plan,
    Timing, Turn, decide, record,
};
use crate::api::{Call, CallAction, CallOutcome, FINALIZER, READY, Reason, ZenlayerPort, ZenlayerPortStatus};
use crate::clock::{Monotonic, Now};
use crate::fingerprint::Fingerprint;
use crate::port::{PortInfo, PortStatus};
use crate::reading::{Absences, Evidence, Presence, Reading};

/// What a forecast rests on beside the object.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Other objects with the same `portId`.
    pub claims: Vec<Claim>,
    /// How many deletions there are at once with this one, itself included.
    pub deletions_at_once: u32,
    pub gates: GateSettings,
}

/// What comes of the deletion of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// The calls that are made, in this order.
    pub calls: Vec<CallAction>,
    pub ending: Ending,
}

/// How far the deletion goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The operator removes its finalizer.
    Released(Reason),
    /// The operator waits, and a person or the owners of other finalizers act next.
    Held(Judgement),
    /// The operator has not checked the port yet.
    NotChecked,
    /// The operator's finalizer is off.
    NotOurs,
}

/// Where an object stands: the row that decides about it, and what that shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// None: no row decides, as for an object that this version cannot read.
    pub row: Option<u8>,
    pub reason: Reason,
    pub message: String,
}

/// More decisions than the longest deletion takes.
const MOST_DECISIONS: usize = 16;

/// Decides about the object until its finalizer is off or somebody else has to act. An object that nobody has deleted is
/// taken as deleted now.
pub fn forecast(object: &ZenlayerPort, surroundings: &Surroundings, now: Timestamp) -> Forecast {
    let mut calls = Vec::new();
    let ending = if object.is_terminating() && !object.has_finalizer() {
        Ending::NotOurs
    } else {
        Rehearsal::new(deleted(object, now), surroundings, now).run(&mut calls)
    };
    Forecast { calls, ending }
}

/// Where the object stands now, by what its status tells; none where that does not tell enough.
pub fn judge(object: &ZenlayerPort, surroundings: &Surroundings, now: Timestamp) -> Option<Judgement> {
    let rehearsal = Rehearsal::new(object.clone(), surroundings, now);
    if rehearsal.port == Known::NotChecked && rehearsal.shown.is_none_or(is_of_port) {
        return None;
    }
    let plan = rehearsal.decide();
    rehearsal.judge(&plan)
}

fn deleted(object: &ZenlayerPort, now: Timestamp) -> ZenlayerPort {
    let mut object = object.clone();
    if !object.is_terminating() {
        object.metadata.deletion_timestamp = Some(Time(now));
        if !object.has_finalizer() {
            object.metadata.finalizers.get_or_insert_default().push(FINALIZER.to_owned());
        }
    }
    object
}

/// What the status tells of the port.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one is made for a forecast, and nearly every one is a port")]
enum Known {
    Port(PortInfo),
    Absent,
    NotChecked,
}

/// One object, with what its status tells put in the place of what the operator knows.
struct Rehearsal<'a> {
    object: ZenlayerPort,
    port: Known,
    /// The reason that the object shows before anything is decided.
    shown: Option<Reason>,
    surroundings: &'a Surroundings,
    timing: Timing,
    wall: Timestamp,
    /// How much time has passed since the beginning.
    elapsed: Duration,
    call_known_since: Option<Monotonic>,
}

/// The monotonic time at the beginning. It leaves room for everything that happened before.
const BEGIN: Monotonic = Monotonic::from_start(LONG_AGO.saturating_mul(2));
/// Longer than all waits.
const LONG_AGO: Duration = Duration::from_hours(48);

impl<'a> Rehearsal<'a> {
    fn new(mut object: ZenlayerPort, surroundings: &'a Surroundings, wall: Timestamp) -> Self {
        let status = object.status.get_or_insert_default();
        let shown = shown(status);
        let port = known(&object.spec.port_id, status, shown);
        // What is shown is decided again.
        status.conditions.clear();
        let call = object.release().and_then(|release| release.call.as_ref());
        // Whether Zenlayer refuses the next call too is not known before what uses the port is gone.
        let is_in_use = shown == Some(Reason::InUse);
        let since = |call: &Call| if is_in_use { BEGIN } else { BEGIN - age(call.requested_time.0, wall) };
        let call_known_since = call.map(since);
        let (timing, elapsed) = (Timing::default(), Duration::ZERO);
        Self { object, port, shown, surroundings, timing, wall, elapsed, call_known_since }
    }

    fn run(mut self, calls: &mut Vec<CallAction>) -> Ending {
        let mut last = None;
        for _ in 0..MOST_DECISIONS {
            let plan = self.decide();
            last = self.judge(&plan);
            match &plan.action {
                Action::RemoveFinalizer(reason) => return Ending::Released(*reason),
                Action::Call(intent) => {
                    let action = intent.warrant.action();
                    calls.push(action);
                    self.call(&plan, action);
                }
                Action::None | Action::AddFinalizer => {
                    self.object.status = Some(plan.status_without_call(&self.object));
                    let goes_on = last.as_ref().is_some_and(|judged| self.wait(judged.reason));
                    if !goes_on {
                        break;
                    }
                }
            }
        }
        match last {
            Some(judged) if self.port != Known::NotChecked || !is_of_port(judged.reason) => {
                Ending::Held(judged)
            }
            Some(_) | None => Ending::NotChecked,
        }
    }

    fn decide(&self) -> Plan {
        let (evidence, context) = (self.evidence(), self.context());
        decide(&Input {
            object: &self.object,
            evidence: evidence.as_ref(),
            context: &context,
            timing: &self.timing,
            now: self.instant(),
        })
    }

    fn judge(&self, plan: &Plan) -> Option<Judgement> {
        let display = plan.display.as_ref()?;
        let ready = display.conditions.iter().find(|condition| condition.type_ == READY)?;
        let decided = Reason::parse(&ready.reason)?;
        // Why there are no credentials is known better by who tried them.
        let by_key = self.shown.filter(|shown| is_of_access(*shown));
        let reason = by_key.filter(|_| decided == Reason::CredentialsUnavailable).unwrap_or(decided);
        Some(Judgement { row: plan.row, reason, message: ready.message.clone() })
    }

    /// The call is accepted and takes effect.
    fn call(&mut self, plan: &Plan, action: CallAction) {
        self.object.status = Some(plan.status(&self.object));
        let accepted = CallOutcome::Accepted { request_id: None };
        self.object.status = Some(record::with_outcome(&self.object, accepted));
        self.call_known_since = Some(self.instant().monotonic);
        self.turn_to(match action {
            CallAction::TerminatePort => PortStatus::Recycled,
            CallAction::DestroyPort => PortStatus::Destroying,
        });
        self.elapsed += self.timing.release_interval;
    }

    /// Whether the wait for this reason ends without a person.
    fn wait(&mut self, reason: Reason) -> bool {
        let Known::Port(port) = &self.port else {
            self.elapsed += self.timing.proof.otherwise;
            return matches!(reason, Reason::GracePeriod | Reason::Observing | Reason::ConfirmingAbsence);
        };
        let (after, becomes) = match (reason, &port.port_status) {
            (Reason::GracePeriod, _) => (self.timing.grace, None),
            (Reason::Observing, _) => (self.timing.restored_apart, None),
            (Reason::Confirming, _) => (self.timing.settle, None),
            (Reason::Terminating, _) => (self.timing.release_interval, Some(PortStatus::Recycled)),
            (Reason::Destroying, _) => (self.timing.release_interval, Some(PortStatus::Destroyed)),
            (Reason::PortBusy, PortStatus::Deleting) => {
                (self.timing.release_interval, Some(PortStatus::Recycled))
            }
            (Reason::PortBusy, _) => (self.timing.release_interval, Some(PortStatus::Running)),
            (Reason::Refused | Reason::Queued | Reason::Throttled, _) => (self.timing.refused_max, None),
            // A person acts, something outside of this forecast ends it, or it is the end.
            (
                Reason::Running
                | Reason::PortNotFound
                | Reason::PortRecycled
                | Reason::UnknownPortStatus
                | Reason::PortClaimed
                | Reason::IdentityChanged
                | Reason::InvalidSpec
                | Reason::UpdateRefused
                | Reason::CredentialsUnavailable
                | Reason::CredentialsNotCopied
                | Reason::CloudUnavailable
                | Reason::DescribeRefused
                | Reason::Unauthorized
                | Reason::PermissionDenied
                | Reason::ClockSkew
                | Reason::WaitingForFinalizers
                | Reason::DeletionProtected
                | Reason::NotInRecycleBin
                | Reason::PrepaidPort
                | Reason::RestoredElsewhere
                | Reason::MassDeletion
                | Reason::CRDDeleted
                | Reason::ApprovalRequired
                | Reason::ClusterStateUnknown
                | Reason::InUse
                | Reason::ConfirmingAbsence
                | Reason::AbsenceUnproven
                | Reason::PortDestroyed
                | Reason::PortGone
                | Reason::PortNeverFound
                | Reason::PortRetained,
                _,
            ) => return false,
        };
        self.elapsed += after;
        if let Some(status) = becomes {
            self.turn_to(status);
        }
        true
    }

    fn turn_to(&mut self, status: PortStatus) {
        if let Known::Port(port) = &mut self.port {
            port.port_status = status;
        }
    }

    fn instant(&self) -> Now {
        let elapsed = SignedDuration::try_from(self.elapsed).unwrap_or(SignedDuration::MAX);
        Now { wall: self.wall.saturating_add(elapsed).unwrap_or(self.wall), monotonic: BEGIN + self.elapsed }
    }

    fn evidence(&self) -> Option<Evidence> {
        let now = self.instant().monotonic;
        let presence = match &self.port {
            Known::Port(port) => Presence::Seen(port.clone()),
            Known::Absent => Presence::Absent,
            Known::NotChecked => return None,
        };
        let since = now - self.timing.proof.otherwise;
        let absences = Absences { count: u32::MAX, first: since, last: now };
        Some(Evidence {
            by: self.key(),
            absences: (presence == Presence::Absent).then_some(absences),
            good: Some(Reading { presence, at: now, since }),
            failure: None,
            waiting_since: BEGIN,
            interval: Some(self.timing.release_interval),
        })
    }

    /// The key that Zenlayer showed the port to last. Where the status says that no key can prove the absence, another.
    fn key(&self) -> Fingerprint {
        let identity = self.object.status.as_ref().and_then(|status| status.identity.as_ref());
        let newest = identity.and_then(|identity| identity.seen_by.last());
        newest
            .filter(|_| self.shown != Some(Reason::AbsenceUnproven))
            .cloned()
            .unwrap_or_else(|| Fingerprint::new("unknown"))
    }

    fn context(&self) -> Context {
        let deleted = self.object.metadata.deletion_timestamp.as_ref();
        let has_no_access = self.shown.is_some_and(is_of_access);
        Context {
            credential: if has_no_access {
                CredentialState::Unavailable("The operator cannot use the credentials.".into())
            } else {
                CredentialState::Usable(self.key())
            },
            not_copied: None,
            claims: self.surroundings.claims.clone(),
            same_account: Vec::new(),
            deletions_at_once: self.surroundings.deletions_at_once,
            listing: Listing::Complete,
            crd: CrdState::Stays { created: Timestamp::UNIX_EPOCH },
            attachments: match self.shown {
                Some(Reason::InUse) => Attachments::Known(vec!["what the status names".to_owned()]),
                _ => Attachments::Unknown,
            },
            gates: self.surroundings.gates,
            deletion_known_since: deleted.map(|time| BEGIN - age(time.0, self.wall)),
            call_known_since: self.call_known_since,
            learnt: None,
            turn: Turn::Free,
        }
    }
}

fn age(time: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(time)).unwrap_or_default().min(LONG_AGO)
}

fn shown(status: &ZenlayerPortStatus) -> Option<Reason> {
    let ready = status.conditions.iter().find(|condition| condition.type_ == READY)?;
    Reason::parse(&ready.reason)
}

fn known(id: &crate::port::PortId, status: &ZenlayerPortStatus, shown: Option<Reason>) -> Known {
    let is_absent =
        matches!(shown, Some(Reason::PortNotFound | Reason::ConfirmingAbsence | Reason::AbsenceUnproven));
    match &status.port {
        Some(port) if !is_absent || port.port_status() == PortStatus::Destroyed => {
            Known::Port(port.as_port_info(id))
        }
        Some(_) | None if is_absent => Known::Absent,
        Some(_) | None => Known::NotChecked,
    }
}

/// The operator could not use the credentials, so nothing is decided about the port.
fn is_of_access(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::CredentialsUnavailable | Reason::Unauthorized | Reason::PermissionDenied | Reason::ClockSkew
    )
}

/// It is about the port, which a status check must have shown.
fn is_of_port(reason: Reason) -> bool {
    !matches!(reason, Reason::PortRetained | Reason::WaitingForFinalizers) && !is_of_access(reason)
}
