//! What a node says of itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::manifests::Changes;

/// What a node without a running systemd lacks.
pub const SYSTEMD: &str = "systemd";
/// What a node lacks whose kubelet was not installed as a package.
pub const KUBELET_PACKAGE: &str = "package:kubelet";

/// What a node said of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSurvey {
    /// `/etc/machine-id`.
    pub machine_id: String,
    /// `btime` of `/proc/stat`.
    pub booted_at: Timestamp,
    /// How far its clock was ahead of the time in which it was asked; negative if it was behind.
    pub clock_off_seconds: i64,
    /// How much disk stays free where the least does, in MiB.
    pub disk_free_mib: u64,
    /// Where that is.
    pub disk_place: String,
    /// The sequence number of the newest token of this run in its ledger, 0 if there is none.
    pub ledger_sequence: u64,
    /// The folder of kubeadm's patches is set, and not there.
    pub patches_missing: bool,
    /// What an upgrade needs and the node has not: programs by name, [`SYSTEMD`] where it does not run, and
    /// [`KUBELET_PACKAGE`] where the kubelet is not from a package.
    pub lacking: Vec<String>,
    /// What apt says of the target's packages, where it was asked.
    pub packages: Option<Packages>,
    /// What the target's own kubeadm says, where it was asked.
    pub kubeadm: Option<KubeadmSurvey>,
    /// What the installed kubeadm says of the manifests, where it was asked.
    pub manifests: Option<ManifestSurvey>,
}

/// Whether the target can be installed on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Packages {
    /// It can.
    Ready,
    /// The node's lists do not know it: it was never prepared.
    Missing,
    /// It would have to be fetched first: what prepare has fetched is gone.
    Unfetched,
    /// What stands in the way, as apt says it.
    Blocked(String),
}

/// What the target's own kubeadm says, without changing anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KubeadmSurvey {
    /// `kubeadm upgrade plan` and `upgrade apply --dry-run` agreed.
    pub agrees: bool,
    /// The end of their output.
    pub output: String,
}

/// What the installed kubeadm says of a node's manifests, without changing anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestSurvey {
    /// The version of the installed kubeadm, as it says.
    pub installed: String,
    /// The version that it would write the manifests of.
    pub written: String,
    /// The manifests as they lie there, from right before it was asked.
    pub files: Vec<ManifestFile>,
    /// The SHA-256 of what kubeadm would make them of: its environment and its patches.
    pub inputs: Option<String>,
    /// In which lines they differ from what it would write, or why nobody knows.
    pub changes: Result<Changes, String>,
}

/// A manifest on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Whose, such as `kube-apiserver`.
    pub component: String,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// The tag of its image, as written; empty if it has none.
    pub tag: String,
}
