//! Kubernetes Events: sent on transitions, best effort; nothing depends on them.
//!
//! Not by kube's `Recorder`: it keeps every Event of the last minutes and walks through all of them for each new one, which
//! at ten thousand objects was a quarter of the memory. Here the name of an Event is what it says, so that the API server
//! knows a repetition, and nothing is kept.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Resource};

use crate::api::{EventType, ZenlayerPort};
use crate::clock::Clock;
use crate::decision::Announcement;
use crate::server::Metrics;
use crate::spans::{Kind, Span};

const CONTROLLER: &str = "zenlayer-port-operator";

/// How long a reconcile waits for an Event to be taken.
const PATIENCE: Duration = Duration::from_secs(5);

/// The API server takes notes of up to 1024 bytes.
const LONGEST_NOTE: usize = 1024;

/// The longest name of an object is 253; a dot and 16 digits follow.
const LONGEST_PREFIX: usize = 253 - 17;

/// The same is told of an object once in this many seconds.
const REPEATED_AFTER: i64 = 600;

pub(super) struct Events {
    client: kube::Client,
    /// The Pod's name.
    instance: String,
    metrics: Metrics,
    clock: Clock,
}

impl Events {
    pub(super) fn new(
        client: kube::Client,
        instance: Option<String>,
        metrics: Metrics,
        clock: Clock,
    ) -> Self {
        Self { client, instance: instance.unwrap_or_else(|| CONTROLLER.to_owned()), metrics, clock }
    }

    pub(super) async fn send(&self, object: &ZenlayerPort, announcement: &Announcement) {
        let mut span = Span::part("POST events", Kind::Client);
        let namespace = object.metadata.namespace.as_deref().unwrap_or("default");
        let events = Api::<Event>::namespaced(self.client.clone(), namespace);
        let event = event(object, announcement, &self.instance, self.clock.wall());
        let params = PostParams::default();
        let answer = tokio::time::timeout(PATIENCE, Box::pin(events.create(&params, &event))).await;
        let why = match answer {
            Ok(Ok(_)) => None,
            Ok(Err(kube::Error::Api(answer))) if answer.is_already_exists() => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no answer in time".to_owned()),
        };
        span.set_error(why.as_ref().map(|_| "kubernetes"));
        let Some(why) = why else { return };
        self.metrics.events_lost.inc();
        tracing::warn!(
            namespace,
            name = object.metadata.name,
            uid = object.metadata.uid,
            port = %object.spec.port_id,
            reason = announcement.reason.as_str(),
            why,
            "cannot send an Event; this has no other effect",
        );
    }
}

fn event(object: &ZenlayerPort, announcement: &Announcement, instance: &str, now: Timestamp) -> Event {
    let Announcement { row: _, reason, event_type, message } = announcement;
    let type_ = match event_type {
        EventType::Normal => "Normal",
        EventType::Warning => "Warning",
    };
    Event {
        metadata: ObjectMeta {
            name: Some(name(object, announcement, now)),
            namespace: object.metadata.namespace.clone(),
            ..ObjectMeta::default()
        },
        regarding: Some(object.object_ref(&())),
        action: Some("Reconcile".to_owned()),
        reason: Some(reason.as_str().to_owned()),
        type_: Some(type_.to_owned()),
        note: Some(prefix(message, LONGEST_NOTE).to_owned()),
        event_time: Some(MicroTime(now)),
        reporting_controller: Some(CONTROLLER.to_owned()),
        reporting_instance: Some(instance.to_owned()),
        ..Event::default()
    }
}

/// The object's name, and a hash of what is said of it and about when.
fn name(
    object: &ZenlayerPort,
    Announcement { reason, message, .. }: &Announcement,
    now: Timestamp,
) -> String {
    let mut hasher = DefaultHasher::new();
    (&object.metadata.uid, reason.as_str(), message, now.as_second() / REPEATED_AFTER).hash(&mut hasher);
    let object = object.metadata.name.as_deref().unwrap_or_default();
    // What is before a dot of a name must end in a letter or digit.
    let object = prefix(object, LONGEST_PREFIX).trim_end_matches(['-', '.']);
    format!("{object}.{:016x}", hasher.finish())
}

/// At most so many bytes, in whole characters.
fn prefix(text: &str, longest: usize) -> &str {
    &text[..text.floor_char_boundary(longest)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{DeletionPolicy, Reason, ZenlayerPortSpec};
    use crate::port::PortId;

    fn object(name: &str, uid: &str) -> ZenlayerPort {
        let spec = ZenlayerPortSpec {
            port_id: PortId::new("port-1"),
            deletion_policy: DeletionPolicy::Destroy,
            deletion_protection: false,
            credentials_ref: None,
        };
        let mut object = ZenlayerPort::new(name, spec);
        object.metadata.uid = Some(uid.to_owned());
        object
    }

    fn named(object: &ZenlayerPort, message: &str, second: i64) -> String {
        let announcement = Announcement {
            row: None,
            reason: Reason::Destroying,
            event_type: EventType::Normal,
            message: message.to_owned(),
        };
        let now = Timestamp::from_second(second).expect("a time");
        event(object, &announcement, "pod", now).metadata.name.expect("a name")
    }

    #[test]
    fn the_same_has_one_name_for_ten_minutes() {
        let edge = object("edge", "a");
        assert_eq!(named(&edge, "says", 6000), named(&edge, "says", 6599));
        let others = [
            named(&edge, "says", 6600),
            named(&edge, "says otherwise", 6000),
            named(&object("edge", "b"), "says", 6000),
        ];
        assert!(!others.contains(&named(&edge, "says", 6000)), "{others:?}");
    }

    #[test]
    fn a_name_is_never_too_long_nor_malformed() {
        let longest = format!("{}-.{}", "a".repeat(LONGEST_PREFIX - 2), "b".repeat(15));
        let name = named(&object(&longest, "a"), "says", 0);
        assert_eq!(name.len(), 253 - 2, "{name}");
        assert!(!name.contains("-.") && !name.contains(".."), "{name}");
    }

    #[test]
    fn a_note_is_cut_between_characters() {
        assert_eq!(prefix("é", 1), "");
        assert_eq!(prefix("short", LONGEST_NOTE), "short");
    }
}
