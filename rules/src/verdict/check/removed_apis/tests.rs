//! Who uses what goes. The cluster runs v1.36.1; 1.37 takes storage.k8s.io/v1beta1
//! VolumeAttributesClass away, 1.38 resource.k8s.io/v1beta1, 1.25 took batch/v1beta1 CronJob.

use super::super::tests::{Healthy, healthy, outcome, version};
use super::check;
use crate::cluster::inventory::{ApiKind, ApiWrite, Caller, HelmRelease, RequestedApi, ScrapedServer, Seen};
use crate::cluster::snapshot::{Role, Source};
use crate::facts::{Accept, Ghosts, HelmManifests, ShortProof};
use crate::reason::Reason;
use crate::verdict::{Check, Conclusion, Status};
use crate::words::version::Minor;

type Change = fn(&mut Healthy);

/// The check as it is told with all the others.
fn removed_apis(target: &str, cluster: &Healthy) -> Check {
    let checks = cluster.verdict(target).checks;
    checks.into_iter().find(|check| check.id == "removed_apis").expect("one of every verdict's checks")
}

fn requested(api: &str, removed_release: &str, seen: Seen, caller: Caller) -> RequestedApi {
    let [group, version, resource] = api.split(' ').collect::<Vec<_>>().try_into().unwrap();
    RequestedApi {
        group: group.to_owned(),
        version: version.to_owned(),
        resource: resource.to_owned(),
        subresource: String::new(),
        removed_release: removed_release.to_owned(),
        instance: "cp-1:6443".to_owned(),
        seen,
        caller,
    }
}

fn with(requested: RequestedApi) -> impl FnOnce(&mut Healthy) {
    move |cluster| cluster.inventory.api_requests.value.as_mut().unwrap().requested.push(requested)
}

const CLASSES: &str = "storage.k8s.io v1beta1 volumeattributesclasses";
const CRON_JOBS: &str = "batch v1beta1 cronjobs";

#[test]
fn what_is_asked_for_blocks_when_the_target_does_not_serve_it() {
    use Caller::{Ghost, Live, Unknown};
    use Seen::{Earlier, Now};
    for (api, label, seen, caller, target, status, reason) in [
        // The label alone, as the first gate judges it.
        ("example.com v1 widgets", "1.37", Now, Live, "v1.37.0", Status::Block, "api_requested"),
        ("example.com v1 widgets", "1.37", Now, Unknown, "v1.37.0", Status::Block, "api_requested"),
        ("example.com v1 widgets", "1.37", Now, Live, "v1.36.3", Status::Pass, ""),
        ("example.com v1 widgets", "", Now, Live, "v1.37.0", Status::Pass, ""),
        // The smaller of label and table, either way round.
        (CLASSES, "1.40", Now, Live, "v1.37.0", Status::Block, "api_requested"),
        (CLASSES, "", Now, Live, "v1.37.0", Status::Block, "api_requested"),
        (
            "resource.k8s.io v1beta1 resourceclaims",
            "1.37",
            Now,
            Live,
            "v1.37.0",
            Status::Block,
            "api_requested",
        ),
        (CLASSES, "1.37", Now, Live, "v1.36.3", Status::Pass, ""),
        // The API server has restarted since.
        (CLASSES, "1.37", Earlier, Unknown, "v1.37.0", Status::Block, "api_requested"),
        // The window holds what an older minor served, which is in nobody's way; what runs and serves it is.
        (CRON_JOBS, "1.25", Earlier, Unknown, "v1.36.3", Status::Pass, ""),
        (CRON_JOBS, "1.25", Earlier, Unknown, "v1.37.0", Status::Pass, ""),
        (CRON_JOBS, "1.25", Now, Live, "v1.36.3", Status::Block, "api_requested"),
        // The table may be wrong about the past, the label then tells the future.
        (CRON_JOBS, "1.37", Earlier, Unknown, "v1.37.0", Status::Block, "api_requested"),
        // A ghost is told as such.
        (CLASSES, "1.37", Now, Ghost, "v1.37.0", Status::Block, "api_request_ghost"),
        ("example.com v1 widgets", "next", Now, Live, "v1.36.3", Status::Unknown, "api_removal_unreadable"),
        (
            "example.com v1 widgets",
            "v1.36.0",
            Now,
            Live,
            "v1.36.3",
            Status::Unknown,
            "api_removal_unreadable",
        ),
        (
            "example.com v1 widgets",
            "1",
            Earlier,
            Unknown,
            "v1.36.3",
            Status::Unknown,
            "api_removal_unreadable",
        ),
    ] {
        let reasons = if reason.is_empty() { vec![] } else { vec![reason] };
        let found = outcome(check, target, with(requested(api, label, seen, caller)));
        assert_eq!(found, (status, reasons), "{api} {label:?} {seen:?} {caller:?} {target}");
    }
}

