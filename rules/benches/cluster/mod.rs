//! A large cluster, made from numbers: the same one each time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::Timestamp;
use lockkeeper_rules::cluster::inventory::{
    ApiKind, ApiRequests, ApiWrite, ApiWrites, Container, Definition, HelmRelease, Inventory, KubeletConfig,
    Namespace, PersistentVolume, Rollout, RunningKubelet, ScrapedServer, ServedVersion, Workload,
    WorkloadKind,
};
use lockkeeper_rules::cluster::snapshot::{ApiServer, Node, Packages, Role, Snapshot, Source, StaticPod};
use lockkeeper_rules::drain::{Amount, Budget, Demand};
use lockkeeper_rules::facts::Matrix;
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::verdict::Case;
use lockkeeper_rules::words::labels::{Requirement, Selector};
use lockkeeper_rules::words::version::Version;

const NODES: usize = 5_000;
const CONTROL_PLANE: usize = 5;
pub(crate) const ADDONS: usize = 200;
const OTHER_WORKLOADS: usize = 16_000;
const NAMESPACES: usize = 300;
const BUDGETS: usize = 1_000;
const VOLUMES: usize = 1_000;
const DEFINITIONS: usize = 1_000;
const WRITES: usize = 500;
const RELEASES: usize = 500;
const MONTH_SECONDS: u64 = 30 * 86_400;

pub(crate) struct Cluster {
    pub(crate) snapshot: Snapshot,
    inventory: Inventory,
    matrix: Matrix,
    settings: Settings,
    now: Timestamp,
}

impl Cluster {
    /// At v1.36.1 and fit for v1.36.3; every second add-on has to be upgraded before v1.37.0.
    pub(crate) fn large() -> Self {
        let now: Timestamp = "2026-12-01T03:04:05Z".parse().expect("a time");
        let rows = rows();
        let matrix = Matrix::load(&[("large.yaml", &rows)]).expect("rows that can be read");
        Self {
            snapshot: snapshot(now),
            inventory: inventory(now),
            matrix,
            settings: Settings::default(),
            now,
        }
    }

    pub(crate) fn case(&self) -> Case<'_> {
        let Self { snapshot, inventory, matrix, settings, now } = self;
        Case { snapshot, inventory, matrix, settings, now: *now }
    }

    pub(crate) fn size(&self) -> String {
        let objects = OTHER_WORKLOADS + BUDGETS + VOLUMES + DEFINITIONS + WRITES + RELEASES;
        format!("{NODES} nodes, {ADDONS} add-ons, {objects} other objects")
    }
}

fn version(text: &str) -> Version {
    text.parse().expect("a version")
}

fn snapshot(now: Timestamp) -> Snapshot {
    let control_plane = || (0..CONTROL_PLANE).map(|number| format!("cp-{number}"));
    let servers =
        control_plane().map(|name| ApiServer { name, version: Ok(version("v1.36.1")), ready: true });
    let static_pods = control_plane().flat_map(|node| {
        let pod = move |(component, tag): (&str, &str)| StaticPod {
            component: component.to_owned(),
            node: node.as_str().into(),
            version: Ok(version(tag)),
            flags: Ok(BTreeMap::new()),
            ready: true,
            ready_since: Some(now),
        };
        [
            ("etcd", "v3.6.6-0"),
            ("kube-apiserver", "v1.36.1"),
            ("kube-controller-manager", "v1.36.1"),
            ("kube-scheduler", "v1.36.1"),
        ]
        .map(pod)
    });
    let versions = ["v1.36.1", "v1.36.3", "v1.37.0"].map(version).to_vec();
    let packages = ["kubeadm", "kubelet", "kubectl"].map(|package| (package.to_owned(), versions.clone()));
    let by_architecture = ["amd64", "arm64"].map(|it| (it.to_owned(), packages.clone().into()));
    let packages = Packages { versions, by_architecture: Some(by_architecture.into()), next_error: None };
    Snapshot {
        nodes: Source::read((0..NODES).map(|number| node(number, now)).collect(), now),
        api_servers: Source::read(servers.collect(), now),
        static_pods: Source::read(static_pods.collect(), now),
        controller_leases: Source::read(Vec::new(), now),
        packages: Source::read(packages, now),
        runs: Source::read(Vec::new(), now),
        runs_elsewhere: Source::read(Vec::new(), now),
    }
}

