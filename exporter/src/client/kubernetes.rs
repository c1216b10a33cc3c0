//! The Kubernetes client, built in one place so that its traps are disarmed once.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use kube::config::{Config, KubeConfigOptions, Kubeconfig};

use crate::client::deadline::{Late, within};

/// How long the TCP and TLS connection to the API server may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a written request may stall.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// The namespace of a program outside a cluster: the one that `deploy/base` makes.
const NAMESPACE_OUTSIDE: &str = "k8s-upgrade";
/// How long the API server may be silent. Longer than a watch waits for its bookmark, so that the watch speaks first.
const READ_TIMEOUT: Duration = Duration::from_secs(120);

/// Why there is no Kubernetes client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig cannot be used.
    #[error("cannot use the kubeconfig {}; check --kubeconfig", listed(paths))]
    Kubeconfig {
        /// Its path; several if the fault is in what they are together.
        paths: Vec<PathBuf>,
        /// Why.
        #[source]
        source: kube::config::KubeconfigError,
    },
    /// There is no service account.
    #[error("not in a cluster and no kubeconfig given; set --kubeconfig")]
    InCluster(#[source] kube::config::InClusterError),
    /// The configuration does not make a client.
    #[error("cannot build the Kubernetes client")]
    Client(#[source] kube::Error),
}

/// Makes ring the one TLS provider of the process. Without it every TLS configuration panics.
pub fn install_tls_provider() {
    // A second call finds the provider of the first, which is what is wanted.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
}

/// Builds the client from a kubeconfig, or from the pod's service account.
///
/// # Errors
/// The kubeconfig or the service account cannot be used. The API server itself is not asked yet.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<kube::Client, ConnectError> {
    Ok(Cluster::connect(kubeconfig).await?.client)
}

/// One cluster: its usual API server, and each other one at its own address.
pub struct Cluster {
    /// The client of the configured address.
    pub client: kube::Client,
    config: Config,
    own_namespace: String,
    /// Clients of single API servers by address. Bounded by the control-plane nodes that ever were.
    others: Mutex<BTreeMap<String, kube::Client>>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("url", &self.config.cluster_url).finish_non_exhaustive()
    }
}

impl Cluster {
    /// Builds the client from a kubeconfig, or from the pod's service account.
    ///
    /// # Errors
    /// The kubeconfig or the service account cannot be used. The API server itself is not asked yet.
    pub async fn connect(kubeconfig: Option<&Path>) -> Result<Self, ConnectError> {
        Self::connect_merged(kubeconfig.map(Path::to_owned).as_slice()).await
    }

    /// Builds the client from kubeconfigs that are merged as kubectl does, or from the pod's service account if there is
    /// none.
    ///
    /// # Errors
    /// A kubeconfig or the service account cannot be used. The API server itself is not asked yet.
    pub async fn connect_merged(kubeconfigs: &[PathBuf]) -> Result<Self, ConnectError> {
        let config = configure(kubeconfigs).await?;
        let client = kube::Client::try_from(config.clone()).map_err(ConnectError::Client)?;
        // A kubeconfig's context names what a person works on, which is no namespace of this program.
        let own_namespace = match kubeconfigs {
            [] => config.default_namespace.clone(),
            _ => NAMESPACE_OUTSIDE.to_owned(),
        };
        Ok(Self { client, config, own_namespace, others: Mutex::new(BTreeMap::new()) })
    }

    /// The namespace of the pod that this program runs in; outside a cluster that of `deploy/base`.
    #[must_use]
    pub fn own_namespace(&self) -> &str {
        &self.own_namespace
    }

    /// The address of the usual API server, as configured.
    #[must_use]
    pub fn url(&self) -> String {
        self.config.cluster_url.to_string()
    }

    /// A client with the same credentials for the API server at `https://<address>`.
    ///
    /// # Errors
    /// The address makes no URL.
    pub fn at(&self, address: &str) -> Result<kube::Client, String> {
        let mut others = self.others.lock().expect("nothing panics while it holds this lock");
        if let Some(client) = others.get(address) {
            return Ok(client.clone());
        }
        let mut config = self.config.clone();
        config.cluster_url =
            format!("https://{address}").parse().map_err(|error| format!("{address}: {error}"))?;
        let client = kube::Client::try_from(config).map_err(|error| explain(&error))?;
        others.insert(address.to_owned(), client.clone());
        Ok(client)
    }
}

