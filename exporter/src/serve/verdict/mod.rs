//! The verdict for people and programs: what `/verdict` and the command line tell.
//!
//! ```text
//!   Case, Verdicts ──▶ Report ─┬─▶ JSON
//!                              └─▶ blocks ─┬─▶ text for a terminal
//!                                          └─▶ a page for a browser
//! ```
//!
//! Text and page are drawn from the same blocks, so that neither can tell less than the other.

mod blocks;
mod draw;

use jiff::Timestamp;
use jiff::civil::Date;
use lockkeeper_rules::inventory::Workload;
use lockkeeper_rules::verdict::{Case, Verdict, Way, not_covered, way};
use lockkeeper_rules::version::Version;
use serde::Serialize;

use super::status::{self, RunStatus, SourceStatus};
use crate::exit::Exit;

/// Everything that is told, at one moment.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    /// When it was made.
    pub at: Timestamp,
    verdicts: Vec<Shown<'a>>,
    not_covered: NotCovered,
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
    /// What would clear each finding, in the order of all findings.
    remedies: Vec<&'static str>,
    /// The steps to the target; nothing if it is no version, or if they are not known.
    way: Option<Way>,
    /// Why they are not known.
    way_error: Option<String>,
}

/// The workloads that look like add-ons and that no row judges.
#[derive(Debug, Serialize)]
struct NotCovered {
    workloads: Vec<String>,
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
    /// Tells these verdicts on a case.
    #[must_use]
    pub fn new(verdicts: &'a [Verdict], case: &Case<'a>) -> Self {
        let packages = &case.snapshot.packages;
        Self {
            at: case.now,
            verdicts: verdicts.iter().map(|verdict| shown(verdict, case)).collect(),
            not_covered: uncovered(case),
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

fn shown<'a>(verdict: &'a Verdict, case: &Case<'_>) -> Shown<'a> {
    let way = verdict.target.parse::<Version>().ok().map(|target| way(&target, case)).transpose();
    let (way, way_error) = match way {
        Ok(way) => (way, None),
        Err(finding) => (None, Some(finding.to_string())),
    };
    Shown {
        verdict,
        exit_code: Exit::from(verdict.verdict).code(),
        blind: verdict.blind().map(|check| check.id).collect(),
        remedies: verdict.findings().map(|finding| finding.reason.entry().remedy).collect(),
        way,
        way_error,
    }
}

fn uncovered(case: &Case<'_>) -> NotCovered {
    let workloads = &case.inventory.workloads;
    match workloads.fresh(case.now, case.settings.state_age_seconds_max) {
        Ok(all) => NotCovered {
            workloads: not_covered(all, &case.matrix.addons.value)
                .into_iter()
                .map(Workload::to_string)
                .collect(),
            error: None,
        },
        Err(why) => NotCovered { workloads: Vec::new(), error: Some(format!("workloads: {why}")) },
    }
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
