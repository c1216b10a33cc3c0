//! What lives in the cluster beside nodes and runs, kept by watching, and who uses APIs that go, kept by asking. A new
//! kind is a line in [`Inventories`], one in each of its functions, a conversion, and its right in `deploy/base`.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as extensions;
use kube::api::ListParams;
use kube::{Api, Client};
use lockkeeper_rules::cluster::inventory::{
    Definition, Inventory, Namespace, PersistentVolume, ServedVersion, StorageClass, WebhookBackend,
    WebhookConfiguration, Workload,
};
use lockkeeper_rules::cluster::snapshot::{Node, Source};
use lockkeeper_rules::drain::Budget;
use lockkeeper_rules::wire::kubelet::questions;
use lockkeeper_rules::words::version::Version;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::budget::budget;
use super::kubelet::{Kubelets, configurations};
use super::list::list_all;
use super::pod_images::{Pods, pod_images_now};
use super::polled::Polled;
use super::polled_sources::{PolledConfig, PolledSources};
use super::watch::{Counts, Watch, Watched, keep, values};
use super::webhook::{Backends, backends_now};
use super::{volume, webhook, workload};
use crate::client::kubernetes::Cluster;

/// Every kind that is watched, and the sources that are asked once a minute.
#[derive(Debug)]
pub struct Inventories {
    definitions: Arc<Watched<Definition>>,
    deployments: Arc<Watched<Workload>>,
    daemon_sets: Arc<Watched<Workload>>,
    stateful_sets: Arc<Watched<Workload>>,
    kubelets: Arc<Kubelets>,
    budgets: Arc<Watched<Budget>>,
    namespaces: Arc<Watched<Namespace>>,
    validating_webhooks: Arc<Watched<WebhookConfiguration>>,
    mutating_webhooks: Arc<Watched<WebhookConfiguration>>,
    webhook_backends: Arc<Polled<Vec<WebhookBackend>>>,
    persistent_volumes: Arc<Watched<PersistentVolume>>,
    storage_classes: Arc<Watched<StorageClass>>,
    csi_drivers: Arc<Watched<String>>,
    changed: Arc<Notify>,
    pods: Arc<Pods>,
    polled: Arc<PolledSources>,
}

impl Inventories {
    /// Nothing has been seen yet. `changed` is told of every change.
    #[must_use]
    pub fn new(changed: &Arc<Notify>, polled_config: PolledConfig) -> Self {
        let workloads = [(); 3].map(|()| Arc::new(Watched::new(Arc::clone(changed))));
        let facts = polled_config.facts.clone();
        let pods = Pods::new(workloads.clone(), facts, Arc::clone(changed));
        let [deployments, daemon_sets, stateful_sets] = workloads;
        Self {
            definitions: Arc::new(Watched::new(Arc::clone(changed))),
            deployments,
            daemon_sets,
            stateful_sets,
            pods: Arc::new(pods),
            kubelets: Arc::new(Kubelets::new(Arc::clone(changed))),
            budgets: Arc::new(Watched::new(Arc::clone(changed))),
            namespaces: Arc::new(Watched::new(Arc::clone(changed))),
            validating_webhooks: Arc::new(Watched::new(Arc::clone(changed))),
            mutating_webhooks: Arc::new(Watched::new(Arc::clone(changed))),
            webhook_backends: Arc::new(Polled::new()),
            persistent_volumes: Arc::new(Watched::new(Arc::clone(changed))),
            storage_classes: Arc::new(Watched::new(Arc::clone(changed))),
            csi_drivers: Arc::new(Watched::new(Arc::clone(changed))),
            changed: Arc::clone(changed),
            polled: Arc::new(PolledSources::new(polled_config, Arc::clone(changed))),
        }
    }

