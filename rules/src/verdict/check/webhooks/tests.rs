//! Webhooks as people have them, each with what is to be said of it.

use super::super::tests::{Healthy, healthy, namespace, run};
use super::*;
use crate::cluster::inventory::{
    LeadsTo, ReadyEndpoint, Rollout, ServiceName, ServicePort, ServicePorts, Slice, SlicePort, TCP, Webhook,
    WebhookBackend, WebhookKind, WebhookRule, Workload, WorkloadKind,
};
use crate::cluster::snapshot::Source;
use crate::verdict::Status;
use crate::words::labels::{Requirement, Selector};

mod outside;
mod ports;

const BLOCK: Status = Status::Block;
const PASS: Status = Status::Pass;
const UNKNOWN: Status = Status::Unknown;

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn rule(group: &str, resources: &[&str], operations: &[&str]) -> WebhookRule {
    WebhookRule {
        groups: words(&[group]),
        versions: words(&["v1"]),
        operations: words(operations),
        resources: words(resources),
        scope: "*".to_owned(),
    }
}

fn service(namespace: &str, name: &str) -> ServiceName {
    ServiceName { namespace: namespace.to_owned(), name: name.to_owned() }
}

/// Port 443 of a Service.
fn at(namespace: &str, name: &str) -> Backend {
    Backend::Service { service: service(namespace, name), port: Some(443) }
}

/// A webhook of every pod in every namespace, answered by `guard/hook`.
fn webhook() -> Webhook {
    Webhook {
        name: "pods.guard.example".to_owned(),
        backend: at("guard", "hook"),
        fails_closed: true,
        is_exact: false,
        has_conditions: false,
        namespaces: Selector::Every(Vec::new()),
        objects: Selector::Every(Vec::new()),
        rules: vec![rule("", &["pods"], &["CREATE"])],
    }
}

fn not_in(namespaces: &[&str]) -> Selector {
    let names = namespaces.iter().map(|name| (*name).to_owned()).collect();
    Selector::Every(vec![Requirement::NotIn("kubernetes.io/metadata.name".to_owned(), names)])
}

fn only(namespace: &str) -> Selector {
    let names = [namespace.to_owned()].into();
    Selector::Every(vec![Requirement::In("kubernetes.io/metadata.name".to_owned(), names)])
}

fn workload(kind: WorkloadKind, namespace: &str, name: &str) -> Workload {
    Workload {
        pod_labels: BTreeMap::from([("app".to_owned(), name.to_owned())]),
        rollout: Rollout::done(1),
        ..Workload::silent(kind, namespace, name)
    }
}

/// Endpoints on these nodes behind port 443, of the pods of the workload `hook`.
fn on(nodes: &[&str]) -> LeadsTo {
    LeadsTo::Ports(ports(&nodes.iter().map(|node| Some((*node).into())).collect::<Vec<_>>()))
}

/// A Service with one port 443 for the port 9443 of ready pods on these nodes.
fn ports(nodes: &[Option<NodeName>]) -> ServicePorts {
    let ready = nodes.iter().map(|node| ReadyEndpoint { node: node.clone(), is_pod: true });
    ServicePorts {
        cluster_ip: "10.96.0.7".to_owned(),
        is_local: false,
        selector: BTreeMap::from([("app".to_owned(), "hook".to_owned())]),
        ports: vec![port("", 443, "9443")],
        slices: vec![Slice {
            address_type: "IPv4".to_owned(),
            ports: vec![slice_port("", 9443)],
            ready: ready.collect(),
        }],
    }
}

fn port(name: &str, port: u16, target: &str) -> ServicePort {
    ServicePort { name: name.to_owned(), port, protocol: TCP.to_owned(), target: target.to_owned() }
}

fn slice_port(name: &str, port: u16) -> SlicePort {
    SlicePort { name: name.to_owned(), port: Some(port), protocol: TCP.to_owned() }
}

fn with(cluster: &mut Healthy, webhook: Webhook, leads_to: Option<LeadsTo>) {
    let configuration = WebhookConfiguration {
        kind: WebhookKind::Validating,
        name: "guard".to_owned(),
        webhooks: vec![webhook],
    };
    let backends =
        leads_to.map(|leads_to| WebhookBackend { service: service("guard", "hook"), leads_to }).into_iter();
    let namespaces = ["default", "guard", "kube-node-lease", "kube-public", "kube-system"].map(namespace);
    let hook = workload(WorkloadKind::Deployment, "guard", "hook");
    let now = cluster.now;
    cluster.inventory.webhooks = Source::read(vec![configuration], now);
    cluster.inventory.webhook_backends = Source::read(backends.collect(), now);
    cluster.inventory.namespaces = Source::read(namespaces.to_vec(), now);
    cluster.inventory.workloads = Source::read(vec![hook], now);
}

