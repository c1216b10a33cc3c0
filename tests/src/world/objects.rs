//! What a cluster has before anybody upgrades it.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Resource;
use kube::api::{Api, ListParams, PostParams};
use lockkeeper_actuator::leader::{LEASE_NAME, LEASE_NAMESPACE};
use lockkeeper_rules::publish::crd;
use lockkeeper_rules::wire::api_requests::queries;
use lockkeeper_rules::words::selector::Selector;
use lockkeeper_rules::words::version::Version;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::deploy;
use crate::part::Prometheus;
use crate::recorded::Recorded;
use crate::wait::wait_for;

/// How long all nodes may take to be Ready.
const NODES_SECONDS_MAX: u64 = 60;
/// How long a day is.
const DAY_SECONDS: u64 = 86_400;

/// The namespace, the CRD, what the products may do, and what kubeadm keeps in the cluster.
pub(super) async fn prepare_cluster(
    kube: &kube::Client,
    version: &Version,
    crosses_a_minor: bool,
) -> Result<()> {
    create::<CustomResourceDefinition>(Api::all(kube.clone()), crd::upgrade_run()).await?;
    // One that nobody holds is taken at once; one that is missing may have been deleted under a leader, and is waited
    // for.
    let lease = json!({"metadata": {"name": LEASE_NAME}, "spec": {"holderIdentity": ""}});
    create::<Lease>(Api::namespaced(kube.clone(), LEASE_NAMESPACE), lease).await?;
    grant_rights(kube, deploy::objects("deploy/base")?).await?;
    if crosses_a_minor {
        // As an operator does before such an upgrade.
        grant_rights(kube, deploy::objects("deploy/kubelet-config")?).await?;
    }
    for config_map in config_maps(version)? {
        create::<ConfigMap>(Api::namespaced(kube.clone(), "kube-system"), config_map).await?;
    }
    let definitions: &Api<CustomResourceDefinition> = &Api::all(kube.clone());
    let name = &format!("upgraderuns.{}", lockkeeper_rules::api::GROUP);
    wait_for("the definition of UpgradeRun to be served", Duration::from_secs(30), || async move {
        let status = definitions.get(name).await?.status;
        let conditions = status.and_then(|status| status.conditions).unwrap_or_default();
        let established = conditions.iter().any(|c| c.type_ == "Established" && c.status == "True");
        Ok(established.then_some(()))
    })
    .await
}

/// What kubeadm keeps in the cluster, as it was recorded; of a minor that nobody has seen left behind by an upgrade, only
/// its note of the version.
fn config_maps(version: &Version) -> Result<Vec<Value>> {
    let recorded = Recorded::of(version.minor())?;
    let mut found = Vec::new();
    for name in ["kubeadm-config", "kubelet-config", "kube-proxy"] {
        let Some(mut map) = recorded.config_map(name)? else { continue };
        if let Some(Value::String(text)) = map.pointer_mut("/data/ClusterConfiguration") {
            *text = text.replace(&recorded.version()?.to_string(), &version.to_string());
        }
        found.push(json!({"metadata": {"name": name}, "data": map["data"]}));
    }
    if found.is_empty() {
        let note = format!("kind: ClusterConfiguration\nkubernetesVersion: {version}\n");
        found.push(json!({"metadata": {"name": "kubeadm-config"}, "data": {"ClusterConfiguration": note}}));
    }
    Ok(found)
}

/// The rights that people give to the products, bound to the users that these are here, and the namespace that some of
/// them are of.
///
/// # Errors
/// An object cannot be made, or is bound to somebody else.
pub async fn grant_rights(kube: &kube::Client, mut objects: Vec<Value>) -> Result<()> {
    objects.sort_by_key(|object| object["kind"] != "Namespace");
    for mut object in objects {
        if let Some(subjects) = object.get_mut("subjects").and_then(Value::as_array_mut) {
            for subject in subjects {
                let account = subject["name"].as_str().unwrap_or_default();
                let user = account.strip_prefix("lockkeeper-").context("an account of somebody else")?;
                *subject = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user});
            }
        }
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
        match object["kind"].as_str() {
            Some("Namespace") => create::<Namespace>(Api::all(kube.clone()), object).await?,
            Some("ClusterRole") => create::<ClusterRole>(Api::all(kube.clone()), object).await?,
            Some("ClusterRoleBinding") => {
                create::<ClusterRoleBinding>(Api::all(kube.clone()), object).await?
            }
            Some("Role") => create::<Role>(Api::namespaced(kube.clone(), &namespace), object).await?,
            Some("RoleBinding") => {
                create::<RoleBinding>(Api::namespaced(kube.clone(), &namespace), object).await?;
            }
            _ => {}
        }
    }
    Ok(())
}

async fn create<K>(api: Api<K>, object: Value) -> Result<()>
where
    K: Resource + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    let object: K = serde_json::from_value(object)?;
    // Some are there already: the API server makes kube-system itself, and may be slow about it.
    let (api, object) = (&api, &object);
    wait_for("an object to be created", Duration::from_secs(30), || async move {
        match api.create(&PostParams::default(), object).await {
            Ok(_) => Ok(Some(())),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(Some(())),
            Err(error) => Err(error.into()),
        }
    })
    .await
}

/// Waits until Prometheus has seen requests at the API server, without which nobody knows what it was not asked for.
pub(super) async fn wait_for_api_servers(prometheus: &Prometheus) -> Result<()> {
    let leases = queries(DAY_SECONDS, &Selector::default()).scraped;
    wait_for("Prometheus to scrape the API server", Duration::from_secs(30), || async {
        Ok((!prometheus.query(&leases).await?.is_empty()).then_some(()))
    })
    .await
}

/// Waits until every node is Ready and takes pods: the controller removes the taint of a fresh node a little later.
pub(super) async fn wait_for_nodes(kube: &kube::Client, count: usize) -> Result<()> {
    let nodes: &Api<Node> = &Api::all(kube.clone());
    let usable = |node: &Node| {
        let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let ready = conditions.into_iter().any(|c| c.type_ == "Ready" && c.status == "True");
        let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
        ready && !taints.into_iter().any(|taint| taint.key == "node.kubernetes.io/not-ready")
    };
    wait_for("every node to be Ready", Duration::from_secs(NODES_SECONDS_MAX), || async move {
        let nodes = nodes.list(&ListParams::default()).await?.items;
        Ok((nodes.iter().filter(|node| usable(node)).count() == count).then_some(()))
    })
    .await
}
