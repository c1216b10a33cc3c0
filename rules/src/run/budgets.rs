//! Whether budgets have a say in what a run does next: only where that takes another node out of service.

use super::in_hand::is_in_hand;
use super::state::{State, Work};
use crate::api::UpgradeRun;
use crate::cluster::snapshot::{Node, Snapshot};
use crate::words::name::Token;
use crate::words::step::Stage;

/// Whether what budgets lack stands against what a run does next.
///
/// It does not once a node is out of service for the run: each eviction there asks the API server for its own pod's
/// budget, and others may have no room for just as long as this node is away, such as those of a storage whose copies are
/// on it. Waiting for them would be waiting for what the run itself has caused, and what ends only when the node is back.
/// Nor does it where the run drains no node any more. The next node is held as the first one was.
#[must_use]
pub fn heeds_budgets(
    run: &UpgradeRun,
    state: &State,
    snapshot: &Snapshot,
    is_at_target: impl Fn(&Node) -> bool,
) -> bool {
    let Some(nodes) = snapshot.nodes.value.as_deref() else { return true };
    if state.active().any(|it| matches!(&it.work, Work::OneNode(work) if work.stage >= Stage::Drain)) {
        return false;
    }
    match state.step().and_then(|step| step.node()) {
        Some(name) => !nodes.iter().any(|node| node.name == *name && is_out(run, state.token(), node)),
        None => {
            !nodes.iter().any(|node| is_out(run, None, node))
                && nodes.iter().any(|node| is_left(run, node) && !is_at_target(node))
        }
    }
}

/// Whether a node is out of service for the run already. Between steps nobody but the run itself can have done that.
fn is_out(run: &UpgradeRun, token: Option<&Token>, node: &Node) -> bool {
    match token {
        Some(token) => is_in_hand(run, token, node),
        None => {
            let by = node.cordoned_by.as_deref().and_then(|text| text.parse::<Token>().ok());
            node.unschedulable && by.is_some_and(|by| by.run.0 == run.uid)
        }
    }
}

/// Whether the run drains a node unless it is at the target.
fn is_left(run: &UpgradeRun, node: &Node) -> bool {
    !run.spec.skip.contains(&node.name.0) && !node.deleting
}
