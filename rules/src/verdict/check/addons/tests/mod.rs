//! The rows of the strict mode that concern add-ons, by their number. The cluster runs 1.36.1; 1.37.0 is the next minor.

use super::super::tests::{Healthy, api_server, healthy, node, outcome, run};
use super::*;
use crate::cluster::inventory::{Container, Rollout, WorkloadKind};
use crate::cluster::snapshot::{Role, Source};
use crate::facts::Matrix;
use crate::verdict::{Check, Status};

mod find;
mod kubeadm;
mod leftover;
mod vanish;
mod witnesses;

const NET: &str = r#"{name: net, namespace: net-system, kind: ds, resource: net-node, image_re: 'net/node:v(\d+\.\d+(?:\.\d+)?)', source: "https://example.com/net""#;
const WIDE: &str = r#"claim: supported, min_k8s: {"1.0": "1.30"}, max_k8s: {"1.0": "1.36", "1.1": "1.37"}"#;
const STAYS: &str = r#"claim: supported, max_k8s: {"1.0": "1.36"}"#;

fn file(row: &str) -> String {
    format!("schema: 2\nas_of: \"2026-08-22\"\naddons:\n  - {NET}, {row}}}\n")
}

fn workload(kind: WorkloadKind, namespace: &str, name: &str, images: &[&str]) -> Workload {
    let container = |(index, image): (usize, &&str)| {
        let name = if index == 0 { "main".to_owned() } else { format!("side-{index}") };
        Container { name, image: (*image).to_owned() }
    };
    Workload {
        containers: images.iter().enumerate().map(container).collect(),
        rollout: Rollout::done(2),
        ..Workload::silent(kind, namespace, name)
    }
}

fn net(image: &str) -> Workload {
    workload(WorkloadKind::DaemonSet, "net-system", "net-node", &[image])
}

fn set(cluster: &mut Healthy, text: &str, workloads: Vec<Workload>) {
    cluster.matrix = Matrix::load(&[("mine.yaml", text)]).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    cluster.inventory.workloads.value = Some(workloads);
}

fn outcome_of(target: &str, row: &str, workloads: Vec<Workload>) -> (Status, Vec<&'static str>) {
    outcome(check, target, |cluster| set(cluster, &file(row), workloads))
}

fn checked(target: &str, text: &str, workloads: Vec<Workload>, change: impl FnOnce(&mut Healthy)) -> Check {
    let mut cluster = healthy();
    set(&mut cluster, text, workloads);
    change(&mut cluster);
    let mut check = cluster.verdict(target).checks.into_iter().find(|check| check.id == "addons").unwrap();
    // It is in every verdict.
    check.notes.retain(|note| note.reason != Reason::AddonPodsNotRead);
    check
}

fn reasons(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.reason.code()).collect()
}

#[test]
fn an_addon_inside_its_window_passes() {
    assert_eq!(outcome_of("v1.37.0", WIDE, vec![net("q.io/net/node:v1.1.0")]), (Status::Pass, vec![]));
    let check = checked("v1.37.0", &file(WIDE), vec![net("net/node:v1.1.0")], |_| {});
    assert_eq!(
        check.evidence.iter().map(|it| it.source).collect::<Vec<_>>(),
        ["workloads", "api_servers", "matrix", "definitions", "webhooks"]
    );
}

