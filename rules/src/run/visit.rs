//! What a driver starts on nodes: start it, follow it by its token, read what it left.

use std::time::Duration;

use jiff::Timestamp;

use super::ahead::ahead;
use super::command::{Command, ReadBack};
use super::gated::{cannot_have_begun, gated, held, put_back};
use super::moves::{fail, finish, halt, linger};
use super::observed::{Followed, Observed, Turn};
use super::state::{Action, Active, Position, State, Work};
use crate::cluster::snapshot::Node;
use crate::driver::order::Start;
use crate::driver::task::Progress;
use crate::driver::{self, Attempt};
use crate::reason::{Finding, Reason};
use crate::words::name::NodeName;

/// How long ago at most a node is asked again whether it has seen a token, while something keeps the start from being
/// sent.
const UNSEEN_SECONDS_MAX: u64 = 8;

/// Brings what the driver does on a node now to its end, one turn at a time. What became of it is read before anything is
/// sent, so that a bracket that may have been opened is probed before it is repeated. What is barred is not sent, and its
/// node is put back as soon as it is certain that it was not sent before.
pub(super) fn follow(
    state: State,
    it: &Active,
    node: &Node,
    barred: Option<Finding>,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Followed {
    let turn = |turn: Turn| Followed::Turn(Box::new(turn));
    let (driver, task, view) = (observed.driver, it.task(), observed.view(now));
    let order = match driver.read(task, node, &it.token, view) {
        Ok(order) => order,
        Err(finding) => return turn(held(state, it, vec![finding], observed, now)),
    };
    let start = |state: State| {
        if let Some(finding) = barred.clone() {
            return put_back(state, it, finding, observed, now);
        }
        let manifests = state.manifests.clone();
        let created = it.intent.as_ref().and_then(|intent| intent.created.as_deref());
        gated(state, it, Action::Start, &node.name, observed, now, |proof| {
            let (token, generation) = (&it.token, observed.generation);
            let attempt = Attempt { token, generation, created, manifests: &manifests };
            driver.start(task, node, attempt, proof, view).map(Command::Start)
        })
    };
    let is_intended = it.intent.as_ref().is_some_and(|i| i.action == Action::Start && i.node == node.name);
    if !is_intended {
        return turn(start(state));
    }
    let is_it = |read: &&ReadBack| read.order.is_about(task, &node.name, &it.token);
    let Some(read) = observed.known.read.as_ref().filter(is_it) else {
        return turn(Turn::run(state, Command::Read(order)));
    };
    let is_old = read.age >= driver::poll_pause(observed.settings);
    let look_again = |state: State| {
        if is_old { Turn::run(state, Command::Read(order.clone())) } else { Turn::wait(state, 1) }
    };
    if let Some(followed) = ahead(&state, it, node, barred.as_ref(), read, observed, now) {
        return followed;
    }
    match &read.result {
        Ok(Progress::Ended { code, at, report, output }) => {
            Followed::Ended { code: *code, at: *at, report: report.clone(), output: output.clone() }
        }
        Ok(Progress::Started { alive: false, .. }) => Followed::Vanished,
        Ok(Progress::Started { alive: true, .. }) => {
            turn(in_time(state, it, Vec::new(), observed, now, look_again))
        }
        Ok(Progress::Refused(reason)) => {
            let finding = driver::refused(&node.name, *reason);
            // What another attempt can mend is tried again under a new token.
            if driver.never_begins(*reason) {
                Followed::NotBegun(finding)
            } else {
                turn(halt(state, it, finding, now))
            }
        }
        // It is sent once: while it may be on its way it is asked for again, after that another attempt has another
        // token, which is bounded. One that another process has sent was for a node that was empty then.
        Ok(Progress::Unseen | Progress::Left | Progress::Created { .. })
            if was_sent(it, observed) || matches!(it.work, Work::OneNode(_)) && it.sent().is_some() =>
        {
            if cannot_have_begun(it, observed, now) {
                Followed::NotBegun(not_begun(&node.name, observed))
            } else {
                turn(look_again(state))
            }
        }
        // While something stands in the way, only a node that was asked late enough can be put back.
        Ok(Progress::Unseen | Progress::Left | Progress::Created { .. })
            if read.age >= Duration::from_secs(UNSEEN_SECONDS_MAX) =>
        {
            turn(Turn::run(state, Command::Read(order)))
        }
        Ok(Progress::Unseen | Progress::Left | Progress::Created { .. }) => turn(start(state)),
        Err(finding) => turn(unread(state, it, finding, barred, observed, now, look_again)),
    }
}

/// What cannot be read. Where nobody has sent anything nothing is on its way: the node can be given back when this lasts too
/// long.
fn unread(
    state: State,
    it: &Active,
    finding: &Finding,
    barred: Option<Finding>,
    observed: &Observed<'_>,
    now: Timestamp,
    look_again: impl FnOnce(State) -> Turn,
) -> Turn {
    if finding.reason == Reason::StateWentBackwards {
        return halt(state, it, finding.clone(), now);
    }
    let is_unsent = it.intent.as_ref().is_some_and(|intent| intent.unsent);
    if !is_unsent || !matches!(it.work, Work::OneNode(_)) {
        return in_time(state, it, vec![finding.clone()], observed, now, look_again);
    }
    let shown = match barred {
        Some(barred) => put_back(state, it, barred, observed, now),
        None => held(state, it, vec![finding.clone()], observed, now),
    };
    if shown.pause.is_zero() { shown } else { look_again(shown.state) }
}

/// Whether this process sent what the part of the step at work starts.
pub(super) fn was_sent(it: &Active, observed: &Observed<'_>) -> bool {
    let node = it.intent.as_ref().map(|intent| &intent.node);
    let is_it =
        |order: &Start| order.task() == it.task() && *order.token() == it.token && Some(order.node()) == node;
    observed
        .known
        .act
        .as_ref()
        .is_some_and(|acted| matches!(&acted.command, Command::Start(order) if is_it(order)))
}

fn in_time(
    state: State,
    it: &Active,
    findings: Vec<Finding>,
    observed: &Observed<'_>,
    now: Timestamp,
    look_again: impl FnOnce(State) -> Turn,
) -> Turn {
    let since = it.intent.as_ref().map_or(it.stage_since, |intent| intent.at);
    let age = u64::try_from(now.duration_since(since).as_secs()).unwrap_or(0);
    if age >= driver::work_seconds_max(observed.settings) {
        let detail = findings.first().map(ToString::to_string).unwrap_or_default();
        return halt(state, it, driver::too_long(&it.step, detail), now);
    }
    let shown = linger(state, findings, now);
    look_again(shown.state)
}

/// A snapshot, on the node that the driver says.
pub(super) fn snapshot(mut state: State, it: &Active, observed: &Observed<'_>, now: Timestamp) -> Turn {
    let nodes = match observed.nodes(now) {
        Ok(nodes) => nodes,
        Err(finding) => return linger(state, vec![finding], now),
    };
    let node = match observed.driver.snapshot_node(nodes) {
        Ok(node) => node,
        Err(finding) => return fail(state, it, finding, observed, now),
    };
    match follow(state.clone(), it, node, None, observed, now) {
        Followed::Turn(turn) => *turn,
        Followed::Vanished => fail(state, it, driver::vanished(&node.name), observed, now),
        Followed::NotBegun(finding) => fail(state, it, finding, observed, now),
        // It is as old as it is, however late it is heard of. A node's clock may be a little ahead.
        Followed::Ended { code: 0, at, report, .. } => {
            match observed.driver.snapshot_record(&report, &node.name, at.min(now)) {
                Ok(record) => {
                    state.snapshot = Some(record);
                    finish(state, it, observed, now)
                }
                Err(finding) => fail(state, it, finding, observed, now),
            }
        }
        Followed::Ended { code, output, .. } => {
            fail(state, it, driver::failed(&node.name, code, &output), observed, now)
        }
    }
}

/// That it was not begun, with what went wrong when it was sent.
fn not_begun(node: &NodeName, observed: &Observed<'_>) -> Finding {
    let sent = observed.known.act.as_ref().filter(|acted| matches!(acted.command, Command::Start(_)));
    let why = sent.and_then(|acted| acted.findings.first()).map(ToString::to_string).unwrap_or_default();
    driver::not_begun(node, why)
}

/// What is fetched ahead, node after node in order of names.
pub(super) fn prepare(
    mut state: State,
    it: &Active,
    cursor: Option<&NodeName>,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Turn {
    let nodes = match (observed.nodes(now), observed.target()) {
        (Ok(nodes), Ok(_target)) => nodes,
        (Err(finding), _) | (_, Err(finding)) => return linger(state, vec![finding], now),
    };
    let next = nodes
        .iter()
        .filter(|node| observed.takes(node) && !observed.is_at_target(node))
        .filter(|node| state.prepare_again.as_ref().is_none_or(|only| only.name == node.name))
        .filter(|node| cursor.is_none_or(|done| node.name > *done))
        .min_by_key(|node| node.name.clone());
    let Some(node) = next else { return finish(state, it, observed, now) };
    match follow(state.clone(), it, node, None, observed, now) {
        Followed::Turn(mut turn) => {
            // Whatever becomes of it: what is gone without a result may have left something too.
            let is_sent = matches!(turn.command, Some(Command::Start(_)));
            if is_sent && !turn.state.switched.contains(&node.name) {
                turn.state.switched.push(node.name.clone());
                turn.state.switched.sort();
            }
            *turn
        }
        Followed::Vanished => fail(state, it, driver::vanished(&node.name), observed, now),
        Followed::NotBegun(finding) => fail(state, it, finding, observed, now),
        Followed::Ended { code: 0, report, .. } => {
            if observed.driver.leaves_nothing(&report) {
                state.switched.retain(|name| *name != node.name);
            }
            let work = Work::EveryNode { cursor: Some(node.name.clone()) };
            state.position = Position::active(Active { work, intent: None, stage_since: now, ..it.clone() });
            Turn::again(state)
        }
        Followed::Ended { code, output, .. } => {
            fail(state, it, driver::failed(&node.name, code, &output), observed, now)
        }
    }
}
