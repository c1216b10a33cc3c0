//! What each threshold may be. A value outside either voids a promise that is made elsewhere, or lets nothing ever start;
//! both are better told when the file is read.

use std::ops::RangeInclusive;

use super::{AlertSettings, Settings};

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {found}: {why}; {remedy}")]
pub struct SettingsError {
    /// The field, as it is written in the file.
    field: &'static str,
    /// What stands there.
    found: String,
    /// Why that cannot be.
    why: &'static str,
    /// What would be right.
    remedy: String,
}

/// One number: the field, how it is read, what it may be, and why no less and no more.
struct Bound<T>(&'static str, fn(&T) -> u64, RangeInclusive<u64>, &'static str);

#[rustfmt::skip] // one threshold, one line and its reason
const BOUNDS: [Bound<Settings>; 35] = [
    Bound("settings.scrapeIntervalSeconds", |it| it.scrape_interval_seconds, 1..=60,
        "three scrapes must fit well into the five minutes that Prometheus looks back"),
    Bound("settings.evaluationIntervalSeconds", |it| it.evaluation_interval_seconds, 1..=60,
        "a rule that is rarely evaluated says nothing about the present, and 0 is no interval"),
    Bound("settings.unbrokenEvaluationSeconds", |it| it.unbroken_evaluation_seconds, 10..=3_600,
        "less does not show that Prometheus has finished starting, and more closes the gate for hours after each start"),
    Bound("settings.prometheusDataAgeSecondsMin", |it| it.prometheus_data_age_seconds_min, 0..=604_800,
        "after each loss of data the gate stays closed for that long, and Prometheus never shows what it no longer keeps"),
    Bound("settings.stateAgeSecondsMax", |it| it.state_age_seconds_max, 30..=300,
        "the exporter confirms a quiet cluster every 20 s, and a state that is minutes old may no longer be true"),
    Bound("settings.resendDelaySeconds", |it| it.resend_delay_seconds, 1..=3_600,
        "an Alertmanager that has just started may lack alerts for as long"),
    Bound("settings.permitSeconds", |it| it.permit_seconds, 5..=300,
        "a webhook says what was true minutes ago at best, and a live check must fit into it"),
    Bound("settings.checkSecondsMax", |it| it.check_seconds_max, 2..=5,
        "no change may rest on a check that began more than five seconds ago, and none is done within one"),
    Bound("settings.checkPauseSeconds", |it| it.check_pause_seconds, 1..=30,
        "0 would ask without a pause, and a permit must be good for more than one check"),
    Bound("settings.idleCheckPauseSeconds", |it| it.idle_check_pause_seconds, 1..=300,
        "0 would ask without a pause, and people want to see what a step waits for"),
    Bound("settings.attemptPauseSeconds", |it| it.attempt_pause_seconds, 1..=3_600,
        "0 would use up every attempt on one short outage"),
    Bound("settings.attemptPauseSecondsMax", |it| it.attempt_pause_seconds_max, 1..=3_600,
        "the alert on a run that holds looks back over it"),
    Bound("settings.preflightSecondsMax", |it| it.preflight_seconds_max, 600..=86_400,
        "snapshot and prepare must fit into it, and after a day none of it may be true any more"),
    Bound("settings.unitStartSecondsMax", |it| it.unit_start_seconds_max, 5..=120,
        "a connection takes seconds, and until then nobody knows whether the node's change has begun"),
    Bound("settings.unitPollSeconds", |it| it.unit_poll_seconds, 1..=30,
        "0 would ask without a pause, and every other deadline of a node is counted in these"),
    Bound("settings.leaseSeconds", |it| it.lease_seconds, 3..=300,
        "a write must return within two ninths of it, and nobody leads for that long after a leader is lost"),
    Bound("settings.clockSkewSecondsMax", |it| it.clock_skew_seconds_max, 2..=10,
        "a Date header has whole seconds, and every age may be wrong by that much"),
    Bound("settings.leaseAgeSecondsMax", |it| it.lease_age_seconds_max, 15..=120,
        "a kubelet renews every 10 s, and one that has not for minutes is gone"),
    Bound("settings.verdictSecondsMax", |it| it.verdict_seconds_max, 10..=300,
        "a verdict may rest on a state that is minutes old at most"),
    Bound("settings.quietSeconds", |it| it.quiet_seconds, 0..=2_592_000,
        "a cluster that is patched each month would never be quiet for longer"),
    Bound("settings.soakSeconds", |it| it.soak_seconds, 0..=604_800,
        "it is the pause after every single node"),
    Bound("settings.etcdStableSeconds", |it| it.etcd_stable_seconds, 1..=300,
        "0 could break the quorum while a member has only just come back"),
    Bound("settings.etcdFsyncMillisecondsMax", |it| it.etcd_fsync_milliseconds_max, 1..=8_000,
        "every disk takes some time, and etcd counts nothing beyond 8.192 s"),
    Bound("settings.etcdCommitMillisecondsMax", |it| it.etcd_commit_milliseconds_max, 1..=8_000,
        "every disk takes some time, and etcd counts nothing beyond 8.192 s"),
    Bound("settings.etcdLeaderChangesMax", |it| it.etcd_leader_changes_max, 0..=100,
        "a leader that changes every few seconds is no leader"),
    Bound("settings.etcdQuotaPercentMax", |it| it.etcd_quota_percent_max, 1..=100,
        "etcd takes no writes beyond its quota, and no database is empty"),
    Bound("settings.holdSecondsMax", |it| it.hold_seconds_max, 5..=86_400,
        "a node that waits for a gate is out of service"),
    Bound("settings.drainSecondsMax", |it| it.drain_seconds_max, 30..=86_400,
        "pods are given 30 s to end by default, and a node being drained is out of service"),
    Bound("settings.evictionPauseSeconds", |it| it.eviction_pause_seconds, 1..=30,
        "0 would ask without a pause, and who asks more rarely hardly ever meets a budget with room"),
    Bound("settings.unitSecondsMax", |it| it.unit_seconds_max, 30..=43_200,
        "kubeadm takes minutes, and a unit that hangs keeps a node out of service"),
    Bound("settings.verifySecondsMax", |it| it.verify_seconds_max, 30..=14_400,
        "a kubelet takes half a minute to come up, and one that does not needs a person"),
    Bound("settings.attemptsMax", |it| it.attempts_max.into(), 1..=20,
        "without an attempt nothing starts, and what fails that often needs a person"),
    Bound("settings.diskFreeMibMin", |it| it.disk_free_mib_min, 64..=1_048_576,
        "packages that run out of disk half way leave a broken node"),
    Bound("settings.podsReadyPercentMin", |it| it.pods_ready_percent_min, 0..=100,
        "it is a percentage"),
    Bound("settings.heartbeatSecondsMax", |it| it.heartbeat_seconds_max, 5..=600,
        "Alertmanager repeats it every 30 s as generated, and an alert path that is silent for minutes is broken"),
];

