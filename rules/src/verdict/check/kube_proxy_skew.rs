//! kube-proxy fits the API servers and the kubelet beside it.
//!
//! Its version is that of its DaemonSet's image; what nodes say of it is not to be trusted. A cluster without one has
//! something else in its place, which is told.
//!
//! Source: <https://kubernetes.io/releases/version-skew-policy/>.

use super::{Facts, Outcome, oldest_server, unreadable_version};
use crate::cluster::inventory::{ImageReference, Workload, WorkloadKind};
use crate::cluster::snapshot::Node;
use crate::facts::last_part;
use crate::reason::{Finding, Reason};
use crate::verdict::skew::{self, Skew};
use crate::words::version::{Minor, Version};

const KUBE_PROXY: &str = "kube-proxy";

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    judge(facts).unwrap_or_else(|unknown| unknown)
}

fn judge(facts: &Facts<'_>) -> Result<Outcome, Outcome> {
    let target = facts.version()?.minor();
    let (snapshot, inventory) = (facts.case.snapshot, facts.case.inventory);
    let (workloads, read) = facts.state("workloads", &inventory.workloads).map_err(Outcome::unknown)?;
    let proxies: Vec<(&Workload, &str, Option<Version>)> = workloads
        .iter()
        .flat_map(|workload| {
            proxies_of(workload).into_iter().map(move |(it, version)| (workload, it, version))
        })
        .collect();
    if proxies.is_empty() {
        let detail = "something else does its work; its own versions are not judged here";
        let absent = Finding::new(Reason::KubeProxyAbsent, KUBE_PROXY, detail);
        return Ok(Outcome::pass(read, []).noting(vec![absent]));
    }
    let (servers, servers_read) =
        facts.state("api_servers", &snapshot.api_servers).map_err(Outcome::unknown)?;
    let (nodes, nodes_read) = facts.state("nodes", &snapshot.nodes).map_err(Outcome::unknown)?;
    let (mut blockers, mut unknowns) = (Vec::new(), Vec::new());
    let oldest = oldest_server(servers, &mut unknowns);
    let kubelets = kubelets(nodes, &mut unknowns);
    for (workload, image, version) in proxies {
        let about = |reason, detail: String| Finding::new(reason, workload.to_string(), detail);
        match version {
            None => {
                unknowns.push(about(Reason::KubeProxyUnknown, format!("its image {image} tells no version")))
            }
            Some(_) if !workload.rollout.is_settled() => {
                unknowns.push(about(Reason::KubeProxyUnknown, workload.rollout.to_string()));
            }
            Some(version) => {
                let refused = refusals(version.minor(), target, oldest, &kubelets);
                blockers.extend(refused.into_iter().map(|detail| about(Reason::KubeProxySkewed, detail)));
            }
        }
    }
    Ok(Outcome::judge(read, vec![servers_read, nodes_read], blockers, unknowns))
}

/// The images of kube-proxy in a DaemonSet, from whatever registry, and their versions. Under another name it tells no
/// version, and where the DaemonSet or the container is called so it is taken for one all the same.
fn proxies_of(workload: &Workload) -> Vec<(&str, Option<Version>)> {
    if workload.kind != WorkloadKind::DaemonSet {
        return Vec::new();
    }
    let version = |image: &str| ImageReference::parse(image).and_then(|it| it.tag?.parse().ok());
    let told = |image: &str| if is_proxy(image) { version(image) } else { None };
    let containers = workload.containers.iter();
    let meant = containers.clone().filter(|it| is_proxy(&it.image) || it.name == KUBE_PROXY);
    let found: Vec<_> = meant.map(|it| (it.image.as_str(), told(&it.image))).collect();
    if found.is_empty() && workload.name == KUBE_PROXY {
        return containers.map(|it| (it.image.as_str(), None)).take(1).collect();
    }
    found
}

fn is_proxy(image: &str) -> bool {
    ImageReference::parse(image).is_some_and(|image| last_part(image.plain_repository()) == KUBE_PROXY)
}

