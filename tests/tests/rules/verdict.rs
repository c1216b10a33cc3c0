//! The alerts on the verdict: blocked, held and blind are told apart, and a quiet hold becomes loud in time.

use lockkeeper_rules::alert::{PEOPLE_GROUP, RuleGroup};
use serde_json::json;

use super::gates::series;
use super::mutations::{must_be_noticed, mutated};
use super::people::{EVALUATION_SECONDS, HOUR, MINUTE, case};
use super::promtool::{Case, default_groups};

const BLOCKED: &str = "K8sUpgradeBlocked";
const BLIND: &str = "K8sUpgradeBlind";
const HELD_PAST_EOL: &str = "K8sUpgradeHeldPastEol";
const STALE: &str = "K8sUpgradeMatrixStale";
const IN_FLIGHT_AND_HELD: &str = "K8sUpgradeInFlightAndHeld";
const IN_FLIGHT_AND_BLIND: &str = "K8sUpgradeInFlightAndBlind";
const ACCEPT_EXPIRED: &str = "K8sUpgradeAcceptExpired";
const ALL: [&str; 7] =
    [ACCEPT_EXPIRED, BLOCKED, BLIND, HELD_PAST_EOL, STALE, IN_FLIGHT_AND_HELD, IN_FLIGHT_AND_BLIND];

/// Sixty days, of which the end of a minor is told before.
const NOTICE: u64 = 60 * 24 * HOUR;

fn goal(metric: &str, kind: &str) -> String {
    series(&format!("k8s_upgrade_{metric}"), &format!("kind=\"{kind}\",target=\"v1.37.0\""))
}

pub(super) fn cases() -> Vec<Case> {
    [of_goals(), of_an_open_run(), of_the_end_of_a_minor(), of_facts()].concat()
}

fn of_goals() -> Vec<Case> {
    let mut quiet = case("a version that is only held is quiet while the running minor lives")
        .with(&goal("held", "minor"), "1+0x120")
        .with(&goal("blocked", "minor"), "0+0x120")
        .with(&goal("blind", "minor"), "0+0x120")
        .with(&goal("held", "run"), "0+0x120")
        .with(&eol(), &format!("{}+0x120", NOTICE + 3 * HOUR));
    for alert in ALL {
        quiet = quiet.silent(2 * HOUR, alert);
    }
    vec![
        quiet,
        case("a version that the cluster is not fit for")
            .with(&goal("blocked", "patch"), "1+0x60")
            .silent(14 * MINUTE, BLOCKED)
            .fires(15 * MINUTE, BLOCKED)
            .silent(HOUR, IN_FLIGHT_AND_HELD),
        blocked_in_words(),
        driver_in_words(),
        blind_in_words(),
        case("an open run whose target the cluster is not fit for")
            .with(&goal("blocked", "run"), "1+0x60")
            .fires(15 * MINUTE, BLOCKED),
        case("another patch that is blocked too does not begin the wait anew")
            .with(&goal("blocked", "patch"), "1+0x10 stale")
            .with(&goal("blocked", "patch").replace("v1.37.0", "v1.37.1"), "_x11 1+0x60")
            .fires(15 * MINUTE, BLOCKED),
        case("a verdict that is blind for an hour")
            .with(&goal("blind", "patch"), "1+0x120")
            .silent(59 * MINUTE, BLIND)
            .fires(HOUR, BLIND)
            .silent(2 * HOUR, IN_FLIGHT_AND_BLIND),
        case("a next minor of which little is known yet")
            .with(&goal("blind", "minor"), "1+0x120")
            .silent(2 * HOUR, BLIND)
            .silent(2 * HOUR, IN_FLIGHT_AND_BLIND),
        case("a verdict that is blind again and again, and sees between")
            .with(&goal("blind", "patch"), "1+0x50 0 1+0x50 0 1+0x50")
            .silent(2 * HOUR, BLIND),
        case("what blocks is not hidden by what is blind or held")
            .with(&goal("blind", "patch"), "1+0x120")
            .with(&goal("held", "minor"), "1+0x120")
            .with(&goal("blocked", "minor"), "1+0x120")
            .fires(2 * HOUR, BLOCKED)
            .fires(2 * HOUR, BLIND)
            .fires(2 * HOUR, HELD_PAST_EOL),
    ]
}

