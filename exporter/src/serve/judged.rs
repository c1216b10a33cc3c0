//! Verdicts that are made once and shown many times.
//!
//! What is kept belongs to one state: another one has nothing to do with it. Within a state only time passes, so a
//! verdict is made anew when it is older than [`AGE_SECONDS_MAX`], and says itself when it was made.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock};

use jiff::Timestamp;
use lockkeeper_rules::reason::Finding;
use lockkeeper_rules::verdict::{Case, Verdict, Way, verdict, way};
use lockkeeper_rules::words::version::Version;

/// For how many targets answers are kept: anybody may ask about anything, and the memory has a bound.
const KEPT_MAX: usize = 16;
/// How old an answer may be that is given again. The least that `verdictSecondsMax` may be set to.
const AGE_SECONDS_MAX: i64 = 10;

/// A verdict, and the way to its target once somebody has asked for it.
#[derive(Debug)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    way: OnceLock<Option<Result<Way, Finding>>>,
}

impl Judgement {
    /// Judges a target.
    #[must_use]
    pub fn of(target: &str, case: &Case<'_>) -> Self {
        verdict(target, case).into()
    }

    /// The way to the target, as of the verdict; nothing if it is no version. The case is the one that was judged.
    pub fn way(&self, case: &Case<'_>) -> Option<&Result<Way, Finding>> {
        let case = Case { now: self.verdict.computed_at, ..*case };
        let look = || Some(way(&self.verdict.target.parse::<Version>().ok()?, &case));
        self.way.get_or_init(look).as_ref()
    }

    /// Whether it may still be told: not too old, and not from the future of a clock that was set back.
    fn is_young(&self, now: Timestamp) -> bool {
        is_young(self.verdict.computed_at, now)
    }
}

impl From<Verdict> for Judgement {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, way: OnceLock::new() }
    }
}

fn is_young(at: Timestamp, now: Timestamp) -> bool {
    (0..=AGE_SECONDS_MAX).contains(&now.duration_since(at).as_secs()) && at <= now
}

/// The judgements on one state: those that everybody asks for, and the last ones that somebody has asked for. Whoever
/// asks about many targets takes nothing from the first.
#[derive(Debug)]
pub(super) struct Judgements {
    published: Vec<Arc<Judgement>>,
    /// The one that was asked for last is the last.
    cached: Mutex<VecDeque<CachedJudgement>>,
}

#[derive(Debug)]
struct CachedJudgement {
    target: String,
    at: Timestamp,
    /// Made by the first who asks; the others wait for it, and for no other target.
    judgement: Arc<OnceLock<Arc<Judgement>>>,
}

impl Judgements {
    pub(super) fn new(published: Vec<Verdict>) -> Self {
        let published = published.into_iter().map(|verdict| Arc::new(verdict.into())).collect();
        Self { published, cached: Mutex::new(VecDeque::new()) }
    }

    /// The answer on each target that is published, as young as it must be.
    pub(super) fn published(&self, case: &Case<'_>) -> Vec<Arc<Judgement>> {
        self.published.iter().map(|judgement| self.on(&judgement.verdict.target, case)).collect()
    }

    /// The answer on a target.
    pub(super) fn on(&self, target: &str, case: &Case<'_>) -> Arc<Judgement> {
        let mut published = self.published.iter().filter(|it| it.verdict.target == target);
        if let Some(judgement) = published.find(|judgement| judgement.is_young(case.now)) {
            return Arc::clone(judgement);
        }
        let place = self.place(target, case.now);
        Arc::clone(place.get_or_init(|| Arc::new(Judgement::of(target, case))))
    }

