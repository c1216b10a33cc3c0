//! Where a pod could go: what a scheduler asks of nodes before it looks at room. What is not known of it counts as a yes,
//! because it is asked only for what nobody would take.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::placement::{Placement, Taint};
use super::pod::Pod;
use crate::words::name::NodeName;

/// A node, as a scheduler sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its name.
    pub node: NodeName,
    /// The Ready condition is True.
    pub ready: bool,
    /// `spec.unschedulable`.
    pub unschedulable: bool,
    /// It is being deleted.
    pub deleting: bool,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// `spec.taints`.
    pub taints: Vec<Taint>,
}

/// The effects that keep a pod away.
const REPELS: [&str; 2] = ["NoSchedule", "NoExecute"];

impl Place {
    /// Whether a pod could be put here.
    #[must_use]
    pub fn takes(&self, placement: &Placement) -> bool {
        let Placement { node_selector, terms, tolerations } = placement;
        let is_open = self.ready && !self.unschedulable && !self.deleting;
        let repels = |taint: &&Taint| REPELS.contains(&taint.effect.as_str());
        is_open
            && node_selector.iter().all(|(key, value)| self.labels.get(key) == Some(value))
            && terms.as_ref().is_none_or(|terms| terms.iter().any(|term| term.matches(&self.labels)))
            && self.taints.iter().filter(repels).all(|taint| tolerations.iter().any(|it| it.bears(taint)))
    }
}

