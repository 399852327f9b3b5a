//! What keeps ports in use. A port that is an end of a private connect or a point of a cloud router cannot be
//! released before these are deleted (`docs/zenlayer-api.md`, what uses a port).

use std::fmt;

use serde::Deserialize;
use serde_json::json;

use super::client::Client;
use super::limiter::Priority;
use super::transport::Action;
use crate::answer::Unreadable;
use crate::port::PortId;
use crate::text::sanitized;

/// The most private connects, and the most cloud routers, of an account that are read.
const MOST: usize = 2000;

/// A port, and what it is a part of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attachment {
    pub port_id: PortId,
    pub owner: Owner,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    PrivateConnect { id: String },
    CloudRouter { id: String },
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PrivateConnect { id } => write!(f, "private connect {id}"),
            Self::CloudRouter { id } => write!(f, "cloud router {id}"),
        }
    }
}

impl Client {
    /// All attachments of all ports that the credential sees. There is no way to ask for one port only, so
    /// this is not to be called often.
    pub async fn describe_attachments(&self, priority: Priority) -> Result<Vec<Attachment>, Unreadable> {
        let ports_only = json!({ "endpointTypes": ["PORT"] });
        let connects: Vec<PrivateConnect> =
            self.list(Action::DescribePrivateConnects, &ports_only, MOST, priority).await?;
        let routers: Vec<CloudRouter> =
            self.list(Action::DescribeCloudRouters, &json!({}), MOST, priority).await?;
        let connects = connects.into_iter().flat_map(PrivateConnect::attachments);
        Ok(connects.chain(routers.into_iter().flat_map(CloudRouter::attachments)).collect())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PrivateConnect {
    #[serde(rename = "privateConnectId")]
    id: String,
    endpoint_a: Option<End>,
    endpoint_z: Option<End>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct End {
    endpoint_id: Option<PortId>,
    endpoint_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CloudRouter {
    #[serde(rename = "cloudRouterId")]
    id: String,
    edge_points: Option<Vec<EdgePoint>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EdgePoint {
    port_id: Option<PortId>,
}

impl PrivateConnect {
    fn attachments(self) -> impl Iterator<Item = Attachment> {
        let owner = Owner::PrivateConnect { id: sanitized(&self.id) };
        let ends = [self.endpoint_a, self.endpoint_z].into_iter().flatten();
        ends.filter(|end| end.endpoint_type.as_deref() == Some("PORT"))
            .filter_map(|end| end.endpoint_id)
            .map(move |port_id| Attachment { port_id, owner: owner.clone() })
    }
}

impl CloudRouter {
    fn attachments(self) -> impl Iterator<Item = Attachment> {
        let owner = Owner::CloudRouter { id: sanitized(&self.id) };
        let points = self.edge_points.unwrap_or_default().into_iter();
        points
            .filter_map(|point| point.port_id)
            .map(move |port_id| Attachment { port_id, owner: owner.clone() })
    }
}
