//! Where an add-on is, and in which version.

use std::collections::BTreeSet;

use crate::inventory::{Container, ImageReference, Workload};
use crate::matrix::{Addon, AddonVersion, Agree, Detection, Reading};
use crate::reason::{Finding, Reason};

pub(super) enum Found {
    Nowhere,
    Version(AddonVersion),
    Unknown(Finding),
}

/// The version of an add-on, if one can be told.
pub(super) fn find(addon: &Addon, workloads: &[Workload]) -> Found {
    let places = places(&addon.detection, workloads);
    if places.is_empty() {
        return Found::Nowhere;
    }
    let mut versions = BTreeSet::new();
    for workload in &places {
        match version(addon, workload) {
            Ok(version) => drop(versions.insert(version)),
            Err(finding) => return Found::Unknown(finding),
        }
    }
    let mut versions = versions.into_iter();
    match (versions.next(), versions.next()) {
        (Some(version), None) => Found::Version(version),
        (first, second) => {
            let told: Vec<_> =
                first.into_iter().chain(second).chain(versions).map(|v| v.to_string()).collect();
            let places: Vec<_> = places.iter().map(ToString::to_string).collect();
            let detail = format!("{} in {}", told.join(", "), places.join(", "));
            Found::Unknown(Finding::new(Reason::AddonVersionsDiffer, &addon.name, detail))
        }
    }
}

/// Where an add-on is: where its row says, or else wherever its image is.
pub(super) fn places<'a>(detection: &Detection, workloads: &'a [Workload]) -> Vec<&'a Workload> {
    if let Some(usual) = workloads.iter().find(|workload| is_usual(detection, workload)) {
        return vec![usual];
    }
    workloads
        .iter()
        .filter(|workload| containers(detection, workload).any(|it| is_meant(detection, it)))
        .collect()
}

fn is_usual(detection: &Detection, workload: &Workload) -> bool {
    let Detection { kind, namespace, resource, .. } = detection;
    workload.kind == *kind && workload.namespace == *namespace && workload.name == *resource
}

fn containers<'a>(detection: &Detection, workload: &'a Workload) -> impl Iterator<Item = &'a Container> {
    let inits = if detection.init_containers { workload.init_containers.as_slice() } else { &[] };
    workload.containers.iter().chain(inits)
}

/// Whether a container's image is the add-on's, whatever its tag.
fn is_meant(detection: &Detection, container: &Container) -> bool {
    let Some(reference) = ImageReference::parse(&container.image) else { return false };
    let is_named = detection.image.as_ref().is_some_and(|pattern| pattern.names(reference.repository));
    is_named || reference.digest.is_some_and(|digest| detection.digests.contains_key(digest))
}

/// The version that one workload runs.
fn version(addon: &Addon, workload: &Workload) -> Result<AddonVersion, Finding> {
    let unreadable =
        |why: String| Finding::new(Reason::AddonVersionUnreadable, &addon.name, format!("{workload}: {why}"));
    if !workload.rollout.is_settled() {
        let detail = format!("{workload}: {:?}", workload.rollout);
        return Err(Finding::new(Reason::AddonRollingOut, &addon.name, detail));
    }
    let detection = &addon.detection;
    let from_images = images(detection, workload).map_err(unreadable)?;
    let mut readings = from_images.clone();
    if detection.agree == Agree::All || readings.is_empty() {
        for reading in &detection.also_read {
            match second(reading, workload) {
                Ok(version) => readings.push(version),
                Err(why) if detection.agree == Agree::All => return Err(unreadable(why)),
                Err(_) => {}
            }
        }
    }
    let distinct: BTreeSet<_> = readings.iter().copied().collect();
    match distinct.len() {
        0 => Err(unreadable(silent(detection, workload))),
        1 => Ok(readings[0]),
        _ => {
            let told: Vec<_> = distinct.iter().map(ToString::to_string).collect();
            let detail = format!("{workload}: {}", told.join(", "));
            Err(Finding::new(Reason::AddonVersionsDiffer, &addon.name, detail))
        }
    }
}

/// What the images say: tags and known digests.
fn images(detection: &Detection, workload: &Workload) -> Result<Vec<AddonVersion>, String> {
    let Some(pattern) = &detection.image else { return Ok(Vec::new()) };
    // Elsewhere the container may be called anything.
    let name = detection.container.as_ref().filter(|_| is_usual(detection, workload));
    let named = |it: &&Container| name.map_or_else(|| is_meant(detection, it), |name| it.name == *name);
    let mut versions = Vec::new();
    for container in containers(detection, workload).filter(named) {
        let Some(reference) = ImageReference::parse(&container.image) else { continue };
        versions.extend(reference.digest.and_then(|digest| detection.digests.get(digest).copied()));
        if let Some(tagged) = reference.tagged() {
            let version = pattern.version(&tagged).map_err(|why| format!("{}: {why}", container.image))?;
            versions.extend(version);
        }
    }
    Ok(versions)
}

fn second(reading: &Reading, workload: &Workload) -> Result<AddonVersion, String> {
    match reading {
        Reading::Label(name) => {
            let value = workload.labels.get(name).ok_or_else(|| format!("it has no label {name}"))?;
            value.parse().map_err(|error| format!("its label {name}: {error}"))
        }
        Reading::HelmChart(chart) => Err(format!("the chart {chart} is not read")),
        Reading::Promql(query) => Err(format!("{query} is not asked")),
    }
}

/// Why nothing said a version.
fn silent(detection: &Detection, workload: &Workload) -> String {
    let images: Vec<_> =
        containers(detection, workload).map(|it| format!("{}={}", it.name, it.image)).collect();
    let wanted = detection.container.as_deref().unwrap_or("any container");
    format!("no version in the image of {wanted} ({})", images.join(" "))
}
