//! The alerts that wake people. They decide nothing: an alert about the upgrade must never stop the upgrade, or
//! waiting would prolong the waiting.

use super::expression::Select;
use super::gate::{node_not_ready_expr, telemetry_missing_expr};
use super::{AlertRule, READY_ALERT, Severity, Words, rule};
use crate::settings::Settings;
use crate::words::step::Phase;

/// The rules, the loudest first; then those about the verdict.
pub(super) fn rules(settings: &Settings) -> Vec<AlertRule> {
    let mut rules = vec![
        halted(settings),
        run_unreadable(settings),
        stalled(settings),
        snapshot_missing(settings),
        node_left_cordoned(settings),
        ready_unanswered(settings),
        holding(settings),
        node_unready(settings),
        telemetry_lost(settings),
        actuator_down(settings),
        pipeline_silent(settings),
        detection_stale(settings),
        version_skew(settings),
    ];
    rules.extend(super::verdict::rules(settings));
    rules
}

fn halted(settings: &Settings) -> AlertRule {
    let words = Words {
        name: "K8sUpgradeHalted",
        severity: Severity::Critical,
        summary: "The upgrade has halted.",
        description: "Nothing happens until a person has looked: the run's status says why.".to_owned(),
    };
    let halted = Select::new(settings).all("k8s_upgrade_halted");
    rule(settings, words, format!("max({halted}) == 1"), 0)
}

/// Not at once: while Lockkeeper itself is upgraded, the older of its programs may meet a newer status.
fn run_unreadable(settings: &Settings) -> AlertRule {
    let words = Words {
        name: "K8sUpgradeRunUnreadable",
        severity: Severity::Critical,
        summary: "The status of an upgrade run cannot be read.",
        description:
            "Nothing is done for run {{ $labels.run }}, and it cannot be deleted: a node may still be \
                      cordoned for it."
                .to_owned(),
    };
    let unreadable = Select::new(settings).all("k8s_upgrade_run_unreadable");
    rule(settings, words, format!("max by (run) ({unreadable}) == 1"), settings.alerts.gone_seconds)
}

/// Measured on the step that runs: a whole run may well take days.
fn stalled(settings: &Settings) -> AlertRule {
    let words = Words {
        name: "K8sUpgradeStalled",
        severity: Severity::Critical,
        summary: "A step of the upgrade is taking too long.",
        description: "Step {{ $labels.step }} of run {{ $labels.run }} has been running for \
                      {{ $value | humanizeDuration }}."
            .to_owned(),
    };
    let since = Select::new(settings).all("k8s_upgrade_step_running_since_timestamp_seconds");
    let limit_seconds = settings.alerts.stalled_seconds;
    rule(settings, words, format!("time() - max by (run, step) ({since}) > {limit_seconds}"), 0)
}

/// Only past the snapshot step: before it, the snapshot is rightly missing, for as long as the gate is closed.
fn snapshot_missing(settings: &Settings) -> AlertRule {
    let words = Words {
        name: "EtcdPreUpgradeSnapshotMissing",
        severity: Severity::Critical,
        summary: "Nodes are upgraded without an etcd snapshot.",
        description: "The upgrade is at {{ $labels.phase }}, and this run has no verified etcd snapshot."
            .to_owned(),
    };
    let select = Select::new(settings);
    let past: Vec<_> = Phase::open().filter(|phase| phase.is_after_snapshot()).map(Phase::name).collect();
    let past = format!("phase=~\"{}\"", past.join("|"));
    let phase = select.matching("k8s_upgrade_phase", &[past.as_str()]);
    let taken = select.all("k8s_upgrade_snapshot_taken");
    let expr = format!("max by (phase) ({phase}) == 1\nunless on () (max({taken}) == 1)");
    rule(settings, words, expr, settings.alerts.snapshot_missing_seconds)
}

/// By the node and not by the run: one that waits or ends may hold a node for days, and one run must not hide what
/// another has left. A node that has halted its run is told of by that.
fn node_left_cordoned(settings: &Settings) -> AlertRule {
    let words = Words {
        name: "K8sUpgradeNodeLeftCordoned",
        severity: Severity::Warning,
        summary: "A node was cordoned by an upgrade, and no step is working on it.",
        description: "{{ $labels.node }} was cordoned by an upgrade, and no step is working on it: it is out of service for \
                      nothing."
            .to_owned(),
    };
    let select = Select::new(settings);
    let ours = select.all("k8s_upgrade_node_cordoned_by_run");
    let running = select.all("k8s_upgrade_step_running");
    let failed = select.matching("k8s_upgrade_node_state", &["state=\"failed\""]);
    let expr = format!(
        "max by (node) ({ours}) == 1\n\
         unless on (node) label_replace(max by (step) ({running}), \"node\", \"$1\", \"step\", \"[^/]+/(.+)\")\n\
         unless on (node) ({failed} == 1)"
    );
    rule(settings, words, expr, settings.alerts.gone_seconds)
}

