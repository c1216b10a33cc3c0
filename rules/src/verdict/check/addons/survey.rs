//! Every workload looked at once for all rows: what a row may be recognised by leads to the row.

use std::collections::HashMap;

use super::sign::{
    CHART, NAME, PART_OF, Place, begins_or_ends_so, ends_so, identifies_by_name, is_copy,
    is_in_its_namespace, is_usual,
};
use crate::cluster::inventory::{ImageReference, Workload, WorkloadKind};
use crate::facts::{Addon, Addons, Detection, chart_name, last_part};

/// The number of a row.
type Row = usize;

/// Where the add-ons of all rows are.
pub(super) struct Survey<'a> {
    /// In the order of the rows.
    places: Vec<Vec<Place<'a>>>,
}

impl<'a> Survey<'a> {
    pub(super) fn of(addons: &Addons, workloads: &'a [Workload]) -> Self {
        let mut index = Index::of(addons);
        let mut places: Vec<Vec<Place<'a>>> = addons.0.iter().map(|_| Vec::new()).collect();
        for workload in workloads {
            for row in index.rows(workload) {
                places[row].extend(Place::of(index.detections[row], workload));
            }
        }
        // The usual place comes first, whatever the order of what was read.
        for places in &mut places {
            places.sort_unstable_by(|one, other| key(one).cmp(&key(other)));
        }
        Self { places }
    }

    /// Each row with its places.
    pub(super) fn rows<'s>(
        &'s self,
        addons: &'s Addons,
    ) -> impl Iterator<Item = (&'s Addon, &'s [Place<'a>])> {
        addons.0.iter().zip(self.places.iter().map(Vec::as_slice))
    }

    /// Every workload that is of some row.
    pub(super) fn workloads(&self) -> impl Iterator<Item = &'a Workload> {
        self.places.iter().flatten().map(|place| place.workload)
    }
}

fn key<'a>(place: &Place<'a>) -> (bool, WorkloadKind, &'a str, &'a str) {
    let Workload { kind, namespace, name, .. } = place.workload;
    (!place.signs.contains(&super::sign::Sign::Place), *kind, namespace, name)
}

/// The rows by what they are recognised by. It may lead to a row too many, and [`Place::of`] has the last word.
#[derive(Default)]
struct Index<'r> {
    detections: Vec<&'r Detection>,
    /// Of names that tell wherever they are.
    by_name: HashMap<(WorkloadKind, &'r str), Vec<Row>>,
    by_namespace: HashMap<&'r str, Vec<Row>>,
    /// By the last part of an end, with the end.
    by_image: HashMap<&'r str, Vec<(Row, &'r str)>>,
    /// By the last word of the last part, with the end.
    by_word: HashMap<&'r str, Vec<(Row, &'r str)>>,
    by_digest: HashMap<&'r str, Vec<Row>>,
    /// By key and value, the chart without its version.
    by_label: HashMap<&'r str, HashMap<&'r str, Vec<Row>>>,
    /// Patterns that do not say plainly which repositories they mean.
    patterns: Vec<Row>,
    /// What those mean, by repository.
    by_repository: HashMap<String, Vec<Row>>,
}

impl<'r> Index<'r> {
    fn of(addons: &'r Addons) -> Self {
        let mut index = Self::default();
        for (row, addon) in addons.0.iter().enumerate() {
            index.add(row, &addon.detection);
        }
        index
    }

    fn add(&mut self, row: Row, detection: &'r Detection) {
        self.detections.push(detection);
        if identifies_by_name(detection) {
            self.by_name.entry((detection.kind, &detection.resource)).or_default().push(row);
        }
        self.by_namespace.entry(&detection.namespace).or_default().push(row);
        for end in detection.ends() {
            let last = last_part(end);
            self.by_image.entry(last).or_default().push((row, end));
            self.by_word.entry(last_word(last)).or_default().push((row, end));
        }
        for digest in detection.digests.keys() {
            self.by_digest.entry(digest).or_default().push(row);
        }
        if detection.image.as_ref().is_some_and(|pattern| pattern.end().is_none()) {
            self.patterns.push(row);
        }
        let witnesses = &detection.witnesses;
        let standard = [(NAME, &witnesses.names), (PART_OF, &witnesses.part_of), (CHART, &witnesses.charts)];
        let standard =
            standard.into_iter().flat_map(|(key, all)| all.iter().map(move |value| (key, value.as_str())));
        let own = witnesses.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        for (key, value) in standard.chain(own) {
            self.by_label.entry(key).or_default().entry(value).or_default().push(row);
        }
    }

    /// The rows that may mean a workload, each once.
    fn rows(&mut self, workload: &Workload) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        rows.extend(self.by_name.get(&(workload.kind, workload.name.as_str())).into_iter().flatten());
        let here = self.by_namespace.get(workload.namespace.as_str()).into_iter().flatten();
        rows.extend(here.filter(|row| {
            let detection = self.detections[**row];
            is_in_its_namespace(detection, workload) || is_usual(detection, workload)
        }));
        for (key, value) in workload.labels.iter().chain(&workload.pod_labels) {
            if let Some(by_value) = self.by_label.get(key.as_str()) {
                let value = if key == CHART { chart_name(value) } else { value.as_str() };
                rows.extend(by_value.get(value).into_iter().flatten());
            }
        }
        for container in workload.all_containers() {
            if let Some(reference) = ImageReference::parse(&container.image) {
                self.of_image(&reference, workload, &mut rows);
            }
        }
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    fn of_image(&mut self, reference: &ImageReference<'_>, workload: &Workload, rows: &mut Vec<Row>) {
        let repository = reference.repository;
        let plain = reference.plain_repository();
        self.of_path(repository, workload, rows);
        if plain != repository {
            self.of_path(plain, workload, rows);
        }
        let known = reference.digest.and_then(|digest| self.by_digest.get(digest));
        rows.extend(known.into_iter().flatten());
        if self.patterns.is_empty() {
            return;
        }
        if let Some(meant) = self.by_repository.get(repository) {
            return rows.extend(meant);
        }
        let means = |row: &Row| {
            let pattern = self.detections[*row].image.as_ref();
            pattern.is_some_and(|pattern| pattern.names(repository))
        };
        let meant: Vec<Row> = self.patterns.iter().copied().filter(means).collect();
        rows.extend(&meant);
        self.by_repository.insert(repository.to_owned(), meant);
    }

    fn of_path(&self, repository: &str, workload: &Workload, rows: &mut Vec<Row>) {
        let last = last_part(repository);
        let alike = self.by_image.get(last).into_iter().flatten();
        // Of what many images are called, the name of the workload has to tell the rest.
        let alike = alike.filter(|(row, end)| {
            ends_so(repository, end) || begins_or_ends_so(self.detections[*row], workload)
        });
        let copies = self.by_word.get(last_word(last)).into_iter().flatten();
        let copies = copies.filter(|(_, end)| is_copy(repository, end));
        rows.extend(alike.chain(copies).map(|(row, _)| *row));
    }
}

/// What stands behind the last dash, underscore or dot.
fn last_word(part: &str) -> &str {
    part.rsplit(['-', '_', '.']).next().unwrap_or(part)
}
