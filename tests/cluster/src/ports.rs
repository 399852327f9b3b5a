//! Free TCP ports on loopback.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result};

/// Below the ports that Linux (32768) and macOS (49152) give to outgoing connections: none of those can take
/// the port before its owner binds it, nor while its owner is being restarted.
const RANGE: std::ops::Range<u64> = 12_000..32_000;

/// A port that nobody listens on, and that this process has not been given lately. Another process may take
/// it before it is bound, which is improbable: processes begin at different places.
pub(crate) fn free_port() -> Result<u16> {
    static NEXT: LazyLock<AtomicU64> =
        LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one("port") >> 1));
    let length = RANGE.end - RANGE.start;
    (0..length)
        .filter_map(|_| u16::try_from(RANGE.start + NEXT.fetch_add(1, Ordering::Relaxed) % length).ok())
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .context("no free TCP port on 127.0.0.1")
}
