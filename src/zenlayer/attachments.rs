//! What keeps ports in use. A port that is an end of a private connect or a point of a cloud router cannot be
//! released before these are deleted (`docs/zenlayer-api.md`, what uses a port).

use std::fmt;

use serde::Deserialize;
use serde_json::json;

use super::action::Action;
use super::client::Client;
use super::limiter::Priority;
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
        let permit = self.read_permit(priority).await?;
        let connects: Vec<PrivateConnect> =
            self.list(permit, Action::DescribePrivateConnects, &ports_only, MOST, priority).await?;
        let permit = self.read_permit(priority).await?;
        let routers: Vec<CloudRouter> =
            self.list(permit, Action::DescribeCloudRouters, &json!({}), MOST, priority).await?;
        let connects = connects.into_iter().filter(|connect| is_in_service(connect.status.as_deref()));
        let routers = routers.into_iter().filter(|router| is_in_service(router.status.as_deref()));
        let of_routers = routers.flat_map(CloudRouter::attachments);
        Ok(connects.flat_map(PrivateConnect::attachments).chain(of_routers).collect())
    }
}

/// What lies in the recycle bin, or leaves it to be destroyed, was deleted by a person already. Any other word counts as in
/// service, also one that this version does not know.
fn is_in_service(status: Option<&str>) -> bool {
    !matches!(status, Some("RECYCLED" | "DESTROYING" | "DESTROYED"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PrivateConnect {
    #[serde(rename = "privateConnectId")]
    id: String,
    #[serde(rename = "privateConnectStatus")]
    status: Option<String>,
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
    #[serde(rename = "cloudRouterStatus")]
    status: Option<String>,
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
