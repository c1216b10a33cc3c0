//! What is shown of a run: one line for each step, derived from the run's status.

use jiff::Timestamp;
use lockkeeper_rules::api::{Hold, RunPhase, StoredFinding, UpgradeRunStatus};
use lockkeeper_rules::reason::Reason;
use lockkeeper_rules::words::name::Token;
use lockkeeper_rules::words::step::Step;

/// A hold is shown once it has stood for so long: every step waits a moment for Prometheus to see its token.
const SETTLE_SECONDS: i64 = 3;

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// Its turn has not come.
    Ahead,
    /// It waits, since when.
    Waiting { since: Timestamp, attempt: u32 },
    /// It runs, since when; which part is at work.
    Running { since: Timestamp, attempt: u32, part: String },
    /// It is done; in how many seconds, if that was seen.
    Done(Option<i64>),
    /// A person must look.
    Halted(String),
    /// Nobody drives it any more.
    Deleted,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    name: String,
    pub(super) state: State,
    /// What holds it up, if anything has for a while.
    held: Option<String>,
}

impl Line {
    /// Whether it says something new beside the passing of time.
    pub(super) fn is_news(&self, before: &Self) -> bool {
        self.has_moved(before) || self.held != before.held
    }

    /// Whether its step is further than before: another reason to hold is not.
    fn has_moved(&self, before: &Self) -> bool {
        let is_same_state = match (&self.state, &before.state) {
            (State::Waiting { attempt, .. }, State::Waiting { attempt: old, .. }) => attempt == old,
            (State::Running { attempt, part, .. }, State::Running { attempt: old, part: old_part, .. }) => {
                (attempt, part) == (old, old_part)
            }
            (new, old) => new == old,
        };
        !is_same_state
    }
}

/// The lines.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) lines: Vec<Line>,
    now: Timestamp,
    /// When a line last said something new.
    moved_at: Timestamp,
    /// Since when the API server has not answered.
    silent_since: Option<Timestamp>,
}

impl Board {
    pub(super) fn new(steps: &[Step], now: Timestamp) -> Self {
        let line = |step: &Step| Line { name: step.to_string(), state: State::Ahead, held: None };
        let lines = steps.iter().map(line).collect();
        Self { lines, now, moved_at: now, silent_since: None }
    }

    /// Takes in what the run says now.
    pub(super) fn update(&mut self, status: &UpgradeRunStatus, now: Timestamp) {
        let before = self.lines.clone();
        (self.now, self.silent_since) = (now, None);
        self.update_lines(status, now);
        if self.lines.iter().zip(&before).any(|(line, before)| line.has_moved(before)) {
            self.moved_at = now;
        }
    }

    /// For how long the run has stood where it stands.
    pub(super) fn stands_seconds(&self, now: Timestamp) -> i64 {
        now.duration_since(self.moved_at).as_secs()
    }

    fn update_lines(&mut self, status: &UpgradeRunStatus, now: Timestamp) {
        let at_work = at_work(status);
        let position = self.lines.iter().position(|line| Some(line.name.as_str()) == at_work);
        let done = match (status.phase, position) {
            (RunPhase::Succeeded, _) => self.lines.len(),
            // Of node steps only those at work are listed: whatever lies before the step at work is done.
            (_, Some(position)) => position,
            (_, None) => return,
        };
        for (n, line) in self.lines.iter_mut().enumerate() {
            let is_at_work = n == done;
            line.state = match line.state.clone() {
                state if n < done => done_state(&line.name, state, status, now),
                state if is_at_work => state_at_work(state, status, now),
                _ => State::Ahead,
            };
            line.held = if is_at_work { held(status, now) } else { None };
        }
    }

    /// The API server did not say anything this time.
    pub(super) fn not_updated(&mut self, now: Timestamp) {
        self.now = now;
        let since = *self.silent_since.get_or_insert(now);
        if now.duration_since(since).as_secs() < SETTLE_SECONDS {
            return;
        }
        for line in &mut self.lines {
            if matches!(line.state, State::Waiting { .. } | State::Running { .. }) {
                line.held = Some("the API server is away".to_owned());
            }
        }
    }

    /// The run is not there any more.
    pub(super) fn deleted(&mut self, now: Timestamp) {
        (self.now, self.silent_since) = (now, None);
        for line in &mut self.lines {
            if !matches!(line.state, State::Ahead | State::Done(_)) {
                (line.state, line.held) = (State::Deleted, None);
            }
        }
    }

