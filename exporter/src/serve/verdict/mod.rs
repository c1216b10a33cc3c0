//! The verdict for people and programs: what `/verdict` and the command line tell.
//!
//! ```text
//!   Case, Judgements ──▶ Report ─┬─▶ JSON
//!                                └─▶ blocks ─┬─▶ text for a terminal
//!                                            └─▶ a page for a browser
//! ```
//!
//! Text and page are drawn from the same blocks, so that neither can tell less than the other.

mod blocks;
mod draw;
mod group;

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use lockkeeper_rules::cluster::inventory::{Inventory, Workload};
use lockkeeper_rules::facts::Matrix;
use lockkeeper_rules::reason::Finding;
use lockkeeper_rules::verdict::{
    Case, Check, Concerns, Conclusion, Evidence, Recognised, Scope, Status, Verdict, Way, not_covered,
};
use serde::Serialize;

use self::group::Group;
use super::judged::Judgement;
use super::status::{self, RunStatus, SourceStatus};
use crate::exit::Exit;

/// Everything that is told, at one moment.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    /// When it was made.
    pub at: Timestamp,
    verdicts: Vec<Shown<'a>>,
    not_covered: NotCovered<'a>,
    matrix: Files<'a>,
    data: Vec<DataAge>,
    runs: Vec<RunStatus>,
    sources: Vec<SourceStatus>,
    /// Whether it is known what is published.
    #[serde(skip)]
    is_offer_known: bool,
    #[serde(skip)]
    detail: Detail,
}

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// What stands in the way, what is noted, and which checks have passed.
    Short,
    /// Everything: every subject, what each check has read and recognised, and how old all of it is.
    Verbose,
}

/// A verdict with what makes it easy to act on.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    target: &'a str,
    verdict: Conclusion,
    /// What the command line ends with.
    exit_code: u8,
    computed_at: Timestamp,
    age_seconds: u64,
    /// What to do first.
    next_step: String,
    in_the_way: Vec<Group<'a>>,
    /// The same about what keeps Lockkeeper from upgrading the nodes, which is no matter to the answer.
    driver: Vec<Group<'a>>,
    notes: Vec<Group<'a>>,
    /// The checks that have passed.
    passed: Vec<&'a str>,
    /// The checks that could not be made, so that a block does not hide them.
    blind: Vec<&'a str>,
    checks: Vec<CheckShown<'a>>,
    /// The steps to the target; nothing if it is no version, or if they are not known.
    way: Option<&'a Way>,
    /// Why they are not known.
    way_error: Option<String>,
}

/// What a check says, and what it has read.
#[derive(Debug, Serialize)]
struct CheckShown<'a> {
    id: &'a str,
    status: Status,
    scope: Scope,
    #[serde(rename = "final")]
    is_final: bool,
    /// The page that tells the rule; empty where each finding names its own.
    source: &'a str,
    evidence: &'a [Evidence],
    /// The rest, where everything is asked for.
    #[serde(flatten)]
    rest: Option<Rest<'a>>,
}

/// What a check has found, one by one, and what it has recognised.
#[derive(Debug, Serialize)]
struct Rest<'a> {
    findings: &'a [Finding],
    /// What each finding is, in their order.
    classes: &'a [Status],
    notes: &'a [Finding],
    recognised: &'a [Recognised],
}

/// The workloads that look like add-ons and that no row judges.
#[derive(Debug, Serialize)]
struct NotCovered<'a> {
    workloads: &'a [String],
    /// Why they are not known.
    error: Option<String>,
}

/// Where the facts about versions are from.
#[derive(Debug, Serialize)]
struct Files<'a> {
    files: &'a [String],
    /// The mistakes of newer files that were refused.
    refused: Vec<String>,
}

/// How old a section of facts is.
#[derive(Debug, Serialize)]
struct DataAge {
    section: &'static str,
    as_of: Option<Date>,
    age_days: Option<u64>,
    max_age_days: u32,
    is_stale: bool,
}

impl<'a> Report<'a> {
    /// Tells these verdicts on a case, and the workloads of it that are [`uncovered`].
    #[must_use]
    pub fn new(
        judgements: &'a [Arc<Judgement>],
        uncovered: &'a [String],
        case: &Case<'a>,
        detail: Detail,
    ) -> Self {
        let packages = &case.snapshot.packages;
        Self {
            at: case.now,
            verdicts: judgements.iter().map(|judgement| shown(judgement, case, detail)).collect(),
            not_covered: NotCovered::of(uncovered, case),
            matrix: Files {
                files: &case.matrix.files,
                refused: case.matrix.refused.iter().map(ToString::to_string).collect(),
            },
            data: data(case),
            runs: status::runs(case.snapshot),
            sources: status::sources(case.snapshot, case.inventory),
            is_offer_known: packages.error.is_none()
                && packages.value.as_ref().is_some_and(|packages| packages.next_error.is_none()),
            detail,
        }
    }

