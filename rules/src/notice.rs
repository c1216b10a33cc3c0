//! What is news of a run: decided here as data, put into words by whoever sends it.
//!
//! ```text
//!   state as it is stored ───┐            ┌─▶ once:   sent after the state is stored, and never again
//!                            ├─▶ notices ─┤
//!   state as it was decided ─┘            └─▶ unsent: stored with the state, and sent until every channel is through
//! ```
//!
//! The stored state is the cursor. What can be lost is news only in the turn that stores it, so that whoever restarts
//! has nothing to tell of the past. What must not be lost is kept in the status until it is sent: after a restart it may
//! come twice, with the same id.

use jiff::Timestamp;

use crate::api::UpgradeRun;
use crate::reason::{Finding, Reason};
use crate::run::{Active, Halted, Milestone, Position, State, Unsent, Work};
use crate::words::name::NodeName;
use crate::words::step::{Stage, Step};
use crate::words::version::Version;

#[cfg(test)]
mod tests;

/// How many are kept until they are sent. Each is kept for a minute or so, and a run can halt again only after a person
/// has looked: only somebody else's writing gets there, and the newest are kept.
const UNSENT_LENGTH_MAX: usize = 10;

/// One piece of news about one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// The run's namespace.
    pub namespace: String,
    /// The run's name.
    pub name: String,
    /// The run's uid.
    pub uid: String,
    /// The last sequence number that the run had given to a token.
    pub sequence: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// Which notice this is, if it may come more than once: the run's uid, the sequence number and the kind. A run opens
    /// and finishes once, and halts once for each token.
    pub id: Option<String>,
    /// What happened.
    pub news: News,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// The run has taken the cluster.
    Opened {
        /// The oldest version that ran then, if it could be read.
        from: Option<Version>,
        /// What the run goes to.
        target: String,
    },
    /// A step has got its permit.
    StepStarted(Step),
    /// A part of a node's step has begun.
    StageStarted(Step, Stage),
    /// A step is over, with success.
    StepFinished(Step),
    /// A step has made room for what comes before it, and has changed nothing.
    StepNotBegun(Step),
    /// An attempt is over without success, and another one waits.
    StepRetried {
        /// The step.
        step: Step,
        /// Why the attempt ended.
        because: Vec<Finding>,
    },
    /// A worker's step has failed, and the run goes on.
    StepFailed(Halted),
    /// The run waits for something else than before.
    Holding {
        /// The step at hand, if there is one.
        step: Option<Step>,
        /// Everything that is waited for; empty if nothing is any more.
        findings: Vec<Finding>,
    },
    /// A person must look.
    Halted(Halted),
    /// A person has looked, and the step that halted waits for its permit again.
    Resumed {
        /// The step.
        step: Step,
        /// The attempt that waits.
        attempt: u32,
    },
    /// Every node is at the target.
    Finished,
    /// A node's source of packages stays switched, and the run is over.
    SourceNotRestored(Finding),
    /// The run is left alone, because its status cannot be read.
    StatusUnreadable(Finding),
    /// The independent checker has refused a command.
    CommandRefused(Finding),
}

/// What is news once a state is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Notices {
    /// To be sent once it is stored, and never again.
    pub once: Vec<Notice>,
    /// To be stored with it as [`State::unsent`].
    pub unsent: Vec<Unsent>,
}

impl Notice {
    /// A notice that is sent once.
    #[must_use]
    pub fn new(run: &UpgradeRun, sequence: u64, at: Timestamp, news: News) -> Self {
        let (namespace, name, uid) = (run.namespace.clone(), run.name.clone(), run.uid.clone());
        Self { namespace, name, uid, sequence, at, id: None, news }
    }

    /// What the stored record of a notice says.
    fn kept(run: &UpgradeRun, state: &State, unsent: &Unsent) -> Self {
        let news = match &unsent.milestone {
            Milestone::Opened => News::Opened { from: state.from.clone(), target: run.spec.target.clone() },
            Milestone::Halted(it) => News::Halted(it.clone()),
            Milestone::Finished => News::Finished,
        };
        Self { id: Some(id(run, unsent)), ..Self::new(run, unsent.sequence, unsent.at, news) }
    }
}

/// What is news of a run that is stored as `before`, once `after` is stored. `is_sent` says of which ids every channel
/// is through.
#[must_use]
pub fn notices(
    run: &UpgradeRun,
    before: &State,
    after: &State,
    is_sent: impl Fn(&str) -> bool,
    now: Timestamp,
) -> Notices {
    let waits = before.unsent.iter().filter(|unsent| !is_sent(&id(run, unsent))).cloned();
    let new = |milestone| Unsent { sequence: after.sequence, at: now, milestone };
    let mut unsent: Vec<_> = waits.chain(milestones(before, after).into_iter().map(new)).collect();
    unsent.drain(..unsent.len().saturating_sub(UNSENT_LENGTH_MAX));
    let news =
        moved(before, after).into_iter().chain(left_switched(before, after)).chain(holding(before, after));
    let once = news.map(|news| Notice::new(run, after.sequence, now, news)).collect();
    Notices { once, unsent }
}

