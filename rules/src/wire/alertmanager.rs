//! What Alertmanager answers and sends, read from bytes. Versions 0.25 to 0.33; a shape that is not known is an
//! error, never a default, and fields that nobody asks for are passed over.

use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use crate::wire::prometheus::{ANSWER_BYTES_MAX, Labels, ParseError};
use crate::wire::prometheus::{shape, shortened};

/// The largest webhook body that is read, in bytes: about 2,800 alerts with a few labels and a summary, 1,000 with the
/// labels and annotations that kube-prometheus writes.
pub const WEBHOOK_BYTES_MAX: usize = 1024 * 1024;

/// `/api/v2/status`, as far as it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// How the cluster of Alertmanagers is.
    pub cluster: ClusterStatus,
    /// When this Alertmanager started.
    pub started_at: Timestamp,
}

/// How a cluster of Alertmanagers is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClusterStatus {
    /// It has settled.
    Ready,
    /// It is still exchanging silences and notifications.
    Settling,
    /// There is one Alertmanager only.
    Disabled,
}

/// One alert of `/api/v2/alerts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Its labels, the external ones of Prometheus included.
    pub labels: Labels,
    /// What happens to it.
    pub state: AlertState,
    /// The ids of the silences that match it.
    pub silenced_by: Vec<String>,
    /// The fingerprints of the alerts that inhibit it.
    pub inhibited_by: Vec<String>,
}

/// What Alertmanager does with an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// It is sent.
    Active,
    /// It is silenced or inhibited.
    Suppressed,
    /// It has not been looked at yet.
    Unprocessed,
}

/// One silence of `/api/v2/silences`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Its id.
    pub id: String,
    /// Whether it is in force.
    pub state: SilenceState,
    /// Which alerts it is about: all of these must match.
    pub matchers: Vec<Matcher>,
    /// Who made it.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// When it is over by itself.
    pub ends_at: Timestamp,
    /// When it was last changed. That it is over by itself changes nothing of it.
    pub updated_at: Timestamp,
}

/// Whether a silence is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SilenceState {
    /// Now.
    Active,
    /// Later.
    Pending,
    /// No more.
    Expired,
}

/// One matcher of a silence.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Matcher {
    /// The label; one that is absent has the empty value.
    pub name: String,
    /// The value or the pattern.
    pub value: String,
    /// The value is a pattern for the whole text.
    pub is_regex: bool,
    /// It must match, and not the opposite.
    #[serde(default = "yes")]
    pub is_equal: bool,
}

fn yes() -> bool {
    true
}

/// The compiled size that a pattern may have: silences are written by anybody.
const PATTERN_BYTES_MAX: usize = 256 * 1024;

impl Matcher {
    /// Whether a label set fits. A pattern that cannot be read counts as fitting: unknown is never safe.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.name).map_or("", String::as_str);
        if !self.is_regex {
            return (value == self.value) == self.is_equal;
        }
        let pattern = format!("^(?:{})$", self.value);
        match regex::RegexBuilder::new(&pattern).size_limit(PATTERN_BYTES_MAX).build() {
            Ok(pattern) => pattern.is_match(value) == self.is_equal,
            Err(_) => true,
        }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match (self.is_equal, self.is_regex) {
            (true, false) => "=",
            (true, true) => "=~",
            (false, false) => "!=",
            (false, true) => "!~",
        };
        write!(f, "{}{sign}{:?}", self.name, self.value)
    }
}

impl Silence {
    /// Whether it is about an alert with these labels.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(labels))
    }
}

/// A webhook message, version 4.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// How many alerts were cut off.
    pub truncated_alerts: u64,
    /// Firing if any alert of this message fires; it is not the state of the group.
    pub status: MessageStatus,
    /// The alerts.
    pub alerts: Vec<MessageAlert>,
}

/// Whether a message, or an alert in it, fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageStatus {
    /// It fires.
    Firing,
    /// Its end lies in the past.
    Resolved,
}

/// One alert of a webhook message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageAlert {
    /// Firing or resolved.
    pub status: MessageStatus,
    /// Its labels.
    pub labels: Labels,
    /// Since when it fires.
    pub starts_at: Timestamp,
}

/// What a webhook body is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Webhook {
    /// A message that we understand.
    V4(Message),
    /// A message of another version.
    OtherVersion(String),
}

