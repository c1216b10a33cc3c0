//! The tests of the rules are tested: a rule that has lost a part of itself must fail the case that is about it.

use lockkeeper_rules::alert::{READY_ALERT, RuleGroup};

use super::promtool::{Case, SAMPLE_SECONDS, check, default_groups};
use super::{gates, ready};

/// The rule without a part; the part must be there to begin with.
pub(super) fn mutated(groups: &[RuleGroup], alert: &str, part: &str, instead: &str) -> Vec<RuleGroup> {
    let mut groups = groups.to_vec();
    let mut rules = groups.iter_mut().flat_map(|group| &mut group.rules);
    let rule = rules.find(|rule| rule.name == alert).unwrap_or_else(|| panic!("no rule {alert}"));
    assert!(rule.expr.contains(part), "{alert} has no {part:?}:\n{}", rule.expr);
    rule.expr = rule.expr.replace(part, instead);
    groups
}

/// The case of this name must fail. The whole of the cases is known to pass without the mutation.
pub(super) fn must_be_noticed(
    groups: &[RuleGroup],
    evaluation_seconds: u64,
    cases: &[Case],
    by: &str,
    what: &str,
) {
    let cases: Vec<Case> = cases.iter().filter(|case| case.name() == by).cloned().collect();
    assert_eq!(cases.len(), 1, "{by:?} names one case");
    let said = check(groups, evaluation_seconds, &cases)
        .expect_err(&format!("{by:?} does not notice the loss of {what}"));
    // A mutation that promtool cannot parse would be noticed for the wrong reason.
    assert!(said.contains("FAILED") && said.contains("got:"), "{what}: {said}");
}

#[test]
fn no_guard_of_the_ready_rule_can_be_lost_unnoticed() {
    const PENDING: &str =
        "k8s_upgrade_step_pending{gate_class=~\"all|start|mutating\",job=\"k8s-upgrade-exporter\"}";
    const NOT_BEFORE: &str = "k8s_upgrade_step_not_before_timestamp_seconds{job=\"k8s-upgrade-exporter\"}";
    const FRESH: &str = "and on (instance, job) (k8s_upgrade_state_timestamp_seconds{job=\"k8s-upgrade-exporter\"} > time() - \
                         60 < time() + 5)";
    const UP: &str = "and on (instance, job) (up{job=\"k8s-upgrade-exporter\"} == 1)";
    const COUNTED: &str = "and on () (count_over_time(ALERTS{alertname=\"K8sUpgradeWatchdog\",alertstate=\"firing\"}[302500ms]) >= 58)";
    const NEWEST: &str =
        "and on () (timestamp(ALERTS{alertname=\"K8sUpgradeWatchdog\",alertstate=\"firing\"}) > time() - 1)";
    const EVERY: &str = "unless on () ALERTS{k8s_upgrade_gate!~\"|start|mutating\"}";
    const CLASSES: &str = "unless on (gate_class)\n  label_replace(ALERTS{k8s_upgrade_gate=~\"start|mutating\"}, \
                           \"gate_class\", \"$1\", \"k8s_upgrade_gate\", \"(.+)\")";
    let due = format!("and on (instance, job, token) ({NOT_BEFORE} <= time())");
    let rules = ready::only_ready();
    let cases = ready::cases();
    for (part, instead, by) in [
        (PENDING, "k8s_upgrade_step_pending", "a class of gates that does not exist"),
        (&format!("{PENDING} == 1"), PENDING, "a step that does not wait"),
        (&due, "", "not before its time"),
        (&due, &format!("unless on (instance, job, token) ({NOT_BEFORE} > time())"), "not without a time"),
        ("on (instance, job, token)", "on (instance, job)", "the time of another token does not count"),
        (FRESH, "", "a state of the exporter that no longer moves"),
        ("> time() - 60 ", "", "a state of the exporter that no longer moves"),
        (" < time() + 5", "", "a state of the exporter that is from the future"),
        (
            FRESH,
            &FRESH.replace("instance, job", "job"),
            "another exporter's fresh state does not vouch for this one",
        ),
        (UP, "", "an exporter that is down"),
        (
            UP,
            &UP.replace("instance, job", "job"),
            "another exporter that is up and fresh does not vouch for this one",
        ),
        (COUNTED, "", "a longer gap counts for the whole window"),
        (">= 58", ">= 57", "a longer gap counts for the whole window"),
        (NEWEST, "", "the Watchdog must be of this very evaluation"),
        ("Watchdog\",alertstate=\"firing\"", "Watchdog\"", "a Watchdog that is only pending proves nothing"),
        (EVERY, "", "a firing gate of class all closes"),
        ("!~\"|start|mutating\"", "=\"all\"", "a pending gate of class nope closes"),
        (
            "!~\"|start|mutating\"",
            "!~\"start|mutating\"",
            "a gate of another class, and an alert that is no gate, do not close",
        ),
        (CLASSES, "", "a pending gate of class mutating closes"),
        (
            "unless on (gate_class)",
            "unless on ()",
            "a gate of another class, and an alert that is no gate, do not close",
        ),
    ] {
        must_be_noticed(&mutated(&rules, READY_ALERT, part, instead), SAMPLE_SECONDS, &cases, by, part);
    }
}

