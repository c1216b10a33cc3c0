//! A World: one whole cluster with its observers and the two products, for one test or one sandbox.

mod audit;
mod builder;
mod cluster;
mod control_plane;
mod holds;
mod objects;
mod observe;

use std::sync::Arc;

use anyhow::{Context, Result};
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::words::version::Version;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::kubelet::{KubeletPorts, Kubelets};
use crate::machine::{Machine, SshKeys};
use crate::packages::Packages;
use crate::part::{Alertmanager, Prometheus};
use crate::run_folder::RunFolder;
use crate::site::Site;

pub use audit::AuditEntry;
pub use builder::Builder;
pub use cluster::{NAMESPACE, Workload};
pub use control_plane::{Component, Components, ControlPlane};
pub use objects::grant_rights;

pub use crate::product::Product;
pub use crate::wiring::REPEAT_SECONDS;

/// The control-plane node.
pub const CONTROL_PLANE: &str = "cp-1";

/// Everything. Dropping it ends every process and removes the folder; the logs are kept if the test is failing.
pub struct World {
    /// The thresholds that the rules and both products were given.
    pub settings: Settings,
    /// What ran at the start.
    pub from: Version,
    /// Speaks to the API server as a person.
    pub kube: kube::Client,
    /// Where the API server listens.
    pub api_url: String,
    /// The exporter.
    pub exporter: Product,
    /// The actuator.
    pub actuator: Product,
    /// Prometheus.
    pub prometheus: Prometheus,
    /// Alertmanager.
    pub alertmanager: Alertmanager,
    /// The simulated kubelets.
    pub kubelets: Kubelets,
    /// Their ports, as the API server's proxy to nodes reaches them.
    pub kubelet_ports: KubeletPorts,
    /// The simulated machines: the control-plane node's first.
    pub machines: Vec<Machine>,
    /// The keys that open them.
    pub keys: SshKeys,
    /// The package repository.
    pub packages: Packages,
    /// The site's own metrics and gate alerts, and what people were told.
    pub site: Site,
    /// The real control plane. While an upgrade restarts it, the lock is held.
    pub control_plane: Arc<Mutex<ControlPlane>>,
    /// The bearer token of the webhook.
    pub webhook_token: String,
    /// Data, logs, addresses. Last, so that everything else is gone before it is.
    pub folder: Arc<RunFolder>,
    keeper: JoinHandle<()>,
}

impl World {
    /// A World of one control-plane node and two workers, from v1.36.1, unless told otherwise.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The machine behind a node.
    ///
    /// # Panics
    /// There is no such node.
    #[must_use]
    pub fn machine(&self, node: &str) -> &Machine {
        self.machines.iter().find(|machine| machine.spec.name == node).expect("the node is one of this World")
    }

    /// The machine behind a node, to be killed and booted.
    ///
    /// # Panics
    /// There is no such node.
    pub fn machine_mut(&mut self, node: &str) -> &mut Machine {
        self.machines
            .iter_mut()
            .find(|machine| machine.spec.name == node)
            .expect("the node is one of this World")
    }

    /// The names of the workers.
    #[must_use]
    pub fn workers(&self) -> Vec<String> {
        self.machines.iter().skip(1).map(|machine| machine.spec.name.clone()).collect()
    }

    /// Starts both products and waits until they are ready.
    ///
    /// # Errors
    /// One of them does not become ready.
    pub async fn start_products(&mut self) -> Result<()> {
        self.exporter.start().await.context("the exporter")?;
        self.actuator.start().await.context("the actuator")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.keep_logs();
        }
        self.keeper.abort();
        // While an upgrade holds the lock its task is being dropped, and the processes with it.
        if let Ok(mut plane) = self.control_plane.try_lock() {
            plane.kill();
        }
    }
}
