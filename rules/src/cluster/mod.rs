//! What was read of the cluster, with the time at which each part of it was proven.
//!
//! No judgement: whether something is safe is asked in [`crate::verdict`] and [`crate::gate`].

pub mod inventory;
pub mod snapshot;
