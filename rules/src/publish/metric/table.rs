//! The table: every metric of both programs, once. It drives HELP and TYPE, and is what rules and dashboards may name.

use super::{Kind, Metric, Program};

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, help, labels, program: Program::Exporter }
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { kind: Kind::Counter, ..gauge(name, labels, help) }
}

const fn of_actuator(metric: Metric) -> Metric {
    Metric { program: Program::Actuator, ..metric }
}

/// Build of the exporter; constant 1.
pub static BUILD_INFO: Metric =
    gauge("k8s_upgrade_exporter_build_info", &["version"], "Build of the exporter; constant 1.");
pub(super) static STATE_TIMESTAMP: Metric = gauge(
    "k8s_upgrade_state_timestamp_seconds",
    &[],
    "When the served state was last confirmed by nodes, API servers and runs together.",
);
pub(super) static SOURCE_UP: Metric = gauge(
    "k8s_upgrade_source_up",
    &["source"],
    "1 if the last read of the source succeeded; kube_api stands for nodes, API servers and runs together.",
);
pub(super) static SOURCE_LAST_SUCCESS: Metric = gauge(
    "k8s_upgrade_source_last_success_timestamp_seconds",
    &["source"],
    "When the source was last proven to be current; absent before the first time.",
);
/// Watch events seen.
pub static WATCH_EVENTS: Metric =
    counter("k8s_upgrade_watch_events_total", &["resource"], "Watch events seen.");
/// Watches restarted with a list.
pub static WATCH_RESTARTS: Metric =
    counter("k8s_upgrade_watch_restarts_total", &["resource"], "Watches restarted with a list.");
/// Failed reads of the source.
pub static SOURCE_ERRORS: Metric =
    counter("k8s_upgrade_source_errors_total", &["source"], "Failed reads of the source.");
pub(super) static AVAILABLE: Metric = gauge(
    "k8s_upgrade_available",
    &["kind", "running", "target"],
    "1 if a newer version of this kind (patch, minor) is published; target is empty if none is.",
);
pub(super) static MINORS_BEHIND: Metric = gauge(
    "k8s_upgrade_minor_versions_behind",
    &[],
    "Minor versions between the oldest kubelet and the newest published minor.",
);
pub(super) static DETECTION_LAST_SUCCESS: Metric = gauge(
    "k8s_upgrade_detection_last_success_timestamp_seconds",
    &[],
    "When the package index was last read; absent before the first time.",
);
pub(super) static VERDICT: Metric = gauge(
    "k8s_upgrade_verdict",
    &["target", "verdict"],
    "1 for the verdict on this target (safe, blocked, held, unknown), 0 for the others.",
);
pub(super) static VERDICT_TIMESTAMP: Metric =
    gauge("k8s_upgrade_verdict_timestamp_seconds", &["target"], "When the verdict was computed.");
pub(super) static VERDICT_CHECK: Metric = gauge(
    "k8s_upgrade_verdict_check",
    &["target", "check", "status"],
    "1 for what the check says (pass, block, hold, unknown), 0 for the others.",
);
pub(super) static VERDICT_BLIND: Metric = gauge(
    "k8s_upgrade_verdict_blind",
    &["target", "check"],
    "1 if the check could not read something, whatever else it found.",
);
pub(super) static VERDICT_LAST_SUCCESS: Metric = gauge(
    "k8s_upgrade_verdict_last_success_timestamp_seconds",
    &["target"],
    "When the target was last judged with everything read; absent before the first time since the start.",
);
pub(super) static VERDICT_REASON: Metric = gauge(
    "k8s_upgrade_verdict_reason_info",
    &["target", "class", "check", "subject", "reason"],
    "What was found about the target, by class (block, hold, unknown; driver where Lockkeeper cannot upgrade a node), at most 50 for each target; constant 1.",
);
pub(super) static BLOCKED: Metric = gauge(
    "k8s_upgrade_blocked",
    &["kind", "target"],
    "1 if something blocks the newest patch, the next minor or the target of the open run, whatever else is held or unknown; a node that Lockkeeper cannot upgrade blocks the run alone.",
);
pub(super) static HELD: Metric = gauge(
    "k8s_upgrade_held",
    &["kind", "target"],
    "1 if somebody else must release something before the newest patch, the next minor or the target of the open run, whatever else is blocked or unknown.",
);
pub(super) static BLIND: Metric = gauge(
    "k8s_upgrade_blind",
    &["kind", "target"],
    "1 if something about the newest patch, the next minor or the target of the open run could not be read, whatever else is blocked or held.",
);
pub(super) static BLOCKERS: Metric = gauge(
    "k8s_upgrade_blockers",
    &["target", "check"],
    "How many things the check found that block or hold the target.",
);
pub(super) static MATRIX_TIMESTAMP: Metric = gauge(
    "k8s_upgrade_matrix_timestamp_seconds",
    &["section"],
    "The date of this section's facts about versions; absent if there are none.",
);
pub(super) static MATRIX_MAX_AGE: Metric = gauge(
    "k8s_upgrade_matrix_max_age_seconds",
    &["section"],
    "How old the facts of this section may be before they no longer count.",
);
pub(super) static RUNNING_MINOR_EOL: Metric = gauge(
    "k8s_upgrade_running_minor_eol_timestamp_seconds",
    &["minor"],
    "When the oldest minor that an API server runs stops getting patches; absent if that is not known.",
);
pub(super) static NODE_INFO: Metric = gauge(
    "k8s_upgrade_node_info",
    &["node", "role", "kubelet_version", "container_runtime"],
    "Versions of a node; constant 1.",
);
pub(super) static NODE_READY: Metric =
    gauge("k8s_upgrade_node_ready", &["node"], "1 if the Ready condition of the node is True, 0 otherwise.");
