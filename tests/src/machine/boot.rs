//! The first process of a machine: hides the real programs, then looks after sshd and orphans.
//!
//! It runs in mount and pid namespaces of its own: nothing that is mounted here is seen outside, and when it ends
//! the kernel ends every process of the machine.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::mount::{MountFlags, mount, mount_bind};
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, wait};

use super::folder::Folder;
use super::{INSIDE, PROGRAMS};

/// How often orders are looked for.
const POLL: Duration = Duration::from_millis(20);
/// Every folder that a shell, sshd or sudo looks for programs in, besides /usr/local.
const PROGRAM_FOLDERS: [&str; 4] = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];

pub(super) fn run(outside: &Path) -> Result<()> {
    if getpid().as_raw_pid() != 1 {
        bail!("this is no pid namespace of its own");
    }
    hide(outside)?;
    let folder = Folder::new(INSIDE);
    folder.write("ready", "")?;
    look_after(&folder)
}

/// Puts ours over theirs. Sources are opened first: a mount may hide the folder that the next source lies in.
fn hide(outside: &Path) -> Result<()> {
    let open = |path: &Path| File::open(path).with_context(|| format!("{} cannot be opened", path.display()));
    let source = |file: &File| format!("/proc/self/fd/{}", file.as_raw_fd());
    let machine = open(outside)?;
    let program = open(&std::env::current_exe()?)?;
    let etcd = open(&fs::canonicalize(outside.join("etcd-programs"))?)?;
    let kubernetes = open(&fs::canonicalize(outside.join("kubernetes-programs"))?)?;
    tmpfs("/run", "0755")?;
    fs::create_dir("/run/sshd")?;
    fs::create_dir("/run/lock")?;
    fs::create_dir(INSIDE)?;
    mount_bind(source(&machine), INSIDE).context("the machine's folder cannot be mounted")?;
    let programs = [
        (&program, "/run/machine-program"),
        (&etcd, "/run/etcd-programs"),
        (&kubernetes, "/run/kubernetes-programs"),
    ];
    for (file, at) in programs {
        File::create(at)?;
        mount_bind(source(file), at).with_context(|| format!("{at} cannot be mounted"))?;
    }
    tmpfs("/usr/local/bin", "0755")?;
    tmpfs("/usr/local/sbin", "0755")?;
    for name in PROGRAMS {
        symlink("/run/machine-program", Path::new("/usr/local/sbin").join(name))?;
        symlink("/run/machine-program", Path::new("/usr/local/bin").join(name))?;
        for folder in PROGRAM_FOLDERS {
            cover(&Path::new(folder).join(name))?;
        }
    }
    mount_bind(format!("{INSIDE}/etc"), "/etc").context("/etc cannot be mounted")?;
    mount_bind(format!("{INSIDE}/var-lib"), "/var/lib").context("/var/lib cannot be mounted")?;
    for home in ["/root", "/home"] {
        tmpfs(home, "0700")?;
    }
    tmpfs("/var/tmp", "1777")?;
    tmpfs("/tmp", "1777")
}

fn tmpfs(at: &str, mode: &str) -> Result<()> {
    let mode = std::ffi::CString::new(format!("mode={mode}"))?;
    mount("tmpfs", at, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, mode.as_c_str())
        .with_context(|| format!("{at} cannot be covered"))
}

/// Mounts our program over a real one, wherever its links lead.
fn cover(path: &Path) -> Result<()> {
    let Ok(real) = fs::canonicalize(path) else { return Ok(()) };
    if real.starts_with("/run") {
        return Ok(());
    }
    mount_bind("/run/machine-program", &real).with_context(|| format!("{} cannot be covered", real.display()))
}

/// Keeps sshd as it is ordered to be, and reaps what has lost its parent.
fn look_after(folder: &Folder) -> Result<()> {
    fs::set_permissions(folder.path("ssh/host_key"), fs::Permissions::from_mode(0o600))?;
    let mut sshd = None;
    loop {
        while let Ok(Some((pid, _))) = wait(WaitOptions::NOHANG) {
            if sshd == Some(pid) {
                sshd = None;
            }
        }
        let up = folder.read("link").as_deref() != Some("down");
        if folder.has("reboot") {
            kill_all(|_| true);
            for unit in folder.names("units") {
                folder.remove(&format!("units/{unit}"));
            }
            folder.remove("reboot");
        } else if !up {
            kill_all(is_sshd);
        } else if folder.has("cut") {
            kill_all(|pid| is_sshd(pid) && Some(pid) != sshd);
            folder.remove("cut");
        } else if sshd.is_none() {
            sshd = Some(start_sshd(folder)?);
        }
        std::thread::sleep(POLL);
    }
}

fn start_sshd(folder: &Folder) -> Result<Pid> {
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.path("sshd.log"))?;
    // sshd wants its whole path, since it starts itself again for each connection.
    let child = Command::new("/usr/sbin/sshd")
        .args(["-D", "-e", "-f", &format!("{INSIDE}/ssh/sshd_config")])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("sshd cannot be started")?;
    Ok(Pid::from_child(&child))
}

fn is_sshd(pid: Pid) -> bool {
    let name = fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_pid())).unwrap_or_default();
    name.trim_end().starts_with("sshd")
}

fn kill_all(which: impl Fn(Pid) -> bool) {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries
        .filter_map(|entry| PathBuf::from(entry.file_name()).to_str()?.parse().ok().and_then(Pid::from_raw));
    for pid in pids.filter(|pid| pid.as_raw_pid() != 1) {
        if which(pid) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}
