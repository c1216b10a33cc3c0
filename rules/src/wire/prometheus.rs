//! What Prometheus answers, read from bytes. Versions 2.42 to 3.5; a shape that is not known is an error, never
//! a default, and fields that nobody asks for are passed over.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The largest answer that is read, in bytes: the rules and the nodes of a large site.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The most text of a foreign error that is kept.
const MESSAGE_LENGTH_MAX: usize = 300;

/// Labels by name.
pub type Labels = BTreeMap<String, String>;

/// An answer that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It is larger than what is read.
    #[error("the answer has more than {ANSWER_BYTES_MAX} bytes")]
    TooLarge,
    /// It is no JSON of the expected shape.
    #[error("the answer is not what {expected} says: {detail}")]
    Shape {
        /// The endpoint.
        expected: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// The backend answered with an error of its own.
    #[error("the backend says: {0}")]
    Backend(String),
    /// The answer is marked as incomplete.
    #[error("the answer is incomplete: {0}")]
    Incomplete(String),
}

/// `/api/v1/status/runtimeinfo`, as far as it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeInfo {
    /// The configuration on disk is the one that runs.
    pub reload_succeeded: bool,
}

/// A group of alert rules, as loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// How often it is evaluated, in seconds.
    pub interval_seconds: f64,
    /// Its alert rules.
    pub rules: Vec<Rule>,
}

/// An alert rule, as loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The alert's name.
    pub name: String,
    /// The labels that the rule gives its alerts.
    pub labels: Labels,
    /// The worst state of its alerts.
    pub state: RuleState,
    /// Whether its last evaluation succeeded.
    pub healthy: bool,
    /// Why not; empty if it did.
    pub last_error: String,
    /// When it was last evaluated; the year 1 if never.
    pub last_evaluation: Timestamp,
    /// Its alerts that are pending or firing.
    pub alerts: Vec<Alert>,
}

/// The state of an alert rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleState {
    /// The expression has no result.
    Inactive,
    /// It has one, not yet for long enough.
    Pending,
    /// It has one.
    Firing,
    /// It has not been evaluated yet (Prometheus 3).
    Unknown,
}

/// An alert of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Its labels, without the external ones.
    pub labels: Labels,
    /// Pending or firing.
    pub state: AlertState,
}

/// The state of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// It no longer holds.
    Inactive,
    /// Not yet for long enough.
    Pending,
    /// It holds.
    Firing,
}

/// One sample of an instant vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The labels of its series.
    pub labels: Labels,
    /// When the query was evaluated, by Prometheus' clock.
    pub evaluated_at: Timestamp,
    /// Its value.
    pub value: f64,
}

/// Reads `/api/v1/status/runtimeinfo`.
///
/// # Errors
/// The answer is an error or has another shape.
pub fn runtime_info(body: &[u8]) -> Result<RuntimeInfo, ParseError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Data {
        reload_config_success: bool,
    }
    let data: Data = data(body, "/api/v1/status/runtimeinfo")?;
    Ok(RuntimeInfo { reload_succeeded: data.reload_config_success })
}

/// Reads `/api/v1/rules?type=alert`.
///
/// # Errors
/// The answer is an error, is one page of several, or has another shape.
pub fn rules(body: &[u8]) -> Result<Vec<Group>, ParseError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Data {
        groups: Vec<WireGroup>,
        #[serde(default)]
        group_next_token: String,
    }
    let data: Data = data(body, RULES)?;
    if !data.group_next_token.is_empty() {
        return Err(ParseError::Incomplete("it is one page of several".to_owned()));
    }
    data.groups.into_iter().map(WireGroup::parsed).collect()
}

/// Reads an instant vector from `/api/v1/query`.
///
/// # Errors
/// The answer is an error, carries warnings (so it may be partial), or is no vector of floats.
pub fn vector(body: &[u8]) -> Result<Vec<Sample>, ParseError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Data {
        result_type: String,
        result: Vec<WireSample>,
    }
    let data: Data = data(body, QUERY)?;
    if data.result_type != "vector" {
        return Err(shape(QUERY, format!("resultType is {:?}", shortened(&data.result_type))));
    }
    data.result.into_iter().map(WireSample::parsed).collect()
}

