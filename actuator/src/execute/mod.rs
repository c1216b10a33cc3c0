//! What changes the cluster. Each function carries out one order and chooses nothing; whatever it finds is said in
//! reasons, and the next turn reads the cluster again.

mod clearance;
mod cordon;
mod evict;
mod places;
mod pods;
mod volumes;

pub use clearance::Clearance;
pub use cordon::{cordon, uncordon};
pub use evict::evict;
pub use places::places;
pub use pods::{all_pods, budgets, pods_on};
pub use volumes::volumes_on;

use std::time::Duration;

use jiff::Timestamp;
use lockkeeper_exporter::read::list::{ListError, Listed};
use lockkeeper_rules::cluster::snapshot::Source;

/// How long one request to the API server may take.
pub(crate) const REQUEST_DEADLINE: Duration = Duration::from_secs(5);

/// What was listed, as of when it was asked for.
fn source<K, T>(
    listed: Result<Listed<K>, ListError>,
    asked_at: Timestamp,
    convert: fn(K) -> T,
) -> Source<Vec<T>> {
    match listed {
        Ok(listed) => Source::read(listed.items.into_iter().map(convert).collect(), asked_at),
        Err(error) => Source::failed(error.to_string()),
    }
}
