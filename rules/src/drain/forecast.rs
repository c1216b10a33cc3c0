//! What a drain would meet, said before a run begins.

use super::plan::{is_unmanaged, unmanaged};
use super::{Budget, Demand, Pod, overlap};
use crate::api::{DrainPolicy, UnmanagedPods};
use crate::reason::Finding;

/// Everything that would hold the drain of the nodes that these pods are on, and that waiting would not mend.
#[must_use]
pub fn forecast(pods: &[Pod], budgets: &[Budget], policy: DrainPolicy) -> Vec<Finding> {
    let mut findings: Vec<Finding> = match policy.unmanaged_pods {
        UnmanagedPods::Hold => pods.iter().filter(|pod| is_unmanaged(pod)).map(unmanaged).collect(),
        UnmanagedPods::Evict => vec![],
    };
    let leaving: Vec<&Pod> = pods.iter().filter(|pod| would_leave(pod)).collect();
    findings.extend(budgets.iter().filter_map(|budget| never(budget, &leaving)));
    findings.extend(leaving.iter().filter_map(|pod| {
        let names: Vec<&str> = budgets.iter().filter(|b| b.protects(pod)).map(|b| b.name.as_str()).collect();
        (names.len() > 1).then(|| overlap(pod.title(), &names))
    }));
    findings.sort();
    findings
}

fn would_leave(pod: &Pod) -> bool {
    let by_daemon_set = pod.controller.as_ref().is_some_and(|controller| controller.kind == "DaemonSet");
    !pod.mirror && !pod.deleting && !pod.phase.is_finished() && !by_daemon_set
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
    let pod = leaving.iter().find(|pod| budget.protects(pod))?;
    Some(uncounted.unwrap_or_else(|| budget.never(expected, &pod.name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drain::Amount;
    use crate::drain::budget::tests::{budget, min};
    use crate::drain::plan::tests::pod;
    use crate::labels::{Requirement, Selector};
    use crate::reason::Reason;

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
    fn a_pod_of_two_budgets_is_named() {
        check(&[budget("x", min(1), 2), budget("y", min(1), 2)], &[(Reason::PdbBlocked, "default/a")]);
    }

    #[test]
    fn a_pod_of_nobody_is_named_unless_it_may_be_lost() {
        let pods = [Pod { controller: None, ..pod("a") }];
        let hold = forecast(&pods, &[], DrainPolicy::default());
        assert_eq!(hold, [Finding::new(Reason::PodWithoutController, "default/a", "")]);
        assert_eq!(forecast(&pods, &[], DrainPolicy { unmanaged_pods: UnmanagedPods::Evict }), []);
    }
}
