//! Each node's kubelet starts at the target with the cgroup version that the node has.
//!
//! ```text
//!   kubelet runs 1.35 or newer ──▶ it has shown that it starts; with failCgroupV1: false only if kubeadm keeps that
//!   older, target 1.35 or newer ─▶ cgroup v2, by its own metrics or because it runs with failCgroupV1: true
//!                                  or kubeadm will write failCgroupV1: false
//! ```
//!
//! Kubelets are asked only where a target changes their minor, and where somebody has given the right: for a patch alone it
//! stays unseen that a node's own file says failCgroupV1: false.
//!
//! That a kubelet from before 1.35 shows `failCgroupV1: false` proves nothing: it is its default, and the next one's is true.
//!
//! Source: <https://github.com/kubernetes/enhancements/issues/5573>.

use std::collections::BTreeMap;

use super::{Facts, KUBELET_AGE_SECONDS_MAX, KUBELET_CONFIG_MAP, Outcome, unreadable_version, usable};
use crate::cluster::inventory::{KubeletConfig, RunningKubelet};
use crate::cluster::snapshot::Node;
use crate::driver::kubeadm::is_at;
use crate::reason::{Finding, Reason};
use crate::verdict::Evidence;
use crate::words::name::NodeName;
use crate::words::version::Minor;

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    judge(facts).unwrap_or_else(|unknown| unknown)
}

fn judge(facts: &Facts<'_>) -> Result<Outcome, Outcome> {
    let version = facts.version()?;
    let target = version.minor();
    let (nodes, nodes_read) = facts.state("nodes", &facts.case.snapshot.nodes).map_err(Outcome::unknown)?;
    let (fact, known) = facts.known(&facts.case.matrix.cgroup_v1).map_err(Outcome::unknown)?;
    let mut unknowns = Vec::new();
    if nodes.is_empty() {
        unknowns.push(Finding::new(Reason::NoNodes, "nodes", "the list is empty"));
    }
    let going = going(nodes, target, fact.fails_from, &mut unknowns);
    let mut evidence = vec![known];
    let asked = facts.case.inventory.kubelets.value.as_deref().unwrap_or_default();
    if going.is_empty() && !asked.iter().any(|kubelet| keeps(kubelet.config.as_ref().ok())) {
        return Ok(Outcome::judge(nodes_read, evidence, Vec::new(), unknowns));
    }
    let (inventory, now) = (facts.case.inventory, facts.case.now);
    let kubelets = match usable("kubelets", &inventory.kubelets, now, KUBELET_AGE_SECONDS_MAX) {
        Ok(kubelets) => {
            let age_seconds = inventory.kubelets.age_seconds(now).unwrap_or_default();
            evidence.push(Evidence { source: "kubelets", count: kubelets.len(), age_seconds });
            kubelets.as_slice()
        }
        Err(finding) => {
            unknowns.push(finding);
            &[]
        }
    };
    let by_node: BTreeMap<&NodeName, &RunningKubelet> = kubelets.iter().map(|it| (&it.node, it)).collect();
    let state_age_max = facts.case.settings.state_age_seconds_max;
    let written = usable("kubelet_config", &inventory.kubelet_config, now, state_age_max);
    let (mut blockers, mut notes) = (Vec::new(), Vec::new());
    for node in going {
        let version = by_node.get(node).and_then(|kubelet| cgroup_version(kubelet));
        match (version, &written) {
            (Some(2), _) => {}
            (_, Ok(Some(KubeletConfig { fail_cgroup_v1: Some(false), .. }))) => {
                let detail = format!("{KUBELET_CONFIG_MAP} has failCgroupV1: false");
                notes.push(Finding::new(Reason::CgroupOldKept, node.0.as_str(), detail));
            }
            (_, Err(finding)) => unknowns.push(finding.clone()),
            (Some(_), Ok(_)) => {
                let detail = format!("kubelets from {} on do not start there ({})", fact.from(), fact.source);
                blockers.push(Finding::new(Reason::CgroupTooOld, node.0.as_str(), detail));
            }
            (None, Ok(_)) => {
                let detail = "its kubelet has not told kubelet_cgroup_version";
                unknowns.push(Finding::new(Reason::CgroupUnknown, node.0.as_str(), detail));
            }
        }
    }
    if let Ok(written) = &written {
        for node in nodes.iter().filter(|node| !is_at(facts.case.snapshot, node, version)) {
            let kept = by_node.get(&node.name).and_then(|kubelet| kept(kubelet, node, fact.fails_from));
            let Some(cgroup_version) = kept.filter(|_| !keeps(written.as_ref())) else { continue };
            let detail = format!(
                "its kubelet runs with failCgroupV1: false, and {KUBELET_CONFIG_MAP}, which kubeadm gives every kubelet, does not say so"
            );
            match cgroup_version {
                Some(2) => {}
                Some(_) => blockers.push(Finding::new(Reason::CgroupTooOld, node.name.0.as_str(), detail)),
                None => unknowns.push(Finding::new(Reason::CgroupUnknown, node.name.0.as_str(), detail)),
            }
        }
    }
    unknowns.sort_unstable();
    unknowns.dedup();
    Ok(Outcome::judge(nodes_read, evidence, blockers, unknowns).noting(notes))
}

