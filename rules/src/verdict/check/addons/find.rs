//! In which version an add-on is there.
//!
//! ```text
//!   places ──▶ what tells ──┬─▶ a version      judged, each of them
//!                           └─▶ none           unknown: it runs, whatever it is
//!          ──▶ the others ──┬─▶ a helper       says the same, or is part of what was read
//!                           └─▶ no helper      unknown too
//! ```

use std::collections::{BTreeMap, BTreeSet};

use super::sign::{CHART, Place, Sign, begins_or_ends_so, containers, is_usual, mine};
use crate::cluster::inventory::{Container, ImageReference, Workload};
use crate::facts::{Addon, AddonVersion, Agree, Detection, version_of_tag};
use crate::reason::{Finding, Reason};

const INSTANCE: &str = "app.kubernetes.io/instance";

pub(super) enum Found<'p, 'a> {
    Nowhere,
    /// Each release with where it is: somewhere there may be a second one.
    Versions(BTreeMap<AddonVersion, Vec<&'p Place<'a>>>),
    Unknown(Finding),
}

/// The releases of an add-on that is in these places, if they can be told.
pub(super) fn find<'p, 'a>(addon: &Addon, places: &'p [Place<'a>]) -> Found<'p, 'a> {
    let mut versions: BTreeMap<AddonVersion, Vec<&Place<'_>>> = BTreeMap::new();
    let (telling, others): (Vec<_>, Vec<_>) = places.iter().partition(|place| shows_version(addon, place));
    for place in telling {
        match version(addon, place.workload) {
            // A part that tells the same release is no second installation.
            Ok(version) => versions.entry(version).or_default().push(place),
            Err(finding) => return Found::Unknown(finding),
        }
    }
    if let Some(place) = others.into_iter().find(|place| !is_helper(addon, place, &versions)) {
        let (workload, by) = (place.workload, place.by());
        let why = format!("{workload} is recognised by {by}: {}", silent(&addon.detection, workload));
        return Found::Unknown(Finding::new(Reason::AddonVersionUnreadable, &addon.name, why));
    }
    if versions.is_empty() { Found::Nowhere } else { Found::Versions(versions) }
}

/// Whether a place should tell the version, so that it is unknown if it does not.
pub(super) fn shows_version(addon: &Addon, place: &Place<'_>) -> bool {
    let Place { workload, signs } = place;
    let detection = &addon.detection;
    let is_named = signs.contains(&Sign::Place) || signs.contains(&Sign::Name);
    let reads_labels = detection.also_read.iter().any(|label| workload.labels.contains_key(label));
    // A label that tells the version tells it of what its project calls by the add-on's own name.
    let is_labelled = signs.contains(&Sign::NameLabel) || signs.contains(&Sign::Label);
    let is_told_by_label = reads_labels && (is_labelled || detection.image.is_none());
    is_named || is_told_by_label || judged(detection, workload).next().is_some()
}

/// Whether a workload that tells no version is no installation of its own: it says the same as one that was read, or it
/// is another part of its release.
fn is_helper(addon: &Addon, place: &Place<'_>, read: &BTreeMap<AddonVersion, Vec<&Place<'_>>>) -> bool {
    let helper = place.workload;
    let tags: BTreeSet<AddonVersion> = tags(helper).collect();
    let mut mains = read.iter().flat_map(|(version, places)| places.iter().map(move |it| (version, it)));
    mains.any(|(version, main)| {
        let main = main.workload;
        tags.contains(version)
            || (helper.namespace == main.namespace
                && differ(helper, main, INSTANCE) != Some(true)
                && is_of_release(&addon.detection, place, main))
    })
}

/// Whether its chart or its version says that it is of the same release, or nothing says otherwise and it is only a part.
fn is_of_release(detection: &Detection, place: &Place<'_>, main: &Workload) -> bool {
    let said = [CHART, Workload::VERSION_LABEL].map(|label| differ(place.workload, main, label));
    said.contains(&Some(false)) || is_part(detection, place) && !said.contains(&Some(true))
}

/// Whether it is marked only as one of several parts, and nothing of it looks like the main one.
fn is_part(detection: &Detection, place: &Place<'_>) -> bool {
    let Place { workload, signs } = place;
    let is_part = |sign: &Sign| matches!(sign, Sign::Chart | Sign::PartOf);
    let is_container = |container: &Container| detection.container.as_ref() == Some(&container.name);
    let is_named = workload.kind == detection.kind && begins_or_ends_so(detection, workload);
    signs.iter().all(is_part) && !is_named && !workload.containers.iter().any(is_container)
}

/// Whether two workloads have different values of a label; nothing where one has none.
fn differ(one: &Workload, other: &Workload, label: &str) -> Option<bool> {
    Some(one.label(label)? != other.label(label)?)
}

/// Every release that the tags of a workload's images name, whosever they are.
fn tags(workload: &Workload) -> impl Iterator<Item = AddonVersion> {
    let tags = workload.containers.iter().filter_map(|it| ImageReference::parse(&it.image)?.tag);
    tags.filter_map(|tag| version_of_tag(tag).ok().flatten())
}

