//! A machine, seen from the harness.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use lockkeeper_rules::cluster::snapshot::Role;
use lockkeeper_rules::words::version::Version;
use tokio::io::AsyncWriteExt;

use super::call::{Call, Fault};
use super::folder::Folder;
use super::program::kubeadm::{COMPONENTS, Invocation, manifest};
use crate::part::Service;
use crate::parts;
use crate::process::Program;
use crate::recorded::{Recorded, root};
use crate::run_folder::RunFolder;
use crate::wait::wait_for;

/// How long a machine may take to boot or to follow an order.
const ORDER_SECONDS_MAX: u64 = 30;

/// The keys of all machines of a World.
#[derive(Debug, Clone)]
pub struct SshKeys {
    /// The private key that is let in as root.
    pub identity: PathBuf,
    /// The machines' host keys.
    pub known_hosts: PathBuf,
    public: String,
}

impl SshKeys {
    /// Makes the key that is let in, and an empty list of host keys.
    ///
    /// # Errors
    /// ssh-keygen fails.
    pub fn make(folder: &RunFolder) -> Result<Self> {
        let identity = folder.folder("ssh")?.join("identity");
        generate_key(&identity)?;
        let public = std::fs::read_to_string(identity.with_extension("pub"))?;
        Ok(Self { identity, known_hosts: folder.write("ssh/known_hosts", "")?, public })
    }

    fn know(&self, address: Ipv4Addr, port: u16, public: &str) -> Result<()> {
        let mut text = std::fs::read_to_string(&self.known_hosts)?;
        text.push_str(&format!("[{address}]:{port} {public}\n"));
        Ok(std::fs::write(&self.known_hosts, text)?)
    }
}

