//! The actuator's own metrics: the gate, the webhooks, leadership.

use std::sync::atomic::AtomicU64;

use jiff::Timestamp;
use lockkeeper_rules::facts::reload::InForce;
use lockkeeper_rules::gate::{CheckResult, Decision, Form, REASONS, Route};
use lockkeeper_rules::publish::metric::TABLE;
use lockkeeper_rules::reason::Reason;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The channels of notices, as metrics show them.
pub const CHANNELS: [&str; 1] = ["events"];

type Labels = [(&'static str, &'static str); 1];
type TwoLabels = [(&'static str, &'static str); 2];
type Seconds = Gauge<f64, AtomicU64>;

/// Every metric of the actuator. All series exist from the start, so that none of them appears only when it is
/// too late to alert on it.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    gate_open: Gauge,
    gate_checked_at: Seconds,
    gate_reasons: Family<Labels, Gauge>,
    checks: Family<TwoLabels, Counter>,
    webhooks: Family<TwoLabels, Counter>,
    webhook_at: Family<Labels, Seconds>,
    heartbeat_at: Seconds,
    permits_consumed: Counter,
    turned_at: Seconds,
    leader: Gauge,
    paused: Family<Labels, Gauge>,
    notices_dropped: Family<Labels, Counter>,
    reload_successful: Gauge,
    reloaded_at: Seconds,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics of a process that has done nothing yet.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            gate_open: Gauge::default(),
            gate_checked_at: Seconds::default(),
            gate_reasons: Family::default(),
            checks: Family::default(),
            webhooks: Family::default(),
            webhook_at: Family::default(),
            heartbeat_at: Seconds::default(),
            permits_consumed: Counter::default(),
            turned_at: Seconds::default(),
            leader: Gauge::default(),
            paused: Family::default(),
            notices_dropped: Family::default(),
            reload_successful: Gauge::default(),
            reloaded_at: Seconds::default(),
        };
        metrics.register();
        metrics.show_all_series();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        register(registry, "k8s_upgrade_gate_open", self.gate_open.clone());
        register(registry, "k8s_upgrade_gate_check_timestamp_seconds", self.gate_checked_at.clone());
        register(registry, "k8s_upgrade_gate_reason", self.gate_reasons.clone());
        register(registry, "k8s_upgrade_checks_total", self.checks.clone());
        register(registry, "k8s_upgrade_webhook_requests_total", self.webhooks.clone());
        register(registry, "k8s_upgrade_webhook_last_timestamp_seconds", self.webhook_at.clone());
        register(registry, "k8s_upgrade_pipeline_heartbeat_timestamp_seconds", self.heartbeat_at.clone());
        register(registry, "k8s_upgrade_permits_consumed_total", self.permits_consumed.clone());
        register(registry, "k8s_upgrade_turn_timestamp_seconds", self.turned_at.clone());
        register(registry, "k8s_upgrade_leader", self.leader.clone());
        register(registry, "k8s_upgrade_paused", self.paused.clone());
        register(registry, "k8s_upgrade_notices_dropped_total", self.notices_dropped.clone());
        let successful = self.reload_successful.clone();
        register(registry, "k8s_upgrade_actuator_config_last_reload_successful", successful);
        let at = "k8s_upgrade_actuator_config_last_reload_success_timestamp_seconds";
        register(registry, at, self.reloaded_at.clone());
    }

    fn show_all_series(&self) {
        for reason in REASONS {
            drop(self.gate_reasons.get_or_create(&reason_label(*reason)));
        }
        for form in [Form::Start, Form::Continue] {
            for passed in [true, false] {
                drop(self.checks.get_or_create(&check_labels(form, passed)));
            }
        }
        for route in Route::ALL {
            drop(self.webhook_at.get_or_create(&[("endpoint", route.label())]));
            for decision in Decision::ALL {
                drop(self.webhooks.get_or_create(&webhook_labels(route, decision)));
            }
        }
        for pause in Pause::ALL {
            drop(self.paused.get_or_create(&[("reason", pause.label())]));
        }
        for channel in CHANNELS {
            drop(self.notices_dropped.get_or_create(&[("channel", channel)]));
        }
    }

    /// Notes a live check.
    pub fn checked(&self, result: &CheckResult) {
        let passed = result.findings.is_empty();
        self.gate_open.set(i64::from(passed));
        self.gate_checked_at.set(seconds(result.started_at));
        for reason in REASONS {
            let found = result.findings.iter().any(|finding| finding.reason == *reason);
            self.gate_reasons.get_or_create(&reason_label(*reason)).set(i64::from(found));
        }
        let pauses = [Reason::ReadySilenced, Reason::SilenceForgotten];
        let silenced = result.findings.iter().any(|finding| pauses.contains(&finding.reason));
        // A silence keeps steps from beginning; the checks of those that run say nothing about it.
        if result.form == Form::Start {
            self.paused(Pause::Silence, silenced);
        }
        self.checks.get_or_create(&check_labels(result.form, passed)).inc();
    }

    /// Notes whether a person has paused the run in this way.
    pub fn paused(&self, pause: Pause, paused: bool) {
        self.paused.get_or_create(&[("reason", pause.label())]).set(i64::from(paused));
    }

    /// Counts a webhook.
    pub fn webhook(&self, route: Route, decision: Decision) {
        self.webhooks.get_or_create(&webhook_labels(route, decision)).inc();
    }

    /// Notes that a webhook came from somebody who may.
    pub fn webhook_authenticated(&self, route: Route, at: Timestamp) {
        self.webhook_at.get_or_create(&[("endpoint", route.label())]).set(seconds(at));
    }

    /// Notes the Watchdog.
    pub fn heartbeat(&self, at: Timestamp) {
        self.heartbeat_at.set(seconds(at));
    }

    /// Counts a permit that started a step.
    pub fn permit_consumed(&self) {
        self.permits_consumed.inc();
    }

    /// Counts a notice that a channel did not deliver. Says whether it was the first one.
    pub fn notice_dropped(&self, channel: &'static str) -> bool {
        self.notices_dropped.get_or_create(&[("channel", channel)]).inc() == 0
    }

    /// Notes that every run was looked after.
    pub fn turned(&self, at: Timestamp) {
        self.turned_at.set(seconds(at));
    }

    /// Notes which facts about versions are in force.
    pub fn facts(&self, in_force: &InForce) {
        self.reload_successful.set(i64::from(in_force.matrix.refused.is_empty()));
        self.reloaded_at.set(seconds(in_force.loaded_at));
    }

    /// Notes whether this replica leads.
    pub fn leader(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// The page of `/metrics`, as [`CONTENT_TYPE`].
    #[must_use]
    pub fn page(&self) -> String {
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &self.registry)
            .expect("writing to a string does not fail");
        page
    }
}

