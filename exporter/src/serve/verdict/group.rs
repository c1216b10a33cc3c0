//! Findings by reason: many subjects of one kind are one thing to do.

use std::collections::BTreeMap;

use lockkeeper_rules::reason::{Finding, Reason};
use lockkeeper_rules::verdict::{CHECK_IDS, Check, Concerns, Conclusion, Status, Verdict};
use serde::Serialize;

/// How many subjects of a group are told unless everything is asked for.
const SUBJECTS_MAX: usize = 20;

/// What one check has found for one reason.
#[derive(Debug, Serialize)]
pub(super) struct Group<'a> {
    pub(super) check: &'a str,
    /// `block`, `hold` or `unknown`; nothing for what is in nobody's way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) class: Option<Status>,
    pub(super) reason: Reason,
    pub(super) meaning: &'static str,
    pub(super) remedy: &'static str,
    /// The page that tells the rule; empty where the details name their own.
    pub(super) source: &'a str,
    /// How many there are, told or not.
    pub(super) count: usize,
    pub(super) subjects: Vec<Subject<'a>>,
}

/// What a finding is about.
#[derive(Debug, Serialize)]
pub(super) struct Subject<'a> {
    pub(super) subject: &'a str,
    pub(super) detail: &'a str,
}

impl Group<'_> {
    /// How many are not told.
    pub(super) fn more(&self) -> usize {
        self.count - self.subjects.len()
    }

    /// What would clear it.
    pub(super) fn to_do(&self) -> String {
        let subject = self.subjects.first().map_or("", |it| it.subject);
        let subject = if subject.is_empty() { self.check } else { subject };
        let beside = if self.count > 1 { format!(" and {} more", self.count - 1) } else { String::new() };
        format!("{subject}{beside}: {}", self.remedy)
    }

    /// What is said of whom, in order: of many it is the same, and is said once.
    pub(super) fn details(&self) -> Vec<(Vec<&str>, &str)> {
        let mut details: Vec<(Vec<&str>, &str)> = Vec::new();
        for Subject { subject, detail } in &self.subjects {
            match details.iter_mut().find(|(_, said)| said == detail) {
                Some((subjects, _)) => subjects.push(subject),
                None => details.push((vec![subject], detail)),
            }
        }
        details
    }
}

/// What stands in the way of a verdict, the class that makes its word first; or of a driver.
pub(super) fn in_the_way(verdict: &Verdict, of: Concerns, is_verbose: bool) -> Vec<Group<'_>> {
    let first = match verdict.verdict {
        Conclusion::Blocked => Status::Block,
        Conclusion::Held => Status::Hold,
        Conclusion::Unknown => Status::Unknown,
        Conclusion::Safe => Status::Pass,
    };
    let is_last_word = |check: &Check| check.is_final && check.status == Status::Block;
    let classed = verdict.about(of).flat_map(|check| {
        let order = move |class| (class != first, !is_last_word(check), class);
        check.classed().map(move |(class, finding)| (order(class), check, finding))
    });
    grouped(classed, is_verbose, |(_, _, class)| Some(*class))
}

/// What is good to know, in the order of the checks.
pub(super) fn notes(verdict: &Verdict, is_verbose: bool) -> Vec<Group<'_>> {
    let noted = verdict.checks.iter().flat_map(|check| check.notes.iter().map(move |note| ((), check, note)));
    grouped(noted, is_verbose, |()| None)
}

fn grouped<'a, Order: Ord>(
    findings: impl Iterator<Item = (Order, &'a Check, &'a Finding)>,
    is_verbose: bool,
    class: impl Fn(&Order) -> Option<Status>,
) -> Vec<Group<'a>> {
    let place = |check: &str| CHECK_IDS.iter().position(|id| *id == check);
    let mut groups: BTreeMap<_, (&Check, Vec<Subject<'_>>)> = BTreeMap::new();
    for (order, check, Finding { reason, subject, detail, words: _ }) in findings {
        let (_, subjects) =
            groups.entry((order, place(check.id), *reason)).or_insert_with(|| (check, Vec::new()));
        subjects.push(Subject { subject, detail });
    }
    let one = |((order, _, reason), (check, mut subjects)): ((Order, _, Reason), (&'a Check, Vec<_>))| {
        let count = subjects.len();
        if !is_verbose {
            subjects.truncate(SUBJECTS_MAX);
        }
        let (meaning, remedy) = (reason.entry().meaning, reason.entry().remedy);
        let class = class(&order);
        Group { check: check.id, class, reason, meaning, remedy, source: check.source, count, subjects }
    };
    groups.into_iter().map(one).collect()
}
