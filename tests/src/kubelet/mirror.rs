//! Mirror pods: what a kubelet shows of the static pods on a control-plane node.

use std::collections::BTreeMap;

use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::node::Kubelet;
use super::pod::running;
use crate::world::{Component, Components};

/// Makes the mirror pods say what runs: one whose component was started anew is replaced.
pub(super) async fn keep(
    client: &Client,
    kubelet: &Kubelet,
    components: &Components,
    endpoint: &str,
) -> Result<()> {
    let wanted: BTreeMap<&'static str, Component> =
        components.lock().expect("no one panics while holding the components").clone();
    let pods: Api<Pod> = Api::namespaced(client.clone(), "kube-system");
    for (name, component) in wanted {
        let pod = object(kubelet, name, &component, endpoint);
        let pod: Pod = serde_json::from_value(pod)?;
        let full = format!("{name}-{}", kubelet.spec.name);
        let there = pods.get_opt(&full).await?;
        if there.as_ref().is_some_and(|there| hash(there) == hash(&pod)) {
            continue;
        }
        if there.is_some() {
            pods.delete(&full, &DeleteParams::default().grace_period(0)).await?;
        }
        let made = pods.create(&PostParams::default(), &pod).await?;
        let status = Patch::Merge(json!({"status": running(&made)}));
        pods.patch_status(&full, &PatchParams::default(), &status).await?;
    }
    Ok(())
}

fn hash(pod: &Pod) -> Option<&String> {
    pod.metadata.annotations.as_ref()?.get("kubernetes.io/config.hash")
}

fn object(kubelet: &Kubelet, name: &str, component: &Component, endpoint: &str) -> Value {
    let node = &kubelet.spec.name;
    let hash = format!("{}-{}", component.tag, component.starts);
    let mut annotations = json!({
        "kubernetes.io/config.hash": hash, "kubernetes.io/config.mirror": hash, "kubernetes.io/config.source": "file",
    });
    if name == "kube-apiserver" {
        annotations["kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint"] =
            json!(endpoint.trim_start_matches("https://"));
    }
    json!({
        "metadata": {
            "name": format!("{name}-{node}"), "namespace": "kube-system", "annotations": annotations,
            "labels": {"component": name, "tier": "control-plane"},
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Node", "name": node, "uid": kubelet.uid, "controller": true}
            ],
        },
        "spec": {
            "nodeName": node, "hostNetwork": true, "priorityClassName": "system-node-critical",
            "containers": [{"name": name, "image": format!("registry.k8s.io/{name}:{}", component.tag)}],
            "tolerations": [{"operator": "Exists", "effect": "NoExecute"}],
        },
    })
}
