//! The control API under `/control/`: what the library does, over HTTP and in JSON.

use http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Shared;
use crate::accounts::{Account, RateLimit};
use crate::answer::{self, Response};
use crate::cloud::Cloud;
use crate::faults::Rule;
use crate::life_cycle::Times;
use crate::port::{Port, PortStatus};

/// The routes, for `--help`.
pub const HELP: &str = "\
Control API (JSON; durations are written 250ms, 10s, 1h):
  PUT    /control/accounts                     add or replace an account: {\"name\":\"acme\",\"credentials\":
                                               [{\"id\":\"KEY\",\"secret\":\"PASSWORD\"}],\"rateLimit\":{\"perSecond\":10}}
  PUT    /control/accounts/NAME/rate-limit     {\"perSecond\":10,\"retryAfter\":\"5\"}, or null for none
  PUT    /control/times                        {\"terminate\":\"5s\",\"destroy\":\"60s\",…}
  POST   /control/ports                        add or replace a port, or an array of them:
                                               {\"portId\":\"port-1\",\"portStatus\":\"RECYCLED\",\"account\":\"acme\"}
  GET    /control/ports, /control/ports/ID     what is there
  PATCH  /control/ports/ID                     {\"portStatus\":\"RUNNING\",\"frozen\":true,\"detached\":true}
  DELETE /control/ports/ID                     take it away
  POST   /control/faults                       set a rule: {\"action\":\"DestroyPort\",\"times\":1,\"answer\":\"lost\"}
  GET    /control/faults                       the rules and how often they were met
  DELETE /control/faults, /control/faults/N    clear them all, or one
  GET    /control/journal                      every request and every committed transition
  POST   /control/reset                        forget ports, rules and journal; keep accounts and times

A rule's \"apply\":  \"now\" (default), \"never\", {\"after\":\"5s\"}, {\"late\":\"5m\"}
A rule's \"answer\": \"right\" (default), \"lost\", \"reset\", \"truncated\", {\"slow\":\"1s\"}, {\"huge\":50000000},
                 {\"error\":{\"status\":429,\"code\":\"REQUEST_LIMIT_EXCEEDED\",\"retryAfter\":\"30\"}},
                 {\"replaced\":{\"status\":502,\"headers\":[[\"content-type\",\"text/html\"]],\"body\":\"<html>\"}},
                 {\"list\":[\"stale\",\"ignoreIds\",\"empty\",\"twice\",{\"without\":\"port-1\"},{\"totalCount\":7}]}
A rule also takes \"account\", \"key\", \"portId\", \"skip\" (let so many pass first) and \"delayAnswer\".";

/// Why a control request was not obeyed.
enum Refusal {
    /// No such route, port or rule.
    NotFound,
    /// The body cannot be read.
    BadRequest(String),
}

/// Answers a request for `/control/<path>`.
pub(crate) fn handle(shared: &Shared, method: &Method, path: &str, body: &[u8]) -> Response {
    let segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let mut cloud = shared.cloud();
    obey(&mut cloud, method.as_str(), &segments, body).unwrap_or_else(|refusal| match refusal {
        Refusal::NotFound => {
            let message = "no such route, port or rule; --help lists the routes";
            answer::json(StatusCode::NOT_FOUND, &json!({ "message": message }))
        }
        Refusal::BadRequest(message) => answer::json(StatusCode::BAD_REQUEST, &json!({ "message": message })),
    })
}

fn obey(cloud: &mut Cloud, method: &str, path: &[&str], body: &[u8]) -> Result<Response, Refusal> {
    match (method, path) {
        ("PUT", ["accounts"]) => cloud.put_account(read::<Account>(body)?),
        ("PUT", ["accounts", name, "rate-limit"]) => {
            cloud.set_rate_limit(name, read::<Option<RateLimit>>(body)?);
        }
        ("PUT", ["times"]) => cloud.set_times(read::<Times>(body)?),
        ("POST", ["ports"]) => match read::<OneOrMany>(body)? {
            OneOrMany::One(port) => cloud.seed(*port),
            OneOrMany::Many(ports) => ports.into_iter().for_each(|port| cloud.seed(port)),
        },
        ("GET", ["ports"]) => return Ok(shown(&cloud.ports().collect::<Vec<_>>())),
        ("GET", ["ports", port_id]) => return cloud.port(port_id).map(shown).ok_or(Refusal::NotFound),
        ("PATCH", ["ports", port_id]) => patch(cloud, port_id, read(body)?)?,
        ("DELETE", ["ports", port_id]) => found(cloud.remove_port(port_id))?,
        ("POST", ["faults"]) => {
            let id = cloud.fault(read::<Rule>(body)?);
            return Ok(shown(&json!({ "id": id })));
        }
        ("GET", ["faults"]) => return Ok(shown(cloud.faults())),
        ("DELETE", ["faults"]) => cloud.clear_faults(),
        ("DELETE", ["faults", id]) => found(id.parse().is_ok_and(|id| cloud.clear_fault(id)))?,
        ("GET", ["journal"]) => return Ok(shown(cloud.journal())),
        ("POST", ["reset"]) => cloud.reset(),
        _ => return Err(Refusal::NotFound),
    }
    Ok(shown(&json!({})))
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Port>),
    One(Box<Port>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PortPatch {
    port_status: Option<PortStatus>,
    frozen: Option<bool>,
    #[serde(default)]
    detached: bool,
}

fn patch(cloud: &mut Cloud, port_id: &str, patch: PortPatch) -> Result<(), Refusal> {
    if patch.detached {
        found(cloud.detach(port_id))?;
    }
    if let Some(frozen) = patch.frozen {
        found(cloud.set_frozen(port_id, frozen))?;
    }
    if let Some(status) = patch.port_status {
        found(cloud.set_status(port_id, status))?;
    }
    found(cloud.port(port_id).is_some())
}

fn found(was_there: bool) -> Result<(), Refusal> {
    if was_there { Ok(()) } else { Err(Refusal::NotFound) }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::BadRequest(format!("the body: {error}")))
}

fn shown(value: &(impl Serialize + ?Sized)) -> Response {
    answer::json(StatusCode::OK, value)
}