/// The status, the codes of findings and those of notes.
fn found(change: impl FnOnce(&mut Healthy)) -> (Status, Vec<&'static str>, Vec<&'static str>) {
    let mut cluster = healthy();
    change(&mut cluster);
    let outcome = check(&Facts { target: "v1.36.3".parse(), case: &cluster.case() });
    assert!(outcome.status != PASS || !outcome.evidence.is_empty(), "a pass names its evidence");
    let codes = |findings: &[Finding]| findings.iter().map(|it| it.reason.code()).collect();
    (outcome.status, codes(&outcome.findings), codes(&outcome.notes))
}

#[track_caller]
fn expect(what: &str, webhook: Webhook, leads_to: LeadsTo, status: Status, reason: &str) {
    let found = found(|cluster| with(cluster, webhook, Some(leads_to)));
    let (findings, notes) = match (status, reason) {
        (_, "") => (vec![], vec![]),
        (PASS, note) => (vec![], vec![note]),
        (_, finding) => (vec![finding], vec![]),
    };
    assert_eq!(found, (status, findings, notes), "{what}");
}

#[test]
fn a_webhook_blocks_where_nobody_answers_or_everybody_is_on_one_node() {
    expect("two nodes", webhook(), on(&["cp-1", "w-1"]), PASS, "");
    expect("one node", webhook(), on(&["w-1"]), BLOCK, "webhook_on_one_node");
    expect("twice on one node", webhook(), on(&["w-1", "w-1"]), BLOCK, "webhook_on_one_node");
    expect("nobody", webhook(), on(&[]), BLOCK, "webhook_dead");
    expect("no Service", webhook(), LeadsTo::Nowhere, BLOCK, "webhook_dead");
    expect("on no node", webhook(), LeadsTo::Ports(ports(&[None])), PASS, "");
    let unseen = found(|cluster| with(cluster, webhook(), None));
    assert_eq!(unseen, (UNKNOWN, vec!["webhook_unseen"], vec![]));
}

#[test]
fn what_only_kubeadm_writes_waits_where_the_only_control_plane_node_has_all_who_answer() {
    let asked =
        |group: &str, resource: &str| Webhook { rules: vec![rule(group, &[resource], &["*"])], ..webhook() };
    for (group, resource) in
        [("rbac.authorization.k8s.io", "clusterroles"), ("batch", "jobs"), ("", "configmaps")]
    {
        expect(resource, asked(group, resource), on(&["cp-1"]), BLOCK, "webhook_on_one_node");
        expect(resource, asked(group, resource), on(&["w-1"]), PASS, "webhook_on_one_node");
        let found = found(|cluster| {
            with(cluster, asked(group, resource), Some(on(&["cp-1"])));
            let other = super::super::tests::node("cp-2", Role::ControlPlane, "v1.36.1");
            cluster.snapshot.nodes.value.as_mut().unwrap().push(other);
        });
        assert_eq!(
            found,
            (PASS, vec![], vec!["webhook_on_one_node"]),
            "{resource}: another node may have them"
        );
    }
}

#[test]
fn two_that_wait_for_each_other_block_where_they_leave_with_the_same_node() {
    // Each is asked about the pods of everybody but itself and the system.
    let guard_of = |own: &'static str, backend: &str| {
        let names = [own, "kube-system", "kube-node-lease"].map(str::to_owned).into();
        let key = "kubernetes.io/metadata.name".to_owned();
        let namespaces = Selector::Every(vec![Requirement::NotIn(key, names)]);
        let backend = at(own, backend);
        WebhookConfiguration {
            kind: WebhookKind::Validating,
            name: own.to_owned(),
            webhooks: vec![Webhook { backend, namespaces, ..webhook() }],
        }
    };
    let asked = |first: &'static str, second: &'static str| {
        found(|cluster| {
            with(cluster, webhook(), None);
            let place = |namespace: &str, node| WebhookBackend {
                service: service(namespace, "hook"),
                leads_to: on(&[node]),
            };
            cluster.inventory.webhooks.value =
                Some(vec![guard_of("guard", "hook"), guard_of("default", "hook")]);
            cluster.inventory.webhook_backends.value =
                Some(vec![place("guard", first), place("default", second)]);
        })
    };
    let (one, both) = ("webhook_on_one_node", vec!["webhook_on_one_node"; 2]);
    assert_eq!(asked("w-1", "w-1"), (BLOCK, both.clone(), vec![]), "{one}");
    assert_eq!(asked("w-1", "cp-1"), (PASS, vec![], both), "one after the other comes back");
}