fn node(number: usize, now: Timestamp) -> Node {
    let (name, role) =
        (node_name(number), if number < CONTROL_PLANE { Role::ControlPlane } else { Role::Worker });
    Node {
        uid: format!("0b9f3c6e-1111-4222-8333-{number:012}"),
        resource_version: number.to_string(),
        internal_ips: vec![format!("10.{}.{}.1", number / 250, number % 250), format!("fd00::{number:x}")],
        machine_id: format!("{number:032x}"),
        boot_id: format!("1b9f3c6e-1111-4222-8333-{number:012}"),
        kubelet_version: Ok(version("v1.36.1")),
        container_runtime: "containerd://2.2.0".to_owned(),
        kernel_version: "6.1.0-18-amd64".to_owned(),
        operating_system: "linux".to_owned(),
        os_image: "Debian GNU/Linux 12 (bookworm)".to_owned(),
        architecture: if number.is_multiple_of(2) { "amd64" } else { "arm64" }.to_owned(),
        ready: true,
        ready_since: Some(now),
        lease_renewed_at: Some(now),
        ..Node::silent(&name, role)
    }
}

fn inventory(now: Timestamp) -> Inventory {
    let addons = (0..ADDONS).map(addon);
    let others = (0..OTHER_WORKLOADS).map(other);
    let server = |number| ScrapedServer {
        instance: format!("cp-{number}:6443"),
        is_scraped: true,
        proven_seconds: MONTH_SECONDS,
    };
    let requests = ApiRequests {
        window_seconds: MONTH_SECONDS,
        servers: (0..CONTROL_PLANE).map(server).collect(),
        requested: Vec::new(),
    };
    let mut inventory = Inventory::unread();
    inventory.definitions = Source::read((0..DEFINITIONS).map(definition).collect(), now);
    inventory.workloads = Source::read(addons.chain(others).collect(), now);
    inventory.api_requests = Source::read(requests, now);
    let minors = [version("v1.36.1").minor(), version("v1.37.0").minor()];
    let writes = ApiWrites {
        asked: Matrix::built_in().removed_apis.value.going(minors[0], minors[1]),
        objects: WRITES * 36,
        writes: (0..WRITES).map(|number| write(number, now)).collect(),
    };
    inventory.api_writes = Source::read(writes, now);
    inventory.budgets = Source::read((0..BUDGETS).map(budget).collect(), now);
    let teams = (0..NAMESPACES).map(|number| namespace(format!("team-{number}")));
    inventory.namespaces = Source::read(teams.chain([namespace("kube-system".to_owned())]).collect(), now);
    inventory.webhooks = Source::read(Vec::new(), now);
    inventory.webhook_backends = Source::read(Vec::new(), now);
    inventory.persistent_volumes = Source::read((0..VOLUMES).map(volume).collect(), now);
    inventory.storage_classes = Source::read(Vec::new(), now);
    inventory.csi_drivers = Source::read(vec!["csi.example.com".to_owned()], now);
    inventory.kubelets = Source::read((0..NODES).map(kubelet).collect(), now);
    inventory.kubelet_config = Source::read(Some(KubeletConfig::default()), now);
    inventory.kube_proxy_config = Source::read(None, now);
    inventory.kubeadm_config = Some(Source::read(None, now));
    inventory.manifests = Some(Source::read((0..RELEASES).map(release).collect(), now));
    inventory
}

fn definition(number: usize) -> Definition {
    let version = |name: &str, storage| ServedVersion { name: name.to_owned(), served: true, storage };
    Definition {
        name: format!("things{number}.example.com"),
        versions: vec![version("v1beta1", false), version("v1", true)],
        stored: vec!["v1".to_owned()],
        converter: None,
    }
}

fn node_name(number: usize) -> String {
    match number.checked_sub(CONTROL_PLANE) {
        None => format!("cp-{number}"),
        Some(number) => format!("worker-{number}.example.com"),
    }
}

