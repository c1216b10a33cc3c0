//! A run that was deleted: its node is finished or given back first, then what was left on nodes that were never changed, and
//! only then does the run go.

use jiff::Timestamp;

use super::active::active;
use super::command::Command;
use super::gated::{cannot_have_begun, put_back, run_deleted};
use super::moves::{IDLE_SECONDS, hold, remember};
use super::node_step::{not_verified, uncordon_order};
use super::observed::{Observed, Turn};
use super::restore::restore;
use super::state::{Active, Attempted, Halted, Position, State, Work};
use crate::cluster::snapshot::Node;
use crate::gate::LockView;
use crate::reason::{Finding, Reason};
use crate::words::step::Stage;

/// What is done once no running step holds a node any more that must be finished or put back.
pub(super) fn ending(state: State, observed: &Observed<'_>, now: Timestamp) -> Turn {
    let nodes = match observed.nodes(now) {
        Ok(nodes) => nodes,
        Err(finding) => return hold(state, vec![finding], now),
    };
    let ours = |node: &&Node| observed.is_ours(node);
    if let Some(node) = nodes.iter().filter(ours).find(|node| is_whole(&state, node, observed, now)) {
        let annotation = observed.our_annotation(node).unwrap_or_default();
        return Turn::run(state, Command::Uncordon(uncordon_order(node, annotation)));
    }
    if let Some(node) = nodes.iter().find(ours) {
        return stay(state, node, now);
    }
    match observed.lock {
        LockView::Ours => {
            restore(&state, observed, now).unwrap_or_else(|| Turn::run(state, Command::ReleaseLock))
        }
        // Somebody removed our Lease: no other run may prepare a node while something is put back there.
        LockView::Free if !state.switched.is_empty() => Turn::run(state, Command::TakeLock),
        LockView::Free | LockView::Other { .. } if observed.run.has_finalizer => {
            Turn::run(state, Command::RemoveFinalizer)
        }
        LockView::Free | LockView::Other { .. } => Turn::wait(state, IDLE_SECONDS),
        LockView::Unknown(why) => {
            hold(state, vec![Finding::new(Reason::LockUnreadable, "", why.clone())], now)
        }
    }
}

/// Whether a node that this run holds is what it was before, or all that it should become. What people asked to be
/// left as it is they have judged themselves.
fn is_whole(state: &State, node: &Node, observed: &Observed<'_>, now: Timestamp) -> bool {
    state.begun_on(&node.name, &node.uid).is_none()
        || observed.is_skipped(&node.name)
        || observed.target().is_ok() && not_verified(node, observed, now).is_empty()
}

/// A node whose change has begun and is not whole stays cordoned, and the run stays with it, so that somebody is told.
fn stay(mut state: State, node: &Node, now: Timestamp) -> Turn {
    let detail = "the run was deleted before its change was whole";
    let finding = Finding::new(Reason::NodeHalfUpgraded, node.name.0.clone(), detail);
    if let Some(attempted) = state.begun_on(&node.name, &node.uid).cloned()
        && !matches!(state.position, Position::Halted(_))
    {
        remember(&mut state, now, &attempted.step.to_string(), &format!("halted: {}", finding.reason));
        state.running.clear();
        let Attempted { step, attempt, .. } = attempted;
        state.position = Position::Halted(Halted { step, attempt, at: now, finding: finding.clone() });
    }
    hold(state, vec![finding], now)
}

/// What is still to be done for the node at work; nothing if it can be let go.
pub(super) fn finish_node(
    state: &State,
    it: &Active,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Option<Turn> {
    let Work::OneNode(work) = &it.work else {
        // What only fetches or saves may end by itself.
        return None;
    };
    let has_begun = work.stage == Stage::Verify
        // Nothing of the node is changed by that, but it is followed to its end.
        || (work.stage == Stage::Prepare && !cannot_have_begun(it, observed, now))
        || (work.stage == Stage::Mutate && !cannot_have_begun(it, observed, now))
        || (work.stage == Stage::Uncordon && work.returning.is_none());
    if has_begun {
        return Some(active(state.clone(), it.clone(), observed, now));
    }
    if work.stage == Stage::Uncordon {
        return None;
    }
    if state.begun_on(&work.before.name, &work.before.uid).is_some() {
        return None;
    }
    Some(put_back(state.clone(), it, run_deleted(), observed, now))
}
