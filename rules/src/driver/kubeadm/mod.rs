//! The kubeadm driver: units on the nodes, over SSH, with kubeadm and apt in them.
//!
//! `look` and `drift` judge what the nodes say; `unit` orders what changes them; `node_script` is the text that is sent;
//! `ledger` and `reading` are what comes back; `site` is what a site tells kubeadm.

mod drift;
pub mod ledger;
mod look;
pub mod manifests;
pub mod node_script;
pub mod order;
mod reach;
pub mod reading;
mod site;
mod target;
mod unit;

pub use site::{
    Environment, Exception, KubeadmSettings, KubeadmSettingsError, Words, is_directory_path, kept,
};
pub use target::{control_plane_has_begun, is_at};

pub(super) use drift::malformed_record;
pub(super) use target::api_server_on;
pub(super) use unit::{leaves_nothing, never_begins, read, restore, snapshot_node, snapshot_record};

use crate::cluster::snapshot::{Node, Role};
use crate::reason::Finding;
use crate::words::step::{Stage, Step};
use crate::words::version::Version;

/// The steps before those of the nodes.
pub(super) const FIRST_STEPS: [Step; 3] = [Step::Preflight, Step::Snapshot, Step::Prepare];

/// The stages of a node's step.
pub(super) const STAGES: [Stage; 5] =
    [Stage::Cordon, Stage::Drain, Stage::Mutate, Stage::Verify, Stage::Uncordon];

/// Where kubeadm takes the nodes, and what a site tells it.
#[derive(Debug, Clone)]
pub struct Kubeadm<'a> {
    /// The version, or why it cannot be read.
    pub target: Result<Version, Finding>,
    /// What the site tells it.
    pub site: &'a KubeadmSettings,
}

pub(super) fn step_of(node: &Node) -> Step {
    match node.role {
        Role::ControlPlane => Step::ControlPlane(node.name.clone()),
        Role::Worker => Step::Worker(node.name.clone()),
    }
}
