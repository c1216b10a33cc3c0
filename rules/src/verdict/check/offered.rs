//! The package repository has all of the target for every node: kubeadm, kubelet and kubectl, for each architecture that runs.
//! Newer patches of it, and of the minor that is left, are told.

use std::collections::BTreeSet;

use super::{Facts, Outcome, usable};
use crate::cluster::snapshot::{Node, Packages};
use crate::reason::{Finding, Reason};
use crate::verdict::{Evidence, Recognised};
use crate::wire::packages::architectures;
use crate::words::version::Version;

/// How old the index may be. Packages appear a few times a month and do not go away.
const INDEX_AGE_SECONDS_MAX: u64 = 6 * 3_600;

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    let target = match facts.version() {
        Ok(target) => target,
        Err(outcome) => return outcome,
    };
    let source = &facts.case.snapshot.packages;
    let read = usable("packages", source, facts.case.now, INDEX_AGE_SECONDS_MAX);
    let read = read.and_then(|packages| Ok((packages, facts.state("nodes", &facts.case.snapshot.nodes)?)));
    let (packages, (nodes, nodes_read)) = match read {
        Ok(read) => read,
        Err(finding) => return Outcome::unknown(finding),
    };
    let evidence = Evidence {
        source: "packages",
        count: packages.versions.len(),
        age_seconds: source.age_seconds(facts.case.now).unwrap_or_default(),
    };
    let run = architectures(nodes);
    let (mut blockers, mut unknowns, mut recognised) = (Vec::new(), Vec::new(), Vec::new());
    unknowns.extend(without_architecture(nodes));
    let is_of_minor = |version: &Version| version.minor() == target.minor();
    let unread = packages.next_error.as_ref().filter(|_| !packages.versions.iter().any(is_of_minor));
    match (lacking(target, packages, &run), unread) {
        // The project's repository has no builds of others: that Lockkeeper takes none is for the check of the driver to say.
        _ if target.vendor().is_some() => {}
        (_, Some(why)) => unknowns.push(Finding::new(Reason::SourceUnreadable, "packages", why)),
        (None, None) => {
            let detail = "which packages it has for which architecture was not read; read it again";
            unknowns.push(Finding::new(Reason::SourceUnreadable, "packages", detail));
        }
        (Some(detail), None) if detail.is_empty() => {
            recognised.extend(run.iter().map(|architecture| Recognised {
                subject: format!("{target} {architecture}"),
                detail: "kubeadm, kubelet and kubectl".to_owned(),
                source: String::new(),
            }))
        }
        (Some(detail), None) => {
            blockers.push(Finding::new(Reason::TargetUnavailable, target.to_string(), detail));
        }
    }
    let notes = behind(facts, target, packages, &run);
    Outcome::judge(evidence, vec![nodes_read], blockers, unknowns).noting(notes).recognising(recognised)
}

/// What of the target is not on offer, in words; empty if all of it is, nothing if that is not known.
fn lacking(target: &Version, packages: &Packages, run: &BTreeSet<&str>) -> Option<String> {
    let newest = packages.versions.iter().filter(|it| !it.is_prerelease()).map(Version::minor).max();
    let newest =
        newest.and_then(|minor| packages.newest(minor, run)).or_else(|| packages.versions.iter().max());
    let newest = newest.map_or("nothing".to_owned(), ToString::to_string);
    if !packages.versions.contains(target) {
        return Some(format!("the newest on offer is {newest}"));
    }
    let mut missing = Vec::new();
    for architecture in run {
        let packages = packages.lacking(target, architecture)?;
        if !packages.is_empty() {
            missing.push(format!("no {} for {architecture}", packages.join(", ")));
        }
    }
    packages.by_architecture.as_ref()?;
    if missing.is_empty() {
        return Some(String::new());
    }
    let of_minor = packages.newest(target.minor(), run);
    Some(format!(
        "{}; {}",
        missing.join("; "),
        of_minor.map_or_else(
            || format!("no release of {} is there for every node", target.minor()),
            |whole| format!("the newest of {} that is there for every node is {whole}", target.minor())
        )
    ))
}

/// Nodes that do not say what their packages would have to be for.
fn without_architecture(nodes: &[Node]) -> Option<Finding> {
    let mut unknown = nodes.iter().filter(|node| node.is_linux() && node.architecture.is_empty());
    let first = unknown.next()?;
    let more = unknown.count();
    let rest = if more > 0 { format!(", nor {more} others") } else { String::new() };
    Some(Finding::new(
        Reason::SourceUnreadable,
        first.name.0.as_str(),
        format!("it does not tell its architecture{rest}"),
    ))
}

