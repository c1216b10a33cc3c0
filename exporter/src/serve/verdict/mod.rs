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

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use lockkeeper_rules::inventory::{Inventory, Workload};
use lockkeeper_rules::matrix::Matrix;
use lockkeeper_rules::reason::Finding;
use lockkeeper_rules::verdict::{Case, Check, Status, Verdict, Way, not_covered};
use serde::Serialize;

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
}

/// A verdict with what makes it easy to act on.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    verdict: &'a Verdict,
    /// What the command line ends with.
    exit_code: u8,
    /// The checks that could not be made, so that a block does not hide them.
    blind: Vec<&'a str>,
    /// Every finding with all that a person needs to clear it.
    in_the_way: Vec<InTheWay<'a>>,
    /// The steps to the target; nothing if it is no version, or if they are not known.
    way: Option<&'a Way>,
    /// Why they are not known.
    way_error: Option<String>,
}

/// A finding, from which check it is, what clears it, and which page tells the rule.
#[derive(Debug, Serialize)]
struct InTheWay<'a> {
    check: &'a str,
    /// `block`, `hold` or `unknown`.
    class: Status,
    #[serde(flatten)]
    finding: &'a Finding,
    remedy: &'static str,
    /// Empty where the detail names its own.
    source: &'a str,
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
    pub fn new(judgements: &'a [Arc<Judgement>], uncovered: &'a [String], case: &Case<'a>) -> Self {
        let packages = &case.snapshot.packages;
        Self {
            at: case.now,
            verdicts: judgements.iter().map(|judgement| shown(judgement, case)).collect(),
            not_covered: NotCovered::of(uncovered, case),
            matrix: Files {
                files: &case.matrix.files,
                refused: case.matrix.refused.iter().map(ToString::to_string).collect(),
            },
            data: data(case),
            runs: status::runs(case.snapshot),
            sources: status::sources(case.snapshot, case.inventory),
            is_offer_known: packages.value.is_some() && packages.error.is_none(),
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

fn shown<'a>(judgement: &'a Judgement, case: &Case<'_>) -> Shown<'a> {
    let verdict = &judgement.verdict;
    let (way, way_error) = match judgement.way(case) {
        Some(Ok(way)) => (Some(way), None),
        Some(Err(finding)) => (None, Some(finding.to_string())),
        None => (None, None),
    };
    Shown {
        verdict,
        exit_code: Exit::from(verdict.verdict).code(),
        blind: verdict.blind().map(|check| check.id).collect(),
        in_the_way: verdict.checks.iter().flat_map(in_the_way).collect(),
        way,
        way_error,
    }
}

fn in_the_way(check: &Check) -> impl Iterator<Item = InTheWay<'_>> {
    check.classed().map(|(class, finding)| {
        let remedy = finding.reason.entry().remedy;
        InTheWay { check: check.id, class, finding, remedy, source: check.source }
    })
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
    let row = |age: lockkeeper_rules::matrix::Age| {
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
