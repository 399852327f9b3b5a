//! The HTTP proxy to Zenlayer. The operator's configuration or environment says so, never an object.

use std::fmt;

use reqwest::{NoProxy, Url};
use secrecy::{ExposeSecret, SecretString};

/// An HTTP proxy that is asked, by `CONNECT`, for a tunnel to Zenlayer: it sees the name of the host and nothing that is sent.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// With the password, if it has one.
    url: SecretString,
    /// `http://host:port`.
    shown: String,
    /// The hosts that are reached directly, as `NO_PROXY` lists them.
    exceptions: Option<String>,
}

/// Why a text is no proxy. The text itself is not repeated: it might hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    #[error("the proxy is not a URL ({0}); write it like http://proxy.example.com:3128")]
    NotAUrl(String),
    #[error("the proxy must begin with http:// or https://, not with {0}:")]
    Scheme(String),
    #[error(
        "the proxy must contain scheme, host and port; it may contain a user, but no path, query or fragment"
    )]
    NotBare,
    #[error("the variable {0} is not valid: {1}")]
    Variable(&'static str, Box<Self>),
}

/// In the order in which they are asked; the first that is not empty counts.
const VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

impl Proxy {
    pub fn parse(text: &str) -> Result<Self, ProxyError> {
        let url = Url::parse(text.trim()).map_err(|error| ProxyError::NotAUrl(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ProxyError::Scheme(url.scheme().to_owned()));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(ProxyError::NotBare);
        }
        let port = url.port_or_known_default().unwrap_or_default();
        let shown = format!("{}://{}:{port}", url.scheme(), url.host_str().unwrap_or_default());
        Ok(Self { url: String::from(url).into(), shown, exceptions: None })
    }

    /// The proxy that the usual environment variables name. One without a scheme is taken for `http://`.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, ProxyError> {
        let first = |names: &[&'static str]| {
            let mut set = names.iter().filter_map(|name| Some((*name, variable(name)?)));
            set.find(|(_, value)| !value.trim().is_empty())
        };
        let Some((name, value)) = first(&VARIABLES) else { return Ok(None) };
        let url = if value.contains("://") { value } else { format!("http://{}", value.trim()) };
        let proxy = Self::parse(&url).map_err(|error| ProxyError::Variable(name, Box::new(error)))?;
        Ok(Some(Self { exceptions: first(&EXCEPTIONS).map(|(_, hosts)| hosts), ..proxy }))
    }

    pub(crate) fn to_reqwest(&self) -> reqwest::Result<reqwest::Proxy> {
        let exceptions = self.exceptions.as_deref().and_then(NoProxy::from_string);
        Ok(reqwest::Proxy::https(self.url.expose_secret())?.no_proxy(exceptions))
    }
}