/// What an error answer says, for people: its own message if it is Prometheus', else the start of the text.
#[must_use]
pub fn error_text(body: &[u8]) -> String {
    match serde_json::from_slice::<Envelope<serde::de::IgnoredAny>>(body) {
        Ok(Envelope { error: Some(error), .. }) => shortened(&error),
        _ => shortened(String::from_utf8_lossy(&body[..body.len().min(MESSAGE_LENGTH_MAX)]).trim()),
    }
}

const RULES: &str = "/api/v1/rules";
const QUERY: &str = "/api/v1/query";
/// How a remark on the wording of a query begins. Versions 2.48 to 2.53 put it among the warnings, later ones beside
/// them; nothing is missing from the answer.
const HINT: &str = "PromQL info: ";

#[derive(Deserialize)]
struct Envelope<T> {
    status: String,
    data: Option<T>,
    error: Option<String>,
    warnings: Option<Vec<String>>,
}

fn data<T: DeserializeOwned>(body: &[u8], expected: &'static str) -> Result<T, ParseError> {
    if body.len() > ANSWER_BYTES_MAX {
        return Err(ParseError::TooLarge);
    }
    let envelope: Envelope<T> =
        serde_json::from_slice(body).map_err(|error| shape(expected, error.to_string()))?;
    if envelope.status != "success" {
        let said = envelope.error.unwrap_or_else(|| format!("status {:?}", envelope.status));
        return Err(ParseError::Backend(shortened(&said)));
    }
    let warnings = envelope.warnings.unwrap_or_default();
    if let Some(warning) = warnings.iter().find(|warning| !warning.starts_with(HINT)) {
        return Err(ParseError::Incomplete(shortened(warning)));
    }
    envelope.data.ok_or_else(|| shape(expected, "it has no data".to_owned()))
}

pub(crate) fn shape(expected: &'static str, detail: String) -> ParseError {
    ParseError::Shape { expected, detail: shortened(&detail) }
}

pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(MESSAGE_LENGTH_MAX).collect()
}

#[derive(Deserialize)]
struct WireGroup {
    name: String,
    interval: f64,
    rules: Vec<WireRule>,
}

impl WireGroup {
    fn parsed(self) -> Result<Group, ParseError> {
        if !(self.interval.is_finite() && self.interval > 0.0) {
            return Err(shape(RULES, format!("group {} has interval {}", self.name, self.interval)));
        }
        let rules = self.rules.into_iter().filter_map(WireRule::parsed).collect();
        Ok(Group { name: self.name, interval_seconds: self.interval, rules })
    }
}

/// `type` tells them apart; a third kind is an error.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum WireRule {
    Alerting(WireAlertRule),
    Recording {},
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireAlertRule {
    name: String,
    #[serde(default)]
    labels: Option<Labels>,
    state: RuleState,
    health: String,
    #[serde(default)]
    last_error: String,
    last_evaluation: Timestamp,
    alerts: Option<Vec<WireAlert>>,
}

#[derive(Deserialize)]
struct WireAlert {
    labels: Labels,
    state: AlertState,
}

impl WireRule {
    fn parsed(self) -> Option<Rule> {
        let rule = match self {
            Self::Recording {} => return None,
            Self::Alerting(rule) => rule,
        };
        let alerts = rule.alerts.unwrap_or_default();
        Some(Rule {
            name: rule.name,
            labels: rule.labels.unwrap_or_default(),
            state: rule.state,
            healthy: rule.health == "ok",
            last_error: shortened(&rule.last_error),
            last_evaluation: rule.last_evaluation,
            alerts: alerts
                .into_iter()
                .map(|alert| Alert { labels: alert.labels, state: alert.state })
                .collect(),
        })
    }
}

#[derive(Deserialize)]
struct WireSample {
    metric: Labels,
    value: (f64, String),
}