    /// The line of the step that waits, runs or has halted.
    pub(super) fn at_work(&self) -> String {
        let is_at_work = |line: &Line| !matches!(line.state, State::Ahead | State::Done(_));
        self.lines
            .iter()
            .position(is_at_work)
            .map_or_else(|| "no step is at work".to_owned(), |n| self.text(n))
    }

    /// A line for people.
    pub(super) fn text(&self, n: usize) -> String {
        let Line { name, state, held } = &self.lines[n];
        let since = |at: &Timestamp| self.now.duration_since(*at).as_secs().max(0);
        let again =
            |attempt: &u32| if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
        let said = match state {
            State::Ahead => String::new(),
            State::Waiting { since: at, attempt } => {
                let what =
                    held.as_ref().map_or_else(|| " for its permit".to_owned(), |held| format!(": {held}"));
                format!("waiting {:>3} s{what}{}", since(at), again(attempt))
            }
            State::Running { since: at, attempt, part } => {
                let held = held.as_ref().map_or_else(String::new, |held| format!("; {held}"));
                format!("running {:>3} s: {part}{held}{}", since(at), again(attempt))
            }
            State::Done(Some(seconds)) => format!("done in {seconds} s"),
            State::Done(None) => "done".to_owned(),
            State::Halted(why) => format!("halted: {why}"),
            State::Deleted => "the run was deleted".to_owned(),
        };
        format!("{name:<24} {said}").trim_end().to_owned()
    }
}

/// A finding on one line: what a program said may have many.
pub(super) fn one_line(finding: &StoredFinding) -> String {
    let words = [&finding.reason, &finding.subject, &finding.detail].into_iter();
    words.flat_map(|text| text.split_whitespace()).collect::<Vec<_>>().join(" ")
}

/// The step that runs, waits or has halted; between two steps, the one that comes next.
fn at_work(status: &UpgradeRunStatus) -> Option<&str> {
    let active = status.active.first().map(|step| step.step.as_str());
    let waiting = status.waiting.as_ref().map(|step| step.step.as_str());
    let halted = status.halted.as_ref().map(|halt| halt.step.as_str());
    let next = Some(status.summary.next.as_str());
    active.or(waiting).or(halted).or(next).filter(|name| !name.is_empty())
}

fn state_at_work(before: State, status: &UpgradeRunStatus, now: Timestamp) -> State {
    if let Some(halt) = &status.halted {
        return State::Halted(one_line(&halt.finding));
    }
    if let Some(step) = status.active.first() {
        let part = step.stage.clone().or_else(|| step.cursor.as_ref().map(|node| format!("after {node}")));
        let part = part.unwrap_or_else(|| "at work".to_owned());
        return State::Running { since: step.started_at, attempt: attempt(&step.token), part };
    }
    if let Some(step) = &status.waiting {
        return State::Waiting { since: step.minted_at, attempt: attempt(&step.token) };
    }
    match before {
        waiting @ State::Waiting { .. } => waiting,
        _ => State::Waiting { since: now, attempt: 1 },
    }
}

fn done_state(name: &str, before: State, status: &UpgradeRunStatus, now: Timestamp) -> State {
    if let Some(step) = status.finished.iter().rev().find(|step| step.step == name) {
        return State::Done(Some(step.finished_at.duration_since(step.started_at).as_secs()));
    }
    match before {
        State::Done(seconds) => State::Done(seconds),
        State::Running { since, .. } => State::Done(Some(now.duration_since(since).as_secs())),
        State::Ahead | State::Waiting { .. } | State::Halted(_) | State::Deleted => State::Done(None),
    }
}

fn attempt(token: &str) -> u32 {
    token.parse::<Token>().map_or(1, |token| token.attempt)
}

