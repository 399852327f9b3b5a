//! What uses a port whose call was refused: asked of Zenlayer at most once a minute and account.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::clock::{Clock, Monotonic};
use crate::decision::Attachments;
use crate::mirror::{Account, AccountKey};
use crate::port::PortId;
use crate::zenlayer::{Client, Priority};

pub(super) struct AttachmentReader {
    clock: Clock,
    valid_for: Duration,
    accounts: Mutex<HashMap<AccountKey, Slot>>,
}

type Slot = Arc<Mutex<Option<(Monotonic, Option<Users>)>>>;

/// By port, what uses it.
type Users = HashMap<PortId, Vec<String>>;

impl AttachmentReader {
    pub(super) fn new(clock: Clock, valid_for: Duration) -> Self {
        Self { clock, valid_for, accounts: Mutex::default() }
    }

    pub(super) async fn of(&self, account: &Account<Client>, port: &PortId) -> Attachments {
        let slot = Arc::clone(self.accounts.lock().await.entry(account.key).or_default());
        let mut slot = slot.lock().await;
        let now = self.clock.monotonic();
        if slot.as_ref().is_none_or(|(asked, _)| now.since(*asked) >= self.valid_for) {
            *slot = Some((now, ask(account).await));
        }
        match slot.as_ref().and_then(|(_, users)| users.as_ref()) {
            Some(users) => Attachments::Known(users.get(port).cloned().unwrap_or_default()),
            None => Attachments::Unknown,
        }
    }

    /// Forgets the answers that are too old to be given again.
    pub(super) async fn prune(&self) {
        let now = self.clock.monotonic();
        self.accounts.lock().await.retain(|_, slot| {
            let fresh = |slot: &Option<(Monotonic, Option<Users>)>| {
                slot.as_ref().is_some_and(|(asked, _)| now.since(*asked) < self.valid_for)
            };
            // One that is locked is being asked.
            slot.try_lock().map_or(true, |slot| fresh(&slot))
        });
    }
}

async fn ask(account: &Account<Client>) -> Option<Users> {
    match account.reader.describe_attachments(Priority::Upkeep).await {
        Ok(attachments) => {
            let mut users = Users::new();
            for attachment in attachments {
                users.entry(attachment.port_id).or_default().push(attachment.owner.to_string());
            }
            Some(users)
        }
        Err(error) => {
            tracing::warn!(%error, "what uses the ports of an account could not be read");
            None
        }
    }
}
