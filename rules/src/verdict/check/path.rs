//! The way to the target: never down, one minor at a time, inside one major.
//!
//! Sources: <https://kubernetes.io/releases/version-skew-policy/>, kubeadm's own rule of one minor per upgrade.

use super::{Facts, Outcome, unreadable_version};
use crate::reason::{Finding, Reason};
use crate::words::version::Version;

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    let target = match facts.version() {
        Ok(target) => target,
        Err(outcome) => return outcome,
    };
    let (mut blockers, mut unknowns) = (Vec::new(), Vec::new());
    let mut evidence = Vec::new();
    match facts.state("api_servers", &facts.case.snapshot.api_servers) {
        Ok((servers, read)) => {
            for server in servers {
                match &server.version {
                    Ok(running) => blockers.extend(refusal(target, running, &server.name, true)),
                    Err(written) => unknowns.push(unreadable_version(&server.name, written)),
                }
            }
            if servers.is_empty() {
                unknowns.push(Finding::new(
                    Reason::SourceUnreadable,
                    "api_servers",
                    "no API server is known",
                ));
            }
            evidence.push(read);
        }
        Err(finding) => unknowns.push(finding),
    }
    match facts.state("nodes", &facts.case.snapshot.nodes) {
        Ok((nodes, read)) => {
            for node in nodes {
                match &node.kubelet_version {
                    Ok(running) => blockers.extend(refusal(target, running, &node.name.0, false)),
                    Err(written) => unknowns.push(unreadable_version(&node.name.0, written)),
                }
            }
            evidence.push(read);
        }
        Err(finding) => unknowns.push(finding),
    }
    let is_blocked = !blockers.is_empty();
    match evidence.pop() {
        Some(first) => Outcome::judge(first, evidence, blockers, unknowns).whatever_else(is_blocked),
        None => Outcome::unknown(unknowns.remove(0)),
    }
}

/// Why `target` cannot be gone to from what `who` runs. Kubelets may be several minors behind: their skew is a
/// check of its own.
fn refusal(target: &Version, running: &Version, who: &str, counts_minors: bool) -> Option<Finding> {
    let finding =
        |reason| Some(Finding::new(reason, who, format!("it runs {running}, the target is {target}")));
    match target.minor().ahead_of(running.minor()) {
        None => finding(Reason::TargetOtherMajor),
        Some(_) if target.cmp_precedence(running).is_lt() => finding(Reason::TargetDowngrade),
        Some(ahead) if counts_minors && ahead > 1 => finding(Reason::TargetSkipsMinor),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Healthy, api_server, node, outcome};
    use super::*;
    use crate::cluster::snapshot::{Role, Source};
    use crate::verdict::Status;

    #[test]
    fn the_way_is_up_by_patch_or_by_one_minor() {
        for (target, status, reason) in [
            ("v1.36.1", Status::Pass, None), // A run that is resumed, or that has nothing to do.
            ("v1.36.3", Status::Pass, None),
            ("v1.37.0", Status::Pass, None),
            ("v1.36.0", Status::Block, Some("target_downgrade")),
            ("v1.35.9", Status::Block, Some("target_downgrade")),
            ("v1.38.0", Status::Block, Some("target_skips_minor")),
            ("v2.36.3", Status::Block, Some("target_other_major")),
            ("v0.36.3", Status::Block, Some("target_other_major")),
        ] {
            let (found, mut reasons) = outcome(check, target, |_| {});
            reasons.dedup();
            assert_eq!((found, reasons.as_slice()), (status, reason.as_slice()), "{target}");
        }
    }

    #[test]
    fn one_old_api_server_is_enough_to_refuse_the_minor_after_the_next() {
        let mixed = |cluster: &mut Healthy| {
            let servers = vec![api_server("cp-1", "v1.37.0"), api_server("cp-2", "v1.36.1")];
            cluster.snapshot.api_servers.value = Some(servers);
        };
        assert_eq!(outcome(check, "v1.38.0", mixed), (Status::Block, vec!["target_skips_minor"]));
    }

    #[test]
    fn a_kubelet_beyond_the_target_is_a_downgrade_and_one_far_behind_is_not_this_check_s() {
        let ahead = |cluster: &mut Healthy| {
            cluster.snapshot.nodes.value =
                Some(vec![node("w-1", Role::Worker, "v1.36.4"), node("w-2", Role::Worker, "v1.34.0")]);
        };
        assert_eq!(outcome(check, "v1.36.3", ahead), (Status::Block, vec!["target_downgrade"]));
    }

    #[test]
    fn build_metadata_does_not_make_a_downgrade() {
        let vendor = |cluster: &mut Healthy| {
            cluster.snapshot.api_servers.value = Some(vec![api_server("cp-1", "v1.36.3+vendor1")]);
        };
        assert_eq!(outcome(check, "v1.36.3", vendor), (Status::Pass, vec![]));
    }

    #[test]
    fn what_is_proven_blocks_although_another_source_is_unknown() {
        let blind = |cluster: &mut Healthy| cluster.snapshot.nodes = Source::failed("gone");
        assert_eq!(
            outcome(check, "v1.35.0", blind),
            (Status::Block, vec!["target_downgrade", "source_unreadable"])
        );
        assert_eq!(outcome(check, "v1.36.3", blind), (Status::Unknown, vec!["source_unreadable"]));
    }

    #[test]
    fn no_api_server_and_unreadable_versions_are_unknown() {
        let none = |cluster: &mut Healthy| cluster.snapshot.api_servers.value = Some(Vec::new());
        assert_eq!(outcome(check, "v1.36.3", none), (Status::Unknown, vec!["source_unreadable"]));
        let odd =
            |cluster: &mut Healthy| cluster.snapshot.api_servers.value = Some(vec![api_server("cp-1", "?")]);
        assert_eq!(outcome(check, "v1.36.3", odd), (Status::Unknown, vec!["source_unreadable"]));
    }
}
