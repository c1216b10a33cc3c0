//! Kubernetes objects turned into the rules' plain values: the same for watching and for reading at once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1 as core;
use lockkeeper_rules::api::CORDONED_BY_ANNOTATION;
use lockkeeper_rules::cluster::snapshot::{ControllerLease, Node, Pressure, Role, StaticPod};
use lockkeeper_rules::wire::command_line;
use lockkeeper_rules::words::name::NodeName;
use lockkeeper_rules::words::version::Version;

/// The namespace of the nodes' Leases.
pub const NODE_LEASE_NAMESPACE: &str = "kube-node-lease";
/// The namespace of the control plane.
pub const SYSTEM_NAMESPACE: &str = "kube-system";
/// The label of the control plane's static pods.
pub const CONTROL_PLANE_SELECTOR: &str = "tier=control-plane";
/// The controllers whose Leases are read.
pub const CONTROLLERS: [&str; 2] = ["kube-controller-manager", "kube-scheduler"];

const CONTROL_PLANE_ROLE_LABEL: &str = "node-role.kubernetes.io/control-plane";
const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";

/// A version, or the text as written where it is none.
///
/// # Errors
/// The text, if it is no version.
pub fn version(text: &str) -> Result<Version, String> {
    text.parse().map_err(|_not_a_version| text.to_owned())
}

/// When each node's Lease was renewed, by node name.
#[must_use]
pub fn renewals<'a>(leases: impl IntoIterator<Item = &'a Lease>) -> BTreeMap<String, Timestamp> {
    leases.into_iter().filter_map(|lease| Some((lease.metadata.name.clone()?, renewed_at(lease)?))).collect()
}

/// When a Lease was renewed.
#[must_use]
pub fn renewed_at(lease: &Lease) -> Option<Timestamp> {
    Some(lease.spec.as_ref()?.renew_time.as_ref()?.0)
}

/// A node with the renewal of its Lease.
#[must_use]
pub fn node(node: &core::Node, lease_renewed_at: Option<Timestamp>) -> Node {
    let metadata = &node.metadata;
    let status = node.status.clone().unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    let info = status.node_info.unwrap_or_default();
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
    let is_control_plane =
        metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(CONTROL_PLANE_ROLE_LABEL));
    let annotation = |key: &str| metadata.annotations.as_ref()?.get(key).cloned();
    let addresses = status.addresses.unwrap_or_default();
    Node {
        name: NodeName(metadata.name.clone().unwrap_or_default()),
        uid: metadata.uid.clone().unwrap_or_default(),
        resource_version: metadata.resource_version.clone().unwrap_or_default(),
        role: if is_control_plane { Role::ControlPlane } else { Role::Worker },
        internal_ips: addresses
            .into_iter()
            .filter(|one| one.type_ == "InternalIP")
            .map(|one| one.address)
            .collect(),
        machine_id: info.machine_id,
        boot_id: info.boot_id,
        kubelet_version: version(&info.kubelet_version),
        container_runtime: info.container_runtime_version,
        kernel_version: info.kernel_version,
        operating_system: info.operating_system,
        os_image: info.os_image,
        architecture: info.architecture,
        unschedulable: node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false),
        cordoned_by: annotation(CORDONED_BY_ANNOTATION),
        ready: ready.is_some_and(|condition| condition.status == "True"),
        ready_since: ready.and_then(|condition| Some(condition.last_transition_time.as_ref()?.0)),
        pressures: pressures(&conditions),
        lease_renewed_at,
        deleting: metadata.deletion_timestamp.is_some(),
        labels: BTreeMap::new(),
    }
}

/// The same with these of its labels.
#[must_use]
pub fn node_with(node: &core::Node, lease_renewed_at: Option<Timestamp>, keys: &BTreeSet<&str>) -> Node {
    let labels = node.metadata.labels.iter().flatten().filter(|(key, _)| keys.contains(key.as_str()));
    let labels = labels.map(|(key, value)| (key.clone(), value.clone())).collect();
    Node { labels, ..self::node(node, lease_renewed_at) }
}

