//! kube-controller-manager and kube-scheduler, with leader election, since the products look at their Leases.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use lockkeeper_rules::words::version::Version;

use super::apiserver::{User, kubeconfig_path};
use super::service::{Service, client, probe};
use crate::certs::Certs;
use crate::parts;
use crate::process::Program;
use crate::run_folder::{RunFolder, free_port};

/// How long it may take to answer.
const READY_SECONDS_MAX: u64 = 60;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControllerKind {
    /// kube-controller-manager.
    Manager,
    /// kube-scheduler.
    Scheduler,
}

impl ControllerKind {
    /// The program's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Manager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
        }
    }

    fn user(self) -> User {
        match self {
            Self::Manager => User::ControllerManager,
            Self::Scheduler => User::Scheduler,
        }
    }
}

/// A running controller.
#[derive(Debug)]
pub struct Controller {
    /// The process.
    pub service: Service,
    /// What it runs.
    pub version: Version,
    kind: ControllerKind,
    args: Vec<String>,
    health: String,
}

impl Controller {
    /// Starts it; [`Controller::ready`] waits for it.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn start(
        folder: &Arc<RunFolder>,
        certs: &Certs,
        address: Ipv4Addr,
        kind: ControllerKind,
        version: &Version,
    ) -> Result<Self> {
        let port = free_port(address)?;
        let kubeconfig = kubeconfig_path(folder, kind.user());
        let mut args: Vec<String> = ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"]
            .map(|flag| format!("--{flag}={}", kubeconfig.display()))
            .to_vec();
        args.extend([format!("--bind-address={address}"), format!("--secure-port={port}")]);
        // Shorter than the defaults, so that a restart does not stand still for 15 s until the old Lease is over.
        args.extend(
            [
                "--leader-elect-lease-duration=8s",
                "--leader-elect-renew-deadline=6s",
                "--leader-elect-retry-period=1s",
            ]
            .map(str::to_owned),
        );
        if kind == ControllerKind::Manager {
            args.extend([
                "--use-service-account-credentials=true".to_owned(),
                "--controllers=*,bootstrap-signer-controller,token-cleaner-controller".to_owned(),
                format!("--service-account-private-key-file={}", certs.service_account.key.display()),
                format!("--root-ca-file={}", certs.ca.cert.display()),
                format!("--cluster-signing-cert-file={}", certs.ca.cert.display()),
                format!("--cluster-signing-key-file={}", certs.ca.key.display()),
            ]);
        }
        let service = Service::new(folder.clone(), Program::new(kind.name(), ""));
        let health = format!("https://{address}:{port}/healthz");
        let mut controller = Self { service, version: version.clone(), kind, args, health };
        controller.restart(version).await?;
        Ok(controller)
    }

    /// Stops it, if it runs, and starts this version.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn restart(&mut self, version: &Version) -> Result<()> {
        self.service.stop().await;
        let program = parts::kubernetes(version, self.kind.name())?;
        self.service.set_program(Program::new(self.kind.name(), program).args(self.args.clone()));
        self.version = version.clone();
        self.service.start()
    }

    /// Waits until it is healthy.
    ///
    /// # Errors
    /// It does not become healthy.
    pub async fn ready(&self) -> Result<()> {
        let client = client()?;
        self.service.ready(Duration::from_secs(READY_SECONDS_MAX), || probe(&client, &self.health)).await
    }

    /// Starts it again if it has ended: it ends itself when it loses its Lease, and a kubelet would start it again.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn keep_running(&mut self) -> Result<()> {
        if self.service.process().is_none() { self.service.start() } else { Ok(()) }
    }
}
