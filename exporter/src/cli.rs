//! The program: its command line, and how its parts are put together.

mod compat;
mod matrix;
mod verdict;
mod verdict_args;

use std::future::pending;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use futures::FutureExt as _;
use jiff::Timestamp;
use lockkeeper_rules::alert;
use lockkeeper_rules::publish::crd;
use lockkeeper_rules::publish::route;
use lockkeeper_rules::publish::route::RouteOptions;
use lockkeeper_rules::settings::Settings;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::client::kubernetes::{Cluster, install_tls_provider};
use crate::config::{self, Config};
use crate::exit::Exit;
use crate::read::cluster_reader::ClusterReader;
use crate::read::matrix::MatrixFiles;
use crate::read::packages::Repository;
use crate::read::polled_sources::PolledConfig;
use crate::serve::routes::{Site, probe, route as answer};
use crate::serve::view::{self, View};
use crate::server::http::{Handler, Limits, ListenError, Listener};
use crate::telemetry;

/// Watches a cluster, and publishes its metrics and the verdict on newer versions. Changes nothing.
#[derive(Debug, Parser)]
#[command(name = "lockkeeper-exporter", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints the alert rules for Prometheus.
    Rules(SettingsArgs),
    /// Prints the route and the receivers for Alertmanager.
    Route(SettingsArgs),
    /// Prints the custom resource definition.
    Crds,
    /// Says whether the cluster is ready for a version: exit code 0 safe, 2 blocked, 3 unknown or bad input, 4 held.
    Verdict(verdict_args::VerdictArgs),
    /// Checks or prints files of facts about versions.
    #[command(subcommand)]
    Matrix(matrix::MatrixCommand),
}

#[derive(Debug, Args)]
struct SettingsArgs {
    /// The configuration file with the settings; without it, the defaults are used.
    #[arg(long = "config.file", value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// The configuration file.
    #[arg(long = "config.file", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen: `host:port` or `:port`.
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = ":19440")]
    listen: String,
    /// Where the kubelet's probes are answered, without TLS or users.
    #[arg(long = "web.probe-address", value_name = "ADDRESS", default_value = ":19442")]
    probes: String,
    /// TLS and users of the listener, in the format of Prometheus' exporters.
    #[arg(long = "web.config.file", value_name = "FILE")]
    web_config: Option<PathBuf>,
    /// The path of the metrics.
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics")]
    telemetry_path: String,
    /// The kubeconfig; without it, the pod's service account is used.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Checks the configuration and exits.
    #[arg(long)]
    check_config: bool,
}

const LISTEN_FLAG: &str = "--web.listen-address";
const PROBE_FLAG: &str = "--web.probe-address";

/// How a start went wrong.
enum Failure {
    /// A person must mend the input: exit code 3.
    Input(anyhow::Error),
    /// Everything else: exit code 1.
    Run(anyhow::Error),
}

/// Runs the program to its end.
#[must_use]
pub fn main() -> ExitCode {
    install_tls_provider();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let is_wrong = error.use_stderr();
            // Nobody is left to be told if the terminal is gone.
            let _told = error.print();
            return if is_wrong { Exit::Unknown.into() } else { Exit::Safe.into() };
        }
    };
    let ended = match cli.command {
        None => start(cli.run).map(|()| Exit::Safe),
        Some(Command::Rules(args)) => {
            settings(args.config.as_deref()).and_then(|it| print(&alert::to_yaml(&alert::groups(&it))))
        }
        Some(Command::Route(args)) => settings(args.config.as_deref())
            .and_then(|it| print(&route::to_yaml(&RouteOptions::default(), &it))),
        Some(Command::Crds) => print(&crd::upgrade_run_yaml()),
        Some(Command::Verdict(args)) => verdict::run(args),
        Some(Command::Matrix(command)) => matrix::run(command),
    };
    ended.unwrap_or_else(Failure::report).into()
}

impl Failure {
    /// What goes wrong on the way to a verdict leaves it unknown: its exit code is that of bad input.
    fn unknown(self) -> Self {
        match self {
            Self::Input(error) | Self::Run(error) => Self::Input(error),
        }
    }

    fn report(self) -> Exit {
        match self {
            Self::Input(error) => {
                eprintln!("lockkeeper-exporter: {}", telemetry::chain(error.as_ref()));
                Exit::Unknown
            }
            Self::Run(error) => {
                tracing::error!(error = telemetry::chain(error.as_ref()), "the exporter has ended");
                Exit::Failed
            }
        }
    }
}

/// The settings of a configuration file; the defaults without one.
fn settings(path: Option<&Path>) -> Result<Settings, Failure> {
    let config = path.map(config::read).transpose().map_err(input)?;
    Ok(config.map(|config| config.settings).unwrap_or_default())
}

fn print(text: &str) -> Result<Exit, Failure> {
    write(text.trim_end())
}

/// Writes a text as it is, and the end of its last line.
fn write(text: &str) -> Result<Exit, Failure> {
    // Whoever reads only the head of it has hung up: that is no failure.
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::Run(error.into())),
        Ok(()) | Err(_) => Ok(Exit::Safe),
    }
}

