//! What changes the cluster. Each function carries out one order and chooses nothing; whatever it finds is said in
//! reasons, and the next turn reads the cluster again.

mod clearance;
mod cordon;
mod evict;

pub use clearance::Clearance;
pub use cordon::{cordon, uncordon};
pub use evict::evict;

use std::time::Duration;

/// How long one request to the API server may take.
pub(crate) const REQUEST_DEADLINE: Duration = Duration::from_secs(5);