/// Registers a metric with the words of the metric table. The encoder adds `_total` and a full stop by itself.
fn register(registry: &mut Registry, name: &str, metric: impl prometheus_client::registry::Metric) {
    let entry = TABLE.iter().find(|entry| entry.name == name).expect("every metric stands in the table");
    registry.register(name.trim_end_matches("_total"), entry.help.trim_end_matches('.'), metric);
}

/// What [`Metrics::page`] is.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How a person can pause a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// `spec.paused`.
    Spec,
    /// A silence on the ready alert, also one that Alertmanager has lost.
    Silence,
}

impl Pause {
    const ALL: [Self; 2] = [Self::Spec, Self::Silence];

    fn label(self) -> &'static str {
        match self {
            Self::Spec => "spec",
            Self::Silence => "silence",
        }
    }
}

fn reason_label(reason: Reason) -> Labels {
    [("reason", reason.code())]
}

fn check_labels(form: Form, passed: bool) -> TwoLabels {
    let form = match form {
        Form::Start => "start",
        Form::Continue => "continue",
    };
    [("form", form), ("result", if passed { "pass" } else { "fail" })]
}

fn webhook_labels(route: Route, decision: Decision) -> TwoLabels {
    [("endpoint", route.label()), ("decision", decision.code())]
}

fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use lockkeeper_rules::publish::metric::{Kind, Program};
    use lockkeeper_rules::reason::Finding;

    #[test]
    fn the_page_is_what_the_metric_table_says_from_the_first_moment() {
        let page = Metrics::new().page();
        for entry in TABLE.iter().filter(|entry| entry.program == Program::Actuator) {
            let family = entry.name.trim_end_matches("_total");
            let kind = match entry.kind {
                Kind::Gauge => "gauge",
                Kind::Counter => "counter",
            };
            assert!(page.contains(&format!("# HELP {family} {}\n", entry.help)), "{}\n{page}", entry.name);
            assert!(page.contains(&format!("# TYPE {family} {kind}\n")), "{}\n{page}", entry.name);
            let line = page.lines().find(|line| line.starts_with(entry.name)).expect(entry.name);
            for label in entry.labels {
                assert!(line.contains(&format!("{label}=\"")), "{line}");
            }
        }
        let shown: BTreeSet<_> = page.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let expected = TABLE.iter().filter(|entry| entry.program == Program::Actuator).count();
        assert_eq!(shown.len(), expected, "{page}");
        assert!(page.ends_with("# EOF\n"));
    }

    fn has(metrics: &Metrics, line: &str) -> bool {
        metrics.page().lines().any(|shown| shown == line)
    }

    #[test]
    fn the_last_check_shows_every_reason_as_one_or_zero() {
        let metrics = Metrics::new();
        let mut result = CheckResult {
            token: "run.1.1.00".parse().unwrap(),
            form: Form::Start,
            started_at: Timestamp::from_second(1_800_000_000).unwrap(),
            findings: vec![
                Finding::new(Reason::ReadySilenced, "s", ""),
                Finding::new(Reason::GateFiring, "A", ""),
            ],
        };
        metrics.checked(&result);
        assert!(has(&metrics, "k8s_upgrade_gate_open 0"));
        assert!(has(&metrics, "k8s_upgrade_gate_check_timestamp_seconds 1800000000.0"));
        assert!(has(&metrics, "k8s_upgrade_gate_reason{reason=\"gate_firing\"} 1"));
        assert!(has(&metrics, "k8s_upgrade_gate_reason{reason=\"gate_pending\"} 0"));
        assert!(has(&metrics, "k8s_upgrade_paused{reason=\"silence\"} 1"));
        result.findings.clear();
        metrics.checked(&result);
        assert!(has(&metrics, "k8s_upgrade_gate_open 1"));
        assert!(has(&metrics, "k8s_upgrade_gate_reason{reason=\"gate_firing\"} 0"));
        assert!(has(&metrics, "k8s_upgrade_paused{reason=\"silence\"} 0"));
        assert!(has(&metrics, "k8s_upgrade_checks_total{form=\"start\",result=\"pass\"} 1"));
        assert!(has(&metrics, "k8s_upgrade_checks_total{form=\"start\",result=\"fail\"} 1"));
    }
}
