//! A running step: the lock is asked first, then whoever knows the step.

use jiff::Timestamp;

use super::command::Command;
use super::judge::{postflight, preflight};
use super::moves::{halt, hold};
use super::node_step::node_step;
use super::observed::{Observed, Turn};
use super::state::{Active, State, Work};
use super::visit::{prepare, snapshot};
use crate::gate::LockView;
use crate::reason::{Finding, Reason};
use crate::words::step::Step;

pub(super) fn active(state: State, it: Active, observed: &Observed<'_>, now: Timestamp) -> Turn {
    match observed.lock {
        LockView::Ours => {}
        LockView::Other { holder } => {
            return halt(state, &it, Finding::new(Reason::LockLost, holder.clone(), ""), now);
        }
        // Somebody removed our Lease, and nobody else has it: the run is still the only one.
        LockView::Free => return Turn::run(state, Command::TakeLock),
        LockView::Unknown(why) => {
            return hold(state, vec![Finding::new(Reason::LockUnreadable, "", why.clone())], now);
        }
    }
    if !observed.driver.has(&it.step) {
        let detail = format!("no step of this run is {}", it.step);
        return halt(state, &it, Finding::new(Reason::StatusMalformed, "status.active", detail), now);
    }
    match (&it.step, it.work.clone()) {
        (Step::Preflight, _) => preflight(state, &it, observed, now),
        (Step::Postflight, _) => postflight(state, &it, observed, now),
        (Step::Snapshot, _) => snapshot(state, &it, observed, now),
        (Step::Prepare, Work::EveryNode { cursor }) => prepare(state, &it, cursor.as_ref(), observed, now),
        (Step::ControlPlane(_) | Step::Worker(_) | Step::Node(_), Work::OneNode(work)) => {
            node_step(state, it, work, observed, now)
        }
        (Step::Prepare, Work::Whole | Work::OneNode(_))
        | (Step::ControlPlane(_) | Step::Worker(_) | Step::Node(_), Work::Whole | Work::EveryNode { .. }) => {
            halt(
                state,
                &it,
                Finding::new(Reason::StatusMalformed, "status.active", "step and stage disagree"),
                now,
            )
        }
    }
}
