//! Pods, as a drain asks about them.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1 as core;
use kube::api::ListParams;
use kube::{Api, Client};
use lockkeeper_rules::cluster::snapshot::Source;
use lockkeeper_rules::drain::{Controller, Pod, PodPhase};
use lockkeeper_rules::words::name::NodeName;

use super::list::list_all;
use super::place::placement;

/// The annotation by which the kubelet marks the mirror of a static pod.
const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";

/// The pods that are bound to these nodes: one that cannot be asked for leaves all of them unread.
pub async fn pods_on(client: &Client, nodes: &BTreeSet<NodeName>, deadline: Duration) -> Source<Vec<Pod>> {
    let on = |node: &NodeName| ListParams::default().fields(&format!("spec.nodeName={node}"));
    read_pods(client, nodes.iter().map(on).collect(), deadline).await
}

/// Every pod of the cluster.
pub async fn all_pods(client: &Client, deadline: Duration) -> Source<Vec<Pod>> {
    read_pods(client, vec![ListParams::default()], deadline).await
}

async fn read_pods(client: &Client, params: Vec<ListParams>, deadline: Duration) -> Source<Vec<Pod>> {
    // Proven when it was asked for, not when it came.
    let asked_at = Timestamp::now();
    let pods: Api<core::Pod> = Api::all(client.clone());
    let mut all = Vec::new();
    for params in params {
        match list_all(&pods, &params, deadline).await {
            Ok(listed) => all.extend(listed.items.into_iter().map(pod)),
            Err(error) => return Source::failed(error.to_string()),
        }
    }
    Source::read(all, asked_at)
}

fn pod(pod: core::Pod) -> Pod {
    let core::Pod { metadata, spec, status } = pod;
    let spec = spec.unwrap_or_default();
    let status = status.unwrap_or_default();
    let mut owners = metadata.owner_references.unwrap_or_default().into_iter();
    let controller = owners.find(|owner| owner.controller == Some(true));
    let placement = placement(&spec);
    let is_on_disk = |it: &core::EmptyDirVolumeSource| it.medium.as_deref().unwrap_or_default().is_empty();
    let mut empty_dirs = spec.volumes.iter().flatten().filter_map(|volume| volume.empty_dir.as_ref());
    let has_empty_dir = empty_dirs.any(is_on_disk);
    let pod_name = metadata.name.clone().unwrap_or_default();
    let claims = spec.volumes.iter().flatten().filter_map(|volume| claim(&pod_name, volume)).collect();
    let is_ready = |condition: &core::PodCondition| condition.type_ == "Ready" && condition.status == "True";
    Pod {
        namespace: metadata.namespace.unwrap_or_default(),
        name: pod_name,
        uid: metadata.uid.unwrap_or_default(),
        created_at: metadata.creation_timestamp.map(|at| at.0),
        node: spec.node_name.filter(|name| !name.is_empty()).map(NodeName),
        phase: PodPhase::from_name(status.phase.as_deref().unwrap_or_default()),
        deleting: metadata.deletion_timestamp.is_some(),
        finalizers: metadata.finalizers.unwrap_or_default(),
        mirror: metadata.annotations.is_some_and(|all| all.contains_key(MIRROR_ANNOTATION)),
        controller: controller.map(|owner| Controller { kind: owner.kind, name: owner.name }),
        ready: status.conditions.unwrap_or_default().iter().any(is_ready),
        priority: spec.priority.unwrap_or_default(),
        labels: metadata.labels.unwrap_or_default(),
        placement,
        has_empty_dir,
        claims,
    }
}

/// The claim that a volume of a pod stands for. That of an ephemeral one is named after both.
fn claim(pod: &str, volume: &core::Volume) -> Option<String> {
    let named = volume.persistent_volume_claim.as_ref().map(|source| source.claim_name.clone());
    named.or_else(|| volume.ephemeral.as_ref().map(|_| format!("{pod}-{}", volume.name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_lies_in_memory_alone_is_no_data_that_a_drain_deletes() {
        for (volume, expected) in [
            (json!({"emptyDir": {}}), true),
            (json!({"emptyDir": {"medium": ""}}), true),
            (json!({"emptyDir": {"medium": "Memory"}}), false),
            (json!({"hostPath": {"path": "/x"}}), false),
        ] {
            let mut object =
                json!({"metadata": {"name": "b"}, "spec": {"containers": [], "volumes": [volume]}});
            object["spec"]["volumes"][0]["name"] = json!("v");
            let read = pod(serde_json::from_value(object.clone()).unwrap());
            assert_eq!(read.has_empty_dir, expected, "{object}");
        }
    }

    #[test]
    fn a_pod_is_read_with_what_a_drain_asks() {
        let object = json!({
            "metadata": {
                "namespace": "a", "name": "b", "uid": "c", "labels": {"app": "web"},
                "deletionTimestamp": "2026-11-21T09:00:00Z", "finalizers": ["example.com/keep"],
                "annotations": {"kubernetes.io/config.mirror": "x"},
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "1"},
                    {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "2", "controller": true},
                ],
            },
            "spec": {"nodeName": "w-1", "priority": 7, "containers": [], "volumes": [
                {"name": "a", "configMap": {"name": "x"}}, {"name": "b", "emptyDir": {}},
                {"name": "d", "persistentVolumeClaim": {"claimName": "data"}}, {"name": "e", "ephemeral": {}}]},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        });
        let read = pod(serde_json::from_value(object).unwrap());
        assert_eq!(read.controller, Some(Controller { kind: "DaemonSet".to_owned(), name: "d".to_owned() }));
        assert!(read.deleting && read.mirror && read.ready);
        assert_eq!(read.finalizers, ["example.com/keep"]);
        assert!(read.has_empty_dir);
        assert_eq!(read.claims, ["data", "b-e"]);
        assert_eq!((read.node, read.phase, read.priority), (Some("w-1".into()), PodPhase::Running, 7));
    }
}
