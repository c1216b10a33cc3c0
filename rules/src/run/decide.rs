//! The one function that moves a run. A process that has just started enters it like one that has run for days.

use std::time::Duration;

use jiff::Timestamp;

use super::active::active;
use super::beside::{is_alone, is_full, waits_for_failed};
use super::clock::set_right;
use super::command::Command;
use super::ending::{ending, finish_node};
use super::gated::{exempt, put_back};
use super::in_hand::is_in_hand;
use super::may_begin::{Effect, may_begin, not_before};
use super::moves::{IDLE_SECONDS, STARTED, hold, mint, remember, remember_once};
use super::next::{Beginning, next_step};
use super::node_step::uncordon_order;
use super::observed::{Decision, Observed, Order, Turn};
use super::restore::restore;
use super::side_by_side::{can_return, each_running, one_makes_room};
use super::state::{Active, Halted, NodeWork, Position, Running, State, Waiting, Work};
use crate::api::{NodeBefore, SilenceRecord};
use crate::cluster::snapshot::Node;
use crate::gate::CheckOrder;
use crate::gate::Form;
use crate::gate::LockView;
use crate::reason::{Finding, Reason};
use crate::words::step::Step;

/// What comes next. The state is to be stored before the command is run; the outcome of the command is part of
/// the next observation.
#[must_use]
pub fn decide(state: &State, observed: &Observed<'_>, now: Timestamp) -> Decision {
    let state = State { silences: silences(state, observed), ..state.clone() };
    let mut state = set_right(state, observed, now);
    // One that people leave out is given back, as is one that has halted the run.
    let is_left = |failed: &Halted| failed.step.node().is_some_and(|node| observed.is_skipped(node));
    state.failed.retain(|failed| !is_wished(failed, observed) && !is_left(failed));
    let is_full = is_full(&state, observed.run.spec.workers.concurrency);
    let is_ending = observed.run.deleting;
    let is_halting = matches!(state.position, Position::Halted(_));
    let mut decision = each_running(state, observed, now, |state, it, observed, now| {
        let turn = if is_halting && !is_ending && can_return(&state, it) {
            let finding = Finding::new(Reason::RunHalting, it.step.to_string(), "");
            Some(put_back(state, it, finding, observed, now))
        } else if is_ending {
            finish_node(&state, it, observed, now)
        } else {
            Some(active(state, it.clone(), observed, now))
        };
        turn.map(|turn| paced(turn, observed, now))
    });
    one_makes_room(&mut decision, observed, now);
    let is_decided = !decision.orders.is_empty() || decision.pause < Duration::MAX;
    let goes_on = is_decided || observed.under_way.iter().any(Option::is_some);
    let is_for_steps = if is_ending { goes_on } else { is_full };
    if is_for_steps || observed.is_under_way(None) {
        if is_for_steps {
            // Nothing is looked at that would hold the run itself.
            decision.state.holds.clear();
            let is_lowered = decision.state.running.len() >= observed.concurrency();
            if is_lowered && matches!(decision.state.position, Position::Waiting(_)) {
                decision.state.position = Position::Open;
            }
        }
        return decision;
    }
    let turn = paced(chosen(decision.state, observed, now), observed, now);
    if turn.command.is_none() {
        decision.pause = decision.pause.min(turn.pause);
    }
    decision.orders.extend(turn.command.map(|command| Order { step: None, command }));
    Decision { state: turn.state, ..decision }
}

/// What the last live check has made of the silences; before there was one, what is stored.
fn silences(state: &State, observed: &Observed<'_>) -> Vec<SilenceRecord> {
    observed.known.silences.as_ref().unwrap_or(&state.silences).clone()
}

/// What was refused a moment ago is shown, and tried again and again, but not at once. Mutations under a check have
/// holds and deadlines of their own; these have none, because nothing but they can come next.
fn paced(turn: Turn, observed: &Observed<'_>, now: Timestamp) -> Turn {
    let pause = Duration::from_secs(observed.settings.eviction_pause_seconds);
    let failed = observed.known.failed.as_ref().filter(|failed| failed.age < pause);
    match (&turn.command, failed) {
        (Some(command), Some(failed)) if is_same(command, &failed.command) => {
            hold(turn.state, failed.findings.clone(), now)
        }
        _ => turn,
    }
}

/// Whether a command that needs no check is the one that failed.
fn is_same(command: &Command, failed: &Command) -> bool {
    match (command, failed) {
        (Command::Uncordon(this), Command::Uncordon(that)) => this.node == that.node,
        (
            Command::TakeLock | Command::ReleaseLock | Command::AddFinalizer | Command::RemoveFinalizer,
            that,
        ) => command == that,
        _ => false,
    }
}

fn chosen(state: State, observed: &Observed<'_>, now: Timestamp) -> Turn {
    if observed.run.deleting {
        return ending(state, observed, now);
    }
    match state.position.clone() {
        Position::Open => open(state, observed, now),
        Position::Waiting(it) => waiting(state, &it, observed, now),
        Position::Active(it) => active(state, *it, observed, now),
        Position::Halted(it) => halted(state, &it, observed, now),
        Position::Succeeded { .. } => match observed.lock {
            // A node that people left out after its prepare was never changed.
            LockView::Ours => {
                restore(&state, observed, now).unwrap_or_else(|| Turn::run(state, Command::ReleaseLock))
            }
            LockView::Free | LockView::Other { .. } | LockView::Unknown(_) => Turn::wait(state, IDLE_SECONDS),
        },
    }
}

