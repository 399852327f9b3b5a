//! Objects that this version cannot parse, such as those with a policy that only a later one knows. They are held:
//! nothing is decided about them, their finalizer stays, and their status says so until they can be parsed again. What
//! can be understood of them counts for others: their claim on a port, and the credentials that they use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::objects::Objects;
use super::received::Invalid;
use super::reference::Reference;
use super::shared::Shared;
use super::transitions;
use crate::api::ZenlayerPort;
use crate::decision;
use crate::wakes::{WakeSender, Wakes};

/// When a status that could not be written is tried again.
const RETRY: Duration = Duration::from_mins(1);

/// All objects that cannot be parsed.
#[derive(Debug)]
pub(super) struct Invalids {
    held: Mutex<HashMap<Reference, Arc<Invalid>>>,
    wake: WakeSender<Reference>,
}

impl Invalids {
    /// Wakes [`tell`] by `wake`.
    pub(super) fn new(wake: WakeSender<Reference>) -> Self {
        Self { held: Mutex::default(), wake }
    }

    pub(super) fn hold(&self, reference: Reference, invalid: Invalid) {
        self.lock().insert(reference.clone(), Arc::new(invalid));
        self.wake.wake([reference]);
    }

    /// The object can be parsed now, or is gone.
    pub(super) fn release(&self, reference: &Reference) {
        self.lock().remove(reference);
    }

    /// What could be understood of one.
    pub(super) fn salvaged(&self, reference: &Reference) -> Option<Arc<ZenlayerPort>> {
        self.lock().get(reference).map(|invalid| Arc::clone(&invalid.salvaged))
    }

    /// What could be understood of all.
    pub(super) fn all_salvaged(&self) -> Vec<Arc<ZenlayerPort>> {
        self.lock().values().map(|invalid| Arc::clone(&invalid.salvaged)).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
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
            biased;
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
                %reference, uid = invalid.salvaged.metadata.uid, %error, complaint = invalid.complaint,
                "cannot write the status of an object that this version cannot parse; the operator tries again",
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
    // The rest of the status stays as it is.
    let objects = Objects::within(shared.kubernetes.clone(), object.metadata.namespace.as_deref());
    let patch = json!({
        "metadata": { "uid": object.metadata.uid, "resourceVersion": object.metadata.resource_version },
        "status": { "observedGeneration": status.observed_generation, "conditions": status.conditions },
    });
    let name = object.metadata.name.as_deref().unwrap_or_default();
    match objects.merge_status(name, &patch).await {
        Ok(_) => {}
        // It is another by now, or gone: the watch tells.
        Err(kube::Error::Api(answer)) if answer.is_conflict() || answer.is_not_found() => return Ok(()),
        Err(error) => return Err(error),
    }
    transitions::log_status(object, &ZenlayerPort { status: Some(status), ..object.clone() }, None);
    if let Some(event) = &event {
        shared.events.send(object, event).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::received::Received;
    use super::*;
    use crate::api::Reason;
    use crate::clock::Clock;

    #[test]
    fn a_status_that_says_so_already_is_not_written_and_announced_again() {
        let spec = json!({ "portId": "port-1", "deletionPolicy": "Obliterate" });
        let received = json!({ "metadata": { "name": "edge", "uid": "1" }, "spec": spec });
        let received: Received = serde_json::from_value(received).expect("an object");
        let invalid = received.0.expect_err("it cannot be parsed");
        let mut object = ZenlayerPort::clone(&invalid.salvaged);
        let clock = Clock::System;
        let (status, event) = decision::held_as_invalid(&object, &invalid.complaint, clock.now());
        assert_eq!(event.map(|event| event.reason), Some(Reason::InvalidSpec));
        object.status = Some(status.clone());
        assert_eq!(decision::held_as_invalid(&object, &invalid.complaint, clock.now()), (status, None));
    }
}
