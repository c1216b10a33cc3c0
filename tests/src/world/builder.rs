//! Builds a World.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use lockkeeper_rules::cluster::snapshot::Role;
use lockkeeper_rules::driver::kubeadm::KubeadmSettings;
use lockkeeper_rules::settings::{AlertSettings, Settings};
use lockkeeper_rules::words::version::Version;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::control_plane::keep;
use super::objects::{prepare_cluster, wait_for_api_servers, wait_for_nodes};
use super::{CONTROL_PLANE, ControlPlane, World};
use crate::certs::Certs;
use crate::kubelet::{KubeletPorts, Kubelets, NodeSpec, proxied_at};
use crate::machine::{Machine, MachineSpec, SshKeys, machine_id};
use crate::packages::Packages;
use crate::part::User;
use crate::recorded::Recorded;
use crate::run_folder::{RunFolder, free_port};
use crate::site::Site;
use crate::wiring::{Reached, Wiring};

/// A World lives for minutes, and its Prometheus cannot have watched for a month.
const FACTS: &str = r#"schema: 2
as_of: "2026-09-01"
policy: {deprecated_api_short_proof: note}
"#;

/// What a World shall be.
#[derive(Debug, Clone)]
pub struct Builder {
    workers: usize,
    from: Version,
    repository: Vec<Version>,
    settings: Settings,
    kubeadm: KubeadmSettings,
    pace: Duration,
    products: bool,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            workers: 2,
            from: Version::new(1, 36, 1),
            repository: (0..=3).map(|patch| Version::new(1, 36, patch)).collect(),
            settings: fast_settings(),
            kubeadm: KubeadmSettings::default(),
            pace: Duration::from_millis(300),
            products: true,
        }
    }
}

/// Every threshold as small as the real parts allow.
fn fast_settings() -> Settings {
    Settings {
        scrape_interval_seconds: 1,
        evaluation_interval_seconds: 1,
        unbroken_evaluation_seconds: 10,
        resend_delay_seconds: 1,
        check_pause_seconds: 1,
        idle_check_pause_seconds: 2,
        unit_poll_seconds: 1,
        quiet_seconds: 0,
        soak_seconds: 0,
        etcd_stable_seconds: 2,
        eviction_pause_seconds: 1,
        attempt_pause_seconds: 2,
        drain_seconds_max: 120,
        unit_seconds_max: 300,
        verify_seconds_max: 120,
        hold_seconds_max: 120,
        disk_free_mib_min: 64,
        prometheus_job: "prometheus".to_owned(),
        alerts: AlertSettings { interval_seconds: 1, ..AlertSettings::default() },
        ..Settings::default()
    }
}

impl Builder {
    /// This many workers.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Everything runs this version at the start; `tests/setup` must have built it.
    #[must_use]
    pub fn from(mut self, version: Version) -> Self {
        self.from = version;
        self
    }

    /// The package repository has these versions.
    #[must_use]
    pub fn repository(mut self, versions: Vec<Version>) -> Self {
        self.repository = versions;
        self
    }

    /// Changes the thresholds.
    #[must_use]
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// What kubeadm is told.
    #[must_use]
    pub fn kubeadm(mut self, settings: KubeadmSettings) -> Self {
        self.kubeadm = settings;
        self
    }

    /// How long a node's part of an upgrade takes, roughly.
    #[must_use]
    pub fn pace(mut self, pace: Duration) -> Self {
        self.pace = pace;
        self
    }

    /// The products are configured but not started.
    #[must_use]
    pub fn without_products(mut self) -> Self {
        self.products = false;
        self
    }

    /// Starts everything and waits until it is ready.
    ///
    /// # Errors
    /// A part cannot be started or does not become ready; the message names its log.
    pub async fn start(self) -> Result<World> {
        let folder = Arc::new(RunFolder::create()?);
        match self.start_in(&folder).await {
            Ok(world) => Ok(world),
            Err(error) => {
                folder.keep_logs();
                Err(error)
            }
        }
    }

    async fn start_in(self, folder: &Arc<RunFolder>) -> Result<World> {
        // Simulated kubelets say what real ones of their minor were heard to say, and nothing else.
        Recorded::of(self.from.minor())?;
        let center = folder.address(1);
        let plane_address = folder.address(11);
        let certs = Certs::make(folder, plane_address)?;
        let keys = SshKeys::make(folder)?;
        let site = Site::start(center).await?;
        let packages = Packages::start(center, self.repository.clone()).await?;
        let kubelet_ports = self.kubelet_ports(folder, &certs).await?;
        let flags = kubelet_ports.flags("ExternalIP");
        let plane =
            ControlPlane::start(folder, &certs, plane_address, CONTROL_PLANE, &self.from, &flags).await?;
        let kube = plane.apiserver.client(User::Admin).await?;
        let api_url = plane.apiserver.url.clone();
        let machines = self.machines(folder, &keys, &certs, &plane).await?;
        let kubelets = Kubelets::start(
            folder,
            plane.apiserver.client(User::Kubelets).await?,
            machines.iter().map(node_of).collect(),
            plane.components(),
            api_url.clone(),
            &kubelet_ports,
        )?;
        prepare_cluster(&kube, &self.from, self.crosses_a_minor()).await?;
        let wiring = Wiring::new(folder, &self.settings, center, FACTS)?;
        let alertmanager = wiring.alertmanager(&site).await?;
        let prometheus = wiring.prometheus(&alertmanager, &site, plane.apiserver.scrape_job()).await?;
        let packages_url = packages.url();
        let reached = |kubeconfig| Reached { packages: &packages_url, kubeconfig };
        let kubeconfig = plane.apiserver.kubeconfig(User::Exporter);
        let exporter = wiring.exporter(&prometheus, &reached(&kubeconfig));
        let kubeconfig = plane.apiserver.kubeconfig(User::Actuator);
        let mut nodes = reached_nodes(folder, &keys, &plane, machines[0].spec.port)?;
        nodes["kubeadm"] = serde_json::to_value(&self.kubeadm)?;
        let actuator = wiring.actuator(&prometheus, &alertmanager, &reached(&kubeconfig), nodes);
        let webhook_token = wiring.token;
        wait_for_nodes(&kube, machines.len()).await?;
        wait_for_api_servers(&prometheus).await?;
        let control_plane = Arc::new(Mutex::new(plane));
        let keeper = keep(control_plane.clone(), machines[0].folder.clone());
        let mut world = World {
            settings: self.settings,
            from: self.from,
            kube,
            api_url,
            exporter,
            actuator,
            prometheus,
            alertmanager,
            kubelets,
            kubelet_ports,
            machines,
            keys,
            packages,
            site,
            control_plane,
            webhook_token,
            folder: folder.clone(),
            keeper,
        };
        if self.products {
            world.start_products().await?;
        }
        Ok(world)
    }

