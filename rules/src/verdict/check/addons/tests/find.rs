//! Where an add-on is found, in which version, and what is not covered.

use super::witnesses::labelled;
use super::*;
use crate::cluster::inventory::{PodImages, RunningImage};

#[test]
fn a_tag_that_is_no_version_is_unknown() {
    for image in
        ["net/node:latest", "net/node:v2.0.0-rc.1", "net/node@sha256:ab", "net/node", "other/image:v1.1.0"]
    {
        assert_eq!(
            outcome_of("v1.37.0", WIDE, vec![net(image)]),
            (Status::Unknown, vec!["addon_version_unreadable"]),
            "{image}"
        );
    }
}

#[test]
fn only_a_container_that_is_there_is_named_for_its_silence() {
    let row = format!("{WIDE}, container: main");
    for (container, wanted) in
        [("main", "the image of main (main="), ("speaker", "the image of any container (speaker=")]
    {
        let mut blind = net("net/node@sha256:ab");
        container.clone_into(&mut blind.containers[0].name);
        let check = checked("v1.37.0", &file(&row), vec![blind], |_| {});
        assert!(check.findings[0].detail.contains(wanted), "{container}: {}", check.findings[0].detail);
    }
}

#[test]
fn two_versions_are_unknown() {
    let two =
        workload(WorkloadKind::DaemonSet, "net-system", "net-node", &["net/node:v1.1.0", "net/node:v1.0.0"]);
    assert_eq!(
        outcome_of("v1.37.0", WIDE, vec![two.clone()]),
        (Status::Unknown, vec!["addon_versions_differ"])
    );
    let named = format!("{WIDE}, container: main");
    assert_eq!(outcome_of("v1.37.0", &named, vec![two]), (Status::Pass, vec![]));
    let blurred =
        workload(WorkloadKind::DaemonSet, "net-system", "net-node", &["net/node:v1.1.0", "net/node:latest"]);
    assert_eq!(
        outcome_of("v1.37.0", WIDE, vec![blurred]),
        (Status::Unknown, vec!["addon_version_unreadable"])
    );
}

#[test]
fn a_second_installation_is_judged_too_and_another_part_of_the_first_is_not() {
    let beside = |namespace, images: &[&str]| {
        vec![net("net/node:v1.1.0"), workload(WorkloadKind::Deployment, namespace, "other", images)]
    };
    for (workloads, status) in [
        (beside("a", &["net/node:v1.1.1"]), Status::Pass),
        (beside("a", &["net/node:v1.0.0"]), Status::Block),
        (beside("a", &["net/node@sha256:ab"]), Status::Unknown),
        (beside("a", &["net/node:v1.1.0", "net/node:v1.0.0"]), Status::Unknown),
        (beside("net-system", &["net/node:v1.1.0", "net/node:v1.0.0"]), Status::Unknown),
        (beside("net-system", &["net/node:v1.1.0"]), Status::Pass),
        (beside("net-system", &["net/node:v1.0.0"]), Status::Block),
    ] {
        assert_eq!(outcome_of("v1.37.0", WIDE, workloads.clone()).0, status, "{workloads:?}");
    }
}

#[test]
fn what_images_do_not_tell_is_found_by_its_name_in_any_namespace() {
    let row = WIDE.replace(
        "claim",
        "if_absent: not-applicable, also_read: [{label: app.kubernetes.io/version}], claim",
    );
    let text = file(&row).replace(r"'net/node:v(\d+\.\d+(?:\.\d+)?)'", "''");
    let mut elsewhere = Workload { namespace: "a".to_owned(), ..net("any:v9") };
    elsewhere.labels.insert(Workload::VERSION_LABEL.to_owned(), "v1.0.0".to_owned());
    let check = checked("v1.37.0", &text, vec![elsewhere.clone()], |_| {});
    assert_eq!(reasons(&check.findings), ["addon_upgrade_needed"]);
    elsewhere.labels.clear();
    let check = checked("v1.37.0", &text, vec![elsewhere], |_| {});
    assert_eq!(reasons(&check.findings), ["addon_version_unreadable"]);
}

