//! A cloud-controller-manager fits the API servers of now and of the target.
//!
//! kubeadm does not upgrade it, so it has to fit before the run. Only those are judged that are numbered as Kubernetes
//! is; the others are told among the add-ons without a row.
//!
//! Source: <https://kubernetes.io/releases/version-skew-policy/>.

use super::{Facts, Outcome, unreadable_version};
use crate::inventory::{ImageReference, Workload};
use crate::matrix::last_part;
use crate::reason::{Finding, Reason};
use crate::skew::{self, Skew};
use crate::snapshot::{ApiServer, StaticPod};
use crate::version::{Minor, Version};

/// The component's name as a static pod, and the image of AWS.
const CLOUD_CONTROLLER: &str = "cloud-controller-manager";
/// The images whose minor is that of Kubernetes. AWS and Azure say so (<https://kubernetes.github.io/cloud-provider-aws/>
/// and the version matrix of <https://github.com/kubernetes-sigs/cloud-provider-azure>, read on 2026-11-22); the releases
/// of `OpenStack` and vSphere are numbered so, and are installed in such pairs.
const IMAGES: [&str; 4] = [
    CLOUD_CONTROLLER,
    "azure-cloud-controller-manager",
    "openstack-cloud-controller-manager",
    "cloud-provider-vsphere",
];

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    judge(facts).unwrap_or_else(|unknown| unknown)
}

fn judge(facts: &Facts<'_>) -> Result<Outcome, Outcome> {
    let target = facts.version()?.minor();
    let (snapshot, inventory) = (facts.case.snapshot, facts.case.inventory);
    let (workloads, read) = facts.state("workloads", &inventory.workloads).map_err(Outcome::unknown)?;
    let (pods, pods_read) = facts.state("static_pods", &snapshot.static_pods).map_err(Outcome::unknown)?;
    let (servers, servers_read) =
        facts.state("api_servers", &snapshot.api_servers).map_err(Outcome::unknown)?;
    let (mut blockers, mut unknowns) = (Vec::new(), Vec::new());
    for (who, version) in workloads.iter().filter_map(of_workload).chain(pods.iter().filter_map(of_pod)) {
        match version {
            Ok(minor) => blockers.extend(
                refusal(minor, servers, target)
                    .map(|detail| Finding::new(Reason::CloudControllerSkewed, who, detail)),
            ),
            Err(why) => unknowns.push(Finding::new(Reason::CloudControllerUnknown, who, why)),
        }
    }
    unknowns.extend(servers.iter().filter_map(|server| {
        server.version.as_ref().err().map(|written| unreadable_version(&server.name, written))
    }));
    Ok(Outcome::judge(read, vec![pods_read, servers_read], blockers, unknowns))
}

/// Whether a workload is judged here, and needs no row.
pub(super) fn judges(workload: &Workload) -> bool {
    of_workload(workload).is_some()
}

/// A cloud-controller-manager with the minor of its template, or why that tells none.
fn of_workload(workload: &Workload) -> Option<(String, Result<Minor, String>)> {
    let images = workload.containers.iter().map(|container| container.image.as_str());
    let image = images.filter_map(ImageReference::parse).find(is_numbered_as_kubernetes)?;
    let version = image.tag.and_then(|tag| tag.parse::<Version>().ok());
    let told = match version {
        None => Err(format!("its image {image} tells no version")),
        Some(_) if !workload.rollout.is_settled() => Err(workload.rollout.to_string()),
        Some(version) => Ok(version.minor()),
    };
    Some((workload.to_string(), told))
}

/// GCP's has the name of AWS's and the numbers 27, 28 and so on.
fn is_numbered_as_kubernetes(image: &ImageReference<'_>) -> bool {
    let is_of_another_number = |version: Version| version.minor().major != 1;
    let last = last_part(image.repository);
    let is_other = image.tag.and_then(|tag| tag.parse().ok()).is_some_and(is_of_another_number);
    IMAGES.contains(&last) && !is_other
}

fn of_pod(pod: &StaticPod) -> Option<(String, Result<Minor, String>)> {
    let told = pod.version.as_ref().map(Version::minor);
    let told = told.map_err(|written| format!("its image {written} tells no version"));
    (pod.component == CLOUD_CONTROLLER).then(|| (format!("{CLOUD_CONTROLLER} on {}", pod.node), told))
}