#[test]
fn what_is_said_names_the_service_the_workload_the_node_and_what_is_asked() {
    let mut cluster = healthy();
    with(&mut cluster, Webhook { has_conditions: true, ..webhook() }, Some(on(&["w-1"])));
    let outcome = check(&Facts { target: "v1.36.3".parse(), case: &cluster.case() });
    assert_eq!(
        outcome.findings[0].to_string(),
        "webhook_conditional ValidatingWebhookConfiguration guard: everything ready behind Service guard/hook port 443, \
         of Deployment guard/hook with 1 replica, is on w-1; it is asked about pods in kube-system, default, guard \
         and kube-public, unless its matchConditions leave them out"
    );
}

#[test]
fn only_a_webhook_that_fails_closed_and_is_asked_about_what_an_upgrade_needs_counts() {
    expect("it fails open", Webhook { fails_closed: false, ..webhook() }, on(&[]), PASS, "");
    for (group, resources, operations, is_needed) in [
        ("", &["pods"][..], &["CREATE"][..], true),
        ("", &["pods"], &["DELETE"], true),
        ("", &["pods"], &["UPDATE"], true),
        ("", &["pods"], &["CONNECT"], false),
        ("", &["pods"], &["*"], true),
        ("*", &["pods"], &["CREATE"], true),
        ("apps", &["pods"], &["CREATE"], false),
        ("", &["*"], &["CREATE"], true),
        ("*", &["*/*"], &["*"], true),
        ("", &["pods/*"], &["CREATE"], true),
        ("", &["pods/eviction"], &["CREATE"], true),
        ("", &["pods/exec"], &["CONNECT"], false),
        ("", &["*/status"], &["UPDATE"], true),
        ("", &["nodes"], &["UPDATE"], true),
        ("", &["nodes"], &["DELETE"], false),
        ("", &["nodes"], &["CREATE"], true),
        ("batch", &["jobs"], &["CREATE"], true),
        ("batch", &["jobs"], &["DELETE"], false),
        ("batch", &["jobs/status"], &["UPDATE"], true),
        ("rbac.authorization.k8s.io", &["clusterroles"], &["UPDATE"], true),
        ("storage.k8s.io", &["csinodes"], &["CREATE"], true),
        ("policy", &["poddisruptionbudgets/status"], &["UPDATE"], true),
        ("policy", &["poddisruptionbudgets"], &["*"], false),
        ("discovery.k8s.io", &["endpointslices"], &["CREATE"], true),
        ("discovery.k8s.io", &["endpointslices"], &["UPDATE"], true),
        ("", &["endpoints"], &["CREATE"], true),
        ("", &["endpoints"], &["UPDATE"], true),
        ("storage.k8s.io", &["volumeattachments"], &["CREATE"], true),
        ("storage.k8s.io", &["volumeattachments"], &["UPDATE"], true),
        ("storage.k8s.io", &["volumeattachments"], &["DELETE"], true),
        ("storage.k8s.io", &["volumeattachments/status"], &["UPDATE"], true),
        ("", &["persistentvolumeclaims"], &["CREATE"], true),
        ("", &["persistentvolumeclaims"], &["UPDATE"], true),
        ("", &["persistentvolumeclaims"], &["DELETE"], false),
        ("", &["persistentvolumeclaims/status"], &["UPDATE"], true),
        ("", &["persistentvolumes"], &["CREATE"], true),
        ("", &["persistentvolumes"], &["UPDATE"], true),
        ("", &["persistentvolumes"], &["DELETE"], false),
        ("resource.k8s.io", &["resourceclaims"], &["CREATE"], true),
        ("resource.k8s.io", &["resourceclaims"], &["UPDATE"], true),
        ("resource.k8s.io", &["resourceclaims/status"], &["UPDATE"], true),
        ("resource.k8s.io", &["deviceclasses"], &["*"], false),
        ("", &["secrets", "nodes/status"], &["UPDATE"], true),
        ("coordination.k8s.io", &["leases"], &["UPDATE"], true),
        ("apps", &["daemonsets"], &["UPDATE"], true),
        ("apps", &["statefulsets"], &["*"], false),
        ("cert-manager.io", &["*"], &["*"], false),
    ] {
        let it = Webhook { rules: vec![rule(group, resources, operations)], ..webhook() };
        let (status, reason) = if is_needed { (BLOCK, "webhook_dead") } else { (PASS, "") };
        expect(&format!("{group} {resources:?} {operations:?}"), it, on(&[]), status, reason);
    }
}

