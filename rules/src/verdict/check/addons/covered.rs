//! What looks like an add-on and is not judged, because it has no row.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::inventory::{ImageReference, Workload, WorkloadKind};
use crate::facts::Addons;

use super::super::cloud_controller_skew;
use super::survey::Survey;

/// What kubeadm itself upgrades.
const OF_KUBEADM: [(&str, &str); 2] = [("kube-system", "coredns"), ("kube-system", "kube-proxy")];

/// The workloads that look like add-ons and are judged by no row.
#[must_use]
pub fn not_covered<'a>(workloads: &'a [Workload], addons: &Addons) -> Vec<&'a Workload> {
    beside(workloads, Survey::of(addons, workloads).workloads())
}

/// The same beside those that are known to be judged.
pub(super) fn beside<'a>(
    workloads: &'a [Workload],
    judged: impl Iterator<Item = &'a Workload>,
) -> Vec<&'a Workload> {
    let mut names = BTreeSet::new();
    let mut tags_by_namespace: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for one in judged {
        names.insert((one.kind, one.namespace.as_str(), one.name.as_str()));
        tags_by_namespace.entry(&one.namespace).or_default().extend(tags(one));
    }
    // One with an image of the same tag beside the one that is judged is another part of its release.
    let is_covered = |it: &Workload| {
        OF_KUBEADM.contains(&(it.namespace.as_str(), it.name.as_str()))
            || cloud_controller_skew::judges(it)
            || names.contains(&(it.kind, it.namespace.as_str(), it.name.as_str()))
            || tags_by_namespace
                .get(it.namespace.as_str())
                .is_some_and(|judged| tags(it).any(|tag| judged.contains(tag)))
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

fn tags(workload: &Workload) -> impl Iterator<Item = &str> {
    let references = workload.containers.iter().filter_map(|it| ImageReference::parse(&it.image));
    references.filter_map(|reference| reference.tag)
}
