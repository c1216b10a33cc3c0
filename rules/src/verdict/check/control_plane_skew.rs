//! API servers are at most one minor apart, and controllers fit them.
//!
//! Source: <https://kubernetes.io/releases/version-skew-policy/>. Controllers are held against the API server of their
//! own node, which is the one that they talk to under kubeadm, and against the newest.

use super::{Facts, Outcome, unreadable_version};
use crate::cluster::snapshot::{ApiServer, CONTROL_PLANE, Node, Role, StaticPod};
use crate::reason::{Finding, Reason};
use crate::verdict::skew::{self, Skew};
use crate::words::version::{Minor, Version};

const CONTROLLERS: [&str; 2] = ["kube-controller-manager", "kube-scheduler"];

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    let snapshot = facts.case.snapshot;
    let read = facts
        .state("api_servers", &snapshot.api_servers)
        .and_then(|servers| Ok((servers, facts.state("static_pods", &snapshot.static_pods)?)));
    let ((servers, servers_read), (pods, pods_read)) = match read {
        Ok(read) => read,
        Err(finding) => return Outcome::unknown(finding),
    };
    let (mut blockers, mut unknowns) = (Vec::new(), Vec::new());
    match facts.state("nodes", &snapshot.nodes) {
        Ok((nodes, _read)) => {
            unknowns.extend(pods.iter().filter_map(|pod| unlabelled(pod, nodes)));
            unknowns.extend(unseen(pods, servers, nodes));
        }
        Err(finding) => unknowns.push(finding),
    }
    let mut minors = Vec::new();
    for server in servers {
        match &server.version {
            Ok(version) => minors.push(version.minor()),
            Err(written) => unknowns.push(unreadable_version(&server.name, written)),
        }
    }
    let (Some(&oldest), Some(&newest)) = (minors.iter().min(), minors.iter().max()) else {
        unknowns.push(Finding::new(
            Reason::SourceUnreadable,
            "api_servers",
            "no API server's version is known",
        ));
        return Outcome::judge(servers_read, vec![pods_read], blockers, unknowns);
    };
    if skew::api_servers(oldest, newest) != Skew::Supported {
        blockers.push(Finding::new(
            Reason::ControlPlaneSkewed,
            "kube-apiserver",
            format!("{oldest} and {newest} run"),
        ));
    }
    for pod in pods.iter().filter(|pod| CONTROLLERS.contains(&pod.component.as_str())) {
        match &pod.version {
            Ok(version) => {
                blockers.extend(refusal(pod, version.minor(), own(pods, pod).unwrap_or(oldest), newest))
            }
            Err(written) => {
                unknowns.push(unreadable_version(&format!("{} on {}", pod.component, pod.node), written))
            }
        }
    }
    Outcome::judge(servers_read, vec![pods_read], blockers, unknowns)
}

/// An API server on a node without the role is asked by nobody, and upgraded as a worker.
fn unlabelled(pod: &StaticPod, nodes: &[Node]) -> Option<Finding> {
    let mut control_plane = nodes.iter().filter(|node| node.role == Role::ControlPlane);
    let is_known = control_plane.any(|node| node.name == pod.node);
    (pod.component == "kube-apiserver" && !is_known).then(|| {
        Finding::new(Reason::ControlPlaneUnlabelled, pod.node.0.clone(), "a kube-apiserver runs there")
    })
}

/// What kubeadm has on each node of the control plane and is not seen there. A control plane of which no static pod is
/// seen is made otherwise, and judged by its API servers.
fn unseen(pods: &[StaticPod], servers: &[ApiServer], nodes: &[Node]) -> Vec<Finding> {
    let unseen = |subject: String, detail: String| Finding::new(Reason::ControlPlaneUnseen, subject, detail);
    let members: Vec<_> = nodes.iter().filter(|node| node.role == Role::ControlPlane).collect();
    let mut found = Vec::new();
    // The only one is asked at the address that everything is read through.
    let asked = |node: &&&Node| servers.iter().any(|server| server.name == node.name.0);
    for node in members.iter().filter(|node| members.len() > 1 && !asked(node)) {
        found.push(unseen(node.name.0.clone(), "its kube-apiserver was not asked yet".to_owned()));
    }
    if pods.is_empty() {
        return found;
    }
    for node in members {
        let has = |component: &str| pods.iter().any(|it| it.node == node.name && it.component == component);
        let missing: Vec<_> = CONTROL_PLANE.into_iter().filter(|component| !has(component)).collect();
        if !missing.is_empty() {
            let detail = format!("no static pod of {} is seen there", missing.join(", "));
            found.push(unseen(node.name.0.clone(), detail));
        }
    }
    found
}

/// The minor of the API server on the same node.
fn own(pods: &[StaticPod], beside: &StaticPod) -> Option<Minor> {
    let mut servers = pods.iter().filter(|pod| pod.component == "kube-apiserver" && pod.node == beside.node);
    servers.find_map(|pod| pod.version.as_ref().ok()).map(Version::minor)
}