#[test]
fn versions_and_scopes_count_as_for_the_api_server() {
    let with_rule = |change: fn(&mut WebhookRule)| {
        let mut it = webhook();
        change(&mut it.rules[0]);
        it
    };
    expect("another version", with_rule(|it| it.versions = words(&["v9"])), on(&[]), BLOCK, "webhook_dead");
    let exact = |versions: &[&str]| {
        let versions = words(versions);
        let mut it = Webhook { is_exact: true, ..webhook() };
        it.rules[0].versions = versions;
        found(|cluster| with(cluster, it, Some(on(&[]))))
    };
    assert_eq!(exact(&["v9"]), (PASS, vec![], vec!["webhook_exact"]));
    assert_eq!(exact(&["*"]), (BLOCK, vec!["webhook_dead"], vec!["webhook_exact"]));
    let claims = |it: &mut WebhookRule| {
        (it.groups, it.resources) = (words(&["resource.k8s.io"]), words(&["resourceclaims"]));
        it.versions = words(&["v1beta1"]);
    };
    let claims = Webhook { is_exact: true, ..with_rule(claims) };
    let claims = found(|cluster| with(cluster, claims, Some(on(&[]))));
    let what = "an older cluster writes claims of devices in v1beta1";
    assert_eq!(claims, (BLOCK, vec!["webhook_dead"], vec!["webhook_exact"]), "{what}");
    expect("of no namespace", with_rule(|it| it.scope = "Cluster".to_owned()), on(&[]), PASS, "");
    expect(
        "of namespaces",
        with_rule(|it| it.scope = "Namespaced".to_owned()),
        on(&[]),
        BLOCK,
        "webhook_dead",
    );
}

#[test]
fn the_namespaces_decide_whether_one_node_is_too_few() {
    let of = |namespaces| Webhook { namespaces, ..webhook() };
    let neither = || of(not_in(&["kube-system", "guard"]));
    expect("neither its own nor the system's", neither(), on(&["w-1"]), PASS, "webhook_on_one_node");
    expect("nobody answers for others either", neither(), on(&[]), BLOCK, "webhook_dead");
    expect("its own", of(not_in(&["kube-system"])), on(&["w-1"]), BLOCK, "webhook_on_one_node");
    expect("the system's", of(not_in(&["guard"])), on(&["w-1"]), BLOCK, "webhook_on_one_node");
    expect("none", of(only("elsewhere")), on(&[]), PASS, "");
    let nodes = Webhook { rules: vec![rule("", &["nodes"], &["UPDATE"])], ..of(only("elsewhere")) };
    expect("nodes are in none", nodes, on(&["w-1"]), BLOCK, "webhook_on_one_node");
    let leases = || rule("coordination.k8s.io", &["leases"], &["UPDATE"]);
    let leases_of = |namespace| Webhook { rules: vec![leases()], ..of(only(namespace)) };
    expect("the Leases of nodes", leases_of("kube-node-lease"), on(&[]), BLOCK, "webhook_dead");
    expect("other Leases", leases_of("default"), on(&[]), PASS, "");
    for (group, resources) in [
        ("", &["pods", "pods/eviction", "serviceaccounts/token"][..]),
        ("", &["services", "configmaps", "serviceaccounts"]),
        ("batch", &["jobs"]),
        ("apps", &["deployments", "daemonsets", "replicasets"]),
        ("rbac.authorization.k8s.io", &["roles", "rolebindings"]),
    ] {
        let it = Webhook { rules: vec![rule(group, resources, &["*"])], ..of(only("kube-node-lease")) };
        expect(&format!("{resources:?}, and only Leases are there"), it, on(&[]), PASS, "");
    }
    // As Kueue and others leave the system out.
    for (group, resource) in [
        ("batch", "jobs"),
        ("apps", "deployments"),
        ("apps", "daemonsets"),
        ("", "services"),
        ("", "configmaps"),
    ] {
        let namespaces = not_in(&["kube-system", "guard"]);
        let it = Webhook { namespaces, rules: vec![rule(group, &[resource], &["*"])], ..webhook() };
        expect(&format!("{resource} of everybody but the system"), it, on(&[]), PASS, "");
    }
    let rights = "rbac.authorization.k8s.io";
    for (group, resource, status) in
        [(rights, "roles", BLOCK), (rights, "rolebindings", BLOCK), ("", "serviceaccounts", PASS)]
    {
        let it = Webhook { rules: vec![rule(group, &[resource], &["CREATE"])], ..of(only("kube-public")) };
        let reason = if status == BLOCK { "webhook_dead" } else { "" };
        expect(&format!("{resource} in kube-public"), it, on(&[]), status, reason);
    }
    for (group, resource) in [
        ("policy", "poddisruptionbudgets/status"),
        ("discovery.k8s.io", "endpointslices"),
        ("", "endpoints"),
        ("", "persistentvolumeclaims"),
        ("resource.k8s.io", "resourceclaims"),
    ] {
        let it = Webhook { rules: vec![rule(group, &[resource], &["UPDATE"])], ..of(only("default")) };
        expect(&format!("{resource} of anybody"), it, on(&[]), BLOCK, "webhook_dead");
    }
    for (group, resource) in [
        ("policy", "poddisruptionbudgets/status"),
        ("", "pods"),
        ("", "persistentvolumeclaims"),
        ("", "persistentvolumes"),
        ("resource.k8s.io", "resourceclaims/status"),
    ] {
        let it = Webhook { rules: vec![rule(group, &[resource], &["UPDATE"])], ..webhook() };
        expect(&format!("{resource} of others"), it, on(&["w-1"]), PASS, "webhook_on_one_node");
    }
    let labelled = Selector::Every(vec![Requirement::DoesNotExist("guard/ignore".to_owned())]);
    let ignored = |cluster: &mut Healthy| {
        with(cluster, of(labelled), Some(on(&[])));
        for namespace in cluster.inventory.namespaces.value.iter_mut().flatten() {
            namespace.labels.insert("guard/ignore".to_owned(), String::new());
        }
    };
    assert_eq!(found(ignored), (PASS, vec![], vec![]));
}

