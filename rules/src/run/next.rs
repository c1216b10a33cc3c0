//! Which step comes next: derived from the nodes each time, never stored.

use jiff::Timestamp;

use super::observed::Observed;
use super::state::{Finished, State};
use crate::api::CordonedNodes;
use crate::cluster::snapshot::{Node, Role};
use crate::reason::{Finding, Reason};
use crate::words::name::NodeName;
use crate::words::step::Step;

/// A step that is to begin.
#[derive(Clone, Copy)]
pub(super) struct Beginning<'a> {
    pub step: &'a Step,
    pub state: &'a State,
    pub observed: &'a Observed<'a>,
    pub nodes: &'a [Node],
    pub now: Timestamp,
}

/// The step that comes next, or nothing if all is done.
pub(super) fn next_step(
    state: &State,
    observed: &Observed<'_>,
    nodes: &[Node],
    now: Timestamp,
) -> Option<Step> {
    let begun = has_begun(state, observed);
    // A snapshot that was heard of late is older than its step.
    let since = |it: &Finished| match (&it.step, &state.snapshot) {
        (Step::Snapshot, Some(snapshot)) => snapshot.taken_at,
        _ => it.finished_at,
    };
    let is_left = |step: &Step| match step {
        Step::Preflight | Step::Snapshot => {
            !state.finished(step).is_some_and(|it| begun || is_young(since(it), observed, now))
        }
        Step::Prepare | Step::Postflight => state.finished(step).is_none(),
        Step::ControlPlane(_) | Step::Worker(_) | Step::Node(_) => true,
    };
    let left = remaining(state, observed, nodes, now);
    let next = observed.driver.steps(&left).into_iter().find(is_left)?;
    // Whatever is not about one node waits until no other step runs.
    (next.node().is_some() || state.running.is_empty()).then_some(next)
}

/// Whether the run has begun to change the cluster: then what it began with is not done again.
fn has_begun(state: &State, observed: &Observed<'_>) -> bool {
    let changed = state.nodes_done > 0 || state.attempted.iter().any(|it| it.begun);
    observed.driver.has_begun(observed.snapshot, changed)
}

/// Preflight and snapshot say what was true then: too long ago is done again, unless the cluster has begun
/// to change, after which neither can be. One from the future is as old as anything can be: the clock was set back.
fn is_young(since: Timestamp, observed: &Observed<'_>, now: Timestamp) -> bool {
    let age = now.duration_since(since).as_secs();
    match u64::try_from(age) {
        Ok(age) => age <= observed.settings.preflight_seconds_max,
        Err(_) => age.unsigned_abs() <= observed.settings.clock_skew_seconds_max,
    }
}

/// The nodes whose steps remain and do not run, in order: control plane before workers, a node that this run holds cordoned
/// before others, the actuator's own node last, workers by topology domain, else by name. Where several may run, one that waits for its next attempt
/// keeps none of the others waiting.
fn remaining<'n>(state: &State, observed: &Observed<'_>, nodes: &'n [Node], now: Timestamp) -> Vec<&'n Node> {
    let mut left: Vec<&Node> = nodes
        .iter()
        .filter(|node| observed.takes(node))
        .filter(|node| !observed.is_at_target(node) || observed.is_ours(node))
        .filter(|node| state.active().all(|it| it.step.node() != Some(&node.name)))
        .filter(|node| state.failed.iter().all(|it| it.step.node() != Some(&node.name)))
        .collect();
    left.sort_by_key(|&node| {
        let is_of_it = |step: &Step| step.node() == Some(&node.name);
        let mut tried = state.attempted.iter().filter(|it| is_of_it(&it.step));
        let is_worker = node.role == Role::Worker;
        // A control-plane node that is half done is finished before the next one is begun.
        let rests = is_worker && observed.concurrency() > 1 && tried.any(|it| it.not_before > now);
        let key = observed.run.spec.workers.topology_key.as_deref().filter(|_| is_worker);
        let domain = key.and_then(|key| node.topology(key));
        let is_own = observed.own_node == Some(&node.name);
        (node.role, rests, !observed.is_ours(node), is_own, domain.is_none(), domain, &node.name)
    });
    left
}

