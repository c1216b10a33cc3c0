//! etcd is new enough for the etcd that the target brings.

use super::{Facts, Outcome, left_to_vendor, unreadable_version, usable, vendors_kubelet};
use crate::cluster::snapshot::{ETCD, Role};
use crate::facts::Floor;
use crate::reason::{Finding, Reason};
use crate::verdict::Recognised;
use crate::words::version::{Minor, Version};

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    let target = match facts.version() {
        Ok(target) => target.minor(),
        Err(outcome) => return outcome,
    };
    let read = facts.state("static_pods", &facts.case.snapshot.static_pods);
    let read = read.and_then(|(pods, read)| Ok((pods, read, facts.known(&facts.case.matrix.etcd)?)));
    let (pods, pods_read, (floors, known)) = match read {
        Ok(read) => read,
        Err(finding) => return Outcome::unknown(finding),
    };
    let floor = floors.0.iter().filter(|floor| floor.from <= target).max_by_key(|floor| &floor.release);
    let (mut blockers, mut unknowns, mut recognised) = (Vec::new(), Vec::new(), Vec::new());
    let members: Vec<_> = pods.iter().filter(|pod| pod.component == ETCD).collect();
    let nodes = facts.state("nodes", &facts.case.snapshot.nodes);
    if members.is_empty() {
        if let Ok((nodes, read)) = &nodes
            && let Some(kubelet) = vendors_kubelet(facts, nodes, pods)
        {
            return Outcome::pass(pods_read, [read.clone()]).noting(vec![left_to_vendor(ETCD, kubelet)]);
        }
        let detail = "no static pod of etcd is seen; look at the version of your own";
        unknowns.push(Finding::new(Reason::EtcdUnseen, ETCD, detail));
    } else {
        // kubeadm gives each node of the control plane a member: one that is not seen may be the old one.
        match nodes {
            Ok((nodes, _read)) => unknowns.extend(
                nodes
                    .iter()
                    .filter(|node| node.role == Role::ControlPlane)
                    .filter(|node| members.iter().all(|member| member.node != node.name))
                    .map(|node| {
                        let detail = "no static pod of etcd is seen there, and one elsewhere";
                        Finding::new(Reason::EtcdUnseen, node.name.0.clone(), detail)
                    }),
            ),
            Err(finding) => unknowns.push(finding),
        }
    }
    for member in members {
        let name = format!("etcd on {}", member.node);
        match &member.version {
            Err(written) => unknowns.push(unreadable_version(&name, written)),
            // The tag of the image has a number of its own behind the version, which is no pre-release.
            Ok(running) => {
                let (detail, source) = match floor.filter(|floor| running.release() < floor.release) {
                    None => (running.to_string(), String::new()),
                    // An etcd of the same minor is no step that a patch would have to come before.
                    Some(floor) if keeps_minor(facts, running) => {
                        let detail =
                            format!("{running}; etcd.local.imageTag in kubeadm-config keeps its minor");
                        (detail, floor.source.clone())
                    }
                    Some(floor) => {
                        let detail = too_old(running, floor, target);
                        blockers.push(Finding::new(Reason::EtcdTooOld, name, detail));
                        continue;
                    }
                };
                recognised.push(Recognised { subject: name, detail, source });
            }
        }
    }
    Outcome::judge(pods_read, vec![known], blockers, unknowns).recognising(recognised)
}

fn too_old(running: &Version, floor: &Floor, target: Minor) -> String {
    let Floor { release, source, .. } = floor;
    format!(
        "it runs {running}; for {target} it must be {release} first, which kubeadm may not bring by itself ({source})"
    )
}