/// With the blind checks of the newest patch, and without those of another target.
fn blind_in_words() -> Case {
    let check = |check: &str, target: &str| {
        series("k8s_upgrade_verdict_blind", &format!("target=\"{target}\",check=\"{check}\""))
    };
    case("the alert names the checks that are blind")
        .with(&goal("blind", "patch"), "1+0x60")
        .with(&goal("blind", "minor").replace("v1.37.0", "v1.38.0"), "1+0x60")
        .with(&check("kernel", "v1.37.0"), "1+0x60")
        .with(&check("etcd", "v1.37.0"), "0+0x60")
        .with(&check("cgroup", "v1.38.0"), "1+0x60")
        .fires_exactly(
            HOUR,
            BLIND,
            &json!({"kind": "patch", "severity": "warning"}),
            &json!({
                "summary": "It is not known whether the cluster is ready for the newest patch.",
                "description": "The verdict on the newest patch lacks something that cannot be read; /verdict says what. \
                                Blind checks: kernel.",
                "runbook_url": "docs/runbooks.md#k8supgradeblind",
            }),
        )
}

fn reason(class: &str, check: &str, subject: &str, reason: &str) -> String {
    let labels = format!(
        "target=\"v1.37.0\",class=\"{class}\",check=\"{check}\",subject=\"{subject}\",reason=\"{reason}\""
    );
    series("k8s_upgrade_verdict_reason_info", &labels)
}

fn named(case: Case, kind: &str, in_the_way: &str) -> Case {
    case.fires_exactly(
        HOUR,
        BLOCKED,
        &json!({"kind": kind, "severity": "warning"}),
        &json!({
            "summary": "The cluster is not ready for a version that it should get.",
            "description": format!("/verdict has the details. In the way: {in_the_way} (v1.37.0)."),
            "runbook_url": "docs/runbooks.md#k8supgradeblocked",
        }),
    )
}

/// With the reasons that stand in the alert's words, and without those of other classes.
fn blocked_in_words() -> Case {
    let case = case("the alert names what is in the way")
        .with(&goal("blocked", "minor"), "1+0x60")
        .with(&reason("block", "kernel", "w-1", "kernel_unsupported"), "1+0x60")
        .with(&reason("block", "kernel", "w-2", "kernel_unsupported"), "1+0x60")
        .with(&reason("hold", "addons", "net", "addon_waiting_unreleased"), "1+0x60");
    named(case, "minor", "kernel: kernel_unsupported")
}

fn driver_in_words() -> Case {
    let case = case("the alert names what keeps the nodes of an open run from being upgraded")
        .with(&goal("blocked", "run"), "1+0x60")
        .with(&reason("driver", "driver", "w-1", "kubelet_of_vendor"), "1+0x60")
        .with(&reason("driver", "driver", "w-2", "kubelet_of_vendor"), "1+0x60");
    named(case, "run", "driver: kubelet_of_vendor")
}

fn of_an_open_run() -> Vec<Case> {
    vec![
        case("an open run that is held")
            .with(&goal("held", "run"), "1+0x60")
            .silent(14 * MINUTE, IN_FLIGHT_AND_HELD)
            .fires(15 * MINUTE, IN_FLIGHT_AND_HELD),
        case("a hold of the next minor is not one of the open run")
            .with(&goal("held", "minor"), "1+0x60")
            .with(&goal("held", "run"), "0+0x60")
            .silent(HOUR, IN_FLIGHT_AND_HELD),
        case("an open run that is blind for an hour")
            .with(&goal("blind", "run"), "1+0x120")
            .silent(59 * MINUTE, IN_FLIGHT_AND_BLIND)
            .fires(HOUR, IN_FLIGHT_AND_BLIND)
            .silent(2 * HOUR, BLIND),
    ]
}