    /// Begins to watch and to ask. The tasks end when the set is dropped.
    pub fn open(&self, cluster: &Cluster, tasks: &mut JoinSet<()>) {
        let client = &cluster.client;
        watch(client, |definition| Some(convert(definition)), &self.definitions, tasks);
        watch(client, workload::deployment, &self.deployments, tasks);
        watch(client, workload::daemon_set, &self.daemon_sets, tasks);
        watch(client, workload::stateful_set, &self.stateful_sets, tasks);
        watch(client, |it: &PodDisruptionBudget| Some(budget(it)), &self.budgets, tasks);
        watch(client, webhook::namespace, &self.namespaces, tasks);
        watch(client, webhook::validating, &self.validating_webhooks, tasks);
        watch(client, webhook::mutating, &self.mutating_webhooks, tasks);
        watch(client, volume::persistent_volume, &self.persistent_volumes, tasks);
        watch(client, volume::storage_class, &self.storage_classes, tasks);
        watch(client, volume::csi_driver, &self.csi_drivers, tasks);
        let backends = Backends {
            definitions: Arc::clone(&self.definitions),
            validating: Arc::clone(&self.validating_webhooks),
            mutating: Arc::clone(&self.mutating_webhooks),
            polled: Arc::clone(&self.webhook_backends),
            changed: Arc::clone(&self.changed),
        };
        tasks.spawn(backends.poll(client.clone()));
        tasks.spawn(Arc::clone(&self.pods).poll(client.clone()));
        self.polled.open(client, tasks);
        self.kubelets.open(client, tasks);
    }

    /// Asks the kubelets whose minor one of these targets changes, and no others.
    pub fn want_kubelets(&self, nodes: &[Node], targets: &[Version]) {
        self.kubelets.want(questions(nodes, targets));
    }

    /// Everything as it is known now.
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        let workloads = [&self.deployments, &self.daemon_sets, &self.stateful_sets];
        let webhooks = [&self.validating_webhooks, &self.mutating_webhooks];
        let mut inventory = Inventory {
            definitions: values(self.definitions.source()),
            workloads: workload::joined(workloads.map(|kind| values(kind.source()))),
            budgets: values(self.budgets.source()),
            namespaces: values(self.namespaces.source()),
            webhooks: workload::joined(webhooks.map(|kind| values(kind.source()))),
            webhook_backends: self.webhook_backends.source(),
            persistent_volumes: values(self.persistent_volumes.source()),
            storage_classes: values(self.storage_classes.source()),
            csi_drivers: values(self.csi_drivers.source()),
            pod_images: self.pods.source(),
            ..Inventory::unread()
        };
        self.kubelets.fill(&mut inventory);
        self.polled.fill(&mut inventory);
        inventory
    }

    /// What has happened to each watch, by resource.
    #[must_use]
    pub fn watches(&self) -> [(&'static str, Counts); 11] {
        [
            ("definitions", self.definitions.counts()),
            ("deployments", self.deployments.counts()),
            ("daemon_sets", self.daemon_sets.counts()),
            ("stateful_sets", self.stateful_sets.counts()),
            ("budgets", self.budgets.counts()),
            ("namespaces", self.namespaces.counts()),
            ("validating_webhooks", self.validating_webhooks.counts()),
            ("mutating_webhooks", self.mutating_webhooks.counts()),
            ("persistent_volumes", self.persistent_volumes.counts()),
            ("storage_classes", self.storage_classes.counts()),
            ("csi_drivers", self.csi_drivers.counts()),
        ]
    }

    /// How often each polled source failed.
    pub fn polls(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let backends = ("webhook_backends", self.webhook_backends.errors());
        self.polled.polls().into_iter().chain([backends, ("pod_images", self.pods.errors())])
    }
}

fn watch<K, T>(
    client: &Client,
    convert: fn(&K) -> Option<T>,
    watched: &Arc<Watched<T>>,
    tasks: &mut JoinSet<()>,
) where
    K: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    T: Clone + Send + 'static,
{
    let watch = Watch { api: Api::<K>::all(client.clone()), labels: None, convert };
    tasks.spawn(keep(watch, Arc::clone(watched)));
}

