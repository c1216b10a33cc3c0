//! What a driver is told to do. The executor adds nothing of its own.

use serde::{Deserialize, Serialize};

use super::job::{JobLook, JobRef, JobRelease, JobToCreate};
use super::kubeadm::order::{LedgerOrder, RestoreOrder, SurveyOrder, UnitKind, UnitOrder};
use super::task::Task;
use crate::gate::Proof;
use crate::words::name::{NodeName, Token};

/// Look at nodes, changing nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Look {
    /// Over SSH.
    Kubeadm(SurveyOrder),
    /// Whether a Job can be placed.
    Job(JobLook),
}

/// Create what is to be started, where that comes ahead of the start. Nothing happens on the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Create {
    /// A Job that may have no pods yet.
    Job(JobToCreate),
}

/// Start something on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Start {
    /// A unit.
    Kubeadm(UnitOrder),
    /// A Job that was created before gets its pods.
    Job(JobRelease),
}

/// Read what became of something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Read {
    /// A node's ledger.
    Kubeadm(LedgerOrder),
    /// A Job and its pods.
    Job(JobRef),
}

/// Put back what a driver has left on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PutBack {
    /// The source of packages, where the node was not changed.
    Kubeadm(RestoreOrder),
    /// Every Job but this one that has ended there, or was never let go.
    Job(JobRef),
}

impl Create {
    /// Where.
    #[must_use]
    pub fn node(&self) -> &NodeName {
        match self {
            Self::Job(order) => &order.job.node,
        }
    }

    /// Under which token.
    #[must_use]
    pub fn token(&self) -> &Token {
        match self {
            Self::Job(order) => &order.job.token,
        }
    }
}

impl Start {
    /// What is started.
    #[must_use]
    pub fn task(&self) -> Task {
        match self {
            Self::Kubeadm(order) => match order.kind {
                UnitKind::Snapshot => Task::Snapshot,
                UnitKind::Prepare => Task::Prepare,
                UnitKind::UpgradeFirst | UnitKind::UpgradeNode => Task::Upgrade,
            },
            Self::Job(order) => order.job.task,
        }
    }

    /// Where.
    #[must_use]
    pub fn node(&self) -> &NodeName {
        match self {
            Self::Kubeadm(order) => &order.node.name,
            Self::Job(order) => &order.job.node,
        }
    }

    /// Under which token.
    #[must_use]
    pub fn token(&self) -> &Token {
        match self {
            Self::Kubeadm(order) => &order.token,
            Self::Job(order) => &order.job.token,
        }
    }

    /// Why it may.
    #[must_use]
    pub fn proof(&self) -> &Proof {
        match self {
            Self::Kubeadm(order) => &order.proof,
            Self::Job(order) => &order.proof,
        }
    }
}

impl Read {
    /// Where.
    #[must_use]
    pub fn node(&self) -> &NodeName {
        match self {
            Self::Kubeadm(order) => &order.node.name,
            Self::Job(order) => &order.node,
        }
    }

    /// Whether it asks about this.
    #[must_use]
    pub fn is_about(&self, task: Task, node: &NodeName, token: &Token) -> bool {
        match self {
            // A node takes a token for one unit only.
            Self::Kubeadm(order) => order.node.name == *node && order.token == *token,
            Self::Job(order) => order.node == *node && order.token == *token && order.task == task,
        }
    }
}

impl PutBack {
    /// Where.
    #[must_use]
    pub fn node(&self) -> &NodeName {
        match self {
            Self::Kubeadm(order) => &order.node.name,
            Self::Job(order) => &order.node,
        }
    }
}
