//! Pods of more than one budget: the API server evicts none of them, whatever each of the budgets allows.
//!
//! ```text
//!   a pod of a template  ──▶ both select its labels                                          ─▶ block
//!   a pod of no template ──▶ all that one selects the other one selects                      ─▶ block
//!                            they exclude each other, or each belongs to a custom resource   ─▶ nothing
//!                            both count such pods, or it may be of a StatefulSet of the other ─▶ hold
//! ```
//!
//! Of a pod of no template only the status of its budgets tells, and not its labels: what is open a person can look at, and
//! preflight looks at every pod. An operator makes a budget for its own pods, which another operator's never selects.

use std::collections::{BTreeMap, BTreeSet};

use super::{Judged, NAMED_MAX, is_evicted, pods};
use crate::cluster::inventory::{Workload, WorkloadKind};
use crate::drain::{Budget, overlap};
use crate::reason::{Finding, Reason};

/// Workloads whose pods more than one budget protects.
pub(super) fn of_templates(budgets: &[&Budget], workloads: &[&Workload]) -> Vec<Finding> {
    let leaving = workloads.iter().filter(|it| is_evicted(it) && it.rollout.desired > 0);
    let twice = leaving.filter_map(|workload| {
        let several = |alike: pods::Alike<'_>| {
            let protects = budgets.iter().filter(|budget| budget.selector.matches(&alike.labels));
            let mut names: Vec<&str> = protects.map(|budget| budget.name.as_str()).collect();
            names.sort_unstable();
            (names.len() > 1).then(|| overlap(workload.to_string(), &names))
        };
        pods::alike(workload, budgets).into_iter().find_map(several)
    });
    twice.collect()
}

/// Names of budgets by the one that their finding is about.
type Pairs<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// Budgets whose pods of no template another budget selects too, and those of which that cannot be told.
pub(super) fn of_others(judged: &[Judged<'_>], workloads: &[&Workload]) -> [Vec<Finding>; 2] {
    let (mut proven, mut open) = (Pairs::new(), Pairs::new());
    for narrow in judged.iter().filter(|it| it.is_of_no_template()) {
        let budget = narrow.budget;
        let homes = homes(budget, workloads);
        for other in judged.iter().filter(|it| it.budget.name != budget.name) {
            let wide = other.budget;
            let is_wider = budget.selector.is_within(&wide.selector);
            let is_narrower = wide.selector.is_within(&budget.selector);
            if is_wider {
                // Two that select the same are told of once.
                let is_first = is_narrower && budget.name < wide.name;
                let (first, second) = if is_first { (budget, wide) } else { (wide, budget) };
                proven.entry(&first.name).or_default().insert(&second.name);
            } else if !is_narrower && may_share(narrow, other, &homes) {
                let is_first = (budget.owner.is_some(), &budget.name) < (wide.owner.is_some(), &wide.name);
                let (first, second) = if is_first { (budget, wide) } else { (wide, budget) };
                open.entry(&first.name).or_default().insert(&second.name);
            }
        }
    }
    let title = |name: &str| judged.iter().find(|it| it.budget.name == name).map(|it| it.budget.title());
    let proven = proven.iter().filter_map(|(name, others)| {
        let names: BTreeSet<&str> = others.iter().chain([name]).copied().collect();
        Some(overlap(title(name)?, &names.into_iter().collect::<Vec<_>>()))
    });
    let open = open.iter().filter_map(|(name, others)| Some(nobody_knows(title(name)?, others)));
    [proven.collect(), open.collect()]
}

impl Judged<'_> {
    /// Whether it counts pods, and none of them is of a template.
    fn is_of_no_template(&self) -> bool {
        self.is_counted() && self.known.replicas == 0 && super::of_others(self.budget, &self.known) > 0
    }

    /// Whether it counts pods of no template beside others. One that is not Ready may be of a template too, such as one
    /// that failed and was made again.
    fn counts_others_too(&self) -> bool {
        let known = self.known.replicas.saturating_add(self.known.daemon_pods);
        self.is_counted()
            && self.known.is_settled
            && self.known.replicas > 0
            && self.budget.current_healthy > known
    }

    /// Whether its status tells of its pods.
    fn is_counted(&self) -> bool {
        self.budget.is_observed() && self.budget.uncounted().is_none()
    }
}

/// Whether a pod of no template may be of both budgets, of which neither selects all of the other's.
fn may_share(narrow: &Judged<'_>, other: &Judged<'_>, homes: &[&Workload]) -> bool {
    let (budget, wide) = (narrow.budget, other.budget);
    if budget.selector.excludes(&wide.selector) || budget.owner.is_some() && wide.owner.is_some() {
        return false;
    }
    let is_of = |workload: &&Workload| pods::selected(wide, workload).is_some_and(|pods| pods > 0);
    other.is_of_no_template() || other.counts_others_too() || homes.iter().any(is_of)
}

/// The StatefulSets whose pods a budget may be about, by labels that they are given later, such as the role of a
/// database: those whose template has one of its labels. If none has, nobody knows of which they are, but those of an
/// operator that makes pods by itself are of none.
fn homes<'a>(budget: &Budget, workloads: &[&'a Workload]) -> Vec<&'a Workload> {
    let is_set = |it: &&&Workload| {
        it.kind == WorkloadKind::StatefulSet && it.rollout.desired > 0 && !budget.names_ordinals()
    };
    let may_be = |it: &&&Workload| budget.selector.may_match(&it.pod_labels);
    let all: Vec<_> = workloads.iter().filter(is_set).filter(may_be).copied().collect();
    let (home, foreign): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|it| budget.selector.matches_in_part(&it.pod_labels));
    if home.is_empty() && budget.owner.is_none() { foreign } else { home }
}

fn nobody_knows(subject: String, others: &BTreeSet<&str>) -> Finding {
    let first = others.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
    let more = others.len().saturating_sub(NAMED_MAX);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    let detail = format!(
        "its pods may also be those of {first}{rest}, by labels that no template tells; the API server evicts no pod of \
         more than one budget"
    );
    Finding::new(Reason::PdbOfOthers, subject, detail)
}
