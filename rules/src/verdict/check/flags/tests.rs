use std::collections::BTreeMap;

use super::super::tests::{Healthy, healthy, node, outcome};
use super::*;
use crate::cluster::inventory::{KubeProxyConfig, KubeadmConfig, KubeletConfig, KubeletUnread};
use crate::cluster::snapshot::{Role, Source};
use crate::verdict::Status;

type Expected = (Status, Vec<&'static str>);
type Change = fn(&mut Healthy);

const PASS: Expected = (Status::Pass, Vec::new());

fn unknown(reason: &'static str) -> Expected {
    (Status::Unknown, vec![reason])
}

fn block(reason: &'static str) -> Expected {
    (Status::Block, vec![reason])
}

fn set(cluster: &mut Healthy, component: &str, flag: &str, value: &str) {
    let pods = cluster.snapshot.static_pods.value.iter_mut().flatten();
    for pod in pods.filter(|pod| pod.component == component) {
        let flags = pod.flags.as_mut().expect("the healthy one shows them");
        flags.entry(flag.to_owned()).or_default().push(value.to_owned());
    }
}

#[test]
fn the_minor_of_an_etcd_is_that_of_what_runs_beside_it() {
    for (running, target, expected) in [
        ("v1.33.5", "v1.34.4", block("flag_removed")),
        ("v1.34.1", "v1.34.4", PASS),
        ("v1.34.1", "v1.35.4", PASS),
    ] {
        let with_v2 = |cluster: &mut Healthy| {
            for pod in
                cluster.snapshot.static_pods.value.iter_mut().flatten().filter(|it| it.component != ETCD)
            {
                pod.version = Ok(running.parse().unwrap());
            }
            for server in cluster.snapshot.api_servers.value.iter_mut().flatten() {
                server.version = Ok(running.parse().unwrap());
            }
            for node in cluster.snapshot.nodes.value.iter_mut().flatten() {
                node.kubelet_version = Ok(running.parse().unwrap());
            }
            set(cluster, ETCD, "enable-v2", "false");
        };
        assert_eq!(outcome(check, target, with_v2), expected, "{running} {target}");
    }
    // For a moment its API server is away.
    let without = |gone: &'static [&'static str]| {
        move |cluster: &mut Healthy| {
            let pods = cluster.snapshot.static_pods.value.as_mut().unwrap();
            pods.retain(|pod| !gone.contains(&pod.component.as_str()));
        }
    };
    assert_eq!(outcome(check, "v1.36.3", without(&CONTROL_PLANE[..1])), PASS);
    assert_eq!(outcome(check, "v1.36.3", without(&CONTROL_PLANE)), unknown("command_line_unseen"));
}

#[test]
fn what_the_control_plane_is_started_with_is_judged_by_every_minor_on_the_way() {
    for (component, flag, value, target, expected) in [
        (
            "kube-apiserver",
            "feature-gates",
            "SidecarContainers=true",
            "v1.37.0",
            block("feature_gate_removed"),
        ),
        ("kube-scheduler", "feature-gates", "A=b", "v1.37.0", unknown("feature_gate_unknown")),
        (
            "kube-scheduler",
            "feature-gates",
            "kube:HostnameOverride=0",
            "v1.37.0",
            block("feature_gate_locked"),
        ),
        ("kube-scheduler", "feature-gates", "HostnameOverride=true", "v1.37.0", PASS),
        (
            "kube-scheduler",
            "feature-gates",
            "HostnameOverride=yes",
            "v1.37.0",
            unknown("feature_gate_unknown"),
        ),
        ("kube-scheduler", "feature-gates", "other:Gate=true", "v1.37.0", unknown("feature_gate_unknown")),
        ("kube-scheduler", "feature-gates", "", "v1.37.0", PASS),
        ("kube-apiserver", "emulated-version", "1.36", "v1.37.0", unknown("feature_gate_unknown")),
        ("kube-controller-manager", "concurrent-service-syncs", "", "v1.37.0", block("flag_removed")),
        ("kube-scheduler", "concurrent-service-syncs", "", "v1.37.0", PASS),
        (
            "kube-apiserver",
            "enable-admission-plugins",
            "NodeRestriction, PodGroupWorkloadExists",
            "v1.37.0",
            block("admission_plugin_removed"),
        ),
        ("kube-apiserver", "enable-admission-plugins", "NodeRestriction", "v1.37.0", PASS),
        // etcd's feature gates are its own; its flags go with the minor that brings another etcd.
        ("etcd", "experimental-compaction-batch-limit", "1000", "v1.37.0", block("flag_removed")),
        ("etcd", "experimental-compaction-batch-limit", "1000", "v1.36.3", PASS),
        ("etcd", "compaction-batch-limit", "1000", "v1.37.0", PASS),
        ("etcd", "feature-gates", "SidecarContainers=true", "v1.37.0", PASS),
        // Within a minor nothing is taken away.
        ("kube-apiserver", "feature-gates", "SidecarContainers=true", "v1.36.3", PASS),
        ("kube-apiserver", "feature-gates", "A=b", "v1.36.3", PASS),
    ] {
        let change = |cluster: &mut Healthy| set(cluster, component, flag, value);
        assert_eq!(outcome(check, target, change), expected, "{component} --{flag}={value} {target}");
    }
}

