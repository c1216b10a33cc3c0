//! Intent, check, act: the one way to a mutation, and the way back while it cannot have begun.

use std::time::Duration;

use jiff::Timestamp;

use super::command::{Checked, Command, ReadBack};
use super::in_hand::is_held_by;
use super::in_hand::is_in_hand;
use super::may_begin::may_continue;
use super::moves::{bounded, fail, holds, linger};
use super::observed::{Observed, Turn};
use super::state::{Action, Active, Intended, NodeWork, Position, State, Work};
use crate::driver;
use crate::driver::task::Progress;
use crate::gate::Form;
use crate::gate::{CheckOrder, Proof};
use crate::reason::{Finding, Reason};
use crate::words::name::NodeName;
use crate::words::step::Stage;

/// Intent, check, act: writes down what is about to be changed, asks the live check after that, and acts only on
/// an answer that is younger than both the intent and the last thing that was done.
pub(super) fn gated(
    mut state: State,
    it: &Active,
    action: Action,
    node: &NodeName,
    observed: &Observed<'_>,
    now: Timestamp,
    act: impl FnOnce(Proof) -> Result<Command, Finding>,
) -> Turn {
    // An intent from the future was written by a clock that has been set back since: no check could be after it.
    let is_it = |intent: &&Intended| intent.action == action && intent.node == *node && intent.at <= now;
    let is_written = it.intent.as_ref().filter(is_it);
    let Some(intent) = is_written else {
        let unsent = action == Action::Start;
        let intent = Some(Intended { action, node: node.clone(), at: now, unsent, created: None });
        state.position = Position::active(Active { intent, ..it.clone() });
        return Turn::again(state);
    };
    let against = may_continue(&state, it, observed, now);
    if !against.is_empty() {
        return held(state, it, against, observed, now);
    }
    let last_act = observed.known.act.as_ref().map(|acted| acted.age);
    let failure = failed_act(it, observed);
    if let Some((findings, age)) = failure
        && age < Duration::from_secs(observed.settings.eviction_pause_seconds)
    {
        return held(state, it, findings.to_vec(), observed, now);
    }
    let check = observed.known.check.as_ref().filter(|check| {
        check.result.token == it.token
            && check.result.form == Form::Continue
            && check.result.started_at >= intent.at
            && last_act.is_none_or(|age| check.age < age)
    });
    match check {
        Some(check) if check.result.allows(&it.token, Form::Continue, check.age, observed.settings) => {
            let proof = Proof { token: it.token.clone(), checked_at: check.result.started_at };
            let command = match act(proof) {
                Ok(command) => command,
                Err(finding) => return held(state, it, vec![finding], observed, now),
            };
            // What is tried again and again without success is held all the while, and keeps its age.
            let refused = failure.map_or(&[][..], |(findings, _)| findings);
            state.holds.retain(|(old, _)| {
                old.reason == Reason::PodTerminating || refused.iter().any(|new| new.about() == old.about())
            });
            let held_since = it.held_since.filter(|_| failure.is_some());
            // Written down anew for each change, so that the status is stored over the run as it was read a moment ago:
            // a pause or a deletion of the last second is seen. A start is waited for from here, also by who takes over.
            let intent = Some(Intended { at: now, unsent: false, ..intent.clone() });
            state.position = Position::active(Active { held_since, intent, ..it.clone() });
            Turn::run(state, command)
        }
        Some(check) => {
            let mut turn = held(state, it, what_it_found(check), observed, now);
            let is_due = check.age >= Duration::from_secs(observed.settings.check_pause_seconds);
            let goes_on = matches!(&turn.state.position, Position::Active(next) if next.intent == it.intent);
            if is_due && goes_on {
                turn.command = Some(continue_check(&turn.state, it, observed));
            }
            turn
        }
        None => {
            let check = continue_check(&state, it, observed);
            Turn::run(state, check)
        }
    }
}

/// What a check that does not allow found: its findings, or that it came too late to act on.
fn what_it_found(check: &Checked) -> Vec<Finding> {
    if !check.result.findings.is_empty() {
        return check.result.findings.clone();
    }
    let age = check.age.as_secs();
    vec![Finding::with_figures(Reason::CheckExpired, "", "the answers took {} s", &[&age])]
}

/// What went wrong with the last mutation of this step, and how long ago.
pub(super) fn failed_act<'a>(it: &Active, observed: &Observed<'a>) -> Option<(&'a [Finding], Duration)> {
    let acted = observed.known.act.as_ref().filter(|acted| !acted.findings.is_empty())?;
    let is_of_this_step = match &acted.command {
        Command::Cordon(order) => order.token == it.token,
        Command::Evict(order) => order.proof.token == it.token,
        Command::Create(order) => *order.token() == it.token,
        Command::Start(order) => *order.token() == it.token,
        Command::Uncordon(_)
        | Command::TakeLock
        | Command::ReleaseLock
        | Command::HandOver
        | Command::Check(_)
        | Command::Look(_)
        | Command::PutBack(_)
        | Command::Read(_)
        | Command::ReadVolumes(_)
        | Command::AddFinalizer
        | Command::RemoveFinalizer => false,
    };
    is_of_this_step.then_some((&acted.findings, acted.age))
}

