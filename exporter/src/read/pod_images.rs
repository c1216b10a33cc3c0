//! What the pods of add-ons run. Asked for once a minute, by the labels of their templates, and only where the operator
//! wants it: a watch would be told of every pod of the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client};
use lockkeeper_rules::cluster::inventory::{PodImages, RunningImage, Workload, WorkloadKind};
use lockkeeper_rules::cluster::snapshot::Source;
use lockkeeper_rules::facts::reload::InForce;
use lockkeeper_rules::facts::{AddonPods, Matrix};
use lockkeeper_rules::verdict::addon_workloads;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use super::list::list_all;
use super::polled::Polled;
use super::watch::{Watched, values};
use super::workload::joined;
use crate::client::deadline::within;

/// How often the pods are asked for.
const PAUSE: Duration = Duration::from_secs(60);
/// The pause after no answer, and until the add-ons are known.
const RETRY: Duration = Duration::from_secs(5);
/// How long all of them may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// How many workloads are asked about; a cluster has some dozens of add-ons.
const WORKLOADS_MAX: usize = 500;
/// How many are asked about at the same time.
const AT_ONCE: usize = 4;

/// The pods of add-ons, asked for again and again.
#[derive(Debug)]
pub(super) struct Pods {
    /// Deployments, DaemonSets and StatefulSets.
    workloads: [Arc<Watched<Workload>>; 3],
    facts: watch::Receiver<InForce>,
    polled: Polled<Vec<PodImages>>,
    changed: Arc<Notify>,
}

impl Pods {
    /// Nothing has been asked yet. `changed` is told of every answer.
    pub(super) fn new(
        workloads: [Arc<Watched<Workload>>; 3],
        facts: watch::Receiver<InForce>,
        changed: Arc<Notify>,
    ) -> Self {
        Self { workloads, facts, polled: Polled::new(), changed }
    }

    /// What was answered last; nothing where nobody wants to know.
    pub(super) fn source(&self) -> Option<Source<Vec<PodImages>>> {
        is_wanted(&self.facts.borrow().matrix).then(|| self.polled.source())
    }

    /// How often that has failed.
    pub(super) fn errors(&self) -> u64 {
        self.polled.errors()
    }

    /// Asks for ever.
    pub(super) async fn poll(self: Arc<Self>, client: Client) {
        loop {
            let matrix = Arc::clone(&self.facts.borrow().matrix);
            let mut pause = RETRY;
            if is_wanted(&matrix) {
                let asked_at = Timestamp::now();
                let workloads = joined([0, 1, 2].map(|kind: usize| values(self.workloads[kind].source())));
                let read = read_images(&client, &workloads, &matrix, DEADLINE).await;
                if read.is_ok() {
                    pause = PAUSE;
                }
                self.polled.note(read, asked_at);
                self.changed.notify_one();
            }
            sleep(pause).await;
        }
    }
}

fn is_wanted(matrix: &Matrix) -> bool {
    match matrix.policy.value.addon_pods {
        AddonPods::Required => true,
        AddonPods::Note => false,
    }
}

/// One fresh read within `deadline`; nothing where nobody wants to know.
pub(super) async fn pod_images_now(
    client: &Client,
    workloads: &Source<Vec<Workload>>,
    matrix: &Matrix,
    deadline: Duration,
) -> Option<Source<Vec<PodImages>>> {
    if !is_wanted(matrix) {
        return None;
    }
    let asked_at = Timestamp::now();
    Some(match read_images(client, workloads, matrix, deadline).await {
        Ok(images) => Source::read(images, asked_at),
        Err(why) => Source::failed(why),
    })
}

async fn read_images(
    client: &Client,
    workloads: &Source<Vec<Workload>>,
    matrix: &Matrix,
    deadline: Duration,
) -> Result<Vec<PodImages>, String> {
    let all = workloads.value.as_deref().ok_or("not asked: the workloads are not known")?;
    let addons = addon_workloads(all, &matrix.addons.value);
    if addons.len() > WORKLOADS_MAX {
        return Err(format!("rows of add-ons mean {} workloads, more than {WORKLOADS_MAX}", addons.len()));
    }
    let each = stream::iter(addons.into_iter().cloned()).map(|it| one(client, it, deadline));
    let images = each.buffered(AT_ONCE).try_collect();
    within(deadline, images).await.map_err(|late| format!("the pods of add-ons: {late}"))?
}

