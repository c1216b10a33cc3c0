//! What the cluster is there for: a Deployment and a StatefulSet that must go on answering, each with a budget.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::cluster::{Cluster, is_ready};
use super::probe::Probe;
use super::supplies::REPOSITORY;
use crate::wait::wait_for;

/// The Deployment and the StatefulSet, with the port of every node at which each answers.
const WORKLOADS: [(&str, &str, u16); 2] = [("Deployment", "shop", 30_080), ("StatefulSet", "ledger", 30_081)];
const NAMESPACE: &str = "shop";
/// How long an answer may take: longer than a machine under load needs, and shorter than anybody waits for one that is gone.
const ANSWER: Duration = Duration::from_secs(5);

/// Deploys both, waits until they answer, and begins to ask each of them.
///
/// # Errors
/// One of them does not answer.
pub(super) async fn deploy(cluster: &Cluster) -> Result<Vec<(&'static str, Probe)>> {
    let mut objects = vec![json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})];
    for (kind, name, port) in WORKLOADS {
        objects.extend(workload(kind, name, port));
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    cluster.kubectl(&["apply", "--filename=-"], &list.to_string()).await?;
    wait_for("the workloads to be ready", Duration::from_secs(120), || async move {
        let pods = cluster.get(&["pods", "--namespace=shop"]).await?;
        let ready = pods.iter().filter(|pod| is_ready(pod)).count();
        Ok((ready == 2 * WORKLOADS.len()).then_some(()))
    })
    .await?;
    let client = &crate::part::client()?;
    let mut probes = Vec::new();
    for (_, name, port) in WORKLOADS {
        // The way in leads through a machine that is never drained, or is one of several control planes.
        let url = &format!("http://{}:{port}/", cluster.hosts[0].address);
        wait_for(name, Duration::from_secs(30), || crate::part::probe(client, url)).await?;
        probes.push((name, Probe::start(url.clone(), ANSWER)?));
    }
    Ok(probes)
}

fn workload(kind: &str, name: &str, port: u16) -> [Value; 3] {
    let metadata = json!({"name": name, "namespace": NAMESPACE});
    let labels = json!({"app": name});
    // Endpoints hear of a pod's end a little later than the pod does: it answers until they have.
    let pod = json!({
        "terminationGracePeriodSeconds": 10,
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{
            "weight": 100,
            "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": labels}},
        }]}},
        "containers": [{
            "name": "web", "image": format!("{REPOSITORY}/busybox:1"),
            "command": ["sh", "-c", "mkdir -p /www && echo ok >/www/index.html && trap 'exit 0' TERM; httpd -f -p 8080 -h /www & wait"],
            "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
            "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        }],
    });
    let template = json!({"metadata": {"labels": labels}, "spec": pod});
    let mut spec = json!({"replicas": 2, "selector": {"matchLabels": labels}, "template": template});
    if kind == "StatefulSet" {
        spec["serviceName"] = json!(name);
        spec["podManagementPolicy"] = json!("Parallel");
    }
    [
        json!({"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}),
        json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata,
               "spec": {"minAvailable": 1, "selector": {"matchLabels": labels}}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {
            "type": "NodePort", "selector": labels, "ports": [{"port": 80, "targetPort": 8080, "nodePort": port}]}}),
    ]
}
