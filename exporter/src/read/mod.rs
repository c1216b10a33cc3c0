//! Sources: what is read, by watching or at once, and how old its proof is.

pub mod alertmanager;
pub mod api_requests;
pub mod api_writes;
pub mod attached_volume;
pub mod budget;
pub mod cluster_reader;
pub mod convert;
pub mod helm;
pub mod inventory;
pub mod kubelet;
pub mod list;
pub mod matrix;
pub mod now;
pub mod packages;
pub mod place;
pub mod pod;
mod pod_images;
mod polled;
pub mod polled_sources;
pub mod prometheus;
mod service;
pub mod upgrade_run;
mod volume;
pub mod watch;
mod webhook;
mod webhook_calls;
mod workload;
