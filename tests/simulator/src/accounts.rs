//! Accounts, who may call as them, and how often.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::port::Port;
use crate::signature::{self, Authorization, Signed};

/// The account of ports and credentials that name no other.
pub const DEFAULT_ACCOUNT: &str = "default";

/// How far a timestamp may differ from the time of the server (`docs/zenlayer-api.md`, signature).
const MAX_CLOCK_SKEW_SECONDS: u64 = 300;

/// A Zenlayer account (a team): it owns ports, and any number of credentials act for it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Account {
    /// What ports, rules and the journal call it.
    pub name: String,
    /// Access keys and tokens.
    #[serde(default)]
    pub credentials: Vec<Credential>,
    /// Requests allowed; `None`: any number.
    #[serde(default)]
    pub rate_limit: Option<RateLimit>,
}

impl Account {
    /// An account that nobody can use yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), credentials: Vec::new(), rate_limit: None }
    }

    /// With an access key.
    #[must_use]
    pub fn key(mut self, id: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials.push(Credential::new(CredentialKind::AccessKey, id, password));
        self
    }

    /// With a personal access token; `id` is what the journal calls it.
    #[must_use]
    pub fn token(mut self, id: impl Into<String>, token: impl Into<String>) -> Self {
        self.credentials.push(Credential::new(CredentialKind::Token, id, token));
        self
    }

    /// Denies one action, such as `DestroyPort`, to the credential added last.
    #[must_use]
    pub fn denied(mut self, action: impl Into<String>) -> Self {
        if let Some(credential) = self.credentials.last_mut() {
            credential.denied_actions.push(action.into());
        }
        self
    }

    /// Limits the credential added last to these ports.
    #[must_use]
    pub fn only(mut self, ports: impl IntoIterator<Item = impl Into<String>>) -> Self {
        if let Some(credential) = self.credentials.last_mut() {
            credential.only_ports = Some(ports.into_iter().map(Into::into).collect());
        }
        self
    }

    /// With a limit on its requests.
    #[must_use]
    pub fn rate_limit(mut self, limit: RateLimit) -> Self {
        self.rate_limit = Some(limit);
        self
    }
}

/// An access key or token. `Debug` does not show the secret.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credential {
    /// Access key or token.
    #[serde(default)]
    pub kind: CredentialKind,
    /// The access key's id, or a name for the token.
    pub id: String,
    /// The access key's password, or the token itself.
    pub secret: String,
    /// Actions that answer `AUTHFAILURE_UNAUTHORIZED_OPERATION`.
    #[serde(default)]
    pub denied_actions: Vec<String>,
    /// The only ports of the account that it sees, as if it were limited to a resource group; none: all.
    #[serde(default)]
    pub only_ports: Option<Vec<String>>,
}

impl Credential {
    fn new(kind: CredentialKind, id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { kind, id: id.into(), secret: secret.into(), denied_actions: Vec::new(), only_ports: None }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, id, secret: _, denied_actions, only_ports } = self;
        write!(f, "Credential {{ {kind:?} {id}, denied: {denied_actions:?}, only: {only_ports:?} }}")
    }
}

/// How a credential is presented (`docs/zenlayer-api.md`, credentials).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CredentialKind {
    /// Signs each request.
    #[default]
    AccessKey,
    /// `Authorization: Bearer <token>`.
    Token,
}

/// A token bucket that holds the requests of one second, at least one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    /// Requests per second.
    pub per_second: f64,
    /// The `Retry-After` header of a refusal; none by default, as the real server is not known to send one.
    #[serde(default)]
    pub retry_after: Option<String>,
}

impl RateLimit {
    /// So many requests per second, refused without a `Retry-After`.
    pub fn per_second(per_second: f64) -> Self {
        Self { per_second, retry_after: None }
    }
}

/// Who sent an authenticated request.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) account: Arc<str>,
    pub(crate) key: Arc<str>,
    credential: Credential,
}

impl Caller {
    pub(crate) fn is_denied(&self, action: &str) -> bool {
        self.credential.denied_actions.iter().any(|denied| denied == action)
    }

    /// Whether it sees the port, of whatever account.
    pub(crate) fn sees(&self, port: &Port) -> bool {
        let only = self.credential.only_ports.as_ref();
        *port.account == *self.account && only.is_none_or(|only| only.contains(&port.port_id))
    }
}

/// All accounts, found by access key id and by token.
#[derive(Default)]
pub(crate) struct Accounts {
    keys: BTreeMap<String, Arc<Caller>>,
    tokens: BTreeMap<String, Arc<Caller>>,
    buckets: BTreeMap<Arc<str>, Bucket>,
}

