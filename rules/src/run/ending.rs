//! A run that was deleted: its node is finished or given back first, and only then does the run go.

use jiff::Timestamp;

use super::active::active;
use super::command::Command;
use super::gated::{cannot_have_begun, put_back};
use super::lock::LockView;
use super::moves::{IDLE_SECONDS, hold};
use super::node_step::uncordon_order;
use super::observed::{Observed, Turn};
use super::state::{Active, Position, State, Work};
use super::step::Stage;
use crate::reason::{Finding, Reason};

pub(super) fn ending(state: State, observed: &Observed<'_>, now: Timestamp) -> Turn {
    if let Position::Active(it) = &state.position
        && let Some(turn) = finish_node(&state, it, observed, now)
    {
        return turn;
    }
    let nodes = match observed.nodes(now) {
        Ok(nodes) => nodes,
        Err(finding) => return hold(state, vec![finding], now),
    };
    let ours = nodes.iter().find_map(|node| Some((node, observed.our_annotation(node)?)));
    if let Some((node, annotation)) = ours {
        return Turn::run(state, Command::Uncordon(uncordon_order(node, annotation)));
    }
    match observed.lock {
        LockView::Ours => Turn::run(state, Command::ReleaseLock),
        LockView::Free | LockView::Other { .. } if observed.run.has_finalizer => {
            Turn::run(state, Command::RemoveFinalizer)
        }
        LockView::Free | LockView::Other { .. } => Turn::wait(state, IDLE_SECONDS),
        LockView::Unknown(why) => {
            hold(state, vec![Finding::new(Reason::LockUnreadable, "", why.clone())], now)
        }
    }
}

/// What is still to be done for the node at work; nothing if it can be let go.
fn finish_node(state: &State, it: &Active, observed: &Observed<'_>, now: Timestamp) -> Option<Turn> {
    let Work::OneNode(work) = &it.work else {
        // A unit that only fetches or saves may end by itself.
        return None;
    };
    let has_begun = work.stage == Stage::Verify
        || (work.stage == Stage::Mutate && !cannot_have_begun(it, observed, now))
        || (work.stage == Stage::Uncordon && work.returning.is_none());
    if has_begun {
        return Some(active(state.clone(), it.clone(), observed, now));
    }
    if work.stage == Stage::Uncordon {
        return None;
    }
    let finding = Finding::new(Reason::Paused, "metadata.deletionTimestamp", "the run was deleted");
    Some(put_back(state.clone(), it, finding, observed, now))
}
