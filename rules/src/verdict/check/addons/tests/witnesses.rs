//! By what an add-on is recognised, and what is no installation of its own.

use super::*;

pub(super) const SEEN: &str = "if_absent: not-applicable, witnesses: {images: [bit/net, net-agent], names: [net], part_of: [nets], charts: [net], labels: [app=net], crd_groups: [net.io, nodes.shared.io], webhooks: [hook.net.io]}";

/// The row, with these witnesses and bounds that its vendor stands for.
pub(super) fn seen(row: &str) -> String {
    format!("{}, {SEEN}", row.replace("claim: tested", "claim: supported"))
}

/// A workload of a name that says nothing, with these labels of its own.
pub(super) fn labelled(place: &str, image: &str, labels: &[(&str, &str)]) -> Workload {
    let (namespace, name) = place.split_once('/').unwrap();
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let found = workload(WorkloadKind::Deployment, namespace, name, &[image]);
    Workload { labels: labels.iter().map(own).collect(), ..found }
}

/// What the built-in rows say of these workloads from 1.35 to 1.36, whatever the day somebody looked at them.
fn of_built_in(workloads: Vec<Workload>) -> (Status, Vec<(String, &'static str)>) {
    let mut cluster = healthy();
    cluster.snapshot.api_servers.value = Some(vec![api_server("cp-1", "v1.35.4")]);
    cluster.inventory.workloads.value = Some(workloads);
    let addons = &mut cluster.matrix.addons;
    addons.as_of = Some(cluster.now.to_zoned(TimeZone::UTC).date());
    addons.value.0.iter_mut().for_each(|row| row.as_of = None);
    let outcome = check(&Facts { target: "v1.36.3".parse(), case: &cluster.case() });
    let told = |finding: &Finding| (finding.subject.clone(), finding.reason.code());
    (outcome.status, outcome.findings.iter().map(told).collect())
}

const NAME: &str = "app.kubernetes.io/name";
const CHART: &str = "helm.sh/chart";

/// An add-on, where it is, its image, and a label of it.
type Renamed = (&'static str, &'static str, &'static str, Option<(&'static str, &'static str)>);

/// What people run: the add-on, where it is, its image, and a label of it. None of it is where its project's own manifest
/// puts it, and none fits 1.36. All are Deployments, but for those that begin with `ds`.
const RENAMED: [Renamed; 29] = [
    (
        "ingress-nginx",
        "ds edge/edge-ingress-nginx-controller",
        "registry.k8s.io/ingress-nginx/controller-chroot:v1.11.3@sha256:d56f135b6462cfc476447cfe564b83a45e8bb7da2774963b00d12161112270b7",
        None,
    ),
    (
        "cert-manager",
        "cert-manager/cert-manager-controller",
        "docker.io/bitnami/cert-manager:1.16.2-debian-12-r0",
        Some((NAME, "cert-manager")),
    ),
    ("istio", "istio-system/istiod-1-24-3", "registry.local:5000/pilot:1.24.3-distroless", None),
    // Copies in other registries.
    ("ingress-nginx", "a/b", "registry.local:5000/k8s/ingress-nginx/controller:v1.11.3", None),
    ("ingress-nginx", "a/b", "r.example.com/google_containers/nginx-ingress-controller:v1.11.3", None),
    ("ingress-nginx", "a/b", "rancher/mirrored-ingress-nginx-controller:v1.11.3-hardened1", None),
    ("ingress-nginx", "a/b", "harbor.local/c/registry.k8s.io_ingress-nginx_controller:v1.11.3", None),
    ("ingress-nginx", "a/b", "docker.io/bitnami/nginx-ingress-controller:1.11.3-debian-12-r5", None),
    ("cert-manager", "a/b", "localhost/cert-manager-controller:1.16.2", None),
    ("cert-manager", "a/b", "rancher/mirrored-cert-manager-controller:v1.16.2", None),
    ("cert-manager", "a/b", "registry.local/quay.io-jetstack-cert-manager-controller:v1.16.2", None),
    ("istio", "a/b", "harbor.local/mesh/pilot:1.24-alpine", None),
    ("istio", "a/b", "rancher/mirrored-istio-pilot:1.24.3", None),
    ("calico", "ds a/b", "rancher/mirrored-calico-node:v3.29.1", None),
    // Builds of the same software.
    ("cert-manager", "a/b", "cgr.dev/corp.example/cert-manager-controller-fips:1.19.4-r2", None),
    ("istio", "a/b", "registry.local/istio/pilot-iamguarded-fips:1.24.3", None),
    ("ingress-nginx", "a/b", "registry.local/ingress-nginx-controller-distroless:v1.11.3", None),
    ("cert-manager", "a/b", "rancher/hardened-cert-manager-controller:v1.16.2-build1", None),
    ("kyverno", "a/b", "harbor.local/c/quay-io-kyverno:v1.13.2", None),
    ("cert-manager", "a/b", "registry.local/jetstack-cert-manager-controller:v1.16.2", None),
    // A word of one's own before it, where something else tells.
    ("cert-manager", "cert-manager/prod", "registry.local/corp-cert-manager-controller:v1.16.2", None),
    (
        "cert-manager",
        "x/prod",
        "registry.local/corp-cert-manager-controller:v1.16.2",
        Some((NAME, "cert-manager")),
    ),
    // Where the tag is no plain version, or no end of a path is left.
    ("linkerd", "linkerd/linkerd-destination", "harbor.local/x/linkerd-controller:edge-24.11.8", None),
    ("rook-ceph", "rook-ceph/rook-ceph-operator", "harbor.local/mirror/rook-ceph:v1.15.3", None),
    // Where only half of the image's path is left.
    ("calico", "ds kube-system/calico-node", "registry.local/node:v3.29.1-amd64", None),
    ("ingress-nginx", "ds edge/platform-ingress-nginx-controller", "registry.local/controller:v1.11.3", None),
    ("ingress-nginx", "ds ingress-nginx/internal", "registry.local/controller:v1.11.3", None),
    ("ingress-nginx", "edge/web", "registry.local/controller:v1.11.3", Some((CHART, "ingress-nginx-4.11.3"))),
    (
        "cert-manager",
        "x/prod",
        "registry.local/certs/cert-manager:v1.16.2",
        Some((CHART, "cert-manager-v1.16.2")),
    ),
];

fn renamed(place: &str, image: &str, label: Option<(&str, &str)>) -> Workload {
    let found = labelled(place.trim_start_matches("ds "), image, label.as_slice());
    if place.starts_with("ds ") { Workload { kind: WorkloadKind::DaemonSet, ..found } } else { found }
}

#[test]
fn an_edge_controller_a_repackaged_one_and_a_revision_block() {
    for (addon, place, image, label) in &RENAMED[..3] {
        let (status, told) = of_built_in(vec![renamed(place, image, *label)]);
        let subjects: Vec<&str> = told.iter().map(|(subject, _)| subject.as_str()).collect();
        assert_eq!((status, subjects), (Status::Block, vec![*addon]), "{image}");
    }
}

#[test]
fn what_was_renamed_or_copied_is_recognised() {
    for (addon, place, image, label) in RENAMED {
        let mut found = renamed(place, image, label);
        let (status, told) = of_built_in(vec![found.clone()]);
        let does_not_fit = matches!(status, Status::Block | Status::Hold);
        let is_told = told.len() == 1 && told[0].0 == addon;
        assert!(does_not_fit && is_told, "{place} {image}: {status:?} {told:?}");
        // The same labels on its pods alone.
        std::mem::swap(&mut found.labels, &mut found.pod_labels);
        assert_eq!(of_built_in(vec![found]), (status, told), "{place} {image}");
    }
}

#[test]
fn what_runs_and_tells_no_version_is_unknown_and_never_absent() {
    let row = seen(WIDE);
    type Blind<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);
    let blind: [Blind<'_>; 9] = [
        ("a/b", "q.io/things:v1.1.0", &[(NAME, "net")]),
        ("a/b", "q.io/things:v1.1.0", &[("app.kubernetes.io/part-of", "nets")]),
        ("a/b", "q.io/things@sha256:ab", &[(CHART, "net-1.1.0")]),
        ("a/b", "q.io/things", &[("app", "net")]),
        ("a/b", "bit/net:latest", &[]),
        ("a/b", "bit/net@sha256:ab", &[]),
        ("a/b", "bit/net:v2.0.0-rc.1", &[]),
        ("a/b", "bit/net:release-1.1", &[]),
        ("net-system/x-net-node", "q.io/things:v1.1.0", &[]),
    ];
    for (place, image, labels) in blind {
        let told = outcome_of("v1.37.0", &row, vec![labelled(place, image, labels)]);
        assert_eq!(told, (Status::Unknown, vec!["addon_version_unreadable"]), "{place} {image} {labels:?}");
    }
    // What a chart calls its version is not what runs.
    let versioned = [(NAME, "net"), (Workload::VERSION_LABEL, "1.1.0")];
    let told = outcome_of("v1.37.0", &row, vec![labelled("a/b", "q.io/things:v9", &versioned)]);
    assert_eq!(told.0, Status::Unknown);
    let documented = format!("{row}, also_read: [{{label: app.kubernetes.io/version}}]");
    let told = outcome_of("v1.37.0", &documented, vec![labelled("a/b", "q.io/things:v9", &versioned)]);
    assert_eq!(told, (Status::Pass, vec![]), "its row says that the label is its version");
}

#[test]
fn a_tag_of_any_form_is_read_where_the_row_means_the_image() {
    let row = seen(WIDE);
    for (image, status) in [
        ("bit/net:1.0.4-debian-12-r0", Status::Block),
        ("bit/net:v1.1.0-distroless@sha256:ab", Status::Pass),
        ("net-agent:1.0-alpine", Status::Block),
        // Without the v that the pattern asks for.
        ("net/node:1.0.4", Status::Block),
        ("net/node:1.1.0", Status::Pass),
    ] {
        assert_eq!(outcome_of("v1.37.0", &row, vec![labelled("a/b", image, &[])]).0, status, "{image}");
    }
}

#[test]
fn a_name_that_many_projects_use_proves_nothing() {
    let mut operator = labelled("shop/operator", "shop/operator:v1", &[(NAME, "operator")]);
    operator.pod_labels = [("app".to_owned(), "controller".to_owned())].into();
    for found in [
        labelled("shop/controller", "registry.local/controller:v1.11.3", &[]),
        labelled("kube-system/controller", "controller:v1.0.0", &[(NAME, "controller")]),
        labelled("shop/web", "shop/node:20.1.0", &[]),
        labelled("shop/web", "shop/mesh-node:20.1.0", &[]),
        labelled("shop/web", "shop/auto-pilot:1.24.3", &[]),
        labelled("shop/cert-manager-alike", "shop/manager:v1", &[]),
        labelled("cert-manager/cert-manager-webhook-dns", "shop/webhook-dns:v1.3.1", &[]),
        labelled("shop/web", "istio/proxyv2:1.24.3", &[("app", "web")]),
        labelled("shop/web", "shop/cert-manager-controller-test:v1.16.2", &[]),
        // Somebody's own, and other projects' that end so.
        labelled("shop/pilot", "registry.local/shop/pilot:1.4.2", &[("app", "pilot")]),
        labelled("team/custom-metrics-server", "registry.local/team/custom-metrics-server:2.3.0", &[]),
        labelled("data/source-controller", "corp/source:1.2.3", &[]),
        labelled(
            "kes/kes-kubernetes-external-secrets",
            "ghcr.io/external-secrets/kubernetes-external-secrets:8.5.5",
            &[],
        ),
        labelled("external-secrets/kes", "external-secrets/kubernetes-external-secrets:8.5.5", &[]),
        labelled("pg/manager", "docker.enterprisedb.com/k8s/edb-postgres-for-cloudnative-pg:1.28.1", &[]),
        labelled("kube-amd-gpu/amd-gpu-operator", "docker.io/rocm/gpu-operator:v1.3.0", &[]),
        labelled("kube-amd-gpu/amd-gpu-operator", "registry.local/docker.io_rocm_gpu-operator:v1.3.0", &[]),
        // Calico Enterprise, where nothing else tells of Calico.
        labelled("calico-system/calico-node", "quay.io/tigera/cnx-node:v3.22.1", &[]),
        // Azure's, which has numbers of its own.
        labelled(
            "kube-system/karpenter",
            "mcr.microsoft.com/aks/karpenter/controller:1.6.3-aks",
            &[(NAME, "karpenter"), (CHART, "karpenter-1.6.3")],
        ),
        operator,
    ] {
        assert_eq!(of_built_in(vec![found.clone()]), (Status::Pass, vec![]), "{found:?}");
    }
}

/// The parts of a release that are no second installation, each beside the main one.
#[test]
fn helpers_are_no_second_installation_and_no_unreadable_one() {
    let release = |version: &str| {
        [
            (CHART, format!("net-{version}")),
            ("app.kubernetes.io/instance", "prod".to_owned()),
            ("app.kubernetes.io/part-of", "nets".to_owned()),
        ]
    };
    let of = |place: &str, image: &str, labels: &[(&str, String)], more: &[(&str, &str)]| {
        let labels = labels.iter().map(|(key, value)| (*key, value.as_str()));
        labelled(place, image, &labels.chain(more.iter().copied()).collect::<Vec<_>>())
    };
    let (new, old) = (release("1.1.0"), release("1.0.0"));
    let main = || of("n/net", "net/node:v1.1.0", &new, &[(NAME, "net")]);
    let stranger = [("app.kubernetes.io/instance", "other")];
    for (helper, status) in [
        // It says the same, wherever it is.
        (of("n/net-webhook", "net/webhook:v1.1.0", &[], &[(NAME, "net")]), Status::Pass),
        (of("m/net-webhook", "net/webhook:v1.1.0-amd64", &[], &[(NAME, "net")]), Status::Pass),
        // It says nothing, and its release does.
        (of("n/net-webhook", "net/webhook@sha256:ab", &new, &[(NAME, "net")]), Status::Pass),
        (of("n/net-backend", "defaultbackend-amd64:1.5", &new, &[(NAME, "net")]), Status::Pass),
        (of("n/redis", "redis:7.2", &[], &[("app.kubernetes.io/part-of", "nets")]), Status::Pass),
        (of("n/redis", "redis:7.2", &[], &[(CHART, "net-1.1.0")]), Status::Pass),
        // Sidecars that know the add-on are none of it.
        (of("n/web", "net/proxy:v1.0.0", &[], &[]), Status::Pass),
        // What is called as the main one is, and says nothing, may be a second one.
        (of("n/other", "q.io/things:v1.0.0", &[], &[(NAME, "net")]), Status::Unknown),
        (of("n/other", "q.io/things:v1.0.0", &old, &[(NAME, "net")]), Status::Unknown),
        (of("n/other", "q.io/things@sha256:ab", &new, &[(NAME, "net"), stranger[0]]), Status::Unknown),
        // So is what belongs to another release, or lives where nothing was read.
        (of("n/redis", "redis:7.2", &new, &stranger), Status::Unknown),
        (of("m/redis", "redis:7.2", &new, &[]), Status::Unknown),
        // And what is read is judged.
        (of("n/other", "net/node:v1.0.0", &new, &[]), Status::Block),
    ] {
        let row = seen(WIDE);
        let all = vec![main(), helper.clone()];
        assert_eq!(outcome_of("v1.37.0", &row, all).0, status, "{helper:?}");
        // A helper alone runs, and nobody knows what.
        if status == Status::Pass && helper.name != "web" {
            assert_eq!(outcome_of("v1.37.0", &row, vec![helper.clone()]).0, Status::Unknown, "{helper:?}");
        }
    }
    // The usual name before or behind it: that may be a revision.
    let revision =
        Workload { kind: WorkloadKind::DaemonSet, ..of("n/net-node-canary", "q.io/x:v1", &new[2..], &[]) };
    assert_eq!(outcome_of("v1.37.0", &seen(WIDE), vec![main(), revision]).0, Status::Unknown);
}

#[test]
fn the_parts_of_a_real_release_are_one_installation() {
    let cert = |part: &str, version: &str| {
        let chart = format!("cert-manager-{version}");
        let name = if part == "controller" { "cert-manager" } else { part };
        let labels = [(CHART, chart.as_str()), (NAME, name), ("app.kubernetes.io/instance", "cm")];
        labelled(&format!("x/cm-{part}"), &format!("quay.io/jetstack/cert-manager-{part}:{version}"), &labels)
    };
    let all =
        |version: &str| ["controller", "webhook", "cainjector"].map(|part| cert(part, version)).to_vec();
    assert_eq!(of_built_in(all("v1.21.0")), (Status::Pass, vec![]));
    let upgrade = vec![("cert-manager".to_owned(), "addon_upgrade_needed")];
    assert_eq!(of_built_in(all("v1.16.2")), (Status::Block, upgrade));
    // By digest alone nothing is read, and that is said once.
    let mut blind = all("v1.21.0");
    for part in &mut blind {
        part.containers[0].image = part.containers[0].image.replace(":v1.21.0", "@sha256:ab");
    }
    let unread = vec![("cert-manager".to_owned(), "addon_version_unreadable")];
    assert_eq!(of_built_in(blind), (Status::Unknown, unread));
    let calico = |name: &str, kind| {
        let image = format!("quay.io/calico/{}:v3.32.1", name.trim_start_matches("calico-"));
        let part = labelled(&format!("calico-system/{name}"), &image, &[]);
        Workload { kind, ..part }
    };
    let parts = vec![
        calico("calico-node", WorkloadKind::DaemonSet),
        calico("calico-kube-controllers", WorkloadKind::Deployment),
        calico("calico-typha", WorkloadKind::Deployment),
    ];
    assert_eq!(of_built_in(parts), (Status::Pass, vec![]));
}

/// As Rook's toolbox runs the operator's image; whatever else does is an installation.
#[test]
fn only_what_bears_the_label_of_a_tool_is_no_installation() {
    let judged = |other: Workload| {
        of_built_in(vec![labelled("storage/rook-ceph-operator", "docker.io/rook/ceph:v1.20.1", &[]), other])
    };
    let tools = ("app", "rook-ceph-tools");
    for place in ["storage/rook-ceph-tools", "ceph-b/toolbox"] {
        let mut tool = labelled(place, "docker.io/rook/ceph:v1.12.1", &[tools]);
        assert_eq!(judged(tool.clone()).0, Status::Pass, "{place}");
        std::mem::swap(&mut tool.labels, &mut tool.pod_labels);
        assert_eq!(judged(tool).0, Status::Pass, "{place}");
    }
    let other = labelled("storage/rook-b", "docker.io/rook/ceph:v1.12.1", &[("app", "storage")]);
    assert_eq!(judged(other).0, Status::Block);
    // A revision beside the usual one, by whatever its container and its labels are called.
    let istiod = || labelled("istio-system/istiod", "docker.io/istio/pilot:1.30.1", &[("app", "istiod")]);
    for (image, status) in [
        ("docker.io/istio/pilot:1.24.3", Status::Block),
        ("docker.io/istio/pilot@sha256:ab", Status::Unknown),
    ] {
        let canary = labelled("istio-system/pilot-canary", image, &[("istio.io/rev", "canary")]);
        assert_eq!(of_built_in(vec![istiod(), canary]).0, status, "{image}");
    }
}

/// A part beside the main one that says of itself that it is of another release.
#[test]
fn what_says_that_it_is_of_another_release_is_no_helper() {
    let main = || {
        let labels = [(CHART, "cert-manager-v1.21.0"), (Workload::VERSION_LABEL, "v1.21.0")];
        labelled("cert-manager/cert-manager", "quay.io/jetstack/cert-manager-controller:v1.21.0", &labels)
    };
    for (labels, status) in [
        (&[(CHART, "cert-manager-v1.21.0")][..], Status::Pass),
        (&[(CHART, "cert-manager-v1.16.2")], Status::Unknown),
        (&[(CHART, "cert-manager-v1.16.2"), (Workload::VERSION_LABEL, "v1.16.2")], Status::Unknown),
    ] {
        let other = labelled("cert-manager/cm-old", "harbor.corp/cm@sha256:ab", labels);
        assert_eq!(of_built_in(vec![main(), other]).0, status, "{labels:?}");
    }
}

/// Two control planes of one mesh beside each other: each is an installation.
#[test]
fn every_revision_is_judged() {
    let revision = |name: &str, image: &str| {
        labelled(&format!("istio-system/{name}"), image, &[("app", "istiod"), ("istio", "pilot")])
    };
    let new = || revision("istiod-1-30", "istio/pilot:1.30.0");
    assert_eq!(of_built_in(vec![new()]).0, Status::Pass);
    for (old, status) in [
        ("registry.local:5000/pilot:1.24.3-distroless", Status::Block),
        ("registry.local:5000/mesh/control:1.24.3", Status::Unknown),
        ("registry.local:5000/mesh/control@sha256:ab", Status::Unknown),
    ] {
        assert_eq!(of_built_in(vec![new(), revision("istiod-1-24-3", old)]).0, status, "{old}");
    }
}

#[test]
fn what_is_there_is_told_with_its_version_its_window_and_by_what() {
    let told = |workloads| {
        let check = checked("v1.37.0", &file(&seen(WIDE)), workloads, |_| {});
        let net = check.recognised.into_iter().filter(|it| it.subject == "net");
        net.map(|it| (it.detail, it.source)).collect::<Vec<_>>()
    };
    let page = || "https://example.com/net".to_owned();
    assert!(told(Vec::new()).is_empty());
    assert_eq!(
        told(vec![net("net/node:v1.1.0"), labelled("a/b", "bit/net:1.0.3", &[(NAME, "net")])]),
        [
            (
                "1.0.3, fits 1.30 to 1.36: Deployment a/b (by image, app.kubernetes.io/name)".to_owned(),
                page()
            ),
            ("1.1.0, fits 1.30 to 1.37: DaemonSet net-system/net-node (by place, image)".to_owned(), page()),
        ]
    );
    assert_eq!(
        told(vec![labelled("a/b", "x:v1", &[("app", "net")])]),
        [("its version cannot be told: Deployment a/b (by labels)".to_owned(), page())]
    );
}
