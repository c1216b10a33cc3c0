//! Units on nodes: start one, follow it by its token, read what it left. Used by snapshot, prepare and the mutation.

use std::time::Duration;

use jiff::Timestamp;

use super::command::Command;
use super::gated::{cannot_have_begun, gated, held, never_begins, put_back};
use super::manifests::looked_at;
use super::moves::{fail, finish, halt, linger};
use super::observed::{Observed, Turn};
use super::state::{Action, Active, Position, State, Work};
use crate::api::SnapshotRecord;
use crate::cluster::snapshot::{Node, Role};
use crate::driver::order::{LedgerOrder, UnitKind, UnitOrder};
use crate::driver::reading::LedgerReading;
use crate::reason::{Finding, Reason};
use crate::words::name::NodeName;

/// How much longer than it may work a unit is waited for: it takes a while to be started and to be ended, and its own
/// end says more than our deadline.
pub(super) const UNIT_SLACK_SECONDS: u64 = 180;
/// How long ago at most a node is asked again whether it has seen a token, while something keeps its unit from being
/// sent.
const UNSEEN_SECONDS_MAX: u64 = 8;

/// Where a unit stands.
pub(super) enum Followed {
    /// It has not ended: this is the turn.
    Turn(Box<Turn>),
    /// It ended.
    Ended { code: i32, at: Timestamp, report: Vec<(String, String)>, output: String },
    /// It started and is gone without a result.
    Vanished,
    /// It did not begin, and is certain not to begin any more.
    NotBegun(Finding),
}