fn kubelets<'a>(nodes: &'a [Node], unknowns: &mut Vec<Finding>) -> Vec<(&'a str, Minor)> {
    let mut kubelets = Vec::new();
    for node in nodes {
        match &node.kubelet_version {
            Ok(version) => kubelets.push((node.name.0.as_str(), version.minor())),
            Err(written) => unknowns.push(unreadable_version(&node.name.0, written)),
        }
    }
    kubelets
}

fn refusals(proxy: Minor, target: Minor, oldest: Option<Minor>, kubelets: &[(&str, Minor)]) -> Vec<String> {
    let mut refused = Vec::new();
    match oldest.map(|oldest| (oldest, skew::kube_proxy(proxy, oldest))) {
        Some((oldest, Skew::Ahead | Skew::OtherMajor)) => {
            refused.push(format!("it runs {proxy}, and the oldest API server {oldest}"));
        }
        // Being too old is judged at the target, which is at least as new.
        Some((_, Skew::Supported | Skew::TooOld)) | None => {}
    }
    if skew::kube_proxy(proxy, target) == Skew::TooOld {
        refused.push(format!("it runs {proxy}, and the target is {target}"));
    }
    let apart =
        kubelets.iter().filter(|(_, kubelet)| skew::beside_kubelet(proxy, *kubelet) != Skew::Supported);
    refused
        .extend(apart.map(|(node, kubelet)| format!("it runs {proxy}, and the kubelet of {node} {kubelet}")));
    refused
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Healthy, api_server, node, outcome};
    use super::*;
    use crate::cluster::inventory::{Container, Rollout};
    use crate::cluster::snapshot::{Role, Source};
    use crate::verdict::Status;

    fn proxy(image: &str) -> Workload {
        let containers = vec![Container { name: KUBE_PROXY.to_owned(), image: image.to_owned() }];
        Workload {
            containers,
            rollout: Rollout::done(2),
            ..Workload::silent(WorkloadKind::DaemonSet, "kube-system", KUBE_PROXY)
        }
    }

    fn runs(version: &str) -> impl Fn(&mut Healthy) {
        let proxy = proxy(&format!("registry.example:5000/mirror/kube-proxy:{version}"));
        move |cluster| cluster.inventory.workloads.value = Some(vec![proxy.clone()])
    }

    #[test]
    fn kube_proxy_is_never_ahead_of_an_api_server_and_three_minors_behind_at_most() {
        for (version, target, status, reasons) in [
            ("v1.36.1", "v1.36.3", Status::Pass, vec![]),
            ("v1.36.1", "v1.37.0", Status::Pass, vec![]),
            ("v1.34.1", "v1.37.0", Status::Pass, vec![]),
            ("v1.33.1", "v1.37.0", Status::Block, vec!["kube_proxy_skewed"]),
            ("v1.37.0", "v1.37.0", Status::Block, vec!["kube_proxy_skewed"]),
            ("v1.36.1-eksbuild.2", "v1.36.3", Status::Pass, vec![]),
            ("v1.32.1", "v1.36.3", Status::Block, vec!["kube_proxy_skewed"; 3]),
            ("latest", "v1.36.3", Status::Unknown, vec!["kube_proxy_unknown"]),
        ] {
            assert_eq!(outcome(check, target, runs(version)), (status, reasons), "{version} {target}");
        }
    }

    #[test]
    fn each_kubelet_and_each_api_server_counts() {
        let old_kubelet = |cluster: &mut Healthy| {
            runs("v1.36.1")(cluster);
            cluster.snapshot.nodes.value.as_mut().unwrap().push(node("w-2", Role::Worker, "v1.32.9"));
        };
        assert_eq!(outcome(check, "v1.36.3", old_kubelet), (Status::Block, vec!["kube_proxy_skewed"]));
        let old_server = |cluster: &mut Healthy| {
            runs("v1.36.1")(cluster);
            cluster.snapshot.api_servers.value.as_mut().unwrap().push(api_server("cp-2", "v1.35.4"));
        };
        assert_eq!(outcome(check, "v1.36.3", old_server), (Status::Block, vec!["kube_proxy_skewed"]));
        let odd = |cluster: &mut Healthy| {
            runs("v1.36.1")(cluster);
            cluster.snapshot.nodes.value.as_mut().unwrap()[0].kubelet_version = Err("latest".to_owned());
        };
        assert_eq!(outcome(check, "v1.36.3", odd), (Status::Unknown, vec!["source_unreadable"]));
    }

    #[test]
    fn a_template_that_its_pods_do_not_follow_tells_nothing() {
        let rolling = |cluster: &mut Healthy| {
            runs("v1.36.1")(cluster);
            cluster.inventory.workloads.value.as_mut().unwrap()[0].rollout.updated = 1;
        };
        assert_eq!(outcome(check, "v1.36.3", rolling), (Status::Unknown, vec!["kube_proxy_unknown"]));
        let digest = |cluster: &mut Healthy| {
            cluster.inventory.workloads.value = Some(vec![proxy("registry.example/kube-proxy@sha256:00ff")]);
        };
        assert_eq!(outcome(check, "v1.36.3", digest), (Status::Unknown, vec!["kube_proxy_unknown"]));
        let lost = |cluster: &mut Healthy| cluster.inventory.workloads = Source::failed("gone");
        assert_eq!(outcome(check, "v1.36.3", lost), (Status::Unknown, vec!["source_unreadable"]));
    }

    #[test]
    fn a_cluster_without_it_passes_and_says_so() {
        let verdict = super::super::tests::healthy().verdict("v1.36.3");
        let check = verdict.checks.iter().find(|check| check.id == "kube_proxy_skew").unwrap();
        let notes: Vec<_> = check.notes.iter().map(|note| note.reason.code()).collect();
        assert_eq!((check.status, notes), (Status::Pass, vec!["kube_proxy_absent"]));
        let other = |cluster: &mut Healthy| {
            let mut other = proxy("registry.example/not-kube-proxy:v1.30.0");
            other.name = "router".to_owned();
            other.containers[0].name = "router".to_owned();
            cluster.inventory.workloads.value = Some(vec![other]);
        };
        assert_eq!(outcome(super::check, "v1.37.0", other), (Status::Pass, vec![]));
    }

    #[test]
    fn what_is_called_so_is_one_whatever_its_image_is_called() {
        for (image, status, reasons) in [
            ("registry.example/kube-proxy-amd64:v1.36.1", Status::Pass, vec![]),
            ("registry.example/kube-proxy-arm64:v1.31.0", Status::Block, vec!["kube_proxy_skewed"; 3]),
            ("registry.example/kube-proxy-fips:v1.31.0", Status::Block, vec!["kube_proxy_skewed"; 3]),
            ("registry.example/hardened:v1.36.1", Status::Unknown, vec!["kube_proxy_unknown"]),
            ("registry.example/mirror:kube-proxy-v1.31.0", Status::Unknown, vec!["kube_proxy_unknown"]),
        ] {
            let runs = |cluster: &mut Healthy| cluster.inventory.workloads.value = Some(vec![proxy(image)]);
            assert_eq!(outcome(super::check, "v1.36.3", runs), (status, reasons), "{image}");
        }
    }

    #[test]
    fn each_container_that_is_one_counts() {
        for (name, image, status, reasons) in [
            ("second", "r/kube-proxy:v1.31.0", Status::Block, vec!["kube_proxy_skewed"; 3]),
            (KUBE_PROXY, "r/own:v1.36.1", Status::Unknown, vec!["kube_proxy_unknown"]),
            ("sidecar", "r/own:v1.36.1", Status::Pass, vec![]),
        ] {
            let runs = |cluster: &mut Healthy| {
                let mut first = proxy("r/kube-proxy-fips:v1.36.1");
                first.containers[0].name = "first".to_owned();
                first.containers.push(Container { name: name.to_owned(), image: image.to_owned() });
                cluster.inventory.workloads.value = Some(vec![first]);
            };
            assert_eq!(outcome(super::check, "v1.36.3", runs), (status, reasons), "{name} {image}");
        }
    }
}