fn pressures(conditions: &[core::NodeCondition]) -> Vec<Pressure> {
    let mut found: Vec<_> = conditions
        .iter()
        // A pressure that the node does not know of is no all-clear.
        .filter(|condition| condition.status != "False")
        .filter_map(|condition| match condition.type_.as_str() {
            "MemoryPressure" => Some(Pressure::Memory),
            "DiskPressure" => Some(Pressure::Disk),
            "PIDPressure" => Some(Pressure::Pid),
            "NetworkUnavailable" => Some(Pressure::Network),
            _others => None,
        })
        .collect();
    found.sort_unstable();
    found
}

/// A static pod of the control plane; nothing for a pod that only wears the label.
#[must_use]
pub fn static_pod(pod: &core::Pod) -> Option<StaticPod> {
    pod.metadata.annotations.as_ref()?.get(MIRROR_ANNOTATION)?;
    let component = pod.metadata.labels.as_ref()?.get("component")?.clone();
    let spec = pod.spec.as_ref()?;
    let container =
        spec.containers.iter().find(|container| container.name == component).or(spec.containers.first())?;
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.into_iter().flatten().find(|condition| condition.type_ == "Ready");
    Some(StaticPod {
        node: NodeName(spec.node_name.clone()?),
        version: image_version(container.image.as_deref().unwrap_or_default()),
        flags: flags(&component, container),
        component,
        ready: pod.metadata.deletion_timestamp.is_none() && ready.is_some_and(|one| one.status == "True"),
        ready_since: ready.and_then(|condition| Some(condition.last_transition_time.as_ref()?.0)),
    })
}

fn flags(component: &str, container: &core::Container) -> Result<BTreeMap<String, Vec<String>>, String> {
    let words = [&container.command, &container.args].into_iter().flatten().flatten().cloned();
    command_line::flags(component, &words.collect::<Vec<_>>())
}

/// The tag of an image as a version; the whole reference where it has none.
fn image_version(image: &str) -> Result<Version, String> {
    let named = image.split_once('@').map_or(image, |(named, _digest)| named);
    let tag = named.rsplit_once(':').map(|(_, tag)| tag).filter(|tag| !tag.contains('/'));
    tag.and_then(|tag| tag.parse().ok()).ok_or_else(|| image.to_owned())
}

