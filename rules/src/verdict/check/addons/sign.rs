//! By what a workload is recognised as an add-on's.
//!
//! ```text
//!   its usual place, its name, its image, a label that its project sets   each is enough
//!   half of an image's path, half of a name, the usual namespace          two of them are
//! ```

use std::collections::BTreeSet;

use crate::cluster::inventory::{Container, ImageReference, Workload};
use crate::facts::{Detection, NO_NAMES, chart_name, last_part};

/// What many call a workload: by these names alone nothing is recognised.
const NO_WORKLOADS: [&str; 6] = ["agent", "controller", "manager", "operator", "server", "source-controller"];
/// Namespaces in which many things live: to be there says nothing.
const SHARED_NAMESPACES: [&str; 4] = ["default", "kube-public", "kube-system", "monitoring"];
/// What some put before the name of an image that they have copied or built anew.
const COPIED: [&str; 2] = ["hardened-", "mirrored-"];

/// One sign that a workload is an add-on's, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sign {
    /// Kind, namespace and name are the usual ones.
    Place,
    /// Kind and name are.
    Name,
    /// An image is one of its main ones.
    Image,
    /// `app.kubernetes.io/name`.
    NameLabel,
    /// A label that its own project sets.
    Label,
    /// `helm.sh/chart`.
    Chart,
    /// `app.kubernetes.io/part-of`.
    PartOf,
    /// Half of it in several places.
    Halves,
}

/// A workload that is an add-on's, or one of its helpers.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) workload: &'a Workload,
    /// Never empty.
    pub(super) signs: BTreeSet<Sign>,
}

impl Sign {
    /// In words.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Place => "place",
            Self::Name => "name",
            Self::Image => "image",
            Self::NameLabel => NAME,
            Self::Label => "labels",
            Self::Chart => CHART,
            Self::PartOf => PART_OF,
            Self::Halves => "name, image or namespace in part",
        }
    }
}

pub(super) const NAME: &str = "app.kubernetes.io/name";
pub(super) const PART_OF: &str = "app.kubernetes.io/part-of";
pub(super) const CHART: &str = "helm.sh/chart";

impl<'a> Place<'a> {
    /// A workload, if anything tells that it is this add-on's.
    pub(super) fn of(detection: &Detection, workload: &'a Workload) -> Option<Self> {
        if detection.of_kubeadm && !is_usual(detection, workload)
            || is_of_another(detection, workload)
            || is_tool(detection, workload)
        {
            return None;
        }
        let signs = signs(detection, workload);
        (!signs.is_empty()).then_some(Self { workload, signs })
    }

    /// By what, in words.
    pub(super) fn by(&self) -> String {
        self.signs.iter().map(|sign| sign.name()).collect::<Vec<_>>().join(", ")
    }
}

fn signs(detection: &Detection, workload: &Workload) -> BTreeSet<Sign> {
    let mut signs = labels(detection, workload);
    if is_usual(detection, workload) {
        signs.insert(Sign::Place);
    } else if is_namesake(detection, workload) {
        signs.insert(Sign::Name);
    }
    if containers(detection, workload).any(|it| is_meant(detection, it) && !is_own(detection, workload, it)) {
        signs.insert(Sign::Image);
    }
    if signs.is_empty() && is_half_named(detection, workload) {
        signs.insert(Sign::Halves);
    }
    signs
}

/// What its labels, and those of its pods, tell.
fn labels(detection: &Detection, workload: &Workload) -> BTreeSet<Sign> {
    let mut signs = BTreeSet::new();
    let witnesses = &detection.witnesses;
    for (key, value) in workload.labels.iter().chain(&workload.pod_labels) {
        let (sign, is_there) = match key.as_str() {
            NAME => (Sign::NameLabel, witnesses.names.contains(value)),
            PART_OF => (Sign::PartOf, witnesses.part_of.contains(value)),
            CHART => (Sign::Chart, witnesses.charts.contains(chart_name(value))),
            key => {
                let is_this = |(name, wanted): &(String, String)| name == key && wanted == value;
                (Sign::Label, witnesses.labels.iter().any(is_this))
            }
        };
        if is_there {
            signs.insert(sign);
        }
    }
    signs
}

