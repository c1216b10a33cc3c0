//! The rules that decide: what closes the gate, what says that a step may start, and the positive control.

use super::expression::{Select, failure_scrapes, range};
use super::{AlertRule, READY_ALERT, Severity, WATCHDOG_ALERT, Words, rule};
use crate::alert::GATE_LABEL;
use crate::settings::Settings;
use crate::words::gate_class::Class;

/// The rules in the order of their evaluation: the ready rule sees what the others said in the same tick.
pub(super) fn rules(settings: &Settings) -> Vec<AlertRule> {
    let mut rules = vec![
        watchdog(settings),
        telemetry_missing(settings),
        node_not_ready(settings),
        node_pressure(settings),
        recent_reboot(settings),
    ];
    rules.extend(rule_evaluation_failing(settings));
    rules.push(ready(settings));
    rules
}

fn gate(settings: &Settings, class: Class, words: Words, expr: String) -> AlertRule {
    let mut rule = rule(settings, words, expr, 0);
    rule.labels.insert(GATE_LABEL.to_owned(), class.label().to_owned());
    rule
}

fn watchdog(settings: &Settings) -> AlertRule {
    let words = Words {
        name: WATCHDOG_ALERT,
        severity: Severity::None,
        summary: "The alert path works.",
        description: "It always fires, so that a broken alert path can be told from a quiet one.".to_owned(),
    };
    rule(settings, words, "vector(1)".to_owned(), 0)
}

/// Turns the absence of what the other rules read into an alert of its own.
fn telemetry_missing(settings: &Settings) -> AlertRule {
    let words = Words {
        name: "K8sUpgradeTelemetryMissing",
        severity: Severity::None,
        summary: "Telemetry that the gate depends on is missing.",
        description: "No step starts: {{ $labels.source }} is missing or too old.".to_owned(),
    };
    gate(settings, Class::All, words, telemetry_missing_expr(settings))
}

pub(super) fn telemetry_missing_expr(settings: &Settings) -> String {
    let select = Select::new(settings);
    let nodes = select.all("k8s_upgrade_node_info");
    let without = |metric| format!("count({nodes} unless on (node) {}) > 0", select.all(metric));
    let arms = [
        ("exporter", format!("absent({} == 1)", select.up(&settings.exporter_job))),
        (
            "kube_api",
            format!("absent({} == 1)", select.matching("k8s_upgrade_source_up", &["source=\"kube_api\""])),
        ),
        ("state", format!("absent({})", fresh(settings))),
        ("nodes", format!("absent({nodes})")),
        ("node_ready", without("k8s_upgrade_node_ready")),
        ("node_pressure", without("k8s_upgrade_node_pressure")),
    ];
    let arms =
        arms.map(|(source, expr)| format!("label_replace({expr}, \"source\", \"{source}\", \"\", \"\")"));
    arms.join("\nor ")
}

/// The state of an exporter that is young enough to be believed. One from the future has no age: a clock is wrong.
fn fresh(settings: &Settings) -> String {
    let state = Select::new(settings).all("k8s_upgrade_state_timestamp_seconds");
    let Settings { state_age_seconds_max, clock_skew_seconds_max, .. } = settings;
    format!("{state} > time() - {state_age_seconds_max} < time() + {clock_skew_seconds_max}")
}

fn node_not_ready(settings: &Settings) -> AlertRule {
    let words = Words {
        name: "K8sUpgradeNodeNotReady",
        severity: Severity::None,
        summary: "A node is not Ready.",
        description: "No node is touched: {{ $labels.node }} is not Ready and is not the one being upgraded."
            .to_owned(),
    };
    gate(settings, Class::Mutating, words, node_not_ready_expr(settings))
}

pub(super) fn node_not_ready_expr(settings: &Settings) -> String {
    let ready = Select::new(settings).all("k8s_upgrade_node_ready");
    format!("min by (node) ({ready}) == 0\n{}", unless_at_work(settings))
}

