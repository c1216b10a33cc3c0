//! The labels that tell one cluster from another in a Prometheus that several share.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Labels that a series must carry to be of this cluster, written as `cluster="a"` or `cluster="a",site="b"`.
///
/// Only equality, because the labels are also put on every generated alert, so that `ALERTS` can be asked for them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector(BTreeMap<String, String>);

/// A text that is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a selector such as cluster=\"a\": {why}")]
pub struct SelectorError {
    text: String,
    why: &'static str,
}

/// Labels that the rules set or join on: a selector on one of them would change what they mean.
const TAKEN: [&str; 12] = [
    "alertname",
    "alertstate",
    "gate_class",
    "instance",
    "job",
    "k8s_upgrade_gate",
    "node",
    "phase",
    "run",
    "severity",
    "step",
    "token",
];

impl Selector {
    /// Whether there is nothing to tell apart: the Prometheus serves one cluster.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels and their values.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether an alert may be about this cluster: it carries none of the labels with another value. An alert
    /// without them may be about any cluster, so it counts.
    #[must_use]
    pub fn concerns<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.labels().all(|(name, value)| label(name).is_none_or(|other| other.is_empty() || other == value))
    }

    /// The matchers of series that are of this cluster, such as `cluster="a"`.
    #[must_use]
    pub fn own(&self) -> Vec<String> {
        self.labels().map(|(name, value)| format!("{name}=\"{value}\"")).collect()
    }

    /// The matchers of alerts that may be about this cluster, such as `cluster=~"|a"`.
    #[must_use]
    pub fn own_or_nobodys(&self) -> Vec<String> {
        self.labels().map(|(name, value)| format!("{name}=~\"|{}\"", value.replace('.', "[.]"))).collect()
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let refuse = |why| SelectorError { text: text.to_owned(), why };
        let mut labels = BTreeMap::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| refuse("write label=\"value\""))?;
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            let value = value.ok_or_else(|| refuse("only = and a value in double quotes are allowed"))?;
            if !is_label_name(name) || TAKEN.contains(&name) {
                return Err(refuse("that label cannot be selected on"));
            }
            if value.is_empty() || !value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/".contains(&b))
            {
                return Err(refuse("a value has letters, digits and -_.:/ only"));
            }
            if labels.insert(name.to_owned(), value.to_owned()).is_some() {
                return Err(refuse("a label stands there twice"));
            }
        }
        Ok(Self(labels))
    }
}

fn is_label_name(name: &str) -> bool {
    !name.starts_with("__")
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.own().join(","))
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_read_as_it_is_written() {
        for text in ["", "cluster=\"a\"", "cluster=\"eu-1.prod\",site=\"b\""] {
            assert_eq!(text.parse::<Selector>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_would_change_the_meaning_of_a_rule_is_refused() {
        for text in [
            "cluster",
            "cluster=a",
            "cluster=~\"a.*\"",
            "cluster!=\"a\"",
            "cluster=\"\"",
            "cluster=\"a\\\"b\"",
            "cluster=\"a\"} or vector(1) #\"",
            "job=\"x\"",
            "k8s_upgrade_gate=\"all\"",
            "__name__=\"x\"",
            "cluster=\"a\",cluster=\"b\"",
            "1x=\"a\"",
        ] {
            let error = text.parse::<Selector>().unwrap_err().to_string();
            assert!(error.contains("is not a selector"), "{error}");
        }
    }

    #[test]
    fn an_alert_concerns_us_unless_it_names_another_cluster() {
        let selector: Selector = "cluster=\"a\"".parse().unwrap();
        assert!(selector.concerns(|_| Some("a")));
        assert!(selector.concerns(|_| None));
        assert!(!selector.concerns(|_| Some("b")));
        assert!(Selector::default().concerns(|_| Some("b")));
    }
}