#[test]
fn an_unreadable_end_hides_no_other_finding() {
    let found = outcome(check, "v1.37.0", with(requested(CLASSES, "next", Seen::Now, Caller::Live)));
    assert_eq!(found, (Status::Unknown, vec!["api_requested", "api_removal_unreadable"]));
}

#[test]
fn api_servers_of_two_minors_hold_back_what_the_older_one_was_asked_for() {
    let behind = |seen| {
        move |cluster: &mut Healthy| {
            let servers = cluster.snapshot.api_servers.value.as_mut().unwrap();
            servers.push(super::super::tests::api_server("cp-2", "v1.37.0"));
            with(requested(CLASSES, "1.37", seen, Caller::Unknown))(cluster);
        }
    };
    assert_eq!(outcome(check, "v1.37.0", behind(Seen::Now)).0, Status::Block);
    assert_eq!(outcome(check, "v1.37.0", behind(Seen::Earlier)).0, Status::Pass);
}

#[test]
fn the_worst_of_all_api_servers_is_told_once_with_all_of_them() {
    let mut cluster = healthy();
    let ghost = requested(CLASSES, "1.37", Seen::Earlier, Caller::Ghost);
    with(ghost.clone())(&mut cluster);
    with(RequestedApi { instance: "cp-2:6443".to_owned(), seen: Seen::Now, caller: Caller::Live, ..ghost })(
        &mut cluster,
    );
    let check = removed_apis("v1.37.0", &cluster);
    assert_eq!(check.findings.len(), 1, "{check:#?}");
    assert_eq!(check.findings[0].subject, "storage.k8s.io/v1beta1 volumeattributesclasses");
    assert_eq!(
        check.findings[0].detail,
        "1.37 does not serve it; asked for within two hours, at cp-1:6443, cp-2:6443"
    );
}

#[test]
fn an_accepted_ghost_is_noted_and_nothing_else_is_accepted_with_it() {
    for (seen, caller, status) in [
        (Seen::Now, Caller::Ghost, Status::Pass),
        (Seen::Now, Caller::Unknown, Status::Block),
        (Seen::Now, Caller::Live, Status::Block),
        (Seen::Earlier, Caller::Unknown, Status::Block),
    ] {
        let mut cluster = healthy();
        cluster.matrix.policy.value.deprecated_api_ghosts = Ghosts::Note;
        with(requested(CLASSES, "1.37", seen, caller))(&mut cluster);
        let check = removed_apis("v1.37.0", &cluster);
        assert_eq!(check.status, status, "{seen:?} {caller:?}");
        let is_noted = check.notes.iter().any(|note| note.reason == Reason::ApiRequestGhost);
        assert_eq!(is_noted, status == Status::Pass, "{seen:?} {caller:?}");
    }
}

fn servers(cluster: &mut Healthy) -> &mut Vec<ScrapedServer> {
    &mut cluster.inventory.api_requests.value.as_mut().unwrap().servers
}

fn second_control_plane(cluster: &mut Healthy) {
    let mut node = super::super::tests::node("cp-2", Role::ControlPlane, "v1.36.1");
    node.internal_ips = vec!["10.0.0.2".to_owned(), "fd00::2".to_owned()];
    cluster.snapshot.nodes.value.as_mut().unwrap().push(node);
}

/// A second control-plane node, whose API server Prometheus knows as `instance`.
fn second(cluster: &mut Healthy, instance: &str) {
    second_control_plane(cluster);
    let server = ScrapedServer { instance: instance.to_owned(), ..servers(cluster)[0].clone() };
    servers(cluster).push(server);
}

