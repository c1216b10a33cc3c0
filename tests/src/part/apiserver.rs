//! kube-apiserver, at any version that `tests/setup` has built.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use lockkeeper_rules::words::version::Version;

use super::etcd::Etcd;
use super::prometheus::{ScrapeAuth, ScrapeJob};
use super::service::{Service, client, install_crypto, probe};
use crate::certs::Certs;
use crate::parts;
use crate::process::Program;
use crate::run_folder::{RunFolder, free_port};

/// How long it may take to answer.
const READY_SECONDS_MAX: u64 = 120;

/// Everybody who speaks to the API server, so that the audit log tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// The person, or the test.
    Admin,
    /// The simulated kubelets.
    Kubelets,
    /// The exporter, with the rights that people give it.
    Exporter,
    /// The actuator, with the rights that people give it.
    Actuator,
    /// kube-controller-manager.
    ControllerManager,
    /// kube-scheduler.
    Scheduler,
    /// Prometheus, which may read metrics.
    Prometheus,
}

impl User {
    /// Everybody.
    pub const ALL: [Self; 7] = [
        Self::Admin,
        Self::Kubelets,
        Self::Exporter,
        Self::Actuator,
        Self::ControllerManager,
        Self::Scheduler,
        Self::Prometheus,
    ];

    /// The user name, as in the audit log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Kubelets => "kubelets",
            Self::Exporter => "exporter",
            Self::Actuator => "actuator",
            Self::ControllerManager => "system:kube-controller-manager",
            Self::Scheduler => "system:kube-scheduler",
            Self::Prometheus => "prometheus",
        }
    }

    fn group(self) -> &'static str {
        match self {
            Self::Admin | Self::Kubelets => "system:masters",
            // A group that every cluster knows.
            Self::Prometheus => "system:monitoring",
            // These two have the rights of deploy/base and no other.
            Self::Exporter | Self::Actuator | Self::ControllerManager | Self::Scheduler => {
                "system:authenticated"
            }
        }
    }

    fn token(self) -> String {
        format!("token-of-{}", self.name().replace(':', "-"))
    }
}

/// Who wrote what, when: the reads would only fill the disk. What the actuator sends is kept whole.
const AUDIT_POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    verbs: [get, list, watch]
  - level: None
    users: [kubelets, "system:kube-controller-manager", "system:kube-scheduler", "system:apiserver"]
  - level: Request
    users: [actuator, exporter]
  - level: Metadata
"#;

/// A running kube-apiserver.
#[derive(Debug)]
pub struct ApiServer {
    /// The process.
    pub service: Service,
    /// Where it listens.
    pub url: String,
    /// Its audit log: one JSON object a line.
    pub audit_log: PathBuf,
    /// What it runs.
    pub version: Version,
    folder: Arc<RunFolder>,
    ca_file: PathBuf,
    args: Vec<String>,
}

impl ApiServer {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// It cannot be started or does not become ready.
    pub async fn start(
        folder: &Arc<RunFolder>,
        certs: &Certs,
        etcd: &Etcd,
        address: Ipv4Addr,
        version: &Version,
    ) -> Result<Self> {
        Self::start_with(folder, certs, etcd, address, version, &[]).await
    }

    /// The same with more flags.
    ///
    /// # Errors
    /// It cannot be started or does not become ready.
    pub async fn start_with(
        folder: &Arc<RunFolder>,
        certs: &Certs,
        etcd: &Etcd,
        address: Ipv4Addr,
        version: &Version,
        flags: &[String],
    ) -> Result<Self> {
        let port = free_port(address)?;
        let url = format!("https://{address}:{port}");
        let audit_log = folder.path().join("audit.log");
        let mut args = arguments(folder, certs, etcd, address, port, &audit_log)?;
        args.extend_from_slice(flags);
        for user in User::ALL {
            folder.write(&format!("kubeconfig/{}", file_of(user)), kubeconfig(certs, &url, user))?;
        }
        let service = Service::new(folder.clone(), Program::new("kube-apiserver", ""));
        let (folder, ca_file) = (folder.clone(), certs.ca.cert.clone());
        let mut server = Self { service, url, audit_log, version: version.clone(), folder, ca_file, args };
        server.restart(version).await?;
        Ok(server)
    }

    /// Stops it, if it runs, and starts this version on the same port; waits until it is ready.
    ///
    /// # Errors
    /// It cannot be started or does not become ready.
    pub async fn restart(&mut self, version: &Version) -> Result<()> {
        self.service.stop().await;
        let program = parts::kubernetes(version, "kube-apiserver")?;
        self.service.set_program(Program::new("kube-apiserver", program).args(self.args.clone()));
        self.version = version.clone();
        self.service.start()?;
        let (client, url) = (client()?, format!("{}/readyz", self.url));
        self.service.ready(Duration::from_secs(READY_SECONDS_MAX), || probe(&client, &url)).await
    }

