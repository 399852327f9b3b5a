//! Every reason that `kubectl get zenlayerports` can show: who acts, when a wait counts as stalled, and what a person
//! can do. `docs/reasons.md` is generated from this table.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;

use super::{DeletionPolicy, ZenlayerPort, ZenlayerPortStatus};
use crate::port::PortStatus;

/// The condition that sums up: is the port in service, and if not, why.
pub const READY: &str = "Ready";
/// Abnormal-true (kstatus): the operator, Zenlayer or the owners of other finalizers will move things on.
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
    /// Those who put them on the object.
    OtherFinalizers,
    Person,
}

impl Actor {
    /// Whether something is under way without a person.
    pub fn moves_on(self) -> bool {
        matches!(self, Self::Operator | Self::Zenlayer | Self::OtherFinalizers)
    }
}

/// The status of the `Ready` condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    True,
    False,
    Unknown,
}

impl Readiness {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
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
        "The port is running.", "";
    Observing: Unknown, Operator, stalls after Some(5 * MINUTE), event None,
        "The operator is checking the port's state at Zenlayer.", "";
    PortNotFound: False, Person, stalls after None, event WARNING,
        "Zenlayer returns no port with this id for these credentials.",
        "Check spec.portId, and check that the Secret holds a key of the account that owns the port.";
    PortRecycled: False, Person, stalls after None, event NORMAL,
        "The port is in the recycle bin. Zenlayer destroys it 24 hours to 2 days after it was terminated.",
        "To keep the port, restore it in the Zenlayer console. {destroy}";
    PortBusy: False, Zenlayer, stalls after Some(HOUR), event None,
        "Zenlayer is working on the port (CREATING, UPDATING, RECOVERING or DELETING).",
        "If this lasts, ask Zenlayer's support about the port.";
    UnknownPortStatus: False, Person, stalls after None, event WARNING,
        "Zenlayer reports a port status that this version of the operator does not know. The operator makes no \
         changes.",
        "Upgrade the operator. To remove the object and leave the port as it is: {retain}";
    PortClaimed: False, Person, stalls after None, event WARNING,
        "Another ZenlayerPort owns the same port, so the operator does not destroy it for this object.",
        "{decide}To remove only this object and leave the port to the other one: {retain}";
    IdentityChanged: False, Person, stalls after None, event WARNING,
        "Zenlayer has given the id to another port: its creation time is not that of the port that this object owned.",
        "To remove the object and leave the new port as it is: {retain}; to make this object own the new port: {approve}";

    InvalidSpec: False, Person, stalls after None, event WARNING,
        "This version of the operator cannot read the object, so it does nothing about it.",
        "Correct the object, or run a version of the operator that understands it: kubectl edit zenlayerport {name} \
         -n {namespace}";
    UpdateRefused: False, Person, stalls after None, event WARNING,
        "The API server refuses a change of this object that the operator must make.",
        "Exempt the operator's ServiceAccount from the admission policy or webhook that the message names. The operator \
         tries the change again.";

    CredentialsUnavailable: Unknown, Person, stalls after None, event WARNING,
        "The operator has no usable credentials for this object.",
        "Create or correct the Secret. The operator reads it again every minute. {give up}";
    CredentialsNotCopied: False, Person, stalls after None, event WARNING,
        "The operator cannot keep a copy of the object's Secret in its own namespace. Without it, the deletion of the object's \
         namespace, which deletes the Secret first, leaves the port without credentials.",
        "The operator tries again every minute. To do without copies, set --credentials-keep-copies=false (in the Helm \
         values: credentials.keepCopies).";
    CloudUnavailable: Unknown, Operator, stalls after Some(10 * MINUTE), event WARNING,
        "Zenlayer's API does not answer, or its answer cannot be trusted. The operator tries again.",
        "If this lasts, check that the operator can reach Zenlayer's API. {give up}";
    DescribeRefused: Unknown, Operator, stalls after Some(10 * MINUTE), event WARNING,
        "Zenlayer refuses DescribePorts, the request for the port's status. The operator tries again.",
        "Check spec.portId. If this lasts, give Zenlayer's support the request id. {give up}";
    Throttled: Unknown, Operator, stalls after Some(10 * MINUTE), event None,
        "Zenlayer limits the rate of requests of this account. The operator waits and tries again.",
        "If this lasts, lower --requests-per-second (in the Helm values: zenlayer.requestsPerSecond), or ask Zenlayer for \
         a higher limit.";
    Unauthorized: Unknown, Person, stalls after None, event WARNING,
        "Zenlayer does not accept the credentials.",
        "Put a valid key or token into the Secret. The operator reads it again every minute. {give up}";
    PermissionDenied: Unknown, Person, stalls after None, event WARNING,
        "The credentials are valid, but Zenlayer does not permit this request.",
        "Ask the owner of the Zenlayer account to grant the permission. {give up}";
    ClockSkew: Unknown, Person, stalls after None, event WARNING,
        "Zenlayer refuses the time in the request: the node's clock is wrong by more than five minutes.",
        "Correct the clock of the node that runs the operator. {give up}";

