//! Where a pod may be put: what it wants of a node, and what it puts up with.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::words::labels::Selector;

/// Which nodes a pod wants, and which it puts up with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Placement {
    /// `spec.nodeSelector`.
    pub node_selector: BTreeMap<String, String>,
    /// The terms of the required node affinity, one of which must be met; nothing if it has none.
    pub terms: Option<Vec<Selector>>,
    /// `spec.tolerations`.
    pub tolerations: Vec<Toleration>,
}

/// A toleration of a pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Toleration {
    /// Of which key; empty for every one.
    pub key: String,
    /// How the value is compared: `Equal` if empty.
    pub operator: String,
    /// Of which value.
    pub value: String,
    /// Of which effect; empty for every one.
    pub effect: String,
}

/// A taint of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value, empty if it has none.
    pub value: String,
    /// Such as `NoSchedule`.
    pub effect: String,
}

impl Placement {
    /// Whether a cordon does not keep the pod away: its taint is the one that the API server adds to a cordoned node.
    #[must_use]
    pub fn bears_a_cordon(&self) -> bool {
        let cordon = Taint {
            key: "node.kubernetes.io/unschedulable".to_owned(),
            value: String::new(),
            effect: "NoSchedule".to_owned(),
        };
        self.tolerations.iter().any(|it| it.bears(&cordon))
    }
}

impl Toleration {
    pub(super) fn bears(&self, taint: &Taint) -> bool {
        (self.effect.is_empty() || self.effect == taint.effect)
            && (self.key.is_empty() || self.key == taint.key)
            && match self.operator.as_str() {
                "" | "Equal" => self.value == taint.value,
                // `Exists`, and whatever else there may be by then.
                _ => true,
            }
    }
}
