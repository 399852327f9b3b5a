//! What the operator's configuration says of the API.

use std::str::FromStr;
use std::time::Duration;

use reqwest::header::HeaderValue;

use super::endpoint::Endpoint;
use super::proxy::Proxy;

#[derive(Clone, Debug)]
pub struct Settings {
    pub endpoint: Endpoint,
    /// None: Zenlayer is reached directly.
    pub proxy: Option<Proxy>,
    pub api_version: ApiVersion,
    /// For each credential.
    pub requests_per_second: Rate,
    pub timeouts: Timeouts,
}

/// The version of the API to speak, sent as `X-ZC-Version`. By default `2023-08-30`, the only one that tells
/// a port's charge type (`docs/zenlayer-api.md`, requests).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiVersion(HeaderValue);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write the API version like 2023-08-30")]
pub struct ApiVersionError;

impl ApiVersion {
    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl Default for ApiVersion {
    fn default() -> Self {
        Self(HeaderValue::from_static("2023-08-30"))
    }
}

impl FromStr for ApiVersion {
    type Err = ApiVersionError;

    fn from_str(text: &str) -> Result<Self, ApiVersionError> {
        let date = text.len() == 10
            && text.bytes().enumerate().all(|(at, byte)| match at {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        match HeaderValue::from_str(text) {
            Ok(value) if date => Ok(Self(value)),
            _ => Err(ApiVersionError),
        }
    }
}

/// Requests per second, of which any real number from 0.01 to 1000 makes sense.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate(f64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the number of requests per second must be from 0.01 to 1000")]
pub struct RateError;

impl Rate {
    pub fn per_second(requests: f64) -> Result<Self, RateError> {
        if (0.01..=1000.0).contains(&requests) { Ok(Self(requests)) } else { Err(RateError) }
    }

    pub fn get(self) -> f64 {
        self.0
    }
}

/// 10 requests per second.
impl Default for Rate {
    fn default() -> Self {
        Self(10.0)
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        text.parse().map_err(|_| RateError).and_then(Self::per_second)
    }
}

/// How long to wait for the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, with TLS.
    pub connect: Duration,
    /// For a whole reading request, answer included.
    pub read: Duration,
    /// For a whole changing request, answer included.
    pub change: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(20),
            change: Duration::from_secs(30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_date() {
        assert_eq!("2023-08-30".parse(), Ok(ApiVersion::default()));
        for text in ["", "2023-8-30", "2023-08-30\n", "2023/08/30", "latest", "２０２３-1"] {
            assert_eq!(text.parse::<ApiVersion>(), Err(ApiVersionError), "{text:?}");
        }
    }

    #[test]
    fn a_rate_is_a_positive_number_within_reason() {
        assert_eq!("10".parse(), Ok(Rate::default()));
        assert_eq!("0.5".parse::<Rate>().map(Rate::get), Ok(0.5));
        for text in ["0", "-1", "NaN", "inf", "1e9", "", "ten"] {
            assert_eq!(text.parse::<Rate>(), Err(RateError), "{text:?}");
        }
    }
}
