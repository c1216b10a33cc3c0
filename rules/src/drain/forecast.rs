//! What a drain would meet, said before a run begins.

use super::plan::{is_unmanaged, unmanaged};
use super::{Budget, Pod};
use crate::api::{DrainPolicy, UnmanagedPods};
use crate::reason::{Finding, Reason};

/// Everything that would hold the drain of the nodes that these pods are on, and that waiting would not mend.
#[must_use]
pub fn forecast(pods: &[Pod], budgets: &[Budget], policy: DrainPolicy) -> Vec<Finding> {
    let mut findings: Vec<Finding> = match policy.unmanaged_pods {
        UnmanagedPods::Hold => pods.iter().filter(|pod| is_unmanaged(pod)).map(unmanaged).collect(),
        UnmanagedPods::Evict => vec![],
    };
    let leaving: Vec<&Pod> = pods.iter().filter(|pod| would_leave(pod)).collect();
    findings.extend(budgets.iter().filter(|budget| budget.never_allows()).filter_map(|budget| {
        let pod = leaving.iter().find(|pod| budget.protects(pod))?;
        Some(never(budget, pod))
    }));
    findings.extend(leaving.iter().filter_map(|pod| {
        let names: Vec<&str> = budgets.iter().filter(|b| b.protects(pod)).map(|b| b.name.as_str()).collect();
        (names.len() > 1).then(|| {
            let detail =
                format!("the API server evicts no pod of more than one budget: {}", names.join(", "));
            Finding::new(Reason::PdbBlocked, pod.title(), detail)
        })
    }));
    findings.sort();
    findings
}

fn would_leave(pod: &Pod) -> bool {
    let by_daemon_set = pod.controller.as_ref().is_some_and(|controller| controller.kind == "DaemonSet");
    !pod.mirror && !pod.deleting && !pod.phase.is_finished() && !by_daemon_set
}

fn never(budget: &Budget, pod: &Pod) -> Finding {
    let Budget { namespace, name, desired_healthy, expected_pods, .. } = budget;
    let detail =
        format!("wants {desired_healthy} of {expected_pods} pods healthy, so {} can never leave", pod.name);
    Finding::new(Reason::PdbBlocked, format!("{namespace}/{name}"), detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drain::plan::tests::pod;
    use crate::drain::{Requirement, Selector};

    fn budget(name: &str, desired_healthy: i32, expected_pods: i32) -> Budget {
        Budget {
            namespace: "default".to_owned(),
            name: name.to_owned(),
            selector: Selector::Every(vec![]),
            disruptions_allowed: (expected_pods - desired_healthy).max(0),
            expected_pods,
            current_healthy: expected_pods,
            desired_healthy,
        }
    }

    fn check(budgets: &[Budget], expected: &[(Reason, &str)]) {
        let found = forecast(&[pod("a")], budgets, DrainPolicy::default());
        let found: Vec<(Reason, &str)> = found.iter().map(|f| (f.reason, f.subject.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_budget_that_can_never_allow_an_eviction_is_named() {
        check(&[budget("fine", 1, 2)], &[]);
        check(&[budget("all", 2, 2)], &[(Reason::PdbBlocked, "default/all")]);
        check(&[budget("empty", 0, 0)], &[]);
        let elsewhere = Budget { namespace: "other".to_owned(), ..budget("all", 2, 2) };
        check(&[elsewhere], &[]);
        let others = Selector::Every(vec![Requirement::Exists("app".to_owned())]);
        check(&[Budget { selector: others, ..budget("all", 2, 2) }], &[]);
    }

    #[test]
    fn a_budget_that_only_waits_for_a_pod_is_not_named() {
        check(&[Budget { disruptions_allowed: 0, current_healthy: 1, ..budget("late", 1, 2) }], &[]);
    }

    #[test]
    fn a_pod_of_two_budgets_is_named() {
        check(&[budget("x", 1, 2), budget("y", 1, 2)], &[(Reason::PdbBlocked, "default/a")]);
    }

    #[test]
    fn a_pod_of_nobody_is_named_unless_it_may_be_lost() {
        let pods = [Pod { controller: None, ..pod("a") }];
        let hold = forecast(&pods, &[], DrainPolicy::default());
        assert_eq!(hold, [Finding::new(Reason::PodWithoutController, "default/a", "")]);
        assert_eq!(forecast(&pods, &[], DrainPolicy { unmanaged_pods: UnmanagedPods::Evict }), []);
    }
}
