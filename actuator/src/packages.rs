//! What the package repository offers, read beside the turns: it changes by the day, and may take a while.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lockkeeper_exporter::client::kubernetes::Cluster;
use lockkeeper_exporter::read::now;
use lockkeeper_exporter::read::packages::Repository;
use lockkeeper_exporter::telemetry::chain;
use lockkeeper_rules::cluster::snapshot::{Packages, Source};
use tokio::sync::watch;

/// The longest pause after a read that failed.
const PAUSE_FAILED_MAX: Duration = Duration::from_secs(5);
/// How long the API server may take to say what runs.
const READ_DEADLINE: Duration = Duration::from_secs(3);

/// Reads every `pause`, sooner after a failure, until nobody listens.
pub async fn keep(
    cluster: Arc<Cluster>,
    repository: Repository,
    pause: Duration,
    packages: watch::Sender<Source<Packages>>,
) {
    while !packages.is_closed() {
        let next = match read(&cluster, &repository).await {
            Ok(found) => {
                packages.send_replace(Source::read(found, Timestamp::now()));
                pause
            }
            Err(error) => {
                // What was read before stays until it is too old.
                packages.send_modify(|source| source.error = Some(error));
                pause.min(PAUSE_FAILED_MAX)
            }
        };
        tokio::time::sleep(next).await;
    }
}

async fn read(cluster: &Cluster, repository: &Repository) -> Result<Packages, String> {
    let own = now::own_api_server(cluster, READ_DEADLINE).await?;
    let running = own.version.map_err(|text| format!("the API server says version {text:?}"))?;
    repository.read(&running).await.map_err(|error| chain(&error))
}