fn keeps(config: Option<&KubeletConfig>) -> bool {
    config.is_some_and(|config| config.fail_cgroup_v1 == Some(false))
}

/// The cgroup version of a kubelet that somebody lets run on cgroup v1: from that minor on it is no default.
fn kept(kubelet: &RunningKubelet, node: &Node, fails_from: Option<Minor>) -> Option<Option<u8>> {
    let running = node.kubelet_version.as_ref().ok()?.minor();
    let is_chosen = fails_from.is_some_and(|from| running >= from) && keeps(kubelet.config.as_ref().ok());
    is_chosen.then_some(kubelet.cgroup_version)
}

/// The nodes whose kubelets go over the step at which cgroup v1 stops to be enough.
fn going<'a>(
    nodes: &'a [Node],
    target: Minor,
    fails_from: Option<Minor>,
    unknowns: &mut Vec<Finding>,
) -> Vec<&'a NodeName> {
    let mut going = Vec::new();
    // Windows has no cgroups.
    for node in nodes.iter().filter(|node| node.is_linux()) {
        match &node.kubelet_version {
            Err(written) => unknowns.push(unreadable_version(&node.name.0, written)),
            Ok(version) => {
                let goes_over = fails_from.is_some_and(|from| version.minor() < from && from <= target);
                going.extend(goes_over.then_some(&node.name));
            }
        }
    }
    going
}