#[test]
fn nothing_asked_for_passes_only_where_every_api_server_was_watched() {
    let cases: [(&str, Change, Status, &[&str]); 15] = [
        ("one that is watched", |_| {}, Status::Pass, &[]),
        ("no samples at all", |it| servers(it).clear(), Status::Unknown, &["api_server_not_scraped"]),
        ("the second is not known", second_control_plane, Status::Unknown, &["api_server_not_scraped"]),
        ("both are watched", |it| second(it, "[fd00:0::2]:6443"), Status::Pass, &[]),
        (
            "both are watched, the second at its first address",
            |it| second(it, "10.0.0.2:6443"),
            Status::Pass,
            &[],
        ),
        ("the second without a port", |it| second(it, "[fd00:0::2]"), Status::Pass, &[]),
        ("the second by its name, without a port", |it| second(it, "cp-2"), Status::Pass, &[]),
        (
            "the first is watched twice",
            |it| second(it, "cp-1:10250"),
            Status::Unknown,
            &["api_server_not_scraped"],
        ),
        ("not now", |it| servers(it)[0].is_scraped = false, Status::Unknown, &["api_server_not_scraped"]),
        ("short", |it| servers(it)[0].proven_seconds = 28 * 86_400, Status::Pass, &[]),
        ("too short", |it| servers(it)[0].proven_seconds = 6 * 86_400, Status::Hold, &["api_proof_short"]),
        ("an hour is missing", |it| servers(it)[0].proven_seconds -= 3_600, Status::Pass, &[]),
        (
            "asked for less than the window",
            |it| it.inventory.api_requests.value.as_mut().unwrap().window_seconds = 86_400,
            Status::Hold,
            &["api_proof_short"],
        ),
        (
            "less is asked for",
            |it| {
                servers(it)[0].proven_seconds = 86_400;
                it.matrix.policy.value.deprecated_api_window_days = 1;
            },
            Status::Pass,
            &[],
        ),
        (
            "no control plane",
            |it| {
                it.snapshot.nodes.value.as_mut().unwrap().remove(0);
            },
            Status::Unknown,
            &["no_nodes"],
        ),
    ];
    for (name, change, status, reasons) in cases {
        assert_eq!(outcome(check, "v1.37.0", change), (status, reasons.to_vec()), "{name}");
    }
}

#[test]
fn a_week_of_proof_is_noted_and_less_is_a_hold_that_a_person_may_accept() {
    let days = |days: u64| days * 86_400;
    for (seconds, target, status, words) in [
        (days(30), "v1.37.0", Status::Pass, ""),
        (days(10), "v1.37.0", Status::Pass, "proved for 10 days, and 30 days are asked for; what is called"),
        // An API server that was away for an hour while it was patched.
        (days(7) - 3_600, "v1.37.0", Status::Pass, "proved for 6 days, and 30 days"),
        (days(6), "v1.37.0", Status::Hold, "proved for 6 days, and 30 days are asked for; wait for 7 days"),
        (7_200, "v1.37.0", Status::Hold, "proved for 2 h"),
        (0, "v1.37.0", Status::Hold, "proved for 0 s"),
        (0, "v1.36.3", Status::Pass, "proved for 0 s, and 30 days are asked for; keep samples"),
    ] {
        let mut cluster = healthy();
        servers(&mut cluster)[0].proven_seconds = seconds;
        let check = removed_apis(target, &cluster);
        assert_eq!(check.status, status, "{seconds} {target}");
        let told = check.findings.iter().chain(&check.notes).find(|it| it.reason == Reason::ApiProofShort);
        let told = told.map(|it| it.detail.as_str()).unwrap_or_default();
        assert!(told.starts_with(words) && told.is_empty() == words.is_empty(), "{seconds} {target}: {told}");
        assert!(words.is_empty() || told.contains("prometheusSpec.retention"), "{told}");
    }
    let mut cluster = healthy();
    servers(&mut cluster)[0].proven_seconds = days(3);
    let row = Accept {
        check: "removed_apis".to_owned(),
        subject: "cp-1".to_owned(),
        reason: Some(Reason::ApiProofShort),
        why: "the audit log has no caller".to_owned(),
        by: "ops".to_owned(),
        until: "2099-12-31".parse().unwrap(),
    };
    cluster.matrix.accept.value.0.push(row);
    assert_eq!(removed_apis("v1.37.0", &cluster).status, Status::Pass);
    // That it is not scraped now is unknown, and is not accepted with it.
    servers(&mut cluster)[0].is_scraped = false;
    assert_eq!(removed_apis("v1.37.0", &cluster).status, Status::Unknown);
}

#[test]
fn a_short_proof_is_noted_where_that_is_wished() {
    let mut cluster = healthy();
    servers(&mut cluster)[0].proven_seconds = 60;
    cluster.matrix.policy.value.deprecated_api_short_proof = ShortProof::Note;
    let noted = (Status::Pass, vec![Reason::ApiProofShort, Reason::HelmNotRead]);
    let outcome_of = |cluster: &Healthy, target| {
        let check = removed_apis(target, cluster);
        (check.status, check.notes.iter().map(|note| note.reason).collect::<Vec<_>>())
    };
    assert_eq!(outcome_of(&cluster, "v1.37.0"), noted);
    // Within a minor nothing goes.
    cluster.matrix.policy.value.deprecated_api_short_proof = ShortProof::Unknown;
    assert_eq!(outcome_of(&cluster, "v1.36.3"), noted);
    assert_eq!(outcome_of(&cluster, "v1.37.0").0, Status::Unknown);
}

