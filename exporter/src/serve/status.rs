//! What is going on, for people and programs: the sources with their ages, the runs with what they wait for.

use jiff::Timestamp;
use lockkeeper_rules::api::{Hold, RunPhase, UpgradeRun};
use lockkeeper_rules::inventory::Inventory;
use lockkeeper_rules::metric::is_open;
use lockkeeper_rules::run::unreadable;
use lockkeeper_rules::snapshot::{Reading, Snapshot};
use serde::Serialize;

/// One source as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceStatus {
    /// Its name.
    pub source: &'static str,
    /// When it was last proven to be current.
    pub proven_at: Option<Timestamp>,
    /// Why the newest read failed.
    pub error: Option<String>,
}

/// One run, as far as people wait for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunStatus {
    /// `namespace/name`.
    pub run: String,
    /// Where it goes, as written.
    pub target: String,
    /// Where it stands; nothing before the actuator has seen it.
    pub phase: Option<RunPhase>,
    /// The step at hand.
    pub step: String,
    /// Since when this is so.
    pub since: Option<Timestamp>,
    /// Nodes at the target, such as 2/3.
    pub progress: String,
    /// Everything that it waits for, with what would clear it.
    pub waits_for: Vec<Hold>,
    /// Why a person must look.
    pub halted: Option<String>,
}

/// Every source.
#[must_use]
pub fn sources(snapshot: &Snapshot, inventory: &Inventory) -> Vec<SourceStatus> {
    let readings = snapshot.readings().into_iter().chain(inventory.readings());
    readings
        .map(|Reading { source, proven_at, error }| SourceStatus {
            source,
            proven_at,
            error: error.map(str::to_owned),
        })
        .collect()
}

/// Every run that is open.
#[must_use]
pub fn runs(snapshot: &Snapshot) -> Vec<RunStatus> {
    snapshot.runs.value.iter().flatten().filter(|run| is_open(run)).map(run_status).collect()
}

fn run_status(run: &UpgradeRun) -> RunStatus {
    let status = run.status.as_ref();
    let unreadable =
        unreadable(run).map(|finding| format!("{finding}; remedy: {}", finding.reason.entry().remedy));
    let halted = status.and_then(|status| status.halted.as_ref()).map(|halt| {
        let finding = &halt.finding;
        let words = [&finding.reason, &finding.subject, &finding.detail];
        words.into_iter().filter(|word| !word.is_empty()).cloned().collect::<Vec<_>>().join(" ")
    });
    RunStatus {
        run: format!("{}/{}", run.namespace, run.name),
        target: run.spec.target.clone(),
        phase: status.map(|status| status.phase),
        step: status.map(|status| status.summary.step.clone()).unwrap_or_default(),
        since: status.and_then(|status| status.summary.since),
        progress: status.map(|status| status.summary.progress.clone()).unwrap_or_default(),
        waits_for: status.map(|status| status.holds.clone()).unwrap_or_default(),
        halted: unreadable.or(halted),
    }
}