#[test]
fn the_labels_of_objects_count_where_they_are_known() {
    let of = |key: &str, value: &str, resource: &str, operation: &str| {
        let objects = Selector::Every(vec![Requirement::In(key.to_owned(), [value.to_owned()].into())]);
        Webhook { objects, rules: vec![rule("", &[resource], &[operation])], ..webhook() }
    };
    expect("pods of a workload", of("app", "hook", "pods", "CREATE"), on(&[]), BLOCK, "webhook_dead");
    expect("pods of nobody", of("app", "other", "pods", "CREATE"), on(&[]), UNKNOWN, "webhook_dead");
    expect("static pods", of("component", "etcd", "pods", "CREATE"), on(&[]), BLOCK, "webhook_dead");
    expect("evictions have none", of("app", "hook", "pods/eviction", "CREATE"), on(&[]), PASS, "");
}

#[test]
fn labels_of_objects_that_nobody_looks_at_are_unknown() {
    let of = |group: &str, resource: &str, selector: Requirement| Webhook {
        objects: Selector::Every(vec![selector]),
        rules: vec![rule(group, &[resource], &["*"])],
        ..webhook()
    };
    let asks = || Requirement::Exists("guard/asked".to_owned());
    for (group, resource) in [
        ("", "nodes"),
        ("", "services"),
        ("", "configmaps"),
        ("", "serviceaccounts/token"),
        ("", "persistentvolumeclaims"),
        ("", "persistentvolumes"),
        ("apps", "replicasets"),
        ("storage.k8s.io", "csinodes"),
        ("policy", "poddisruptionbudgets/status"),
    ] {
        expect(resource, of(group, resource, asks()), on(&[]), UNKNOWN, "webhook_dead");
        let leaves_out = Requirement::DoesNotExist("guard/ignored".to_owned());
        expect(resource, of(group, resource, leaves_out), on(&[]), BLOCK, "webhook_dead");
    }
    expect("on one node", of("", "nodes", asks()), on(&["w-1"]), UNKNOWN, "webhook_on_one_node");
    expect("by kubeadm", of("", "configmaps", asks()), on(&["cp-1"]), UNKNOWN, "webhook_on_one_node");
    expect("by others", of("", "configmaps", asks()), on(&["w-1"]), PASS, "webhook_on_one_node");
    let nothing = Webhook { objects: Selector::Nothing, ..of("", "nodes", asks()) };
    expect("it selects nothing", nothing, on(&[]), PASS, "");
}

#[test]
fn the_labels_of_deployments_and_daemon_sets_of_the_system_are_looked_at() {
    let is_in = |key: &str, value: &str| Requirement::In(key.to_owned(), [value.to_owned()].into());
    let not_in = |key: &str, value: &str| Requirement::NotIn(key.to_owned(), [value.to_owned()].into());
    let asked = |resource: &str, requirements: Vec<Requirement>| {
        found(|cluster| {
            let rules = vec![rule("apps", &[resource], &["UPDATE"])];
            let objects = Selector::Every(requirements);
            with(cluster, Webhook { objects, rules, ..webhook() }, Some(on(&[])));
            let mut dns = workload(WorkloadKind::Deployment, "kube-system", "coredns");
            dns.labels = BTreeMap::from([("team".to_owned(), "net".to_owned())]);
            let other = workload(WorkloadKind::Deployment, "default", "other");
            cluster.inventory.workloads.value.as_mut().unwrap().extend([dns, other]);
        })
    };
    for (what, requirement, status) in [
        ("its own label", is_in("team", "net"), BLOCK),
        ("another value", is_in("team", "web"), PASS),
        ("a label that its pods have, and it perhaps", is_in("app", "coredns"), UNKNOWN),
        ("one that another has elsewhere", is_in("app", "other"), PASS),
        ("nobody's", Requirement::Exists("guard/asked".to_owned()), PASS),
    ] {
        let reasons = if status == PASS { vec![] } else { vec!["webhook_dead"] };
        assert_eq!(asked("deployments", vec![requirement.clone()]), (status, reasons, vec![]), "{what}");
        assert_eq!(asked("daemonsets", vec![requirement]).0, PASS, "{what}: a Deployment is no DaemonSet");
    }
    let both = vec![is_in("team", "net"), not_in("app", "coredns")];
    assert_eq!(asked("deployments", both).0, UNKNOWN, "one of them is not certain");
}

