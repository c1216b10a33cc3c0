//! Label selectors, as objects of the cluster have them. Those of PromQL are in [`crate::words::selector`].

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
            Self::Every(requirements) => requirements.iter().all(|requirement| requirement.is_met(labels)),
        }
    }

    /// Whether an object with these labels may be selected once it is given others beside them.
    pub(crate) fn may_match(&self, labels: &BTreeMap<String, String>) -> bool {
        let is_open =
            |requirement: &Requirement| requirement.key().is_none_or(|key| !labels.contains_key(key));
        match self {
            Self::Nothing => false,
            Self::Every(all) => all.iter().all(|it| it.is_met(labels) || is_open(it)),
        }
    }

    /// Whether one of these labels is one that it wants.
    pub(crate) fn matches_in_part(&self, labels: &BTreeMap<String, String>) -> bool {
        let wants = |it: &&Requirement| matches!(it, Requirement::In(..) | Requirement::Exists(_));
        self.requirements().iter().filter(wants).any(|it| it.is_met(labels))
    }

    /// Whether the other one selects whatever this one selects, by what they say.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nothing, _) => true,
            (_, Self::Nothing) => false,
            (Self::Every(mine), Self::Every(theirs)) => {
                theirs.iter().all(|their| mine.iter().any(|my| my.implies(their)))
            }
        }
    }

    /// Whether nothing can be selected by both, by what they say.
    pub(crate) fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nothing, _) | (_, Self::Nothing) => true,
            (Self::Every(mine), Self::Every(theirs)) => {
                mine.iter().any(|my| theirs.iter().any(|their| my.excludes(their) || their.excludes(my)))
            }
        }
    }

    /// The labels that it asks for.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.requirements().iter().filter_map(Requirement::key)
    }

    fn requirements(&self) -> &[Requirement] {
        match self {
            Self::Nothing => &[],
            Self::Every(requirements) => requirements,
        }
    }
}

impl Requirement {
    fn is_met(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Self::Exists(key) => labels.contains_key(key),
            Self::DoesNotExist(key) => !labels.contains_key(key),
            Self::Unknown(_) => true,
        }
    }

    fn key(&self) -> Option<&str> {
        match self {
            Self::In(key, _) | Self::NotIn(key, _) | Self::Exists(key) | Self::DoesNotExist(key) => Some(key),
            Self::Unknown(_operator) => None,
        }
    }

    /// Whether what meets this one meets the other.
    fn implies(&self, other: &Self) -> bool {
        let is_enough = match (self, other) {
            (Self::In(_, mine), Self::In(_, theirs)) => mine.is_subset(theirs),
            (Self::In(_, mine), Self::NotIn(_, theirs)) => mine.is_disjoint(theirs),
            (Self::NotIn(_, mine), Self::NotIn(_, theirs)) => theirs.is_subset(mine),
            (Self::In(..) | Self::Exists(_), Self::Exists(_))
            | (Self::DoesNotExist(_), Self::DoesNotExist(_) | Self::NotIn(..)) => true,
            (_, _) => false,
        };
        is_enough && self.key() == other.key()
    }

    /// Whether nothing meets this one and the other; asked both ways round.
    fn excludes(&self, other: &Self) -> bool {
        let is_enough = match (self, other) {
            (Self::In(_, mine), Self::In(_, theirs)) => mine.is_disjoint(theirs),
            (Self::In(_, mine), Self::NotIn(_, theirs)) => mine.is_subset(theirs),
            (Self::In(..) | Self::Exists(_), Self::DoesNotExist(_)) => true,
            (_, _) => false,
        };
        is_enough && self.key() == other.key()
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

    #[test]
    fn two_selectors_are_compared_by_what_they_say() {
        let set = |text: &str| text.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
        let is = |values| Requirement::In("a".to_owned(), set(values));
        let is_not = |values| Requirement::NotIn("a".to_owned(), set(values));
        let other = || Requirement::In("b".to_owned(), set("1"));
        let (there, gone) =
            (|| Requirement::Exists("a".to_owned()), || Requirement::DoesNotExist("a".to_owned()));
        let unknown = || Requirement::Unknown("Gt".to_owned());
        for (mine, theirs, is_within, excludes) in [
            (vec![is("1")], vec![], true, false),
            (vec![], vec![is("1")], false, false),
            (vec![is("1")], vec![is("1")], true, false),
            (vec![is("1")], vec![is("1 2")], true, false),
            (vec![is("1 2")], vec![is("1")], false, false),
            (vec![is("1")], vec![is("2 3")], false, true),
            (vec![is("1"), other()], vec![is("1")], true, false),
            (vec![is("1")], vec![is("1"), other()], false, false),
            (vec![is("1")], vec![other()], false, false),
            (vec![is("1")], vec![there()], true, false),
            (vec![there()], vec![is("1")], false, false),
            (vec![is("1")], vec![is_not("2")], true, false),
            (vec![is("1")], vec![is_not("1 2")], false, true),
            (vec![is("1 2")], vec![is_not("2")], false, false),
            (vec![is_not("1 2")], vec![is_not("2")], true, false),
            (vec![is_not("2")], vec![is_not("1 2")], false, false),
            (vec![gone()], vec![is_not("1")], true, false),
            (vec![gone()], vec![gone()], true, false),
            (vec![gone()], vec![there()], false, true),
            (vec![gone()], vec![is("1")], false, true),
            (vec![there()], vec![is_not("1")], false, false),
            (vec![unknown()], vec![unknown()], false, false),
        ] {
            let case = format!("{mine:?} {theirs:?}");
            let (mine, theirs) = (Selector::Every(mine), Selector::Every(theirs));
            assert_eq!(mine.is_within(&theirs), is_within, "{case}");
            assert_eq!((mine.excludes(&theirs), theirs.excludes(&mine)), (excludes, excludes), "{case}");
        }
        let (any, none) = (Selector::Every(vec![]), Selector::Nothing);
        assert!(none.is_within(&any) && !any.is_within(&none) && none.excludes(&any) && any.excludes(&none));
    }

    #[test]
    fn what_is_not_labelled_yet_may_be_selected_later() {
        let labels = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
        let one = |text: &str| BTreeSet::from([text.to_owned()]);
        for (requirement, may, in_part) in [
            (Requirement::In("app".to_owned(), one("web")), true, true),
            (Requirement::In("app".to_owned(), one("db")), false, false),
            (Requirement::In("role".to_owned(), one("primary")), true, false),
            (Requirement::NotIn("app".to_owned(), one("web")), false, false),
            (Requirement::NotIn("app".to_owned(), one("db")), true, false),
            (Requirement::Exists("app".to_owned()), true, true),
            (Requirement::DoesNotExist("app".to_owned()), false, false),
            (Requirement::DoesNotExist("role".to_owned()), true, false),
        ] {
            let selector = Selector::Every(vec![requirement]);
            let found = (selector.may_match(&labels), selector.matches_in_part(&labels));
            assert_eq!(found, (may, in_part), "{selector:?}");
        }
    }
}
