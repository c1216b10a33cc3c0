//! The moves that every part of the machine is made of: wait, mint, finish, fail, halt.

use jiff::Timestamp;

use super::observed::{Observed, Turn};
use super::state::{Action, Active, Attempted, Finished, Halted, Position, State, Waiting, Work};
use crate::api::{HistoryEntry, Retry};
use crate::reason::{Finding, Reason};
use crate::words::name::{RunUid, Token};
use crate::words::step::{Stage, Step};

/// How long a run that waits for people or for the cluster is left alone, in seconds.
pub(super) const IDLE_SECONDS: u64 = 2;
/// How many lines of history are kept.
const HISTORY_LENGTH_MAX: usize = 50;
/// How many steps are kept that were tried without success; people must have skipped all but one of them.
const ATTEMPTED_LENGTH_MAX: usize = 50;
/// The longest subject that is kept, in bytes: it may be a name that anybody has given to an alert.
const SUBJECT_LENGTH_MAX: usize = 300;
/// The longest detail that is kept, in bytes: room for some lines of a manifest.
const DETAIL_LENGTH_MAX: usize = 1_000;
/// How many holds are kept; more than these nobody reads.
const HOLDS_LENGTH_MAX: usize = 40;

/// What the history says of a step that has got its permit.
pub(super) const STARTED: &str = "started";
/// How the history begins to say of a step that it was not begun after all.
pub(crate) const NOT_BEGUN: &str = "not begun: ";

/// Waits inside a running step for something that is no gate: it is shown, and nothing else.
pub(super) fn linger(mut state: State, findings: Vec<Finding>, now: Timestamp) -> Turn {
    state.holds = holds(&state.holds, findings, now);
    Turn::wait(state, 1)
}

/// The step is over.
pub(super) fn finish(mut state: State, it: &Active, observed: &Observed<'_>, now: Timestamp) -> Turn {
    remember(&mut state, now, &it.step.to_string(), "finished");
    state.holds.clear();
    state.position = Position::Open;
    state.attempted.retain(|attempted| attempted.step != it.step);
    // Preflight and snapshot are done again as often as they grow old: that brings nobody further.
    if state.finished(&it.step).is_none() {
        state.progressed_at = Some(now);
    }
    if let Some(node) = it.step.node() {
        state.switched.retain(|name| name != node);
        state.nodes_done += 1;
        let is_worker = matches!(it.step, Step::Worker(_));
        let until = after(observed.settings.soak_seconds, now);
        if is_worker && observed.concurrency() > 1 && state.workers_done > 0 {
            state.soaking.retain(|until| *until > now);
            state.soaking.push(until);
        } else {
            state.soak_until = Some(until);
        }
        state.workers_done += u32::from(is_worker);
        return Turn::again(state);
    }
    state.finished.retain(|finished| finished.step != it.step);
    state.finished.push(Finished {
        step: it.step.clone(),
        token: it.token.clone(),
        started_at: it.started_at,
        finished_at: now,
    });
    Turn::again(state)
}