    /// Whether there is another minor to go to.
    fn crosses_a_minor(&self) -> bool {
        self.repository.iter().any(|version| version.minor() > self.from.minor())
    }

    async fn kubelet_ports(&self, folder: &RunFolder, certs: &Certs) -> Result<KubeletPorts> {
        let addresses: Vec<String> = self.addresses(folder)?.into_iter().map(proxied_at).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        KubeletPorts::start(folder, certs, &addresses).await
    }

    /// The addresses of the nodes: the control plane's first.
    fn addresses(&self, folder: &RunFolder) -> Result<Vec<Ipv4Addr>> {
        let number = |n: usize| u8::try_from(11 + n).context("too many workers for one network");
        (0..=self.workers).map(|n| Ok(folder.address(number(n)?))).collect()
    }

    async fn machines(
        &self,
        folder: &Arc<RunFolder>,
        keys: &SshKeys,
        certs: &Certs,
        plane: &ControlPlane,
    ) -> Result<Vec<Machine>> {
        // One port for all, since the products know only one.
        let port = free_port(folder.address(11))?;
        let mut machines = Vec::new();
        for (n, address) in self.addresses(folder)?.into_iter().enumerate() {
            let (name, role) = match n {
                0 => (CONTROL_PLANE.to_owned(), Role::ControlPlane),
                n => (format!("worker-{n}"), Role::Worker),
            };
            let kubernetes = match role {
                Role::ControlPlane => control_plane_files(certs, plane)?,
                Role::Worker => Vec::new(),
            };
            let spec = MachineSpec {
                name,
                role,
                address,
                port,
                machine_id: machine_id()?,
                version: self.from.clone(),
                repository: self.repository.clone(),
                pace: self.pace,
                etcd_endpoint: plane.etcd.endpoint.clone(),
                kubernetes,
            };
            machines.push(Machine::start(folder, keys, spec).await?);
        }
        Ok(machines)
    }
}

/// How the actuator reaches the machines, and etcd on them.
fn reached_nodes(folder: &RunFolder, keys: &SshKeys, plane: &ControlPlane, port: u16) -> Result<Value> {
    let pki = |name: &str| format!("/etc/kubernetes/pki/etcd/{name}");
    Ok(json!({
        "ssh": {"user": "root", "port": port, "keyFile": keys.identity, "knownHostsFile": keys.known_hosts,
                "controlDirectory": folder.folder("c")?},
        "etcd": {"endpoints": plane.etcd.endpoint, "caFile": pki("ca.crt"), "certFile": pki("healthcheck-client.crt"),
                 "keyFile": pki("healthcheck-client.key")},
    }))
}

fn node_of(machine: &Machine) -> NodeSpec {
    NodeSpec {
        name: machine.spec.name.clone(),
        role: machine.spec.role,
        address: machine.spec.address,
        machine_id: machine.spec.machine_id.clone(),
        machine: machine.folder.clone(),
    }
}

/// What kubeadm leaves below /etc/kubernetes, as far as an upgrade reads it.
fn control_plane_files(certs: &Certs, plane: &ControlPlane) -> Result<Vec<(String, Vec<u8>)>> {
    // Inside the machine nothing of the run's folder can be seen.
    let admin_conf = std::fs::read_to_string(plane.apiserver.kubeconfig(User::Admin))?
        .replace(&certs.ca.cert.display().to_string(), "/etc/kubernetes/pki/ca.crt");
    let read =
        |path: &Path| std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()));
    Ok(vec![
        ("pki/etcd/ca.crt".to_owned(), read(&certs.etcd_ca.cert)?),
        ("pki/etcd/healthcheck-client.crt".to_owned(), read(&certs.etcd_client.cert)?),
        ("pki/etcd/healthcheck-client.key".to_owned(), read(&certs.etcd_client.key)?),
        ("pki/etcd/server.crt".to_owned(), read(&certs.etcd.cert)?),
        ("pki/etcd/server.key".to_owned(), read(&certs.etcd.key)?),
        ("pki/ca.crt".to_owned(), read(&certs.ca.cert)?),
        ("admin.conf".to_owned(), admin_conf.into_bytes()),
    ])
}
