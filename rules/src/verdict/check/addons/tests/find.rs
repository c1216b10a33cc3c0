//! Where an add-on is found, in which version, and what is not covered.

use super::*;
use crate::inventory::{PodImages, RunningImage};

#[test]
fn s15_a_tag_that_is_no_version_is_unknown() {
    for image in
        ["net/node:latest", "net/node:v2.0.0-rc.1", "net/node@sha256:ab", "net/node", "other/image:v1.1.0"]
    {
        assert_eq!(
            said("v1.37.0", WIDE, vec![net(image)]),
            (Status::Unknown, vec!["addon_version_unreadable"]),
            "{image}"
        );
    }
}

#[test]
fn s16_two_versions_are_unknown() {
    let two =
        workload(WorkloadKind::DaemonSet, "net-system", "net-node", &["net/node:v1.1.0", "net/node:v1.0.0"]);
    assert_eq!(said("v1.37.0", WIDE, vec![two.clone()]), (Status::Unknown, vec!["addon_versions_differ"]));
    let named = format!("{WIDE}, container: main");
    assert_eq!(said("v1.37.0", &named, vec![two]), (Status::Pass, vec![]));
    let blurred =
        workload(WorkloadKind::DaemonSet, "net-system", "net-node", &["net/node:v1.1.0", "net/node:latest"]);
    assert_eq!(said("v1.37.0", WIDE, vec![blurred]), (Status::Unknown, vec!["addon_version_unreadable"]));
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
        assert_eq!(said("v1.37.0", WIDE, workloads.clone()).0, status, "{workloads:?}");
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
fn s17_a_sidecar_or_a_registry_is_not_read() {
    for (images, status) in [
        (vec!["10.96.0.1:5000/net/node:v1.1.0"], Status::Pass),
        (vec!["10.96.0.1:5000/net/node:v1.0.0"], Status::Block),
        (vec!["net/node:v1.1.0", "my/subnet/node-side:v1.0.0", "proxy:v0.1"], Status::Pass),
        (vec!["10.96.0.1:5000/net/node"], Status::Unknown),
    ] {
        let workload = workload(WorkloadKind::DaemonSet, "net-system", "net-node", &images);
        assert_eq!(said("v1.37.0", WIDE, vec![workload]).0, status, "{images:?}");
    }
    let mut init = net("net/node:v1.1.0");
    init.init_containers =
        vec![Container { name: "install".to_owned(), image: "net/node:v1.0.0".to_owned() }];
    assert_eq!(said("v1.37.0", WIDE, vec![init.clone()]).0, Status::Pass);
    let both = format!("{WIDE}, init_containers: true");
    assert_eq!(said("v1.37.0", &both, vec![init]).0, Status::Unknown);
}

#[test]
fn s35_a_template_that_the_pods_do_not_follow_is_unknown() {
    let settled = Rollout { generation: 2, observed: 2, desired: 3, current: 3, updated: 3 };
    for rollout in [
        Rollout { observed: 1, ..settled },
        Rollout { updated: 1, ..settled },
        Rollout { current: 4, ..settled },
    ] {
        let workload = Workload { rollout, ..net("net/node:v1.1.0") };
        assert_eq!(said("v1.37.0", WIDE, vec![workload]), (Status::Unknown, vec!["addon_rolling_out"]));
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
fn s35_pods_that_run_another_image_than_their_template_are_unknown() {
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
fn s36_what_looks_like_an_addon_and_has_no_row_is_told() {
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
        assert_eq!(said("v1.37.0", &format!("{WIDE}{more}"), vec![]).0, status, "{more}");
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
        assert_eq!(said("v1.37.0", &row, vec![elsewhere]).0, status, "{image}");
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
    let query = format!("{WIDE}, agree: all, also_read: [{{promql: x_build_info}}]");
    let digest = format!("{WIDE}, digests: {{\"sha256:ab\": \"1.1.0\"}}");
    for (row, workloads, status) in [
        (&label, labelled("net/node@sha256:cd", "v1.1.0"), Status::Pass),
        (&label, labelled("net/node:v1.1.0", "0.0.1"), Status::Pass),
        (&all, labelled("net/node:v1.1.0", "v1.1.0"), Status::Pass),
        (&all, labelled("net/node:v1.1.0", "v1.0.0"), Status::Unknown),
        (&all, vec![net("net/node:v1.1.0")], Status::Unknown),
        (&query, vec![net("net/node:v1.1.0")], Status::Unknown),
        (&digest, vec![net("net/node@sha256:ab")], Status::Pass),
        (&digest, vec![net("net/node:v1.1.0@sha256:ab")], Status::Pass),
        (&digest, vec![net("net/node:v1.0.0@sha256:ab")], Status::Unknown),
    ] {
        assert_eq!(said("v1.37.0", row, workloads.clone()).0, status, "{row} {workloads:?}");
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
        assert_eq!(said("v1.37.0", WIDE, workloads.clone()).0, status, "{workloads:?}");
    }
    // A word that many use is no name.
    let row = file(WIDE).replace("resource: net-node", "resource: controller");
    let other = Workload { name: "controller".to_owned(), ..elsewhere("other/thing:v9") };
    let said = outcome(check, "v1.37.0", |cluster| set(cluster, &row, vec![other]));
    assert_eq!(said, (Status::Unknown, vec!["addon_missing"]));
}

/// As their projects publish them, and two that people often do otherwise, with the answer from 1.35 to 1.36.
const PUBLISHED: [(&str, &str, &str, &str); 9] = [
    ("kube-system", "calico-node/calico-node", "docker.io/calico/node:v3.31.4", "addon_upgrade_needed"),
    (
        "kube-system",
        "cilium/cilium-agent",
        "quay.io/cilium/cilium:v1.18.2@sha256:ab",
        "addon_waiting_unreleased",
    ),
    (
        "ingress-nginx",
        "ingress-nginx-controller/controller",
        "registry.k8s.io/ingress-nginx/controller:v1.15.0@sha256:ab",
        "addon_retired",
    ),
    ("argo", "argo-cd-argocd-server/server", "quay.io/argoproj/argocd:v3.4.5", "addon_upgrade_needed"),
    (
        "istio-system",
        "istiod-canary/discovery",
        "docker.io/istio/pilot:1.29.1-distroless",
        "addon_upgrade_needed",
    ),
    (
        "kube-system",
        "kube-state-metrics/kube-state-metrics",
        "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.19.0",
        "addon_upgrade_needed",
    ),
    (
        "karpenter",
        "karpenter/controller",
        "public.ecr.aws/karpenter/controller:1.6.3@sha256:ab",
        "addon_upgrade_needed",
    ),
    (
        "metallb-system",
        "metallb-controller/controller",
        "quay.io/metallb/controller:v0.15.2",
        "addon_claim_not_accepted",
    ),
    (
        "eso",
        "eso/external-secrets",
        "ghcr.io/external-secrets/external-secrets:v2.12.0",
        "addon_newer_than_matrix",
    ),
];

#[test]
fn the_rows_that_are_built_in_find_what_their_projects_publish() {
    for (namespace, name, image, reason) in PUBLISHED {
        let (name, container) = name.split_once('/').unwrap();
        let kind = if matches!(name, "calico-node" | "cilium") {
            WorkloadKind::DaemonSet
        } else {
            WorkloadKind::Deployment
        };
        let mut workload = workload(kind, namespace, name, &[image]);
        container.clone_into(&mut workload.containers[0].name);
        let change = |cluster: &mut Healthy| {
            cluster.snapshot.api_servers.value = Some(vec![api_server("cp-1", "v1.35.4")]);
            cluster.inventory.workloads.value = Some(vec![workload]);
        };
        let (_, found) = outcome(check, "v1.36.3", change);
        assert_eq!(found, [reason], "{image}");
    }
}
