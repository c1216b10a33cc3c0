//! What people are told when a run moves: one log line and one Event for each change, none for standing still.

use lockkeeper_rules::api::UpgradeRun;
use lockkeeper_rules::reason::{Finding, Reason};
use lockkeeper_rules::run::{Position, State, Work};
use lockkeeper_rules::words::name::NodeName;

use crate::events::{Events, Weight};

/// Tells what changed between two states of a run.
pub fn changes(events: &Events, run: &UpgradeRun, before: &State, after: &State) {
    let (step, stage) = here(after);
    match (&before.position, &after.position) {
        (_, Position::Halted(it)) if before.position != after.position => {
            tracing::error!(run = run.name, step, reason = it.finding.reason.code(), finding = %it.finding, "halted");
            events.tell(run, Weight::Warning, &step, "Halted", &it.finding.to_string());
        }
        (_, Position::Succeeded { .. }) if before.position != after.position => {
            tracing::info!(run = run.name, "succeeded");
            events.tell(run, Weight::Normal, "run", "Succeeded", "every node is at the target");
        }
        (Position::Waiting(_), Position::Active(_)) => {
            tracing::info!(run = run.name, step, "step started");
            events.tell(run, Weight::Normal, &step, "StepStarted", &format!("{step} started"));
        }
        (Position::Active(_), Position::Open) => {
            let (step, _) = here(before);
            tracing::info!(run = run.name, step, "step finished");
            events.tell(run, Weight::Normal, &step, "StepFinished", &format!("{step} finished"));
        }
        (Position::Active(_), Position::Waiting(it)) => {
            let why = it.because.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            tracing::warn!(run = run.name, step, why, "step will be tried again");
            events.tell(run, Weight::Warning, &step, "StepWillBeTriedAgain", &why);
        }
        _ if here(before).1 != stage && !stage.is_empty() => {
            tracing::info!(run = run.name, step, stage, "stage");
        }
        _ => {}
    }
    // A run that was deleted is gone before anybody reads its status.
    let is_told = |finding: &&Finding| {
        let is_node = |name: &NodeName| name.0 == finding.subject;
        finding.reason == Reason::SourceNotRestored
            && before.switched.iter().any(is_node)
            && !after.switched.iter().any(is_node)
    };
    for finding in after.holds.iter().map(|(finding, _)| finding).filter(is_told) {
        tracing::warn!(run = run.name, %finding, "a source of packages was not put back");
        events.tell(run, Weight::Warning, "run", "SourceNotRestored", &with_remedy(finding));
    }
    let codes =
        |state: &State| state.holds.iter().map(|(f, _)| (f.reason, f.subject.clone())).collect::<Vec<_>>();
    if codes(before) != codes(after) {
        let why = after.holds.iter().map(|(finding, _)| finding.to_string()).collect::<Vec<_>>().join("; ");
        if why.is_empty() {
            tracing::info!(run = run.name, step, "nothing holds any more");
        } else {
            tracing::info!(run = run.name, step, why, "holding");
            events.tell(run, Weight::Normal, if step.is_empty() { "run" } else { &step }, "Holding", &why);
        }
    }
}

/// Tells that a run is left alone. Its status is not written over, so an Event is all that `kubectl describe` can show.
pub fn unreadable(events: &Events, run: &UpgradeRun, finding: &Finding) {
    tracing::error!(run = run.name, %finding, "the run is left alone: its status cannot be read");
    events.tell(run, Weight::Warning, "run", "StatusUnreadable", &with_remedy(finding));
}

fn with_remedy(finding: &Finding) -> String {
    format!("{finding}. Remedy: {}.", finding.reason.entry().remedy)
}

fn here(state: &State) -> (String, &'static str) {
    let step = state.step().map(ToString::to_string).unwrap_or_default();
    let stage = match &state.position {
        Position::Active(it) => match &it.work {
            Work::OneNode(work) => work.stage.name(),
            Work::Whole | Work::EveryNode { .. } => "",
        },
        Position::Open | Position::Waiting(_) | Position::Halted(_) | Position::Succeeded { .. } => "",
    };
    (step, stage)
}