/// The node that is being upgraded may be out of order; what says so must be fresh.
fn unless_at_work(settings: &Settings) -> String {
    let states = ["state=~\"upgrading|failed|skipped\""];
    let state = Select::new(settings).matching("k8s_upgrade_node_state", &states);
    format!("unless on (node) (\n  {state} == 1\n  and on (instance, job) ({})\n)", fresh(settings))
}

fn node_pressure(settings: &Settings) -> AlertRule {
    let words = Words {
        name: "K8sUpgradeNodePressure",
        severity: Severity::None,
        summary: "A node is short of a resource.",
        description: "No node is touched: {{ $labels.node }} reports {{ $labels.condition }} pressure."
            .to_owned(),
    };
    let pressure = Select::new(settings).all("k8s_upgrade_node_pressure");
    let expr = format!("max by (node, condition) ({pressure}) == 1\n{}", unless_at_work(settings));
    gate(settings, Class::Mutating, words, expr)
}

/// A hint: it knows only the reboots that the exporter saw. The preflight step asks the nodes themselves.
fn recent_reboot(settings: &Settings) -> AlertRule {
    let words = Words {
        name: "RecentNodeReboot",
        severity: Severity::None,
        summary: "A node was rebooted recently.",
        description: "No run starts: {{ $labels.node }} was rebooted {{ $value | humanizeDuration }} ago."
            .to_owned(),
    };
    let booted = Select::new(settings).all("k8s_upgrade_node_boot_timestamp_seconds");
    let expr = format!("time() - max by (node) ({booted}) < {}", settings.quiet_seconds);
    gate(settings, Class::Start, words, expr)
}

/// Only where Prometheus scrapes itself; there, losing that scrape closes the gate too.
fn rule_evaluation_failing(settings: &Settings) -> Option<AlertRule> {
    if settings.prometheus_job.is_empty() {
        return None;
    }
    let words = Words {
        name: "K8sUpgradeRuleEvaluationFailing",
        severity: Severity::None,
        summary: "Prometheus fails to evaluate rules.",
        description: "No step starts: rules of {{ $labels.rule_group }} fail, so a gate may be blind."
            .to_owned(),
    };
    let failures = Select::new(settings).of_prometheus("prometheus_rule_evaluation_failures_total");
    let window = range(failure_scrapes(settings), settings.scrape_interval_seconds);
    let expr = format!(
        "max by (rule_group) (increase({failures}[{window}])) > 0\n\
         or label_replace(absent({failures}), \"rule_group\", \"unknown\", \"\", \"\")"
    );
    Some(gate(settings, Class::All, words, expr))
}

/// The one alert that lets a step start. Each line is a guard; without any of them it would fire too early.
fn ready(settings: &Settings) -> AlertRule {
    let words = Words {
        name: READY_ALERT,
        severity: Severity::None,
        summary: "The next step of the upgrade may start.",
        description:
            "Step {{ $labels.step }} of run {{ $labels.run }} may start: no gate alert of its class is \
                      pending or firing, and the data behind them is fresh."
                .to_owned(),
    };
    let select = Select::new(settings);
    let pending = select.matching("k8s_upgrade_step_pending", &["gate_class=~\"all|start|mutating\""]);
    let not_before = select.all("k8s_upgrade_step_not_before_timestamp_seconds");
    let [counted, newest] = select.unbroken();
    let expr = format!(
        "max by (run, step, phase, token, gate_class) (\n  \
           {pending} == 1\n  \
           and on (instance, job, token) ({not_before} <= time())\n  \
           and on (instance, job) ({fresh})\n  \
           and on (instance, job) ({up} == 1)\n\
         )\n\
         and on () ({counted})\n\
         and on () ({newest})\n\
         unless on () {every}\n\
         unless on (gate_class)\n  \
           label_replace({classes}, \"gate_class\", \"$1\", \"{GATE_LABEL}\", \"(.+)\")",
        fresh = fresh(settings),
        up = select.up(&settings.exporter_job),
        every = select.gates("!~\"|start|mutating\""),
        classes = select.gates("=~\"start|mutating\""),
    );
    rule(settings, words, expr, 0)
}