#[test]
fn what_cannot_be_seen_of_the_control_plane_is_unknown_where_it_matters() {
    let hidden: Change = |cluster| {
        let pods = cluster.snapshot.static_pods.value.iter_mut().flatten();
        pods.filter(|pod| pod.component == "kube-scheduler").for_each(|pod| pod.flags = Err("no".to_owned()));
    };
    let missing: Change = |cluster| {
        let pods = cluster.snapshot.static_pods.value.as_mut().unwrap();
        pods.retain(|pod| pod.component != "kube-scheduler");
    };
    let workers: Change = |cluster| {
        cluster.snapshot.nodes.value.as_mut().unwrap().retain(|node| node.role == Role::Worker);
        cluster.snapshot.static_pods.value = Some(Vec::new());
    };
    let odd: Change = |cluster| {
        let pods = cluster.snapshot.static_pods.value.iter_mut().flatten();
        pods.for_each(|pod| pod.version = Err("latest".to_owned()));
    };
    let uncovered: Change = |cluster| cluster.matrix.components.value.gates.truncate(3);
    let of_vendor: Change = |cluster| {
        cluster.inventory.kubeadm_config = Some(Source::read(None, cluster.now));
        cluster.snapshot.static_pods.value = Some(Vec::new());
        for node in cluster.snapshot.nodes.value.iter_mut().flatten() {
            node.kubelet_version = Ok("v1.36.1+k3s1".parse().unwrap());
        }
    };
    for (what, change, patch, minor) in [
        ("of a vendor", of_vendor, PASS, PASS),
        ("hidden", hidden, PASS, unknown("command_line_unseen")),
        ("missing", missing, PASS, unknown("command_line_unseen")),
        ("no control plane", workers, PASS, unknown("command_line_unseen")),
        ("uncovered", uncovered, PASS, unknown("component_facts_missing")),
    ] {
        assert_eq!(outcome(check, "v1.36.3", change), patch, "{what}");
        assert_eq!(outcome(check, "v1.37.0", change), minor, "{what}");
    }
    let (status, reasons) = outcome(check, "v1.36.3", odd);
    assert_eq!((status, reasons[0], reasons.len()), (Status::Unknown, "source_unreadable", 3));
}

#[test]
fn old_facts_say_nothing_of_another_minor_and_are_not_needed_within_one() {
    let old: Change = |cluster| {
        cluster.matrix.components.as_of = Some("2020-01-01".parse().unwrap());
    };
    assert_eq!(outcome(check, "v1.36.3", old), PASS);
    assert_eq!(outcome(check, "v1.37.0", old), unknown("matrix_stale"));
}

/// One kubelet, of this minor, with these gates.
fn kubelet(cluster: &mut Healthy, version: &str, gates: &[(&str, bool)]) {
    let nodes = cluster.snapshot.nodes.value.as_mut().unwrap();
    nodes[1] = node("w-1", Role::Worker, version);
    let gates: BTreeMap<String, bool> =
        gates.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    let kubelets = cluster.inventory.kubelets.value.as_mut().unwrap();
    kubelets[1].config = Ok(KubeletConfig { feature_gates: gates, ..KubeletConfig::default() });
}

