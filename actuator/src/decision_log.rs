//! One JSON line for each check and each command: what was asked, what was found, what was done on the strength of it.
//!
//! Whatever changed something, or was allowed to, has its line. What only says again what was said last, such as a refusal
//! that stands for days, is written now and then.

mod file;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lockkeeper_rules::driver::order::Look;
use lockkeeper_rules::gate::Proof;
use lockkeeper_rules::gate::{CheckResult, Form};
use lockkeeper_rules::reason::Finding;
use lockkeeper_rules::run::Command;
use lockkeeper_rules::words::name::NodeName;
use serde::Serialize;
use serde_json::Value;

use self::file::LogFile;

/// How large the file becomes. The one before it is kept beside it, with `.1` at the end of its name.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// How many things of a list are in a line; more than the pods of any batch.
const ITEMS_MAX: usize = 20;
/// How much of a text is in a line.
const TEXT_CHARS_MAX: usize = 1_000;
/// How often a line is written that says the same as the last one of its topic.
const REPEAT_PAUSE: Duration = Duration::from_mins(5);
/// How many topics are remembered: more than the commands of every node that can be in hand.
const TOPICS_MAX: usize = 1_000;

/// Where the lines go. The log of the process has them too, in short.
#[derive(Debug, Default)]
pub struct DecisionLog {
    file: Option<Mutex<LogFile>>,
    last: Mutex<LastLines>,
}

/// One line.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line<'a> {
    /// A live check was asked and answered.
    Check { at: Timestamp, report: &'a CheckResult },
    /// A command is about to be run.
    Begin {
        at: Timestamp,
        command: &'static str,
        node: Option<&'a str>,
        proof: Option<&'a Proof>,
        order: &'a Command,
    },
    /// A command has been run.
    End { at: Timestamp, command: &'static str, node: Option<&'a str>, findings: &'a [Finding] },
}

impl DecisionLog {
    /// Opens the file for appending.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(path: Option<&Path>) -> std::io::Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        Ok(Self { file: Some(Mutex::new(LogFile::open(path, FILE_BYTES_MAX)?)), last: Mutex::default() })
    }

    /// A live check was asked and answered. One that passed allows something, so that it is always written.
    pub fn check(&self, result: &CheckResult) {
        let form = match result.form {
            Form::Start => "start",
            Form::Continue => "continue",
        };
        let what = format!("{form} {}", codes(&result.findings));
        if self.is_news(("check", "", result.token.to_string()), what, result.findings.is_empty()) {
            self.write(&Line::Check { at: Timestamp::now(), report: result });
        }
    }

    /// A command is about to be run.
    pub fn begin(&self, order: &Command) {
        let (command, node) = (name(order), node(order));
        if self.is_news(("begin", command, subject(order)), what(order), !is_look(order)) {
            tracing::info!(command, node, "begin");
            self.write(&Line::Begin { at: Timestamp::now(), command, node, proof: proof(order), order });
        }
    }

    /// A command has been run, or was refused. Says whether that is news.
    pub fn end(&self, order: &Command, findings: &[Finding]) -> bool {
        let (command, node) = (name(order), node(order));
        let is_change = findings.is_empty() && !is_look(order);
        let what = format!("{} {}", what(order), codes(findings));
        if !self.is_news(("end", command, subject(order)), what, is_change) {
            return false;
        }
        match findings.first() {
            None => tracing::info!(command, node, "done"),
            Some(first) => tracing::warn!(command, node, finding = %first, "not done"),
        }
        self.write(&Line::End { at: Timestamp::now(), command, node, findings });
        true
    }

    fn is_news(&self, topic: Topic, what: String, always: bool) -> bool {
        let is_news =
            self.last.lock().expect("nothing panics while it compares").is_news(topic, what, Instant::now());
        is_news || always
    }

    fn write(&self, line: &Line<'_>) {
        let Some(file) = &self.file else { return };
        let line = serde_json::to_value(line).expect("a line is made of plain values");
        let text = format!("{}\n", bounded(line));
        let written = file.lock().expect("nothing panics while it writes a line").append(&text);
        if let Err(error) = written {
            tracing::error!(%error, "the decision log cannot be written; check decisionLog and its disk");
        }
    }
}

/// What a line is about: its kind, the command, and the node or the token. Several nodes have lines in turn, and one of
/// them says nothing about another.
type Topic = (&'static str, &'static str, String);

/// What was last said of each topic, and when.
#[derive(Debug, Default)]
struct LastLines(BTreeMap<Topic, (String, Instant)>);

