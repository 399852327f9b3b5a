//! Objects that this version cannot parse, such as those with a policy that only a later one knows. They are held:
//! nothing is decided about them, their finalizer stays, and their status says so until they can be parsed again. What
//! can be understood of them counts for others: their claim on a port, and the credentials that they use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use prometheus_client::metrics::gauge::Gauge;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::reference::Reference;
use super::shared::Shared;
use crate::api::{DeletionPolicy, ZenlayerPort, ZenlayerPortSpec, ZenlayerPortStatus};
use crate::decision;
use crate::port::PortId;
use crate::wakes::{WakeSender, Wakes};

/// When a status that could not be written is tried again.
const RETRY: Duration = Duration::from_mins(1);

/// Characters of a parser's complaint that are shown; it may quote what users wrote.
const LONGEST_COMPLAINT: usize = 300;

/// An object that cannot be parsed.
#[derive(Debug)]
pub(super) struct Invalid {
    /// What could be understood of it; in all else it asks for nothing.
    pub(super) salvaged: Arc<ZenlayerPort>,
    /// What the parser says, in one line.
    complaint: String,
}

/// The object as this version knows it.
pub(super) fn parse(object: DynamicObject) -> Result<ZenlayerPort, Invalid> {
    let DynamicObject { metadata, data, .. } = object;
    let spec = ZenlayerPortSpec::deserialize(&data["spec"]).map_err(|error| ("spec", error));
    let status = Option::deserialize(&data["status"]).map_err(|error| ("status", error));
    match spec.and_then(|spec| Ok((spec, status?))) {
        Ok((spec, status)) => Ok(ZenlayerPort { metadata, spec, status }),
        Err((part, error)) => {
            let words =
                error.to_string().chars().map(|one| if one.is_control() { ' ' } else { one }).collect();
            let salvaged =
                ZenlayerPort { metadata, spec: salvaged_spec(&data), status: Some(salvaged_status(&data)) };
            Err(Invalid { salvaged: Arc::new(salvaged), complaint: format!("{part}: {}", shortened(words)) })
        }
    }
}

fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST_COMPLAINT) {
        text.truncate(end);
        text.push('…');
    }
    text
}

fn salvaged_spec(data: &Value) -> ZenlayerPortSpec {
    ZenlayerPortSpec {
        port_id: PortId::new(data.pointer("/spec/portId").and_then(Value::as_str).unwrap_or_default()),
        deletion_policy: DeletionPolicy::Retain,
        deletion_protection: true,
        credentials_ref: salvaged_part(data, "/spec/credentialsRef"),
    }
}

fn salvaged_status(data: &Value) -> ZenlayerPortStatus {
    let conditions = data.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    ZenlayerPortStatus {
        observed_generation: salvaged_part(data, "/status/observedGeneration"),
        identity: salvaged_part(data, "/status/identity"),
        conditions: conditions.filter_map(|condition| Deserialize::deserialize(condition).ok()).collect(),
        ..ZenlayerPortStatus::default()
    }
}

fn salvaged_part<'a, T: Deserialize<'a>>(data: &'a Value, pointer: &str) -> Option<T> {
    T::deserialize(data.pointer(pointer)?).ok()
}

/// All objects that cannot be parsed.
#[derive(Debug)]
pub(super) struct Invalids {
    held: Mutex<HashMap<Reference, Arc<Invalid>>>,
    wake: WakeSender<Reference>,
    count: Gauge,
}

impl Invalids {
    /// Wakes [`tell`] by `wake`, and keeps `count`.
    pub(super) fn new(wake: WakeSender<Reference>, count: Gauge) -> Self {
        Self { held: Mutex::default(), wake, count }
    }

    pub(super) fn hold(&self, reference: Reference, invalid: Invalid) {
        let mut held = self.lock();
        held.insert(reference.clone(), Arc::new(invalid));
        self.count.set(i64::try_from(held.len()).unwrap_or(i64::MAX));
        self.wake.wake([reference]);
    }

    /// The object can be parsed now, or is gone.
    pub(super) fn release(&self, reference: &Reference) {
        let mut held = self.lock();
        held.remove(reference);
        self.count.set(i64::try_from(held.len()).unwrap_or(i64::MAX));
    }

    /// What could be understood of one.
    pub(super) fn salvaged(&self, reference: &Reference) -> Option<Arc<ZenlayerPort>> {
        self.lock().get(reference).map(|invalid| Arc::clone(&invalid.salvaged))
    }

    /// What could be understood of all.
    pub(super) fn all_salvaged(&self) -> Vec<Arc<ZenlayerPort>> {
        self.lock().values().map(|invalid| Arc::clone(&invalid.salvaged)).collect()
    }

    fn get(&self, reference: &Reference) -> Option<Arc<Invalid>> {
        self.lock().get(reference).cloned()
    }