/// Reads a webhook body.
///
/// # Errors
/// It is too large, no JSON, or says version 4 and is not.
pub fn webhook(body: &[u8]) -> Result<Webhook, ParseError> {
    #[derive(Deserialize)]
    struct Version {
        version: String,
    }
    if body.len() > WEBHOOK_BYTES_MAX {
        return Err(ParseError::TooLarge);
    }
    let Version { version } = json(body, WEBHOOK)?;
    if version != "4" {
        return Ok(Webhook::OtherVersion(shortened(&version)));
    }
    json(body, WEBHOOK).map(Webhook::V4)
}

/// Reads `/api/v2/status`.
///
/// # Errors
/// The answer has another shape.
pub fn status(body: &[u8]) -> Result<Status, ParseError> {
    #[derive(Deserialize)]
    struct Data {
        cluster: Cluster,
        uptime: Timestamp,
    }
    #[derive(Deserialize)]
    struct Cluster {
        status: ClusterStatus,
    }
    let data: Data = json(body, "/api/v2/status")?;
    Ok(Status { cluster: data.cluster.status, started_at: data.uptime })
}

/// Reads `/api/v2/alerts`.
///
/// # Errors
/// The answer has another shape.
pub fn alerts(body: &[u8]) -> Result<Vec<Alert>, ParseError> {
    #[derive(Deserialize)]
    struct Data {
        labels: Labels,
        status: State,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct State {
        state: AlertState,
        silenced_by: Option<Vec<String>>,
        inhibited_by: Option<Vec<String>>,
    }
    let data: Vec<Data> = json(body, "/api/v2/alerts")?;
    let alert = |Data { labels, status }: Data| Alert {
        labels,
        state: status.state,
        silenced_by: status.silenced_by.unwrap_or_default(),
        inhibited_by: status.inhibited_by.unwrap_or_default(),
    };
    Ok(data.into_iter().map(alert).collect())
}

/// Reads `/api/v2/silences`.
///
/// # Errors
/// The answer has another shape.
pub fn silences(body: &[u8]) -> Result<Vec<Silence>, ParseError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Data {
        id: String,
        status: State,
        matchers: Vec<Matcher>,
        #[serde(default)]
        created_by: String,
        #[serde(default)]
        comment: String,
        ends_at: Timestamp,
        updated_at: Timestamp,
    }
    #[derive(Deserialize)]
    struct State {
        state: SilenceState,
    }
    let data: Vec<Data> = json(body, "/api/v2/silences")?;
    let silence = |data: Data| Silence {
        id: shortened(&data.id),
        state: data.status.state,
        matchers: data.matchers,
        created_by: shortened(&data.created_by),
        comment: shortened(&data.comment),
        ends_at: data.ends_at,
        updated_at: data.updated_at,
    };
    Ok(data.into_iter().map(silence).collect())
}

/// What an error answer says, for people: Alertmanager answers with a JSON text, or an object with a message.
#[must_use]
pub fn error_text(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Error {
        message: String,
    }
    serde_json::from_slice::<String>(body)
        .or_else(|_| serde_json::from_slice::<Error>(body).map(|error| error.message))
        .map_or_else(|_| crate::wire::prometheus::error_text(body), |text| shortened(&text))
}

const WEBHOOK: &str = "the webhook, version 4,";