#[test]
fn a_sidecar_or_a_registry_is_not_read() {
    for (images, status) in [
        (vec!["10.96.0.1:5000/net/node:v1.1.0"], Status::Pass),
        (vec!["10.96.0.1:5000/net/node:v1.0.0"], Status::Block),
        (vec!["net/node:v1.1.0", "my/subnet/node-side:v1.0.0", "proxy:v0.1"], Status::Pass),
        (vec!["10.96.0.1:5000/net/node"], Status::Unknown),
    ] {
        let workload = workload(WorkloadKind::DaemonSet, "net-system", "net-node", &images);
        assert_eq!(outcome_of("v1.37.0", WIDE, vec![workload]).0, status, "{images:?}");
    }
    let mut init = net("net/node:v1.1.0");
    init.init_containers =
        vec![Container { name: "install".to_owned(), image: "net/node:v1.0.0".to_owned() }];
    assert_eq!(outcome_of("v1.37.0", WIDE, vec![init.clone()]).0, Status::Pass);
    let both = format!("{WIDE}, init_containers: true");
    assert_eq!(outcome_of("v1.37.0", &both, vec![init]).0, Status::Unknown);
}

#[test]
fn a_template_that_the_pods_do_not_follow_is_unknown() {
    let settled = Rollout { generation: 2, observed: 2, desired: 3, current: 3, updated: 3 };
    for rollout in [
        Rollout { observed: 1, ..settled },
        Rollout { updated: 1, ..settled },
        Rollout { current: 4, ..settled },
    ] {
        let workload = Workload { rollout, ..net("net/node:v1.1.0") };
        assert_eq!(outcome_of("v1.37.0", WIDE, vec![workload]), (Status::Unknown, vec!["addon_rolling_out"]));
    }
}

/// Two pods of `net-node`, whose main container runs these images.
fn running(ids: &'static [&'static str]) -> impl FnOnce(&mut Healthy) {
    move |cluster| {
        let image =
            |id: &&str| RunningImage { container: "main".to_owned(), image_id: (*id).to_owned(), pods: 1 };
        let pods = PodImages {
            kind: WorkloadKind::DaemonSet,
            namespace: "net-system".to_owned(),
            name: "net-node".to_owned(),
            pods: u32::try_from(ids.len()).unwrap(),
            images: ids.iter().map(image).collect(),
        };
        cluster.inventory.pod_images = Some(Source::read(vec![pods], cluster.now));
    }
}

#[test]
fn pods_that_run_another_image_than_their_template_are_unknown() {
    let text = format!("{}policy: {{addon_pods: required}}\n", file(WIDE));
    let tag = || vec![net("net/node:v1.1.0")];
    let pinned = || vec![net("net/node:v1.1.0@sha256:a")];
    let found = |workloads, ids| {
        let check = checked("v1.37.0", &text, workloads, running(ids));
        (check.status, reasons(&check.findings))
    };
    let one = &["q.io/net/node@sha256:a", "q.io/net/node@sha256:a"];
    assert_eq!(found(tag(), one), (Status::Pass, vec![]));
    assert_eq!(found(pinned(), one), (Status::Pass, vec![]));
    let differ = (Status::Unknown, vec!["addon_pods_differ"]);
    assert_eq!(found(tag(), &["q.io/net/node@sha256:a", "q.io/net/node@sha256:b"]), differ);
    assert_eq!(found(pinned(), &["q.io/net/node@sha256:b", "q.io/net/node@sha256:b"]), differ);
    // What a runtime calls it by its own configuration says nothing of the template's digest.
    assert_eq!(found(pinned(), &["sha256:c", "sha256:c"]), (Status::Pass, vec![]));
    let unread = (Status::Unknown, vec!["addon_pods_unread"]);
    let all = |cluster: &mut Healthy| {
        running(one)(cluster);
        let pods = cluster.inventory.pod_images.as_mut().and_then(|it| it.value.as_mut()).unwrap();
        for image in &mut pods[0].images {
            image.pods = u32::MAX;
        }
    };
    assert_eq!(checked("v1.37.0", &text, tag(), all).status, Status::Pass, "more than there can be");
    assert_eq!(found(tag(), &["q.io/net/node@sha256:a", ""]), unread);
    assert_eq!(found(tag(), &["q.io/net/node@sha256:a"]), unread, "one of two pods");
    type Loss = fn(&mut Healthy);
    let losses: [Loss; 4] = [
        |cluster| cluster.inventory.pod_images = None,
        |cluster| cluster.inventory.pod_images = Some(Source::failed("forbidden")),
        |cluster| cluster.inventory.pod_images = Some(Source::read(Vec::new(), cluster.now)),
        |cluster| {
            let all = cluster.inventory.pod_images.as_mut().and_then(|it| it.value.as_mut()).unwrap();
            all[0].images.clear();
        },
    ];
    for (number, lose) in losses.into_iter().enumerate() {
        let check = checked("v1.37.0", &text, tag(), |cluster| {
            running(one)(cluster);
            lose(cluster);
        });
        assert_eq!(check.status, Status::Unknown, "loss {number}");
    }
}

