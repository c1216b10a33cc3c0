//! What an upgrade asks the API server for, and whether a webhook is asked about it. The matching is that of the API
//! server (`pkg/admission/plugin/webhook/predicates`).

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::inventory::{Namespace, Webhook, WebhookRule, Workload, WorkloadKind};
use crate::words::labels::{Requirement, Selector};

/// The namespace of the control plane.
pub(super) const SYSTEM: &str = "kube-system";
/// The namespace of the Leases of nodes, and of nothing else.
const NODE_LEASES: &str = "kube-node-lease";
/// The namespace of what anybody may read.
const PUBLIC: &str = "kube-public";
/// The label that the API server gives every namespace.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Requests without which an upgrade stands still, or what it evicts does not come back.
struct Need {
    group: &'static str,
    /// [`ANY_VERSION`] where it is another in older clusters.
    version: &'static str,
    /// The resource, and the part of it behind `/`.
    resource: (&'static str, &'static str),
    operations: &'static [&'static str],
    place: Place,
    labels: Labels,
    who: Who,
}

/// Who waits for it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    /// Pods, and so perhaps those that answer for a webhook.
    Pods,
    /// Only kubeadm. No pod waits for that, so whoever answers comes back by itself, if on another node.
    Kubeadm,
    /// An API server that starts, which kubeadm waits for. It writes only what its version has anew: perhaps nothing.
    ApiServer,
    /// Budgets, claims, and Jobs: whoever answers comes back without them.
    Others,
}

/// Where the objects are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In no namespace: no selector of namespaces leaves them out.
    Cluster,
    /// In that of the control plane.
    System,
    /// There, and in the public one.
    SystemAndPublic,
    /// In that of the control plane, and in that of the Leases of nodes.
    Leases,
    /// In every namespace where pods are.
    Everywhere,
}

impl Place {
    /// Whether there are such objects in this namespace.
    fn is_in(self, namespace: &str) -> bool {
        match self {
            Self::Cluster => false,
            Self::System => namespace == SYSTEM,
            Self::SystemAndPublic => [SYSTEM, PUBLIC].contains(&namespace),
            Self::Leases => [SYSTEM, NODE_LEASES].contains(&namespace),
            Self::Everywhere => namespace != NODE_LEASES,
        }
    }
}

/// Which labels the objects have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Labels {
    /// None, as whoever writes them gives them none.
    None,
    /// Those of the workloads' templates, and others that these do not tell of.
    OfPods,
    /// Those of the workloads of this kind.
    OfWorkloads(WorkloadKind),
    /// Nobody looks at them: perhaps any.
    Any,
}

/// The group of rights.
const RBAC: &str = "rbac.authorization.k8s.io";
const DAEMON_SETS: Labels = Labels::OfWorkloads(WorkloadKind::DaemonSet);
const DEPLOYMENTS: Labels = Labels::OfWorkloads(WorkloadKind::Deployment);
/// The group of devices that pods claim.
const DEVICES: &str = "resource.k8s.io";
/// Nobody knows in which version it is written.
const ANY_VERSION: &str = "*";

const fn need(
    group: &'static str,
    resource: (&'static str, &'static str),
    operations: &'static [&'static str],
    place: Place,
    labels: Labels,
) -> Need {
    Need { group, version: "v1", resource, operations, place, labels, who: Who::Pods }
}

/// What some pods need in every namespace, whatever its labels.
const fn others(
    group: &'static str,
    resource: (&'static str, &'static str),
    operations: &'static [&'static str],
) -> Need {
    Need { who: Who::Others, ..need(group, resource, operations, Place::Everywhere, Labels::Any) }
}

/// What kubeadm writes, without labels.
const fn kubeadms(
    group: &'static str,
    resource: &'static str,
    operations: &'static [&'static str],
    place: Place,
) -> Need {
    Need { who: Who::Kubeadm, ..need(group, (resource, ""), operations, place, Labels::None) }
}

