//! The actuator: receives webhooks of Alertmanager, makes the live check, and advances one step at a time.
//!
//! ```text
//!   webhook ─▶ receive ─▶ permits ─┐ wakes
//!   cluster ─▶ reader ─────────────┼─▶ turn ─▶ rules::run::decide ─▶ store (intent) ─▶ executor ─┐
//!   memory  ───────────────────────┘    ▲                                                        │
//!                                       └────────── outcome ◀── live_check, driver, execute ◀────┘
//! ```
//!
//! What must never be here: anything decided outside `rules`. `turn` looks, stores and calls; `executor`
//! carries one command out; everything else is reading and writing.

// Tests may unwrap; what is shipped says why it cannot fail.
#![warn(clippy::unwrap_used)]

pub mod channel;
pub mod config;
pub mod decision_log;
pub mod driver;
pub mod execute;
pub mod executor;
pub mod leader;
mod lease;
pub mod live_check;
pub mod lock;
pub mod memory;
pub mod metrics;
pub mod packages;
mod parts;
pub mod permits;
pub mod reader;
pub mod receive;
mod rounds;
pub mod service;
pub mod store;
pub mod turn;
pub mod under_way;