/// Without user and password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::PortId;
    use crate::zenlayer::testing::{Script, Server};
    use crate::zenlayer::{
        ApiVersion, Batch, Client, Credential, Endpoint, InsecureEndpoint, Priority, Rate, Settings,
        Timeouts, Transport,
    };

    fn environment(variables: &[(&str, &str)]) -> Result<Option<Proxy>, ProxyError> {
        let value =
            |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
        Proxy::from_environment(value)
    }

    fn transport(endpoint: &str, proxy: Option<Proxy>) -> Transport {
        let settings = Settings {
            endpoint: Endpoint::parse(endpoint, InsecureEndpoint::Refuse).expect("an endpoint"),
            proxy,
            api_version: ApiVersion::default(),
            requests_per_second: Rate::default(),
            timeouts: Timeouts::default(),
        };
        Transport::new(settings).expect("a transport")
    }

    /// What a reading through this proxy fails with.
    async fn failure(endpoint: &str, proxy: Proxy) -> String {
        let credential = Credential::token("zl-token-EXAMPLE-0123456789abcdef").expect("a token");
        let client = Client::new(&transport(endpoint, Some(proxy)), credential);
        let ids = [PortId::new("port-0")];
        let permit = client.read_permit(Priority::Release).await.expect("nothing is paused");
        let batch = Batch::new(&ids).expect("a batch");
        let reading = client.describe_ports(permit, batch, Priority::Release).await;
        reading.expect_err("there is no Zenlayer behind it").to_string()
    }

    fn answer(status: &str) -> Script {
        Script::Send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into_bytes())
    }

    #[tokio::test]
    async fn a_refusal_of_the_proxy_is_told_from_one_of_zenlayer() {
        for (status, told) in [
            ("407 Proxy Authentication Required", "asks for a user and a password (407)"),
            ("403 Forbidden", "refuses the connection"),
            ("502 Bad Gateway", "refuses the connection"),
        ] {
            let server = Server::play(vec![answer(status)]);
            let proxy = Proxy::parse(&format!("http://{}", server.authority())).expect("a proxy");
            let said = failure("https://zenlayer.example", proxy).await;
            let place = format!("through the proxy http://{}", server.authority());
            assert!(said.contains(told) && said.contains(&place), "{status}: {said}");
            let [request] = &server.requests()[..] else { panic!("one request") };
            assert_eq!(request.line, "CONNECT zenlayer.example:443 HTTP/1.1");
            assert_eq!(request.header("authorization"), None, "the token is not for the proxy");
        }
    }

    #[tokio::test]
    async fn a_proxy_that_cannot_be_reached_is_named() {
        let server = Server::gone();
        let proxy = Proxy::parse(&format!("http://{}", server.authority())).expect("a proxy");
        let said = failure("https://zenlayer.example", proxy).await;
        assert!(said.contains(&format!("through the proxy http://{}", server.authority())), "{said}");
    }

    #[tokio::test]
    async fn the_password_goes_to_the_proxy_and_nowhere_else() {
        let server = Server::play(vec![answer("407 Proxy Authentication Required")]);
        let proxy = Proxy::parse(&format!("http://me:hunter%402@{}", server.authority())).expect("a proxy");
        let texts = [
            format!("{proxy}"),
            format!("{proxy:?}"),
            format!("{:?}", transport("https://a.example", Some(proxy.clone()))),
        ];
        let said = failure("https://zenlayer.example", proxy).await;
        for text in texts.iter().chain([&said]) {
            assert!(!text.contains("hunter"), "{text}");
        }
        let [request] = &server.requests()[..] else { panic!("one request") };
        // me:hunter@2
        assert_eq!(request.header("proxy-authorization"), Some("Basic bWU6aHVudGVyQDI="));
    }

    #[tokio::test]
    async fn hosts_in_no_proxy_are_reached_directly() {
        let (zenlayer, proxy) = (Server::gone(), Server::play(vec![answer("403 Forbidden")]));
        let variables =
            [("HTTPS_PROXY", proxy.authority()), ("NO_PROXY", "example.com,127.0.0.0/8".to_owned())];
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let proxy_of_environment = environment(&variables).expect("a proxy").expect("one is set");
        let said = failure(&format!("https://{}", zenlayer.authority()), proxy_of_environment).await;
        assert!(!said.contains("proxy"), "{said}");
        assert!(proxy.requests().is_empty());
    }

    #[test]
    fn the_first_variable_that_is_not_empty_counts() {
        for (variables, shown) in [
            (
                &[("HTTPS_PROXY", ""), ("https_proxy", "proxy.example:3128")][..],
                Some("http://proxy.example:3128"),
            ),
            (
                &[("HTTPS_PROXY", "https://a.example"), ("https_proxy", "http://b.example")],
                Some("https://a.example:443"),
            ),
            (&[("ALL_PROXY", "http://me:secret@c.example:1/")], Some("http://c.example:1")),
            (&[("HTTP_PROXY", "http://d.example"), ("NO_PROXY", "*")], None),
        ] {
            let proxy = environment(variables).expect("understood");
            assert_eq!(proxy.map(|proxy| proxy.to_string()).as_deref(), shown, "{variables:?}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_its_password() {
        for text in [
            "",
            "proxy.example:3128",
            "http://",
            "socks5://me:hunter2@proxy.example",
            "http://me:hunter2@proxy.example/path",
        ] {
            let error = Proxy::parse(text).expect_err(text).to_string();
            assert!(!error.contains("hunter2"), "{error}");
            if !text.is_empty() && text.contains("://") {
                let error = environment(&[("https_proxy", text)]).expect_err(text).to_string();
                assert!(error.contains("https_proxy") && !error.contains("hunter2"), "{error}");
            }
        }
    }
}
