//! A real machine, made from namespaces: systemd, sshd, containerd, kubelet, and a disk of its own.

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::{cgroup, network};
use crate::machine::machine_id;
use crate::part::Service;
use crate::process::Program;
use crate::run_folder::{RunFolder, start_time};
use crate::wait::wait_for;

/// How long systemd may take to be up.
const BOOT_SECONDS_MAX: u64 = 60;

/// A machine.
#[derive(Debug)]
pub(super) struct Host {
    /// Its name, and its node's.
    pub(super) name: String,
    /// Its place in the network.
    pub(super) number: u8,
    /// Where it is reached.
    pub(super) address: Ipv4Addr,
    /// Its host key, as `known_hosts` has it.
    pub(super) host_key: String,
    folder: PathBuf,
    group: String,
    service: Service,
    init: Option<Init>,
}

/// The first process of a machine, seen from here.
#[derive(Debug)]
struct Init {
    pid: Pid,
    /// Pids are used again; with this one it is known.
    started: u64,
    /// What all processes of the machine share.
    namespace: PathBuf,
}

impl Init {
    /// Looks at it once, so that it is known again.
    ///
    /// # Errors
    /// It is over, or in the same namespace as we are.
    fn look(pid: Pid) -> Result<Self> {
        let raw = pid.as_raw_pid();
        let started = start_time(raw.unsigned_abs()).context("the machine's first process is over")?;
        let namespace = namespace_of(raw)?;
        ensure!(
            namespace != std::fs::read_link("/proc/self/ns/pid")?,
            "process {raw} is none of a machine: it shares our namespace"
        );
        Ok(Self { pid, started, namespace })
    }

    fn is_alive(&self) -> bool {
        start_time(self.pid.as_raw_pid().unsigned_abs()) == Some(self.started)
    }
}

fn namespace_of(pid: i32) -> std::io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/ns/pid"))
}

/// What all machines of a cluster have in common.
#[derive(Debug, Clone)]
pub(super) struct Furnishing {
    /// The lower layer of its disk.
    pub(super) root: PathBuf,
    /// The public key that is let in as root.
    pub(super) authorized_key: String,
    /// Files that lie on it, with their contents.
    pub(super) files: Vec<(String, String)>,
    /// How many machines there are: it knows the way to the pods of each.
    pub(super) machines: u8,
}

