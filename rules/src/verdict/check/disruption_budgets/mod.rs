//! No PodDisruptionBudget makes a drain stand still for ever.
//!
//! ```text
//!   budget ──▶ the pods it protects, by the templates of Deployments and StatefulSets
//!                │ demand, replicas ──▶ never ─▶ block, whatever its status allows at this moment
//!                │                            └▶ hold, where an operator may move the pod or the budget
//!                │ status            ──▶ not about this spec ─▶ unknown │ pods cannot be counted ─▶ block
//!                ▼                       pods of others ─▶ judged by it  │ none may leave now     ─▶ note
//!                                         none is Ready, and no rollout is under way            ─▶ unknown
//! ```
//!
//! Pods are not watched: in a big cluster they are most of what there is, and they come and go. What their owners ask for
//! is what holds once everything is Ready, and that is what "never" is about: `status.disruptionsAllowed` is 0 in every
//! rollout and may be 1 while a pod too many is there. Pods of owners that are not watched (bare ones, those of a
//! ReplicaSet without a Deployment, of a Job, of somebody's own kind) are in no template; the budget's own status counts
//! them, so it is the second source. Where it shows none of that either, preflight looks at every pod, with the same
//! arithmetic, before anything is touched.
//!
//! Those pods are an operator's as a rule: the primary of a database, which it moves when the node is cordoned, or what
//! serves the storage of one node, whose budget it deletes once nobody needs it there. Nothing that can be read says
//! whether it will, so it is a finding of its own, and a person who knows the operator accepts it by name. So is a budget
//! that belongs to a custom resource and that locks its pods for a while. Of one pod of one, of a Deployment or a
//! StatefulSet, nobody but the owner of the budget can do anything about it, and that blocks.
//!
//! Pods of DaemonSets and mirrors of static pods are never evicted. Which node a pod is on is not asked: a run drains
//! every node that is not at the target yet; where none is left, everything here is a note. The check speaks about every
//! step: the upgrade changes nothing of what it reads, so that a budget which comes in the middle is seen before the next
//! node is cordoned.

mod overlaps;
mod pods;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::{Against, Facts, NAMED_MAX, NOTES_MAX, Outcome, Recognised};
use crate::cluster::inventory::{Workload, WorkloadKind};
use crate::drain::Budget;
use crate::driver::kubeadm::is_at;
use crate::reason::{Finding, Reason};

/// A pod that only the status of a budget counts, for people.
const NOT_WATCHED: &str = "a pod that no Deployment and no StatefulSet has in its template";
/// The same of all that it protects.
const NONE_WATCHED: &str = "pods that no Deployment and no StatefulSet has in its template";

/// What was found out, by what it means.
#[derive(Default)]
struct Tally {
    blockers: Vec<Finding>,
    /// What an operator may move, and what pods whose owners are not watched may make up for.
    holds: Vec<Finding>,
    unknowns: Vec<Finding>,
    notes: Vec<Finding>,
    /// The budgets that let pods go, and could stop a drain all the same.
    recognised: Vec<Recognised>,
}

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    judge(facts).unwrap_or_else(|unknown| unknown)
}

fn judge(facts: &Facts<'_>) -> Result<Outcome, Outcome> {
    let case = facts.case;
    let target = facts.version()?;
    let (budgets, budgets_read) =
        facts.state("budgets", &case.inventory.budgets).map_err(Outcome::unknown)?;
    let (workloads, workloads_read) =
        facts.state("workloads", &case.inventory.workloads).map_err(Outcome::unknown)?;
    let (nodes, nodes_read) = facts.state("nodes", &case.snapshot.nodes).map_err(Outcome::unknown)?;
    let mut tally = Tally::default();
    let mut workloads = by_namespace(workloads, |workload| &workload.namespace);
    for (namespace, budgets) in by_namespace(budgets, |budget| &budget.namespace) {
        let workloads = workloads.remove(namespace).unwrap_or_default();
        let judged = budgets.iter().map(|budget| Judged { budget, known: known(budget, &workloads) });
        let judged: Vec<_> = judged.collect();
        judged.iter().for_each(|it| one(it, &mut tally));
        tally.blockers.extend(overlaps::of_templates(&budgets, &workloads));
        let [proven, open] = overlaps::of_others(&judged, &workloads);
        tally.blockers.extend(proven);
        tally.holds.extend(open);
    }
    let Tally { mut blockers, mut holds, mut unknowns, mut notes, recognised } = tally;
    if nodes.iter().all(|node| is_at(case.snapshot, node, target)) {
        notes.extend(blockers.drain(..).chain(holds.drain(..)).chain(unknowns.drain(..)));
    }
    notes.sort_unstable();
    notes.truncate(NOTES_MAX);
    let rest = vec![workloads_read, nodes_read];
    let outcome = Outcome::weigh(budgets_read, rest, [blockers, holds, unknowns]);
    Ok(outcome.noting(notes).recognising(recognised))
}