/// Makes a pair of keys.
///
/// # Errors
/// ssh-keygen fails.
pub(crate) fn generate_key(path: &Path) -> Result<()> {
    let output = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(path)
        .output()?;
    if !output.status.success() {
        bail!("ssh-keygen: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// What a machine shall be.
#[derive(Debug, Clone)]
pub struct MachineSpec {
    /// Its node's name.
    pub name: String,
    /// Control plane or worker.
    pub role: Role,
    /// Where its sshd listens.
    pub address: Ipv4Addr,
    /// The port of its sshd.
    pub port: u16,
    /// `/etc/machine-id`.
    pub machine_id: String,
    /// What is installed and runs.
    pub version: Version,
    /// What its package repository has.
    pub repository: Vec<Version>,
    /// How long its part of an upgrade takes, roughly.
    pub pace: Duration,
    /// Where etcd really listens.
    pub etcd_endpoint: String,
    /// Files below `/etc/kubernetes`.
    pub kubernetes: Vec<(String, Vec<u8>)>,
}

/// A machine.
#[derive(Debug)]
pub struct Machine {
    /// What it is.
    pub spec: MachineSpec,
    /// Its memory.
    pub folder: Folder,
    service: Service,
}

impl Machine {
    /// Builds a machine and boots it.
    ///
    /// # Errors
    /// A file cannot be written, or it does not boot.
    pub async fn start(run: &Arc<RunFolder>, keys: &SshKeys, spec: MachineSpec) -> Result<Self> {
        let path = run.folder(&format!("machines/{}", spec.name))?;
        let folder = Folder::new(&path);
        furnish(&folder, keys, &spec)?;
        let program = Program::new(format!("machine-{}", spec.name), "unshare")
            // Its own pid namespace: whatever runs in it, detached units too, ends with its first process.
            .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
            .arg(parts::own("lockkeeper-machine")?.display().to_string())
            .arg("boot")
            .arg(path.display().to_string());
        let mut machine = Self { spec, folder, service: Service::new(run.clone(), program) };
        machine.boot().await?;
        Ok(machine)
    }

    /// Boots it, if it was killed.
    ///
    /// # Errors
    /// It does not boot.
    pub async fn boot(&mut self) -> Result<()> {
        self.folder.remove("ready");
        let _ = std::fs::remove_dir_all(self.folder.path("units"));
        self.folder.write("boot-id", random_hex(32)?)?;
        self.service.start()?;
        let at = (self.spec.address, self.spec.port);
        let deadline = Duration::from_secs(ORDER_SECONDS_MAX);
        self.service
            .ready(deadline, || async move { Ok(tokio::net::TcpStream::connect(at).await.ok().map(|_| ())) })
            .await
    }

    /// Kills it and everything on it at once, as a power cut does. What was written stays.
    pub fn kill(&mut self) {
        self.service.kill();
    }

    /// Ends every process on it and gives it a new boot id.
    ///
    /// # Errors
    /// It does not follow.
    pub async fn reboot(&self) -> Result<()> {
        self.folder.write("boot-id", random_hex(32)?)?;
        self.order("reboot").await
    }

    /// Cuts every SSH connection; new ones are let in.
    ///
    /// # Errors
    /// It does not follow.
    pub async fn cut_connections(&self) -> Result<()> {
        self.order("cut").await
    }

    /// Takes it off the network: connections are cut, new ones are refused. Units go on.
    ///
    /// # Errors
    /// It does not follow.
    pub async fn unplug(&self) -> Result<()> {
        self.folder.write("link", "down")?;
        self.wait_for_link(false).await
    }

    /// Puts it back on the network.
    ///
    /// # Errors
    /// It does not follow.
    pub async fn plug(&self) -> Result<()> {
        self.folder.write("link", "up")?;
        self.wait_for_link(true).await
    }

    async fn wait_for_link(&self, up: bool) -> Result<()> {
        let at = (self.spec.address, self.spec.port);
        wait_for("the machine's link", Duration::from_secs(ORDER_SECONDS_MAX), || async move {
            Ok((tokio::net::TcpStream::connect(at).await.is_ok() == up).then_some(()))
        })
        .await
    }

    async fn order(&self, name: &str) -> Result<()> {
        self.folder.write(name, "")?;
        wait_for(
            &format!("{} to {name}", self.spec.name),
            Duration::from_secs(ORDER_SECONDS_MAX),
            || async move { Ok((!self.folder.has(name)).then_some(())) },
        )
        .await
    }

    /// Every call of a program of ours, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        Folder::lines(&self.folder.path("calls.jsonl"))
    }

    /// The calls of a program with these arguments.
    #[must_use]
    pub fn calls_of(&self, program: &str, args: &[&str]) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.is(program, args)).collect()
    }

    /// What every call of `kubeadm upgrade` was given, oldest first.
    #[must_use]
    pub fn kubeadm_invocations(&self) -> Vec<Invocation> {
        Folder::lines(&self.folder.path("kubeadm-invocation.jsonl"))
    }

    /// Orders these faults instead of what was ordered before.
    ///
    /// # Errors
    /// They cannot be written down.
    pub fn set_faults(&self, faults: &[Fault]) -> Result<()> {
        self.folder.write_json("faults.json", &faults)
    }

    /// The version of the kubelet that runs.
    #[must_use]
    pub fn kubelet_version(&self) -> Option<Version> {
        self.folder.read("kubelet-version")?.parse().ok()
    }

    /// The packages that are held.
    #[must_use]
    pub fn held(&self) -> Vec<String> {
        self.folder.names("holds")
    }

    /// A file of the machine below `/var/lib`.
    #[must_use]
    pub fn var_lib(&self, path: &str) -> PathBuf {
        self.folder.path("var-lib").join(path)
    }

    /// Runs a command on it over SSH, as an operator would.
    ///
    /// # Errors
    /// ssh cannot be started; a command that fails is no error here.
    pub async fn ssh(&self, keys: &SshKeys, command: &str) -> Result<std::process::Output> {
        self.ssh_with_input(keys, command, "").await
    }

    /// The same, with this text as its input.
    ///
    /// # Errors
    /// ssh cannot be started; a command that fails is no error here.
    pub async fn ssh_with_input(
        &self,
        keys: &SshKeys,
        command: &str,
        input: &str,
    ) -> Result<std::process::Output> {
        let mut ssh = ssh_command(keys, &self.spec).arg(command).kill_on_drop(true).spawn().context("ssh")?;
        let mut stdin = ssh.stdin.take().context("ssh has no input")?;
        // A command that reads nothing may be gone before it is told anything.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let end = tokio::time::timeout(Duration::from_secs(SSH_SECONDS_MAX), ssh.wait_with_output());
        end.await.context("ssh does not end")?.context("ssh")
    }
}

/// How long one command over SSH may take.
const SSH_SECONDS_MAX: u64 = 120;