/// What an API server brings up to date when it starts.
const fn api_servers(
    group: &'static str,
    resource: &'static str,
    operations: &'static [&'static str],
) -> Need {
    Need { who: Who::ApiServer, ..need(group, (resource, ""), operations, Place::Cluster, Labels::Any) }
}

/// The group of the flow of requests.
const FLOW: &str = "flowcontrol.apiserver.k8s.io";
/// What becomes of the attachment of a volume that moves.
const ATTACHMENTS: &[&str] = &["CREATE", "UPDATE", "DELETE"];

const NEEDS: [Need; 37] = [
    // What is evicted leaves, and starts again elsewhere.
    need("", ("pods", ""), &["CREATE", "DELETE"], Place::Everywhere, Labels::OfPods),
    // Only when this takes its finalizer off is the pod of a Job gone.
    Need { labels: Labels::OfPods, ..others("", ("pods", ""), &["UPDATE"]) },
    need("", ("pods", "eviction"), &["CREATE"], Place::Everywhere, Labels::None),
    need("", ("pods", "binding"), &["CREATE"], Place::Everywhere, Labels::None),
    need("", ("pods", "status"), &["UPDATE"], Place::Everywhere, Labels::OfPods),
    need("", ("serviceaccounts", "token"), &["CREATE"], Place::Everywhere, Labels::Any),
    // An eviction takes from the status of its budget, and only there is given back what has started elsewhere.
    others("policy", ("poddisruptionbudgets", "status"), &["UPDATE"]),
    // Without these nobody finds what has moved: neither CoreDNS nor the pods behind a webhook. Some read the older kind.
    need("discovery.k8s.io", ("endpointslices", ""), &["CREATE", "UPDATE"], Place::Everywhere, Labels::Any),
    need("", ("endpoints", ""), &["CREATE", "UPDATE"], Place::Everywhere, Labels::Any),
    // A volume leaves its node and comes to another. Its driver holds the attachment by a finalizer, and says in its status
    // that it is done: until then the pod waits.
    need("storage.k8s.io", ("volumeattachments", ""), ATTACHMENTS, Place::Cluster, Labels::None),
    need("storage.k8s.io", ("volumeattachments", "status"), &["UPDATE"], Place::Cluster, Labels::None),
    // Each new pod with a generic ephemeral volume gets a claim of its own, which is then bound to a new volume.
    others("", ("persistentvolumeclaims", ""), &["CREATE", "UPDATE"]),
    others("", ("persistentvolumeclaims", "status"), &["UPDATE"]),
    Need { place: Place::Cluster, ..others("", ("persistentvolumes", ""), &["CREATE", "UPDATE"]) },
    // Claims of devices are made for new pods, and in their status devices are given and taken back.
    Need { version: ANY_VERSION, ..others(DEVICES, ("resourceclaims", ""), &["CREATE", "UPDATE"]) },
    Need { version: ANY_VERSION, ..others(DEVICES, ("resourceclaims", "status"), &["UPDATE"]) },
    // Nodes are cordoned, and say that they live. A kubelet that starts asks to create its own first.
    need("", ("nodes", ""), &["CREATE", "UPDATE"], Place::Cluster, Labels::Any),
    need("", ("nodes", "status"), &["UPDATE"], Place::Cluster, Labels::Any),
    need("coordination.k8s.io", ("leases", ""), &["CREATE", "UPDATE"], Place::Leases, Labels::None),
    need("storage.k8s.io", ("csinodes", ""), &["CREATE", "UPDATE"], Place::Cluster, Labels::Any),
    // kubeadm makes a Job to see that pods start, waits until its status says that it is complete, and writes its own
    // configuration, rights, kube-proxy and CoreDNS.
    kubeadms("batch", "jobs", &["CREATE"], Place::System),
    Need { who: Who::Kubeadm, ..need("batch", ("jobs", "status"), &["UPDATE"], Place::System, Labels::Any) },
    Need { labels: Labels::Any, ..kubeadms("", "configmaps", &["CREATE", "UPDATE"], Place::System) },
    kubeadms("", "serviceaccounts", &["CREATE", "UPDATE"], Place::System),
    Need { labels: Labels::Any, ..kubeadms("", "services", &["CREATE", "UPDATE"], Place::System) },
    // The right to read the public cluster-info too.
    kubeadms(RBAC, "roles", &["CREATE", "UPDATE"], Place::SystemAndPublic),
    kubeadms(RBAC, "rolebindings", &["CREATE", "UPDATE"], Place::SystemAndPublic),
    kubeadms(RBAC, "clusterroles", &["CREATE", "UPDATE"], Place::Cluster),
    kubeadms(RBAC, "clusterrolebindings", &["CREATE", "UPDATE"], Place::Cluster),
    need("apps", ("daemonsets", ""), &["CREATE", "UPDATE"], Place::System, DAEMON_SETS),
    need("apps", ("deployments", ""), &["CREATE", "UPDATE"], Place::System, DEPLOYMENTS),
    // What rolls these out.
    need("apps", ("replicasets", ""), &["CREATE", "UPDATE"], Place::System, Labels::Any),
    need("apps", ("controllerrevisions", ""), &["CREATE"], Place::System, Labels::Any),
    // An API server is not healthy before there is an APIService of each version that it serves
    // (`autoregister-completion`), and ends where it cannot bring its priorities up to date
    // (`priority-and-fairness-config-producer`).
    api_servers("apiregistration.k8s.io", "apiservices", &["CREATE", "UPDATE"]),
    api_servers(FLOW, "flowschemas", &["CREATE", "UPDATE", "DELETE"]),
    api_servers(FLOW, "prioritylevelconfigurations", &["CREATE", "UPDATE", "DELETE"]),
    // The run's own status.
    Need {
        version: crate::api::VERSION,
        ..need(crate::api::GROUP, ("upgraderuns", "status"), &["UPDATE"], Place::Everywhere, Labels::Any)
    },
];

