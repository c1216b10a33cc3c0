//! What lives in the cluster beside nodes and runs, kept by watching. A new kind is a line in [`Inventories`], one in
//! each of its functions, a conversion, and its right in `deploy/base`.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as extensions;
use kube::api::ListParams;
use kube::{Api, Client};
use lockkeeper_rules::inventory::{Definition, Inventory, ServedVersion, Workload};
use lockkeeper_rules::kubelet::questions;
use lockkeeper_rules::snapshot::{Node, Source};
use lockkeeper_rules::version::Version;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::kubelet::{Kubelets, kubelet_config};
use super::list::list_all;
use super::watch::{Counts, Watch, Watched, keep, values};
use super::workload;
use crate::kube_client::Cluster;

/// Every kind that is watched.
#[derive(Debug)]
pub struct Inventories {
    definitions: Arc<Watched<Definition>>,
    deployments: Arc<Watched<Workload>>,
    daemon_sets: Arc<Watched<Workload>>,
    stateful_sets: Arc<Watched<Workload>>,
    kubelets: Arc<Kubelets>,
}

impl Inventories {
    /// Nothing has been seen yet. `changed` is told of every change.
    #[must_use]
    pub fn new(changed: &Arc<Notify>) -> Self {
        Self {
            definitions: Arc::new(Watched::new(Arc::clone(changed))),
            deployments: Arc::new(Watched::new(Arc::clone(changed))),
            daemon_sets: Arc::new(Watched::new(Arc::clone(changed))),
            stateful_sets: Arc::new(Watched::new(Arc::clone(changed))),
            kubelets: Arc::new(Kubelets::new(Arc::clone(changed))),
        }
    }

    /// Begins to watch. The tasks end when the set is dropped.
    pub fn open(&self, cluster: &Cluster, tasks: &mut JoinSet<()>) {
        let definitions = Watch {
            api: Api::<extensions::CustomResourceDefinition>::all(cluster.client.clone()),
            labels: None,
            convert: |definition| Some(convert(definition)),
        };
        let client = || cluster.client.clone();
        let deployments =
            Watch { api: Api::<Deployment>::all(client()), labels: None, convert: workload::deployment };
        let daemon_sets =
            Watch { api: Api::<DaemonSet>::all(client()), labels: None, convert: workload::daemon_set };
        let stateful_sets =
            Watch { api: Api::<StatefulSet>::all(client()), labels: None, convert: workload::stateful_set };
        tasks.spawn(keep(definitions, Arc::clone(&self.definitions)));
        tasks.spawn(keep(deployments, Arc::clone(&self.deployments)));
        tasks.spawn(keep(daemon_sets, Arc::clone(&self.daemon_sets)));
        tasks.spawn(keep(stateful_sets, Arc::clone(&self.stateful_sets)));
        self.kubelets.open(&cluster.client, tasks);
    }

    /// Asks the kubelets whose minor one of these targets changes, and no others.
    pub fn want_kubelets(&self, nodes: &[Node], targets: &[Version]) {
        self.kubelets.want(questions(nodes, targets));
    }

    /// Everything as it is known now.
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        let workloads = [&self.deployments, &self.daemon_sets, &self.stateful_sets];
        let mut inventory = Inventory {
            definitions: values(self.definitions.source()),
            workloads: workload::joined(workloads.map(|kind| values(kind.source()))),
            ..Inventory::unread()
        };
        self.kubelets.tell(&mut inventory);
        inventory
    }

    /// What has happened to each watch, by resource.
    #[must_use]
    pub fn watches(&self) -> [(&'static str, Counts); 4] {
        [
            ("definitions", self.definitions.counts()),
            ("deployments", self.deployments.counts()),
            ("daemon_sets", self.daemon_sets.counts()),
            ("stateful_sets", self.stateful_sets.counts()),
        ]
    }
}

/// One fresh read of everything but the kubelets, which need a target, all at once, each within `deadline`. Each source
/// succeeds or fails by itself.
pub async fn inventory_now(client: &Client, deadline: Duration) -> Inventory {
    // Taken before the first request: a proof is never younger than the question.
    let now = Timestamp::now();
    let (definitions, deployments, daemon_sets, stateful_sets, kubelet_config) = tokio::join!(
        listed(client, |definition| Some(convert(definition)), now, deadline),
        listed(client, workload::deployment, now, deadline),
        listed(client, workload::daemon_set, now, deadline),
        listed(client, workload::stateful_set, now, deadline),
        kubelet_config(client, deadline),
    );
    let workloads = workload::joined([deployments, daemon_sets, stateful_sets]);
    Inventory { definitions, workloads, kubelet_config, ..Inventory::unread() }
}

async fn listed<K, T>(
    client: &Client,
    convert: fn(&K) -> Option<T>,
    now: Timestamp,
    deadline: Duration,
) -> Source<Vec<T>>
where
    K: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    match list_all(&Api::<K>::all(client.clone()), &ListParams::default(), deadline).await {
        Ok(listed) => Source::read(listed.items.iter().filter_map(convert).collect(), now),
        Err(error) => Source::failed(format!("{}: {error}", K::plural(&()))),
    }
}

fn convert(object: &extensions::CustomResourceDefinition) -> Definition {
    let version = |version: &extensions::CustomResourceDefinitionVersion| ServedVersion {
        name: version.name.clone(),
        served: version.served,
        storage: version.storage,
    };
    let status = object.status.as_ref();
    Definition {
        name: object.metadata.name.clone().unwrap_or_default(),
        versions: object.spec.versions.iter().map(version).collect(),
        stored: status.and_then(|status| status.stored_versions.clone()).unwrap_or_default(),
        has_conversion_webhook: object.spec.conversion.as_ref().is_some_and(|it| it.strategy == "Webhook"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_its_versions_and_what_is_stored() {
        let object = serde_json::json!({
            "metadata": {"name": "widgets.example.com"},
            "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Widget", "plural": "widgets"},
                "conversion": {"strategy": "Webhook"},
                "versions": [{"name": "v1beta1", "served": false, "storage": false}, {"name": "v1", "served": true, "storage": true}]},
            "status": {"storedVersions": ["v1beta1", "v1"]}});
        let definition = convert(&serde_json::from_value(object).unwrap());
        assert_eq!(definition.name, "widgets.example.com");
        assert_eq!(
            definition.versions.iter().map(|v| (v.served, v.storage)).collect::<Vec<_>>(),
            [(false, false), (true, true)]
        );
        assert_eq!(definition.stored, ["v1beta1", "v1"]);
        assert!(definition.has_conversion_webhook);
    }
}