    /// Its command line, as a static pod has it.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        std::iter::once("kube-apiserver".to_owned()).chain(self.args.clone()).collect()
    }

    /// How Prometheus scrapes it.
    #[must_use]
    pub fn scrape_job(&self) -> ScrapeJob {
        let target = self.url.trim_start_matches("https://").to_owned();
        let auth = ScrapeAuth { token: User::Prometheus.token(), ca_file: self.ca_file.clone() };
        ScrapeJob { name: "apiserver".to_owned(), targets: vec![target], api_server: Some(auth) }
    }

    /// Serves these groups and versions too, or no longer, such as `storage.k8s.io/v1beta1=true`; from its next start on.
    pub fn set_runtime_config(&mut self, versions: &str) {
        self.args.push(format!("--runtime-config={versions}"));
    }

    /// The kubeconfig file of a user.
    #[must_use]
    pub fn kubeconfig(&self, user: User) -> PathBuf {
        kubeconfig_path(&self.folder, user)
    }

    /// A client that speaks as a user.
    ///
    /// # Errors
    /// The kubeconfig cannot be read.
    pub async fn client(&self, user: User) -> Result<kube::Client> {
        install_crypto();
        let config = Kubeconfig::read_from(self.kubeconfig(user)).context("the kubeconfig cannot be read")?;
        let mut config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
        // An eviction that a budget refuses is answered 429: the client must show it, not wait it out.
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(2));
        config.read_timeout = Some(Duration::from_secs(10));
        // Otherwise the time in which nobody asked anything counts too, and a request may have none left.
        config.reset_reader_on_write = true;
        config.proxy_url = None;
        Ok(kube::Client::try_from(config)?)
    }
}

/// The kubeconfig file of a user.
pub(crate) fn kubeconfig_path(folder: &RunFolder, user: User) -> PathBuf {
    folder.path().join("kubeconfig").join(file_of(user))
}

fn file_of(user: User) -> String {
    format!("{}.yaml", user.name().replace(':', "-"))
}

fn kubeconfig(certs: &Certs, url: &str, user: User) -> String {
    let (name, token, ca) = (user.name(), user.token(), certs.ca.cert.display());
    format!(
        r#"apiVersion: v1
kind: Config
clusters: [{{name: lockkeeper, cluster: {{server: "{url}", certificate-authority: "{ca}"}}}}]
users: [{{name: "{name}", user: {{token: "{token}"}}}}]
contexts: [{{name: lockkeeper, context: {{cluster: lockkeeper, user: "{name}"}}}}]
current-context: lockkeeper
"#
    )
}

fn arguments(
    folder: &RunFolder,
    certs: &Certs,
    etcd: &Etcd,
    address: Ipv4Addr,
    port: u16,
    audit_log: &Path,
) -> Result<Vec<String>> {
    let tokens: String = User::ALL
        .iter()
        .map(|user| format!("{},{1},{1},\"{2}\"\n", user.token(), user.name(), user.group()))
        .collect();
    let tokens = folder.write("pki/tokens.csv", tokens)?;
    let policy = folder.write("audit-policy.yaml", AUDIT_POLICY)?;
    let file = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
    let mut args: Vec<String> = [
        "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--enable-aggregator-routing=true",
        "--enable-bootstrap-token-auth=true",
        // A request that hangs while etcd is away must not hold up the stop.
        "--request-timeout=10s",
    ]
    .map(str::to_owned)
    .to_vec();
    args.extend([
        format!("--etcd-servers={}", etcd.endpoint),
        format!("--bind-address={address}"),
        format!("--advertise-address={address}"),
        format!("--secure-port={port}"),
        file("etcd-cafile", &certs.etcd_ca.cert),
        file("etcd-certfile", &certs.etcd_client.cert),
        file("etcd-keyfile", &certs.etcd_client.key),
        file("tls-cert-file", &certs.apiserver.cert),
        file("tls-private-key-file", &certs.apiserver.key),
        file("client-ca-file", &certs.ca.cert),
        file("token-auth-file", &tokens),
        file("service-account-key-file", &certs.service_account.cert),
        file("service-account-signing-key-file", &certs.service_account.key),
        file("requestheader-client-ca-file", &certs.front_ca.cert),
        file("proxy-client-cert-file", &certs.front.cert),
        file("proxy-client-key-file", &certs.front.key),
        file("audit-policy-file", &policy),
        file("audit-log-path", audit_log),
    ]);
    Ok(args)
}