async fn one(client: &Client, workload: Workload, deadline: Duration) -> Result<PodImages, String> {
    let labels: Vec<_> = workload.pod_labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if labels.is_empty() {
        return Err(format!("pods of {workload}: its template has no labels"));
    }
    let pods: Api<Pod> = Api::namespaced(client.clone(), &workload.namespace);
    let listed = list_all(&pods, &ListParams::default().labels(&labels.join(",")), deadline).await;
    let pods = listed.map_err(|error| format!("pods of {workload}: {error}"))?.items;
    Ok(images(&workload, &pods))
}

/// What these pods run, of those that are the workload's and have not ended.
fn images(workload: &Workload, pods: &[Pod]) -> PodImages {
    let (mut seen, mut counts) = (0, BTreeMap::new());
    for pod in pods.iter().filter(|pod| is_of(workload, pod)) {
        let Some(status) = pod.status.as_ref().filter(|it| !has_ended(it.phase.as_deref())) else { continue };
        seen += 1;
        let lists = [&status.container_statuses, &status.init_container_statuses];
        for container in lists.into_iter().flatten().flatten() {
            *counts.entry((container.name.clone(), container.image_id.clone())).or_insert(0) += 1;
        }
    }
    let image = |((container, image_id), pods)| RunningImage { container, image_id, pods };
    let Workload { kind, namespace, name, .. } = workload;
    PodImages {
        kind: *kind,
        namespace: namespace.clone(),
        name: name.clone(),
        pods: seen,
        images: counts.into_iter().map(image).collect(),
    }
}

fn has_ended(phase: Option<&str>) -> bool {
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Whether a pod with the labels is the workload's: others may wear the same. A Deployment's ReplicaSets have its name
/// and a hash.
fn is_of(workload: &Workload, pod: &Pod) -> bool {
    let owners = pod.metadata.owner_references.iter().flatten();
    let Some(owner) = owners.into_iter().find(|owner| owner.controller == Some(true)) else { return false };
    let is_named = |kind: &str| owner.kind == kind && owner.name == workload.name;
    match workload.kind {
        WorkloadKind::DaemonSet => is_named("DaemonSet"),
        WorkloadKind::StatefulSet => is_named("StatefulSet"),
        WorkloadKind::Deployment => {
            let hash = owner.name.strip_prefix(&workload.name).and_then(|rest| rest.strip_prefix('-'));
            owner.kind == "ReplicaSet" && hash.is_some_and(|hash| !hash.is_empty() && !hash.contains('-'))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(owner: (&str, &str), phase: &str, image_id: &str) -> Pod {
        let (kind, name) = owner;
        let object = json!({
            "metadata": {"ownerReferences": [{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "u", "controller": true}]},
            "status": {"phase": phase, "containerStatuses": [{"name": "main", "image": "x", "imageID": image_id,
                "ready": true, "restartCount": 0}]}});
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn the_pods_of_a_workload_are_counted_by_what_they_run() {
        let set = Workload::silent(WorkloadKind::Deployment, "n", "web");
        let seen = images(
            &set,
            &[
                pod(("ReplicaSet", "web-5d4f"), "Running", "r/x@sha256:a"),
                pod(("ReplicaSet", "web-5d4f"), "Running", "r/x@sha256:a"),
                pod(("ReplicaSet", "web-5d4f"), "Pending", ""),
                pod(("ReplicaSet", "web-5d4f"), "Failed", "r/x@sha256:old"),
                pod(("ReplicaSet", "web-api-77c"), "Running", "r/x@sha256:other"),
                pod(("DaemonSet", "web"), "Running", "r/x@sha256:other"),
            ],
        );
        let running = |image_id: &str, pods| RunningImage {
            container: "main".to_owned(),
            image_id: image_id.to_owned(),
            pods,
        };
        assert_eq!((seen.pods, seen.images), (3, vec![running("", 1), running("r/x@sha256:a", 2)]));
        let daemons = Workload::silent(WorkloadKind::DaemonSet, "n", "web");
        assert_eq!(images(&daemons, &[pod(("DaemonSet", "web"), "Running", "r/x@sha256:a")]).pods, 1);
    }
}