/// The labels that controllers and the API server add to pods, which no template tells of.
const ADDED_TO_PODS: [&str; 12] = [
    "pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/job-name",
    "batch.kubernetes.io/job-completion-index",
    "batch.kubernetes.io/controller-uid",
    "job-name",
    "controller-uid",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
];

/// Whether objects meet a selector.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Met {
    No,
    /// Perhaps those of pods of no template that is read here, such as those of Jobs and of operators.
    ByOthers,
    /// Perhaps those of templates, by labels that are added to their pods, or others by labels that nobody looks at.
    Perhaps,
    Surely,
}

/// What a webhook is asked about of all that an upgrade needs.
#[derive(Debug, Default)]
pub(super) struct AskedAbout {
    /// Such as `pods/eviction`.
    pub(super) what: BTreeSet<String>,
    /// The namespaces in which it is asked.
    pub(super) namespaces: BTreeSet<String>,
    /// Those of them in which it is asked about what pods of the templates wait for, and whether that is certain.
    pub(super) waited_in: BTreeMap<String, bool>,
    /// Whether it is asked about objects of no namespace too, and whether that is certain.
    pub(super) cluster: Option<bool>,
    /// The same of what only kubeadm waits for, and no pod.
    pub(super) by_kubeadm: Option<bool>,
    /// It is asked about some of it for certain, and not only about what labels may be on that nobody here can see.
    pub(super) is_sure: bool,
}

impl AskedAbout {
    /// Whether it is asked about anything.
    pub(super) fn is_any(&self) -> bool {
        !self.what.is_empty()
    }

