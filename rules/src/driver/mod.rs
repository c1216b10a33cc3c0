//! How a node is changed: what a driver runs there, and what it answers.
//!
//! One folder for each driver; kubeadm is the first.

pub mod kubeadm;
pub mod ledger;
pub mod manifests;
pub mod node_script;
pub mod order;
pub mod reading;
