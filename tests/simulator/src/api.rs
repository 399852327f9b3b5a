//! The actions: what a call would answer and change. Nothing is changed here.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::accounts::Caller;
use crate::error::ApiError;
use crate::faults::ListFault;
use crate::journal::RequestId;
use crate::life_cycle::PortIndex;
use crate::port::{ApiVersion, ChargeType, Port, PortStatus, PortUser};

/// The most ids that one `DescribePorts` may name.
const MAX_PORT_IDS: usize = 100;
/// A trap (`docs/zenlayer-api.md`, listing ports): more ids than this without a `pageSize` give a cut list.
const DEFAULT_PAGE_SIZE: i64 = 20;
const MAX_PAGE_SIZE: i64 = 1000;

/// An authenticated, well-formed request.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) action: Box<str>,
    pub(crate) version: ApiVersion,
    pub(crate) caller: Arc<Caller>,
    pub(crate) request_id: RequestId,
    pub(crate) body: Value,
}

/// The answer to a call, and the change that it promises.
pub(crate) struct Evaluation {
    /// The fields of `response`, without `requestId`.
    pub(crate) response: Value,
    pub(crate) change: Option<Change>,
}

pub(crate) enum Change {
    Create(Box<Port>),
    SetStatus { port_id: String, to: PortStatus },
}

/// What answers a list: the ports to show, and the lies to tell about them.
#[derive(Clone, Copy)]
pub(crate) struct Listing<'a> {
    pub(crate) ports: &'a PortIndex,
    pub(crate) lies: &'a [ListFault],
}

enum Action {
    DescribePorts,
    CreatePort,
    TerminatePort,
    DestroyPort,
    RenewPort,
    DescribePrivateConnects,
    DescribeCloudRouters,
}

impl FromStr for Action {
    type Err = ApiError;

    fn from_str(name: &str) -> Result<Self, ApiError> {
        match name {
            "DescribePorts" => Ok(Self::DescribePorts),
            "CreatePort" => Ok(Self::CreatePort),
            "TerminatePort" => Ok(Self::TerminatePort),
            "DestroyPort" => Ok(Self::DestroyPort),
            "RenewPort" => Ok(Self::RenewPort),
            "DescribePrivateConnects" => Ok(Self::DescribePrivateConnects),
            "DescribeCloudRouters" => Ok(Self::DescribeCloudRouters),
            _ => Err(ApiError::unauthorized_operation(name)),
        }
    }
}

/// What this call would answer and change now.
pub(crate) fn evaluate(call: &Call, ports: &PortIndex, listing: Listing<'_>) -> Result<Evaluation, ApiError> {
    if call.caller.is_denied(&call.action) {
        return Err(ApiError::unauthorized_operation(&call.action));
    }
    match call.action.parse()? {
        Action::DescribePorts => describe_ports(call, listing),
        Action::CreatePort => create_port(call),
        Action::TerminatePort => change_status(call, ports, terminated),
        Action::DestroyPort => change_status(call, ports, destroyed),
        Action::RenewPort => change_status(call, ports, renewed),
        Action::DescribePrivateConnects => describe_users(call, ports, private_connect),
        Action::DescribeCloudRouters => describe_users(call, ports, cloud_router),
    }
}

fn parameters<T: DeserializeOwned>(call: &Call) -> Result<T, ApiError> {
    T::deserialize(&call.body)
        .map_err(|error| ApiError::invalid_parameter("INVALID_PARAMETER_TYPE", error.to_string()))
}

