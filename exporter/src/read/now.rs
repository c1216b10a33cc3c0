//! One fresh and consistent read of everything, read as the watch reads it: what the actuator does right
//! before it acts.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use http::Request;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1 as core;
use kube::api::{ApiResource, ListParams};
use kube::{Api, Client};
use lockkeeper_rules::api::UpgradeRun;
use lockkeeper_rules::cluster::snapshot::{
    ApiServer, ControllerLease, Node, Packages, Role, RunElsewhere, Snapshot, Source, StaticPod,
};

use super::convert;
use super::list::{ListError, Listed, list_all, list_all_metadata};
use super::upgrade_run::{RawUpgradeRun, run_elsewhere};
use crate::client::kubernetes::{Cluster, explain};

/// The port of an API server at its node's address, as kubeadm sets it.
pub const API_SERVER_PORT: u16 = 6443;

/// Reads nodes with their Leases, API servers, static pods, controllers' Leases and runs, all at once, each within
/// `deadline`. Each source succeeds or fails by itself. Packages change by the day: the caller passes what it has.
/// `namespaces` are those whose runs are served; the runs of others are not read, see [`runs_elsewhere`].
pub async fn snapshot_now(
    cluster: &Cluster,
    packages: Source<Packages>,
    namespaces: &[String],
    deadline: Duration,
) -> Snapshot {
    let client = &cluster.client;
    // Taken before the first request: a proof is never younger than the question.
    let now = Timestamp::now();
    let (nodes, static_pods, controller_leases, runs, own) = tokio::join!(
        nodes(client, deadline),
        static_pods(client, deadline),
        controller_leases(client, deadline),
        runs(client, namespaces, deadline),
        own_api_server(cluster, deadline),
    );
    let keys = topology_keys(runs.as_deref().unwrap_or_default());
    let nodes: Result<Vec<Node>, _> = nodes
        .map(|read| read.iter().map(|(node, renewed)| convert::node_with(node, *renewed, &keys)).collect());
    let api_servers = match own {
        Ok(own) => match &nodes {
            Ok(nodes) => Ok(with_others(cluster, own, nodes, deadline).await),
            Err(error) => Err(format!("the other API servers are not known: {error}")),
        },
        Err(error) => Err(error),
    };
    Snapshot {
        nodes: Source::asked(now, nodes),
        api_servers: Source::asked(now, api_servers),
        static_pods: Source::asked(now, static_pods),
        controller_leases: Source::asked(now, controller_leases),
        packages,
        runs: Source::asked(now, runs),
        runs_elsewhere: Source::unread(),
    }
}

/// The nodes, each with the renewal of its Lease. Without the Leases there is no answer: Ready alone does not expire.
///
/// # Errors
/// Nodes or Leases cannot be listed.
async fn nodes(
    client: &Client,
    deadline: Duration,
) -> Result<Vec<(core::Node, Option<Timestamp>)>, ListError> {
    let nodes: Api<core::Node> = Api::all(client.clone());
    let leases: Api<Lease> = Api::namespaced(client.clone(), convert::NODE_LEASE_NAMESPACE);
    let all = ListParams::default();
    let (nodes, leases) =
        tokio::try_join!(list_all(&nodes, &all, deadline), list_all(&leases, &all, deadline))?;
    let renewals = convert::renewals(&leases.items);
    let renewal = |node: &core::Node| renewals.get(node.metadata.name.as_deref()?).copied();
    Ok(nodes.items.into_iter().map(|node| (renewal(&node), node)).map(|(at, node)| (node, at)).collect())
}

/// The labels by which runs tell where a node is.
fn topology_keys(runs: &[UpgradeRun]) -> BTreeSet<&str> {
    runs.iter().filter_map(|run| run.spec.workers.topology_key.as_deref()).collect()
}

async fn static_pods(client: &Client, deadline: Duration) -> Result<Vec<StaticPod>, ListError> {
    let pods: Api<core::Pod> = Api::namespaced(client.clone(), convert::SYSTEM_NAMESPACE);
    let params = ListParams::default().labels(convert::CONTROL_PLANE_SELECTOR);
    let listed = list_all(&pods, &params, deadline).await?;
    Ok(listed.items.iter().filter_map(convert::static_pod).collect())
}

async fn controller_leases(client: &Client, deadline: Duration) -> Result<Vec<ControllerLease>, ListError> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), convert::SYSTEM_NAMESPACE);
    let listed = list_all(&leases, &ListParams::default(), deadline).await?;
    Ok(listed.items.iter().filter_map(convert::controller_lease).collect())
}

/// The runs of these namespaces. A missing resource is an error and not an empty list: an API server that is
/// starting answers 404 for custom resources until it has loaded them.
///
/// # Errors
/// The runs cannot be listed.
pub async fn runs(
    client: &Client,
    namespaces: &[String],
    deadline: Duration,
) -> Result<Vec<UpgradeRun>, ListError> {
    // In order, and each once even where it is named twice.
    let namespaces: BTreeSet<&String> = namespaces.iter().collect();
    let all = ListParams::default;
    let lists = namespaces.into_iter().map(|namespace| runs_of(client, namespace, all(), deadline));
    Ok(futures::future::try_join_all(lists).await?.concat())
}

/// One run, whole; nothing if it is gone.
///
/// # Errors
/// It cannot be read.
pub async fn run(
    client: &Client,
    namespace: &str,
    name: &str,
    deadline: Duration,
) -> Result<Option<UpgradeRun>, ListError> {
    // Listed, which is the right that the actuator has everywhere.
    let params = ListParams::default().fields(&format!("metadata.name={name}"));
    Ok(runs_of(client, namespace, params, deadline).await?.pop())
}

