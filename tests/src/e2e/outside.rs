//! The part that stays on the host's side: it gives the rest a network namespace, and sees to it that the host is
//! afterwards as it was.

use std::fmt::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::cgroup;

/// Settings of the whole kernel that a kubelet, kube-proxy or systemd would change.
const SETTINGS: [&str; 10] = [
    "net/ipv4/ip_forward",
    "net/bridge/bridge-nf-call-iptables",
    "net/netfilter/nf_conntrack_max",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/hostname",
    "fs/inotify/max_user_instances",
    "kernel/core_pattern",
];

/// Runs this program again in a network namespace of its own; the answer is its exit code, or 1 if the host has changed.
///
/// # Errors
/// It cannot be started.
pub(super) fn watch_over_the_host() -> Result<u8> {
    cgroup::sweep();
    let before = host();
    let status = Command::new("setpriv")
        // However this part dies, the rest ends with it.
        .args(["--pdeathsig", "KILL", "--", "unshare", "--net", "--"])
        .arg(std::env::current_exe()?)
        .arg("--inside")
        .args(std::env::args_os().skip(1))
        .status()
        .context("setpriv and unshare must be there: run `tests/setup`")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    if let Some(signal) = status.signal() {
        eprintln!("e2e: ended by signal {signal}");
    }
    let after = host();
    if before != after {
        eprintln!("e2e: the host is not as it was; what was there only before (-) or after (+):");
        let only = |sign: &str, all: &str, other: &str| {
            all.lines()
                .filter(|line| !other.lines().any(|it| it == *line))
                .for_each(|line| eprintln!("{sign} {line}"));
        };
        only("-", &before, &after);
        only("+", &after, &before);
        return Ok(1);
    }
    println!("the host's addresses, routes, mounts, cgroups and settings are as they were");
    Ok(code.unwrap_or(1))
}

/// Everything of the host that machines could have touched.
fn host() -> String {
    let mut text = String::new();
    for words in ["-brief address", "route show table all", "-6 route show table all", "netns"] {
        let output = Command::new("ip").args(words.split(' ')).output();
        let output = output.map(|it| String::from_utf8_lossy(&it.stdout).into_owned());
        let _ = writeln!(text, "ip {words}:\n{}", output.unwrap_or_else(|error| error.to_string()));
    }
    for setting in SETTINGS {
        let value = std::fs::read_to_string(format!("/proc/sys/{setting}")).unwrap_or_default();
        let _ = writeln!(text, "{setting}: {}", value.trim());
    }
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let _ = writeln!(text, "{mounts}");
    let mut groups = Vec::new();
    for hierarchy in folders("/sys/fs/cgroup".into()) {
        groups.extend(folders(hierarchy));
    }
    groups.sort();
    for group in groups {
        let _ = writeln!(text, "{}", group.display());
    }
    text
}

fn folders(path: PathBuf) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}