pub(super) fn is_usual(detection: &Detection, workload: &Workload) -> bool {
    let Detection { kind, namespace, resource, .. } = detection;
    workload.kind == *kind && workload.namespace == *namespace && workload.name == *resource
}

/// Whether it has the usual kind and name, and these tell.
fn is_namesake(detection: &Detection, workload: &Workload) -> bool {
    let Detection { kind, resource, .. } = detection;
    workload.kind == *kind && workload.name == *resource && identifies_by_name(detection)
}

/// Whether the usual kind and name tell in any namespace.
pub(super) fn identifies_by_name(detection: &Detection) -> bool {
    let has_image = detection.image.is_some() || detection.ends().next().is_some();
    !has_image || !NO_WORKLOADS.contains(&detection.resource.as_str())
}

pub(super) fn containers<'a>(
    detection: &Detection,
    workload: &'a Workload,
) -> impl Iterator<Item = &'a Container> {
    let inits = if detection.init_containers { workload.init_containers.as_slice() } else { &[] };
    workload.containers.iter().chain(inits)
}

/// Whether it runs the main image as a tool does, such as Rook's toolbox.
fn is_tool(detection: &Detection, workload: &Workload) -> bool {
    let tools = &detection.witnesses.not_labels;
    let bears = |(key, value): &(String, String)| {
        [&workload.labels, &workload.pod_labels].iter().any(|labels| labels.get(key) == Some(value))
    };
    tools.iter().any(bears)
}

/// Whether it runs an image of another project that is called alike.
pub(super) fn is_of_another(detection: &Detection, workload: &Workload) -> bool {
    let others = &detection.witnesses.not_images;
    let is_other =
        |repository: &str| others.iter().any(|end| ends_so(repository, end) || is_copy(repository, end));
    !others.is_empty()
        && containers(detection, workload)
            .any(|it| ImageReference::parse(&it.image).is_some_and(|it| is_other(it.repository)))
}

/// Whether a container's image is one of the add-on's main ones, whatever its registry and its tag.
pub(super) fn is_meant(detection: &Detection, container: &Container) -> bool {
    let Some(reference) = ImageReference::parse(&container.image) else { return false };
    let is_named =
        |repository: &str| detection.image.as_ref().is_some_and(|pattern| pattern.names(repository));
    let is_end =
        |repository: &str| detection.ends().any(|end| ends_so(repository, end) || is_copy(repository, end));
    is_end(reference.repository)
        || is_end(reference.plain_repository())
        || reference.digest.is_some_and(|digest| detection.digests.contains_key(digest))
        || is_named(reference.repository)
}

/// Whether the path ends with this end, at the beginning of a part.
pub(super) fn ends_so(repository: &str, end: &str) -> bool {
    let before = repository.strip_suffix(end);
    before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// Whether somebody has made one part of several, as registries of copies do: `a-b`, `mirrored-a-b` or `x_a_b` for `a/b`.
/// Before one part alone there stands what only a copy has there: many images end as another one is called.
pub(super) fn is_copy(repository: &str, end: &str) -> bool {
    let is_of_copies = |before: &str| {
        let has_host = before.contains('.') || before.split(is_joint).any(|word| word == "io");
        has_host || COPIED.iter().any(|word| before.starts_with(word))
    };
    joined(repository, end).is_some_and(|before| end.contains('/') || is_of_copies(before))
}

/// The same with any word before it, which may name somebody's own image.
fn is_prefixed(repository: &str, end: &str) -> bool {
    end.contains('-') && joined(repository, end).is_some()
}

fn is_joint(it: char) -> bool {
    matches!(it, '-' | '_' | '.')
}

/// What stands before this end in the last part of a path, if the end is joined to it there as one part.
fn joined<'r>(repository: &'r str, end: &str) -> Option<&'r str> {
    let mut parts = end.rsplit('/');
    let mut before = last_part(repository).strip_suffix(parts.next()?)?;
    for part in parts {
        before = before.strip_suffix(is_joint)?.strip_suffix(part)?;
    }
    (before.is_empty() || before.ends_with(is_joint)).then_some(before)
}

