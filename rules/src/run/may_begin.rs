//! Whether a step may begin, and whether it may go on: each is one table, asked line by line, with every reason.
//!
//! The gate is asked last and apart, because it is asked of others: the live check.

use jiff::Timestamp;

use super::beside;
use super::clock::soaks;
use super::next::{Beginning, behind_workers, cordoned_by_others, stopped};
use super::observed::Observed;
use super::state::{Active, State, Waiting, Work};
use crate::cluster::snapshot::Role;
use crate::reason::{Finding, Reason};
use crate::words::name::NodeName;
use crate::words::step::Step;

/// What a finding does to the token of a step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// There is none, or it is taken back: no alert asks for a step that may not be.
    Withdraws,
    /// It is kept: what holds it clears by itself, or is a gate that people watch.
    Holds,
}

type Line = (Effect, fn(&Beginning<'_>) -> Vec<Finding>);

const MAY_BEGIN: [Line; 6] = [
    (Effect::Withdraws, |it| paused(it.observed)),
    (Effect::Withdraws, |it| stopped(it).into_iter().collect()),
    (Effect::Withdraws, beside::findings),
    (Effect::Holds, |it| it.observed.verdict_for_next.to_vec()),
    (Effect::Holds, |it| cordoned_by_others(it.step, it.observed, it.nodes)),
    (Effect::Holds, |it| behind_workers(it.step, it.observed, it.nodes)),
];

/// Everything that stands against the beginning of a step, of the lines with this effect.
pub(super) fn may_begin(it: &Beginning<'_>, effect: Effect) -> Vec<Finding> {
    MAY_BEGIN.iter().filter(|line| line.0 == effect).flat_map(|(_, ask)| ask(it)).collect()
}

/// That a step that waits may not start yet, with why the attempt before this one ended.
pub(super) fn not_before(
    waiting: &Waiting,
    state: &State,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Vec<Finding> {
    if now >= waiting.not_before && !soaks(state, observed) {
        return Vec::new();
    }
    let not_before = Finding::new(Reason::NotBefore, waiting.not_before.to_string(), "");
    std::iter::once(not_before).chain(waiting.because.iter().cloned()).collect()
}

type Going<'a> = (&'a State, &'a Active, &'a Observed<'a>, Timestamp);

const MAY_CONTINUE: [fn(Going<'_>) -> Vec<Finding>; 3] =
    [|(_, _, observed, _)| paused(observed), |(_, _, observed, _)| observed.verdict.to_vec(), etcd];

/// Everything that stands against the next change of a running step.
pub(super) fn may_continue(
    state: &State,
    it: &Active,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Vec<Finding> {
    MAY_CONTINUE.iter().flat_map(|ask| ask((state, it, observed, now))).collect()
}

fn paused(observed: &Observed<'_>) -> Vec<Finding> {
    let is_paused = observed.run.spec.paused;
    is_paused.then(|| Finding::new(Reason::Paused, "spec.paused", "")).into_iter().collect()
}

/// Of a control-plane node, any member of etcd that is not well, because the change takes one more away. A node that is
/// half done may have broken its own, and must be mended.
fn etcd((state, it, observed, now): Going<'_>) -> Vec<Finding> {
    let nodes = observed.snapshot.nodes.value.as_deref().unwrap_or_default();
    let is_control_plane = |name: &NodeName| match &it.step {
        Step::ControlPlane(_) => true,
        Step::Node(_) => nodes.iter().any(|node| node.name == *name && node.role == Role::ControlPlane),
        Step::Preflight | Step::Snapshot | Step::Prepare | Step::Worker(_) | Step::Postflight => false,
    };
    let (Some(node), Work::OneNode(work)) = (it.step.node(), &it.work) else { return Vec::new() };
    if !is_control_plane(node) {
        return Vec::new();
    }
    let has_begun = state.begun_on(node, &work.before.uid).is_some();
    let found = observed.etcd_findings(now).into_iter();
    found.filter(|finding| !(has_begun && finding.subject == node.0)).collect()
}
