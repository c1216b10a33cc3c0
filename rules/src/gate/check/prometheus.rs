//! The rows about Prometheus: its configuration, the rules that are loaded, and what they say.

use jiff::SignedDuration;

use super::{Check, describe, seconds};
use crate::alert::GATE_LABEL;
use crate::alert::{AlertRule, READY_ALERT, WATCHDOG_ALERT};
use crate::gate::PrometheusAnswers;
use crate::gate::ask::has;
use crate::reason::Reason;
use crate::wire::prometheus::{AlertState, Group, Labels, Rule, RuleState};
use crate::words::gate_class::Class;

/// How many intervals a rule may have gone without an evaluation.
const INTERVALS_MAX: u64 = 3;

impl<'a> Check<'a> {
    pub(super) fn prometheus(&mut self) {
        if self.answers.prometheus.is_empty() {
            self.found(Reason::PrometheusUnreachable, "prometheus.urls", "no Prometheus is configured");
        }
        for prometheus in &self.answers.prometheus {
            self.runtime(prometheus);
            self.rules(prometheus);
            self.queries(prometheus);
        }
    }

    fn runtime(&mut self, prometheus: &'a PrometheusAnswers) {
        let url = &prometheus.url;
        let info = self.usable(&prometheus.runtime, url, "runtimeinfo", Reason::PrometheusUnreachable);
        if info.is_some_and(|info| !info.reload_succeeded) {
            self.found(Reason::PrometheusReloadFailed, url, "reloadConfigSuccess is false");
        }
    }

    fn rules(&mut self, prometheus: &'a PrometheusAnswers) {
        let url = &prometheus.url;
        let Some(groups) = self.usable(&prometheus.rules, url, "rules", Reason::PrometheusUnreachable) else {
            return;
        };
        self.generated(url, groups);
        self.controls(url, groups);
        for group in groups {
            for rule in &group.rules {
                self.gate(url, group, rule);
            }
        }
    }

    /// Every generated rule is loaded, well and evaluated.
    fn generated(&mut self, url: &str, groups: &'a [Group]) {
        for (expected, interval_seconds) in self.expected() {
            let mut is_loaded = false;
            for rule in loaded(groups).filter(|rule| is(rule, expected)) {
                is_loaded = true;
                self.health(url, rule, seconds(INTERVALS_MAX * interval_seconds));
            }
            if !is_loaded {
                self.found(Reason::RuleMissing, expected.name, format!("not loaded in {url}"));
            }
        }
    }

    fn expected(&self) -> Vec<(&'a AlertRule, u64)> {
        let groups = self.groups.iter();
        groups.flat_map(|group| group.rules.iter().map(|rule| (rule, group.interval_seconds))).collect()
    }

    /// The Watchdog fires, and before a step the ready alert does for our token. Both are asked for by name,
    /// whatever the generated rules are.
    fn controls(&mut self, url: &str, groups: &'a [Group]) {
        for name in [WATCHDOG_ALERT, READY_ALERT] {
            let mut is_loaded = false;
            for rule in loaded(groups).filter(|rule| rule.name == name) {
                if self.concerns(&rule.labels) {
                    is_loaded = true;
                    self.since_minted(url, rule);
                }
            }
            if !is_loaded {
                self.found(Reason::RuleMissing, name, format!("not loaded in {url}"));
            }
        }
        if !self.fires(groups, WATCHDOG_ALERT, |_| true) {
            self.found(Reason::WatchdogMissing, url, format!("{WATCHDOG_ALERT} does not fire in its rules"));
        }
        if !self.is_start() {
            return;
        }
        let token = self.order.token.to_string();
        if !self.fires(groups, READY_ALERT, |labels| has(labels, "token", &token)) {
            self.found(Reason::ReadyAbsent, url, format!("{READY_ALERT} does not fire for {token}"));
        }
    }

    fn fires(&self, groups: &[Group], name: &str, is_meant: impl Fn(&Labels) -> bool) -> bool {
        let alerts = loaded(groups).filter(|rule| rule.name == name).flat_map(|rule| &rule.alerts);
        let mut firing = alerts.filter(|alert| alert.state == AlertState::Firing);
        firing.any(|alert| self.is_own(&alert.labels, name) && is_meant(&alert.labels))
    }

    /// A rule of the step's class is quiet, and known to be.
    fn gate(&mut self, url: &str, group: &'a Group, rule: &'a Rule) {
        let closing_alerts = rule.alerts.iter().any(|alert| self.closes(&alert.labels));
        if !self.closes(&rule.labels) && !closing_alerts {
            return;
        }
        self.health(url, rule, self.age_max(group));
        self.since_minted(url, rule);
        for alert in rule.alerts.iter().filter(|alert| self.concerns(&alert.labels)).collect::<Vec<_>>() {
            let reason = match alert.state {
                AlertState::Firing => Reason::GateFiring,
                // One that is listed and inactive has only just ended; quiet is an empty list.
                AlertState::Pending | AlertState::Inactive => Reason::GatePending,
            };
            self.found(reason, &rule.name, describe(&alert.labels));
            if alert.labels.get(GATE_LABEL).is_some_and(|label| !Class::is_known(label)) {
                self.found(Reason::GateMisspelt, &rule.name, describe(&alert.labels));
            }
        }
        match rule.state {
            RuleState::Inactive => {}
            RuleState::Pending if rule.alerts.is_empty() => self.found(Reason::GatePending, &rule.name, ""),
            RuleState::Firing if rule.alerts.is_empty() => self.found(Reason::GateFiring, &rule.name, ""),
            RuleState::Pending | RuleState::Firing => {}
            RuleState::Unknown => self.found(Reason::RuleUnknown, &rule.name, format!("in {url}")),
        }
    }

    /// A group of the site may be slow, but not slower than what the ready alert's look back covers.
    fn age_max(&self, group: &Group) -> SignedDuration {
        #[expect(clippy::cast_precision_loss, reason = "3")]
        let three = SignedDuration::try_from_secs_f64(group.interval_seconds * INTERVALS_MAX as f64);
        three.unwrap_or(SignedDuration::MAX).min(seconds(self.settings.unbroken_evaluation_seconds))
    }

    fn health(&mut self, url: &str, rule: &Rule, age_max: SignedDuration) {
        if !rule.healthy || !rule.last_error.is_empty() {
            self.found(Reason::RuleUnhealthy, &rule.name, format!("in {url}: {}", rule.last_error));
        }
        let age = self.now.duration_since(rule.last_evaluation);
        if age > age_max {
            let detail = format!("last evaluated at {} in {url}", rule.last_evaluation);
            self.found(Reason::RuleStale, &rule.name, detail);
        }
        if age < -seconds(self.settings.clock_skew_seconds_max) {
            self.found(
                Reason::ClockSkew,
                url,
                format!("it evaluated {} at {}", rule.name, rule.last_evaluation),
            );
        }
    }

    fn since_minted(&mut self, url: &str, rule: &Rule) {
        if rule.last_evaluation <= self.order.minted_at {
            let detail = format!("not evaluated since the token was minted, in {url}");
            self.found(Reason::RuleStale, &rule.name, detail);
        }
    }
}

fn loaded(groups: &[Group]) -> impl Iterator<Item = &Rule> {
    groups.iter().flat_map(|group| &group.rules)
}

/// Whether a loaded rule is this generated one. A site may add labels, and may not change ours.
fn is(rule: &Rule, expected: &AlertRule) -> bool {
    rule.name == expected.name && expected.labels.iter().all(|(name, value)| has(&rule.labels, name, value))
}
