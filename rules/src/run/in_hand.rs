//! Whether a step that waits goes on with a node that an attempt before it took out of service.

use crate::api::{CordonedNodes, UpgradeRun};
use crate::cluster::snapshot::Node;
use crate::words::name::Token;

/// Whether the node of the step that waits under this token is out of service for it already. Such a node need not be
/// Ready for the step to start, or a node that its own change has broken would keep it from being mended, for ever and
/// without using up the attempts. Any other node must be Ready first, that of a first attempt above all.
///
/// The metrics and the live check both ask this, so that the gate alerts and the actuator excuse the same nodes.
#[must_use]
pub fn is_in_hand(run: &UpgradeRun, token: &Token, node: &Node) -> bool {
    // Somebody else's cordon that the run was told to work under: only a later attempt can have changed the node.
    let is_theirs = run.spec.cordoned_nodes == CordonedNodes::Upgrade && token.attempt > 1;
    is_held_by(&run.uid, node) || node.unschedulable && is_theirs
}

/// Whether a run holds a node out of service, by a cordon of its own.
#[must_use]
pub fn is_held_by(run: &str, node: &Node) -> bool {
    let by = node.cordoned_by.as_deref().and_then(|text| text.parse::<Token>().ok());
    node.unschedulable && by.is_some_and(|by| by.run.0 == run)
}