impl Accounts {
    /// Adds an account, or replaces it with all its credentials.
    pub(crate) fn put(&mut self, account: Account, now: Duration) {
        let name: Arc<str> = account.name.into();
        self.keys.retain(|_, caller| caller.account != name);
        self.tokens.retain(|_, caller| caller.account != name);
        for credential in account.credentials {
            let (index, handle) = match credential.kind {
                CredentialKind::AccessKey => (&mut self.keys, credential.id.clone()),
                CredentialKind::Token => (&mut self.tokens, credential.secret.clone()),
            };
            let caller =
                Caller { account: Arc::clone(&name), key: credential.id.as_str().into(), credential };
            index.insert(handle, Arc::new(caller));
        }
        self.set_rate_limit(name, account.rate_limit, now);
    }

    pub(crate) fn set_rate_limit(&mut self, account: Arc<str>, limit: Option<RateLimit>, now: Duration) {
        match limit {
            Some(limit) => {
                self.buckets.insert(account, Bucket::full(limit, now));
            }
            None => {
                self.buckets.remove(&account);
            }
        }
    }

    /// Takes one request from the account's bucket.
    pub(crate) fn admit(&mut self, account: &str, now: Duration) -> Result<(), ApiError> {
        self.buckets.get_mut(account).map_or(Ok(()), |bucket| bucket.take(now))
    }

    /// Who sent this request, by its bearer token or signature (`docs/zenlayer-api.md`, signature).
    pub(crate) fn authenticate(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        unix_seconds: i64,
    ) -> Result<Arc<Caller>, ApiError> {
        let authorization = header(headers, "authorization")?;
        if let Some(token) = authorization.strip_prefix("Bearer ") {
            let known = self.tokens.get(token.trim());
            return known.cloned().ok_or_else(|| ApiError::invalid_authorization("the token is not known"));
        }
        let Some(authorization) = Authorization::parse(authorization) else {
            return Err(ApiError::invalid_authorization("the Authorization header is malformed"));
        };
        if header(headers, "x-zc-signature-method")? != signature::METHOD {
            return Err(ApiError::invalid_authorization("the signature method is not supported"));
        }
        let timestamp = header(headers, "x-zc-timestamp")?;
        let sent: i64 = timestamp
            .parse()
            .map_err(|_| ApiError::invalid_authorization("X-ZC-Timestamp is not in Unix seconds"))?;
        if sent.abs_diff(unix_seconds) > MAX_CLOCK_SKEW_SECONDS {
            return Err(ApiError::signature_expired());
        }
        let mut signed_headers = Vec::with_capacity(authorization.signed_headers.len());
        for name in authorization.signed_headers {
            signed_headers.push((name, header(headers, name)?));
        }
        let signed = Signed { timestamp, headers: &signed_headers, body };
        // The real answer to an unknown key id is not documented; this one tells a caller no more.
        let caller = self.keys.get(authorization.key_id).ok_or_else(ApiError::signature_failure)?;
        if signature::sign(&caller.credential.secret, &signed) != authorization.signature {
            return Err(ApiError::signature_failure());
        }
        Ok(Arc::clone(caller))
    }
}

/// A header that authentication needs, as it came.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, ApiError> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .ok_or_else(|| ApiError::invalid_authorization(&format!("the header {name} is missing or not ASCII")))
}

struct Bucket {
    limit: RateLimit,
    tokens: f64,
    filled: Duration,
}

impl Bucket {
    fn full(limit: RateLimit, now: Duration) -> Self {
        Self { tokens: limit.per_second.max(1.0), limit, filled: now }
    }

    fn take(&mut self, now: Duration) -> Result<(), ApiError> {
        let refilled = now.saturating_sub(self.filled).as_secs_f64() * self.limit.per_second;
        self.tokens = (self.tokens + refilled).min(self.limit.per_second.max(1.0));
        self.filled = now;
        if self.tokens < 1.0 {
            return Err(ApiError::request_limit_exceeded(self.limit.retry_after.clone()));
        }
        self.tokens -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_refills_with_time() {
        let mut bucket = Bucket::full(RateLimit::per_second(2.0), Duration::ZERO);
        let mut taken = |at: Duration| bucket.take(at).is_ok();
        assert!(taken(Duration::ZERO) && taken(Duration::ZERO), "a second's worth at once");
        assert!(!taken(Duration::from_millis(100)), "a fifth of a request is not one");
        assert!(taken(Duration::from_millis(500)));
        assert!(!taken(Duration::from_millis(500)));
    }

    #[test]
    fn debug_output_holds_no_secret() {
        let shown = format!("{:?}", Account::new("acme").key("id", "hunter2").token("ci", "hunter2"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