#[test]
fn the_kernel_of_every_node_is_what_it_asks_for() {
    let row =
        format!("{WIDE}, requires: {{kernel: \">=5.10\", kernel_since: \"1.1\", kernel_like: [.el8_10]}}");
    for (kernel, target, expected) in [
        ("5.10.0-8-amd64", "v1.37.0", (Status::Pass, vec![])),
        ("6.1.0", "v1.37.0", (Status::Pass, vec![])),
        ("4.18.0-553.el8_10.x86_64", "v1.37.0", (Status::Pass, vec![])),
        ("4.18.0-477.el8_8.x86_64", "v1.37.0", (Status::Block, vec!["addon_kernel_too_old"])),
        ("5.4.0-150-generic", "v1.37.0", (Status::Block, vec!["addon_kernel_too_old"])),
        ("", "v1.37.0", (Status::Unknown, vec!["kernel_unknown"])),
        // A patch changes nothing of it.
        ("5.4.0-150-generic", "v1.36.3", (Status::Pass, vec![])),
    ] {
        let on = |cluster: &mut Healthy| {
            set(cluster, &file(&row), vec![net("net/node:v1.1.0")]);
            cluster.snapshot.nodes.value.as_mut().unwrap()[1].kernel_version = kernel.to_owned();
        };
        assert_eq!(outcome(check, target, on), expected, "{kernel:?} {target}");
    }
    let lost = |cluster: &mut Healthy| {
        set(cluster, &file(&row), vec![net("net/node:v1.1.0")]);
        cluster.snapshot.nodes = Source::failed("gone");
    };
    assert_eq!(outcome(check, "v1.37.0", lost), (Status::Unknown, vec!["source_unreadable"]));
}

#[test]
fn what_is_said_of_kernels_names_the_page_that_says_it() {
    for (more, page) in [
        ("", "https://example.com/net"),
        (", kernel_source: \"https://example.com/kernels\"", "https://example.com/kernels"),
    ] {
        let row = format!("{WIDE}, requires: {{kernel: \">=5.10\"{more}}}");
        let check = checked("v1.37.0", &file(&row), vec![net("net/node:v1.1.0")], |cluster| {
            cluster.snapshot.nodes.value.as_mut().unwrap()[1].kernel_version = "5.4.0".to_owned();
        });
        let detail = &check.findings[0].detail;
        assert!(detail.ends_with(&format!("5.10 or newer ({page})")), "{detail}");
    }
}

/// Before the release that asks for it first, no kernel is too old; and whoever is asked to upgrade the add-on, or to accept
/// what nobody has tested, is told of the kernel at once.
#[test]
fn a_kernel_is_asked_for_by_the_releases_that_need_it_wherever_their_window_ends() {
    let row = |claim: &str, since: &str| {
        let wide = WIDE.replace("supported", claim);
        format!("{wide}, requires: {{kernel: \">=5.10\", kernel_since: \"{since}\"}}")
    };
    for (claim, since, expected) in [
        ("supported", "1.1", vec!["addon_upgrade_needed"]),
        ("supported", "1.0", vec!["addon_kernel_too_old", "addon_upgrade_needed"]),
        ("tested", "1.0", vec!["addon_kernel_too_old", "addon_untested"]),
    ] {
        let on = |cluster: &mut Healthy| {
            set(cluster, &file(&row(claim, since)), vec![net("net/node:v1.0.0")]);
            cluster.snapshot.nodes.value.as_mut().unwrap()[1].kernel_version = "5.4.0".to_owned();
        };
        assert_eq!(outcome(check, "v1.37.0", on).1, expected, "{claim} {since}");
    }
}

