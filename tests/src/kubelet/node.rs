//! The Node object and its Lease.

use std::time::{Duration, Instant};

use anyhow::Result;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use lockkeeper_rules::snapshot::Role;
use serde_json::{Value, json};

use super::{NodeFaults, NodeSpec};

/// How often a Lease is renewed.
const LEASE_SECONDS: u64 = 2;
/// How often a status that has not changed is sent again.
const STATUS_SECONDS: u64 = 10;

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

    pub(super) async fn keep(&mut self, client: &Client, faults: NodeFaults, now: Instant) -> Result<()> {
        if self.silent(faults) {
            return Ok(());
        }
        if self.uid.is_none() {
            self.uid = Some(self.create(client).await?);
        }
        self.keep_status(client, faults, now).await?;
        if !faults.lease_frozen && due(self.lease_at, LEASE_SECONDS, now) {
            self.renew(client).await?;
            self.lease_at = Some(now);
        }
        Ok(())
    }

    async fn create(&self, client: &Client) -> Result<String> {
        let nodes: Api<Node> = Api::all(client.clone());
        let node = serde_json::from_value(self.object())?;
        let made = match nodes.create(&PostParams::default(), &node).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => nodes.get(&self.spec.name).await?,
            answer => answer?,
        };
        Ok(made.metadata.uid.unwrap_or_default())
    }

    fn object(&self) -> Value {
        let name = &self.spec.name;
        let mut labels = json!({
            "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
        });
        let mut taints = json!([]);
        if self.spec.role == Role::ControlPlane {
            labels["node-role.kubernetes.io/control-plane"] = json!("");
            taints = json!([{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]);
        }
        json!({"metadata": {"name": name, "labels": labels}, "spec": {"taints": taints}})
    }

    async fn keep_status(&mut self, client: &Client, faults: NodeFaults, now: Instant) -> Result<()> {
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
        let status = Patch::Merge(json!({"status": self.status(&showing)}));
        nodes.patch_status(&self.spec.name, &PatchParams::default(), &status).await?;
        self.shown = Some(showing);
        self.status_at = Some(now);
        Ok(())
    }

    fn status(&self, shown: &Shown) -> Value {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let since = self.ready_since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let condition = |kind: &str, on: bool, reason: &str| {
            json!({"type": kind, "status": if on { "True" } else { "False" }, "reason": reason, "message": reason,
                   "lastHeartbeatTime": now, "lastTransitionTime": since})
        };
        let room = json!({"cpu": "8", "memory": "32Gi", "pods": "110", "ephemeral-storage": "100Gi"});
        json!({
            "capacity": room, "allocatable": room,
            "addresses": [{"type": "InternalIP", "address": self.spec.address.to_string()},
                          {"type": "Hostname", "address": self.spec.name}],
            "conditions": [
                condition("MemoryPressure", false, "KubeletHasSufficientMemory"),
                condition("DiskPressure", shown.disk_pressure, "KubeletDiskPressure"),
                condition("PIDPressure", false, "KubeletHasSufficientPID"),
                condition("Ready", shown.ready, if shown.ready { "KubeletReady" } else { "KubeletNotReady" }),
            ],
            "nodeInfo": {
                "machineID": self.spec.machine_id, "systemUUID": self.spec.machine_id, "bootID": shown.boot_id,
                "kernelVersion": "6.1.0", "osImage": "Debian GNU/Linux 12 (bookworm)",
                "containerRuntimeVersion": "containerd://2.2.0", "kubeletVersion": shown.version,
                "kubeProxyVersion": "", "operatingSystem": "linux", "architecture": "amd64",
            },
        })
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
