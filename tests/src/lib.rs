//! The harness: everything that an upgrade needs, on one machine, without a cluster.
//!
//! A [`World`] holds real parts (etcd, kube-apiserver, kube-controller-manager, kube-scheduler, Prometheus,
//! Alertmanager, an sshd for each node) and simulated ones (kubelets, and behind each sshd a machine whose
//! package and service managers are ours).
//!
//! ```text
//!   World ─┬─ part/        real programs: start, stop, kill, restart, log
//!          ├─ kubelet/     Node objects, Leases, pods, mirror pods          ─┐ version files of
//!          ├─ machine/     sshd in namespaces of its own, fake programs     ─┘ each machine's folder
//!          ├─ packages     the package repository
//!          ├─ site         metrics that close a site's gates
//!          └─ RunFolder    data, logs, addresses; every process is recorded, and ended with the harness
//! ```
//!
//! Nothing that the products depend on lives here.

pub mod certs;
pub mod compare;
pub mod dashboard;
pub mod deploy;
pub mod e2e;
pub mod kubelet;
pub mod machine;
pub mod packages;
pub mod part;
pub mod parts;
pub mod process;
pub mod product;
pub mod promql;
pub mod proof;
pub mod recorded;
pub mod run_folder;
pub mod sandbox;
pub mod serve;
pub mod shape;
pub mod site;
pub mod wait;
mod wiring;
pub mod world;

pub use world::World;
