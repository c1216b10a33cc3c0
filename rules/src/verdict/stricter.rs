//! Where the verdict is stricter than a check by minors alone, or looser, one claim a test, asked of whole verdicts. What
//! only one check knows stands in the tests of that check.

use super::check::tests::{api_server, node, packages, pod, version};
use super::*;
use crate::cluster::inventory::{Rollout, Workload, WorkloadKind};
use crate::cluster::snapshot::{Node, Role, Source};
use crate::facts::{GateChanges, Matrix};

/// The answer, and the reasons of all findings, each once.
fn conclude(target: &str, change: impl FnOnce(&mut Healthy)) -> (Conclusion, Vec<&'static str>) {
    let mut cluster = healthy();
    change(&mut cluster);
    let verdict = cluster.verdict(target);
    let mut reasons: Vec<_> = verdict.findings().map(|finding| finding.reason.code()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    (verdict.verdict, reasons)
}

/// The whole cluster at another version, with `offered` published.
fn running(cluster: &mut Healthy, runs: &str, offered: &str) {
    let snapshot = &mut cluster.snapshot;
    for node in snapshot.nodes.value.iter_mut().flatten() {
        node.kubelet_version = version(runs);
    }
    snapshot.api_servers.value = Some(vec![api_server("cp-1", runs)]);
    for pod in snapshot.static_pods.value.iter_mut().flatten().filter(|pod| pod.component != "etcd") {
        pod.version = version(runs);
    }
    snapshot.packages = Source::read(packages(&[runs, offered]), cluster.now);
}

fn worker(change: impl FnOnce(Node) -> Node) -> impl FnOnce(&mut Healthy) {
    |cluster| {
        let nodes = cluster.snapshot.nodes.value.as_mut().unwrap();
        let worker = nodes.pop().unwrap();
        nodes.push(change(worker));
    }
}

fn on(runtime: &'static str) -> impl FnOnce(&mut Healthy) {
    worker(move |node| Node { container_runtime: runtime.to_owned(), ..node })
}

fn etcd(cluster: &mut Healthy, tag: &str) {
    let pods = cluster.snapshot.static_pods.value.as_mut().unwrap();
    pods.retain(|pod| pod.component != "etcd");
    pods.push(pod("etcd", "cp-1", tag));
}

/// Nothing is lost on the way to this minor.
fn know_gates(cluster: &mut Healthy, minor: u64) {
    let minor = crate::words::version::Minor { major: 1, minor };
    let (removed, locked) = Default::default();
    let row = GateChanges { minor, removed, locked, source: "https://example.com/gates".to_owned() };
    cluster.matrix.components.value.gates.push(row);
}

fn mistakes(row: &str) -> Vec<String> {
    let place = "name: net, namespace: n, kind: ds, resource: net, source: \"https://example.com/net\", claim: tested";
    let text = format!("schema: 2\nas_of: \"2026-08-22\"\naddons:\n  - {{{place}, {row}}}\n");
    Matrix::load(&[("mine.yaml", &text)]).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_that_can_be_read_is_unknown() {
    let lost = |cluster: &mut Healthy| {
        cluster.snapshot = Snapshot::unread();
        cluster.inventory = Inventory::unread();
    };
    assert_eq!(conclude("v1.36.3", lost).0, Conclusion::Unknown);
}

#[test]
fn nodes_that_cannot_be_listed_and_an_empty_list_are_unknown() {
    for nodes in [Source::failed("forbidden"), Source::read(Vec::new(), healthy().now)] {
        assert_eq!(conclude("v1.36.3", |cluster| cluster.snapshot.nodes = nodes).0, Conclusion::Unknown);
    }
}

#[test]
fn a_runtime_that_says_nothing_is_unknown() {
    for runtime in ["", "containerd://", "containerd://unknown", "other://1.0.0"] {
        assert_eq!(
            conclude("v1.36.3", on(runtime)),
            (Conclusion::Unknown, vec!["runtime_unknown"]),
            "{runtime}"
        );
    }
}

#[test]
fn docker_blocks() {
    assert_eq!(
        conclude("v1.36.3", on("docker://20.10.7")),
        (Conclusion::Blocked, vec!["runtime_not_recommended"])
    );
}

/// Each branch of containerd has its own first release that is recommended; an older one is told, and not in the way.
#[test]
fn each_branch_of_containerd_has_its_own_recommended_release() {
    for (release, is_noted) in [
        ("1.6.38", true),
        ("1.6.39", false),
        ("1.7.20", true),
        ("1.7.28", false),
        ("2.0.5", true),
        ("2.0.6", false),
        ("2.1.2", true),
        ("2.1.3", false),
        ("2.2.0", false),
    ] {
        let mut cluster = healthy();
        running(&mut cluster, "v1.33.9", "v1.34.2");
        for node in cluster.snapshot.nodes.value.iter_mut().flatten() {
            node.container_runtime = format!("containerd://{release}");
        }
        let verdict = cluster.verdict("v1.34.2");
        let runtime = verdict.checks.iter().find(|check| check.id == "runtime").unwrap();
        let noted = runtime.notes.iter().any(|note| note.reason == Reason::RuntimeNotRecommended);
        assert_eq!((verdict.verdict, noted), (Conclusion::Safe, is_noted), "{release}");
    }
}

#[test]
fn the_floor_of_the_next_lower_minor_counts() {
    assert_eq!(
        conclude("v1.37.0", on("containerd://1.5.18")),
        (Conclusion::Blocked, vec!["runtime_too_old"])
    );
    assert_eq!(conclude("v1.37.0", on("containerd://1.6.0")), (Conclusion::Safe, vec![]));
    assert_eq!(conclude("v1.37.0", |_| {}), (Conclusion::Safe, vec![]));
}

#[test]
fn every_mistake_of_a_file_is_told_and_the_other_checks_are_made() {
    let said_of = mistakes("image_re: 'net:v(\\d+)', max_k8s: {1.29: 1.32}, min_k8s: [], pinned: 1");
    assert!(said_of.len() >= 3, "{said_of:#?}");
    assert!(said_of.iter().all(|mistake| mistake.starts_with("mine.yaml:4:")), "{said_of:#?}");
    assert!(said_of.iter().any(|mistake| mistake.contains("1.32")), "{said_of:#?}");
    let stale = |cluster: &mut Healthy| cluster.matrix.addons.as_of = None;
    assert_eq!(conclude("v1.36.3", stale), (Conclusion::Unknown, vec!["matrix_stale"]));
}

#[test]
fn a_pattern_that_cannot_be_read_or_captures_nothing_is_refused() {
    for pattern in [r"net:v\d+", r"net:v(?P<a>\d+", r"net:v((?<=a)\d+)\1"] {
        let said = mistakes(&format!("image_re: '{pattern}', max_k8s: {{\"1.0\": \"1.36\"}}"));
        assert!(said.iter().any(|mistake| mistake.contains("image_re")), "{pattern}: {said:#?}");
    }
}

#[test]
fn a_minor_that_is_skipped_a_way_down_and_another_major_block() {
    for (target, reason) in [
        ("v1.38.0", "target_skips_minor"),
        ("v1.36.0", "target_downgrade"),
        ("v1.35.9", "target_downgrade"),
        ("v2.0.0", "target_other_major"),
    ] {
        let (answer, reasons) = conclude(target, |_| {});
        assert!(
            answer == Conclusion::Blocked && reasons.contains(&reason),
            "{target}: {answer:?} {reasons:?}"
        );
    }
}

#[test]
fn skew_beyond_what_is_supported_blocks() {
    let kubelet = |version: &'static str| {
        worker(move |node| Node { kubelet_version: super::check::tests::version(version), ..node })
    };
    assert_eq!(conclude("v1.36.3", kubelet("v1.33.9")).0, Conclusion::Safe);
    let older = |cluster: &mut Healthy| {
        kubelet("v1.32.9")(cluster);
        know_gates(cluster, 33);
    };
    assert_eq!(conclude("v1.36.3", older), (Conclusion::Blocked, vec!["kubelet_too_old"]));
    let apart = |cluster: &mut Healthy| {
        let nodes = cluster.snapshot.nodes.value.as_mut().unwrap();
        nodes.push(node("cp-2", Role::ControlPlane, "v1.34.9"));
        cluster.snapshot.api_servers.value.as_mut().unwrap().push(api_server("cp-2", "v1.34.9"));
    };
    assert!(
        conclude("v1.36.3", apart).1.contains(&"control_plane_skewed"),
        "{:?}",
        conclude("v1.36.3", apart)
    );
    let ahead = |cluster: &mut Healthy| {
        for pod in cluster.snapshot.static_pods.value.iter_mut().flatten() {
            if pod.component == "kube-controller-manager" {
                pod.version = version("v1.37.0");
            }
        }
    };
    assert_eq!(conclude("v1.37.0", ahead).1, ["control_plane_skewed"]);
}

#[test]
fn an_etcd_that_loses_members_on_the_way_blocks() {
    let change = |tag: &'static str| {
        move |cluster: &mut Healthy| {
            running(cluster, "v1.33.9", "v1.34.2");
            etcd(cluster, tag);
        }
    };
    assert_eq!(conclude("v1.34.2", change("3.5.31-0")), (Conclusion::Blocked, vec!["etcd_too_old"]));
    assert_eq!(conclude("v1.34.2", change("3.5.32-0")).0, Conclusion::Safe);
}

