//! What a clock that was set leaves behind. Times are stored, and the clock that they are compared with may have been
//! set since, or be another machine's.

use jiff::{SignedDuration, Timestamp};

use super::moves::{mint, remember};
use super::observed::Observed;
use super::state::{Position, Running, State, Waiting};
use crate::reason::{Finding, Reason};

/// Brings back what a clock that was set back left in the future: a wait to the longest that there is, and the
/// beginning of something to now, so that its deadline runs. What two clocks that agree may differ by is left alone.
pub(super) fn set_right(mut state: State, observed: &Observed<'_>, now: Timestamp) -> State {
    let settings = observed.settings;
    let mut cuts = Cuts { now, slack_seconds: settings.clock_skew_seconds_max, farthest: None };
    if let Some(until) = &mut state.soak_until {
        cuts.cut("soakUntil", until, settings.soak_seconds);
    }
    for until in &mut state.soaking {
        cuts.cut("soaking", until, settings.soak_seconds);
    }
    if let Some(at) = &mut state.progressed_at {
        cuts.cut("progressedAt", at, 0);
    }
    if let Some(at) = &mut state.restoring_since {
        cuts.cut("restoringSince", at, 0);
    }
    for it in &mut state.attempted {
        cuts.cut("attempted.notBefore", &mut it.not_before, settings.attempt_pause_seconds_max);
    }
    for (_, since) in &mut state.holds {
        cuts.cut("holds.since", since, 0);
    }
    match &mut state.position {
        Position::Waiting(it) => {
            cuts.cut("waiting.mintedAt", &mut it.minted_at, 0);
            let longest = settings.soak_seconds.max(settings.attempt_pause_seconds_max);
            cuts.cut("waiting.notBefore", &mut it.not_before, longest);
        }
        Position::Open | Position::Active(_) | Position::Halted(_) | Position::Succeeded { .. } => {}
    }
    for Running { active: it, holds } in &mut state.running {
        cuts.cut("active.startedAt", &mut it.started_at, 0);
        cuts.cut("active.stageSince", &mut it.stage_since, 0);
        if let Some(since) = &mut it.held_since {
            cuts.cut("active.heldSince", since, 0);
        }
        if let Some(intent) = &mut it.intent {
            cuts.cut("active.intent.at", &mut intent.at, 0);
        }
        for (_, since) in holds {
            cuts.cut("holds.since", since, 0);
        }
    }
    match cuts.farthest {
        Some((field, was)) => note_set_back(state, field, was, observed, now),
        None => state,
    }
}

struct Cuts {
    now: Timestamp,
    slack_seconds: u64,
    /// The time that was farthest ahead, and where it stood.
    farthest: Option<(&'static str, Timestamp)>,
}

impl Cuts {
    fn cut(&mut self, field: &'static str, time: &mut Timestamp, wait_seconds: u64) {
        if *time <= later(self.now, wait_seconds.saturating_add(self.slack_seconds)) {
            return;
        }
        if self.farthest.is_none_or(|(_, farthest)| farthest < *time) {
            self.farthest = Some((field, *time));
        }
        *time = later(self.now, wait_seconds);
    }
}

fn later(now: Timestamp, seconds: u64) -> Timestamp {
    let seconds = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    now.checked_add(seconds).unwrap_or(Timestamp::MAX)
}

/// Says what was brought back. A waiting step gets another token: no alert for the old one could ever have begun after
/// the moment at which it says that it was minted.
fn note_set_back(
    mut state: State,
    field: &'static str,
    was: Timestamp,
    observed: &Observed<'_>,
    now: Timestamp,
) -> State {
    let step = state.step().map(ToString::to_string).unwrap_or_default();
    remember(&mut state, now, &step, &format!("the clock was set back: status.{field} was {was}"));
    let Position::Waiting(Waiting { step, token, not_before, mut because, .. }) = state.position.clone()
    else {
        return state;
    };
    because.push(Finding::new(Reason::ClockSetBack, format!("status.{field}"), format!("it was {was}")));
    mint(state, step, token.attempt, not_before, because, observed, now)
}

/// Whether the last node still soaks by a clock that nobody can set: the wall clock may have been set forward. Where several
/// nodes go at a time, only the first worker makes the others wait; a later one keeps its place instead.
pub(super) fn soaks(state: &State, observed: &Observed<'_>) -> bool {
    if observed.concurrency() > 1 && state.workers_done > 1 {
        return false;
    }
    let soak = std::time::Duration::from_secs(observed.settings.soak_seconds);
    observed.known.nodes_finished_ago.iter().min().is_some_and(|ago| *ago < soak)
}
