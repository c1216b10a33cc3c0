//! Lockkeeper can upgrade every node: it speaks apt, of the packages that the project publishes, and installs the project's
//! own kubelet. Whether the cluster goes with the version is another question, and so this stands apart from the verdict.
//!
//! A node tells its operating system, its architecture and its kubelet by itself. What it does not tell, its package manager
//! and its init, preflight of a run asks the node.

use std::collections::BTreeMap;

use super::{Facts, Outcome, unreadable_version};
use crate::cluster::snapshot::Node;
use crate::reason::{Finding, Reason};
use crate::verdict::Recognised;
use crate::words::counted;

/// How the names of operating systems with apt begin, in lower case: `PRETTY_NAME` of their `/etc/os-release`.
const WITH_APT: [&str; 8] =
    ["debian", "ubuntu", "raspbian", "armbian", "linux mint", "pop!_os", "kali", "linuxmint"];
/// How the names of those without begin; the longer name counts where it begins with one that has apt.
const WITHOUT_APT: [&str; 42] = [
    "ubuntu core",
    "rocky",
    "almalinux",
    "red hat",
    "centos",
    "fedora",
    "oracle linux",
    "scientific linux",
    "cloudlinux",
    "miracle linux",
    "eurolinux",
    "virtuozzo",
    "amazon linux",
    "bottlerocket",
    "container-optimized os",
    "cbl-mariner",
    "microsoft azure linux",
    "azure linux",
    "vmware photon",
    "photon",
    "suse",
    "sles",
    "opensuse",
    "flatcar",
    "talos",
    "alpine",
    "arch linux",
    "manjaro",
    "gentoo",
    "nixos",
    "void",
    "rancheros",
    "k3os",
    "openeuler",
    "euleros",
    "huawei cloud euleros",
    "anolis",
    "alibaba cloud linux",
    "tencentos",
    "buildroot",
    "clear linux",
    "slackware",
];
/// The architectures that the project publishes packages for.
const PUBLISHED: [&str; 4] = ["amd64", "arm64", "ppc64le", "s390x"];

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    let (nodes, read) = match facts.state("nodes", &facts.case.snapshot.nodes) {
        Ok(read) => read,
        Err(finding) => return Outcome::unknown(finding),
    };
    let (mut blockers, mut unknowns) = (Vec::new(), Vec::new());
    if nodes.is_empty() {
        unknowns.push(Finding::new(Reason::NoNodes, "nodes", "the list is empty"));
    }
    if let Ok(target) = facts.target.as_ref()
        && target.vendor().is_some()
    {
        blockers.push(Finding::new(Reason::TargetOfVendor, target.to_string(), ""));
    }
    let mut good: BTreeMap<[&str; 2], u64> = BTreeMap::new();
    for node in nodes {
        let found = blockers.len() + unknowns.len();
        judge(node, &mut blockers, &mut unknowns);
        if blockers.len() + unknowns.len() == found {
            *good.entry([&node.os_image, &node.architecture]).or_default() += 1;
        }
    }
    let recognised = good.into_iter().map(|([system, architecture], count)| Recognised {
        subject: format!("{system}, {architecture}"),
        detail: format!("{} with the project's own kubelet", counted(count, "node")),
        source: String::new(),
    });
    Outcome::judge(read, Vec::new(), blockers, unknowns).recognising(recognised.collect())
}

fn judge(node: &Node, blockers: &mut Vec<Finding>, unknowns: &mut Vec<Finding>) {
    let about = |reason, detail: &str| Finding::new(reason, node.name.0.as_str(), detail);
    let missing = |what: &str| about(Reason::SourceUnreadable, &format!("its {what} is not told"));
    let Node { operating_system, os_image, architecture, kubelet_version, .. } = node;
    match (operating_system.as_str(), has_apt(os_image)) {
        ("", _) => unknowns.push(missing("operating system")),
        ("linux", Some(true)) => {}
        ("linux", Some(false)) => blockers.push(about(Reason::NodeOsUnsupported, os_image)),
        ("linux", None) if os_image.is_empty() => unknowns.push(missing("operating system's name")),
        ("linux", None) => unknowns.push(about(Reason::NodeOsUnrecognised, os_image)),
        // Nothing else of such a node is Lockkeeper's either.
        (other, _) => {
            let named = if os_image.to_lowercase().starts_with(other) { os_image } else { other };
            return blockers.push(about(Reason::NodeOsUnsupported, named));
        }
    }
    match architecture.as_str() {
        "" => unknowns.push(missing("architecture")),
        known if PUBLISHED.contains(&known) => {}
        other => blockers.push(about(Reason::NodeArchitectureUnsupported, other)),
    }
    match kubelet_version {
        Err(written) => unknowns.push(unreadable_version(&node.name.0, written)),
        Ok(version) if version.vendor().is_some() => {
            blockers.push(about(Reason::KubeletOfVendor, &version.to_string()));
        }
        Ok(_) => {}
    }
}

