//! Where an add-on is, and in which version.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::inventory::{Container, ImageReference, Workload, WorkloadKind};
use crate::matrix::{Addon, AddonVersion, Agree, Detection, ImagePattern, Reading, last_part};
use crate::reason::{Finding, Reason};

pub(super) enum Found {
    Nowhere,
    /// In each of these releases: somewhere there may be a second one.
    Versions(BTreeSet<AddonVersion>),
    Unknown(Finding),
}

/// All workloads, so that many rows are looked up without looking at each workload for each row.
pub(super) struct Survey<'a> {
    by_name: HashMap<(WorkloadKind, &'a str), Vec<&'a Workload>>,
    /// By the last part of its path, and then by the whole of it.
    by_repository: HashMap<&'a str, BTreeMap<&'a str, Vec<Use<'a>>>>,
    by_digest: HashMap<&'a str, Vec<Use<'a>>>,
}

/// What many call a workload: by these names alone nothing is recognised.
const NO_NAMES: [&str; 5] = ["agent", "controller", "manager", "operator", "server"];

/// A workload that uses an image.
#[derive(Clone, Copy)]
struct Use<'a> {
    workload: &'a Workload,
    in_init_container: bool,
}

impl<'a> Survey<'a> {
    pub(super) fn of(workloads: &'a [Workload]) -> Self {
        let by_name = HashMap::with_capacity(workloads.len());
        let by_repository = HashMap::with_capacity(workloads.len());
        let mut survey = Self { by_name, by_repository, by_digest: HashMap::new() };
        for workload in workloads {
            survey.by_name.entry((workload.kind, &workload.name)).or_default().push(workload);
            survey.add(workload, &workload.containers, false);
            survey.add(workload, &workload.init_containers, true);
        }
        survey
    }

    fn add(&mut self, workload: &'a Workload, containers: &'a [Container], in_init_container: bool) {
        let used = Use { workload, in_init_container };
        for reference in containers.iter().filter_map(|it| ImageReference::parse(&it.image)) {
            let of_last = self.by_repository.entry(last_part(reference.repository)).or_default();
            of_last.entry(reference.repository).or_default().push(used);
            if let Some(digest) = reference.digest {
                self.by_digest.entry(digest).or_default().push(used);
            }
        }
    }

    /// Where an add-on is: where its row says first, then wherever else its image is, or something of its name, in any
    /// namespace: a mirror may call the image anything.
    pub(super) fn places(&self, detection: &Detection) -> Vec<&'a Workload> {
        let Detection { kind, resource, .. } = detection;
        let namesakes = self.by_name.get(&(*kind, resource.as_str())).map(Vec::as_slice).unwrap_or_default();
        let usual = namesakes.iter().copied().find(|it| is_usual(detection, it));
        let by_image = detection.image.as_ref().map(|pattern| self.by_image(detection, pattern));
        let tells = detection.image.is_none() || !NO_NAMES.contains(&resource.as_str());
        let by_name = namesakes.iter().copied().filter(|_| tells);
        let others: BTreeMap<_, _> = by_image
            .into_iter()
            .flatten()
            .chain(by_name)
            .filter(|it| !is_usual(detection, it))
            .map(|it| ((it.kind, &it.namespace, &it.name), it))
            .collect();
        usual.into_iter().chain(others.into_values()).collect()
    }

    fn by_image(&self, detection: &Detection, pattern: &ImagePattern) -> Vec<&'a Workload> {
        let looked_at: Vec<_> = match pattern.last_part() {
            Some(last) => self.by_repository.get(last).into_iter().collect(),
            None => self.by_repository.values().collect(),
        };
        let named = looked_at.into_iter().flatten().filter(|(repository, _)| pattern.names(repository));
        let known = detection.digests.keys().filter_map(|digest| self.by_digest.get(digest.as_str()));
        let uses = named.map(|(_, uses)| uses).chain(known).flatten();
        let read = uses.filter(|used| detection.init_containers || !used.in_init_container);
        let places: BTreeMap<_, _> = read
            .map(|Use { workload, .. }| ((workload.kind, &workload.namespace, &workload.name), *workload))
            .collect();
        places.into_values().collect()
    }
}

/// The releases of an add-on that is in these places, if they can be told.
pub(super) fn find(addon: &Addon, places: &[&Workload]) -> Found {
    let mut versions = BTreeSet::new();
    for workload in places {
        let told = match readings(addon, workload) {
            Ok(told) => told,
            Err(finding) => return Found::Unknown(finding),
        };
        match told.first() {
            // A part that tells the same release is no second installation.
            Some(version) if told.len() == 1 => drop(versions.insert(*version)),
            Some(_) | None => {
                let told: Vec<_> = told.iter().map(ToString::to_string).collect();
                let detail = format!("{workload}: {}", told.join(", "));
                return Found::Unknown(Finding::new(Reason::AddonVersionsDiffer, &addon.name, detail));
            }
        }
    }
    if versions.is_empty() { Found::Nowhere } else { Found::Versions(versions) }
}

fn is_usual(detection: &Detection, workload: &Workload) -> bool {
    let Detection { kind, namespace, resource, .. } = detection;
    workload.kind == *kind && workload.namespace == *namespace && workload.name == *resource
}

fn containers<'a>(detection: &Detection, workload: &'a Workload) -> impl Iterator<Item = &'a Container> {
    let inits = if detection.init_containers { workload.init_containers.as_slice() } else { &[] };
    workload.containers.iter().chain(inits)
}

/// The containers that tell the version. Elsewhere than usual they may be called anything.
pub(super) fn judged<'a>(
    detection: &'a Detection,
    workload: &'a Workload,
) -> impl Iterator<Item = &'a Container> {
    let name = detection.container.as_ref().filter(|_| is_usual(detection, workload));
    containers(detection, workload)
        .filter(move |it| name.map_or_else(|| is_meant(detection, it), |name| it.name == *name))
}

/// Whether a container's image is the add-on's, whatever its tag.
fn is_meant(detection: &Detection, container: &Container) -> bool {
    let Some(reference) = ImageReference::parse(&container.image) else { return false };
    let is_named = detection.image.as_ref().is_some_and(|pattern| pattern.names(reference.repository));
    is_named || reference.digest.is_some_and(|digest| detection.digests.contains_key(digest))
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
        for reading in &detection.also_read {
            match second(reading, workload) {
                Ok(version) => drop(readings.insert(version)),
                Err(why) if detection.agree == Agree::All => return Err(unreadable(why)),
                Err(_) => {}
            }
        }
    }
    if readings.is_empty() { Err(unreadable(silent(detection, workload))) } else { Ok(readings) }
}

/// What the images say: tags and known digests.
fn images(detection: &Detection, workload: &Workload) -> Result<BTreeSet<AddonVersion>, String> {
    let Some(pattern) = &detection.image else { return Ok(BTreeSet::new()) };
    let (mut versions, mut silent) = (BTreeSet::new(), None);
    for container in judged(detection, workload) {
        let reference = ImageReference::parse(&container.image);
        let digest = reference.and_then(|reference| detection.digests.get(reference.digest?).copied());
        let tagged = reference.and_then(|reference| reference.tagged());
        let tag = match tagged.map(|tagged| pattern.version(&tagged)) {
            Some(Ok(version)) => version,
            Some(Err(why)) => return Err(format!("{}: {why}", container.image)),
            None => None,
        };
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
