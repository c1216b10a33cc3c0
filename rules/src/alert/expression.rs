//! The words that expressions are made of: every selector of every rule is written here, so that none can miss
//! the cluster that it is about.

use super::WATCHDOG_ALERT;
use crate::gate::GATE_LABEL;
use crate::settings::Settings;

/// Writes selectors for one set of settings.
pub(super) struct Select<'a> {
    settings: &'a Settings,
}

impl<'a> Select<'a> {
    pub(super) fn new(settings: &'a Settings) -> Self {
        Self { settings }
    }

    /// A metric of this cluster, without further matchers.
    pub(super) fn all(&self, metric: &str) -> String {
        self.matching(metric, &[])
    }

    /// A metric of this cluster, with matchers.
    pub(super) fn matching(&self, metric: &str, matchers: &[&str]) -> String {
        braces(metric, matchers.iter().map(|&matcher| matcher.to_owned()).chain(self.settings.selector.own()))
    }

    /// The alerts that may be about this cluster and close the gate. An alert that names no cluster closes the
    /// gate of every cluster.
    pub(super) fn gates(&self, matcher: &str) -> String {
        let own = self.settings.selector.own_or_nobodys();
        braces("ALERTS", std::iter::once(format!("{GATE_LABEL}{matcher}")).chain(own))
    }

    /// `up` of a job.
    pub(super) fn up(&self, job: &str) -> String {
        self.matching("up", &[&format!("job={}", quoted(job))])
    }

    /// A metric of the actuator, of the job by which it is scraped.
    pub(super) fn of_actuator(&self, metric: &str) -> String {
        self.matching(metric, &[&format!("job={}", quoted(&self.settings.actuator_job))])
    }

    /// The firing alerts of one name.
    pub(super) fn firing(&self, alert: &str) -> String {
        self.matching("ALERTS", &[&format!("alertname=\"{alert}\""), "alertstate=\"firing\""])
    }

    /// True while this Prometheus evaluates without a gap. The count is of the whole window; the newest sample
    /// must be of this very evaluation, because a Prometheus that has just restarted evaluates alerts before it
    /// writes them down.
    pub(super) fn unbroken(&self) -> [String; 2] {
        let firing = self.firing(WATCHDOG_ALERT);
        let window_seconds = watchdog_window_seconds(self.settings);
        let count_min = watchdog_count_min(self.settings);
        [
            format!("count_over_time({firing}[{window_seconds}s]) >= {count_min}"),
            format!("timestamp({firing}) > time() - 1"),
        ]
    }
}

/// The window in which the Watchdog is counted: the setting, but never under four evaluations.
#[must_use]
pub fn watchdog_window_seconds(settings: &Settings) -> u64 {
    settings.unbroken_evaluation_seconds.max(4 * settings.evaluation_interval_seconds)
}

/// How often the Watchdog must have been seen in its window: two evaluations may be missing, one because the
/// window's end is counted differently by different versions, one because an evaluation may be late.
#[must_use]
pub fn watchdog_count_min(settings: &Settings) -> u64 {
    watchdog_window_seconds(settings) / settings.evaluation_interval_seconds.max(1) - 2
}

fn braces(metric: &str, matchers: impl Iterator<Item = String>) -> String {
    let matchers: Vec<String> = matchers.collect();
    if matchers.is_empty() { metric.to_owned() } else { format!("{metric}{{{}}}", matchers.join(",")) }
}

/// A string of PromQL.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
