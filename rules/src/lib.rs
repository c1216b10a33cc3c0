//! Every decision of Lockkeeper, as pure functions: values in, values out.
//!
//! ```text
//!   snapshot ──▶ verdict ──┐
//!   answers  ──▶ gate ─────┼──▶ run::decide ──▶ (State, Option<Command>)
//!   UpgradeRun ─▶ State ───┘
//!   snapshot ──▶ metric ──▶ /metrics        settings ──▶ alert, route ──▶ generated/
//! ```
//!
//! What must never be here: async, a clock, a file, the environment, a socket, a Kubernetes client, a log
//! line. Time is an argument named `now`; randomness is an argument named `nonce`. Unknown is a value of its
//! own and never counts as safe.

// Tests may unwrap; what is shipped says why it cannot fail.
#![warn(clippy::unwrap_used)]

pub mod alert;
pub mod alertmanager;
pub mod api;
pub mod api_requests;
pub mod bridge;
pub mod command_line;
pub mod crd;
pub mod drain;
pub mod gate;
pub mod generated;
pub mod helm;
pub mod invariant;
pub mod inventory;
pub mod kubeadm;
pub mod kubelet;
pub mod labels;
pub mod ledger;
pub mod manifests;
pub mod matrix;
pub mod metric;
pub mod name;
pub mod node_script;
pub mod packages;
pub mod prometheus;
pub mod reason;
pub mod risk;
pub mod route;
pub mod run;
pub mod selector;
pub mod settings;
pub mod skew;
pub mod snapshot;
pub mod verdict;
pub mod version;
pub mod webhook_calls;
pub mod words;
pub mod yaml;
