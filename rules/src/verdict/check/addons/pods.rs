//! What the pods of an add-on run. A template says what should run; a tag may have been given to another image since.
//!
//! Only where the operator wants it (`policy.addon_pods`): it takes the right to list every pod.

use std::collections::BTreeSet;

use super::super::{Facts, POLLED_AGE_SECONDS_MAX, usable};
use super::find::{judged, shows_version};
use super::sign::Place;
use crate::cluster::inventory::{Container, ImageReference, PodImages, Workload};
use crate::cluster::snapshot::Source;
use crate::facts::Addon;
use crate::reason::{Finding, Reason};

/// All pods of an add-on run one image in the container that tells its version, and the one of the template.
pub(super) fn agree(addon: &Addon, places: &[Place<'_>], facts: &Facts<'_>) -> Result<(), Finding> {
    let unread = Source::unread();
    let source = facts.case.inventory.pod_images.as_ref().unwrap_or(&unread);
    let seen = usable("pod_images", source, facts.case.now, POLLED_AGE_SECONDS_MAX)?;
    let mut telling = places.iter().filter(|place| shows_version(addon, place));
    telling.try_for_each(|place| one(addon, place.workload, seen))
}

fn one(addon: &Addon, workload: &Workload, seen: &[PodImages]) -> Result<(), Finding> {
    if workload.rollout.desired == 0 {
        return Ok(());
    }
    let about = |reason, detail: String| Finding::new(reason, &addon.name, format!("{workload}: {detail}"));
    let unread = |detail: String| about(Reason::AddonPodsUnread, detail);
    let pods = seen.iter().find(|it| it.are_of(workload));
    let pods = pods.ok_or_else(|| unread("nobody has looked at its pods yet".to_owned()))?;
    let desired = u32::try_from(workload.rollout.desired).unwrap_or(0);
    if pods.pods < desired {
        return Err(unread(format!("{} of {desired} pods were seen", pods.pods)));
    }
    for container in judged(&addon.detection, workload) {
        let name = &container.name;
        let running = pods.images.iter().filter(|it| it.container == *name);
        let (ids, told): (BTreeSet<&str>, Vec<u32>) =
            running.map(|it| (it.image_id.as_str(), it.pods)).unzip();
        let told = told.into_iter().fold(0, u32::saturating_add);
        if ids.contains("") || told < pods.pods {
            return Err(unread(format!("not every pod tells what {name} runs")));
        }
        if ids.len() > 1 {
            let ids: Vec<&str> = ids.into_iter().collect();
            return Err(about(Reason::AddonPodsDiffer, format!("{name} runs {}", ids.join(" and "))));
        }
        if let Some((wanted, runs)) = ids.first().and_then(|id| other_digest(container, id)) {
            return Err(about(
                Reason::AddonPodsDiffer,
                format!("{name} runs {runs}, its template says {wanted}"),
            ));
        }
    }
    Ok(())
}

/// The digest of the template and the one that runs, if both are told and they are not the same. An `imageID` without a
/// repository is no digest of an image in a registry, so it says nothing of the template's.
fn other_digest<'a>(container: &'a Container, id: &'a str) -> Option<(&'a str, &'a str)> {
    let wanted = ImageReference::parse(&container.image)?.digest?;
    let runs = ImageReference::parse(id)?.digest?;
    (wanted != runs).then_some((wanted, runs))
}
