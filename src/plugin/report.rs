//! One `ZenlayerPort` as the screens and the JSON show it. The screens are made from this and from nothing else.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use serde::Serialize;

use crate::api::{
    self, Advice, CallOutcome, DeletionPolicy, READY, RECONCILING, Reason, Remedy, STALLED, ZenlayerPort,
};
use crate::text::sanitized_up_to;

/// Who acts next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum Actor {
    /// A person.
    You,
    Zenlayer,
    Operator,
    /// The owners of other finalizers of the object.
    OtherFinalizers,
    /// Everything is as it should be.
    Nobody,
}

/// What is known of one object.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PortReport {
    pub namespace: String,
    pub name: String,
    /// The uid of the object, which the operator's log and traces name.
    pub uid: String,
    pub port_id: String,
    /// Zenlayer's name of the port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_name: Option<String>,
    /// Zenlayer's status of the port, at the last status check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_status: Option<String>,
    pub deletion_policy: DeletionPolicy,
    /// Status of the condition `Ready`: True, False or Unknown.
    pub ready: String,
    /// Reason of the condition `Ready`; empty if the operator has not seen the object yet.
    pub reason: String,
    pub actor: Actor,
    /// Since when the object has shown this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Whether it has lasted so long that a person should look.
    pub stalled: bool,
    /// When the object was deleted; none if nobody has deleted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_timestamp: Option<Timestamp>,
    /// What is the case.
    pub message: String,
    /// What a person can do without kubectl, or needs to know.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// The commands to choose from.
    pub remedies: Vec<Remedy>,
    /// Zenlayer's id of the last request that changed the port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Longer than any message of the operator.
const LONGEST_MESSAGE: usize = 4000;

impl PortReport {
    pub fn of(object: &ZenlayerPort) -> Self {
        let status = object.status.clone().unwrap_or_default();
        let condition = |kind| status.conditions.iter().find(|it| it.type_ == kind);
        let ready = condition(READY);
        let shown = ready.map(|ready| ready.reason.as_str()).unwrap_or_default();
        let reason = Reason::parse(shown);
        let advice = reason.map(|reason| reason.advice_for(object, &status)).unwrap_or_default();
        let whole = ready.map(|ready| ready.message.as_str()).unwrap_or_default();
        let stalled = condition(STALLED).is_some_and(is_true);
        let is_current = status.observed_generation == object.metadata.generation;
        let actor = match reason.map(|reason| Actor::from(reason.actor())) {
            _ if stalled => Actor::You,
            // The operator is done with it.
            Some(Actor::Nobody) if object.is_terminating() && !object.has_finalizer() => {
                Actor::OtherFinalizers
            }
            // The operator has not looked at the deletion, or at the change, yet.
            Some(Actor::Nobody) if object.is_terminating() || !is_current => Actor::Operator,
            Some(actor) => actor,
            None if ready.is_none() || condition(RECONCILING).is_some_and(is_true) => Actor::Operator,
            // Of a newer operator.
            None if ready.is_some_and(is_true) => Actor::Nobody,
            None => Actor::You,
        };
        let (message, Advice { hint, remedies }) = match whole.strip_suffix(advice.as_str()) {
            Some(message) if !advice.is_empty() => (message.trim_end(), Advice::parse(&advice)),
            _ if ready.is_none() => ("The operator has not looked at this object yet.", Advice::default()),
            _ => (whole, Advice::default()),
        };
        let hint = match reason {
            None if !shown.is_empty() => {
                "This plugin does not know the reason: upgrade the plugin to the version of the operator."
                    .to_owned()
            }
            _ => hint,
        };
        let metadata = &object.metadata;
        Self {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            port_id: object.spec.port_id.to_string(),
            port_name: status.port.as_ref().and_then(|port| port.name.as_deref()).map(safe),
            port_status: status.port.as_ref().map(|port| safe(&port.status)),
            deletion_policy: object.spec.deletion_policy,
            ready: ready.map_or("Unknown", |ready| ready.status.as_str()).to_owned(),
            reason: safe(shown),
            actor,
            since: ready
                .map(|ready| ready.last_transition_time.0)
                .or_else(|| metadata.creation_timestamp.as_ref().map(|time| time.0)),
            stalled,
            deletion_timestamp: metadata.deletion_timestamp.as_ref().map(|time| time.0),
            message: safe(message),
            hint,
            remedies,
            request_id: request_id(object).map(safe),
        }
    }

    /// The report on an object among these: if it waits for an older object of the same port, which is being deleted too, with
    /// the command that says why that one is not gone.
    pub fn among(object: &ZenlayerPort, objects: &[ZenlayerPort]) -> Self {
        let mut report = Self::of(object);
        if report.is_terminating()
            && report.reason == Reason::PortClaimed.as_str()
            && let Some(older) = claimed_before(object, objects)
        {
            let (name, namespace) = (older.name_any(), older.namespace().unwrap_or_default());
            let purpose = "Both objects are being deleted. To see what the older one waits for".to_owned();
            let command = format!("kubectl zenlayerport explain {name} -n {namespace}");
            report.remedies.insert(0, Remedy { purpose, command });
        }
        report
    }

