//! Where the API is. The operator's configuration says so, never an object.

use std::fmt;

use reqwest::Url;

/// Scheme, host, and port of the API, such as `https://console.zenlayer.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    url: Url,
    loopback: bool,
}

/// Whether plain HTTP may leave this host. It shows a token, and every answer, to whoever listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsecureEndpoint {
    Refuse,
    Allow,
}

/// Why a text is no endpoint. The text itself is not repeated: it might hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    #[error("the endpoint is not a URL ({0}); write it like https://console.zenlayer.com")]
    NotAUrl(String),
    #[error("the endpoint must begin with https://, not with {0}:")]
    Scheme(String),
    #[error("the endpoint must contain only scheme, host and port, without user, path, query or fragment")]
    NotBare,
    #[error(
        "the endpoint uses plain HTTP to another host, so others could read or change credentials and answers; use \
         https://, or allow plain HTTP with --allow-insecure-endpoint"
    )]
    Insecure,
}

impl Endpoint {
    pub fn parse(text: &str, insecure: InsecureEndpoint) -> Result<Self, EndpointError> {
        let url = Url::parse(text.trim()).map_err(|error| EndpointError::NotAUrl(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EndpointError::Scheme(url.scheme().to_owned()));
        }
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        if !bare {
            return Err(EndpointError::NotBare);
        }
        let loopback = is_loopback(url.host_str().unwrap_or_default());
        if url.scheme() == "http" && !loopback && insecure == InsecureEndpoint::Refuse {
            return Err(EndpointError::Insecure);
        }
        Ok(Self { url, loopback })
    }

    /// The host as it is signed and sent in `Host`: lower case, with the port unless it is the scheme's own.
    pub fn authority(&self) -> &str {
        self.url.authority()
    }

    /// Whether requests stay on this machine.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Whether it is reached by TLS.
    pub fn is_encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The URL of a path of the API.
    pub(super) fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(path);
        url
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.url.scheme(), self.authority())
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Endpoint, EndpointError> {
        Endpoint::parse(text, InsecureEndpoint::Refuse)
    }

    #[test]
    fn the_authority_is_lower_case_and_names_only_a_port_of_its_own() {
        for (text, authority) in [
            ("https://console.zenlayer.com", "console.zenlayer.com"),
            (" https://Console.Zenlayer.COM/ ", "console.zenlayer.com"),
            ("https://console.zenlayer.com:443", "console.zenlayer.com"),
            ("https://console.zenlayer.com:8443", "console.zenlayer.com:8443"),
            ("http://127.0.0.1:80", "127.0.0.1"),
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://[::1]:8080", "[::1]:8080"),
        ] {
            assert_eq!(parse(text).expect(text).authority(), authority, "{text}");
        }
    }

    #[test]
    fn plain_http_goes_to_loopback_only_unless_allowed() {
        for text in ["http://127.0.0.1:8080", "http://127.9.9.9", "http://[::1]", "http://LOCALHOST:1"] {
            assert!(parse(text).expect(text).is_loopback(), "{text}");
        }
        for text in
            ["http://console.zenlayer.com", "http://10.0.0.1", "http://localhost.example", "http://[::2]"]
        {
            assert_eq!(parse(text), Err(EndpointError::Insecure), "{text}");
            let allowed = Endpoint::parse(text, InsecureEndpoint::Allow).expect(text);
            assert!(!allowed.is_loopback(), "{text}");
        }
        assert!(!parse("https://console.zenlayer.com").expect("https").is_loopback());
    }

    #[test]
    fn anything_beside_scheme_host_and_port_is_refused() {
        for text in [
            "https://console.zenlayer.com/api/v2/sdn",
            "https://console.zenlayer.com?x=1",
            "https://console.zenlayer.com#top",
            "https://key@console.zenlayer.com",
            "https://:secret@console.zenlayer.com",
            r"https://console.zenlayer.com\@other.example",
        ] {
            assert_eq!(parse(text), Err(EndpointError::NotBare), "{text}");
        }
        assert_eq!(parse("ftp://host"), Err(EndpointError::Scheme("ftp".to_owned())));
        for text in ["", "console.zenlayer.com", "https://", "https://host:99999"] {
            assert!(matches!(parse(text), Err(EndpointError::NotAUrl(_))), "{text}: {:?}", parse(text));
        }
    }

    #[test]
    fn an_error_does_not_repeat_a_password() {
        let error = parse("https://user:hunter2@host/").expect_err("user info is refused");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
