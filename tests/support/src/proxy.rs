//! A TCP proxy that a test can break: between the operator and Zenlayer, or the API server.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use tokio::io;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// They go through.
    Open,
    /// They are accepted, and nothing ever comes.
    Silent,
    /// They are closed at once.
    Shut,
}

/// Forwards connections until it is dropped. Each change of the [`Line`] ends those that there are.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    line: watch::Sender<Line>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub async fn to(target: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (line, seen) = watch::channel(Line::Open);
        let target = target.to_owned();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, target.clone(), seen.clone()));
            }
        });
        Ok(Self { address, line, task })
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }

    /// Ends all connections there are; new ones go through.
    pub fn cut(&self) {
        self.set(Line::Open);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, target: String, mut line: watch::Receiver<Line>) {
    let now = *line.borrow_and_update();
    let forward = async {
        match now {
            Line::Open => {
                let mut other = TcpStream::connect(target).await?;
                io::copy_bidirectional(&mut stream, &mut other).await.map(drop)
            }
            Line::Silent => std::future::pending().await,
            Line::Shut => Ok(()),
        }
    };
    // However it ends, both connections are closed.
    tokio::select! {
        _ = forward => {}
        _ = line.changed() => {}
    }
}