fn json<T: DeserializeOwned>(body: &[u8], expected: &'static str) -> Result<T, ParseError> {
    if body.len() > ANSWER_BYTES_MAX {
        return Err(ParseError::TooLarge);
    }
    serde_json::from_slice(body).map_err(|error| shape(expected, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALERTS: &str = r#"[{"annotations":{},"endsAt":"2026-11-21T10:04:00.000Z","fingerprint":"0a","receivers":[{"name":"r"}],
        "startsAt":"2026-11-21T10:00:00.000Z","status":{"inhibitedBy":[],"mutedBy":[],"silencedBy":["s-1"],"state":"suppressed"},
        "updatedAt":"2026-11-21T10:00:00.000Z","generatorURL":"","labels":{"alertname":"A"}}]"#;
    const SILENCES: &str = r#"[{"id":"s-1","status":{"state":"active"},"updatedAt":"2026-11-21T10:00:00.000Z","comment":"c",
        "createdBy":"ada","endsAt":"2026-11-21T12:00:00.000Z","matchers":[{"isEqual":true,"isRegex":false,"name":"alertname","value":"A"}],
        "startsAt":"2026-11-21T10:00:00.000Z"}]"#;
    const STATUS: &str = r#"{"cluster":{"name":"x","peers":[],"status":"ready"},"config":{"original":"route: {}"},
        "uptime":"2026-11-21T10:00:00.000Z","versionInfo":{"version":"0.25.0"}}"#;

    #[test]
    fn answers_are_read_with_what_nobody_asks_for_passed_over() {
        let alert = &alerts(ALERTS.as_bytes()).unwrap()[0];
        assert_eq!(
            (alert.state, alert.silenced_by.as_slice()),
            (AlertState::Suppressed, &["s-1".to_owned()][..])
        );
        let silence = &silences(SILENCES.as_bytes()).unwrap()[0];
        assert!(silence.matches(&alert.labels));
        assert_eq!((silence.state, silence.created_by.as_str()), (SilenceState::Active, "ada"));
        assert_eq!(silence.ends_at, "2026-11-21T12:00:00Z".parse().unwrap());
        let status = status(STATUS.as_bytes()).unwrap();
        assert_eq!(
            (status.cluster, status.started_at),
            (ClusterStatus::Ready, "2026-11-21T10:00:00Z".parse().unwrap())
        );
        assert_eq!(alerts(b"[]"), Ok(vec![]));
    }

    #[test]
    fn an_answer_of_an_unknown_shape_is_an_error_and_never_a_default() {
        for (from, to) in [
            (r#""state":"suppressed""#, r#""state":"odd""#),
            (r#","state":"suppressed""#, ""),
            (r#""labels":{"alertname":"A"}"#, r#""x":1"#),
            (r#""labels":{"alertname":"A"}"#, r#""labels":{"alertname":1}"#),
            ("[{", r#"{"alerts":[{"#),
        ] {
            assert!(alerts(ALERTS.replacen(from, to, 1).as_bytes()).is_err(), "{from} -> {to}");
        }
        for (from, to) in [
            (r#""state":"active""#, r#""state":"odd""#),
            (r#""isRegex":false,"#, ""),
            (r#""matchers""#, r#""matcher""#),
            (r#""id":"s-1","#, ""),
            (r#""endsAt":"2026-11-21T12:00:00.000Z","#, ""),
            (r#""updatedAt":"2026-11-21T10:00:00.000Z","comment""#, r#""comment""#),
            ("2026-11-21T12:00:00.000Z", "never"),
        ] {
            assert!(silences(SILENCES.replacen(from, to, 1).as_bytes()).is_err(), "{from} -> {to}");
        }
        for (from, to) in [
            (r#""ready""#, r#""odd""#),
            (r#""cluster""#, r#""x""#),
            (r#""uptime""#, r#""x""#),
            ("2026-11", "26-11"),
        ] {
            assert!(status(STATUS.replacen(from, to, 1).as_bytes()).is_err(), "{from} -> {to}");
        }
        assert_eq!(alerts(&vec![b' '; ANSWER_BYTES_MAX + 1]), Err(ParseError::TooLarge));
    }

    #[test]
    fn a_matcher_is_anchored_may_negate_and_sees_an_absent_label_as_empty() {
        let labels = Labels::from([("a".to_owned(), "one".to_owned())]);
        for (name, value, is_regex, is_equal, fits) in [
            ("a", "one", false, true, true),
            ("a", "one", false, false, false),
            ("a", "two", false, false, true),
            ("a", "o", true, true, false),
            ("a", "o.*", true, true, true),
            ("a", "two|one", true, true, true),
            ("a", "two|one", true, false, false),
            ("b", "", false, true, true),
            ("b", ".+", true, true, false),
            ("b", ".*", true, true, true),
            ("b", "x", false, false, true),
            ("a", "(", true, true, true),
            ("a", "(", true, false, true),
            ("a", "(a{1000}){1000}", true, true, true),
        ] {
            let matcher = Matcher { name: name.to_owned(), value: value.to_owned(), is_regex, is_equal };
            assert_eq!(matcher.matches(&labels), fits, "{matcher:?}");
        }
        let matcher = Matcher { name: "a".into(), value: "o\"e".into(), is_regex: true, is_equal: false };
        assert_eq!(matcher.to_string(), r#"a!~"o\"e""#);
    }

    const MESSAGE: &str = r#"{"version":"4","groupKey":"{}","truncatedAlerts":0,"status":"firing","receiver":"r",
        "groupLabels":{},"commonLabels":{},"commonAnnotations":{},"externalURL":"http://a",
        "notification_reason":"first notification","routeLabels":{},"alerts":[{"status":"firing","labels":{"alertname":"A"},
        "annotations":{},"startsAt":"2026-11-21T10:00:00.5Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"","fingerprint":"00"}]}"#;

    #[test]
    fn a_message_is_read_and_another_version_is_told_apart_from_nonsense() {
        assert!(matches!(webhook(MESSAGE.as_bytes()), Ok(Webhook::V4(message)) if message.alerts.len() == 1));
        assert_eq!(webhook(br#"{"version":"5"}"#), Ok(Webhook::OtherVersion("5".to_owned())));
        for (from, to) in [
            (r#""version":"4","#, ""),
            (r#""version":"4""#, r#""version":4"#),
            (r#""truncatedAlerts":0,"#, ""),
            (r#""truncatedAlerts":0"#, r#""truncatedAlerts":-1"#),
            (r#""status":"firing","receiver""#, r#""status":"odd","receiver""#),
            (r#""status":"firing","labels""#, r#""labels""#),
            (r#""startsAt""#, r#""x""#),
            (r#""alerts""#, r#""x""#),
        ] {
            assert!(MESSAGE.contains(from), "{from}");
            assert!(webhook(MESSAGE.replacen(from, to, 1).as_bytes()).is_err(), "{from} -> {to}");
        }
        assert!(webhook(b"").is_err());
        assert!(webhook(&MESSAGE.as_bytes()[..MESSAGE.len() - 1]).is_err());
        assert_eq!(webhook(&vec![b' '; WEBHOOK_BYTES_MAX + 1]), Err(ParseError::TooLarge));
    }

    #[test]
    fn an_error_is_told_in_its_own_words() {
        assert_eq!(error_text(br#""bad filter""#), "bad filter");
        assert_eq!(error_text(br#"{"code":601,"message":"not allowed"}"#), "not allowed");
        assert_eq!(error_text(b"gateway"), "gateway");
    }

    /// A message as Alertmanager encodes it: without blanks, and with `&` written out.
    fn message_bytes(alert: &str, count: usize) -> usize {
        let alerts = vec![alert; count].join(",");
        let text = format!(
            r#"{{"receiver":"k8s-upgrade-gates","status":"firing","alerts":[{alerts}],"groupLabels":{{}},"commonLabels":{{}},"commonAnnotations":{{}},"externalURL":"http://alertmanager:9093","version":"4","groupKey":"{{}}:{{}}","truncatedAlerts":0}}"#
        );
        assert!(webhook(text.as_bytes()).is_ok() == (text.len() <= WEBHOOK_BYTES_MAX));
        text.len()
    }

    #[test]
    fn a_message_has_room_for_as_many_alerts_as_people_are_told() {
        const SMALL: &str = r#"{"status":"firing","labels":{"alertname":"SiteGate","instance":"10.0.0.1:9100","job":"node","k8s_upgrade_gate":"all","severity":"warning"},"annotations":{"summary":"a gate alert of the site"},"startsAt":"2026-11-21T10:00:00.123Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://prometheus:9090/graph?g0.expr=site_gate\u0026g0.tab=1","fingerprint":"0123456789abcdef"}"#;
        const LARGE: &str = r#"{"status":"firing","labels":{"alertname":"KubePodCrashLooping","container":"prometheus","endpoint":"https-main","job":"kube-state-metrics","k8s_upgrade_gate":"all","namespace":"monitoring","pod":"prometheus-k8s-0","prometheus":"monitoring/k8s","reason":"CrashLoopBackOff","service":"kube-state-metrics","severity":"warning","uid":"0b9f3c6e-1111-4222-8333-444455556666"},"annotations":{"description":"Pod monitoring/prometheus-k8s-0 (prometheus) is in waiting state (reason: \"CrashLoopBackOff\") on cluster .","runbook_url":"https://runbooks.prometheus-operator.dev/runbooks/kubernetes/kubepodcrashlooping","summary":"Pod is crash looping."},"startsAt":"2026-11-21T10:00:00.123Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"https://prometheus.example/graph?g0.expr=max_over_time%28kube_pod_container_status_waiting_reason%7Bjob%3D%22kube-state-metrics%22%2Cnamespace%3D~%22.%2A%22%2Creason%3D%22CrashLoopBackOff%22%7D%5B5m%5D%29+%3E%3D+1\u0026g0.tab=1","fingerprint":"0123456789abcdef"}"#;
        for (alert, about) in [(SMALL, 2_800), (LARGE, 1_000)] {
            let fits = |count| message_bytes(alert, count) <= WEBHOOK_BYTES_MAX;
            let room =
                (1..5_000).rev().find(|count| (alert.len() + 1) * count + 300 <= WEBHOOK_BYTES_MAX).unwrap();
            assert!(fits(room) && !fits(room + 2), "{room}");
            assert!((about..about + about / 10).contains(&room), "{room} alerts of {} bytes", alert.len());
        }
    }
}
