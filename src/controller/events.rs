//! Kubernetes Events: sent on transitions, best effort; nothing depends on them.

use std::time::Duration;

use kube::Resource;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use crate::api;
use crate::api::ZenlayerPort;
use crate::decision::Announcement;
use crate::server::Metrics;

/// How long a pass waits for an Event to be taken.
const PATIENCE: Duration = Duration::from_secs(5);

/// The API server takes notes of up to 1024 bytes.
const LONGEST_NOTE: usize = 1024;

pub(super) struct Events {
    recorder: Recorder,
    metrics: Metrics,
}

impl Events {
    pub(super) fn new(client: kube::Client, instance: Option<String>, metrics: Metrics) -> Self {
        let reporter = Reporter { controller: "zenlayer-port-operator".to_owned(), instance };
        Self { recorder: Recorder::new(client, reporter), metrics }
    }

    pub(super) async fn send(&self, object: &ZenlayerPort, announcement: &Announcement) {
        let event = Event {
            type_: match announcement.event_type {
                api::EventType::Normal => EventType::Normal,
                api::EventType::Warning => EventType::Warning,
            },
            reason: announcement.reason.as_str().to_owned(),
            note: Some(shortened(&announcement.message)),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let reference = object.object_ref(&());
        let why = match tokio::time::timeout(PATIENCE, self.recorder.publish(&event, &reference)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        self.metrics.events_lost.inc();
        tracing::warn!(
            why,
            reason = announcement.reason.as_str(),
            "an Event could not be sent; nothing depends on it"
        );
    }
}

fn shortened(message: &str) -> String {
    let mut end = message.len().min(LONGEST_NOTE);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message[..end].to_owned()
}
