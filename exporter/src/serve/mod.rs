//! What the exporter serves: metrics, verdicts and pages.

pub mod judged;
pub mod metrics;
pub mod process;
pub mod routes;
pub mod status;
pub mod verdict;
pub mod view;
mod words;
