//! The stored status, read back into a state. What contradicts itself is no state.

use super::state::{
    Action, Active, Attempted, Finished, Halted, Intended, Milestone, NodeWork, Position, Running,
    SCHEMA_VERSION, State, Unsent, Waiting, Work,
};
use crate::api::{
    ActiveStep, AttemptedStep, FinishedStep, Halt, Hold, Intent, ManifestRecord, StoredFinding, UnsentNotice,
    UpgradeRun, UpgradeRunStatus, WaitingStep,
};
use crate::driver;
use crate::reason::{Finding, Reason};
use crate::words::name::NodeName;
use crate::words::step::{Stage, Step};
use jiff::Timestamp;

impl State {
    /// Reads what is stored.
    ///
    /// # Errors
    /// The status was written by a newer version, contradicts itself, or is of another run than the one with this uid;
    /// the finding names the field.
    pub fn parse(status: Option<&UpgradeRunStatus>, uid: &str) -> Result<Self, Finding> {
        let Some(status) = status else { return Ok(Self::new()) };
        if !(1..=SCHEMA_VERSION).contains(&status.schema_version) {
            return Err(other_schema(status));
        }
        let state = Self {
            from: status.from.as_deref().map(|text| read("status.from", text)).transpose()?,
            started_at: status.started_at,
            sequence: status.sequence,
            position: position(status)?,
            running: status.active.iter().map(|it| running(it, status)).collect::<Result<_, _>>()?,
            finished: status.finished.iter().map(finished).collect::<Result<_, _>>()?,
            attempted: status.attempted.iter().map(attempted).collect::<Result<_, _>>()?,
            progressed_at: status.progressed_at,
            nodes_done: status.nodes_done,
            failed: status.failed.iter().map(halted).collect::<Result<_, _>>()?,
            workers_done: status.workers_done,
            soaking: status.soaking.clone(),
            soak_until: status.soak_until,
            snapshot: status.snapshot.clone(),
            prepare_again: status.prepare_again.clone(),
            silences: status.silences.clone(),
            switched: status.switched.clone(),
            restoring_since: status.restoring_since,
            manifests: status.manifests.iter().map(manifests).collect::<Result<_, _>>()?,
            holds: holds_of(None, status)?,
            history: status.history.clone(),
            unsent: status.unsent_notices.iter().filter_map(|it| unsent(it, status.sequence)).collect(),
        };
        are_of(uid, &state)?;
        apart(&state)?;
        state.active().try_for_each(one_node)?;
        Ok(state)
    }
}

/// What is told to a node is of its form.
fn manifests(record: &ManifestRecord) -> Result<ManifestRecord, Finding> {
    match driver::malformed_record(record) {
        Some(why) => Err(malformed("status.manifests", why)),
        None => Ok(record.clone()),
    }
}

/// Every token is one that this run has given out. One of another run would be a step that this run never started.
fn are_of(uid: &str, state: &State) -> Result<(), Finding> {
    let running = state.active().map(|it| &it.token);
    let tokens = state.finished.iter().map(|it| &it.token).chain(state.token()).chain(running);
    for token in tokens {
        if token.run.0 != uid {
            return Err(malformed("status", format!("{token} is a token of another run")));
        }
        if token.sequence > state.sequence {
            return Err(malformed("status.sequence", format!("it is {}, after {token}", state.sequence)));
        }
    }
    Ok(())
}

/// No step runs twice, and none that waits runs; a step without a node runs alone. What runs under one token is one step.
fn apart(state: &State) -> Result<(), Finding> {
    let running: Vec<_> = state.active().collect();
    let waiting = match &state.position {
        Position::Waiting(it) => Some((&it.step, &it.token)),
        Position::Open | Position::Active(_) | Position::Halted(_) | Position::Succeeded { .. } => None,
    };
    let all: Vec<_> = running.iter().map(|it| (&it.step, &it.token)).chain(waiting).collect();
    for (index, (step, token)) in all.iter().enumerate() {
        let mut others = all.iter().skip(index + 1);
        if let Some((other, _)) = others.find(|(other, its)| {
            other == step || its == token || step.node().is_none() || other.node().is_none()
        }) {
            return Err(malformed("status.active", format!("{step} and {other} at a time")));
        }
    }
    Ok(())
}