/// A node that is in service yet must be well itself, however long ago it was when its step started.
fn continue_check(state: &State, it: &Active, observed: &Observed<'_>) -> Command {
    let at_work = it.step.node().filter(|name| match &it.work {
        Work::OneNode(work) if work.stage == Stage::Cordon => {
            let nodes = observed.snapshot.nodes.value.as_deref().unwrap_or_default();
            nodes.iter().any(|node| node.name == **name && is_in_hand(observed.run, &it.token, node))
        }
        Work::OneNode(_) | Work::EveryNode { .. } | Work::Whole => true,
    });
    Command::Check(CheckOrder {
        step: it.step.clone(),
        token: it.token.clone(),
        form: Form::Continue,
        minted_at: it.started_at,
        exempt: exempt(at_work, state, observed),
    })
}

/// Something stands in the way of a running step. A node that is cordoned for it is put back when that takes too
/// long, as long as its mutation cannot have begun.
pub(super) fn held(
    mut state: State,
    it: &Active,
    findings: Vec<Finding>,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Turn {
    let since = it.held_since.unwrap_or(now);
    state.holds = holds(&state.holds, findings, now);
    let held_seconds = u64::try_from(now.duration_since(since).as_secs()).unwrap_or(0);
    if held_seconds >= observed.settings.hold_seconds_max {
        let finding = held_too_long(&state, it);
        return put_back(state, it, finding, observed, now);
    }
    state.position = Position::active(Active { held_since: Some(since), ..it.clone() });
    Turn::wait(state, 1)
}

/// That a step came no further for too long, with what stood in its way.
pub(super) fn held_too_long(state: &State, it: &Active) -> Finding {
    let first = state.holds.first().map(|(finding, _)| finding.to_string()).unwrap_or_default();
    Finding::new(Reason::HoldDeadline, it.step.to_string(), first)
}

/// The nodes that need not be Ready for a step to go on: the one that is at work, those that other steps are at work on or
/// have failed on, those that the run holds out of service until their next attempt, and what people asked to leave.
pub(super) fn exempt(at_work: Option<&NodeName>, state: &State, observed: &Observed<'_>) -> Vec<NodeName> {
    let others = state.active().filter_map(|it| it.step.node()).cloned();
    let skipped = observed.run.spec.skip.iter().map(|name| NodeName(name.clone()));
    let failed = state.failed.iter().filter_map(|it| it.step.node()).cloned();
    let nodes = observed.snapshot.nodes.value.iter().flatten();
    let held = nodes.filter(|node| is_held_by(&observed.run.uid, node)).map(|node| node.name.clone());
    at_work.cloned().into_iter().chain(others).chain(failed).chain(held).chain(skipped).collect()
}

/// Puts a node back as it was, as long as its mutation cannot have begun; else goes on waiting for what the node
/// says. A step that holds no node has nothing to give back and goes on waiting, its progress kept. A node that an
/// attempt before this one has begun to change is not as it was: it stays cordoned, and only the attempt is over.
pub(super) fn put_back(
    mut state: State,
    it: &Active,
    finding: Finding,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Turn {
    let Work::OneNode(work) = &it.work else {
        return linger(state, vec![finding], now);
    };
    if work.stage > Stage::Mutate || !cannot_have_begun(it, observed, now) {
        return linger(state, vec![finding], now);
    }
    if state.begun_on(&work.before.name, &work.before.uid).is_some() {
        return fail(state, it, finding, observed, now);
    }
    state.position = Position::active(Active {
        work: Work::OneNode(NodeWork {
            stage: Stage::Uncordon,
            returning: Some(bounded(finding)),
            ..work.clone()
        }),
        stage_since: now,
        intent: None,
        held_since: None,
        ..it.clone()
    });
    Turn::again(state)
}

/// Why a step that has not begun to change its node goes no further.
pub(super) fn run_deleted() -> Finding {
    Finding::new(Reason::Paused, "metadata.deletionTimestamp", "the run was deleted")
}

/// Whether the mutation of a step cannot have begun and never will: nothing was sent, the node has refused
/// it, or the node had not seen it when it was asked, so long after it could have been sent that it refuses it now.
pub(super) fn cannot_have_begun(it: &Active, observed: &Observed<'_>, now: Timestamp) -> bool {
    let Some(intent) = it.sent() else { return true };
    let is_it = |read: &&ReadBack| read.order.is_about(it.task(), &intent.node, &it.token);
    let read = observed.known.read.as_ref().filter(is_it);
    let Some(read) = read else { return false };
    match &read.result {
        Ok(Progress::Refused(reason)) => observed.driver.never_begins(*reason),
        // What was created before it was sent, and is gone, may have begun.
        Ok(Progress::Unseen | Progress::Left) if intent.created.is_some() => false,
        Ok(Progress::Unseen | Progress::Left | Progress::Created { .. }) => {
            let patience = driver::patience(observed.settings);
            let is_after = |age: Duration| age >= patience.saturating_add(read.age);
            let sent = observed.known.act.as_ref();
            let sent = sent.filter(|acted| matches!(acted.command, Command::Start(_)));
            // Whoever sent it before us wrote that down first.
            is_after(Duration::try_from(now.duration_since(intent.at)).unwrap_or_default())
                && sent.is_none_or(|acted| is_after(acted.age))
        }
        Ok(Progress::Started { .. } | Progress::Ended { .. }) | Err(_) => false,
    }
}
