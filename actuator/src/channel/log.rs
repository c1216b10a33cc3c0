//! Notices as lines of the log of this process: the only channel that nothing can be in the way of.

use lockkeeper_rules::notice::{News, Notice};
use lockkeeper_rules::reason::Finding;

pub(super) fn write(notice: &Notice) {
    let run = notice.name.as_str();
    match &notice.news {
        News::Opened { from, target } => {
            tracing::info!(run, from = from.as_ref().map(ToString::to_string), to = target, "opened");
        }
        News::StepStarted(step) => tracing::info!(run, %step, "step started"),
        News::StageStarted(step, stage) => tracing::info!(run, %step, stage = stage.name(), "stage"),
        News::StepFinished(step) => tracing::info!(run, %step, "step finished"),
        News::StepNotBegun(step) => tracing::info!(run, %step, "step not begun"),
        News::StepRetried { step, because } => {
            tracing::warn!(run, %step, why = list(because), "step will be tried again");
        }
        News::Holding { step, findings } => {
            let step = step.as_ref().map(ToString::to_string).unwrap_or_default();
            if findings.is_empty() {
                tracing::info!(run, step, "nothing holds any more");
            } else {
                tracing::info!(run, step, why = list(findings), "holding");
            }
        }
        News::StepFailed(it) => {
            let (step, finding) = (&it.step, &it.finding);
            tracing::error!(run, %step, reason = finding.reason.code(), %finding, "step failed");
        }
        News::Halted(it) => {
            let (step, finding) = (&it.step, &it.finding);
            tracing::error!(run, %step, reason = finding.reason.code(), %finding, "halted");
        }
        News::Resumed { step, attempt } => tracing::info!(run, %step, attempt, "resumed"),
        News::Finished => tracing::info!(run, "succeeded"),
        News::SourceNotRestored(finding) => {
            tracing::warn!(run, %finding, "a source of packages was not put back");
        }
        News::StatusUnreadable(finding) => {
            tracing::error!(run, %finding, "the run is left alone: its status cannot be read");
        }
        News::CommandRefused(finding) => tracing::error!(run, %finding, "a command was refused"),
    }
}

/// Findings in one line.
pub(super) fn list(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