impl Host {
    /// Furnishes a machine; it does not run yet.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(super) fn new(run: &Arc<RunFolder>, name: &str, number: u8, furnishing: &Furnishing) -> Result<Self> {
        let folder = run.folder(&format!("machines/{name}"))?;
        let group = cgroup::name(name);
        std::fs::write(folder.join("cgroup"), &group)?;
        let others = (1..=furnishing.machines).filter(|other| *other != number);
        let routes: String =
            others.map(|other| format!("{} {}\n", network::pods(other), network::machine(other))).collect();
        std::fs::write(folder.join("routes"), routes)?;
        let host_key = furnish(&folder.join("upper"), name, number, furnishing)?;
        let script = |name: &str, text: &str| run.write(&format!("machines/{name}"), text);
        let boot = script("boot.sh", include_str!("boot.sh"))?;
        let init = script("init.sh", include_str!("init.sh"))?;
        let address = network::machine(number);
        let shown = |path: &Path| path.display().to_string();
        let program = Program::new(format!("machine-{name}"), "bash").args([
            shown(&boot),
            name.to_owned(),
            shown(&folder),
            shown(&furnishing.root),
            address.to_string(),
            shown(&init),
        ]);
        Ok(Self {
            name: name.to_owned(),
            number,
            address,
            host_key,
            folder,
            group,
            service: Service::new(run.clone(), program),
            init: None,
        })
    }

    /// Boots it.
    ///
    /// # Errors
    /// It does not come up; the message names its log.
    pub(super) async fn boot(&mut self) -> Result<()> {
        self.service.start()?;
        let first = self.service.process().context("the machine has ended at once")?.pid();
        let init = wait_for("the machine's first process", Duration::from_secs(10), || async move {
            let pid = first.as_raw_pid();
            let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
            let child = children.split_whitespace().find_map(|pid| pid.parse().ok().and_then(Pid::from_raw));
            // boot.sh has children too, before it becomes the parent of the machine.
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm"))?;
            child.filter(|_| name.trim() == "unshare").map(Init::look).transpose()
        })
        .await?;
        self.init = Some(init);
        let this = &*self;
        self.service
            .ready(Duration::from_secs(BOOT_SECONDS_MAX), || async move {
                let state =
                    this.try_run("systemctl is-system-running; systemctl is-active ssh containerd").await?;
                Ok((state.lines().collect::<Vec<_>>() == ["running", "active", "active"]).then_some(()))
            })
            .await
    }

    /// Runs a script of bash on it as root; the answer is what it printed.
    ///
    /// # Errors
    /// It fails, or takes longer than the deadline.
    pub(super) async fn run(&self, script: &str, deadline: Duration) -> Result<String> {
        let script = format!("set -euo pipefail\n{script}");
        let answer = tokio::time::timeout(deadline, self.enter(&script)).await;
        let output = answer.with_context(|| {
            format!("{}: no end within {} s of: {script}", self.name, deadline.as_secs())
        })??;
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        if !output.status.success() {
            bail!("{}: {}\n{stdout}\n{stderr}\nwas the answer to: {script}", self.name, output.status);
        }
        Ok(stdout)
    }

    /// The same, whatever the exit code is.
    async fn try_run(&self, script: &str) -> Result<String> {
        Ok(text(&self.enter(script).await?.stdout))
    }

    fn alive(&self) -> Option<&Init> {
        self.init.as_ref().filter(|init| init.is_alive())
    }

    async fn enter(&self, script: &str) -> Result<std::process::Output> {
        let init = self.alive().with_context(|| format!("{} does not run", self.name))?;
        let init = init.pid.as_raw_pid().to_string();
        let name = &self.name;
        // Before its first process has gone to its own root, we would be at the host's.
        let script = format!(
            "[ \"$(cat /run/machine/name 2>&1)\" = {name} ] || {{ echo 'this is not {name}' >&2; exit 65; }}\n{script}"
        );
        let output = tokio::process::Command::new("nsenter")
            .args([
                "--target", &init, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root",
                "--wd=/", "--",
            ])
            .args(["/usr/bin/env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"])
            .args(["HOME=/root", "LC_ALL=C.UTF-8", "/bin/bash", "-c", &script])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        Ok(output.await?)
    }

    /// The processes on it whose command line has these words one after another, as pids seen from here.
    #[must_use]
    pub(super) fn processes(&self, words: &str) -> Vec<Pid> {
        let Some(init) = self.alive() else { return Vec::new() };
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| namespace_of(*pid).is_ok_and(|it| it == init.namespace))
            .filter(|pid| {
                let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                text(&line).replace('\0', " ").contains(words)
            })
            .filter_map(Pid::from_raw)
            .collect()
    }

    /// Cuts every SSH connection that stands, as a fault of the network does; the answer is how many there were.
    #[must_use]
    pub(super) fn cut_connections(&self) -> usize {
        let sessions = self.processes("sshd: root@");
        sessions.iter().filter(|pid| kill_process(**pid, Signal::KILL).is_ok()).count()
    }

    /// Puts a program where it can run it without installing it; the answer is its path there.
    ///
    /// # Errors
    /// It cannot be copied.
    pub(super) fn lend(&self, program: &Path, name: &str) -> Result<String> {
        // A folder of the real disk: what lies below an overlay must not be changed while that is mounted.
        let folder = self.folder.join("data/var/log/lent");
        std::fs::create_dir_all(&folder)?;
        std::fs::copy(program, folder.join(name)).with_context(|| program.display().to_string())?;
        Ok(format!("/var/log/lent/{name}"))
    }

    /// A file on it, as it is now.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) async fn read(&self, path: &str) -> Result<String> {
        self.run(&format!("cat '{path}'"), Duration::from_secs(10)).await
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.service.kill();
        cgroup::remove_of(&self.group);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Writes what makes a machine this one; the answer is its host key.
fn furnish(upper: &Path, name: &str, number: u8, furnishing: &Furnishing) -> Result<String> {
    let write = |path: &str, text: &str| -> Result<PathBuf> {
        let path = upper.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().context("a file without a folder")?)?;
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok(path)
    };
    for (path, text) in &furnishing.files {
        write(path, text)?;
    }
    write("/etc/hostname", &format!("{name}\n"))?;
    write("/etc/machine-id", &format!("{}\n", machine_id()?))?;
    // A server on the loopback device would lead CoreDNS back to itself.
    write("/etc/resolv.conf", &format!("nameserver {}\n", network::CENTER))?;
    let network = serde_json::json!({
        "cniVersion": "1.0.0", "name": "pods", "plugins": [
            {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true, "ipam": {
                "type": "host-local", "ranges": [[{"subnet": network::pods(number)}]], "routes": [{"dst": "0.0.0.0/0"}]}},
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    });
    write("/etc/cni/net.d/10-pods.conflist", &network.to_string())?;
    let keys = write("root/.ssh/authorized_keys", &furnishing.authorized_key)?;
    std::fs::set_permissions(
        keys.parent().context("a file without a folder")?,
        PermissionsExt::from_mode(0o700),
    )?;
    let key = upper.join("etc/ssh/ssh_host_ed25519_key");
    std::fs::create_dir_all(key.parent().context("a file without a folder")?)?;
    crate::machine::generate_key(&key)?;
    Ok(std::fs::read_to_string(key.with_extension("pub"))?.trim().to_owned())
}
