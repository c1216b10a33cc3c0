//! The state as it is stored, with the lines that people read.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::state::{
    Action, Active, Attempted, Finished, Halted, Intended, Milestone, Position, State, Unsent, Waiting, Work,
};
use crate::api::{
    ActiveStep, AttemptedStep, Condition, FinishedStep, Halt, Hold, Intent, RunPhase, StoredFinding, Summary,
    UnsentNotice, UpgradeRunStatus, WaitingStep,
};
use crate::reason::{Finding, Reason};
use crate::words::step::Step;

/// What the stored form shows beside the state itself.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The status before.
    pub previous: Option<&'a UpgradeRunStatus>,
    /// `metadata.generation`.
    pub generation: i64,
    /// The step that follows the one at hand, empty if none.
    pub next: &'a str,
    /// Nodes at the target, such as 2/3, empty if unknown.
    pub progress: &'a str,
    /// The run was deleted.
    pub ending: bool,
}

/// Writes a state down. `State::parse` reads the same state back.
#[must_use]
pub fn status(state: &State, shown: &Shown<'_>, now: Timestamp) -> UpgradeRunStatus {
    let (mut waiting, mut halted, mut finished_at) = (None, None, None);
    match &state.position {
        Position::Open | Position::Active(_) => {}
        Position::Waiting(it) => waiting = Some(store_waiting(it)),
        Position::Halted(it) => halted = Some(store_halted(it)),
        Position::Succeeded { at } => finished_at = Some(*at),
    }
    UpgradeRunStatus {
        schema_version: state.schema_version(),
        phase: phase(state, shown.ending),
        from: state.from.as_ref().map(ToString::to_string),
        started_at: state.started_at,
        finished_at,
        sequence: state.sequence,
        waiting,
        active: state.active().map(store_active).collect(),
        finished: state.finished.iter().map(store_finished).collect(),
        attempted: state.attempted.iter().map(store_attempted).collect(),
        progressed_at: state.progressed_at,
        nodes_done: state.nodes_done,
        failed: state.failed.iter().map(store_halted).collect(),
        workers_done: state.workers_done,
        soaking: state.soaking.clone(),
        soak_until: state.soak_until,
        snapshot: state.snapshot.clone(),
        manifests: state.manifests.clone(),
        prepare_again: state.prepare_again.clone(),
        silences: state.silences.clone(),
        switched: state.switched.clone(),
        restoring_since: state.restoring_since,
        halted,
        holds: all_holds(state).map(|(step, finding, since)| store_hold(step, finding, since)).collect(),
        summary: summary(state, shown),
        history: state.history.clone(),
        unsent_notices: state.unsent.iter().map(store_unsent).collect(),
        conditions: conditions(state, shown, now),
        observed_generation: shown.generation,
    }
}

/// Where a state stands, in one word.
#[must_use]
pub fn phase(state: &State, ending: bool) -> RunPhase {
    if ending {
        return RunPhase::Ending;
    }
    match &state.position {
        Position::Open | Position::Waiting(_) if !state.running.is_empty() => RunPhase::Running,
        Position::Open if state.holds.iter().any(|(f, _)| f.reason == Reason::QueuedBehindRun) => {
            RunPhase::Queued
        }
        Position::Open | Position::Waiting(_) => RunPhase::Waiting,
        Position::Active(_) => RunPhase::Running,
        Position::Halted(_) => RunPhase::Halted,
        Position::Succeeded { .. } => RunPhase::Succeeded,
    }
}

fn store_waiting(it: &Waiting) -> WaitingStep {
    WaitingStep {
        step: it.step.to_string(),
        token: it.token.to_string(),
        minted_at: it.minted_at,
        not_before: it.not_before,
        because: it.because.iter().map(StoredFinding::from).collect(),
    }
}