    /// The answer for programs.
    #[must_use]
    pub fn json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("names are strings and numbers are finite");
        text.push('\n');
        text
    }

    /// The answer for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        draw::text(&self.blocks())
    }

    /// The answer for a browser, as the inside of a page.
    #[must_use]
    pub fn html(&self) -> String {
        draw::html(&self.blocks())
    }
}

fn shown<'a>(judgement: &'a Judgement, case: &Case<'_>, detail: Detail) -> Shown<'a> {
    let verdict = &judgement.verdict;
    let (way, way_error) = match judgement.way(case) {
        Some(Ok(way)) => (Some(way), None),
        Some(Err(finding)) => (None, Some(finding.to_string())),
        None => (None, None),
    };
    let is_verbose = detail == Detail::Verbose;
    let in_the_way = group::in_the_way(verdict, Concerns::Compatibility, is_verbose);
    let driver = group::in_the_way(verdict, Concerns::Driver, is_verbose);
    let check = |check: &'a Check| {
        let Check {
            id,
            status,
            scope,
            source,
            evidence,
            findings,
            classes,
            notes,
            recognised,
            is_final,
            concerns: _,
        } = check;
        let rest = is_verbose.then_some(Rest { findings, classes, notes, recognised });
        CheckShown { id, status: *status, scope: *scope, is_final: *is_final, source, evidence, rest }
    };
    let passed = verdict.checks.iter().filter(|check| check.status == Status::Pass);
    Shown {
        target: &verdict.target,
        verdict: verdict.verdict,
        exit_code: Exit::from(verdict.verdict).code(),
        computed_at: verdict.computed_at,
        age_seconds: u64::try_from(case.now.duration_since(verdict.computed_at).as_secs()).unwrap_or(0),
        next_step: next_step(verdict, &in_the_way, &driver),
        notes: group::notes(verdict, is_verbose),
        passed: passed.map(|check| check.id).collect(),
        blind: verdict.blind().map(|check| check.id).collect(),
        checks: verdict.checks.iter().map(check).collect(),
        in_the_way,
        driver,
        way,
        way_error,
    }
}

/// What to do first, in one line.
fn next_step(verdict: &Verdict, in_the_way: &[Group<'_>], driver: &[Group<'_>]) -> String {
    match (in_the_way.first(), verdict.verdict, driver.first()) {
        (Some(first), _, _) => first.to_do(),
        (None, Conclusion::Safe, None) => {
            format!("nothing is in the way: open an UpgradeRun to {}", verdict.target)
        }
        (None, Conclusion::Safe, Some(first)) => {
            format!("the version fits; before a run, {}", first.to_do())
        }
        (None, Conclusion::Blocked | Conclusion::Held | Conclusion::Unknown, _) => {
            "no check says what is in the way: report it as a fault".to_owned()
        }
    }
}

impl<'a> NotCovered<'a> {
    /// What is known of them at this moment.
    fn of(workloads: &'a [String], case: &Case<'_>) -> Self {
        match case.inventory.workloads.fresh(case.now, case.settings.state_age_seconds_max) {
            Ok(_) => Self { workloads, error: None },
            Err(why) => Self { workloads: &[], error: Some(format!("workloads: {why}")) },
        }
    }
}

/// The workloads that look like add-ons and that no row judges, as they were read last.
#[must_use]
pub fn uncovered(inventory: &Inventory, matrix: &Matrix) -> Vec<String> {
    let workloads = inventory.workloads.value.as_deref().unwrap_or_default();
    not_covered(workloads, &matrix.addons.value).into_iter().map(Workload::to_string).collect()
}

fn data(case: &Case<'_>) -> Vec<DataAge> {
    let today = case.now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let row = |age: lockkeeper_rules::facts::Age| {
        // Facts of tomorrow are new.
        let days = |as_of: Date| u64::try_from((today - as_of).get_days()).unwrap_or(0);
        let age_days = age.as_of.map(days);
        DataAge {
            section: age.section,
            as_of: age.as_of,
            age_days,
            max_age_days: age.max_age_days,
            is_stale: age_days.is_none_or(|days| days > u64::from(age.max_age_days)),
        }
    };
    case.matrix.ages().into_iter().map(row).collect()
}

#[cfg(test)]
mod tests;
