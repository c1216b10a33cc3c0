use serde_json::json;

use super::*;
use crate::matrix::HelmManifests;
use crate::snapshot::Source;

fn check(status: Status, is_final: bool) -> Check {
    Check {
        id: "x",
        status,
        scope: Scope::Cluster,
        source: "",
        evidence: Vec::new(),
        findings: Vec::new(),
        classes: Vec::new(),
        notes: Vec::new(),
        recognised: Vec::new(),
        is_final,
    }
}

#[test]
fn unknown_wins_over_hold_and_hold_over_block() {
    use Status::{Block, Hold, Pass, Unknown};
    for (statuses, expected) in [
        (vec![Pass, Pass], Answer::Safe),
        (vec![Pass, Block], Answer::Blocked),
        (vec![Block, Hold], Answer::Held),
        (vec![Hold, Unknown], Answer::Unknown),
        (vec![Block, Unknown], Answer::Unknown),
        (vec![], Answer::Unknown),
    ] {
        let checks: Vec<_> = statuses.iter().map(|&status| check(status, false)).collect();
        assert_eq!(combine(&checks), expected, "{statuses:?}");
    }
}

#[test]
fn a_target_that_can_never_be_gone_to_is_blocked_and_the_blind_checks_stay_in_sight() {
    let mut cluster = healthy();
    cluster.snapshot = Snapshot::unread();
    for target in ["nonsense", "", "v1.37.0-rc.1"] {
        let verdict = cluster.verdict(target);
        assert_eq!(verdict.verdict, Answer::Blocked, "{target}");
        assert!(verdict.blind().count() > 0, "{target}");
    }
}

#[test]
fn nothing_read_is_unknown_and_allows_nothing() {
    let mut cluster = healthy();
    cluster.snapshot = Snapshot::unread();
    let verdict = cluster.verdict("v1.36.3");
    assert_eq!(verdict.verdict, Answer::Unknown);
    assert!(!verdict.allows(cluster.now, &cluster.settings).unwrap_err().is_empty());
}

type Loss = fn(&mut Healthy);

/// A source, how it is lost, and the checks that cannot be made without it.
static LOSSES: [(&str, Loss, &[&str]); 18] = [
    (
        "nodes",
        |cluster| cluster.snapshot.nodes = Source::failed("gone"),
        &[
            "path",
            "kubelet_skew",
            "control_plane_skew",
            "runtime",
            "kernel",
            "cgroup",
            "etcd",
            "flags",
            "addons",
            "removed_apis",
            "disruption_budgets",
            "webhooks",
            "volume_plugins",
        ],
    ),
    (
        "api_servers",
        |cluster| cluster.snapshot.api_servers = Source::failed("gone"),
        &[
            "path",
            "kubelet_skew",
            "control_plane_skew",
            "cloud_controller_skew",
            "flags",
            "addons",
            "removed_apis",
        ],
    ),
    (
        "static_pods",
        |cluster| cluster.snapshot.static_pods = Source::failed("gone"),
        &["kubelet_skew", "control_plane_skew", "cloud_controller_skew", "etcd", "flags"],
    ),
    ("packages", |cluster| cluster.snapshot.packages = Source::failed("gone"), &["offered"]),
    ("kubelet_config", |cluster| cluster.inventory.kubelet_config = Source::failed("gone"), &["flags"]),
    ("kube_proxy_config", |cluster| cluster.inventory.kube_proxy_config = Source::failed("gone"), &["flags"]),
    (
        "definitions",
        |cluster| cluster.inventory.definitions = Source::failed("gone"),
        &["stored_versions", "webhooks"],
    ),
    (
        "workloads",
        |cluster| cluster.inventory.workloads = Source::failed("gone"),
        &[
            "kube_proxy_skew",
            "cloud_controller_skew",
            "addons",
            "disruption_budgets",
            "webhooks",
            "volume_plugins",
        ],
    ),
    ("budgets", |cluster| cluster.inventory.budgets = Source::failed("gone"), &["disruption_budgets"]),
    ("namespaces", |cluster| cluster.inventory.namespaces = Source::failed("gone"), &["webhooks"]),
    ("webhooks", |cluster| cluster.inventory.webhooks = Source::failed("gone"), &["webhooks"]),
    (
        "webhook_backends",
        |cluster| cluster.inventory.webhook_backends = Source::failed("gone"),
        &["webhooks"],
    ),
    (
        "persistent_volumes",
        |cluster| cluster.inventory.persistent_volumes = Source::failed("gone"),
        &["volume_plugins"],
    ),
    (
        "storage_classes",
        |cluster| cluster.inventory.storage_classes = Source::failed("gone"),
        &["volume_plugins"],
    ),
    ("csi_drivers", |cluster| cluster.inventory.csi_drivers = Source::failed("gone"), &["volume_plugins"]),
    ("api_requests", |cluster| cluster.inventory.api_requests = Source::failed("gone"), &["removed_apis"]),
    ("api_writes", |cluster| cluster.inventory.api_writes = Source::failed("gone"), &["removed_apis"]),
    (
        "manifests",
        |cluster| {
            cluster.matrix.policy.value.helm_manifests = HelmManifests::Required;
            cluster.inventory.manifests = Some(Source::failed("gone"));
        },
        &["removed_apis"],
    ),
];

