//! The strict verdict against the recorded answers of the first gate: where that one says no, this one never says yes,
//! but for the ways in which it is meant to be looser.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lockkeeper_exporter::compat;
use lockkeeper_rules::cluster::inventory::{
    ApiRequests, ApiWrites, Container, Inventory, KubeadmConfig, KubeletConfig, Namespace, Rollout,
    RunningKubelet, Workload, WorkloadKind,
};
use lockkeeper_rules::cluster::snapshot::{ApiServer, Node, Packages, Role, Snapshot, Source, StaticPod};
use lockkeeper_rules::facts::{GateChanges, Matrix, Part};
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::verdict::{self, Conclusion};
use lockkeeper_rules::wire::api_requests::{self, ForEach};
use lockkeeper_rules::wire::prometheus::{self, Sample};
use lockkeeper_rules::words::version::{Minor, Version};
use serde_json::{Map, Value, json};

use super::case::{CASES, Case as Recorded};

const WINDOW_SECONDS: u64 = 30 * 86_400;
const SOURCE: &str = "https://example.com/source";

/// A cluster with all that a verdict is made from.
#[derive(Clone)]
struct Cluster {
    snapshot: Snapshot,
    inventory: Inventory,
    matrix: Matrix,
    now: Timestamp,
}

fn version(text: &str) -> Result<Version, String> {
    text.parse().map_err(|_not_a_version| text.to_owned())
}

fn static_pod(component: &str, version: Result<Version, String>) -> StaticPod {
    StaticPod {
        component: component.to_owned(),
        node: "cp-1".into(),
        version,
        flags: Ok(BTreeMap::new()),
        ready: true,
        ready_since: None,
    }
}

/// Nothing is in the way of any version in what the first gate does not look at.
fn healthy() -> Cluster {
    let now: Timestamp = "2026-12-01T03:04:05Z".parse().unwrap();
    let mut matrix = Matrix::built_in();
    // The built-in floors are none of what the first gate was given.
    matrix.runtimes = Part::default();
    // A person has looked at what no cluster shows.
    matrix.policy.value.kubelet_flags_checked = Minor::parse("1.40");
    // The first gate knows nothing of feature gates: that none is known of an old minor must not hide its own answer.
    let unchanged = |minor| {
        let (removed, locked) = Default::default();
        GateChanges { minor: Minor { major: 1, minor }, removed, locked, source: SOURCE.to_owned() }
    };
    matrix.components.value.gates.extend((1..60).map(unchanged));
    let every = [0, 99].map(|minor| Minor { major: 1, minor });
    let asked = matrix.removed_apis.value.going(every[0], every[1]);
    let mut snapshot = Snapshot::unread();
    snapshot.controller_leases = Source::read(Vec::new(), now);
    snapshot.runs = Source::read(Vec::new(), now);
    snapshot.runs_elsewhere = Source::read(Vec::new(), now);
    let mut inventory = Inventory::unread();
    inventory.definitions = Source::read(Vec::new(), now);
    inventory.kubelet_config = Source::read(Some(KubeletConfig::default()), now);
    inventory.kube_proxy_config = Source::read(None, now);
    let kept = KubeadmConfig { api_version: "v1beta4".to_owned(), ..KubeadmConfig::default() };
    inventory.kubeadm_config = Some(Source::read(Some(kept), now));
    inventory.budgets = Source::read(Vec::new(), now);
    let kube_system = Namespace { name: "kube-system".to_owned(), labels: BTreeMap::new() };
    inventory.namespaces = Source::read(vec![kube_system], now);
    inventory.webhooks = Source::read(Vec::new(), now);
    inventory.webhook_backends = Source::read(Vec::new(), now);
    inventory.persistent_volumes = Source::read(Vec::new(), now);
    inventory.storage_classes = Source::read(Vec::new(), now);
    inventory.csi_drivers = Source::read(Vec::new(), now);
    inventory.api_writes = Source::read(ApiWrites { asked, objects: 3, writes: Vec::new() }, now);
    Cluster { snapshot, inventory, matrix, now }
}

/// The first gate's matrix as a file of facts: the same rows, each word as it is written there, and no runtime in the
/// way but by the floors. Nothing if it is no object.
fn facts(matrix: &[u8]) -> Option<String> {
    let Value::Object(mut old) = serde_json::from_slice(matrix).ok()? else { return None };
    for row in old.get_mut("addons").and_then(Value::as_array_mut).into_iter().flatten() {
        translate(row.as_object_mut()?);
    }
    let floors = old.get("containerd_min").and_then(Value::as_object).cloned().unwrap_or_default();
    let floor = |(from, release): (String, Value)| json!({"from": minor(&from), "release": three(&release), "source": SOURCE});
    let any = |minor| json!({"kubernetes": format!("1.{minor}"), "releases": ["0.0.1"], "source": SOURCE});
    let new = json!({
        "schema": 2,
        "as_of": "2026-08-22",
        "addons": old.get("addons").unwrap_or(&json!([])),
        "runtimes": {
            "containerd": {
                "recommended": (20..45).map(any).collect::<Vec<_>>(),
                "hard": floors.into_iter().map(floor).collect::<Vec<_>>(),
            },
            "cri_o": {"behind_max": 2, "source": SOURCE},
            "docker": {"removed": "1.24", "source": SOURCE},
        },
    });
    Some(new.to_string())
}

