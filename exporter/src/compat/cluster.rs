//! What seed mode reads of a cluster: images of the workloads that a matrix names, and what the nodes report.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use http::Request;
use k8s_openapi::api::core::v1 as core;
use kube::api::ListParams;
use kube::{Api, Client};
use serde_json::Value;

use super::{Workload, workloads};
use crate::client::kubernetes::explain;
use crate::read::list::list_all;

/// How long one read may take.
const DEADLINE: Duration = Duration::from_secs(15);
/// How many workloads are asked for at once.
const AT_ONCE: usize = 16;

/// What was seen. A failed read is an empty text, with its error beside it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// The images of each workload's containers, with spaces between them.
    pub images: BTreeMap<Workload, String>,
    /// A line with the kubelet's version for each node.
    pub kubelets: String,
    /// A line with name and container runtime for each node.
    pub runtimes: String,
    /// What could not be read.
    pub errors: Vec<String>,
}

/// Reads all of it.
pub async fn seen(client: &Client, matrix: &[u8]) -> Seen {
    let nodes: Api<core::Node> = Api::all(client.clone());
    let all = ListParams::default();
    let images = futures::stream::iter(workloads(matrix)).map(async |workload| {
        let read = images(client, &workload).await;
        (workload, read)
    });
    let (nodes, images) =
        tokio::join!(list_all(&nodes, &all, DEADLINE), images.buffer_unordered(AT_ONCE).collect::<Vec<_>>());
    let mut seen = Seen::default();
    match nodes {
        Ok(nodes) => (seen.kubelets, seen.runtimes) = reported(&nodes.items),
        Err(error) => seen.errors.push(format!("nodes: {error}")),
    }
    for (workload, read) in images {
        match read {
            Ok(images) => {
                seen.images.insert(workload, images);
            }
            Err(error) => {
                let Workload { namespace, kind, name } = workload;
                seen.errors.push(format!("{kind:?} {name:?} in namespace {namespace:?}: {error}"));
            }
        }
    }
    seen.errors.sort();
    seen
}

fn reported(nodes: &[core::Node]) -> (String, String) {
    let lines = |line: fn(&str, &core::NodeSystemInfo) -> String| {
        let of = |node: &core::Node| {
            let name = node.metadata.name.clone().unwrap_or_default();
            let info = node.status.as_ref().and_then(|status| status.node_info.clone()).unwrap_or_default();
            line(&name, &info)
        };
        nodes.iter().map(of).collect::<Vec<_>>().join("\n").trim().to_owned()
    };
    (
        lines(|_name, info| info.kubelet_version.clone()),
        lines(|name, info| format!("{name} {}", info.container_runtime_version)),
    )
}

async fn images(client: &Client, workload: &Workload) -> Result<String, String> {
    let path = path(workload, client.default_namespace())?;
    let request = Request::get(path).body(Vec::new()).map_err(|error| error.to_string())?;
    let asked = tokio::time::timeout(DEADLINE, client.request::<Value>(request));
    let late = |_elapsed| format!("no answer from the API server within {} s", DEADLINE.as_secs());
    let object = asked.await.map_err(late)?.map_err(|error| explain(&error))?;
    Ok(joined(&object))
}

fn joined(object: &Value) -> String {
    let containers = object.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let images = containers.into_iter().flatten().filter_map(|container| container.get("image")?.as_str());
    images.collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// The kinds that have a template, by the names that kubectl knows them by.
const KINDS: [(&str, &str, [&str; 3]); 6] = [
    ("apis/apps/v1", "daemonsets", ["ds", "daemonset", "daemonsets"]),
    ("apis/apps/v1", "deployments", ["deploy", "deployment", "deployments"]),
    ("apis/apps/v1", "replicasets", ["rs", "replicaset", "replicasets"]),
    ("apis/apps/v1", "statefulsets", ["sts", "statefulset", "statefulsets"]),
    ("apis/batch/v1", "jobs", ["job", "job", "jobs"]),
    ("api/v1", "replicationcontrollers", ["rc", "replicationcontroller", "replicationcontrollers"]),
];

fn path(workload: &Workload, default_namespace: &str) -> Result<String, String> {
    let Workload { namespace, kind, name } = workload;
    let namespace = if namespace.is_empty() { default_namespace } else { namespace };
    let is_name = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
            && text.bytes().any(|byte| byte != b'.')
    };
    if !is_name(namespace) || !is_name(name) {
        return Err("no object can have that name; check the matrix".to_owned());
    }
    let kind = kind.to_lowercase();
    // kubectl takes a kind with its group, such as deployments.apps or deployments.v1.apps.
    let (word, group) = kind.split_once('.').unwrap_or((&kind, ""));
    let fits = |(prefix, _, words): &&(&str, &str, [&str; 3])| {
        let [own, version] = prefix.rsplit('/').nth(1).map_or(["", ""], |own| [own, "v1"]);
        words.contains(&word) && (group.is_empty() || group == own || group == format!("{version}.{own}"))
    };
    let found = KINDS.iter().find(fits);
    let (prefix, plural, _) = found.ok_or("not a kind with a template; check the matrix")?;
    Ok(format!("/{prefix}/namespaces/{namespace}/{plural}/{name}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_kind_is_known_by_every_name_that_kubectl_takes() {
        let asked = |namespace: &str, kind: &str, name: &str| {
            let [namespace, kind, name] = [namespace, kind, name].map(str::to_owned);
            path(&Workload { namespace, kind, name }, "default")
        };
        for kind in ["ds", "DaemonSet", "daemonsets", "daemonsets.apps", "daemonsets.v1.apps"] {
            assert_eq!(asked("n", kind, "a").unwrap(), "/apis/apps/v1/namespaces/n/daemonsets/a", "{kind}");
        }
        assert_eq!(asked("", "job", "a").unwrap(), "/apis/batch/v1/namespaces/default/jobs/a");
        for (namespace, kind, name) in [
            ("n", "ds", "../../secrets/a"),
            ("n", "ds", ".."),
            ("n", "ds", ""),
            ("n/x", "ds", "a"),
            ("n", "secret", "a"),
            ("n", "ds.batch", "a"),
        ] {
            assert!(asked(namespace, kind, name).is_err(), "{namespace} {kind} {name}");
        }
    }

    #[test]
    fn images_and_reports_are_joined_as_kubectl_prints_them() {
        let object =
            json!({"spec": {"template": {"spec": {"containers": [{"image": "a:1"}, {}, {"image": "b:2"}]}}}});
        assert_eq!(joined(&object), "a:1 b:2");
        assert_eq!(joined(&json!({})), "");
        let node = |name: &str, kubelet: &str| {
            let info = json!({"kubeletVersion": kubelet, "containerRuntimeVersion": "containerd://2.2.0", "machineID": "",
                "bootID": "", "architecture": "", "kernelVersion": "", "kubeProxyVersion": "", "operatingSystem": "",
                "osImage": "", "systemUUID": ""});
            serde_json::from_value(json!({"metadata": {"name": name}, "status": {"nodeInfo": info}})).unwrap()
        };
        let (kubelets, runtimes) = reported(&[node("a", "v1.35.3+k3s1"), node("b", "v1.36.0")]);
        assert_eq!(kubelets, "v1.35.3+k3s1\nv1.36.0");
        assert_eq!(runtimes, "a containerd://2.2.0\nb containerd://2.2.0");
    }
}
