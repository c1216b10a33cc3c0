//! What holds of every verdict, whatever the checks are: more harm never makes it better, and the order in which things
//! were listed makes no difference. A new source is taken away and shuffled here without a line of its own.

use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use serde_json::Value;

use super::accept::tests::{is_beyond_accepting, of_everything};
use super::check::tests::{api_server, node, pod};
use super::*;
use crate::cluster::inventory::{
    ApiKind, ApiWrite, Backend, Caller, Container, Definition, KubeletUnread, LeadsTo, RequestedApi, Rollout,
    Seen, ServedVersion, ServiceName, Webhook, WebhookBackend, WebhookConfiguration, WebhookKind,
    WebhookRule, Workload, WorkloadKind,
};
use crate::cluster::snapshot::{Node, Role};
use crate::drain::budget::tests::{budget, min};
use crate::facts::IfAbsent;
use crate::words::labels::Selector;

type Harm = fn(&mut Healthy);

/// Things that are wrong, each by itself.
const HARMS: [(&str, Harm); 26] = [
    ("a kubelet that is too old", |it| add_node(it, node("w-old", Role::Worker, "v1.32.9"))),
    ("a kubelet that is too new", |it| add_node(it, node("w-new", Role::Worker, "v1.38.0"))),
    ("a kubelet of no version", |it| add_node(it, node("w-odd", Role::Worker, "latest"))),
    ("docker", |it| add_node(it, with_runtime("w-docker", "docker://20.10.1"))),
    ("an unknown runtime", |it| add_node(it, with_runtime("w-rkt", "rkt://1.30.0"))),
    ("a kernel that says nothing", |it| {
        let kernel_version = "generic".to_owned();
        add_node(it, Node { kernel_version, ..node("w-kernel", Role::Worker, "v1.36.1") });
    }),
    ("a CRI-O of another minor", |it| add_node(it, with_runtime("w-crio", "cri-o://1.35.1"))),
    ("an old API server", |it| {
        it.snapshot.api_servers.value.iter_mut().for_each(|all| all.push(api_server("cp-2", "v1.34.1")))
    }),
    ("an API server of no version", |it| {
        it.snapshot.api_servers.value.iter_mut().for_each(|all| all.push(api_server("cp-3", "")))
    }),
    ("an etcd of no version", |it| {
        it.snapshot.static_pods.value.iter_mut().for_each(|all| all.push(pod("etcd", "cp-1", "latest")))
    }),
    ("a stored version that nobody serves", |it| {
        it.inventory.definitions.value.iter_mut().for_each(|all| all.push(definition()))
    }),
    ("a gate that goes", |it| set_flag(it, "feature-gates", "SidecarContainers=true")),
    ("a gate that nobody knows", |it| set_flag(it, "feature-gates", "NoSuchGate=true")),
    ("a command line that is not seen", |it| {
        let pods = it.snapshot.static_pods.value.iter_mut().flatten();
        pods.for_each(|pod| pod.flags = Err("no command".to_owned()));
    }),
    ("a kubelet that may not be asked", |it| {
        for kubelet in it.inventory.kubelets.value.iter_mut().flatten() {
            kubelet.config = Err(KubeletUnread::Forbidden("no".to_owned()));
        }
    }),
    ("a kube-proxy that is too old", |it| {
        it.inventory.workloads.value.iter_mut().for_each(|all| all.push(kube_proxy()))
    }),
    ("a cloud-controller-manager that is too old", |it| {
        let image = "registry.k8s.io/provider-aws/cloud-controller-manager:v1.34.0";
        let manager = workload(WorkloadKind::DaemonSet, "kube-system", "cloud-controller", image);
        it.inventory.workloads.value.iter_mut().for_each(|all| all.push(manager.clone()))
    }),
    ("an add-on that is too old", |it| {
        it.inventory.workloads.value.iter_mut().for_each(|all| all.push(calico()))
    }),
    ("an add-on that must be there and is not", |it| {
        it.matrix.addons.value.0.iter_mut().for_each(|row| row.detection.if_absent = IfAbsent::Required)
    }),
    ("an add-on that has left its definitions behind", |it| {
        let name = "certificates.cert-manager.io".to_owned();
        let left = Definition { name, stored: vec!["v1".to_owned()], ..definition() };
        it.inventory.definitions.value.iter_mut().for_each(|all| all.push(left.clone()))
    }),
    ("budgets that let no pod go", |it| {
        let web = |name| workload(WorkloadKind::Deployment, "default", name, "web:v1");
        it.inventory.workloads.value.iter_mut().for_each(|all| all.extend([web("a"), web("b")]));
        it.inventory
            .budgets
            .value
            .iter_mut()
            .for_each(|all| all.extend([budget("x", min(4), 4), budget("y", min(1), 4)]))
    }),
    ("a webhook that nobody answers", |it| {
        it.inventory.webhooks.value.iter_mut().for_each(|all| all.push(webhook_of_nodes()));
        let nobody = WebhookBackend { service: hook(), leads_to: LeadsTo::Nowhere };
        it.inventory.webhook_backends.value.iter_mut().for_each(|all| all.push(nobody.clone()))
    }),
    ("a webhook by URL of which nothing proves that it answers", |it| {
        let mut by_url = webhook_of_nodes();
        by_url.name = "elsewhere".to_owned();
        by_url.webhooks[0].backend = Backend::Url("https://hooks.example/".to_owned());
        it.inventory.webhooks.value.iter_mut().for_each(|all| all.push(by_url.clone()))
    }),
    ("an API server that nobody watches", |it| {
        it.inventory.api_requests.value.iter_mut().for_each(|seen| seen.servers.clear())
    }),
    ("a call of what goes", |it| {
        it.inventory.api_requests.value.iter_mut().for_each(|seen| seen.requested.push(call()))
    }),
    ("an object written as what goes", |it| {
        it.inventory.api_writes.value.iter_mut().for_each(|seen| seen.writes.push(write()))
    }),
];

