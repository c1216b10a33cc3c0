//! Sources: what is read, by watching or at once, and how old its proof is.

pub mod alertmanager;
pub mod backend;
pub mod convert;
pub mod eyes;
pub mod inventory;
pub mod list;
pub mod now;
pub mod packages;
pub mod prometheus;
pub mod seed;
pub mod shown;
pub mod upgrade_run;
pub mod watch;
mod workload;
