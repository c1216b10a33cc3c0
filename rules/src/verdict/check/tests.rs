use super::table::check;
use super::*;
use crate::api::{UpgradeRun, UpgradeRunSpec};
use crate::cluster::inventory::{
    ApiRequests, ApiWrites, Inventory, KubeadmConfig, KubeletConfig, Namespace, RunningKubelet,
    ScrapedServer, WebhookCalls,
};
use crate::cluster::snapshot::{ApiServer, Packages, Role, Snapshot, StaticPod};
use crate::facts::Matrix;
use crate::settings::Settings;
use crate::verdict::{Scope, Verdict, verdict};
use crate::words::version::Minor;

pub(in super::super) fn version(text: &str) -> Result<Version, String> {
    text.parse().map_err(|_not_a_version| text.to_owned())
}

pub(in super::super) fn node(name: &str, role: Role, kubelet: &str) -> Node {
    Node {
        uid: name.to_owned(),
        resource_version: "1".to_owned(),
        kubelet_version: version(kubelet),
        container_runtime: "containerd://2.2.0".to_owned(),
        kernel_version: "6.1.0-18-amd64".to_owned(),
        operating_system: "linux".to_owned(),
        os_image: "Debian GNU/Linux 12 (bookworm)".to_owned(),
        architecture: "amd64".to_owned(),
        ready: true,
        ..Node::silent(name, role)
    }
}

pub(in super::super) fn api_server(name: &str, text: &str) -> ApiServer {
    ApiServer { name: name.to_owned(), version: version(text), ready: true }
}

pub(in super::super) fn pod(component: &str, node: &str, text: &str) -> StaticPod {
    StaticPod {
        component: component.to_owned(),
        node: node.into(),
        version: version(text),
        flags: Ok(std::collections::BTreeMap::new()),
        ready: true,
        ready_since: None,
    }
}

/// An index that has all of these versions for amd64.
pub(in super::super) fn packages(versions: &[&str]) -> Packages {
    let versions: Vec<Version> = versions.iter().map(|text| text.parse().unwrap()).collect();
    let of_each = ["kubeadm", "kubelet", "kubectl"].map(|package| (package.to_owned(), versions.clone()));
    Packages {
        versions,
        by_architecture: Some([("amd64".to_owned(), of_each.into())].into()),
        next_error: None,
    }
}

pub(in super::super) fn namespace(name: &str) -> Namespace {
    Namespace { name: name.to_owned(), labels: BTreeMap::new() }
}

/// A kubelet that says what a usual one of before 1.35 says.
pub(in super::super) fn kubelet(node: &str) -> RunningKubelet {
    let config = KubeletConfig { fail_cgroup_v1: Some(false), ..KubeletConfig::default() };
    RunningKubelet { node: node.into(), config: Ok(config), cgroup_version: Some(2) }
}

/// What kubeadm keeps of a usual cluster.
pub(in super::super) fn kubeadm_config() -> KubeadmConfig {
    KubeadmConfig { api_version: "v1beta4".to_owned(), ..KubeadmConfig::default() }
}

/// A cluster with all that a verdict is made from.
#[derive(Clone)]
pub(crate) struct Healthy {
    pub(crate) snapshot: Snapshot,
    pub(crate) inventory: Inventory,
    pub(crate) matrix: Matrix,
    pub(crate) settings: Settings,
    pub(crate) now: Timestamp,
}

impl Healthy {
    pub(crate) fn case(&self) -> Case<'_> {
        let Self { snapshot, inventory, matrix, settings, now } = self;
        Case { snapshot, inventory, matrix, settings, now: *now }
    }

    pub(crate) fn verdict(&self, target: &str) -> Verdict {
        verdict(target, &self.case())
    }
}