#[test]
fn what_looks_like_an_addon_and_has_no_row_is_told() {
    let tigera = workload(WorkloadKind::Deployment, "net-system", "typha", &["net/typha:v1.1.0"]);
    let proxy = workload(WorkloadKind::DaemonSet, "kube-system", "kube-proxy", &["kube-proxy:v1.36.1"]);
    let csi = workload(WorkloadKind::DaemonSet, "storage", "csi", &["csi:v9"]);
    let shop = workload(WorkloadKind::Deployment, "shop", "web", &["web:1"]);
    // It is judged by a check of its own.
    let cloud = &["provider-aws/cloud-controller-manager:v1.36.0"];
    let cloud = workload(WorkloadKind::DaemonSet, "kube-system", "cloud-controller", cloud);
    let all = vec![net("net/node:v1.1.0"), tigera, proxy, csi, shop, cloud];
    let check = checked("v1.37.0", &file(WIDE), all.clone(), |_| {});
    let told: Vec<_> = check.notes.iter().map(|note| (note.reason.code(), note.subject.as_str())).collect();
    assert_eq!((check.status, told), (Status::Pass, vec![("addon_not_covered", "DaemonSet storage/csi")]));
    let strict = format!("{}policy: {{not_covered: unknown}}\n", file(WIDE));
    assert_eq!(reasons(&checked("v1.37.0", &strict, all, |_| {}).findings), ["addon_not_covered"]);
    let many = (0..50).map(|n| workload(WorkloadKind::DaemonSet, "storage", &format!("d{n}"), &["d:1"]));
    let check = checked("v1.37.0", &file(WIDE), many.chain([net("net/node:v1.1.0")]).collect(), |_| {});
    assert_eq!(check.notes.len(), 41);
    assert_eq!(check.notes[40].detail, "and 10 more");
}

#[test]
fn absence_means_what_the_row_says() {
    for (more, status) in [
        ("", Status::Unknown),
        (", if_absent: unknown", Status::Unknown),
        (", if_absent: required", Status::Block),
        (", if_absent: not-applicable", Status::Pass),
    ] {
        assert_eq!(outcome_of("v1.37.0", &format!("{WIDE}{more}"), vec![]).0, status, "{more}");
    }
}

#[test]
fn what_is_not_where_it_usually_is_is_found_by_its_image() {
    for (image, status) in [
        ("m.io/mirror/net/node:v1.0.0", Status::Block),
        ("net/node:v1.1.0", Status::Pass),
        ("net/node@sha256:ab", Status::Unknown),
        ("net/other:v1.0.0", Status::Pass),
    ] {
        let row = format!("{WIDE}, container: main, if_absent: not-applicable");
        let mut elsewhere = workload(WorkloadKind::StatefulSet, "a", "b", &[image]);
        elsewhere.containers[0].name = "renamed".to_owned();
        assert_eq!(outcome_of("v1.37.0", &row, vec![elsewhere]).0, status, "{image}");
    }
}

