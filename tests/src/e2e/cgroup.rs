//! The cgroups that machines live in: below the host's own, named so that a later run can take away what a dead one
//! has left.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::run_folder::start_time;

const PREFIX: &str = "lockkeeper-e2e-";
/// How long the processes of a machine that was killed may take to be gone.
const GONE: Duration = Duration::from_secs(15);
/// How often it is looked.
const POLL: Duration = Duration::from_millis(50);

/// The name of a machine's cgroup in each hierarchy.
#[must_use]
pub(super) fn name(machine: &str) -> String {
    let own = std::process::id();
    format!("{PREFIX}{own}-{}-{machine}", start_time(own).unwrap_or_default())
}

/// Takes away every cgroup of harnesses that are dead. Their processes died with them.
pub(super) fn sweep() {
    remove_all(|name| has_live_owner(name) == Some(false));
}

/// Whether the harness lives whose cgroup has this name; nothing if it is none of a harness.
#[must_use]
pub(super) fn has_live_owner(name: &str) -> Option<bool> {
    let mut owner = name.strip_prefix(PREFIX)?.split('-');
    let pid = owner.next()?.parse().ok()?;
    let started = owner.next()?.parse().ok()?;
    Some(start_time(pid) == Some(started))
}

/// Takes away the cgroups of a machine that was killed.
pub(super) fn remove_of(machine: &str) {
    remove_all(|name| name == machine);
}

/// Takes cgroups away by their names, once the kernel is done with the last process of each.
fn remove_all(is_meant: impl Fn(&str) -> bool) {
    let deadline = Instant::now() + GONE;
    loop {
        let named = |group: &PathBuf| group.file_name().is_some_and(|it| it.to_str().is_some_and(&is_meant));
        let left: Vec<PathBuf> = groups().into_iter().filter(named).collect();
        if left.is_empty() || Instant::now() > deadline {
            return;
        }
        left.into_iter().for_each(remove);
        std::thread::sleep(POLL);
    }
}

fn groups() -> Vec<PathBuf> {
    let entries = |path: PathBuf| std::fs::read_dir(path).into_iter().flatten().flatten();
    entries("/sys/fs/cgroup".into())
        .flat_map(|hierarchy| entries(hierarchy.path()))
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX))
        .map(|entry| entry.path())
        .collect()
}

/// From the leaves up; one that still has a process stays.
fn remove(group: PathBuf) {
    for entry in std::fs::read_dir(&group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(entry.path());
        }
    }
    let _ = std::fs::remove_dir(group);
}