/// One control-plane node and one worker at v1.36.1, v1.36.3 and v1.37.0 on offer; v1.36.3 is safe.
pub(crate) fn healthy() -> Healthy {
    let now: Timestamp = "2026-12-01T03:04:05Z".parse().unwrap();
    let snapshot = Snapshot {
        nodes: Source::read(
            vec![node("cp-1", Role::ControlPlane, "v1.36.1"), node("w-1", Role::Worker, "v1.36.1")],
            now,
        ),
        api_servers: Source::read(vec![api_server("cp-1", "v1.36.1")], now),
        static_pods: Source::read(
            vec![
                pod("etcd", "cp-1", "v3.6.11-0"),
                pod("kube-apiserver", "cp-1", "v1.36.1"),
                pod("kube-controller-manager", "cp-1", "v1.36.1"),
                pod("kube-scheduler", "cp-1", "v1.36.1"),
            ],
            now,
        ),
        controller_leases: Source::read(Vec::new(), now),
        packages: Source::read(packages(&["v1.36.1", "v1.36.3", "v1.37.0"]), now),
        runs: Source::read(Vec::new(), now),
        runs_elsewhere: Source::read(Vec::new(), now),
    };
    let mut matrix = Matrix::built_in();
    let inventory = Inventory {
        definitions: Source::read(Vec::new(), now),
        workloads: Source::read(Vec::new(), now),
        kubelets: Source::read(vec![kubelet("cp-1"), kubelet("w-1")], now),
        kubelet_config: Source::read(Some(KubeletConfig::default()), now),
        kube_proxy_config: Source::read(None, now),
        kubeadm_config: Some(Source::read(Some(kubeadm_config()), now)),
        budgets: Source::read(Vec::new(), now),
        namespaces: Source::read(vec![namespace("kube-system")], now),
        webhooks: Source::read(Vec::new(), now),
        webhook_backends: Source::read(Vec::new(), now),
        webhook_calls: Source::read(
            WebhookCalls { scraped: vec!["cp-1:6443".to_owned()], called: Vec::new() },
            now,
        ),
        persistent_volumes: Source::read(Vec::new(), now),
        storage_classes: Source::read(Vec::new(), now),
        csi_drivers: Source::read(Vec::new(), now),
        api_requests: Source::read(
            ApiRequests {
                window_seconds: 30 * 86_400,
                servers: vec![ScrapedServer {
                    instance: "cp-1:6443".to_owned(),
                    is_scraped: true,
                    proven_seconds: 30 * 86_400,
                }],
                requested: Vec::new(),
            },
            now,
        ),
        api_writes: Source::read(
            ApiWrites {
                asked: matrix
                    .removed_apis
                    .value
                    .going(Minor { major: 1, minor: 0 }, Minor { major: 1, minor: 99 }),
                objects: 3,
                writes: Vec::new(),
            },
            now,
        ),
        manifests: None,
        pod_images: None,
        risk_answers: None,
    };
    // A person has looked at what no cluster shows.
    matrix.policy.value.kubelet_flags_checked = Minor::parse("1.40");
    Healthy { snapshot, inventory, matrix, settings: Settings::default(), now }
}

/// A run to this target that has not begun.
pub(in super::super) fn run(target: &str) -> UpgradeRun {
    UpgradeRun {
        namespace: "n".to_owned(),
        name: "r".to_owned(),
        uid: "u".to_owned(),
        resource_version: "1".to_owned(),
        generation: 1,
        created_at: None,
        deleting: false,
        has_finalizer: false,
        spec: UpgradeRunSpec { target: target.to_owned(), ..Default::default() },
        status: None,
    }
}

/// The status and the reason codes of one check for a target and a changed healthy cluster.
pub(super) fn outcome(
    check: fn(&Facts<'_>) -> Outcome,
    target: &str,
    change: impl FnOnce(&mut Healthy),
) -> (Status, Vec<&'static str>) {
    let mut cluster = healthy();
    change(&mut cluster);
    let outcome = check(&Facts { target: target.parse(), case: &cluster.case() });
    assert!(outcome.status != Status::Pass || !outcome.evidence.is_empty(), "a pass names its evidence");
    assert_eq!(
        outcome.status == Status::Pass,
        outcome.findings.is_empty(),
        "whatever does not pass says why"
    );
    (outcome.status, outcome.findings.iter().map(|finding| finding.reason.code()).collect())
}

#[test]
fn every_finding_keeps_its_class_whatever_the_status_is() {
    use Status::{Block, Hold, Unknown};
    let evidence = || Evidence { source: "nodes", count: 1, age_seconds: 0 };
    let one = |subject: &str| vec![Finding::new(Reason::NodeMissing, subject, "")];
    let all = Outcome::weigh(evidence(), Vec::new(), [one("b"), one("h"), one("u")]);
    let definition = check("x", Scope::Node, "", target::check, "");
    let made = all.into_check(&definition);
    let classed: Vec<_> = made.classed().map(|(class, it)| (class, it.subject.as_str())).collect();
    assert_eq!((made.status, classed), (Unknown, vec![(Block, "b"), (Hold, "h"), (Unknown, "u")]));
    let both = Outcome::judge(evidence(), Vec::new(), one("b"), one("u")).into_check(&definition);
    assert_eq!((both.status, both.has(Block), both.has(Hold)), (Unknown, true, false));
}

#[test]
fn ids_are_unique_snake_case_words() {
    let unique: std::collections::BTreeSet<_> = CHECK_IDS.into_iter().collect();
    assert_eq!(unique.len(), CHECK_IDS.len());
    assert!(CHECK_IDS.iter().all(|id| id.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
}
