//! The live check: every reason why a step may not go on, from answers that were read a moment ago.
//!
//! One file per backend. Rows that are true only while a step waits are asked in the form [`Form::Start`] alone.
//! An empty answer is never good news by itself: each list must also hold something that is always in it.

mod alertmanager;
mod cluster;
mod prometheus;
mod queries;
mod silences;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::ask::has;
use super::{Answer, Answers, AskError, CheckOrder, Form, Questions};
use crate::alert::{self, GATE_LABEL, RuleGroup};
use crate::reason::{Finding, Reason};
use crate::settings::Settings;
use crate::wire::prometheus::Labels;

pub use silences::silences;

/// Every reason why not, sorted, each once by its subject; empty means clear.
#[must_use]
pub fn check(order: &CheckOrder, answers: &Answers, settings: &Settings, now: Timestamp) -> Vec<Finding> {
    check_with(&alert::groups(settings), order, answers, settings, now)
}

fn check_with(
    groups: &[RuleGroup],
    order: &CheckOrder,
    answers: &Answers,
    settings: &Settings,
    now: Timestamp,
) -> Vec<Finding> {
    let rules = groups.iter().flat_map(|group| &group.rules);
    let questions = Questions::with(rules, order, settings);
    let mut it = Check { groups, questions, order, answers, settings, now, findings: Vec::new() };
    it.own_clock();
    it.prometheus();
    it.alertmanager();
    it.cluster();
    tidy(it.findings)
}

/// What is wrong with the heartbeat of the alert path, if anything. Before its first chance to arrive nothing is:
/// `since` is when this replica began to listen as the leader.
#[must_use]
pub fn heartbeat(
    at: Option<Timestamp>,
    since: Timestamp,
    now: Timestamp,
    settings: &Settings,
) -> Option<Finding> {
    let silent = now.duration_since(at.map_or(since, |at| at.max(since)));
    if silent <= seconds(settings.heartbeat_seconds_max) {
        return None;
    }
    let detail = match at {
        Some(at) => format!("the last one came at {at}"),
        None => format!("none has come since {since}"),
    };
    Some(Finding::new(Reason::HeartbeatMissing, "route", detail))
}

/// One live check at work: what was asked, what came back, and what was found so far.
struct Check<'a> {
    groups: &'a [RuleGroup],
    questions: Questions,
    order: &'a CheckOrder,
    answers: &'a Answers,
    settings: &'a Settings,
    now: Timestamp,
    findings: Vec<Finding>,
}

impl<'a> Check<'a> {
    fn found(&mut self, reason: Reason, subject: impl Into<String>, detail: impl Into<String>) {
        self.findings.push(Finding::new(reason, subject, detail));
    }

    /// The same with figures that change by themselves.
    fn counted(
        &mut self,
        reason: Reason,
        subject: impl Into<String>,
        words: &str,
        figures: &[&dyn std::fmt::Display],
    ) {
        self.findings.push(Finding::with_figures(reason, subject, words, figures));
    }

    fn is_start(&self) -> bool {
        self.order.form == Form::Start
    }

    /// Whether an alert with these labels closes the step: it is of the class, and not of another cluster.
    fn closes(&self, labels: &Labels) -> bool {
        let is_of_class = labels
            .get(GATE_LABEL)
            .is_some_and(|label| self.order.step.phase().gate_class().is_closed_by(label));
        is_of_class && self.concerns(labels)
    }

    /// Whether an alert with these labels may be about this cluster.
    fn concerns(&self, labels: &Labels) -> bool {
        self.settings.selector.concerns(|name| labels.get(name).map(String::as_str))
    }

    /// Whether an alert of this name and with these labels is this cluster's own.
    fn is_own(&self, labels: &Labels, alertname: &str) -> bool {
        has(labels, "alertname", alertname)
            && self.settings.selector.labels().all(|(name, value)| has(labels, name, value))
    }

    fn own_clock(&mut self) {
        let age = self.now.duration_since(self.answers.started_at);
        if age.is_negative() || age > seconds(self.settings.check_seconds_max) {
            self.counted(Reason::CheckExpired, "", "begun {} s ago", &[&age.as_secs()]);
        }
    }

