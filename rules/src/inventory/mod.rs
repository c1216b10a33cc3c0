//! What lives in the cluster beside nodes and runs, as far as a verdict looks at it. Plain values, each source with its
//! proven age: the exporter fills them, the checks judge them.

mod definition;
mod image;
mod workload;

use serde::{Deserialize, Serialize};

use crate::snapshot::{Reading, Source};

pub use definition::{Definition, ServedVersion};
pub use image::ImageReference;
pub use workload::{Container, Rollout, Workload, WorkloadKind};

/// Everything that a verdict reads beside the snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    /// The custom resource definitions.
    pub definitions: Source<Vec<Definition>>,
    /// The workloads that keep pods running.
    pub workloads: Source<Vec<Workload>>,
}

impl Inventory {
    /// Nothing has been read.
    #[must_use]
    pub fn unread() -> Self {
        Self { definitions: Source::unread(), workloads: Source::unread() }
    }

    /// How each source was read.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading<'_>> {
        let Self { definitions, workloads } = self;
        vec![Reading::of("definitions", definitions), Reading::of("workloads", workloads)]
    }
}
