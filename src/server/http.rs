//! The health and metrics endpoint.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use tokio::net::TcpListener;
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

pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address} (--listen)"))
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
            (StatusCode::SERVICE_UNAVAILABLE, "the ZenlayerPorts have not been listed yet")
        };
        std::future::ready(answer)
    };
    let encode = move || {
        let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        std::future::ready(([(header::CONTENT_TYPE, content_type)], metrics.encode()))
    };
    let routes = Router::new()
        .route("/livez", get(|| std::future::ready("ok")))
        .route("/readyz", get(ready))
        .route("/metrics", get(encode));
    axum::serve(listener, routes).with_graceful_shutdown(shutdown.cancelled_owned()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
