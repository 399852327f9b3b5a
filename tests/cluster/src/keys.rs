//! Keys, certificates and the administrator's token of one cluster.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result};
use aws_lc_rs::rand;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};

use crate::folder::{Folder, write_private};

/// The files, in the cluster's folder.
pub(crate) const CA_CERT: &str = "ca.crt";
pub(crate) const SERVER_CERT: &str = "server.crt";
pub(crate) const SERVER_KEY: &str = "server.key";
pub(crate) const SERVICE_ACCOUNT_KEY: &str = "sa.key";
pub(crate) const SERVICE_ACCOUNT_PUBLIC_KEY: &str = "sa.pub";
pub(crate) const TOKENS: &str = "tokens.csv";

/// What clients need.
pub(crate) struct Keys {
    pub(crate) ca_pem: String,
    pub(crate) admin_token: String,
}

/// Writes all files. The serving certificate comes from here, not from kube-apiserver, so that clients can be
/// configured before that has started.
pub(crate) fn generate(folder: &Folder) -> Result<Keys> {
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "test-cluster CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;

    let names = ["127.0.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
    let server_key = KeyPair::generate()?;
    let server = CertificateParams::new(names.map(str::to_owned))?.signed_by(&server_key, &ca)?;

    let tokens_key = KeyPair::generate()?;
    let admin_token = random_token()?;

    fs::write(folder.join(CA_CERT), ca.pem())?;
    fs::write(folder.join(SERVER_CERT), server.pem())?;
    write_private(&folder.join(SERVER_KEY), server_key.serialize_pem())?;
    write_private(&folder.join(SERVICE_ACCOUNT_KEY), tokens_key.serialize_pem())?;
    fs::write(folder.join(SERVICE_ACCOUNT_PUBLIC_KEY), tokens_key.public_key_pem())?;
    write_private(&folder.join(TOKENS), format!("{admin_token},admin,admin,system:masters\n"))?;
    Ok(Keys { ca_pem: ca.pem(), admin_token })
}

fn random_token() -> Result<String> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).ok().context("no randomness for the administrator's token")?;
    Ok(bytes.iter().fold(String::new(), |mut token, byte| {
        // Writing to a String cannot fail.
        let _ = write!(token, "{byte:02x}");
        token
    }))
}
