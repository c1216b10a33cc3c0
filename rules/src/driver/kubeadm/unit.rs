//! Units on the nodes: which one is started where, what is asked of it, and what is put back.

use jiff::Timestamp;

use super::Kubeadm;
use super::drift::looked_at;
use super::order::{LedgerOrder, RestoreOrder, UnitKind, UnitOrder};
use super::reach::reach;
use super::target::is_at;
use crate::api::SnapshotRecord;
use crate::cluster::snapshot::{Node, Role, Snapshot};
use crate::driver::task::Task;
use crate::driver::{Attempt, View};
use crate::gate::Proof;
use crate::reason::{Finding, Reason};
use crate::words::name::{NodeName, RunUid, Token};
use crate::words::version::Version;

impl Kubeadm<'_> {
    pub(in crate::driver) fn start(
        &self,
        task: Task,
        node: &Node,
        attempt: Attempt<'_>,
        proof: Proof,
        view: View<'_>,
    ) -> Result<UnitOrder, Finding> {
        let target = self.target.clone()?;
        let kind = match (task, node.role) {
            (Task::Snapshot, _) => UnitKind::Snapshot,
            (Task::Prepare, _) => UnitKind::Prepare,
            (Task::Upgrade, Role::ControlPlane) if is_first(view.snapshot, &target) => UnitKind::UpgradeFirst,
            (Task::Upgrade, Role::ControlPlane | Role::Worker) => UnitKind::UpgradeNode,
        };
        Ok(UnitOrder {
            node: reach(node, view.snapshot)?,
            kind,
            token: attempt.token.clone(),
            target,
            generation: attempt.generation,
            manifests: looked_at(attempt.manifests, node, kind),
            proof,
        })
    }
}

/// Whether no control-plane node is wholly at the target: an `upgrade apply` that was cut in the middle has already
/// shown a new API server, and must be applied again.
fn is_first(snapshot: &Snapshot, target: &Version) -> bool {
    let nodes = snapshot.nodes.value.as_deref().unwrap_or_default();
    !nodes.iter().any(|node| node.role == Role::ControlPlane && is_at(snapshot, node, target))
}

pub(in crate::driver) fn read(node: &Node, token: &Token, view: View<'_>) -> Result<LedgerOrder, Finding> {
    Ok(LedgerOrder { node: reach(node, view.snapshot)?, token: token.clone() })
}

/// Whether a node that refused a token for this reason had not begun it. A token that was refused is never begun.
pub(in crate::driver) fn never_begins(refused_for: Reason) -> bool {
    matches!(
        refused_for,
        Reason::CheckExpired
            | Reason::NodeBusy
            | Reason::GenerationTooOld
            | Reason::PatchesMissing
            | Reason::ManifestsUnknown
            | Reason::DiskTooSmall
            | Reason::SnapshotDiskTooSmall
    )
}

/// The etcd snapshot is taken on the first control-plane node.
pub(in crate::driver) fn snapshot_node(nodes: &[Node]) -> Result<&Node, Finding> {
    let first =
        nodes.iter().filter(|node| node.role == Role::ControlPlane).min_by_key(|node| node.name.clone());
    first.ok_or_else(|| Finding::new(Reason::SnapshotInvalid, "", "no control-plane node to take it on"))
}

pub(in crate::driver) fn snapshot_record(
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

/// Whether a prepare that is over has left the node's source of packages as it was.
pub(in crate::driver) fn leaves_nothing(report: &[(String, String)]) -> bool {
    report.iter().any(|(key, value)| key == "source_switched" && value == "no")
}

/// Gives a node its source of packages back.
pub(in crate::driver) fn restore(
    node: &Node,
    sequence: u64,
    generation: u64,
    view: View<'_>,
) -> Result<RestoreOrder, Finding> {
    // Nothing is asked for by this token, so that it need not be one that nobody can guess.
    let token =
        Token { run: RunUid(view.run.uid.clone()), sequence, attempt: 1, nonce: "restore".to_owned() };
    Ok(RestoreOrder { node: reach(node, view.snapshot)?, token, generation, at: view.now })
}