    GracePeriod: False, Operator, stalls after None, event None,
        "You deleted the object a moment ago. The operator makes no changes yet, so that you can still change your \
         mind. After that, its request may wait for other requests of the same account.",
        "{keep}";
    Queued: False, Operator, stalls after Some(HOUR), event None,
        "The request for this port waits for other requests of the same account.",
        "If this lasts, the account's rate limit is low for this number of deletions: raise --requests-per-second \
         (in the Helm values: zenlayer.requestsPerSecond) if Zenlayer allows more. {keep}";
    WaitingForFinalizers: False, OtherFinalizers, stalls after Some(10 * MINUTE), event None,
        "The object has other finalizers. The operator destroys the port after they are gone.",
        "The owners of the other finalizers act next. {keep}";
    DeletionProtected: False, Person, stalls after None, event WARNING,
        "You deleted the object, but spec.deletionProtection is true. The operator does not change the port.",
        "{keep}; to let the deletion go on: {unprotect}";
    NotInRecycleBin: False, Person, stalls after None, event WARNING,
        "The port is running. The policy Destroy only destroys a port that is in the recycle bin.",
        "{keep}; to destroy it, move it to the recycle bin in the Zenlayer console, or let the operator \
         do that, which stops its traffic: {set TerminateAndDestroy}";
    PrepaidPort: False, Person, stalls after None, event WARNING,
        "The port is prepaid. Zenlayer's API cannot terminate it.",
        "Ask Zenlayer to end the subscription. To remove the object and leave the port as it is: {retain}";
    RestoredElsewhere: False, Person, stalls after None, event WARNING,
        "Someone restored the port from the recycle bin during this deletion, or Zenlayer dropped a TerminatePort \
         that it had accepted.",
        "To remove the object and leave the port as it is: {retain}; to let the deletion go on: {approve}";
    MassDeletion: False, Person, stalls after None, event WARNING,
        "Many objects of one account are being deleted at the same time. The operator pauses each of them until you \
         approve it.",
        "{keep}; to let this deletion go on: {approve}";
    CRDDeleted: False, Person, stalls after None, event WARNING,
        "The CustomResourceDefinition was deleted, and this object with it. That alone destroys no port.",
        "{keep}; to let the deletion go on: {approve}";
    ApprovalRequired: False, Person, stalls after None, event WARNING,
        "The operator runs with --require-approval (in the Helm values: deletion.requireApproval): it changes no port \
         without your approval.",
        "{keep}; to let the deletion go on: {approve}";
    ClusterStateUnknown: Unknown, Operator, stalls after Some(10 * MINUTE), event None,
        "The Kubernetes API server does not answer a question that the decision needs: about the Secret, its namespace, \
         whether the CustomResourceDefinition is being deleted, or which other ZenlayerPorts there are.",
        "If this lasts, look at the operator's log and at the API server. {give up}";
    InUse: False, Person, stalls after None, event WARNING,
        "Zenlayer refuses the request, and the port is in use.",
        "Delete what uses the port at Zenlayer. The operator tries again by itself. {keep}";
    Terminating: False, Zenlayer, stalls after Some(10 * MINUTE), event NORMAL,
        "The operator called TerminatePort. Zenlayer moves the port to the recycle bin.",
        "If this lasts, ask Zenlayer's support about the port.";
    Destroying: False, Zenlayer, stalls after Some(HOUR), event NORMAL,
        "The operator called DestroyPort, or Zenlayer is already destroying the port.",
        "If this lasts, ask Zenlayer's support about the port.";
    Confirming: False, Operator, stalls after Some(5 * MINUTE), event None,
        "The operator sent a request and got no clear answer. It checks the port's state to learn whether Zenlayer \
         carried out the request.", "";
    Refused: False, Operator, stalls after Some(10 * MINUTE), event WARNING,
        "Zenlayer refused the request. The operator tries again after a pause.",
        "If the port is still in use, delete its private connects and cloud router points first. {keep}";
    ConfirmingAbsence: False, Operator, stalls after Some(30 * MINUTE), event None,
        "Zenlayer no longer lists the port. The operator checks again to make sure that the port is gone.", "";
    AbsenceUnproven: False, Person, stalls after None, event WARNING,
        "Zenlayer does not list the port, but these credentials never saw it. So this does not prove that the port is \
         gone.",
        "Put back credentials of the account that owns the port. To remove the object without that proof: {retain}";