fn add_node(cluster: &mut Healthy, node: Node) {
    cluster.snapshot.nodes.value.iter_mut().for_each(|nodes| nodes.push(node.clone()));
}

fn with_runtime(name: &str, runtime: &str) -> Node {
    Node { container_runtime: runtime.to_owned(), ..node(name, Role::Worker, "v1.36.1") }
}

fn set_flag(cluster: &mut Healthy, flag: &str, value: &str) {
    let pods = cluster.snapshot.static_pods.value.iter_mut().flatten();
    for flags in pods.filter_map(|pod| pod.flags.as_mut().ok()) {
        flags.entry(flag.to_owned()).or_default().push(value.to_owned());
    }
}

fn kube_proxy() -> Workload {
    let container =
        Container { name: "kube-proxy".to_owned(), image: "registry.k8s.io/kube-proxy:v1.32.1".to_owned() };
    Workload { name: "kube-proxy".to_owned(), containers: vec![container], ..calico() }
}

fn definition() -> Definition {
    Definition {
        name: "widgets.example.com".to_owned(),
        versions: vec![ServedVersion { name: "v1".to_owned(), served: true, storage: true }],
        stored: vec!["v1alpha1".to_owned(), "v1".to_owned()],
        converter: None,
    }
}

fn hook() -> ServiceName {
    ServiceName { namespace: "guard".to_owned(), name: "hook".to_owned() }
}

fn webhook_of_nodes() -> WebhookConfiguration {
    let any = || vec!["*".to_owned()];
    let rule = WebhookRule {
        groups: any(),
        versions: any(),
        operations: any(),
        resources: vec!["nodes".to_owned(), "pods".to_owned()],
        scope: "*".to_owned(),
    };
    let webhook = Webhook {
        name: "nodes.guard.example".to_owned(),
        backend: Backend::Service { service: hook(), port: Some(443) },
        fails_closed: true,
        is_exact: true,
        has_conditions: false,
        namespaces: Selector::Every(Vec::new()),
        objects: Selector::Every(Vec::new()),
        rules: vec![rule],
    };
    WebhookConfiguration { kind: WebhookKind::Mutating, name: "guard".to_owned(), webhooks: vec![webhook] }
}

fn calico() -> Workload {
    let image = "quay.io/calico/node:v3.29.1";
    workload(WorkloadKind::DaemonSet, "calico-system", "calico-node", image)
}