    /// With commands for the cluster that this plugin was asked about: `flags` are those that choose it.
    #[must_use]
    pub fn for_cluster(mut self, flags: &str) -> Self {
        for remedy in &mut self.remedies {
            remedy.command = with_flags(&remedy.command, flags);
        }
        self
    }

    /// `NAMESPACE/NAME`.
    pub fn reference(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    pub fn is_terminating(&self) -> bool {
        self.deletion_timestamp.is_some()
    }

    /// How long it has shown its reason.
    pub fn shown_for(&self, now: Timestamp) -> Option<SignedDuration> {
        self.since.map(|since| now.duration_since(since).max(SignedDuration::ZERO))
    }
}

impl From<api::Actor> for Actor {
    fn from(actor: api::Actor) -> Self {
        match actor {
            api::Actor::Nobody => Self::Nobody,
            api::Actor::Operator => Self::Operator,
            api::Actor::Zenlayer => Self::Zenlayer,
            api::Actor::OtherFinalizers => Self::OtherFinalizers,
            api::Actor::Person => Self::You,
        }
    }
}

/// Each command of kubectl, several of which may be joined by `&&`, with these flags.
pub fn with_flags(commands: &str, flags: &str) -> String {
    if flags.is_empty() {
        return commands.to_owned();
    }
    let commands: Vec<String> = commands.split(" && ").map(|command| format!("{command} {flags}")).collect();
    commands.join(" && ")
}

/// The oldest other object of the same port, if none of them stays.
fn claimed_before<'a>(object: &ZenlayerPort, objects: &'a [ZenlayerPort]) -> Option<&'a ZenlayerPort> {
    let age = |it: &'a ZenlayerPort| (it.metadata.creation_timestamp.as_ref(), it.metadata.uid.as_ref());
    let others = objects.iter().filter(|other| {
        other.spec.port_id == object.spec.port_id && other.metadata.uid != object.metadata.uid
    });
    if others.clone().any(|other| !other.is_terminating()) {
        return None;
    }
    let ours = (object.metadata.creation_timestamp.as_ref(), object.metadata.uid.as_ref());
    others.filter(|other| age(other) < ours).min_by_key(|other| age(other))
}

fn is_true(condition: &Condition) -> bool {
    condition.status == "True"
}

/// Other people write what stands in an object: it is not to steer a terminal.
fn safe(text: &str) -> String {
    sanitized_up_to(text, LONGEST_MESSAGE)
}

fn request_id(object: &ZenlayerPort) -> Option<&str> {
    match &object.release()?.call.as_ref()?.outcome {
        CallOutcome::Accepted { request_id } => request_id.as_deref(),
        CallOutcome::Refused(refusal) => refusal.request_id.as_deref(),
        CallOutcome::Pending {} | CallOutcome::NotSent { .. } | CallOutcome::Unclear { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report(change: impl FnOnce(&mut serde_json::Value)) -> PortReport {
        let mut value = json!({
            "apiVersion": "sdn.zenlayer.com/v1alpha1", "kind": "ZenlayerPort",
            "metadata": {
                "name": "edge", "namespace": "team-a", "uid": "5f0c9a3e", "generation": 1,
                "finalizers": ["sdn.zenlayer.com/destroy-port"],
            },
            "spec": { "portId": "port-1" },
            "status": { "observedGeneration": 1, "conditions": [{
                "type": "Ready", "status": "True", "reason": "Running", "message": "Port port-1 is RUNNING.",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }] },
        });
        change(&mut value);
        PortReport::of(&serde_json::from_value(value).expect("a ZenlayerPort"))
    }

    #[test]
    fn only_what_the_operator_has_looked_at_needs_nobody() {
        assert_eq!(report(|_| {}).actor, Actor::Nobody);
        let deleted = report(|it| it["metadata"]["deletionTimestamp"] = json!("2026-01-02T00:00:00Z"));
        assert_eq!(deleted.actor, Actor::Operator, "nobody has looked at the deletion");
        assert_eq!(report(|it| it["metadata"]["generation"] = json!(2)).actor, Actor::Operator);
        assert_eq!(report(|it| it["status"] = json!({})).actor, Actor::Operator, "it is new");
    }

    #[test]
    fn a_reason_of_a_newer_operator_is_shown_as_it_is_and_needs_a_person_unless_the_port_is_ready() {
        let newer = |ready: &'static str| {
            report(|it| {
                it["status"]["conditions"][0]["reason"] = json!("Teleporting");
                it["status"]["conditions"][0]["status"] = json!(ready);
            })
        };
        assert_eq!((newer("True").actor, newer("False").actor), (Actor::Nobody, Actor::You));
        assert!(newer("False").hint.contains("upgrade the plugin"), "{}", newer("False").hint);
    }

    #[test]
    fn each_command_names_the_cluster_that_was_asked_about() {
        let command = with_flags("kubectl patch a && kubectl delete b", "--context prod");
        assert_eq!(command, "kubectl patch a --context prod && kubectl delete b --context prod");
        assert_eq!(with_flags("kubectl patch a", ""), "kubectl patch a");
    }
}
