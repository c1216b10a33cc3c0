//! One upgrade as a state machine.
//!
//! ```text
//!   stored status ──State::parse──▶ State ┐
//!   spec, snapshot, permit, what this     ├──▶ decide ──▶ Turn { state, command }
//!   process knows, now ───────────────────┘        persisted first ▲   run second
//! ```
//!
//! `decide` chooses by position, `active` by step; below them `judge` (preflight, postflight), `visit` (what a driver
//! starts on nodes), `node_step` (a node's stages), `ending` (deletion) and `restore` (what is put back once a run is over). All mutations go through `gated`; all of them are
//! made of the `moves`.

mod active;
mod ahead;
mod beside;
mod budgets;
mod clock;
mod command;
mod decide;
mod ending;
mod gated;
mod in_hand;
mod judge;
mod lease;
mod look;
mod may_begin;
mod moves;
mod needs;
mod next;
mod node_step;
mod observed;
mod restore;
mod served;
mod side_by_side;
mod state;
mod status;
mod stored;
mod visit;

pub use budgets::heeds_budgets;
pub use command::*;
pub use decide::decide;
pub use in_hand::{is_held_by, is_in_hand};
pub use judge::is_accepted;
pub use lease::*;
pub(crate) use moves::NOT_BEGUN;
pub use needs::{Needs, is_done, needs, pending_for};
pub use observed::{Decision, Observed, Order, Turn};
pub use served::{not_served, status_not_served};
pub use state::*;
pub use status::{Shown, phase, status};
pub use stored::unreadable;

use crate::cluster::snapshot::Node;
use jiff::Timestamp;

/// What comes after the step at hand and how many nodes are done, for people to read.
#[must_use]
pub fn outlook(state: &State, observed: &Observed<'_>, now: Timestamp) -> (String, String) {
    let (Ok(_target), Ok(nodes)) = (observed.target(), observed.nodes(now)) else {
        return (String::new(), String::new());
    };
    let counted = |node: &&Node| !observed.is_skipped(&node.name);
    let all = nodes.iter().filter(counted).count();
    let done = nodes.iter().filter(counted).filter(|node| observed.is_at_target(node)).count();
    (next::after(state, observed, nodes, now), format!("{done}/{all}"))
}