fn workload(kind: WorkloadKind, namespace: &str, name: &str, image: &str) -> Workload {
    Workload {
        pod_labels: std::collections::BTreeMap::from([("app".to_owned(), name.to_owned())]),
        containers: vec![Container { name: name.to_owned(), image: image.to_owned() }],
        rollout: Rollout::done(2),
        ..Workload::silent(kind, namespace, name)
    }
}

fn call() -> RequestedApi {
    RequestedApi {
        group: "storage.k8s.io".to_owned(),
        version: "v1beta1".to_owned(),
        resource: "volumeattributesclasses".to_owned(),
        subresource: String::new(),
        removed_release: "1.37".to_owned(),
        instance: "cp-1:6443".to_owned(),
        seen: Seen::Now,
        caller: Caller::Live,
    }
}

fn write() -> ApiWrite {
    ApiWrite {
        api: ApiKind::of("storage.k8s.io/v1beta1", "VolumeAttributesClass"),
        manager: "terraform".to_owned(),
        time: None,
        object: "gold".to_owned(),
        count: 1,
    }
}

/// Everything that was read, as `--save` keeps it: the sources by their name.
fn sources(cluster: &Healthy) -> [Value; 2] {
    let plain = "what was read is plain values";
    [
        serde_json::to_value(&cluster.snapshot).expect(plain),
        serde_json::to_value(&cluster.inventory).expect(plain),
    ]
}

fn restore(cluster: &mut Healthy, [snapshot, inventory]: [Value; 2]) {
    cluster.snapshot = serde_json::from_value(snapshot).unwrap();
    cluster.inventory = serde_json::from_value(inventory).unwrap();
}

fn names() -> Vec<String> {
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    sources(&healthy()).iter().flat_map(keys).collect()
}

fn lose(cluster: &mut Healthy, names: &[String]) {
    let mut all = sources(cluster);
    for source in all.iter_mut().flat_map(|all| all.as_object_mut().unwrap()) {
        if names.contains(source.0) {
            *source.1 = serde_json::json!({"value": null, "proven_at": null, "error": "gone"});
        }
    }
    restore(cluster, all);
}

fn harmed(harms: &[usize], lost: &[String]) -> Healthy {
    let mut cluster = healthy();
    for &harm in harms {
        HARMS[harm].1(&mut cluster);
    }
    lose(&mut cluster, lost);
    cluster
}

fn worse(harms: &[usize], lost: &[String], target: &str) -> Verdict {
    harmed(harms, lost).verdict(target)
}

