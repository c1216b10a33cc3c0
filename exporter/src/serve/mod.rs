//! What is served: the HTTP plumbing that both programs use, and the exporter's own pages.

pub mod http;
pub mod judged;
pub mod metrics;
pub mod process;
pub mod routes;
pub mod status;
pub mod verdict;
pub mod view;
pub mod web_config;
mod words;
