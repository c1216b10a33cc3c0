//! `UpgradeRun`: one upgrade of one cluster to one version.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::reason::Finding;
use crate::words::name::NodeName;

/// An `UpgradeRun` as it was read: what people wrote and what the actuator stored, neither of them parsed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpgradeRun {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.creationTimestamp`.
    pub created_at: Option<Timestamp>,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// `metadata.finalizers` has ours.
    pub has_finalizer: bool,
    /// What people wrote.
    pub spec: UpgradeRunSpec,
    /// What the actuator stored; nothing before its first write.
    pub status: Option<UpgradeRunStatus>,
}

impl UpgradeRun {
    /// Whether it may still do something.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.status.as_ref().is_none_or(|status| status.phase != RunPhase::Succeeded)
    }
}

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeRunSpec {
    /// The version to upgrade to, such as v1.36.3. It cannot be changed: for another target, create another run.
    pub target: String,
    /// Starts nothing new while true; a node whose change has begun is finished.
    #[serde(default, skip_serializing_if = "is_false")]
    pub paused: bool,
    /// Starts nothing after this step, such as control-plane/node-1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_after: Option<String>,
    /// Nodes that are left as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skip: Vec<String>,
    /// Steps that have halted or failed, each to be tried once more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retry: Vec<Retry>,
    /// Reason codes of preflight that a person has looked at and accepts, such as pdb_blocked; or a single finding of such
    /// a code, by its subject: pdb_blocked@default/web. A budget that an operator may move can only be accepted in this
    /// form: pdb_may_move@ and its namespace/name. A change by hand in a manifest is accepted by the digest of its lines,
    /// as in the finding: config_drift@9f86d081884c7d65. A silence that Alertmanager has lost is let go by its id:
    /// silence_forgotten@ and the id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept_risks: Vec<String>,
    /// What to do with a node that somebody else has cordoned.
    #[serde(default)]
    pub cordoned_nodes: CordonedNodes,
    /// How nodes are drained.
    #[serde(default)]
    pub drain: DrainPolicy,
    /// How many workers are upgraded at a time.
    #[serde(default)]
    pub workers: WorkersPolicy,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// Lets one halted attempt of one step be followed by another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// The step that halted.
    pub step: String,
    /// The attempt that halted, so that an old request is not carried out twice.
    pub attempt: u32,
}

/// What to do with a node that somebody else has cordoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CordonedNodes {
    /// Wait until it is uncordoned.
    #[default]
    Hold,
    /// Upgrade it and leave it cordoned.
    Upgrade,
}

/// How many workers are upgraded at a time. The control plane goes node by node, whatever this says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkersPolicy {
    /// How many workers may be out of service at a time. The first worker of a run always goes alone.
    pub concurrency: u32,
    /// The run halts once this many workers have failed. A failed worker stays out of service until a person has looked,
    /// and counts as one of those that are.
    pub max_failures: u32,
    /// A label of nodes, such as topology.kubernetes.io/zone: all workers that are out of service at a time have the same
    /// value of it. A worker without it goes alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology_key: Option<String>,
}

impl Default for WorkersPolicy {
    fn default() -> Self {
        Self { concurrency: 1, max_failures: 1, topology_key: None }
    }
}

/// How nodes are drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrainPolicy {
    /// What to do with pods that no controller would start again.
    #[serde(default)]
    pub unmanaged_pods: UnmanagedPods,
}

/// What to do with pods that no controller would start again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UnmanagedPods {
    /// Wait until somebody has decided.
    #[default]
    Hold,
    /// Evict them; they are lost.
    Evict,
}

/// Where a run stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RunPhase {
    /// Another run holds the cluster.
    Queued,
    /// A step waits for its permit or for something to clear.
    Waiting,
    /// A step runs.
    Running,
    /// A person must look.
    Halted,
    /// Every node is at the target.
    Succeeded,
    /// The run was deleted and is putting back what it took.
    Ending,
}