#[test]
fn each_kubelet_is_judged_from_its_own_minor_on() {
    for (version, gates, target, expected) in [
        ("v1.36.1", &[("SidecarContainers", true)][..], "v1.37.0", block("feature_gate_removed")),
        ("v1.36.1", &[("SidecarContainers", true)], "v1.36.3", PASS),
        ("v1.34.1", &[("MemoryManager", true)], "v1.36.3", block("feature_gate_removed")),
        ("v1.35.1", &[("NodeLogQuery", false)], "v1.36.3", block("feature_gate_locked")),
        ("v1.35.1", &[("NodeLogQuery", true)], "v1.36.3", PASS),
        ("v1.36.1", &[("NoSuchGate", true)], "v1.37.0", unknown("feature_gate_unknown")),
        ("v1.36.1", &[], "v1.37.0", PASS),
        ("v1.32.9", &[], "v1.36.3", unknown("component_facts_missing")),
        ("latest", &[], "v1.36.3", unknown("source_unreadable")),
    ] {
        let change = |cluster: &mut Healthy| kubelet(cluster, version, gates);
        assert_eq!(outcome(check, target, change), expected, "{version} {gates:?} {target}");
    }
}

#[test]
fn a_kubelet_that_does_not_say_is_unknown_only_where_its_minor_changes() {
    let forbidden: Change = |cluster| {
        for kubelet in cluster.inventory.kubelets.value.iter_mut().flatten() {
            kubelet.config = Err(KubeletUnread::Forbidden("403".to_owned()));
        }
    };
    let failed: Change = |cluster| {
        cluster.inventory.kubelets.value.as_mut().unwrap()[0].config =
            Err(KubeletUnread::Failed("refused".to_owned()));
    };
    let unasked: Change = |cluster| drop(cluster.inventory.kubelets.value.as_mut().unwrap().pop());
    let lost: Change = |cluster| cluster.inventory.kubelets = Source::failed("gone");
    let old: Change = |cluster| {
        let age = jiff::SignedDuration::from_secs(1_801);
        cluster.inventory.kubelets.proven_at = cluster.inventory.kubelets.proven_at.map(|at| at - age);
    };
    let blind: Change = |cluster| cluster.inventory.kubelet_config = Source::failed("gone");
    for (what, change, reason) in [
        ("forbidden", forbidden, "kubelet_forbidden"),
        ("failed", failed, "kubelet_unread"),
        ("unasked", unasked, "kubelet_unread"),
        ("lost", lost, "source_unreadable"),
        ("old", old, "source_stale"),
    ] {
        assert_eq!(outcome(check, "v1.36.3", change), PASS, "{what}");
        assert_eq!(outcome(check, "v1.37.0", change), unknown(reason), "{what}");
    }
    // What kubeadm writes is written by a patch too.
    let of_proxy: Change = |cluster| cluster.inventory.kube_proxy_config = Source::failed("gone");
    for target in ["v1.36.3", "v1.37.0"] {
        assert_eq!(outcome(check, target, blind), unknown("source_unreadable"), "{target}");
        assert_eq!(outcome(check, target, of_proxy), unknown("source_unreadable"), "{target}");
    }
    assert_eq!(outcome(check, "v1.36.1", blind), PASS, "nothing is left to be written");
}

#[test]
fn what_kubeadm_will_write_is_in_the_way_too() {
    let bad: Change = |cluster| {
        let gates = BTreeMap::from([("SidecarContainers".to_owned(), true)]);
        cluster.inventory.kubelet_config.value =
            Some(Some(KubeletConfig { feature_gates: gates, fail_cgroup_v1: None }));
    };
    let none: Change = |cluster| cluster.inventory.kubelet_config.value = Some(None);
    assert_eq!(outcome(check, "v1.37.0", bad), block("feature_gate_removed"));
    assert_eq!(outcome(check, "v1.36.3", bad), PASS);
    assert_eq!(outcome(check, "v1.37.0", none), PASS);
    // It went with the minor that runs: the nodes were mended by hand, and kubeadm brings it back.
    let mended: Change = |cluster| {
        let gates = BTreeMap::from([("MemoryManager".to_owned(), true)]);
        cluster.inventory.kubelet_config.value =
            Some(Some(KubeletConfig { feature_gates: gates, fail_cgroup_v1: None }));
    };
    for target in ["v1.36.3", "v1.37.0"] {
        assert_eq!(outcome(check, target, mended), block("feature_gate_removed"), "{target}");
    }
    assert_eq!(outcome(check, "v1.36.1", mended), PASS, "nothing is left to be written");
}

