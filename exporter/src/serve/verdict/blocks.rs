//! A report in blocks: what is told in which order, without how it looks.

use jiff::Timestamp;
use lockkeeper_rules::api::Hold;
use lockkeeper_rules::verdict::bridge::{Bridge, BridgeStep};
use lockkeeper_rules::verdict::{Conclusion, Evidence, Recognised, Status, Way};
use lockkeeper_rules::words::counted;

use super::group::Group;
use super::{CheckShown, DataAge, Detail, Report, Shown};
use crate::serve::status::{RunStatus, SourceStatus};
use crate::serve::words::ago;

/// A piece of a report. Its words are as they came: whoever draws them makes them harmless.
#[derive(Debug)]
pub(super) enum Block {
    /// What comes next.
    Title(String),
    /// A line, the deeper the more it belongs to the ones before.
    Line(usize, String),
    /// The same, to be broken where it is too long to be read at once.
    Prose(usize, String),
    /// Rows of the same kind; the first one names the columns.
    Table(Vec<Vec<String>>),
}

impl Report<'_> {
    /// The heads of all answers first, then what each of them is made of.
    pub(super) fn blocks(&self) -> Vec<Block> {
        let is_verbose = self.detail == Detail::Verbose;
        let mut blocks: Vec<Block> = self.verdicts.iter().flat_map(|one| one.head(self.at)).collect();
        if self.verdicts.is_empty() {
            blocks.push(Block::Line(0, self.no_target()));
        }
        for one in &self.verdicts {
            one.render(self.verdicts.len() > 1, is_verbose, &mut blocks);
        }
        for run in &self.runs {
            render_run(run, self.at, &mut blocks);
        }
        if is_verbose {
            self.render_uncovered(&mut blocks);
            blocks.push(Block::Title("data".to_owned()));
            blocks.push(Block::Table(ages(&self.data)));
            blocks.push(Block::Prose(1, format!("from {}", self.matrix.files.join(", "))));
            blocks.push(Block::Title("sources".to_owned()));
            blocks.extend(self.sources.iter().map(|source| render_source(source, self.at)));
        }
        let refused = self.matrix.refused.iter();
        blocks.extend(refused.map(|mistake| Block::Prose(1, format!("newer files REFUSED: {mistake}"))));
        blocks
    }

    fn no_target(&self) -> String {
        let why = if self.is_offer_known {
            "no newer version is published"
        } else {
            "what is published is not known"
        };
        format!("no target: {why}; ask with ?target=v1.36.3")
    }

    fn render_uncovered(&self, blocks: &mut Vec<Block>) {
        let all = &self.not_covered;
        if all.workloads.is_empty() && all.error.is_none() {
            return;
        }
        blocks.push(Block::Title("not covered: they look like add-ons, and no row judges them".to_owned()));
        let error = all.error.as_ref().map(|error| format!("not known: {error}"));
        blocks.extend(all.workloads.iter().cloned().chain(error).map(|line| Block::Prose(1, line)));
    }
}