/// None of these decides anything: too short a time tells people too much, and too long a time too late.
#[rustfmt::skip] // one threshold, one line
const ALERT_BOUNDS: [Bound<AlertSettings>; 11] = [
    Bound("settings.alerts.intervalSeconds", |it| it.interval_seconds, 1..=120,
        "a slower group would miss what happens within the five minutes that Prometheus looks back"),
    Bound("settings.alerts.goneSeconds", |it| it.gone_seconds, 1..=86_400, A_DAY_LATE),
    Bound("settings.alerts.unansweredSeconds", |it| it.unanswered_seconds, 1..=86_400, A_DAY_LATE),
    Bound("settings.alerts.stalledSeconds", |it| it.stalled_seconds, 1..=604_800, A_WEEK_LATE),
    Bound("settings.alerts.holdingSeconds", |it| it.holding_seconds, 1..=604_800, A_WEEK_LATE),
    Bound("settings.alerts.snapshotMissingSeconds", |it| it.snapshot_missing_seconds, 1..=86_400, A_DAY_LATE),
    Bound("settings.alerts.blockedSeconds", |it| it.blocked_seconds, 1..=604_800, A_WEEK_LATE),
    Bound("settings.alerts.blindSeconds", |it| it.blind_seconds, 1..=604_800, A_WEEK_LATE),
    Bound("settings.alerts.eolNoticeSeconds", |it| it.eol_notice_seconds, 86_400..=31_536_000,
        "an upgrade takes longer than a day to plan, and a minor gets patches for little more than a year"),
    Bound("settings.alerts.skewSeconds", |it| it.skew_seconds, 1..=604_800, A_WEEK_LATE),
    Bound("settings.alerts.detectionStaleSeconds", |it| it.detection_stale_seconds, 1..=2_592_000,
        "a month without news of new versions is too late, and 0 is always"),
];
const A_DAY_LATE: &str = "people must be told within a day, and 0 would tell them of every moment";
const A_WEEK_LATE: &str = "people must be told within a week, and 0 would tell them of every moment";

