use serde::{Deserialize, Serialize};

use super::{Workload, WorkloadKind};

/// What the pods of a workload run. Those that have ended do not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodImages {
    /// What the workload is.
    pub kind: WorkloadKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// How many pods were seen.
    pub pods: u32,
    /// What they run, each image of a container once.
    pub images: Vec<RunningImage>,
}

/// An image that a container runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunningImage {
    /// The container's name.
    pub container: String,
    /// `imageID`, as the container runtime writes it; empty where the container has not started.
    pub image_id: String,
    /// In how many pods.
    pub pods: u32,
}

impl PodImages {
    /// Whether these are the pods of a workload.
    #[must_use]
    pub fn are_of(&self, workload: &Workload) -> bool {
        self.kind == workload.kind && self.namespace == workload.namespace && self.name == workload.name
    }
}