    /// Both together.
    pub(super) fn extend(&mut self, other: Self) {
        self.what.extend(other.what);
        self.namespaces.extend(other.namespaces);
        self.cluster = self.cluster.max(other.cluster);
        self.by_kubeadm = self.by_kubeadm.max(other.by_kubeadm);
        self.is_sure |= other.is_sure;
        for (namespace, is_sure) in other.waited_in {
            *self.waited_in.entry(namespace).or_default() |= is_sure;
        }
    }
}

/// What a webhook is asked about. What cannot be told apart counts as asked.
pub(super) fn asked_about(webhook: &Webhook, namespaces: &[Namespace], workloads: &[Workload]) -> AskedAbout {
    let in_scope: Vec<&str> =
        namespaces.iter().filter(|it| selects(&webhook.namespaces, it)).map(|it| it.name.as_str()).collect();
    let objects = Objects {
        selector: &webhook.objects,
        without_added: without(&webhook.objects, is_added),
        without_foreign: without(&webhook.objects, |it| is_added(it) || is_foreign(it, workloads)),
        workloads,
    };
    let mut asked = AskedAbout::default();
    for need in NEEDS.iter().filter(|need| webhook.rules.iter().any(|rule| matches(rule, need, webhook))) {
        let is_cluster = need.place == Place::Cluster;
        let places = in_scope.iter().copied().filter(|namespace| need.place.is_in(namespace));
        for namespace in is_cluster.then_some("").into_iter().chain(places) {
            let met = objects.meet(need.labels, namespace);
            if met == Met::No {
                continue;
            }
            let is_sure = met == Met::Surely && need.who != Who::ApiServer;
            asked.is_sure |= is_sure;
            asked.what.insert(name(need));
            if !is_cluster {
                asked.namespaces.insert(namespace.to_owned());
            }
            match need.who {
                Who::Pods if is_cluster => asked.cluster = asked.cluster.max(Some(is_sure)),
                Who::Pods if met == Met::ByOthers => {}
                Who::Pods => *asked.waited_in.entry(namespace.to_owned()).or_default() |= is_sure,
                Who::Kubeadm | Who::ApiServer => asked.by_kubeadm = asked.by_kubeadm.max(Some(is_sure)),
                Who::Others => {}
            }
        }
    }
    asked
}

fn selects(selector: &Selector, namespace: &Namespace) -> bool {
    let mut labels = namespace.labels.clone();
    labels.insert(NAME_LABEL.to_owned(), namespace.name.clone());
    selector.matches(&labels)
}

/// What is known of the objects that a webhook selects.
struct Objects<'a> {
    selector: &'a Selector,
    /// The same without labels that are added to pods.
    without_added: Selector,
    /// And without those that no template has.
    without_foreign: Selector,
    workloads: &'a [Workload],
}

impl Objects<'_> {
    /// Whether there may be objects in this namespace that are selected. Pods are known by the templates of workloads; a
    /// selector that leaves objects without labels in is met by any.
    fn meet(&self, labels: Labels, namespace: &str) -> Met {
        if self.selector.matches(&BTreeMap::new()) {
            return Met::Surely;
        }
        match labels {
            Labels::None => Met::No,
            Labels::OfPods => self.meet_pods(namespace),
            Labels::OfWorkloads(kind) => {
                let here = self.workloads.iter().filter(|it| it.kind == kind && it.namespace == namespace);
                here.map(|it| self.meet_workload(it)).max().unwrap_or(Met::No)
            }
            Labels::Any if *self.selector == Selector::Nothing => Met::No,
            Labels::Any => Met::Perhaps,
        }
    }

    /// A label that its pods have too was perhaps not kept.
    fn meet_workload(&self, workload: &Workload) -> Met {
        let Selector::Every(requirements) = self.selector else { return Met::No };
        let mut with_pods = workload.pod_labels.clone();
        with_pods.extend(workload.labels.clone());
        let meets = |requirement: &Requirement| {
            let alone = Selector::Every(vec![requirement.clone()]);
            match [&workload.labels, &with_pods].map(|labels| alone.matches(labels)) {
                [true, true] => Met::Surely,
                [false, false] => Met::No,
                _ => Met::Perhaps,
            }
        };
        requirements.iter().map(meets).min().unwrap_or(Met::Surely)
    }

    fn meet_pods(&self, namespace: &str) -> Met {
        if self.is_met_by_a_template(self.selector, namespace) {
            return Met::Surely;
        }
        let is_met = |loose: &Selector| {
            loose != self.selector
                && (loose.matches(&BTreeMap::new()) || self.is_met_by_a_template(loose, namespace))
        };
        if is_met(&self.without_added) {
            Met::Perhaps
        } else if is_met(&self.without_foreign) {
            Met::ByOthers
        } else {
            Met::No
        }
    }

    fn is_met_by_a_template(&self, selector: &Selector, namespace: &str) -> bool {
        let mut here = self.workloads.iter().filter(|it| it.namespace == namespace);
        here.any(|it| selector.matches(&it.pod_labels))
            || namespace == SYSTEM && control_plane_labels().iter().any(|labels| selector.matches(labels))
    }
}