#[test]
fn what_kube_proxy_is_started_from_is_in_the_way_too() {
    let with = |gate: &'static str| {
        move |cluster: &mut Healthy| {
            let feature_gates = BTreeMap::from([(gate.to_owned(), true)]);
            cluster.inventory.kube_proxy_config.value = Some(Some(KubeProxyConfig { feature_gates }));
        }
    };
    assert_eq!(outcome(check, "v1.37.0", with("SidecarContainers")), block("feature_gate_removed"));
    assert_eq!(outcome(check, "v1.36.3", with("SidecarContainers")), PASS);
    assert_eq!(outcome(check, "v1.37.0", with("NoSuchGate")), unknown("feature_gate_unknown"));
}

#[test]
fn what_kubeadm_keeps_must_be_read_by_the_targets_kubeadm() {
    let with = |format: &'static str, gate: &'static str| {
        move |cluster: &mut Healthy| {
            let feature_gates = BTreeMap::from([(gate.to_owned(), true)]);
            let config =
                KubeadmConfig { api_version: format.to_owned(), feature_gates, ..KubeadmConfig::default() };
            cluster.inventory.kubeadm_config = Some(Source::read(Some(config), cluster.now));
        }
    };
    let notes = |target: &str, change: &dyn Fn(&mut Healthy)| {
        let mut cluster = healthy();
        change(&mut cluster);
        let checks = cluster.verdict(target).checks;
        let flags = checks.into_iter().find(|check| check.id == "flags").unwrap();
        flags.notes.iter().map(|note| note.reason.code()).collect::<Vec<_>>()
    };
    // An upgrade only warns of a gate that kubeadm does not know.
    for (gate, target, noted) in [
        ("NodeLocalCRISocket", "v1.37.0", true),
        ("NodeLocalCRISocket", "v1.36.3", false),
        ("ControlPlaneKubeletLocalMode", "v1.37.0", true),
        ("RootlessControlPlane", "v1.37.0", false),
    ] {
        assert_eq!(outcome(check, target, with("v1beta4", gate)), PASS, "{gate} {target}");
        let expected = if noted { vec!["kubeadm_gate_unknown"] } else { vec![] };
        let told: Vec<_> = notes(target, &with("v1beta4", gate))
            .into_iter()
            .filter(|it| it.starts_with("kubeadm"))
            .collect();
        assert_eq!(told, expected, "{gate} {target}");
    }
    assert_eq!(outcome(check, "v1.37.0", with("v1beta3", "A")), block("kubeadm_config_unreadable"));
    assert_eq!(outcome(check, "v1.36.3", with("v1beta3", "A")), PASS);
    for gone in ["v1beta1", "v1beta2"] {
        assert_eq!(outcome(check, "v1.37.0", with(gone, "A")), block("kubeadm_config_unreadable"), "{gone}");
    }
    for strange in ["v1alpha3", "v1beta5", "v1", ""] {
        assert_eq!(
            outcome(check, "v1.37.0", with(strange, "A")),
            unknown("kubeadm_config_unreadable"),
            "{strange}"
        );
    }
    let unread: Change = |cluster| cluster.inventory.kubeadm_config = Some(Source::failed("forbidden"));
    assert_eq!(outcome(check, "v1.37.0", unread), unknown("source_unreadable"));
    // A kubeadm of this minor has read it.
    assert_eq!(outcome(check, "v1.36.3", unread), PASS);
    // A cluster that kubeadm has not made, and one that was saved before this was read.
    let not_its: Change = |cluster| cluster.inventory.kubeadm_config = Some(Source::read(None, cluster.now));
    let saved: Change = |cluster| cluster.inventory.kubeadm_config = None;
    for change in [not_its, saved] {
        assert_eq!(outcome(check, "v1.37.0", change), PASS);
    }
}

