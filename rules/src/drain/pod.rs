//! Pods and the budgets that protect them, as far as a drain asks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::placement::Placement;
use crate::words::name::NodeName;
use crate::words::pod_ref::PodRef;

/// A pod, as the API server shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// The node it is bound to.
    pub node: Option<NodeName>,
    /// How far it is in its life.
    pub phase: PodPhase,
    /// It is being deleted.
    pub deleting: bool,
    /// `metadata.finalizers`: while there is one, a pod that is being deleted stays.
    pub finalizers: Vec<String>,
    /// It is the mirror of a static pod: the kubelet would write it again.
    pub mirror: bool,
    /// Who would start it again elsewhere.
    pub controller: Option<Controller>,
    /// The Ready condition is True.
    pub ready: bool,
    /// `spec.priority`, 0 if unset.
    pub priority: i32,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Where it may be put.
    pub placement: Placement,
    /// It has an `emptyDir` volume on its node's disk, which goes with it.
    pub has_empty_dir: bool,
    /// The names of its `PersistentVolumeClaims`, those of its own ephemeral volumes among them.
    pub claims: Vec<String>,
}

/// The owner that is marked as the controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Controller {
    /// Such as `ReplicaSet`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// The controllers of Kubernetes itself, which make a pod again somewhere and move none; and the node of a mirror pod.
const OF_KUBERNETES: [&str; 6] =
    ["DaemonSet", "Job", "Node", "ReplicaSet", "ReplicationController", "StatefulSet"];

impl Controller {
    /// Whether it is a custom resource: an operator looks after its pods, and may move them.
    #[must_use]
    pub fn is_custom(&self) -> bool {
        !OF_KUBERNETES.contains(&self.kind.as_str())
    }
}

/// `status.phase` of a pod. What is not known counts as still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PodPhase {
    /// Not yet started.
    Pending,
    /// Started.
    Running,
    /// Every container ended well.
    Succeeded,
    /// Every container ended, one of them badly.
    Failed,
    /// Anything else, also nothing.
    Unknown,
}

impl PodPhase {
    /// The phase of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "Pending" => Self::Pending,
            "Running" => Self::Running,
            "Succeeded" => Self::Succeeded,
            "Failed" => Self::Failed,
            _ => Self::Unknown,
        }
    }

    /// Whether nothing of the pod runs any more.
    #[must_use]
    pub fn is_finished(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed => true,
            Self::Pending | Self::Running | Self::Unknown => false,
        }
    }
}

impl Pod {
    /// A pod of which only its name is known.
    #[must_use]
    pub fn silent(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: String::new(),
            created_at: None,
            node: None,
            phase: PodPhase::Unknown,
            deleting: false,
            finalizers: Vec::new(),
            mirror: false,
            controller: None,
            ready: false,
            priority: 0,
            labels: BTreeMap::new(),
            placement: Placement::default(),
            has_empty_dir: false,
            claims: Vec::new(),
        }
    }

    /// Whether it came to a node after its drain had begun, though the node is cordoned: however often it is evicted,
    /// its owner and the scheduler may put it there again, the more so as the node is the emptiest. It is as a DaemonSet's.
    #[must_use]
    pub fn has_returned(&self, since: Timestamp) -> bool {
        self.placement.bears_a_cordon() && self.created_at.is_some_and(|at| at > since)
    }

    /// The pod, by uid.
    #[must_use]
    pub fn reference(&self) -> PodRef {
        PodRef { namespace: self.namespace.clone(), name: self.name.clone(), uid: self.uid.clone() }
    }

    /// Whether nothing of it runs any more.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.phase.is_finished()
    }

    /// Whether its `DaemonSet` keeps it on its node.
    #[must_use]
    pub fn is_daemon(&self) -> bool {
        self.controller.as_ref().is_some_and(|controller| controller.kind == "DaemonSet")
    }

    /// Whether an operator looks after it.
    #[must_use]
    pub fn is_operated(&self) -> bool {
        self.controller.as_ref().is_some_and(Controller::is_custom)
    }

    /// Whether a drain of its node would make it leave, or stand still before it.
    #[must_use]
    pub fn would_leave(&self) -> bool {
        !self.mirror && !self.deleting && !self.is_finished() && !self.is_daemon()
    }

    /// `namespace/name`, as people write it.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}
