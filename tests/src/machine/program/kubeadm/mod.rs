//! kubeadm, as far as an upgrade needs it. What it prints of itself was recorded (`recorded`); what it is told and what
//! it refuses is ours.

mod manifests;
mod recorded;
mod words;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use lockkeeper_rules::words::version::Version;

pub(in crate::machine) use manifests::COMPONENTS;
pub use manifests::manifest;
pub use words::Invocation;

use recorded::{Kubeadms, on_machine};

use super::{apt, fail, pace};
use crate::machine::folder::Folder;

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
    let own: Version = own.parse()?;
    let operands = match words::operands(arguments) {
        Ok(operands) => operands,
        Err(error) => return Ok(fail(1, &format!("error: {error}"))),
    };
    match operands.as_slice() {
        ["version", ..] => {
            println!("{own}");
            Ok(ExitCode::SUCCESS)
        }
        ["upgrade", _, ..] => {
            let invocation = match Invocation::read(&own, arguments) {
                Ok(invocation) => invocation,
                Err(error) => return Ok(fail(1, &format!("error: {error}"))),
            };
            note(folder, &invocation)?;
            upgrade(folder, &own, &invocation)
        }
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

/// Keeps what a call was given.
fn note(folder: &Folder, invocation: &Invocation) -> Result<()> {
    let mut all =
        folder.read("kubeadm-invocation.jsonl").map_or_else(String::new, |text| format!("{text}\n"));
    all.push_str(&serde_json::to_string(invocation)?);
    folder.write("kubeadm-invocation.jsonl", all)
}

fn upgrade(folder: &Folder, own: &Version, invocation: &Invocation) -> Result<ExitCode> {
    match invocation.command.as_str() {
        "plan" => plan(folder, own, invocation),
        "diff" => {
            print!("{}", reading("upgrade/diff"));
            let tag = invocation.version.clone().unwrap_or_else(|| own.to_string());
            print!("{}", manifests::differences(folder, own, &tag, invocation)?);
            Ok(ExitCode::SUCCESS)
        }
        "apply" => apply(folder, own, invocation),
        "node" => node(folder, own, invocation),
        other => Ok(fail(1, &format!("error: unknown command {other:?} for \"kubeadm upgrade\""))),
    }
}

fn control_plane(folder: &Folder) -> Option<String> {
    folder.read("control-plane-done")
}

fn no_client() -> ExitCode {
    fail(1, "couldn't create a Kubernetes client from file \"/etc/kubernetes/admin.conf\"")
}

/// What kubeadm says before it asks the cluster anything.
fn reading(of: &str) -> String {
    format!(
        "[{of}] Reading configuration from the \"kubeadm-config\" ConfigMap in namespace \"kube-system\"...\n[{of}] Use \
         'kubeadm init phase upload-config kubeadm --config your-config-file' to re-upload it.\n"
    )
}

fn plan(folder: &Folder, own: &Version, invocation: &Invocation) -> Result<ExitCode> {
    let Some(now) = control_plane(folder) else { return Ok(no_client()) };
    if let Some(error) = invocation.preflight_error(folder) {
        return Ok(fail(1, &error));
    }
    print!("{}", Kubeadms::below(on_machine()).text("plan", &now.parse()?, own)?);
    Ok(ExitCode::SUCCESS)
}

fn apply(folder: &Folder, own: &Version, invocation: &Invocation) -> Result<ExitCode> {
    let Some(target) = invocation.version.as_ref().and_then(|text| text.parse::<Version>().ok()) else {
        return Ok(fail(1, "missing one or more required arguments. Required arguments: [version]"));
    };
    let Some(now) = control_plane(folder) else { return Ok(no_client()) };
    if let Some(phase) = &invocation.phase {
        if phase != "control-plane" || !invocation.dry_run {
            return Ok(fail(1, "a simulated machine does not do this"));
        }
        let manifests = manifests::generate(folder, own, &target.to_string(), invocation)?;
        print!("{}", recorded::phase(&on_machine(), &target, &manifests)?);
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(error) = invocation.preflight_error(folder) {
        return Ok(fail(1, &error));
    }
    if target > *own {
        return Ok(fail(
            1,
            &format!(
                "[upgrade/version] FATAL: the --version argument is invalid due to these errors:\n\n\t- Specified \
                 version to upgrade to \"{target}\" is higher than the kubeadm version \"{own}\". Upgrade kubeadm \
                 first using the tool you used to install kubeadm"
            ),
        ));
    }
    if invocation.dry_run {
        print!("{}", Kubeadms::below(on_machine()).text("apply-dry-run", &now.parse()?, &target)?);
        return Ok(ExitCode::SUCCESS);
    }
    print!("{}", reading("upgrade"));
    println!("[upgrade/preflight] Running preflight checks\n[upgrade] Running cluster health checks");
    println!("[upgrade/preflight] You have chosen to upgrade the cluster version to \"{target}\"");
    println!("[upgrade/versions] Cluster version: {now}\n[upgrade/versions] kubeadm version: {own}");
    if let Some(code) = upgrade_control_plane(folder, own, &target.to_string(), invocation)? {
        return Ok(code);
    }
    addons(invocation);
    println!("\n[upgrade] SUCCESS! A control plane node of your cluster was upgraded to \"{target}\".");
    Ok(ExitCode::SUCCESS)
}

fn node(folder: &Folder, own: &Version, invocation: &Invocation) -> Result<ExitCode> {
    print!("{}", reading("upgrade"));
    if invocation.phase.is_some() {
        return Ok(fail(1, "a simulated machine does not do this"));
    }
    if let Some(error) = invocation.preflight_error(folder) {
        return Ok(fail(1, &error));
    }
    if !invocation.dry_run && folder.has("control-plane-done") {
        if let Some(code) = upgrade_control_plane(folder, own, &own.to_string(), invocation)? {
            return Ok(code);
        }
    } else if !invocation.dry_run {
        pace(folder, 30);
    }
    println!("[upgrade/kubelet-config] The kubelet configuration for this node was successfully upgraded!");
    addons(invocation);
    Ok(ExitCode::SUCCESS)
}

fn addons(invocation: &Invocation) {
    for (phase, addon) in [("addon/coredns", "CoreDNS"), ("addon/kube-proxy", "kube-proxy")] {
        if invocation.does(phase) {
            println!("[addons] Applied essential addon: {addon}");
        }
    }
}

/// Asks the harness for the control plane at this version, and waits for it: nothing if it came.
fn upgrade_control_plane(
    folder: &Folder,
    own: &Version,
    target: &str,
    invocation: &Invocation,
) -> Result<Option<ExitCode>> {
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
    manifests::write(&manifests::generate(folder, own, target, invocation)?)?;
    for component in ["etcd"].iter().chain(&COMPONENTS) {
        println!("[upgrade/staticpods] Component {component:?} upgraded successfully!");
    }
    Ok(None)
}
