//! The observers and both products beside the cluster, set up as docs/configuration.md says.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use lockkeeper_rules::settings::{AlertSettings, Settings};
use serde_json::json;

use super::cluster::{BACKUP, Cluster, OUTSIDE, PATCHES, packages_url};
use super::supplies::REPOSITORY;
use crate::part::{Alertmanager, Prometheus, ScrapeAuth, ScrapeJob};
use crate::product::Product;
use crate::run_folder::RunFolder;
use crate::site::Site;
use crate::wiring::{Reached, Wiring};

/// What people install on the cluster before; the last is for another minor.
const DEPLOYED: [&str; 4] = [
    "deploy/base/namespace.yaml",
    "deploy/base/exporter-rbac.yaml",
    "deploy/base/actuator-rbac.yaml",
    "deploy/kubelet-config/rbac.yaml",
];
/// Prometheus has watched this cluster for minutes, and a month is wanted.
const FACTS: &str = r#"schema: 2
as_of: "2026-09-01"
policy: {deprecated_api_short_proof: note}
"#;

/// The observers and the products.
#[derive(Debug)]
pub(super) struct Products {
    /// The exporter.
    pub(super) exporter: Product,
    /// The actuator.
    pub(super) actuator: Product,
    _observers: (Prometheus, Alertmanager, Site),
}

/// What an operator of a small and young cluster would set.
fn settings() -> Settings {
    Settings {
        scrape_interval_seconds: 2,
        evaluation_interval_seconds: 2,
        unbroken_evaluation_seconds: 20,
        // The machines have just been booted.
        quiet_seconds: 0,
        soak_seconds: 10,
        attempt_pause_seconds: 10,
        drain_seconds_max: 300,
        prometheus_job: "prometheus".to_owned(),
        alerts: AlertSettings { interval_seconds: 10, ..AlertSettings::default() },
        ..Settings::default()
    }
}

impl Products {
    /// Installs what docs/configuration.md names, and starts everything.
    ///
    /// # Errors
    /// Something is refused, or does not become ready.
    pub(super) async fn start(run: &Arc<RunFolder>, cluster: &Cluster) -> Result<Self> {
        let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let apply = |file: &str| std::fs::read_to_string(root.join(file)).context(file.to_owned());
        for file in DEPLOYED {
            cluster.kubectl(&["apply", "--filename=-"], &apply(file)?).await?;
        }
        cluster.kubectl(&["apply", "--filename=-"], &apply("rules/generated/crd-upgraderun.yaml")?).await?;
        let crd = format!("crd/upgraderuns.{}", lockkeeper_rules::api::GROUP);
        cluster.kubectl(&["wait", "--for=condition=Established", "--timeout=30s", &crd], "").await?;
        cluster.kubectl(&["apply", "--filename=-"], PROMETHEUS_RIGHTS).await?;
        let settings = settings();
        let site = Site::start(OUTSIDE).await?;
        let wiring = Wiring::new(run, &settings, OUTSIDE, FACTS)?.unhurried();
        let alertmanager = wiring.alertmanager(&site).await?;
        let prometheus = wiring.prometheus(&alertmanager, &site, api_servers(run, cluster).await?).await?;
        let url = packages_url();
        let kubeconfig = kubeconfig(run, cluster, "lockkeeper-exporter").await?;
        let mut exporter = wiring.exporter(&prometheus, &Reached { packages: &url, kubeconfig: &kubeconfig });
        let kubeconfig = self::kubeconfig(run, cluster, "lockkeeper-actuator").await?;
        let keys = &cluster.keys;
        let more = json!({
            "ssh": {"user": "root", "keyFile": keys.identity, "knownHostsFile": keys.known_hosts,
                    "controlDirectory": run.folder("c")?},
            "kubeadm": {
                "patchesDirectory": PATCHES,
                "ignorePreflightErrors": [{"name": "SystemVerification", "reason": "these machines have cgroup v1"}],
                // What a site does that looks after CoreDNS itself; a cluster of several control planes leaves it to kubeadm.
                "skipPhases": if cluster.shape.control_planes == 1 {
                    json!([{"name": "addon/coredns", "reason": "CoreDNS is the site's own"}])
                } else {
                    json!([])
                },
                "extraImages": [format!("{REPOSITORY}/busybox:1")],
            },
            "etcd": {"snapshotDirectory": BACKUP},
        });
        let reached = Reached { packages: &url, kubeconfig: &kubeconfig };
        let mut actuator = wiring.actuator(&prometheus, &alertmanager, &reached, more);
        exporter.start().await.context("the exporter")?;
        actuator.start().await.context("the actuator")?;
        Ok(Self { exporter, actuator, _observers: (prometheus, alertmanager, site) })
    }
}

/// Prometheus runs outside, and asks each API server at its node's address.
async fn api_servers(run: &Arc<RunFolder>, cluster: &Cluster) -> Result<ScrapeJob> {
    let ca = run.write("pki/cluster-ca.crt", cluster.hosts[0].read("/etc/kubernetes/pki/ca.crt").await?)?;
    let token = token(cluster, "prometheus").await?;
    let targets = cluster.control_planes().iter().map(|host| format!("{}:6443", host.address)).collect();
    Ok(ScrapeJob {
        name: "apiserver".to_owned(),
        targets,
        api_server: Some(ScrapeAuth { token, ca_file: ca }),
    })
}

async fn token(cluster: &Cluster, account: &str) -> Result<String> {
    let words = ["create", "token", account, "--namespace=k8s-upgrade", "--duration=4h"];
    Ok(cluster.kubectl(&words, "").await?.trim().to_owned())
}

async fn kubeconfig(run: &Arc<RunFolder>, cluster: &Cluster, account: &str) -> Result<PathBuf> {
    let ca = run.write("pki/cluster-ca.crt", cluster.hosts[0].read("/etc/kubernetes/pki/ca.crt").await?)?;
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "e2e",
        "clusters": [{"name": "e2e", "cluster": {"server": cluster.api_url, "certificate-authority": ca}}],
        "users": [{"name": account, "user": {"token": token(cluster, account).await?}}],
        "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": account}}],
    });
    run.write(&format!("kubeconfig/{account}.yaml"), config.to_string())
}

const PROMETHEUS_RIGHTS: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: prometheus, namespace: k8s-upgrade}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: prometheus}
rules: [{nonResourceURLs: [/metrics], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: prometheus}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: prometheus}
subjects: [{kind: ServiceAccount, name: prometheus, namespace: k8s-upgrade}]
"#;
