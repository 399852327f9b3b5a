//! The health and metrics endpoint.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::get;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;

/// Whether all that must be read at the start has been.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<AtomicUsize>);

impl Readiness {
    /// Ready after as many calls of [`Readiness::one_more`].
    pub fn after(parts: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(parts)))
    }

    pub fn one_more(&self) {
        // Never below zero: to be ready twice is to be ready.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |parts| parts.checked_sub(1));
    }

    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

/// Listens on `address`; on `[::]` for IPv6 and IPv4, or for IPv4 alone on a machine without IPv6.
pub fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    bind_with(address, listen).with_context(|| format!("cannot listen on {address} (--listen)"))
}

fn bind_with<T>(address: SocketAddr, listen: impl Fn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    match listen(address) {
        Err(error) if address.is_ipv6() && address.ip().is_unspecified() && is_without_ipv6(&error) => {
            listen((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        result => result,
    }
}

fn is_without_ipv6(error: &io::Error) -> bool {
    let errors = [rustix::io::Errno::AFNOSUPPORT, rustix::io::Errno::ADDRNOTAVAIL];
    errors.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    if address.is_ipv6() && address.ip().is_unspecified() {
        // The system's default may be IPv6 alone.
        rustix::net::sockopt::set_ipv6_v6only(&socket, false)?;
    }
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// Serves until `shutdown`. A cloud that cannot be reached makes the operator neither unready nor dead: a restart would
/// not help.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let ready = move || {
        let answer = if readiness.is_ready() {
            (StatusCode::OK, "ok")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "the operator has not listed the ZenlayerPorts yet")
        };
        std::future::ready(answer)
    };
    let encode = move |headers: HeaderMap| {
        let (content_type, text) = if wants_open_metrics(&headers) {
            ("application/openmetrics-text; version=1.0.0; charset=utf-8", metrics.open_metrics())
        } else {
            ("text/plain; version=0.0.4; charset=utf-8", metrics.classic())
        };
        std::future::ready(([(header::CONTENT_TYPE, content_type)], text))
    };
    let routes = Router::new()
        .route("/livez", get(|| std::future::ready("ok")))
        .route("/readyz", get(ready))
        .route("/metrics", get(encode));
    axum::serve(listener, routes).with_graceful_shutdown(shutdown.cancelled_owned()).await?;
    Ok(())
}

/// Prometheus names every format that it takes; whoever names none gets the classic one.
fn wants_open_metrics(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|range| {
        let kind = range.split(';').next().unwrap_or_default();
        kind.trim().eq_ignore_ascii_case("application/openmetrics-text")
    })
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, TcpStream};

    use super::*;

    #[tokio::test]
    async fn on_the_unspecified_address_both_families_are_served() {
        let listener = bind((Ipv6Addr::UNSPECIFIED, 0).into()).expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("IPv4");
        match TcpStream::connect((Ipv6Addr::LOCALHOST, port)) {
            Err(error) if is_without_ipv6(&error) => {}
            result => drop(result.expect("IPv6")),
        }
    }

    #[test]
    fn without_ipv6_it_listens_on_ipv4_alone() {
        let without = |errno: rustix::io::Errno| {
            move |address: SocketAddr| if address.is_ipv6() { Err(errno.into()) } else { Ok(address) }
        };
        let any = |text: &str| text.parse::<SocketAddr>().expect("an address");
        for errno in [rustix::io::Errno::AFNOSUPPORT, rustix::io::Errno::ADDRNOTAVAIL] {
            assert_eq!(bind_with(any("[::]:8080"), without(errno)).ok(), Some(any("0.0.0.0:8080")));
            // An address that somebody chose is not replaced.
            assert!(bind_with(any("[::1]:8080"), without(errno)).is_err(), "{errno}");
        }
        let taken = rustix::io::Errno::ADDRINUSE;
        assert!(bind_with(any("[::]:8080"), without(taken)).is_err(), "{taken} is no lack of IPv6");
    }

    #[test]
    fn the_operator_is_ready_once_every_part_is_and_stays_so() {
        let readiness = Readiness::after(2);
        let seen: Vec<bool> = (0..4)
            .map(|_| {
                let ready = readiness.is_ready();
                readiness.one_more();
                ready
            })
            .collect();
        assert_eq!(seen, [false, false, true, true]);
    }

    #[tokio::test]
    async fn readyz_answers_503_until_the_operator_is_ready_and_livez_does_not_mind() {
        let listener = bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (readiness, shutdown) = (Readiness::after(1), CancellationToken::new());
        let served = tokio::spawn(serve(listener, Metrics::default(), readiness.clone(), shutdown.clone()));
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let status = async |path: &str| {
            let answer = http.get(format!("{url}{path}")).send().await.expect("an answer");
            answer.status().as_u16()
        };
        assert_eq!([status("/readyz").await, status("/livez").await], [503, 200]);
        readiness.one_more();
        assert_eq!([status("/readyz").await, status("/livez").await], [200, 200]);
        drop(http);
        shutdown.cancel();
        served.await.expect("no panic").expect("it ends well");
    }

    #[tokio::test]
    async fn prometheus_gets_the_format_that_it_asks_for() {
        let listener = bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let url = format!("http://{}/metrics", listener.local_addr().expect("an address"));
        let (readiness, shutdown) = (Readiness::after(0), CancellationToken::new());
        let served = tokio::spawn(serve(listener, Metrics::default(), readiness, shutdown.clone()));
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        // Prometheus 3 sends the first of these.
        let open =
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        for (accept, expected, end) in [
            (open, "application/openmetrics-text; version=1.0.0; charset=utf-8", Some("# EOF")),
            ("text/plain", "text/plain; version=0.0.4; charset=utf-8", None),
            ("*/*", "text/plain; version=0.0.4; charset=utf-8", None),
        ] {
            let answer = http.get(&url).header("accept", accept).send().await.expect("an answer");
            let content_type = answer.headers()["content-type"].to_str().expect("text").to_owned();
            let text = answer.text().await.expect("a body");
            assert_eq!(content_type, expected, "for {accept}");
            assert_eq!(text.lines().find(|line| *line == "# EOF"), end, "for {accept}: {text}");
        }
        drop(http);
        shutdown.cancel();
        served.await.expect("no panic").expect("it ends well");
    }
}