    /// The value of an answer, if there is one; what is wrong with it, or with the clock that it shows, is noted.
    fn usable<T>(
        &mut self,
        answer: &'a Answer<T>,
        url: &str,
        what: &str,
        unreachable: Reason,
    ) -> Option<&'a T> {
        match (&answer.result, answer.date) {
            (Err(AskError::Unreachable(_)), None) => {}
            (_, None) => self.found(Reason::ClockSkew, url, "the answer has no Date header"),
            (_, Some(date)) => self.clock(url, date, answer.received_at),
        }
        match &answer.result {
            Ok(value) => return Some(value),
            Err(error @ AskError::Unusable(_)) => {
                self.found(Reason::AnswerMalformed, url, format!("{what}: {error}"));
            }
            Err(error @ (AskError::Unreachable(_) | AskError::Refused { .. })) => {
                self.found(unreachable, url, format!("{what}: {error}"));
            }
        }
        None
    }

    fn clock(&mut self, url: &str, theirs: Timestamp, ours: Timestamp) {
        let skew = theirs.duration_since(ours);
        if skew.abs() > seconds(self.settings.clock_skew_seconds_max) {
            self.counted(Reason::ClockSkew, url, "its clock says {}, ours said {}", &[&theirs, &ours]);
        }
    }
}

/// Whole seconds as a duration.
fn seconds(seconds: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX))
}

/// Labels in a few words: those that tell one alert of a rule from another.
fn describe(labels: &Labels) -> String {
    let common = ["alertname", "severity", "__name__"];
    let telling = labels.iter().filter(|(name, _)| !common.contains(&name.as_str()));
    telling.map(|(name, value)| format!("{name}={value:?}")).collect::<Vec<_>>().join(" ")
}

/// How many details of one finding are shown.
const DETAILS_MAX: usize = 5;

/// Sorted, and one finding for each reason and subject, with what was seen put together.
fn tidy(findings: Vec<Finding>) -> Vec<Finding> {
    let mut by_subject: BTreeMap<(Reason, String), BTreeMap<String, String>> = BTreeMap::new();
    for Finding { reason, subject, detail, words } in findings {
        by_subject.entry((reason, subject)).or_default().insert(detail, words);
    }
    let joined = |all: Vec<&String>| {
        let more = all.len().saturating_sub(DETAILS_MAX);
        let mut shown: Vec<String> =
            all.into_iter().take(DETAILS_MAX).filter(|text| !text.is_empty()).cloned().collect();
        if more > 0 {
            shown.push(format!("and {more} more"));
        }
        shown.join("; ")
    };
    let one = |((reason, subject), seen): ((Reason, String), BTreeMap<String, String>)| {
        let has_figures = seen.values().any(|words| !words.is_empty());
        let words = seen.iter().map(|(detail, words)| if words.is_empty() { detail } else { words });
        let words = if has_figures { joined(words.collect()) } else { String::new() };
        Finding { reason, subject, detail: joined(seen.keys().collect()), words }
    };
    by_subject.into_iter().map(one).collect()
}

/// Every reason that a live check can give: the values of the label of `k8s_upgrade_gate_reason`.
pub const REASONS: &[Reason] = &[
    Reason::GateFiring,
    Reason::GatePending,
    Reason::GateSuppressed,
    Reason::GateExpressionTrue,
    Reason::GateMisspelt,
    Reason::RuleMissing,
    Reason::RuleUnhealthy,
    Reason::RuleStale,
    Reason::RuleUnknown,
    Reason::WatchdogMissing,
    Reason::ReadyAbsent,
    Reason::ReadySuppressed,
    Reason::ReadySilenced,
    Reason::SilenceForgotten,
    Reason::EchoMissing,
    Reason::EchoStale,
    Reason::NodeMismatch,
    Reason::PrometheusUnreachable,
    Reason::PrometheusReloadFailed,
    Reason::PrometheusYoung,
    Reason::AlertmanagerUnreachable,
    Reason::AlertmanagerYoung,
    Reason::AlertmanagerNotReady,
    Reason::ClockSkew,
    Reason::AnswerMalformed,
    Reason::CheckExpired,
    Reason::ApiUnreachable,
    Reason::NodeNotReady,
    Reason::NodePressure,
    Reason::NodeLeaseStale,
    Reason::NoNodes,
    Reason::ControllerLeaseStale,
    Reason::ControlPlaneNotReady,
    Reason::VersionUnexpected,
    Reason::SnapshotMissing,
    Reason::EtcdSlow,
    Reason::EtcdNearlyFull,
    Reason::EtcdUnmeasured,
    Reason::StatusMalformed,
    Reason::LeadershipLost,
    Reason::LockLost,
    Reason::LockUnreadable,
];