/// Whether its image is called as the workload is, in a folder called as its namespace is, and only a plain word of that is
/// the add-on's: somebody's own `shop/pilot`.
fn is_own(detection: &Detection, workload: &Workload, container: &Container) -> bool {
    let Some(reference) = ImageReference::parse(&container.image) else { return false };
    let is_plain = |end: &str| !end.contains(['/', '-']) || !ends_so(reference.repository, end);
    ends_so(reference.repository, &format!("{}/{}", workload.namespace, workload.name))
        && detection.ends().all(is_plain)
}

/// Whether the image is called as a main one is, in another folder: `mirror/controller` for `x/controller`.
fn is_alike(detection: &Detection, container: &Container) -> bool {
    names_end(detection, container, |name, end| name == last_part(end))
}

/// The same with a word before it: `corp-x-controller` for `x-controller`.
fn is_loosely_alike(detection: &Detection, container: &Container) -> bool {
    is_alike(detection, container) || names_end(detection, container, is_prefixed)
}

/// Whether the last part of an image's path is so to the end of a main one.
fn names_end(detection: &Detection, container: &Container, is_so: impl Fn(&str, &str) -> bool) -> bool {
    let Some(reference) = ImageReference::parse(&container.image) else { return false };
    let names = [reference.repository, reference.plain_repository()].map(last_part);
    detection.ends().any(|end| names.iter().any(|name| is_so(name, end)))
}

/// The containers whose images are the add-on's. Where none is for sure, and something else tells that the workload is the
/// add-on's, the last part of the path is enough.
pub(super) fn mine<'a>(
    detection: &'a Detection,
    workload: &'a Workload,
) -> impl Iterator<Item = &'a Container> {
    let has_meant = containers(detection, workload).any(|it| is_meant(detection, it));
    let is_backed = !has_meant && is_backed(detection, workload);
    containers(detection, workload)
        .filter(move |it| is_meant(detection, it) || is_backed && is_loosely_alike(detection, it))
}

/// Whether anything but its image tells, if only in part, that a workload is the add-on's.
fn is_backed(detection: &Detection, workload: &Workload) -> bool {
    is_usual(detection, workload)
        || is_in_its_namespace(detection, workload)
        || begins_or_ends_so(detection, workload)
        || !labels(detection, workload).is_empty()
}

/// Whether two halves make a whole: the last part of an image's path, the end of the name, the usual namespace.
fn is_half_named(detection: &Detection, workload: &Workload) -> bool {
    let has = |is_so: fn(&Detection, &Container) -> bool| {
        containers(detection, workload).any(|it| is_so(detection, it))
    };
    if is_in_its_namespace(detection, workload) {
        return ends_with_its_name(detection, workload) || has(is_loosely_alike);
    }
    // Whoever puts a word before both has made something of his own: `custom-x-server`.
    begins_or_ends_so(detection, workload) && has(is_alike)
}

pub(super) fn is_in_its_namespace(detection: &Detection, workload: &Workload) -> bool {
    workload.namespace == detection.namespace && !SHARED_NAMESPACES.contains(&detection.namespace.as_str())
}

/// Whether the name ends as the usual one does, whatever the kind: charts put the name of the release before it.
fn ends_with_its_name(detection: &Detection, workload: &Workload) -> bool {
    let before = workload.name.strip_suffix(detection.resource.as_str());
    is_distinctive(detection) && before.is_some_and(|before| before.is_empty() || before.ends_with('-'))
}

/// The same, or a revision stands behind it.
pub(super) fn begins_or_ends_so(detection: &Detection, workload: &Workload) -> bool {
    let behind = workload.name.strip_prefix(detection.resource.as_str());
    let begins_so = behind.is_some_and(|behind| behind.starts_with('-'));
    is_distinctive(detection) && (begins_so || ends_with_its_name(detection, workload))
}

/// Whether not everybody calls something by the usual name.
fn is_distinctive(detection: &Detection) -> bool {
    !NO_NAMES.contains(&detection.resource.as_str())
}
