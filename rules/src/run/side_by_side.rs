//! Steps that run side by side. Each is decided as if it were the only one: it sees the run with itself at hand, and
//! what it makes of that is put together again before the next one is decided.

use std::time::Duration;

use jiff::Timestamp;

use super::gated::put_back;
use super::moves::rest;
use super::observed::{Decision, Observed, Order, Turn};
use super::state::{Active, Halted, Position, Running, State, Work};
use crate::api::WorkersPolicy;
use crate::drain::is_of_budgets;
use crate::reason::{Finding, Reason};
use crate::words::step::{Stage, Step};

impl State {
    /// The run as one of its running steps sees it. The step is taken out of [`State::running`].
    fn seen_by(self, it: Running) -> Self {
        Self { position: Position::active(it.active), holds: it.holds, ..self }
    }
}

/// Decides every step that runs and that no command is under way for, oldest first. `decide` may leave a step as it is.
pub(super) fn each_running(
    mut state: State,
    observed: &Observed<'_>,
    now: Timestamp,
    decide: impl Fn(State, &Active, &Observed<'_>, Timestamp) -> Option<Turn>,
) -> Decision {
    let mut orders = Vec::new();
    let mut pause = Duration::MAX;
    let tokens: Vec<_> = state.active().map(|active| active.token.clone()).collect();
    for token in tokens.iter().filter(|token| !observed.is_under_way(Some(token))) {
        let Some(index) = state.active().position(|active| active.token == *token) else { continue };
        let it = state.running.remove(index);
        let (position, holds) = (state.position.clone(), state.holds.clone());
        let seen = state.clone().seen_by(it.clone());
        let observed = observed.of_step(token);
        let Some(turn) = decide(seen, &it.active, &observed, now) else {
            state.running.insert(index, it);
            continue;
        };
        // The end of a command is what is waited for then.
        if turn.command.is_none() {
            pause = pause.min(turn.pause);
        }
        orders.extend(turn.command.map(|command| Order { step: Some(token.clone()), command }));
        state = together(turn.state, index, position, holds, &observed.run.spec.workers, now);
    }
    Decision { state, orders, pause }
}

/// What a step has made of the run, with what was at hand beside it.
fn together(
    mut state: State,
    index: usize,
    position: Position,
    holds: Holds,
    workers: &WorkersPolicy,
    now: Timestamp,
) -> State {
    let (made_of_it, its_holds) =
        (std::mem::replace(&mut state.position, position), std::mem::replace(&mut state.holds, holds));
    match made_of_it {
        Position::Active(active) => {
            state.running.insert(index, Running { active: *active, holds: its_holds })
        }
        // It is over.
        Position::Open => {}
        // At most one step waits: this one is chosen again later, with the attempts that it has had.
        Position::Waiting(it)
            if !matches!(state.position, Position::Open)
                || matches!(it.step, Step::Worker(_)) && workers.concurrency > 1 && it.not_before > now =>
        {
            rest(&mut state, &it);
        }
        // The first that halts is what people look at first, and nothing begins any more.
        Position::Halted(it)
            if matches!(state.position, Position::Halted(_)) || is_bearable(&state, &it, workers) =>
        {
            state.failed.push(it);
        }
        it @ (Position::Waiting(_) | Position::Halted(_) | Position::Succeeded { .. }) => {
            state.position = it;
            state.holds = its_holds;
        }
    }
    state
}

/// Whether the run goes on although this step has failed: it is a worker's, not one too many, and nothing is wrong with the
/// run itself.
fn is_bearable(state: &State, it: &Halted, workers: &WorkersPolicy) -> bool {
    let failures = state.failed.len() + 1;
    let is_of_run = matches!(
        it.finding.reason,
        Reason::LockLost | Reason::StateWentBackwards | Reason::StatusMalformed | Reason::StatusNewer
    );
    !is_of_run
        && matches!(it.step, Step::Worker(_))
        && u32::try_from(failures).is_ok_and(|it| it < workers.max_failures)
}

/// Whether a step can be put back as if it had not begun: nothing was sent to its node, in no attempt.
pub(super) fn can_return(state: &State, it: &Active) -> bool {
    let Work::OneNode(work) = &it.work else { return false };
    let is_before = work.stage < Stage::Mutate || work.stage == Stage::Mutate && it.sent().is_none();
    is_before && state.begun_on(&work.before.name, &work.before.uid).is_none()
}

/// Of two drains that budgets hold up at the same time, each may wait for the pods of the other: the younger one makes room.
pub(super) fn one_makes_room(decision: &mut Decision, observed: &Observed<'_>, now: Timestamp) {
    let is_blocked = |it: &Running| {
        let drains = matches!(&it.active.work, Work::OneNode(work) if work.stage == Stage::Drain);
        drains && it.holds.iter().any(|(finding, _)| is_of_budgets(finding))
    };
    let state = &decision.state;
    let blocked: Vec<usize> =
        (0..state.running.len()).filter(|&index| is_blocked(&state.running[index])).collect();
    if blocked.len() < 2 {
        return;
    }
    // One whose change has begun in an attempt before cannot return; then the one before it does.
    let returns = |index: &&usize| can_return(state, &state.running[**index].active);
    let Some(&younger) = blocked.iter().rev().find(returns) else { return };
    let it = state.running[younger].clone();
    if observed.is_under_way(Some(&it.active.token)) {
        return;
    }
    decision.orders.retain(|order| order.step.as_ref() != Some(&it.active.token));
    let mut state = decision.state.clone();
    state.running.remove(younger);
    let (position, holds) = (state.position.clone(), state.holds.clone());
    let finding = Finding::new(Reason::DrainsBlockEachOther, it.active.step.to_string(), "");
    let turn = put_back(state.seen_by(it.clone()), &it.active, finding, observed, now);
    decision.state = together(turn.state, younger, position, holds, &observed.run.spec.workers, now);
    decision.pause = Duration::ZERO;
}

type Holds = Vec<(Finding, Timestamp)>;
