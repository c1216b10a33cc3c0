//! How a node is reached over SSH.

use super::order::NodeTarget;
use crate::cluster::snapshot::{Node, Snapshot};
use crate::reason::{Finding, Reason};

/// Each kubelet says by itself which machine it is on and where that is: of two that say the same, one would be drained and
/// the other changed.
pub(super) fn reach(node: &Node, snapshot: &Snapshot) -> Result<NodeTarget, Finding> {
    let found = |reason, why: String| Finding::new(reason, node.name.0.clone(), why);
    let addresses = node.addresses().map_err(|why| found(Reason::NodeAddressMissing, why))?;
    let addresses = addresses.iter().map(ToString::to_string).collect();
    let is_twin = |other: &&Node| {
        let has_its_id = !node.machine_id.is_empty() && other.machine_id == node.machine_id;
        other.name != node.name && (has_its_id || other.shares_address_with(node))
    };
    if let Some(other) = snapshot.nodes.value.iter().flatten().find(is_twin) {
        let why = format!("{} has the same machine id or one of the same InternalIPs", other.name);
        return Err(found(Reason::MachineIdMismatch, why));
    }
    Ok(NodeTarget { name: node.name.clone(), addresses, machine_id: node.machine_id.clone() })
}
