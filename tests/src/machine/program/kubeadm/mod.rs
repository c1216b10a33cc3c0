//! kubeadm, as far as an upgrade needs it.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use lockkeeper_rules::version::Version;

use super::{apt, fail, pace};
use crate::machine::folder::Folder;
use crate::machine::host::write_manifests;

/// How long the control plane may take to come back: kubeadm's own limit for one static pod.
const CONTROL_PLANE_SECONDS_MAX: u64 = 300;
/// How often the control plane is asked.
const POLL: Duration = Duration::from_millis(50);

pub(super) fn run(folder: &Folder, arguments: &[&str]) -> Result<ExitCode> {
    // One that was fetched but not installed says its version by the script that dpkg-deb unpacked.
    let own = std::env::var("LOCKKEEPER_PACKAGE").ok().map(|version| format!("v{version}"));
    let Some(own) = own.or_else(|| apt::installed(folder, "kubeadm")) else {
        return Ok(fail(127, "kubeadm: not found"));
    };
    let words: Vec<&str> = operands(arguments);
    match words.as_slice() {
        ["version", ..] => {
            println!("{own}");
            Ok(ExitCode::SUCCESS)
        }
        ["upgrade", "plan", ..] => Ok(plan(folder, &own)),
        ["upgrade", "diff", ..] => {
            println!("--- /etc/kubernetes/manifests/kube-apiserver.yaml\n+++ new manifest");
            println!(
                "-    image: registry.k8s.io/kube-apiserver:{}",
                control_plane(folder).unwrap_or_default()
            );
            println!("+    image: registry.k8s.io/kube-apiserver:{own}");
            if let Some(drift) = folder.read("drift") {
                println!("{drift}");
            }
            Ok(ExitCode::SUCCESS)
        }
        ["upgrade", "apply", rest @ ..] => {
            apply(folder, &own, rest.first().copied(), arguments.contains(&"--dry-run"))
        }
        ["upgrade", "node", ..] => node(folder, &own, arguments.contains(&"--dry-run")),
        ["config", "images", "pull", ..] => {
            pace(folder, 20);
            for image in ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"] {
                println!("[config/images] Pulled registry.k8s.io/{image}:{own}");
            }
            Ok(ExitCode::SUCCESS)
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn operands<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    arguments.iter().copied().filter(|argument| !argument.starts_with('-')).collect()
}

fn control_plane(folder: &Folder) -> Option<String> {
    folder.read("control-plane-done")
}

fn plan(folder: &Folder, own: &str) -> ExitCode {
    let Some(now) = control_plane(folder) else {
        return fail(1, "couldn't create a Kubernetes client from file \"/etc/kubernetes/admin.conf\"");
    };
    println!("[upgrade/versions] Cluster version: {now}\n[upgrade/versions] kubeadm version: {own}");
    println!("[upgrade/versions] Target version: {own}\n");
    println!("COMPONENT                 NODE      CURRENT    TARGET");
    for component in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
        println!("{component:<25} cp-1      {now}    {own}");
    }
    println!(
        "\nYou can now apply the upgrade by executing the following command:\n\n\tkubeadm upgrade apply {own}\n"
    );
    ExitCode::SUCCESS
}

fn apply(folder: &Folder, own: &str, target: Option<&str>, dry_run: bool) -> Result<ExitCode> {
    let number = |text: &str| text.parse::<Version>().ok();
    let Some(target) = target.filter(|target| number(target).is_some()) else {
        return Ok(fail(1, "missing one or more required arguments. Required arguments: [version]"));
    };
    if !folder.has("control-plane-done") {
        return Ok(fail(1, "couldn't create a Kubernetes client from file \"/etc/kubernetes/admin.conf\""));
    }
    let target = format!("v{}", target.trim_start_matches('v'));
    println!("[upgrade/preflight] Running pre-flight checks");
    println!("[upgrade] Running cluster health checks");
    if number(&target) > number(own) {
        return Ok(fail(
            1,
            &format!(
                "[upgrade/version] FATAL: the --version argument is invalid due to these errors:\n\n\t- Specified \
                 version to upgrade to \"{target}\" is higher than the kubeadm version \"{own}\". Upgrade kubeadm \
                 first using the tool you used to install kubeadm"
            ),
        ));
    }
    println!("[upgrade/version] You have chosen to upgrade the cluster version to {target:?}");
    if dry_run {
        println!("[upgrade/successful] Finished dryrunning successfully!");
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(code) = upgrade_control_plane(folder, &target)? {
        return Ok(code);
    }
    println!("\n[upgrade] SUCCESS! A control plane node of your cluster was upgraded to {target:?}.");
    Ok(ExitCode::SUCCESS)
}

fn node(folder: &Folder, own: &str, dry_run: bool) -> Result<ExitCode> {
    println!(
        "[upgrade] Reading configuration from the \"kubeadm-config\" ConfigMap in namespace \"kube-system\"..."
    );
    if !dry_run && folder.has("control-plane-done") {
        if let Some(code) = upgrade_control_plane(folder, own)? {
            return Ok(code);
        }
    } else if !dry_run {
        pace(folder, 30);
    }
    println!("[upgrade/kubelet-config] The kubelet configuration for this node was successfully upgraded!");
    Ok(ExitCode::SUCCESS)
}

/// Asks the harness for the control plane at this version, and waits for it: nothing if it came.
fn upgrade_control_plane(folder: &Folder, target: &str) -> Result<Option<ExitCode>> {
    println!(
        "[upgrade/control-plane] Upgrading your static Pod-hosted control plane to version {target:?}..."
    );
    pace(folder, 60);
    if control_plane(folder).as_deref() != Some(target) {
        folder.write("control-plane-wanted", target)?;
    }
    let deadline = Instant::now() + Duration::from_secs(CONTROL_PLANE_SECONDS_MAX);
    while control_plane(folder).as_deref() != Some(target) {
        if Instant::now() > deadline {
            return Ok(Some(fail(1, "[upgrade/apply] FATAL: timed out waiting for the static pods")));
        }
        std::thread::sleep(POLL);
    }
    write_manifests(Path::new("/etc"), target)?;
    for component in ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
        println!("[upgrade/staticpods] Component {component:?} upgraded successfully!");
    }
    Ok(None)
}
