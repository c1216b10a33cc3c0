//! What a verdict is asked with: the flags, which cluster they mean, and how long it may take to ask it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{Failure, input};
use crate::client::backend::BackendConfig;
use crate::client::deadline::within;
use crate::client::kubernetes::{Cluster, ConnectError, listed_kubeconfigs};
use crate::config::Config;
use crate::read::prometheus::Prometheus;

/// How long all of it may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);
/// How long a source of the API server may take. Two of them come one after the other, and leave time for packages.
pub(super) const SOURCE_DEADLINE: Duration = Duration::from_secs(15);

#[derive(Debug, Args)]
pub(super) struct VerdictArgs {
    /// The version to upgrade to, such as v1.36.3.
    pub(super) target: String,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
    /// Shows everything: every subject, what each check has read and recognised, and how old all of it is.
    #[arg(long)]
    pub(super) verbose: bool,
    /// The kubeconfig; without it, those in $KUBECONFIG, as kubectl reads them, or else the pod's service account.
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    kubeconfig: Option<PathBuf>,
    /// The configuration file with settings, packages, Prometheus and matrix.files. Without it, it is not known which
    /// versions are published.
    #[arg(long = "config.file", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Facts about versions, on top of the built-in ones and those of the configuration file; - is standard input. A
    /// single file without `schema` is read in the format of an older check, and gets that check's lines and exit code.
    #[arg(long, value_name = "FILE")]
    pub(super) matrix: Vec<PathBuf>,
    /// The Prometheus that scrapes the API servers, such as http://prometheus:9090, instead of those in
    /// --config.file. Without any, it is not known who calls APIs that the target removes.
    #[arg(long, value_name = "URL", conflicts_with = "from")]
    prometheus: Option<String>,
    /// Judges a saved cluster, as of the moment when it was saved.
    #[arg(long, value_name = "FILE")]
    pub(super) from: Option<PathBuf>,
    /// Saves what was read, for --from.
    #[arg(long, value_name = "FILE")]
    pub(super) save: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl VerdictArgs {
    pub(super) fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    /// The cluster that is meant.
    pub(super) async fn connect(&self) -> Result<Cluster, Failure> {
        if self.kubeconfig.is_some() {
            return Cluster::connect(self.kubeconfig.as_deref()).await.map_err(input);
        }
        let listed =
            std::env::var_os("KUBECONFIG").map(|listed| listed_kubeconfigs(&listed)).unwrap_or_default();
        let named = |error: ConnectError| match listed.is_empty() {
            true => error.into(),
            false => anyhow::Error::new(error).context("$KUBECONFIG"),
        };
        Cluster::connect_merged(&listed).await.map_err(|error| input(named(error)))
    }

    /// The servers of --prometheus, else those of --config.file.
    pub(super) fn prometheus(&self, config: Option<&Config>) -> Result<Vec<Prometheus>, Failure> {
        let Some(url) = &self.prometheus else {
            let configured = config.map(Config::prometheus).transpose();
            return Ok(configured.map_err(|why| input(anyhow::anyhow!(why)))?.unwrap_or_default());
        };
        let one = BackendConfig { urls: vec![url.clone()], token_file: None };
        Prometheus::all_within(&one, SOURCE_DEADLINE)
            .map_err(|error| input(anyhow::Error::new(error).context("--prometheus")))
    }
}

/// Runs what asks a cluster. It ends within [`DEADLINE`], whatever does not answer.
pub(super) fn within_deadline<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(input)?;
    let ended = runtime.block_on(within(DEADLINE, work));
    // A lookup of a name cannot be broken off: it must not hold up the end.
    runtime.shutdown_background();
    ended.map_err(|late| input(anyhow::anyhow!("{late}; check --kubeconfig and the network")))?
}
