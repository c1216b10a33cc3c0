//! What is going on, for people and programs: the sources with their ages, the runs with what they wait for.

use jiff::Timestamp;
use lockkeeper_rules::api::{Hold, RunPhase, UpgradeRun};
use lockkeeper_rules::cluster::inventory::Inventory;
use lockkeeper_rules::cluster::snapshot::{Reading, RunElsewhere, Snapshot};
use lockkeeper_rules::reason::Finding;
use lockkeeper_rules::run::{not_served, unreadable};
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

/// How many runs are shown that are not served: anybody who may make one may make thousands.
const NOT_SERVED_SHOWN_MAX: usize = 20;

/// Every run that is open, and some of those that nothing is done for.
#[must_use]
pub fn runs(snapshot: &Snapshot) -> Vec<RunStatus> {
    let served = snapshot.runs.value.iter().flatten().filter(|run| run.is_open());
    let elsewhere = snapshot.runs_elsewhere.value.iter().flatten();
    let elsewhere = elsewhere.filter(|run| run.phase != Some(RunPhase::Succeeded)).take(NOT_SERVED_SHOWN_MAX);
    served.map(run_status).chain(elsewhere.map(run_not_served)).collect()
}

/// Of what its status says, only where it stood: a run that was served before may hold a node.
fn run_not_served(run: &RunElsewhere) -> RunStatus {
    let Finding { reason, subject, detail, words } = not_served(&run.namespace);
    let hold = Hold {
        step: None,
        reason: reason.code().to_owned(),
        subject,
        detail,
        words,
        remedy: reason.entry().remedy.to_owned(),
        since: run.created_at.unwrap_or(Timestamp::UNIX_EPOCH),
    };
    RunStatus {
        run: format!("{}/{}", run.namespace, run.name),
        target: run.target.clone(),
        phase: run.phase,
        step: String::new(),
        since: None,
        progress: String::new(),
        waits_for: vec![hold],
        halted: None,
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::upgrade_run::RawUpgradeRun;
    use lockkeeper_rules::cluster::snapshot::{Source, served_apart};
    use serde_json::json;

    #[test]
    fn runs_that_are_not_served_are_said_so_after_the_others_and_never_drown_them() {
        let run = |namespace: &str, name: usize| {
            let object = json!({
                "metadata": {"namespace": namespace, "name": format!("run-{name}")}, "spec": {"target": "v1.36.3"},
                "status": {"schemaVersion": 1, "phase": "Running", "summary": {"step": "worker/w-1"}},
            });
            UpgradeRun::from(serde_json::from_value::<RawUpgradeRun>(object).unwrap())
        };
        let many = (0..100).map(|name| run("a", name)).chain([run("k8s-upgrade", 0)]).collect();
        let list = Source::read(many, Timestamp::UNIX_EPOCH);
        let (runs, runs_elsewhere) = served_apart(list, &["k8s-upgrade".to_owned()]);
        let shown = super::runs(&Snapshot { runs, runs_elsewhere, ..Snapshot::unread() });
        assert_eq!(shown.len(), 1 + NOT_SERVED_SHOWN_MAX);
        assert_eq!((shown[0].run.as_str(), shown[0].step.as_str()), ("k8s-upgrade/run-0", "worker/w-1"));
        for run in &shown[1..] {
            assert_eq!((run.phase, run.step.as_str()), (Some(RunPhase::Running), ""), "{run:?}");
            assert_eq!(run.waits_for[0].reason, "not_served", "{run:?}");
        }
    }
}
