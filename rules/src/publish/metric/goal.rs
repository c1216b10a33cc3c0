//! Where the cluster may go without being asked: the newest patch, the next minor, and where the open run goes.

use std::collections::BTreeSet;

use super::current::current_run;
use crate::cluster::snapshot::Snapshot;
use crate::wire::packages::offered;
use crate::words::version::Version;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Goal {
    /// `patch`, `minor` or `run`.
    pub(super) kind: &'static str,
    /// The version in one spelling; nothing if there is none.
    pub(super) target: Option<String>,
    /// Whether it is known that there is this one, or none.
    pub(super) is_known: bool,
}

/// What is judged without being asked about, each version once.
#[must_use]
pub fn targets(snapshot: &Snapshot) -> Vec<String> {
    let mut targets: Vec<String> = goals(snapshot).into_iter().filter_map(|goal| goal.target).collect();
    let mut seen = BTreeSet::new();
    targets.retain(|target| seen.insert(target.clone()));
    targets
}

/// Every goal. Before the runs were read, nobody knows whether one is open: of it nothing is said.
pub(super) fn goals(snapshot: &Snapshot) -> Vec<Goal> {
    let offered = offered(snapshot);
    let is_known = offered.is_some() && snapshot.packages.error.is_none();
    let [patch, minor] = offered.unwrap_or_default();
    let is_next_known = is_known && is_next_read(snapshot);
    let mut goals: Vec<Goal> = [("patch", patch, is_known), ("minor", minor, is_next_known)]
        .map(|(kind, target, is_known)| Goal { kind, target: target.map(ToString::to_string), is_known })
        .to_vec();
    if let Some(runs) = &snapshot.runs.value {
        let target = current_run(runs).map(|run| written(&run.spec.target));
        goals.push(Goal { kind: "run", target, is_known: true });
    }
    goals
}

/// Whether what the repository offers of the next minor was read, whatever it is.
pub(super) fn is_next_read(snapshot: &Snapshot) -> bool {
    snapshot.packages.value.as_ref().is_none_or(|packages| packages.next_error.is_none())
}

/// The longest target that is shown of what is no version.
const TARGET_CHARS_MAX: usize = 40;

/// A target in one spelling, so that `1.36.3` and `v1.36.3` get one series; what is no version is cut short.
fn written(target: &str) -> String {
    target
        .parse::<Version>()
        .map_or_else(|_no_version| shortened(target, TARGET_CHARS_MAX), |version| version.to_string())
}

/// A text of at most so many characters, so that no label grows without a bound.
pub(super) fn shortened(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::snapshot::Source;
    use crate::verdict::healthy;

    #[test]
    fn what_is_published_is_judged_once_and_what_is_not_known_is_no_goal() {
        let mut snapshot = healthy().snapshot;
        assert_eq!(targets(&snapshot), ["v1.36.3", "v1.37.0"]);
        let kinds = |snapshot: &Snapshot| {
            goals(snapshot).into_iter().map(|goal| (goal.kind, goal.is_known)).collect::<Vec<_>>()
        };
        assert_eq!(kinds(&snapshot), [("patch", true), ("minor", true), ("run", true)]);
        let packages = snapshot.packages.value.as_mut().unwrap();
        packages.next_error = Some("503".to_owned());
        assert_eq!(kinds(&snapshot), [("patch", true), ("minor", false), ("run", true)]);
        snapshot.packages.error = Some("404".to_owned());
        assert_eq!(kinds(&snapshot), [("patch", false), ("minor", false), ("run", true)]);
        assert_eq!(targets(&snapshot), ["v1.36.3", "v1.37.0"], "the last that was read is still judged");
        snapshot.runs = Source::failed("gone");
        assert_eq!(kinds(&snapshot), [("patch", false), ("minor", false)]);
        let mut of_unknown = healthy().snapshot;
        of_unknown.api_servers.value.as_mut().unwrap()[0].version = Err("odd".to_owned());
        assert_eq!(kinds(&of_unknown), [("patch", false), ("minor", false), ("run", true)]);
        assert_eq!(targets(&Snapshot::unread()), [""; 0]);
    }

    #[test]
    fn one_version_has_one_spelling_and_what_is_none_is_short() {
        for (target, expected) in [("1.36.3", "v1.36.3"), ("v1.36.3", "v1.36.3"), ("é", "é")] {
            assert_eq!(written(target), expected);
        }
        assert_eq!(written(&"é".repeat(41)), format!("{}…", "é".repeat(40)));
        assert_eq!(written(&"é".repeat(40)), "é".repeat(40));
    }
}
