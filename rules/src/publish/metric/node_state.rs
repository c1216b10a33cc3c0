//! What a run has to do with a node, in one word.

use crate::api::{UpgradeRun, UpgradeRunStatus, WaitingStep};
use crate::cluster::snapshot::Node;
use crate::run::{is_held_by, is_in_hand};
use crate::words::name::Token;
use crate::words::step::Step;
use crate::words::version::Version;

/// The value of the label `state` of a node.
pub(super) fn node_state(node: &Node, run: &UpgradeRun) -> &'static str {
    let status = run.status.as_ref();
    let is_of = |step: &str| step.parse::<Step>().is_ok_and(|step| step.node() == Some(&node.name));
    let mut failed = status.iter().flat_map(|status| status.halted.iter().chain(&status.failed));
    let is_run = || status.is_some_and(|status| status.active.iter().any(|active| is_of(&active.step)));
    // A node that is broken half way must not close the gate of the attempt that would mend it.
    let is_waited_for = || {
        let (waiting, token) = status.and_then(waiting).map(|(it, _)| (it, it.token.parse::<Token>()))?;
        Some(is_of(&waiting.step) && token.is_ok_and(|token| is_in_hand(run, &token, node)))
    };
    let at_target = || {
        let target = run.spec.target.parse::<Version>().ok()?;
        Some(node.kubelet_version.as_ref().ok()?.cmp_precedence(&target).is_eq())
    };
    if failed.any(|halt| is_of(&halt.step)) {
        "failed"
    } else if is_run() || is_waited_for().unwrap_or(false) || is_held_by(&run.uid, node) {
        "upgrading"
    } else if run.spec.skip.contains(&node.name.0) {
        "skipped"
    } else if at_target().unwrap_or(false) {
        "upgraded"
    } else {
        "pending"
    }
}

/// The waiting step, if its words are what they should be.
pub(super) fn waiting(status: &UpgradeRunStatus) -> Option<(&WaitingStep, Step)> {
    let waiting = status.waiting.as_ref()?;
    waiting.token.parse::<Token>().ok()?;
    Some((waiting, waiting.step.parse().ok()?))
}