fn translate(row: &mut Map<String, Value>) {
    row.remove("notes");
    row.insert("claim".to_owned(), json!("supported"));
    row.insert("source".to_owned(), json!(SOURCE));
    let kind = match row.get("kind").and_then(Value::as_str).unwrap_or_default() {
        "DaemonSet" => "ds",
        "deployment" => "deploy",
        kind => kind,
    };
    row.insert("kind".to_owned(), json!(kind));
    for ceiling in row.get_mut("max_k8s").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut)
    {
        if let Value::String(text) = ceiling {
            *text = minor(text);
        }
    }
    let reason = row.remove("pin_reason").and_then(|reason| Some(reason.as_str()?.to_owned()));
    if row.remove("pinned") == Some(json!(true)) {
        let reason = reason.filter(|reason| !reason.is_empty()).unwrap_or("none given".to_owned());
        row.insert("pin".to_owned(), json!({"reason": reason, "by": "ops", "until": "2026-12-31"}));
    }
}

/// `v1.36.4` as the minor that it means.
fn minor(text: &str) -> String {
    text.trim_start_matches('v').split('.').take(2).collect::<Vec<_>>().join(".")
}

/// `1.36` as the first release of it: the first gate asks for minors only.
fn release(target: &str) -> String {
    if Minor::parse(target).is_some() { format!("{target}.0") } else { target.to_owned() }
}

/// `2.0` as the release that it means.
fn three(text: &Value) -> Value {
    match text.as_str() {
        Some(text) if text.matches('.').count() == 1 => json!(format!("{text}.0")),
        _ => text.clone(),
    }
}

fn workloads(recorded: &Recorded) -> Vec<Workload> {
    let workload = |(place, images): (&compat::Workload, &String)| {
        let kind = match place.kind.to_lowercase().as_str() {
            "ds" | "daemonset" => WorkloadKind::DaemonSet,
            "deploy" | "deployment" => WorkloadKind::Deployment,
            "sts" | "statefulset" => WorkloadKind::StatefulSet,
            _ => return None,
        };
        let container = |(number, image): (usize, &str)| Container {
            name: format!("c{number}"),
            image: image.to_owned(),
        };
        Some(Workload {
            containers: images.split_whitespace().enumerate().map(container).collect(),
            rollout: Rollout::done(2),
            ..Workload::silent(kind, &place.namespace, &place.name)
        })
    };
    recorded.images.iter().filter_map(workload).collect()
}

/// The same answer from a Prometheus that has scraped the API server all the time.
fn requests(recorded: &Recorded, now: Timestamp) -> Source<ApiRequests> {
    let at = |value| Sample {
        labels: [("instance".to_owned(), "cp-1:6443".to_owned())].into(),
        evaluated_at: now,
        value,
    };
    let read = |body: &Vec<u8>| {
        let samples = prometheus::vector(body).map_err(|error| error.to_string())?;
        let answers = ForEach {
            scraped: vec![at(1.0)],
            proven: vec![at(720.0)],
            now: samples.clone(),
            window: samples,
            requests: Vec::new(),
        };
        api_requests::read(WINDOW_SECONDS, &answers).map_err(|error| error.to_string())
    };
    match recorded.prometheus.as_ref().map_err(Clone::clone).and_then(read) {
        Ok(requests) => Source::read(requests, now),
        Err(error) => Source::failed(error),
    }
}

fn nodes(recorded: &Recorded) -> Vec<Node> {
    let kubelets: Vec<&str> =
        recorded.kubelets.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let runtimes: Vec<&str> = recorded.runtimes.lines().filter(|line| !line.trim().is_empty()).collect();
    let one = |number: usize| {
        let runtime = runtimes
            .get(number)
            .map_or("containerd://2.0.1", |line| line.trim().split_once(' ').map_or("", |(_, it)| it));
        let kubelet = kubelets.get(number).or(kubelets.first()).copied().unwrap_or_default();
        let (name, role) = if number == 0 {
            ("cp-1".to_owned(), Role::ControlPlane)
        } else {
            (format!("w-{number}"), Role::Worker)
        };
        Node {
            uid: name.clone(),
            resource_version: "1".to_owned(),
            kubelet_version: version(kubelet),
            container_runtime: runtime.to_owned(),
            kernel_version: "6.1.0-18-amd64".to_owned(),
            operating_system: "linux".to_owned(),
            os_image: "Debian GNU/Linux 12 (bookworm)".to_owned(),
            architecture: "amd64".to_owned(),
            ready: true,
            ..Node::silent(&name, role)
        }
    };
    (0..kubelets.len().max(runtimes.len())).map(one).collect()
}

