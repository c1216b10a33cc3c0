//! What lives in the cluster beside nodes and runs, as far as a verdict looks at it. Plain values, each source with its
//! proven age: the exporter fills them, the checks judge them.

mod api_use;
mod definition;
mod image;
mod kubelet;
mod workload;

use serde::{Deserialize, Serialize};

use crate::snapshot::{Reading, Source};

pub use api_use::{ApiKind, ApiRequests, ApiWrite, Caller, HelmRelease, RequestedApi, ScrapedServer, Seen};
pub use definition::{Definition, ServedVersion};
pub use image::ImageReference;
pub use kubelet::{KubeletConfig, KubeletUnread, RunningKubelet};
pub use workload::{Container, Rollout, Workload, WorkloadKind};

/// Everything that a verdict reads beside the snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    /// The custom resource definitions.
    pub definitions: Source<Vec<Definition>>,
    /// The workloads that keep pods running.
    pub workloads: Source<Vec<Workload>>,
    /// What kubelets say of themselves: those that were asked, because a target changes their minor.
    pub kubelets: Source<Vec<RunningKubelet>>,
    /// What kubeadm writes into every kubelet's configuration; nothing where the ConfigMap is not there.
    pub kubelet_config: Source<Option<KubeletConfig>>,
    /// Requests for deprecated APIs.
    pub api_requests: Source<ApiRequests>,
    /// Objects that were written in versions which go.
    pub api_writes: Source<Vec<ApiWrite>>,
    /// The releases of Helm.
    pub manifests: Source<Vec<HelmRelease>>,
}

impl Inventory {
    /// Nothing has been read.
    #[must_use]
    pub fn unread() -> Self {
        Self {
            definitions: Source::unread(),
            workloads: Source::unread(),
            kubelets: Source::unread(),
            kubelet_config: Source::unread(),
            api_requests: Source::unread(),
            api_writes: Source::unread(),
            manifests: Source::unread(),
        }
    }

    /// How each source was read.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading<'_>> {
        // What nobody reads yet is not shown as broken.
        let Self {
            definitions,
            workloads,
            kubelets,
            kubelet_config,
            api_requests: _,
            api_writes: _,
            manifests: _,
        } = self;
        vec![
            Reading::of("definitions", definitions),
            Reading::of("workloads", workloads),
            Reading::of("kubelets", kubelets),
            Reading::of("kubelet_config", kubelet_config),
        ]
    }
}