impl WireSample {
    fn parsed(self) -> Result<Sample, ParseError> {
        let (at, value) = self.value;
        let value = value.parse().map_err(|_| shape(QUERY, format!("the value {:?}", shortened(&value))))?;
        let evaluated_at = timestamp(at).ok_or_else(|| shape(QUERY, format!("the time {at}")))?;
        Ok(Sample { labels: self.metric, evaluated_at, value })
    }
}

/// The moment that is so many seconds after 1970, to the millisecond as Prometheus keeps it.
#[must_use]
pub fn timestamp(seconds: f64) -> Option<Timestamp> {
    let millis = (seconds * 1000.0).round();
    // Beyond this a float no longer counts milliseconds one by one.
    if !millis.is_finite() || millis.abs() > 9e15 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded just above")]
    Timestamp::from_millisecond(millis as i64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"{"status":"success","data":{"groups":[{"name":"g","file":"/r.yml","interval":5,"limit":0,
        "evaluationTime":0.001,"lastEvaluation":"2026-11-21T10:00:00.123456789+01:00","rules":[
        {"state":"firing","name":"A","query":"vector(1)","duration":0,"keepFiringFor":0,
         "labels":{"k8s_upgrade_gate":"all"},"annotations":{},"alerts":[
            {"labels":{"alertname":"A"},"annotations":{},"state":"firing","activeAt":"2026-11-21T09:00:00Z","value":"1e+00"}],
         "health":"ok","evaluationTime":0.0001,"lastEvaluation":"2026-11-21T10:00:00+01:00","type":"alerting"},
        {"name":"r","query":"vector(1)","health":"ok","evaluationTime":0,"lastEvaluation":"0001-01-01T00:00:00Z","type":"recording"},
        {"state":"unknown","name":"B","query":"x","duration":60,"alerts":[],"health":"unknown",
         "lastEvaluation":"0001-01-01T00:00:00Z","type":"alerting","someday":{"x":1}}]}]}}"#;

    #[test]
    fn rules_are_read_with_what_nobody_asks_for_passed_over() {
        let groups = rules(RULES.as_bytes()).unwrap();
        let [a, b] = groups[0].rules.as_slice() else { panic!("{groups:?}") };
        assert_eq!((a.name.as_str(), a.state, a.healthy), ("A", RuleState::Firing, true));
        assert_eq!(a.labels["k8s_upgrade_gate"], "all");
        assert_eq!(a.last_evaluation, "2026-11-21T09:00:00Z".parse().unwrap());
        assert_eq!(a.alerts[0].state, AlertState::Firing);
        assert_eq!((b.state, b.healthy), (RuleState::Unknown, false));
    }

    #[test]
    fn a_rule_of_an_unknown_shape_is_an_error_and_never_a_default() {
        for (from, to) in [
            (r#""state":"firing","name""#, r#""state":"sleeping","name""#),
            (r#""state":"firing","name""#, r#""name""#),
            (r#""state":"firing","activeAt""#, r#""state":"odd","activeAt""#),
            (r#""health":"ok","evaluationTime":0.0001,"#, ""),
            (r#""type":"alerting"},"#, r#""type":"other"},"#),
            (r#""type":"alerting"},"#, r#""x":1},"#),
            (r#""lastEvaluation":"2026-11-21T10:00:00+01:00""#, r#""lastEvaluation":"yesterday""#),
            (r#""interval":5"#, r#""interval":0"#),
            (r#""interval":5"#, r#""interval":"5""#),
            (r#""groups":["#, r#""groups":["x","#),
            (r#""status":"success""#, r#""status":"partial""#),
            (r#""status":"success""#, r#""status":"success","warnings":["a store is missing"]"#),
            (r#"{"groups""#, r#"{"groupNextToken":"abc","groups""#),
        ] {
            assert!(RULES.contains(from), "{from}");
            assert!(rules(RULES.replacen(from, to, 1).as_bytes()).is_err(), "{from} -> {to}");
        }
    }

    #[test]
    fn runtime_info_needs_its_one_field() {
        let read = |data: &str| runtime_info(format!(r#"{{"status":"success","data":{data}}}"#).as_bytes());
        assert_eq!(
            read(r#"{"reloadConfigSuccess":true,"CWD":"/"}"#),
            Ok(RuntimeInfo { reload_succeeded: true })
        );
        assert_eq!(read(r#"{"reloadConfigSuccess":false}"#), Ok(RuntimeInfo { reload_succeeded: false }));
        for data in ["{}", "null", r#"{"reloadConfigSuccess":"true"}"#, r#"{"reloadConfigSuccess":null}"#] {
            assert!(read(data).is_err(), "{data}");
        }
    }

    #[test]
    fn a_vector_is_read_and_nothing_else_is() {
        let read = |data: &str| vector(format!(r#"{{"status":"success","data":{data}}}"#).as_bytes());
        let samples = read(
            r#"{"resultType":"vector","result":[{"metric":{"node":"a"},"value":[1700000000.123,"1"]},
                {"metric":{},"value":[1700000000,"+Inf"]}]}"#,
        );
        let samples = samples.unwrap();
        assert_eq!(samples[0].labels["node"], "a");
        assert_eq!(samples[0].evaluated_at.as_millisecond(), 1_700_000_000_123);
        assert_eq!((samples[0].value, samples[1].value), (1.0, f64::INFINITY));
        assert_eq!(read(r#"{"resultType":"vector","result":[]}"#), Ok(vec![]));
        for data in [
            r#"{"resultType":"matrix","result":[]}"#,
            r#"{"resultType":"scalar","result":[1,"1"]}"#,
            r#"{"resultType":"vector"}"#,
            r#"{"resultType":"vector","result":null}"#,
            r#"{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}"#,
            r#"{"resultType":"vector","result":[{"metric":{},"value":[1,"one"]}]}"#,
            r#"{"resultType":"vector","result":[{"metric":{},"value":[1e300,"1"]}]}"#,
            r#"{"resultType":"vector","result":[{"metric":{},"value":[1,"1",2]}]}"#,
        ] {
            assert!(read(data).is_err(), "{data}");
        }
    }

    #[test]
    fn a_remark_on_the_query_takes_nothing_from_the_answer_and_a_warning_does() {
        let read = |notes: &str| {
            let body =
                format!(r#"{{"status":"success",{notes},"data":{{"resultType":"vector","result":[]}}}}"#);
            vector(body.as_bytes())
        };
        let info =
            r#""PromQL info: metric might not be a counter, name does not end in _total: \"x\" (1:6)""#;
        for notes in [format!(r#""warnings":[{info}]"#), format!(r#""infos":[{info}]"#)] {
            assert_eq!(read(&notes), Ok(vec![]), "{notes}");
        }
        let warning = "PromQL warning: bucket label \"le\" is missing";
        let notes = serde_json::json!([serde_json::from_str::<String>(info).unwrap(), warning]);
        assert_eq!(
            read(&format!(r#""warnings":{notes}"#)),
            Err(ParseError::Incomplete(warning.to_owned())),
            "{notes}"
        );
    }

    #[test]
    fn what_is_no_answer_of_prometheus_is_an_error() {
        let large = vec![b' '; ANSWER_BYTES_MAX + 1];
        assert_eq!(vector(&large), Err(ParseError::TooLarge));
        for body in [
            "",
            "[]",
            "{}",
            "null",
            "<html>sign in</html>",
            r#"{"status":"success"}"#,
            r#"{"status":"success","data""#,
        ] {
            assert!(vector(body.as_bytes()).is_err(), "{body}");
            assert!(rules(body.as_bytes()).is_err(), "{body}");
            assert!(runtime_info(body.as_bytes()).is_err(), "{body}");
        }
        let error = br#"{"status":"error","errorType":"execution","error":"many-to-many matching"}"#;
        assert_eq!(vector(error), Err(ParseError::Backend("many-to-many matching".to_owned())));
        assert_eq!(error_text(error), "many-to-many matching");
        assert_eq!(error_text(b" starting up "), "starting up");
        assert_eq!(error_text("\u{e9}".repeat(4000).as_bytes()).chars().count(), MESSAGE_LENGTH_MAX / 2);
    }
}