fn kubelet(node: &Node) -> RunningKubelet {
    let config = KubeletConfig { fail_cgroup_v1: Some(false), ..KubeletConfig::default() };
    RunningKubelet { node: node.name.clone(), config: Ok(config), cgroup_version: Some(2) }
}

/// An index that has the targets.
fn packages(targets: &[String]) -> Packages {
    let versions: Vec<Version> = targets.iter().filter_map(|target| release(target).parse().ok()).collect();
    let of_each = ["kubeadm", "kubelet", "kubectl"].map(|package| (package.to_owned(), versions.clone()));
    let by_architecture = Some([("amd64".to_owned(), of_each.into())].into());
    Packages { versions, by_architecture, next_error: None }
}

/// What the first gate read, as we would have read it; nothing if its matrix is not one that we take.
fn cluster(recorded: &Recorded, mut cluster: Cluster) -> Option<Cluster> {
    let now = cluster.now;
    let mistakes = cluster.matrix.lay(&[("mine.yaml", &facts(&recorded.matrix)?)]);
    if !mistakes.is_empty() {
        return None;
    }
    // Rows that the first gate has not been given cannot have been in its way.
    let given: Value = serde_json::from_slice(&recorded.matrix).ok()?;
    let has = |name: &str| {
        given["addons"].as_array().is_some_and(|rows| rows.iter().any(|row| row["name"] == name))
    };
    cluster.matrix.addons.value.0.retain(|addon| has(&addon.name));
    let nodes = nodes(recorded);
    let running = recorded.running.clone().or_else(|| {
        let oldest = nodes.iter().filter_map(|node| node.kubelet_version.as_ref().ok()).min();
        oldest.map(ToString::to_string)
    });
    let running = version(&running.unwrap_or_default());
    cluster.inventory.kubelets = Source::read(nodes.iter().map(kubelet).collect(), now);
    cluster.snapshot.nodes = Source::read(nodes, now);
    let server = ApiServer { name: "cp-1".to_owned(), version: running.clone(), ready: true };
    cluster.snapshot.api_servers = Source::read(vec![server], now);
    let components = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];
    let pods = components.map(|component| static_pod(component, running.clone()));
    let etcd = static_pod("etcd", version("v3.6.11-0"));
    cluster.snapshot.static_pods = Source::read(pods.into_iter().chain([etcd]).collect(), now);
    cluster.snapshot.packages = Source::read(packages(&recorded.arguments), now);
    cluster.inventory.workloads = Source::read(workloads(recorded), now);
    cluster.inventory.api_requests = requests(recorded, now);
    Some(cluster)
}

/// Whether every line that is in the way is an add-on beyond a ceiling which a later patch has raised: the first
/// gate looks at the highest row of a minor only by chance.
fn is_patch_ceiling(recorded: &Recorded) -> bool {
    recorded.lines.iter().all(|line| line.contains("] addon ") && line.contains(" exceeds it"))
}

#[test]
fn where_the_first_gate_says_no_ours_never_says_yes() {
    let (base, settings) = (healthy(), Settings::default());
    let (mut both, mut asked, mut refused, mut looser, mut wrong) = (0, 0, 0, 0, Vec::new());
    for recorded in CASES.iter() {
        let Some(target) = recorded.arguments.first().map(|target| release(target)) else { continue };
        let Some(cluster) = cluster(recorded, base.clone()) else {
            refused += 1;
            continue;
        };
        let Cluster { snapshot, inventory, matrix, now } = &cluster;
        let case = verdict::Case { snapshot, inventory, matrix, settings: &settings, now: *now };
        let verdict = verdict::verdict(&target, &case);
        asked += 1;
        let is_safe = verdict.verdict == Conclusion::Safe;
        both += usize::from(is_safe && recorded.code == 0);
        if is_safe && recorded.code != 0 {
            if is_patch_ceiling(recorded) {
                looser += 1;
            } else {
                wrong.push((&recorded.row, recorded.code, &recorded.lines));
            }
        }
    }
    println!(
        "{asked} asked, {refused} matrices refused, {both} safe in both, {looser} looser by a raised ceiling, {} wrong",
        wrong.len()
    );
    assert!(wrong.is_empty(), "{:#?}", &wrong[..wrong.len().min(5)]);
    // Without these the above would say nothing.
    assert!(both >= 20 && asked >= 1_000, "{both} of {asked}");
}
