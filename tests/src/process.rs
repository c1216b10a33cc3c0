//! Processes that never outlive the harness.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::run_folder::RunFolder;

/// How often a process is asked whether it has ended.
const POLL: Duration = Duration::from_millis(10);
/// How long a process may take to end by itself before it is killed.
const STOP_SECONDS_MAX: u64 = 15;

/// What to run.
#[derive(Debug, Clone)]
pub struct Program {
    /// What it is called in logs and messages.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// What is added to its environment.
    pub env: Vec<(String, String)>,
}

impl Program {
    /// A program without arguments.
    #[must_use]
    pub fn new(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), path: path.into(), args: Vec::new(), env: Vec::new() }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }
}

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    pid: Pid,
    child: Mutex<Child>,
}

impl Process {
    /// Starts a program whose output is appended to its log in the run folder, and records it there.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(folder: &RunFolder, program: &Program) -> Result<Self> {
        let log = folder.log(&program.name);
        let output = append(&log)?;
        let mut command = Command::new("setpriv");
        // The kernel kills the child when the thread that started it ends, however the harness dies.
        command.args(["--pdeathsig", "KILL", "--"]).arg(&program.path).args(&program.args);
        command.envs(program.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = spawn(command)
            .with_context(|| format!("{} ({}) cannot be started", program.name, program.path.display()))?;
        let pid = Pid::from_child(&child);
        folder.record(pid, &program.name)?;
        Ok(Self { name: program.name.clone(), log, pid, child: Mutex::new(child) })
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn exit(&self) -> Option<ExitStatus> {
        self.child.lock().expect("no one panics while holding a child").try_wait().ok().flatten()
    }

    /// Sends a signal, if it still runs.
    pub fn signal(&self, signal: Signal) {
        if self.exit().is_none() {
            // It may have ended in between; then there is nothing to signal.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Asks it to end, and kills it when it does not in time.
    pub async fn stop(&self) {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(STOP_SECONDS_MAX);
        while self.exit().is_none() {
            if Instant::now() > deadline {
                self.kill();
                return;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Kills it and waits until it is gone.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
        let _ = self.child.lock().expect("no one panics while holding a child").wait();
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// It still runs after the deadline.
    pub async fn wait(&self, deadline: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + deadline;
        loop {
            if let Some(status) = self.exit() {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("{} still runs; its log is {}", self.name, self.log.display());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// An error if it has ended, with the end of its log.
    ///
    /// # Errors
    /// It has ended.
    pub fn check_running(&self) -> Result<()> {
        let Some(status) = self.exit() else { return Ok(()) };
        let how = match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "an unknown cause".to_owned(),
        };
        bail!("{} ended by {how}; its log is {}:\n{}", self.name, self.log.display(), tail(&self.log, 15))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The last lines of a file, as far as it can be read.
#[must_use]
pub fn tail(path: &Path, lines: usize) -> String {
    let text =
        std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn append(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("{} cannot be opened", path.display()))
}

type Order = (Command, mpsc::SyncSender<io::Result<Child>>);

/// Spawns from one thread that lives as long as the process: the death signal of a child is bound to the thread
/// that started it, and the threads of tests and runtimes come and go.
fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, child) = mpsc::sync_channel(1);
    spawner.send((command, answer)).map_err(io::Error::other)?;
    child.recv().map_err(io::Error::other)?
}