/// ssh to a machine with nothing of this account's own configuration.
fn ssh_command(keys: &SshKeys, spec: &MachineSpec) -> tokio::process::Command {
    let mut command = tokio::process::Command::new("ssh");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
        .args(["-F", "/dev/null", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"])
        .args(["-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR"])
        .args(["-o", &format!("UserKnownHostsFile={}", keys.known_hosts.display())])
        .arg("-i")
        .arg(&keys.identity)
        .args(["-p", &spec.port.to_string(), &format!("root@{}", spec.address)]);
    command
}

fn furnish(folder: &Folder, keys: &SshKeys, spec: &MachineSpec) -> Result<()> {
    // A copy, so that what is written below /etc stays in the machine.
    let copy = Command::new("cp").args(["-a", "/etc"]).arg(folder.path("etc")).output()?;
    if !copy.status.success() {
        bail!("/etc cannot be copied: {}", String::from_utf8_lossy(&copy.stderr));
    }
    std::fs::create_dir_all(folder.path("var-lib"))?;
    folder.write("etc/machine-id", format!("{}\n", spec.machine_id))?;
    folder.write("etc/hostname", format!("{}\n", spec.name))?;
    for (path, content) in &spec.kubernetes {
        folder.write(&format!("etc/kubernetes/{path}"), content)?;
    }
    std::fs::create_dir_all(folder.path("etc/kubernetes/tmp"))?;
    for package in ["kubeadm", "kubelet", "kubectl"] {
        folder.write(&format!("packages/{package}"), format!("{}-1.1", spec.version.bare()))?;
        folder.write(&format!("holds/{package}"), "")?;
    }
    folder.write("kubelet-version", spec.version.to_string())?;
    if spec.role == Role::ControlPlane {
        folder.write("control-plane-done", spec.version.to_string())?;
        write_manifests(folder, &spec.version)?;
        copy_recordings(folder)?;
    }
    let source = format!("deb https://pkgs.k8s.io/core:/stable:/v{}/deb/ /\n", spec.version.minor());
    folder.write("etc/apt/sources.list.d/kubernetes.list", source)?;
    let repository: Vec<String> =
        spec.repository.iter().map(|version| format!("{}-1.1", version.bare())).collect();
    folder.write("repository", repository.join("\n"))?;
    folder.write("pace-millis", spec.pace.as_millis().to_string())?;
    let etcd = parts::etcd("etcd")?.canonicalize()?;
    std::os::unix::fs::symlink(etcd, folder.path("etcd-programs"))?;
    let kubernetes = parts::kubernetes(&spec.version, "kubectl")?.canonicalize()?;
    std::os::unix::fs::symlink(kubernetes, folder.path("kubernetes-programs"))?;
    folder.write("etcd-endpoint", &spec.etcd_endpoint)?;
    furnish_ssh(folder, keys, spec)
}

/// The manifests of the static pods, as the kubeadm of this version wrote them.
fn write_manifests(folder: &Folder, version: &Version) -> Result<()> {
    for component in COMPONENTS {
        let text = manifest(component, &version.to_string(), false, &[]);
        folder.write(&format!("etc/kubernetes/manifests/{component}.yaml"), text)?;
    }
    Ok(())
}

/// What real kubeadms were recorded to print, where the simulated one finds it.
fn copy_recordings(folder: &Folder) -> Result<()> {
    for recorded in Recorded::all(&root()) {
        for (name, text) in recorded.texts()? {
            folder.write(&format!("recorded/v{}/{name}", recorded.minor), text)?;
        }
    }
    Ok(())
}

fn furnish_ssh(folder: &Folder, keys: &SshKeys, spec: &MachineSpec) -> Result<()> {
    folder.write("ssh/authorized_keys", &keys.public)?;
    generate_key(&folder.path("ssh/host_key"))?;
    let public = folder.read("ssh/host_key.pub").context("ssh-keygen wrote no public key")?;
    keys.know(spec.address, spec.port, &public)?;
    let inside = super::INSIDE;
    let config = format!(
        "ListenAddress {}\nPort {}\nHostKey {inside}/ssh/host_key\nAuthorizedKeysFile {inside}/ssh/authorized_keys\n\
         PermitRootLogin prohibit-password\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n\
         StrictModes no\nPidFile none\nPrintMotd no\nMaxStartups 100\nMaxSessions 50\n",
        spec.address, spec.port
    );
    folder.write("ssh/sshd_config", config)
}

fn random_hex(digits: usize) -> Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    Ok(text.trim().replace('-', "").chars().take(digits).collect())
}

/// A machine id that no other machine has.
///
/// # Errors
/// The kernel gives no random number.
pub(crate) fn machine_id() -> Result<String> {
    random_hex(32)
}