/// What the actuator stored. Written by it alone; an unknown `schemaVersion` halts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeRunStatus {
    /// The shape of this status: 1, or 2 where more than one step is at hand.
    pub schema_version: u32,
    /// Where the run stands.
    pub phase: RunPhase,
    /// The oldest version that ran when the run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// When the run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub started_at: Option<Timestamp>,
    /// When the run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub finished_at: Option<Timestamp>,
    /// The sequence number of the last token.
    #[serde(default)]
    pub sequence: u64,
    /// The step that waits for its permit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<WaitingStep>,
    /// The steps that run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub active: Vec<ActiveStep>,
    /// The steps that have finished, in brief; node steps that the nodes themselves show are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub finished: Vec<FinishedStep>,
    /// The steps that were tried without success and have not finished, bounded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempted: Vec<AttemptedStep>,
    /// When a step last finished for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub progressed_at: Option<Timestamp>,
    /// The workers that have failed while the run went on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Halt>,
    /// How many node steps have finished.
    #[serde(default)]
    pub nodes_done: u32,
    /// How many of them were steps of workers.
    #[serde(default)]
    pub workers_done: u32,
    /// Until when each worker soaks that was upgraded beside others: it keeps its place among those out of service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub soaking: Vec<Timestamp>,
    /// No step starts earlier: the soak of the last node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub soak_until: Option<Timestamp>,
    /// The etcd snapshot of this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotRecord>,
    /// In which lines the manifests of each control-plane node differed from what its kubeadm had written, before the run
    /// touched it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<ManifestRecord>,
    /// The node that came after prepare and was found unprepared: prepare is done again, for it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepare_again: Option<UnpreparedNode>,
    /// The silences on the ready alert that were seen and are not known to be over, bounded: Alertmanager may lose them,
    /// and the run waits for their end all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silences: Vec<SilenceRecord>,
    /// The nodes whose source of packages prepare may have switched, and that are not upgraded yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub switched: Vec<NodeName>,
    /// The run is over, and since when the first of them is to get its source back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub restoring_since: Option<Timestamp>,
    /// Why the run stands still until a person has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<Halt>,
    /// What is being waited for, every reason, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
    /// One line each for the printer columns.
    #[serde(default)]
    pub summary: Summary,
    /// What happened, newest last, bounded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryEntry>,
    /// That the run has opened, halted or finished, until every channel has been told, bounded: it is told again after a
    /// restart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsent_notices: Vec<UnsentNotice>,
    /// Standard conditions: Accepted, Progressing, Succeeded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// `metadata.generation` that this status answers.
    #[serde(default)]
    pub observed_generation: i64,
}

/// The step that waits for its permit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitingStep {
    /// Such as preflight or worker/node-3.
    pub step: String,
    /// Names this one attempt; it must come back through the whole alert path.
    pub token: String,
    /// When the token was minted.
    #[schemars(with = "String")]
    pub minted_at: Timestamp,
    /// The step may not start earlier: soak, quiet time, pause before another attempt.
    #[schemars(with = "String")]
    pub not_before: Timestamp,
    /// Why the attempt before this one ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<StoredFinding>,
}

/// A step that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActiveStep {
    /// Such as worker/node-3.
    pub step: String,
    /// The token whose permit was consumed.
    pub token: String,
    /// When the permit was consumed.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// The part of the step that is at work; nothing for steps of one part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// When the stage began.
    #[schemars(with = "String")]
    pub stage_since: Timestamp,
    /// The mutation that may have been begun: written before it is done, cleared after its outcome is seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// The node, as it was when the step began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeBefore>,
    /// Of a step that visits every node: the last one that is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<NodeName>,
    /// Since when something stands in the way of going on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub held_since: Option<Timestamp>,
    /// Since when the node is drained: pods that came later are not those that were there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub drain_since: Option<Timestamp>,
    /// Why the node is being put back instead of upgraded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returning: Option<StoredFinding>,
}

/// A mutation that may have been begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// cordon, evict, unit or uncordon.
    pub action: String,
    /// The node that it changes.
    pub node: NodeName,
    /// When it was written down; of a unit, when it was sent.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// A unit that nobody has sent yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsent: bool,
    /// The uid of what was created to be started. Not in the definition: no driver that people can have creates anything
    /// ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub created: Option<String>,
    /// The pods of a batch of evictions, by uid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<String>,
}

/// A node that no prepare has reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnpreparedNode {
    /// Its name.
    pub name: NodeName,
    /// The uid of its Node object: another machine of this name was not prepared by this.
    pub uid: String,
}

/// A node as it was when its step began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeBefore {
    /// Its name.
    pub name: NodeName,
    /// The uid of its Node object.
    pub uid: String,
    /// Something runs on it that others must not be drained beside: a part of the alert path, or an actuator.
    #[serde(default, skip_serializing_if = "is_false")]
    pub alone: bool,
    /// The id of its machine, if it was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<String>,
    /// Its kubelet's version.
    pub kubelet_version: String,
    /// It was unschedulable, by somebody else's decision, and stays so.
    pub unschedulable: bool,
}