/// What a row says of a release, by its claim, for a cluster that runs 1.36: status, findings and notes for 1.37.
#[test]
fn outside_what_was_tested_nothing_is_ruled_out_and_nothing_passes_unseen() {
    use Status::{Block, Hold, Pass, Unknown};
    let floor = r#"min_k8s: {"1.0": "1.37"}, max_k8s: {"1.0": "1.38"}"#;
    let above = r#"min_k8s: {"1.0": "1.38"}, max_k8s: {"1.0": "1.38"}"#;
    let ends = r#"max_k8s: {"1.0": "1.36"}"#;
    let newer = r#"max_k8s: {"1.0": "1.36", "2.0": "1.37"}"#;
    let retired = r#"max_k8s: {"1.0": "1.36"}, lifecycle: {status: retired, replacement: other}"#;
    let pinned = r#"max_k8s: {"1.0": "1.36"}, pin: {reason: slow, by: ops, until: "2026-12-31"}"#;
    let untested = "addon_untested";
    for (claim, policy, bounds, status, finding, note) in [
        // The target is inside: from below it is gone towards, and a vendor who supports nothing less is in the way.
        ("tested", "hold", floor, Pass, "", untested),
        ("client-go", "hold", floor, Pass, "", untested),
        ("supported", "note", floor, Block, "addon_needs_newer_kubernetes", ""),
        (
            "min-only",
            "note",
            r#"min_k8s: {"1.0": "1.37"}, no_declared_ceiling: true"#,
            Block,
            "addon_needs_newer_kubernetes",
            "",
        ),
        // The target is outside.
        ("tested", "hold", above, Hold, untested, ""),
        ("tested", "note", above, Pass, "", untested),
        ("tested", "block", above, Block, untested, ""),
        ("tested", "hold", ends, Hold, untested, ""),
        ("tested", "note", ends, Pass, "", untested),
        ("tested", "block", ends, Block, untested, ""),
        ("client-go", "hold", ends, Hold, untested, ""),
        ("supported", "note", ends, Hold, "addon_waiting_unreleased", ""),
        ("tested", "hold", newer, Hold, untested, ""),
        ("supported", "note", newer, Block, "addon_upgrade_needed", ""),
        // Nobody will ever test a retired one with more: its way out is the replacement, whatever the policy.
        ("tested", "hold", retired, Block, "addon_retired", ""),
        ("tested", "note", retired, Block, "addon_retired", ""),
        ("tested", "hold", pinned, Hold, "addon_pinned", ""),
        ("tested", "note", pinned, Pass, "", untested),
        // A claim that does not count lets nothing pass by being left.
        ("expected", "note", ends, Unknown, "addon_claim_not_accepted", ""),
        ("expected", "note", floor, Unknown, "addon_claim_not_accepted", ""),
    ] {
        let text =
            format!("{}policy: {{outside_tested: {policy}}}\n", file(&format!("claim: {claim}, {bounds}")));
        let found = checked("v1.37.0", &text, vec![net("net/node:v1.0.0")], |_| {});
        let one = |code: &'static str| if code.is_empty() { vec![] } else { vec![code] };
        let told = (found.status, reasons(&found.findings), reasons(&found.notes));
        assert_eq!(told, (status, one(finding), one(note)), "{claim} {policy} {bounds}");
    }
}