    PortDestroyed: False, Nobody, stalls after None, event NORMAL,
        "This deletion destroyed the port. The operator removes the finalizer.", "";
    PortGone: False, Nobody, stalls after None, event NORMAL,
        "The port is gone: someone else destroyed it. The operator removes the finalizer.", "";
    PortNeverFound: False, Nobody, stalls after None, event WARNING,
        "Zenlayer never returned a port with this id for these credentials. The operator destroyed nothing and \
         removes the finalizer.", "";
    PortRetained: False, Nobody, stalls after None, event NORMAL,
        "The policy is Retain. The operator makes no more calls for the port and removes the finalizer.", "";
}

/// What `PortClaimed` asks for.
const DECIDE: &str = "Decide which of the two objects keeps the port. To destroy the port, delete both. ";

impl Reason {
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == word)
    }

    /// Whether a person may consent to pass a hold of this reason (see [`ZenlayerPort::approves`]).
    pub fn is_approvable(self) -> bool {
        self.advice().contains("{approve}")
    }

    /// The advice for one object, ready to be typed.
    pub fn advice_for(self, object: &ZenlayerPort, status: &ZenlayerPortStatus) -> String {
        let mut advice = String::new();
        self.advise(&mut advice, object, status);
        advice
    }

    /// Appends the advice for one object to `text`, which it leaves without a space at its end.
    pub(crate) fn advise(self, text: &mut String, object: &ZenlayerPort, status: &ZenlayerPortStatus) {
        let metadata = &object.metadata;
        let port = status.port.as_ref();
        let is_recycled = port.is_some_and(|port| port.port_status() == PortStatus::Recycled);
        fill(text, self.advice(), &|hole| {
            let template = match hole {
                // Before a deletion, the policy alone removes nothing, and nobody asks to remove the object.
                "give up" if object.is_terminating() => {
                    "To remove the object and leave the port as it is: {retain}"
                }
                "give up" => "",
                // The message of an object that is being deleted says what the other object means for it.
                "decide" if object.is_terminating() => "",
                "decide" => DECIDE,
                // What lies in the bin is destroyed there, whatever becomes of the object.
                "keep" if is_recycled => {
                    "To keep the port, first restore it in the Zenlayer console, and then: {retain}"
                }
                "keep" => "To keep the port: {retain}",
                "retain" if object.is_terminating() => "{set Retain}",
                "retain" => "{set Retain} && {delete}",
                "destroy" => match object.spec.deletion_policy {
                    DeletionPolicy::Destroy | DeletionPolicy::TerminateAndDestroy => {
                        "To destroy it now: {delete}"
                    }
                    DeletionPolicy::Terminate => {
                        "If you delete the object, the operator removes its finalizer and leaves the port in the bin, \
                         because spec.deletionPolicy is Terminate. To destroy the port now: {set Destroy} && {delete}"
                    }
                    DeletionPolicy::Retain => {
                        "If you delete the object, the operator removes its finalizer and leaves the port in the bin, \
                         because spec.deletionPolicy is Retain. To destroy the port now: {set Destroy} && {delete}"
                    }
                },
                // The API server refuses to delete an object that is protected.
                "delete" if object.spec.deletion_protection => "{unprotect} && {delete object}",
                "delete" => "{delete object}",
                "approve" => return Some(Filling::Word(object.approve_command(self, status).into())),
                "namespace" => return Some(Filling::word(metadata.namespace.as_deref())),
                "name" => return Some(Filling::word(metadata.name.as_deref())),
                _ => return command(hole),
            };
            Some(Filling::Template(template))
        });
        text.truncate(text.trim_end().len());
    }

    /// The advice for any object, for the documentation.
    pub fn advice_in_general(self) -> String {
        let mut advice = String::new();
        fill(&mut advice, self.advice(), &|hole| {
            Some(Filling::Template(match hole {
                "give up" => "During a deletion, to remove the object and leave the port as it is: {retain}",
                "decide" => DECIDE,
                "keep" => {
                    "To keep the port (if it is in the recycle bin, first restore it in the Zenlayer console): {retain}"
                }
                "retain" => "{set Retain}",
                "destroy" => {
                    "To destroy it now, with the policy Destroy or TerminateAndDestroy: {delete}; to destroy it now with \
                     another policy, which leaves the port in the bin: {set Destroy} && {delete}"
                }
                "delete" => "{delete object}",
                "approve" => "approve it by the command that the message prints",
                "namespace" => "NAMESPACE",
                "name" => "NAME",
                _ => return command(hole),
            }))
        });
        advice
    }
}

