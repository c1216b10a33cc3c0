//! The part that stays on the host's side: it gives the rest a network namespace, and sees to it that the host is
//! afterwards as it was.

use std::fmt::Write;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use super::cgroup;
use crate::run_folder;

/// How long the rest may take to clean up when it is told to end.
const END: Duration = Duration::from_secs(60);
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
    let _lock = lock()?;
    cgroup::sweep();
    // A module that is loaded meanwhile brings settings of its own.
    let settings = SETTINGS.map(|it| Path::new("/proc/sys").join(it));
    let settings: Vec<PathBuf> = settings.into_iter().filter(|path| path.exists()).collect();
    let before = host(&settings)?;
    // All on this thread: the death signal of what it starts comes when the thread ends that has started it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime.block_on(run_inside())?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    if let Some(signal) = status.signal() {
        eprintln!("e2e: ended by signal {signal}");
    }
    // Where it was killed it could not clean up behind itself. Folders are free once the machines' processes are gone.
    cgroup::sweep();
    run_folder::sweep(&run_folder::root());
    let after = host(&settings)?;
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

/// Two clusters at once use up the inotify instances that the kernel gives to one user, and kube-proxy fails.
///
/// # Errors
/// Another run is going on.
fn lock() -> Result<File> {
    let root = run_folder::root();
    std::fs::create_dir_all(&root)?;
    let lock = File::create(root.join("e2e.lock"))?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive)
        .context("another `make e2e` runs on this machine: wait for its end, and start this one again")?;
    Ok(lock)
}

/// Runs the rest to its end. Told to end, it tells the rest, which must clean up.
async fn run_inside() -> Result<ExitStatus> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut child = tokio::process::Command::new("setpriv")
        // However this part dies, the rest ends with it.
        .args(["--pdeathsig", "KILL", "--", "unshare", "--net", "--"])
        .arg(std::env::current_exe()?)
        .arg("--inside")
        .args(std::env::args_os().skip(1))
        .spawn()
        .context("setpriv and unshare must be there: run `tests/setup`")?;
    tokio::select! {
        status = child.wait() => return Ok(status?),
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?)) {
        // It may have ended in between.
        let _ = kill_process(pid, Signal::TERM);
    }
    if let Ok(status) = tokio::time::timeout(END, child.wait()).await {
        return Ok(status?);
    }
    eprintln!("e2e: it has not ended within {} s and is killed", END.as_secs());
    child.kill().await?;
    Ok(child.wait().await?)
}

/// Everything of the host that machines could have touched.
///
/// # Errors
/// It cannot be told: two answers that are alike because both are missing prove nothing.
fn host(settings: &[PathBuf]) -> Result<String> {
    let mut text = String::new();
    for words in ["-brief address", "route show table all", "-6 route show table all", "netns"] {
        let output = Command::new("ip").args(words.split(' ')).output().context("ip must be there")?;
        if !output.status.success() {
            bail!("ip {words}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let _ = writeln!(text, "ip {words}:");
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let _ = writeln!(text, "{}", without_expiry(line));
        }
    }
    for setting in settings {
        let value = std::fs::read_to_string(setting).unwrap_or_default();
        let _ = writeln!(text, "{}: {}", setting.display(), value.trim());
    }
    for mount in std::fs::read_to_string("/proc/self/mounts")?.lines() {
        // People who log in and out have theirs there.
        if !mount.split(' ').nth(1).is_some_and(|at| at.starts_with("/run/user/")) {
            let _ = writeln!(text, "{mount}");
        }
    }
    let mut groups: Vec<PathBuf> = folders("/sys/fs/cgroup".into()).into_iter().flat_map(folders).collect();
    // Another run may come and go beside this one.
    groups.retain(|group| {
        let name = group.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        cgroup::has_live_owner(name) != Some(true)
    });
    groups.sort();
    for group in groups {
        let _ = writeln!(text, "{}", group.display());
    }
    Ok(text)
}

/// A route without how long it still holds.
fn without_expiry(route: &str) -> String {
    let mut words = route.split(' ');
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        if word == "expires" {
            words.next();
        } else {
            kept.push(word);
        }
    }
    kept.join(" ")
}

fn folders(path: PathBuf) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}
