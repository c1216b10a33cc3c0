//! Each node's container runtime fits the kubelet of the target.

use super::{Against, Facts, Outcome};
use crate::cluster::snapshot::Node;
use crate::facts::{CriO, Docker, Floor, Recommended, Runtimes};
use crate::reason::{Finding, Reason};
use crate::words::version::{Minor, Version};

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    match facts.version() {
        Ok(target) => facts
            .each_node(&facts.case.matrix.runtimes, |node, runtimes| against(node, target.minor(), runtimes)),
        Err(outcome) => outcome,
    }
}

fn against(node: &Node, target: Minor, runtimes: &Runtimes) -> Against {
    let about = |reason, detail: String| Finding::new(reason, node.name.0.clone(), detail);
    let runtime = node.container_runtime.as_str();
    let unread = || Against::Unknown(about(Reason::RuntimeUnknown, format!("it runs {runtime:?}")));
    let Some((name, release)) = runtime.split_once("://") else { return unread() };
    match name {
        "containerd" => match self::release(release) {
            Some(running) => containerd(&running, node, target, runtimes, about),
            None => unread(),
        },
        "cri-o" => match self::release(release) {
            Some(running) => cri_o(running.minor(), node, target, runtimes, about),
            None => unread(),
        },
        "docker" => match (&runtimes.docker, &node.kubelet_version) {
            (None, _) | (_, Err(_)) => unread(),
            (Some(Docker { removed, .. }), _) if target < *removed => Against::Nothing,
            // That kubelet has no part for Docker any more: it runs with cri-dockerd, which says that it is docker too.
            (Some(Docker { removed, source }), Ok(kubelet)) if kubelet.minor() >= *removed => {
                let detail = format!(
                    "{runtime}, which kubelets from {removed} on reach by cri-dockerd alone: nothing is known here of \
                     it and {target} ({source})"
                );
                Against::Blocks(about(Reason::RuntimeNotRecommended, detail))
            }
            (Some(Docker { removed, source }), Ok(_)) => {
                let detail = format!("{runtime}; kubelets from {removed} on cannot use Docker ({source})");
                Against::Blocks(about(Reason::RuntimeTooOld, detail))
            }
        },
        _ => unread(),
    }
}

fn containerd(
    running: &Version,
    node: &Node,
    target: Minor,
    runtimes: &Runtimes,
    about: impl Fn(Reason, String) -> Finding,
) -> Against {
    if let Some(floor) = runtimes.hard(target)
        && *running < floor.release
    {
        let Floor { from, release, source } = floor;
        let detail = format!("containerd {running}; kubelets from {from} on need {release} ({source})");
        return Against::Blocks(about(Reason::RuntimeTooOld, detail));
    }
    let Some((row, is_own)) = runtimes.recommended(target) else {
        return Against::Unknown(about(
            Reason::RuntimeUnknown,
            format!("nothing is known of containerd for {target}"),
        ));
    };
    let runs_already = runs_already(node, target);
    let has = row.has(running);
    if has == Some(false) {
        let good: Vec<String> = row.releases.iter().map(ToString::to_string).collect();
        let (good, Recommended { kubernetes, source, .. }) = (good.join(" or "), row);
        let detail = format!("containerd {running}; recommended for {kubernetes} is {good} ({source})");
        let found = about(Reason::RuntimeNotRecommended, detail);
        // What is recommended is what was tested most; what does not start is told above.
        return Against::Note(found);
    }
    if has.is_none() {
        let detail = format!("containerd {running} is a pre-release of a branch of which nothing is known");
        let found = about(Reason::RuntimeUnknown, detail);
        return if runs_already { Against::Note(found) } else { Against::Unknown(found) };
    }
    if is_own || runs_already {
        return Against::Nothing;
    }
    if runtimes.are_floors_known(target) {
        let detail = format!(
            "containerd {running} is recommended for {}, nothing is for {target} yet ({})",
            row.kubernetes, row.source
        );
        return Against::Note(about(Reason::RuntimeNotRecommended, detail));
    }
    let detail =
        format!("containerd {running} is good for {}; nothing is known for {target}", row.kubernetes);
    Against::Unknown(about(Reason::RuntimeUnknown, detail))
}