/// Whether `spec.stopAfter` keeps the next step from being minted; a text that is no step of the run keeps every one.
///
/// Workers may go side by side: once that one's step has begun, no other worker does.
pub(super) fn stopped(it: &Beginning<'_>) -> Option<Finding> {
    let Beginning { state, observed, nodes, .. } = *it;
    let text = observed.run.spec.stop_after.as_deref()?;
    let found = |detail: String| Some(Finding::new(Reason::StopAfter, "spec.stopAfter", detail));
    let step: Step = match text.parse() {
        Ok(step) => step,
        Err(error) => return found(format!("{error}")),
    };
    if !observed.driver.has(&step) {
        return found(format!("this run has no step {text}"));
    }
    let is_over = |node: &Node| observed.is_at_target(node) && !observed.is_ours(node);
    let reached = match step.node() {
        Some(name) => {
            let is_over = nodes.iter().any(|node| node.name == *name && is_over(node));
            is_over || matches!(it.step, Step::Worker(other) if other != name) && is_tried(state, &step)
        }
        None => state.finished(&step).is_some(),
    };
    if reached { found(text.to_owned()) } else { None }
}

/// Whether a step runs, has failed, or was tried.
fn is_tried(state: &State, step: &Step) -> bool {
    state.active().any(|it| it.step == *step)
        || state.failed.iter().any(|it| it.step == *step)
        || state.attempted(step).is_some()
}

/// Nodes that somebody else has cordoned and that the step would have to touch.
pub(super) fn cordoned_by_others(step: &Step, observed: &Observed<'_>, nodes: &[Node]) -> Vec<Finding> {
    if observed.run.spec.cordoned_nodes == CordonedNodes::Upgrade {
        return Vec::new();
    }
    let touches = |node: &Node| match step {
        Step::Preflight => !observed.is_skipped(&node.name) && !observed.is_at_target(node),
        Step::ControlPlane(name) | Step::Worker(name) | Step::Node(name) => node.name == *name,
        Step::Snapshot | Step::Prepare | Step::Postflight => false,
    };
    nodes
        .iter()
        .filter(|node| touches(node) && observed.is_cordoned_by_others(node))
        .map(|node| {
            Finding::new(
                Reason::NodeCordonedByHuman,
                node.name.0.clone(),
                "unschedulable without our annotation",
            )
        })
        .collect()
}

/// API servers that are a minor behind what the workers would get. The order of the steps takes care of it unless
/// people leave a control-plane node out.
pub(super) fn behind_workers(step: &Step, observed: &Observed<'_>, nodes: &[Node]) -> Vec<Finding> {
    let Some(target) = observed.driver.version() else { return Vec::new() };
    let is_left = |node: &Node| observed.is_skipped(&node.name);
    let is_worker =
        |name: &NodeName| nodes.iter().any(|node| node.name == *name && node.role == Role::Worker);
    let matters = |node: &Node| match step {
        Step::Preflight => is_left(node),
        Step::Worker(_) => true,
        Step::Node(name) => is_worker(name),
        Step::Snapshot | Step::Prepare | Step::ControlPlane(_) | Step::Postflight => false,
    };
    let goes = |node: &Node| node.role == Role::Worker && !is_left(node) && !observed.is_at_target(node);
    if !nodes.iter().any(goes) {
        return Vec::new();
    }
    let server_on = |node| observed.driver.api_server_on(node, observed.snapshot);
    nodes
        .iter()
        .filter(|node| node.role == Role::ControlPlane && matters(node))
        .filter(|node| server_on(node).is_none_or(|it| it.minor() < target.minor()))
        .map(|node| {
            let runs = server_on(node).map_or("no known version".to_owned(), ToString::to_string);
            let detail = format!("its API server runs {runs}, workers would get {target}");
            Finding::new(Reason::KubeletAhead, node.name.0.clone(), detail)
        })
        .collect()
}

/// The name of the step that follows the one at hand, empty if none does.
pub(super) fn after(state: &State, observed: &Observed<'_>, nodes: &[Node], now: Timestamp) -> String {
    let next = match state.step() {
        None => next_step(state, observed, nodes, now),
        Some(Step::Postflight) => None,
        // Steps are in the order of a run, but for those of the nodes: which of these come is seen from the nodes.
        Some(current) => {
            let steps = observed.driver.steps(&remaining(state, observed, nodes, now));
            steps.into_iter().find(|step| step != current && (step.node().is_some() || step > current))
        }
    };
    next.map(|step| step.to_string()).unwrap_or_default()
}
