//! What real parts answer, as files below `tests/recorded`: the simulated machines answer by them, and each run of
//! `make e2e` holds them against what real machines answer that day.
//!
//! ```text
//!   tests/recorded/v1.36/   configz.json  metrics.txt  node.json  static-pods.json  kubeadm-upgrade-diff.txt
//!                           kubeadm-upgrade-apply-phase-control-plane.txt
//!   tests/recorded/v1.35/   the same, and of the target's kubeadm:
//!                           to-v1.36-kubeadm-upgrade-plan.txt  …-diff.txt  …-apply-dry-run.txt
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use lockkeeper_rules::words::version::Version;

use super::cluster::{Cluster, PATCHES};
use super::results::Results;
use crate::parts;
use crate::recorded::{Recorded, pretty, root};
use crate::shape::{shape_of_json, shape_of_text};

/// How long one question to kubeadm may take.
const KUBEADM: Duration = Duration::from_secs(120);
/// Of a kubelet's metrics, those that somebody reads.
const METRICS: [&str; 3] = ["kubelet_cgroup_version", "kubelet_cri_losing_support", "kubernetes_build_info"];

/// What real machines show at one time and not at another: how the name of the answer ends, and where.
///
/// How often a container has been started and how it ended before; a kubelet knows of a container's mounts only if it
/// had asked the runtime what it can do before that was started;
/// and of its images a node tells some, under some of their names.
const VARIES: [(&str, &str); 5] = [
    ("/static-pods.json", ".items[].status.containerStatuses[].lastState"),
    ("/static-pods.json", ".items[].status.containerStatuses[].state"),
    ("/static-pods.json", ".items[].status.containerStatuses[].volumeMounts"),
    ("-apply-dry-run.txt", "recursiveReadOnly: Disabled"),
    ("-apply-dry-run.txt", "- lab.local"),
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
    // What the actuator asks where a site has patches.
    let phase = format!("kubeadm upgrade apply phase control-plane --dry-run --patches {PATCHES} {runs}");
    let phase = host.run(&phase, KUBEADM).await?;
    keep("kubeadm-upgrade-apply-phase-control-plane.txt", without_statuses(&phase));
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

/// What a dry run prints, without the node and the pods that it has read: they are recorded by themselves, and how often a
/// container was started before differs from one upgrade to the next.
fn without_statuses(text: &str) -> String {
    let mut of_status = false;
    let mut kept = String::new();
    for line in text.split_inclusive('\n') {
        let is_of_object = ["[dryrun] Resource name", "[dryrun] Attached object"];
        if line.starts_with('[') && !is_of_object.iter().any(|head| line.starts_with(head)) {
            of_status = ["resource \"nodes\"", "resource \"pods\""].iter().any(|what| line.contains(what));
        }
        if line.starts_with('[') || !of_status {
            kept.push_str(line);
        }
    }
    kept
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

/// What the repository has.
///
/// # Errors
/// A file cannot be read.
pub(super) fn read() -> Result<Recording> {
    let mut files = Recording::new();
    for recorded in Recorded::all(&root()) {
        for (name, text) in recorded.texts()? {
            files.insert(format!("v{}/{name}", recorded.minor), text);
        }
    }
    Ok(files)
}

/// Holds what the repository had against what real parts have just answered.
pub(super) fn compare(recorded: &Recording, answered: &Recording, results: &mut Results) {
    for (name, answer) in answered {
        let shape = if name.ends_with(".json") { shape_of_json } else { shape_of_text };
        let (ours, theirs) = (recorded.get(name).map(|text| shape(text)).unwrap_or_default(), shape(answer));
        let differ: Vec<String> = ours
            .symmetric_difference(&theirs)
            .filter(|path| !varies(name, path))
            .map(|path| format!("{}{path}", if ours.contains(path) { "-" } else { "+" }))
            .collect();
        // Two empty answers are alike and prove nothing.
        results.claim(
            differ.is_empty() && !ours.is_empty() && !theirs.is_empty(),
            format!("tests/recorded/{name} has the shape of what real machines answer"),
            differ.into_iter().take(10).collect::<Vec<_>>().join(" "),
        );
    }
}

/// Whether this may be there or not.
fn varies(name: &str, path: &str) -> bool {
    let path = without_keys(path);
    VARIES.iter().any(|(file, at)| {
        let rest = path.strip_prefix(at).filter(|_| name.ends_with(file));
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    })
}

/// `.items[etcd].status` as `.items[].status`.
fn without_keys(path: &str) -> String {
    let mut pieces = path.split('[');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces
        .fold(first, |text, piece| format!("{text}[]{}", piece.split_once(']').map_or("", |(_, rest)| rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_is_bound_to_its_place() {
        let pods = "v1.36/static-pods.json";
        let state = ".items[etcd].status.containerStatuses[etcd].state";
        assert!(varies(pods, &format!("{state}.running.startedAt:string")));
        assert!(varies(pods, &format!("{state}:map")));
        assert!(!varies(pods, ".items[etcd].status.containerStatuses[etcd].stateful:bool"));
        assert!(!varies("v1.36/node.json", &format!("{state}:map")));
        assert!(varies("v1.35/to-v1.36-kubeadm-upgrade-apply-dry-run.txt", "- lab.local/coredns@sha256:N"));
        assert!(!varies("v1.35/to-v1.36-kubeadm-upgrade-plan.txt", "recursiveReadOnly: Disabled"));
    }

    #[test]
    fn of_what_a_dry_run_has_read_only_nodes_and_pods_are_left_out() {
        let object = |resource: &str| {
            format!(
                "[dryrun] Would perform action GET on resource \"{resource}\" in API group \"core/v1\"\n\
                 [dryrun] Resource name \"x\", namespace \"\"\n[dryrun] Attached object:\nkind: {resource}\n"
            )
        };
        let rest = "[dryrun] Would write file \"/a.yaml\" with content:\nspec: {}\n";
        let text = format!("[upgrade] Reading\n{}{}{rest}", object("configmaps"), object("pods"));
        assert_eq!(without_statuses(&text), text.replace("kind: pods\n", ""));
    }

    #[test]
    fn an_empty_answer_proves_nothing() {
        let files = |text: &str| Recording::from([("v1.36/metrics.txt".to_owned(), text.to_owned())]);
        for (recorded, answered, wrong) in [("a 1", "a 2", 0), ("a 1", "b 1", 1), ("", "", 1), ("", "a 1", 1)]
        {
            let mut results = Results::default();
            compare(&files(recorded), &files(answered), &mut results);
            assert_eq!(results.failed(), wrong, "{recorded:?} {answered:?}");
        }
    }
}
