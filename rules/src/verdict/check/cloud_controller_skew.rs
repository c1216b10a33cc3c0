//! A cloud-controller-manager fits the API servers of now and of the target.
//!
//! kubeadm does not upgrade it, so it has to fit before the run. Judged are the static pods of that name, which have the
//! labels that kubeadm gives its own (`tier=control-plane` and `component`), and the images that are numbered as
//! Kubernetes is; other images are told with the add-ons without a row, where they look like one.
//! Minors count, so that a pre-release is as good as its release.
//!
//! Source: <https://kubernetes.io/releases/version-skew-policy/>.

use super::{Facts, Outcome, oldest_server};
use crate::cluster::inventory::{ImageReference, Workload};
use crate::cluster::snapshot::StaticPod;
use crate::reason::{Finding, Reason};
use crate::verdict::skew::{self, Skew};
use crate::words::version::{Minor, Version};

/// The component's name as a static pod, and the image of AWS.
const CLOUD_CONTROLLER: &str = "cloud-controller-manager";
/// How the repositories end whose minor is that of Kubernetes; each holds this program alone. AWS and Azure say so
/// (<https://kubernetes.github.io/cloud-provider-aws/>, the version matrix of
/// <https://github.com/kubernetes-sigs/cloud-provider-azure>, read on 2026-11-22); the releases of `OpenStack` and vSphere
/// are numbered so, and are installed in such pairs. vSphere's had the longer name until 1.28.
const IMAGES: [&str; 6] = [
    CLOUD_CONTROLLER,
    // As mirrors call it.
    "aws-cloud-controller-manager",
    "azure-cloud-controller-manager",
    "openstack-cloud-controller-manager",
    "cloud-provider-vsphere",
    "cloud-provider-vsphere/cpi/release/manager",
];
/// What all of them have: most images are told from them by that, before they are taken apart.
const CLOUD: &str = "cloud-";
/// It has the name of AWS's, and numbers of its own.
const OF_GCP: &str = "cloud-provider-gcp/cloud-controller-manager";

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
    let oldest = oldest_server(servers, &mut unknowns);
    let managers = workloads.iter().flat_map(of_workload).chain(pods.iter().filter_map(of_pod));
    for (who, version) in managers {
        match version {
            Ok(minor) => blockers.extend(
                refusal(minor, oldest, target)
                    .map(|detail| Finding::new(Reason::CloudControllerSkewed, who, detail)),
            ),
            Err(why) => unknowns.push(Finding::new(Reason::CloudControllerUnknown, who, why)),
        }
    }
    Ok(Outcome::judge(read, vec![pods_read, servers_read], blockers, unknowns))
}

/// Whether a workload is judged here, and needs no row.
pub(super) fn judges(workload: &Workload) -> bool {
    images(workload).next().is_some()
}

fn images(workload: &Workload) -> impl Iterator<Item = ImageReference<'_>> {
    let ends = |image: &ImageReference<'_>, name: &str| {
        let start = image.plain_repository().strip_suffix(name);
        // A mirror puts words before a name; before the first one stand clouds with numbers of their own.
        let is_own = |start: &str| start.ends_with('-') && name != CLOUD_CONTROLLER;
        start.is_some_and(|start| start.is_empty() || start.ends_with('/') || is_own(start))
    };
    let alike = workload.all_containers().filter(|it| it.image.contains(CLOUD));
    let references = alike.filter_map(|it| ImageReference::parse(&it.image));
    references.filter(move |image| IMAGES.iter().any(|name| ends(image, name)) && !ends(image, OF_GCP))
}

/// Each cloud-controller-manager of a template with its minor, or why that is not known.
fn of_workload(workload: &Workload) -> impl Iterator<Item = (String, Result<Minor, String>)> {
    images(workload).map(move |image| {
        let told = match image.tag.and_then(|tag| tag.parse::<Version>().ok()) {
            None => Err(format!("its image {image} tells no version")),
            Some(_) if !workload.rollout.is_settled() => Err(workload.rollout.to_string()),
            Some(version) => Ok(version.minor()),
        };
        (workload.to_string(), told)
    })
}

