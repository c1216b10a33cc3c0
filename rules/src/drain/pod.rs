//! Pods and the budgets that protect them, as far as a drain asks.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::name::NodeName;
use crate::run::PodRef;

/// A pod, as the API server shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The node it is bound to.
    pub node: Option<NodeName>,
    /// How far it is in its life.
    pub phase: PodPhase,
    /// It is being deleted.
    pub deleting: bool,
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
}

/// The owner that is marked as the controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Controller {
    /// Such as `ReplicaSet`.
    pub kind: String,
    /// Its name.
    pub name: String,
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

    /// `namespace/name`, as people write it.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// A `PodDisruptionBudget` with its computed status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Which pods it protects.
    pub selector: Selector,
    /// `status.disruptionsAllowed`.
    pub disruptions_allowed: i32,
    /// `status.expectedPods`.
    pub expected_pods: i32,
    /// `status.currentHealthy`.
    pub current_healthy: i32,
    /// `status.desiredHealthy`.
    pub desired_healthy: i32,
}

impl Budget {
    /// Whether it protects this pod.
    #[must_use]
    pub fn protects(&self, pod: &Pod) -> bool {
        self.namespace == pod.namespace && self.selector.matches(&pod.labels)
    }

    /// Whether it forbids an eviction even while every pod is healthy.
    #[must_use]
    pub fn never_allows(&self) -> bool {
        self.expected_pods > 0 && self.desired_healthy >= self.expected_pods && self.disruptions_allowed <= 0
    }
}

/// A label selector. [`Selector::Nothing`] is one that was left out; an empty list of requirements matches all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Selector {
    /// It selects no pod.
    Nothing,
    /// It selects the pods that meet every requirement.
    Every(Vec<Requirement>),
}

/// One requirement of a label selector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Requirement {
    /// The label is there and has one of these values.
    In(String, BTreeSet<String>),
    /// The label is missing or has none of these values.
    NotIn(String, BTreeSet<String>),
    /// The label is there.
    Exists(String),
    /// The label is missing.
    DoesNotExist(String),
    /// An operator that is not known: it counts as met, so that a budget is rather seen than missed.
    Unknown(String),
}

impl Selector {
    /// Whether a pod with these labels is selected.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::Nothing => false,
            Self::Every(requirements) => requirements.iter().all(|requirement| match requirement {
                Requirement::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
                Requirement::NotIn(key, values) => {
                    labels.get(key).is_none_or(|value| !values.contains(value))
                }
                Requirement::Exists(key) => labels.contains_key(key),
                Requirement::DoesNotExist(key) => !labels.contains_key(key),
                Requirement::Unknown(_) => true,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_that_was_left_out_selects_nothing_and_an_empty_one_all() {
        let labels = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
        let one = |text: &str| BTreeSet::from([text.to_owned()]);
        let every = |requirement| Selector::Every(vec![requirement]);
        for (selector, expected) in [
            (Selector::Nothing, false),
            (Selector::Every(vec![]), true),
            (every(Requirement::In("app".to_owned(), one("web"))), true),
            (every(Requirement::In("app".to_owned(), one("db"))), false),
            (every(Requirement::In("tier".to_owned(), one("web"))), false),
            (every(Requirement::NotIn("app".to_owned(), one("web"))), false),
            (every(Requirement::NotIn("tier".to_owned(), one("web"))), true),
            (every(Requirement::Exists("app".to_owned())), true),
            (every(Requirement::DoesNotExist("app".to_owned())), false),
            (every(Requirement::Unknown("Gt".to_owned())), true),
        ] {
            assert_eq!(selector.matches(&labels), expected, "{selector:?}");
        }
    }
}