/// Whether somebody has told kubeadm to bring an etcd of the minor that runs, whatever its own is.
pub(super) fn keeps_minor(facts: &Facts<'_>, running: &Version) -> bool {
    let Some(source) = &facts.case.inventory.kubeadm_config else { return false };
    let age_seconds_max = facts.case.settings.state_age_seconds_max;
    let config = usable("kubeadm_config", source, facts.case.now, age_seconds_max);
    let tag = config.ok().and_then(Option::as_ref).and_then(|config| config.etcd_image_tag.as_ref());
    tag.and_then(|tag| tag.parse().ok()).is_some_and(|kept: Version| kept.minor() == running.minor())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Healthy, kubeadm_config, node, outcome, pod};
    use super::*;
    use crate::cluster::inventory::KubeadmConfig;
    use crate::cluster::snapshot::Source;
    use crate::verdict::Status;

    #[test]
    fn an_etcd_that_loses_members_on_the_way_blocks() {
        for (etcd, target, status, reason) in [
            ("v3.5.32-0", "v1.36.3", Status::Pass, None),
            ("v3.5.31-0", "v1.34.0", Status::Block, Some("etcd_too_old")),
            ("v3.6.6-0", "v1.36.3", Status::Pass, None),
            ("v3.6.8-0", "v1.37.0", Status::Block, Some("etcd_too_old")),
            ("v3.5.30-0", "v1.37.0", Status::Block, Some("etcd_too_old")),
            ("v3.6.11-0", "v1.37.0", Status::Pass, None),
            ("v3.5.25-0", "v1.36.3", Status::Block, Some("etcd_too_old")),
            ("v3.5.15-0", "v1.33.9", Status::Pass, None),
            ("latest", "v1.36.3", Status::Unknown, Some("source_unreadable")),
        ] {
            let on = |cluster: &mut Healthy| {
                let pods = cluster.snapshot.static_pods.value.as_mut().unwrap();
                pods.retain(|pod| pod.component != "etcd");
                pods.push(pod("etcd", "cp-1", etcd));
            };
            assert_eq!(outcome(check, target, on), (status, reason.into_iter().collect()), "{etcd} {target}");
        }
    }

    /// The way out is one: with the tag of the release that is named kubeadm brings it, and with that of another of its minor
    /// the step does not come at all.
    #[test]
    fn an_etcd_whose_minor_kubeadm_is_told_to_keep_is_not_in_the_way() {
        for (tag, status) in [
            (None, Status::Block),
            (Some("3.6.8-0"), Status::Pass),
            (Some("v3.6.11"), Status::Pass),
            (Some("3.7.0-0"), Status::Block),
            (Some("latest"), Status::Block),
        ] {
            let on = |cluster: &mut Healthy| {
                let pods = cluster.snapshot.static_pods.value.as_mut().unwrap();
                pods.retain(|pod| pod.component != "etcd");
                pods.push(pod("etcd", "cp-1", "v3.6.8-0"));
                let config = KubeadmConfig { etcd_image_tag: tag.map(str::to_owned), ..kubeadm_config() };
                cluster.inventory.kubeadm_config = Some(Source::read(Some(config), cluster.now));
            };
            assert_eq!(outcome(check, "v1.37.0", on).0, status, "{tag:?}");
        }
        let remedy = Reason::EtcdTooOld.entry().remedy;
        assert!(remedy.contains("etcd.local.imageTag"), "{remedy}");
    }

    #[test]
    fn an_etcd_that_a_vendor_brings_is_the_vendors() {
        let of = |kubelets: [&'static str; 2]| {
            move |cluster: &mut Healthy| {
                cluster.inventory.kubeadm_config = Some(Source::read(None, cluster.now));
                cluster.snapshot.static_pods.value.as_mut().unwrap().clear();
                let nodes = cluster.snapshot.nodes.value.as_mut().unwrap();
                for (node, kubelet) in nodes.iter_mut().zip(kubelets) {
                    node.kubelet_version = Ok(kubelet.parse().unwrap());
                }
            }
        };
        for (kubelets, status) in [
            (["v1.36.1+k3s1", "v1.36.1+k3s1"], Status::Pass),
            (["v1.36.1+k3s1", "v1.36.1"], Status::Pass),
            (["v1.36.1", "v1.36.1+k3s1"], Status::Unknown),
            (["v1.36.1", "v1.36.1"], Status::Unknown),
        ] {
            assert_eq!(outcome(check, "v1.36.3", of(kubelets)).0, status, "{kubelets:?}");
            // Of a managed control plane no node is seen.
            let managed = |cluster: &mut Healthy| {
                of(kubelets)(cluster);
                cluster.snapshot.nodes.value.as_mut().unwrap()[0].role = Role::Worker;
            };
            let all = kubelets.iter().all(|it| it.contains("k3s"));
            let expected = if all { Status::Pass } else { Status::Unknown };
            assert_eq!(outcome(check, "v1.36.3", managed).0, expected, "{kubelets:?}");
        }
        // A vendor's build of a cluster that kubeadm has made, or perhaps has.
        type Change = fn(&mut Healthy);
        let of_kubeadm: [Change; 4] = [
            |cluster| cluster.inventory.kubeadm_config = None,
            |cluster| cluster.inventory.kubeadm_config = Some(Source::failed("forbidden")),
            |cluster| {
                cluster.inventory.kubeadm_config = Some(Source::read(Some(kubeadm_config()), cluster.now))
            },
            |cluster| {
                cluster.snapshot.static_pods.value = Some(vec![pod("kube-apiserver", "cp-1", "v1.36.1")])
            },
        ];
        for change in of_kubeadm {
            let built = |cluster: &mut Healthy| {
                of(["v1.36.1+vmware.1", "v1.36.1+vmware.1"])(cluster);
                change(cluster);
            };
            assert_eq!(outcome(check, "v1.36.3", built), (Status::Unknown, vec!["etcd_unseen"]));
        }
        let seen = |cluster: &mut Healthy| {
            cluster.snapshot.nodes.value.as_mut().unwrap()[0].kubelet_version =
                Ok("v1.36.1+rke2r1".parse().unwrap());
            let pods = cluster.snapshot.static_pods.value.as_mut().unwrap();
            pods.retain(|it| it.component != ETCD);
            pods.push(pod("etcd", "cp-1", "v3.5.25-0"));
        };
        assert_eq!(
            outcome(check, "v1.36.3", seen).0,
            Status::Block,
            "one that is seen is judged, whoever brings it"
        );
    }

    #[test]
    fn an_etcd_that_is_not_seen_is_unknown() {
        let none = |cluster: &mut Healthy| {
            let pods = cluster.snapshot.static_pods.value.as_mut().unwrap();
            pods.retain(|pod| pod.component != "etcd");
        };
        assert_eq!(outcome(check, "v1.36.3", none), (Status::Unknown, vec!["etcd_unseen"]));
        let second = |cluster: &mut Healthy| {
            cluster.snapshot.nodes.value.as_mut().unwrap().push(node("cp-2", Role::ControlPlane, "v1.36.1"));
        };
        assert_eq!(outcome(check, "v1.36.3", second), (Status::Unknown, vec!["etcd_unseen"]));
        let lost = |cluster: &mut Healthy| cluster.snapshot.nodes = Source::failed("gone");
        assert_eq!(outcome(check, "v1.36.3", lost), (Status::Unknown, vec!["source_unreadable"]));
    }
}
