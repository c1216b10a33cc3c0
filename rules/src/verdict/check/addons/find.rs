//! Where an add-on is, and in which version.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::inventory::{Container, ImageReference, Workload, WorkloadKind};
use crate::matrix::{Addon, AddonVersion, Agree, Detection, Reading};
use crate::reason::{Finding, Reason};

pub(super) enum Found {
    Nowhere,
    Version(AddonVersion),
    Unknown(Finding),
}

/// All workloads, so that many rows are looked up without looking at each workload for each row.
pub(super) struct Survey<'a> {
    by_name: HashMap<(WorkloadKind, &'a str, &'a str), &'a Workload>,
    by_repository: BTreeMap<&'a str, Vec<Use<'a>>>,
    by_digest: HashMap<&'a str, Vec<Use<'a>>>,
}

/// A workload that uses an image.
#[derive(Clone, Copy)]
struct Use<'a> {
    workload: &'a Workload,
    in_init_container: bool,
}

impl<'a> Survey<'a> {
    pub(super) fn of(workloads: &'a [Workload]) -> Self {
        let named = |it: &'a Workload| ((it.kind, it.namespace.as_str(), it.name.as_str()), it);
        let by_name = workloads.iter().map(named).collect();
        let mut survey = Self { by_name, by_repository: BTreeMap::new(), by_digest: HashMap::new() };
        for workload in workloads {
            survey.add(workload, &workload.containers, false);
            survey.add(workload, &workload.init_containers, true);
        }
        survey
    }

    fn add(&mut self, workload: &'a Workload, containers: &'a [Container], in_init_container: bool) {
        let used = Use { workload, in_init_container };
        for reference in containers.iter().filter_map(|it| ImageReference::parse(&it.image)) {
            self.by_repository.entry(reference.repository).or_default().push(used);
            if let Some(digest) = reference.digest {
                self.by_digest.entry(digest).or_default().push(used);
            }
        }
    }

    /// Where an add-on is: where its row says, or else wherever its image is.
    pub(super) fn places(&self, detection: &Detection) -> Vec<&'a Workload> {
        let usual = (detection.kind, detection.namespace.as_str(), detection.resource.as_str());
        if let Some(usual) = self.by_name.get(&usual) {
            return vec![usual];
        }
        let is_named =
            |repository: &str| detection.image.as_ref().is_some_and(|pattern| pattern.names(repository));
        let named = self.by_repository.iter().filter(|(repository, _)| is_named(repository));
        let known = detection.digests.keys().filter_map(|digest| self.by_digest.get(digest.as_str()));
        let uses = named.map(|(_, uses)| uses).chain(known).flatten();
        let read = uses.filter(|used| detection.init_containers || !used.in_init_container);
        let places: BTreeMap<_, _> = read
            .map(|Use { workload, .. }| ((workload.kind, &workload.namespace, &workload.name), *workload))
            .collect();
        places.into_values().collect()
    }
}

/// The version of an add-on that is in these places, if one can be told.
pub(super) fn find(addon: &Addon, places: &[&Workload]) -> Found {
    if places.is_empty() {
        return Found::Nowhere;
    }
    let mut versions = BTreeSet::new();
    for workload in places {
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
                first.into_iter().chain(second).chain(versions).map(|it| it.to_string()).collect();
            let places: Vec<_> = places.iter().map(ToString::to_string).collect();
            let detail = format!("{} in {}", told.join(", "), places.join(", "));
            Found::Unknown(Finding::new(Reason::AddonVersionsDiffer, &addon.name, detail))
        }
    }
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