#[test]
fn no_gate_alert_can_be_lost_unnoticed() {
    let groups = default_groups();
    let cases = gates::cases();
    let noticed_by = [
        ("K8sUpgradeTelemetryMissing", "the exporter is down"),
        ("K8sUpgradeNodeNotReady", "a node that is not Ready closes, and opens again"),
        ("K8sUpgradeNodePressure", "a node under pressure closes"),
        ("RecentNodeReboot", "a reboot closes the start of a run"),
    ];
    let gates = groups[0].rules.iter().filter(|rule| rule.gate().is_some()).map(|rule| rule.name);
    assert_eq!(gates.collect::<Vec<_>>(), noticed_by.map(|(gate, _)| gate));
    for (gate, by) in noticed_by {
        let mut groups = groups.clone();
        groups[0].rules.retain(|rule| rule.name != gate);
        must_be_noticed(&groups, SAMPLE_SECONDS, &cases, by, gate);
    }
}

#[test]
fn no_part_of_a_gate_alert_can_be_lost_unnoticed() {
    let groups = default_groups();
    let cases = gates::cases();
    let telemetry = "K8sUpgradeTelemetryMissing";
    let telemetry_rule = groups[0].rules.iter().find(|rule| rule.name == telemetry).expect("the rule");
    let noticed_by = [
        "the exporter is down",
        "the API server cannot be read",
        "the state no longer moves",
        "no node is shown",
        "a node's readiness is not shown",
        "no pressure is shown",
    ];
    assert_eq!(telemetry_rule.expr.lines().count(), noticed_by.len());
    for (arm, by) in telemetry_rule.expr.lines().zip(noticed_by) {
        let never = "vector(1) > 2";
        let instead = if arm.starts_with("or ") { format!("or {never}") } else { never.to_owned() };
        must_be_noticed(&mutated(&groups, telemetry, arm, &instead), SAMPLE_SECONDS, &cases, by, arm);
    }
    let [not_ready, pressure] = ["K8sUpgradeNodeNotReady", "K8sUpgradeNodePressure"];
    let excused = "state=~\"upgrading|failed|skipped\"";
    let exporters = "job=\"k8s-upgrade-exporter\"";
    let state = format!("k8s_upgrade_state_timestamp_seconds{{{exporters}}}");
    let fresh = &*format!("and on (instance, job) ({state} > time() - 60 < time() + 5)");
    for (alert, part, instead, by) in [
        (not_ready, excused, "state=~\".+\"", "a node that is pending is not excused"),
        (not_ready, excused, "state=~\"upgrading|failed\"", "a node that is skipped is excused"),
        (not_ready, fresh, "", "an old word of a node being upgraded excuses nothing"),
        (telemetry, " < time() + 5", "", "the state is from the future"),
        (telemetry, exporters, "", "a series of another job does not stand for a state that no longer moves"),
        (pressure, exporters, "", "a series of another job excuses no node"),
        (
            not_ready,
            "min by (node)",
            "max by (node)",
            "a second exporter that still sees the node Ready does not open",
        ),
        (pressure, excused, "state=\"none\"", "a node that is failed is excused"),
        ("RecentNodeReboot", "< 86400", "< 86300", "a reboot of the day before yesterday is forgotten"),
    ] {
        must_be_noticed(&mutated(&groups, alert, part, instead), SAMPLE_SECONDS, &cases, by, part);
    }
}