/// Whether an operating system of this name has apt; nothing if nobody knows.
fn has_apt(os_image: &str) -> Option<bool> {
    let name = os_image.to_lowercase();
    let is_among = |names: &[&str]| names.iter().any(|it| name.starts_with(it));
    match (is_among(&WITHOUT_APT), is_among(&WITH_APT)) {
        (true, _) => Some(false),
        (false, true) => Some(true),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Healthy, healthy, outcome, run, version};
    use super::*;
    use crate::cluster::snapshot::Source;
    use crate::verdict::{Concerns, Conclusion, Status};

    fn worker(change: impl FnOnce(&mut Node)) -> impl FnOnce(&mut Healthy) {
        |cluster| change(&mut cluster.snapshot.nodes.value.as_mut().unwrap()[1])
    }

    #[test]
    fn a_node_is_upgraded_if_it_has_apt_and_a_published_architecture_and_the_projects_own_kubelet() {
        use Status::{Block, Pass, Unknown};
        let linux = |image: &'static str| ("linux", image, "amd64", "v1.36.1");
        let kubelet = |text: &'static str| ("linux", "Ubuntu 24.04.1 LTS", "amd64", text);
        for ((system, image, architecture, kubelet), status, reasons) in [
            (linux("Debian GNU/Linux 12 (bookworm)"), Pass, vec![]),
            (linux("Ubuntu 24.04.1 LTS"), Pass, vec![]),
            (linux("Armbian 24.5.1 bookworm"), Pass, vec![]),
            (("linux", "Ubuntu 22.04.4 LTS", "arm64", "v1.37.0-rc.1"), Pass, vec![]),
            (linux("Ubuntu Core 22"), Block, vec!["node_os_unsupported"]),
            (
                ("linux", "Rocky Linux 9.4 (Blue Onyx)", "arm64", "v1.36.1"),
                Block,
                vec!["node_os_unsupported"],
            ),
            (linux("Red Hat Enterprise Linux 9.4 (Plow)"), Block, vec!["node_os_unsupported"]),
            (linux("Amazon Linux 2023.5.20240805"), Block, vec!["node_os_unsupported"]),
            (linux("Flatcar Container Linux by Kinvolk 3975.2.0 (Oklo)"), Block, vec!["node_os_unsupported"]),
            (linux("Talos (v1.8.0)"), Block, vec!["node_os_unsupported"]),
            (linux("Guix System"), Unknown, vec!["node_os_unrecognised"]),
            (linux(""), Unknown, vec!["source_unreadable"]),
            (
                ("windows", "Windows Server 2022 Datacenter", "amd64", "v1.36.1"),
                Block,
                vec!["node_os_unsupported"],
            ),
            (("", "", "", "v1.36.1"), Unknown, vec!["source_unreadable"; 2]),
            (
                ("linux", "Ubuntu 24.04.1 LTS", "riscv64", "v1.36.1"),
                Block,
                vec!["node_architecture_unsupported"],
            ),
            (kubelet("v1.36.1+k3s1"), Block, vec!["kubelet_of_vendor"]),
            (kubelet("v1.36.1-eks-3a1b2c4"), Block, vec!["kubelet_of_vendor"]),
            (kubelet("v1.36.1-gke.1000400"), Block, vec!["kubelet_of_vendor"]),
            (
                ("linux", "SUSE Linux Enterprise Server 15 SP6", "arm", "v1.36.1+rke2r1"),
                Block,
                vec!["node_os_unsupported", "node_architecture_unsupported", "kubelet_of_vendor"],
            ),
            (kubelet("what"), Unknown, vec!["source_unreadable"]),
        ] {
            let change = worker(|node| {
                node.operating_system = system.to_owned();
                node.os_image = image.to_owned();
                node.architecture = architecture.to_owned();
                node.kubelet_version = version(kubelet);
            });
            assert_eq!(outcome(check, "v1.36.3", change), (status, reasons), "{system} {image} {kubelet}");
        }
        let none = |cluster: &mut Healthy| cluster.snapshot.nodes.value = Some(Vec::new());
        assert_eq!(outcome(check, "v1.36.3", none), (Status::Unknown, vec!["no_nodes"]));
        let lost = |cluster: &mut Healthy| cluster.snapshot.nodes = Source::failed("gone");
        assert_eq!(outcome(check, "v1.36.3", lost), (Status::Unknown, vec!["source_unreadable"]));
    }

    #[test]
    fn a_build_of_a_vendor_is_no_target_of_ours() {
        let cluster = healthy();
        for (target, is_ours) in [("v1.36.3", true), ("v1.36.3+k3s1", false)] {
            let verdict = cluster.verdict(target);
            assert_eq!(verdict.verdict, Conclusion::Safe, "{target}");
            assert_eq!(verdict.allows(cluster.now, &cluster.settings).is_ok(), is_ours, "{target}");
        }
        for target in ["v1.36.3+k3s1", "v1.36.3-eks-3a1b2c4", "v1.36.3-gke.1000400"] {
            assert_eq!(outcome(check, target, |_| {}), (Status::Block, vec!["target_of_vendor"]), "{target}");
        }
    }

    #[test]
    fn what_can_be_upgraded_is_named_by_system_and_architecture() {
        let mut cluster = healthy();
        worker(|node| node.architecture = "arm64".to_owned())(&mut cluster);
        let outcome = check(&Facts { target: "v1.36.3".parse(), case: &cluster.case() });
        let named: Vec<&str> = outcome.recognised.iter().map(|one| one.subject.as_str()).collect();
        assert_eq!(named, ["Debian GNU/Linux 12 (bookworm), amd64", "Debian GNU/Linux 12 (bookworm), arm64"]);
    }

    #[test]
    fn what_cannot_be_upgraded_stops_a_run_and_leaves_the_answer_as_it_is() {
        type Change = fn(&mut Node);
        let cases: [(Change, Status); 2] = [
            (|node| node.kubelet_version = version("v1.36.1+k3s1"), Status::Block),
            (|node| node.operating_system.clear(), Status::Unknown),
        ];
        for (change, class) in cases {
            let mut cluster = healthy();
            worker(change)(&mut cluster);
            let verdict = cluster.verdict("v1.36.3");
            assert_eq!((verdict.verdict, verdict.blind().count()), (Conclusion::Safe, 0), "{class:?}");
            assert!(!verdict.has(class) && verdict.about(Concerns::Driver).any(|check| check.has(class)));
            let refused = verdict.for_run(&run("v1.36.3"), &cluster.snapshot);
            let refused = refused.allows(cluster.now, &cluster.settings).unwrap_err();
            assert_eq!(
                refused.iter().map(|it| it.subject.as_str()).collect::<Vec<_>>(),
                ["w-1"],
                "{refused:?}"
            );
        }
    }

    #[test]
    fn a_node_that_the_run_leaves_as_it_is_does_not_stop_it_nor_does_one_that_preflight_will_ask() {
        let allows = |change: &dyn Fn(&mut Node), skip: &[&str]| {
            let mut cluster = healthy();
            worker(change)(&mut cluster);
            let mut run = run("v1.36.3");
            run.spec.skip = skip.iter().map(|&name| name.to_owned()).collect();
            let verdict = cluster.verdict("v1.36.3").for_run(&run, &cluster.snapshot);
            verdict.allows(cluster.now, &cluster.settings).is_ok()
        };
        let windows = |node: &mut Node| node.operating_system = "windows".to_owned();
        let odd = |node: &mut Node| node.os_image = "Guix System".to_owned();
        assert_eq!(
            [allows(&windows, &[]), allows(&windows, &["cp-1"]), allows(&windows, &["w-1"])],
            [false, false, true]
        );
        assert!(allows(&odd, &[]));
    }
}