fn input(error: impl Into<anyhow::Error>) -> Failure {
    Failure::Input(error.into())
}

/// A listener that cannot be opened, with the flag that is to be mended: the one of its address, or of its web config.
fn unheard(address_flag: &'static str, error: ListenError) -> Failure {
    let flag = match &error {
        ListenError::Bind { .. } => address_flag,
        ListenError::WebConfig(_) => "--web.config.file",
    };
    Failure::Input(anyhow::Error::new(error).context(flag))
}

fn start(args: RunArgs) -> Result<(), Failure> {
    let missing = || Failure::Input(anyhow::anyhow!("--config.file is missing"));
    let config = config::read(args.config.as_deref().ok_or_else(missing)?).map_err(input)?;
    if !args.telemetry_path.starts_with('/') {
        return Err(Failure::Input(anyhow::anyhow!("--web.telemetry-path must begin with /")));
    }
    let matrix = config.matrix.open().map_err(input)?;
    if args.check_config {
        let security = crate::server::web_config::Security::load(args.web_config.as_deref());
        security.map_err(|error| unheard(LISTEN_FLAG, error.into()))?;
        println!("the configuration is good");
        return Ok(());
    }
    telemetry::init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("cannot start the runtime").map_err(Failure::Run)?.block_on(run(args, config, matrix))
}

async fn run(args: RunArgs, config: Config, matrix: MatrixFiles) -> Result<(), Failure> {
    let cluster = Cluster::connect(args.kubeconfig.as_deref()).await.map_err(input)?;
    let repository = Repository::new(&config.packages.url).map_err(input)?;
    let listener = Listener::bind(&args.listen, args.web_config.as_deref(), Limits::default()).await;
    let listener = listener.map_err(|error| unheard(LISTEN_FLAG, error))?;
    let probes = Listener::bind(&args.probes, None, Limits::probes()).await;
    let probes = probes.map_err(|error| unheard(PROBE_FLAG, error))?;
    let (address, tls) = (listener.local_addr(), listener.is_tls());
    tracing::info!(%address, tls, probes = %probes.local_addr(), cluster = cluster.url(), "exporter listens");

    let prometheus = config.prometheus().map_err(|why| input(anyhow::anyhow!(why)))?;
    let settings = config.settings.served_from(cluster.own_namespace());
    tracing::info!(namespaces = settings.namespaces.join(" "), "runs of these namespaces are served");
    let polled_config =
        PolledConfig { prometheus, selector: settings.selector.clone(), facts: matrix.in_force() };
    let reader = ClusterReader::new(polled_config, settings.namespaces.clone());
    let mut tasks = reader.start(Arc::new(cluster), repository, config.packages.pause());
    let first = Arc::new(view::empty(&settings, Timestamp::now()));
    let (views, shown) = watch::channel(first);
    tasks.spawn(view::keep(reader, matrix.in_force(), settings.clone(), views));
    tasks.spawn(matrix.keep());

    let site = Site {
        telemetry_path: args.telemetry_path,
        rules: alert::to_yaml(&alert::groups(&settings)).into(),
        settings,
    };
    tasks.spawn(probes.serve(probe_handler(shown.clone()), pending()));
    let served = listener.serve(handler(site, shown), stop());
    tokio::select! {
        () = served => Ok(()),
        // None of them ends by itself: it has panicked, and an exporter with one eye shut must not go on.
        ended = tasks.join_next() => {
            let why = ended.map_or("there is none".to_owned(), |ended| format!("{ended:?}"));
            Err(Failure::Run(anyhow::anyhow!("a task of the exporter has ended: {why}")))
        }
    }
}

fn handler(site: Site, shown: watch::Receiver<Arc<View>>) -> Handler {
    let site = Arc::new(site);
    Arc::new(move |request| {
        let view = Arc::clone(&shown.borrow());
        let site = Arc::clone(&site);
        async move {
            let (parts, _body) = request.into_parts();
            answer(&parts, &view, &site, Timestamp::now())
        }
        .boxed()
    })
}

fn probe_handler(shown: watch::Receiver<Arc<View>>) -> Handler {
    Arc::new(move |request| {
        let view = Arc::clone(&shown.borrow());
        async move { probe(&request.into_parts().0, &view) }.boxed()
    })
}

/// Resolves when the process is asked to end.
async fn stop() {
    let wait = async |kind| match signal(kind) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(error) => {
            tracing::warn!(%error, "cannot wait for a signal");
            pending::<()>().await;
        }
    };
    tokio::select! {
        () = wait(SignalKind::terminate()) => {}
        () = wait(SignalKind::interrupt()) => {}
    }
    tracing::info!("exporter ends");
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_whole() {
        Cli::command().debug_assert();
        assert_eq!(Limits::default().request_seconds_max, 30, "longer than Prometheus waits for a scrape");
        assert!(Cli::try_parse_from(["x", "rules"]).is_ok_and(|cli| cli.command.is_some()));
        assert!(Cli::try_parse_from(["x", "--nonsense"]).is_err());
    }
}