fn store_active(it: &Active) -> ActiveStep {
    let (stage, node, cursor, drain_since, returning) = match &it.work {
        Work::Whole => (None, None, None, None, None),
        Work::EveryNode { cursor } => (None, None, cursor.clone(), None, None),
        Work::OneNode(work) => (
            Some(work.stage.name().to_owned()),
            Some(work.before.clone()),
            None,
            work.drain_since,
            work.returning.as_ref().map(StoredFinding::from),
        ),
    };
    ActiveStep {
        step: it.step.to_string(),
        token: it.token.to_string(),
        started_at: it.started_at,
        stage,
        stage_since: it.stage_since,
        intent: it.intent.as_ref().map(store_intent),
        node,
        cursor,
        held_since: it.held_since,
        drain_since,
        returning,
    }
}

fn store_intent(it: &Intended) -> Intent {
    let pods = match &it.action {
        Action::Evict(pods) => pods.clone(),
        Action::Cordon | Action::Start | Action::Uncordon => Vec::new(),
    };
    Intent {
        action: it.action.name().to_owned(),
        node: it.node.clone(),
        at: it.at,
        unsent: it.unsent,
        created: it.created.clone(),
        pods,
    }
}

fn store_halted(it: &Halted) -> Halt {
    Halt { step: it.step.to_string(), attempt: it.attempt, at: it.at, finding: (&it.finding).into() }
}

fn store_unsent(it: &Unsent) -> UnsentNotice {
    let halted = match &it.milestone {
        Milestone::Halted(it) => Some(store_halted(it)),
        Milestone::Opened | Milestone::Finished => None,
    };
    UnsentNotice { kind: it.milestone.name().to_owned(), sequence: it.sequence, at: it.at, halted }
}

fn store_attempted(it: &Attempted) -> AttemptedStep {
    AttemptedStep {
        step: it.step.to_string(),
        attempt: it.attempt,
        not_before: it.not_before,
        uid: it.uid.clone(),
        begun: it.begun,
    }
}

fn store_finished(it: &Finished) -> FinishedStep {
    FinishedStep {
        step: it.step.to_string(),
        token: it.token.to_string(),
        started_at: it.started_at,
        finished_at: it.finished_at,
    }
}

/// What the run waits for, then what its running steps wait for.
fn all_holds(state: &State) -> impl Iterator<Item = (Option<&Step>, &Finding, Timestamp)> {
    let of_run = state.holds.iter().map(|(finding, since)| (None, finding, *since));
    let of_steps = state
        .running
        .iter()
        .flat_map(|it| it.holds.iter().map(|(finding, since)| (Some(&it.active.step), finding, *since)));
    of_run.chain(of_steps)
}

fn store_hold(step: Option<&Step>, finding: &Finding, since: Timestamp) -> Hold {
    Hold {
        step: step.map(ToString::to_string),
        reason: finding.reason.code().to_owned(),
        subject: finding.subject.clone(),
        detail: finding.detail.clone(),
        words: finding.words.clone(),
        remedy: finding.reason.entry().remedy.to_owned(),
        since,
    }
}

fn summary(state: &State, shown: &Shown<'_>) -> Summary {
    let step = state.step().map(ToString::to_string).unwrap_or_default();
    let node = state.step().and_then(|step| step.node()).map(ToString::to_string).unwrap_or_default();
    let since = match &state.position {
        Position::Open => match state.active().next() {
            Some(it) => Some(it.stage_since),
            None => state.holds.iter().map(|(_, since)| *since).min(),
        },
        Position::Waiting(it) => Some(it.minted_at),
        Position::Active(it) => Some(it.stage_since),
        Position::Halted(it) => Some(it.at),
        Position::Succeeded { at } => Some(*at),
    };
    let waiting_for = match &state.position {
        Position::Halted(it) => it.finding.reason.code(),
        Position::Succeeded { .. } => "",
        Position::Open | Position::Waiting(_) | Position::Active(_) => {
            all_holds(state).next().map_or("", |(_, finding, _)| finding.reason.code())
        }
    };
    Summary {
        step,
        node,
        waiting_for: waiting_for.to_owned(),
        since,
        next: shown.next.to_owned(),
        progress: shown.progress.to_owned(),
    }
}