/// Its minors are those of Kubernetes, and its project names no other pair. That the kubelet does not start nobody says
/// either, so a person may accept it; and one that runs with it has shown that it does.
fn cri_o(
    running: Minor,
    node: &Node,
    target: Minor,
    runtimes: &Runtimes,
    about: impl Fn(Reason, String) -> Finding,
) -> Against {
    let Some(CriO { behind_max, source }) = &runtimes.cri_o else {
        return Against::Unknown(about(Reason::RuntimeUnknown, "nothing is known of CRI-O".to_owned()));
    };
    let ahead = target.ahead_of(running);
    if ahead.is_some_and(|ahead| (0..=i64::from(*behind_max)).contains(&ahead)) {
        return Against::Nothing;
    }
    let detail = format!("CRI-O {running}; its project pairs {target} with CRI-O {target} ({source})");
    let found = about(Reason::RuntimeNotRecommended, detail);
    if runs_already(node, target) {
        return Against::Note(found);
    }
    match ahead {
        Some(ahead) if ahead > 0 => Against::Blocks(found),
        Some(_) | None => {
            let detail = format!("CRI-O {running} is newer than {target}; nothing is known of such a pair");
            Against::Unknown(about(Reason::RuntimeUnknown, detail))
        }
    }
}

/// A kubelet of the target's minor that runs with a runtime has shown as much as a row could say.
fn runs_already(node: &Node, target: Minor) -> bool {
    node.kubelet_version.as_ref().is_ok_and(|kubelet| kubelet.minor() == target)
}

