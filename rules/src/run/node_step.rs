//! A node's step, in the stages that its driver says. Up to the mutation everything can be put back; after it the node is
//! finished, whatever the gate says.

use std::time::Duration;

use jiff::Timestamp;

use super::beside::room;
use super::command::{Command, CordonOrder, EvictOrder, UncordonOrder};
use super::gated::{cannot_have_begun, gated, held, held_too_long, put_back, run_deleted};
use super::look::{Look, look};
use super::moves::{NOT_BEGUN, fail, finish, halt, linger, put_off, remember, retry_later};
use super::next::{Beginning, next_step};
use super::observed::{Followed, Observed, Turn};
use super::state::{Action, Active, Intended, NodeWork, Position, State, Work};
use super::visit::{follow, was_sent};
use crate::api::{CordonedNodes, NodeBefore, UnpreparedNode};
use crate::cluster::snapshot::{Node, Role};
use crate::drain;
use crate::driver;
use crate::driver::task::Progress;
use crate::reason::{Finding, Reason};
use crate::words::step::{Stage, Step};

/// How much of what remains on a node is named when its drain is given up.
const NAMED_MAX: usize = 5;
/// How old a reading of a node's volumes may be.
const VOLUMES_SECONDS_MAX: u64 = 10;

pub(super) fn node_step(
    state: State,
    it: Active,
    work: NodeWork,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Turn {
    let node = match observed.node(&work.before.name, now) {
        Ok(node) => node,
        // Our own restart of the API server looks like this; the deadline of the stage still runs.
        Err(finding) => return linger(state, vec![finding], now),
    };
    let Some(node) = node else {
        let finding = Finding::new(Reason::NodeMissing, work.before.name.0.clone(), "");
        return if was_left_alone(&state, &it, &work, observed, now) {
            // An intent that was never carried out is none: whoever comes back by this name is as it was.
            retry_later(state, &Active { intent: None, ..it }, vec![finding], observed, now)
        } else {
            halt(state, &it, finding, now)
        };
    };
    if let Some(detail) = replaced(node, &work.before) {
        return halt(state, &it, Finding::new(Reason::NodeReplaced, node.name.0.clone(), detail), now);
    }
    if let Err(finding) = observed.target() {
        return halt(state, &it, finding, now);
    }
    // What prepares the node is followed to its end, whoever gives the node up meanwhile.
    if work.stage < Stage::Mutate
        && it.sent().is_none()
        && let Some(finding) = skipped(node, observed)
    {
        return put_back(state, &it, finding, observed, now);
    }
    if observed.own_node == Some(&node.name) && work.stage < Stage::Mutate {
        return hand_over(state, node, now);
    }
    match work.stage {
        Stage::Prepare => prepare_node(state, &it, &work, node, observed, now),
        Stage::Cordon => cordon(state, &it, &work, node, observed, now),
        Stage::Drain => drain_node(state, &it, &work, node, observed, now),
        Stage::Mutate => mutate(state, &it, &work, node, observed, now),
        Stage::Verify => verify(state, &it, &work, node, observed, now),
        Stage::Uncordon => uncordon(state, &it, &work, node, observed, now),
    }
}

/// What tells that this is not the node that the step began with. Its object outlives a machine that is set up anew under
/// the same name. A kubelet that does not say which machine it is on says nothing.
fn replaced(node: &Node, before: &NodeBefore) -> Option<String> {
    if node.uid != before.uid {
        return Some(format!("uid was {}, is {}", before.uid, node.uid));
    }
    let was = before.machine_id.as_ref().filter(|was| **was != node.machine_id)?;
    (!node.machine_id.is_empty()).then(|| format!("machine id was {was}, is {}", node.machine_id))
}

/// That people have asked meanwhile for the node to be left as it is, if so.
fn skipped(node: &Node, observed: &Observed<'_>) -> Option<Finding> {
    let finding = || Finding::new(Reason::NodeSkipped, node.name.0.clone(), "in the middle of its step");
    observed.is_skipped(&node.name).then(finding)
}

/// Whether it is certain that the change of a node that is gone was never begun: then nothing is left to be done for it.
fn was_left_alone(
    state: &State,
    it: &Active,
    work: &NodeWork,
    observed: &Observed<'_>,
    now: Timestamp,
) -> bool {
    let not_in_this_attempt = match work.stage {
        Stage::Prepare | Stage::Cordon | Stage::Drain => true,
        Stage::Mutate => cannot_have_begun(it, observed, now),
        Stage::Verify => false,
        // Only a node whose change cannot have begun is put back.
        Stage::Uncordon => work.returning.is_some(),
    };
    not_in_this_attempt && state.begun_on(&work.before.name, &work.before.uid).is_none()
}

/// The stage at hand is over: the one that the driver has after it.
fn advance(mut state: State, it: &Active, work: &NodeWork, observed: &Observed<'_>, now: Timestamp) -> Turn {
    let mut later = observed.driver.stages().iter().copied().filter(|stage| *stage > work.stage);
    let stage = later.next().expect("what is over with its last stage does not advance");
    state.holds.clear();
    let drain_since = if stage == Stage::Drain { Some(now) } else { work.drain_since };
    state.position = Position::active(Active {
        work: Work::OneNode(NodeWork { stage, drain_since, ..work.clone() }),
        stage_since: now,
        intent: None,
        held_since: None,
        ..it.clone()
    });
    Turn::again(state)
}

/// For how long the part of the step that is at work has been.
fn stage_seconds(it: &Active, now: Timestamp) -> u64 {
    u64::try_from(now.duration_since(it.stage_since).as_secs()).unwrap_or(0)
}

/// The node that we run on: nothing of it is touched until a replica elsewhere leads.
fn hand_over(state: State, node: &Node, now: Timestamp) -> Turn {
    let detail = "its step waits until a replica on another node leads";
    let turn = linger(state, vec![Finding::new(Reason::NoHomeForActuator, node.name.0.clone(), detail)], now);
    Turn::run(turn.state, Command::HandOver)
}

/// What keeps a node from being touched now, if anything: it is looked at first.
fn unready(
    state: &mut State,
    it: &Active,
    node: &Node,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Option<Turn> {
    let has_begun = state.begun_on(&node.name, &node.uid).is_some();
    if !has_begun && !observed.is_ours(node) && is_too_late(state, observed, now) {
        let event = format!("{NOT_BEGUN}preflight and snapshot are too old by now");
        remember(state, now, &it.step.to_string(), &event);
        state.holds.clear();
        state.position = Position::Open;
        return Some(Turn::again(state.clone()));
    }
    // Also of a cordon that is written down or carried out: whoever did that may have been away since, for hours.
    match look(state, it, node, observed, now) {
        Look::Good => None,
        Look::Ask(order) => Some(Turn::run(state.clone(), Command::Look(order))),
        Look::Found(findings) => Some(not_begun(state.clone(), it, node, findings, observed, now)),
    }
}

/// Lets the driver fetch what the change needs, while the node is in service.
fn prepare_node(
    mut state: State,
    it: &Active,
    work: &NodeWork,
    node: &Node,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Turn {
    if it.sent().is_none()
        && let Some(turn) = unready(&mut state, it, node, observed, now)
    {
        return turn;
    }
    let barred = observed.run.deleting.then(run_deleted);
    match follow(state.clone(), it, node, barred, observed, now) {
        Followed::Turn(turn) => *turn,
        Followed::Ended { code: 0, .. } => advance(state, it, work, observed, now),
        Followed::Ended { code, output, .. } => {
            fail(state, it, driver::failed(&node.name, code, &output), observed, now)
        }
        Followed::Vanished => fail(state, it, driver::vanished(&node.name), observed, now),
        Followed::NotBegun(finding) => fail(state, it, finding, observed, now),
    }
}

fn cordon(
    mut state: State,
    it: &Active,
    work: &NodeWork,
    node: &Node,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Turn {
    if let Some(turn) = unready(&mut state, it, node, observed, now) {
        return turn;
    }
    if node.unschedulable && observed.is_ours(node) {
        return advance(state, it, work, observed, now);
    }
    if work.before.unschedulable && node.unschedulable {
        return match observed.run.spec.cordoned_nodes {
            // Somebody else's cordon does what ours would, and stays theirs.
            CordonedNodes::Upgrade => advance(state, it, work, observed, now),
            CordonedNodes::Hold => give_up_cordon(state, it, node, observed, now),
        };
    }
    if node.unschedulable {
        return give_up_cordon(state, it, node, observed, now);
    }
    let full = no_room_any_more(&state, it, node, observed, now);
    if !full.is_empty() {
        return put_off(state, it, full, observed, now);
    }
    gated(state, it, Action::Cordon, &node.name, observed, now, |proof| {
        Ok(Command::Cordon(CordonOrder {
            node: node.name.clone(),
            uid: node.uid.clone(),
            resource_version: node.resource_version.clone(),
            token: it.token.clone(),
            proof,
        }))
    })
}

/// That the number was lowered between the permit and the cordon: nothing was begun, and the step waits again.
fn no_room_any_more(
    state: &State,
    it: &Active,
    node: &Node,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Vec<Finding> {
    let nodes = observed.snapshot.nodes.value.as_deref().unwrap_or_default();
    match &it.step {
        Step::Worker(name) if !state.running.is_empty() && !observed.is_ours(node) => {
            room(&Beginning { step: &it.step, state, observed, nodes, now }, name)
        }
        _ => Vec::new(),
    }
}

/// Whether what a run begins with is to be done again before its first node is touched: the step was left for long.
fn is_too_late(state: &State, observed: &Observed<'_>, now: Timestamp) -> bool {
    let nodes = observed.snapshot.nodes.value.as_deref().unwrap_or_default();
    matches!(next_step(state, observed, nodes, now), Some(Step::Preflight | Step::Snapshot))
}

/// What was found before the node is touched keeps its step from beginning. A node that an attempt before has left out of
/// service does not wait so for days: untouched it is given back, and a change that is half done and cannot be looked
/// at is a failed attempt. Only what a person has changed and must decide on waits.
fn not_begun(
    state: State,
    it: &Active,
    node: &Node,
    findings: Vec<Finding>,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Turn {
    let has_begun = state.begun_on(&node.name, &node.uid).is_some();
    let is_for_people = findings.iter().all(|finding| finding.reason == Reason::ConfigDrift);
    if let Some(finding) = findings.iter().find(|finding| finding.reason == Reason::StateWentBackwards) {
        return halt(state, it, finding.clone(), now);
    }
    let is_new_here = state.prepare_again.as_ref().is_none_or(|again| again.uid != node.uid);
    if !has_begun
        && !observed.is_ours(node)
        && is_new_here
        && findings.iter().all(|finding| finding.reason == Reason::NodeNotPrepared)
    {
        return prepare_again(state, it, node, now);
    }
    match findings.first() {
        Some(first) if has_begun && !is_for_people => fail(state, it, first.clone(), observed, now),
        Some(first) if !has_begun && observed.is_ours(node) => {
            put_back(state, it, first.clone(), observed, now)
        }
        _ => put_off(state, it, findings, observed, now),
    }
}

/// The step makes room for another prepare, of this node alone. Once only: a node that is not prepared after its own
/// prepare waits for people.
fn prepare_again(mut state: State, it: &Active, node: &Node, now: Timestamp) -> Turn {
    state.prepare_again = Some(UnpreparedNode { name: node.name.clone(), uid: node.uid.clone() });
    state.finished.retain(|finished| finished.step != Step::Prepare);
    let event = format!("{NOT_BEGUN}it is not prepared, which comes first");
    remember(&mut state, now, &it.step.to_string(), &event);
    state.holds.clear();
    state.position = Position::Open;
    Turn::again(state)
}

fn give_up_cordon(state: State, it: &Active, node: &Node, observed: &Observed<'_>, now: Timestamp) -> Turn {
    let finding = Finding::new(
        Reason::NodeCordonedByHuman,
        node.name.0.clone(),
        "it was cordoned while its step waited",
    );
    retry_later(state, it, vec![finding], observed, now)
}

fn drain_node(
    state: State,
    it: &Active,
    work: &NodeWork,
    node: &Node,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Turn {
    if !node.unschedulable {
        // New pods would come as fast as the old ones leave.
        let finding =
            Finding::new(Reason::NodeUncordonedByHuman, node.name.0.clone(), "in the middle of its drain");
        return put_back(state, it, finding, observed, now);
    }
    if stage_seconds(it, now) >= observed.settings.drain_seconds_max {
        let what = state.holds.iter().take(NAMED_MAX).map(|(finding, _)| finding.to_string());
        let what = what.collect::<Vec<_>>().join("; ");
        let finding = Finding::new(Reason::DrainDeadline, node.name.0.clone(), what);
        return put_back(state, it, finding, observed, now);
    }
    emptied(state, it, work, node, observed, now, |state| advance(state, it, work, observed, now))
}

/// Makes the pods leave that a drain makes leave, and goes on when they and their volumes are gone.
fn emptied(
    state: State,
    it: &Active,
    work: &NodeWork,
    node: &Node,
    observed: &Observed<'_>,
    now: Timestamp,
    go_on: impl FnOnce(State) -> Turn,
) -> Turn {
    let pods = observed.pods.map(|pods| pods.fresh(now, observed.settings.check_seconds_max));
    let pods = match pods {
        Some(Ok(pods)) => pods,
        Some(Err(error)) => {
            return linger(state, vec![error.finding(Reason::ApiUnreachable, "pods")], now);
        }
        None => return linger(state, vec![Finding::new(Reason::ApiUnreachable, "pods", "not read")], now),
    };
    let after = observed.known.act.as_ref().and_then(|acted| match &acted.command {
        Command::Evict(order) if order.node == node.name => order.pods.last(),
        _ => None,
    });
    // Those of other nodes that are drained at the same time are theirs.
    let pods: Vec<_> = pods.iter().filter(|pod| pod.node.as_ref() == Some(&node.name)).cloned().collect();
    let since = work.drain_since.unwrap_or(it.started_at);
    let plan = drain::plan(&pods, observed.run.spec.drain, after, since);
    if !plan.blocked.is_empty() {
        return held(state, it, plan.blocked, observed, now);
    }
    if plan.is_done() {
        return detached(state, it, node, Placed { pods: &pods, since }, observed, now, go_on);
    }
    if plan.evict.is_empty() {
        return linger(state, plan.waiting, now);
    }
    if let Some(acted) = &observed.known.act
        && matches!(acted.command, Command::Evict(_))
        && !acted.findings.is_empty()
        && acted.age < Duration::from_secs(observed.settings.eviction_pause_seconds)
    {
        let findings = acted.findings.iter().cloned().chain(plan.waiting).collect();
        return linger(state, findings, now);
    }
    let uids = plan.evict.iter().map(|pod| pod.uid.clone()).collect();
    gated(state, it, Action::Evict(uids), &node.name, observed, now, |proof| {
        Ok(Command::Evict(EvictOrder { node: node.name.clone(), pods: plan.evict, proof }))
    })
}

/// What is on a node whose drain began then.
struct Placed<'a> {
    pods: &'a [drain::Pod],
    since: Timestamp,
}

/// Waits until the volumes of the pods that have left are detached: a change that restarts the kubelet, or fails, would
/// keep them here while the pods wait for them elsewhere. The deadline of the stage goes on.
fn detached(
    state: State,
    it: &Active,
    node: &Node,
    placed: Placed<'_>,
    observed: &Observed<'_>,
    now: Timestamp,
    go_on: impl FnOnce(State) -> Turn,
) -> Turn {
    // One from an attempt before, or from before the last eviction, says nothing of now. Nor does an old one: while a gate
    // holds the change, pods come and go by themselves.
    let in_stage = Duration::try_from(now.duration_since(it.stage_since)).unwrap_or_default();
    let age_max = in_stage.min(Duration::from_secs(VOLUMES_SECONDS_MAX));
    let acted = observed.known.act.as_ref().map(|acted| acted.age);
    let read = observed.known.volumes.as_ref().filter(|read| {
        read.node == node.name && read.age <= age_max && acted.is_none_or(|age| read.age < age)
    });
    let Some(read) = read else { return Turn::run(state, Command::ReadVolumes(node.name.clone())) };
    let findings = match &read.result {
        Ok(volumes) => drain::still_attached(volumes, placed.pods, placed.since),
        Err(finding) => vec![finding.clone()],
    };
    if findings.is_empty() {
        return go_on(state);
    }
    let turn = linger(state, findings, now);
    if read.age >= driver::poll_pause(observed.settings) {
        return Turn::run(turn.state, Command::ReadVolumes(node.name.clone()));
    }
    turn
}

fn mutate(
    state: State,
    it: &Active,
    work: &NodeWork,
    node: &Node,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Turn {
    let failed = |state: State, finding: Finding| {
        // What is observed is the truth: what failed after its work was done has done its work.
        if observed.is_at_target(node) {
            advance(state, it, work, observed, now)
        } else {
            fail(state, it, finding, observed, now)
        }
    };
    if is_lost(it, observed, now) {
        let intent = it.intent.clone().map(|intent| Intended { unsent: true, ..intent });
        let state = State { position: Position::active(Active { intent, ..it.clone() }), ..state };
        return Turn::again(state);
    }
    let barred = barred(&state, it, node, observed, now);
    let may_have_come = barred.is_none() && it.sent().is_none();
    let go_on = |state: State| match follow(state.clone(), it, node, barred, observed, now) {
        Followed::Turn(turn) => *turn,
        Followed::Ended { code: 0, .. } => advance(state, it, work, observed, now),
        Followed::Ended { code, output, .. } => failed(state, driver::failed(&node.name, code, &output)),
        Followed::Vanished => failed(state, driver::vanished(&node.name)),
        Followed::NotBegun(_) if observed.is_at_target(node) => advance(state, it, work, observed, now),
        // Nothing of the node was changed: it need not stay out of service until the next attempt may begin.
        Followed::NotBegun(finding) => put_back(state, it, finding, observed, now),
    };
    // Pods come to a cordoned node too: some put up with it, and somebody may have uncordoned it for a while.
    if may_have_come { emptied(state, it, work, node, observed, now, go_on) } else { go_on(state) }
}

/// Whether whoever led before us wrote down that the change was sent, and it is certain that the node never gets it: then it
/// was not sent, and what came to the node since must leave before it is.
fn is_lost(it: &Active, observed: &Observed<'_>, now: Timestamp) -> bool {
    let Some(sent) = it.sent() else { return false };
    let is_unseen = observed.known.read.as_ref().is_some_and(|read| {
        read.order.is_about(it.task(), &sent.node, &it.token)
            && matches!(read.result, Ok(Progress::Unseen | Progress::Created { .. }))
    });
    is_unseen && !was_sent(it, observed) && cannot_have_begun(it, observed, now)
}

/// Why the change of a node is not to be sent any more. A gate may have held it for long: the run or the node was given up, or
/// pods have come to a node that somebody uncordoned. Nobody may have led for hours: what was looked at is that old.
fn barred(
    state: &State,
    it: &Active,
    node: &Node,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Option<Finding> {
    let uncordoned =
        || Finding::new(Reason::NodeUncordonedByHuman, node.name.0.clone(), "before its mutation");
    let deleted = observed.run.deleting.then(run_deleted);
    let is_late = stage_seconds(it, now) >= observed.settings.hold_seconds_max;
    deleted
        .or_else(|| skipped(node, observed))
        .or_else(|| (!node.unschedulable).then(uncordoned))
        .or_else(|| is_late.then(|| held_too_long(state, it)))
}

fn verify(
    state: State,
    it: &Active,
    work: &NodeWork,
    node: &Node,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Turn {
    let findings = not_verified(node, observed, now);
    if findings.is_empty() {
        return advance(state, it, work, observed, now);
    }
    if stage_seconds(it, now) >= observed.settings.verify_seconds_max {
        let what = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        return halt(state, it, Finding::new(Reason::VerifyDeadline, node.name.0.clone(), what), now);
    }
    linger(state, findings, now)
}

/// What keeps a node from being called upgraded and well.
pub(super) fn not_verified(node: &Node, observed: &Observed<'_>, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    let name = || node.name.0.clone();
    if !observed.is_at_target(node) {
        let runs = node.kubelet_version.as_ref().map_or_else(Clone::clone, ToString::to_string);
        let target = observed.target().unwrap_or_default();
        findings.push(Finding::new(
            Reason::VersionUnexpected,
            name(),
            format!("kubelet {runs}, not all of it at {target}"),
        ));
    }
    if !node.ready {
        findings.push(Finding::new(Reason::NodeNotReady, name(), ""));
    }
    let lease_age = node.lease_renewed_at.map(|at| now.duration_since(at).as_secs());
    let lease_age_max = i64::try_from(observed.settings.lease_age_seconds_max).unwrap_or(i64::MAX);
    if lease_age.is_none_or(|age| age >= lease_age_max) {
        findings.push(Finding::new(Reason::NodeLeaseStale, name(), ""));
    }
    if node.role == Role::ControlPlane {
        findings.extend(observed.etcd_findings(now));
        findings.extend(observed.unready_static_pods(&node.name));
        match observed.snapshot.api_servers.fresh(now, observed.settings.check_seconds_max) {
            Ok(servers) => findings.extend(
                servers
                    .iter()
                    .filter(|server| !server.ready)
                    .map(|server| Finding::new(Reason::ControlPlaneNotReady, server.name.clone(), "")),
            ),
            Err(error) => findings.push(error.finding(Reason::ControlPlaneNotReady, "")),
        }
    }
    findings
}

fn uncordon(
    state: State,
    it: &Active,
    work: &NodeWork,
    node: &Node,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Turn {
    if let Some(annotation) = observed.our_annotation(node) {
        return give_back(state, it, node, annotation, now);
    }
    match &work.returning {
        // It made room for others, and nothing has gone wrong with it.
        Some(finding) if [Reason::DrainsBlockEachOther, Reason::RunHalting].contains(&finding.reason) => {
            put_off(state, it, vec![finding.clone()], observed, now)
        }
        Some(finding) => fail(state, it, finding.clone(), observed, now),
        None => finish(state, it, observed, now),
    }
}

/// Restoring is written down like every change, and never gated.
fn give_back(mut state: State, it: &Active, node: &Node, annotation: String, now: Timestamp) -> Turn {
    let is_written = it.intent.as_ref().is_some_and(|i| i.action == Action::Uncordon && i.node == node.name);
    if !is_written {
        let intent = Some(Intended {
            action: Action::Uncordon,
            node: node.name.clone(),
            at: now,
            unsent: false,
            created: None,
        });
        state.position = Position::active(Active { intent, ..it.clone() });
        return Turn::again(state);
    }
    Turn::run(state, Command::Uncordon(uncordon_order(node, annotation)))
}

/// The order that gives a node back.
pub(super) fn uncordon_order(node: &Node, annotation: String) -> UncordonOrder {
    UncordonOrder {
        node: node.name.clone(),
        uid: node.uid.clone(),
        resource_version: node.resource_version.clone(),
        annotation,
    }
}
