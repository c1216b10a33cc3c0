//! What the machine may ask for, and what comes back. The executor adds nothing of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::step::Step;
use crate::api::SilenceRecord;
use crate::drain::AttachedVolume;
use crate::driver::manifests::Changes;
use crate::gate::{Form, Report};
use crate::reason::{Finding, Reason};
use crate::words::name::{NodeName, Token};
use crate::words::version::Version;

/// One thing to do. At most one at a time; its outcome is part of the next observation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Take the cluster lock for this run.
    TakeLock,
    /// Give the cluster lock back.
    ReleaseLock,
    /// Let a replica on another node lead: the next step takes our own node out of service.
    HandOver,
    /// Ask the live check.
    Check(CheckOrder),
    /// Look at nodes over SSH, changing nothing.
    Survey(SurveyOrder),
    /// Start a unit on a node.
    StartUnit(UnitOrder),
    /// Give a node its source of packages back.
    RestoreSource(RestoreOrder),
    /// Read a node's ledger.
    ReadLedger(LedgerOrder),
    /// Read which volumes are attached to this node.
    ReadVolumes(NodeName),
    /// Set `unschedulable` and our annotation, together.
    Cordon(CordonOrder),
    /// Evict a batch of pods.
    Evict(EvictOrder),
    /// Remove our annotation, and `unschedulable` if it is ours.
    Uncordon(UncordonOrder),
    /// Put our finalizer on the run, so that it cannot vanish while a node carries its annotation.
    AddFinalizer,
    /// Take our finalizer off the run.
    RemoveFinalizer,
}

/// What the live check is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckOrder {
    /// The step that wants to go on.
    pub step: Step,
    /// Its token.
    pub token: Token,
    /// Before the step, or inside it.
    pub form: Form,
    /// When the token was minted.
    pub minted_at: Timestamp,
    /// Nodes that need not be Ready: the step's own and the skipped ones.
    pub exempt: Vec<NodeName>,
}

/// The proof that a mutation was allowed: which check, and when it began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The token that was checked.
    pub token: Token,
    /// When the first request of the check was sent.
    pub checked_at: Timestamp,
}

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

/// A node to be cordoned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CordonOrder {
    /// The node.
    pub node: NodeName,
    /// Its uid.
    pub uid: String,
    /// The resource version that the patch names.
    pub resource_version: String,
    /// The token that the annotation says.
    pub token: Token,
    /// Why it may.
    pub proof: Proof,
}

/// A node to be given back. It needs no proof: restoring is never gated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UncordonOrder {
    /// The node.
    pub node: NodeName,
    /// Its uid.
    pub uid: String,
    /// The resource version that the patch names.
    pub resource_version: String,
    /// The annotation that is there, as written.
    pub annotation: String,
}

/// A batch of pods to be evicted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvictOrder {
    /// The node that they are on.
    pub node: NodeName,
    /// The pods.
    pub pods: Vec<PodRef>,
    /// Why it may.
    pub proof: Proof,
}

/// One pod, by uid, so that its successor of the same name is never meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PodRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// What this process has learnt since it began to lead. It is lost with the process, and little depends on it
/// but speed: whatever is unknown is asked again, or told by the wall clock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// The last live check.
    pub check: Option<Checked>,
    /// The silences that the run is to keep, as of the last live check that could tell.
    pub silences: Option<Vec<SilenceRecord>>,
    /// The last reading of a ledger.
    pub ledger: Option<LedgerRead>,
    /// The last reading of the volumes on a node.
    pub volumes: Option<VolumesRead>,
    /// The last survey.
    pub survey: Option<Surveyed>,
    /// The last mutation and how it went.
    pub act: Option<Acted>,
    /// The last command of any kind but a check, if it failed.
    pub failed: Option<Acted>,
    /// How long ago, by a clock that nobody can set, the last step of a node was over.
    pub node_finished_ago: Option<Duration>,
}

/// A live check with its age, by the larger of monotonic and wall time since its first request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What was found.
    pub report: Report,
    /// How old it is now.
    pub age: Duration,
}

/// A reading of a node's ledger, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRead {
    /// Whose.
    pub node: NodeName,
    /// About which token.
    pub token: Token,
    /// How long ago it was asked for.
    pub age: Duration,
    /// What it says.
    pub result: Result<LedgerReading, Finding>,
}

/// The volumes that are attached to a node, or why nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumesRead {
    /// Which node.
    pub node: NodeName,
    /// How long ago it was asked for.
    pub age: Duration,
    /// What was read.
    pub result: Result<Vec<AttachedVolume>, Finding>,
}

/// What the node's ledger and its unit say of one token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LedgerReading {
    /// The node has never seen the token.
    Unseen,
    /// The node refused to start it.
    Refused(Reason),
    /// It was started and has not ended; `alive` says whether its unit still runs.
    Started {
        /// When, by the node's clock.
        at: Timestamp,
        /// The unit is running now.
        alive: bool,
    },
    /// It ended.
    Ended {
        /// Its exit code.
        code: i32,
        /// When, by the node's clock.
        at: Timestamp,
        /// What the unit reported for us to read, one `key=value` a line.
        report: Vec<(String, String)>,
        /// The end of its output.
        output: String,
    },
}

/// A survey, or why a node could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surveyed {
    /// When it was begun.
    pub at: Timestamp,
    /// How old it is now.
    pub age: Duration,
    /// One answer for each node that was asked.
    pub nodes: Vec<(NodeName, Result<NodeSurvey, Finding>)>,
}

impl Surveyed {
    /// Whether it was begun after this time. After the clock was set back its own time may lie ahead, so that its age is
    /// asked too.
    #[must_use]
    pub fn is_since(&self, time: Timestamp, now: Timestamp) -> bool {
        let possible = Duration::try_from(now.duration_since(time)).unwrap_or_default();
        self.at >= time && self.age <= possible
    }
}

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

/// The last thing that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acted {
    /// The command.
    pub command: Command,
    /// How long ago its outcome came.
    pub age: Duration,
    /// How it went: nothing, or everything that stood in the way.
    pub findings: Vec<Finding>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survey_from_before_does_not_pass_for_a_later_one_when_the_clock_was_set_back() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let surveyed = |at, age| Surveyed { at, age: Duration::from_secs(age), nodes: Vec::new() };
        // The survey, its age, the time that is asked about, the time now.
        for (surveyed, time, now, expected) in [
            (surveyed(at(10), 5), at(9), at(15), true),
            (surveyed(at(8), 7), at(9), at(15), false),
            (surveyed(at(7_200), 1_200), at(600), at(1_200), false),
            (surveyed(at(7_200), 8_000), at(600), at(8_000), false),
            (surveyed(at(10), 5), at(20), at(15), false),
        ] {
            assert_eq!(surveyed.is_since(time, now), expected, "{surveyed:?} {time} {now}");
        }
    }
}
