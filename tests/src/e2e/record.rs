//! What real parts answer, as files below `tests/recorded`: the simulated machines answer by them, and each run of
//! `make e2e` holds them against what real machines answer that day.
//!
//! ```text
//!   tests/recorded/v1.36/   configz.json  metrics.txt  node.json  static-pods.json  kubeadm-upgrade-diff.txt
//!   tests/recorded/v1.35/   the same, and of the target's kubeadm:
//!                           to-v1.36-kubeadm-upgrade-plan.txt  …-diff.txt  …-apply-dry-run.txt
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use lockkeeper_rules::version::Version;

use super::cluster::Cluster;
use super::report::Report;
use crate::parts;
use crate::recorded::{pretty, root};
use crate::shape::{shape_of_json, shape_of_text};

/// How long one question to kubeadm may take.
const KUBEADM: Duration = Duration::from_secs(120);
/// Of a kubelet's metrics, those that somebody reads.
const METRICS: [&str; 3] = ["kubelet_cgroup_version", "kubelet_cri_losing_support", "kubernetes_build_info"];

/// What real machines show at one time and not at another: how often a container has been started and how it ended before;
/// and a kubelet knows of a container's mounts only if it had asked the runtime what it can do before that was started.
const VARIES: [&str; 3] = [
    ".items[].status.containerStatuses[].lastState",
    ".items[].status.containerStatuses[].state",
    ".items[].status.containerStatuses[].volumeMounts",
];

/// Files by name, as real parts answered.
pub(super) type Recording = BTreeMap<String, String>;

/// Asks the first control-plane machine and what runs on it; the target's kubeadm too, where there is one to come.
///
/// # Errors
/// Something does not answer.
pub(super) async fn ask(cluster: &Cluster, runs: &Version, target: Option<&Version>) -> Result<Recording> {
    let host = &cluster.hosts[0];
    let folder = format!("v{}", runs.minor());
    let mut files = Recording::new();
    let mut keep = |name: &str, text: String| drop(files.insert(format!("{folder}/{name}"), text));
    let node = format!("/api/v1/nodes/{}", host.name);
    let raw = |path: String| async move { cluster.kubectl(&["get", "--raw", &path], "").await };
    keep("configz.json", pretty(&raw(format!("{node}/proxy/configz")).await?)?);
    let metrics = raw(format!("{node}/proxy/metrics")).await?;
    let metrics = metrics.lines().filter(|line| METRICS.iter().any(|name| line.contains(name)));
    keep("metrics.txt", metrics.map(|line| format!("{line}\n")).collect());
    keep("node.json", pretty(&raw(node).await?)?);
    let pods = "/api/v1/namespaces/kube-system/pods?labelSelector=tier%3Dcontrol-plane&fieldSelector=spec.nodeName%3D";
    keep("static-pods.json", pretty(&raw(format!("{pods}{}", host.name)).await?)?);
    keep("kubeadm-upgrade-diff.txt", host.run(&format!("kubeadm upgrade diff {runs}"), KUBEADM).await?);
    if let Some(target) = target.filter(|target| target.minor() != runs.minor()) {
        let kubeadm = host.lend(&parts::kubernetes(target, "kubeadm")?, "kubeadm")?;
        let ignore = "--ignore-preflight-errors=SystemVerification";
        for (name, words) in [
            ("plan", format!("plan {target}")),
            ("diff", format!("diff {target}")),
            ("apply-dry-run", format!("apply --dry-run -y {ignore} {target}")),
        ] {
            let text = host.run(&format!("{kubeadm} upgrade {words}"), KUBEADM).await?;
            keep(&format!("to-v{}-kubeadm-upgrade-{name}.txt", target.minor()), text);
        }
    }
    Ok(files)
}

/// Writes a recording into the repository.
///
/// # Errors
/// A file cannot be written.
pub(super) fn write(recording: &Recording) -> Result<()> {
    for (name, text) in recording {
        let path = root().join(name);
        std::fs::create_dir_all(path.parent().context("a file without a folder")?)?;
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Holds what the repository has against what real parts have just answered.
pub(super) fn compare(recording: &Recording, report: &mut Report) {
    for (name, text) in recording {
        let recorded = std::fs::read_to_string(root().join(name)).unwrap_or_default();
        let shape = if name.ends_with(".json") { shape_of_json } else { shape_of_text };
        let (ours, theirs) = (shape(&recorded), shape(text));
        let differ: Vec<String> = ours
            .symmetric_difference(&theirs)
            .filter(|path| !VARIES.iter().any(|varies| path.starts_with(varies)))
            .map(|path| format!("{}{path}", if ours.contains(path) { "-" } else { "+" }))
            .collect();
        report.claim(
            differ.is_empty(),
            format!("tests/recorded/{name} has the shape of what real machines answer"),
            differ.into_iter().take(10).collect::<Vec<_>>().join(" "),
        );
    }
}