fn refusal(pod: &StaticPod, controller: Minor, own: Minor, newest: Minor) -> Option<Finding> {
    let is_ahead = skew::controller(controller, own) == Skew::Ahead;
    if !is_ahead && skew::controller(controller, newest) == Skew::Supported {
        return None;
    }
    let subject = format!("{} on {}", pod.component, pod.node);
    Some(Finding::new(
        Reason::ControlPlaneSkewed,
        subject,
        format!("it runs {controller}, its own API server {own}, and the newest API server {newest}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Healthy, api_server, node, outcome, pod};
    use super::*;
    use crate::verdict::Status;

    fn control_plane(
        servers: &'static [&'static str],
        controller: &'static str,
    ) -> impl FnOnce(&mut Healthy) {
        move |cluster| {
            let named = |(index, version): (usize, &&str)| api_server(&format!("cp-{index}"), version);
            cluster.snapshot.api_servers.value = Some(servers.iter().enumerate().map(named).collect());
            let member = |index| node(&format!("cp-{index}"), Role::ControlPlane, "v1.36.1");
            cluster.snapshot.nodes.value = Some((0..servers.len()).map(member).collect());
            let mut pods = Vec::new();
            for (index, version) in servers.iter().enumerate() {
                let node = format!("cp-{index}");
                pods.push(pod("kube-apiserver", &node, version));
                // The others go with the API server beside them.
                pods.push(pod("kube-controller-manager", &node, version));
                pods.push(pod("kube-scheduler", &node, if index == 0 { controller } else { version }));
            }
            cluster.snapshot.static_pods.value = Some(pods);
        }
    }

    #[test]
    fn api_servers_are_at_most_one_minor_apart_and_controllers_fit() {
        for (servers, controller, status, reasons) in [
            (&["v1.36.1"][..], "v1.36.1", Status::Pass, vec![]),
            (&["v1.37.0", "v1.36.1"][..], "v1.37.0", Status::Pass, vec![]),
            (&["v1.37.0", "v1.36.1"][..], "v1.36.1", Status::Pass, vec![]),
            (&["v1.37.0", "v1.35.1"][..], "v1.36.1", Status::Block, vec!["control_plane_skewed"; 3]),
            (&["v1.36.1"][..], "v1.37.0", Status::Block, vec!["control_plane_skewed"]),
            (&["v1.36.1"][..], "v1.34.0", Status::Block, vec!["control_plane_skewed"]),
            (&["v1.36.1", "?"][..], "v1.36.1", Status::Unknown, vec!["source_unreadable"; 3]),
            (&["v1.36.1"][..], "latest", Status::Unknown, vec!["source_unreadable"]),
            (&[][..], "v1.36.1", Status::Unknown, vec!["source_unreadable"]),
        ] {
            assert_eq!(
                outcome(check, "v1.37.0", control_plane(servers, controller)),
                (status, reasons),
                "{servers:?} {controller}"
            );
        }
    }

    #[test]
    fn a_control_plane_without_static_pods_is_judged_by_its_api_servers() {
        let none = |cluster: &mut Healthy| cluster.snapshot.static_pods.value = Some(Vec::new());
        assert_eq!(outcome(check, "v1.36.3", none), (Status::Pass, vec![]));
    }

    #[test]
    fn a_control_plane_that_is_seen_in_part_is_unknown() {
        for (component, node) in
            [("kube-apiserver", "cp-1"), ("kube-controller-manager", "cp-1"), ("kube-scheduler", "cp-0")]
        {
            let part = |cluster: &mut Healthy| {
                control_plane(&["v1.36.1", "v1.36.1"], "v1.36.1")(cluster);
                let pods = cluster.snapshot.static_pods.value.as_mut().unwrap();
                pods.retain(|pod| pod.component != component || pod.node.0 != node);
            };
            let said = outcome(check, "v1.36.3", part);
            assert_eq!(said, (Status::Unknown, vec!["control_plane_unseen"]), "{component} on {node}");
        }
        let one_server = |cluster: &mut Healthy| {
            control_plane(&["v1.36.1", "v1.36.1"], "v1.36.1")(cluster);
            cluster.snapshot.api_servers.value.as_mut().unwrap().pop();
        };
        assert_eq!(outcome(check, "v1.36.3", one_server), (Status::Unknown, vec!["control_plane_unseen"]));
    }

    #[test]
    fn an_api_server_on_a_node_of_no_control_plane_is_unknown() {
        let bare = |cluster: &mut Healthy| {
            control_plane(&["v1.36.1", "v1.36.1", "v1.36.1"], "v1.36.1")(cluster);
            cluster.snapshot.nodes.value.as_mut().unwrap()[2].role = Role::Worker;
        };
        assert_eq!(outcome(check, "v1.36.3", bare), (Status::Unknown, vec!["control_plane_unlabelled"]));
        let lost =
            |cluster: &mut Healthy| cluster.snapshot.nodes = crate::cluster::snapshot::Source::failed("gone");
        assert_eq!(outcome(check, "v1.36.3", lost).0, Status::Unknown);
    }
}
