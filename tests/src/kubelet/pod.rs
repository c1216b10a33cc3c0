//! Pods of simulated nodes: they run, become Ready, succeed if a Job owns them, and end when deleted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use serde_json::{Value, json};

use super::node::Kubelet;
use super::{NodeFaults, PodPace};

/// A pod with this label runs and never becomes Ready.
pub(crate) const NEVER_READY: &str = "lockkeeper.test/never-ready";

/// When something was first seen of each pod, by uid.
#[derive(Debug, Default)]
pub(super) struct Pods {
    ending: BTreeMap<String, Instant>,
    running: BTreeMap<String, Instant>,
}

enum Change {
    Run,
    Succeed,
    Remove,
}

impl Pods {
    pub(super) async fn keep(
        &mut self,
        client: &Client,
        nodes: &[Kubelet],
        faults: &BTreeMap<String, NodeFaults>,
        pace: PodPace,
        now: Instant,
    ) -> Result<()> {
        let pods = Api::<Pod>::all(client.clone()).list(&ListParams::default()).await?.items;
        let there: Vec<&str> = pods.iter().filter_map(|pod| pod.metadata.uid.as_deref()).collect();
        self.ending.retain(|uid, _| there.contains(&uid.as_str()));
        self.running.retain(|uid, _| there.contains(&uid.as_str()));
        for pod in &pods {
            let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
            let Some(kubelet) = nodes.iter().find(|kubelet| kubelet.spec.name == node) else { continue };
            let faults = faults.get(node).copied().unwrap_or_default();
            if kubelet.silent(faults) {
                continue;
            }
            if let Some(change) = self.next(pod, faults, pace, now) {
                apply(client, pod, &change).await?;
            }
        }
        Ok(())
    }

    fn next(&mut self, pod: &Pod, faults: NodeFaults, pace: PodPace, now: Instant) -> Option<Change> {
        let uid = pod.metadata.uid.clone()?;
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending");
        let waited = |since: Instant, time: Duration| now.duration_since(since) >= time;
        if pod.metadata.deletion_timestamp.is_some() {
            let since = *self.ending.entry(uid).or_insert(now);
            return (!faults.pods_stuck && waited(since, pace.end)).then_some(Change::Remove);
        }
        match phase {
            "Pending" => Some(Change::Run),
            "Running" if is_of_job(pod) => {
                let since = *self.running.entry(uid).or_insert(now);
                waited(since, pace.job).then_some(Change::Succeed)
            }
            _ => None,
        }
    }
}

fn is_of_job(pod: &Pod) -> bool {
    pod.metadata.owner_references.iter().flatten().any(|owner| owner.kind == "Job")
}

async fn apply(client: &Client, pod: &Pod, change: &Change) -> Result<()> {
    let meta = &pod.metadata;
    let (Some(namespace), Some(name)) = (&meta.namespace, &meta.name) else { return Ok(()) };
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let answer = match change {
        Change::Remove => {
            let mut now = DeleteParams::default().grace_period(0);
            now.preconditions = Some(Preconditions { uid: meta.uid.clone(), resource_version: None });
            pods.delete(name, &now).await.map(drop)
        }
        Change::Run => patch(&pods, name, running(pod)).await,
        Change::Succeed => patch(&pods, name, succeeded(pod)).await,
    };
    match answer {
        // Somebody else was faster; the next round sees what is there.
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
        answer => Ok(answer?),
    }
}

async fn patch(pods: &Api<Pod>, name: &str, status: Value) -> kube::Result<()> {
    pods.patch_status(name, &PatchParams::default(), &Patch::Merge(json!({"status": status}))).await.map(drop)
}

/// The status of a running pod.
fn running(pod: &Pod) -> Value {
    let ready = pod.metadata.labels.as_ref().is_none_or(|labels| !labels.contains_key(NEVER_READY));
    let now = now();
    let condition = |kind: &str, on: bool| json!({"type": kind, "status": if on { "True" } else { "False" }, "lastTransitionTime": now});
    json!({
        "phase": "Running", "startTime": now, "podIP": "10.244.0.2", "podIPs": [{"ip": "10.244.0.2"}],
        "conditions": [condition("PodScheduled", true), condition("Initialized", true),
                       condition("ContainersReady", ready), condition("Ready", ready)],
        "containerStatuses": containers(pod, ready, &json!({"running": {"startedAt": now}})),
    })
}

fn succeeded(pod: &Pod) -> Value {
    let now = now();
    let end =
        json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}});
    let condition = |kind: &str| json!({"type": kind, "status": "False", "reason": "PodCompleted", "lastTransitionTime": now});
    json!({
        "phase": "Succeeded",
        "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": now},
                       condition("ContainersReady"), condition("Ready")],
        "containerStatuses": containers(pod, false, &end),
    })
}

fn containers(pod: &Pod, ready: bool, state: &Value) -> Value {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers
        .map(|container| {
            json!({"name": container.name, "image": container.image, "imageID": "", "ready": ready,
                   "restartCount": 0, "started": ready, "state": state})
        })
        .collect()
}

/// This moment, as the API writes it.
pub(super) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