fn eol() -> String {
    series("k8s_upgrade_running_minor_eol_timestamp_seconds", "minor=\"1.36\"")
}

fn of_the_end_of_a_minor() -> Vec<Case> {
    let ends_in = |seconds: u64| format!("{}+0x180", NOTICE + seconds);
    vec![
        case("a hold becomes loud when the running minor ends soon")
            .with(&goal("held", "minor"), "1+0x180")
            .with(&eol(), &ends_in(HOUR))
            .silent(74 * MINUTE, HELD_PAST_EOL)
            .fires(75 * MINUTE, HELD_PAST_EOL),
        case("so does a block")
            .with(&goal("blocked", "minor"), "1+0x180")
            .with(&goal("held", "minor"), "0+0x180")
            .with(&eol(), &ends_in(HOUR))
            .fires(75 * MINUTE, HELD_PAST_EOL),
        case("and so does a next minor of which too little is known")
            .with(&goal("blind", "minor"), "1+0x180")
            .with(&eol(), &ends_in(HOUR))
            .silent(74 * MINUTE, HELD_PAST_EOL)
            .fires(75 * MINUTE, HELD_PAST_EOL),
        case("a patch that is held does not bar the way to the next minor")
            .with(&goal("held", "patch"), "1+0x180")
            .with(&goal("blocked", "patch"), "1+0x180")
            .with(&eol(), &ends_in(0))
            .silent(3 * HOUR, HELD_PAST_EOL),
        case("an end that nobody knows may be near")
            .with(&goal("held", "minor"), "1+0x60")
            .fires(15 * MINUTE, HELD_PAST_EOL),
        case("a minor that ends while the next one may be gone to")
            .with(&goal("held", "minor"), "0+0x180")
            .with(&goal("blocked", "minor"), "0+0x180")
            .with(&eol(), &ends_in(0))
            .silent(3 * HOUR, HELD_PAST_EOL),
    ]
}

fn of_facts() -> Vec<Case> {
    let of =
        |section: &str| series("k8s_upgrade_matrix_timestamp_seconds", &format!("section=\"{section}\""));
    let allowed =
        |section: &str| series("k8s_upgrade_matrix_max_age_seconds", &format!("section=\"{section}\""));
    vec![
        case("facts that grow too old")
            .with(&of("addons"), "0+0x180")
            .with(&allowed("addons"), "3600+0x180")
            .silent(HOUR + 15 * MINUTE, STALE)
            .fires(HOUR + 16 * MINUTE, STALE),
        case("facts that are young enough, beside others that are allowed less")
            .with(&of("addons"), "0+0x180")
            .with(&allowed("addons"), "14400+0x180")
            .with(&of("etcd"), "7200+0x180")
            .with(&allowed("etcd"), "3600+0x180")
            .silent(3 * HOUR, STALE),
        case("facts that nobody has")
            .with(&allowed("addons"), "0+0x60")
            .with(&of("etcd"), "0+0x60")
            .with(&allowed("etcd"), "14400+0x60")
            .silent(14 * MINUTE, STALE)
            .fires(15 * MINUTE, STALE),
        case("what was accepted until a day")
            .with(&accepted("calico"), "3600+0x180")
            .with(&accepted("cilium"), "36000+0x180")
            .silent(HOUR, ACCEPT_EXPIRED)
            .fires(HOUR + MINUTE, ACCEPT_EXPIRED),
        case("what is accepted beside what no longer is, by another exporter too")
            .with(&accepted("calico"), "0+0x60")
            .with(&accepted("calico").replace("e:1", "e:2"), "36000+0x60")
            .with(&accepted("cilium"), "36000+0x60")
            .fires(MINUTE, ACCEPT_EXPIRED),
    ]
}

fn accepted(subject: &str) -> String {
    let labels = format!("check=\"addons\",subject=\"{subject}\",reason=\"\"");
    series("k8s_upgrade_accept_expiry_timestamp_seconds", &labels)
}

