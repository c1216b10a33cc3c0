//! Which run people mean, and how far it is.

use crate::api::{RunPhase, UpgradeRun, UpgradeRunStatus};
use crate::run::unreadable;

/// Whether a run stands still until a person has looked. One that cannot be read is told of by that.
pub(super) fn is_halted(run: &UpgradeRun) -> bool {
    let is_halt = |status: &UpgradeRunStatus| status.phase == RunPhase::Halted || status.halted.is_some();
    run.status.as_ref().is_some_and(is_halt) && unreadable(run).is_none()
}

/// The open run that people mean by "the upgrade": the one that is furthest, then the oldest. One that has halted may
/// hold a node half way, so it comes before one that only waits.
#[must_use]
pub fn current_run(runs: &[UpgradeRun]) -> Option<&UpgradeRun> {
    let rank = |run: &UpgradeRun| match phase(run) {
        Some(RunPhase::Running | RunPhase::Ending) => 0,
        Some(RunPhase::Halted) => 1,
        // One that has begun has held the cluster.
        Some(RunPhase::Waiting) => 3 - i32::from(has_begun(run)),
        Some(RunPhase::Queued) => 4,
        None => 5,
        Some(RunPhase::Succeeded) => 6,
    };
    runs.iter()
        .filter(|run| run.is_open())
        .min_by_key(|run| (rank(run), run.created_at, &run.namespace, &run.name))
}

fn has_begun(run: &UpgradeRun) -> bool {
    run.status.as_ref().is_some_and(|status| status.started_at.is_some())
}

fn phase(run: &UpgradeRun) -> Option<RunPhase> {
    run.status.as_ref().map(|status| status.phase)
}