/// 1.34 took resource.k8s.io/v1alpha3 away, which its types declare of 1.37; a usual one is marked for three minors.
#[test]
fn what_goes_before_it_is_marked_is_noted() {
    let mut cluster = healthy();
    let early = |cluster: &Healthy, target| {
        let notes = removed_apis(target, cluster).notes.into_iter();
        notes.filter(|note| note.reason == Reason::ApiUnmarked).map(|note| note.subject).collect::<Vec<_>>()
    };
    assert_eq!(early(&cluster, "v1.37.0"), Vec::<String>::new());
    for server in cluster.snapshot.api_servers.value.iter_mut().flatten() {
        server.version = version("v1.33.4");
    }
    assert_eq!(early(&cluster, "v1.34.0"), ["resource.k8s.io/v1alpha3"]);
}

fn written(api_version: &str, kind: &str, manager: &str) -> impl FnOnce(&mut Healthy) {
    let write = ApiWrite {
        api: ApiKind::of(api_version, kind),
        manager: manager.to_owned(),
        time: None,
        object: "gold".to_owned(),
        count: 2,
    };
    move |cluster| cluster.inventory.api_writes.value.as_mut().unwrap().writes.push(write)
}

#[test]
fn what_is_written_in_a_version_that_goes_blocks() {
    let classes = ("storage.k8s.io/v1beta1", "VolumeAttributesClass");
    for ((api_version, kind), manager, target, status) in [
        (classes, "kubectl-edit", "v1.37.0", Status::Block),
        (classes, "kubectl-edit", "v1.36.3", Status::Pass),
        (classes, "kube-controller-manager", "v1.37.0", Status::Pass),
        (("storage.k8s.io/v1", "VolumeAttributesClass"), "kubectl-edit", "v1.37.0", Status::Pass),
        (("batch/v1beta1", "CronJob"), "kubectl-edit", "v1.37.0", Status::Pass),
    ] {
        let found = outcome(check, target, written(api_version, kind, manager)).0;
        assert_eq!(found, status, "{api_version} {kind} {manager} {target}");
    }
    let mut cluster = healthy();
    written(classes.0, classes.1, "argocd")(&mut cluster);
    assert_eq!(
        removed_apis("v1.37.0", &cluster).findings[0].detail,
        "argocd wrote 2 of them, gold last; 1.37 does not serve it"
    );
    cluster.matrix.policy.value.ignored_api_writers.push("argocd".to_owned());
    assert_eq!(removed_apis("v1.37.0", &cluster).status, Status::Pass);
}

fn release(api: &ApiKind) -> HelmRelease {
    HelmRelease {
        namespace: "storage".to_owned(),
        name: "driver".to_owned(),
        chart: "csi".to_owned(),
        chart_version: "1.2.3".to_owned(),
        app_version: String::new(),
        kube_version: String::new(),
        kinds: vec![api.clone()],
    }
}

#[test]
fn a_stored_manifest_that_the_target_does_not_serve_blocks_and_one_that_was_gone_before_is_noted() {
    for (api, target, status, notes) in [
        (ApiKind::of("storage.k8s.io/v1beta1", "VolumeAttributesClass"), "v1.37.0", Status::Block, 0),
        (ApiKind::of("storage.k8s.io/v1beta1", "VolumeAttributesClass"), "v1.36.3", Status::Pass, 0),
        (ApiKind::of("batch/v1beta1", "CronJob"), "v1.37.0", Status::Pass, 1),
        (ApiKind::of("v1", "ConfigMap"), "v1.37.0", Status::Pass, 0),
    ] {
        let release = release(&api);
        let mut cluster = healthy();
        cluster.matrix.policy.value.helm_manifests = HelmManifests::Required;
        cluster.inventory.manifests = Some(Source::read(vec![release], cluster.now));
        let check = removed_apis(target, &cluster);
        assert_eq!((check.status, check.notes.len()), (status, notes), "{api} {target}");
        assert!(check.findings.iter().all(|finding| finding.subject == "storage/driver"));
    }
}