/// Two numbers of which the first must be the smaller one, by this factor, and why.
struct Order(&'static str, Read, u64, &'static str, Read, &'static str);
type Read = fn(&Settings) -> u64;

#[rustfmt::skip] // one pair, one line and its reason
const ORDERS: [Order; 6] = [
    Order("settings.evaluationIntervalSeconds", |it| it.evaluation_interval_seconds, 4,
        "settings.unbrokenEvaluationSeconds", |it| it.unbroken_evaluation_seconds,
        "there would be too few evaluations to show a gap"),
    Order("settings.scrapeIntervalSeconds", |it| it.scrape_interval_seconds, 2,
        "settings.stateAgeSecondsMax", |it| it.state_age_seconds_max,
        "the state would be too old before the next scrape"),
    Order("settings.checkPauseSeconds", |it| it.check_pause_seconds, 2,
        "settings.permitSeconds", |it| it.permit_seconds,
        "a permit would end before the second check"),
    Order("settings.attemptPauseSeconds", |it| it.attempt_pause_seconds, 1,
        "settings.attemptPauseSecondsMax", |it| it.attempt_pause_seconds_max,
        "the first pause would be longer than the longest"),
    Order("settings.evictionPauseSeconds", |it| it.eviction_pause_seconds, 2,
        "settings.drainSecondsMax", |it| it.drain_seconds_max,
        "a drain would end before the second try"),
    Order("settings.etcdStableSeconds", |it| it.etcd_stable_seconds, 2,
        "settings.verifySecondsMax", |it| it.verify_seconds_max,
        "etcd would not be stable before a node is given up"),
];

/// Each number with what it may be.
pub(crate) fn bounds() -> Vec<(&'static str, RangeInclusive<u64>)> {
    let one = BOUNDS.iter().map(|bound| (bound.0, bound.2.clone()));
    one.chain(ALERT_BOUNDS.iter().map(|bound| (bound.0, bound.2.clone()))).collect()
}

/// Each pair of numbers that must fit together: the smaller one, how often it must fit into the larger one, and why.
pub(crate) fn orders() -> Vec<(&'static str, u64, &'static str, &'static str)> {
    ORDERS.iter().map(|order| (order.0, order.2, order.3, order.5)).collect()
}

/// The longest name of a job and the longest address of the runbooks, in characters.
const TEXT_LENGTH_MAX: usize = 253;

/// How many namespaces may be served.
const NAMESPACES_MAX: usize = 100;

/// Whether the API server would take it as the name of a namespace.
fn is_namespace(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(is_inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

impl Settings {
    /// Whether every value can be used.
    ///
    /// # Errors
    /// The first one that cannot, with its field, what stands there, why that cannot be, and what could.
    pub fn validate(&self) -> Result<(), SettingsError> {
        BOUNDS.iter().try_for_each(|bound| bound.hold(self))?;
        ALERT_BOUNDS.iter().try_for_each(|bound| bound.hold(&self.alerts))?;
        ORDERS.iter().try_for_each(|order| order.hold(self))?;
        self.namespaces()?;
        self.texts()
    }

    fn namespaces(&self) -> Result<(), SettingsError> {
        let wrong = |found: String, why, remedy: String| {
            Err(SettingsError { field: "settings.namespaces", found, why, remedy })
        };
        if self.namespaces.len() > NAMESPACES_MAX {
            let remedy = format!("name at most {NAMESPACES_MAX}");
            return wrong(
                format!("{} names", self.namespaces.len()),
                "every run is looked for in it",
                remedy,
            );
        }
        match self.namespaces.iter().find(|name| !is_namespace(name)) {
            None => Ok(()),
            Some(name) => wrong(
                format!("{name:?}"),
                "it is no name of a namespace, and nothing would be served",
                "write names such as k8s-upgrade; there is no wildcard".to_owned(),
            ),
        }
    }

    fn texts(&self) -> Result<(), SettingsError> {
        let Self { exporter_job, actuator_job, prometheus_job, alerts, .. } = self;
        let named = [
            ("settings.exporterJob", exporter_job, false),
            ("settings.actuatorJob", actuator_job, false),
            ("settings.prometheusJob", prometheus_job, true),
            ("settings.alerts.runbooks", &alerts.runbooks, false),
        ];
        for (field, text, may_be_empty) in named {
            let is_one_line = text.len() <= TEXT_LENGTH_MAX && !text.contains(char::is_control);
            if !is_one_line || (text.is_empty() && !may_be_empty) {
                let remedy = format!("write one line of at most {TEXT_LENGTH_MAX} characters");
                let (found, why) = (format!("{text:?}"), "it is put into the rules as it is");
                return Err(SettingsError { field, found, why, remedy });
            }
        }
        let pairs = [
            ("settings.actuatorJob", actuator_job, exporter_job),
            ("settings.prometheusJob", prometheus_job, exporter_job),
            ("settings.prometheusJob", prometheus_job, actuator_job),
        ];
        match pairs.into_iter().find(|(_, job, other)| job == other) {
            None => Ok(()),
            Some((field, job, _)) => Err(SettingsError {
                field,
                found: format!("{job:?}"),
                why: "one program's series would pass for another's",
                remedy: "give each its own job".to_owned(),
            }),
        }
    }
}

/// Whether the package index is read neither without a pause nor too rarely.
///
/// # Errors
/// It is not.
pub fn validate_packages_interval(seconds: u64) -> Result<(), SettingsError> {
    let why = "an index counts for six hours, and 0 would ask without a pause";
    Bound("packages.intervalSeconds", |&seconds: &u64| seconds, 1..=10_800, why).hold(&seconds)
}

impl<T> Bound<T> {
    fn hold(&self, settings: &T) -> Result<(), SettingsError> {
        let Self(field, read, range, why) = self;
        let found = read(settings);
        if range.contains(&found) {
            return Ok(());
        }
        let remedy = format!("write {} to {}", range.start(), range.end());
        Err(SettingsError { field, found: found.to_string(), why, remedy })
    }
}

impl Order {
    fn hold(&self, settings: &Settings) -> Result<(), SettingsError> {
        let Self(small, read_small, factor, large, read_large, why) = self;
        let (found, limit) = (read_small(settings), read_large(settings));
        if found.saturating_mul(*factor) <= limit {
            return Ok(());
        }
        let remedy = format!(
            "write at most {}, or at least {} for {large}",
            limit / factor,
            found.saturating_mul(*factor)
        );
        Err(SettingsError { field: small, found: found.to_string(), why, remedy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The settings with this value at a path such as `settings.alerts.goneSeconds`.
    fn with(field: &str, value: &Value) -> Settings {
        let mut settings = json!({ "settings": Settings::default() });
        *settings.pointer_mut(&format!("/{}", field.replace('.', "/"))).expect(field) = value.clone();
        serde_json::from_value(settings["settings"].take()).unwrap()
    }

    fn named(field: &str, value: &Value) -> Option<String> {
        let error = with(field, value).validate().err().filter(|error| error.field == field)?;
        Some(error.to_string())
    }

    #[test]
    fn the_defaults_can_be_used() {
        assert_eq!(Settings::default().validate(), Ok(()));
    }

    #[test]
    fn every_number_has_a_bound_and_every_text_a_rule() {
        let mut fields = Vec::new();
        let settings = serde_json::to_value(Settings::default()).unwrap();
        for (prefix, object) in [("settings", &settings), ("settings.alerts", &settings["alerts"])] {
            fields.extend(
                object.as_object().unwrap().iter().map(|(name, it)| (format!("{prefix}.{name}"), it)),
            );
        }
        let bounded: Vec<&str> = bounds().into_iter().map(|(field, _)| field).collect();
        for (field, value) in fields {
            match value {
                Value::Number(_) => assert!(bounded.contains(&field.as_str()), "{field}"),
                // Read by a type of its own, which refuses what it is not.
                Value::String(_) if field == "settings.selector" => {}
                Value::String(_) => assert!(named(&field, &json!("two\nlines")).is_some(), "{field}"),
                Value::Array(_) => assert!(named(&field, &json!(["two\nlines"])).is_some(), "{field}"),
                other => assert!(field == "settings.alerts", "{field} is {other}"),
            }
        }
    }

    #[test]
    fn a_number_outside_its_bounds_is_refused_with_field_value_and_range() {
        for (field, range) in bounds() {
            let (least, most) = (*range.start(), *range.end());
            let outside = least.checked_sub(1).into_iter().chain([most + 1]);
            for value in outside {
                let error = named(field, &json!(value)).unwrap_or_else(|| panic!("{field} may be {value}"));
                for words in [format!("{field} is {value}: "), format!("; write {least} to {most}")] {
                    assert!(error.contains(&words), "{error}");
                }
            }
            for value in [least, most] {
                let error = named(field, &json!(value)).unwrap_or_default();
                assert!(!error.contains(&format!("write {least} to {most}")), "{error}");
            }
        }
    }

    #[test]
    fn numbers_that_do_not_fit_together_are_refused() {
        for (field, value, remedy) in [
            ("settings.evaluationIntervalSeconds", 60, ORDERS[0].3),
            ("settings.checkPauseSeconds", 30, ""),
            ("settings.attemptPauseSeconds", 601, ORDERS[3].3),
        ] {
            let mut settings = with(field, &json!(value));
            settings.unbroken_evaluation_seconds = 100;
            settings.permit_seconds = 59;
            let error = settings.validate().unwrap_err();
            assert_eq!(error.field, field, "{error}");
            assert!(error.remedy.contains(remedy), "{error}");
        }
        for (change, field) in [
            (
                (|it| {
                    it.scrape_interval_seconds = 16;
                    it.state_age_seconds_max = 30
                }) as fn(&mut Settings),
                ORDERS[1].0,
            ),
            (
                |it| {
                    it.eviction_pause_seconds = 16;
                    it.drain_seconds_max = 30
                },
                ORDERS[4].0,
            ),
            (
                |it| {
                    it.etcd_stable_seconds = 16;
                    it.verify_seconds_max = 30
                },
                ORDERS[5].0,
            ),
            (|it| it.actuator_job = it.exporter_job.clone(), "settings.actuatorJob"),
            (|it| it.prometheus_job = it.exporter_job.clone(), "settings.prometheusJob"),
        ] {
            let mut settings = Settings::default();
            change(&mut settings);
            assert_eq!(settings.validate().unwrap_err().field, field);
        }
    }

    #[test]
    fn a_namespace_that_cannot_be_is_refused() {
        let field = "settings.namespaces";
        for name in ["", "*", "a/b", "K8s", "-a", "a-", "a.b", &"a".repeat(64)] {
            let error = named(field, &json!([name])).unwrap_or_else(|| panic!("{name:?} may be served"));
            assert!(error.contains("k8s-upgrade"), "{error}");
        }
        assert!(named(field, &json!(vec!["a"; NAMESPACES_MAX + 1])).is_some());
        assert_eq!(named(field, &json!(["a", "k8s-upgrade", "0-9"])), None);
    }

    #[test]
    fn a_program_serves_its_own_namespace_only_where_no_other_is_named() {
        let served = |named: &Value| with("settings.namespaces", named).served_from("own").namespaces;
        assert_eq!(served(&json!([])), ["own"]);
        assert_eq!(served(&json!(["a", "b"])), ["a", "b"]);
    }

    #[test]
    fn the_index_is_read_often_enough_and_with_pauses() {
        assert!([1, 300, 10_800].into_iter().all(|seconds| validate_packages_interval(seconds).is_ok()));
        for seconds in [0, 10_801] {
            let error = validate_packages_interval(seconds).unwrap_err().to_string();
            assert!(error.starts_with(&format!("packages.intervalSeconds is {seconds}: ")), "{error}");
        }
    }
}