/// A selector without some of what it asks for.
fn without(selector: &Selector, is_left_out: impl Fn(&Requirement) -> bool) -> Selector {
    let Selector::Every(requirements) = selector else { return Selector::Nothing };
    Selector::Every(requirements.iter().filter(|it| !is_left_out(it)).cloned().collect())
}

/// Whether it is about a label that is added to pods.
fn is_added(requirement: &Requirement) -> bool {
    match requirement {
        Requirement::In(key, _)
        | Requirement::NotIn(key, _)
        | Requirement::Exists(key)
        | Requirement::DoesNotExist(key) => ADDED_TO_PODS.contains(&key.as_str()),
        Requirement::Unknown(_) => false,
    }
}

/// Whether it asks for a label that no template has.
fn is_foreign(requirement: &Requirement, workloads: &[Workload]) -> bool {
    let mut templates = workloads.iter().map(|it| &it.pod_labels);
    match requirement {
        Requirement::In(key, wanted) => {
            !templates.any(|labels| labels.get(key).is_some_and(|value| wanted.contains(value)))
        }
        Requirement::Exists(key) => !templates.any(|labels| labels.contains_key(key)),
        Requirement::NotIn(..) | Requirement::DoesNotExist(_) | Requirement::Unknown(_) => false,
    }
}

/// The labels of the control plane's own pods: their mirrors are written anew in an upgrade.
fn control_plane_labels() -> [BTreeMap<String, String>; 4] {
    ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"].map(|component| {
        let labels = [("tier", "control-plane"), ("component", component)];
        labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    })
}

fn name(need: &Need) -> String {
    match need.resource {
        (resource, "") => resource.to_owned(),
        (resource, part) => format!("{resource}/{part}"),
    }
}

fn matches(rule: &WebhookRule, need: &Need, webhook: &Webhook) -> bool {
    let has = |items: &[String], wanted: &str| items.iter().any(|item| item == "*" || item == wanted);
    let is_in_scope = match rule.scope.as_str() {
        "Cluster" => need.place == Place::Cluster,
        "Namespaced" => need.place != Place::Cluster,
        _ => true,
    };
    is_in_scope
        && need.operations.iter().any(|operation| has(&rule.operations, operation))
        && has(&rule.groups, need.group)
        // A request in another version is converted for one that asks for an equivalent.
        && (has(&rule.versions, need.version) || need.version == ANY_VERSION || !webhook.is_exact)
        && rule.resources.iter().any(|written| is_resource(written, need.resource))
}

/// `pods` is the resource alone, `pods/*` it and all of its parts, `*` every resource alone, `*/*` everything.
fn is_resource(written: &str, (resource, part): (&str, &str)) -> bool {
    let (written, written_part) = written.split_once('/').unwrap_or((written, ""));
    (written == "*" || written == resource) && (written_part == "*" || written_part == part)
}