#[test]
fn no_part_of_an_alert_on_the_verdict_can_be_lost_unnoticed() {
    let mut groups: Vec<RuleGroup> = default_groups();
    groups.retain(|group| group.name == PEOPLE_GROUP);
    let job = "job=\"k8s-upgrade-exporter\"";
    let end = format!(
        "\nunless on () (min(k8s_upgrade_running_minor_eol_timestamp_seconds{{{job}}}) > time() + 5184000)"
    );
    let is_true = |what: &str| format!("k8s_upgrade_{what}{{kind=\"minor\",{job}}} == 1");
    let [held, blocked, blind] = ["held", "blocked", "blind"].map(is_true);
    let minor = "kind=\"minor\",";
    for (alert, part, instead, by) in [
        (
            BLOCKED,
            "by (kind)",
            "by (target)",
            "another patch that is blocked too does not begin the wait anew",
        ),
        (BLOCKED, "k8s_upgrade_blocked", "k8s_upgrade_held", "a version that the cluster is not fit for"),
        (
            BLOCKED,
            "k8s_upgrade_blocked{",
            "k8s_upgrade_blocked{kind=\"minor\",",
            "a version that the cluster is not fit for",
        ),
        (BLOCKED, " == 1", "", "a version that is only held is quiet while the running minor lives"),
        (BLIND, "kind=\"patch\",", "", "a next minor of which little is known yet"),
        (BLIND, "kind=\"patch\"", "kind=\"minor\"", "a verdict that is blind for an hour"),
        (BLIND, " == 1", "", "a verdict that is blind again and again, and sees between"),
        (IN_FLIGHT_AND_HELD, "kind=\"run\",", "", "a hold of the next minor is not one of the open run"),
        (IN_FLIGHT_AND_HELD, " == 1", "", "a hold of the next minor is not one of the open run"),
        (IN_FLIGHT_AND_BLIND, "kind=\"run\",", "", "a verdict that is blind for an hour"),
        (
            IN_FLIGHT_AND_BLIND,
            "k8s_upgrade_blind",
            "k8s_upgrade_held",
            "an open run that is blind for an hour",
        ),
        (HELD_PAST_EOL, minor, "", "a patch that is held does not bar the way to the next minor"),
        (HELD_PAST_EOL, &format!(" or {blocked}"), "", "so does a block"),
        (HELD_PAST_EOL, &format!("{held} or "), "", "an end that nobody knows may be near"),
        (HELD_PAST_EOL, &format!(" or {blind}"), "", "and so does a next minor of which too little is known"),
        (HELD_PAST_EOL, &end, "", "a hold becomes loud when the running minor ends soon"),
        (HELD_PAST_EOL, " + 5184000", "", "a hold becomes loud when the running minor ends soon"),
        (HELD_PAST_EOL, "unless on () (min(", "and on () (max(", "an end that nobody knows may be near"),
        (STALE, "unless on (section)", "unless on ()", "facts that nobody has"),
        (STALE, "time() - ", "", "facts that are young enough, beside others that are allowed less"),
        (
            STALE,
            "unless on (section)",
            "and on (section)",
            "facts that are young enough, beside others that are allowed less",
        ),
        (ACCEPT_EXPIRED, " < time()", "", "what was accepted until a day"),
        (
            ACCEPT_EXPIRED,
            "min by",
            "max by",
            "what is accepted beside what no longer is, by another exporter too",
        ),
    ] {
        must_be_noticed(&mutated(&groups, alert, part, instead), EVALUATION_SECONDS, &cases(), by, part);
    }
}

#[test]
fn every_alert_on_the_verdict_wakes_people_and_closes_nothing() {
    let rules: Vec<_> = default_groups().into_iter().flat_map(|group| group.rules).collect();
    for (alert, severity) in
        ALL.map(|alert| (alert, if alert.contains("InFlight") { "critical" } else { "warning" }))
    {
        let rule = rules.iter().find(|rule| rule.name == alert).unwrap_or_else(|| panic!("no rule {alert}"));
        assert_eq!((rule.gate(), rule.labels["severity"].as_str()), (None, severity), "{alert}");
    }
}
