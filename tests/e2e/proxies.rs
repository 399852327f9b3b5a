//! The way to Zenlayer through a proxy, and the way to the API server without one.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use test_support::tls::TlsServer;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{given, recycled, run};

/// A name that no resolver knows: only the proxy can reach it.
const HOST: &str = "zenlayer.example";

/// An HTTP proxy that makes tunnels to `HOST`, refuses all others, and keeps what it is asked.
struct ConnectProxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ConnectProxy {
    async fn before(zenlayer: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(tunnel(client, zenlayer, Arc::clone(&log)));
            }
        });
        Ok(Self { address, asked })
    }

    /// The requests, each with its headers.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn tunnel(client: TcpStream, zenlayer: SocketAddr, log: Arc<Mutex<Vec<String>>>) -> Result<()> {
    let mut client = BufStream::new(client);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        let read = (&mut client).take(8 * 1024).read_line(&mut request).await?;
        anyhow::ensure!(read > 0, "the client has gone");
    }
    let is_ours = request.starts_with(&format!("CONNECT {HOST}:443 "));
    log.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    if !is_ours {
        client.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await?;
        return Ok(client.flush().await?);
    }
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    client.flush().await?;
    copy_bidirectional(&mut client, &mut TcpStream::connect(zenlayer).await?).await?;
    Ok(())
}

#[test]
fn zenlayer_is_reached_through_the_proxy_and_the_api_server_directly() {
    run(async {
        let world = given([recycled("port-1")])
            .value(format!("zenlayer.endpoint=https://{HOST}"))
            // The factor of the other tests is for loopback.
            .value("extraArgs=null")
            .start()
            .await?;
        world.operator().terminate(crate::world::PATIENCE).await?;

        let simulator = world.simulator.url();
        let simulator = simulator.strip_prefix("http://").context("the simulator speaks plain HTTP")?;
        let tls = TlsServer::before(simulator).await?;
        let believed = tempfile::NamedTempFile::new()?;
        std::fs::write(&believed, tls.authority())?;
        let proxy = ConnectProxy::before(tls.address()).await?;
        let url = format!("http://me:hunter2@{}", proxy.address);
        let env = [("HTTPS_PROXY", url), ("SSL_CERT_FILE", believed.path().display().to_string())];
        let operator = world.start_replica(&env).await?;

        world.own("edge", "port-1", "Destroy").await?;
        world.until_alive("edge", "PortRecycled").await.with_context(|| operator.logs())?;
        let asked = proxy.asked();
        assert!(!asked.is_empty(), "{}", operator.logs());
        for request in &asked {
            assert!(request.starts_with(&format!("CONNECT {HOST}:443 ")), "the proxy was asked: {request}");
            // me:hunter2
            assert!(request.contains("Basic bWU6aHVudGVyMg=="), "{request}");
        }
        assert!(operator.logs().contains(&format!("http://{}", proxy.address)), "{}", operator.logs());
        assert!(!operator.logs().contains("hunter2"), "{}", operator.logs());
        Ok(())
    });
}
