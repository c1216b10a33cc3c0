//! One JSON line for each check and each command: what was asked, what was found, what was done on the strength of it.

use std::path::Path;
use std::sync::Mutex;

use jiff::Timestamp;
use lockkeeper_rules::gate::Report;
use lockkeeper_rules::reason::Finding;
use lockkeeper_rules::run::{Command, Proof};
use serde::Serialize;

/// Where the lines go. The log of the process has them too, in short.
#[derive(Debug, Default)]
pub struct DecisionLog {
    file: Option<Mutex<std::fs::File>>,
}

/// One line.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line<'a> {
    /// A live check was asked and answered.
    Check { at: Timestamp, report: &'a Report },
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
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { file: Some(Mutex::new(file)) })
    }

    /// A live check was asked and answered.
    pub fn check(&self, report: &Report) {
        self.write(&Line::Check { at: Timestamp::now(), report });
    }

    /// A command is about to be run.
    pub fn begin(&self, order: &Command) {
        let (command, node) = (name(order), node(order));
        tracing::info!(command, node, "begin");
        self.write(&Line::Begin { at: Timestamp::now(), command, node, proof: proof(order), order });
    }

    /// A command has been run.
    pub fn end(&self, order: &Command, findings: &[Finding]) {
        let (command, node) = (name(order), node(order));
        match findings.first() {
            None => tracing::info!(command, node, "done"),
            Some(first) => tracing::warn!(command, node, finding = %first, "not done"),
        }
        self.write(&Line::End { at: Timestamp::now(), command, node, findings });
    }

    fn write(&self, line: &Line<'_>) {
        use std::io::Write;
        let Some(file) = &self.file else { return };
        let mut text = serde_json::to_string(line).expect("a line is made of plain values");
        text.push('\n');
        let written = file.lock().expect("nothing panics while it writes a line").write_all(text.as_bytes());
        if let Err(error) = written {
            tracing::error!(%error, "the decision log cannot be written; check decisionLog and its disk");
        }
    }
}

/// The name of a command, as logged and counted.
#[must_use]
pub fn name(command: &Command) -> &'static str {
    match command {
        Command::TakeLock => "take_lock",
        Command::ReleaseLock => "release_lock",
        Command::HandOver => "hand_over",
        Command::Check(_) => "check",
        Command::Survey(_) => "survey",
        Command::StartUnit(_) => "start_unit",
        Command::RestoreSource(_) => "restore_source",
        Command::ReadLedger(_) => "read_ledger",
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
        Command::StartUnit(order) => Some(&order.node.name.0),
        Command::RestoreSource(order) => Some(&order.node.name.0),
        Command::ReadLedger(order) => Some(&order.node.name.0),
        Command::ReadVolumes(node) => Some(&node.0),
        Command::Cordon(order) => Some(&order.node.0),
        Command::Evict(order) => Some(&order.node.0),
        Command::Uncordon(order) => Some(&order.node.0),
        Command::TakeLock
        | Command::ReleaseLock
        | Command::HandOver
        | Command::Check(_)
        | Command::Survey(_)
        | Command::AddFinalizer
        | Command::RemoveFinalizer => None,
    }
}

fn proof(command: &Command) -> Option<&Proof> {
    match command {
        Command::StartUnit(order) => Some(&order.proof),
        Command::Cordon(order) => Some(&order.proof),
        Command::Evict(order) => Some(&order.proof),
        Command::TakeLock
        | Command::ReleaseLock
        | Command::HandOver
        | Command::Check(_)
        | Command::Survey(_)
        | Command::RestoreSource(_)
        | Command::ReadLedger(_)
        | Command::ReadVolumes(_)
        | Command::Uncordon(_)
        | Command::AddFinalizer
        | Command::RemoveFinalizer => None,
    }
}
