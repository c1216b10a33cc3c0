//! The Node object and its Lease.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use lockkeeper_rules::cluster::snapshot::Role;
use lockkeeper_rules::words::version::Version;
use serde_json::{Value, json};

use super::pod::now;
use super::port::KubeletResponse;
use super::words::{Dictionary, date, replace};
use super::{NodeFaults, NodeSpec};

/// How often a Lease is renewed.
const LEASE_SECONDS: u64 = 2;
/// How often a status that has not changed is sent again.
const STATUS_SECONDS: u64 = 10;
/// What kubeadm marks a control-plane node with.
const CONTROL_PLANE_LABELS: [&str; 2] =
    ["node-role.kubernetes.io/control-plane", "node.kubernetes.io/exclude-from-external-load-balancers"];

/// What is remembered of one node between rounds.
#[derive(Debug)]
pub(super) struct Kubelet {
    pub(super) spec: NodeSpec,
    /// The uid of the Node object, once it was created.
    pub(super) uid: Option<String>,
    shown: Option<Shown>,
    ready_since: Timestamp,
    status_at: Option<Instant>,
    lease_at: Option<Instant>,
}

/// Everything in a status that can change.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    ready: bool,
    disk_pressure: bool,
    version: String,
    boot_id: String,
}

impl Kubelet {
    pub(super) fn new(spec: NodeSpec) -> Self {
        Self { spec, uid: None, shown: None, ready_since: Timestamp::now(), status_at: None, lease_at: None }
    }

    /// Whether the kubelet says nothing: by order of a test, or because its unit is broken.
    pub(super) fn silent(&self, faults: NodeFaults) -> bool {
        faults.dead || self.spec.machine.has("kubelet-broken")
    }

    pub(super) async fn keep(
        &mut self,
        client: &Client,
        dictionary: &Dictionary,
        faults: NodeFaults,
        now: Instant,
    ) -> Result<()> {
        if self.silent(faults) {
            return Ok(());
        }
        if self.uid.is_none() {
            self.uid = Some(self.create(client, dictionary).await?);
        }
        self.keep_status(client, dictionary, faults, now).await?;
        if !faults.lease_frozen && due(self.lease_at, LEASE_SECONDS, now) {
            self.renew(client).await?;
            self.lease_at = Some(now);
        }
        Ok(())
    }