/// The pods that would leave these nodes and that no other node takes.
#[must_use]
pub fn stranded<'a>(pods: &'a [Pod], places: &[Place], drained: &BTreeSet<&NodeName>) -> Vec<&'a Pod> {
    // Two homes tell it for every node, and pods of one owner are alike.
    let mut homes: BTreeMap<&Placement, Vec<&NodeName>> = BTreeMap::new();
    let mut is_stranded = |pod: &Pod, placement: &'a Placement| {
        let homes = homes.entry(placement).or_insert_with(|| {
            places.iter().filter(|place| place.takes(placement)).map(|place| &place.node).take(2).collect()
        });
        homes.iter().all(|home| Some(*home) == pod.node.as_ref())
    };
    let leaving = pods.iter().filter(|pod| pod.would_leave());
    leaving
        .filter(|pod| pod.node.as_ref().is_some_and(|node| drained.contains(node)))
        .filter(|pod| is_stranded(pod, &pod.placement))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drain::Toleration;
    use crate::drain::plan::tests::pod;
    use crate::words::labels::{Requirement, Selector};

    fn place(name: &str) -> Place {
        Place {
            node: name.into(),
            ready: true,
            unschedulable: false,
            deleting: false,
            labels: BTreeMap::from([("disk".to_owned(), "ssd".to_owned())]),
            taints: Vec::new(),
        }
    }

    fn taint(effect: &str) -> Taint {
        Taint { key: "role".to_owned(), value: "a".to_owned(), effect: effect.to_owned() }
    }

    fn toleration(key: &str, operator: &str, value: &str, effect: &str) -> Toleration {
        let [key, operator, value, effect] = [key, operator, value, effect].map(str::to_owned);
        Toleration { key, operator, value, effect }
    }

    #[test]
    fn a_node_that_is_closed_takes_nothing() {
        let any = Placement::default();
        assert!(place("a").takes(&any));
        assert!(!Place { ready: false, ..place("a") }.takes(&any));
        assert!(!Place { unschedulable: true, ..place("a") }.takes(&any));
        assert!(!Place { deleting: true, ..place("a") }.takes(&any));
    }

    #[test]
    fn a_taint_keeps_away_what_does_not_tolerate_it() {
        for (effect, toleration, expected) in [
            ("NoSchedule", None, false),
            ("NoExecute", None, false),
            ("PreferNoSchedule", None, true),
            ("NoSchedule", Some(toleration("", "Exists", "", "")), true),
            ("NoSchedule", Some(toleration("role", "Exists", "", "")), true),
            ("NoSchedule", Some(toleration("other", "Exists", "", "")), false),
            ("NoSchedule", Some(toleration("role", "Exists", "", "NoSchedule")), true),
            ("NoSchedule", Some(toleration("role", "Exists", "", "NoExecute")), false),
            ("NoSchedule", Some(toleration("role", "Equal", "a", "")), true),
            ("NoSchedule", Some(toleration("role", "", "a", "")), true),
            ("NoSchedule", Some(toleration("role", "", "b", "")), false),
            // An operator that is not known may be met.
            ("NoSchedule", Some(toleration("role", "Gt", "9", "")), true),
        ] {
            let tainted = Place { taints: vec![taint(effect)], ..place("a") };
            let placement =
                Placement { tolerations: toleration.iter().cloned().collect(), ..Placement::default() };
            assert_eq!(tainted.takes(&placement), expected, "{effect} {toleration:?}");
        }
        let two = Place { taints: vec![taint("NoSchedule"), taint("NoExecute")], ..place("a") };
        let one = vec![toleration("role", "Exists", "", "NoSchedule")];
        assert!(!two.takes(&Placement { tolerations: one, ..Placement::default() }), "each of them");
    }

    #[test]
    fn a_pod_goes_only_where_its_selector_and_one_term_of_its_affinity_let_it() {
        let one = |value: &str| {
            Selector::Every(vec![Requirement::In("disk".to_owned(), [value.to_owned()].into())])
        };
        let wants = |value: &str| BTreeMap::from([("disk".to_owned(), value.to_owned())]);
        for (node_selector, terms, expected) in [
            (wants("ssd"), None, true),
            (wants("hdd"), None, false),
            (BTreeMap::new(), Some(vec![one("ssd")]), true),
            (BTreeMap::new(), Some(vec![one("hdd")]), false),
            (BTreeMap::new(), Some(vec![one("hdd"), one("ssd")]), true),
            (wants("ssd"), Some(vec![one("hdd")]), false),
            (BTreeMap::new(), Some(vec![Selector::Nothing]), false),
            (BTreeMap::new(), Some(vec![Selector::Every(vec![Requirement::Unknown("Gt".to_owned())])]), true),
        ] {
            let placement = Placement { node_selector, terms, tolerations: Vec::new() };
            assert_eq!(place("a").takes(&placement), expected, "{placement:?}");
        }
    }

    #[test]
    fn a_pod_is_stranded_where_its_own_node_is_the_only_one_that_takes_it() {
        let (worker, other): (NodeName, NodeName) = ("w-1".into(), "w-2".into());
        let plane = Place { taints: vec![taint("NoSchedule")], ..place("cp-1") };
        let lone = [plane, place("w-1")];
        let tolerant =
            || Placement { tolerations: vec![toleration("", "Exists", "", "")], ..Placement::default() };
        let [elsewhere, bears] = [
            Pod { node: Some(other.clone()), ..pod("elsewhere") },
            Pod { placement: tolerant(), ..pod("bears") },
        ];
        let pods = [pod("a"), bears, Pod { mirror: true, ..pod("mirror") }, elsewhere];
        let names = |places: &[Place], drained: &BTreeSet<&NodeName>| {
            stranded(&pods, places, drained).iter().map(|pod| pod.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&lone, &[&worker].into()), ["a"]);
        assert_eq!(names(&lone, &[&worker, &other].into()), ["a"]);
        assert!(names(&lone, &[].into()).is_empty(), "its node is left as it is");
        let two = [place("w-1"), place("w-2")];
        assert!(names(&two, &[&worker, &other].into()).is_empty());
        let cordoned = [place("w-1"), Place { unschedulable: true, ..place("w-2") }];
        assert_eq!(names(&cordoned, &[&worker].into()), ["a", "bears"]);
    }
}
