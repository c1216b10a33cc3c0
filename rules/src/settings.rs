//! Every threshold, once: shared by the generated rules, the live check, the machine and the docs.

mod bounds;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::selector::Selector;

pub use bounds::{SettingsError, validate_packages_interval};
pub(crate) use bounds::{bounds, orders};

/// The thresholds. All are seconds unless the name says otherwise; the defaults are for a real cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Settings {
    /// The namespaces whose runs are served; the program's own if none is named.
    pub namespaces: Vec<String>,
    /// How often Prometheus scrapes the exporter.
    pub scrape_interval_seconds: u64,
    /// The interval of the generated rule group that decides.
    pub evaluation_interval_seconds: u64,
    /// How long Prometheus must have evaluated its rules without a gap before a step may start.
    pub unbroken_evaluation_seconds: u64,
    /// How far back your own gate alerts look. Each Prometheus must have data that old; in any case it must have as much as
    /// the generated rules look back.
    pub prometheus_data_age_seconds_min: u64,
    /// How old the exporter's state may be before it no longer counts.
    pub state_age_seconds_max: u64,
    /// Prometheus' `--rules.alert.resend-delay`.
    pub resend_delay_seconds: u64,
    /// How long a permit lasts.
    pub permit_seconds: u64,
    /// How long the answer of a live check lasts, counted from its first request.
    pub check_seconds_max: u64,
    /// The pause between two live checks under one permit.
    pub check_pause_seconds: u64,
    /// The pause between two live checks that only report what a step is waiting for.
    pub idle_check_pause_seconds: u64,
    /// The longest pause before another attempt.
    pub attempt_pause_seconds_max: u64,
    /// How old preflight and snapshot may be when the first control-plane node is touched.
    pub preflight_seconds_max: u64,
    /// How long a unit that was sent to a node may take to appear in the node's ledger.
    pub unit_start_seconds_max: u64,
    /// How often a running unit is polled.
    pub unit_poll_seconds: u64,
    /// How long the other replicas wait before one takes over from a leader that has gone silent.
    pub lease_seconds: u64,
    /// How far the clock of a Prometheus, an Alertmanager or a node may be from the actuator's.
    pub clock_skew_seconds_max: u64,
    /// How old the last renewal of a node's or a controller's Lease may be.
    pub lease_age_seconds_max: u64,
    /// How old a verdict may be.
    pub verdict_seconds_max: u64,
    /// How long every node must have been up before a run starts.
    pub quiet_seconds: u64,
    /// The pause after each node before the next step may start.
    pub soak_seconds: u64,
    /// How long every etcd member must have been healthy before and after a control-plane node is changed.
    pub etcd_stable_seconds: u64,
    /// The highest 99th percentile of an etcd member's write-ahead log fsync, in milliseconds.
    pub etcd_fsync_milliseconds_max: u64,
    /// The highest 99th percentile of an etcd member's backend commits, in milliseconds.
    pub etcd_commit_milliseconds_max: u64,
    /// How many leader changes an etcd member may have seen in 15 minutes.
    pub etcd_leader_changes_max: u64,
    /// How much of its quota an etcd member's database may use, in percent.
    pub etcd_quota_percent_max: u64,
    /// How long a node whose change has not begun stays cordoned while the gate is closed.
    pub hold_seconds_max: u64,
    /// How long a drain may take.
    pub drain_seconds_max: u64,
    /// The pause after an eviction that a PodDisruptionBudget refused.
    pub eviction_pause_seconds: u64,
    /// How long a unit on a node may run.
    pub unit_seconds_max: u64,
    /// How long a node may take to come up at the target version.
    pub verify_seconds_max: u64,
    /// How many times a step is tried.
    pub attempts_max: u32,
    /// The pause before the second attempt; it doubles with each further one.
    pub attempt_pause_seconds: u64,
    /// The least free disk space on a node, in MiB.
    pub disk_free_mib_min: u64,
    /// The share of pods that must be Ready at the end, in percent.
    pub pods_ready_percent_min: u64,
    /// How old the last heartbeat through the alert path may be.
    pub heartbeat_seconds_max: u64,
    /// The `job` label of the exporter.
    pub exporter_job: String,
    /// The `job` label of the actuator.
    pub actuator_job: String,
    /// The `job` label of Prometheus itself, if it scrapes itself; empty otherwise. If set, a rule that fails to evaluate
    /// also closes the gate through an alert, and not only through the live check.
    pub prometheus_job: String,
    /// Labels that are added to every expression, such as `cluster="a"`; empty if the Prometheus serves one cluster only.
    #[schemars(with = "String")]
    pub selector: Selector,
    /// When people are told.
    pub alerts: AlertSettings,
}