/// One fresh read of everything but the kubelets, which need a target, each within `deadline`: all at once, and then
/// what the webhooks name. Each source succeeds or fails by itself.
pub async fn inventory_now(client: &Client, polled_config: &PolledConfig, deadline: Duration) -> Inventory {
    // Taken before the first request: a proof is never younger than the question.
    let now = Timestamp::now();
    let mut inventory = Inventory::unread();
    let workloads = async {
        let (deployments, daemon_sets, stateful_sets) = tokio::join!(
            listed(client, workload::deployment, now, deadline),
            listed(client, workload::daemon_set, now, deadline),
            listed(client, workload::stateful_set, now, deadline),
        );
        let workloads = workload::joined([deployments, daemon_sets, stateful_sets]);
        let matrix = Arc::clone(&polled_config.facts.borrow().matrix);
        let pod_images = pod_images_now(client, &workloads, &matrix, deadline).await;
        (workloads, pod_images)
    };
    let webhooks = async {
        let (definitions, validating, mutating) = tokio::join!(
            listed(client, |definition| Some(convert(definition)), now, deadline),
            listed(client, webhook::validating, now, deadline),
            listed(client, webhook::mutating, now, deadline),
        );
        let webhooks = workload::joined([validating, mutating]);
        let backends = backends_now(client, &webhooks, &definitions, deadline).await;
        (definitions, webhooks, backends)
    };
    let volumes = async {
        tokio::join!(
            listed(client, volume::persistent_volume, now, deadline),
            listed(client, volume::storage_class, now, deadline),
            listed(client, volume::csi_driver, now, deadline),
        )
    };
    let (workloads, webhooks, volumes, budgets, namespaces, configurations, ()) = tokio::join!(
        workloads,
        webhooks,
        volumes,
        listed(client, |it: &PodDisruptionBudget| Some(budget(it)), now, deadline),
        listed(client, webhook::namespace, now, deadline),
        configurations(client, deadline),
        polled_config.ask_once(client, deadline, &mut inventory),
    );
    let (definitions, webhooks, webhook_backends) = webhooks;
    let (kubelet_config, kube_proxy_config, kubeadm_config) = configurations;
    let (workloads, pod_images) = workloads;
    let (persistent_volumes, storage_classes, csi_drivers) = volumes;
    Inventory {
        definitions,
        workloads,
        budgets,
        namespaces,
        webhooks,
        webhook_backends,
        persistent_volumes,
        storage_classes,
        csi_drivers,
        kubelet_config,
        kube_proxy_config,
        kubeadm_config: Some(kubeadm_config),
        pod_images,
        ..inventory
    }
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
        converter: webhook::converter(object),
    }
}

#[cfg(test)]
mod tests {
    use lockkeeper_rules::cluster::inventory::{Backend, ServiceName};

    use super::*;

    #[test]
    fn a_definition_is_its_versions_and_what_is_stored() {
        let object = serde_json::json!({
            "metadata": {"name": "widgets.example.com"},
            "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Widget", "plural": "widgets"},
                "conversion": {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"],
                    "clientConfig": {"service": {"namespace": "n", "name": "s", "port": 9443}}}},
                "versions": [{"name": "v1beta1", "served": false, "storage": false}, {"name": "v1", "served": true, "storage": true}]},
            "status": {"storedVersions": ["v1beta1", "v1"]}});
        let definition = convert(&serde_json::from_value(object).unwrap());
        assert_eq!(definition.name, "widgets.example.com");
        assert_eq!(
            definition.versions.iter().map(|v| (v.served, v.storage)).collect::<Vec<_>>(),
            [(false, false), (true, true)]
        );
        assert_eq!(definition.stored, ["v1beta1", "v1"]);
        let service = ServiceName { namespace: "n".to_owned(), name: "s".to_owned() };
        assert_eq!(definition.converter, Some(Backend::Service { service, port: Some(9443) }));
    }
}
