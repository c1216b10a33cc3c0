use serde_json::json;

use super::*;
use crate::cluster::inventory::{Rollout, Workload, WorkloadKind};
use crate::cluster::snapshot::Source;
use crate::drain::Budget;
use crate::facts::{Accept, HelmManifests};
use crate::words::labels::{Requirement, Selector};

fn check(status: Status, is_final: bool) -> Check {
    Check {
        id: "x",
        status,
        scope: Scope::Cluster,
        concerns: Concerns::Compatibility,
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
        (vec![Pass, Pass], Conclusion::Safe),
        (vec![Pass, Block], Conclusion::Blocked),
        (vec![Block, Hold], Conclusion::Held),
        (vec![Hold, Unknown], Conclusion::Unknown),
        (vec![Block, Unknown], Conclusion::Unknown),
        (vec![], Conclusion::Unknown),
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
        assert_eq!(verdict.verdict, Conclusion::Blocked, "{target}");
        assert!(verdict.blind().count() > 0, "{target}");
    }
}

#[test]
fn nothing_read_is_unknown_and_allows_nothing() {
    let mut cluster = healthy();
    cluster.snapshot = Snapshot::unread();
    let verdict = cluster.verdict("v1.36.3");
    assert_eq!(verdict.verdict, Conclusion::Unknown);
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
            "offered",
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
    assert_eq!(whole.verdict, Conclusion::Safe, "{whole:#?}");
    assert!(whole.checks.iter().all(|check| !check.evidence.is_empty()));
    for (source, lose, checks) in LOSSES {
        let mut less = healthy();
        lose(&mut less);
        let verdict = less.verdict("v1.36.3");
        assert_eq!(verdict.verdict, Conclusion::Unknown, "{source}");
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
    assert_eq!(verdict.for_step(&worker, false).verdict, Conclusion::Unknown);
    assert_eq!(verdict.for_step(&worker, true).verdict, Conclusion::Safe);
    assert_eq!(verdict.for_step(&Step::Preflight, true).verdict, Conclusion::Unknown);
}

#[test]
fn what_budgets_lack_holds_only_a_run_that_is_about_to_take_a_node_out_of_service() {
    let at = "2026-11-21T00:00:00Z";
    let token = |attempt: u32| format!("u.7.{attempt}.00ff");
    let waits = |step: &str, attempt| json!({"waiting": {"step": step, "token": token(attempt), "mintedAt": at, "notBefore": at}});
    let works = |step: &str, stage: Option<&str>| {
        let mut active = json!({"step": step, "token": token(1), "startedAt": at, "stageSince": at});
        if let Some(stage) = stage {
            active["stage"] = json!(stage);
            active["node"] =
                json!({"name": "w-1", "uid": "u", "kubeletVersion": "v1.36.1", "unschedulable": false});
        }
        json!({"active": [active]})
    };
    let halted = json!({"halted": {"step": "worker/w-1", "attempt": 3, "at": at, "finding": {"reason": "attempts_exhausted"}}});
    let (free, ours, theirs) = (None, Some("u.5.1.00ff"), Some(""));
    for (status, cordoned, skips_all, expected) in [
        (json!({}), free, false, Conclusion::Held),
        (json!({}), ours, false, Conclusion::Safe),
        (json!({}), theirs, false, Conclusion::Held),
        (json!({}), free, true, Conclusion::Safe),
        (waits("preflight", 1), free, false, Conclusion::Held),
        (works("preflight", None), free, false, Conclusion::Held),
        (waits("worker/w-1", 1), free, false, Conclusion::Held),
        (works("worker/w-1", Some("cordon")), free, false, Conclusion::Held),
        (works("worker/w-1", Some("cordon")), ours, false, Conclusion::Safe),
        (works("worker/w-1", Some("drain")), ours, false, Conclusion::Safe),
        (works("worker/w-1", Some("mutate")), ours, false, Conclusion::Safe),
        (works("worker/w-1", Some("verify")), ours, false, Conclusion::Safe),
        (works("worker/w-1", Some("uncordon")), free, false, Conclusion::Safe),
        // The next attempt on a node that is half done, and a step on another one beside it.
        (waits("worker/w-1", 2), ours, false, Conclusion::Safe),
        (waits("worker/w-1", 2), free, false, Conclusion::Held),
        (waits("control-plane/cp-1", 1), ours, false, Conclusion::Held),
        (waits("worker/w-1", 2), theirs, false, Conclusion::Held),
        (halted.clone(), ours, false, Conclusion::Safe),
        (halted, free, false, Conclusion::Held),
        (waits("postflight", 1), free, false, Conclusion::Held),
        (waits("postflight", 1), free, true, Conclusion::Safe),
    ] {
        let mut cluster = healthy();
        let budget = crate::drain::budget::tests::budget("primary", crate::drain::budget::tests::min(1), 1);
        cluster.inventory.budgets = Source::read(vec![budget], cluster.now);
        cluster.inventory.workloads = Source::read(Vec::new(), cluster.now);
        for node in cluster.snapshot.nodes.value.iter_mut().flatten().filter(|node| node.name.0 == "w-1") {
            node.unschedulable = cordoned.is_some();
            node.cordoned_by = cordoned.filter(|by| !by.is_empty()).map(str::to_owned);
        }
        let mut run = super::check::tests::run("v1.36.3");
        if skips_all {
            let nodes = cluster.snapshot.nodes.value.iter().flatten();
            run.spec.skip = nodes.map(|node| node.name.0.clone()).collect();
        }
        let mut whole = json!({"schemaVersion": 1, "phase": "Waiting", "sequence": 7});
        whole.as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
        run.status = Some(serde_json::from_value(whole.clone()).unwrap());
        let case = format!("{whole} {cordoned:?} {skips_all}");
        assert!(State::parse(run.status.as_ref(), &run.uid).is_ok(), "{case}");
        let verdict = cluster.verdict("v1.36.3");
        assert_eq!(verdict.for_run(&run, &cluster.snapshot).verdict, expected, "{case}");
        // That budgets cannot be read is another matter.
        cluster.inventory.budgets = Source::failed("gone");
        let blind = cluster.verdict("v1.36.3").for_run(&run, &cluster.snapshot);
        assert_eq!(blind.verdict, Conclusion::Unknown, "{case}");
    }
}

#[test]
fn a_budget_that_may_move_is_accepted_by_name_in_the_facts_and_in_the_run_and_no_other_with_it() {
    let mut cluster = healthy();
    let budget = |name| crate::drain::budget::tests::budget(name, crate::drain::budget::tests::min(1), 1);
    let selects =
        |app: &str| Selector::Every(vec![Requirement::In("app".to_owned(), [app.to_owned()].into())]);
    let budgets = ["a", "b"].map(|name| Budget { selector: selects(name), ..budget(name) });
    cluster.inventory.budgets = Source::read(budgets.to_vec(), cluster.now);
    let answer = |cluster: &Healthy, words: &[&str]| {
        let mut run = super::check::tests::run("v1.36.3");
        run.spec.accept_risks = words.iter().map(|&word| word.to_owned()).collect();
        cluster.verdict("v1.36.3").for_run(&run, &cluster.snapshot).verdict
    };
    let (a, b) = ("pdb_may_move@default/a", "pdb_may_move@default/b");
    for (words, expected) in [
        (&[][..], Conclusion::Held),
        (&["pdb_may_move", "pdb_blocked"], Conclusion::Held),
        (&[a], Conclusion::Held),
        (&[a, b], Conclusion::Safe),
    ] {
        assert_eq!(answer(&cluster, words), expected, "{words:?}");
    }
    let row = |subject: &str| Accept {
        check: "disruption_budgets".to_owned(),
        subject: subject.to_owned(),
        reason: None,
        why: "the operator moves it".to_owned(),
        by: "ops".to_owned(),
        until: "2099-12-31".parse().unwrap(),
    };
    cluster.matrix.accept.value.0 = vec![row("default/a")];
    assert_eq!(cluster.verdict("v1.36.3").verdict, Conclusion::Held);
    assert_eq!(answer(&cluster, &[b]), Conclusion::Safe);
    cluster.matrix.accept.value.0.push(row("default/b"));
    assert_eq!(cluster.verdict("v1.36.3").verdict, Conclusion::Safe);
}

#[test]
fn pods_that_make_up_for_a_budget_are_accepted_by_name_in_the_facts() {
    let mut cluster = healthy();
    let budget = crate::drain::budget::tests::budget("a", crate::drain::budget::tests::min(2), 3);
    cluster.inventory.budgets = Source::read(vec![budget], cluster.now);
    let web = Workload {
        rollout: Rollout::done(1),
        ..Workload::silent(WorkloadKind::Deployment, "default", "web")
    };
    cluster.inventory.workloads = Source::read(vec![web], cluster.now);
    assert_eq!(cluster.verdict("v1.36.3").verdict, Conclusion::Held);
    cluster.matrix.accept.value.0 = vec![Accept {
        check: "disruption_budgets".to_owned(),
        subject: "default/a".to_owned(),
        reason: Some(Reason::PdbOfOthers),
        why: "they are of a Rollout".to_owned(),
        by: "ops".to_owned(),
        until: "2099-12-31".parse().unwrap(),
    }];
    assert_eq!(cluster.verdict("v1.36.3").verdict, Conclusion::Safe);
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
        (waits("preflight"), Conclusion::Unknown),
        (works("preflight"), Conclusion::Unknown),
        (waits("snapshot"), Conclusion::Unknown),
        (waits("prepare"), Conclusion::Safe),
        (works("prepare"), Conclusion::Safe),
        (waits("postflight"), Conclusion::Safe),
        (json!({}), Conclusion::Safe),
        (
            json!({"waiting": {"step": "nonsense", "token": "u.1.1.00ff", "mintedAt": at, "notBefore": at}}),
            Conclusion::Unknown,
        ),
    ] {
        let mut run = super::check::tests::run("v1.36.3");
        let mut whole = json!({"schemaVersion": 1, "phase": "Waiting"});
        whole.as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
        run.status = Some(serde_json::from_value(whole.clone()).unwrap());
        assert_eq!(verdict.for_run(&run, &cluster.snapshot).verdict, expected, "{whole}");
    }
}
