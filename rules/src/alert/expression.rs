//! The words that expressions are made of: every selector of every rule is written here, so that none can miss
//! the cluster that it is about.

use super::WATCHDOG_ALERT;
use crate::alert::GATE_LABEL;
use crate::settings::Settings;

/// Writes selectors for one set of settings.
pub(super) struct Select<'a> {
    settings: &'a Settings,
}

impl<'a> Select<'a> {
    pub(super) fn new(settings: &'a Settings) -> Self {
        Self { settings }
    }

    /// A metric of the exporter, without further matchers.
    pub(super) fn all(&self, metric: &str) -> String {
        self.matching(metric, &[])
    }

    /// A metric of the exporter, with matchers. Whatever else is scraped may show series of the same name, and must
    /// have no say.
    pub(super) fn matching(&self, metric: &str, matchers: &[&str]) -> String {
        self.of(&self.settings.exporter_job, metric, matchers)
    }

    /// The alerts that may be about this cluster and close the gate. An alert that names no cluster closes the
    /// gate of every cluster.
    pub(super) fn gates(&self, matcher: &str) -> String {
        let own = self.settings.selector.own_or_nobodys();
        braces("ALERTS", std::iter::once(format!("{GATE_LABEL}{matcher}")).chain(own))
    }

    /// `up` of a job.
    pub(super) fn up(&self, job: &str) -> String {
        self.of(job, "up", &[])
    }

    /// A metric of the actuator, of the job by which it is scraped.
    pub(super) fn of_actuator(&self, metric: &str) -> String {
        self.of(&self.settings.actuator_job, metric, &[])
    }

    /// A metric of Prometheus itself.
    pub(super) fn of_prometheus(&self, metric: &str) -> String {
        self.of(&self.settings.prometheus_job, metric, &[])
    }

    /// A metric of this cluster, of the job by which it is scraped.
    fn of(&self, job: &str, metric: &str, matchers: &[&str]) -> String {
        let matchers = matchers.iter().map(|&matcher| matcher.to_owned());
        braces(metric, matchers.chain([job_matcher(job)]).chain(self.settings.selector.own()))
    }

    /// The firing alerts of one name.
    pub(super) fn firing(&self, alert: &str) -> String {
        let matchers = [format!("alertname=\"{alert}\""), "alertstate=\"firing\"".to_owned()];
        braces("ALERTS", matchers.into_iter().chain(self.settings.selector.own()))
    }

    /// True while this Prometheus evaluates without a gap. The count is of the whole window; the newest sample
    /// must be of this very evaluation, because a Prometheus that has just restarted evaluates alerts before it
    /// writes them down.
    pub(super) fn unbroken(&self) -> [String; 2] {
        let firing = self.firing(WATCHDOG_ALERT);
        let window = range(watchdog_intervals(self.settings), self.settings.evaluation_interval_seconds);
        let count_min = watchdog_count_min(self.settings);
        [
            format!("count_over_time({firing}[{window}]) >= {count_min}"),
            format!("timestamp({firing}) > time() - 1"),
        ]
    }
}

/// Over how many intervals the Watchdog is counted: as many as the setting has, but never less than four.
#[must_use]
pub fn watchdog_intervals(settings: &Settings) -> u64 {
    let Settings { unbroken_evaluation_seconds, evaluation_interval_seconds, .. } = settings;
    unbroken_evaluation_seconds.div_ceil((*evaluation_interval_seconds).max(1)).max(4)
}

/// How often the Watchdog must have been seen in them. They hold one evaluation more than there are intervals, and
/// three may be missing: a Prometheus that was busy for a moment has not been started anew.
#[must_use]
pub fn watchdog_count_min(settings: &Settings) -> u64 {
    watchdog_intervals(settings) - 2
}

/// Over how many scrapes of Prometheus itself failures of rules are looked for.
pub(super) fn failure_scrapes(settings: &Settings) -> u64 {
    let watched_seconds = watchdog_intervals(settings) * settings.evaluation_interval_seconds;
    watched_seconds.div_ceil(settings.scrape_interval_seconds.max(1)).max(4)
}

/// How far the generated rules look back at most, in seconds.
#[must_use]
pub fn look_back_seconds(settings: &Settings) -> u64 {
    let evaluations = range_millis(watchdog_intervals(settings), settings.evaluation_interval_seconds);
    let scrapes = range_millis(failure_scrapes(settings), settings.scrape_interval_seconds);
    evaluations.max(scrapes).div_ceil(1000)
}

/// The range of so many intervals and a half: the sample of this moment, and as many before it. A range of whole
/// intervals would begin at the very moment of a sample, which Prometheus counts up to version 2 and no more from
/// version 3 on.
pub(super) fn range(intervals: u64, interval_seconds: u64) -> String {
    let millis = range_millis(intervals, interval_seconds);
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}

fn range_millis(intervals: u64, interval_seconds: u64) -> u64 {
    (1000 * intervals + 500) * interval_seconds
}

fn braces(metric: &str, matchers: impl Iterator<Item = String>) -> String {
    let matchers: Vec<String> = matchers.collect();
    if matchers.is_empty() { metric.to_owned() } else { format!("{metric}{{{}}}", matchers.join(",")) }
}

/// The matcher of what is scraped by a job.
pub(crate) fn job_matcher(job: &str) -> String {
    format!("job={}", quoted(job))
}

/// A string of PromQL.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