#[test]
fn a_label_or_a_known_digest_tells_the_version_too() {
    let labelled = |image: &str, version: &str| {
        let mut workload = net(image);
        workload.labels.insert(Workload::VERSION_LABEL.to_owned(), version.to_owned());
        vec![workload]
    };
    let label = format!("{WIDE}, also_read: [{{label: app.kubernetes.io/version}}]");
    let all = format!("{label}, agree: all");
    let digest = format!("{WIDE}, digests: {{\"sha256:ab\": \"1.1.0\"}}");
    for (row, workloads, status) in [
        (&label, labelled("net/node@sha256:cd", "v1.1.0"), Status::Pass),
        (&label, labelled("net/node:v1.1.0", "0.0.1"), Status::Pass),
        (&all, labelled("net/node:v1.1.0", "v1.1.0"), Status::Pass),
        (&all, labelled("net/node:v1.1.0", "v1.0.0"), Status::Unknown),
        (&all, vec![net("net/node:v1.1.0")], Status::Unknown),
        (&digest, vec![net("net/node@sha256:ab")], Status::Pass),
        (&digest, vec![net("net/node:v1.1.0@sha256:ab")], Status::Pass),
        (&digest, vec![net("net/node:v1.0.0@sha256:ab")], Status::Unknown),
    ] {
        assert_eq!(outcome_of("v1.37.0", row, workloads.clone()).0, status, "{row} {workloads:?}");
    }
}

/// As a repackager labels the parts of a release, each with its own number.
#[test]
fn a_label_that_repeats_the_tag_of_a_part_is_not_the_version_of_the_whole() {
    let text = file(&format!("{WIDE}, also_read: [{{label: app.kubernetes.io/version}}]"));
    let text = text.replace(r"net/node:v(\d+\.\d+(?:\.\d+)?)", "");
    assert!(text.contains("image_re: ''"), "{text}");
    let labelled = |version: &str| {
        let mut workload = net("net/node:v1.1.0-debian-12-r6");
        workload.labels.insert(Workload::VERSION_LABEL.to_owned(), version.to_owned());
        vec![workload]
    };
    for (version, status) in [("v1.1.3", Status::Pass), ("1.1.0", Status::Unknown)] {
        let check = checked("v1.37.0", &text, labelled(version), |_| {});
        assert_eq!(check.status, status, "{version}");
    }
}

#[test]
fn one_of_its_name_and_of_another_image_elsewhere_is_unknown() {
    let elsewhere = |image| Workload { namespace: "kube-system".to_owned(), ..net(image) };
    for (workloads, status) in [
        (vec![elsewhere("mirror/all:node-v1.0.0")], Status::Unknown),
        (vec![net("net/node:v1.1.0"), elsewhere("mirror/all:node-v1.0.0")], Status::Unknown),
        (vec![elsewhere("mirror/net/node:v1.1.0")], Status::Pass),
    ] {
        assert_eq!(outcome_of("v1.37.0", WIDE, workloads.clone()).0, status, "{workloads:?}");
    }
    // A word that many use is no name.
    let row = file(WIDE).replace("resource: net-node", "resource: controller");
    let other = Workload { name: "controller".to_owned(), ..elsewhere("other/thing:v9") };
    let found = outcome(check, "v1.37.0", |cluster| set(cluster, &row, vec![other]));
    assert_eq!(found, (Status::Unknown, vec!["addon_missing"]));
}