/// The containers that tell the version. Elsewhere than usual they may be called anything.
pub(super) fn judged<'a>(
    detection: &'a Detection,
    workload: &'a Workload,
) -> impl Iterator<Item = &'a Container> {
    let name = detection.container.as_ref().filter(|_| is_usual(detection, workload));
    let named = move |it: &&Container| name.is_some_and(|name| it.name == *name);
    let has_named = containers(detection, workload).any(|it| named(&it));
    let named = containers(detection, workload).filter(named);
    named.chain(mine(detection, workload).filter(move |_| !has_named))
}

/// The release that one workload tells of.
fn version(addon: &Addon, workload: &Workload) -> Result<AddonVersion, Finding> {
    let told = readings(addon, workload)?;
    match told.first() {
        Some(version) if told.len() == 1 => Ok(*version),
        Some(_) | None => {
            let told: Vec<_> = told.iter().map(ToString::to_string).collect();
            let detail = format!("{workload}: {}", told.join(", "));
            Err(Finding::new(Reason::AddonVersionsDiffer, &addon.name, detail))
        }
    }
}

/// Every release that one workload tells of; at least one.
fn readings(addon: &Addon, workload: &Workload) -> Result<BTreeSet<AddonVersion>, Finding> {
    let unreadable =
        |why: String| Finding::new(Reason::AddonVersionUnreadable, &addon.name, format!("{workload}: {why}"));
    if !workload.rollout.is_settled() {
        let detail = format!("{workload}: {}", workload.rollout);
        return Err(Finding::new(Reason::AddonRollingOut, &addon.name, detail));
    }
    let detection = &addon.detection;
    let mut readings = images(detection, workload).map_err(unreadable)?;
    if detection.agree == Agree::All || readings.is_empty() {
        for label in &detection.also_read {
            match labelled(label, workload, detection.image.is_none()) {
                Ok(version) => drop(readings.insert(version)),
                Err(why) if detection.agree == Agree::All || detection.image.is_none() => {
                    return Err(unreadable(why));
                }
                Err(_) => {}
            }
        }
    }
    if readings.is_empty() { Err(unreadable(silent(detection, workload))) } else { Ok(readings) }
}

/// What the images say: tags and known digests.
fn images(detection: &Detection, workload: &Workload) -> Result<BTreeSet<AddonVersion>, String> {
    if detection.image.is_none() {
        return Ok(BTreeSet::new());
    }
    let (mut versions, mut silent) = (BTreeSet::new(), None);
    let mine: Vec<&Container> = mine(detection, workload).collect();
    for container in judged(detection, workload) {
        let reference = ImageReference::parse(&container.image);
        let digest = reference.and_then(|reference| detection.digests.get(reference.digest?).copied());
        let is_mine = mine.iter().any(|it| std::ptr::eq(*it, container));
        let tag = reference.map_or(Ok(None), |reference| tag(detection, &reference, is_mine));
        let tag = tag.map_err(|why| format!("{}: {why}", container.image))?;
        if digest.is_none() && tag.is_none() {
            silent = Some(&container.image);
        }
        versions.extend(digest.into_iter().chain(tag));
    }
    match silent {
        Some(image) if !versions.is_empty() => Err(format!("{image} tells no version")),
        Some(_) | None => Ok(versions),
    }
}

/// What the row's pattern reads; where it means another name of the image, what every tag of a release says.
fn tag(
    detection: &Detection,
    reference: &ImageReference<'_>,
    is_mine: bool,
) -> Result<Option<AddonVersion>, String> {
    let (Some(pattern), Some(tag), Some(tagged)) = (&detection.image, reference.tag, reference.tagged())
    else {
        return Ok(None);
    };
    match pattern.version(&tagged)? {
        Some(version) => Ok(Some(version)),
        // kubeadm takes a tag as it is, whatever stands behind a version.
        None if is_mine && !detection.of_kubeadm => {
            let as_published = |end: &str| pattern.version(&format!("{end}:{tag}")).transpose();
            let published = detection.ends().find_map(as_published);
            published.map_or_else(|| version_of_tag(tag), |version| version.map(Some))
        }
        None => Ok(None),
    }
}

/// What a label says. Where the tags of images are not the add-on's version, a label that repeats one is not either.
fn labelled(label: &str, workload: &Workload, are_parts: bool) -> Result<AddonVersion, String> {
    let value = workload.labels.get(label).ok_or_else(|| format!("it has no label {label}"))?;
    let version = value.parse().map_err(|error| format!("its label {label}: {error}"))?;
    if are_parts && tags(workload).any(|tag| tag == version) {
        return Err(format!("its label {label} tells the version of its image, {version}"));
    }
    Ok(version)
}

/// Why nothing said a version.
fn silent(detection: &Detection, workload: &Workload) -> String {
    let images: Vec<_> =
        containers(detection, workload).map(|it| format!("{}={}", it.name, it.image)).collect();
    let is_there = |name: &&str| containers(detection, workload).any(|it| it.name == **name);
    let wanted = detection.container.as_deref().filter(is_there).unwrap_or("any container");
    format!("no version in the image of {wanted} ({})", images.join(" "))
}
