//! How the actuator sees the cluster. Whoever looks at it asks here, gets each part with the time at which it was proven, and
//! never learns how it was read.
//!
//! There are two kinds of reading, and a type for each. A [`ClusterView`] is for choosing: what comes next, and what stands
//! against it. It may be as old as the rules let it be, so that watches can stand behind it. [`ByName`] is for an act: each
//! of its questions goes to the API server, and begins after it was called, so that it began after the intent of whoever
//! asks. What is read only to be written over (the Lease of the leader, finalizers) is part of that write.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1 as core;
use kube::{Api, Client};
use lockkeeper_exporter::client::backend::CALL_DEADLINE;
use lockkeeper_exporter::client::kubernetes::{Cluster, call};
use lockkeeper_exporter::read::inventory::Inventories;
use lockkeeper_exporter::read::now::{self, snapshot_now};
use lockkeeper_exporter::read::{attached_volume, budget, convert, place, pod};
use lockkeeper_rules::api::UpgradeRun;
use lockkeeper_rules::cluster::inventory::Inventory;
use lockkeeper_rules::cluster::snapshot::{Node, Packages, RunElsewhere, Snapshot, Source};
use lockkeeper_rules::drain::{AttachedVolume, Budget, Place, Pod};
use lockkeeper_rules::facts::Matrix;
use lockkeeper_rules::facts::reload::InForce;
use lockkeeper_rules::words::name::NodeName;
use lockkeeper_rules::words::version::Version;
use tokio::sync::watch;

use crate::lease::LeaseAt;

/// How long one request to the API server may take.
pub(crate) const REQUEST_DEADLINE: Duration = Duration::from_secs(5);

/// How long one read of the cluster may take, and one of a Lease or of the runs.
const READ_DEADLINE: Duration = Duration::from_secs(3);
/// How long the runs that are not served may take: as long as it lasts, no run that is served has its turn.
const ELSEWHERE_DEADLINE: Duration = Duration::from_secs(2);

/// What is looked at to choose.
#[derive(Debug, Clone)]
pub struct ClusterView {
    /// The API server.
    pub api: Arc<Cluster>,
    /// Those whose runs are served.
    pub namespaces: Vec<String>,
    /// What the package repository offers, read beside the turns.
    pub packages: watch::Receiver<Source<Packages>>,
    /// What lives in the cluster beside nodes and runs, watched beside the turns.
    pub inventories: Arc<Inventories>,
    /// What is known of versions.
    pub facts: watch::Receiver<InForce>,
}

impl ClusterView {
    /// Nodes with their Leases, API servers, static pods, controllers' Leases, packages, and the runs that are served.
    pub async fn snapshot(&self) -> Snapshot {
        let packages = self.packages.borrow().clone();
        snapshot_now(&self.api, packages, &self.namespaces, READ_DEADLINE).await
    }

    /// The same for a live check, which has no question about packages. All of it is asked for after the call.
    pub async fn snapshot_for_check(&self) -> Snapshot {
        snapshot_now(&self.api, Source::unread(), &self.namespaces, CALL_DEADLINE).await
    }

    /// The runs that are not served.
    pub async fn runs_elsewhere(&self) -> Source<Vec<RunElsewhere>> {
        now::runs_elsewhere(&self.api.client, &self.namespaces, ELSEWHERE_DEADLINE).await
    }

    /// Every pod. With several nodes at a time a drain is judged by these as well as by [`ByName::pods_on`]: once they come
    /// from a watch, those of the nodes in hand must still be read by name.
    pub async fn all_pods(&self) -> Source<Vec<Pod>> {
        pod::all_pods(&self.api.client, REQUEST_DEADLINE).await
    }

    /// Every `PodDisruptionBudget`.
    pub async fn budgets(&self) -> Source<Vec<Budget>> {
        budget::budgets(&self.api.client, REQUEST_DEADLINE).await
    }

    /// Every node, as a scheduler sees it.
    pub async fn places(&self) -> Source<Vec<Place>> {
        place::places(&self.api.client, REQUEST_DEADLINE).await
    }

    /// The same API server, asked for an act.
    #[must_use]
    pub fn by_name(&self) -> ByName<'_> {
        ByName(&self.api.client)
    }

    /// What lives in the cluster beside nodes and runs.
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        self.inventories.inventory()
    }

    /// Asks the kubelets whose minor one of these targets changes, and no others.
    pub fn want_kubelets(&self, nodes: &[Node], targets: &[Version]) {
        self.inventories.want_kubelets(nodes, targets);
    }

    /// What is known of versions.
    #[must_use]
    pub fn matrix(&self) -> Arc<Matrix> {
        Arc::clone(&self.facts.borrow().matrix)
    }
}

/// What is read for an act. Nothing here may ever be served from memory.
#[derive(Clone, Copy)]
pub struct ByName<'a>(pub &'a Client);

impl ByName<'_> {
    /// A Lease; nothing if there is none.
    pub async fn lease(&self, namespace: &str, name: &str) -> Source<Option<Lease>> {
        let asked_at = Timestamp::now();
        let at = LeaseAt { client: self.0, namespace, name, deadline: READ_DEADLINE };
        Source::asked(asked_at, at.read().await)
    }

    /// The runs of these namespaces, whole, and the metadata of all others: one of them may hold the lock.
    pub async fn runs(&self, namespaces: &[String]) -> (Source<Vec<UpgradeRun>>, Source<Vec<RunElsewhere>>) {
        let asked_at = Timestamp::now();
        let (served, elsewhere) = tokio::join!(
            now::runs(self.0, namespaces, READ_DEADLINE),
            now::runs_elsewhere(self.0, namespaces, READ_DEADLINE),
        );
        (Source::asked(asked_at, served), elsewhere)
    }

    /// A run, whole; nothing if it is gone.
    pub async fn run(&self, namespace: &str, name: &str) -> Source<Option<UpgradeRun>> {
        let asked_at = Timestamp::now();
        Source::asked(asked_at, now::run(self.0, namespace, name, ELSEWHERE_DEADLINE).await)
    }

    /// A node without its Lease; nothing if it is gone.
    pub async fn node(&self, node: &NodeName) -> Source<Option<Node>> {
        let asked_at = Timestamp::now();
        let nodes: Api<core::Node> = Api::all(self.0.clone());
        let read = call(REQUEST_DEADLINE, nodes.get_opt(&node.0)).await;
        Source::asked(asked_at, read.map(|node| node.map(|node| convert::node(&node, None))))
    }

    /// The pods on these nodes: one that cannot be asked for leaves all of them unread.
    pub async fn pods_on(&self, nodes: &BTreeSet<NodeName>) -> Source<Vec<Pod>> {
        pod::pods_on(self.0, nodes, REQUEST_DEADLINE).await
    }

    /// The uid that a pod's name has; nothing if there is no such pod.
    pub async fn pod_uid(&self, namespace: &str, name: &str) -> Source<Option<String>> {
        let asked_at = Timestamp::now();
        let pods: Api<core::Pod> = Api::namespaced(self.0.clone(), namespace);
        let read = call(REQUEST_DEADLINE, pods.get_metadata_opt(name)).await;
        Source::asked(asked_at, read.map(|pod| pod.and_then(|pod| pod.metadata.uid)))
    }

    /// The volumes that are attached to a node, each with its claim.
    pub async fn volumes_on(&self, node: &NodeName) -> Source<Vec<AttachedVolume>> {
        attached_volume::volumes_on(self.0, node, REQUEST_DEADLINE).await
    }
}
