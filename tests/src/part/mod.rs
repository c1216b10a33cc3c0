//! The real parts, each as a process that can be started, stopped, killed and started again on its old data.

mod alertmanager;
mod apiserver;
mod controllers;
mod etcd;
mod prometheus;
mod service;

pub use alertmanager::Alertmanager;
pub(crate) use apiserver::kubeconfig_path;
pub use apiserver::{ApiServer, User};
pub use controllers::{Controller, ControllerKind};
pub use etcd::Etcd;
pub use prometheus::{Prometheus, ScrapeAuth, ScrapeJob};
pub use service::Service;
pub(crate) use service::{client, install_crypto, probe};