/// Brings a unit to its end, one turn at a time. The node's ledger is read before anything is sent, so that a
/// bracket that may have been opened is probed before it is repeated. A unit that is barred is not sent, and its
/// node is put back as soon as it is certain that it was not sent before.
pub(super) fn follow(
    state: State,
    it: &Active,
    kind: UnitKind,
    node: &Node,
    barred: Option<Finding>,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Followed {
    let turn = |turn: Turn| Followed::Turn(Box::new(turn));
    let reach = match observed.reach(node) {
        Ok(reach) => reach,
        Err(finding) => return turn(held(state, it, vec![finding], observed, now)),
    };
    let order = LedgerOrder { node: reach.clone(), token: it.token.clone() };
    let start = |state: State| {
        if let Some(finding) = barred.clone() {
            return put_back(state, it, finding, observed, now);
        }
        let manifests = looked_at(&state, node, kind);
        gated(state, it, Action::Unit, &node.name, observed, now, |proof| {
            Command::StartUnit(UnitOrder {
                node: reach.clone(),
                kind,
                token: it.token.clone(),
                target: observed.target().expect("a run with a step at work has a target that can be read"),
                generation: observed.generation,
                manifests,
                proof,
            })
        })
    };
    let is_intended = it.intent.as_ref().is_some_and(|i| i.action == Action::Unit && i.node == node.name);
    if !is_intended {
        return turn(start(state));
    }
    let Some(read) = observed.known.ledger.as_ref().filter(|r| r.node == node.name && r.token == it.token)
    else {
        return turn(Turn::run(state, Command::ReadLedger(order)));
    };
    let is_old = read.age >= Duration::from_secs(observed.settings.unit_poll_seconds);
    let look_again = |state: State| {
        if is_old { Turn::run(state, Command::ReadLedger(order.clone())) } else { Turn::wait(state, 1) }
    };
    match &read.result {
        Ok(LedgerReading::Ended { code, at, report, output }) => {
            Followed::Ended { code: *code, at: *at, report: report.clone(), output: output.clone() }
        }
        Ok(LedgerReading::Started { alive: false, .. }) => Followed::Vanished,
        Ok(LedgerReading::Started { alive: true, .. }) => {
            turn(in_time(state, it, Vec::new(), observed, now, look_again))
        }
        Ok(LedgerReading::Refused(reason)) => {
            let finding = Finding::new(*reason, node.name.0.clone(), "the node refused the unit");
            // What another attempt can mend is tried again under a new token.
            if never_begins(*reason) {
                Followed::NotBegun(finding)
            } else {
                turn(halt(state, it, finding, now))
            }
        }
        // A unit is sent once: while it may be on its way the node is asked again, after that another attempt has
        // another token, which is bounded. One that another process has sent was for a node that was empty then.
        Ok(LedgerReading::Unseen)
            if was_sent(it, observed) || matches!(it.work, Work::OneNode(_)) && it.sent().is_some() =>
        {
            if cannot_have_begun(it, observed, now) {
                Followed::NotBegun(unit_not_begun(&node.name, observed))
            } else {
                turn(look_again(state))
            }
        }
        // While something stands in the way, only a node that was asked late enough can be put back.
        Ok(LedgerReading::Unseen) if read.age >= Duration::from_secs(UNSEEN_SECONDS_MAX) => {
            turn(Turn::run(state, Command::ReadLedger(order)))
        }
        Ok(LedgerReading::Unseen) => turn(start(state)),
        Err(finding) => turn(unread(state, it, finding, barred, observed, now, look_again)),
    }
}

/// A ledger that cannot be read. Of a unit that nobody has sent nothing is on its way: its node can be given back when
/// this lasts too long.
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

/// Whether this process sent the unit of this token.
pub(super) fn was_sent(it: &Active, observed: &Observed<'_>) -> bool {
    let node = it.intent.as_ref().map(|intent| &intent.node);
    observed.known.act.as_ref().is_some_and(|acted| {
        matches!(&acted.command, Command::StartUnit(order) if order.token == it.token && Some(&order.node.name) == node)
    })
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
    if age >= observed.settings.unit_seconds_max + UNIT_SLACK_SECONDS {
        let detail = findings.first().map(ToString::to_string).unwrap_or_default();
        return halt(state, it, Finding::new(Reason::UnitDeadline, it.step.to_string(), detail), now);
    }
    let shown = linger(state, findings, now);
    look_again(shown.state)
}

/// The etcd snapshot, on the first control-plane node.
pub(super) fn snapshot(mut state: State, it: &Active, observed: &Observed<'_>, now: Timestamp) -> Turn {
    let nodes = match observed.nodes(now) {
        Ok(nodes) => nodes,
        Err(finding) => return linger(state, vec![finding], now),
    };
    let first =
        nodes.iter().filter(|node| node.role == Role::ControlPlane).min_by_key(|node| node.name.clone());
    let Some(node) = first else {
        let finding = Finding::new(Reason::SnapshotInvalid, "", "no control-plane node to take it on");
        return fail(state, it, finding, observed, now);
    };
    match follow(state.clone(), it, UnitKind::Snapshot, node, None, observed, now) {
        Followed::Turn(turn) => *turn,
        Followed::Vanished => fail(state, it, unit_vanished(&node.name), observed, now),
        Followed::NotBegun(finding) => fail(state, it, finding, observed, now),
        // It is as old as it is, however late it is heard of. A node's clock may be a little ahead.
        Followed::Ended { code: 0, at, report, .. } => match record(&report, &node.name, at.min(now)) {
            Ok(record) => {
                state.snapshot = Some(record);
                finish(state, it, observed, now)
            }
            Err(finding) => fail(state, it, finding, observed, now),
        },
        Followed::Ended { code, output, .. } => {
            fail(state, it, unit_failed(&node.name, code, &output), observed, now)
        }
    }
}

fn record(
    report: &[(String, String)],
    node: &NodeName,
    taken_at: Timestamp,
) -> Result<SnapshotRecord, Finding> {
    let get = |key: &str| {
        let found = report.iter().find(|(k, v)| k == key && !v.is_empty()).map(|(_, v)| v.clone());
        found.ok_or_else(|| {
            Finding::new(Reason::SnapshotInvalid, node.0.clone(), format!("the unit reported no {key}"))
        })
    };
    let size = get("size_bytes")?;
    let size_bytes = size.parse().ok().filter(|&bytes: &u64| bytes > 0);
    let size_bytes = size_bytes.ok_or_else(|| {
        Finding::new(Reason::SnapshotInvalid, node.0.clone(), format!("size_bytes is {size:?}"))
    })?;
    Ok(SnapshotRecord { node: node.clone(), path: get("path")?, size_bytes, hash: get("hash")?, taken_at })
}

/// A unit that is gone without a result.
pub(super) fn unit_vanished(node: &NodeName) -> Finding {
    Finding::new(Reason::UnitVanished, node.0.clone(), "")
}

/// A unit that the node has not begun, with what went wrong when it was sent.
fn unit_not_begun(node: &NodeName, observed: &Observed<'_>) -> Finding {
    let sent = observed.known.act.as_ref().filter(|acted| matches!(acted.command, Command::StartUnit(_)));
    let why = sent.and_then(|acted| acted.findings.first()).map(ToString::to_string).unwrap_or_default();
    Finding::new(Reason::UnitNotBegun, node.0.clone(), why)
}

/// A unit that failed, with the end of what it said.
pub(super) fn unit_failed(node: &NodeName, code: i32, output: &str) -> Finding {
    let skip = output.chars().count().saturating_sub(400);
    let tail: String = output.chars().skip(skip).collect();
    Finding::new(Reason::UnitFailed, node.0.clone(), format!("exit code {code}: {}", tail.trim()))
}

/// Packages and images fetched ahead, node after node in order of names.
pub(super) fn prepare(
    mut state: State,
    it: &Active,
    cursor: Option<&NodeName>,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Turn {
    let (nodes, target) = match (observed.nodes(now), observed.target()) {
        (Ok(nodes), Ok(target)) => (nodes, target),
        (Err(finding), _) | (_, Err(finding)) => return linger(state, vec![finding], now),
    };
    let next = nodes
        .iter()
        .filter(|node| observed.takes(node) && !observed.is_at_target(node, &target))
        .filter(|node| state.prepare_again.as_ref().is_none_or(|only| only.name == node.name))
        .filter(|node| cursor.is_none_or(|done| node.name > *done))
        .min_by_key(|node| node.name.clone());
    let Some(node) = next else { return finish(state, it, observed, now) };
    match follow(state.clone(), it, UnitKind::Prepare, node, None, observed, now) {
        Followed::Turn(mut turn) => {
            // Whatever becomes of it: a unit that is gone without a result may have switched the source too.
            let is_sent = matches!(turn.command, Some(Command::StartUnit(_)));
            if is_sent && !turn.state.switched.contains(&node.name) {
                turn.state.switched.push(node.name.clone());
                turn.state.switched.sort();
            }
            *turn
        }
        Followed::Vanished => fail(state, it, unit_vanished(&node.name), observed, now),
        Followed::NotBegun(finding) => fail(state, it, finding, observed, now),
        Followed::Ended { code: 0, report, .. } => {
            if report.iter().any(|(key, value)| key == "source_switched" && value == "no") {
                state.switched.retain(|name| *name != node.name);
            }
            let work = Work::EveryNode { cursor: Some(node.name.clone()) };
            state.position = Position::active(Active { work, intent: None, stage_since: now, ..it.clone() });
            Turn::again(state)
        }
        Followed::Ended { code, output, .. } => {
            fail(state, it, unit_failed(&node.name, code, &output), observed, now)
        }
    }
}
