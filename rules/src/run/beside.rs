//! Which step may begin beside those that run: how many nodes may be out of service, and which go alone.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::next::Beginning;
use super::observed::Observed;
use super::state::{Active, Position, State, Work};
use crate::cluster::snapshot::{Role, Unusable};
use crate::drain::{self, Pod, PodPhase};
use crate::reason::{Finding, Reason};
use crate::words::name::NodeName;
use crate::words::step::{Stage, Step};

/// Whether nothing more may begin, whatever it is: then nothing needs to be read for it.
pub(super) fn is_full(state: &State, concurrency: u32) -> bool {
    state.running.len() >= usize::try_from(concurrency).unwrap_or(usize::MAX)
        || state.active().any(goes_alone)
        || matches!(state.position, Position::Halted(_)) && !state.running.is_empty()
}

/// Whether the pods of all nodes are to be read, to tell which step may begin.
pub(super) fn asks_for_pods(state: &State, concurrency: u32) -> bool {
    let is_of_worker = |step: &Step| matches!(step, Step::Worker(_));
    let may_come = match &state.position {
        Position::Waiting(it) => is_of_worker(&it.step),
        Position::Open => state.active().any(|it| is_of_worker(&it.step)),
        Position::Active(_) | Position::Halted(_) | Position::Succeeded { .. } => false,
    };
    concurrency > 1 && may_come && !is_full(state, concurrency)
}

/// A running step that nothing begins beside.
fn goes_alone(it: &Active) -> bool {
    match (&it.step, &it.work) {
        // Until its cordon is answered nobody knows how many nodes are out of service.
        (Step::Worker(_), Work::OneNode(work)) => work.before.alone || work.stage == Stage::Cordon,
        (
            Step::Preflight
            | Step::Snapshot
            | Step::Prepare
            | Step::ControlPlane(_)
            | Step::Worker(_)
            | Step::Node(_)
            | Step::Postflight,
            _,
        ) => true,
    }
}

/// What stands against beginning this step beside what runs.
pub(super) fn findings(it: &Beginning<'_>) -> Vec<Finding> {
    let State { running, failed, soaking, .. } = it.state;
    let is_any_out = !running.is_empty() || !failed.is_empty() || !soaking.is_empty();
    if it.observed.concurrency() == 1 && !is_any_out {
        return Vec::new();
    }
    let Step::Worker(name) = it.step else { return alone(it, &it.step.to_string()) };
    let mut findings = room(it, name);
    if findings.is_empty() && !it.state.running.is_empty() {
        findings = with_pods(it, name);
    }
    findings
}

/// That other nodes are out of service, for what is done while none is.
fn alone(it: &Beginning<'_>, subject: &str) -> Vec<Finding> {
    let others: Vec<&str> =
        it.state.active().filter_map(|it| it.step.node()).map(|name| name.0.as_str()).collect();
    if it.state.running.is_empty() {
        return Vec::new();
    }
    vec![Finding::new(Reason::GoesAlone, subject, format!("out of service: {}", others.join(", ")))]
}

/// Whether one more worker may be out of service. A node is out that a step of this run is at work on, or that carries
/// anybody's annotation of ours; one that soaks keeps its place.
pub(super) fn room(it: &Beginning<'_>, name: &NodeName) -> Vec<Finding> {
    let Beginning { state, observed, now, .. } = *it;
    // What is out already takes no place more: it is tried again although the number was lowered.
    if it.nodes.iter().any(|node| node.name == *name && observed.is_ours(node)) {
        return Vec::new();
    }
    let failed = state.failed.iter().filter_map(|it| it.step.node());
    let at_work = state.active().filter_map(|it| it.step.node()).chain(failed);
    let annotated =
        it.nodes.iter().filter(|node| node.cordoned_by.is_some() && !observed.is_skipped(&node.name));
    let out: BTreeSet<&NodeName> =
        at_work.chain(annotated.map(|node| &node.name)).filter(|out| *out != name).collect();
    let soak = std::time::Duration::from_secs(observed.settings.soak_seconds);
    let soaking = state.soaking.iter().filter(|until| **until > now).count();
    let soaking = soaking.max(
        observed.known.nodes_finished_ago.iter().filter(|ago| **ago < soak).count().min(state.soaking.len()),
    );
    // The first worker shows what the change does; until it has soaked no other goes.
    let most = if state.workers_done == 0 { 1 } else { observed.concurrency() };
    if out.len() + soaking < most {
        return elsewhere(it, name, &out).into_iter().collect();
    }
    let names = out.iter().map(|name| name.0.as_str()).collect::<Vec<_>>().join(", ");
    let detail =
        format!("{} out of service, {soaking} in their soak time, at most {most} at a time", out.len());
    vec![Finding::new(Reason::NodesInHand, names, detail)]
}

