//! The package repository has the target.

use super::{Facts, Outcome, usable};
use crate::reason::{Finding, Reason};
use crate::verdict::Evidence;

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
    Outcome::judge(evidence, Vec::new(), blocker.into_iter().collect(), Vec::new())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Healthy, outcome};
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