/// As their projects publish them, and some that people often do otherwise, with what is told of each from 1.35 to 1.36.
const PUBLISHED: [(&str, &str, &str, &str); 31] = [
    ("kube-system", "calico-node/calico-node", "docker.io/calico/node:v3.31.4", "addon_untested"),
    ("kube-system", "cilium/cilium-agent", "quay.io/cilium/cilium:v1.18.2@sha256:ab", "addon_untested"),
    (
        "ingress-nginx",
        "ingress-nginx-controller/controller",
        "registry.k8s.io/ingress-nginx/controller:v1.15.0@sha256:ab",
        "addon_retired",
    ),
    ("argo", "argo-cd-argocd-server/server", "quay.io/argoproj/argocd:v3.4.5", "addon_untested"),
    (
        "istio-system",
        "istiod-canary/discovery",
        "docker.io/istio/pilot:1.29.1-distroless",
        "addon_upgrade_needed",
    ),
    ("keda", "keda-operator/keda-operator", "ghcr.io/kedacore/keda:2.20.1", "addon_untested"),
    ("velero", "velero/velero", "velero/velero:v1.17.2", "addon_no_ceiling"),
    (
        "kube-system",
        "kube-state-metrics/kube-state-metrics",
        "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.19.0",
        "addon_no_ceiling",
    ),
    (
        "karpenter",
        "karpenter/controller",
        "public.ecr.aws/karpenter/controller:1.6.3@sha256:ab",
        "addon_upgrade_needed",
    ),
    ("gpu-operator", "gpu-operator/gpu-operator", "nvcr.io/nvidia/gpu-operator:v26.7.0", "addon_condition"),
    (
        "metallb-system",
        "metallb-controller/controller",
        "quay.io/metallb/controller:v0.15.2",
        "addon_no_ceiling",
    ),
    (
        "eso",
        "eso/external-secrets",
        "ghcr.io/external-secrets/external-secrets:v2.12.0",
        "addon_newer_than_matrix",
    ),
    ("kube-system", "coredns/coredns", "registry.k8s.io/coredns/coredns:v1.13.1", "addon_no_ceiling"),
    (
        "monitoring",
        "prometheus-operator/prometheus-operator",
        "quay.io/prometheus-operator/prometheus-operator:v0.93.0",
        "addon_no_ceiling",
    ),
    // Its table ends at 1.32.
    (
        "dns",
        "external-dns/external-dns",
        "registry.k8s.io/external-dns/external-dns:v0.17.0",
        "addon_upgrade_needed",
    ),
    (
        "kube-flannel",
        "kube-flannel-ds/kube-flannel",
        "ghcr.io/flannel-io/flannel:v0.28.9",
        "addon_no_ceiling",
    ),
    ("traefik", "traefik/traefik", "docker.io/traefik:v3.7.11", "addon_no_ceiling"),
    (
        "kube-system",
        "ebs-csi-controller/ebs-plugin",
        "public.ecr.aws/ebs-csi-driver/aws-ebs-csi-driver:v1.64.0",
        "addon_no_ceiling",
    ),
    (
        "kube-system",
        "csi-azuredisk-controller/azuredisk",
        "mcr.microsoft.com/oss/v2/kubernetes-csi/azuredisk-csi:v1.34.5",
        "addon_no_ceiling",
    ),
    (
        "kube-system",
        "csi-nfs-controller/nfs",
        "registry.k8s.io/sig-storage/nfsplugin:v4.13.4",
        "addon_no_ceiling",
    ),
    (
        "kube-system",
        "csi-smb-controller/smb",
        "registry.k8s.io/sig-storage/smbplugin:v1.20.3",
        "addon_no_ceiling",
    ),
    // It follows the control plane.
    (
        "kube-system",
        "cluster-autoscaler/cluster-autoscaler",
        "registry.k8s.io/autoscaling/cluster-autoscaler:v1.35.0",
        "addon_no_ceiling",
    ),
    (
        "gatekeeper-system",
        "gatekeeper-controller-manager/manager",
        "openpolicyagent/gatekeeper:v3.23.0",
        "addon_no_ceiling",
    ),
    ("rook-ceph", "rook-ceph-operator/rook-ceph-operator", "rook/ceph:v1.19.6", "addon_upgrade_needed"),
    (
        "linkerd",
        "linkerd-destination/destination",
        "cr.l5d.io/linkerd/controller:edge-26.6.3",
        "addon_waiting_docs_lag",
    ),
    (
        "linkerd",
        "linkerd-destination/destination",
        "cr.l5d.io/linkerd/controller:stable-2.14.10",
        "addon_waiting_docs_lag",
    ),
    (
        "gpu",
        "gpu-node-feature-discovery-master/master",
        "registry.k8s.io/nfd/node-feature-discovery:v0.18.3-minimal",
        "addon_no_ceiling",
    ),
    (
        "kube-system",
        "sealed-secrets-controller/sealed-secrets-controller",
        "docker.io/bitnami/sealed-secrets-controller:0.36.6",
        "addon_no_ceiling",
    ),
    (
        "kube-system",
        "snapshot-controller/snapshot-controller",
        "registry.k8s.io/sig-storage/snapshot-controller:v8.6.0",
        "addon_no_ceiling",
    ),
    (
        "kube-system",
        "descheduler/descheduler",
        "registry.k8s.io/descheduler/descheduler:v0.35.1",
        "addon_untested",
    ),
    (
        "envoy-gateway-system",
        "envoy-gateway/envoy-gateway",
        "docker.io/envoyproxy/gateway:v1.8.3",
        "addon_upgrade_needed",
    ),
];