/// That a node is out of service in another topology domain than this one, or that nobody can tell.
fn elsewhere(it: &Beginning<'_>, name: &NodeName, out: &BTreeSet<&NodeName>) -> Option<Finding> {
    let key = it.observed.run.spec.workers.topology_key.as_deref()?;
    let node_of = |name: &NodeName| it.nodes.iter().find(|node| node.name == *name);
    let domain_of = |name: &NodeName| node_of(name).and_then(|node| node.topology(key));
    let domain = domain_of(name);
    let is_with_it = |other: &NodeName| domain.is_some() && domain_of(other) == domain;
    let others: Vec<&str> =
        out.iter().filter(|other| !is_with_it(other)).map(|other| other.0.as_str()).collect();
    let detail = match domain {
        Some(domain) => format!("{name} has {key}={domain}"),
        None => format!("{name} has no {key} and goes alone"),
    };
    let found = || Finding::new(Reason::OtherTopologyDomain, others.join(", "), detail);
    (!others.is_empty()).then(found)
}

/// Whether what has failed is all that the others wait for: it comes to an end only if a person looks.
pub(super) fn waits_for_failed(state: &State, against: &[Finding], now: Timestamp) -> bool {
    let is_room = |it: &Finding| matches!(it.reason, Reason::NodesInHand | Reason::OtherTopologyDomain);
    let rests = state.running.is_empty() && state.soaking.iter().all(|until| *until <= now);
    rests && !state.failed.is_empty() && !against.is_empty() && against.iter().all(is_room)
}

/// What the pods and their budgets say against it. What cannot be read is no room.
fn with_pods(it: &Beginning<'_>, name: &NodeName) -> Vec<Finding> {
    let Beginning { state, observed, now, .. } = *it;
    let unread = |what: &str, why: &Unusable| vec![why.finding(Reason::ApiUnreachable, what)];
    let age_max = observed.settings.check_seconds_max;
    let (Some(pods), Some(budgets)) = (observed.pods, observed.budgets) else {
        return vec![Finding::new(Reason::ApiUnreachable, "pods", "not read")];
    };
    let (pods, budgets) = match (pods.fresh(now, age_max), budgets.fresh(now, age_max)) {
        (Ok(pods), Ok(budgets)) => (pods, budgets),
        (Err(error), _) => return unread("pods", &error),
        (_, Err(error)) => return unread("budgets", &error),
    };
    let is_on = |pod: &Pod, node: &NodeName| pod.node.as_ref() == Some(node);
    if pods.iter().any(|pod| is_on(pod, name) && keeps_alone(pod)) {
        return alone(it, &name.0);
    }
    let in_hand: Vec<&NodeName> = state.active().filter_map(|it| it.step.node()).collect();
    let mut findings = Vec::new();
    for budget in budgets {
        let covered = |node: &NodeName| {
            pods.iter().any(|pod| is_on(pod, node) && pod.would_leave() && budget.protects(pod))
        };
        if covered(name)
            && let Some(other) = in_hand.iter().find(|other| covered(other))
        {
            findings.push(Finding::new(
                Reason::BudgetShared,
                budget.title(),
                format!("pods on {name} and on {other}"),
            ));
        }
    }
    // Which pod takes the place of which nobody says: any that came since the run began may be one, also of a node that is
    // back by now.
    let is_left_over = |pod: &&Pod| {
        pod.phase == PodPhase::Pending
            && pod.node.is_none()
            && pod.would_leave()
            && pod.created_at.is_none_or(|at| Some(at) >= state.started_at)
    };
    findings.extend(
        pods.iter().filter(is_left_over).map(|pod| Finding::new(Reason::EvictedPodPending, pod.title(), "")),
    );
    findings
}

/// A pod whose node goes alone: one of those that the gate is asked of, or of ours.
fn keeps_alone(pod: &Pod) -> bool {
    !pod.is_finished() && (drain::is_alert_path(pod) || drain::is_actuator(pod))
}

/// Whether the node of a step that begins goes alone. Where that cannot be told, it does.
pub(super) fn is_alone(node: &NodeName, role: Role, observed: &Observed<'_>) -> bool {
    match (role, observed.pods.and_then(|pods| pods.value.as_deref())) {
        (Role::ControlPlane, _) => false,
        (Role::Worker, None) => true,
        (Role::Worker, Some(pods)) => {
            pods.iter().any(|pod| pod.node.as_ref() == Some(node) && keeps_alone(pod))
        }
    }
}
