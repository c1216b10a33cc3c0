//! What a driver sees of a node. Each driver judges what is its own; of anything else, the node was not asked.

use super::kubeadm::reading::NodeSurvey;

/// What was seen of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// What the node said of itself.
    Kubeadm(Box<NodeSurvey>),
    /// A Job can be placed on it.
    Job,
}

impl Sight {
    pub(super) fn of_kubeadm(&self) -> Option<&NodeSurvey> {
        match self {
            Self::Kubeadm(survey) => Some(survey),
            Self::Job => None,
        }
    }

    pub(super) fn of_job(&self) -> Option<()> {
        match self {
            Self::Kubeadm(_) => None,
            Self::Job => Some(()),
        }
    }
}