fn open(mut state: State, observed: &Observed<'_>, now: Timestamp) -> Turn {
    // A run whose target cannot be is told so before it takes anything, the cluster lock included.
    if !observed.verdict.is_empty() {
        return hold(state, observed.verdict.to_vec(), now);
    }
    let nodes = match (observed.target(), observed.nodes(now)) {
        (Ok(_target), Ok(nodes)) => nodes,
        (Err(finding), _) | (_, Err(finding)) => return hold(state, vec![finding], now),
    };
    if !observed.run.has_finalizer {
        return Turn::run(state, Command::AddFinalizer);
    }
    if let Some(turn) = locked(&state, observed, now) {
        return turn;
    }
    let next = next_step(&state, observed, nodes, now);
    if next.is_none() && !state.running.is_empty() {
        return Turn::wait(state, IDLE_SECONDS);
    }
    let step = next.as_ref().unwrap_or(&Step::Postflight);
    let beginning = Beginning { step, state: &state, observed, nodes, now };
    let against = may_begin(&beginning, Effect::Withdraws);
    if is_one_too_many(&state, observed) || waits_for_failed(&state, &against, now) {
        return look_at_failed(state);
    }
    if !against.is_empty() {
        return hold(state, against, now);
    }
    // A node that people no longer want touched, and that this run still holds, is given back first; one that a step is at
    // work on by that step, which knows whether its change has begun.
    let is_at_work = |node: &Node| state.active().any(|it| it.step.node() == Some(&node.name));
    let is_left =
        |node: &&Node| observed.is_skipped(&node.name) && observed.is_ours(node) && !is_at_work(node);
    if let Some(node) = nodes.iter().find(is_left) {
        let annotation = observed.our_annotation(node).unwrap_or_default();
        return Turn::run(state, Command::Uncordon(uncordon_order(node, annotation)));
    }
    if state.started_at.is_none() {
        state.started_at = Some(now);
        state.from = nodes.iter().filter_map(|node| node.kubelet_version.clone().ok()).min();
    }
    // What has failed is looked at before the run is called over.
    if matches!(next, None | Some(Step::Postflight)) && !state.failed.is_empty() {
        return look_at_failed(state);
    }
    match next {
        Some(step) => {
            // A step that was tried before goes on counting, and waiting: people pause and go on as often as they like.
            let tried = state.attempted(&step);
            let attempt = tried.map_or(1, |it| it.attempt.saturating_add(1));
            let not_before =
                now.max(state.soak_until.unwrap_or(now)).max(tried.map_or(now, |it| it.not_before));
            Turn::again(mint(state, step, attempt, not_before, Vec::new(), observed, now))
        }
        None => {
            state.position = Position::Succeeded { at: now };
            state.holds.clear();
            remember(&mut state, now, "", "succeeded");
            Turn::again(state)
        }
    }
}

/// Whether more workers have failed than the run may go on with: the number was lowered, or one of them alone is tried again.
fn is_one_too_many(state: &State, observed: &Observed<'_>) -> bool {
    let most = usize::try_from(observed.run.spec.workers.max_failures).unwrap_or(usize::MAX);
    !state.failed.is_empty() && state.failed.len() >= most
}

/// The run halts over the first of what has failed.
fn look_at_failed(mut state: State) -> Turn {
    let halted = state.failed.remove(0);
    Turn::again(State { position: Position::Halted(halted), holds: Vec::new(), ..state })
}

/// What is to be done about the cluster lock before anything else; nothing if it is ours.
fn locked(state: &State, observed: &Observed<'_>, now: Timestamp) -> Option<Turn> {
    match observed.lock {
        LockView::Ours => None,
        LockView::Free => Some(Turn::run(state.clone(), Command::TakeLock)),
        LockView::Other { holder } => {
            let finding = Finding::new(Reason::QueuedBehindRun, holder.clone(), "");
            Some(hold(state.clone(), vec![finding], now))
        }
        LockView::Unknown(why) => {
            Some(hold(state.clone(), vec![Finding::new(Reason::LockUnreadable, "", why.clone())], now))
        }
    }
}