pub(super) static NODE_PRESSURE: Metric = gauge(
    "k8s_upgrade_node_pressure",
    &["node", "condition"],
    "1 if the node reports this pressure (memory, disk, pid, network) or does not know.",
);
pub(super) static NODE_READY_SINCE: Metric = gauge(
    "k8s_upgrade_node_ready_since_timestamp_seconds",
    &["node"],
    "Last transition of the Ready condition.",
);
pub(super) static NODE_BOOT: Metric = gauge(
    "k8s_upgrade_node_boot_timestamp_seconds",
    &["node"],
    "When the node was seen to boot; absent if that was never seen.",
);
pub(super) static NODE_LEASE: Metric = gauge(
    "k8s_upgrade_node_lease_renewed_timestamp_seconds",
    &["node"],
    "When the kubelet last renewed the Lease of the node.",
);
pub(super) static NODE_CORDONED_BY_RUN: Metric = gauge(
    "k8s_upgrade_node_cordoned_by_run",
    &["node"],
    "1 if the node carries the annotation that a run sets when it cordons.",
);
pub(super) static NODE_STATE: Metric = gauge(
    "k8s_upgrade_node_state",
    &["node", "state"],
    "1 for the state of the node in the open run (pending, upgrading, upgraded, failed, skipped), 0 for the others.",
);
pub(super) static SKEW_MINORS: Metric = gauge(
    "k8s_upgrade_skew_minor_versions",
    &["node", "component"],
    "Minor versions the component is behind the oldest API server; negative if ahead.",
);
pub(super) static SKEW_SUPPORTED: Metric = gauge(
    "k8s_upgrade_skew_supported",
    &["node", "component"],
    "1 if the component fits the newest API server by the version skew policy.",
);
pub(super) static DISTINCT_VERSIONS: Metric =
    gauge("k8s_upgrade_distinct_versions", &["component"], "How many versions of the component run.");
pub(super) static IN_FLIGHT: Metric = gauge("k8s_upgrade_in_flight", &[], "1 while an upgrade run is open.");
pub(super) static HALTED: Metric = gauge(
    "k8s_upgrade_halted",
    &[],
    "1 while an open run whose status can be read has halted until a person has looked.",
);
pub(super) static RUN_UNREADABLE: Metric = gauge(
    "k8s_upgrade_run_unreadable",
    &["run"],
    "1 if the stored status of the run cannot be read, so that nothing is done for it, not even its deletion.",
);
pub(super) static RUN_INFO: Metric = gauge(
    "k8s_upgrade_run_info",
    &["run", "from", "target"],
    "The open run; constant 1, absent when none is open.",
);
pub(super) static STARTED: Metric =
    gauge("k8s_upgrade_started_timestamp_seconds", &["run"], "When the open run began; absent before that.");
pub(super) static PHASE: Metric = gauge(
    "k8s_upgrade_phase",
    &["phase"],
    "1 for the phase of the open run (idle, queued, preflight, snapshot, prepare, control-plane, worker, postflight, ending, halted), 0 for the others.",
);
pub(super) static STEP_PENDING: Metric = gauge(
    "k8s_upgrade_step_pending",
    &["run", "step", "phase", "token", "gate_class"],
    "1 while this step waits for a permit; the token names this one attempt.",
);
pub(super) static STEP_NOT_BEFORE: Metric = gauge(
    "k8s_upgrade_step_not_before_timestamp_seconds",
    &["token"],
    "When the pending step may start at the earliest.",
);
pub(super) static STEP_RUNNING: Metric =
    gauge("k8s_upgrade_step_running", &["run", "step", "phase", "token"], "1 while this step runs.");