/// What holds the run up for longer than a moment: the reason that tells most, and how many there are besides.
fn held(status: &UpgradeRunStatus, now: Timestamp) -> Option<String> {
    let settled = |hold: &&Hold| now.duration_since(hold.since).as_secs() >= SETTLE_SECONDS;
    let holds: Vec<&Hold> = status.holds.iter().filter(settled).collect();
    // These stand beside whatever is the cause.
    let symptoms = [Reason::NotBefore, Reason::WaitingForPermit, Reason::ReadyAbsent].map(Reason::code);
    let is_cause = |hold: &&&Hold| !symptoms.contains(&hold.reason.as_str());
    let first = holds.iter().find(is_cause).or(holds.first())?;
    if first.reason == Reason::WaitingForPermit.code() {
        return None;
    }
    let more = match holds.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    Some(format!("{} {}", first.reason, first.subject).trim_end().to_owned() + &more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn status(at_work: Value) -> UpgradeRunStatus {
        let mut status = json!({"schemaVersion": 1, "phase": "Running"});
        status.as_object_mut().unwrap().extend(at_work.as_object().unwrap().clone());
        serde_json::from_value(status).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn waiting(step: &str, second: i64, holds: Value) -> UpgradeRunStatus {
        let waiting = json!({"step": step, "token": "t", "mintedAt": at(second), "notBefore": at(second)});
        status(json!({"waiting": waiting, "holds": holds}))
    }

    #[test]
    fn a_step_goes_from_waiting_to_running_to_done() {
        let mut board = Board::new(&super::super::steps_of(2), at(0));
        let node = "worker/worker-1";
        board.update(&waiting(node, 10, json!([])), at(15));
        assert_eq!(board.text(4), "worker/worker-1          waiting   5 s for its permit");
        let active =
            json!({"step": node, "token": "t", "startedAt": at(16), "stage": "drain", "stageSince": at(17)});
        board.update(&status(json!({"active": [active]})), at(20));
        assert_eq!(board.text(4), "worker/worker-1          running   4 s: drain");
        // Between two steps nothing is at work; what was is done all the same.
        board.update(&status(json!({"summary": {"next": "worker/worker-2"}})), at(26));
        assert_eq!(board.text(4), "worker/worker-1          done in 10 s");
        assert_eq!(board.text(5), "worker/worker-2          waiting   0 s for its permit");
        board.update(&waiting("worker/worker-2", 26, json!([])), at(27));
        assert_eq!(board.text(4), "worker/worker-1          done in 10 s");
        assert_eq!(board.text(6), "postflight");
    }

    #[test]
    fn what_holds_for_longer_than_a_moment_is_named_and_the_cause_comes_first() {
        let mut board = Board::new(&super::super::steps_of(1), at(0));
        let hold = |reason: &str, subject: &str, since: i64| json!({"reason": reason, "subject": subject, "remedy": "", "since": at(since)});
        let holds = json!([
            hold("not_before", "soon", 10),
            hold("unit_failed", "cp-1", 10),
            hold("echo_missing", "", 14)
        ]);
        for (second, expected) in [(11, " for its permit"), (15, ": unit_failed cp-1 (and 1 more)")] {
            board.update(&waiting("preflight", 10, holds.clone()), at(second));
            assert!(board.text(0).ends_with(expected), "{}", board.text(0));
        }
    }

    #[test]
    fn a_run_stands_while_only_its_holds_change() {
        let mut board = Board::new(&super::super::steps_of(1), at(0));
        assert_eq!(board.stands_seconds(at(9)), 9, "nothing was seen yet");
        board.update(&waiting("preflight", 10, json!([])), at(10));
        let hold = json!([{"reason": "gate_firing", "subject": "X", "remedy": "", "since": at(10)}]);
        board.update(&waiting("preflight", 10, hold), at(40));
        assert_eq!(board.stands_seconds(at(50)), 40);
        let active = json!({"step": "preflight", "token": "t", "startedAt": at(60), "stageSince": at(60)});
        board.update(&status(json!({"active": [active]})), at(61));
        assert_eq!(board.stands_seconds(at(70)), 9);
    }

    #[test]
    fn a_silent_api_server_is_told() {
        let mut board = Board::new(&super::super::steps_of(1), at(0));
        board.update(&waiting("preflight", 10, json!([])), at(11));
        for second in [12, 15] {
            board.not_updated(at(second));
        }
        assert!(board.text(0).ends_with("waiting   5 s: the API server is away"), "{}", board.text(0));
    }

    #[test]
    fn a_run_that_was_deleted_is_told_and_a_new_one_takes_its_place() {
        let mut board = Board::new(&super::super::steps_of(1), at(0));
        let active = json!({"step": "worker/worker-1", "token": "t", "startedAt": at(16), "stage": "drain", "stageSince": at(17)});
        board.update(&status(json!({"active": [active]})), at(20));
        board.not_updated(at(21));
        board.deleted(at(30));
        board.not_updated(at(40));
        assert_eq!(board.at_work(), "worker/worker-1          the run was deleted");
        assert_eq!(
            (board.text(3), board.text(5)),
            ("control-plane/cp-1       done".to_owned(), "postflight".to_owned())
        );
        board.update(&waiting("preflight", 50, json!([])), at(51));
        assert_eq!(board.at_work(), "preflight                waiting   1 s for its permit");
    }
}
