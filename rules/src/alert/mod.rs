//! The generated alert rules.
//!
//! ```text
//!   gates   close the gate; no `for`, nobody is paged        ┐
//!   ready   fires, with the token, while a step may start    ├─ one group, evaluated in this order
//!   watchdog  fires always: the positive control             ┘
//!   people  wake somebody; never a gate                        a group of its own
//! ```

mod expression;
mod gate;
mod people;
mod verdict;
mod yaml;

use std::collections::BTreeMap;

use crate::settings::Settings;

pub(crate) use expression::job_matcher;
pub use expression::{look_back_seconds, watchdog_count_min, watchdog_intervals};
pub use yaml::{to_prometheus_rule, to_yaml};

/// One alert rule, as Prometheus reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRule {
    /// The alert's name.
    pub name: &'static str,
    /// Its expression.
    pub expr: String,
    /// How long the expression must hold before it fires; 0 for every gate.
    pub for_seconds: u64,
    /// Its labels; `k8s_upgrade_gate` makes it a gate.
    pub labels: BTreeMap<String, String>,
    /// `summary`, `description`, `runbook_url`.
    pub annotations: BTreeMap<&'static str, String>,
}

impl AlertRule {
    /// The gate class that the rule closes, if it is a gate.
    #[must_use]
    pub fn gate(&self) -> Option<&str> {
        self.labels.get(GATE_LABEL).map(String::as_str)
    }
}

/// A group of rules that is evaluated together, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleGroup {
    /// Its name.
    pub name: &'static str,
    /// How often it is evaluated.
    pub interval_seconds: u64,
    /// Its rules.
    pub rules: Vec<AlertRule>,
}

/// The label by which an alert closes the gate.
pub const GATE_LABEL: &str = "k8s_upgrade_gate";
/// Fires while the pending step may start; it carries the token.
pub const READY_ALERT: &str = "K8sUpgradeStepReady";
/// Fires always: the positive control.
pub const WATCHDOG_ALERT: &str = "K8sUpgradeWatchdog";
/// The group of everything that decides.
pub const GATES_GROUP: &str = "k8s-upgrade-gates";
/// The group of what people are told.
pub const PEOPLE_GROUP: &str = "k8s-upgrade-people";

/// Every generated group.
#[must_use]
pub fn groups(settings: &Settings) -> Vec<RuleGroup> {
    let gates = RuleGroup {
        name: GATES_GROUP,
        interval_seconds: settings.evaluation_interval_seconds,
        rules: gate::rules(settings),
    };
    let people = RuleGroup {
        name: PEOPLE_GROUP,
        interval_seconds: settings.alerts.interval_seconds,
        rules: people::rules(settings),
    };
    vec![gates, people]
}

/// How loud an alert is.
#[derive(Debug, Clone, Copy)]
enum Severity {
    /// For machines only.
    None,
    /// Somebody may want to know.
    Info,
    /// Somebody must look, during the day.
    Warning,
    /// Somebody must look now.
    Critical,
}

impl Severity {
    fn label(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What is said of an alert, apart from its expression.
struct Words {
    name: &'static str,
    severity: Severity,
    summary: &'static str,
    description: String,
}

/// Puts an alert together: the labels of the selector make `ALERTS` tell one cluster from another.
fn rule(settings: &Settings, words: Words, expr: String, for_seconds: u64) -> AlertRule {
    let Words { name, severity, summary, description } = words;
    let selected = settings.selector.labels().map(|(label, value)| (label.to_owned(), value.to_owned()));
    let severity = ("severity".to_owned(), severity.label().to_owned());
    let annotations = BTreeMap::from([
        ("summary", summary.to_owned()),
        ("description", description),
        ("runbook_url", format!("{}#{}", settings.alerts.runbooks, name.to_lowercase())),
    ]);
    AlertRule { name, expr, for_seconds, labels: selected.chain([severity]).collect(), annotations }
}
