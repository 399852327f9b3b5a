//! Every reason that `kubectl get zenlayerports` can show: who acts, when a wait counts as stalled, and what a person
//! can do. `docs/reasons.md` is generated from this table.

use std::time::Duration;

use super::{ZenlayerPort, ZenlayerPortStatus};

/// The condition that sums up: is the port in service, and if not, why.
pub const READY: &str = "Ready";
/// Abnormal-true (kstatus): the operator or Zenlayer will move things on.
pub const RECONCILING: &str = "Reconciling";
/// Abnormal-true (kstatus): a person must act.
pub const STALLED: &str = "Stalled";

/// Who moves things on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// All is as it should be.
    Nobody,
    Operator,
    Zenlayer,
    Person,
}

/// The status of the `Ready` condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    True,
    False,
    Unknown,
}

/// `type` of the Kubernetes Event that is sent when the reason appears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    Normal,
    Warning,
}

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

macro_rules! reasons {
    ($(
        $name:ident: $ready:ident, $actor:ident, stalls after $stall:expr, event $event:expr,
        $meaning:literal, $advice:literal;
    )*) => {
        /// The one word that says what is being waited for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $(#[doc = $meaning] $name),* }

        impl Reason {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }

            pub fn readiness(self) -> Readiness {
                match self { $(Self::$name => Readiness::$ready),* }
            }

            pub fn actor(self) -> Actor {
                match self { $(Self::$name => Actor::$actor),* }
            }

            /// How long the reason may last before a person should look; none: for ever.
            pub fn stalls_after(self) -> Option<Duration> {
                match self { $(Self::$name => $stall),* }
            }

            /// The Event that its appearance is worth.
            pub fn event(self) -> Option<EventType> {
                match self { $(Self::$name => $event),* }
            }

            /// What it says, for the documentation.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning),* }
            }

            /// What a person can do, with names and commands in braces to fill in; empty where there is nothing to do.
            pub fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice),* }
            }
        }
    };
}

const NORMAL: Option<EventType> = Some(EventType::Normal);
const WARNING: Option<EventType> = Some(EventType::Warning);