impl Shown<'_> {
    /// The answer, and what to do first.
    fn head(&self, now: Timestamp) -> [Block; 2] {
        let Self { target, verdict, exit_code, computed_at, next_step, blind, .. } = self;
        let blind = match (verdict, blind.len()) {
            (Conclusion::Unknown, _) | (_, 0) => String::new(),
            (_, 1) => ", 1 check could not be made".to_owned(),
            (_, many) => format!(", {many} checks could not be made"),
        };
        let word = verdict.name().to_uppercase();
        let age = ago(*computed_at, now);
        let head =
            format!("{target}: {word}, exit code {exit_code}, judged {age} ago at {computed_at:.0}{blind}");
        [Block::Title(head), Block::Prose(1, format!("next: {next_step}"))]
    }

    /// What the findings are about that are no matter to the answer.
    fn driver_words(&self) -> Option<&'static str> {
        if self.driver.is_empty() {
            None
        } else if self.driver.iter().any(|group| group.class == Some(Status::Block)) {
            Some(
                "not all of this cluster can be upgraded by Lockkeeper, whatever the answer on the version is:",
            )
        } else {
            Some(
                "whether Lockkeeper can upgrade all of this cluster is not known, whatever the answer on the version is:",
            )
        }
    }

    fn render(&self, is_one_of_many: bool, is_verbose: bool, blocks: &mut Vec<Block>) {
        if is_one_of_many {
            blocks.push(Block::Title(format!("{}: {}", self.target, self.verdict.name().to_uppercase())));
        }
        for group in &self.in_the_way {
            render_group(group, blocks);
        }
        if let Some(words) = self.driver_words() {
            blocks.push(Block::Prose(1, words.to_owned()));
        }
        for group in &self.driver {
            render_group(group, blocks);
        }
        if let Some(way) = self.way {
            render_way(way, blocks);
        }
        let why = self.way_error.as_ref();
        blocks.extend(why.map(|why| Block::Prose(1, format!("plan: not known: {why}"))));
        for group in &self.notes {
            render_group(group, blocks);
        }
        if !self.passed.is_empty() {
            let (passed, all) = (self.passed.len(), self.checks.len());
            let names = self.passed.join(", ");
            blocks.push(Block::Prose(1, format!("passed, {passed} of {all}: {names}")));
        }
        if is_verbose {
            let width = self.checks.iter().map(|check| check.id.len()).max().unwrap_or(0);
            blocks.push(Block::Prose(1, "checks, with what each has read".to_owned()));
            for check in &self.checks {
                render_check(check, width, blocks);
            }
        }
    }
}

/// One reason with its subjects.
fn render_group(group: &Group<'_>, blocks: &mut Vec<Block>) {
    let Group { check, class, reason, meaning, remedy, source, count, .. } = group;
    let class = class.map_or("note", |class| class.name());
    blocks.push(Block::Prose(1, format!("{class} {check}: {} ({count}): {meaning}", reason.code())));
    for (subjects, detail) in group.details() {
        let words = [subjects.join(", "), detail.to_owned()].into_iter().filter(|word| !word.is_empty());
        blocks.push(Block::Prose(2, words.collect::<Vec<_>>().join(": ")));
    }
    if group.more() > 0 {
        blocks.push(Block::Prose(2, format!("and {} more: ask with ?verbose, or --verbose", group.more())));
    }
    if group.class.is_some() {
        blocks.push(Block::Prose(2, format!("-> {remedy}")));
        if !source.is_empty() {
            blocks.push(Block::Prose(2, format!("the rule: {source}")));
        }
    }
}

/// The width is that of the longest name of a check.
fn render_check(check: &CheckShown<'_>, width: usize, blocks: &mut Vec<Block>) {
    let evidence: Vec<String> = check.evidence.iter().map(read).collect();
    blocks.push(Block::Prose(
        2,
        format!("{:<8} {:<width$} {}", check.status.name(), check.id, evidence.join(", ")),
    ));
    for Recognised { subject, detail, source } in check.rest.iter().flat_map(|rest| rest.recognised) {
        let words = [subject, detail, source].into_iter().filter(|word| !word.is_empty());
        blocks.push(Block::Prose(3, words.map(String::as_str).collect::<Vec<_>>().join(": ")));
    }
}

fn read(evidence: &Evidence) -> String {
    let Evidence { source, count, age_seconds } = evidence;
    let age = match *age_seconds {
        u64::MAX => "of no known age".to_owned(),
        seconds @ 0..86_400 => format!("{seconds} s old"),
        seconds => format!("{} old", counted(seconds / 86_400, "day")),
    };
    // Sources have the names of their fields, so they are no nouns to count.
    format!("{source}: {count} ({age})")
}

