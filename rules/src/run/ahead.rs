//! What comes ahead of a start, where the driver creates first what it lets go later: what attempts before have left is
//! cleared away, the new one is created, and its uid is stored. Only then is it let go, so that of one that is gone it is
//! known whether it may have begun.

use std::time::Duration;

use jiff::Timestamp;

use super::command::{Command, ReadBack};
use super::gated::{failed_act, held, put_back};
use super::observed::{Followed, Observed, Turn};
use super::state::{Active, Intended, Position, State};
use crate::cluster::snapshot::Node;
use crate::driver;
use crate::driver::task::Progress;
use crate::reason::Finding;

/// What comes ahead of the start; nothing if the start itself, or what became of it, is next.
pub(super) fn ahead(
    state: &State,
    it: &Active,
    node: &Node,
    barred: Option<&Finding>,
    read: &ReadBack,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Option<Followed> {
    let create = observed.driver.create(it.task(), node, &it.token)?;
    let intent = it.intent.as_ref()?;
    let progress = read.result.as_ref().ok()?;
    let is_gone = matches!(progress, Progress::Unseen | Progress::Left);
    if !intent.unsent {
        return is_gone.then_some(Followed::Vanished);
    }
    let turn = |turn: Turn| Some(Followed::Turn(Box::new(turn)));
    if was_done_since(read, node, observed) {
        return turn(Turn::run(state.clone(), Command::Read(read.order.clone())));
    }
    let lost = || {
        let why = "what was created for it is gone or another one".to_owned();
        Some(Followed::NotBegun(driver::not_begun(&node.name, why)))
    };
    match (progress, &intent.created) {
        (Progress::Unseen | Progress::Left, Some(_)) => lost(),
        (Progress::Created { uid }, Some(created)) if uid != created => lost(),
        (Progress::Unseen, None) => turn(match (barred, failed(it, observed)) {
            (Some(barred), _) => put_back(state.clone(), it, barred.clone(), observed, now),
            (None, Some(findings)) => held(state.clone(), it, findings, observed, now),
            (None, None) => Turn::run(state.clone(), Command::Create(create)),
        }),
        (Progress::Left, None) => turn(cleared(state.clone(), it, node, observed, now)),
        (Progress::Created { uid }, None) => {
            let intent = Some(Intended { created: Some(uid.clone()), ..intent.clone() });
            let position = Position::active(Active { intent, ..it.clone() });
            turn(Turn::again(State { position, ..state.clone() }))
        }
        (
            Progress::Created { .. }
            | Progress::Refused(_)
            | Progress::Started { .. }
            | Progress::Ended { .. },
            _,
        ) => None,
    }
}

/// Whether something was created or cleared away there since it was read.
fn was_done_since(read: &ReadBack, node: &Node, observed: &Observed<'_>) -> bool {
    let is_here = |command: &Command| {
        matches!(command, Command::Create(order) if *order.node() == node.name)
            || matches!(command, Command::PutBack(order) if *order.node() == node.name)
    };
    observed.known.act.as_ref().is_some_and(|acted| acted.age < read.age && is_here(&acted.command))
}

/// What went wrong a moment ago with what was to be created.
fn failed(it: &Active, observed: &Observed<'_>) -> Option<Vec<Finding>> {
    let pause = Duration::from_secs(observed.settings.eviction_pause_seconds);
    failed_act(it, observed).filter(|(_, age)| *age < pause).map(|(findings, _)| findings.to_vec())
}

/// Clears away what attempts before have left, again and again until nothing is left.
fn cleared(state: State, it: &Active, node: &Node, observed: &Observed<'_>, now: Timestamp) -> Turn {
    let shown = held(state, it, vec![driver::left(&node.name)], observed, now);
    let is_young = |age| age < driver::poll_pause(observed.settings);
    let acted = observed.known.act.as_ref();
    let is_cleared =
        acted.is_some_and(|acted| matches!(acted.command, Command::PutBack(_)) && is_young(acted.age));
    match observed.driver.clear(it.task(), node, &it.token) {
        Some(clear) if !shown.pause.is_zero() && !is_cleared => {
            Turn::run(shown.state, Command::PutBack(clear))
        }
        _ => shown,
    }
}