reasons! {
    Running: True, Nobody, stalls after None, event None,
        "The port is live.", "";
    Observing: Unknown, Operator, stalls after Some(5 * MINUTE), event None,
        "The port is being read.", "";
    PortNotFound: False, Person, stalls after None, event WARNING,
        "The object's credentials see no port of this id.",
        "Check spec.portId and the credentials.";
    PortRecycled: False, Person, stalls after None, event NORMAL,
        "The port lies in the recycle bin; Zenlayer releases it itself within 24 hours to 2 days.",
        "Restore it in the Zenlayer console to keep it, or release it now: \
         kubectl delete zenlayerport {name} -n {namespace}";
    PortBusy: False, Zenlayer, stalls after Some(HOUR), event None,
        "Zenlayer is working on the port (CREATING, UPDATING, RECOVERING or DELETING).",
        "If it lasts, ask Zenlayer's support about the port.";
    UnknownPortStatus: False, Person, stalls after None, event WARNING,
        "Zenlayer reports a port status that this version of the operator does not know, so it changes nothing.",
        "Upgrade the operator, or let go of the port without touching it: {retain}";
    PortClaimed: False, Person, stalls after None, event WARNING,
        "Another ZenlayerPort owns the same port, so its end is not this object's to bring about.",
        "Delete the other object, or keep the port by this one's policy: {retain}";
    IdentityChanged: False, Person, stalls after None, event WARNING,
        "The id now names a port with another creation time than the one this object owned.",
        "To leave the new port alone, set spec.deletionPolicy to Retain; to own it from now on: {approve}";

    InvalidSpec: False, Person, stalls after None, event WARNING,
        "This version of the operator cannot parse the object, so it decides nothing about it.",
        "Correct it, or run a version of the operator that knows what it says: \
         kubectl edit zenlayerport {name} -n {namespace}";

    CredentialsUnavailable: Unknown, Person, stalls after None, event WARNING,
        "There are no usable credentials for this object.",
        "Create or correct the Secret; it is read again every minute.";
    CredentialsNotCopied: False, Person, stalls after None, event WARNING,
        "The operator cannot keep a copy of the object's Secret in its own namespace. Without it, the deletion of the object's \
         namespace, which deletes the Secret first, leaves the port without credentials.",
        "The operator tries again every minute. To do without copies, set credentials.keepCopies to false.";
    CloudUnavailable: Unknown, Operator, stalls after Some(10 * MINUTE), event WARNING,
        "Zenlayer's API does not answer, or not in a way that can be trusted.", "";
    ReadingRefused: Unknown, Operator, stalls after Some(10 * MINUTE), event WARNING,
        "Zenlayer refuses to say what became of the port; it is asked again by itself.",
        "Check spec.portId; if it lasts, give the request's id to Zenlayer's support.";
    Throttled: Unknown, Operator, stalls after Some(10 * MINUTE), event None,
        "Zenlayer's API limits the rate of requests of this account.",
        "If it lasts, lower --requests-per-second or ask Zenlayer for a higher limit.";
    Unauthorized: Unknown, Person, stalls after None, event WARNING,
        "Zenlayer does not accept the credentials.",
        "Put a valid key or token into the Secret; it is read again every minute.";
    PermissionDenied: Unknown, Person, stalls after None, event WARNING,
        "The credentials are good, but may not do this.",
        "Grant the key's owner the permission at Zenlayer.";
    ClockSkew: Unknown, Person, stalls after None, event WARNING,
        "Zenlayer refuses the signature's time: the node's clock is more than five minutes off.",
        "Correct the clock of the node that the operator runs on.";

    GracePeriod: False, Operator, stalls after None, event None,
        "The object was deleted a moment ago; nothing is called yet, so that one can change one's mind. Then its call takes \
         its turn behind the account's other calls.",
        "To keep the port: {retain}";
    Queued: False, Operator, stalls after Some(HOUR), event None,
        "The port's call is due, and takes its turn behind the account's other calls.",
        "If it lasts, the account's rate is low for what is deleted at once: raise --requests-per-second if Zenlayer allows \
         more. To keep the port: {retain}";
    WaitingForFinalizers: False, Operator, stalls after Some(10 * MINUTE), event None,
        "Other finalizers are still on the object; releasing the port is the last act.",
        "The owners of the other finalizers act next.";
    DeletionProtected: False, Person, stalls after None, event WARNING,
        "The object is deleted, but spec.deletionProtection is true: nothing is called.",
        "To release the port after all: \
         kubectl patch zenlayerport {name} -n {namespace} --type=merge -p '{\"spec\":{\"deletionProtection\":false}}'";
    NotInRecycleBin: False, Person, stalls after None, event WARNING,
        "The port is live, and the policy releases only a port that lies in the recycle bin.",
        "Move the port to the recycle bin in the Zenlayer console, or let the operator do it, which stops its traffic: \
         kubectl patch zenlayerport {name} -n {namespace} --type=merge \
         -p '{\"spec\":{\"deletionPolicy\":\"TerminateAndDestroy\"}}'";
    PrepaidPort: False, Person, stalls after None, event WARNING,
        "The port is prepaid; Zenlayer's API cannot terminate it.",
        "Have Zenlayer end the subscription, or let go of the port without touching it: {retain}";
    RestoredElsewhere: False, Person, stalls after None, event WARNING,
        "After this deletion had seen the port in the recycle bin, somebody restored it.",
        "To leave the port as it is, set spec.deletionPolicy to Retain; to release it all the same: {approve}";
    MassDeletion: False, Person, stalls after None, event WARNING,
        "More objects with the same credentials are deleted at once than the threshold allows. No port of theirs is released \
         before a person has looked.",
        "To keep the ports, set spec.deletionPolicy to Retain; to release this one: {approve}";
    CRDDeleted: False, Person, stalls after None, event WARNING,
        "The CustomResourceDefinition is being deleted, or was deleted and created again. That deletes all objects, and \
         releases no port.",
        "To keep the port, set spec.deletionPolicy to Retain; to release it: {approve}";
    ApprovalRequired: False, Person, stalls after None, event WARNING,
        "The operator runs with --require-approval: each release waits for a person's consent.",
        "To release the port: {approve}";
    ClusterStateUnknown: Unknown, Operator, stalls after Some(10 * MINUTE), event None,
        "The Kubernetes API server does not answer a question that the decision needs: about the Secret, its namespace, \
         whether the CustomResourceDefinition is being deleted, or which other ZenlayerPorts there are.", "";
    InUse: False, Person, stalls after None, event WARNING,
        "Zenlayer refuses the call, and the port is in use.",
        "Delete what uses it at Zenlayer first; it is tried again by itself.";
    Terminating: False, Zenlayer, stalls after Some(10 * MINUTE), event NORMAL,
        "TerminatePort was called; Zenlayer moves the port to the recycle bin.",
        "If it lasts, ask Zenlayer's support about the port.";
    Destroying: False, Zenlayer, stalls after Some(HOUR), event NORMAL,
        "DestroyPort was called, or the port is being destroyed already.",
        "If it lasts, ask Zenlayer's support about the port.";
    Confirming: False, Operator, stalls after Some(5 * MINUTE), event None,
        "A call was sent and its answer was not heard; the port is watched to learn whether it was carried out.", "";
    Refused: False, Operator, stalls after Some(10 * MINUTE), event WARNING,
        "Zenlayer refused the call; it is tried again after a pause.",
        "If the port is still in use, delete its private connects and cloud router points first.";
    ConfirmingAbsence: False, Operator, stalls after Some(30 * MINUTE), event None,
        "The port is not listed; further readings make sure that it is gone.", "";
    AbsenceUnproven: False, Person, stalls after None, event WARNING,
        "The port is not listed, but these credentials never saw it, so their not seeing it proves nothing.",
        "Put a key into the Secret that has seen the port. Or, once you have checked in the Zenlayer console that the port is gone \
         or may stay, remove the object and leave the port as it is: {retain}";

    PortDestroyed: False, Nobody, stalls after None, event NORMAL,
        "The port was destroyed by this deletion; the object goes.", "";
    PortGone: False, Nobody, stalls after None, event NORMAL,
        "The port is gone, by somebody else's doing; the object goes.", "";
    PortNeverFound: False, Nobody, stalls after None, event WARNING,
        "No port of this id was ever seen: nothing was destroyed, and the object goes.", "";
    PortRetained: False, Nobody, stalls after None, event NORMAL,
        "The policy is Retain: the port is left as it is, and the object goes.", "";
}

