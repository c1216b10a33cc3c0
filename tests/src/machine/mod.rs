//! A simulated machine: an sshd in namespaces of its own, behind which every program that could change the real
//! machine is ours.
//!
//! ```text
//!   host:    <run>/machines/<node>/   is the folder of the machine, read and written from both sides
//!   machine: /run/machine             packages, holds, kubelet-version, faults.json, calls.jsonl, units/
//! ```

mod boot;
mod call;
mod folder;
mod host;
mod program;
mod unit;

pub use call::{Call, Fault, Then, When};
pub use folder::Folder;
pub use host::{Machine, MachineSpec, SshKeys};
pub(crate) use host::{generate_key, machine_id};
pub use program::kubeadm::{Invocation, manifest};

use std::path::Path;
use std::process::ExitCode;

/// Every program that is ours inside a machine. The links of systemctl (reboot, halt, …) and everything that
/// could start or install something are among them, even where nothing uses them.
pub const PROGRAMS: [&str; 28] = [
    "etcdctl",
    "etcdutl",
    "kubectl",
    "apt",
    "apt-cache",
    "apt-get",
    "apt-key",
    "apt-mark",
    "aptitude",
    "crictl",
    "dpkg",
    "dpkg-deb",
    "dpkg-query",
    "halt",
    "kubeadm",
    "kubelet",
    "poweroff",
    "reboot",
    "service",
    "shutdown",
    "snap",
    "systemctl",
    "systemd-run",
    "invoke-rc.d",
    "init",
    "telinit",
    "deb-systemd-invoke",
    "containerd",
];

/// Where the machine finds its folder.
pub const INSIDE: &str = "/run/machine";

/// The program behind every name: what it is called says what it does.
#[must_use]
pub fn main() -> ExitCode {
    let argv: Vec<String> = std::env::args().collect();
    let name = argv
        .first()
        .map(Path::new)
        .and_then(Path::file_name)
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let arguments: Vec<&str> = argv.iter().skip(1).map(String::as_str).collect();
    match (name, arguments.as_slice()) {
        ("lockkeeper-machine", ["boot", folder]) => match boot::run(Path::new(folder)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("the machine cannot start: {error:#}");
                ExitCode::FAILURE
            }
        },
        ("lockkeeper-machine", ["unit", unit]) => unit::run(&Folder::new(INSIDE), unit),
        ("lockkeeper-machine", _) => {
            eprintln!("lockkeeper-machine is started by the harness only");
            ExitCode::from(3)
        }
        _ => program::run(&Folder::new(INSIDE), name, &arguments),
    }
}