/// A release as a node writes it. What a distribution adds after `~` changes nothing.
fn release(text: &str) -> Option<Version> {
    text.split('~').next().unwrap_or_default().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Healthy, healthy, outcome, version};
    use super::*;
    use crate::cluster::snapshot::Source;
    use crate::verdict::Status;

    fn on(runtime: &'static str) -> impl Fn(&mut Healthy) {
        move |cluster| {
            let nodes = cluster.snapshot.nodes.value.as_mut().unwrap();
            nodes.truncate(1);
            nodes[0].container_runtime = runtime.to_owned();
        }
    }

    #[test]
    fn each_runtime_is_judged_by_its_own_rule() {
        for (runtime, target, status, reason) in [
            ("containerd://2.2.0", "v1.36.3", Status::Pass, None),
            ("containerd://2.4.1", "v1.36.3", Status::Pass, None),
            ("containerd://2.1.9", "v1.36.3", Status::Pass, None),
            ("containerd://1.7.28~ds1", "v1.36.3", Status::Pass, None),
            // Recommended is not required: kubelets work on it up to 1.37, and what a later one needs is known.
            ("containerd://1.7.28~ds1", "v1.37.0", Status::Pass, None),
            ("containerd://1.6.39", "v1.37.0", Status::Pass, None),
            ("containerd://1.5.18", "v1.37.0", Status::Block, Some("runtime_too_old")),
            ("containerd://1.7.28+azure", "v1.38.0", Status::Block, Some("runtime_too_old")),
            ("containerd://2.2.0", "v1.37.0", Status::Pass, None),
            ("containerd://2.1.9", "v1.37.0", Status::Pass, None),
            ("containerd://2.2.0", "v1.38.0", Status::Pass, None),
            ("containerd://2.2.0", "v1.39.0", Status::Unknown, Some("runtime_unknown")),
            ("containerd://unknown", "v1.36.3", Status::Unknown, Some("runtime_unknown")),
            ("", "v1.36.3", Status::Unknown, Some("runtime_unknown")),
            // By cri-dockerd: its owner knows.
            ("docker://28.0.0", "v1.36.3", Status::Block, Some("runtime_not_recommended")),
            ("docker://28.0.0", "v1.37.0", Status::Block, Some("runtime_not_recommended")),
            ("cri-o://1.36.1", "v1.36.3", Status::Pass, None),
            ("cri-o://1.37.2", "v1.37.0", Status::Pass, None),
            ("cri-o://1.36.1", "v1.37.0", Status::Block, Some("runtime_not_recommended")),
            ("cri-o://1.34.0", "v1.37.0", Status::Block, Some("runtime_not_recommended")),
            ("cri-o://1.38.0", "v1.37.0", Status::Unknown, Some("runtime_unknown")),
            // The kubelet of 1.36 runs with it.
            ("cri-o://1.34.0", "v1.36.3", Status::Pass, None),
            ("cri-o://1.37.0", "v1.36.3", Status::Pass, None),
            ("other://1.0.0", "v1.36.3", Status::Unknown, Some("runtime_unknown")),
        ] {
            let expected = (status, reason.into_iter().collect());
            assert_eq!(outcome(check, target, on(runtime)), expected, "{runtime} {target}");
        }
    }

    #[test]
    fn a_pre_release_is_not_as_good_as_its_release() {
        for (runtime, kubelet, status, reason) in [
            ("containerd://2.4.0-alpha.0", "v1.35.4", Status::Unknown, Some("runtime_unknown")),
            ("containerd://2.4.0", "v1.35.4", Status::Pass, None),
            ("containerd://2.3.0-rc.1", "v1.35.4", Status::Pass, None),
            // A kubelet of that minor has shown that it works.
            ("containerd://2.4.0-alpha.0", "v1.36.1", Status::Pass, None),
        ] {
            let change = |cluster: &mut Healthy| {
                on(runtime)(cluster);
                cluster.snapshot.nodes.value.as_mut().unwrap()[0].kubelet_version = version(kubelet);
            };
            let expected = (status, reason.into_iter().collect());
            assert_eq!(outcome(check, "v1.36.3", change), expected, "{runtime} {kubelet}");
        }
    }

    #[test]
    fn only_a_kubelet_with_its_own_part_for_docker_loses_docker() {
        for (kubelet, target, status, reason) in [
            ("v1.23.17", "v1.24.1", Status::Block, Some("runtime_too_old")),
            ("v1.23.17", "v1.36.3", Status::Block, Some("runtime_too_old")),
            ("v1.22.17", "v1.23.1", Status::Pass, None),
            ("v1.24.17", "v1.25.1", Status::Block, Some("runtime_not_recommended")),
            ("none", "v1.36.3", Status::Unknown, Some("runtime_unknown")),
        ] {
            let change = |cluster: &mut Healthy| {
                on("docker://20.10.7")(cluster);
                cluster.snapshot.nodes.value.as_mut().unwrap()[0].kubelet_version = version(kubelet);
            };
            let expected = (status, reason.into_iter().collect());
            assert_eq!(outcome(check, target, change), expected, "{kubelet} {target}");
        }
    }

    #[test]
    fn what_is_only_recommended_is_noted() {
        for (runtime, target, part) in [
            ("containerd://2.1.9", "v1.36.3", "recommended for 1.36 is v2.3.0 or v2.2.0"),
            ("containerd://2.3.0-rc.1", "v1.36.3", "recommended for 1.36"),
            ("containerd://2.2.0", "v1.37.0", "nothing is for 1.37 yet"),
            ("cri-o://1.34.0", "v1.36.3", "pairs 1.36 with CRI-O 1.36"),
        ] {
            let mut cluster = healthy();
            on(runtime)(&mut cluster);
            let notes = check(&Facts { target: target.parse(), case: &cluster.case() }).notes;
            let is_told = |note: &Finding| note.detail.contains(part) && note.detail.contains("https://");
            assert!(notes.len() == 1 && is_told(&notes[0]), "{runtime} {target}: {notes:?}");
        }
    }

    #[test]
    fn no_nodes_and_old_facts_are_unknown() {
        let none = |cluster: &mut Healthy| cluster.snapshot.nodes.value = Some(Vec::new());
        assert_eq!(outcome(check, "v1.36.3", none), (Status::Unknown, vec!["no_nodes"]));
        let lost = |cluster: &mut Healthy| cluster.snapshot.nodes = Source::failed("gone");
        assert_eq!(outcome(check, "v1.36.3", lost), (Status::Unknown, vec!["source_unreadable"]));
        let old = |cluster: &mut Healthy| cluster.matrix.runtimes.max_age_days = 1;
        assert_eq!(outcome(check, "v1.36.3", old), (Status::Unknown, vec!["matrix_stale"]));
    }
}
