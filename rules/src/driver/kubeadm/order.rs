//! What a node is asked and told to do. The executor adds nothing of its own.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::gate::Proof;
use crate::words::name::{NodeName, Token};
use crate::words::version::Version;

/// Which nodes to look at: all before a run, and each before its own step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurveyOrder {
    /// The nodes, with where and what they should be.
    pub nodes: Vec<NodeTarget>,
    /// The version that is asked about.
    pub target: Version,
    /// The control-plane node on which the target's own kubeadm is asked, if it applies.
    pub kubeadm_on: Option<NodeName>,
    /// The nodes on which the installed kubeadm is asked what differs in the manifests.
    pub manifests_on: Vec<NodeName>,
    /// Whether apt is asked for the target: before a node's own step, after its prepare.
    pub with_packages: bool,
}

/// A node to be reached over SSH.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeTarget {
    /// Its name.
    pub name: NodeName,
    /// Its InternalIPs, to be tried in this order.
    pub addresses: Vec<String>,
    /// The machine id that must be behind each of them.
    pub machine_id: String,
}

/// What a unit does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitKind {
    /// An etcd snapshot, taken and verified.
    Snapshot,
    /// Packages and images fetched ahead, old scratch pruned.
    Prepare,
    /// `kubeadm upgrade apply`, then the kubelet.
    UpgradeFirst,
    /// `kubeadm upgrade node`, then the kubelet.
    UpgradeNode,
}

/// A unit to be started on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitOrder {
    /// Where.
    pub node: NodeTarget,
    /// What.
    pub kind: UnitKind,
    /// The token, the unit's name and its line in the ledger.
    pub token: Token,
    /// The version to go to.
    pub target: Version,
    /// The generation of our leadership, which the node compares with the highest it has seen.
    pub generation: u64,
    /// The manifests of which is known what a person has changed in them; the node refuses to write over any other.
    pub manifests: LookedAt,
    /// Why it may.
    pub proof: Proof,
}

/// A node that gets its source of packages back. As giving a node back it needs no proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreOrder {
    /// Where.
    pub node: NodeTarget,
    /// Its line in the ledger, behind every token that this run has given out.
    pub token: Token,
    /// The generation of our leadership.
    pub generation: u64,
    /// When this was decided: a node does nothing on an order that comes late.
    pub at: Timestamp,
}

/// Whose ledger to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerOrder {
    /// Where.
    pub node: NodeTarget,
    /// About which token.
    pub token: Token,
}

/// The manifests of a node as they were when a person's changes to them were looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LookedAt {
    /// The version that they were of; nothing if none was looked at.
    pub version: Option<Version>,
    /// The SHA-256 of each, by component.
    pub files: BTreeMap<String, String>,
    /// The SHA-256 of kubeadm's environment and patches then.
    pub inputs: Option<String>,
}
