//! systemctl and systemd-run.

use std::process::ExitCode;

use anyhow::Result;
use rustix::process::Signal;

use super::{apt, fail, pace};
use crate::machine::folder::Folder;
use crate::machine::unit::{self, Unit, UnitState};

/// What `systemctl show` tells when nobody asks for something else.
const PROPERTIES: [&str; 8] = [
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "ExecMainCode",
    "ExecMainStatus",
    "MainPID",
    "NRestarts",
];

pub(super) fn systemctl(folder: &Folder, arguments: &[&str]) -> Result<ExitCode> {
    let command = Command::parse(arguments);
    let names = command.words.get(1..).unwrap_or_default();
    match command.words.first().copied() {
        Some("show") => {
            for name in names {
                show(folder, name, &command);
            }
            Ok(ExitCode::SUCCESS)
        }
        Some("is-active" | "status") => Ok(is_active(folder, names)),
        Some("is-failed") => {
            let failed = names.iter().any(|name| property(folder, name, "ActiveState") == "failed");
            Ok(if failed { ExitCode::SUCCESS } else { ExitCode::from(1) })
        }
        Some("restart" | "start" | "try-restart" | "reload-or-restart") => {
            for name in names {
                if is_kubelet(name) {
                    restart_kubelet(folder)?;
                } else {
                    return Ok(not_loaded(name));
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Some("stop") => {
            for name in names {
                stop(folder, name)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Some("kill") => {
            for name in names {
                unit::kill(folder, name, command.signal.unwrap_or(Signal::TERM));
            }
            Ok(ExitCode::SUCCESS)
        }
        Some("reset-failed") => Ok(reset_failed(folder, names)),
        _ => Ok(ExitCode::SUCCESS),
    }
}

struct Command<'a> {
    words: Vec<&'a str>,
    properties: Vec<&'a str>,
    value_only: bool,
    signal: Option<Signal>,
}

impl<'a> Command<'a> {
    fn parse(arguments: &[&'a str]) -> Self {
        let mut command = Self { words: Vec::new(), properties: Vec::new(), value_only: false, signal: None };
        let mut rest = arguments.iter();
        while let Some(&argument) = rest.next() {
            let (flag, joined) = match argument.split_once('=') {
                Some((flag, value)) if argument.starts_with("--") => (flag, Some(value)),
                _ => (argument, None),
            };
            match flag {
                "-p" | "--property" => {
                    let value = joined.or_else(|| rest.next().copied()).unwrap_or_default();
                    command.properties.extend(value.split(','));
                }
                "-s" | "--signal" => {
                    let value = joined.or_else(|| rest.next().copied()).unwrap_or_default();
                    command.signal = match value.trim_start_matches("SIG") {
                        "KILL" | "9" => Some(Signal::KILL),
                        "INT" | "2" => Some(Signal::INT),
                        _ => Some(Signal::TERM),
                    };
                }
                "--value" => command.value_only = true,
                flag if flag.starts_with("-p") && !flag.starts_with("--") => {
                    command.properties.extend(flag[2..].split(','));
                }
                flag if flag.starts_with('-') => {}
                word => command.words.push(word),
            }
        }
        command
    }
}

fn is_kubelet(name: &str) -> bool {
    matches!(name, "kubelet" | "kubelet.service")
}

fn show(folder: &Folder, name: &str, command: &Command<'_>) {
    let properties = if command.properties.is_empty() { &PROPERTIES[..] } else { &command.properties };
    for asked in properties {
        let value = property(folder, name, asked);
        if command.value_only {
            println!("{value}");
        } else {
            println!("{asked}={value}");
        }
    }
}

fn property(folder: &Folder, name: &str, asked: &str) -> String {
    if asked == "Id" {
        return if name.contains('.') { name.to_owned() } else { format!("{name}.service") };
    }
    if is_kubelet(name) {
        return kubelet_property(folder, asked).to_owned();
    }
    match folder.read_json::<Unit>(&unit::file(name)) {
        Some(unit) => unit.property(asked),
        // A unit that was never there and one that succeeded and was let go look the same.
        None => match asked {
            "LoadState" => "not-found",
            "ActiveState" => "inactive",
            "SubState" => "dead",
            "Result" => "success",
            "ExecMainCode" | "ExecMainStatus" | "MainPID" | "ExecMainPID" | "NRestarts" => "0",
            _ => "",
        }
        .to_owned(),
    }
}

fn kubelet_property(folder: &Folder, asked: &str) -> &'static str {
    let broken = folder.has("kubelet-broken");
    match asked {
        "LoadState" => "loaded",
        "ActiveState" => {
            if broken {
                "activating"
            } else {
                "active"
            }
        }
        "SubState" => {
            if broken {
                "auto-restart"
            } else {
                "running"
            }
        }
        "Result" => {
            if broken {
                "exit-code"
            } else {
                "success"
            }
        }
        "NRestarts" => {
            if broken {
                "3"
            } else {
                "0"
            }
        }
        "ExecMainStatus" => {
            if broken {
                "1"
            } else {
                "0"
            }
        }
        "MainPID" | "ExecMainPID" => {
            if broken {
                "0"
            } else {
                "1"
            }
        }
        _ => "",
    }
}

fn is_active(folder: &Folder, names: &[&str]) -> ExitCode {
    let mut code = ExitCode::from(3);
    for name in names {
        let state = property(folder, name, "ActiveState");
        println!("{state}");
        if state == "active" {
            code = ExitCode::SUCCESS;
        }
    }
    code
}

/// The installed kubelet becomes the running one. It exits 0 even when the kubelet then fails, as the real one does.
fn restart_kubelet(folder: &Folder) -> Result<()> {
    if folder.has("kubelet-breaks") {
        return folder.write("kubelet-broken", "");
    }
    folder.remove("kubelet-broken");
    if let Some(version) = apt::installed(folder, "kubelet") {
        pace(folder, 5);
        folder.write("kubelet-version", version)?;
    }
    Ok(())
}

fn stop(folder: &Folder, name: &str) -> Result<()> {
    if is_kubelet(name) {
        return folder.write("kubelet-broken", "");
    }
    unit::kill(folder, name, Signal::KILL);
    folder.remove(&unit::file(name));
    Ok(())
}

fn reset_failed(folder: &Folder, names: &[&str]) -> ExitCode {
    for name in names {
        match folder.read_json::<Unit>(&unit::file(name)) {
            None => return not_loaded(name),
            Some(unit) if unit.property("ActiveState") == "failed" => folder.remove(&unit::file(name)),
            Some(_) => {}
        }
    }
    ExitCode::SUCCESS
}

fn not_loaded(name: &str) -> ExitCode {
    fail(5, &format!("Unit {name} not loaded."))
}

pub(super) fn systemd_run(folder: &Folder, arguments: &[&str]) -> Result<ExitCode> {
    let mut name = format!("run-r{}", std::process::id());
    let mut unit = Unit {
        argv: Vec::new(),
        env: Vec::new(),
        remain_after_exit: false,
        runtime_seconds_max: None,
        output: None,
        main_pid: None,
        state: UnitState::Starting,
    };
    let mut rest = arguments.iter();
    while let Some(&argument) = rest.next() {
        let (flag, joined) = match argument.split_once('=') {
            Some((flag, value)) if argument.starts_with("--") => (flag, Some(value)),
            _ => (argument, None),
        };
        let mut value = || joined.or_else(|| rest.next().copied()).unwrap_or_default();
        match flag {
            "--" => {
                unit.argv = rest.map(|word| (*word).to_owned()).collect();
                break;
            }
            "-u" | "--unit" => name = value().trim_end_matches(".service").to_owned(),
            "-p" | "--property" => set_property(&mut unit, value()),
            "-E" | "--setenv" => {
                unit.env.extend(value().split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())))
            }
            "-r" | "--remain-after-exit" => unit.remain_after_exit = true,
            "--description"
            | "--slice"
            | "--service-type"
            | "--working-directory"
            | "--uid"
            | "--gid"
            | "--nice" => {
                value();
            }
            flag if flag.starts_with('-') => {}
            word => {
                unit.argv = std::iter::once(word).chain(rest.copied()).map(str::to_owned).collect();
                break;
            }
        }
    }
    if unit.argv.is_empty() {
        return Ok(fail(1, "Command line to execute required."));
    }
    match unit::start(folder, &name, &unit) {
        Ok(()) => {
            eprintln!("Running as unit: {name}.service");
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Ok(fail(1, &error.to_string())),
    }
}

fn set_property(unit: &mut Unit, property: &str) {
    match property.split_once('=') {
        Some(("RemainAfterExit", value)) => {
            unit.remain_after_exit = matches!(value, "yes" | "true" | "1" | "on")
        }
        Some(("RuntimeMaxSec", value)) => unit.runtime_seconds_max = value.trim_end_matches('s').parse().ok(),
        Some(("StandardOutput", value)) => {
            unit.output =
                value.split_once(':').map(|(_, path)| path.to_owned()).filter(|path| path.starts_with('/'));
        }
        Some(("Environment", value)) => {
            unit.env.extend(value.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        _ => {}
    }
}
