//! What our programs do under their borrowed names.

mod apt;
pub(super) mod kubeadm;
mod systemd;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::Result;

use super::call::{When, record};
use super::folder::Folder;

/// Runs the program of this name. Its call is written down first, whatever becomes of it.
pub(super) fn run(folder: &Folder, name: &str, arguments: &[&str]) -> ExitCode {
    let fault = match record(folder, name, arguments) {
        Ok(fault) => fault,
        Err(error) => return fail(255, &format!("{name}: the machine's log cannot be written: {error:#}")),
    };
    if let Some(fault) = &fault {
        std::thread::sleep(Duration::from_millis(fault.take_millis));
        if fault.when == When::Before
            && let Some(code) = fault.strike()
        {
            return code;
        }
    }
    let code = work(folder, name, arguments)
        .unwrap_or_else(|error| fail(255, &format!("{name}: the simulated machine is broken: {error:#}")));
    match &fault {
        Some(fault) if fault.when == When::After => fault.strike().unwrap_or(code),
        Some(_) | None => code,
    }
}

fn work(folder: &Folder, name: &str, arguments: &[&str]) -> Result<ExitCode> {
    match name {
        "apt-get" => apt::get(folder, arguments),
        "apt-mark" => apt::mark(folder, arguments),
        "apt-cache" => Ok(apt::cache(folder, arguments)),
        "dpkg-query" => Ok(apt::dpkg_query(folder, arguments)),
        "dpkg" => Ok(apt::dpkg(folder, arguments)),
        "dpkg-deb" => apt::dpkg_deb(arguments),
        "kubeadm" => kubeadm::run(folder, arguments),
        "kubelet" => {
            println!("Kubernetes {}", apt::installed(folder, "kubelet").unwrap_or_default());
            Ok(ExitCode::SUCCESS)
        }
        "crictl" => Ok(crictl(folder, arguments)),
        "etcdctl" | "etcdutl" => Ok(real(folder, "/run/etcd-programs", name, arguments)),
        "kubectl" => Ok(real(folder, "/run/kubernetes-programs", name, arguments)),
        "systemctl" => systemd::systemctl(folder, arguments),
        "systemd-run" => systemd::systemd_run(folder, arguments),
        _ => Ok(fail(1, &format!("{name}: a simulated machine does not do this"))),
    }
}

fn crictl(folder: &Folder, arguments: &[&str]) -> ExitCode {
    if arguments.contains(&"pull") {
        pace(folder, 10);
        println!("Image is up to date for {}", arguments.last().unwrap_or(&""));
    }
    ExitCode::SUCCESS
}

/// Becomes the real program of this name. The machines of a World share one network, so etcd is not where a node
/// looks for it: its address is put in.
fn real(folder: &Folder, path: &str, name: &str, arguments: &[&str]) -> ExitCode {
    let endpoint = folder.read("etcd-endpoint").unwrap_or_default();
    let arguments = arguments.iter().map(|argument| argument.replace("https://127.0.0.1:2379", &endpoint));
    let error = Command::new(path).arg0(name).args(arguments).exec();
    fail(126, &format!("{name}: {error}"))
}

/// Says why on stderr and ends with this code.
fn fail(code: u8, text: &str) -> ExitCode {
    eprintln!("{text}");
    ExitCode::from(code)
}

/// Takes this share, in percent, of the time that the machine takes for an upgrade.
fn pace(folder: &Folder, percent: u64) {
    let millis: u64 = folder.read("pace-millis").and_then(|text| text.parse().ok()).unwrap_or(0);
    std::thread::sleep(Duration::from_millis(millis * percent / 100));
}
