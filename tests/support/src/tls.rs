//! Zenlayer behind TLS. A test chooses the certificate: a good one, or one that the operator must refuse.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What a server shows to prove who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    Good,
    Expired,
    OfAnotherHost,
    OfAnUnknownIssuer,
}

impl Certificate {
    /// What a client says of it.
    pub fn complaint(self) -> &'static str {
        match self {
            Self::Good => "",
            Self::Expired => "certificate expired",
            Self::OfAnotherHost => "not valid for name",
            // It bears the name of the right one.
            Self::OfAnUnknownIssuer => "BadSignature",
        }
    }
}

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// Takes TLS off connections and forwards them, until it is dropped.
pub struct TlsServer {
    address: SocketAddr,
    issuer: Issuer,
    acceptor: watch::Sender<TlsAcceptor>,
    task: JoinHandle<()>,
}

impl TlsServer {
    pub async fn before(target: &str) -> Result<Self> {
        let issuer = issuer()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (acceptor, current) = watch::channel(acceptor(&issuer, Certificate::Good)?);
        let target = target.to_owned();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = current.borrow().clone();
                tokio::spawn(serve(stream, acceptor, target.clone()));
            }
        });
        Ok(Self { address, issuer, acceptor, task })
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate of who signs the good ones, as PEM.
    pub fn authority(&self) -> String {
        self.issuer.pem()
    }

    /// Shows this certificate on connections that are made from now on.
    pub fn show(&self, certificate: Certificate) -> Result<()> {
        self.acceptor.send_replace(acceptor(&self.issuer, certificate)?);
        Ok(())
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, target: String) -> io::Result<()> {
    // A client that does not believe the certificate ends the handshake.
    let mut stream = acceptor.accept(stream).await?;
    let mut other = TcpStream::connect(target).await?;
    io::copy_bidirectional(&mut stream, &mut other).await.map(drop)
}

fn issuer() -> Result<Issuer> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

fn acceptor(known: &Issuer, certificate: Certificate) -> Result<TlsAcceptor> {
    let hosts: &[&str] = if certificate == Certificate::OfAnotherHost {
        &["elsewhere.example"]
    } else {
        &["127.0.0.1", "zenlayer.example"]
    };
    let mut params = CertificateParams::new(hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>())?;
    if certificate == Certificate::Expired {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    }
    let key = KeyPair::generate()?;
    let signed = match certificate {
        Certificate::OfAnUnknownIssuer => {
            let unknown = issuer()?;
            params.signed_by(&key, &unknown)?
        }
        Certificate::Good | Certificate::Expired | Certificate::OfAnotherHost => {
            params.signed_by(&key, known)?
        }
    };
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![signed.der().clone()], key.into())?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