/// Why a call of the API server brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The API server, or the way to it, says why.
    #[error("{}", explain(.0))]
    Answer(kube::Error),
    /// Nobody said anything in time.
    #[error(transparent)]
    Late(#[from] Late),
}

/// One call of the API server, which may take so long.
///
/// # Errors
/// It fails, or is not answered in time.
pub async fn call<T>(
    deadline: Duration,
    answer: impl Future<Output = kube::Result<T>>,
) -> Result<T, CallError> {
    within(deadline, answer).await?.map_err(CallError::Answer)
}

/// A client's error in one line of plain words.
#[must_use]
pub fn explain(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => {
            let (code, reason) = (status.code, status.reason.as_str());
            format!("the API server answers {code} {reason}: {}", status.message)
        }
        other => crate::telemetry::chain(other),
    }
}

async fn configure(kubeconfigs: &[PathBuf]) -> Result<Config, ConnectError> {
    let mut config = match kubeconfigs {
        [] => Config::incluster().map_err(ConnectError::InCluster)?,
        paths => from_files(paths).await?,
    };
    // The library would repeat each 429 for minutes, also an eviction that a budget refuses: retries are ours.
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.write_timeout = Some(WRITE_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    config.reset_reader_on_write = true;
    Ok(config)
}

async fn from_files(paths: &[PathBuf]) -> Result<Config, ConnectError> {
    let unusable = |paths: &[PathBuf], source| ConnectError::Kubeconfig { paths: paths.to_vec(), source };
    let mut merged = Kubeconfig::default();
    for path in paths {
        let read = Kubeconfig::read_from(path).and_then(|next| merged.merge(next));
        merged = read.map_err(|source| unusable(std::slice::from_ref(path), source))?;
    }
    let options = KubeConfigOptions::default();
    Config::from_custom_kubeconfig(merged, &options).await.map_err(|source| unusable(paths, source))
}

/// The kubeconfigs that `$KUBECONFIG` lists. As for kubectl, an empty name is none, and a file that is not there counts
/// only if no other is.
#[must_use]
pub fn listed_kubeconfigs(listed: &OsStr) -> Vec<PathBuf> {
    let paths: Vec<PathBuf> =
        std::env::split_paths(listed).filter(|path| !path.as_os_str().is_empty()).collect();
    let there: Vec<PathBuf> = paths.iter().filter(|path| path.exists()).cloned().collect();
    if there.is_empty() { paths } else { there }
}

fn listed(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_kubeconfig_that_is_not_there_is_named() {
        let error = connect(Some(Path::new("/nonexistent/kubeconfig"))).await.err().unwrap();
        assert!(error.to_string().contains("/nonexistent/kubeconfig"), "{error}");
    }

    #[tokio::test]
    async fn kubeconfigs_are_merged_as_kubectl_does() {
        install_tls_provider();
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let cluster = "clusters: [{name: c, cluster: {server: 'https://10.0.0.1:6443'}}]\nusers: [{name: u, user: {}}]\n";
        let (one, context) = (
            write("one", cluster),
            write(
                "context",
                "contexts: [{name: x, context: {cluster: c, user: u, namespace: theirs}}]\ncurrent-context: x\n",
            ),
        );
        let later =
            write("later", "clusters: [{name: c, cluster: {server: 'https://10.0.0.2:6443'}}]\nusers: []\n");
        let gone = folder.path().join("gone");
        let paths = |paths: &[&PathBuf]| listed_kubeconfigs(&std::env::join_paths(paths).unwrap());
        let all = paths(&[&gone, &PathBuf::new(), &one, &later, &context]);
        assert_eq!(all, [&one, &later, &context].map(Clone::clone), "what is not there is not missed");
        let connected = Cluster::connect_merged(&all).await.unwrap();
        assert_eq!(connected.url(), "https://10.0.0.1:6443/", "the first file that names a cluster counts");
        assert_eq!(connected.own_namespace(), "k8s-upgrade", "not that of the context");
        assert_eq!(paths(&[&gone]), [gone], "unless nothing is there");
        let error = Cluster::connect_merged(&[one, later]).await.err().unwrap().to_string();
        assert!(error.contains("one, ") && error.contains("later; check"), "{error}");
        assert_eq!(listed_kubeconfigs(OsStr::new("")), Vec::<PathBuf>::new());
    }
}
