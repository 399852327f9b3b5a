//! The Zenlayer client as the mirror's reader.

use super::{Account, AccountKey, PortReader, ReadPriority, UsageReader};
use crate::answer::{RefusalKind, Unreadable};
use crate::port::{PortId, PortInfo};
use crate::zenlayer::{Batch, ChangeAnswer, Client, CredentialKey, Pause, Permit, Priority};

impl From<CredentialKey> for AccountKey {
    fn from(key: CredentialKey) -> Self {
        Self::new(key.digest())
    }
}

impl PortReader for Client {
    type Permit = Permit;

    async fn permit(&self, priority: ReadPriority) -> Result<Permit, Unreadable> {
        self.read_permit(priority.into()).await
    }

    async fn read(
        &self,
        permit: Permit,
        ids: &[PortId],
        priority: ReadPriority,
    ) -> Result<Vec<PortInfo>, Unreadable> {
        let Some(batch) = Batch::new(ids) else {
            return Err(Unreadable::Unavailable(format!(
                "{} ids do not fit into one DescribePorts request",
                ids.len()
            )));
        };
        match self.describe_ports(permit, batch, priority.into()).await {
            // The code names no id, so it speaks of one port only where one was asked for.
            Err(Unreadable::Refused(refusal)) if refusal.kind == RefusalKind::NotFound && ids.len() == 1 => {
                Ok(Vec::new())
            }
            answer => answer,
        }
    }
}

impl From<ReadPriority> for Priority {
    fn from(priority: ReadPriority) -> Self {
        match priority {
            ReadPriority::Release => Self::Release,
            ReadPriority::Upkeep => Self::Upkeep,
        }
    }
}

impl UsageReader for Client {
    async fn users(&self) -> Result<Vec<(PortId, String)>, Unreadable> {
        let attachments = self.describe_attachments(Priority::Upkeep).await?;
        Ok(attachments.into_iter().map(|used| (used.port_id, used.owner.to_string())).collect())
    }
}

/// What a reconcile may ask of a credential: the calls that change a port, and nothing that it would wait for.
impl Account<Client> {
    /// A test may read too.
    #[cfg(test)]
    pub(crate) fn client(&self) -> &Client {
        &self.reader
    }

    pub async fn change_permit(&self) -> Permit {
        self.reader.change_permit().await
    }

    pub fn try_change_permit(&self) -> Option<Permit> {
        self.reader.try_change_permit()
    }

    /// Whether Zenlayer asked for a pause that still lasts.
    pub fn paused(&self) -> Option<Pause> {
        self.reader.paused()
    }

    pub async fn terminate_port(&self, permit: Permit, id: &PortId) -> ChangeAnswer {
        self.reader.terminate_port(permit, id).await
    }

    pub async fn destroy_port(&self, permit: Permit, id: &PortId) -> ChangeAnswer {
        self.reader.destroy_port(permit, id).await
    }
}
