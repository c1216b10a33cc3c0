//! Commands, answers and notices in a few words each.

use lockkeeper_rules::driver::order::{Create, Look, Start};
use lockkeeper_rules::driver::task::Progress;
use lockkeeper_rules::notice::News;
use lockkeeper_rules::reason::Finding;
use lockkeeper_rules::run::{Acted, Action, Command, Intended, Known};
use lockkeeper_rules::words::name::NodeName;
use serde::Serialize;

/// What is ordered.
pub(crate) fn of(command: &Command) -> String {
    match command {
        Command::TakeLock => "take the lock".to_owned(),
        Command::ReleaseLock => "release the lock".to_owned(),
        Command::HandOver => "hand over".to_owned(),
        Command::Check(order) => format!("live check ({})", word(&order.form)),
        Command::Look(Look::Kubeadm(order)) => {
            format!("look at {}", names(order.nodes.iter().map(|node| &node.name)))
        }
        Command::Look(Look::Job(order)) => format!("look at {}", names(&order.jobs_on)),
        Command::Create(Create::Job(order)) => {
            format!("create Job {} for {}", word(&order.job.task), order.job.node)
        }
        Command::Start(Start::Kubeadm(order)) => {
            format!("start {} on {}", word(&order.kind), order.node.name)
        }
        Command::Start(Start::Job(order)) => {
            format!("start Job {} on {}", word(&order.job.task), order.job.node)
        }
        Command::PutBack(order) => format!("put back {}", order.node()),
        Command::Read(order) => format!("read {}", order.node()),
        Command::ReadVolumes(node) => format!("read volumes of {node}"),
        Command::Cordon(order) => format!("cordon {}", order.node),
        Command::Evict(order) => format!("evict {} of {}", pods(order.pods.len()), order.node),
        Command::Uncordon(order) => format!("uncordon {}", order.node),
        Command::AddFinalizer => "add the finalizer".to_owned(),
        Command::RemoveFinalizer => "remove the finalizer".to_owned(),
    }
}

/// What came back of it, by what is known now.
pub(crate) fn answer(command: &Command, known: &Known) -> String {
    let is_it = |acted: &&Acted| acted.command == *command;
    if let Some(failed) = known.failed.as_ref().filter(is_it) {
        return format!("failed: {}", list(&failed.findings));
    }
    match command {
        Command::Check(_) => match &known.check {
            Some(check) if check.result.findings.is_empty() => "clear".to_owned(),
            Some(check) => list(&check.result.findings),
            None => "nothing".to_owned(),
        },
        Command::Look(_) => known.looked.as_ref().map_or("nothing".to_owned(), |looked| {
            let refused: Vec<_> = looked.nodes.iter().filter_map(|(_, it)| it.clone().err()).collect();
            if refused.is_empty() { "seen".to_owned() } else { list(&refused) }
        }),
        Command::Read(_) => known.read.as_ref().map_or("nothing".to_owned(), |read| match &read.result {
            Ok(progress) => of_progress(progress),
            Err(finding) => finding.to_string(),
        }),
        Command::ReadVolumes(_) => {
            known.volumes.as_ref().map_or("nothing".to_owned(), |read| match &read.result {
                Ok(volumes) => format!("{} attached", volumes.len()),
                Err(finding) => finding.to_string(),
            })
        }
        Command::Create(_)
        | Command::Start(_)
        | Command::PutBack(_)
        | Command::Cordon(_)
        | Command::Uncordon(_)
        | Command::Evict(_) => match known.act.as_ref().filter(is_it) {
            Some(acted) if acted.findings.is_empty() => "done".to_owned(),
            Some(acted) => format!("refused: {}", list(&acted.findings)),
            None => "nothing".to_owned(),
        },
        Command::TakeLock
        | Command::ReleaseLock
        | Command::HandOver
        | Command::AddFinalizer
        | Command::RemoveFinalizer => "done".to_owned(),
    }
}

/// What is written down before it is done.
pub(crate) fn of_intent(intent: &Intended) -> String {
    let node = &intent.node;
    match &intent.action {
        Action::Cordon => format!("intent: cordon {node}"),
        Action::Evict(evicted) => format!("intent: evict {} of {node}", pods(evicted.len())),
        Action::Start => {
            let created = intent.created.as_ref().map(|uid| format!("{uid} ")).unwrap_or_default();
            format!("intent: start {created}on {node}{}", if intent.unsent { ", not sent yet" } else { "" })
        }
        Action::Uncordon => format!("intent: uncordon {node}"),
    }
}

fn of_progress(progress: &Progress) -> String {
    match progress {
        Progress::Unseen => "not seen there".to_owned(),
        Progress::Left => "one of an earlier attempt is left".to_owned(),
        Progress::Created { uid } => format!("created as {uid}"),
        Progress::Refused(reason) => format!("refused: {reason}"),
        Progress::Started { alive: true, .. } => "running".to_owned(),
        Progress::Started { alive: false, .. } => "gone".to_owned(),
        Progress::Ended { code, .. } => format!("ended with exit code {code}"),
    }
}

/// What is news, and of which step.
pub(crate) fn of_news(news: &News) -> (String, String) {
    let run = || "run".to_owned();
    match news {
        News::Opened { from, target } => {
            let from = from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
            (run(), format!("opened{from} to {target}"))
        }
        News::StepStarted(step) => (step.to_string(), "step started".to_owned()),
        News::StageStarted(step, stage) => (step.to_string(), format!("stage {}", stage.name())),
        News::StepFinished(step) => (step.to_string(), "step finished".to_owned()),
        News::StepNotBegun(step) => (step.to_string(), "step not begun".to_owned()),
        News::StepRetried { step, because } => {
            (step.to_string(), format!("step will be tried again: {}", list(because)))
        }
        News::StepFailed(it) => (it.step.to_string(), format!("step failed: {}", it.finding)),
        News::Holding { step, findings } => {
            let step = step.as_ref().map_or_else(run, ToString::to_string);
            let nothing = || "nothing holds any more".to_owned();
            (step, if findings.is_empty() { nothing() } else { format!("holding: {}", list(findings)) })
        }
        News::Halted(it) => (it.step.to_string(), format!("halted: {}", it.finding)),
        News::Resumed { step, attempt } => (step.to_string(), format!("resumed with attempt {attempt}")),
        News::Finished => (run(), "succeeded".to_owned()),
        News::SourceNotRestored(finding) => (run(), format!("a source was not put back: {finding}")),
        News::StatusUnreadable(finding) => (run(), format!("the status cannot be read: {finding}")),
        News::CommandRefused(finding) => (run(), format!("a command was refused: {finding}")),
    }
}

fn list(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn names<'a>(nodes: impl IntoIterator<Item = &'a NodeName>) -> String {
    nodes.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn pods(count: usize) -> String {
    if count == 1 { "1 pod".to_owned() } else { format!("{count} pods") }
}

/// A variant, as it is written elsewhere.
fn word(variant: &impl Serialize) -> String {
    serde_json::to_value(variant).unwrap().as_str().unwrap().to_owned()
}
