//! What people do with the cluster: runs, workloads, looking at nodes.

use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node, Pod, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{
    Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
};
use lockkeeper_rules::api::{GROUP, UpgradeRunStatus, VERSION};
use serde_json::{Value, json};

use super::World;
use crate::wait::wait_for;

/// Where runs live.
pub const NAMESPACE: &str = "k8s-upgrade";

/// A Deployment, with a budget if asked for.
#[derive(Debug, Clone)]
pub struct Workload {
    /// Its name.
    pub name: String,
    /// How many pods.
    pub replicas: u32,
    /// `minAvailable` of its budget.
    pub min_available: Option<u32>,
    /// Its pods run and never become Ready.
    pub never_ready: bool,
}

impl Workload {
    /// A Deployment without a budget.
    #[must_use]
    pub fn new(name: &str, replicas: u32) -> Self {
        Self { name: name.to_owned(), replicas, min_available: None, never_ready: false }
    }

    /// With a budget.
    #[must_use]
    pub fn min_available(mut self, pods: u32) -> Self {
        self.min_available = Some(pods);
        self
    }
}

impl World {
    /// The upgrade runs.
    #[must_use]
    pub fn runs(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk(GROUP, VERSION, "UpgradeRun");
        Api::namespaced_with(
            self.kube.clone(),
            NAMESPACE,
            &ApiResource::from_gvk_with_plural(&kind, "upgraderuns"),
        )
    }

    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> Api<Node> {
        Api::all(self.kube.clone())
    }

    /// The pods of the namespace `default`.
    #[must_use]
    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.kube.clone(), "default")
    }

    /// Asks for an upgrade.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn create_run(&self, name: &str, spec: Value) -> Result<DynamicObject> {
        let run = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "UpgradeRun",
            "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec,
        });
        Ok(self.runs().create(&PostParams::default(), &serde_json::from_value(run)?).await?)
    }

    /// Changes what people wrote in a run.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn patch_run(&self, name: &str, spec: Value) -> Result<()> {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.runs().patch(name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// The status of a run; nothing before the actuator's first write.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub async fn run_status(&self, name: &str) -> Result<Option<UpgradeRunStatus>> {
        let run = self.runs().get(name).await?;
        let Some(status) = run.data.get("status") else { return Ok(None) };
        Ok(Some(serde_json::from_value(status.clone()).context("the run's status has another shape")?))
    }

    /// Creates a workload in the namespace `default` and waits until its pods run.
    ///
    /// # Errors
    /// It is refused, or its pods do not run.
    pub async fn deploy(&self, workload: &Workload) -> Result<()> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.kube.clone(), "default");
        let accounts = &accounts;
        wait_for("the service account of pods", Duration::from_secs(60), || async move {
            Ok(accounts.get_opt("default").await?.map(drop))
        })
        .await?;
        let (name, app) = (&workload.name, json!({"app": workload.name}));
        let mut labels = app.clone();
        if workload.never_ready {
            labels[crate::kubelet::NEVER_READY] = json!("true");
        }
        let deployment = json!({
            "metadata": {"name": name},
            "spec": {"replicas": workload.replicas, "selector": {"matchLabels": app}, "template": {
                "metadata": {"labels": labels},
                "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "app", "image": "app"}]},
            }},
        });
        let deployments: Api<Deployment> = Api::namespaced(self.kube.clone(), "default");
        deployments.create(&PostParams::default(), &serde_json::from_value(deployment)?).await?;
        if let Some(min_available) = workload.min_available {
            let budget = json!({
                "metadata": {"name": name},
                "spec": {"minAvailable": min_available, "selector": {"matchLabels": app}},
            });
            let budgets: Api<PodDisruptionBudget> = Api::namespaced(self.kube.clone(), "default");
            budgets.create(&PostParams::default(), &serde_json::from_value(budget)?).await?;
        }
        self.wait_for_pods(name, workload.replicas, workload.min_available.is_some()).await
    }

    /// Waits until the pods of a workload run, and are counted by its budget if it has one.
    ///
    /// # Errors
    /// They do not before the deadline.
    pub async fn wait_for_pods(&self, name: &str, replicas: u32, budget: bool) -> Result<()> {
        let pods = &self.pods();
        let budgets: &Api<PodDisruptionBudget> = &Api::namespaced(self.kube.clone(), "default");
        wait_for(&format!("the pods of {name}"), Duration::from_secs(60), || async move {
            let selector = ListParams::default().labels(&format!("app={name}"));
            let pods = pods.list(&selector).await?.items;
            let running = pods.iter().filter(|pod| {
                pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
            });
            // A budget counts only once its controller has seen the pods.
            let counted = !budget || {
                let seen = budgets.get(name).await?.status.map_or(0, |status| status.expected_pods);
                u32::try_from(seen) == Ok(replicas)
            };
            Ok((running.count() == usize::try_from(replicas)? && counted).then_some(()))
        })
        .await
    }

    /// Cordons a node, as a person does.
    ///
    /// # Errors
    /// It is refused.
    pub async fn cordon(&self, node: &str, unschedulable: bool) -> Result<()> {
        let patch = Patch::Merge(json!({"spec": {"unschedulable": unschedulable}}));
        self.nodes().patch(node, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Every node with whether it is unschedulable: to be the same after a run as before.
    ///
    /// # Errors
    /// The nodes cannot be read.
    pub async fn cordons(&self) -> Result<Vec<(String, bool)>> {
        let nodes = self.nodes().list(&ListParams::default()).await?.items;
        let cordoned = |node: &Node| node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
        Ok(nodes
            .iter()
            .map(|node| (node.metadata.name.clone().unwrap_or_default(), cordoned(node)))
            .collect())
    }

    /// The kubelet's version of every node.
    ///
    /// # Errors
    /// The nodes cannot be read.
    pub async fn kubelet_versions(&self) -> Result<Vec<(String, String)>> {
        let nodes = self.nodes().list(&ListParams::default()).await?.items;
        let version = |node: &Node| Some(node.status.as_ref()?.node_info.as_ref()?.kubelet_version.clone());
        Ok(nodes
            .iter()
            .map(|node| (node.metadata.name.clone().unwrap_or_default(), version(node).unwrap_or_default()))
            .collect())
    }

    /// Sends a webhook to the actuator, with this bearer token if any; the answer is status and body.
    ///
    /// # Errors
    /// The actuator cannot be asked.
    pub async fn post_webhook(
        &self,
        path: &str,
        bearer: Option<&str>,
        body: Vec<u8>,
    ) -> Result<(u16, String)> {
        let mut request = crate::part::client()?
            .post(format!(
                "http://{}{path}",
                self.actuator.config["webhook"]["listenAddress"].as_str().unwrap_or_default()
            ))
            .body(body);
        request = request.header("content-type", "application/json");
        if let Some(token) = bearer {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.text().await.unwrap_or_default()))
    }

    /// A message such as Alertmanager's, with one alert.
    #[must_use]
    pub fn webhook_message(status: &str, labels: &Value, starts_at: Timestamp) -> Value {
        json!({
            "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": status, "receiver": "k8s-upgrade-actuator",
            "groupLabels": {}, "commonLabels": labels, "commonAnnotations": {}, "externalURL": "http://alertmanager",
            "alerts": [{
                "status": status, "labels": labels, "annotations": {}, "startsAt": starts_at.to_string(),
                "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "fingerprint": "0123456789abcdef",
            }],
        })
    }
}
