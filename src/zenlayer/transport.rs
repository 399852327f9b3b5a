//! Requests on the wire: one connection pool for all credentials, no retries, no redirects, bounded bodies.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Url, redirect, retry};
use secrecy::ExposeSecret;

use super::action::Action;
use super::answer::Reply;
use super::credential::{Credential, Kind};
use super::metrics::RequestMetrics;
use super::settings::Settings;
use super::signing::{self, ToSign};
use crate::spans::Span;
use crate::text::root_cause;

const PATH: &str = "/api/v2/sdn";
const JSON: &str = "application/json";
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// An idle connection is given up before a server or a balancer is likely to, for a change that is sent
/// into a closing connection is in doubt.
const IDLE: Duration = Duration::from_secs(30);

/// The connections to the API, shared by all that clone it.
#[derive(Clone, Debug)]
pub struct Transport(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    url: Url,
    settings: Settings,
    metrics: RequestMetrics,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot set up TLS ({0}); check that the system's CA certificates are installed")]
pub struct TransportError(String);

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The request has not left: there was no connection to send it on.
    NotSent(String),
    /// It may have arrived.
    Lost(String),
}

impl Transport {
    pub fn new(settings: Settings) -> Result<Self, TransportError> {
        let http = reqwest::Client::builder()
            // The library reads no variable by itself, and passes over in silence what it does not understand.
            .no_proxy()
            .user_agent(USER_AGENT)
            .connect_timeout(settings.timeouts.connect)
            .pool_idle_timeout(IDLE)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false);
        let http = match &settings.proxy {
            Some(proxy) => {
                http.proxy(proxy.to_reqwest().map_err(|error| TransportError(root_cause(&error)))?)
            }
            None => http,
        };
        let http = http.build().map_err(|error| TransportError(root_cause(&error)))?;
        Ok(Self(Arc::new(Inner {
            http,
            url: settings.endpoint.at(PATH),
            settings,
            metrics: RequestMetrics::default(),
        })))
    }

    /// Of the requests of all credentials.
    pub fn metrics(&self) -> &RequestMetrics {
        &self.0.metrics
    }

    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Names what is asked, and where.
    pub(super) fn describe(&self, span: &mut Span) {
        let url = &self.0.url;
        span.set("http.request.method", "POST");
        span.set("url.full", url.as_str());
        span.set("server.address", url.host_str().unwrap_or_default());
        span.set_number("server.port", url.port_or_known_default().unwrap_or_default());
    }

    /// Sends one request, signed now, and receives its answer to the end.
    pub(super) async fn post(
        &self,
        credential: &Credential,
        action: Action,
        body: String,
    ) -> Result<Reply, Failure> {
        let began = Instant::now();
        let reply = self.exchange(credential, action, body).await;
        self.0.metrics.took(action, began.elapsed());
        reply
    }

    async fn exchange(
        &self,
        credential: &Credential,
        action: Action,
        body: String,
    ) -> Result<Reply, Failure> {
        let headers = self.headers(credential, action, &body, Timestamp::now());
        let timeout = action.timeout(&self.0.settings.timeouts);
        let request = self.0.http.post(self.0.url.clone()).headers(headers).timeout(timeout).body(body);
        let failed = |error| self.failure(&error);
        let mut response = request.send().await.map_err(failed)?;
        let mut reply = Reply {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body: Vec::new(),
        };
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if reply.body.len() + chunk.len() > action.longest_answer() {
                let limit = action.longest_answer() / 1024;
                return Err(Failure::Lost(format!("{} with a body of more than {limit} KiB", reply.status)));
            }
            reply.body.extend_from_slice(&chunk);
        }
        let (action, credential) = (action.name(), credential.fingerprint());
        tracing::debug!(action, credential, status = %reply.status, "Zenlayer has answered");
        Ok(reply)
    }

    fn failure(&self, error: &reqwest::Error) -> Failure {
        let cause = root_cause(error);
        if error.is_connect() {
            let proxy = self.0.settings.proxy.as_ref().zip(tunnel_failure(error));
            let Some((proxy, failure)) = proxy else {
                return Failure::NotSent(format!("no connection to Zenlayer: {cause}"));
            };
            let host = self.0.settings.endpoint.authority();
            let why = match failure {
                Tunnel::WantsPassword => "it asks for a user and a password (407)".to_owned(),
                Tunnel::Refused => {
                    format!(
                        "it refuses the connection. Allow CONNECT to {host} on the proxy; the log of the proxy may \
                         say more"
                    )
                }
                Tunnel::Broken => cause,
            };
            Failure::NotSent(format!("no connection to Zenlayer through the proxy {proxy}: {why}"))
        } else if error.is_timeout() {
            Failure::Lost("Zenlayer did not answer in time".to_owned())
        } else {
            Failure::Lost(format!("Zenlayer sent no complete answer: {cause}"))
        }
    }

    /// The headers (`docs/zenlayer-api.md`, requests); those of the signature only with an access key.
    fn headers(&self, credential: &Credential, action: Action, body: &str, now: Timestamp) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        headers.insert(HeaderName::from_static("x-zc-service"), HeaderValue::from_static("sdn"));
        headers.insert(HeaderName::from_static("x-zc-version"), self.0.settings.api_version.header());
        headers.insert(HeaderName::from_static("x-zc-action"), HeaderValue::from_static(action.name()));
        let authorization = match credential.kind() {
            Kind::AccessKey { id, password } => {
                let timestamp = now.as_second();
                headers.insert(HeaderName::from_static("x-zc-timestamp"), timestamp.into());
                headers.insert(
                    HeaderName::from_static("x-zc-signature-method"),
                    HeaderValue::from_static(signing::METHOD),
                );
                let host = self.0.settings.endpoint.authority();
                ToSign { content_type: JSON, host, body: body.as_bytes(), timestamp }
                    .authorization(id, password.expose_secret())
            }
            Kind::Token(token) => format!("Bearer {}", token.expose_secret()),
        };
        // A credential holds nothing but what fits into a header; without one, Zenlayer answers 401.
        if let Ok(mut value) = HeaderValue::try_from(authorization) {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        headers
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
