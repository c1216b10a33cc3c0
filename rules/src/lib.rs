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
pub mod api;
pub mod cluster;
pub mod drain;
pub mod driver;
pub mod facts;
pub mod gate;
pub mod invariant;
pub mod notice;
pub mod publish;
pub mod reason;
pub mod run;
pub mod settings;
pub mod turn;
pub mod verdict;
pub mod wire;
pub mod words;
