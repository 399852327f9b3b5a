//! Requests: signed here, sent by an [`HttpClient`] that all credentials share.

use std::sync::Arc;

use jiff::Timestamp;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use tokio::time::{Instant, timeout};

use super::action::Action;
use super::credential::{Credential, Kind};
use super::http_client::{Failure, HttpClient, Post, Reply, Reqwest, TlsError};
use super::metrics::RequestMetrics;
use super::settings::Settings;
use super::signing::{self, ToSign};
use crate::clock::Clock;
use crate::spans::Span;

const PATH: &str = "/api/v2/sdn";
const JSON: &str = "application/json";

/// The way to the API, shared by all that clone it.
#[derive(Clone, Debug)]
pub struct Transport(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    http: Box<dyn HttpClient>,
    url: Url,
    settings: Settings,
    metrics: RequestMetrics,
    clock: Clock,
}

impl Transport {
    /// Over the network.
    pub fn new(settings: Settings) -> Result<Self, TlsError> {
        let http = Reqwest::new(&settings)?;
        Ok(Self::over(http, settings, Clock::System))
    }

    /// Over any client, by any clock.
    pub fn over(http: impl HttpClient, settings: Settings, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            http: Box::new(http),
            url: settings.endpoint.at(PATH),
            settings,
            metrics: RequestMetrics::default(),
            clock,
        }))
    }

    /// Of the requests of all credentials.
    pub fn metrics(&self) -> &RequestMetrics {
        &self.0.metrics
    }

    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(super) fn clock(&self) -> Clock {
        self.0.clock
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
        let headers = self.headers(credential, action, &body, self.0.clock.wall());
        let request = Post { url: self.0.url.clone(), headers, body };
        let within = action.timeout(&self.0.settings.timeouts);
        let reply = match timeout(within, self.0.http.send(request, action.longest_answer())).await {
            Ok(reply) => reply,
            Err(_) => Err(Failure::Lost("Zenlayer did not answer in time".to_owned())),
        };
        self.0.metrics.took(action, began.elapsed());
        if let Ok(reply) = &reply {
            let (action, credential) = (action.name(), credential.fingerprint());
            tracing::debug!(action, credential, status = %reply.status, "Zenlayer has answered");
        }
        reply
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