#[test]
fn what_nobody_has_tested_names_the_release_that_somebody_has() {
    let outcome_of = |row: &str, target: &str| {
        let check = checked(target, &file(row), vec![net("net/node:v1.0.4")], |_| {});
        check.findings.into_iter().chain(check.notes).map(|it| it.detail).collect::<Vec<_>>().join("; ")
    };
    let row = r#"claim: tested, min_k8s: {"1.0": "1.34"}, max_k8s: {"1.0": "1.36", "2.0": "1.37"}"#;
    let newer = outcome_of(row, "v1.37.0");
    assert!(
        newer.contains(
            "1.0.4 was tested with Kubernetes 1.34 to 1.36, 1.37 is asked for; upgrade it to >= 2.0.0"
        ),
        "{newer}"
    );
    let none = outcome_of(r#"claim: client-go, max_k8s: {"1.0": "1.36"}"#, "v1.37.0");
    assert!(
        none.contains("1.0.4 is built for Kubernetes up to 1.36, 1.37 is asked for; no known release"),
        "{none}"
    );
    let towards =
        outcome_of(r#"claim: tested, min_k8s: {"1.0": "1.37"}, max_k8s: {"1.0": "1.37"}"#, "v1.37.0");
    assert!(
        towards.contains("was tested with Kubernetes 1.37, 1.36 runs and 1.37 is asked for: the step leads"),
        "{towards}"
    );
    // A patch of what runs changes nothing of it.
    let patch = outcome_of(r#"claim: tested, min_k8s: {"1.0": "1.37"}, max_k8s: {"1.0": "1.37"}"#, "v1.36.3");
    assert!(patch.contains("the step leads no further away"), "{patch}");
}

/// What is untested is accepted by name and day, and by nothing else.
#[test]
fn a_person_accepts_what_nobody_has_tested_until_a_day() {
    let row = file(r#"claim: tested, max_k8s: {"1.0": "1.36"}"#);
    let accept = |until: &str| {
        format!(
            "{row}accept: [{{check: addons, subject: net, reason: addon_untested, why: tried, by: ops, until: \"{until}\"}}]\n"
        )
    };
    for (until, status) in [("2026-12-01", Status::Pass), ("2026-11-30", Status::Hold)] {
        let check = checked("v1.37.0", &accept(until), vec![net("net/node:v1.0.0")], |_| {});
        assert_eq!(check.status, status, "{until}");
    }
}

#[test]
fn beyond_its_ceiling_it_blocks_where_a_release_fits_and_holds_where_none_does() {
    let check = checked("v1.37.0", &file(WIDE), vec![net("net/node:v1.0.4")], |_| {});
    assert_eq!((check.status, reasons(&check.findings)), (Status::Block, vec!["addon_upgrade_needed"]));
    assert!(check.findings[0].detail.contains("upgrade it to >= 1.1.0"), "{}", check.findings[0]);
    for (row, reason) in [
        (STAYS.to_owned(), "addon_waiting_unreleased"),
        (format!("{STAYS}, ceiling_raised_by: docs"), "addon_waiting_docs_lag"),
    ] {
        assert_eq!(outcome_of("v1.37.0", &row, vec![net("net/node:v1.0.4")]), (Status::Hold, vec![reason]));
    }
}

#[test]
fn a_release_that_fits_only_the_target_is_no_remedy() {
    let row = r#"claim: supported, min_k8s: {"1.0": "1.30", "2.0": "1.37"}, max_k8s: {"1.0": "1.36", "2.0": "1.38"}"#;
    let check = checked("v1.37.0", &file(row), vec![net("net/node:v1.0.4")], |_| {});
    assert_eq!(reasons(&check.findings), ["addon_waiting_unreleased"]);
    assert!(check.findings[0].detail.contains("2.0.0 does but not 1.36"), "{}", check.findings[0]);
}

#[test]
fn patch_ceilings_are_read_at_full_precision() {
    let row = r#"claim: supported, max_k8s: {"1.18.0": "1.36", "1.18.2": "1.37"}"#;
    assert_eq!(outcome_of("v1.37.0", row, vec![net("net/node:v1.18.4")]), (Status::Pass, vec![]));
    assert_eq!(outcome_of("v1.37.0", row, vec![net("net/node:v1.18.1")]).0, Status::Block);
}

#[test]
fn a_newer_patch_of_the_same_minor_is_a_remedy() {
    for row in [
        r#"claim: supported, max_k8s: {"1.18.0": "1.36", "1.18.2": "1.37"}"#,
        r#"claim: supported, max_k8s: {"1.18": "1.36"}, windows: [{version: ">=1.18.2 <1.19", max_k8s: "1.37"}]"#,
    ] {
        let check = checked("v1.37.0", &file(row), vec![net("net/node:v1.18.0")], |_| {});
        assert_eq!((check.status, reasons(&check.findings)), (Status::Block, vec!["addon_upgrade_needed"]));
        assert!(check.findings[0].detail.contains(">= 1.18.2"), "{}", check.findings[0]);
    }
}

#[test]
fn an_addon_newer_than_every_row_is_unknown_unless_the_policy_says_else() {
    let newer = || vec![net("net/node:v1.2.0")];
    assert_eq!(outcome_of("v1.37.0", WIDE, newer()), (Status::Unknown, vec!["addon_newer_than_matrix"]));
    assert_eq!(
        outcome_of("v1.37.0", WIDE, vec![net("net/node:v1.1.9")]).0,
        Status::Pass,
        "a patch is no new row"
    );
    let text = format!("{}policy: {{newer_addon_than_matrix: assume-highest}}\n", file(WIDE));
    assert_eq!(checked("v1.37.0", &text, newer(), |_| {}).status, Status::Pass);
}

/// The step at hand changes nothing between an add-on and the minor that runs already.
#[test]
fn within_a_minor_it_is_noted_that_nobody_vouches_for_what_runs() {
    let no_claim = r#"claim: none, max_k8s: {"1.0": "1.37"}"#;
    let notes = |policy: &str, row: &str, image: &str| {
        let check = checked("v1.36.3", &format!("{}{policy}", file(row)), vec![net(image)], |_| {});
        (check.status, reasons(&check.findings), reasons(&check.notes))
    };
    for (row, image, note, status, reason) in [
        (WIDE, "net/node:v1.2.0", "addon_newer_than_matrix", Status::Unknown, "addon_newer_than_matrix"),
        (WIDE, "net/node:v0.9.0", "addon_older_than_matrix", Status::Block, "addon_upgrade_needed"),
        (
            no_claim,
            "net/node:v1.0.0",
            "addon_claim_not_accepted",
            Status::Unknown,
            "addon_claim_not_accepted",
        ),
    ] {
        assert_eq!(notes("", row, image), (Status::Pass, vec![], vec![note]), "{image}");
        let judged = notes("policy: {patch_beyond_ceiling: judge}\n", row, image);
        assert_eq!(judged, (status, vec![reason], vec![]), "{image}");
    }
}

/// It is in the way as the oldest known release would be, and never more than that where its vendor rules nothing out.
#[test]
fn an_addon_older_than_every_row_is_unknown_only_where_its_vendor_rules_all_out_that_is_known() {
    use Status::{Block, Hold, Pass, Unknown};
    let none = r#"max_k8s: {"1.0": "1.36"}"#;
    let some = r#"min_k8s: {"1.0": "1.30"}, max_k8s: {"1.0": "1.36", "1.1": "1.37"}"#;
    let open = r#"min_k8s: {"1.0": "1.30"}, no_declared_ceiling: true"#;
    let retired = r#"max_k8s: {"1.0": "1.36"}, lifecycle: {status: retired, replacement: other}"#;
    let pinned = r#"max_k8s: {"1.0": "1.36", "1.1": "1.37"}, pin: {reason: x, by: y, until: "2026-12-31"}"#;
    let table = r#"max_k8s: {"1.0": "1.36"}, requires: {os_table: true}"#;
    let (untested, hold) = ("addon_untested", "outside_tested: hold");
    let strict = "outside_tested: note, accept_claims: [supported]";
    for (claim, policy, bounds, status, finding, note) in [
        ("supported", hold, some, Block, "addon_upgrade_needed", ""),
        ("supported", hold, none, Unknown, "addon_older_than_matrix", ""),
        ("supported", "newer_k8s_than_row: unknown", some, Unknown, "addon_upgrade_needed", ""),
        ("supported", hold, pinned, Hold, "addon_pinned", ""),
        // Of a retired one nothing better will be known.
        ("supported", hold, retired, Block, "addon_retired", ""),
        ("tested", hold, retired, Block, "addon_retired", ""),
        ("tested", hold, some, Hold, untested, ""),
        ("tested", hold, none, Hold, untested, ""),
        ("tested", "outside_tested: note", none, Pass, "", untested),
        ("tested", "outside_tested: block", none, Block, untested, ""),
        ("client-go", hold, open, Hold, untested, ""),
        // No newest minor is stated, and what is asked for at least rises with the releases.
        ("min-only", hold, open, Hold, untested, ""),
        ("min-only", "outside_tested: note", open, Pass, "", untested),
        // What it asks for besides is told of old ones too.
        ("tested", hold, table, Hold, untested, "addon_condition"),
        // A claim that does not count lets nothing pass by being old.
        ("expected", "outside_tested: note", none, Unknown, "addon_claim_not_accepted", ""),
        ("min-only", strict, open, Unknown, "addon_claim_not_accepted", ""),
    ] {
        let text = format!("{}policy: {{{policy}}}\n", file(&format!("claim: {claim}, {bounds}")));
        let found = checked("v1.37.0", &text, vec![net("net/node:v0.9.0")], |_| {});
        let one = |code: &'static str| if code.is_empty() { vec![] } else { vec![code] };
        let told = (found.status, reasons(&found.findings), reasons(&found.notes));
        assert_eq!(told, (status, one(finding), one(note)), "{claim} {policy} {bounds}");
    }
    let check =
        checked("v1.37.0", &file(&format!("claim: min-only, {open}")), vec![net("net/node:v0.9.0")], |_| {});
    let detail = &check.findings[0].detail;
    assert!(
        detail.contains("0.9.0 is older than every row, 1.37 is asked for; upgrade it to >= 1.0.0"),
        "{detail}"
    );
}

#[test]
fn below_its_floor_it_blocks_at_the_running_minor_and_at_the_target() {
    let row = r#"claim: supported, min_k8s: {"1.0": "1.30", "2.0": "1.37", "3.0": "1.38"}, max_k8s: {"1.0": "1.37", "2.0": "1.39"}"#;
    for (target, version) in [("v1.37.0", "2.0.0"), ("v1.36.3", "2.0.0"), ("v1.37.0", "3.0.0")] {
        let check = checked(target, &file(row), vec![net(&format!("net/node:v{version}"))], |_| {});
        assert_eq!(
            (check.status, reasons(&check.findings)),
            (Status::Block, vec!["addon_needs_newer_kubernetes"])
        );
        assert!(check.findings[0].detail.contains("1.0.0 fits both"), "{}", check.findings[0]);
    }
}

#[test]
fn stale_rows_are_unknown_and_retired_ones_never_grow_stale() {
    let old = format!("{WIDE}, as_of: \"2026-01-01\"");
    assert_eq!(
        outcome_of("v1.37.0", &old, vec![net("net/node:v1.1.0")]),
        (Status::Unknown, vec!["matrix_stale"])
    );
    assert_eq!(
        outcome_of("v1.37.0", &format!("{old}, if_absent: not-applicable"), vec![]),
        (Status::Pass, vec![])
    );
    let retired = format!("{old}, lifecycle: {{status: retired, replacement: other}}");
    assert_eq!(outcome_of("v1.37.0", &retired, vec![net("net/node:v1.1.0")]).0, Status::Pass);
    let section = |cluster: &mut Healthy| cluster.now = "2028-01-01T00:00:00Z".parse().unwrap();
    let check = checked("v1.37.0", &file(WIDE), vec![net("net/node:v1.1.0")], section);
    assert_eq!((check.status, reasons(&check.findings)), (Status::Unknown, vec!["matrix_stale"]));
}

#[test]
fn a_pin_holds_until_it_expires() {
    let pinned = |until: &str| format!("{STAYS}, pin: {{reason: slow, by: ops, until: \"{until}\"}}");
    let held = vec![net("net/node:v1.0.0")];
    assert_eq!(
        outcome_of("v1.37.0", &pinned("2026-12-01"), held.clone()),
        (Status::Hold, vec!["addon_pinned"])
    );
    assert_eq!(
        outcome_of("v1.37.0", &pinned("2026-11-30"), held),
        (Status::Block, vec!["addon_pin_expired"])
    );
    let fits = format!("{WIDE}, pin: {{reason: slow, by: ops, until: \"2026-12-01\"}}");
    assert_eq!(outcome_of("v1.37.0", &fits, vec![net("net/node:v1.1.0")]), (Status::Pass, vec![]));
    let newer = checked("v1.37.0", &file(&fits), vec![net("net/node:v1.0.0")], |_| {});
    assert_eq!(reasons(&newer.findings), ["addon_pinned"]);
    assert!(
        newer.findings[0].detail.contains("ops pinned it until 2026-12-01: slow; upgrade it to >= 1.1.0")
    );
}

#[test]
fn a_retired_addon_blocks_beyond_its_ceiling_and_is_noted_inside() {
    let row = |row: &str| format!("{row}, lifecycle: {{status: retired, replacement: other}}");
    let check = checked("v1.37.0", &file(&row(STAYS)), vec![net("net/node:v1.0.0")], |_| {});
    assert_eq!((check.status, reasons(&check.findings)), (Status::Block, vec!["addon_retired"]));
    assert!(check.findings[0].detail.contains("replace it by other"));
    let newer = checked("v1.37.0", &file(&row(WIDE)), vec![net("net/node:v1.0.0")], |_| {});
    assert!(newer.findings[0].detail.contains("upgrade it to >= 1.1.0, and replace it by other"));
    let inside = checked("v1.37.0", &file(&row(WIDE)), vec![net("net/node:v1.1.0")], |_| {});
    assert_eq!((inside.status, reasons(&inside.notes)), (Status::Pass, vec!["addon_retired"]));
}

#[test]
fn what_runs_beyond_its_ceiling_already_is_noted_only_where_the_policy_says_so() {
    let text = |policy: &str| {
        format!("{}policy: {{{policy}}}\n", file(r#"claim: supported, max_k8s: {"1.0": "1.35"}"#))
    };
    let beyond = || vec![net("net/node:v1.0.0")];
    let patch = checked("v1.36.3", &text(""), beyond(), |_| {});
    assert_eq!((patch.status, reasons(&patch.notes)), (Status::Pass, vec!["addon_beyond_ceiling"]));
    let strict = checked("v1.36.3", &text("patch_beyond_ceiling: judge"), beyond(), |_| {});
    assert_eq!(strict.status, Status::Hold);
    let half_done = |cluster: &mut Healthy| {
        cluster.snapshot.api_servers.value = Some(vec![api_server("cp-1", "v1.36.3")]);
        cluster.snapshot.nodes.value =
            Some(vec![node("cp-1", Role::ControlPlane, "v1.36.3"), node("w-1", Role::Worker, "v1.35.4")]);
    };
    let over = || {
        let status = serde_json::json!({"schemaVersion": 1, "phase": "Succeeded"});
        crate::api::UpgradeRun { status: serde_json::from_value(status).unwrap(), ..run("v1.36.3") }
    };
    for (policy, runs, status) in [
        ("", vec![run("v1.36.3")], Status::Hold),
        ("resume_beyond_ceiling: note", Vec::new(), Status::Hold),
        ("resume_beyond_ceiling: note", vec![over()], Status::Hold),
        ("resume_beyond_ceiling: note", vec![run("v1.36.3")], Status::Pass),
    ] {
        let count = runs.len();
        let change = |cluster: &mut Healthy| {
            half_done(cluster);
            cluster.snapshot.runs.value = Some(runs);
        };
        let check = checked("v1.36.3", &text(policy), beyond(), change);
        assert_eq!(check.status, status, "{policy} {count} runs");
        assert_eq!(check.notes.len() + check.findings.len(), 1, "never silent");
    }
}

#[test]
fn only_an_accepted_claim_lets_an_addon_pass() {
    for (claim, status) in [
        ("supported", Status::Pass),
        ("client-go", Status::Pass),
        ("expected", Status::Unknown),
        ("none", Status::Unknown),
    ] {
        let row = WIDE.replace("supported", claim);
        assert_eq!(outcome_of("v1.37.0", &row, vec![net("net/node:v1.1.0")]).0, status, "{claim}");
    }
    let open = r#"claim: min-only, min_k8s: {"1.0": "1.30"}, no_declared_ceiling: true"#;
    let check = checked("v1.37.0", &file(open), vec![net("net/node:v1.0.0")], |_| {});
    assert_eq!((check.status, reasons(&check.notes)), (Status::Pass, vec!["addon_no_ceiling"]));
    let text = format!("{}policy: {{accept_claims: [supported]}}\n", file(open));
    let refused = checked("v1.37.0", &text, vec![net("net/node:v1.0.0")], |_| {});
    assert_eq!(reasons(&refused.findings), ["addon_claim_not_accepted"]);
}

#[test]
fn a_ceiling_may_be_unknown_instead_of_in_the_way() {
    let text = format!("{}policy: {{newer_k8s_than_row: unknown}}\n", file(WIDE));
    let check = checked("v1.37.0", &text, vec![net("net/node:v1.0.0")], |_| {});
    assert_eq!((check.status, reasons(&check.findings)), (Status::Unknown, vec!["addon_upgrade_needed"]));
}

#[test]
fn an_unknown_hides_no_hold_and_a_hold_no_block() {
    let row = |name: &str, row: &str| {
        let net = NET.replace("name: net,", &format!("name: {name},"));
        format!("  - {}, {row}}}\n", net.replace("resource: net-node", &format!("resource: {name}")))
    };
    let named =
        format!("schema: 2\nas_of: \"2026-08-22\"\naddons:\n{}{}", row("one", WIDE), row("two", STAYS));
    let at = |name: &str, image: &str| Workload { name: name.to_owned(), ..net(image) };
    let all = vec![at("one", "net/node:v1.0.0"), at("two", "net/node:v1.0.0")];
    let check = checked("v1.37.0", &named, all.clone(), |_| {});
    assert_eq!(reasons(&check.findings), ["addon_upgrade_needed", "addon_waiting_unreleased"]);
    assert_eq!(check.status, Status::Hold);
    let mut blind = all;
    blind[1].containers[0].image = "net/node:latest".to_owned();
    assert_eq!(checked("v1.37.0", &named, blind, |_| {}).status, Status::Unknown);
}

#[test]
fn without_workloads_or_api_servers_it_is_unknown() {
    let lost: [fn(&mut Healthy); 3] = [
        |cluster| cluster.inventory.workloads = Source::failed("forbidden"),
        |cluster| cluster.snapshot.api_servers = Source::failed("gone"),
        |cluster| cluster.snapshot.api_servers.value = Some(Vec::new()),
    ];
    for lose in lost {
        assert_eq!(outcome(check, "v1.37.0", lose), (Status::Unknown, vec!["source_unreadable"]));
    }
}

#[test]
fn the_way_leads_every_addon_along_and_names_what_it_cannot_judge() {
    let rows = r#"claim: supported, min_k8s: {"1.0": "1.30", "1.1": "1.36"}, max_k8s: {"1.0": "1.36", "1.1": "1.38"}"#;
    let mut cluster = healthy();
    let stale = NET.replace("name: net,", "name: old,").replace("net-node", "old");
    let text = format!("{}  - {stale}, {rows}, as_of: \"2026-01-01\"}}\n", file(rows));
    let old = Workload { name: "old".to_owned(), ..net("net/node:v1.0.0") };
    set(&mut cluster, &text, vec![net("net/node:v1.0.0"), old]);
    let way = |cluster: &Healthy, target: &str| super::way(&target.parse().unwrap(), &cluster.case());
    let found = way(&cluster, "v1.38.0").unwrap();
    assert_eq!(
        serde_json::to_value(&found.bridge).unwrap(),
        serde_json::json!({"plan": [
            {"addon": {"name": "net", "from": "1.0.0", "to": "1.1.0"}},
            {"kubernetes": {"from": "1.36", "to": "1.37"}},
            {"kubernetes": {"from": "1.37", "to": "1.38"}},
        ]})
    );
    assert_eq!(reasons(&found.unknown), ["matrix_stale"]);
    let none = serde_json::to_value(way(&cluster, "v1.39.0").unwrap().bridge).unwrap();
    assert_eq!(none["no_plan"][0]["stays_at"], "1.38");
    cluster.inventory.workloads = Source::failed("forbidden");
    assert_eq!(way(&cluster, "v1.38.0").unwrap_err().subject, "workloads");
}