/// With the tag of another release of its minor kubeadm brings no etcd that lacks the flag.
#[test]
fn an_etcd_that_is_kept_in_its_minor_keeps_its_flags() {
    let with = |tag: Option<&'static str>, flag: &'static str| {
        move |cluster: &mut Healthy| {
            set(cluster, "etcd", flag, "x");
            let etcd_image_tag = tag.map(str::to_owned);
            let config = KubeadmConfig {
                api_version: "v1beta4".to_owned(),
                etcd_image_tag,
                ..KubeadmConfig::default()
            };
            cluster.inventory.kubeadm_config = Some(Source::read(Some(config), cluster.now));
        }
    };
    for flag in ["experimental-corrupt-check-time", "discovery", "discovery-proxy"] {
        assert_eq!(outcome(check, "v1.37.0", with(None, flag)), block("flag_removed"), "{flag}");
        assert_eq!(outcome(check, "v1.37.0", with(Some("3.6.12-0"), flag)), PASS, "{flag}");
        assert_eq!(outcome(check, "v1.37.0", with(Some("3.7.0-0"), flag)), block("flag_removed"), "{flag}");
    }
    // No etcd has ever had it, so nothing takes it away.
    assert_eq!(outcome(check, "v1.37.0", with(None, "experimental-max-learners")), PASS);
}

#[test]
fn an_api_that_goes_must_not_be_turned_on() {
    let config = |value: &'static str| {
        move |cluster: &mut Healthy| {
            let pods = cluster.snapshot.static_pods.value.iter_mut().flatten();
            for pod in pods.filter(|pod| pod.component == "kube-apiserver") {
                let flags = pod.flags.as_mut().unwrap();
                flags.insert("runtime-config".to_owned(), vec![value.to_owned()]);
            }
        }
    };
    let going = "api/all=true,storage.k8s.io/v1beta1=true";
    assert_eq!(outcome(check, "v1.37.0", config(going)), block("flag_removed"));
    assert_eq!(outcome(check, "v1.37.0", config("storage.k8s.io/v1beta1")), block("flag_removed"));
    assert_eq!(outcome(check, "v1.36.3", config(going)), PASS);
    for part in ["storage.k8s.io/v1beta1=false", "storage.k8s.io/v1beta1/volumeattributesclasses=true"] {
        assert_eq!(outcome(check, "v1.37.0", config(part)), block("flag_removed"), "{part}");
    }
    // An alpha version that declares no removal, and is gone all the same.
    assert_eq!(outcome(check, "v1.37.0", config("scheduling.k8s.io/v1alpha2=true")), block("flag_removed"));
    // Of the last some kinds stay for longer.
    for stays in ["api/all=true", "resource.k8s.io/v1=true", "resource.k8s.io/v1alpha3=true"] {
        assert_eq!(outcome(check, "v1.37.0", config(stays)), PASS, "{stays}");
    }
}

#[test]
fn flags_of_kubelets_are_a_persons_word_for_one_minor() {
    let word = |minor: Option<&'static str>| {
        move |cluster: &mut Healthy| {
            cluster.matrix.policy.value.kubelet_flags_checked = minor.and_then(Minor::parse);
        }
    };
    assert_eq!(outcome(check, "v1.37.0", word(None)), unknown("kubelet_flags_unseen"));
    assert_eq!(outcome(check, "v1.37.0", word(Some("1.36"))), unknown("kubelet_flags_unseen"));
    assert_eq!(outcome(check, "v1.37.0", word(Some("1.37"))), PASS);
    // 1.36 takes no flag of a kubelet away.
    let older = |cluster: &mut Healthy| {
        word(None)(cluster);
        kubelet(cluster, "v1.35.1", &[]);
    };
    assert_eq!(outcome(check, "v1.36.3", older), PASS);
}

#[test]
fn a_finding_names_component_gate_minor_and_source() {
    let mut cluster = healthy();
    set(&mut cluster, "kube-apiserver", "feature-gates", "SidecarContainers=true");
    let verdict = cluster.verdict("v1.37.0");
    let found = verdict.findings().find(|finding| finding.reason == Reason::FeatureGateRemoved).unwrap();
    assert_eq!(found.subject, "kube-apiserver on cp-1");
    for part in
        ["SidecarContainers=true", "gone in 1.37", "https://github.com/kubernetes/kubernetes/blob/v1.37.0/"]
    {
        assert!(found.detail.contains(part), "{found}");
    }
}