#[test]
fn each_lost_source_blinds_the_checks_that_need_it_and_no_other_and_every_pass_names_its_evidence() {
    let whole = healthy().verdict("v1.36.3");
    assert_eq!(whole.verdict, Answer::Safe, "{whole:#?}");
    assert!(whole.checks.iter().all(|check| !check.evidence.is_empty()));
    for (source, lose, checks) in LOSSES {
        let mut less = healthy();
        lose(&mut less);
        let verdict = less.verdict("v1.36.3");
        assert_eq!(verdict.verdict, Answer::Unknown, "{source}");
        let blind: Vec<&str> = verdict.blind().map(|check| check.id).collect();
        assert_eq!(blind, checks, "{source}");
        assert!(verdict.findings().any(|finding| finding.subject == source), "{source}: {verdict:#?}");
    }
}

#[test]
fn a_verdict_allows_within_its_time_to_live_only() {
    let cluster = healthy();
    let (settings, now) = (&cluster.settings, cluster.now);
    let verdict = cluster.verdict("v1.36.3");
    let after = |seconds| now + jiff::SignedDuration::from_secs(seconds);
    assert_eq!(verdict.allows(after(60), settings), Ok(()));
    assert_eq!(verdict.allows(after(61), settings).unwrap_err()[0].reason, Reason::VerdictStale);
    assert!(
        verdict.allows(after(-1), settings).is_err(),
        "a verdict from the future: the clock was set back"
    );
}

#[test]
fn a_verdict_without_a_check_stands_in_the_way() {
    let cluster = healthy();
    let none = Verdict::of("v1.36.3".to_owned(), cluster.now, Vec::new());
    let found = none.allows(cluster.now, &cluster.settings).unwrap_err();
    assert_eq!(found.iter().map(|finding| finding.reason).collect::<Vec<_>>(), [Reason::VerdictUnknown]);
}

#[test]
fn checks_of_the_whole_cluster_are_frozen_once_the_control_plane_has_begun() {
    let mut cluster = healthy();
    cluster.snapshot.packages = Source::failed("gone");
    let verdict = cluster.verdict("v1.36.3");
    let worker = Step::Worker("w-1".into());
    assert_eq!(verdict.for_step(&worker, false).verdict, Answer::Unknown);
    assert_eq!(verdict.for_step(&worker, true).verdict, Answer::Safe);
    assert_eq!(verdict.for_step(&Step::Preflight, true).verdict, Answer::Unknown);
}

#[test]
fn preflight_of_a_run_is_asked_everything_although_a_control_plane_node_is_at_the_target() {
    let mut cluster = healthy();
    cluster.snapshot.packages = Source::failed("gone");
    cluster.snapshot.api_servers.value.as_mut().unwrap()[0].version = super::check::tests::version("v1.36.3");
    let verdict = cluster.verdict("v1.36.3");
    let at = "2026-11-21T00:00:00Z";
    let waits = |step: &str| json!({"sequence": 1, "waiting": {"step": step, "token": "u.1.1.00ff", "mintedAt": at, "notBefore": at}});
    let works = |step: &str| json!({"sequence": 1, "active": [{"step": step, "token": "u.1.1.00ff", "startedAt": at, "stageSince": at}]});
    for (status, expected) in [
        (waits("preflight"), Answer::Unknown),
        (works("preflight"), Answer::Unknown),
        (waits("snapshot"), Answer::Unknown),
        (waits("prepare"), Answer::Safe),
        (works("prepare"), Answer::Safe),
        (waits("postflight"), Answer::Safe),
        (json!({}), Answer::Safe),
        (
            json!({"waiting": {"step": "nonsense", "token": "u.1.1.00ff", "mintedAt": at, "notBefore": at}}),
            Answer::Unknown,
        ),
    ] {
        let mut run = super::check::tests::run("v1.36.3");
        let mut whole = json!({"schemaVersion": 1, "phase": "Waiting"});
        whole.as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
        run.status = Some(serde_json::from_value(whole.clone()).unwrap());
        assert_eq!(verdict.for_run(&run, &cluster.snapshot).verdict, expected, "{whole}");
    }
}