/// What runs on a node is about the node that its step names: else one would be judged and another one changed.
fn one_node(it: &Active) -> Result<(), Finding> {
    let Work::OneNode(work) = &it.work else { return Ok(()) };
    let is_it = |name: &NodeName| it.step.node() == Some(name);
    if !is_it(&work.before.name) {
        return Err(malformed(
            "status.active.node.name",
            format!("it is {}, the step is {}", work.before.name, it.step),
        ));
    }
    match &it.intent {
        Some(intent) if !is_it(&intent.node) => Err(malformed(
            "status.active.intent.node",
            format!("it is {}, the step is {}", intent.node, it.step),
        )),
        _ => Ok(()),
    }
}

/// Why the stored status of a run cannot be read, if it cannot. Nothing is done for such a run, its deletion included:
/// what it holds is not known.
#[must_use]
pub fn unreadable(run: &UpgradeRun) -> Option<Finding> {
    State::parse(run.status.as_ref(), &run.uid).err()
}

fn other_schema(status: &UpgradeRunStatus) -> Finding {
    // What was not even of the shape of a status comes halted, with the reason.
    let told = status.halted.as_ref().and_then(|halt| stored("status.halted", &halt.finding).ok());
    if let Some(told) = told.filter(|it| [Reason::StatusMalformed, Reason::StatusNewer].contains(&it.reason))
    {
        return told;
    }
    let version = status.schema_version;
    let reason = if version > SCHEMA_VERSION { Reason::StatusNewer } else { Reason::StatusMalformed };
    let detail = format!("it is {version}, this version reads 1 to {SCHEMA_VERSION}");
    Finding::new(reason, "status.schemaVersion", detail)
}

fn malformed(field: &str, detail: impl std::fmt::Display) -> Finding {
    Finding::new(Reason::StatusMalformed, field, detail.to_string())
}

fn read<T: std::str::FromStr<Err: std::fmt::Display>>(field: &str, text: &str) -> Result<T, Finding> {
    text.parse().map_err(|error| malformed(field, error))
}

fn reason(field: &str, code: &str) -> Result<Reason, Finding> {
    Reason::from_code(code).ok_or_else(|| malformed(field, format!("unknown reason code {code:?}")))
}

fn stored(field: &str, stored: &StoredFinding) -> Result<Finding, Finding> {
    let StoredFinding { reason: code, subject, detail, words } = stored.clone();
    Ok(Finding { reason: reason(field, &code)?, subject, detail, words })
}

fn held(hold: &Hold) -> Result<(Finding, Timestamp), Finding> {
    let Hold { reason: code, subject, detail, words, remedy: _, step: _, since } = hold.clone();
    Ok((Finding { reason: reason("status.holds", &code)?, subject, detail, words }, since))
}

fn position(status: &UpgradeRunStatus) -> Result<Position, Finding> {
    match (&status.waiting, &status.halted, status.finished_at) {
        (None, None, None) => Ok(Position::Open),
        (Some(it), None, None) => Ok(Position::Waiting(waiting(it)?)),
        (None, Some(it), None) => Ok(Position::Halted(halted(it)?)),
        (None, None, Some(at)) if status.active.is_empty() => Ok(Position::Succeeded { at }),
        (None, None, Some(_)) => Err(malformed("status.finishedAt", "it is set, and a step runs")),
        _ => Err(malformed("status", "more than one of waiting, halted and finishedAt is set")),
    }
}

fn running(it: &ActiveStep, status: &UpgradeRunStatus) -> Result<Running, Finding> {
    Ok(Running { active: active(it)?, holds: holds_of(Some(&it.step), status)? })
}