/// What is to be sent of a stored state, the oldest first, until every channel is through with it.
#[must_use]
pub fn unsent(run: &UpgradeRun, state: &State) -> Vec<Notice> {
    state.unsent.iter().map(|unsent| Notice::kept(run, state, unsent)).collect()
}

fn id(run: &UpgradeRun, unsent: &Unsent) -> String {
    format!("{}/{}/{}", run.uid, unsent.sequence, unsent.milestone.name())
}

fn milestones(before: &State, after: &State) -> Vec<Milestone> {
    let opened = (before.started_at.is_none() && after.started_at.is_some()).then_some(Milestone::Opened);
    let reached = match &after.position {
        Position::Halted(it) => Some(Milestone::Halted(it.clone())),
        Position::Succeeded { .. } => Some(Milestone::Finished),
        Position::Open | Position::Waiting(_) | Position::Active(_) => None,
    };
    opened.into_iter().chain(reached.filter(|_| before.position != after.position)).collect()
}

/// How the steps at hand have gone on, oldest first.
fn moved(before: &State, after: &State) -> Vec<News> {
    let in_after = |it: &Active| after.active().find(|now| now.token == it.token);
    let in_before = |it: &Active| before.active().find(|was| was.token == it.token);
    let over = before.active().filter(|it| in_after(it).is_none());
    let over = over.filter_map(|it| ended(it, before, after));
    let going = after.active().filter_map(|it| match in_before(it) {
        None => Some(News::StepStarted(it.step.clone())),
        Some(was) => stage(it)
            .filter(|stage| self::stage(was) != Some(*stage))
            .map(|stage| News::StageStarted(it.step.clone(), stage)),
    });
    let resumed = match (&before.position, &after.position) {
        (Position::Halted(_), Position::Waiting(it)) => {
            Some(News::Resumed { step: it.step.clone(), attempt: it.token.attempt })
        }
        _ => None,
    };
    over.chain(going).chain(resumed).collect()
}

/// What has become of a step that runs no more; nothing if it has halted the run, which is news of its own.
fn ended(it: &Active, before: &State, after: &State) -> Option<News> {
    let step = || it.step.clone();
    match &after.position {
        Position::Halted(halted) if halted.step == it.step => return None,
        Position::Waiting(again) if again.step == it.step => {
            return Some(News::StepRetried { step: step(), because: again.because.clone() });
        }
        Position::Open
        | Position::Waiting(_)
        | Position::Active(_)
        | Position::Halted(_)
        | Position::Succeeded { .. } => {}
    }
    if let Some(failed) = after.failed.iter().find(|failed| failed.step == it.step) {
        return Some(News::StepFailed(failed.clone()));
    }
    // It waits behind another step for its next attempt.
    if after.attempted(&it.step).is_some_and(|tried| tried.attempt == it.token.attempt) {
        return Some(News::StepRetried { step: step(), because: Vec::new() });
    }
    let is_recorded = after.finished(&it.step).is_some_and(|finished| finished.token == it.token);
    let is_tried = after.attempted(&it.step).is_some();
    if is_recorded || after.nodes_done > before.nodes_done && !is_tried {
        return Some(News::StepFinished(step()));
    }
    Some(News::StepNotBegun(step()))
}

fn stage(it: &Active) -> Option<Stage> {
    match &it.work {
        Work::OneNode(work) => Some(work.stage),
        Work::Whole | Work::EveryNode { .. } => None,
    }
}

/// The nodes whose source was given up just now. A run that was deleted is gone before anybody reads its status.
fn left_switched(before: &State, after: &State) -> Vec<News> {
    let is_in = |switched: &[NodeName], finding: &Finding| switched.iter().any(|n| n.0 == finding.subject);
    let findings = after.holds.iter().map(|(finding, _)| finding);
    let is_given_up = |finding: &&Finding| {
        finding.reason == Reason::SourceNotRestored
            && is_in(&before.switched, finding)
            && !is_in(&after.switched, finding)
    };
    findings.filter(is_given_up).cloned().map(News::SourceNotRestored).collect()
}

/// What the run and its steps wait for.
fn all_holds(state: &State) -> impl Iterator<Item = &(Finding, Timestamp)> {
    state.holds.iter().chain(state.running.iter().flat_map(|it| &it.holds))
}

/// What is waited for, if that is something else than before. Details count up and down by themselves, and are no news.
fn holding(before: &State, after: &State) -> Option<News> {
    fn about(state: &State) -> impl Iterator<Item = (Reason, &str)> {
        all_holds(state).map(|(finding, _)| finding.about())
    }
    let findings = || all_holds(after).map(|(finding, _)| finding.clone()).collect();
    (!about(before).eq(about(after)))
        .then(|| News::Holding { step: after.step().cloned(), findings: findings() })
}