    async fn create(&self, client: &Client, dictionary: &Dictionary) -> Result<String> {
        let nodes: Api<Node> = Api::all(client.clone());
        let node = serde_json::from_value(self.object(dictionary)?)?;
        let made = match nodes.create(&PostParams::default(), &node).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => nodes.get(&self.spec.name).await?,
            answer => answer?,
        };
        Ok(made.metadata.uid.unwrap_or_default())
    }

    /// The recorded node is of a control plane; kubeadm marks no other with these.
    fn object(&self, dictionary: &Dictionary) -> Result<Value> {
        let words = dictionary.of(&self.running()?)?;
        let mut node = json!({"metadata": {"name": self.spec.name}});
        for field in ["labels", "annotations"] {
            node["metadata"][field] = words.node["metadata"][field].clone();
        }
        node["metadata"]["labels"]["kubernetes.io/hostname"] = json!(self.spec.name);
        if self.spec.role == Role::ControlPlane {
            node["spec"]["taints"] = words.node["spec"]["taints"].clone();
        } else if let Some(labels) = node["metadata"]["labels"].as_object_mut() {
            labels.retain(|label, _| !CONTROL_PLANE_LABELS.contains(&label.as_str()));
        }
        Ok(node)
    }

    /// The version of the kubelet that runs.
    fn running(&self) -> Result<Version> {
        let version = self.spec.machine.read("kubelet-version").context("the machine has no kubelet")?;
        Ok(version.parse()?)
    }

    /// What its port answers at a path.
    pub(super) fn answer(
        spec: &NodeSpec,
        dictionary: &Dictionary,
        faults: NodeFaults,
        path: &str,
    ) -> KubeletResponse {
        let kubelet = Self::new(spec.clone());
        let words = kubelet.running().and_then(|version| dictionary.of(&version));
        match (words, path) {
            (Ok(words), "/configz") if !kubelet.silent(faults) => {
                KubeletResponse::Text(words.configz.clone())
            }
            (Ok(words), "/metrics") if !kubelet.silent(faults) => {
                KubeletResponse::Text(words.metrics.clone())
            }
            (Ok(_), _) if !kubelet.silent(faults) => KubeletResponse::NotFound,
            (Ok(_) | Err(_), _) => KubeletResponse::Silence,
        }
    }

    async fn keep_status(
        &mut self,
        client: &Client,
        dictionary: &Dictionary,
        faults: NodeFaults,
        now: Instant,
    ) -> Result<()> {
        let machine = &self.spec.machine;
        let showing = Shown {
            ready: !faults.not_ready,
            disk_pressure: faults.disk_pressure,
            version: machine.read("kubelet-version").unwrap_or_default(),
            boot_id: machine.read("boot-id").unwrap_or_default(),
        };
        if self.shown.as_ref() == Some(&showing) && !due(self.status_at, STATUS_SECONDS, now) {
            return Ok(());
        }
        if self.shown.as_ref().is_none_or(|shown| shown.ready != showing.ready) {
            self.ready_since = Timestamp::now();
        }
        let nodes: Api<Node> = Api::all(client.clone());
        let status = Patch::Merge(json!({"status": self.status(dictionary, &showing)?}));
        nodes.patch_status(&self.spec.name, &PatchParams::default(), &status).await?;
        self.shown = Some(showing);
        self.status_at = Some(now);
        Ok(())
    }

    fn status(&self, dictionary: &Dictionary, shown: &Shown) -> Result<Value> {
        let words = dictionary.of(&shown.version.parse()?)?;
        let mut status = words.node["status"].clone();
        replace(&mut status, words.node_name(), &self.spec.name);
        replace(&mut status, words.address(), &self.spec.address.to_string());
        date(&mut status, &self.ready_since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        for condition in status["conditions"].as_array_mut().context("a status without conditions")? {
            condition["lastHeartbeatTime"] = json!(now());
            // These two were not recorded.
            let (status, reason) = match condition["type"].as_str() {
                Some("Ready") if !shown.ready => ("False", "KubeletNotReady"),
                Some("DiskPressure") if shown.disk_pressure => ("True", "KubeletHasDiskPressure"),
                _ => continue,
            };
            condition["status"] = json!(status);
            condition["reason"] = json!(reason);
            condition["message"] = json!("as ordered by the test");
        }
        let addresses = status["addresses"].as_array_mut().context("a status without addresses")?;
        addresses.push(json!({"type": "ExternalIP", "address": self.spec.proxied_at()}));
        let info = &mut status["nodeInfo"];
        info["machineID"] = json!(self.spec.machine_id);
        info["systemUUID"] = json!(self.spec.machine_id);
        info["bootID"] = json!(shown.boot_id);
        info["kubeletVersion"] = json!(shown.version);
        Ok(status)
    }

    async fn renew(&self, client: &Client) -> Result<()> {
        let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-node-lease");
        let name = &self.spec.name;
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        let spec = json!({"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": now});
        let renewed = leases.patch(name, &PatchParams::default(), &Patch::Merge(json!({"spec": spec}))).await;
        match renewed {
            Err(kube::Error::Api(status)) if status.is_not_found() => {
                let owner = json!({"apiVersion": "v1", "kind": "Node", "name": name, "uid": self.uid});
                let lease = json!({"metadata": {"name": name, "ownerReferences": [owner]}, "spec": spec});
                leases.create(&PostParams::default(), &serde_json::from_value(lease)?).await?;
            }
            answer => drop(answer?),
        }
        Ok(())
    }
}

fn due(last: Option<Instant>, seconds: u64, now: Instant) -> bool {
    last.is_none_or(|last| now.duration_since(last) >= Duration::from_secs(seconds))
}
