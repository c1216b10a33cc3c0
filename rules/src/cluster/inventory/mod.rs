//! What lives in the cluster beside nodes and runs, as far as a verdict looks at it. Plain values, each source with its
//! proven age: the exporter fills them, the checks judge them.

mod api_use;
mod backend;
mod definition;
mod image;
mod kubeadm_config;
mod kubelet;
mod pod_images;
mod risk;
mod service;
mod volume;
mod webhook;
mod workload;

use serde::{Deserialize, Serialize};

use crate::cluster::snapshot::{Reading, Source};
use crate::drain::Budget;

pub use api_use::{
    ApiKind, ApiRequests, ApiWrite, ApiWrites, Caller, HelmRelease, RequestedApi, ScrapedServer, Seen,
};
pub use backend::Backend;
pub use definition::{Definition, ServedVersion};
pub use image::ImageReference;
pub use kubeadm_config::KubeadmConfig;
pub use kubelet::{KubeProxyConfig, KubeletConfig, KubeletUnread, RunningKubelet};
pub use pod_images::{PodImages, RunningImage};
pub use risk::RiskAnswer;
pub use service::{
    LeadsTo, ReadyEndpoint, ServiceName, ServicePort, ServicePorts, Slice, SlicePort, TCP, WebhookBackend,
};
pub use volume::{PersistentVolume, StorageClass};
pub use webhook::{
    CalledWebhook, Namespace, Webhook, WebhookCalls, WebhookConfiguration, WebhookKind, WebhookRule,
    webhook_services,
};
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
    /// What kubeadm gives every kube-proxy; nothing where the ConfigMap is not there.
    pub kube_proxy_config: Source<Option<KubeProxyConfig>>,
    /// What kubeadm keeps of the cluster; nothing inside where the ConfigMap is not there, and nothing at all in a file that
    /// was saved before it was read.
    pub kubeadm_config: Option<Source<Option<KubeadmConfig>>>,
    /// The PodDisruptionBudgets.
    pub budgets: Source<Vec<Budget>>,
    /// The namespaces.
    pub namespaces: Source<Vec<Namespace>>,
    /// The configurations of admission webhooks.
    pub webhooks: Source<Vec<WebhookConfiguration>>,
    /// The Services of webhooks that must answer.
    pub webhook_backends: Source<Vec<WebhookBackend>>,
    /// How webhooks have answered lately. Files that were saved before anybody asked do not tell.
    #[serde(default = "Source::unread")]
    pub webhook_calls: Source<WebhookCalls>,
    /// The PersistentVolumes.
    pub persistent_volumes: Source<Vec<PersistentVolume>>,
    /// The StorageClasses.
    pub storage_classes: Source<Vec<StorageClass>>,
    /// The CSIDrivers, by name.
    pub csi_drivers: Source<Vec<String>>,
    /// Requests for deprecated APIs.
    pub api_requests: Source<ApiRequests>,
    /// Objects that were written in versions which go.
    pub api_writes: Source<ApiWrites>,
    /// The releases of Helm; nothing where nobody asks for them, which is the operator's choice.
    pub manifests: Option<Source<Vec<HelmRelease>>>,
    /// What the pods of add-ons run; nothing where nobody asks for them, which is the operator's choice.
    pub pod_images: Option<Source<Vec<PodImages>>>,
    /// Which risks are there; nothing where no row has to be asked for.
    pub risk_answers: Option<Source<Vec<RiskAnswer>>>,
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
            kube_proxy_config: Source::unread(),
            kubeadm_config: None,
            budgets: Source::unread(),
            namespaces: Source::unread(),
            webhooks: Source::unread(),
            webhook_backends: Source::unread(),
            webhook_calls: Source::unread(),
            persistent_volumes: Source::unread(),
            storage_classes: Source::unread(),
            csi_drivers: Source::unread(),
            api_requests: Source::unread(),
            api_writes: Source::unread(),
            manifests: None,
            pod_images: None,
            risk_answers: None,
        }
    }

    /// How each source was read.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading<'_>> {
        let Self {
            definitions,
            workloads,
            kubelets,
            kubelet_config,
            kube_proxy_config,
            kubeadm_config,
            budgets,
            namespaces,
            webhooks,
            webhook_backends,
            webhook_calls,
            persistent_volumes,
            storage_classes,
            csi_drivers,
            api_requests,
            api_writes,
            manifests,
            pod_images,
            risk_answers,
        } = self;
        let mut readings = vec![
            Reading::of("definitions", definitions),
            Reading::of("workloads", workloads),
            Reading::of("kubelets", kubelets),
            Reading::of("kubelet_config", kubelet_config),
            Reading::of("kube_proxy_config", kube_proxy_config),
            Reading::of("budgets", budgets),
            Reading::of("namespaces", namespaces),
            Reading::of("webhooks", webhooks),
            Reading::of("webhook_backends", webhook_backends),
            Reading::of("webhook_calls", webhook_calls),
            Reading::of("persistent_volumes", persistent_volumes),
            Reading::of("storage_classes", storage_classes),
            Reading::of("csi_drivers", csi_drivers),
            Reading::of("api_requests", api_requests),
            Reading::of("api_writes", api_writes),
        ];
        readings.extend(kubeadm_config.as_ref().map(|read| Reading::of("kubeadm_config", read)));
        readings.extend(manifests.as_ref().map(|read| Reading::of("manifests", read)));
        readings.extend(pod_images.as_ref().map(|read| Reading::of("pod_images", read)));
        readings.extend(risk_answers.as_ref().map(|read| Reading::of("risk_answers", read)));
        readings
    }
}
