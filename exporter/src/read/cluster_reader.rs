//! All sources together, kept up to date for as long as the process lives.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1 as core;
use kube::Api;
use lockkeeper_rules::api::UpgradeRun;
use lockkeeper_rules::cluster::inventory::Inventory;
use lockkeeper_rules::cluster::snapshot::{
    ApiServer, ControllerLease, Node, Packages, Snapshot, Source, StaticPod, served_apart,
};
use lockkeeper_rules::words::version::Version;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::inventory::Inventories;
use super::packages::Repository;
use super::polled::Polled;
use super::polled_sources::PolledConfig;
use super::upgrade_run::RawUpgradeRun;
use super::watch::{Counts, Watch, Watched, keep, values};
use super::{convert, now};
use crate::client::kubernetes::Cluster;
use crate::telemetry::chain;

/// How often the API servers are asked for their version and readiness.
const API_SERVERS_PAUSE: Duration = Duration::from_secs(5);
/// How long an API server may take to answer.
const API_SERVER_DEADLINE: Duration = Duration::from_secs(5);
/// The pause after an index could not be read.
const PACKAGES_RETRY: Duration = Duration::from_secs(30);

/// Everything that is watched and polled.
#[derive(Debug)]
pub struct ClusterReader {
    changed: Arc<Notify>,
    nodes: Arc<Watched<Node>>,
    node_leases: Arc<Watched<Option<Timestamp>>>,
    static_pods: Arc<Watched<StaticPod>>,
    controller_leases: Arc<Watched<ControllerLease>>,
    runs: Arc<Watched<UpgradeRun>>,
    /// Those whose runs are served.
    namespaces: Vec<String>,
    inventories: Inventories,
    api_servers: Polled<Vec<ApiServer>>,
    packages: Polled<Packages>,
}

impl ClusterReader {
    /// A reader that has read nothing yet; `namespaces` are those whose runs are served.
    #[must_use]
    pub fn new(polled_config: PolledConfig, namespaces: Vec<String>) -> Arc<Self> {
        let changed = Arc::new(Notify::new());
        Arc::new(Self {
            nodes: Arc::new(Watched::new(Arc::clone(&changed))),
            node_leases: Arc::new(Watched::new(Arc::clone(&changed))),
            static_pods: Arc::new(Watched::new(Arc::clone(&changed))),
            controller_leases: Arc::new(Watched::new(Arc::clone(&changed))),
            runs: Arc::new(Watched::new(Arc::clone(&changed))),
            namespaces,
            inventories: Inventories::new(&changed, polled_config),
            api_servers: Polled::new(),
            packages: Polled::new(),
            changed,
        })
    }

