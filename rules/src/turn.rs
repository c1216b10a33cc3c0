//! One turn of one run: from what was seen to what is stored, told and ordered.

use jiff::Timestamp;

use crate::api::UpgradeRunStatus;
use crate::notice::{Notice, Notices, notices};
use crate::run::{Decision, Observed, Shown, State, decide, outlook, status};

/// What a turn comes to. Store the status over the version of the run that was read; only then tell and carry out the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The state that follows, and what is to be done.
    pub decision: Decision,
    /// The state, as it is to be stored.
    pub status: UpgradeRunStatus,
    /// What is to be sent once it is stored, and never again.
    pub once: Vec<Notice>,
}

/// Takes a turn. `is_sent` says of which ids every channel is through.
#[must_use]
pub fn take(
    state: &State,
    observed: &Observed<'_>,
    is_sent: impl Fn(&str) -> bool,
    now: Timestamp,
) -> Decided {
    let run = observed.run;
    let mut decision = decide(state, observed, now);
    let Notices { once, unsent } = notices(run, state, &decision.state, is_sent, now);
    decision.state.unsent = unsent;
    let (next, progress) = outlook(&decision.state, observed, now);
    let shown = Shown {
        previous: run.status.as_ref(),
        generation: run.generation,
        next: &next,
        progress: &progress,
        ending: run.deleting,
    };
    let status = status(&decision.state, &shown, now);
    Decided { decision, status, once }
}
