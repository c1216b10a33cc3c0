//! Transient units, as far as systemd-run and systemctl show them.

use std::fs::OpenOptions;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group, setsid};
use serde::{Deserialize, Serialize};

use super::folder::Folder;

/// How often a unit is asked whether it has ended.
const POLL: Duration = Duration::from_millis(20);
/// How long a unit may take to begin.
const START_SECONDS_MAX: u64 = 10;

/// A unit, from systemd-run until it is stopped, reset or, having succeeded, forgotten.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Unit {
    pub(super) argv: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) remain_after_exit: bool,
    pub(super) runtime_seconds_max: Option<u64>,
    pub(super) output: Option<String>,
    pub(super) main_pid: Option<i32>,
    pub(super) state: UnitState,
}

/// Where a unit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum UnitState {
    Starting,
    Running,
    Exited(i32),
    Killed(i32),
    TimedOut,
}

impl Unit {
    /// The value of a property, as `systemctl show` prints it.
    pub(super) fn property(&self, name: &str) -> String {
        let running = matches!(self.state, UnitState::Starting | UnitState::Running);
        let succeeded = self.state == UnitState::Exited(0);
        match name {
            "LoadState" => "loaded".to_owned(),
            "ActiveState" => if running || succeeded { "active" } else { "failed" }.to_owned(),
            "SubState" => if running {
                "running"
            } else if succeeded {
                "exited"
            } else {
                "failed"
            }
            .to_owned(),
            "Result" => match self.state {
                UnitState::Starting | UnitState::Running | UnitState::Exited(0) => "success",
                UnitState::Exited(_) => "exit-code",
                UnitState::Killed(_) => "signal",
                UnitState::TimedOut => "timeout",
            }
            .to_owned(),
            // CLD_EXITED and CLD_KILLED.
            "ExecMainCode" => match self.state {
                UnitState::Starting | UnitState::Running => 0,
                UnitState::Exited(_) => 1,
                UnitState::Killed(_) | UnitState::TimedOut => 2,
            }
            .to_string(),
            "ExecMainStatus" => match self.state {
                UnitState::Starting | UnitState::Running => 0,
                UnitState::Exited(number) | UnitState::Killed(number) => number,
                UnitState::TimedOut => 15,
            }
            .to_string(),
            "MainPID" => if running { self.main_pid.unwrap_or(0) } else { 0 }.to_string(),
            "ExecMainPID" => self.main_pid.unwrap_or(0).to_string(),
            "NRestarts" => "0".to_owned(),
            "RemainAfterExit" => if self.remain_after_exit { "yes" } else { "no" }.to_owned(),
            _ => String::new(),
        }
    }
}

/// The file of a unit; the name may end in `.service`.
pub(super) fn file(name: &str) -> String {
    format!("units/{}", name.strip_suffix(".service").unwrap_or(name))
}

/// Creates and starts a unit, and waits until it runs.
///
/// # Errors
/// A unit of that name is known; the text is systemd's.
pub(super) fn start(folder: &Folder, name: &str, unit: &Unit) -> Result<()> {
    std::fs::create_dir_all(folder.path("units"))?;
    let path = folder.path(&file(name));
    // Whoever makes the file has the name: two at once cannot both.
    if OpenOptions::new().create_new(true).write(true).open(&path).is_err() {
        bail!(
            "Failed to start transient service unit: Unit {name}.service was already loaded or has a fragment file."
        );
    }
    folder.write_json(&file(name), unit)?;
    // The runner outlives us and is then a child of the machine's first process.
    Command::new("/run/machine-program")
        .arg0("lockkeeper-machine")
        .args(["unit", name])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
    while folder.read_json::<Unit>(&file(name)).is_some_and(|unit| unit.state == UnitState::Starting) {
        if Instant::now() > deadline {
            bail!("Failed to start transient service unit: Connection timed out");
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// Runs a unit's program and writes down how it ends: what systemd's first process would do.
pub(super) fn run(folder: &Folder, name: &str) -> ExitCode {
    match run_unit(folder, name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody reads our output; the unit's log is where systemd would say it.
            let _ = folder.write(&format!("unit-{name}.error"), format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run_unit(folder: &Folder, name: &str) -> Result<()> {
    // Its own session: a connection that ends takes nothing of it along.
    let _ = setsid();
    let mut unit: Unit = folder.read_json(&file(name)).context("the unit is not known")?;
    let log = match &unit.output {
        Some(path) => OpenOptions::new().create(true).append(true).open(path)?,
        None => {
            OpenOptions::new().create(true).append(true).open(folder.path(&format!("unit-{name}.log")))?
        }
    };
    let Some((program, arguments)) = unit.argv.split_first() else { bail!("the unit has no program") };
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LANG", "C.UTF-8")
        .env("INVOCATION_ID", "0123456789abcdef0123456789abcdef")
        .env("LOCKKEEPER_UNIT", name)
        .envs(unit.env.clone())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .current_dir("/")
        .spawn();
    let end = match child {
        Ok(mut child) => {
            unit.main_pid = Some(Pid::from_child(&child).as_raw_pid());
            unit.state = UnitState::Running;
            folder.write_json(&file(name), &unit)?;
            end_of(&mut child, unit.runtime_seconds_max)?
        }
        // What systemd says when there is no such program.
        Err(_) => UnitState::Exited(203),
    };
    if !folder.has(&file(name)) {
        return Ok(());
    }
    if end == UnitState::Exited(0) && !unit.remain_after_exit {
        folder.remove(&file(name));
        return Ok(());
    }
    unit.state = end;
    folder.write_json(&file(name), &unit)
}

fn end_of(child: &mut Child, seconds_max: Option<u64>) -> Result<UnitState> {
    let deadline = seconds_max.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(state_of(status));
        }
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            child.kill()?;
            child.wait()?;
            return Ok(UnitState::TimedOut);
        }
        std::thread::sleep(POLL);
    }
}

fn state_of(status: ExitStatus) -> UnitState {
    match status.code() {
        Some(code) => UnitState::Exited(code),
        None => UnitState::Killed(status.signal().unwrap_or(0)),
    }
}

/// Signals a unit's session, if it runs.
pub(super) fn kill(folder: &Folder, name: &str, signal: Signal) -> bool {
    let Some(unit) = folder.read_json::<Unit>(&file(name)) else { return false };
    let pid = unit.main_pid.filter(|_| unit.state == UnitState::Running).and_then(Pid::from_raw);
    match pid {
        // The whole control group, as systemd does: the children are in the session's process groups.
        Some(pid) => {
            for child in descendants(pid) {
                let _ = rustix::process::kill_process(child, signal);
            }
            let _ = kill_process_group(pid, signal);
            rustix::process::kill_process(pid, signal).is_ok()
        }
        None => false,
    }
}

fn descendants(of: Pid) -> Vec<Pid> {
    let children = |pid: Pid| -> Vec<Pid> {
        let pid = pid.as_raw_pid();
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        text.split_whitespace().filter_map(|pid| pid.parse().ok().and_then(Pid::from_raw)).collect()
    };
    let mut all = children(of);
    let mut next = 0;
    while let Some(&pid) = all.get(next) {
        all.extend(children(pid));
        next += 1;
    }
    all
}