/// A step that was tried without success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptedStep {
    /// Such as worker/node-3.
    pub step: String,
    /// Its last attempt.
    pub attempt: u32,
    /// The next attempt may not start earlier.
    #[schemars(with = "String")]
    pub not_before: Timestamp,
    /// The uid of the Node object that it was tried on: another machine of this name is not meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// In one of the attempts the node's change has begun, and is not known to be whole: only a person gives such a
    /// node back.
    #[serde(default)]
    pub begun: bool,
}

/// A step that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FinishedStep {
    /// Such as preflight.
    pub step: String,
    /// The token whose permit was consumed.
    pub token: String,
    /// When the permit was consumed.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// When it was over.
    #[schemars(with = "String")]
    pub finished_at: Timestamp,
}

/// An etcd snapshot that was taken and verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotRecord {
    /// The node that it lies on.
    pub node: NodeName,
    /// Its path on that node.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// The hash that its verification computed.
    pub hash: String,
    /// When it was taken.
    #[schemars(with = "String")]
    pub taken_at: Timestamp,
}

/// What was found in the manifests of a control-plane node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManifestRecord {
    /// The node.
    pub node: NodeName,
    /// The uid of its Node object.
    pub uid: String,
    /// The version of the kubeadm that was asked, which the node ran.
    pub version: String,
    /// The digest of the lines that differ; nothing if none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What the lines that differ are about, without any value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
    /// The SHA-256 of each manifest that it is about, by component.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// The SHA-256 of kubeadm's environment and patches at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<String>,
    /// When it was asked.
    #[schemars(with = "String")]
    pub at: Timestamp,
}

/// A silence by which a person has paused the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SilenceRecord {
    /// Its id in Alertmanager.
    pub id: String,
    /// Which alerts it is about, shortened.
    pub matchers: String,
    /// Who made it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// When it is over by itself.
    #[schemars(with = "String")]
    pub ends_at: Timestamp,
    /// When it was last changed.
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
}

/// Why the run stands still until a person has looked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Halt {
    /// The step that halted; empty if the whole run did.
    #[serde(default)]
    pub step: String,
    /// Its attempt, to be named in spec.retry.
    pub attempt: u32,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Why.
    pub finding: StoredFinding,
}

/// A [`Finding`] as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoredFinding {
    /// The reason code.
    pub reason: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// What was seen.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The same with {} for each figure that changes by itself; nothing if there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub words: String,
}

impl From<&Finding> for StoredFinding {
    fn from(finding: &Finding) -> Self {
        Self {
            reason: finding.reason.code().to_owned(),
            subject: finding.subject.clone(),
            detail: finding.detail.clone(),
            words: finding.words.clone(),
        }
    }
}

/// One thing that is being waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// The reason code.
    pub reason: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// What was seen.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The same with {} for each figure that changes by itself; nothing if there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub words: String,
    /// What would clear it.
    pub remedy: String,
    /// The running step that it holds; nothing if it holds the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Since when.
    #[schemars(with = "String")]
    pub since: Timestamp,
}

/// One line each for the printer columns.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The step at work or in waiting.
    #[serde(default)]
    pub step: String,
    /// The node at work.
    #[serde(default)]
    pub node: String,
    /// The first reason code that is being waited for.
    #[serde(default)]
    pub waiting_for: String,
    /// Since when this is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
    /// The step that follows.
    #[serde(default)]
    pub next: String,
    /// Nodes at the target, such as 2/3.
    #[serde(default)]
    pub progress: String,
}

/// One line of history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// The step.
    #[serde(default)]
    pub step: String,
    /// What happened, a few words.
    pub event: String,
}

/// A notice that must not be lost and is not known to have been sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnsentNotice {
    /// opened, halted or finished.
    pub kind: String,
    /// status.sequence when it was decided: with the run's uid and the kind it says which notice this is, so that one
    /// that comes twice can be told.
    pub sequence: u64,
    /// When it was decided.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Of halted: where and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<Halt>,
}

/// A standard Kubernetes condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Accepted, Progressing or Succeeded.
    #[serde(rename = "type")]
    pub type_: String,
    /// True, False or Unknown.
    pub status: String,
    /// A `CamelCase` form of the reason code.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    /// The last change of `status`.
    #[schemars(with = "String")]
    pub last_transition_time: Timestamp,
    /// The generation that it answers.
    #[serde(default)]
    pub observed_generation: i64,
}
