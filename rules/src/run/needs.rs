//! What a turn must read beside the snapshot, so that nothing is read in vain.

use super::state::{Position, State, Work};
use super::step::{Stage, Step};
use crate::name::NodeName;

/// Which pods a turn needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needs {
    /// None.
    Nothing,
    /// Those on one node.
    PodsOn(NodeName),
    /// All of them.
    AllPods,
    /// All of them, and the budgets.
    AllPodsAndBudgets,
}

/// What the next turn must read.
#[must_use]
pub fn needs(state: &State) -> Needs {
    let Position::Active(it) = &state.position else { return Needs::Nothing };
    match (&it.step, &it.work) {
        (Step::Preflight, _) => Needs::AllPodsAndBudgets,
        (Step::Postflight, _) => Needs::AllPods,
        (Step::ControlPlane(_) | Step::Worker(_), Work::OneNode(work)) if work.stage == Stage::Drain => {
            Needs::PodsOn(work.before.name.clone())
        }
        (Step::ControlPlane(_) | Step::Worker(_) | Step::Snapshot | Step::Prepare, _) => Needs::Nothing,
    }
}
