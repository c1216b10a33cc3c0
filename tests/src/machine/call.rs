//! The log of calls, and the faults that a test has ordered.

use std::fs::OpenOptions;
use std::io::{Read, Seek, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};

use super::folder::Folder;

/// One call of one of our programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// When.
    pub at: Timestamp,
    /// The process, as the machine counts them.
    pub pid: u32,
    /// The unit that it was called in; nothing if it was not in one.
    pub unit: Option<String>,
    /// The program and its arguments.
    pub argv: Vec<String>,
}

impl Call {
    /// Whether it is a call of this program with these arguments in this order, others in between allowed.
    #[must_use]
    pub fn is(&self, program: &str, args: &[&str]) -> bool {
        let mut rest = self.argv.iter().skip(1);
        self.argv.first().is_some_and(|name| name == program)
            && args.iter().all(|arg| rest.any(|given| given == arg))
    }
}

/// What goes wrong at a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The program.
    pub program: String,
    /// Arguments that the call has, in this order, others in between allowed.
    pub args: Vec<String>,
    /// An argument that the call must not have, such as `--dry-run`.
    pub without: Option<String>,
    /// Which such call since the fault was ordered, from 1; nothing for each.
    pub nth: Option<usize>,
    /// How long it takes before it does anything.
    pub take_millis: u64,
    /// Before or after the program has done its work.
    pub when: When,
    /// What happens.
    pub then: Then,
    /// Since when calls are counted.
    pub since: Timestamp,
}

/// When a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    /// The program has done nothing yet.
    Before,
    /// The program has done its work, and then fails all the same.
    After,
}

/// What happens at a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Then {
    /// Nothing else: it only took its time.
    Proceed,
    /// It ends with this code and says this.
    Exit(u8, String),
    /// It never ends.
    Hang,
    /// It dies by this signal.
    Signal(i32),
}

impl Fault {
    /// Every call of this program with these arguments fails with exit code 1.
    #[must_use]
    pub fn new(program: &str, args: &[&str]) -> Self {
        Self {
            program: program.to_owned(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            without: None,
            nth: None,
            take_millis: 0,
            when: When::Before,
            then: Then::Exit(1, format!("{program}: as ordered by the test")),
            since: Timestamp::now(),
        }
    }

    /// Only the call of this number, from 1.
    #[must_use]
    pub fn nth(mut self, nth: usize) -> Self {
        self.nth = Some(nth);
        self
    }

    /// Only calls without this argument.
    #[must_use]
    pub fn without(mut self, arg: &str) -> Self {
        self.without = Some(arg.to_owned());
        self
    }

    /// Takes this long before it does anything.
    #[must_use]
    pub fn takes(mut self, time: Duration) -> Self {
        self.take_millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// What happens.
    #[must_use]
    pub fn then(mut self, then: Then) -> Self {
        self.then = then;
        self
    }

    /// Strikes after the work is done.
    #[must_use]
    pub fn after(mut self) -> Self {
        self.when = When::After;
        self
    }

    fn meets(&self, call: &Call) -> bool {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let unwanted = self.without.as_ref().is_some_and(|unwanted| call.argv.contains(unwanted));
        call.at >= self.since && call.is(&self.program, &args) && !unwanted
    }

    /// Does what is ordered; the answer is an exit code, or nothing if the program shall go on.
    pub(super) fn strike(&self) -> Option<ExitCode> {
        match &self.then {
            Then::Proceed => None,
            Then::Exit(code, text) => {
                eprintln!("{text}");
                Some(ExitCode::from(*code))
            }
            Then::Hang => loop {
                std::thread::park();
            },
            Then::Signal(number) => {
                let Some(signal) = Signal::from_named_raw(*number) else {
                    eprintln!("{number} is no signal");
                    return Some(ExitCode::from(255));
                };
                let _ = kill_process(getpid(), signal);
                // The signal must not be outrun by an exit.
                loop {
                    std::thread::park();
                }
            }
        }
    }
}

/// Writes the call down and tells which fault it meets.
///
/// # Errors
/// The log cannot be written.
pub(super) fn record(folder: &Folder, name: &str, arguments: &[&str]) -> Result<Option<Fault>> {
    let mut file =
        OpenOptions::new().create(true).append(true).read(true).open(folder.path("calls.jsonl"))?;
    // The lock makes "the second call" mean one call, when two come at once.
    flock(&file, FlockOperation::LockExclusive)?;
    let call = Call {
        at: Timestamp::now(),
        pid: std::process::id(),
        unit: std::env::var("LOCKKEEPER_UNIT").ok(),
        argv: std::iter::once(name).chain(arguments.iter().copied()).map(str::to_owned).collect(),
    };
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    let mut line = serde_json::to_string(&call)?;
    line.push('\n');
    file.write_all(line.as_bytes())?;
    let before: Vec<Call> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let faults: Vec<Fault> = folder.read_json("faults.json").unwrap_or_default();
    Ok(faults.into_iter().find(|fault| {
        let count = 1 + before.iter().filter(|call| fault.meets(call)).count();
        fault.meets(&call) && fault.nth.is_none_or(|nth| nth == count)
    }))
}
