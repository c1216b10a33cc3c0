//! etcd, one member, over TLS with client certificates as kubeadm sets it up.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use super::service::{Service, client, probe};
use crate::certs::Certs;
use crate::parts;
use crate::process::Program;
use crate::run_folder::{RunFolder, free_port};

/// How long it may take to answer.
const READY_SECONDS_MAX: u64 = 60;

/// A running etcd.
#[derive(Debug)]
pub struct Etcd {
    /// The process.
    pub service: Service,
    /// Where clients connect.
    pub endpoint: String,
    health: String,
    data: PathBuf,
    name: String,
    peer: String,
}

impl Etcd {
    /// Starts it and waits until it is healthy.
    ///
    /// # Errors
    /// It cannot be started or does not become healthy.
    pub async fn start(
        folder: &Arc<RunFolder>,
        certs: &Certs,
        address: Ipv4Addr,
        name: &str,
    ) -> Result<Self> {
        let endpoint = format!("https://{address}:{}", free_port(address)?);
        let peer = format!("https://{address}:{}", free_port(address)?);
        let metrics = format!("http://{address}:{}", free_port(address)?);
        let data = folder.folder("etcd-data")?;
        let path = |path: &Path| path.display().to_string();
        let program = Program::new("etcd", parts::etcd("etcd")?)
            .args(["--name", name, "--data-dir", &path(&data)])
            // The data is thrown away; a disk that is slow at fsync would only make elections happen.
            .arg("--unsafe-no-fsync")
            .args(["--listen-client-urls", &endpoint, "--advertise-client-urls", &endpoint])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("{name}={peer}"), "--listen-metrics-urls", &metrics])
            .args(["--cert-file", &path(&certs.etcd.cert), "--key-file", &path(&certs.etcd.key)])
            .args(["--peer-cert-file", &path(&certs.etcd.cert), "--peer-key-file", &path(&certs.etcd.key)])
            .args(["--trusted-ca-file", &path(&certs.etcd_ca.cert), "--client-cert-auth"])
            .args(["--peer-trusted-ca-file", &path(&certs.etcd_ca.cert), "--peer-client-cert-auth"]);
        let mut etcd = Self {
            service: Service::new(folder.clone(), program),
            endpoint,
            health: format!("{metrics}/health"),
            data,
            name: name.to_owned(),
            peer,
        };
        etcd.restart().await?;
        Ok(etcd)
    }

    /// Starts it again on its old data and waits until it is healthy.
    ///
    /// # Errors
    /// It cannot be started or does not become healthy.
    pub async fn restart(&mut self) -> Result<()> {
        self.service.stop().await;
        self.service.start()?;
        let client = client()?;
        self.service.ready(Duration::from_secs(READY_SECONDS_MAX), || probe(&client, &self.health)).await
    }
    /// Ends it and puts its data back to a snapshot, with revisions that no watch has seen: as its documentation asks of
    /// whoever restores the etcd of a Kubernetes.
    ///
    /// # Errors
    /// The snapshot cannot be restored.
    pub async fn restore(&mut self, snapshot: &Path) -> Result<()> {
        self.service.stop().await;
        std::fs::remove_dir_all(&self.data)?;
        let output = Command::new(parts::etcd("etcdutl")?)
            .args(["snapshot", "restore"])
            .arg(snapshot)
            .arg("--data-dir")
            .arg(&self.data)
            .args(["--name", &self.name, "--initial-cluster", &format!("{}={}", self.name, self.peer)])
            .args(["--initial-advertise-peer-urls", &self.peer])
            .args(["--bump-revision", "1000000000", "--mark-compacted"])
            .output()
            .await
            .context("etcdutl")?;
        ensure!(output.status.success(), "etcdutl: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}