fn kubelet(number: usize) -> RunningKubelet {
    let config = KubeletConfig { fail_cgroup_v1: Some(true), ..KubeletConfig::default() };
    RunningKubelet { node: node_name(number).as_str().into(), config: Ok(config), cgroup_version: Some(2) }
}

fn namespace(name: String) -> Namespace {
    Namespace { name, labels: BTreeMap::new() }
}

/// Of the first workloads, each its own.
fn budget(number: usize) -> Budget {
    let app = BTreeSet::from([format!("app-{number}")]);
    Budget {
        namespace: format!("team-{}", number % NAMESPACES),
        name: format!("app-{number}"),
        selector: Selector::Every(vec![Requirement::In("app".to_owned(), app)]),
        demand: Demand::MaxUnavailable(Amount::Pods(1)),
        evicts_unhealthy: false,
        generation: 1,
        observed: 1,
        sync_error: None,
        disruptions_allowed: 1,
        expected_pods: 2,
        current_healthy: 2,
        desired_healthy: 1,
        owner: None,
    }
}

fn volume(number: usize) -> PersistentVolume {
    PersistentVolume { name: format!("pv-{number}"), plugin: "csi".to_owned() }
}

fn write(number: usize, now: Timestamp) -> ApiWrite {
    ApiWrite {
        api: ApiKind::of("apps/v1", "Deployment"),
        manager: format!("deployer-{number}"),
        time: Some(now),
        object: format!("team-{}/app-{number}", number % NAMESPACES),
        count: 36,
    }
}

fn release(number: usize) -> HelmRelease {
    HelmRelease {
        namespace: format!("team-{}", number % NAMESPACES),
        name: format!("app-{number}"),
        chart: "app".to_owned(),
        chart_version: "1.2.3".to_owned(),
        app_version: "2.0.0".to_owned(),
        kube_version: String::new(),
        kinds: vec![ApiKind::of("apps/v1", "Deployment"), ApiKind::of("v1", "Service")],
    }
}

/// A row for each add-on: from 1.1 on it fits the next minor, and the odd ones run 1.0.
fn rows() -> String {
    let mut text = "schema: 2\nas_of: \"2026-09-01\"\naddons:\n".to_owned();
    for number in 0..ADDONS {
        let row = format!(
            "- {{name: addon-{number}, namespace: addon-{number}-system, kind: deploy, resource: controller, \
             container: main, image_re: 'addon-{number}/controller:v(\\d+\\.\\d+(?:\\.\\d+)?)', claim: supported, \
             min_k8s: {{\"1.0\": \"1.30\", \"1.1\": \"1.31\"}}, max_k8s: {{\"1.0\": \"1.36\", \"1.1\": \"1.37\"}}, \
             source: \"https://example.com/addon-{number}\"}}"
        );
        writeln!(text, "{row}").expect("a string takes all that is written");
    }
    text
}

fn addon(number: usize) -> Workload {
    let image = format!("registry.example.com/addon-{number}/controller:v1.{}.3", (number + 1) % 2);
    workload(&format!("addon-{number}-system"), "controller", image)
}

fn other(number: usize) -> Workload {
    let image =
        format!("registry.example.com/team-{}/app-{number}:v2.{}.0", number % NAMESPACES, number % 40);
    workload(&format!("team-{}", number % NAMESPACES), &format!("app-{number}"), image)
}

fn workload(namespace: &str, name: &str, image: String) -> Workload {
    let sidecar =
        Container { name: "proxy".to_owned(), image: "registry.example.com/mesh/proxy:v1.29.1".to_owned() };
    Workload {
        labels: BTreeMap::from([("app.kubernetes.io/name".to_owned(), name.to_owned())]),
        pod_labels: BTreeMap::from([("app".to_owned(), name.to_owned())]),
        volume_plugins: BTreeSet::from(["configMap".to_owned(), "projected".to_owned()]),
        containers: vec![Container { name: "main".to_owned(), image }, sidecar],
        rollout: Rollout::done(2),
        ..Workload::silent(WorkloadKind::Deployment, namespace, name)
    }
}