#[test]
fn what_an_api_server_writes_only_if_it_brings_something_new_is_perhaps_asked() {
    for (group, resource) in [
        ("apiregistration.k8s.io", "apiservices"),
        ("flowcontrol.apiserver.k8s.io", "flowschemas"),
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"),
    ] {
        let asked = |part: &str| Webhook {
            rules: vec![rule(group, &[&format!("{resource}{part}")], &["CREATE", "UPDATE"])],
            ..webhook()
        };
        expect(resource, asked(""), on(&[]), UNKNOWN, "webhook_dead");
        expect(resource, asked(""), on(&["cp-1"]), UNKNOWN, "webhook_on_one_node");
        expect(resource, asked(""), on(&["w-1"]), PASS, "webhook_on_one_node");
        expect(&format!("its status: {resource}"), asked("/status"), on(&[]), PASS, "");
    }
}

#[test]
fn labels_of_pods_that_no_template_tells_of_are_unknown() {
    let is_in = |key: &str, value: &str| Requirement::In(key.to_owned(), [value.to_owned()].into());
    let exists = |key: &str| Requirement::Exists(key.to_owned());
    let not_in = |key: &str, value: &str| Requirement::NotIn(key.to_owned(), [value.to_owned()].into());
    let gone = |key: &str| Requirement::DoesNotExist(key.to_owned());
    let of = |requirements, resource: &str, operation: &str| Webhook {
        objects: Selector::Every(requirements),
        rules: vec![rule("", &[resource], &[operation])],
        ..webhook()
    };
    for (what, requirements, status) in [
        ("pods of an operator", vec![exists("cnpg.io/cluster")], UNKNOWN),
        ("pods of an operator by value", vec![is_in("cnpg.io/cluster", "main")], UNKNOWN),
        ("nobody's template has it", vec![is_in("sidecar.istio.io/inject", "true")], UNKNOWN),
        ("of a Deployment", vec![exists("pod-template-hash")], UNKNOWN),
        ("of a StatefulSet", vec![is_in("apps.kubernetes.io/pod-index", "0")], UNKNOWN),
        ("of a Job", vec![exists("batch.kubernetes.io/job-name")], UNKNOWN),
        ("another needs a template", vec![exists("job-name"), is_in("app", "hook")], UNKNOWN),
        ("nobody's template has the other", vec![exists("job-name"), is_in("app", "other")], UNKNOWN),
        ("a value that nobody's template has", vec![is_in("app", "other")], UNKNOWN),
        ("with what is missing", vec![exists("job-name"), gone("app")], UNKNOWN),
        ("one of the values", vec![exists("controller-uid"), not_in("pod-template-hash", "1")], UNKNOWN),
        ("known pods without it", vec![not_in("pod-template-hash", "1"), is_in("app", "hook")], BLOCK),
        ("pods without labels", vec![gone("cnpg.io/cluster")], BLOCK),
        ("a template without it", vec![gone("app"), is_in("app", "hook")], PASS),
    ] {
        let reason = if status == PASS { "" } else { "webhook_dead" };
        expect(what, of(requirements, "pods", "CREATE"), on(&[]), status, reason);
    }
    let operators = |resource, operation| of(vec![exists("cnpg.io/cluster")], resource, operation);
    expect("on one node", operators("pods", "CREATE"), on(&["w-1"]), PASS, "webhook_on_one_node");
    let added = of(vec![exists("pod-template-hash")], "pods", "CREATE");
    expect("its own are meant too", added, on(&["w-1"]), UNKNOWN, "webhook_on_one_node");
    expect("on two", operators("pods", "CREATE"), on(&["w-1", "cp-1"]), PASS, "");
    expect("evictions have none", operators("pods/eviction", "CREATE"), on(&[]), PASS, "");
    let own = Webhook { namespaces: only("guard"), ..operators("pods", "CREATE") };
    expect("its own namespace", own, on(&["w-1"]), PASS, "webhook_on_one_node");
    let others = Webhook { namespaces: only("default"), ..operators("pods", "CREATE") };
    expect("the namespaces of others", others, on(&["w-1"]), PASS, "webhook_on_one_node");
    let both = Webhook { rules: vec![rule("", &["pods", "nodes"], &["*"])], ..operators("pods", "*") };
    expect("nodes may have it too", both, on(&["w-1"]), UNKNOWN, "webhook_on_one_node");
    let mut cluster = healthy();
    with(&mut cluster, operators("pods", "CREATE"), Some(on(&[])));
    let outcome = check(&Facts { target: "v1.36.3".parse(), case: &cluster.case() });
    assert_eq!(
        outcome.findings[0].to_string(),
        "webhook_dead ValidatingWebhookConfiguration guard: Service guard/hook has no ready endpoint; it may be asked \
         about pods in kube-system, default, guard and kube-public"
    );
}

