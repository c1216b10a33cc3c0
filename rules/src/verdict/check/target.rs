//! The target is a released version.

use super::{Facts, Outcome};
use crate::reason::{Finding, Reason};
use crate::verdict::Evidence;

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    let evidence = Evidence { source: "target", count: 1, age_seconds: 0 };
    let blocker = match &facts.target {
        Err(error) => Some(Finding::new(Reason::TargetNotAVersion, "", error.to_string())),
        Ok(target) if target.is_prerelease() => {
            Some(Finding::new(Reason::TargetPrerelease, target.to_string(), ""))
        }
        Ok(_) => None,
    };
    Outcome::judge(evidence, Vec::new(), blocker.into_iter().collect(), Vec::new())
}

#[cfg(test)]
mod tests {
    use super::super::tests::outcome;
    use super::*;
    use crate::verdict::Status;

    #[test]
    fn only_a_released_version_passes() {
        for (target, status, reasons) in [
            ("v1.36.3", Status::Pass, vec![]),
            ("1.36.3", Status::Pass, vec![]),
            ("v1.37.0-rc.1", Status::Block, vec!["target_prerelease"]),
            ("latest", Status::Block, vec!["target_not_a_version"]),
            ("1.36", Status::Block, vec!["target_not_a_version"]),
            ("", Status::Block, vec!["target_not_a_version"]),
        ] {
            assert_eq!(outcome(check, target, |_| {}), (status, reasons), "{target}");
        }
    }
}
