//! A request on the network, in short.

use bytes::Bytes;
use http::{Method, Request};

use crate::chance::digest;
use crate::plan::On;

/// What a request is about.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    /// `PUT zenlayerports team-a/edge/status`, or `DestroyPort port-1`.
    pub(super) what: String,
    pub(super) target: Target,
    /// Of the body; 0 without one.
    pub(super) digest: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Api {
        kind: String,
        reads: bool,
    },
    Watch {
        kind: String,
    },
    /// With the port that it changes, or those that it asks about.
    Zenlayer {
        action: String,
        port: Option<String>,
        asks_about: Vec<String>,
        key: String,
    },
}

impl Ask {
    pub(super) fn kubernetes(request: &Request<Bytes>) -> Self {
        let place = Place::of(request.uri().path());
        let query = request.uri().query().unwrap_or_default();
        let watches = query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1");
        let reads = request.method() == Method::GET;
        let verb = if watches { "WATCH" } else { request.method().as_str() };
        let kind = place.kind.to_owned();
        let target = if watches { Target::Watch { kind } } else { Target::Api { kind, reads } };
        let what = [verb, place.kind, &place.object].join(" ");
        Self { what: what.trim_end().to_owned(), target, digest: digest_of(request.body()) }
    }

    pub(super) fn zenlayer(headers: &http::HeaderMap, body: &str) -> Self {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let action = header("x-zc-action").to_owned();
        let json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        let port = json["portId"].as_str().map(str::to_owned);
        let key = header("authorization").split_once("Credential=").map_or("", |(_, rest)| rest);
        let key = key.split([',', '/']).next().unwrap_or_default().to_owned();
        let ids = json["portIds"].as_array().into_iter().flatten();
        let ids: Vec<String> = ids.filter_map(|id| id.as_str()).map(str::to_owned).collect();
        let what = match (&port, ids.as_slice()) {
            (Some(port), _) => format!("{action} {port} by {key}"),
            (None, []) => format!("{action} by {key}"),
            (None, [id]) => format!("{action} {id} by {key}"),
            (None, ids) => format!("{action} of {} by {key}", ids.len()),
        };
        Self {
            what,
            target: Target::Zenlayer { action, port, asks_about: ids, key },
            digest: digest(body.as_bytes()),
        }
    }

    /// Whether it may change something, or tells the replica what its port is like. The Lease is left out, as it is renewed
    /// every other second, and so are Events, which nothing depends on.
    pub(super) fn is_effect(&self) -> bool {
        match &self.target {
            Target::Api { kind, reads } => !reads && kind != "leases" && kind != "events",
            Target::Watch { .. } => false,
            Target::Zenlayer { .. } => true,
        }
    }

    pub(super) fn is_met_by(&self, on: &On) -> bool {
        match (on, &self.target) {
            (On::Api(begins), Target::Api { .. }) => self.what.starts_with(begins),
            (On::Watch(wanted), Target::Watch { kind }) => wanted.is_empty() || wanted == kind,
            (On::Zenlayer(wanted), Target::Zenlayer { action, .. }) => wanted.is_empty() || wanted == action,
            _ => false,
        }
    }

    /// The object that it writes.
    pub(super) fn written_port(&self) -> Option<&str> {
        let mut words = self.what.split(' ');
        let is_write = matches!(words.next(), Some("PUT" | "PATCH")) && words.next() == Some("zenlayerports");
        let object = words.next().filter(|_| is_write)?;
        Some(object.strip_suffix("/status").unwrap_or(object))
    }

    /// The kinds of effects that are told apart where they are counted.
    pub(super) fn class(&self) -> String {
        match &self.target {
            Target::Zenlayer { action, .. } => action.clone(),
            Target::Api { .. } | Target::Watch { .. } => {
                let status = if self.what.ends_with("/status") { "/status" } else { "" };
                let words: Vec<&str> = self.what.split(' ').take(2).collect();
                words.join(" ") + status
            }
        }
    }
}

fn digest_of(body: &[u8]) -> u32 {
    if body.is_empty() { 0 } else { digest(body) }
}

/// What a path leads to.
struct Place<'a> {
    kind: &'a str,
    object: String,
}

impl<'a> Place<'a> {
    fn of(path: &'a str) -> Self {
        let parts = path.trim_matches('/').split('/');
        // `api/v1`, or `apis`, a group and its version.
        let head = if path.starts_with("/api/") { 2 } else { 3 };
        let mut rest: Vec<&str> = parts.skip(head).collect();
        let namespace = (rest.len() > 2 && rest[0] == "namespaces").then(|| {
            let namespace = rest[1];
            rest.drain(..2);
            namespace
        });
        let kind = rest.first().copied().unwrap_or_default();
        let object = namespace.into_iter().chain(rest.into_iter().skip(1)).collect::<Vec<_>>().join("/");
        Self { kind, object }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_told_in_a_few_words() {
        for (method, path, told) in [
            (
                "PUT",
                "/apis/sdn.zenlayer.com/v1alpha1/namespaces/a/zenlayerports/edge/status",
                "PUT zenlayerports a/edge/status",
            ),
            ("GET", "/apis/sdn.zenlayer.com/v1alpha1/zenlayerports?limit=100", "GET zenlayerports"),
            ("GET", "/apis/sdn.zenlayer.com/v1alpha1/zenlayerports?watch=true", "WATCH zenlayerports"),
            ("GET", "/api/v1/namespaces/a/secrets/zenlayer", "GET secrets a/zenlayer"),
            ("GET", "/api/v1/namespaces/a", "GET namespaces a"),
        ] {
            let request = Request::builder().method(method).uri(path).body(Bytes::new()).expect("a request");
            assert_eq!(Ask::kubernetes(&request).what, told);
        }
    }
}