async fn runs_of(
    client: &Client,
    namespace: &str,
    params: ListParams,
    deadline: Duration,
) -> Result<Vec<UpgradeRun>, ListError> {
    let runs: Api<RawUpgradeRun> = Api::namespaced(client.clone(), namespace);
    let listed = list_all(&runs, &params, deadline).await?;
    Ok(listed.items.into_iter().map(UpgradeRun::from).collect())
}

/// The runs of all other namespaces, by their metadata.
pub async fn runs_elsewhere(
    client: &Client,
    namespaces: &[String],
    deadline: Duration,
) -> Source<Vec<RunElsewhere>> {
    let asked_at = Timestamp::now();
    let resource = ApiResource::erase::<RawUpgradeRun>(&());
    let listed = list_all_metadata(&Api::all_with(client.clone(), &resource), deadline).await;
    let elsewhere = |listed: Listed<_>| {
        let runs = listed.items.into_iter().map(run_elsewhere);
        runs.filter(|run| !namespaces.contains(&run.namespace)).collect()
    };
    Source::asked(asked_at, listed.map(elsewhere))
}

/// The API servers: the configured address, and with more than one control-plane node each at its own address.
///
/// # Errors
/// The configured one does not answer.
pub async fn api_servers(
    cluster: &Cluster,
    nodes: &[Node],
    deadline: Duration,
) -> Result<Vec<ApiServer>, String> {
    let own = own_api_server(cluster, deadline).await?;
    Ok(with_others(cluster, own, nodes, deadline).await)
}

/// The API server that everything is read through, with its version.
///
/// # Errors
/// It does not answer.
pub async fn own_api_server(cluster: &Cluster, deadline: Duration) -> Result<ApiServer, String> {
    let server = api_server(&cluster.client, cluster.url(), deadline).await;
    // The address that everything else is read through: without its answer nothing is known.
    match &server.version {
        Err(error) if !server.ready => Err(error.clone()),
        Ok(_) | Err(_) => Ok(server),
    }
}

async fn with_others(
    cluster: &Cluster,
    own: ApiServer,
    nodes: &[Node],
    deadline: Duration,
) -> Vec<ApiServer> {
    let control_plane: Vec<&Node> = nodes.iter().filter(|node| node.role == Role::ControlPlane).collect();
    if control_plane.len() < 2 {
        return vec![own];
    }
    let asked = control_plane.into_iter().map(async |node| {
        let name = node.name.to_string();
        let unknown = |why: String| ApiServer { name: name.clone(), version: Err(why), ready: false };
        let addresses = match node.addresses() {
            Ok(addresses) => addresses,
            Err(why) => return unknown(why),
        };
        // It may listen at one of them, and its certificate may be good for one. All are asked at once: the deadline is one.
        let asked = addresses.into_iter().map(async |address| {
            match cluster.at(&SocketAddr::new(address, API_SERVER_PORT).to_string()) {
                Ok(client) => api_server(&client, name.clone(), deadline).await,
                Err(why) => unknown(why),
            }
        });
        the_one_that_answers(futures::future::join_all(asked).await).unwrap_or_else(|| unknown(String::new()))
    });
    let mut servers = vec![own];
    servers.extend(futures::future::join_all(asked).await);
    servers
}

/// Of one API server at several addresses: the first that is ready, else the first that says its version, else the first.
fn the_one_that_answers(at_each: Vec<ApiServer>) -> Option<ApiServer> {
    let place = |it: &ApiServer| !(it.ready && it.version.is_ok());
    at_each.into_iter().min_by_key(|it| (place(it), it.version.is_err()))
}

/// Asks one API server for its version and whether it is ready. What it does not answer is unknown or not ready.
async fn api_server(client: &Client, name: String, deadline: Duration) -> ApiServer {
    let asked = async { tokio::join!(client.apiserver_version(), ready(client)) };
    match tokio::time::timeout(deadline, asked).await {
        Ok((Ok(info), ready)) => ApiServer { name, version: convert::version(&info.git_version), ready },
        Ok((Err(error), ready)) => ApiServer { name, version: Err(explain(&error)), ready },
        Err(_elapsed) => {
            let why = ListError::Deadline(deadline).to_string();
            ApiServer { name, version: Err(why), ready: false }
        }
    }
}

async fn ready(client: &Client) -> bool {
    let request = Request::get("/readyz").body(Vec::new()).expect("a constant request is well formed");
    client.request_text(request).await.is_ok()
}

#[cfg(test)]
mod tests {
    use lockkeeper_rules::words::version::Version;

    use super::*;

    #[test]
    fn of_several_addresses_counts_the_one_that_answers() {
        let [away, unready, ready] = [(false, false), (true, false), (true, true)].map(|(says, ready)| {
            let version = if says { Ok(Version::new(1, 36, 1)) } else { Err("no answer".to_owned()) };
            ApiServer { name: "cp-1".to_owned(), version, ready }
        });
        let early = ApiServer { ready: true, ..away.clone() };
        for (at_each, expected) in [
            (vec![&away, &ready], Some(&ready)),
            (vec![&ready, &away], Some(&ready)),
            (vec![&unready, &ready], Some(&ready)),
            (vec![&away, &early, &unready], Some(&unready)),
            (vec![&early, &away], Some(&early)),
            (vec![], None),
        ] {
            let at_each: Vec<ApiServer> = at_each.into_iter().cloned().collect();
            assert_eq!(the_one_that_answers(at_each).as_ref(), expected);
        }
    }
}
