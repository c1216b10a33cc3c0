//! Every threshold, once: shared by the generated rules, the live check, the machine and the docs.

mod bounds;

use serde::{Deserialize, Serialize};

use crate::selector::Selector;

pub use bounds::{SettingsError, validate_packages_interval};

/// The thresholds. All are seconds unless the name says otherwise; the defaults are for a real cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Settings {
    /// The namespaces whose runs are served; the program's own where none is named.
    pub namespaces: Vec<String>,
    /// How often Prometheus scrapes the exporter.
    pub scrape_interval_seconds: u64,
    /// The interval of the generated rule groups.
    pub evaluation_interval_seconds: u64,
    /// How long Prometheus must have evaluated without a gap before a step may start.
    pub unbroken_evaluation_seconds: u64,
    /// How old the data of each Prometheus must be: as far back as the gate alerts look that are not generated. How far the
    /// generated rules look back counts in any case.
    pub prometheus_data_age_seconds_min: u64,
    /// The oldest state of the exporter that counts.
    pub state_age_seconds_max: u64,
    /// Prometheus' `--rules.alert.resend-delay`.
    pub resend_delay_seconds: u64,
    /// How long a permit is worth something.
    pub permit_seconds: u64,
    /// How long a live check is worth something, from its first request.
    pub check_seconds_max: u64,
    /// The pause between two live checks under one permit.
    pub check_pause_seconds: u64,
    /// The pause between two live checks that only say what a waiting step waits for.
    pub idle_check_pause_seconds: u64,
    /// The longest pause before another attempt.
    pub attempt_pause_seconds_max: u64,
    /// How old preflight and snapshot may be when the first control-plane node is touched.
    pub preflight_seconds_max: u64,
    /// How long a unit that was sent to a node may take to show in its ledger.
    pub unit_start_seconds_max: u64,
    /// The pause between two looks at a running unit.
    pub unit_poll_seconds: u64,
    /// How long others wait before they take over the lead of a silent actuator.
    pub lease_seconds: u64,
    /// How far a backend's clock may be from ours.
    pub clock_skew_seconds_max: u64,
    /// The oldest renewal of a node's or controller's Lease that counts.
    pub lease_age_seconds_max: u64,
    /// How old a verdict may be.
    pub verdict_seconds_max: u64,
    /// How long a node must have been up before a run starts.
    pub quiet_seconds: u64,
    /// The pause after each node before the next step may start.
    pub soak_seconds: u64,
    /// How long every etcd member must have been healthy before and after a control-plane node.
    pub etcd_stable_seconds: u64,
    /// The slowest write-ahead log of an etcd member that is well: the 99th percentile of its fsync, in milliseconds.
    pub etcd_fsync_milliseconds_max: u64,
    /// The slowest database of an etcd member that is well: the 99th percentile of its commits, in milliseconds.
    pub etcd_commit_milliseconds_max: u64,
    /// How many changes of its leader an etcd member may have seen in 15 minutes.
    pub etcd_leader_changes_max: u64,
    /// How much of its quota an etcd member's database may fill, in percent.
    pub etcd_quota_percent_max: u64,
    /// How long a node stays cordoned before its mutation while the gate is closed.
    pub hold_seconds_max: u64,
    /// How long a drain may take.
    pub drain_seconds_max: u64,
    /// The pause after an eviction that a budget refused.
    pub eviction_pause_seconds: u64,
    /// How long a unit on a node may run.
    pub unit_seconds_max: u64,
    /// How long a node may take to come up at the target.
    pub verify_seconds_max: u64,
    /// How often a step is tried.
    pub attempts_max: u32,
    /// The first pause before another attempt; it doubles with each.
    pub attempt_pause_seconds: u64,
    /// The least free disk on a node, in MiB.
    pub disk_free_mib_min: u64,
    /// The least share of pods that must be Ready in the end, in percent.
    pub pods_ready_percent_min: u64,
    /// The oldest heartbeat of the alert path that counts as whole.
    pub heartbeat_seconds_max: u64,
    /// The `job` label of the exporter.
    pub exporter_job: String,
    /// The `job` label of the actuator.
    pub actuator_job: String,
    /// The `job` label of Prometheus itself, where it scrapes itself; empty where it does not. A rule that fails
    /// to evaluate then closes the gate by itself, and not only through the live check.
    pub prometheus_job: String,
    /// Labels that are put into every expression, such as `cluster="a"`; empty for a Prometheus of its own.
    pub selector: Selector,
    /// When people are told.
    pub alerts: AlertSettings,
}

/// When people are told. None of these decides anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct AlertSettings {
    /// The interval of the group of these alerts.
    pub interval_seconds: u64,
    /// How long telemetry, a node, the actuator or the alert path may be gone.
    pub gone_seconds: u64,
    /// How long a step may be ready without being started.
    pub unanswered_seconds: u64,
    /// How long one step may run.
    pub stalled_seconds: u64,
    /// How long a run may go without coming further.
    pub holding_seconds: u64,
    /// How long a run may be past its snapshot step without a snapshot.
    pub snapshot_missing_seconds: u64,
    /// How long the verdict may be blocked, and that of an open run held.
    pub blocked_seconds: u64,
    /// How long the verdict may lack something that cannot be read.
    pub blind_seconds: u64,
    /// How long before the running minor gets no more patches a cluster that may not leave it is told of.
    pub eol_notice_seconds: u64,
    /// How long versions may differ while no run is open.
    pub skew_seconds: u64,
    /// How long nothing may have been learnt about new versions.
    pub detection_stale_seconds: u64,
    /// Where the runbooks are: the alert's anchor is put behind it.
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
