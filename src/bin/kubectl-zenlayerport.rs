use std::process::ExitCode;

/// `kubectl zenlayerport`.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Before anything makes a TLS connection.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    zenlayer_port_operator::plugin::main().await
}