#[test]
fn the_rows_that_are_built_in_find_what_their_projects_publish() {
    for (namespace, name, image, reason) in PUBLISHED {
        let (name, container) = name.split_once('/').unwrap();
        let kind = if matches!(name, "calico-node" | "cilium" | "kube-flannel-ds") {
            WorkloadKind::DaemonSet
        } else {
            WorkloadKind::Deployment
        };
        let mut workload = workload(kind, namespace, name, &[image]);
        container.clone_into(&mut workload.containers[0].name);
        assert_eq!(reasons_for("v1.35.4", "v1.36.3", "6.1.0", vec![workload]), [reason], "{image}");
    }
}

/// What is told by the built-in rows of what runs, from one minor to another on nodes with this kernel.
fn reasons_for(running: &str, target: &str, kernel: &str, workloads: Vec<Workload>) -> Vec<&'static str> {
    let mut cluster = healthy();
    cluster.snapshot.api_servers.value = Some(vec![api_server("cp-1", running)]);
    for node in cluster.snapshot.nodes.value.iter_mut().flatten() {
        node.kernel_version = kernel.to_owned();
    }
    cluster.inventory.workloads.value = Some(workloads);
    let check = cluster.verdict(target).checks.into_iter().find(|check| check.id == "addons").unwrap();
    let all = check.findings.iter().chain(&check.notes);
    all.filter(|it| it.reason != Reason::AddonPodsNotRead).map(|it| it.reason.code()).collect()
}

/// What the mended rows say of releases that were unknown, held or let through before.
#[test]
fn the_windows_of_built_in_rows_are_those_of_their_pages() {
    let cilium = |tag: &str| {
        workload(WorkloadKind::DaemonSet, "kube-system", "cilium", &[&format!("quay.io/cilium/cilium:{tag}")])
    };
    let calico = |tag: &str| {
        workload(WorkloadKind::DaemonSet, "calico-system", "calico-node", &[&format!("calico/node:{tag}")])
    };
    let deploy = |namespace: &str, name: &str, image: &str| {
        workload(WorkloadKind::Deployment, namespace, name, &[image])
    };
    let called = |container: &str, mut workload: Workload| {
        container.clone_into(&mut workload.containers[0].name);
        workload
    };
    let (cilium, calico) =
        (|tag: &str| called("cilium-agent", cilium(tag)), |tag: &str| called("calico-node", calico(tag)));
    let eso = |tag: &str| {
        let image = format!("ghcr.io/external-secrets/external-secrets:{tag}");
        deploy("external-secrets", "external-secrets", &image)
    };
    let longhorn = |tag: &str| {
        let image = format!("longhornio/longhorn-manager:{tag}");
        let manager = workload(WorkloadKind::DaemonSet, "longhorn-system", "longhorn-manager", &[&image]);
        called("longhorn-manager", manager)
    };
    let kyverno = called(
        "kyverno",
        deploy("kyverno", "kyverno-admission-controller", "ghcr.io/kyverno/kyverno:v1.19.1"),
    );
    let istiod = called("discovery", deploy("istio-system", "istiod", "docker.io/istio/pilot:1.31.0"));
    let argo = |tag: &str| deploy("argocd", "argocd-server", &format!("quay.io/argoproj/argocd:{tag}"));
    let gpu =
        called("gpu-operator", deploy("gpu-operator", "gpu-operator", "nvcr.io/nvidia/gpu-operator:v26.7.0"));
    for (running, target, kernel, workload, expected) in [
        ("v1.33.9", "v1.34.2", "6.1.0", cilium("v1.19.7"), vec![]),
        ("v1.34.9", "v1.35.4", "6.1.0", cilium("v1.19.7"), vec![]),
        ("v1.35.4", "v1.36.3", "6.1.0", cilium("v1.19.7"), vec!["addon_untested"]),
        ("v1.35.4", "v1.36.3", "6.1.0", cilium("v1.20.1"), vec![]),
        ("v1.33.9", "v1.34.2", "6.1.0", cilium("v1.18.14"), vec!["addon_untested"]),
        ("v1.32.9", "v1.33.2", "5.4.0-150-generic", cilium("v1.18.14"), vec!["addon_kernel_too_old"; 2]),
        ("v1.32.9", "v1.33.2", "4.18.0-553.el8_10.x86_64", cilium("v1.18.14"), vec![]),
        ("v1.31.9", "v1.32.2", "5.4.0-150-generic", cilium("v1.17.6"), vec![]),
        // Its page names distributions with older kernels than it asks for.
        ("v1.35.4", "v1.36.3", "4.18.0-553.el8_10.x86_64", calico("v3.32.1"), vec![]),
        ("v1.36.3", "v1.37.0", "6.1.0", calico("v3.33.0"), vec![]),
        // Towards what was tested.
        ("v1.33.9", "v1.34.2", "6.1.0", calico("v3.32.1"), vec!["addon_untested"]),
        ("v1.35.4", "v1.36.3", "6.1.0", eso("v2.9.0"), vec!["addon_untested"]),
        ("v1.36.3", "v1.37.0", "6.1.0", eso("v2.9.0"), vec!["addon_untested"]),
        ("v1.34.9", "v1.35.4", "6.1.0", kyverno, vec![]),
        ("v1.36.3", "v1.37.0", "6.1.0", istiod, vec![]),
        ("v1.33.9", "v1.34.2", "6.1.0", longhorn("v1.13.0"), vec!["addon_needs_newer_kubernetes"]),
        ("v1.34.9", "v1.35.4", "6.1.0", longhorn("v1.13.0"), vec!["addon_no_ceiling"]),
        // Its older patches said 1.30.
        ("v1.30.9", "v1.31.4", "6.1.0", argo("v3.1.16"), vec!["addon_untested"]),
        ("v1.36.3", "v1.37.0", "6.1.0", argo("v3.6.1"), vec![]),
        ("v1.32.9", "v1.33.4", "6.1.0", gpu, vec!["addon_condition"]),
    ] {
        let image = workload.containers[0].image.clone();
        assert_eq!(
            reasons_for(running, target, kernel, vec![workload]),
            expected,
            "{image} {running} {target}"
        );
    }
}

