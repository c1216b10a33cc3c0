//! Silences on the ready alert, by which people pause a run. Alertmanager keeps them, and may lose them: one that was killed
//! has lost what is younger than its last write, one that was set up anew has lost all. So a run keeps those that were seen.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Check;
use super::alertmanager::{describe_silence, is_ready};
use crate::alert::READY_ALERT;
use crate::api::{SilenceRecord, UpgradeRun};
use crate::gate::Answers;
use crate::gate::CheckOrder;
use crate::reason::Reason;
use crate::settings::Settings;
use crate::wire::alertmanager::{Silence, SilenceState};
use crate::wire::prometheus::{Labels, shortened};

/// How many a run keeps, those that end last: a run that waits for these waits for the others too.
const KEPT_MAX: usize = 20;

/// The silences that the run is to keep from now on: those that it has kept and that are not known to be over, and those
/// that pause it now. A running step is not stopped by them, but sees them for the next one. Nothing where the run could
/// not be read: what it has kept is not known then.
#[must_use]
pub fn silences(
    order: &CheckOrder,
    answers: &Answers,
    settings: &Settings,
    now: Timestamp,
) -> Option<Vec<SilenceRecord>> {
    let run = run_of(order, answers)?;
    let seen = pausing(order, answers, settings).into_iter().map(record);
    let mut newest: Vec<_> = kept(run, answers, now).cloned().chain(seen).collect();
    // People give a silence another end, and an Alertmanager that was killed shows the one before: the last change counts.
    newest.sort_by_key(|record| record.updated_at);
    let newest = newest.into_iter().map(|record| (record.id.clone(), record));
    let mut all: Vec<_> = newest.collect::<BTreeMap<_, _>>().into_values().collect();
    all.sort_by_key(|record| std::cmp::Reverse(record.ends_at));
    all.truncate(KEPT_MAX);
    Some(all)
}

impl Check<'_> {
    /// No silence is about the ready alert, whatever the state of the alert says, and none that was is forgotten.
    pub(super) fn pauses(&mut self) {
        for silence in pausing(self.order, self.answers, self.settings) {
            self.found(Reason::ReadySilenced, &silence.id, describe_silence(silence));
        }
        // Whoever does not answer may know it, and closes by that.
        if self.answers.alertmanager.iter().any(|it| it.silences.result.is_err()) {
            return;
        }
        let Some(run) = run_of(self.order, self.answers) else { return };
        for record in kept(run, self.answers, self.now) {
            if known(record, self.answers).next().is_none() {
                let SilenceRecord { id, matchers, created_by, comment, ends_at, .. } = record;
                let detail =
                    format!("{} accepts: {matchers} by {created_by} until {ends_at}: {comment}", word(id));
                self.found(Reason::SilenceForgotten, id, detail);
            }
        }
    }
}

fn run_of<'a>(order: &CheckOrder, answers: &'a Answers) -> Option<&'a UpgradeRun> {
    answers.cluster.runs.value.as_ref()?.iter().find(|run| run.uid == order.token.run.0)
}

/// What every Alertmanager that answers knows, what has expired included.
fn shown(answers: &Answers) -> impl Iterator<Item = &Silence> {
    answers.alertmanager.iter().filter_map(|it| it.silences.result.as_ref().ok()).flatten()
}

/// A silence that the run has kept, as Alertmanagers know it that have not lost its last change.
fn known<'a>(record: &'a SilenceRecord, answers: &'a Answers) -> impl Iterator<Item = &'a Silence> {
    shown(answers).filter(|silence| silence.id == record.id && silence.updated_at >= record.updated_at)
}

/// The silences in force that are about our ready alert.
fn pausing<'a>(order: &CheckOrder, answers: &'a Answers, settings: &Settings) -> Vec<&'a Silence> {
    let ready = ready_labels(order, answers, settings);
    let active = shown(answers).filter(|silence| silence.state == SilenceState::Active);
    active.filter(|silence| ready.iter().any(|labels| silence.matches(labels))).collect()
}

/// What the run has kept and is not known to be over.
fn kept<'a>(
    run: &'a UpgradeRun,
    answers: &'a Answers,
    now: Timestamp,
) -> impl Iterator<Item = &'a SilenceRecord> {
    let all = run.status.iter().flat_map(|status| &status.silences);
    all.filter(move |record| !is_over(record, run, answers, now))
}

/// Whether an Alertmanager shows that it has expired, its own end is past by our clock and by an Alertmanager's, or a
/// person lets it go. An expired silence never comes into force again: people get another one.
fn is_over(record: &SilenceRecord, run: &UpgradeRun, answers: &Answers, now: Timestamp) -> bool {
    let dates = || answers.alertmanager.iter().filter_map(|it| it.silences.date);
    known(record, answers).any(|silence| silence.state == SilenceState::Expired)
        || (record.ends_at <= now && dates().any(|date| record.ends_at <= date))
        || run.spec.accept_risks.contains(&word(&record.id))
}

/// The word for `spec.acceptRisks` that lets a silence go.
fn word(id: &str) -> String {
    format!("{}@{id}", Reason::SilenceForgotten)
}

fn record(silence: &Silence) -> SilenceRecord {
    let matchers: Vec<_> = silence.matchers.iter().map(ToString::to_string).collect();
    SilenceRecord {
        id: silence.id.clone(),
        matchers: shortened(&matchers.join(",")),
        created_by: silence.created_by.clone(),
        comment: silence.comment.clone(),
        ends_at: silence.ends_at,
        updated_at: silence.updated_at,
    }
}

/// The labels of our ready alert as an Alertmanager has them. While it does not fire, as the rule would write them: a
/// person who pauses the run does not wait for the gate to open first.
pub(super) fn ready_labels(order: &CheckOrder, answers: &Answers, settings: &Settings) -> Vec<Labels> {
    let token = order.token.to_string();
    let alerts = answers.alertmanager.iter().filter_map(|it| it.alerts.result.as_ref().ok()).flatten();
    let shown: Vec<_> =
        alerts.map(|alert| &alert.labels).filter(|it| is_ready(it, &token)).cloned().collect();
    if !shown.is_empty() {
        return shown;
    }
    let (step, class) = (order.step.to_string(), order.step.phase().gate_class());
    let run = run_of(order, answers).map_or("", |run| &run.name);
    let own = [
        ("alertname", READY_ALERT),
        ("severity", "none"),
        ("run", run),
        ("step", &step),
        ("phase", order.step.phase().name()),
        ("token", &token),
        ("gate_class", class.label()),
    ];
    let own = own.into_iter().chain(settings.selector.labels());
    vec![own.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()]
}
