//! What etcd says of itself, asked of Prometheus where it scrapes etcd.

use super::selected::selected;
use crate::reason::Reason;
use crate::settings::Settings;
use crate::words::step::Step;

/// For how long a member that has shown a metric is missed when it no longer does. Longer than an outage of the scrape
/// that somebody is told of, and short enough to forget a member that was taken away.
const MISSED: &str = "1h";

/// One thing that etcd measures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measure {
    /// What is measured, and in which unit.
    pub what: &'static str,
    /// One value for each member, by `instance`; not a number where it is not known of a member that has shown it
    /// lately. No member at all means that this Prometheus does not scrape etcd.
    pub expr: String,
    /// The largest value that is well.
    pub max: u64,
    /// What a larger one means.
    pub reason: Reason,
}

/// What is asked before and in a step: nothing unless it begins a run or touches a member of etcd.
pub(super) fn measures(step: &Step, settings: &Settings) -> Vec<Measure> {
    match step {
        // Whether it is of the control plane is not known by its name.
        Step::Preflight | Step::ControlPlane(_) | Step::Node(_) => {}
        Step::Snapshot | Step::Prepare | Step::Worker(_) | Step::Postflight => return Vec::new(),
    }
    vec![
        Measure {
            what: "p99 of WAL fsync in ms",
            expr: p99_milliseconds("etcd_disk_wal_fsync_duration_seconds_bucket", settings),
            max: settings.etcd_fsync_milliseconds_max,
            reason: Reason::EtcdSlow,
        },
        Measure {
            what: "p99 of backend commit in ms",
            expr: p99_milliseconds("etcd_disk_backend_commit_duration_seconds_bucket", settings),
            max: settings.etcd_commit_milliseconds_max,
            reason: Reason::EtcdSlow,
        },
        Measure {
            what: "leader changes in 15 minutes",
            expr: leader_changes(settings),
            max: settings.etcd_leader_changes_max,
            reason: Reason::EtcdSlow,
        },
        Measure {
            what: "database in percent of its quota",
            expr: percent_of_quota(settings),
            max: settings.etcd_quota_percent_max,
            reason: Reason::EtcdNearlyFull,
        },
    ]
}

fn p99_milliseconds(buckets: &str, settings: &Settings) -> String {
    let rate = format!("rate({}[5m])", selected(buckets, &[], settings));
    let p99 = format!("1000 * histogram_quantile(0.99, sum by (instance, le) ({rate}))");
    // One bucket of the many that each member has.
    or_unknown(&p99, &selected(buckets, &["le=\"+Inf\"".to_owned()], settings))
}

fn leader_changes(settings: &Settings) -> String {
    let changes = selected("etcd_server_leader_changes_seen_total", &[], settings);
    or_unknown(&format!("max by (instance) (increase({changes}[15m]))"), &changes)
}

/// Without a quota etcd shows a negative one, and the share is negative too.
fn percent_of_quota(settings: &Settings) -> String {
    let size = selected("etcd_mvcc_db_total_size_in_bytes", &[], settings);
    let quota = selected("etcd_server_quota_backend_bytes", &[], settings);
    or_unknown(&format!("100 * max by (instance) ({size}) / max by (instance) ({quota})"), &size)
}

/// The value, and not a number for each member that has shown the series lately and has no value.
fn or_unknown(value: &str, series: &str) -> String {
    format!("{value} or NaN * max by (instance) (last_over_time({series}[{MISSED}]))")
}
