//! What a drain would meet, said before a run begins.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{is_unmanaged, unmanaged};
use super::{Budget, Demand, Pod, overlap};
use crate::api::{DrainPolicy, UnmanagedPods};
use crate::reason::{Finding, Reason};
use crate::words::name::NodeName;

/// How many pods are named in one sentence.
const NAMED_MAX: usize = 10;

/// Everything that would hold the drain of the nodes that these pods are on, and that waiting would not mend.
#[must_use]
pub fn forecast(pods: &[Pod], budgets: &[Budget], policy: DrainPolicy) -> Vec<Finding> {
    let mut findings: Vec<Finding> = match policy.unmanaged_pods {
        UnmanagedPods::Hold => pods.iter().filter(|pod| is_unmanaged(pod)).map(unmanaged).collect(),
        UnmanagedPods::Evict => vec![],
    };
    let leaving: Vec<&Pod> = pods.iter().filter(|pod| pod.would_leave()).collect();
    findings.extend(budgets.iter().filter_map(|budget| never(budget, &leaving)));
    findings.extend(leaving.iter().filter_map(|pod| {
        let names: Vec<&str> = budgets.iter().filter(|b| b.protects(pod)).map(|b| b.name.as_str()).collect();
        (names.len() > 1).then(|| overlap(pod.title(), &names))
    }));
    findings.sort();
    findings
}

/// Budgets by which the drain of a node would stand still, because those of its pods that no other node takes come back
/// only after it: each of them that leaves is one fewer for as long.
#[must_use]
pub fn stuck(stranded: &[&Pod], budgets: &[Budget]) -> Vec<Finding> {
    budgets.iter().filter_map(|budget| stuck_by(budget, stranded)).collect()
}

fn stuck_by(budget: &Budget, stranded: &[&Pod]) -> Option<Finding> {
    let expected = budget.expected_pods;
    // One that never has room is told of in any case.
    let room = expected.checked_sub(budget.must_be_healthy(expected)?).filter(|room| *room > 0)?;
    let mut by_node: BTreeMap<&NodeName, Vec<&Pod>> = BTreeMap::new();
    for pod in stranded.iter().filter(|pod| budget.protects(pod)) {
        by_node.entry(pod.node.as_ref()?).or_default().push(pod);
    }
    let is_too_many =
        |(_, pods): &(&NodeName, Vec<&Pod>)| i32::try_from(pods.len()).is_ok_and(|it| it > room);
    let (node, pods) = by_node.into_iter().find(is_too_many)?;
    let detail = format!(
        "no other node takes {} of the pods on {node}, and the budget {} has room for {room} away: its drain would stand still",
        pods.len(),
        budget.title(),
    );
    Some(Finding::new(Reason::PodHasNoOtherNode, pods[0].title(), detail))
}

/// What the drain of these nodes does beside that people may want to know of, in sentences without a full stop: it holds
/// nothing.
#[must_use]
pub fn side_effects(pods: &[Pod], stranded: &[&Pod], drained: &BTreeSet<&NodeName>) -> Vec<String> {
    let is_drained = |pod: &&Pod| pod.node.as_ref().is_some_and(|node| drained.contains(node));
    let losing = pods.iter().filter(|pod| pod.would_leave() && pod.has_empty_dir).filter(is_drained);
    let lost =
        named(losing).map(|names| format!("draining deletes what is in the emptyDir volumes of {names}"));
    let down = named(stranded.iter().copied());
    let down = down.map(|names| format!("while their node is drained no other node takes {names}"));
    lost.into_iter().chain(down).collect()
}

/// Some of these pods by name, and how many more there are; nothing if there is none.
fn named<'a>(pods: impl Iterator<Item = &'a Pod>) -> Option<String> {
    let mut titles: Vec<String> = pods.map(Pod::title).collect();
    titles.sort();
    let more = titles.len().saturating_sub(NAMED_MAX);
    titles.truncate(NAMED_MAX);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    (!titles.is_empty()).then(|| format!("{}{more}", titles.join(", ")))
}

/// That a budget never allows one of these pods to leave. What its controller expects is what the pods' owners ask for,
/// but for `minAvailable` as a number, where it is the pods that are there.
fn never(budget: &Budget, leaving: &[&Pod]) -> Option<Finding> {
    let expected = budget.expected_pods;
    let never =
        matches!(budget.demand, Demand::Nothing) || budget.never_allows(expected, expected).unwrap_or(true);
    let uncounted = budget.uncounted();
    if !never && uncounted.is_none() {
        return None;
    }
    let protected: Vec<&&Pod> = leaving.iter().filter(|pod| budget.protects(pod)).collect();
    let pod = protected.first()?;
    if uncounted.is_some() {
        return uncounted;
    }
    match protected.iter().find(|pod| !may_be_moved(pod, budget, leaving)) {
        Some(stays) if !budget.is_for_a_while(expected) => Some(budget.never(expected, &stays.name)),
        Some(_) | None => Some(budget.may_move(expected, &whose(pod))),
    }
}