/// The usual workload of an add-on in a release.
fn usual(addon: &str, release: &str) -> Workload {
    use WorkloadKind::{DaemonSet, Deployment};
    let (kind, place, container, repository) = match addon {
        "linkerd" => {
            (Deployment, "linkerd/linkerd-destination", "destination", "cr.l5d.io/linkerd/controller")
        }
        "ingress-nginx" => {
            let repository = "registry.k8s.io/ingress-nginx/controller";
            (Deployment, "ingress-nginx/ingress-nginx-controller", "controller", repository)
        }
        "keda" => (Deployment, "keda/keda-operator", "keda-operator", "ghcr.io/kedacore/keda"),
        "metrics-server" => {
            let repository = "registry.k8s.io/metrics-server/metrics-server";
            (Deployment, "kube-system/metrics-server", "metrics-server", repository)
        }
        "longhorn" => {
            (DaemonSet, "longhorn-system/longhorn-manager", "longhorn-manager", "longhornio/longhorn-manager")
        }
        "cloudnative-pg" => {
            let repository = "ghcr.io/cloudnative-pg/cloudnative-pg";
            (Deployment, "cnpg-system/cnpg-controller-manager", "manager", repository)
        }
        "velero" => (Deployment, "velero/velero", "velero", "velero/velero"),
        "calico" => (DaemonSet, "calico-system/calico-node", "calico-node", "quay.io/calico/node"),
        "cilium" => (DaemonSet, "kube-system/cilium", "cilium-agent", "quay.io/cilium/cilium"),
        "argo-cd" => (Deployment, "argocd/argocd-server", "argocd-server", "quay.io/argoproj/argocd"),
        "external-dns" => {
            let repository = "registry.k8s.io/external-dns/external-dns";
            (Deployment, "external-dns/external-dns", "external-dns", repository)
        }
        other => panic!("{other} has no usual place here"),
    };
    let (namespace, name) = place.split_once('/').unwrap();
    let mut workload = workload(kind, namespace, name, &[&format!("{repository}:{release}")]);
    container.clone_into(&mut workload.containers[0].name);
    workload
}