pub(super) static STEP_RUNNING_SINCE: Metric = gauge(
    "k8s_upgrade_step_running_since_timestamp_seconds",
    &["run", "step", "phase", "token"],
    "Since when this step has been running; for one that visits every node, since when it has been at its node.",
);
pub(super) static HOLD_REASON: Metric =
    gauge("k8s_upgrade_hold_reason", &["run", "reason"], "1 for each reason code that the run waits for.");
pub(super) static HOLDING_SINCE: Metric = gauge(
    "k8s_upgrade_holding_since_timestamp_seconds",
    &["run"],
    "Since when the run has been waiting for its oldest reason; absent while it waits for nothing.",
);
pub(super) static PROGRESS: Metric = gauge(
    "k8s_upgrade_progress_timestamp_seconds",
    &["run"],
    "When the run last made progress, or the end of its soak; absent while it has halted, is queued behind another, or runs a step for the first time.",
);
pub(super) static SNAPSHOT_TAKEN: Metric =
    gauge("k8s_upgrade_snapshot_taken", &[], "1 if the open run has its own verified etcd snapshot.");
pub(super) static SNAPSHOT_TIMESTAMP: Metric = gauge(
    "k8s_upgrade_snapshot_timestamp_seconds",
    &[],
    "When the etcd snapshot of the open run was taken; absent before that.",
);
pub(super) static SNAPSHOT_SIZE: Metric = gauge(
    "k8s_upgrade_snapshot_size_bytes",
    &[],
    "Size of the etcd snapshot of the open run; absent before there is one.",
);
/// User and system processor time spent.
pub static PROCESS_CPU: Metric =
    counter("process_cpu_seconds_total", &[], "User and system processor time spent.");
/// Resident memory.
pub static PROCESS_RESIDENT: Metric = gauge("process_resident_memory_bytes", &[], "Resident memory.");
/// Virtual memory.
pub static PROCESS_VIRTUAL: Metric = gauge("process_virtual_memory_bytes", &[], "Virtual memory.");
/// Open file descriptors.
pub static PROCESS_OPEN_FDS: Metric = gauge("process_open_fds", &[], "Open file descriptors.");
/// Maximum number of open file descriptors.
pub static PROCESS_MAX_FDS: Metric =
    gauge("process_max_fds", &[], "Maximum number of open file descriptors.");
/// Threads.
pub static PROCESS_THREADS: Metric = gauge("process_threads", &[], "Threads.");
/// When the process started.
pub static PROCESS_START: Metric = gauge("process_start_time_seconds", &[], "When the process started.");
pub(super) static EXPORTER_RELOAD_SUCCESSFUL: Metric = gauge(
    "k8s_upgrade_exporter_config_last_reload_successful",
    &[],
    "1 if the newest matrix.files are in force, 0 if they were refused and older ones are.",
);
pub(super) static EXPORTER_RELOAD_SUCCESS: Metric = gauge(
    "k8s_upgrade_exporter_config_last_reload_success_timestamp_seconds",
    &[],
    "When the matrix.files in force were loaded.",
);
pub(super) static ACTUATOR_RELOAD_SUCCESSFUL: Metric = of_actuator(gauge(
    "k8s_upgrade_actuator_config_last_reload_successful",
    &[],
    "1 if the newest matrix.files are in force, 0 if they were refused and older ones are.",
));
pub(super) static ACTUATOR_RELOAD_SUCCESS: Metric = of_actuator(gauge(
    "k8s_upgrade_actuator_config_last_reload_success_timestamp_seconds",
    &[],
    "When the matrix.files in force were loaded.",
));
pub(super) static ACCEPT_EXPIRY: Metric = gauge(
    "k8s_upgrade_accept_expiry_timestamp_seconds",
    &["check", "subject", "reason"],
    "When an accepted finding counts again; reason is empty if all findings about the subject are accepted.",
);
pub(super) static GATE_OPEN: Metric =
    of_actuator(gauge("k8s_upgrade_gate_open", &[], "1 if the last live check passed, 0 otherwise."));
pub(super) static GATE_CHECK: Metric = of_actuator(gauge(
    "k8s_upgrade_gate_check_timestamp_seconds",
    &[],
    "When the last live check was begun.",
));
pub(super) static GATE_REASON: Metric = of_actuator(gauge(
    "k8s_upgrade_gate_reason",
    &["reason"],
    "1 for each reason why the last live check failed.",
));
pub(super) static CHECKS: Metric =
    of_actuator(counter("k8s_upgrade_checks_total", &["form", "result"], "Live checks by form and result."));
