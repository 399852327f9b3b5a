//! What the messages say. The operator writes the sentence of a message only when it shows it.

use std::fmt;

use super::claims::Claim;
use super::record::CallFailure;
use crate::answer::Refusal;
use crate::api::{Call, CallAction, ZenlayerPort};
use crate::port::{PortInfo, PortStatus};
use crate::reading::Unreadable;

/// What is the case, for one object; the advice of the reason follows it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Message<'a> {
    /// A sentence that others made.
    Said(&'a str),
    /// Such a sentence about something that failed and is tried again.
    TriesAgain(&'a str),

    // Checking the port
    FirstCheck,
    Checking,
    CannotCheck(&'a Unreadable),

    // The port, whatever becomes of its object
    ReportsUnknownStatus(&'a str),
    IsAnotherPort {
        now: &'a PortInfo,
        first: Option<&'a str>,
    },
    BelongsToo(&'a Claim),

    // The port of an object that lives
    IsRunning,
    IsInRecycleBin,
    IsBusy(&'a PortStatus),
    IsDestroyedBySomeone {
        over: bool,
    },
    NotReturned,
    ChecksAbsence,
    Unprotected(&'a str),

    // A deletion
    Retained {
        too_late_for: Option<MadeCall>,
        /// The finalizers that keep the object.
        others: Vec<&'a str>,
    },
    OtherFinalizers(Vec<&'a str>),
    Destroyed {
        by_us: bool,
    },
    NeverReturned,
    Gone {
        checks: u32,
    },
    ConfirmsAbsence,
    AbsenceUnproven,
    Destroying,
    MovesToRecycleBin,
    WaitsForPort(&'a PortStatus),
    DoesNotKnowStatus(&'a str),
    Restored,
    TerminateWithoutEffect,
    TerminateUnchecked(&'a Call),
    PerhapsRestored,
    AwaitsUnclear {
        call: &'a Call,
        why: &'a str,
    },
    AwaitsUnanswered(&'a Call),
    AwaitsEffect(&'a Call),
    TookEffect(&'a Call),
    StaysInRecycleBin,
    PerhapsBelongsToo,
    Prepaid,
    NotInRecycleBin,
    Protected,
    OneOfMany,
    NotApproved,
    CrdDeleted,
    GracePeriod,
    CrdUnread(&'a str),
    Listing,
    WatchIsBehind,
    InUse {
        users: &'a [String],
        call: &'a Call,
        refusal: &'a Refusal,
    },
    CallFailed {
        call: &'a Call,
        failure: CallFailure<'a>,
    },
    WaitsForTurn,
    WaitsForPause(&'a str),
    Calls {
        action: CallAction,
        port: &'a PortInfo,
    },
}

/// A call that was made before the policy became `Retain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MadeCall {
    Accepted(CallAction),
    PerhapsSent(CallAction),
}

impl Message<'_> {
    /// The sentence for this object.
    pub(super) fn of<'c>(&'c self, object: &'c ZenlayerPort) -> impl fmt::Display + 'c {
        fmt::from_fn(move |f| self.say(f, object))
    }

    #[expect(clippy::too_many_lines, reason = "all sentences stand in one place")]
    fn say(&self, f: &mut fmt::Formatter<'_>, object: &ZenlayerPort) -> fmt::Result {
        let id = &object.spec.port_id;
        match self {
            Self::Said(sentence) => f.write_str(sentence),
            Self::TriesAgain(sentence) => write!(f, "{sentence} The operator tries again."),

            Self::FirstCheck => write!(f, "The operator is about to check port {id} for the first time."),
            Self::Checking => write!(f, "The operator is checking the status of port {id}."),
            Self::CannotCheck(why) => match why {
                Unreadable::Unavailable(_) => {
                    write!(f, "The operator cannot check port {id}: {why}. It tries again.")
                }
                Unreadable::Refused(_) => {
                    write!(
                        f,
                        "The operator cannot check port {id}: Zenlayer refuses DescribePorts with {why}."
                    )
                }
                Unreadable::NotAsked(_) => write!(f, "The operator cannot check port {id} now: {why}."),
            },

            Self::ReportsUnknownStatus(word) => write!(
                f,
                "Zenlayer reports the status {word:?} for port {id}. This version of the operator does not know \
                 that status."
            ),
            Self::IsAnotherPort { now, first } => write!(
                f,
                "Zenlayer returns another port for the id {id}: it was created at {}, but the port that this object \
                 owned was created at {}. The operator makes no change.",
                now.created_time.as_deref().unwrap_or("an unknown time"),
                first.unwrap_or("an unknown time"),
            ),
            // The other object is named only within the namespace: elsewhere its name is its owner's business.
            Self::BelongsToo(claim) => {
                let is_here = object.metadata.namespace.as_deref() == Some(claim.namespace.as_str());
                if is_here {
                    write!(f, "Port {id} also belongs to ZenlayerPort {}", claim.name)?;
                } else {
                    write!(f, "Port {id} also belongs to a ZenlayerPort in another namespace")?;
                }
                f.write_str(match (object.is_terminating(), claim.terminating) {
                    (true, true) => {
                        ", which is older and is being deleted too. The operator waits until that one is gone."
                    }
                    (true, false) => ". To destroy the port, delete that object too.",
                    (false, true) => ", which is being deleted.",
                    (false, false) => ".",
                })
            }

            Self::IsRunning => write!(f, "Port {id} is RUNNING."),
            Self::IsInRecycleBin => write!(
                f,
                "Port {id} is in the recycle bin. Zenlayer destroys it 24 hours to 2 days after it was terminated."
            ),
            Self::IsBusy(status) => write!(f, "Port {id} is {}.", status.as_str()),
            Self::IsDestroyedBySomeone { over: false } => write!(
                f,
                "Zenlayer is destroying port {id}. Someone else started that: you did not delete this object."
            ),
            Self::IsDestroyedBySomeone { over: true } | Self::Destroyed { by_us: false } => {
                write!(f, "Port {id} is DESTROYED. Someone else destroyed it.")
            }
            Self::NotReturned => write!(f, "Zenlayer returns no port {id} for these credentials."),
            Self::ChecksAbsence => {
                write!(f, "Zenlayer does not list port {id}. The operator checks again to be sure.")
            }
            Self::Unprotected(why) => write!(
                f,
                "{why} The object has no finalizer yet: if you delete it now, the operator does not destroy port {id}."
            ),

            Self::Retained { too_late_for, others } => {
                match too_late_for {
                    None => {
                        write!(
                            f,
                            "The operator leaves port {id} as it is, because spec.deletionPolicy is Retain."
                        )
                    }
                    Some(MadeCall::Accepted(action)) => write!(
                        f,
                        "The operator makes no more calls for port {id}, because spec.deletionPolicy is Retain. But \
                         Zenlayer had accepted {} already, and the operator cannot take that back.",
                        action.as_str()
                    ),
                    Some(MadeCall::PerhapsSent(action)) => write!(
                        f,
                        "The operator makes no more calls for port {id}, because spec.deletionPolicy is Retain. But the \
                         operator may have sent {} already, and Zenlayer may carry it out.",
                        action.as_str()
                    ),
                }?;
                if others.is_empty() {
                    return Ok(());
                }
                write!(f, " Other finalizers keep the object: {}.", others.join(", "))
            }
            Self::OtherFinalizers(others) => write!(
                f,
                "The operator does not change the port until the other finalizers are gone: {}.",
                others.join(", ")
            ),
            Self::Destroyed { by_us: true } => write!(f, "Port {id} is DESTROYED."),
            Self::NeverReturned => write!(
                f,
                "Zenlayer never returned port {id} for these credentials. The operator destroyed nothing."
            ),
            Self::Gone { checks } => {
                write!(f, "Zenlayer no longer lists port {id}: {checks} status checks did not find it.")
            }
            Self::ConfirmsAbsence => write!(
                f,
                "Zenlayer does not list port {id}. The operator checks again to make sure that the port is gone."
            ),
            Self::AbsenceUnproven => write!(
                f,
                "Zenlayer does not list port {id} for the current credentials. It listed the port before, but \
                 never for these credentials. They may belong to another account or may not see every port, so \
                 this does not prove that the port is gone."
            ),
            Self::Destroying => {
                write!(f, "Zenlayer is destroying port {id}. After that, the operator removes the finalizer.")
            }
            Self::MovesToRecycleBin => write!(f, "Zenlayer is moving port {id} to the recycle bin."),
            Self::WaitsForPort(status) => {
                write!(f, "Port {id} is {}. The operator waits until that ends.", status.as_str())
            }
            Self::DoesNotKnowStatus(word) => write!(
                f,
                "Zenlayer reports the status {word:?} for port {id}. This version of the operator does not \
                 know that status and makes no change."
            ),
            Self::Restored => write!(
                f,
                "Port {id} was in the recycle bin during this deletion, and someone restored it. The operator makes no \
                 changes to it."
            ),
            Self::TerminateWithoutEffect => write!(
                f,
                "Zenlayer accepted TerminatePort for port {id}, but the port is still running. Either Zenlayer dropped the \
                 request, or someone restored the port from the recycle bin. The operator does not repeat it by itself."
            ),
            Self::TerminateUnchecked(call) => write!(
                f,
                "The operator may have sent TerminatePort for port {id} at {}, and has no clear answer. Then it could not \
                 check the port for more than 10 minutes. The port is running: either Zenlayer did not carry out the \
                 request, or someone restored the port. The operator does not repeat the request by itself.",
                call.requested_time.0.strftime("%Y-%m-%dT%H:%M:%SZ")
            ),
            Self::PerhapsRestored => write!(
                f,
                "Port {id} was in the recycle bin and is running now. The operator checks again whether someone restored \
                 it."
            ),
            Self::AwaitsUnclear { call, why } => write!(
                f,
                "The operator sent {} for port {id} and got no clear answer: {why}. {LEARNS}",
                call.action.as_str()
            ),
            Self::AwaitsUnanswered(call) => write!(
                f,
                "The operator may have sent {} for port {id}, but has no record of an answer. {LEARNS}",
                call.action.as_str()
            ),
            Self::AwaitsEffect(call) => write!(
                f,
                "Zenlayer accepted {} for port {id}, but the status of the port has not changed yet.",
                call.action.as_str()
            ),
            Self::TookEffect(call) => write!(
                f,
                "{} for port {id} took effect. The operator checks the port again.",
                call.action.as_str()
            ),
            Self::StaysInRecycleBin => write!(
                f,
                "Port {id} is in the recycle bin, and the policy Terminate leaves it there: the operator \
                 removes the finalizer. Zenlayer destroys the port 24 hours to 2 days after it was terminated, \
                 unless someone restores it in the Zenlayer console."
            ),
            Self::PerhapsBelongsToo => write!(
                f,
                "Another ZenlayerPort has the same portId {id}. The operator makes no change until it knows whether \
                 that object owns the port."
            ),
            Self::Prepaid => {
                write!(f, "Port {id} is RUNNING and prepaid. Zenlayer's API cannot terminate a prepaid port.")
            }
            Self::NotInRecycleBin => write!(
                f,
                "Port {id} is RUNNING. The policy Destroy only destroys a port that is in the recycle bin."
            ),
            Self::Protected => {
                write!(f, "The operator does not change port {id}, because spec.deletionProtection is true.")
            }
            Self::OneOfMany => write!(
                f,
                "This is one of many deletions of the same account within a short time. The operator does not \
                 change port {id} until you approve the deletion."
            ),
            Self::NotApproved => {
                write!(f, "The operator does not change port {id} until you approve the deletion.")
            }
            Self::CrdDeleted => write!(
                f,
                "The CustomResourceDefinition is being deleted, or was deleted and created again. This may have \
                 deleted the object, so the operator does not change port {id} until you approve the deletion."
            ),
            Self::GracePeriod => write!(
                f,
                "The operator does not change port {id} during the grace period. After that, the request for the \
                 port may wait for other requests of the same account."
            ),
            Self::CrdUnread(why) => write!(
                f,
                "The operator does not change port {id}, because it could not read the CustomResourceDefinition: {why}."
            ),
            Self::Listing => write!(
                f,
                "The operator does not change port {id} yet, because it is still listing the ZenlayerPorts."
            ),
            Self::WatchIsBehind => write!(
                f,
                "The operator does not change port {id} yet, because the Kubernetes API server has not sent it all \
                 changes from before this deletion."
            ),
            Self::InUse { users, call, refusal } => write!(
                f,
                "Port {id} is in use by {}. Zenlayer refused {} with {refusal} (attempt {}).",
                first_of(users),
                call.action.as_str(),
                call.attempt
            ),
            Self::CallFailed { call, failure } => {
                let (name, attempt) = (call.action.as_str(), call.attempt);
                match failure {
                    CallFailure::Refused(refusal) => {
                        write!(f, "Zenlayer refused {name} for port {id} with {refusal} (attempt {attempt}).")
                    }
                    CallFailure::NotSent { why, .. } => write!(
                        f,
                        "The operator did not send {name} for port {id} (attempt {attempt}): {why}."
                    ),
                }
            }
            Self::WaitsForTurn => {
                write!(f, "The request for port {id} waits for other requests of the same account.")
            }
            Self::WaitsForPause(why) => write!(f, "The request for port {id} waits: {why}."),
            Self::Calls { action, port } => write!(
                f,
                "The operator calls {} for port {id}, which is {}.",
                action.as_str(),
                port.port_status.as_str()
            ),
        }
    }
}

const LEARNS: &str = "It checks the port to learn whether Zenlayer carried out the request.";

/// The first few, and how many there are beside.
fn first_of(users: &[String]) -> String {
    const SHOWN: usize = 5;
    let (shown, more) = users.split_at(users.len().min(SHOWN));
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    format!("{}{more}", shown.join(", "))
}
