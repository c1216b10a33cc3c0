//! Every check, once: what it asks, which steps it speaks about, and the page that states the rule.

use super::{
    Facts, Outcome, accept, addons, cgroup, cloud_controller_skew, control_plane_skew, disruption_budgets,
    driver, etcd, flags, kernel, kube_proxy_skew, kubelet_skew, matrix, offered, path, removed_apis, risks,
    runtime, stored_versions, target, volume_plugins, webhooks,
};
use crate::verdict::{Concerns, Scope};

/// A check before it is made.
pub(super) struct Definition {
    pub(super) id: &'static str,
    pub(super) scope: Scope,
    pub(super) concerns: Concerns,
    pub(super) is_final: bool,
    /// The page that states the rule; empty where each finding names its own.
    pub(super) source: &'static str,
    /// What it asks, a question for people.
    pub(super) asks: &'static str,
    pub(super) check: fn(&Facts<'_>) -> Outcome,
}

pub(super) const fn check(
    id: &'static str,
    scope: Scope,
    source: &'static str,
    check: fn(&Facts<'_>) -> Outcome,
    asks: &'static str,
) -> Definition {
    Definition { id, scope, concerns: Concerns::Compatibility, is_final: false, source, asks, check }
}

impl Definition {
    /// The same, and its block stands whatever else could not be read.
    const fn final_word(self) -> Self {
        Self { is_final: true, ..self }
    }

    /// The same, about what Lockkeeper can do and not about the version.
    const fn of_driver(self) -> Self {
        Self { concerns: Concerns::Driver, ..self }
    }
}

const RELEASES: &str = "https://kubernetes.io/releases/";
const PATCHES: &str = "https://kubernetes.io/releases/patch-releases/";
const SKEW: &str = "https://kubernetes.io/releases/version-skew-policy/";
const ETCD: &str = "https://kubernetes.io/docs/tasks/administer-cluster/configure-upgrade-etcd/";
const CGROUP: &str = "https://kubernetes.io/docs/concepts/architecture/cgroups/";
const FLAGS: &str = "https://kubernetes.io/docs/reference/using-api/deprecation-policy/";
const STORED: &str = "https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/";
const APIS: &str = "https://kubernetes.io/docs/reference/using-api/deprecation-guide/";
const BUDGETS: &str = "https://kubernetes.io/docs/tasks/run-application/configure-pdb/";
const DRIVER: &str = "https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/install-kubeadm/";
const WEBHOOKS: &str =
    "https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/";

#[rustfmt::skip] // one check, one row and its question
pub(super) const TABLE: [Definition; 22] = {
    use Scope::{Cluster, Node};
    [
        check("target", Cluster, RELEASES, target::check,
            "Is the target a release, and not a pre-release?").final_word(),
        check("path", Cluster, SKEW, path::check,
            "Is the target newer than what runs, in the same major, and at most one minor ahead?").final_word(),
        check("matrix", Node, "", matrix::check,
            "Are the facts in force the ones you asked for?"),
        check("offered", Cluster, PATCHES, offered::check,
            "Does the package repository have kubeadm, kubelet and kubectl of the target for every architecture that runs?"),
        check("kubelet_skew", Node, SKEW, kubelet_skew::check,
            "Is every kubelet new enough for the target's API servers, and none newer than its API server?"),
        check("control_plane_skew", Node, SKEW, control_plane_skew::check,
            "Are the API servers at most one minor apart, and do the controllers fit them?"),
        check("kube_proxy_skew", Cluster, SKEW, kube_proxy_skew::check,
            "Does kube-proxy fit the API servers and the kubelets?"),
        check("cloud_controller_skew", Cluster, SKEW, cloud_controller_skew::check,
            "Does a cloud-controller-manager, if it is numbered as Kubernetes is, fit the API servers, now and at the target?"),
        check("runtime", Node, "", runtime::check,
            "Does each node's container runtime fit the target's kubelet?"),
        check("kernel", Node, "", kernel::check,
            "Can each node's kernel be read? One that kubeadm's preflight does not know is only noted."),
        check("cgroup", Node, CGROUP, cgroup::check,
            "Does the target's kubelet start with the cgroup version of each node?"),
        check("etcd", Cluster, ETCD, etcd::check,
            "Is etcd new enough to be upgraded to the target's etcd?"),
        check("flags", Node, FLAGS, flags::check,
            "Is a component started with a feature gate, flag or admission plugin that the target has removed or locked?"),
        check("addons", Cluster, "", addons::check,
            "Does every add-on fit the minor that runs and the target?"),
        check("stored_versions", Cluster, STORED, stored_versions::check,
            "Can every version in which custom objects may be stored still be read?"),
        check("removed_apis", Cluster, APIS, removed_apis::check,
            "Does anybody call, write or deploy an API that the target does not serve?"),
        check("disruption_budgets", Node, BUDGETS, disruption_budgets::check,
            "Is there a PodDisruptionBudget that would never let a pod leave its node?"),
        check("webhooks", Node, WEBHOOKS, webhooks::check,
            "Is there a webhook that can refuse what an upgrade needs, and that nothing answers, now or during a drain?"),
        check("volume_plugins", Node, "", volume_plugins::check,
            "Does a volume use a plugin that the target does not have?"),
        check("risks", Cluster, "", risks::check,
            "Is one of the dangers listed under `risks` on the way to the target?"),
        check("accept", Cluster, "", accept::check,
            "Has the last day of something that was accepted passed?"),
        check("driver", Node, DRIVER, driver::check,
            "Can Lockkeeper itself upgrade every node? The answer stands beside the verdict and does not change it.").of_driver(),
    ]
};

/// The names of all checks, in order.
pub const CHECK_IDS: [&str; TABLE.len()] = {
    let mut ids = [""; TABLE.len()];
    let mut index = 0;
    while index < TABLE.len() {
        ids[index] = TABLE[index].id;
        index += 1;
    }
    ids
};

/// The name of each check, what it asks, and the page that states the rule, empty where each finding names its own.
pub(crate) fn questions() -> Vec<[&'static str; 3]> {
    TABLE.iter().map(|it| [it.id, it.asks, it.source]).collect()
}