/// Flux tells its release by a label.
fn flux(release: &str) -> Workload {
    let labels = [("app.kubernetes.io/part-of", "flux"), ("app.kubernetes.io/version", release)];
    labelled("flux-system/source-controller", "ghcr.io/fluxcd/source-controller:v1.3.0", &labels)
}

/// What the pages say of releases that nobody mends any more, and of those between two ways to count: from which minor
/// to the next, the release, and what is told.
const OLD: [(u32, &str, &str, &str); 42] = [
    (34, "linkerd", "edge-19.2.1", "addon_upgrade_needed"),
    (34, "linkerd", "edge-22.9.1", "addon_upgrade_needed"),
    (34, "linkerd", "edge-22.12.1", "addon_upgrade_needed"),
    (28, "linkerd", "edge-22.12.1", ""),
    (34, "linkerd", "stable-2.9.4", "addon_upgrade_needed"),
    (34, "linkerd", "edge-25.10.7", ""),
    (34, "linkerd", "enterprise-2.20.0", ""),
    (34, "linkerd", "enterprise-2.21.0", "addon_newer_than_matrix"),
    (34, "ingress-nginx", "v1.10.1", "addon_retired"),
    (35, "ingress-nginx", "v1.10.1", "addon_retired"),
    (35, "ingress-nginx", "v0.49.3", "addon_retired"),
    (34, "keda", "2.15.1", "addon_untested"),
    (34, "keda", "2.6.0", "addon_untested"),
    (28, "keda", "2.15.1", ""),
    (34, "metrics-server", "v0.5.2", "addon_no_ceiling"),
    (34, "metrics-server", "v0.3.7", "addon_upgrade_needed"),
    (34, "metrics-server", "v0.2.1", "addon_upgrade_needed"),
    (34, "longhorn", "v1.7.2", "addon_no_ceiling"),
    (34, "longhorn", "v1.3.3", "addon_upgrade_needed"),
    (34, "longhorn", "v1.0.2", "addon_upgrade_needed"),
    (34, "cloudnative-pg", "1.28.1", ""),
    (35, "cloudnative-pg", "1.28.1", "addon_upgrade_needed"),
    // Tested, but not supported.
    (35, "cloudnative-pg", "1.29.1", ""),
    (36, "cloudnative-pg", "1.29.1", "addon_untested"),
    (33, "cloudnative-pg", "1.30.0", ""),
    (34, "velero", "v1.13.2", "addon_no_ceiling"),
    (34, "velero", "v1.6.1", "addon_upgrade_needed"),
    (34, "velero", "v1.7.1", "addon_no_ceiling"),
    (34, "flux", "v2.3.0", "addon_no_ceiling"),
    (27, "flux", "v2.3.0", "addon_needs_newer_kubernetes"),
    (34, "calico", "v3.28.2", "addon_untested"),
    (34, "calico", "v3.24.0", "addon_untested"),
    (29, "calico", "v3.28.2", ""),
    (34, "cilium", "v1.15.6", "addon_untested"),
    (34, "cilium", "v1.14.1", "addon_untested"),
    (28, "cilium", "v1.15.6", ""),
    (34, "argo-cd", "v2.12.6", "addon_untested"),
    (34, "argo-cd", "v2.4.2", "addon_untested"),
    (28, "argo-cd", "v2.12.6", ""),
    (34, "external-dns", "v0.15.1", "addon_upgrade_needed"),
    (31, "external-dns", "v0.15.1", ""),
    (34, "external-dns", "v0.9.0", "addon_upgrade_needed"),
];

#[test]
fn old_releases_are_judged_by_what_their_pages_say_of_them() {
    for (from, addon, release, expected) in OLD {
        let workload = if addon == "flux" { flux(release) } else { usual(addon, release) };
        let (running, target) = (format!("v1.{from}.1"), format!("v1.{}.1", from + 1));
        let found = reasons_for(&running, &target, "6.1.0", vec![workload]).join(" ");
        assert_eq!(found, expected, "{addon} {release} {running}");
    }
}