/// What holds this running step, or the run.
fn holds_of(step: Option<&str>, status: &UpgradeRunStatus) -> Result<Vec<(Finding, Timestamp)>, Finding> {
    let its = status.holds.iter().filter(|hold| hold.step.as_deref() == step);
    its.map(held).collect()
}

fn waiting(it: &WaitingStep) -> Result<Waiting, Finding> {
    Ok(Waiting {
        step: read("status.waiting.step", &it.step)?,
        token: read("status.waiting.token", &it.token)?,
        minted_at: it.minted_at,
        not_before: it.not_before,
        because: it.because.iter().map(|f| stored("status.waiting.because", f)).collect::<Result<_, _>>()?,
    })
}

fn active(it: &ActiveStep) -> Result<Active, Finding> {
    let step: Step = read("status.active.step", &it.step)?;
    let work = match (&step, &it.stage, &it.node) {
        (Step::ControlPlane(_) | Step::Worker(_) | Step::Node(_), Some(stage), Some(before)) => {
            Work::OneNode(NodeWork {
                stage: Stage::from_name(stage)
                    .ok_or_else(|| malformed("status.active.stage", format!("{stage:?} is no stage")))?,
                before: before.clone(),
                drain_since: it.drain_since,
                returning: it.returning.as_ref().map(|f| stored("status.active.returning", f)).transpose()?,
            })
        }
        (Step::ControlPlane(_) | Step::Worker(_) | Step::Node(_), _, _) => {
            return Err(malformed("status.active", "a node's step without stage or node"));
        }
        (Step::Prepare, _, _) => Work::EveryNode { cursor: it.cursor.clone() },
        (Step::Preflight | Step::Snapshot | Step::Postflight, _, _) => Work::Whole,
    };
    Ok(Active {
        step,
        token: read("status.active.token", &it.token)?,
        started_at: it.started_at,
        stage_since: it.stage_since,
        work,
        intent: it.intent.as_ref().map(intended).transpose()?,
        held_since: it.held_since,
    })
}

fn intended(it: &Intent) -> Result<Intended, Finding> {
    let action = match it.action.as_str() {
        "cordon" => Action::Cordon,
        "evict" => Action::Evict(it.pods.clone()),
        "unit" => Action::Start,
        "uncordon" => Action::Uncordon,
        other => return Err(malformed("status.active.intent.action", format!("{other:?} is no action"))),
    };
    Ok(Intended { action, node: it.node.clone(), at: it.at, unsent: it.unsent, created: it.created.clone() })
}

fn halted(it: &Halt) -> Result<Halted, Finding> {
    Ok(Halted {
        step: read("status.halted.step", &it.step)?,
        attempt: it.attempt,
        at: it.at,
        finding: stored("status.halted.finding", &it.finding)?,
    })
}

/// What is to be told of a run never keeps it from going on: a notice that cannot be read is none.
fn unsent(it: &UnsentNotice, sequence_max: u64) -> Option<Unsent> {
    let milestone = match (it.kind.as_str(), &it.halted) {
        ("opened", None) => Milestone::Opened,
        ("halted", Some(it)) => Milestone::Halted(halted(it).ok()?),
        ("finished", None) => Milestone::Finished,
        _ => return None,
    };
    (it.sequence <= sequence_max).then_some(Unsent { sequence: it.sequence, at: it.at, milestone })
}

fn attempted(it: &AttemptedStep) -> Result<Attempted, Finding> {
    Ok(Attempted {
        step: read("status.attempted.step", &it.step)?,
        attempt: it.attempt,
        not_before: it.not_before,
        uid: it.uid.clone(),
        begun: it.begun,
    })
}

fn finished(it: &FinishedStep) -> Result<Finished, Finding> {
    Ok(Finished {
        step: read("status.finished.step", &it.step)?,
        token: read("status.finished.token", &it.token)?,
        started_at: it.started_at,
        finished_at: it.finished_at,
    })
}
