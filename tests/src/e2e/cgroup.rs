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

/// Takes away every cgroup of harnesses that are dead. Its processes died with the harness.
pub(super) fn sweep() {
    for group in groups() {
        let name = group.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let mut owner = name.trim_start_matches(PREFIX).split('-').map(str::parse::<u64>);
        let (Some(Ok(pid)), Some(Ok(started))) = (owner.next(), owner.next()) else { continue };
        if u32::try_from(pid).ok().and_then(start_time) != Some(started) {
            remove(group);
        }
    }
}

/// Takes away the cgroups of a machine that was killed, once the kernel is done with its last process.
pub(super) fn remove_of(name: &str) {
    let deadline = Instant::now() + GONE;
    loop {
        let left: Vec<PathBuf> = groups().into_iter().filter(|group| group.ends_with(name)).collect();
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

/// From the leaves up; one that still has a process stays, and the next run tries again.
fn remove(group: PathBuf) {
    for entry in std::fs::read_dir(&group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(entry.path());
        }
    }
    let _ = std::fs::remove_dir(group);
}