fn of_pod(pod: &StaticPod) -> Option<(String, Result<Minor, String>)> {
    let told = pod.version.as_ref().map(Version::minor);
    let told = told.map_err(|written| format!("its image {written} tells no version"));
    (pod.component == CLOUD_CONTROLLER).then(|| (format!("{CLOUD_CONTROLLER} on {}", pod.node), told))
}

/// What it is too far from: an API server of now, or the target.
fn refusal(controller: Minor, oldest: Option<Minor>, target: Minor) -> Option<String> {
    if let Some(oldest) = oldest
        && matches!(skew::controller(controller, oldest), Skew::Ahead | Skew::OtherMajor)
    {
        return Some(format!("it runs {controller}, and the oldest API server {oldest}"));
    }
    let does_fit = skew::controller(controller, target) == Skew::Supported;
    (!does_fit).then(|| format!("it runs {controller}, and the target is {target}"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Healthy, outcome, pod};
    use super::*;
    use crate::cluster::inventory::{Container, Rollout, WorkloadKind};
    use crate::verdict::Status;

    #[test]
    fn what_tells_most_images_apart_is_in_each_that_is_judged() {
        assert!(IMAGES.iter().all(|name| name.contains(CLOUD)));
    }

    fn runs(image: &str) -> impl Fn(&mut Healthy) + use<> {
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
            ("v0.7.4", "v1.36.3", Status::Block, vec!["cloud_controller_skewed"]),
            ("v1.9223372036854775808.0", "v1.36.3", Status::Block, vec!["cloud_controller_skewed"]),
            ("v1.36.0-rc.0", "v1.36.3", Status::Pass, vec![]),
            ("v1.36.1-eks-1-36-2", "v1.36.3", Status::Pass, vec![]),
            ("latest", "v1.36.3", Status::Unknown, vec!["cloud_controller_unknown"]),
        ] {
            let image = format!("{AWS}:{version}");
            assert_eq!(outcome(check, target, runs(&image)), (status, reasons), "{version} {target}");
        }
        let by_digest = runs("registry.example/cloud-provider-vsphere@sha256:00ff");
        assert_eq!(outcome(check, "v1.36.3", by_digest), (Status::Unknown, vec!["cloud_controller_unknown"]));
    }

    #[test]
    fn each_image_of_a_template_and_each_name_counts() {
        for image in [
            "cloud-provider-vsphere",
            "registry.example/cloud-provider-vsphere/cpi/release/manager",
            "registry.example/mirrored-cloud-provider-vsphere",
            "registry.example/mirror/provider-aws-cloud-controller-manager",
            "registry.example/azure-cloud-controller-manager-amd64",
            "registry.example/cloud-controller-manager-fips",
        ] {
            let old = runs(&format!("{image}:v1.27.0"));
            assert_eq!(outcome(check, "v1.36.3", old), (Status::Block, vec!["cloud_controller_skewed"]));
        }
        let also_first = |cluster: &mut Healthy| {
            runs("cloud-provider-vsphere:v1.36.0")(cluster);
            let old =
                Container { name: "old".to_owned(), image: "cloud-provider-vsphere:v1.34.0".to_owned() };
            cluster.inventory.workloads.value.as_mut().unwrap()[0].init_containers.push(old);
        };
        assert_eq!(outcome(check, "v1.36.3", also_first), (Status::Block, vec!["cloud_controller_skewed"]));
    }

    #[test]
    fn without_a_known_api_server_nothing_passes() {
        let none = |cluster: &mut Healthy| {
            runs("cloud-provider-vsphere:v1.36.0")(cluster);
            cluster.snapshot.api_servers.value = Some(Vec::new());
        };
        assert_eq!(outcome(check, "v1.36.3", none), (Status::Unknown, vec!["source_unreadable"]));
    }

    #[test]
    fn one_with_numbers_of_its_own_is_not_judged_here() {
        for image in [
            "registry.example/cloud-provider-gcp/cloud-controller-manager:v32.2.5",
            "registry.example/cloud-provider-gcp/cloud-controller-manager@sha256:00ff",
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
            ("v27.1.6", Status::Block, vec!["cloud_controller_skewed"]),
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
