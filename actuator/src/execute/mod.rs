//! What changes the cluster. Each function carries out one order and chooses nothing; whatever it finds is said in
//! reasons, and the next turn reads the cluster again.

mod clearance;
mod cordon;
mod evict;

pub use clearance::Clearance;
pub use cordon::{cordon, uncordon};
pub use evict::evict;