/// What a placeholder of a text is replaced by.
enum Filling<'a> {
    /// Text with placeholders of its own.
    Template(&'static str),
    Word(Cow<'a, str>),
}

impl<'a> Filling<'a> {
    fn word(word: Option<&'a str>) -> Self {
        Self::Word(word.unwrap_or_default().into())
    }
}

/// Appends `template` to `text`. Words in braces that `filling` knows are placeholders; others stay as they are.
fn fill<'a>(text: &mut String, template: &str, filling: &dyn Fn(&str) -> Option<Filling<'a>>) {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let hole = if after.starts_with('"') { None } else { after.split_once('}') };
        let hole = hole.and_then(|(hole, after)| Some((filling(hole)?, after)));
        rest = match hole {
            Some((Filling::Template(template), after)) => {
                fill(text, template, filling);
                after
            }
            Some((Filling::Word(word), after)) => {
                text.push_str(&word);
                after
            }
            // It belongs to the JSON of a patch.
            None => {
                text.push('{');
                after
            }
        };
    }
    text.push_str(rest);
}

fn command(hole: &str) -> Option<Filling<'static>> {
    Some(Filling::Template(match hole {
        "delete object" => "kubectl delete zenlayerport {name} -n {namespace}",
        "set Destroy" => "{patch} -p '{\"spec\":{\"deletionPolicy\":\"Destroy\"}}'",
        "set Retain" => "{patch} -p '{\"spec\":{\"deletionPolicy\":\"Retain\"}}'",
        "set TerminateAndDestroy" => "{patch} -p '{\"spec\":{\"deletionPolicy\":\"TerminateAndDestroy\"}}'",
        "unprotect" => "{patch} -p '{\"spec\":{\"deletionProtection\":false}}'",
        "patch" => "kubectl patch zenlayerport {name} -n {namespace} --type=merge",
        _ => return None,
    }))
}

/// The advice of a reason, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    /// What a person can do without kubectl, or needs to know; empty where there is nothing.
    pub hint: String,
    /// The commands to choose from.
    pub remedies: Vec<Remedy>,
}

/// A command that a person can type, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remedy {
    pub purpose: String,
    pub command: String,
}

impl Advice {
    /// Takes apart what [`Reason::advice_for`] says: a command begins with `kubectl`, and ends with a semicolon or the text.
    pub fn parse(text: &str) -> Self {
        let mut advice = Self::default();
        for part in text.split("; ") {
            let Some(at) = part.find("kubectl ") else {
                advice.tell(part);
                continue;
            };
            let (before, command) = part.split_at(at);
            let before = before.trim_end_matches([' ', ':']);
            let (hint, purpose) = before.rsplit_once(". ").map_or(("", before), |(hint, rest)| (hint, rest));
            if !hint.is_empty() {
                advice.tell(&format!("{hint}."));
            }
            advice.remedies.push(Remedy { purpose: capitalized(purpose), command: command.to_owned() });
        }
        advice
    }

    fn tell(&mut self, sentence: &str) {
        if !self.hint.is_empty() {
            self.hint.push(' ');
        }
        self.hint.push_str(&capitalized(sentence));
        if !sentence.ends_with('.') {
            self.hint.push('.');
        }
    }
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
