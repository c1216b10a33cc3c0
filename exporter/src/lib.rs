//! The eyes: reads the cluster, the package index and Prometheus; publishes `/metrics` and `/verdict`.
//!
//! ```text
//!   API server ──watch──▶ read::watch ──▶ Snapshot ──▶ rules::{verdict, metric} ──▶ serve ──▶ people, Prometheus
//!   package index ──────▶ read::packages ──┘   ▲
//!                         read::now ───────────┘ (the actuator, right before it acts)
//! ```
//!
//! What must never be here: a write to the cluster, or anything decided outside `rules`. `compat` alone says what another
//! check would, for those who compare; nothing is done upon it.
//! The actuator uses `read`, `serve::http`, `kube_client`, `deadline` and `telemetry`; `cli` is the program itself.

// Tests may unwrap; what is shipped says why it cannot fail.
#![warn(clippy::unwrap_used)]

pub mod cli;
pub mod compat;
mod config;
pub mod deadline;
pub mod exit;
pub mod kube_client;
pub mod read;
mod saved;
pub mod serve;
pub mod telemetry;