pub(super) static WEBHOOK_REQUESTS: Metric = of_actuator(counter(
    "k8s_upgrade_webhook_requests_total",
    &["endpoint", "decision"],
    "Webhooks by endpoint and decision.",
));
pub(super) static WEBHOOK_LAST: Metric = of_actuator(gauge(
    "k8s_upgrade_webhook_last_timestamp_seconds",
    &["endpoint"],
    "When the last authenticated webhook arrived.",
));
pub(super) static HEARTBEAT: Metric = of_actuator(gauge(
    "k8s_upgrade_pipeline_heartbeat_timestamp_seconds",
    &[],
    "When the Watchdog last reached the actuator.",
));
pub(super) static PERMITS_CONSUMED: Metric =
    of_actuator(counter("k8s_upgrade_permits_consumed_total", &[], "Permits that started a step."));
pub(super) static TURN: Metric = of_actuator(gauge(
    "k8s_upgrade_turn_timestamp_seconds",
    &[],
    "When this replica last led, looked at every run and stored what it decided; 0 before that.",
));
pub(super) static LEADER: Metric =
    of_actuator(gauge("k8s_upgrade_leader", &[], "1 on the replica that leads."));
pub(super) static PAUSED: Metric =
    of_actuator(gauge("k8s_upgrade_paused", &["reason"], "1 if a person has paused the run."));
pub(super) static NOTICES_DROPPED: Metric = of_actuator(counter(
    "k8s_upgrade_notices_dropped_total",
    &["channel"],
    "Notices about runs that were not delivered.",
));

/// Every metric of both programs.
pub static TABLE: &[&Metric] = &[
    &BUILD_INFO,
    &STATE_TIMESTAMP,
    &SOURCE_UP,
    &SOURCE_LAST_SUCCESS,
    &WATCH_EVENTS,
    &WATCH_RESTARTS,
    &SOURCE_ERRORS,
    &AVAILABLE,
    &MINORS_BEHIND,
    &DETECTION_LAST_SUCCESS,
    &VERDICT,
    &VERDICT_TIMESTAMP,
    &VERDICT_CHECK,
    &VERDICT_BLIND,
    &VERDICT_LAST_SUCCESS,
    &VERDICT_REASON,
    &BLOCKED,
    &HELD,
    &BLIND,
    &BLOCKERS,
    &MATRIX_TIMESTAMP,
    &MATRIX_MAX_AGE,
    &RUNNING_MINOR_EOL,
    &NODE_INFO,
    &NODE_READY,
    &NODE_PRESSURE,
    &NODE_READY_SINCE,
    &NODE_BOOT,
    &NODE_LEASE,
    &NODE_CORDONED_BY_RUN,
    &NODE_STATE,
    &SKEW_MINORS,
    &SKEW_SUPPORTED,
    &DISTINCT_VERSIONS,
    &IN_FLIGHT,
    &HALTED,
    &RUN_UNREADABLE,
    &RUN_INFO,
    &STARTED,
    &PHASE,
    &STEP_PENDING,
    &STEP_NOT_BEFORE,
    &STEP_RUNNING,
    &STEP_RUNNING_SINCE,
    &HOLD_REASON,
    &HOLDING_SINCE,
    &PROGRESS,
    &SNAPSHOT_TAKEN,
    &SNAPSHOT_TIMESTAMP,
    &SNAPSHOT_SIZE,
    &PROCESS_CPU,
    &PROCESS_RESIDENT,
    &PROCESS_VIRTUAL,
    &PROCESS_OPEN_FDS,
    &PROCESS_MAX_FDS,
    &PROCESS_THREADS,
    &PROCESS_START,
    &EXPORTER_RELOAD_SUCCESSFUL,
    &EXPORTER_RELOAD_SUCCESS,
    &ACTUATOR_RELOAD_SUCCESSFUL,
    &ACTUATOR_RELOAD_SUCCESS,
    &ACCEPT_EXPIRY,
    &GATE_OPEN,
    &GATE_CHECK,
    &GATE_REASON,
    &CHECKS,
    &WEBHOOK_REQUESTS,
    &WEBHOOK_LAST,
    &HEARTBEAT,
    &PERMITS_CONSUMED,
    &TURN,
    &LEADER,
    &PAUSED,
    &NOTICES_DROPPED,
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_and_help_texts_follow_the_conventions() {
        let names: BTreeSet<_> = TABLE.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), TABLE.len(), "a name stands twice");
        for metric in TABLE {
            let Metric { name, kind, help, labels, program: _ } = metric;
            assert!(name.starts_with("k8s_upgrade_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert!(!name.contains("timestamp") || name.ends_with("_timestamp_seconds"), "{name}");
            assert!(help.ends_with('.') && !help.contains('\n'), "{name}");
            for owned_by_the_scrape in
                ["cluster", "region", "env", "stage", "service", "owner", "type", "job", "instance"]
            {
                assert!(!labels.contains(&owned_by_the_scrape), "{name}");
            }
        }
    }
}
