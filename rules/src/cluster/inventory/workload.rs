use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

/// A workload that keeps pods running: where add-ons live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// What it is.
    pub kind: WorkloadKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The labels of [`Workload::LABELS`] that it has, and those that its pods do not have as well. Older saved clusters
    /// have the first alone.
    pub labels: BTreeMap<String, String>,
    /// The labels of its pods.
    pub pod_labels: BTreeMap<String, String>,
    /// The plugins of its pods' volumes, by the field of their source, such as `configMap`.
    pub volume_plugins: BTreeSet<String>,
    /// `priorityClassName` of its pods.
    pub priority_class: String,
    /// The containers of its template.
    pub containers: Vec<Container>,
    /// The init containers of its template.
    pub init_containers: Vec<Container>,
    /// How far its pods follow its template.
    pub rollout: Rollout,
    /// The TCP ports that its containers name. They bind nobody, and most of what is listed is all there is; where
    /// nothing is listed, as in files that were saved before it was read, nothing is known.
    #[serde(default)]
    pub container_ports: BTreeSet<u16>,
}

/// What a workload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkloadKind {
    /// A Deployment.
    Deployment,
    /// A DaemonSet.
    DaemonSet,
    /// A StatefulSet.
    StatefulSet,
}

/// A container of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image, as written.
    pub image: String,
}

/// How far the pods of a workload follow its template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rollout {
    /// `metadata.generation`.
    pub generation: i64,
    /// `status.observedGeneration`.
    pub observed: i64,
    /// How many pods there should be.
    pub desired: i32,
    /// How many there are.
    pub current: i32,
    /// How many of these follow the template.
    pub updated: i32,
}

impl Rollout {
    /// So many pods, and all of them follow the template.
    #[must_use]
    pub fn done(pods: i32) -> Self {
        Self { generation: 1, observed: 1, desired: pods, current: pods, updated: pods }
    }
}

impl Workload {
    /// The label that says which version it is.
    pub const VERSION_LABEL: &str = "app.kubernetes.io/version";
    /// The labels that tell which application a workload is, and of which version.
    pub const LABELS: [&str; 4] =
        [Self::VERSION_LABEL, "app.kubernetes.io/name", "app.kubernetes.io/part-of", "helm.sh/chart"];

    /// One of which nothing but its name is known.
    #[must_use]
    pub fn silent(kind: WorkloadKind, namespace: &str, name: &str) -> Self {
        Self {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            labels: BTreeMap::new(),
            pod_labels: BTreeMap::new(),
            volume_plugins: BTreeSet::new(),
            priority_class: String::new(),
            containers: Vec::new(),
            init_containers: Vec::new(),
            rollout: Rollout::default(),
            container_ports: BTreeSet::new(),
        }
    }

    /// The value of a label, of its own or of its pods.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).or_else(|| self.pod_labels.get(name)).map(String::as_str)
    }

    /// The containers, and the init containers behind them.
    pub fn all_containers(&self) -> impl Iterator<Item = &Container> {
        self.containers.iter().chain(&self.init_containers)
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

impl fmt::Display for WorkloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deployment => "Deployment",
            Self::DaemonSet => "DaemonSet",
            Self::StatefulSet => "StatefulSet",
        })
    }
}

impl Rollout {
    /// Whether every pod follows the template: only then does the template say what runs.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.observed >= self.generation && self.updated == self.desired && self.current == self.desired
    }
}

impl fmt::Display for Rollout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { generation, observed, desired, current, updated } = self;
        write!(f, "{updated} of {desired} pods follow its template, {current} are there")?;
        if observed < generation { write!(f, "; its newest template was not looked at yet") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_speaks_for_the_pods_only_once_all_of_them_follow_it() {
        let settled = Rollout { generation: 2, observed: 2, desired: 3, current: 3, updated: 3 };
        for (rollout, is_settled) in [
            (settled, true),
            (Rollout { observed: 1, ..settled }, false),
            (Rollout { updated: 2, ..settled }, false),
            (Rollout { current: 4, ..settled }, false),
            (Rollout { desired: 0, current: 0, updated: 0, ..settled }, true),
        ] {
            assert_eq!(rollout.is_settled(), is_settled, "{rollout:?}");
        }
    }
}
