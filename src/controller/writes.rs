//! Writes of a ZenlayerPort. A write changes only the version that the decision was about. It has one of four results: done,
//! overtaken by another write, gone, or refused.

use kube::core::response::Status;
use kube::{Error, ResourceExt};
use serde_json::json;

use super::objects::Objects;
use crate::api::ZenlayerPort;
use crate::decision::Facts;
use crate::index::{LONGEST_COMPLAINT, Received};
use crate::reconcile::Rejection;
use crate::text::sanitized_up_to;

/// What became of a write.
#[derive(Debug)]
pub(super) enum Written {
    /// The object as it is now.
    Done(Box<ZenlayerPort>),
    /// It was changed before: this is what it is now.
    Overtaken(Box<ZenlayerPort>),
    /// There is no such object any more, or one that this version cannot parse; the watch tells more.
    Gone,
    Refused(Rejection),
}

/// PUTs the status of `object`, which is otherwise as it was decided about.
pub(super) async fn status(objects: &Objects, object: &ZenlayerPort) -> kube::Result<Written> {
    let answer = objects.replace_status(object).await;
    if let Ok(Received(Ok(written))) = &answer {
        let stored = Facts::stored_in(written);
        // As a rule they are read again as they were written.
        if !stored.include(&Facts::stored_in(object)) && !stored.include(&as_stored(object)) {
            return Ok(Written::Refused(Rejection::Pruned));
        }
    }
    judge(objects, object, answer).await
}

/// Writes the object's finalizers.
pub(super) async fn finalizers(
    objects: &Objects,
    object: &ZenlayerPort,
    finalizers: &[String],
) -> kube::Result<Written> {
    let metadata = &object.metadata;
    let patch = json!({ "metadata": {
        "uid": metadata.uid, "resourceVersion": metadata.resource_version, "finalizers": finalizers,
    } });
    let answer = objects.merge(&object.name_any(), &patch).await;
    let is_clear = match &answer {
        Ok(_) => true,
        Err(Error::Api(answer)) => is_final(answer),
        Err(_) => false,
    };
    if !is_clear && let Some(now) = carried_out(objects, object, finalizers).await {
        return Ok(Written::Done(now));
    }
    judge(objects, object, answer).await
}

/// The object, if it has these finalizers after all: an answer may be lost whose write was carried out. One that was to
/// have none is gone then.
async fn carried_out(
    objects: &Objects,
    object: &ZenlayerPort,
    finalizers: &[String],
) -> Option<Box<ZenlayerPort>> {
    match Box::pin(objects.get(&object.name_any())).await.ok()? {
        Some(Received(Ok(now))) if now.uid() == object.uid() && now.finalizers() == finalizers => Some(now),
        None if finalizers.is_empty() => Some(Box::new(object.clone())),
        _ => None,
    }
}

/// The facts that `object` is to have, as they are read again.
fn as_stored(object: &ZenlayerPort) -> Facts {
    let status = serde_json::to_value(&object.status).and_then(serde_json::from_value);
    Facts::stored_in(&ZenlayerPort { status: status.unwrap_or_default(), ..object.clone() })
}

async fn judge(
    objects: &Objects,
    object: &ZenlayerPort,
    answer: kube::Result<Received>,
) -> kube::Result<Written> {
    let refusal = match answer {
        Ok(Received(Ok(written))) => return Ok(Written::Done(written)),
        Ok(Received(Err(_))) => return Ok(Written::Gone),
        Err(Error::Api(answer)) if is_final(&answer) => answer,
        Err(error) => return Err(error),
    };
    // The code alone does not tell: admission may use any code, and a missing kind or namespace is a 404 too.
    match Box::pin(objects.get(&object.name_any())).await? {
        Some(Received(Ok(now))) if now.uid() == object.uid() => {
            if now.resource_version() == object.resource_version() {
                let words = sanitized_up_to(&refusal.message, LONGEST_COMPLAINT);
                Ok(Written::Refused(Rejection::Answered { code: refusal.code, words }))
            } else {
                Ok(Written::Overtaken(now))
            }
        }
        Some(_) | None => Ok(Written::Gone),
    }
}

/// Whether the same write would get the same answer again. A webhook can refuse with any code, and a webhook that cannot be
/// reached is a 500. Without a webhook, these codes mean that the API server has a problem.
fn is_final(answer: &Status) -> bool {
    match answer.code {
        408 | 429 | 500.. => answer.message.contains("webhook"),
        code => code >= 400,
    }
}