/// A controller's leader election Lease; nothing for other Leases.
#[must_use]
pub fn controller_lease(lease: &Lease) -> Option<ControllerLease> {
    let name = lease.metadata.name.clone().filter(|name| CONTROLLERS.contains(&name.as_str()))?;
    Some(ControllerLease { name, renewed_at: renewed_at(lease) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(value: Value) -> Node {
        node(&serde_json::from_value(value).unwrap(), None)
    }

    #[test]
    fn a_node_is_read_as_the_api_server_shows_it() {
        let node = read(json!({
            "metadata": {"name": "cp-1", "uid": "u", "resourceVersion": "9",
                "labels": {"node-role.kubernetes.io/control-plane": ""},
                "annotations": {"lockkeeper.dev/cordoned-by": "run.1.1.aa"}},
            "spec": {"unschedulable": true},
            "status": {
                "addresses": [{"type": "Hostname", "address": "cp-1"}, {"type": "InternalIP", "address": "10.0.0.1"},
                    {"type": "InternalIP", "address": "fd00::1"}],
                "conditions": [
                    {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z"},
                    {"type": "DiskPressure", "status": "Unknown"}, {"type": "MemoryPressure", "status": "False"}],
                "nodeInfo": {"machineID": "m", "bootID": "b", "kubeletVersion": "v1.36.1", "architecture": "arm64",
                    "containerRuntimeVersion": "containerd://2.1.9", "kernelVersion": "", "kubeProxyVersion": "",
                    "operatingSystem": "linux", "osImage": "Debian GNU/Linux 12 (bookworm)", "systemUUID": ""}}}));
        assert_eq!(node.role, Role::ControlPlane);
        assert_eq!(node.internal_ips, ["10.0.0.1", "fd00::1"]);
        assert_eq!(node.kubelet_version, Ok(Version::new(1, 36, 1)));
        let told = [&node.operating_system, &node.os_image, &node.architecture];
        assert_eq!(told, ["linux", "Debian GNU/Linux 12 (bookworm)", "arm64"]);
        assert_eq!(node.cordoned_by.as_deref(), Some("run.1.1.aa"));
        assert_eq!(node.pressures, [Pressure::Disk], "unknown pressure is pressure");
        assert!(node.ready && node.unschedulable && node.ready_since.is_some());
    }

    #[test]
    fn only_the_labels_that_a_run_asks_for_are_kept() {
        let raw = json!({"metadata": {"name": "w-1", "labels": {"zone": "a", "rack": "1", "os": "linux"}}});
        let raw = serde_json::from_value(raw).unwrap();
        let read = node_with(&raw, None, &BTreeSet::from(["zone", "room"]));
        assert_eq!((read.topology("zone"), read.topology("room")), (Some("a"), None));
        assert_eq!(read.labels.len(), 1);
        assert!(node(&raw, None).labels.is_empty());
    }

    #[test]
    fn what_a_node_does_not_say_is_never_read_as_good() {
        let silent = read(json!({"metadata": {"name": "n"}}));
        assert!(
            !silent.ready && silent.internal_ips.is_empty() && silent.kubelet_version == Err(String::new())
        );
        let odd = read(
            json!({"metadata": {"name": "n"}, "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}),
        );
        assert!(!odd.ready);
    }

    #[test]
    fn the_version_of_an_image_is_its_tag() {
        for (image, expected) in [
            ("registry.example:5000/kube-apiserver:v1.36.1", Ok("v1.36.1")),
            ("registry.example/etcd:3.6.6-0@sha256:00ff", Ok("v3.6.6-0")),
            ("registry.example:5000/kube-apiserver", Err("registry.example:5000/kube-apiserver")),
            ("kube-apiserver:latest", Err("kube-apiserver:latest")),
            ("", Err("")),
        ] {
            let read = image_version(image).map(|version| version.to_string());
            assert_eq!(read.as_deref().map_err(String::as_str), expected, "{image}");
        }
    }

    #[test]
    fn only_mirror_pods_are_static_pods() {
        let pod = |annotations: Value| {
            let value = json!({"metadata": {"name": "etcd-cp-1", "labels": {"component": "etcd"}, "annotations": annotations},
                "spec": {"nodeName": "cp-1", "containers": [{"name": "etcd", "image": "etcd:3.6.6-0", "command": ["etcd"], "args": ["--name=cp-1"]}]},
                "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
            static_pod(&serde_json::from_value(value).unwrap())
        };
        assert!(pod(json!({})).is_none());
        let etcd = pod(json!({"kubernetes.io/config.mirror": "x"})).unwrap();
        assert!(etcd.ready && etcd.component == "etcd" && etcd.node == NodeName::from("cp-1"));
        assert_eq!(etcd.flags.unwrap().into_keys().collect::<Vec<_>>(), ["name"]);
    }

    #[test]
    fn leases_are_known_by_their_renewal() {
        let lease = |name: &str, renewed: Value| {
            serde_json::from_value::<Lease>(
                json!({"metadata": {"name": name}, "spec": {"renewTime": renewed}}),
            )
            .unwrap()
        };
        let leases = [lease("a", json!("2026-01-02T03:04:05.000000Z")), lease("b", Value::Null)];
        let renewals = renewals(&leases);
        assert!(renewals.contains_key("a") && !renewals.contains_key("b"));
        assert!(controller_lease(&leases[0]).is_none());
        assert!(
            controller_lease(&lease("kube-scheduler", Value::Null))
                .is_some_and(|one| one.renewed_at.is_none())
        );
    }
}