fn waiting(state: State, it: &Waiting, observed: &Observed<'_>, now: Timestamp) -> Turn {
    let nodes = match (observed.target(), observed.nodes(now)) {
        (Ok(_target), Ok(nodes)) => nodes,
        (Err(finding), _) | (_, Err(finding)) => return hold(state, vec![finding], now),
    };
    // Whoever pauses, stops, or changes the nodes takes the token back: no alert asks for a step that may not be.
    let beginning = Beginning { step: &it.step, state: &state, observed, nodes, now };
    let is_wanted = next_step(&state, observed, nodes, now).as_ref() == Some(&it.step);
    if !is_wanted || is_one_too_many(&state, observed) || !may_begin(&beginning, Effect::Withdraws).is_empty()
    {
        return Turn::again(State { position: Position::Open, ..state });
    }
    if let Some(turn) = locked(&state, observed, now) {
        return turn;
    }
    if let Some(own) = observed.own_node.filter(|own| it.step.node() == Some(own)) {
        let detail = "its step waits until a replica on another node leads";
        let turn = hold(state, vec![Finding::new(Reason::NoHomeForActuator, own.0.clone(), detail)], now);
        return Turn::run(turn.state, Command::HandOver);
    }
    let mut findings = may_begin(&beginning, Effect::Holds);
    findings.extend(not_before(it, &state, observed, now));
    if !findings.is_empty() {
        return hold(state, findings, now);
    }
    ask_live_check(state, it, nodes, observed, now)
}

/// Asks the live check: under a permit once the last answer is `checkPauseSeconds` old, else once it is
/// `idleCheckPauseSeconds` old, so that people can read what a waiting step waits for.
fn ask_live_check(
    state: State,
    it: &Waiting,
    nodes: &[Node],
    observed: &Observed<'_>,
    now: Timestamp,
) -> Turn {
    let settings = observed.settings;
    let permit = observed.permit.filter(|permit| permit.covers(&it.token, now, settings));
    let check =
        observed.known.check.as_ref().filter(|c| c.result.token == it.token && c.result.form == Form::Start);
    let at_work = it.step.node().filter(|name| {
        nodes.iter().any(|node| node.name == **name && is_in_hand(observed.run, &it.token, node))
    });
    let ask = Command::Check(CheckOrder {
        step: it.step.clone(),
        token: it.token.clone(),
        form: Form::Start,
        minted_at: it.minted_at,
        exempt: exempt(at_work, &state, observed),
    });
    // What was found before stands, with its times, until there is another answer.
    let Some(check) = check else { return Turn::run(state, ask) };
    if permit.is_some() && check.result.allows(&it.token, Form::Start, check.age, settings) {
        return start(state, it, nodes, observed, now);
    }
    let pause =
        if permit.is_some() { settings.check_pause_seconds } else { settings.idle_check_pause_seconds };
    let mut findings = check.result.findings.clone();
    if permit.is_none() {
        let subject = if findings.is_empty() { "although the gate is clear" } else { "" };
        findings.push(Finding::new(Reason::WaitingForPermit, subject, ""));
        findings.extend(observed.alert_path.iter().cloned());
    }
    let turn = hold(state, findings, now);
    if check.age.as_secs() >= pause {
        return Turn::run(turn.state, ask);
    }
    Turn { pause: Duration::from_millis(500), ..turn }
}

fn start(mut state: State, it: &Waiting, nodes: &[Node], observed: &Observed<'_>, now: Timestamp) -> Turn {
    let work = match &it.step {
        Step::Preflight | Step::Snapshot | Step::Postflight => Work::Whole,
        Step::Prepare => Work::EveryNode { cursor: None },
        Step::ControlPlane(name) | Step::Worker(name) | Step::Node(name) => {
            let Some(node) = nodes.iter().find(|node| node.name == *name) else {
                return Turn::again(State { position: Position::Open, ..state });
            };
            Work::OneNode(NodeWork {
                stage: observed.driver.stages()[0],
                before: before(node, observed),
                drain_since: None,
                returning: None,
            })
        }
    };
    let active = Active {
        step: it.step.clone(),
        token: it.token.clone(),
        started_at: now,
        stage_since: now,
        work,
        intent: None,
        held_since: None,
    };
    state.running.push(Running { active, holds: Vec::new() });
    state.position = Position::Open;
    state.holds.clear();
    remember(&mut state, now, &it.step.to_string(), STARTED);
    if it.step == Step::Preflight || it.step.node().is_some() {
        // Whoever reads what was looked at reads what was not; the settings may be others by now.
        for line in observed.driver.describe() {
            remember_once(&mut state, now, &it.step.to_string(), &line);
        }
    }
    Turn::again(state)
}

fn before(node: &Node, observed: &Observed<'_>) -> NodeBefore {
    NodeBefore {
        name: node.name.clone(),
        uid: node.uid.clone(),
        machine_id: Some(node.machine_id.clone()).filter(|id| !id.is_empty()),
        kubelet_version: node.kubelet_version.as_ref().map_or_else(Clone::clone, ToString::to_string),
        unschedulable: observed.is_cordoned_by_others(node),
        alone: is_alone(&node.name, node.role, observed),
    }
}

/// Whether a person asks for another attempt of a step that has halted or failed.
fn is_wished(it: &Halted, observed: &Observed<'_>) -> bool {
    observed
        .run
        .spec
        .retry
        .iter()
        .any(|retry| retry.step == it.step.to_string() && retry.attempt == it.attempt)
}

fn halted(state: State, it: &Halted, observed: &Observed<'_>, now: Timestamp) -> Turn {
    if is_wished(it, observed) && state.running.is_empty() {
        return Turn::again(mint(state, it.step.clone(), it.attempt + 1, now, Vec::new(), observed, now));
    }
    Turn::wait(state, IDLE_SECONDS)
}
