use crate::api::{UpgradeRun, UpgradeRunSpec};
use crate::cluster::inventory::{Container, Workload, WorkloadKind};
use crate::cluster::snapshot::{Node, Role, Source};
use crate::facts::Matrix;
use crate::publish::metric::{Memory, samples, targets};
use crate::verdict::{Healthy, healthy};

const ROWS: &str = "schema: 2\nas_of: \"2026-09-01\"\naddons:\n\
    - {name: net, namespace: kube-system, kind: ds, resource: net-node, image_re: 'net/node:v(\\d+\\.\\d+\\.\\d+)', \
       claim: supported, max_k8s: {\"1.0\": \"1.35\"}, source: \"https://example.com/net\"}\n";

/// A cluster where a kubelet blocks, an add-on holds, and a version cannot be read.
fn all_at_once() -> Healthy {
    let mut cluster = healthy();
    cluster.matrix = Matrix::load(&[("mine.yaml", ROWS)]).unwrap();
    let nodes = cluster.snapshot.nodes.value.as_mut().unwrap();
    nodes[1].kubelet_version = Ok("v1.32.0".parse().unwrap());
    nodes.push(crate::cluster::snapshot::Node::silent("w-2", Role::Worker));
    cluster.inventory.workloads = Source::read(vec![net()], cluster.now);
    cluster
}

fn net() -> Workload {
    Workload {
        containers: vec![Container { name: "main".to_owned(), image: "net/node:v1.0.0".to_owned() }],
        ..Workload::silent(WorkloadKind::DaemonSet, "kube-system", "net-node")
    }
}

/// Every series of one metric with its value.
fn shown(cluster: &Healthy, metric: &str) -> Vec<(String, f64)> {
    let verdicts: Vec<_> = targets(&cluster.snapshot).iter().map(|target| cluster.verdict(target)).collect();
    let mut memory = Memory::default();
    memory.observe(&cluster.snapshot, &verdicts, cluster.now);
    let name = format!("k8s_upgrade_{metric}");
    let all = samples(&cluster.case(), &verdicts, &memory).into_iter();
    all.filter(|sample| sample.metric.name == name)
        .map(|sample| (sample.labels.join(" "), sample.value))
        .collect()
}

/// An open run to v1.37.0, half of whose control plane is done: what only the whole cluster's checks say is behind it.
#[test]
fn of_an_open_run_counts_what_may_still_hold_it_up() {
    let mut cluster = all_at_once();
    cluster.snapshot.nodes.value.as_mut().unwrap().truncate(1);
    cluster.snapshot.runs = Source::read(vec![run_to("v1.37.0")], cluster.now);
    let held =
        |cluster: &Healthy| shown(cluster, "held").into_iter().find(|(labels, _)| labels.starts_with("run"));
    assert_eq!(held(&cluster), Some(("run v1.37.0".to_owned(), 1.0)), "an add-on, before it has begun");
    cluster.snapshot.api_servers.value.as_mut().unwrap()[0].version = Ok("v1.37.0".parse().unwrap());
    assert_eq!(held(&cluster), Some(("run v1.37.0".to_owned(), 0.0)), "and after");
}

fn ones(cluster: &Healthy, metric: &str) -> Vec<String> {
    shown(cluster, metric).into_iter().filter(|(_, value)| *value == 1.0).map(|(labels, _)| labels).collect()
}

fn run_to(target: &str) -> UpgradeRun {
    UpgradeRun {
        namespace: "k8s-upgrade".to_owned(),
        name: "patch".to_owned(),
        uid: "0b9f3c6e".to_owned(),
        resource_version: "1".to_owned(),
        generation: 1,
        created_at: None,
        deleting: false,
        has_finalizer: true,
        spec: UpgradeRunSpec { target: target.to_owned(), ..UpgradeRunSpec::default() },
        status: None,
    }
}

#[test]
fn blocked_held_and_blind_are_shown_beside_each_other_for_each_goal() {
    let cluster = all_at_once();
    assert_eq!(ones(&cluster, "verdict"), ["v1.36.3 unknown", "v1.37.0 unknown"]);
    for metric in ["blocked", "held", "blind"] {
        assert_eq!(ones(&cluster, metric), ["patch v1.36.3", "minor v1.37.0"], "{metric}");
    }
    let well = healthy();
    for metric in ["blocked", "held", "blind"] {
        let series: Vec<_> = shown(&well, metric).into_iter().map(|(labels, _)| labels).collect();
        assert_eq!(series, ["patch v1.36.3", "minor v1.37.0", "run "], "{metric}: 0 rather than nothing");
    }
    for metric in ["blocked", "held", "blind"] {
        assert!(!ones(&well, metric).contains(&"patch v1.36.3".to_owned()), "{metric}");
    }
}

#[test]
fn the_open_run_is_a_goal_of_its_own() {
    let mut cluster = all_at_once();
    cluster.snapshot.runs = Source::read(vec![run_to("1.36.2")], cluster.now);
    assert!(ones(&cluster, "held").contains(&"run v1.36.2".to_owned()));
    cluster.snapshot.runs = Source::failed("gone");
    assert!(shown(&cluster, "held").iter().all(|(labels, _)| !labels.starts_with("run")));
}

