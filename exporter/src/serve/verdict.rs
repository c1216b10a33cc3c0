//! `/verdict`: the answer, each check with its evidence, and what is being waited for.

use std::fmt::Write as _;

use jiff::Timestamp;
use lockkeeper_rules::reason::Finding;
use lockkeeper_rules::verdict::{Answer, Check, Evidence, Verdict};
use serde::Serialize;

use super::status::{self, RunStatus, SourceStatus};
use super::view::View;
use super::words::plain;

#[derive(Serialize)]
struct Document<'a> {
    verdicts: Vec<Shown<'a>>,
    runs: Vec<RunStatus>,
    sources: Vec<SourceStatus>,
}

/// A verdict with what makes it easy to act on.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    verdict: &'a Verdict,
    /// The checks that could not be made, so that a block does not hide them.
    blind: Vec<&'a str>,
    /// What would clear each finding, in the order of all findings.
    remedies: Vec<&'a str>,
}

/// The answer for programs.
#[must_use]
pub fn json(verdicts: &[Verdict], view: &View) -> String {
    let shown = verdicts.iter().map(|verdict| Shown {
        verdict,
        blind: verdict.blind().map(|check| check.id).collect(),
        remedies: verdict.findings().map(|finding| finding.reason.entry().remedy).collect(),
    });
    let document = Document {
        verdicts: shown.collect(),
        runs: status::runs(&view.snapshot),
        sources: status::sources(view),
    };
    let mut text = serde_json::to_string_pretty(&document).expect("names are strings and numbers are finite");
    text.push('\n');
    text
}

/// The answer for a terminal.
#[must_use]
pub fn text(verdicts: &[Verdict], view: &View, now: Timestamp) -> String {
    let mut out = String::new();
    if verdicts.is_empty() {
        let known = view.snapshot.packages.value.is_some() && view.snapshot.packages.error.is_none();
        let why = if known { "no newer version is published" } else { "what is published is not known" };
        line(&mut out, &format!("no target: {why}; ask with ?target=v1.36.3\n"));
    }
    for verdict in verdicts {
        one(&mut out, verdict);
    }
    out.push_str(&status::text(view, now));
    out
}

fn one(out: &mut String, verdict: &Verdict) {
    let blind = verdict.blind().count();
    let note = if blind > 0 && verdict.verdict != Answer::Unknown {
        format!(" ({blind} checks could not be made)")
    } else {
        String::new()
    };
    line(out, &format!("{}: {}{note}", plain(&verdict.target), verdict.verdict.name().to_uppercase()));
    for Check { id, status, evidence, findings, .. } in &verdict.checks {
        let evidence: Vec<String> = evidence.iter().map(read).collect();
        line(out, &format!("  {:<8} {id:<20} {}", status.name(), evidence.join(", ")));
        for finding in findings {
            tell(out, finding);
        }
    }
    out.push('\n');
}

fn read(evidence: &Evidence) -> String {
    let Evidence { source, count, age_seconds } = evidence;
    format!("{count} {source} ({age_seconds} s old)")
}

fn tell(out: &mut String, finding: &Finding) {
    line(out, &format!("    {}", plain(&finding.to_string())));
    line(out, &format!("      -> {}", finding.reason.entry().remedy));
}

fn line(out: &mut String, line: &str) {
    writeln!(out, "{}", line.trim_end_matches(' ')).expect("a string takes all that is written");
}