    /// Begins to read. The tasks end when the set is dropped; none of them ends by itself.
    #[must_use]
    pub fn start(
        self: &Arc<Self>,
        cluster: Arc<Cluster>,
        repository: Repository,
        packages_pause: Duration,
    ) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let client = || cluster.client.clone();
        let nodes = Watch {
            api: Api::<core::Node>::all(client()),
            labels: None,
            convert: |node| Some(convert::node(node, None)),
        };
        let node_leases = Watch {
            api: Api::<Lease>::namespaced(client(), convert::NODE_LEASE_NAMESPACE),
            labels: None,
            convert: |lease| Some(convert::renewed_at(lease)),
        };
        let static_pods = Watch {
            api: Api::<core::Pod>::namespaced(client(), convert::SYSTEM_NAMESPACE),
            labels: Some(convert::CONTROL_PLANE_SELECTOR),
            convert: convert::static_pod,
        };
        let controller_leases = Watch {
            api: Api::<Lease>::namespaced(client(), convert::SYSTEM_NAMESPACE),
            labels: None,
            convert: convert::controller_lease,
        };
        let runs = Watch {
            api: Api::<RawUpgradeRun>::all(client()),
            labels: None,
            convert: |run| Some(UpgradeRun::from(run.clone())),
        };
        tasks.spawn(keep(nodes, Arc::clone(&self.nodes)));
        tasks.spawn(keep(node_leases, Arc::clone(&self.node_leases)));
        tasks.spawn(keep(static_pods, Arc::clone(&self.static_pods)));
        tasks.spawn(keep(controller_leases, Arc::clone(&self.controller_leases)));
        tasks.spawn(keep(runs, Arc::clone(&self.runs)));
        self.inventories.open(&cluster, &mut tasks);
        tasks.spawn(Arc::clone(self).poll_api_servers(cluster));
        tasks.spawn(Arc::clone(self).poll_packages(repository, packages_pause));
        tasks
    }

    /// Resolves when something has changed since it resolved last.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Everything as it is known now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let (runs, runs_elsewhere) = served_apart(values(self.runs.source()), &self.namespaces);
        Snapshot {
            nodes: with_leases(self.nodes.source(), &self.node_leases.source()),
            api_servers: self.api_servers.source(),
            static_pods: values(self.static_pods.source()),
            controller_leases: values(self.controller_leases.source()),
            packages: self.packages.source(),
            runs,
            runs_elsewhere,
        }
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

    /// What has happened to each watch, by resource.
    pub fn watches(&self) -> impl Iterator<Item = (&'static str, Counts)> {
        let own = [
            ("nodes", self.nodes.counts()),
            ("node_leases", self.node_leases.counts()),
            ("static_pods", self.static_pods.counts()),
            ("controller_leases", self.controller_leases.counts()),
            ("runs", self.runs.counts()),
        ];
        own.into_iter().chain(self.inventories.watches())
    }

    /// How often each polled source failed.
    pub fn polls(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let own = [("api_servers", self.api_servers.errors()), ("packages", self.packages.errors())];
        own.into_iter().chain(self.inventories.polls())
    }

    async fn poll_api_servers(self: Arc<Self>, cluster: Arc<Cluster>) {
        loop {
            let asked_at = Timestamp::now();
            // Before the nodes are known, the other API servers are not either: the answer would be half of it.
            match self.nodes.source().value {
                None => self.api_servers.note(Err("the nodes are not known yet".to_owned()), asked_at),
                Some(nodes) => {
                    let nodes: Vec<Node> = nodes.into_values().collect();
                    let read = now::api_servers(&cluster, &nodes, API_SERVER_DEADLINE).await;
                    self.api_servers.note(read, asked_at);
                }
            }
            self.changed.notify_one();
            let known = self.api_servers.source().value.is_some();
            tokio::time::sleep(if known { API_SERVERS_PAUSE } else { Duration::from_millis(200) }).await;
        }
    }

    async fn poll_packages(self: Arc<Self>, repository: Repository, pause: Duration) {
        loop {
            let Some(running) = self.running() else {
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            };
            let asked_at = Timestamp::now();
            let read = repository.read(&running).await.map_err(|error| chain(&error));
            let error = read.as_ref().map_or_else(Some, |packages| packages.next_error.as_ref());
            if let Some(error) = error {
                tracing::warn!(error, "a package index cannot be read");
            }
            let next = if error.is_none() { pause } else { pause.min(PACKAGES_RETRY) };
            self.packages.note(read, asked_at);
            self.changed.notify_one();
            self.wait_for_another_version(&running, next).await;
        }
    }

    /// The oldest version of the API servers: what the offer is compared with.
    fn running(&self) -> Option<Version> {
        let servers = self.api_servers.source().value?;
        servers.into_iter().filter_map(|server| server.version.ok()).min()
    }

    /// Waits, but not once another version runs: the offer is then about the wrong minor.
    async fn wait_for_another_version(&self, running: &Version, pause: Duration) {
        let until = tokio::time::Instant::now() + pause;
        while tokio::time::Instant::now() < until && self.running().is_none_or(|now| now == *running) {
            tokio::time::sleep(Duration::from_secs(1).min(pause)).await;
        }
    }
}

/// Nodes with their Leases: no better proven than the worse of both.
fn with_leases(
    nodes: Source<BTreeMap<String, Node>>,
    leases: &Source<BTreeMap<String, Option<Timestamp>>>,
) -> Source<Vec<Node>> {
    let mut nodes = values(nodes);
    let renewed = |node: &Node| {
        *leases.value.as_ref()?.get(&format!("{}/{}", convert::NODE_LEASE_NAMESPACE, node.name))?
    };
    for node in nodes.value.iter_mut().flatten() {
        node.lease_renewed_at = renewed(node);
    }
    nodes.proven_at = nodes.proven_at.zip(leases.proven_at).map(|(one, other)| one.min(other));
    nodes.error =
        nodes.error.or_else(|| leases.error.as_ref().map(|error| format!("Leases of the nodes: {error}")));
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_no_better_proven_than_their_leases() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let node = serde_json::from_value(serde_json::json!({"metadata": {"name": "w-1"}})).unwrap();
        let nodes = || Source::read(BTreeMap::from([("w-1".to_owned(), convert::node(&node, None))]), at(9));
        let renewed = BTreeMap::from([("kube-node-lease/w-1".to_owned(), Some(at(5)))]);
        let whole = with_leases(nodes(), &Source::read(renewed, at(7)));
        assert_eq!((whole.proven_at, whole.error), (Some(at(7)), None));
        assert_eq!(whole.value.unwrap()[0].lease_renewed_at, Some(at(5)));
        let blind = with_leases(nodes(), &Source::failed("gone"));
        assert_eq!((blind.proven_at, blind.error.as_deref()), (None, Some("Leases of the nodes: gone")));
    }
}
