//! The samples of verdicts, and of the facts that they are made from.
//!
//! A verdict is one word, and the most careful one. Here nothing is behind it: what blocks, what holds and what could
//! not be read are three gauges, and each is true by itself.
//!
//! Since when it is so is not shown: the cluster does not tell it, and what a process remembers would begin anew with
//! each of its starts. Prometheus has the history, and an alert has its `for`.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::current::current_run;
use super::goal::{goals, shortened};
use super::memory::Memory;
use super::samples::{Samples, oldest_api_server};
use super::table::*;
use crate::facts::Age;
use crate::verdict::{Case, Check, Concerns, Conclusion, Status, Verdict};
use crate::words::version::Version;

/// How many reasons are shown for each target; the most urgent come first. Their number is told whole.
const REASONS_MAX: usize = 50;
/// The class of what is found of nodes that cannot be upgraded, be it certain or not.
const DRIVER: &str = "driver";
/// The longest subject that is shown, in characters.
const SUBJECT_CHARS_MAX: usize = 80;

impl Samples {
    /// What stands in the way of each goal. A goal that is not known, or that nobody has judged, is one to be blind of.
    pub(super) fn goals(&mut self, case: &Case<'_>, verdicts: &[Verdict]) {
        let run = case.snapshot.runs.value.as_deref().and_then(current_run);
        for goal in goals(case.snapshot) {
            let target = goal.target.as_deref().unwrap_or_default();
            let verdict = verdicts.iter().find(|verdict| verdict.target == target);
            // Of an open run counts what may still hold it up.
            let narrowed = match (goal.kind, verdict) {
                ("run", Some(verdict)) => run.map(|run| verdict.for_run(run, case.snapshot)),
                _ => None,
            };
            let verdict = narrowed.as_ref().or(verdict);
            // A run stands before a node that cannot be upgraded; a version is none the worse for it.
            let driver =
                |verdict: &Verdict, class| verdict.about(Concerns::Driver).any(|check| check.has(class));
            let has =
                |class| verdict.is_some_and(|it| it.has(class) || goal.kind == "run" && driver(it, class));
            let is_unjudged = goal.target.is_some() && verdict.is_none();
            let labels = [goal.kind, target];
            self.flag(&BLOCKED, labels, has(Status::Block));
            self.flag(&HELD, labels, has(Status::Hold));
            self.flag(&BLIND, labels, has(Status::Unknown) || is_unjudged || !goal.is_known);
        }
    }

    pub(super) fn verdict(&mut self, verdict: &Verdict, memory: &Memory) {
        let target = verdict.target.as_str();
        self.time(&VERDICT_TIMESTAMP, [target], verdict.computed_at);
        if let Some(at) = memory.whole(target) {
            self.time(&VERDICT_LAST_SUCCESS, [target], at);
        }
        for answer in Conclusion::ALL {
            self.flag(&VERDICT, [target, answer.name()], verdict.verdict == answer);
        }
        verdict.checks.iter().for_each(|check| self.check(target, check));
        for (class, check, subject, reason) in reasons(verdict) {
            self.add(&VERDICT_REASON, [target, class, check, &subject, reason], 1.0);
        }
    }

    fn check(&mut self, target: &str, check: &Check) {
        for status in Status::ALL {
            self.flag(&VERDICT_CHECK, [target, check.id, status.name()], check.status == status);
        }
        self.flag(&VERDICT_BLIND, [target, check.id], check.has(Status::Unknown));
        let is_in_the_way = |class: &&Status| matches!(class, Status::Block | Status::Hold);
        let count = check.classes.iter().filter(is_in_the_way).count();
        self.add(&BLOCKERS, [target, check.id], u32::try_from(count).map_or(f64::INFINITY, f64::from));
    }

    /// The age of the facts and what they say of the minor that runs. A date that is known stays true however old its
    /// file is; that the file is old is told beside it.
    pub(super) fn facts(&mut self, case: &Case<'_>) {
        for Age { section, as_of, max_age_days } in case.matrix.ages() {
            self.add(&MATRIX_MAX_AGE, [section], f64::from(max_age_days) * 86_400.0);
            if let Some(began) = as_of.and_then(midnight) {
                self.time(&MATRIX_TIMESTAMP, [section], began);
            }
        }
        let Some(running) = oldest_api_server(case.snapshot).map(Version::minor) else { return };
        let last_day = case.matrix.releases.value.end_of_life(running);
        // It is over when its last day is.
        if let Some(over) = last_day.and_then(|day| day.tomorrow().ok()).and_then(midnight) {
            self.time(&RUNNING_MINOR_EOL, [&running.to_string()], over);
        }
    }
}

/// The beginning of a day; nothing at the end of all days.
fn midnight(day: Date) -> Option<jiff::Timestamp> {
    Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// What was found, the most urgent first, each once however many details there are. That nodes cannot be upgraded is said of
/// all of them, and comes last: it must not push out what is said of the version.
fn reasons(verdict: &Verdict) -> Vec<(&'static str, &'static str, String, &'static str)> {
    let of_check = |check: &Check| {
        let Check { id, concerns, .. } = *check;
        let each = check.classed().map(move |(class, finding)| {
            let subject = shortened(&finding.subject, SUBJECT_CHARS_MAX);
            (concerns == Concerns::Driver, class, id, subject, finding.reason.code())
        });
        each.collect::<Vec<_>>()
    };
    let all: BTreeSet<_> = verdict.checks.iter().flat_map(of_check).collect();
    let shown = all.into_iter().take(REASONS_MAX);
    let word = |is_driver: bool, class: Status| if is_driver { DRIVER } else { class.name() };
    shown
        .map(|(is_driver, class, id, subject, reason)| (word(is_driver, class), id, subject, reason))
        .collect()
}

#[cfg(test)]
mod tests;
