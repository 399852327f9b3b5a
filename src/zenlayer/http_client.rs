//! Sends requests: one connection pool for all credentials, no retries, no redirects, bounded bodies.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::header::HeaderMap;
use reqwest::{StatusCode, Url, redirect, retry};

use super::endpoint::Endpoint;
use super::proxy::Proxy;
use super::settings::Settings;
use crate::text::root_cause;

const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// An idle connection is given up before a server or a balancer is likely to, for a change that is sent
/// into a closing connection is in doubt.
const IDLE: Duration = Duration::from_secs(30);

/// A request to send by `POST`.
#[derive(Clone, Debug)]
pub struct Post {
    pub url: Url,
    pub headers: HeaderMap,
    pub body: String,
}

/// An answer, received to its end.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The request has not left: there was no connection to send it on.
    NotSent(String),
    /// It may have arrived.
    Lost(String),
}

/// Sends requests to Zenlayer.
pub trait HttpClient: fmt::Debug + Send + Sync + 'static {
    /// Sends the request once, and receives its answer to the end, unless its body has more than `longest` bytes. Whoever asks
    /// drops the future when it has waited long enough.
    fn send(&self, request: Post, longest: usize) -> BoxFuture<'_, Result<Reply, Failure>>;
}

/// The client that goes over the network.
#[derive(Debug)]
pub(super) struct Reqwest {
    http: reqwest::Client,
    endpoint: Endpoint,
    proxy: Option<Proxy>,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot set up TLS ({0}); check that the system's CA certificates are installed")]
pub struct TlsError(String);

impl Reqwest {
    pub(super) fn new(settings: &Settings) -> Result<Self, TlsError> {
        let failed = |error: reqwest::Error| TlsError(root_cause(&error));
        let http = reqwest::Client::builder()
            // The library reads no variable by itself, and ignores in silence what it does not understand.
            .no_proxy()
            .user_agent(USER_AGENT)
            .connect_timeout(settings.timeouts.connect)
            .pool_idle_timeout(IDLE)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false);
        let http = match &settings.proxy {
            Some(proxy) => http.proxy(proxy.to_reqwest().map_err(failed)?),
            None => http,
        };
        let http = http.build().map_err(failed)?;
        Ok(Self { http, endpoint: settings.endpoint.clone(), proxy: settings.proxy.clone() })
    }

    async fn exchange(&self, request: Post, longest: usize) -> Result<Reply, Failure> {
        let Post { url, headers, body } = request;
        let failed = |error| self.failure(&error);
        let mut response = self.http.post(url).headers(headers).body(body).send().await.map_err(failed)?;
        let mut reply = Reply {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body: Vec::new(),
        };
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if reply.body.len() + chunk.len() > longest {
                let limit = longest / 1024;
                return Err(Failure::Lost(format!("{} with a body of more than {limit} KiB", reply.status)));
            }
            reply.body.extend_from_slice(&chunk);
        }
        Ok(reply)
    }

    fn failure(&self, error: &reqwest::Error) -> Failure {
        let cause = root_cause(error);
        if !error.is_connect() {
            return Failure::Lost(format!("Zenlayer sent no complete answer: {cause}"));
        }
        let Some((proxy, failure)) = self.proxy.as_ref().zip(tunnel_failure(error)) else {
            return Failure::NotSent(format!("no connection to Zenlayer: {cause}"));
        };
        let host = self.endpoint.authority();
        let why = match failure {
            Tunnel::WantsPassword => "it asks for a user and a password (407)".to_owned(),
            Tunnel::Refused => {
                format!(
                    "it refuses the connection. Allow CONNECT to {host} on the proxy; the log of the proxy may say more"
                )
            }
            Tunnel::Broken => cause,
        };
        Failure::NotSent(format!("no connection to Zenlayer through the proxy {proxy}: {why}"))
    }
}

impl HttpClient for Reqwest {
    fn send(&self, request: Post, longest: usize) -> BoxFuture<'_, Result<Reply, Failure>> {
        self.exchange(request, longest).boxed()
    }
}

/// Why a proxy makes no tunnel.
enum Tunnel {
    WantsPassword,
    Refused,
    Broken,
}

/// None: the failure has nothing to do with a proxy. The library's error has no public type, only its words.
fn tunnel_failure(error: &reqwest::Error) -> Option<Tunnel> {
    let mut cause: &dyn Error = error;
    let told = loop {
        cause = cause.source()?;
        if let Some(told) = cause.to_string().strip_prefix("tunnel error: ") {
            break told.to_owned();
        }
    };
    Some(match told.as_str() {
        "proxy authorization required" => Tunnel::WantsPassword,
        "unsuccessful" => Tunnel::Refused,
        _ => Tunnel::Broken,
    })
}
