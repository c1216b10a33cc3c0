//! CoreDNS, which kubeadm upgrades with the control plane.

use super::*;

fn coredns(namespace: &str, image: &str) -> Workload {
    let mut workload = workload(WorkloadKind::Deployment, namespace, "coredns", &[image]);
    "coredns".clone_into(&mut workload.containers[0].name);
    workload
}

fn judged(running: &str, target: &str, workload: Workload) -> Check {
    let mut cluster = healthy();
    cluster.snapshot.api_servers.value = Some(vec![api_server("cp-1", running)]);
    cluster.inventory.workloads.value = Some(vec![workload]);
    cluster.verdict(target).checks.into_iter().find(|check| check.id == "addons").unwrap()
}

#[test]
fn coredns_must_be_one_that_the_kubeadm_of_the_target_leads_from() {
    for (running, tag, target, expected) in [
        // What each kubeadm brings.
        ("v1.35.4", ":v1.13.1", "v1.36.3", (Status::Pass, vec![])),
        ("v1.36.1", ":v1.14.2", "v1.37.0", (Status::Pass, vec![])),
        ("v1.36.1", ":v1.14.2@sha256:ab", "v1.37.0", (Status::Pass, vec![])),
        // Put in by hand before the step: the target's kubeadm knows it.
        ("v1.35.4", ":v1.14.1", "v1.36.3", (Status::Pass, vec![])),
        ("v1.36.1", ":v1.14.6", "v1.37.0", (Status::Pass, vec![])),
        // It does not know this one.
        ("v1.35.4", ":v1.14.3", "v1.36.3", (Status::Block, vec!["addon_needs_newer_kubernetes"])),
        ("v1.36.1", ":v1.14.3", "v1.36.3", (Status::Block, vec!["addon_needs_newer_kubernetes"])),
        ("v1.36.1", ":v1.14.7", "v1.37.0", (Status::Block, vec!["addon_needs_newer_kubernetes"])),
        // Released, and left out by the library.
        ("v1.36.1", ":v1.14.5", "v1.37.0", (Status::Block, vec!["addon_needs_newer_kubernetes"])),
        ("v1.36.1", ":v1.15.0", "v1.37.0", (Status::Unknown, vec!["addon_newer_than_matrix"])),
        // kubeadm takes the tag as it is, whatever stands behind the version.
        ("v1.35.4", ":v1.13.1-eks.1", "v1.36.3", (Status::Unknown, vec!["addon_version_unreadable"])),
        ("v1.35.4", "@sha256:ab", "v1.36.3", (Status::Unknown, vec!["addon_version_unreadable"])),
    ] {
        let workload = coredns("kube-system", &format!("registry.k8s.io/coredns/coredns{tag}"));
        let check = judged(running, target, workload);
        assert_eq!((check.status, reasons(&check.findings)), expected, "{running} {tag} {target}");
    }
}

#[test]
fn the_way_out_is_one_that_kubeadm_takes() {
    let check = judged("v1.35.4", "v1.36.3", coredns("kube-system", "coredns/coredns:1.14.3"));
    let detail = &check.findings[0].detail;
    assert!(detail.contains("such as 1.13.2, or upgrade it yourself"), "{detail}");
    assert!(detail.contains("skipPhases addon/coredns"), "{detail}");
}

#[test]
fn another_server_that_runs_coredns_concerns_kubeadm_not() {
    let mut other = coredns("kube-system", "coredns/coredns:1.14.7");
    "lan-dns".clone_into(&mut other.name);
    for workload in [coredns("dns", "coredns/coredns:1.14.7"), other] {
        let check = judged("v1.35.4", "v1.36.3", workload);
        assert_eq!((check.status, reasons(&check.findings)), (Status::Pass, vec![]));
    }
}

#[test]
fn the_plan_brings_no_coredns_in() {
    let mut cluster = healthy();
    cluster.inventory.workloads.value = Some(vec![coredns("kube-system", "coredns/coredns:1.14.7")]);
    let way = way(&"v1.37.0".parse().unwrap(), &cluster.case()).unwrap();
    assert!(way.unknown.is_empty(), "{way:?}");
    assert!(!format!("{way:?}").contains("coredns"), "{way:?}");
}
