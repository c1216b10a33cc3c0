//! Cases for `promtool test rules`, as data.

use std::collections::BTreeMap;
use std::process::Command;

use lockkeeper_rules::alert::{self, RuleGroup};
use lockkeeper_rules::settings::Settings;
use lockkeeper_tests::parts;
use serde_json::{Value, json};

/// The distance between two samples of every series.
pub(crate) const SAMPLE_SECONDS: u64 = 5;

/// One history of series, and what fires when.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    name: String,
    sample_seconds: u64,
    series: BTreeMap<String, String>,
    checks: Vec<Value>,
    alerts: Vec<Value>,
}

impl Case {
    /// A case without any series.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            sample_seconds: SAMPLE_SECONDS,
            series: BTreeMap::new(),
            checks: Vec::new(),
            alerts: Vec::new(),
        }
    }

    /// What the case claims.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// For histories of hours: a sample every so many seconds.
    pub(crate) fn every(mut self, seconds: u64) -> Self {
        self.sample_seconds = seconds;
        self
    }

    /// Gives a series these values, in promtool's notation.
    pub(crate) fn with(mut self, series: &str, values: &str) -> Self {
        self.series.insert(series.to_owned(), values.to_owned());
        self
    }

    /// Renames every series that there is so far.
    pub(crate) fn map_series(mut self, rename: impl Fn(&str) -> String) -> Self {
        self.series = self.series.into_iter().map(|(series, values)| (rename(&series), values)).collect();
        self
    }

    /// Takes away every series of this metric.
    pub(crate) fn without(mut self, metric: &str) -> Self {
        let before = self.series.len();
        self.series.retain(|series, _| series.split('{').next() != Some(metric));
        assert!(self.series.len() < before, "{}: there is no {metric} to take away", self.name);
        self
    }

    /// Expects the alert to fire then.
    pub(crate) fn fires(self, at_seconds: u64, alert: &str) -> Self {
        let labels = format!("{{alertname=\"{alert}\"}}");
        self.check(at_seconds, alert, &json!([{ "labels": labels, "value": 1 }]))
    }

    /// Expects the alert not to fire then.
    pub(crate) fn silent(self, at_seconds: u64, alert: &str) -> Self {
        self.check(at_seconds, alert, &json!([]))
    }

    /// Expects exactly this alert then, with these labels and annotations.
    pub(crate) fn fires_exactly(
        mut self,
        at_seconds: u64,
        alert: &str,
        labels: &Value,
        annotations: &Value,
    ) -> Self {
        self.alerts.push(json!({
            "eval_time": format!("{at_seconds}s"),
            "alertname": alert,
            "exp_alerts": [{ "exp_labels": labels, "exp_annotations": annotations }],
        }));
        self
    }

    fn check(self, at_seconds: u64, alert: &str, expected: &Value) -> Self {
        let firing = format!("max by (alertname) (ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}})");
        self.expects(at_seconds, &firing, expected)
    }

    /// Expects this answer to a question then.
    pub(crate) fn expects(mut self, at_seconds: u64, query: &str, samples: &Value) -> Self {
        self.checks.push(json!({
            "expr": query,
            "eval_time": format!("{at_seconds}s"),
            "exp_samples": samples,
        }));
        self
    }

    fn to_json(&self) -> Value {
        let series = self.series.iter().map(|(series, values)| json!({ "series": series, "values": values }));
        json!({
            "name": self.name,
            "interval": format!("{}s", self.sample_seconds),
            "input_series": series.collect::<Vec<_>>(),
            "promql_expr_test": self.checks,
            "alert_rule_test": self.alerts,
        })
    }
}

/// The rules that people install.
pub(crate) fn default_groups() -> Vec<RuleGroup> {
    alert::groups(&Settings::default())
}

/// Runs the cases against the rules; the error is what promtool says.
pub(crate) fn check(groups: &[RuleGroup], evaluation_seconds: u64, cases: &[Case]) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a temporary folder can be written");
        path
    };
    write("alerts.yaml", alert::to_yaml(groups));
    let tests: Vec<_> = cases.iter().map(Case::to_json).collect();
    let file = json!({
        "rule_files": ["alerts.yaml"],
        "evaluation_interval": format!("{evaluation_seconds}s"),
        "tests": tests,
    });
    // JSON is YAML.
    let file = write("tests.yaml", serde_json::to_string_pretty(&file).expect("JSON"));
    run("promtool", &["test", "rules", &file.display().to_string()]).map(drop)
}

/// Runs one of Prometheus' or Alertmanager's programs; the error is all that it says.
pub(crate) fn run(program: &str, args: &[&str]) -> Result<String, String> {
    let path = parts::prometheus(program).unwrap_or_else(|error| panic!("{error}"));
    let output = Command::new(path).args(args).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout);
    if output.status.success() { Ok(said) } else { Err(said + &text(&output.stderr)) }
}