#[test]
fn a_node_that_cannot_be_upgraded_is_in_the_way_of_the_run_alone_and_named_last() {
    let mut cluster = healthy();
    cluster.snapshot.runs = Source::read(vec![run_to("v1.36.3")], cluster.now);
    let vendor = |number: usize| {
        let worker = &healthy().snapshot.nodes.value.unwrap()[1];
        let kubelet_version = Ok("v1.36.1+k3s1".parse().unwrap());
        Node { name: format!("w-{number:03}").as_str().into(), kubelet_version, ..worker.clone() }
    };
    cluster.snapshot.nodes.value.as_mut().unwrap().extend((0..200).map(vendor));
    assert_eq!(ones(&cluster, "verdict")[0], "v1.36.3 safe");
    assert_eq!(ones(&cluster, "blocked"), ["run v1.36.3"]);
    assert!(ones(&cluster, "verdict_check").contains(&"v1.36.3 driver block".to_owned()));
    let reasons = shown(&cluster, "verdict_reason_info");
    assert_eq!(reasons[0].0, "v1.36.3 driver driver w-000 kubelet_of_vendor");
    cluster.snapshot.packages = Source::failed("404");
    let reasons = shown(&cluster, "verdict_reason_info");
    assert_eq!(reasons[0].0, "v1.36.3 unknown offered packages source_unreadable");
    // Of a node that is not known to be upgradeable the run is blind.
    let mut cluster = healthy();
    cluster.snapshot.runs = Source::read(vec![run_to("v1.36.3")], cluster.now);
    cluster.snapshot.nodes.value.as_mut().unwrap()[1].operating_system.clear();
    assert_eq!(
        ones(&cluster, "blind").into_iter().filter(|goal| !goal.starts_with("minor")).collect::<Vec<_>>(),
        ["run v1.36.3"]
    );
}

#[test]
fn a_goal_that_is_not_known_or_not_judged_is_blind() {
    let mut cluster = healthy();
    cluster.snapshot.packages = Source::failed("404");
    assert_eq!(ones(&cluster, "blind"), ["patch ", "minor "]);
    let cluster = healthy();
    let blind = samples(&cluster.case(), &[], &Memory::default());
    let is_blind = |sample: &crate::publish::metric::Sample| {
        sample.metric.name == "k8s_upgrade_blind" && sample.labels[0] == "patch" && sample.value == 1.0
    };
    assert!(blind.iter().any(is_blind), "nobody has judged it");
}

#[test]
fn a_check_that_blocks_and_could_not_read_everything_shows_both() {
    let cluster = all_at_once();
    assert!(ones(&cluster, "verdict_check").contains(&"v1.36.3 kubelet_skew unknown".to_owned()));
    assert!(ones(&cluster, "verdict_blind").contains(&"v1.36.3 kubelet_skew".to_owned()));
    let checks = crate::verdict::CHECK_IDS.len();
    assert_eq!(shown(&cluster, "verdict_blind").len(), 2 * checks, "every check of every target");
    let blockers = shown(&cluster, "blockers");
    assert!(blockers.contains(&("v1.36.3 kubelet_skew".to_owned(), 1.0)), "{blockers:?}");
}

#[test]
fn reasons_are_named_by_class_once_and_no_more_than_are_bearable() {
    let mut cluster = all_at_once();
    let reasons = shown(&cluster, "verdict_reason_info");
    let has = |line: &str| reasons.iter().filter(|(labels, _)| labels == line).count();
    assert_eq!(has("v1.36.3 block kubelet_skew w-1 kubelet_too_old"), 1, "{reasons:#?}");
    assert_eq!(has("v1.36.3 hold addons net addon_waiting_unreleased"), 1, "{reasons:#?}");
    assert_eq!(has("v1.36.3 unknown kubelet_skew w-2 source_unreadable"), 1, "{reasons:#?}");
    let nodes = cluster.snapshot.nodes.value.as_mut().unwrap();
    nodes.extend((0..200).map(|number| {
        crate::cluster::snapshot::Node::silent(&format!("{number:03}{}", "n".repeat(300)), Role::Worker)
    }));
    let reasons = shown(&cluster, "verdict_reason_info");
    assert_eq!(reasons.len(), 2 * super::REASONS_MAX);
    assert!(reasons.iter().all(|(labels, _)| labels.len() < 200), "{reasons:#?}");
    assert!(reasons[0].0.starts_with("v1.36.3 block "), "what blocks is told before what is not known");
}

#[test]
fn the_last_whole_verdict_has_a_time_and_a_blind_one_has_none_of_its_own() {
    let cluster = healthy();
    let at = cluster.now.as_duration().as_secs_f64();
    let success = shown(&cluster, "verdict_last_success_timestamp_seconds");
    assert!(success.contains(&("v1.36.3".to_owned(), at)), "{success:?}");
    assert_eq!(shown(&all_at_once(), "verdict_last_success_timestamp_seconds"), []);
}

#[test]
fn the_facts_tell_their_date_their_age_and_the_end_of_the_running_minor() {
    let mut cluster = healthy();
    let sections = cluster.matrix.ages().len();
    assert_eq!(shown(&cluster, "matrix_timestamp_seconds").len(), sections);
    let allowed = shown(&cluster, "matrix_max_age_seconds");
    assert!(
        allowed.len() == sections && allowed.iter().all(|(_, seconds)| *seconds >= 86_400.0),
        "{allowed:?}"
    );
    // 2027-06-28 is its last day.
    let eol = "2027-06-29T00:00:00Z".parse::<jiff::Timestamp>().unwrap().as_duration().as_secs_f64();
    let metric = "running_minor_eol_timestamp_seconds";
    assert_eq!(shown(&cluster, metric), [("1.36".to_owned(), eol)]);
    cluster.matrix = Matrix::default();
    assert_eq!(shown(&cluster, metric), []);
    assert_eq!(shown(&cluster, "matrix_timestamp_seconds"), []);
    assert_eq!(
        shown(&cluster, "matrix_max_age_seconds").len(),
        sections,
        "a section that nobody has is told"
    );
}