/// What its metrics say; else a kubelet that would not have started on cgroup v1 runs on v2.
fn cgroup_version(kubelet: &RunningKubelet) -> Option<u8> {
    let refuses_v1 = kubelet.config.as_ref().is_ok_and(|config| config.fail_cgroup_v1 == Some(true));
    kubelet.cgroup_version.or(refuses_v1.then_some(2))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Healthy, node, outcome};
    use super::*;
    use crate::cluster::inventory::KubeletUnread;
    use crate::cluster::snapshot::{Role, Source};
    use crate::verdict::Status;

    /// A worker of this version, what its kubelet says, and what kubeadm will write.
    fn worker(
        version: &'static str,
        cgroup: Option<u8>,
        shown: Option<bool>,
        written: Option<bool>,
    ) -> impl Fn(&mut Healthy) {
        move |cluster| {
            cluster.snapshot.nodes.value.as_mut().unwrap()[1] = node("w-1", Role::Worker, version);
            let kubelet = &mut cluster.inventory.kubelets.value.as_mut().unwrap()[1];
            kubelet.cgroup_version = cgroup;
            kubelet.config = Ok(KubeletConfig { fail_cgroup_v1: shown, ..KubeletConfig::default() });
            cluster.inventory.kubelet_config.value =
                Some(Some(KubeletConfig { fail_cgroup_v1: written, ..KubeletConfig::default() }));
        }
    }

    #[test]
    fn only_the_step_to_1_35_needs_the_cgroup_version_and_a_default_proves_nothing() {
        for (version, cgroup, shown, written, target, status, reason) in [
            ("v1.34.1", Some(2), Some(false), None, "v1.35.0", Status::Pass, None),
            ("v1.34.1", Some(1), Some(false), None, "v1.35.0", Status::Block, Some("cgroup_too_old")),
            ("v1.34.1", Some(1), Some(false), Some(false), "v1.35.0", Status::Pass, None),
            ("v1.34.1", Some(1), Some(false), Some(true), "v1.35.0", Status::Block, Some("cgroup_too_old")),
            ("v1.34.1", None, Some(false), None, "v1.35.0", Status::Unknown, Some("cgroup_unknown")),
            ("v1.34.1", None, Some(false), Some(false), "v1.35.0", Status::Pass, None),
            ("v1.34.1", None, Some(true), None, "v1.35.0", Status::Pass, None),
            ("v1.34.1", None, None, None, "v1.36.3", Status::Unknown, Some("cgroup_unknown")),
            ("v1.34.1", Some(1), None, None, "v1.34.9", Status::Pass, None),
            // That a kubelet of today runs on cgroup v1 is a person's choice, which kubeadm forgets.
            ("v1.35.0", None, Some(false), None, "v1.36.3", Status::Unknown, Some("cgroup_unknown")),
            ("v1.35.0", Some(1), Some(false), None, "v1.35.4", Status::Block, Some("cgroup_too_old")),
            ("v1.35.0", Some(1), Some(false), Some(false), "v1.35.4", Status::Pass, None),
            ("v1.35.0", Some(2), Some(false), None, "v1.36.3", Status::Pass, None),
            ("v1.35.0", Some(2), Some(true), None, "v1.36.3", Status::Pass, None),
            ("latest", None, None, None, "v1.36.3", Status::Unknown, Some("source_unreadable")),
        ] {
            let found = outcome(check, target, worker(version, cgroup, shown, written));
            assert_eq!(
                found,
                (status, reason.into_iter().collect()),
                "{version} {cgroup:?} {shown:?} {written:?}"
            );
        }
    }

    #[test]
    fn a_source_that_is_lost_is_unknown_only_where_it_is_needed() {
        type Change = fn(&mut Healthy);
        let silent: Change = |cluster| cluster.inventory.kubelets = Source::failed("gone");
        let refused: Change = |cluster| {
            let kubelet = &mut cluster.inventory.kubelets.value.as_mut().unwrap()[1];
            (kubelet.cgroup_version, kubelet.config) = (None, Err(KubeletUnread::Forbidden("no".to_owned())));
        };
        let blind: Change = |cluster| cluster.inventory.kubelet_config = Source::failed("gone");
        for (what, lose, on_v2, on_v1) in [
            ("silent", silent, vec!["cgroup_unknown", "source_unreadable"], Status::Unknown),
            ("refused", refused, vec!["cgroup_unknown"], Status::Unknown),
            ("blind", blind, vec![], Status::Unknown),
        ] {
            let with = |cgroup| {
                move |cluster: &mut Healthy| {
                    worker("v1.34.1", Some(cgroup), Some(false), None)(cluster);
                    lose(cluster);
                }
            };
            let (_, mut reasons) = outcome(check, "v1.35.0", with(2));
            reasons.sort_unstable();
            assert_eq!(reasons, on_v2, "{what}");
            assert_eq!(outcome(check, "v1.35.0", with(1)).0, on_v1, "{what}");
            assert_eq!(outcome(check, "v1.36.3", lose), (Status::Pass, vec![]), "{what}");
        }
    }

    #[test]
    fn a_windows_node_is_not_asked_for_its_cgroups() {
        let windows = |cluster: &mut Healthy| {
            worker("v1.34.1", None, Some(false), None)(cluster);
            cluster.snapshot.nodes.value.as_mut().unwrap()[1].operating_system = "windows".to_owned();
        };
        assert_eq!(outcome(check, "v1.35.0", windows), (Status::Pass, vec![]));
    }

    #[test]
    fn what_kubeadm_keeps_is_noted() {
        let mut cluster = super::super::tests::healthy();
        worker("v1.34.1", Some(1), Some(false), Some(false))(&mut cluster);
        let verdict = cluster.verdict("v1.35.0");
        let check = verdict.checks.iter().find(|check| check.id == "cgroup").unwrap();
        let notes: Vec<_> =
            check.notes.iter().map(|note| (note.reason.code(), note.subject.as_str())).collect();
        assert_eq!(notes, [("cgroup_old_kept", "w-1")]);
    }

    #[test]
    fn what_is_asked_of_kubelets_follows_from_what_is_known() {
        let known = crate::facts::Matrix::built_in().cgroup_v1.value;
        assert_eq!(known.fails_from, Some(crate::wire::kubelet::CGROUP_V1_FAILS_FROM));
    }
}
