//! Which step comes next: derived from the nodes each time, never stored.

use jiff::Timestamp;

use super::observed::Observed;
use super::state::{Finished, State};
use crate::api::CordonedNodes;
use crate::cluster::snapshot::{Node, Role};
use crate::reason::{Finding, Reason};
use crate::words::name::NodeName;
use crate::words::step::Step;
use crate::words::version::Version;

/// A step that is to begin.
#[derive(Clone, Copy)]
pub(super) struct Beginning<'a> {
    pub step: &'a Step,
    pub state: &'a State,
    pub observed: &'a Observed<'a>,
    pub nodes: &'a [Node],
    pub target: &'a Version,
    pub now: Timestamp,
}

/// The step that comes next, or nothing if all is done.
pub(super) fn next_step(
    state: &State,
    observed: &Observed<'_>,
    nodes: &[Node],
    target: &Version,
    now: Timestamp,
) -> Option<Step> {
    let begun = observed.snapshot.control_plane_has_begun(target);
    // A snapshot that was heard of late is older than its step.
    let since = |it: &Finished| match (&it.step, &state.snapshot) {
        (Step::Snapshot, Some(snapshot)) => snapshot.taken_at,
        _ => it.finished_at,
    };
    let is_done =
        |step: &Step| state.finished(step).is_some_and(|it| begun || is_young(since(it), observed, now));
    if let Some(step) = [Step::Preflight, Step::Snapshot].into_iter().find(|step| !is_done(step)) {
        return Some(step);
    }
    if state.finished(&Step::Prepare).is_none() {
        return Some(Step::Prepare);
    }
    if let Some(step) = remaining(state, observed, nodes, target, now).into_iter().next() {
        return Some(step);
    }
    if !state.running.is_empty() {
        return None;
    }
    state.finished(&Step::Postflight).is_none().then_some(Step::Postflight)
}

/// Preflight and snapshot say what was true then: too long ago is done again, unless the control plane has begun
/// to change, after which neither can be. One from the future is as old as anything can be: the clock was set back.
fn is_young(since: Timestamp, observed: &Observed<'_>, now: Timestamp) -> bool {
    let age = now.duration_since(since).as_secs();
    match u64::try_from(age) {
        Ok(age) => age <= observed.settings.preflight_seconds_max,
        Err(_) => age.unsigned_abs() <= observed.settings.clock_skew_seconds_max,
    }
}

/// The node steps that remain and do not run, in order: control plane before workers, a node that this run holds cordoned
/// before others, the actuator's own node last, else by name. Where several may run, one that waits for its next attempt
/// keeps none of the others waiting.
pub(super) fn remaining(
    state: &State,
    observed: &Observed<'_>,
    nodes: &[Node],
    target: &Version,
    now: Timestamp,
) -> Vec<Step> {
    let mut left: Vec<&Node> = nodes
        .iter()
        .filter(|node| observed.takes(node))
        .filter(|node| !observed.is_at_target(node, target) || observed.is_ours(node))
        .filter(|node| state.active().all(|it| it.step.node() != Some(&node.name)))
        .filter(|node| state.failed.iter().all(|it| it.step.node() != Some(&node.name)))
        .collect();
    left.sort_by_key(|node| {
        let step = step_of(node.role, node.name.clone());
        let rests =
            observed.concurrency() > 1 && state.attempted(&step).is_some_and(|it| it.not_before > now);
        (node.role, rests, !observed.is_ours(node), observed.own_node == Some(&node.name), node.name.clone())
    });
    left.into_iter().map(|node| step_of(node.role, node.name.clone())).collect()
}

fn step_of(role: Role, name: NodeName) -> Step {
    match role {
        Role::ControlPlane => Step::ControlPlane(name),
        Role::Worker => Step::Worker(name),
    }
}

/// Whether `spec.stopAfter` keeps the next step from being minted; a text that is no step keeps every one.
pub(super) fn stopped(
    state: &State,
    observed: &Observed<'_>,
    nodes: &[Node],
    target: &Version,
) -> Option<Finding> {
    let text = observed.run.spec.stop_after.as_deref()?;
    let step: Step = match text.parse() {
        Ok(step) => step,
        Err(error) => return Some(Finding::new(Reason::StopAfter, "spec.stopAfter", format!("{error}"))),
    };
    let reached = match &step {
        Step::ControlPlane(name) | Step::Worker(name) => nodes
            .iter()
            .any(|node| node.name == *name && observed.is_at_target(node, target) && !observed.is_ours(node)),
        Step::Preflight | Step::Snapshot | Step::Prepare | Step::Postflight => {
            state.finished(&step).is_some()
        }
    };
    reached.then(|| Finding::new(Reason::StopAfter, "spec.stopAfter", text))
}

/// Nodes that somebody else has cordoned and that the step would have to touch.
pub(super) fn cordoned_by_others(
    step: &Step,
    observed: &Observed<'_>,
    nodes: &[Node],
    target: &Version,
) -> Vec<Finding> {
    if observed.run.spec.cordoned_nodes == CordonedNodes::Upgrade {
        return Vec::new();
    }
    let touches = |node: &Node| match step {
        Step::Preflight => !observed.is_skipped(&node.name) && !observed.is_at_target(node, target),
        Step::ControlPlane(name) | Step::Worker(name) => node.name == *name,
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
pub(super) fn behind_workers(
    step: &Step,
    observed: &Observed<'_>,
    nodes: &[Node],
    target: &Version,
) -> Vec<Finding> {
    let is_left = |node: &Node| observed.is_skipped(&node.name);
    let matters = |node: &Node| match step {
        Step::Preflight => is_left(node),
        Step::Worker(_) => true,
        Step::Snapshot | Step::Prepare | Step::ControlPlane(_) | Step::Postflight => false,
    };
    let goes =
        |node: &Node| node.role == Role::Worker && !is_left(node) && !observed.is_at_target(node, target);
    if !nodes.iter().any(goes) {
        return Vec::new();
    }
    nodes
        .iter()
        .filter(|node| node.role == Role::ControlPlane && matters(node))
        .filter(|node| observed.api_server_on(&node.name).is_none_or(|it| it.minor() < target.minor()))
        .map(|node| {
            let runs =
                observed.api_server_on(&node.name).map_or("no known version".to_owned(), ToString::to_string);
            let detail = format!("its API server runs {runs}, workers would get {target}");
            Finding::new(Reason::KubeletAhead, node.name.0.clone(), detail)
        })
        .collect()
}

/// The name of the step that follows the one at hand, empty if none does.
pub(super) fn after(
    state: &State,
    observed: &Observed<'_>,
    nodes: &[Node],
    target: &Version,
    now: Timestamp,
) -> String {
    let Some(current) = state.step() else {
        return next_step(state, observed, nodes, target, now)
            .map(|step| step.to_string())
            .unwrap_or_default();
    };
    let nodes_left = remaining(state, observed, nodes, target, now);
    let first = || {
        nodes_left.iter().find(|step| *step != current).map_or("postflight".to_owned(), ToString::to_string)
    };
    match current {
        Step::Preflight => "snapshot".to_owned(),
        Step::Snapshot => "prepare".to_owned(),
        Step::Prepare | Step::ControlPlane(_) | Step::Worker(_) => first(),
        Step::Postflight => String::new(),
    }
}
