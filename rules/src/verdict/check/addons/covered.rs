//! What looks like an add-on and is not judged, because it has no row.

use crate::inventory::{ImageReference, Workload, WorkloadKind};
use crate::matrix::Addons;

use super::find::places;

/// What kubeadm itself upgrades.
const OF_KUBEADM: [(&str, &str); 2] = [("kube-system", "coredns"), ("kube-system", "kube-proxy")];

/// The workloads that look like add-ons and are judged by no row.
#[must_use]
pub fn not_covered<'a>(workloads: &'a [Workload], addons: &Addons) -> Vec<&'a Workload> {
    let judged: Vec<&Workload> =
        addons.0.iter().flat_map(|addon| places(&addon.detection, workloads)).collect();
    let is_covered = |workload: &Workload| {
        let is_of_kubeadm = OF_KUBEADM.contains(&(workload.namespace.as_str(), workload.name.as_str()));
        is_of_kubeadm || judged.iter().any(|one| is_part_of(workload, one))
    };
    workloads.iter().filter(|workload| is_addon(workload) && !is_covered(workload)).collect()
}

/// What serves the cluster and not its users: on every node, in a system's namespace, or marked as critical.
fn is_addon(workload: &Workload) -> bool {
    workload.kind == WorkloadKind::DaemonSet
        || workload.namespace.starts_with("kube-")
        || workload.namespace.ends_with("-system")
        || workload.priority_class.starts_with("system-")
}

/// The one that is judged, or one beside it with an image of the same tag: the other parts of one release.
fn is_part_of(workload: &Workload, judged: &Workload) -> bool {
    if workload.namespace != judged.namespace {
        return false;
    }
    let tags = |workload: &Workload| -> Vec<String> {
        let references = workload.containers.iter().filter_map(|it| ImageReference::parse(&it.image));
        references.filter_map(|reference| reference.tag.map(str::to_owned)).collect()
    };
    let is_same = workload.kind == judged.kind && workload.name == judged.name;
    is_same || tags(workload).iter().any(|tag| tags(judged).contains(tag))
}