#[test]
fn what_one_webhook_is_surely_asked_about_makes_nothing_certain_of_another() {
    let injected = vec![Requirement::In("mesh/inject".to_owned(), ["true".to_owned()].into())];
    // One for a namespace whose pods have no labels of ours, and one for labels that no template has.
    let by_namespace = Webhook { namespaces: only("default"), ..webhook() };
    let by_pod = Webhook { objects: Selector::Every(injected), ..webhook() };
    let both = |cluster: &mut Healthy, backend| {
        with(cluster, by_namespace.clone(), Some(backend));
        let configurations = cluster.inventory.webhooks.value.as_mut().unwrap();
        configurations[0].webhooks.push(by_pod.clone());
    };
    let on_one = found(|cluster| both(cluster, on(&["w-1"])));
    assert_eq!(on_one, (PASS, vec![], vec!["webhook_on_one_node"]));
    assert_eq!(found(|cluster| both(cluster, on(&[]))), (BLOCK, vec!["webhook_dead"], vec![]));
    // A template that says no to it tells nothing of others.
    let refused = |cluster: &mut Healthy| {
        with(cluster, by_pod.clone(), Some(on(&[])));
        let workloads = cluster.inventory.workloads.value.as_mut().unwrap();
        workloads[0].pod_labels.insert("mesh/inject".to_owned(), "false".to_owned());
    };
    assert_eq!(found(refused), (UNKNOWN, vec!["webhook_dead"], vec![]));
}

#[test]
fn only_nodes_that_are_drained_count_and_pods_that_leave() {
    let at_target = |cluster: &mut Healthy| {
        with(cluster, webhook(), Some(on(&["w-1"])));
        cluster.snapshot.nodes.value.as_mut().unwrap()[1].kubelet_version =
            super::super::tests::version("v1.36.3");
    };
    assert_eq!(found(at_target), (PASS, vec![], vec![]));
    let by_daemon_set = |cluster: &mut Healthy| {
        with(cluster, webhook(), Some(on(&["w-1"])));
        let hook = workload(WorkloadKind::DaemonSet, "guard", "hook");
        cluster.inventory.workloads = Source::read(vec![hook], cluster.now);
    };
    assert_eq!(found(by_daemon_set), (PASS, vec![], vec![]));
}

#[test]
fn while_a_node_is_in_hand_only_that_node_counts() {
    let at = |step: &str| -> crate::api::UpgradeRun {
        let now = "2026-11-22T03:04:05Z";
        let active = serde_json::json!([{"step": step, "token": "t", "startedAt": now, "stageSince": now}]);
        let status: crate::api::UpgradeRunStatus = serde_json::from_value(
            serde_json::json!({"schemaVersion": 1, "phase": "Running", "active": active}),
        )
        .unwrap();
        crate::api::UpgradeRun { status: Some(status), ..run("v1.36.3") }
    };
    for (step, status) in
        [("worker/w-1", BLOCK), ("control-plane/cp-1", PASS), ("preflight", BLOCK), ("worker/gone", BLOCK)]
    {
        let in_hand = |cluster: &mut Healthy| {
            with(cluster, webhook(), Some(on(&["w-1"])));
            cluster.snapshot.runs = Source::read(vec![at(step)], cluster.now);
        };
        assert_eq!(found(in_hand).0, status, "{step}");
    }
    let blind = |cluster: &mut Healthy| {
        with(cluster, webhook(), Some(on(&["w-1"])));
        cluster.snapshot.runs = Source::failed("gone");
    };
    assert_eq!(found(blind).0, BLOCK, "without runs every node counts");
}

#[test]
fn a_conversion_blocks_where_nobody_answers_it() {
    let converted = |leads_to: Option<LeadsTo>| {
        found(|cluster| {
            with(cluster, Webhook { fails_closed: false, ..webhook() }, leads_to);
            let definition = crate::cluster::inventory::Definition {
                name: "widgets.example.com".to_owned(),
                versions: Vec::new(),
                stored: Vec::new(),
                converter: Some(at("guard", "hook")),
            };
            cluster.inventory.definitions = Source::read(vec![definition], cluster.now);
        })
    };
    assert_eq!(converted(Some(on(&["w-1", "cp-1"]))), (PASS, vec![], vec![]));
    assert_eq!(converted(Some(on(&["w-1"]))), (PASS, vec![], vec!["webhook_on_one_node"]));
    assert_eq!(converted(Some(on(&[]))), (BLOCK, vec!["webhook_dead"], vec![]));
    assert_eq!(converted(None), (UNKNOWN, vec!["webhook_unseen"], vec![]));
}

