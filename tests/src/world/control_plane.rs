//! The real control plane of a World, and what a kubelet does for it: keep it running, and run the version that
//! kubeadm asks for.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex as StdMutex};
use std::time::Duration;

use anyhow::Result;
use lockkeeper_rules::words::version::Version;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::certs::Certs;
use crate::machine::Folder;
use crate::part::{ApiServer, Controller, ControllerKind, Etcd};
use crate::run_folder::RunFolder;

/// How often orders are looked for.
const POLL: Duration = Duration::from_millis(50);

/// One static pod: what it runs, and how often it was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// The version of Kubernetes that it came with. etcd stays as it is here, and is restarted all the same.
    pub version: Version,
    /// Counts its starts.
    pub starts: u32,
}

/// The static pods by name, as the simulated kubelet shows them.
pub type Components = Arc<StdMutex<BTreeMap<&'static str, Component>>>;

/// The real control plane.
#[derive(Debug)]
pub struct ControlPlane {
    /// etcd.
    pub etcd: Etcd,
    /// kube-apiserver.
    pub apiserver: ApiServer,
    /// kube-controller-manager.
    pub manager: Controller,
    /// kube-scheduler.
    pub scheduler: Controller,
    /// Whether controllers that have ended are started again.
    pub supervised: bool,
    components: Components,
}

impl ControlPlane {
    /// Starts all of it and waits until it is ready; the API server with these flags besides.
    ///
    /// # Errors
    /// A part cannot be started or does not become ready.
    pub async fn start(
        folder: &Arc<RunFolder>,
        certs: &Certs,
        address: Ipv4Addr,
        node: &str,
        version: &Version,
        flags: &[String],
    ) -> Result<Self> {
        let etcd = Etcd::start(folder, certs, address, node).await?;
        let apiserver = ApiServer::start_with(folder, certs, &etcd, address, version, flags).await?;
        let (manager, scheduler) = tokio::try_join!(
            Controller::start(folder, certs, address, ControllerKind::Manager, version),
            Controller::start(folder, certs, address, ControllerKind::Scheduler, version),
        )?;
        tokio::try_join!(manager.ready(), scheduler.ready())?;
        let components = Components::default();
        let plane = Self { etcd, apiserver, manager, scheduler, supervised: true, components };
        for name in ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
            plane.started(name, version);
        }
        Ok(plane)
    }

    /// The static pods, as they are now and will be.
    #[must_use]
    pub fn components(&self) -> Components {
        self.components.clone()
    }

    /// Restarts every part, one after the other as kubeadm does, at this version. The API is away meanwhile.
    ///
    /// # Errors
    /// A part cannot be started or does not become ready.
    pub async fn upgrade(&mut self, version: &Version) -> Result<()> {
        self.etcd.restart().await?;
        self.started("etcd", version);
        self.apiserver.restart(version).await?;
        self.started("kube-apiserver", version);
        self.manager.restart(version).await?;
        self.manager.ready().await?;
        self.started("kube-controller-manager", version);
        self.scheduler.restart(version).await?;
        self.scheduler.ready().await?;
        self.started("kube-scheduler", version);
        Ok(())
    }

    /// Puts etcd back to a snapshot, with everything stopped meanwhile.
    ///
    /// # Errors
    /// The snapshot cannot be restored, or a part does not become ready on it.
    pub async fn restore(&mut self, snapshot: &Path) -> Result<()> {
        for service in [&mut self.scheduler.service, &mut self.manager.service, &mut self.apiserver.service] {
            service.stop().await;
        }
        self.etcd.restore(snapshot).await?;
        let version = self.version();
        self.upgrade(&version).await
    }

    fn version(&self) -> Version {
        let components = self.components.lock().expect("no one panics while holding the components");
        components["kube-apiserver"].version.clone()
    }

    fn started(&self, name: &'static str, version: &Version) {
        let mut components = self.components.lock().expect("no one panics while holding the components");
        let starts = components.get(name).map_or(1, |before| before.starts + 1);
        components.insert(name, Component { version: version.clone(), starts });
    }

    /// Kills every process at once.
    pub fn kill(&mut self) {
        self.supervised = false;
        for service in [
            &mut self.scheduler.service,
            &mut self.manager.service,
            &mut self.apiserver.service,
            &mut self.etcd.service,
        ] {
            service.kill();
        }
    }
}

/// Follows the machine of the control-plane node: when its kubeadm asks for a version, that version is run.
#[must_use]
pub(super) fn keep(plane: Arc<Mutex<ControlPlane>>, machine: Folder) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(POLL).await;
            let mut plane = plane.lock().await;
            if !plane.supervised {
                continue;
            }
            // What fails here is tried again, and a test that waits for it names the logs.
            let _ = plane.manager.keep_running();
            let _ = plane.scheduler.keep_running();
            let Some(wanted) =
                machine.read("control-plane-wanted").and_then(|text| text.parse::<Version>().ok())
            else {
                continue;
            };
            match plane.upgrade(&wanted).await {
                Ok(()) => {
                    let _ = machine.write("control-plane-done", wanted.to_string());
                    machine.remove("control-plane-wanted");
                }
                Err(error) => {
                    let _ = machine.write("control-plane-error", format!("{error:#}"));
                }
            }
        }
    })
}
