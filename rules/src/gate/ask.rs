//! What the live check asks, and the answers as values, with what each proves about clocks.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::etcd::measures;
use super::selected::selected;
use super::{Form, Measure, history};
use crate::alert::{self, AlertRule, WATCHDOG_ALERT};
use crate::cluster::snapshot::Snapshot;
use crate::gate::{CheckOrder, LockView};
use crate::settings::Settings;
use crate::wire::alertmanager;
use crate::wire::prometheus::{Group, Labels, ParseError, RuntimeInfo, Sample};
use crate::words::name::Token;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Nobody answered in time.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// It answered, and not with 200.
    #[error("it answered {status}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// It answered something that cannot be used.
    #[error("{0}")]
    Unusable(#[from] ParseError),
}

/// One answer with the two clocks: the backend's `Date` and ours when it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    /// What was said.
    pub result: Result<T, AskError>,
    /// The `Date` header of the response; nothing if there was no response or no such header.
    pub date: Option<Timestamp>,
    /// Our clock when the response came.
    pub received_at: Timestamp,
}

/// Everything that one live check asked, answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// Our clock when the first request was sent.
    pub started_at: Timestamp,
    /// One for each configured Prometheus.
    pub prometheus: Vec<PrometheusAnswers>,
    /// One for each configured Alertmanager.
    pub alertmanager: Vec<AlertmanagerAnswers>,
    /// The cluster, freshly read from the API server.
    pub cluster: Snapshot,
    /// Our Lease: whether we still lead.
    pub lease: Held,
    /// The cluster lock: whether it is still this run's.
    pub lock: LockView,
}

/// What one Prometheus answered.
#[derive(Debug, Clone, PartialEq)]
pub struct PrometheusAnswers {
    /// Its URL, without user and password.
    pub url: String,
    /// `/api/v1/status/runtimeinfo`.
    pub runtime: Answer<RuntimeInfo>,
    /// `/api/v1/rules?type=alert`.
    pub rules: Answer<Vec<Group>>,
    /// Instant queries, by expression: those of [`Questions::all`].
    pub queries: BTreeMap<String, Answer<Vec<Sample>>>,
}

/// What one Alertmanager answered.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertmanagerAnswers {
    /// Its URL, without user and password.
    pub url: String,
    /// `/api/v2/status`.
    pub status: Answer<alertmanager::Status>,
    /// `/api/v2/alerts`, whatever their state.
    pub alerts: Answer<Vec<alertmanager::Alert>>,
    /// `/api/v2/silences`.
    pub silences: Answer<Vec<alertmanager::Silence>>,
}

/// Who holds our Lease of leadership, as read a moment ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// We do.
    Ours,
    /// Somebody else does, or nobody; the text says who.
    NotOurs(String),
    /// It could not be read.
    Unreadable(String),
}

/// The expressions that a check asks of each Prometheus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Questions {
    /// The gates of the step's class, by alert name: each must have no result.
    pub gates: Vec<(String, String)>,
    /// The positive control, the Watchdog: must have a result.
    pub control: String,
    /// The token, come back through scrape and storage: must be 1.
    pub echo: String,
    /// When that sample was scraped.
    pub echo_time: String,
    /// The nodes that the exporter shows, one result each.
    pub nodes: String,
    /// The last moment without data, of those that gates look back to: must be 0, which is none.
    pub history: String,
    /// What etcd says of itself: each member's value must be known and not too large.
    pub etcd: Vec<Measure>,
}

impl Questions {
    /// The questions of one check.
    #[must_use]
    pub fn of(order: &CheckOrder, settings: &Settings) -> Self {
        let groups = alert::groups(settings);
        Self::with(groups.iter().flat_map(|group| &group.rules), order, settings)
    }

    pub(super) fn with<'a>(
        rules: impl Iterator<Item = &'a AlertRule>,
        order: &CheckOrder,
        settings: &Settings,
    ) -> Self {
        let class = order.step.phase().gate_class();
        let gates = rules.filter(|rule| rule.gate().is_some_and(|gate| class.is_closed_by(gate)));
        // As in the rules: whatever else is scraped may show series of the same name.
        let exporter = alert::job_matcher(&settings.exporter_job);
        let echo_matchers = [token_matcher(&order.token), exporter.clone()];
        let echo = selected(echo_metric(order.form), &echo_matchers, settings);
        let watchdog = [format!("alertname=\"{WATCHDOG_ALERT}\""), "alertstate=\"firing\"".to_owned()];
        Self {
            gates: gates.map(|rule| (rule.name.to_owned(), rule.expr.clone())).collect(),
            control: selected("ALERTS", &watchdog, settings),
            // Not of a comparison: `timestamp` of anything but a plain selector is the time of the query.
            echo_time: format!("timestamp({echo})"),
            echo,
            nodes: format!("count by (node) ({})", selected("k8s_upgrade_node_info", &[exporter], settings)),
            history: history::question(&selected("up", &[], settings), settings),
            etcd: measures(&order.step, settings),
        }
    }

    /// Every expression, each once.
    #[must_use]
    pub fn all(&self) -> Vec<&str> {
        let gates = self.gates.iter().map(|(_, expr)| expr.as_str());
        let etcd = self.etcd.iter().map(|measure| measure.expr.as_str());
        let mut all: Vec<_> = gates
            .chain(etcd)
            .chain([&*self.control, &self.echo, &self.echo_time, &self.nodes, &self.history])
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

fn echo_metric(form: Form) -> &'static str {
    match form {
        Form::Start => "k8s_upgrade_step_pending",
        Form::Continue => "k8s_upgrade_step_running",
    }
}

/// A token's characters need no escaping.
fn token_matcher(token: &Token) -> String {
    format!("token=\"{token}\"")
}

/// Whether labels carry this name with this value.
pub(super) fn has(labels: &Labels, name: &str, value: &str) -> bool {
    labels.get(name).is_some_and(|found| found == value)
}
