//! What a turn needs: whether it is needed at all, what it must read, and which token a webhook may call for.

use std::collections::BTreeSet;

use super::beside::asks_for_pods;
use super::state::{Active, Position, State, Work};
use crate::api::UpgradeRun;
use crate::gate::LockView;
use crate::gate::Pending;
use crate::words::name::NodeName;
use crate::words::step::{Stage, Step};

/// Which pods the next turns need; each holds what those before it do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needs {
    /// None.
    Nothing,
    /// Those on these nodes.
    PodsOn(BTreeSet<NodeName>),
    /// All of them.
    AllPods,
    /// All of them, the budgets, and where pods may go.
    AllPodsBudgetsAndPlaces,
}

/// What the next turns must read.
#[must_use]
pub fn needs(state: &State, run: &UpgradeRun) -> Needs {
    if asks_for_pods(state, run.spec.workers.concurrency) {
        return Needs::AllPodsBudgetsAndPlaces;
    }
    state.active().map(needs_of).fold(Needs::Nothing, |all, it| match (all, it) {
        (Needs::AllPodsBudgetsAndPlaces, _) | (_, Needs::AllPodsBudgetsAndPlaces) => {
            Needs::AllPodsBudgetsAndPlaces
        }
        (Needs::AllPods, _) | (_, Needs::AllPods) => Needs::AllPods,
        (Needs::PodsOn(some), Needs::PodsOn(others)) => Needs::PodsOn(&some | &others),
        (some @ Needs::PodsOn(_), Needs::Nothing) | (Needs::Nothing, some) => some,
    })
}

fn needs_of(it: &Active) -> Needs {
    match (&it.step, &it.work) {
        (Step::Preflight, _) => Needs::AllPodsBudgetsAndPlaces,
        (Step::Postflight, _) => Needs::AllPods,
        (Step::ControlPlane(_) | Step::Worker(_) | Step::Node(_), Work::OneNode(work))
            if work.stage == Stage::Drain || work.stage == Stage::Mutate && it.sent().is_none() =>
        {
            Needs::PodsOn(BTreeSet::from([work.before.name.clone()]))
        }
        (Step::ControlPlane(_) | Step::Worker(_) | Step::Node(_) | Step::Snapshot | Step::Prepare, _) => {
            Needs::Nothing
        }
    }
}

/// Whether nothing is left to do for a run: it has succeeded, everybody was told, it is not to be deleted, and does not
/// hold the cluster.
#[must_use]
pub fn is_done(state: &State, is_deleting: bool, lock: &LockView) -> bool {
    let is_over = matches!(state.position, Position::Succeeded { .. }) && state.unsent.is_empty();
    is_over && !is_deleting && *lock != LockView::Ours
}

/// The token that a webhook may call for, if one waits. Only that of the run that holds the cluster: a lock that could
/// not be read is nobody's.
#[must_use]
pub fn pending_for(state: &State, lock: &LockView) -> Option<Pending> {
    match &state.position {
        Position::Waiting(it) if *lock == LockView::Ours => {
            Some(Pending { token: it.token.clone(), minted_at: it.minted_at })
        }
        Position::Waiting(_)
        | Position::Open
        | Position::Active(_)
        | Position::Halted(_)
        | Position::Succeeded { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Milestone, Unsent, Waiting};
    use jiff::Timestamp;

    const OTHERS: fn() -> [LockView; 3] = || {
        [LockView::Free, LockView::Other { holder: "a/b".to_owned() }, LockView::Unknown("500".to_owned())]
    };

    fn at(position: Position) -> State {
        State { position, ..State::new() }
    }

    #[test]
    fn a_run_is_done_when_it_has_succeeded_and_holds_nothing() {
        let over = at(Position::Succeeded { at: Timestamp::UNIX_EPOCH });
        for lock in OTHERS() {
            assert!(is_done(&over, false, &lock), "{lock:?}");
            assert!(!is_done(&over, true, &lock), "its finalizer is still to be taken off");
            assert!(!is_done(&at(Position::Open), false, &lock), "{lock:?}");
        }
        assert!(!is_done(&over, false, &LockView::Ours), "the lock is still to be given back");
        let told = Unsent { sequence: 7, at: Timestamp::UNIX_EPOCH, milestone: Milestone::Finished };
        assert!(!is_done(&State { unsent: vec![told], ..over }, false, &LockView::Free), "nobody was told");
    }

    #[test]
    fn only_a_step_that_waits_and_whose_run_holds_the_cluster_is_rung_for() {
        let token: crate::words::name::Token = "run.1.1.00".parse().unwrap();
        let waiting = at(Position::Waiting(Waiting {
            step: Step::Preflight,
            token: token.clone(),
            minted_at: Timestamp::UNIX_EPOCH,
            not_before: Timestamp::UNIX_EPOCH,
            because: Vec::new(),
        }));
        assert_eq!(pending_for(&waiting, &LockView::Ours).map(|pending| pending.token), Some(token));
        for lock in OTHERS() {
            assert_eq!(pending_for(&waiting, &lock), None, "{lock:?}");
        }
        for position in [Position::Open, Position::Succeeded { at: Timestamp::UNIX_EPOCH }] {
            assert_eq!(pending_for(&at(position), &LockView::Ours), None);
        }
    }
}