/// Reasons for which a run is not taken up: what it says of itself never changes, neither its target nor its namespace.
const NOT_ACCEPTED: [Reason; 6] = [
    Reason::NotServed,
    Reason::TargetNotAVersion,
    Reason::TargetPrerelease,
    Reason::TargetDowngrade,
    Reason::TargetSkipsMinor,
    Reason::TargetOtherMajor,
];

fn conditions(state: &State, shown: &Shown<'_>, now: Timestamp) -> Vec<Condition> {
    let first =
        |wanted: &dyn Fn(Reason) -> bool| all_holds(state).map(|(_, f, _)| f).find(|f| wanted(f.reason));
    let accepted = match first(&|reason| NOT_ACCEPTED.contains(&reason)) {
        Some(finding) => ("False", camel(finding.reason), sentence(finding)),
        None => ("True", "TargetAccepted".to_owned(), "The target can be judged.".to_owned()),
    };
    let progressing = match &state.position {
        Position::Halted(it) => ("False", camel(it.finding.reason), sentence(&it.finding)),
        Position::Succeeded { .. } => ("False", "Succeeded".to_owned(), "Nothing is left to do.".to_owned()),
        Position::Open | Position::Waiting(_) | Position::Active(_) => match all_holds(state).next() {
            Some((_, finding, _)) => ("False", camel(finding.reason), all_sentences(state)),
            None => ("True", "StepRunning".to_owned(), "A step runs.".to_owned()),
        },
    };
    let succeeded = match &state.position {
        Position::Succeeded { .. } => {
            ("True", "EveryNodeAtTarget".to_owned(), "Every node runs the target.".to_owned())
        }
        Position::Halted(it) => ("False", camel(it.finding.reason), sentence(&it.finding)),
        Position::Open | Position::Waiting(_) | Position::Active(_) => {
            ("False", "InProgress".to_owned(), "The run is not over.".to_owned())
        }
    };
    [("Accepted", accepted), ("Progressing", progressing), ("Succeeded", succeeded)]
        .into_iter()
        .map(|(type_, (status, reason, message))| condition(type_, status, reason, message, shown, now))
        .collect()
}

fn condition(
    type_: &str,
    status: &str,
    reason: String,
    message: String,
    shown: &Shown<'_>,
    now: Timestamp,
) -> Condition {
    let before =
        shown.previous.and_then(|s| s.conditions.iter().find(|c| c.type_ == type_ && c.status == status));
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason,
        message,
        last_transition_time: before.map_or(now, |c| c.last_transition_time),
        observed_generation: shown.generation,
    }
}

fn camel(reason: Reason) -> String {
    reason.code().split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

/// The longest message of a condition, in characters; the API server allows 32768 bytes.
const MESSAGE_LENGTH_MAX: usize = 2_000;

fn sentence(finding: &Finding) -> String {
    sentences(std::iter::once(finding))
}

fn all_sentences(state: &State) -> String {
    sentences(all_holds(state).map(|(_, finding, _)| finding))
}

/// One sentence for each reason with all that it is about, so that one reason with many subjects leaves room for
/// the others.
fn sentences<'a>(findings: impl Iterator<Item = &'a Finding>) -> String {
    let mut by_reason: BTreeMap<Reason, Vec<String>> = BTreeMap::new();
    for finding in findings {
        let about = [finding.subject.as_str(), finding.detail.as_str()];
        let about = about.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ");
        let abouts = by_reason.entry(finding.reason).or_default();
        abouts.extend(Some(about).filter(|about| !about.is_empty()));
    }
    let sentence = |(reason, abouts): (Reason, Vec<String>)| {
        let entry = reason.entry();
        let about = if abouts.is_empty() { String::new() } else { format!(" ({})", abouts.join("; ")) };
        format!("{}{about}. Remedy: {}.", entry.meaning, entry.remedy)
    };
    let text = by_reason.into_iter().map(sentence).collect::<Vec<_>>().join(" ");
    text.chars().take(MESSAGE_LENGTH_MAX).collect()
}