impl Reason {
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == word)
    }

    /// Whether a person may consent to pass a hold of this reason (see [`ZenlayerPort::approves`]).
    pub fn is_approvable(self) -> bool {
        self.advice().contains(APPROVE)
    }

    /// The advice for one object, ready to be typed.
    pub fn advice_for(self, object: &ZenlayerPort, status: &ZenlayerPortStatus) -> String {
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        let name = object.metadata.name.as_deref().unwrap_or_default();
        self.advice_with(name, namespace, &object.approve_command(self, status))
    }

    /// The advice for any object, for the documentation.
    pub fn advice_in_general(self) -> String {
        self.advice_with("NAME", "NAMESPACE", "approve it by the command that the message prints")
    }

    fn advice_with(self, name: &str, namespace: &str, approve: &str) -> String {
        self.advice()
            .replace(APPROVE, approve)
            .replace(RETAIN, RETAIN_COMMAND)
            .replace("{namespace}", namespace)
            .replace("{name}", name)
    }
}

/// Stands for the command that approves the hold of one object.
const APPROVE: &str = "{approve}";
/// Stands for the command that lets go of the object and leaves its port as it is.
const RETAIN: &str = "{retain}";
const RETAIN_COMMAND: &str = "kubectl patch zenlayerport {name} -n {namespace} --type=merge -p '{\"spec\":{\"deletionPolicy\":\"Retain\"}}'";
