//! The exporter: reads the cluster, the package index and Prometheus; publishes `/metrics` and `/verdict`.
//!
//! ```text
//!   API server ──watch──▶ read::watch ──▶ Snapshot ──▶ rules::{verdict, publish} ──▶ serve ──▶ people, Prometheus
//!   package index ──────▶ read::packages ──┘   ▲
//!                         read::now ───────────┘ (the actuator, right before it acts)
//! ```
//!
//! What must never be here: a write to the cluster, or anything decided outside `rules`. `compat` alone says what another
//! check would, for those who compare; nothing is done upon it.
//! `client`, `server` and `telemetry` are for any program, and know of none. The actuator uses them, and `read`; `cli` is
//! the exporter itself.

// Tests may unwrap; what is shipped says why it cannot fail.
#![warn(clippy::unwrap_used)]

pub mod cli;
pub mod client;
pub mod compat;
mod config;
pub mod exit;
pub mod read;
mod saved;
pub mod serve;
pub mod server;
pub mod telemetry;
