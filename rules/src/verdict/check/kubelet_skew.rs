//! No kubelet is too old for API servers at the target, and none is newer than the API servers of now.
//!
//! Source: <https://kubernetes.io/releases/version-skew-policy/>. A control-plane node's kubelet is held against the
//! API server of its own node: kubeadm upgrades both before the next control-plane node, so that for a while it is
//! newer than the oldest API server.

use super::{Facts, Outcome, unreadable_version};
use crate::cluster::snapshot::{Node, Role};
use crate::reason::{Finding, Reason};
use crate::verdict::skew::{self, Skew};
use crate::words::name::NodeName;
use crate::words::version::{Minor, Version};

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    let target = match facts.version() {
        Ok(target) => target,
        Err(outcome) => return outcome,
    };
    let snapshot = facts.case.snapshot;
    let read = facts.state("nodes", &snapshot.nodes).and_then(|nodes| {
        let servers = facts.state("api_servers", &snapshot.api_servers)?;
        let pods = facts.state("static_pods", &snapshot.static_pods)?;
        Ok((nodes, servers, pods))
    });
    let ((nodes, nodes_read), (servers, servers_read), (pods, pods_read)) = match read {
        Ok(read) => read,
        Err(finding) => return Outcome::unknown(finding),
    };
    let (mut blockers, mut unknowns) = (Vec::new(), Vec::new());
    if nodes.is_empty() {
        unknowns.push(Finding::new(Reason::NoNodes, "", ""));
    }
    unknowns.extend(servers.iter().filter_map(|server| {
        server.version.as_ref().err().map(|written| unreadable_version(&server.name, written))
    }));
    let oldest = servers.iter().filter_map(|server| server.version.as_ref().ok()).map(Version::minor).min();
    if oldest.is_none() {
        unknowns.push(Finding::new(
            Reason::SourceUnreadable,
            "api_servers",
            "no API server's version is known",
        ));
    }
    let own = |name: &NodeName| {
        let mut pods = pods.iter().filter(|pod| pod.component == "kube-apiserver" && pod.node == *name);
        pods.find_map(|pod| pod.version.as_ref().ok()).map(Version::minor)
    };
    for node in nodes {
        let server = if node.role == Role::ControlPlane { own(&node.name).or(oldest) } else { oldest };
        match &node.kubelet_version {
            Err(written) => unknowns.push(unreadable_version(&node.name.0, written)),
            Ok(kubelet) => blockers.extend(refusal(node, kubelet, target.minor(), server)),
        }
    }
    Outcome::judge(nodes_read, vec![servers_read, pods_read], blockers, unknowns)
}

fn refusal(node: &Node, kubelet: &Version, target: Minor, server: Option<Minor>) -> Option<Finding> {
    let finding = |reason, other: &str, minor: Minor| {
        let detail = format!("its kubelet runs {kubelet}, {other} {minor}");
        Some(Finding::new(reason, node.name.0.as_str(), detail))
    };
    if let Some(server) = server {
        match skew::kubelet(kubelet.minor(), server) {
            Skew::Ahead => return finding(Reason::KubeletAhead, "its API server runs", server),
            Skew::OtherMajor => return finding(Reason::TargetOtherMajor, "its API server runs", server),
            // Being too old is judged at the target, which is at least as new.
            Skew::Supported | Skew::TooOld => {}
        }
    }
    match skew::kubelet(kubelet.minor(), target) {
        Skew::TooOld => finding(Reason::KubeletTooOld, "the target is", target),
        Skew::OtherMajor => finding(Reason::TargetOtherMajor, "the target is", target),
        // A kubelet beyond the target is a downgrade, which the path refuses.
        Skew::Supported | Skew::Ahead => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Healthy, api_server, node, outcome, pod};
    use super::*;
    use crate::verdict::Status;

    fn worker(kubelet: &'static str) -> impl FnOnce(&mut Healthy) {
        move |cluster| cluster.snapshot.nodes.value = Some(vec![node("w-1", Role::Worker, kubelet)])
    }

    #[test]
    fn a_kubelet_may_be_three_minors_behind_the_target_and_never_ahead_of_now() {
        for (kubelet, target, status, reasons) in [
            ("v1.36.1", "v1.37.0", Status::Pass, vec![]),
            ("v1.34.0", "v1.37.0", Status::Pass, vec![]),
            ("v1.33.9", "v1.37.0", Status::Block, vec!["kubelet_too_old"]),
            ("v1.33.9", "v1.36.3", Status::Pass, vec![]),
            ("v1.37.0", "v1.37.0", Status::Block, vec!["kubelet_ahead"]),
            ("v2.36.1", "v1.36.3", Status::Block, vec!["target_other_major"]),
            ("what", "v1.36.3", Status::Unknown, vec!["source_unreadable"]),
        ] {
            assert_eq!(outcome(check, target, worker(kubelet)), (status, reasons), "{kubelet} {target}");
        }
    }

    #[test]
    fn no_nodes_is_unknown() {
        let none = |cluster: &mut Healthy| cluster.snapshot.nodes.value = Some(Vec::new());
        assert_eq!(outcome(check, "v1.36.3", none), (Status::Unknown, vec!["no_nodes"]));
    }

    /// Halfway through three control-plane nodes of a minor upgrade: the first one's kubelet is newer than the
    /// second one's API server, as kubeadm does it.
    fn halfway(first_worker: &'static str) -> impl FnOnce(&mut Healthy) {
        move |cluster| {
            let nodes = vec![
                node("cp-1", Role::ControlPlane, "v1.37.0"),
                node("cp-2", Role::ControlPlane, "v1.36.1"),
                node("w-1", Role::Worker, first_worker),
            ];
            cluster.snapshot.nodes.value = Some(nodes);
            cluster.snapshot.api_servers.value =
                Some(vec![api_server("cp-1", "v1.37.0"), api_server("cp-2", "v1.36.1")]);
            let pods =
                vec![pod("kube-apiserver", "cp-1", "v1.37.0"), pod("kube-apiserver", "cp-2", "v1.36.1")];
            cluster.snapshot.static_pods.value = Some(pods);
        }
    }

    #[test]
    fn halfway_through_the_control_plane_the_order_of_kubeadm_passes_and_a_hasty_worker_does_not() {
        assert_eq!(outcome(check, "v1.37.0", halfway("v1.36.1")), (Status::Pass, vec![]));
        assert_eq!(outcome(check, "v1.37.0", halfway("v1.37.0")), (Status::Block, vec!["kubelet_ahead"]));
    }
}
