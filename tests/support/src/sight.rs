//! Waiting for what objects show on the API server.

use std::time::Duration;

use anyhow::{Result, bail};
use kube::Api;
use zenlayer_port_operator::api::ZenlayerPort;

use crate::objects::ready;
use crate::wait::{Look, until_wanted};

/// Waits until the `Ready` condition of the object has this reason; returns its message.
pub async fn until_reason(
    objects: &Api<ZenlayerPort>,
    name: &str,
    reason: &str,
    within: Duration,
) -> Result<String> {
    until_wanted(within, format!("{name} is {reason}"), async || {
        let Some(object) = objects.get_opt(name).await? else {
            bail!("{name} is gone, before it was {reason}")
        };
        Ok(match ready(&object) {
            Some((seen, message)) if seen == reason => Look::Wanted(message),
            _ => Look::Instead(format!("{:?}", object.status)),
        })
    })
    .await
}

/// Waits until the object is gone.
pub async fn until_gone(objects: &Api<ZenlayerPort>, name: &str, within: Duration) -> Result<()> {
    until_wanted(within, format!("{name} is gone"), async || {
        Ok(match objects.get_opt(name).await? {
            None => Look::Wanted(()),
            Some(object) => Look::Instead(format!("{:?}, {:?}", object.metadata.finalizers, object.status)),
        })
    })
    .await
}