fn required<T>(name: &str, value: Option<T>) -> Result<T, ApiError> {
    value.ok_or_else(|| ApiError::missing_parameter(name))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescribePorts {
    port_ids: Option<Vec<String>>,
    dc_id: Option<String>,
    port_name: Option<String>,
    #[serde(flatten)]
    paging: Paging,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Paging {
    page_num: Option<i64>,
    page_size: Option<i64>,
}

impl DescribePorts {
    /// Whether the filters other than the ids let this port through.
    fn admits(&self, port: &Port) -> bool {
        let name = self.port_name.as_ref().map(|name| name.to_lowercase());
        self.dc_id.as_ref().is_none_or(|dc_id| *dc_id == port.dc_id)
            && name.is_none_or(|name| port.port_name.to_lowercase().contains(&name))
    }
}

impl Paging {
    /// How many items come before the page, and how many it holds.
    fn page(&self) -> Result<(usize, usize), ApiError> {
        let (number, size) = (self.page_num.unwrap_or(1), self.page_size.unwrap_or(DEFAULT_PAGE_SIZE));
        if number < 1 || size < 1 {
            let message = "`pageNum` and `pageSize` are at least 1";
            return Err(ApiError::invalid_parameter("INVALID_PARAMETER_LESS_MINIMUM", message));
        }
        if size > MAX_PAGE_SIZE {
            let message = format!("`pageSize` is at most {MAX_PAGE_SIZE}");
            return Err(ApiError::invalid_parameter("INVALID_PARAMETER_EXCEED_MAXIMUM", message));
        }
        let before = (number - 1).saturating_mul(size);
        Ok((usize::try_from(before).unwrap_or(usize::MAX), usize::try_from(size).unwrap_or(usize::MAX)))
    }
}

/// Unknown and foreign ids are simply not listed; the order is that of the ids.
fn describe_ports(call: &Call, Listing { ports, lies }: Listing<'_>) -> Result<Evaluation, ApiError> {
    let query: DescribePorts = parameters(call)?;
    let (before, size) = query.paging.page()?;
    let mut ids = query.port_ids.clone().unwrap_or_default();
    if ids.len() > MAX_PORT_IDS {
        let message = format!("`portIds` names {} ports, at most {MAX_PORT_IDS} are allowed", ids.len());
        return Err(ApiError::invalid_parameter("INVALID_PARAMETER_EXCEED_LENGTH", message));
    }
    ids.sort_unstable();
    ids.dedup();
    let mine = |port: &&Port| call.caller.sees(port) && query.admits(port);
    let mut listed: Vec<&Port> = if ids.is_empty() || lies.contains(&ListFault::IgnoreIds) {
        ports.values().map(|tracked| &tracked.port).filter(mine).collect()
    } else {
        ids.iter().filter_map(|id| ports.get(id.as_str())).map(|tracked| &tracked.port).filter(mine).collect()
    };
    let mut total_count = None;
    for lie in lies {
        match lie {
            // These two chose what is listed.
            ListFault::Stale | ListFault::IgnoreIds => {}
            ListFault::Empty => listed.clear(),
            ListFault::Without(port_id) => listed.retain(|port| port.port_id != *port_id),
            ListFault::Twice => listed = listed.into_iter().flat_map(|port| [port, port]).collect(),
            ListFault::TotalCount(count) => total_count = Some(*count),
        }
    }
    let total_count = total_count.unwrap_or(listed.len() as u64);
    let page = listed.into_iter().skip(before).take(size);
    let data_set: Vec<Value> = page.map(|port| port.info(call.version)).collect();
    Ok(Evaluation { response: json!({ "totalCount": total_count, "dataSet": data_set }), change: None })
}

/// What the account's ports are a part of, by id, as this action describes it.
fn describe_users(
    call: &Call,
    ports: &PortIndex,
    describe: fn(&PortUser, &Port) -> Option<(String, Value)>,
) -> Result<Evaluation, ApiError> {
    let (before, size) = parameters::<Paging>(call)?.page()?;
    let mine = ports.values().map(|tracked| &tracked.port).filter(|port| call.caller.sees(port));
    let users = mine.flat_map(|port| port.used_by.iter().filter_map(|user| describe(user, port)));
    let users: BTreeMap<String, Value> = users.collect();
    let total_count = users.len();
    let page: Vec<Value> = users.into_values().skip(before).take(size).collect();
    Ok(Evaluation { response: json!({ "totalCount": total_count, "dataSet": page }), change: None })
}

fn private_connect(user: &PortUser, port: &Port) -> Option<(String, Value)> {
    let PortUser::PrivateConnect(id) = user else { return None };
    let ends = json!({
        "privateConnectId": id,
        "privateConnectStatus": status_of_users(port),
        "endpointA": { "endpointId": port.port_id, "endpointType": "PORT" },
        "endpointZ": { "endpointId": "vpc-1", "endpointType": "VPC" },
    });
    Some((id.clone(), ends))
}

fn status_of_users(port: &Port) -> &'static str {
    if port.users_recycled { "RECYCLED" } else { "RUNNING" }
}

fn cloud_router(user: &PortUser, port: &Port) -> Option<(String, Value)> {
    let PortUser::CloudRouter(id) = user else { return None };
    let router = json!({
        "cloudRouterId": id,
        "cloudRouterStatus": status_of_users(port),
        "edgePoints": [{ "portId": port.port_id }],
    });
    Some((id.clone(), router))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreatePort {
    dc_id: Option<String>,
    port_name: Option<String>,
    port_type: Option<String>,
    business_entity_name: Option<String>,
}

fn create_port(call: &Call) -> Result<Evaluation, ApiError> {
    let wanted: CreatePort = parameters(call)?;
    required("businessEntityName", wanted.business_entity_name)?;
    // An id like the documented ones: `port-` and eight hexadecimal digits.
    let port_id = format!("port-{:08x}", call.request_id.0 & 0xffff_ffff);
    let port = Port::new(port_id.as_str())
        .account(&*call.caller.account)
        .name(required("portName", wanted.port_name)?)
        .port_type(required("portType", wanted.port_type)?)
        .data_center(required("dcId", wanted.dc_id)?)
        .status(PortStatus::Creating);
    let response = match call.version {
        ApiVersion::V20230830 => json!({ "portId": port_id }),
        ApiVersion::V20260401 => json!({ "portId": port_id, "orderNumber": port_id }),
    };
    Ok(Evaluation { response, change: Some(Change::Create(Box::new(port))) })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OnePort {
    port_id: Option<String>,
}

fn change_status(
    call: &Call,
    ports: &PortIndex,
    next: fn(&Port) -> Result<PortStatus, ApiError>,
) -> Result<Evaluation, ApiError> {
    let port_id = required("portId", parameters::<OnePort>(call)?.port_id)?;
    let port = ports
        .get(port_id.as_str())
        .map(|tracked| &tracked.port)
        .filter(|port| call.caller.sees(port) && port.port_status != PortStatus::Destroyed)
        .ok_or_else(|| ApiError::port_not_found(&port_id))?;
    let to = next(port)?;
    Ok(Evaluation { response: json!({}), change: Some(Change::SetStatus { port_id, to }) })
}

/// `TerminatePort`: from `RUNNING` to the recycle bin.
fn terminated(port: &Port) -> Result<PortStatus, ApiError> {
    match port.port_status {
        PortStatus::Running if port.is_in_use() => Err(in_use()),
        // The real code for a prepaid port is not known; this one is invented in the style of its siblings.
        PortStatus::Running if port.port_charge_type == ChargeType::Prepaid => {
            Err(ApiError::new(400, "OPERATION_DENIED_PREPAID_PORT", "a prepaid port cannot be returned"))
        }
        PortStatus::Running => Ok(PortStatus::Deleting),
        PortStatus::Recycled => {
            Err(ApiError::new(403, "OPERATION_DENIED_INSTANCE_RECYCLED", "the port is in the recycle bin"))
        }
        _ => Err(wrong_status(port)),
    }
}

/// `DestroyPort`: from the recycle bin only.
fn destroyed(port: &Port) -> Result<PortStatus, ApiError> {
    match port.port_status {
        PortStatus::Recycled if port.is_in_use() => Err(in_use()),
        PortStatus::Recycled => Ok(PortStatus::Destroying),
        _ => Err(wrong_status(port)),
    }
}

/// `RenewPort`: from the recycle bin back to `RUNNING`.
fn renewed(port: &Port) -> Result<PortStatus, ApiError> {
    match port.port_status {
        PortStatus::Recycled => Ok(PortStatus::Recovering),
        _ => Err(wrong_status(port)),
    }
}

/// The real code is not known; this one is invented in the style of its siblings.
fn in_use() -> ApiError {
    ApiError::new(400, "OPERATION_DENIED_PORT_IN_USE", "the port is in use")
}

/// The real codes are not known; these are the documented ones that come nearest (`docs/zenlayer-api.md`, error codes).
fn wrong_status(port: &Port) -> ApiError {
    let status = port.port_status.as_str();
    match port.port_status {
        PortStatus::Destroying => {
            ApiError::new(403, "OPERATION_FAILED_FOR_RECYCLE_RESOURCE", "the port is being released")
        }
        _ => ApiError::new(400, "INVALID_PORT_STATUS", format!("not allowed while the port is {status}")),
    }
}
