//! The samples of runs: what waits for a permit, what runs, what is held.

use std::collections::{BTreeMap, BTreeSet};

use super::current::{current_run, is_halted};
use super::node_state::waiting;
use super::progress::progressed_at;
use super::samples::Samples;
use super::table::*;
use crate::api::{Hold, RunPhase, UpgradeRun};
use crate::reason::Finding;
use crate::run::unreadable;
use crate::words::name::Token;
use crate::words::step::{Phase, Step};

impl Samples {
    /// The run that people mean by "the upgrade", and whether any has halted: none hides the halt of another.
    pub(super) fn run(&mut self, runs: &[UpgradeRun]) {
        let run = current_run(runs);
        let status = run.and_then(|run| run.status.as_ref());
        self.flag(&IN_FLIGHT, [], run.is_some());
        self.flag(&HALTED, [], runs.iter().filter(|run| run.is_open()).any(is_halted));
        let now = run.map_or("idle", run_phase);
        let ends = ["idle", "queued", "ending", "halted"];
        for phase in ends.into_iter().chain(Phase::open().map(Phase::name)) {
            self.flag(&PHASE, [phase], phase == now);
        }
        let snapshot = status.and_then(|status| status.snapshot.as_ref());
        self.flag(&SNAPSHOT_TAKEN, [], snapshot.is_some());
        if let Some(snapshot) = snapshot {
            self.time(&SNAPSHOT_TIMESTAMP, [], snapshot.taken_at);
            #[expect(clippy::cast_precision_loss, reason = "a size in bytes is exact up to 8 PiB")]
            self.add(&SNAPSHOT_SIZE, [], snapshot.size_bytes as f64);
        }
        if let Some(run) = run {
            let from = status.and_then(|status| status.from.as_deref()).unwrap_or_default();
            // What people wrote has no bound; a label value should have one.
            let target: String = run.spec.target.chars().take(40).collect();
            self.add(&RUN_INFO, [&run.name, from, &target], 1.0);
            if let Some(at) = status.and_then(|status| status.started_at) {
                self.time(&STARTED, [&run.name], at);
            }
        }
    }

    /// Which runs cannot be read, and which can. A run that is over and cannot be read cannot be deleted either.
    pub(super) fn unreadable(&mut self, runs: &[UpgradeRun]) {
        let mut shown = BTreeMap::new();
        for run in runs {
            let is_unreadable = unreadable(run).is_some();
            if is_unreadable || run.is_open() {
                *shown.entry(run.name.as_str()).or_insert(false) |= is_unreadable;
            }
        }
        for (name, is_unreadable) in shown {
            self.flag(&RUN_UNREADABLE, [name], is_unreadable);
        }
    }

    /// How far a run is, what waits and what runs. Of a run that has halted nothing waits: nobody may ask for a
    /// permit for it. What runs beside a step that has failed is shown. A run that cannot be read shows neither.
    pub(super) fn steps(&mut self, run: &UpgradeRun, runs: &[UpgradeRun]) {
        if let Some(at) = progressed_at(run, runs) {
            self.time(&PROGRESS, [&run.name], at);
        }
        let Some(status) = &run.status else { return };
        let unreadable = unreadable(run);
        self.holds(&run.name, &status.holds, unreadable.as_ref());
        if unreadable.is_some() {
            return;
        }
        let is_halted = status.halted.is_some() || status.phase == RunPhase::Halted;
        if let Some((waiting, step)) = waiting(status).filter(|_| !is_halted) {
            let class = step.phase().gate_class();
            let labels = [&run.name, &waiting.step, step.phase().name(), &waiting.token, class.label()];
            self.add(&STEP_PENDING, labels, 1.0);
            self.time(&STEP_NOT_BEFORE, [&waiting.token], waiting.not_before);
        }
        for active in &status.active {
            let (Ok(step), Ok(_)) = (active.step.parse::<Step>(), active.token.parse::<Token>()) else {
                continue;
            };
            let labels = [&run.name, active.step.as_str(), step.phase().name(), &active.token];
            self.add(&STEP_RUNNING, labels, 1.0);
            // One that goes from node to node does not stand still as long as the node changes.
            let since = if active.node.is_some() { active.started_at } else { active.stage_since };
            self.time(&STEP_RUNNING_SINCE, labels, since);
        }
    }

    fn holds(&mut self, run: &str, holds: &[Hold], unreadable: Option<&Finding>) {
        let stored = holds.iter().map(|hold| hold.reason.as_str());
        let reasons: BTreeSet<&str> = stored.chain(unreadable.map(|finding| finding.reason.code())).collect();
        for reason in reasons {
            self.add(&HOLD_REASON, [run, reason], 1.0);
        }
        if let Some(since) = holds.iter().map(|hold| hold.since).min() {
            self.time(&HOLDING_SINCE, [run], since);
        }
    }
}

/// The phase of a run: the kind of its step while it has one.
fn run_phase(run: &UpgradeRun) -> &'static str {
    let Some(status) = &run.status else { return "queued" };
    let of_step = |step: &str| step.parse::<Step>().map_or("queued", |step| step.phase().name());
    match status.phase {
        RunPhase::Halted => "halted",
        RunPhase::Ending => "ending",
        RunPhase::Queued => "queued",
        RunPhase::Succeeded => "idle",
        RunPhase::Waiting | RunPhase::Running => match (status.active.first(), &status.waiting) {
            (Some(active), _) => of_step(&active.step),
            (None, Some(waiting)) => of_step(&waiting.step),
            (None, None) => of_step(&status.summary.step),
        },
    }
}

#[cfg(test)]
mod tests;