    /// Where the answer is, or will be.
    fn place(&self, target: &str, now: Timestamp) -> Arc<OnceLock<Arc<Judgement>>> {
        let mut cached = self.cached.lock().expect("nothing panics while it holds this lock");
        let kept = cached.iter().position(|it| it.target == target).and_then(|index| cached.remove(index));
        let entry = kept.filter(|it| is_young(it.at, now)).unwrap_or_else(|| CachedJudgement {
            target: target.to_owned(),
            at: now,
            judgement: Arc::default(),
        });
        let place = Arc::clone(&entry.judgement);
        if cached.len() == KEPT_MAX {
            cached.pop_front();
        }
        cached.push_back(entry);
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use lockkeeper_rules::cluster::inventory::Inventory;
    use lockkeeper_rules::cluster::snapshot::Snapshot;
    use lockkeeper_rules::facts::Matrix;
    use lockkeeper_rules::settings::Settings;

    struct State {
        judgements: Judgements,
        parts: (Snapshot, Inventory, Matrix, Settings),
        made_at: Timestamp,
    }

    impl State {
        /// The answer so many seconds after the state was made.
        fn ask(&self, target: &str, after_seconds: i64) -> Arc<Judgement> {
            let (snapshot, inventory, matrix, settings) = &self.parts;
            let now = self.made_at + SignedDuration::from_secs(after_seconds);
            self.judgements.on(target, &Case { snapshot, inventory, matrix, settings, now })
        }

        fn age_of(&self, judgement: &Judgement) -> i64 {
            judgement.verdict.computed_at.duration_since(self.made_at).as_secs()
        }
    }

    /// A state of which nothing is known, with v1.36.3 published.
    fn state() -> State {
        let made_at: Timestamp = "2026-12-01T03:04:05Z".parse().unwrap();
        let parts = (Snapshot::unread(), Inventory::unread(), Matrix::built_in(), Settings::default());
        let (snapshot, inventory, matrix, settings) = &parts;
        let case = Case { snapshot, inventory, matrix, settings, now: made_at };
        let judgements = Judgements::new(vec![verdict("v1.36.3", &case)]);
        State { judgements, parts, made_at }
    }

    #[test]
    fn an_answer_is_given_again_while_it_is_young_and_says_when_it_was_made() {
        let state = state();
        for target in ["v1.36.3", "v1.37.0", "nonsense"] {
            let first = state.ask(target, 0);
            assert_eq!(state.age_of(&first), 0, "{target}");
            assert!(Arc::ptr_eq(&first, &state.ask(target, 10)), "{target} is judged once");
            let anew = state.ask(target, 11);
            assert_eq!(state.age_of(&anew), 11, "{target} is too old at 11 s");
            assert!(Arc::ptr_eq(&anew, &state.ask(target, 21)), "{target}");
            assert_eq!(state.age_of(&state.ask(target, -1)), -1, "{target}: the clock was set back");
        }
    }

    #[test]
    fn no_answer_is_older_than_the_shortest_time_to_live() {
        let least = Settings { verdict_seconds_max: AGE_SECONDS_MAX.unsigned_abs(), ..Settings::default() };
        assert_eq!(least.validate(), Ok(()));
        let less = Settings { verdict_seconds_max: AGE_SECONDS_MAX.unsigned_abs() - 1, ..least };
        assert!(less.validate().is_err());
    }

    #[test]
    fn many_targets_take_a_bounded_place_and_leave_what_is_published() {
        let state = state();
        let (published, first) = (state.ask("v1.36.3", 0), state.ask("v1.30.0", 0));
        let ask_others = |count: usize| {
            for patch in 0..count {
                state.ask(&format!("v1.31.{patch}"), 1);
            }
        };
        ask_others(KEPT_MAX - 1);
        assert!(Arc::ptr_eq(&first, &state.ask("v1.30.0", 2)), "one of the last sixteen");
        ask_others(KEPT_MAX);
        assert_eq!(state.judgements.cached.lock().unwrap().len(), KEPT_MAX);
        assert!(!Arc::ptr_eq(&first, &state.ask("v1.30.0", 3)));
        assert!(Arc::ptr_eq(&published, &state.ask("v1.36.3", 3)));
    }

    #[test]
    fn those_who_ask_at_once_get_one_answer() {
        let state = state();
        let answers: Vec<_> = std::thread::scope(|scope| {
            let asked: Vec<_> = (0..8).map(|_| scope.spawn(|| state.ask("v1.37.0", 0))).collect();
            asked.into_iter().map(|answer| answer.join().unwrap()).collect()
        });
        assert!(answers.iter().all(|answer| Arc::ptr_eq(answer, &answers[0])));
    }
}