    fn wake_all(&self) {
        self.wake.wake(self.lock().keys().cloned());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Reference, Arc<Invalid>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the status of those that are woken true, one after the other, until `shutdown`.
pub(super) async fn tell(shared: Arc<Shared>, mut wakes: Wakes<Reference>, shutdown: CancellationToken) {
    let mut retry = interval(RETRY);
    retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let reference = tokio::select! {
            () = shutdown.cancelled() => return,
            _ = retry.tick() => {
                shared.invalids.wake_all();
                continue;
            }
            Some(reference) = wakes.next() => reference,
        };
        let Some(invalid) = shared.invalids.get(&reference) else { continue };
        if let Err(error) = write_status(&invalid, &shared).await {
            tracing::warn!(
                %reference, %error, complaint = invalid.complaint,
                "an object that cannot be parsed could not be told so; it is tried again",
            );
        }
    }
}

/// Writes it if anything but a time would change, onto the very object that could not be parsed.
async fn write_status(invalid: &Invalid, shared: &Shared) -> kube::Result<()> {
    let object = invalid.salvaged.as_ref();
    let fact = format!("This version of the operator cannot parse the object ({}).", invalid.complaint);
    let (status, event) = decision::held_as_invalid(object, &fact, shared.clock.now());
    if object.status.as_ref() == Some(&status) {
        return Ok(());
    }
    // Not as a ZenlayerPort: the answer could not be parsed either. The rest of the status stays as it is.
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let kind = ApiResource::erase::<ZenlayerPort>(&());
    let api = Api::<DynamicObject>::namespaced_with(shared.kubernetes.clone(), namespace, &kind);
    let patch = Patch::Merge(json!({
        "metadata": { "uid": object.metadata.uid, "resourceVersion": object.metadata.resource_version },
        "status": { "observedGeneration": status.observed_generation, "conditions": status.conditions },
    }));
    let name = object.metadata.name.as_deref().unwrap_or_default();
    match api.patch_status(name, &PatchParams::default(), &patch).await {
        Ok(_) => {}
        // It is another by now, or gone: the watch tells.
        Err(kube::Error::Api(answer)) if answer.is_conflict() || answer.is_not_found() => return Ok(()),
        Err(error) => return Err(error),
    }
    if let Some(event) = &event {
        shared.events.send(object, event).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;
    use crate::clock::Clock;

    fn object(spec: &Value, status: &Value) -> DynamicObject {
        let metadata = json!({ "name": "edge", "namespace": "network", "uid": "1" });
        serde_json::from_value(json!({ "metadata": metadata, "spec": spec, "status": status }))
            .expect("an object")
    }

    fn complaint(spec: &Value, status: &Value) -> String {
        parse(object(spec, status)).expect_err("it cannot be parsed").complaint
    }

    #[test]
    fn an_object_is_parsed_with_or_without_a_status() {
        let spec = json!({ "portId": "port-1", "deletionPolicy": "Terminate" });
        for status in [json!(null), json!({ "observedGeneration": 3 })] {
            let parsed = parse(object(&spec, &status)).expect("it can be parsed");
            assert_eq!(parsed.spec.deletion_policy, DeletionPolicy::Terminate);
            assert_eq!(
                parsed.status.and_then(|status| status.observed_generation),
                status["observedGeneration"].as_i64()
            );
        }
    }

    #[test]
    fn the_complaint_names_the_part_and_what_is_wrong_with_it() {
        let spec = json!({ "portId": "port-1" });
        let unknown = complaint(&json!({ "portId": "port-1", "deletionPolicy": "Obliterate" }), &json!(null));
        assert!(
            unknown.starts_with("spec: unknown variant `Obliterate`, expected one of `Destroy`"),
            "{unknown}"
        );
        assert!(complaint(&json!(null), &json!(null)).starts_with("spec: "), "no spec at all");
        let status = complaint(&spec, &json!({ "release": { "uid": 7 } }));
        assert!(status.starts_with("status: invalid type: integer `7`"), "{status}");
    }

    #[test]
    fn the_complaint_is_one_short_line_whatever_it_quotes() {
        let quoted = format!("a\n{}", "é".repeat(1000));
        let complaint = complaint(&json!({ "portId": "port-1", "deletionPolicy": quoted }), &json!(null));
        assert!(!complaint.contains('\n'), "{complaint}");
        assert!(complaint.chars().count() < 320, "{} characters", complaint.chars().count());
    }

    #[test]
    fn a_status_that_says_so_already_is_not_written_and_announced_again() {
        let spec = json!({ "portId": "port-1", "deletionPolicy": "Obliterate" });
        let invalid = parse(object(&spec, &json!(null))).expect_err("it cannot be parsed");
        let mut object = ZenlayerPort::clone(&invalid.salvaged);
        let clock = Clock::Boottime;
        let (status, event) = decision::held_as_invalid(&object, &invalid.complaint, clock.now());
        assert_eq!(event.map(|event| event.reason), Some(Reason::InvalidSpec));
        object.status = Some(status.clone());
        assert_eq!(decision::held_as_invalid(&object, &invalid.complaint, clock.now()), (status, None));
    }

    #[test]
    fn what_is_salvaged_claims_the_port_and_asks_for_nothing() {
        let spec = json!({ "portId": "port-1", "deletionPolicy": "Obliterate", "credentialsRef": { "name": "zenlayer" } });
        let condition = json!({ "type": "Ready", "status": "True", "reason": "Running", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" });
        let status = json!({
            "identity": { "seenBy": ["abc"] }, "conditions": [condition, { "type": 1 }], "release": { "uid": 7 },
        });
        let salvaged = parse(object(&spec, &status)).expect_err("it cannot be parsed").salvaged;
        assert_eq!(salvaged.spec.port_id, PortId::new("port-1"));
        assert_eq!(salvaged.spec.deletion_policy, DeletionPolicy::Retain);
        assert!(salvaged.spec.deletion_protection);
        assert_eq!(
            salvaged.spec.credentials_ref.as_ref().map(|secret| secret.name.as_str()),
            Some("zenlayer")
        );
        let status = salvaged.status.as_ref().expect("a status");
        assert_eq!(status.identity.as_ref().map(|identity| identity.seen_by.len()), Some(1));
        assert_eq!(status.conditions.len(), 1, "what a condition cannot be is left out");
    }
}
