//! Label selectors, as objects of the cluster have them. Those of PromQL are in [`crate::selector`].

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// A label selector. [`Selector::Nothing`] is one that was left out; an empty list of requirements matches all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Selector {
    /// It selects nothing.
    Nothing,
    /// It selects what meets every requirement.
    Every(Vec<Requirement>),
}

/// One requirement of a label selector.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Requirement {
    /// The label is there and has one of these values.
    In(String, BTreeSet<String>),
    /// The label is missing or has none of these values.
    NotIn(String, BTreeSet<String>),
    /// The label is there.
    Exists(String),
    /// The label is missing.
    DoesNotExist(String),
    /// An operator that is not known: it counts as met, so that what selects is rather seen than missed.
    Unknown(String),
}

impl Selector {
    /// Whether an object with these labels is selected.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::Nothing => false,
            Self::Every(requirements) => requirements.iter().all(|requirement| match requirement {
                Requirement::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
                Requirement::NotIn(key, values) => {
                    labels.get(key).is_none_or(|value| !values.contains(value))
                }
                Requirement::Exists(key) => labels.contains_key(key),
                Requirement::DoesNotExist(key) => !labels.contains_key(key),
                Requirement::Unknown(_) => true,
            }),
        }
    }

    /// The labels that it asks for.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        let requirements = match self {
            Self::Nothing => &[],
            Self::Every(requirements) => requirements.as_slice(),
        };
        requirements.iter().filter_map(|requirement| match requirement {
            Requirement::In(key, _)
            | Requirement::NotIn(key, _)
            | Requirement::Exists(key)
            | Requirement::DoesNotExist(key) => Some(key.as_str()),
            Requirement::Unknown(_operator) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_that_was_left_out_selects_nothing_and_an_empty_one_all() {
        let labels = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
        let one = |text: &str| BTreeSet::from([text.to_owned()]);
        let every = |requirement| Selector::Every(vec![requirement]);
        for (selector, expected) in [
            (Selector::Nothing, false),
            (Selector::Every(vec![]), true),
            (every(Requirement::In("app".to_owned(), one("web"))), true),
            (every(Requirement::In("app".to_owned(), one("db"))), false),
            (every(Requirement::In("tier".to_owned(), one("web"))), false),
            (every(Requirement::NotIn("app".to_owned(), one("web"))), false),
            (every(Requirement::NotIn("tier".to_owned(), one("web"))), true),
            (every(Requirement::Exists("app".to_owned())), true),
            (every(Requirement::DoesNotExist("app".to_owned())), false),
            (every(Requirement::Unknown("Gt".to_owned())), true),
        ] {
            assert_eq!(selector.matches(&labels), expected, "{selector:?}");
        }
    }
}
