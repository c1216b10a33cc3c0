//! Where the nodes stand: by their kubelets and the static pods of their control plane.

use crate::cluster::snapshot::{CONTROL_PLANE, Node, Role, Snapshot};
use crate::words::name::NodeName;
use crate::words::version::Version;

/// Whether all of a node that kubeadm changes is at the target: its kubelet, and what its control plane is made of. What
/// cannot be seen is not there yet.
#[must_use]
pub fn is_at(snapshot: &Snapshot, node: &Node, target: &Version) -> bool {
    let pods = || snapshot.static_pods.value.iter().flatten().filter(|pod| pod.node == node.name);
    let is_there =
        |component: &str| pods().any(|pod| pod.component == component && pod.version.as_ref() == Ok(target));
    node.kubelet_version.as_ref() == Ok(target)
        && (node.role == Role::Worker || CONTROL_PLANE.into_iter().all(is_there))
}

/// Whether an API server of the control plane is at the target already, by what it answers or by its pod: the kubelet
/// that shows the pod may be the one that does not come up. What cannot be read has not begun.
#[must_use]
pub fn control_plane_has_begun(snapshot: &Snapshot, target: &Version) -> bool {
    let servers = snapshot.api_servers.value.iter().flatten().map(|server| &server.version);
    let pods = snapshot.static_pods.value.iter().flatten();
    let pods = pods.filter(|pod| pod.component == "kube-apiserver").map(|pod| &pod.version);
    servers.chain(pods).any(|version| version.as_ref() == Ok(target))
}

/// What the API server of a control-plane node runs, if that can be read.
pub(in crate::driver) fn api_server_on<'a>(node: &NodeName, snapshot: &'a Snapshot) -> Option<&'a Version> {
    let pods = snapshot.static_pods.value.as_deref().unwrap_or_default();
    let mut pods = pods.iter().filter(|pod| pod.component == "kube-apiserver" && pod.node == *node);
    pods.find_map(|pod| pod.version.as_ref().ok())
}