#[test]
fn helm_is_heard_only_where_that_is_wished_and_its_silence_is_noted_or_unknown() {
    use HelmManifests::{Note, Required};
    let now = healthy().now;
    let gone = || Some(Source::failed("gone"));
    for (policy, manifests, status, evidence) in [
        (Note, None, Status::Pass, false),
        (Note, gone(), Status::Pass, false),
        (Required, Some(Source::read(Vec::new(), now)), Status::Unknown, true),
        (
            Required,
            Some(Source::read(vec![release(&ApiKind::of("v1", "ConfigMap"))], now)),
            Status::Pass,
            true,
        ),
        (Required, gone(), Status::Unknown, false),
        (Required, None, Status::Unknown, false),
    ] {
        let mut cluster = healthy();
        cluster.matrix.policy.value.helm_manifests = policy;
        cluster.inventory.manifests = manifests.clone();
        let check = removed_apis("v1.37.0", &cluster);
        assert_eq!(check.status, status, "{policy:?} {manifests:?}");
        assert_eq!(check.evidence.iter().any(|read| read.source == "manifests"), evidence, "{check:#?}");
        let is_noted = check.notes.iter().any(|note| note.reason == Reason::HelmNotRead);
        assert_eq!(is_noted, policy == Note, "{check:#?}");
    }
}

#[test]
fn what_nobody_looked_for_is_unknown_where_the_target_takes_it_away() {
    let forget: Change = |it| it.inventory.api_writes.value.as_mut().unwrap().asked.clear();
    assert_eq!(outcome(check, "v1.37.0", forget), (Status::Unknown, vec!["source_unreadable"]));
    assert_eq!(outcome(check, "v1.36.3", forget), (Status::Pass, vec![]));
    let next_only: Change = |it| {
        let going =
            it.matrix.removed_apis.value.going(Minor { major: 1, minor: 36 }, Minor { major: 1, minor: 37 });
        it.inventory.api_writes.value.as_mut().unwrap().asked = going;
    };
    assert_eq!(outcome(check, "v1.38.0", next_only), (Status::Unknown, vec!["source_unreadable"]));
    // A file of facts that came after the read knows of more.
    let more: Change = |it| {
        let mut row = it.matrix.removed_apis.value.kinds[0].clone();
        row.removed = Minor { major: 1, minor: 37 };
        row.version = "v0new".to_owned();
        it.matrix.removed_apis.value.kinds.push(row);
    };
    assert_eq!(outcome(check, "v1.37.0", more).0, Status::Unknown);
}

#[test]
fn each_lost_source_is_unknown_even_beside_a_blocker() {
    let losses: [(&str, Change); 6] = [
        ("api_requests", |it| it.inventory.api_requests = Source::failed("gone")),
        ("api_writes", |it| it.inventory.api_writes = Source::failed("gone")),
        ("manifests", |it| {
            it.matrix.policy.value.helm_manifests = HelmManifests::Required;
            it.inventory.manifests = Some(Source::failed("gone"));
        }),
        ("nodes", |it| it.snapshot.nodes = Source::failed("gone")),
        ("api_servers", |it| it.snapshot.api_servers = Source::failed("gone")),
        ("api_requests", |it| {
            let asked_at = it.now - jiff::SignedDuration::from_secs(301);
            it.inventory.api_requests.proven_at = Some(asked_at);
        }),
    ];
    for (source, lose) in losses {
        for is_blocked in [false, true] {
            let mut cluster = healthy();
            if is_blocked {
                written("storage.k8s.io/v1beta1", "VolumeAttributesClass", "helm")(&mut cluster);
            }
            lose(&mut cluster);
            let check = removed_apis("v1.37.0", &cluster);
            assert_eq!(check.status, Status::Unknown, "{source}");
            assert!(check.findings.iter().any(|finding| finding.subject == source), "{source}: {check:#?}");
        }
    }
}

#[test]
fn what_cannot_be_compared_is_unknown() {
    let odd: Change = |it| it.snapshot.api_servers.value.as_mut().unwrap()[0].version = version("unreadable");
    assert_eq!(outcome(check, "v1.36.3", odd).0, Status::Unknown);
    let stale: Change = |it| it.matrix.removed_apis.max_age_days = 1;
    assert_eq!(outcome(check, "v1.36.3", stale), (Status::Unknown, vec!["matrix_stale"]));
    assert_eq!(removed_apis("nonsense", &healthy()).status, Status::Unknown);
}

#[test]
fn a_minor_beyond_all_numbers_is_judged_like_any_other() {
    for newest in [u64::MAX - 1, u64::MAX] {
        let mut cluster = healthy();
        cluster.snapshot.api_servers.value.as_mut().unwrap()[0].version = version(&format!("v1.{newest}.0"));
        for target in ["v1.36.3".to_owned(), format!("v1.{}.0", u64::MAX)] {
            let answer = cluster.verdict(&target).verdict;
            assert_ne!(answer, Conclusion::Safe, "{newest} {target}");
        }
    }
}