fn render_way(way: &Way, blocks: &mut Vec<Block>) {
    match &way.bridge {
        Bridge::Plan(steps) if steps.is_empty() => {}
        Bridge::Plan(steps) => {
            blocks.push(Block::Prose(1, "plan".to_owned()));
            let numbered = (1..).zip(steps);
            blocks.extend(
                numbered.map(|(number, step)| Block::Prose(2, format!("{number}. {}", instruction(step)))),
            );
        }
        Bridge::NoPlan(obstacles) => {
            blocks.push(Block::Prose(1, "plan: there is none".to_owned()));
            for it in obstacles {
                let pinned =
                    if it.is_pinned { "; it is pinned, which may be all that is in the way" } else { "" };
                let (name, version, stays_at, needs) = (&it.name, &it.version, &it.stays_at, &it.needs);
                let missing = format!(
                    "{name} {version} comes along to {stays_at}: a release that fits {stays_at} and {needs} is missing{pinned}"
                );
                blocks.push(Block::Prose(2, missing));
            }
        }
        Bridge::TooFar => {
            let why =
                "plan: not looked for: the target is of another major version, or too many minors ahead";
            blocks.push(Block::Prose(1, why.to_owned()));
        }
    }
    blocks.extend(way.unknown.iter().map(|finding| Block::Prose(2, format!("no step speaks of: {finding}"))));
}

fn instruction(step: &BridgeStep) -> String {
    match step {
        BridgeStep::Addon { name, from, to } => format!("upgrade {name} from {from} to at least {to}"),
        BridgeStep::Kubernetes { from, to } => format!("upgrade Kubernetes from {from} to {to}"),
    }
}

fn ages(data: &[DataAge]) -> Vec<Vec<String>> {
    let mut rows = vec![row(["SECTION", "OF", "AGE", "AT MOST", ""])];
    for age in data {
        let unknown = || "unknown".to_owned();
        rows.push(vec![
            age.section.to_owned(),
            age.as_of.map_or_else(unknown, |as_of| as_of.to_string()),
            age.age_days.map_or_else(unknown, |days| counted(days, "day")),
            counted(age.max_age_days.into(), "day"),
            if age.is_stale { "STALE".to_owned() } else { String::new() },
        ]);
    }
    rows
}

fn render_source(source: &SourceStatus, now: Timestamp) -> Block {
    let SourceStatus { source, proven_at, error } = source;
    let age = proven_at.map_or("never proven".to_owned(), |at| format!("proven {} ago", ago(at, now)));
    let error = error.as_ref().map(|error| format!("; FAILS: {error}")).unwrap_or_default();
    Block::Prose(1, format!("{source:<18} {age}{error}"))
}

fn render_run(run: &RunStatus, now: Timestamp, blocks: &mut Vec<Block>) {
    let phase = run.phase.map_or("not seen by the actuator yet".to_owned(), |phase| format!("{phase:?}"));
    let since = run.since.map(|at| format!(" for {}", ago(at, now))).unwrap_or_default();
    let step = if run.step.is_empty() { String::new() } else { format!(" {}", run.step) };
    let progress = if run.progress.is_empty() { String::new() } else { format!(", {} nodes", run.progress) };
    blocks.push(Block::Title(format!("run {} to {}: {phase}{step}{since}{progress}", run.run, run.target)));
    blocks.extend(run.halted.iter().map(|halted| Block::Line(1, format!("halted: {halted}"))));
    for Hold { reason, subject, detail, words: _, remedy, step, since } in &run.waits_for {
        let words = [reason, subject, detail].into_iter().filter(|word| !word.is_empty());
        // One step is named above.
        let who =
            step.iter().filter(|step| **step != run.step).map(|step| format!("{step} ")).collect::<String>();
        let words = words.map(String::as_str).collect::<Vec<_>>().join(" ");
        blocks.push(Block::Line(1, format!("{who}waits for {words} ({})", ago(*since, now))));
        blocks.push(Block::Line(2, format!("-> {remedy}")));
    }
}

fn row<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}