#[test]
fn a_budget_that_is_never_satisfied_blocks() {
    let guarded = |cluster: &mut Healthy| {
        let budgets =
            vec![crate::drain::budget::tests::budget("all", crate::drain::budget::tests::min(2), 2)];
        cluster.inventory.budgets = Source::read(budgets, cluster.now);
        let web = Workload {
            rollout: Rollout::done(2),
            ..Workload::silent(WorkloadKind::Deployment, "default", "web")
        };
        cluster.inventory.workloads = Source::read(vec![web], cluster.now);
    };
    assert_eq!(conclude("v1.36.3", guarded), (Conclusion::Blocked, vec!["pdb_blocked"]));
}

#[test]
fn what_only_looks_like_a_version_is_none() {
    let words = ["release 1.34 to 1.35", "k8s-1.35-foo", "-1.35", "１.３５.0", "1.36", "1.36.3 ", " 1.36.3"];
    for target in words.into_iter().chain(["1.99999999999999999999.0"]) {
        let (answer, reasons) = conclude(target, |_| {});
        assert!(
            answer != Conclusion::Safe && reasons.contains(&"target_not_a_version"),
            "{target:?}: {reasons:?}"
        );
    }
}

#[test]
fn a_pre_release_blocks() {
    for target in ["v1.37.0-rc.1", "v1.36.3-alpha.0"] {
        let (answer, reasons) = conclude(target, |_| {});
        assert!(
            answer == Conclusion::Blocked && reasons.contains(&"target_prerelease"),
            "{target}: {reasons:?}"
        );
    }
}

#[test]
fn a_word_is_no_boolean() {
    let said = mistakes(r#"image_re: 'net:v(\d+)', max_k8s: {"1.0": "1.36"}, pinned: "false""#);
    assert!(said.iter().any(|mistake| mistake.contains("pinned: found the text \"false\"")), "{said:#?}");
}

#[test]
fn a_verdict_is_worth_nothing_after_its_time_to_live() {
    let cluster = healthy();
    let verdict = cluster.verdict("v1.36.3");
    let later = cluster.now + jiff::SignedDuration::from_secs(61);
    assert_eq!(verdict.allows(later, &cluster.settings).unwrap_err()[0].reason, Reason::VerdictStale);
}

#[test]
fn cri_o_is_judged_by_its_own_rule() {
    for (release, answer) in [
        ("1.37.0", Conclusion::Safe),
        ("1.36.1", Conclusion::Blocked),
        ("1.34.0", Conclusion::Blocked),
        ("1.38.0", Conclusion::Unknown),
    ] {
        let change = worker(move |node| Node { container_runtime: format!("cri-o://{release}"), ..node });
        assert_eq!(conclude("v1.37.0", change).0, answer, "{release}");
    }
}
