//! Objects that this version cannot parse, such as those with a policy that only a later one knows. Nothing is decided about
//! them, their finalizer stays, and their status says so until they can be parsed again.

use std::time::Duration;

use serde_json::json;

use super::error::ReconcileError;
use super::transitions;
use super::writer::Writer;
use crate::api::ZenlayerPort;
use crate::decision;
use crate::index::Invalid;

/// When a status that could not be written is tried again.
const RETRY: Duration = Duration::from_mins(1);

/// The status of such an object could not be written. Returns when that is tried again.
pub(super) fn pause_after(invalid: &Invalid, error: &ReconcileError) -> Duration {
    let metadata = &invalid.salvaged.metadata;
    tracing::warn!(
        namespace = metadata.namespace, name = metadata.name, uid = metadata.uid, %error,
        complaint = invalid.complaint,
        "cannot write the status of an object that this version cannot parse; the operator tries again",
    );
    RETRY
}

/// Writes the status if anything but a time would change, onto the very object that could not be parsed.
pub(super) async fn write_status(invalid: &Invalid, writer: &Writer) -> Result<(), ReconcileError> {
    let object = invalid.salvaged.as_ref();
    let fact = format!("This version of the operator cannot parse the object ({}).", invalid.complaint);
    let (status, event) = decision::held_as_invalid(object, &fact, writer.clock.now());
    if object.status.as_ref() == Some(&status) {
        return Ok(());
    }
    // The rest of the status stays as it is.
    let patch = json!({
        "metadata": { "uid": object.metadata.uid, "resourceVersion": object.metadata.resource_version },
        "status": { "observedGeneration": status.observed_generation, "conditions": status.conditions },
    });
    let name = object.metadata.name.as_deref().unwrap_or_default();
    match writer.objects_beside(object).merge_status(name, &patch).await {
        Ok(_) => {}
        // It is another by now, or gone: the watch tells.
        Err(kube::Error::Api(answer)) if answer.is_conflict() || answer.is_not_found() => return Ok(()),
        Err(error) => return Err(ReconcileError::kubernetes("patch", "the object's status", error)),
    }
    transitions::log_status(object, &ZenlayerPort { status: Some(status), ..object.clone() }, None);
    if let Some(event) = &event {
        writer.events.send(object, event).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;
    use crate::clock::Clock;
    use crate::index::Received;

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