/// When people are told. None of these decides anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct AlertSettings {
    /// The interval of the rule group of these alerts.
    pub interval_seconds: u64,
    /// How long telemetry, a node, the actuator or the alert path may be missing.
    pub gone_seconds: u64,
    /// How long a step may be ready without being started.
    pub unanswered_seconds: u64,
    /// How long one step may run.
    pub stalled_seconds: u64,
    /// How long a run may make no progress.
    pub holding_seconds: u64,
    /// How long a run may be past its snapshot step without a snapshot.
    pub snapshot_missing_seconds: u64,
    /// How long the verdict may be blocked, or held for an open run.
    pub blocked_seconds: u64,
    /// How long something that the verdict needs may be unreadable.
    pub blind_seconds: u64,
    /// How long before the end of patches for the running minor people are told that the cluster cannot leave it.
    pub eol_notice_seconds: u64,
    /// How long versions may differ while no run is open.
    pub skew_seconds: u64,
    /// How long the package index may go unread.
    pub detection_stale_seconds: u64,
    /// Where the runbooks are published; the alert's anchor is appended.
    pub runbooks: String,
}

impl Settings {
    /// These settings, told which namespace is the program's own: it is served where no other is named.
    #[must_use]
    pub fn served_from(mut self, own_namespace: &str) -> Self {
        if self.namespaces.is_empty() {
            self.namespaces.push(own_namespace.to_owned());
        }
        self
    }

    /// How long after its check a unit may still be begun, by the node's own clock: as long as the check is worth
    /// something, and what the two clocks may differ by.
    #[must_use]
    pub fn unit_begin_seconds_max(&self) -> u64 {
        self.check_seconds_max.saturating_add(self.clock_skew_seconds_max)
    }

    /// How long a unit that was sent is waited for before it is certain not to begin: never less than the node may
    /// take by a clock that is behind.
    #[must_use]
    pub fn unit_patience_seconds(&self) -> u64 {
        self.unit_start_seconds_max
            .max(self.unit_begin_seconds_max().saturating_add(self.clock_skew_seconds_max))
    }
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self {
            interval_seconds: 30,
            gone_seconds: 900,
            unanswered_seconds: 600,
            stalled_seconds: 5_400,
            holding_seconds: 86_400,
            snapshot_missing_seconds: 600,
            blocked_seconds: 900,
            blind_seconds: 3_600,
            eol_notice_seconds: 5_184_000,
            skew_seconds: 1_800,
            detection_stale_seconds: 93_600,
            runbooks: "docs/runbooks.md".to_owned(),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            namespaces: Vec::new(),
            scrape_interval_seconds: 5,
            evaluation_interval_seconds: 5,
            unbroken_evaluation_seconds: 300,
            prometheus_data_age_seconds_min: 0,
            state_age_seconds_max: 60,
            resend_delay_seconds: 60,
            permit_seconds: 60,
            check_seconds_max: 5,
            check_pause_seconds: 2,
            idle_check_pause_seconds: 10,
            attempt_pause_seconds_max: 600,
            preflight_seconds_max: 7_200,
            unit_start_seconds_max: 60,
            unit_poll_seconds: 2,
            lease_seconds: 15,
            clock_skew_seconds_max: 5,
            lease_age_seconds_max: 40,
            verdict_seconds_max: 60,
            quiet_seconds: 86_400,
            soak_seconds: 600,
            etcd_stable_seconds: 20,
            // Where etcd's own alerts begin to warn: contrib/mixin of github.com/etcd-io/etcd. Good disks are far below.
            etcd_fsync_milliseconds_max: 500,
            etcd_commit_milliseconds_max: 250,
            etcd_leader_changes_max: 3,
            etcd_quota_percent_max: 95,
            hold_seconds_max: 900,
            drain_seconds_max: 1_800,
            eviction_pause_seconds: 5,
            unit_seconds_max: 3_600,
            verify_seconds_max: 900,
            attempts_max: 3,
            attempt_pause_seconds: 60,
            disk_free_mib_min: 2_048,
            pods_ready_percent_min: 90,
            heartbeat_seconds_max: 90,
            exporter_job: "k8s-upgrade-exporter".to_owned(),
            actuator_job: "k8s-upgrade-actuator".to_owned(),
            prometheus_job: String::new(),
            selector: Selector::default(),
            alerts: AlertSettings::default(),
        }
    }
}