/// What it is too far from: an API server of now, or the target.
fn refusal(controller: Minor, servers: &[ApiServer], target: Minor) -> Option<String> {
    let minors = servers.iter().filter_map(|server| server.version.as_ref().ok()).map(Version::minor);
    let mut ahead = minors.filter(|server| skew::controller(controller, *server) == Skew::Ahead);
    if let Some(server) = ahead.next() {
        return Some(format!("it runs {controller}, an API server {server}"));
    }
    let is_too_old = skew::controller(controller, target) == Skew::TooOld;
    is_too_old.then(|| format!("it runs {controller}, the target is {target}"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Healthy, outcome, pod};
    use super::*;
    use crate::inventory::{Container, Rollout, WorkloadKind};
    use crate::verdict::Status;

    fn runs(image: &str) -> impl Fn(&mut Healthy) {
        let containers = vec![Container { name: "manager".to_owned(), image: image.to_owned() }];
        let manager = Workload {
            containers,
            rollout: Rollout::done(1),
            ..Workload::silent(WorkloadKind::DaemonSet, "kube-system", "aws-cloud-controller-manager")
        };
        move |cluster| cluster.inventory.workloads.value = Some(vec![manager.clone()])
    }

    #[test]
    fn it_is_never_ahead_of_an_api_server_and_one_minor_behind_the_target_at_most() {
        const AWS: &str = "registry.example:5000/provider-aws/cloud-controller-manager";
        for (version, target, status, reasons) in [
            ("v1.36.0", "v1.36.3", Status::Pass, vec![]),
            ("v1.36.0", "v1.37.0", Status::Pass, vec![]),
            ("v1.35.4", "v1.36.3", Status::Pass, vec![]),
            ("v1.35.4", "v1.37.0", Status::Block, vec!["cloud_controller_skewed"]),
            ("v1.37.0", "v1.37.0", Status::Block, vec!["cloud_controller_skewed"]),
            ("v1.34.0", "v1.36.3", Status::Block, vec!["cloud_controller_skewed"]),
            ("latest", "v1.36.3", Status::Unknown, vec!["cloud_controller_unknown"]),
        ] {
            let image = format!("{AWS}:{version}");
            assert_eq!(outcome(check, target, runs(&image)), (status, reasons), "{version} {target}");
        }
        let by_digest = runs("registry.example/cloud-provider-vsphere@sha256:00ff");
        assert_eq!(outcome(check, "v1.36.3", by_digest), (Status::Unknown, vec!["cloud_controller_unknown"]));
    }

    #[test]
    fn one_with_numbers_of_its_own_is_not_judged_here() {
        for image in [
            "registry.example/cloud-provider-gcp/cloud-controller-manager:v32.2.5",
            "docker.io/hetznercloud/hcloud-cloud-controller-manager:v1.20.0",
        ] {
            assert_eq!(outcome(check, "v1.37.0", runs(image)), (Status::Pass, vec![]), "{image}");
        }
    }

    #[test]
    fn a_template_that_its_pods_do_not_follow_tells_nothing() {
        let rolling = |cluster: &mut Healthy| {
            runs("registry.example/openstack-cloud-controller-manager:v1.36.0")(cluster);
            cluster.inventory.workloads.value.as_mut().unwrap()[0].rollout.updated = 0;
        };
        assert_eq!(outcome(check, "v1.36.3", rolling), (Status::Unknown, vec!["cloud_controller_unknown"]));
    }

    #[test]
    fn a_static_pod_counts_too() {
        for (version, status, reasons) in [
            ("v1.36.1", Status::Pass, vec![]),
            ("v1.34.1", Status::Block, vec!["cloud_controller_skewed"]),
            ("latest", Status::Unknown, vec!["cloud_controller_unknown"]),
        ] {
            let beside = |cluster: &mut Healthy| {
                let pods = cluster.snapshot.static_pods.value.as_mut().unwrap();
                pods.push(pod(CLOUD_CONTROLLER, "cp-1", version));
            };
            assert_eq!(outcome(check, "v1.36.3", beside), (status, reasons), "{version}");
        }
    }
}
