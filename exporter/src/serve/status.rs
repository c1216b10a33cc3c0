//! What is going on, for people and programs: the sources with their ages, the runs with what they wait for.

use std::fmt::Write as _;

use jiff::Timestamp;
use lockkeeper_rules::api::{Hold, RunPhase, UpgradeRun};
use lockkeeper_rules::metric::is_open;
use lockkeeper_rules::run::unreadable;
use lockkeeper_rules::snapshot::{Reading, Snapshot};
use serde::Serialize;

use super::view::View;
use super::words::{ago, plain};

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
pub fn sources(view: &View) -> Vec<SourceStatus> {
    let readings = view.snapshot.readings().into_iter().chain(view.inventory.readings());
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

/// Runs and sources as lines for a terminal.
#[must_use]
pub fn text(view: &View, now: Timestamp) -> String {
    let mut out = String::new();
    for run in runs(&view.snapshot) {
        run_text(&mut out, &run, now);
    }
    out.push_str("sources\n");
    for SourceStatus { source, proven_at, error } in sources(view) {
        let age = proven_at.map_or("never proven".to_owned(), |at| format!("proven {} ago", ago(at, now)));
        let error = error.map(|error| format!("; FAILS: {}", plain(&error))).unwrap_or_default();
        line(&mut out, &format!("  {source:<18} {age}{error}"));
    }
    out
}

fn run_text(out: &mut String, run: &RunStatus, now: Timestamp) {
    let phase = run.phase.map_or("not seen by the actuator yet".to_owned(), |phase| format!("{phase:?}"));
    let since = run.since.map(|at| format!(" for {}", ago(at, now))).unwrap_or_default();
    let step = if run.step.is_empty() { String::new() } else { format!(" {}", plain(&run.step)) };
    let progress =
        if run.progress.is_empty() { String::new() } else { format!(", {} nodes", plain(&run.progress)) };
    line(out, &format!("run {} to {}: {phase}{step}{since}{progress}", plain(&run.run), plain(&run.target)));
    if let Some(halted) = &run.halted {
        line(out, &format!("  halted: {}", plain(halted)));
    }
    for Hold { reason, subject, detail, remedy, since } in &run.waits_for {
        let words: Vec<String> = [reason, subject, detail]
            .into_iter()
            .filter(|word| !word.is_empty())
            .map(|word| plain(word))
            .collect();
        line(out, &format!("  waits for {} ({})", words.join(" "), ago(*since, now)));
        line(out, &format!("    -> {}", plain(remedy)));
    }
    out.push('\n');
}

fn line(out: &mut String, line: &str) {
    writeln!(out, "{}", line.trim_end()).expect("a string takes all that is written");
}
