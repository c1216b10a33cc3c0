//! Units on nodes: start one, read what became of it, put back what one has left.

use std::time::Duration;

use lockkeeper_rules::driver::kubeadm::ledger;
use lockkeeper_rules::driver::kubeadm::node_script::{
    launch_answer, launcher, reader, restore_answer, restorer,
};
use lockkeeper_rules::driver::kubeadm::order::{LedgerOrder, RestoreOrder, UnitOrder};
use lockkeeper_rules::driver::task::Progress;
use lockkeeper_rules::reason::Finding;

use super::Ssh;
use crate::execute::Clearance;

/// How long a start may take before its answer counts as lost.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// How long a reading may take.
const READ_DEADLINE: Duration = Duration::from_secs(20);

/// Starts a unit. The clearance is asked once more when the connection stands.
///
/// # Errors
/// The node refused and says why, or nobody knows whether the unit was started: the ledger does.
pub async fn start_unit(ssh: &Ssh, order: &UnitOrder, clearance: Clearance<'_>) -> Result<(), Finding> {
    let script = launcher(order, &ssh.scripts)?;
    let answer = ssh.run(&order.node, &script, START_DEADLINE, || clearance.still_holds()).await?;
    launch_answer(&order.node.name, &answer.stdout, &answer.stderr)
}

/// Gives a node its source of packages back. Doing it again is no harm.
///
/// # Errors
/// The node refused and says why, or nobody knows what became of it.
pub async fn restore_source(
    ssh: &Ssh,
    order: &RestoreOrder,
    clearance: Clearance<'_>,
) -> Result<(), Finding> {
    let script = restorer(order, &ssh.scripts)?;
    let answer = ssh.run(&order.node, &script, START_DEADLINE, || clearance.still_holds()).await?;
    restore_answer(&order.node.name, &answer.stdout, &answer.stderr)
}

/// Reads what a node knows of a token.
///
/// # Errors
/// The node cannot be reached, is another machine, or its answer is not whole.
pub async fn read_ledger(ssh: &Ssh, order: &LedgerOrder) -> Result<Progress, Finding> {
    let script = reader(order, &ssh.scripts)?;
    let answer = ssh.run(&order.node, &script, READ_DEADLINE, || Ok(())).await?;
    ledger::parse(&answer.stdout, order).map_err(|mut finding| {
        let errors = answer.stderr.trim();
        if !errors.is_empty() {
            finding.detail = format!("{}; {}", finding.detail, errors.chars().take(400).collect::<String>());
        }
        finding
    })
}
