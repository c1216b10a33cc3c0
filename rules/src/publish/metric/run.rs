//! The samples of runs: what waits for a permit, what runs, what is held.

use std::collections::{BTreeMap, BTreeSet};

use super::progress::progressed_at;
use super::samples::Samples;
use super::table::*;
use crate::api::{Hold, RunPhase, UpgradeRun, UpgradeRunStatus};
use crate::cluster::snapshot::Node;
use crate::reason::Finding;
use crate::run::{is_in_hand, unreadable};
use crate::words::name::Token;
use crate::words::step::{Phase, Step};
use crate::words::version::Version;

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

    /// How far a run is, what waits and what runs. A run that has halted or cannot be read shows neither: nobody may ask for a permit
    /// for it.
    pub(super) fn steps(&mut self, run: &UpgradeRun, runs: &[UpgradeRun]) {
        if let Some(at) = progressed_at(run, runs) {
            self.time(&PROGRESS, [&run.name], at);
        }
        let Some(status) = &run.status else { return };
        let unreadable = unreadable(run);
        self.holds(&run.name, &status.holds, unreadable.as_ref());
        if unreadable.is_some() || status.halted.is_some() || status.phase == RunPhase::Halted {
            return;
        }
        if let Some((waiting, step)) = waiting(status) {
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

/// The waiting step, if its words are what they should be.
fn waiting(status: &UpgradeRunStatus) -> Option<(&crate::api::WaitingStep, Step)> {
    let waiting = status.waiting.as_ref()?;
    waiting.token.parse::<Token>().ok()?;
    Some((waiting, waiting.step.parse().ok()?))
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

pub(super) fn node_state(node: &Node, run: &UpgradeRun) -> &'static str {
    let status = run.status.as_ref();
    let is_of = |step: &str| step.parse::<Step>().is_ok_and(|step| step.node() == Some(&node.name));
    let halted = status.and_then(|status| status.halted.as_ref());
    let is_run = || status.is_some_and(|status| status.active.iter().any(|active| is_of(&active.step)));
    // A node that is broken half way must not close the gate of the attempt that would mend it.
    let is_waited_for = || {
        let (waiting, token) = status.and_then(waiting).map(|(it, _)| (it, it.token.parse::<Token>()))?;
        Some(is_of(&waiting.step) && token.is_ok_and(|token| is_in_hand(run, &token, node)))
    };
    let at_target = || {
        let target = run.spec.target.parse::<Version>().ok()?;
        Some(node.kubelet_version.as_ref().ok()?.cmp_precedence(&target).is_eq())
    };
    if halted.is_some_and(|halt| is_of(&halt.step)) {
        "failed"
    } else if is_run() || is_waited_for().unwrap_or(false) {
        "upgrading"
    } else if run.spec.skip.contains(&node.name.0) {
        "skipped"
    } else if at_target().unwrap_or(false) {
        "upgraded"
    } else {
        "pending"
    }
}

#[cfg(test)]
mod tests;