#[test]
fn objects_of_one_version_are_never_converted() {
    let converted = |versions: &[(&str, bool, bool)], stored: &[&str]| {
        let served = versions.iter().map(|&(name, served, storage)| {
            crate::cluster::inventory::ServedVersion { name: name.to_owned(), served, storage }
        });
        found(|cluster| {
            with(cluster, Webhook { fails_closed: false, ..webhook() }, Some(LeadsTo::Nowhere));
            let definition = Definition {
                name: "widgets.example.com".to_owned(),
                versions: served.collect(),
                stored: words(stored),
                converter: Some(at("guard", "hook")),
            };
            cluster.inventory.definitions = Source::read(vec![definition], cluster.now);
        })
        .0
    };
    let v1 = ("v1", true, true);
    for (what, versions, stored, status) in [
        ("one", &[v1][..], &["v1"][..], PASS),
        ("one that is no longer served", &[v1, ("v1beta1", false, false)], &["v1"], PASS),
        ("two", &[v1, ("v1beta1", true, false)], &["v1"], BLOCK),
        ("written in one, served in the other", &[("v1", true, false), ("v2", false, true)], &["v2"], BLOCK),
        ("some may lie in the older", &[v1, ("v1beta1", false, false)], &["v1beta1", "v1"], BLOCK),
    ] {
        assert_eq!(converted(versions, stored), status, "{what}");
    }
}

#[test]
fn what_match_conditions_may_leave_out_is_apart_from_what_is_certain() {
    let asked = |has_conditions: &[bool], nodes: &[&str], change: fn(&mut Webhook)| {
        found(|cluster| {
            with(cluster, webhook(), Some(on(nodes)));
            let of = |&has_conditions: &bool| {
                let mut it = Webhook { has_conditions, ..webhook() };
                change(&mut it);
                it
            };
            let webhooks = has_conditions.iter().map(of).collect();
            cluster.inventory.webhooks.value.as_mut().unwrap()[0].webhooks = webhooks;
        })
    };
    let (certain, perhaps) = ("webhook_on_one_node", "webhook_conditional");
    let any = |_: &mut Webhook| {};
    assert_eq!(asked(&[true, true], &["w-1"], any), (BLOCK, vec![perhaps], vec![]));
    assert_eq!(asked(&[true, false], &["w-1"], any), (BLOCK, vec![certain, perhaps], vec![]));
    assert_eq!(asked(&[true], &[], any), (BLOCK, vec!["webhook_dead"], vec![]));
    let elsewhere = |it: &mut Webhook| it.namespaces = only("default");
    assert_eq!(asked(&[true], &["w-1"], elsewhere), (PASS, vec![], vec![perhaps]));
    let labelled = |it: &mut Webhook| {
        it.objects = Selector::Every(vec![Requirement::Exists("pod-template-hash".to_owned())]);
    };
    assert_eq!(asked(&[false], &["w-1"], labelled), (UNKNOWN, vec![certain], vec![]));
    assert_eq!(asked(&[true], &["w-1"], labelled), (BLOCK, vec![perhaps], vec![]), "a person can weigh it");
}

#[test]
fn each_lost_source_is_unknown() {
    type Loss = fn(&mut Healthy);
    let losses: [Loss; 6] = [
        |it| it.inventory.webhooks = Source::failed("gone"),
        |it| it.inventory.definitions = Source::failed("gone"),
        |it| it.inventory.webhook_backends = Source::failed("gone"),
        |it| it.inventory.namespaces = Source::failed("gone"),
        |it| it.inventory.workloads = Source::failed("gone"),
        |it| it.snapshot.nodes = Source::failed("gone"),
    ];
    for lose in losses {
        assert_eq!(found(lose), (UNKNOWN, vec!["source_unreadable"], vec![]));
    }
    assert_eq!(found(|_| {}), (PASS, vec![], vec![]));
}

#[test]
fn namespaces_without_that_of_the_system_are_no_answer() {
    for names in [&[][..], &["default", "guard"]] {
        let namespaces = |cluster: &mut Healthy| {
            let all = names.iter().copied().map(namespace).collect();
            cluster.inventory.namespaces = Source::read(all, cluster.now);
        };
        let found_alone = found(namespaces);
        assert_eq!(found_alone, (UNKNOWN, vec!["source_unreadable"], vec![]), "{names:?}");
        let with_a_dead_one = |cluster: &mut Healthy| {
            with(cluster, webhook(), Some(on(&[])));
            namespaces(cluster);
        };
        assert_eq!(found(with_a_dead_one).0, UNKNOWN, "{names:?}");
    }
}