/// The target, and on the way to another minor what runs, where a newer patch is on offer. What runs is looked at by
/// other checks; here it is only told.
fn behind(facts: &Facts<'_>, target: &Version, packages: &Packages, run: &BTreeSet<&str>) -> Vec<Finding> {
    let running = facts.case.snapshot.api_servers.value.iter().flatten();
    let running = running.filter_map(|server| Some((server.name.as_str(), server.version.as_ref().ok()?)));
    let left = running.filter(|(_, version)| version.minor() < target.minor());
    std::iter::once(("target", target))
        .chain(left)
        .filter(|(_, version)| version.vendor().is_none())
        .filter_map(|(name, version)| {
            let newer = packages.newest(version.minor(), run).filter(|newest| *newest > version)?;
            Some(Finding::new(Reason::PatchBehind, name, format!("{version}; {newer} is on offer")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Healthy, healthy, outcome, packages};
    use super::*;
    use crate::cluster::snapshot::Source;
    use crate::verdict::Status;

    /// Takes a package of a version for an architecture out of the index, which has all three for amd64 and arm64.
    fn without(cluster: &mut Healthy, architecture: &str, package: &str, release: &str) {
        let index = cluster.snapshot.packages.value.as_mut().unwrap().by_architecture.as_mut().unwrap();
        let all = index["amd64"].clone();
        index.entry("arm64".to_owned()).or_insert(all);
        let versions = index.get_mut(architecture).unwrap().get_mut(package).unwrap();
        versions.retain(|version| version.to_string() != release);
    }

    fn arm64(cluster: &mut Healthy) {
        cluster.snapshot.nodes.value.as_mut().unwrap()[1].architecture = "arm64".to_owned();
    }

    #[test]
    fn a_version_is_on_offer_if_every_node_can_install_all_of_it() {
        type Change = fn(&mut Healthy);
        let cases: [(&str, Change, Status, &str); 8] = [
            ("all of it", |_| {}, Status::Pass, ""),
            (
                "no kubelet",
                |it| without(it, "amd64", "kubelet", "v1.36.3"),
                Status::Block,
                "no kubelet for amd64",
            ),
            (
                "no kubectl",
                |it| without(it, "amd64", "kubectl", "v1.36.3"),
                Status::Block,
                "no kubectl for amd64",
            ),
            (
                "a kubelet that no node runs on",
                |it| without(it, "arm64", "kubelet", "v1.36.3"),
                Status::Pass,
                "",
            ),
            ("only amd64", arm64, Status::Block, "no kubeadm, kubelet, kubectl for arm64"),
            (
                "a part for arm64",
                |it| {
                    arm64(it);
                    without(it, "arm64", "kubelet", "v1.36.3");
                },
                Status::Block,
                "no kubelet for arm64; the newest of 1.36 that is there for every node is v1.36.1",
            ),
            (
                "all for arm64",
                |it| {
                    arm64(it);
                    without(it, "arm64", "kubelet", "v1.37.0");
                },
                Status::Pass,
                "",
            ),
            (
                "a Windows node",
                |it| {
                    arm64(it);
                    it.snapshot.nodes.value.as_mut().unwrap()[1].operating_system = "windows".to_owned();
                },
                Status::Pass,
                "",
            ),
        ];
        for (name, change, status, words) in cases {
            let mut cluster = healthy();
            change(&mut cluster);
            let outcome = check(&Facts { target: "v1.36.3".parse(), case: &cluster.case() });
            let said = outcome.findings.iter().map(|it| it.detail.clone()).collect::<Vec<_>>().join("\n");
            assert_eq!(outcome.status, status, "{name}: {said}");
            assert!(said.starts_with(words) && said.is_empty() == words.is_empty(), "{name}: {said}");
            assert!(status != Status::Pass || !outcome.recognised.is_empty(), "{name}");
        }
    }

    #[test]
    fn what_is_not_told_is_unknown() {
        type Change = fn(&mut Healthy);
        let cases: [(Change, &str); 3] = [
            (|it| it.snapshot.nodes.value.as_mut().unwrap()[1].architecture.clear(), "w-1"),
            // A file of before.
            (|it| it.snapshot.packages.value.as_mut().unwrap().by_architecture = None, "packages"),
            (|it| it.snapshot.nodes = Source::failed("gone"), "nodes"),
        ];
        for (change, subject) in cases {
            let mut cluster = healthy();
            change(&mut cluster);
            let outcome = check(&Facts { target: "v1.36.3".parse(), case: &cluster.case() });
            let told: Vec<&str> = outcome.findings.iter().map(|it| it.subject.as_str()).collect();
            assert_eq!((outcome.status, told), (Status::Unknown, vec![subject]));
        }
    }

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
    fn where_the_next_index_could_not_be_read_only_the_next_minor_is_unknown() {
        let mut cluster = healthy();
        let mut read = packages(&["v1.36.1", "v1.36.3"]);
        read.next_error = Some("the server answers 503".to_owned());
        cluster.snapshot.packages.value = Some(read);
        for (target, status) in
            [("v1.36.3", Status::Pass), ("v1.36.4", Status::Block), ("v1.37.0", Status::Unknown)]
        {
            let outcome = check(&Facts { target: target.parse(), case: &cluster.case() });
            assert_eq!(outcome.status, status, "{target}: {:?}", outcome.findings);
        }
    }

    #[test]
    fn a_build_of_a_vendor_is_not_looked_for_in_the_repository_of_the_project() {
        for target in ["v1.37.0+k3s1", "v1.37.9-eks-3a1b2c4"] {
            assert_eq!(outcome(check, target, |_| {}), (Status::Pass, vec![]), "{target}");
        }
    }

    #[test]
    fn newer_patches_of_what_is_left_and_of_the_target_are_told() {
        let mut cluster = healthy();
        let all = packages(&["v1.36.1", "v1.36.3", "v1.36.4", "v1.37.0"]);
        cluster.snapshot.packages.value = Some(all);
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