/// The attempt is over without success: another one waits under a new token, after a pause that grows; after the
/// last one the run halts. A node that people leave out halts nothing: the other attempt never begins, and the run goes on.
pub(super) fn fail(
    state: State,
    it: &Active,
    finding: Finding,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Turn {
    // A wish counts from the attempt that it names, which must have been made.
    let is_fulfilled = |retry: &&Retry| retry.step == it.step.to_string() && retry.attempt < it.token.attempt;
    let wished = observed.run.spec.retry.iter().filter(is_fulfilled).max_by_key(|retry| retry.attempt);
    let attempts_max = wished.map_or(0, |retry| retry.attempt).saturating_add(observed.settings.attempts_max);
    let is_left_out = it.step.node().is_some_and(|node| observed.is_skipped(node));
    if it.token.attempt >= attempts_max && !is_left_out {
        return halt(
            state,
            it,
            Finding::new(Reason::AttemptsExhausted, it.step.to_string(), finding.to_string()),
            now,
        );
    }
    retry_later(state, it, vec![finding], observed, now)
}

/// Another attempt waits under a new token, after a pause that grows.
pub(super) fn retry_later(
    mut state: State,
    it: &Active,
    because: Vec<Finding>,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Turn {
    let settings = observed.settings;
    let doublings = it.token.attempt.saturating_sub(1).min(16);
    let pause =
        settings.attempt_pause_seconds.saturating_mul(1 << doublings).min(settings.attempt_pause_seconds_max);
    let not_before = after(pause, now);
    let why = because.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let why: String = why.chars().take(300).collect();
    remember(&mut state, now, &it.step.to_string(), &format!("attempt {} ended: {why}", it.token.attempt));
    attempted(&mut state, it, not_before);
    Turn::again(mint(state, it.step.clone(), it.token.attempt + 1, not_before, because, observed, now))
}

/// Nothing was begun: the same attempt waits under a new token, as often as it takes people to mend what was found.
pub(super) fn put_off(
    mut state: State,
    it: &Active,
    because: Vec<Finding>,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Turn {
    // As that it was started may be said once a minute, for days.
    state.history.pop_if(|line| line.step == it.step.to_string() && line.event == STARTED);
    let what = because.iter().map(|finding| format!("{} {}", finding.reason, finding.subject));
    let event = format!("{NOT_BEGUN}{}", what.collect::<Vec<_>>().join("; "));
    let settings = observed.settings;
    let is_said = state.history.iter().any(|line| line.event == event);
    let pause = if is_said { settings.attempt_pause_seconds_max } else { settings.attempt_pause_seconds };
    let not_before = after(pause, now);
    remember_once(&mut state, now, &it.step.to_string(), &event);
    Turn::again(mint(state, it.step.clone(), it.token.attempt, not_before, because, observed, now))
}

fn after(pause_seconds: u64, now: Timestamp) -> Timestamp {
    let pause = jiff::SignedDuration::from_secs(i64::try_from(pause_seconds).unwrap_or(i64::MAX));
    now.checked_add(pause).unwrap_or(now)
}

/// Writes down that an attempt ended without success.
fn attempted(state: &mut State, it: &Active, not_before: Timestamp) {
    let before = match &it.work {
        Work::OneNode(work) => Some(&work.before),
        Work::Whole | Work::EveryNode { .. } => None,
    };
    let was_begun = before.is_some_and(|node| state.begun_on(&node.name, &node.uid).is_some());
    let (uid, begun) = (before.map(|node| node.uid.clone()), may_have_begun(it) || was_begun);
    state.attempted.retain(|attempted| attempted.step != it.step);
    state.attempted.push(Attempted {
        step: it.step.clone(),
        attempt: it.token.attempt,
        not_before,
        uid,
        begun,
    });
    keep_to_length(state);
}

/// Forgets the oldest steps that were tried, but none whose change has begun.
fn keep_to_length(state: &mut State) {
    while state.attempted.len() > ATTEMPTED_LENGTH_MAX
        && let Some(oldest) = state.attempted.iter().position(|attempted| !attempted.begun)
    {
        state.attempted.remove(oldest);
    }
}

/// Writes down that a step that does not wait any more, because another one does, may not begin before its time.
pub(super) fn rest(state: &mut State, it: &Waiting) {
    let before = state.attempted.iter_mut().find(|attempted| attempted.step == it.step);
    let Some(attempted) = before else {
        let Waiting { step, token, not_before, .. } = it;
        let attempt = token.attempt.saturating_sub(1);
        let none =
            Attempted { step: step.clone(), attempt, not_before: *not_before, uid: None, begun: false };
        state.attempted.push(none);
        return keep_to_length(state);
    };
    attempted.not_before = attempted.not_before.max(it.not_before);
}

/// Whether an attempt may have begun to change its node. One that is certain not to have begun is on its way back.
fn may_have_begun(it: &Active) -> bool {
    let Work::OneNode(work) = &it.work else { return false };
    match work.stage {
        Stage::Prepare | Stage::Cordon | Stage::Drain => false,
        Stage::Mutate => it.intent.as_ref().is_some_and(|intent| intent.action == Action::Start),
        Stage::Verify => true,
        Stage::Uncordon => work.returning.is_none(),
    }
}

/// The run stands still until a person has looked. What is cordoned stays cordoned: the node is not known to work.
pub(super) fn halt(mut state: State, it: &Active, finding: Finding, now: Timestamp) -> Turn {
    remember(&mut state, now, &it.step.to_string(), &format!("halted: {}", finding.reason));
    attempted(&mut state, it, now);
    state.holds.clear();
    let finding = bounded(finding);
    state.position =
        Position::Halted(Halted { step: it.step.clone(), attempt: it.token.attempt, at: now, finding });
    Turn::wait(state, IDLE_SECONDS)
}

/// Lets a step wait under a new token. The token is a challenge that nobody has seen before it is stored.
pub(super) fn mint(
    mut state: State,
    step: Step,
    attempt: u32,
    not_before: Timestamp,
    mut because: Vec<Finding>,
    observed: &Observed<'_>,
    now: Timestamp,
) -> State {
    bound(&mut because);
    state.sequence += 1;
    let token = Token {
        run: RunUid(observed.run.uid.clone()),
        sequence: state.sequence,
        attempt,
        nonce: observed.nonce.to_owned(),
    };
    state.holds.clear();
    state.position = Position::Waiting(Waiting { step, token, minted_at: now, not_before, because });
    state
}

/// Waits for what was found. Equal findings keep their times, and their words until those say something else, so
/// that waiting is not written again and again.
pub(super) fn hold(mut state: State, findings: Vec<Finding>, now: Timestamp) -> Turn {
    state.holds = holds(&state.holds, findings, now);
    Turn::wait(state, IDLE_SECONDS)
}

/// The holds that follow from findings, each with the time since when.
pub(super) fn holds(
    before: &[(Finding, Timestamp)],
    mut findings: Vec<Finding>,
    now: Timestamp,
) -> Vec<(Finding, Timestamp)> {
    bound(&mut findings);
    findings
        .into_iter()
        .map(|finding| match before.iter().find(|(old, _)| old.about() == finding.about()) {
            None => (finding, now),
            Some(same) if same.0.says_the_same_as(&finding) => same.clone(),
            Some((_, since)) => (finding, *since),
        })
        .collect()
}

/// Adds a line of history.
pub(super) fn remember(state: &mut State, now: Timestamp, step: &str, event: &str) {
    state.history.push(HistoryEntry { at: now, step: step.to_owned(), event: event.to_owned() });
    let excess = state.history.len().saturating_sub(HISTORY_LENGTH_MAX);
    state.history.drain(..excess);
}

/// Adds a line of history that is not in it: what every step would say again must not push out what each one says.
pub(super) fn remember_once(state: &mut State, now: Timestamp, step: &str, event: &str) {
    if !state.history.iter().any(|line| line.event == event) {
        remember(state, now, step, event);
    }
}

/// Keeps findings to what people can read and an object can hold: 5,000 nodes that fail are one outage.
fn bound(findings: &mut Vec<Finding>) {
    *findings = std::mem::take(findings).into_iter().map(bounded).collect();
    findings.sort();
    findings.dedup_by(|a, b| a.about() == b.about());
    findings.truncate(HOLDS_LENGTH_MAX);
}

/// Keeps one finding to that.
pub(super) fn bounded(mut finding: Finding) -> Finding {
    let cut = |text: &mut String, length_max| text.truncate(text.floor_char_boundary(length_max));
    cut(&mut finding.subject, SUBJECT_LENGTH_MAX);
    cut(&mut finding.detail, DETAIL_LENGTH_MAX);
    cut(&mut finding.words, DETAIL_LENGTH_MAX);
    finding
}

#[cfg(test)]
mod tests {
    use super::super::status::{Shown, status};
    use super::*;
    use crate::api::UpgradeRunStatus;

    #[test]
    fn a_hold_keeps_its_time_and_says_anew_only_what_has_become_other_words() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let finding = |detail: &str| Finding::new(Reason::SourceUnreadable, "packages", detail);
        let answers = |code: u32| {
            let (reason, words) = (Reason::SourceUnreadable, "the server answers {}");
            Finding::with_figures(reason, "packages", words, &[&code])
        };
        assert_eq!(answers(500).detail, "the server answers 500");
        let first = holds(&[], vec![answers(500)], at(1));
        let counted = holds(&first, vec![answers(503)], at(2));
        assert_eq!(counted, first, "a number alone is no news");
        let other = holds(&counted, vec![finding("the index is empty")], at(3));
        assert_eq!(other, [(finding("the index is empty"), at(1))]);
        let again = holds(&other, vec![answers(500)], at(4));
        assert_eq!(again, [(answers(500), at(1))]);
        let two = |n: u32| finding(&format!("{n} files are missing"));
        assert_eq!(holds(&[(two(1), at(1))], vec![two(2)], at(2)), [(two(2), at(1))], "a count is news");
    }

    #[test]
    fn a_hold_is_stored_with_its_words_and_one_of_before_is_read_without() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let scraped = |age: u32| Finding::with_figures(Reason::EchoStale, "p", "scraped {} s ago", &[&age]);
        let mut state = State::new();
        state.holds = holds(&[], vec![scraped(31)], at(1));
        let shown = Shown { previous: None, generation: 1, next: "", progress: "", ending: false };
        let mut stored = serde_json::to_value(status(&state, &shown, at(1))).unwrap();
        let read = |stored: &serde_json::Value| {
            let status: UpgradeRunStatus = serde_json::from_value(stored.clone()).unwrap();
            State::parse(Some(&status), "u").unwrap().holds
        };
        assert_eq!(stored["holds"][0]["detail"], "scraped 31 s ago");
        assert_eq!(read(&stored), state.holds);
        assert_eq!(holds(&read(&stored), vec![scraped(32)], at(2)), state.holds);
        stored["holds"][0].as_object_mut().unwrap().remove("words").unwrap();
        let before = read(&stored);
        assert_eq!(before, [(Finding::new(Reason::EchoStale, "p", "scraped 31 s ago"), at(1))]);
        assert_eq!(holds(&before, vec![scraped(32)], at(2)), [(scraped(32), at(1))]);
    }

    #[test]
    fn what_others_have_named_as_long_as_they_may_fits_into_a_status_and_keeps_its_time() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let long = "\u{1f512}".repeat(20_000);
        let worst = |n: usize| Finding::new(Reason::GateFiring, format!("{n} {long}"), long.clone());
        let worst: Vec<_> = (0..60).map(worst).collect();
        let mut state = State::new();
        state.holds = holds(&[], worst.clone(), at(1));
        assert_eq!(state.holds.len(), HOLDS_LENGTH_MAX);
        assert_eq!(holds(&state.holds, worst.clone(), at(2)), state.holds);
        let token: Token = "u.1.1.00ff".parse().unwrap();
        let mut because = worst.clone();
        bound(&mut because);
        state.position = Position::Waiting(Waiting {
            step: Step::Preflight,
            token: token.clone(),
            minted_at: at(1),
            not_before: at(1),
            because,
        });
        let shown = Shown { previous: None, generation: 1, next: "", progress: "", ending: false };
        let length = |state: &State| serde_json::to_vec(&status(state, &shown, at(1))).unwrap().len();
        assert!(length(&state) < 500_000, "{}", length(&state));

        let it = Active {
            step: Step::Preflight,
            token,
            started_at: at(1),
            work: Work::Whole,
            stage_since: at(1),
            intent: None,
            held_since: None,
        };
        let halted = halt(State::new(), &it, worst[0].clone(), at(1)).state;
        assert!(length(&halted) < 10_000, "{}", length(&halted));
    }
}