impl LastLines {
    /// Whether this is something else than what was said last, or that was long ago.
    fn is_news(&mut self, topic: Topic, what: String, now: Instant) -> bool {
        let last = self.0.get(&topic);
        let is_news = last.is_none_or(|(said, at)| *said != what || now.duration_since(*at) >= REPEAT_PAUSE);
        if is_news {
            // Whatever was said long ago is news again, remembered or not.
            self.0.retain(|_, (_, at)| now.duration_since(*at) < REPEAT_PAUSE);
            if self.0.len() >= TOPICS_MAX {
                self.0.clear();
            }
            self.0.insert(topic, (what, now));
        }
        is_news
    }
}

/// What is looked at. The order of a change names another check each time, and says nothing that its topic does not.
fn what(order: &Command) -> String {
    if is_look(order) { format!("{order:?}") } else { String::new() }
}

/// Which node a command is about; nothing where it is about the run, or about many.
fn subject(order: &Command) -> String {
    let Command::Look(look) = order else { return node(order).unwrap_or_default().to_owned() };
    let nodes: Vec<&NodeName> = match look {
        Look::Kubeadm(order) => order.nodes.iter().map(|node| &node.name).collect(),
        Look::Job(order) => order.jobs_on.iter().collect(),
    };
    if let [node] = nodes[..] { node.0.clone() } else { String::new() }
}

/// What was found, without the details: they count seconds.
fn codes(findings: &[Finding]) -> String {
    let code = |finding: &Finding| format!("{} {}", finding.reason, finding.subject);
    findings.iter().map(code).collect::<Vec<_>>().join("\n")
}

/// A line of a length that is bounded: of each list its first things and how many more there are, of each text its
/// beginning. On a large cluster an outage is thousands of findings.
fn bounded(value: Value) -> Value {
    match value {
        Value::Array(items) => {
            let more = items.len().saturating_sub(ITEMS_MAX);
            let more = (more > 0).then(|| Value::String(format!("and {more} more")));
            Value::Array(items.into_iter().take(ITEMS_MAX).map(bounded).chain(more).collect())
        }
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, bounded(value))).collect())
        }
        Value::String(text) => match text.char_indices().nth(TEXT_CHARS_MAX) {
            Some((end, _)) => Value::String(format!("{} …", &text[..end])),
            None => Value::String(text),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

/// Whether a command changes nothing: those are repeated every few seconds while something is waited for.
fn is_look(command: &Command) -> bool {
    match command {
        Command::Check(_) | Command::Look(_) | Command::Read(_) | Command::ReadVolumes(_) => true,
        Command::TakeLock
        | Command::ReleaseLock
        | Command::HandOver
        | Command::Create(_)
        | Command::Start(_)
        | Command::PutBack(_)
        | Command::Cordon(_)
        | Command::Evict(_)
        | Command::Uncordon(_)
        | Command::AddFinalizer
        | Command::RemoveFinalizer => false,
    }
}

/// The name of a command, as logged and counted: those of a driver's have the names of the first one.
#[must_use]
pub fn name(command: &Command) -> &'static str {
    match command {
        Command::TakeLock => "take_lock",
        Command::ReleaseLock => "release_lock",
        Command::HandOver => "hand_over",
        Command::Check(_) => "check",
        Command::Look(_) => "survey",
        Command::Create(_) => "create",
        Command::Start(_) => "start_unit",
        Command::PutBack(_) => "restore_source",
        Command::Read(_) => "read_ledger",
        Command::ReadVolumes(_) => "read_volumes",
        Command::Cordon(_) => "cordon",
        Command::Evict(_) => "evict",
        Command::Uncordon(_) => "uncordon",
        Command::AddFinalizer => "add_finalizer",
        Command::RemoveFinalizer => "remove_finalizer",
    }
}

fn node(command: &Command) -> Option<&str> {
    match command {
        Command::Create(order) => Some(&order.node().0),
        Command::Start(order) => Some(&order.node().0),
        Command::PutBack(order) => Some(&order.node().0),
        Command::Read(order) => Some(&order.node().0),
        Command::ReadVolumes(node) => Some(&node.0),
        Command::Cordon(order) => Some(&order.node.0),
        Command::Evict(order) => Some(&order.node.0),
        Command::Uncordon(order) => Some(&order.node.0),
        Command::TakeLock
        | Command::ReleaseLock
        | Command::HandOver
        | Command::Check(_)
        | Command::Look(_)
        | Command::AddFinalizer
        | Command::RemoveFinalizer => None,
    }
}

fn proof(command: &Command) -> Option<&Proof> {
    match command {
        Command::Start(order) => Some(order.proof()),
        Command::Cordon(order) => Some(&order.proof),
        Command::Evict(order) => Some(&order.proof),
        Command::TakeLock
        | Command::ReleaseLock
        | Command::HandOver
        | Command::Check(_)
        | Command::Look(_)
        | Command::Create(_)
        | Command::PutBack(_)
        | Command::Read(_)
        | Command::ReadVolumes(_)
        | Command::Uncordon(_)
        | Command::AddFinalizer
        | Command::RemoveFinalizer => None,
    }
}