/// Whether an operator may move a pod or what its budget selects it by: the pod is of a custom resource, or others that
/// are made like it wear other labels, such as the role of a database, and could take its place.
fn may_be_moved(pod: &Pod, budget: &Budget, leaving: &[&Pod]) -> bool {
    let is_like_it = |other: &&Pod| {
        pod.controller.is_some()
            && (&other.namespace, &other.controller) == (&pod.namespace, &pod.controller)
            && !budget.protects(other)
    };
    pod.is_operated() || !budget.names_ordinals() && leaving.iter().any(is_like_it)
}

/// A pod with its controller, for people.
fn whose(pod: &Pod) -> String {
    let of = pod.controller.iter().map(|it| format!(" of {} {}", it.kind, it.name)).collect::<String>();
    format!("{}{of}", pod.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drain::budget::tests::{budget, min};
    use crate::drain::plan::tests::pod;
    use crate::drain::{Amount, Controller};
    use crate::words::labels::{Requirement, Selector};

    fn check(budgets: &[Budget], expected: &[(Reason, &str)]) {
        let found = forecast(&[pod("a")], budgets, DrainPolicy::default());
        let found: Vec<(Reason, &str)> = found.iter().map(|f| (f.reason, f.subject.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_budget_that_can_never_allow_an_eviction_is_named() {
        check(&[budget("fine", min(1), 2)], &[]);
        check(&[budget("all", min(2), 2)], &[(Reason::PdbBlocked, "default/all")]);
        check(&[budget("neither", Demand::Nothing, 0)], &[(Reason::PdbBlocked, "default/neither")]);
        check(&[budget("empty", min(0), 0)], &[]);
        let elsewhere = Budget { namespace: "other".to_owned(), ..budget("all", min(2), 2) };
        check(&[elsewhere], &[]);
        let others = Selector::Every(vec![Requirement::Exists("app".to_owned())]);
        check(&[Budget { selector: others, ..budget("all", min(2), 2) }], &[]);
        let uncounted = Budget { current_healthy: 1, ..budget("uncounted", min(0), 0) };
        check(&[uncounted], &[(Reason::PdbBlocked, "default/uncounted")]);
        let failed = Budget { sync_error: Some("no scale".to_owned()), ..budget("failed", min(1), 2) };
        check(&[failed], &[(Reason::PdbBlocked, "default/failed")]);
    }

    #[test]
    fn one_pod_more_than_usual_does_not_make_a_budget_satisfiable() {
        let zero = Demand::MaxUnavailable(Amount::Pods(0));
        let surging = Budget { disruptions_allowed: 1, current_healthy: 3, ..budget("zero", zero, 2) };
        check(&[surging], &[(Reason::PdbBlocked, "default/zero")]);
    }

    #[test]
    fn a_budget_that_only_waits_for_a_pod_is_not_named() {
        check(&[Budget { disruptions_allowed: 0, current_healthy: 1, ..budget("late", min(1), 2) }], &[]);
    }

    #[test]
    fn a_budget_whose_pods_an_operator_may_move_is_a_finding_of_its_own() {
        let by = |kind: &str, pod: Pod| {
            let controller = Some(Controller { kind: kind.to_owned(), name: "db".to_owned() });
            Pod { controller, ..pod }
        };
        let role = |role: &str, pod: Pod| {
            let labels = [("role", role), ("statefulset.kubernetes.io/pod-name", pod.name.as_str())];
            Pod { labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(), ..pod }
        };
        let (primary, replica) =
            (|kind| by(kind, role("primary", pod("a"))), |kind| by(kind, role("replica", pod("b"))));
        let bare = |name| Pod { controller: None, ..role("primary", pod(name)) };
        let is = |key: &str, value: &str| {
            Selector::Every(vec![Requirement::In(key.to_owned(), [value.to_owned()].into())])
        };
        let by_role = |pods| Budget { selector: is("role", "primary"), ..budget("x", min(pods), pods) };
        let by_name =
            Budget { selector: is("statefulset.kubernetes.io/pod-name", "a"), ..budget("x", min(1), 1) };
        let owned = |budget: Budget| Budget { owner: Some("Elasticsearch e".to_owned()), ..budget };
        let finished = Pod { phase: crate::drain::PodPhase::Succeeded, ..replica("StatefulSet") };
        let evict = DrainPolicy { unmanaged_pods: UnmanagedPods::Evict };
        for (what, pods, budget, moves) in [
            ("a custom resource's", vec![primary("Cluster")], by_role(1), true),
            (
                "one of a set by its role",
                vec![primary("StatefulSet"), replica("StatefulSet")],
                by_role(1),
                true,
            ),
            ("the only one of a set", vec![primary("StatefulSet")], by_role(1), false),
            ("beside one that has ended", vec![primary("StatefulSet"), finished], by_role(1), false),
            ("beside another's", vec![primary("StatefulSet"), replica("ReplicaSet")], by_role(1), false),
            ("by its name", vec![primary("StatefulSet"), replica("StatefulSet")], by_name, false),
            ("a Job's", vec![primary("Job")], by_role(1), false),
            ("nobody's", vec![bare("a")], by_role(1), false),
            (
                "nobody's beside nobody's",
                vec![bare("a"), Pod { controller: None, ..replica("Job") }],
                by_role(1),
                false,
            ),
            ("one of them is a Job's", vec![primary("Cluster"), by("Job", bare("c"))], by_role(2), false),
            (
                "a lock for a while",
                vec![primary("StatefulSet"), by("StatefulSet", bare("c"))],
                owned(by_role(2)),
                true,
            ),
            ("an owner's of one", vec![primary("StatefulSet")], owned(by_role(1)), false),
        ] {
            let found = forecast(&pods, &[budget], evict);
            let reason = if moves { Reason::PdbMayMove } else { Reason::PdbBlocked };
            let found: Vec<_> = found.iter().map(|it| (it.reason, it.subject.as_str())).collect();
            assert_eq!(found, [(reason, "default/x")], "{what}");
        }
        let uncounted = Budget { sync_error: Some("no scale".to_owned()), ..owned(by_role(2)) };
        let found = forecast(&[primary("Cluster")], &[uncounted], evict);
        assert_eq!(found[0].reason, Reason::PdbBlocked, "nobody moves what cannot be counted");
    }

    #[test]
    fn a_pod_of_two_budgets_is_named() {
        check(&[budget("x", min(1), 2), budget("y", min(1), 2)], &[(Reason::PdbBlocked, "default/a")]);
    }

    #[test]
    fn a_budget_stands_still_once_more_of_its_pods_must_wait_for_their_node_than_it_has_room_for() {
        let on = |node: &str, name: &str| Pod { node: Some(node.into()), ..pod(name) };
        let (a, b, c) = (on("w-1", "a"), on("w-1", "b"), on("w-2", "c"));
        let found = |demand, expected, stranded: &[&Pod]| {
            let found = stuck(stranded, &[budget("web", demand, expected)]);
            found.into_iter().map(|finding| (finding.reason, finding.subject)).collect::<Vec<_>>()
        };
        let stuck = vec![(Reason::PodHasNoOtherNode, "default/a".to_owned())];
        assert_eq!(found(min(1), 2, &[&a, &b]), stuck);
        assert_eq!(found(min(1), 3, &[&a, &b]), [], "the third is elsewhere");
        assert_eq!(found(min(1), 2, &[&a]), [], "the second finds another node");
        assert_eq!(found(min(2), 3, &[&a, &c]), [], "one node at a time");
        assert_eq!(found(Demand::MaxUnavailable(Amount::Pods(1)), 5, &[&a, &b]), stuck);
        assert_eq!(found(min(2), 2, &[&a, &b]), [], "it is told of as one that never has room");
        let elsewhere = Budget { namespace: "other".to_owned(), ..budget("web", min(1), 2) };
        assert_eq!(super::stuck(&[&a, &b], &[elsewhere]), []);
    }

    #[test]
    fn what_is_lost_and_what_is_down_is_told_by_name() {
        let (drained, left): (NodeName, NodeName) = ("w-1".into(), "w-2".into());
        let loses = |name: &str| Pod { has_empty_dir: true, ..pod(name) };
        let elsewhere = Pod { node: Some(left), ..loses("elsewhere") };
        let by_daemon = Controller { kind: "DaemonSet".to_owned(), name: "d".to_owned() };
        let pods = [loses("b"), pod("a"), elsewhere, Pod { controller: Some(by_daemon), ..loses("d") }];
        let told = side_effects(&pods, &[&pods[1]], &[&drained].into());
        assert_eq!(
            told,
            [
                "draining deletes what is in the emptyDir volumes of default/b",
                "while their node is drained no other node takes default/a",
            ]
        );
        assert!(side_effects(&pods[1..2], &[], &[&drained].into()).is_empty());
        let many: Vec<Pod> = (10..22).map(|n| loses(&n.to_string())).collect();
        let told = side_effects(&many, &[], &[&drained].into());
        assert!(told[0].ends_with("default/18, default/19 and 2 more"), "{told:?}");
    }

    #[test]
    fn a_pod_of_nobody_is_named_unless_it_may_be_lost() {
        let pods = [Pod { controller: None, ..pod("a") }];
        let hold = forecast(&pods, &[], DrainPolicy::default());
        assert_eq!(hold, [Finding::new(Reason::PodWithoutController, "default/a", "")]);
        assert_eq!(forecast(&pods, &[], DrainPolicy { unmanaged_pods: UnmanagedPods::Evict }), []);
    }
}