fn ready_unanswered(settings: &Settings) -> AlertRule {
    let words = Words {
        name: "K8sUpgradeReadyUnanswered",
        severity: Severity::Warning,
        summary: "A step may start, but does not.",
        description:
            "Step {{ $labels.step }} of run {{ $labels.run }} is ready, but is not started: the actuator is \
                      down, Alertmanager does not reach it, or its live check disagrees."
                .to_owned(),
    };
    let ready = Select::new(settings).firing(READY_ALERT);
    rule(settings, words, format!("max by (run, step) ({ready}) == 1"), settings.alerts.unanswered_seconds)
}

/// Counted from when the run last came further, not from its token: a step that fails again and again has another one
/// each time, and a run that waits between two steps has none. A soak is no hold.
fn holding(settings: &Settings) -> AlertRule {
    let words = Words {
        name: "K8sUpgradeHolding",
        severity: Severity::Warning,
        summary: "The upgrade has made no progress for a long time.",
        description: "Run {{ $labels.run }} has stood still for {{ $value | humanizeDuration }}: /verdict and the run's \
                      status say what it waits for."
            .to_owned(),
    };
    let progress = Select::new(settings).all("k8s_upgrade_progress_timestamp_seconds");
    let limit_seconds = settings.alerts.holding_seconds;
    rule(settings, words, format!("time() - max by (run) ({progress}) > {limit_seconds}"), 0)
}

fn node_unready(settings: &Settings) -> AlertRule {
    let words = Words {
        name: "K8sUpgradeNodeUnready",
        severity: Severity::Warning,
        summary: "A node is not Ready and holds the upgrade.",
        description: "{{ $labels.node }} is not Ready and is not the one being upgraded.".to_owned(),
    };
    rule(settings, words, node_not_ready_expr(settings), settings.alerts.gone_seconds)
}

fn telemetry_lost(settings: &Settings) -> AlertRule {
    let words = Words {
        name: "K8sUpgradeTelemetryLost",
        severity: Severity::Warning,
        summary: "Telemetry that the gate depends on has been lost.",
        description: "{{ $labels.source }} is missing or too old, so no step starts.".to_owned(),
    };
    rule(settings, words, telemetry_missing_expr(settings), settings.alerts.gone_seconds)
}

/// Asks for work and not for a process: one that is started again and again, that never leads, that may not store what
/// it decides, or whose turns have ended while it still answers, is no better than none.
fn actuator_down(settings: &Settings) -> AlertRule {
    let words = Words {
        name: "K8sUpgradeActuatorDown",
        severity: Severity::Warning,
        summary: "The actuator does nothing.",
        description:
            "Prometheus scrapes no actuator that leads and stores what it decides: no step starts, and a step that \
                      runs is not watched."
                .to_owned(),
    };
    let turn = Select::new(settings).of_actuator("k8s_upgrade_turn_timestamp_seconds");
    let gone_seconds = settings.alerts.gone_seconds;
    rule(settings, words, format!("absent({turn} > time() - {gone_seconds})"), gone_seconds)
}

/// Only while an actuator leads, since no other listens: otherwise that is what people are told.
fn pipeline_silent(settings: &Settings) -> AlertRule {
    let words = Words {
        name: "K8sUpgradePipelineSilent",
        severity: Severity::Warning,
        summary: "Alertmanager does not reach the actuator.",
        description:
            "The actuator leads, but the Watchdog does not reach it: its route, address or token is wrong."
                .to_owned(),
    };
    let select = Select::new(settings);
    let leads = select.of_actuator("k8s_upgrade_leader");
    let heard = select.of_actuator("k8s_upgrade_pipeline_heartbeat_timestamp_seconds");
    let age_seconds = settings.heartbeat_seconds_max;
    let expr = format!("max({leads}) == 1\nunless on () (max({heard}) > time() - {age_seconds})");
    rule(settings, words, expr, settings.alerts.gone_seconds)
}

fn detection_stale(settings: &Settings) -> AlertRule {
    let words = Words {
        name: "K8sUpgradeDetectionStale",
        severity: Severity::Warning,
        summary: "New versions go unnoticed.",
        description:
            "The package index has not been read for a long time, so a new patch would go unnoticed."
                .to_owned(),
    };
    let success = Select::new(settings).all("k8s_upgrade_detection_last_success_timestamp_seconds");
    let limit_seconds = settings.alerts.detection_stale_seconds;
    let expr = format!("time() - max({success}) > {limit_seconds}\nor absent({success})");
    rule(settings, words, expr, settings.alerts.gone_seconds)
}

/// Not during a run, which is made of this, and never a gate: the cure is to go on.
fn version_skew(settings: &Settings) -> AlertRule {
    let words = Words {
        name: "K8sVersionSkew",
        severity: Severity::Info,
        summary: "The cluster runs several versions of one component.",
        description: "{{ $value }} versions of {{ $labels.component }} run, and no upgrade is open."
            .to_owned(),
    };
    let select = Select::new(settings);
    let distinct = select.all("k8s_upgrade_distinct_versions");
    let in_flight = select.all("k8s_upgrade_in_flight");
    let expr = format!("max by (component) ({distinct}) > 1\nunless on () (max({in_flight}) == 1)");
    rule(settings, words, expr, settings.alerts.skew_seconds)
}