fn by_namespace<'a, T>(all: &'a [T], namespace: impl Fn(&'a T) -> &'a str) -> BTreeMap<&'a str, Vec<&'a T>> {
    let mut sorted: BTreeMap<&str, Vec<&T>> = BTreeMap::new();
    for one in all {
        sorted.entry(namespace(one)).or_default().push(one);
    }
    sorted
}

fn is_evicted(workload: &Workload) -> bool {
    match workload.kind {
        WorkloadKind::Deployment | WorkloadKind::StatefulSet => true,
        WorkloadKind::DaemonSet => false,
    }
}

/// What is known of the pods of a budget, by the workloads of its namespace.
fn known(budget: &Budget, workloads: &[&Workload]) -> Known {
    let protected = workloads.iter().filter_map(|it| Some((it, pods::selected(budget, it)?)));
    let (evicted, daemons): (Vec<_>, Vec<_>) = protected.partition(|(it, _)| is_evicted(it));
    let pods = |of: &[(_, i32)]| of.iter().fold(0, |sum: i32, (_, pods)| sum.saturating_add(*pods));
    let scale = evicted.iter().fold(0, |sum: i32, (it, _)| sum.saturating_add(it.rollout.desired.max(0)));
    let replicas = pods(&evicted);
    let owners: Vec<_> = evicted.iter().filter(|(_, pods)| *pods > 0).map(|(it, _)| it.to_string()).collect();
    let first = owners.iter().min().cloned().unwrap_or_default();
    Known {
        replicas,
        expected: if budget.counts_every_pod() { replicas } else { scale },
        daemon_pods: pods(&daemons),
        is_settled: evicted.iter().all(|(it, _)| it.rollout.is_settled()),
        whose: format!("a pod of {first}"),
        owners: if owners.len() > 1 { format!("{first} and {} more", owners.len() - 1) } else { first },
    }
}

fn one(Judged { budget, known }: &Judged<'_>, tally: &mut Tally) {
    match against(budget, known) {
        Against::Nothing => tally.recognised.extend(recognised(budget, known)),
        Against::Note(finding) => {
            tally.recognised.extend(recognised(budget, known));
            tally.notes.push(finding);
        }
        Against::Blocks(finding) if is_for_a_person(finding.reason) => tally.holds.push(finding),
        Against::Blocks(finding) => tally.blockers.push(finding),
        Against::Unknown(finding) => tally.unknowns.push(finding),
    }
}

/// Whether it depends on what cannot be read here, and somebody may know it.
fn is_for_a_person(reason: Reason) -> bool {
    matches!(reason, Reason::PdbMayMove | Reason::PdbOfOthers)
}

/// A budget that a drain has to ask, and what it is about; nothing where no pod of it is ever evicted, or where it can
/// stop none.
fn recognised(budget: &Budget, known: &Known) -> Option<Recognised> {
    let others = of_others(budget, known);
    let (expected, pods) = match (known.replicas, others) {
        (1.., _) => (known.expected, format!("pods of {}", known.owners)),
        (_, 1..) => (budget.expected_pods, NONE_WATCHED.to_owned()),
        (_, _) => return None,
    };
    if budget.must_be_healthy(expected) == Some(0) {
        return None;
    }
    let detail = format!("{}; it protects {pods}", budget.demands(expected));
    Some(Recognised { subject: budget.title(), detail, source: String::new() })
}