/// Every list of what was read, in another order.
fn shuffle(value: &mut Value, picks: &mut impl Iterator<Item = Index>) {
    match value {
        Value::Array(all) => {
            for last in (1..all.len()).rev() {
                all.swap(last, picks.next().expect("they never end").index(last + 1));
            }
            all.iter_mut().for_each(|one| shuffle(one, picks));
        }
        Value::Object(fields) => fields.values_mut().for_each(|one| shuffle(one, picks)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A verdict without the order of its findings.
fn summary(verdict: &Verdict) -> Vec<(&'static str, Status, Vec<String>)> {
    let sorted = |check: &Check| {
        let mut all: Vec<String> =
            check.findings.iter().chain(&check.notes).map(ToString::to_string).collect();
        all.sort_unstable();
        (check.id, check.status, all)
    };
    verdict.checks.iter().map(sorted).collect()
}

fn targets() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["v1.36.3", "v1.37.0", "v1.36.1", "v1.35.0", "v1.38.0", "nonsense"])
}

fn harms() -> impl Strategy<Value = Vec<usize>> {
    subsequence((0..HARMS.len()).collect::<Vec<_>>(), 0..=HARMS.len())
}

/// All of `more` whose place in it is kept.
fn part<T: Clone>(more: &[T], kept: &[bool]) -> Vec<T> {
    more.iter().zip(kept).filter(|(_, kept)| **kept).map(|(one, _)| one.clone()).collect()
}

fn never_better(before: &Verdict, after: &Verdict) -> Result<(), TestCaseError> {
    for (before, after) in before.checks.iter().zip(&after.checks) {
        // A target that can never be gone to is blocked, whatever could not be read.
        let stands = after.is_final && after.status == Status::Block;
        prop_assert!(before.status <= after.status || stands, "{before:#?}\n{after:#?}");
    }
    let is_final = after.checks.iter().any(|check| check.is_final && check.status == Status::Block);
    prop_assert!(before.verdict <= after.verdict || is_final, "{:?} {:?}", before.verdict, after.verdict);
    Ok(())
}

#[test]
fn every_harm_is_one() {
    assert_eq!(healthy().verdict("v1.36.3").verdict, Conclusion::Safe);
    for (index, (harm, _)) in HARMS.iter().enumerate() {
        let is_worse = ["v1.36.3", "v1.37.0"].into_iter().any(|target| {
            let before = healthy().verdict(target);
            let after = worse(&[index], &[], target);
            before.checks.iter().zip(&after.checks).any(|(before, after)| before.status < after.status)
        });
        assert!(is_worse, "{harm}");
    }
}

/// What is said of an operator's own files has its place in them.
#[test]
fn every_block_has_the_page_that_tells_the_rule() {
    for (index, (harm, _)) in HARMS.iter().enumerate() {
        for target in ["v1.36.3", "v1.37.0", "v1.38.0", "v1.36.0"] {
            for check in worse(&[index], &[], target).checks {
                let has_page =
                    |finding: &Finding| !check.source.is_empty() || finding.detail.contains("https://");
                let mut blocks = check.classed().filter(|(class, _)| *class == Status::Block);
                assert!(blocks.all(|(_, finding)| has_page(finding)), "{harm}: {check:#?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn a_lost_source_never_makes_a_check_better(
        target in targets(),
        harms in harms(),
        lost in subsequence(names(), 0..=3),
        kept in prop::collection::vec(any::<bool>(), 3),
    ) {
        never_better(&worse(&harms, &part(&lost, &kept), target), &worse(&harms, &lost, target))?;
    }

    #[test]
    fn more_harm_never_makes_a_check_better(
        target in targets(),
        more in harms(),
        kept in prop::collection::vec(any::<bool>(), HARMS.len()),
    ) {
        never_better(&worse(&part(&more, &kept), &[], target), &worse(&more, &[], target))?;
    }

    // A check may need a source no more when there is more harm, so this is asked of the whole verdict.
    #[test]
    fn more_harm_and_fewer_sources_never_make_it_safe(
        target in targets(),
        more in harms(),
        lost in subsequence(names(), 0..=3),
        kept in prop::collection::vec(any::<bool>(), HARMS.len() + 3),
    ) {
        let before = worse(&part(&more, &kept[3..]), &part(&lost, &kept[..3]), target);
        let after = worse(&more, &lost, target);
        prop_assert!(after.verdict != Conclusion::Safe || before.verdict == Conclusion::Safe);
    }

    #[test]
    fn no_accept_makes_anything_safe_that_is_unknown_or_may_not_be_accepted(
        target in targets(),
        harms in harms(),
        lost in subsequence(names(), 0..=2),
        picks in prop::collection::vec(any::<bool>(), 64),
    ) {
        let before = worse(&harms, &lost, target);
        let mut cluster = harmed(&harms, &lost);
        cluster.matrix.accept.value.0 = part(&of_everything(&before), &picks);
        let after = cluster.verdict(target);
        if before.verdict == Conclusion::Unknown || before.checks.iter().any(is_beyond_accepting) {
            prop_assert_ne!(after.verdict, Conclusion::Safe);
        }
        for (before, after) in before.checks.iter().zip(&after.checks) {
            prop_assert_eq!(before.status == Status::Unknown, after.status == Status::Unknown);
            let all = |check: &Check| check.findings.len() + check.notes.len();
            prop_assert!(all(before) <= all(after), "something is not told any more");
        }
    }

    #[test]
    fn the_order_of_what_was_read_makes_no_difference(
        target in targets(),
        harms in harms(),
        picks in prop::collection::vec(any::<Index>(), 64),
    ) {
        let mut cluster = healthy();
        for harm in harms {
            HARMS[harm].1(&mut cluster);
        }
        let before = cluster.verdict(target);
        prop_assert_eq!(&before, &cluster.verdict(target), "the same question has the same answer");
        let mut all = sources(&cluster);
        let mut picks = picks.into_iter().cycle();
        all.iter_mut().for_each(|all| shuffle(all, &mut picks));
        restore(&mut cluster, all);
        let after = cluster.verdict(target);
        prop_assert_eq!(before.verdict, after.verdict);
        prop_assert_eq!(summary(&before), summary(&after));
    }
}
