//! The Zenlayer client as the mirror's reader.

use super::{AccountKey, PortReader, ReadPriority};
use crate::answer::{RefusalKind, Unreadable};
use crate::port::{PortId, PortInfo};
use crate::zenlayer::{Chunk, Client, CredentialKey, Priority};

impl From<CredentialKey> for AccountKey {
    fn from(key: CredentialKey) -> Self {
        Self::new(key.digest())
    }
}

impl PortReader for Client {
    async fn read(&self, ids: &[PortId], priority: ReadPriority) -> Result<Vec<PortInfo>, Unreadable> {
        let Some(chunk) = Chunk::new(ids) else {
            return Err(Unreadable::Unavailable(format!("{} ids do not fit into one reading", ids.len())));
        };
        let priority = match priority {
            ReadPriority::Release => Priority::Release,
            ReadPriority::Upkeep => Priority::Upkeep,
        };
        match self.describe_ports(chunk, priority).await {
            // The code names no id, so it speaks of one port only where one was asked for.
            Err(Unreadable::Refused(refusal)) if refusal.kind == RefusalKind::NotFound && ids.len() == 1 => {
                Ok(Vec::new())
            }
            answer => answer,
        }
    }
}
