//! Mirror pods: what a kubelet shows of the static pods on a control-plane node.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::node::Kubelet;
use super::pod::now;
use super::words::{Dictionary, date, replace};
use crate::world::{Component, Components};

const HASH: &str = "kubernetes.io/config.hash";
const MIRROR: &str = "kubernetes.io/config.mirror";
const ENDPOINT: &str = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint";

/// Makes the mirror pods say what runs: one whose component was started anew is replaced.
pub(super) async fn keep(
    client: &Client,
    kubelet: &Kubelet,
    dictionary: &Dictionary,
    components: &Components,
    endpoint: &str,
) -> Result<()> {
    let wanted: BTreeMap<&'static str, Component> =
        components.lock().expect("no one panics while holding the components").clone();
    // As they were recorded: the types of our own client may lack a field.
    let kind = ApiResource::erase::<Pod>(&());
    let pods: Api<DynamicObject> = Api::namespaced_with(client.clone(), "kube-system", &kind);
    for (name, component) in wanted {
        let mut pod = object(kubelet, dictionary, name, &component, endpoint)?;
        let status = pod["status"].take();
        let pod: DynamicObject = serde_json::from_value(pod)?;
        let full = format!("{name}-{}", kubelet.spec.name);
        let there = pods.get_opt(&full).await?;
        if there.as_ref().is_some_and(|there| hash(there) == hash(&pod)) {
            continue;
        }
        if there.is_some() {
            pods.delete(&full, &DeleteParams::default().grace_period(0)).await?;
        }
        pods.create(&PostParams::default(), &pod).await?;
        let status = Patch::Merge(json!({"status": status}));
        pods.patch_status(&full, &PatchParams::default(), &status).await?;
    }
    Ok(())
}

fn hash(pod: &DynamicObject) -> Option<&String> {
    pod.metadata.annotations.as_ref()?.get(HASH)
}

/// The recorded pod as this node shows it.
fn object(
    kubelet: &Kubelet,
    dictionary: &Dictionary,
    name: &str,
    component: &Component,
    endpoint: &str,
) -> Result<Value> {
    let words = dictionary.of(&component.version)?;
    let mut pod = words.pods.get(name).with_context(|| format!("{name} was not recorded"))?.clone();
    let node = &kubelet.spec.name;
    replace(&mut pod, words.node_name(), node);
    replace(&mut pod, words.address(), &kubelet.spec.address.to_string());
    date(&mut pod, &now());
    let hash = format!("{}-{}", component.version, component.starts);
    let mut metadata = json!({});
    for field in ["name", "namespace", "annotations", "labels", "ownerReferences"] {
        metadata[field] = pod["metadata"][field].take();
    }
    metadata["annotations"][HASH] = json!(hash);
    metadata["annotations"][MIRROR] = json!(hash);
    metadata["ownerReferences"][0]["uid"] = json!(kubelet.uid);
    if name == "kube-apiserver" {
        metadata["annotations"][ENDPOINT] = json!(endpoint.trim_start_matches("https://"));
    }
    pod["metadata"] = metadata;
    // etcd's is the one that kubeadm of this minor brings.
    if name != "etcd" {
        for at in ["/spec/containers/0/image", "/status/containerStatuses/0/image"] {
            let image = pod.pointer_mut(at).with_context(|| format!("{name} was recorded without {at}"))?;
            let named =
                image.as_str().and_then(|image| image.rsplit_once(':')).context("an image without a tag")?;
            *image = json!(format!("{}:{}", named.0, component.version));
        }
    }
    Ok(pod)
}
