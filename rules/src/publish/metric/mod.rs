//! The metric table, and the samples that a state is shown by.
//!
//! ```text
//!   case ─────┐
//!   verdicts ─┼──▶ samples ──▶ exporter ──▶ /metrics
//!   memory ───┘       ▲
//!                   TABLE: name, kind, help, labels, program ──▶ docs, dashboards' test
//! ```
//!
//! Every state of an enum is always shown, as 0 or 1: a series that vanishes would stay true in a graph. What is
//! gone from the snapshot is gone from the samples; a node that has left leaves nothing behind.

mod boots;
mod current;
mod goal;
mod judged;
mod matrix;
mod memory;
mod node_state;
mod progress;
mod run;
mod samples;
mod table;

pub use current::current_run;
pub use goal::targets;
pub use matrix::matrix_samples;
pub use memory::Memory;
pub use samples::samples;
pub use table::*;

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It goes up and down.
    Gauge,
    /// It only goes up while the process lives. Its name ends in `_total`.
    Counter,
}

/// Who serves a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// It reads and publishes.
    Exporter,
    /// It acts.
    Actuator,
}

/// One metric of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// The name, as in PromQL.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// What it says, a sentence.
    pub help: &'static str,
    /// Its labels, in order.
    pub labels: &'static [&'static str],
    /// Who serves it.
    pub program: Program,
}

/// One series with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Which metric.
    pub metric: &'static Metric,
    /// The label values, in the order of the metric's labels.
    pub labels: Vec<String>,
    /// The value.
    pub value: f64,
}

impl Sample {
    /// A sample of `metric`. There are as many values as the metric has labels.
    #[must_use]
    pub fn new<const N: usize>(metric: &'static Metric, labels: [&str; N], value: f64) -> Self {
        debug_assert_eq!(metric.labels.len(), N, "{}", metric.name);
        Self { metric, labels: labels.map(str::to_owned).to_vec(), value }
    }
}
