//! What is put back once a run is over: what its driver has left on each node that was prepared and never changed.

use std::time::Duration;

use jiff::Timestamp;

use super::command::Command;
use super::moves::{IDLE_SECONDS, holds, remember};
use super::observed::{Observed, Turn};
use super::state::State;
use crate::cluster::snapshot::Node;
use crate::driver;
use crate::reason::{Finding, Reason};
use crate::words::name::NodeName;

/// How long a node is tried that cannot be reached or refuses.
const TRY_SECONDS_MAX: u64 = 60;

/// The next thing to do for the first of the nodes that are left; nothing once there is none. As giving a node back it
/// needs no permit, and no node keeps the run from ending for longer than its deadline.
pub(super) fn restore(state: &State, observed: &Observed<'_>, now: Timestamp) -> Option<Turn> {
    let name = state.switched.first()?;
    let mut state = state.clone();
    let Some(since) = state.restoring_since else {
        // A prepare of this run that comes late is behind this number, and refused.
        state.sequence += 1;
        state.restoring_since = Some(now);
        state.holds.clear();
        return Some(Turn::again(state));
    };
    let Ok(nodes) = observed.nodes(now) else { return Some(Turn::wait(state, IDLE_SECONDS)) };
    let node = nodes.iter().find(|node| node.name == *name);
    let Some(node) = node.filter(|node| !has_changed(&state, node, observed)) else {
        return Some(next(state, now));
    };
    let put_back = observed.driver.put_back(node, state.sequence, observed.generation, observed.view(now));
    let Some(order) = put_back else { return Some(next(state, now)) };
    let acted = observed.known.act.as_ref().filter(|acted| is_about(&acted.command, name));
    let refused = match (&order, acted) {
        (Err(finding), _) => Some(finding),
        (Ok(_), Some(acted)) => acted.findings.first(),
        (Ok(order), None) => return Some(Turn::run(state, Command::PutBack(order.clone()))),
    };
    let Some(refused) = refused else {
        state.holds.retain(|(told, _)| told.subject != name.0);
        return Some(next(state, now));
    };
    state.holds = holds(&state.holds, with(&state, &not_restored(name, refused)), now);
    let age = u64::try_from(now.duration_since(since).as_secs()).unwrap_or(0);
    if refused.reason == Reason::SourceNotRestored || age >= seconds_max(refused, observed) {
        remember(&mut state, now, "", &not_restored(name, refused).to_string());
        return Some(next(state, now));
    }
    let pause = Duration::from_secs(observed.settings.eviction_pause_seconds);
    Some(match order {
        Ok(order) if acted.is_some_and(|acted| acted.age >= pause) => {
            Turn::run(state, Command::PutBack(order))
        }
        _ => Turn::wait(state, 1),
    })
}

/// Whether the node's own change has begun or is whole: then what is there belongs to it.
fn has_changed(state: &State, node: &Node, observed: &Observed<'_>) -> bool {
    state.begun_on(&node.name, &node.uid).is_some() || observed.is_at_target(node)
}

fn is_about(command: &Command, node: &NodeName) -> bool {
    matches!(command, Command::PutBack(order) if order.node() == node)
}

/// How long what was found is waited for. A prepare may be at work for as long as anything.
fn seconds_max(found: &Finding, observed: &Observed<'_>) -> u64 {
    match found.reason {
        Reason::NodeBusy => driver::work_seconds_max(observed.settings),
        _ => TRY_SECONDS_MAX,
    }
}

fn not_restored(node: &NodeName, found: &Finding) -> Finding {
    if found.reason == Reason::SourceNotRestored {
        return found.clone();
    }
    Finding::new(Reason::SourceNotRestored, node.0.clone(), found.to_string())
}

/// What is told of the nodes before, and of this one.
fn with(state: &State, finding: &Finding) -> Vec<Finding> {
    let others = state.holds.iter().map(|(told, _)| told.clone());
    others.filter(|told| told.subject != finding.subject).chain([finding.clone()]).collect()
}

/// The first node is over, however it went.
fn next(mut state: State, now: Timestamp) -> Turn {
    state.switched.remove(0);
    state.restoring_since = Some(now);
    Turn::again(state)
}
