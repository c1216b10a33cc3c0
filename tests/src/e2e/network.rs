//! The network of the machines: a bridge in the namespace that the harness itself runs in, so that nothing of it is
//! seen on the host, and the kernel takes it away with the last process.

use std::net::Ipv4Addr;
use std::os::unix::process::parent_id;

use anyhow::{Context, Result, bail};

/// The bridge's own address: the registry, the packages and the observers are there.
pub(super) const CENTER: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 1);
/// Where the balancer of a cluster with several control planes listens.
pub(super) const BALANCER: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 2);

/// The address of a machine by its number.
#[must_use]
pub(super) fn machine(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(172, 30, 0, 10 + number)
}

/// The network of the pods on a machine.
#[must_use]
pub(super) fn pods(number: u8) -> String {
    format!("10.244.{number}.0/24")
}

/// Lays the bridge.
///
/// # Errors
/// This is not a network namespace of our own, or the kernel has no bridges.
pub(super) async fn lay() -> Result<()> {
    // Our parent is the part that stays on the host's side. Devices tell nothing: some kernels put a few into every
    // namespace.
    let namespace =
        |of: &str| std::fs::read_link(format!("/proc/{of}/ns/net")).context("a network namespace");
    if namespace("self")? == namespace(&parent_id().to_string())? {
        bail!("this is no network namespace of its own");
    }
    ip("link set lo up").await?;
    ip("link add machines type bridge").await?;
    for address in [CENTER, BALANCER] {
        ip(&format!("address add {address}/24 dev machines")).await?;
    }
    ip("link set machines up").await
}

async fn ip(words: &str) -> Result<()> {
    let output = tokio::process::Command::new("ip").args(words.split(' ')).output().await?;
    if !output.status.success() {
        bail!("ip {words}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
