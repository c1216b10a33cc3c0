//! `lockkeeper-actuator`: starts the parts and ties them together.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::builder::NonEmptyStringValueParser;
use lockkeeper_actuator::config::Config;
use lockkeeper_actuator::service::Service;
use lockkeeper_exporter::client::kubernetes;
use lockkeeper_exporter::telemetry;
use lockkeeper_rules::words::name::NodeName;

/// Upgrades a Kubernetes cluster one step at a time, while the alerts are quiet.
#[derive(Debug, Parser)]
#[command(name = "lockkeeper-actuator", version)]
struct Arguments {
    /// The configuration file.
    #[arg(long = "config.file", value_name = "FILE")]
    config_file: PathBuf,
    /// The kubeconfig; without it, the pod's service account is used.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The node that this process runs on, if any: it hands over before that node is upgraded.
    #[arg(long, value_name = "NODE", value_parser = NonEmptyStringValueParser::new())]
    node_name: Option<String>,
    /// Checks the configuration and exits.
    #[arg(long)]
    check_config: bool,
}

/// Usage errors and a configuration that cannot be used.
const EXIT_USAGE: u8 = 3;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let is_help = !error.use_stderr();
            // Nobody reads what cannot be printed.
            let _unread = error.print();
            return if is_help { ExitCode::SUCCESS } else { ExitCode::from(EXIT_USAGE) };
        }
    };
    kubernetes::install_tls_provider();
    telemetry::init();
    let config = match Config::load(&arguments.config_file) {
        Ok(config) => config,
        Err(error) => return unusable(&telemetry::chain(&error)),
    };
    let matrix = match config.matrix.open() {
        Ok(matrix) => matrix,
        Err(error) => return unusable(&error.to_string()),
    };
    if arguments.check_config {
        println!("{} is good", arguments.config_file.display());
        config.kubeadm.describe().iter().for_each(|line| println!("{line}"));
        return ExitCode::SUCCESS;
    }
    if arguments.kubeconfig.is_none() && arguments.node_name.is_none() {
        // In a cluster it runs on one of the nodes that it upgrades, and the cluster does not say by itself on which.
        return unusable(
            "--node-name is missing; give it the pod's spec.nodeName (see deploy/base), or --kubeconfig outside a cluster",
        );
    }
    let own_node = arguments.node_name.map(NodeName);
    let service = match Service::prepare(&config, matrix, arguments.kubeconfig.as_deref(), own_node).await {
        Ok(service) => service,
        Err(error) => return unusable(&format!("{error:#}")),
    };
    match service.run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lockkeeper-actuator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Tells what a person must mend.
fn unusable(why: &str) -> ExitCode {
    eprintln!("lockkeeper-actuator: {why}");
    ExitCode::from(EXIT_USAGE)
}
