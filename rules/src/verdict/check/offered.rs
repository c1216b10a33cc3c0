//! The package repository has the target. Newer patches of it, and of the minor that is left, are told.

use super::{Facts, Outcome, usable};
use crate::reason::{Finding, Reason};
use crate::snapshot::Packages;
use crate::verdict::Evidence;
use crate::version::{Minor, Version};

/// How old the index may be. Packages appear a few times a month and do not go away.
const INDEX_AGE_SECONDS_MAX: u64 = 6 * 3_600;

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    let target = match facts.version() {
        Ok(target) => target,
        Err(outcome) => return outcome,
    };
    let source = &facts.case.snapshot.packages;
    let packages = match usable("packages", source, facts.case.now, INDEX_AGE_SECONDS_MAX) {
        Ok(packages) => packages,
        Err(finding) => return Outcome::unknown(finding),
    };
    let evidence = Evidence {
        source: "packages",
        count: packages.versions.len(),
        age_seconds: source.age_seconds(facts.case.now).unwrap_or_default(),
    };
    let blocker = (!packages.versions.contains(target)).then(|| {
        let newest = packages.versions.iter().max().map_or("nothing".to_owned(), ToString::to_string);
        Finding::new(
            Reason::TargetUnavailable,
            target.to_string(),
            format!("the newest on offer is {newest}"),
        )
    });
    let notes = behind(facts, target, packages);
    Outcome::judge(evidence, Vec::new(), blocker.into_iter().collect(), Vec::new()).noting(notes)
}

/// The target, and on the way to another minor what runs, where a newer patch is on offer. What runs is looked at by
/// other checks; here it is only told.
fn behind(facts: &Facts<'_>, target: &Version, packages: &Packages) -> Vec<Finding> {
    let running = facts.case.snapshot.api_servers.value.iter().flatten();
    let running = running.filter_map(|server| Some((server.name.as_str(), server.version.as_ref().ok()?)));
    let left = running.filter(|(_, version)| version.minor() < target.minor());
    let newest =
        |of: Minor| packages.versions.iter().filter(|it| it.minor() == of && !it.is_prerelease()).max();
    std::iter::once(("target", target))
        .chain(left)
        .filter_map(|(name, version)| {
            let newer = newest(version.minor()).filter(|newest| *newest > version)?;
            Some(Finding::new(Reason::PatchBehind, name, format!("{version}; {newer} is on offer")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Healthy, healthy, outcome};
    use super::*;
    use crate::snapshot::Source;
    use crate::verdict::Status;

    #[test]
    fn only_what_the_index_has_passes() {
        for (target, status, reasons) in [
            ("v1.36.3", Status::Pass, vec![]),
            ("v1.37.0", Status::Pass, vec![]),
            ("v1.36.4", Status::Block, vec!["target_unavailable"]),
            ("nonsense", Status::Unknown, vec!["target_not_a_version"]),
        ] {
            assert_eq!(outcome(check, target, |_| {}), (status, reasons), "{target}");
        }
    }

    #[test]
    fn newer_patches_of_what_is_left_and_of_the_target_are_told() {
        let mut cluster = healthy();
        let newer = "v1.36.4".parse().unwrap();
        cluster.snapshot.packages.value.as_mut().unwrap().versions.push(newer);
        for (target, told) in [("v1.36.3", &["target"][..]), ("v1.36.4", &[]), ("v1.37.0", &["cp-1"])] {
            let outcome = check(&Facts { target: target.parse(), case: &cluster.case() });
            let notes: Vec<_> = outcome.notes.iter().map(|note| note.subject.as_str()).collect();
            assert_eq!((outcome.status, notes), (Status::Pass, told.to_vec()), "{target}");
        }
    }

    #[test]
    fn an_index_that_cannot_be_read_or_is_old_says_nothing() {
        let lost = |cluster: &mut Healthy| cluster.snapshot.packages = Source::failed("404");
        assert_eq!(outcome(check, "v1.36.3", lost), (Status::Unknown, vec!["source_unreadable"]));
        let old = |cluster: &mut Healthy| {
            let age = jiff::SignedDuration::from_secs(6 * 3_600 + 1);
            cluster.snapshot.packages.proven_at = cluster.snapshot.packages.proven_at.map(|at| at - age);
        };
        assert_eq!(outcome(check, "v1.36.3", old), (Status::Unknown, vec!["source_stale"]));
    }
}
