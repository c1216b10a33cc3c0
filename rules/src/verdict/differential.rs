//! The strict verdict against the recorded answers of the first gate: where that one says no, this one never says yes,
//! but for the ways in which it is meant to be looser.

#[path = "../../tests/seed/case.rs"]
mod case;

use serde_json::{Map, Value, json};

use self::case::{CASES, Case as Recorded};
use super::check::tests::{api_server, kubelet, node, packages, version};
use super::rows::know_gates;
use super::*;
use crate::api_requests::{self, ForEach};
use crate::inventory::{ApiRequests, Container, Rollout, Workload, WorkloadKind};
use crate::prometheus::{self, Sample};
use crate::snapshot::{Node, Role, Source};

const WINDOW_SECONDS: u64 = 30 * 86_400;
const SOURCE: &str = "https://example.com/source";

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
    if crate::version::Minor::parse(target).is_some() { format!("{target}.0") } else { target.to_owned() }
}

/// `2.0` as the release that it means.
fn three(text: &Value) -> Value {
    match text.as_str() {
        Some(text) if text.matches('.').count() == 1 => json!(format!("{text}.0")),
        _ => text.clone(),
    }
}

fn workloads(recorded: &Recorded) -> Vec<Workload> {
    let workload = |(place, images): (&crate::seed::Workload, &String)| {
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
        Node { container_runtime: runtime.to_owned(), ..node(&name, role, kubelet) }
    };
    (0..kubelets.len().max(runtimes.len())).map(one).collect()
}

/// What the first gate read, as we would have read it; nothing if its matrix is not one that we take.
fn cluster(recorded: &Recorded, mut cluster: Healthy) -> Option<Healthy> {
    let now = cluster.now;
    // The built-in floors are none of what the first gate was given.
    cluster.matrix.runtimes = crate::matrix::Part::default();
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
    let running = running.unwrap_or_default();
    cluster.inventory.kubelets = Source::read(nodes.iter().map(|node| kubelet(&node.name.0)).collect(), now);
    cluster.snapshot.nodes = Source::read(nodes, now);
    cluster.snapshot.api_servers = Source::read(vec![api_server("cp-1", &running)], now);
    for pod in cluster.snapshot.static_pods.value.iter_mut().flatten().filter(|pod| pod.component != "etcd") {
        pod.version = version(&running);
    }
    let versions: Vec<String> = recorded.arguments.iter().map(|target| release(target)).collect();
    let versions = versions.iter().map(String::as_str).filter(|target| target.parse::<Version>().is_ok());
    cluster.snapshot.packages = Source::read(packages(&versions.collect::<Vec<_>>()), now);
    // The first gate knows nothing of feature gates: that none is known of an old minor must not hide its own answer.
    (1..60).for_each(|minor| know_gates(&mut cluster, minor));
    cluster.inventory.workloads = Source::read(workloads(recorded), now);
    cluster.inventory.api_requests = requests(recorded, now);
    Some(cluster)
}

/// Whether every line that is in the way is an add-on beyond a ceiling which a later patch has raised (L02): the first
/// gate looks at the highest row of a minor only by chance.
fn is_patch_ceiling(recorded: &Recorded) -> bool {
    recorded.lines.iter().all(|line| line.contains("] addon ") && line.contains(" exceeds it"))
}

#[test]
fn where_the_first_gate_says_no_ours_never_says_yes() {
    let base = healthy();
    let (mut both, mut asked, mut refused, mut looser, mut wrong) = (0, 0, 0, 0, Vec::new());
    for recorded in CASES.iter() {
        let Some(target) = recorded.arguments.first().map(|target| release(target)) else { continue };
        let Some(cluster) = cluster(recorded, base.clone()) else {
            refused += 1;
            continue;
        };
        let verdict = cluster.verdict(&target);
        asked += 1;
        let is_safe = verdict.verdict == Answer::Safe;
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
        "{asked} asked, {refused} matrices refused, {both} safe in both, {looser} looser (L02), {} wrong",
        wrong.len()
    );
    assert!(wrong.is_empty(), "{:#?}", &wrong[..wrong.len().min(5)]);
    // Without these the above would say nothing.
    assert!(both >= 20 && asked >= 1_000, "{both} of {asked}");
}