/// A budget with what is known of its pods.
struct Judged<'a> {
    budget: &'a Budget,
    known: Known,
}

/// What is known of the pods that a budget protects, by their owners.
struct Known {
    /// How many of the pods that Deployments and StatefulSets ask for are selected.
    replicas: i32,
    /// How many its controller expects of them.
    expected: i32,
    /// How many pods the DaemonSets ask for.
    daemon_pods: i32,
    /// Every rollout is over.
    is_settled: bool,
    /// A pod, for people.
    whose: String,
    /// Whose pods they are, for people.
    owners: String,
}

fn against(budget: &Budget, known: &Known) -> Against {
    let unknown =
        |detail: String| Against::Unknown(Finding::new(Reason::PdbUnobserved, budget.title(), detail));
    let note = |reason, detail: String| Against::Note(Finding::new(reason, budget.title(), detail));
    let Some(never) = budget.never_allows(known.expected, known.replicas) else {
        return unknown(format!("its demand cannot be read: {:?}", budget.demand));
    };
    if never {
        // Pods of others may make up for it: then it allows something although nothing is in flux, as long as they last.
        let is_more = known.is_settled && budget.is_observed() && budget.expected_pods > known.expected;
        if budget.is_for_a_while(known.expected) {
            return Against::Blocks(budget.may_move(known.expected, &known.whose));
        }
        if !is_more || budget.disruptions_allowed <= 0 {
            return Against::Blocks(budget.never(known.expected, &known.whose));
        }
        let Budget { expected_pods, disruptions_allowed, .. } = budget;
        let detail = format!(
            "its status counts {expected_pods} pods, {} of them of owners that are watched; {disruptions_allowed} may \
             leave now, as long as the others last",
            known.replicas
        );
        return Against::Blocks(Finding::new(Reason::PdbOfOthers, budget.title(), detail));
    }
    let protects_only_daemons = known.replicas == 0 && known.daemon_pods > 0;
    match budget.uncounted() {
        Some(finding) if protects_only_daemons => return Against::Note(finding),
        Some(finding) => return Against::Blocks(finding),
        None => {}
    }
    if !budget.is_observed() {
        let Budget { generation, observed, .. } = budget;
        return unknown(format!("its status is about generation {observed}, it is at {generation}"));
    }
    let others = of_others(budget, known);
    if known.replicas == 0
        && others > 0
        && budget.never_allows(budget.expected_pods, budget.expected_pods) == Some(true)
    {
        return Against::Blocks(budget.may_move(budget.expected_pods, NOT_WATCHED));
    }
    let Budget { current_healthy, desired_healthy, .. } = budget;
    // Pods that are not running yet may leave all the same, and those that run may be Ready in a moment: nobody looks at
    // them here. Where neither is so the drain hangs.
    let is_short = current_healthy < desired_healthy && !budget.evicts_unhealthy;
    let whose = match (known.replicas, others) {
        (1.., _) if known.is_settled => Some(known.whose.as_str()),
        (..=0, 1..) => Some(NOT_WATCHED),
        (_, _) => None,
    };
    if let Some(whose) = whose.filter(|_| is_short && *current_healthy <= 0) {
        let detail = format!("no pod is Ready of {desired_healthy} that must be, so {whose} may never leave");
        return Against::Unknown(Finding::new(Reason::PdbBlocked, budget.title(), detail));
    }
    // What runs and is Ready waits here although enough of them are.
    if budget.disruptions_allowed <= 0 && known.replicas.max(others) > 0 {
        let detail = format!("{current_healthy} pods are Ready of {desired_healthy} that must be");
        return note(Reason::PdbWaits, detail);
    }
    Against::Nothing
}

/// How many pods its status counts that no known owner asks for. A number counts every pod, also those of DaemonSets;
/// percentages and `maxUnavailable` count replicas.
fn of_others(budget: &Budget, known: &Known) -> i32 {
    let daemon_pods = if budget.counts_every_pod() { known.daemon_pods } else { 0 };
    budget.expected_pods.saturating_sub(known.expected).saturating_sub(daemon_pods)
}
