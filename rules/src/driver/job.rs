//! The Job driver: a privileged Job on each node does the work. Only its plan is here, and the simulated machine that runs
//! it: no field of a run names it, and the actuator refuses its orders.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::looked::Looked;
use super::task::Task;
use super::{View, not_begun};
use crate::cluster::snapshot::Node;
use crate::gate::Proof;
use crate::reason::{Finding, Reason};
use crate::words::name::{NodeName, Token};
use crate::words::step::{Stage, Step};
use crate::words::version::Version;

/// The steps before those of the nodes. Each node's own step prepares it.
pub(super) const FIRST_STEPS: [Step; 1] = [Step::Preflight];

/// The stages of a node's step. Both what prepares a node and what changes it is a Job of its own.
pub(super) const STAGES: [Stage; 6] =
    [Stage::Prepare, Stage::Cordon, Stage::Drain, Stage::Mutate, Stage::Verify, Stage::Uncordon];

/// Where Jobs take the nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// What the Jobs are told.
    pub hash: String,
    /// The version that the kubelets have afterwards; nothing where the target is none.
    pub version: Option<Version>,
    /// The hash of what each node has had, as its label says.
    pub labels: BTreeMap<NodeName, String>,
}

/// The nodes of which it is asked whether a Job can be placed there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobLook {
    /// The nodes.
    pub jobs_on: Vec<NodeName>,
    /// What the Jobs would be told.
    pub hash: String,
}

/// One Job: its name says all of this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRef {
    /// Where.
    pub node: NodeName,
    /// What it does.
    pub task: Task,
    /// For which attempt.
    pub token: Token,
}

/// A Job to be created with parallelism 0, so that it has no pods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobToCreate {
    /// Which one.
    pub job: JobRef,
    /// What it is told.
    pub hash: String,
}

/// A Job to be let go: this is what changes the node. The patch names the uid, and the resource version that was read with
/// it, so that one that comes late from a leader of before is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRelease {
    /// Which one.
    pub job: JobRef,
    /// Its uid, which the run has stored.
    pub uid: String,
    /// Why it may.
    pub proof: Proof,
}

impl Job {
    pub(super) fn target(&self) -> String {
        self.version.as_ref().map_or_else(|| self.hash.clone(), ToString::to_string)
    }

    pub(super) fn is_at_target(&self, node: &Node) -> bool {
        self.labels.get(&node.name) == Some(&self.hash)
            && self.version.as_ref().is_none_or(|version| node.kubelet_version.as_ref() == Ok(version))
    }

    pub(super) fn look(&self, nodes: Vec<NodeName>) -> JobLook {
        JobLook { jobs_on: nodes, hash: self.hash.clone() }
    }

    pub(super) fn create(&self, job: JobRef) -> JobToCreate {
        JobToCreate { job, hash: self.hash.clone() }
    }
}

pub(super) fn job(task: Task, node: &Node, token: &Token) -> JobRef {
    JobRef { node: node.name.clone(), task, token: token.clone() }
}

pub(super) fn release(job: JobRef, uid: Option<&str>, proof: Proof) -> Result<JobRelease, Finding> {
    let uid = uid.ok_or_else(|| not_begun(&job.node, "no Job was created".to_owned()))?.to_owned();
    Ok(JobRelease { job, uid, proof })
}

/// The nodes that no Job can be placed on.
pub(super) fn judge(looked: &Looked<()>, nodes: &[Node], view: View<'_>) -> Vec<Finding> {
    let left = nodes.iter().filter(|node| !view.is_skipped(node));
    left.filter_map(|node| match looked.of(&node.name) {
        Some(Ok(())) => unplaced(Some(()), node),
        Some(Err(finding)) => Some(finding.clone()),
        None => unplaced(None, node),
    })
    .collect()
}

/// Where a Job can be placed there is nothing more to judge.
pub(super) fn unplaced(placed: Option<()>, node: &Node) -> Option<Finding> {
    let why = "it was not asked whether a Job can be placed";
    placed.is_none().then(|| Finding::new(Reason::PreflightFailed, node.name.0.clone(), why))
}

/// A step that no run of this driver has.
pub(super) fn takes_no_snapshot() -> Finding {
    Finding::new(Reason::StatusMalformed, "status.active", "a run by Jobs takes no snapshot")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::snapshot::Role;

    #[test]
    fn a_node_is_at_the_target_by_its_label_and_by_its_kubelet_where_the_target_is_a_version() {
        let node = |version: &str| Node {
            kubelet_version: Ok(version.parse().unwrap()),
            ..Node::silent("n-1", Role::Worker)
        };
        let job = |version: Option<&str>, label: Option<&str>| Job {
            hash: "b".to_owned(),
            version: version.map(|it| it.parse().unwrap()),
            labels: label.map(|it| ("n-1".into(), it.to_owned())).into_iter().collect(),
        };
        for (target, label, runs, expected) in [
            (Some("v1.36.3"), Some("b"), "v1.36.3", true),
            (Some("v1.36.3"), Some("b"), "v1.36.1", false),
            (Some("v1.36.3"), Some("a"), "v1.36.3", false),
            (Some("v1.36.3"), None, "v1.36.3", false),
            (None, Some("b"), "v1.36.1", true),
            (None, Some("a"), "v1.36.1", false),
        ] {
            assert_eq!(job(target, label).is_at_target(&node(runs)), expected, "{target:?} {label:?} {runs}");
        }
    }
}
