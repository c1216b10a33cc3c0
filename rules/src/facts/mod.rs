//! What is known of versions beyond the cluster: which add-on fits which minor, what a minor removes, what a node must
//! run. Facts with a source and a date, in files that people may replace.
//!
//! ```text
//!   rules/data/*.yaml ──▶ built in ─┐
//!   the operator's files ───────────┴─▶ Matrix ──▶ verdict
//! ```
//!
//! A file has `schema: 2`, the date `as_of` of its facts, and any of the sections; several documents in one file, split
//! by `---`, are as several files, each with its own date. A section that an operator's file has takes the place of the
//! built-in one whole, and may forget nothing of it where [`Section::forgotten`] says so, or is joined with it row by row
//! where [`Section::join`] does. A section that is older than its `max_age_days` says nothing: the checks that need it are
//! unknown.

mod accept;
mod addon;
mod bundle;
mod component;
mod digest;
mod field;
mod mistake;
mod node;
mod older;
mod policy;
mod reader;
mod release;
pub mod reload;
mod removed_api;
mod risk;
mod schema;
mod text;
mod tree;
mod volume_plugin;

use jiff::Timestamp;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::de::{Deserialize, Deserializer, Error as _};

use self::field::{Field, Notes};
use self::older::Replaced;
use self::text::As;
use self::tree::Tree;
use crate::reason::{Finding, Reason};

pub use accept::{ACCEPTABLE, Accept, Accepts, Of, is_acceptable};
pub use addon::{
    Addon, AddonVersion, Addons, Agree, CeilingRaisedBy, Claim, Coverage, Detection, Fit, Floors, IfAbsent,
    ImagePattern, Kernel, Lifecycle, NotAnAddonVersion, Pin, Requires, Support, VersionRange, Window,
    Witnesses,
};
pub(crate) use addon::{NO_NAMES, chart_name, last_part, version_of_tag};
pub use bundle::bundle;
pub use component::{Components, Format, GateChanges, GateOutcome, Hop, Kubeadm, RemovedFlags, RemovedName};
pub use digest::Digest;
pub use mistake::{Mistake, Place};
pub use node::{CgroupV1, Containerd, CriO, Docker, EtcdFloors, Floor, Kernels, Recommended, Runtimes};
pub use older::Older;
pub use policy::{
    AddonPods, Beyond, Ghosts, HelmManifests, NewerAddon, NewerKubernetes, NotCovered, OutsideTested, Policy,
    ShortProof,
};
pub use release::{Release, Releases};
pub use removed_api::{IgnoredWriter, RemovedApi, RemovedApis};
pub use risk::{Risk, Risks, Severity};
pub use schema::json_schema;
pub use volume_plugin::{VolumePlugin, VolumePlugins};

/// The files that are built in, by name.
const BUILT_IN: [(&str, &str); 6] = [
    ("addons.yaml", include_str!("../../data/addons.yaml")),
    ("components.yaml", include_str!("../../data/components.yaml")),
    ("nodes.yaml", include_str!("../../data/nodes.yaml")),
    ("releases.yaml", include_str!("../../data/releases.yaml")),
    ("removed-apis.yaml", include_str!("../../data/removed-apis.yaml")),
    ("volume-plugins.yaml", include_str!("../../data/volume-plugins.yaml")),
];
/// How much text a file may have: the cluster's own limit for a ConfigMap is half of it.
pub const FILE_BYTES_MAX: usize = 2 << 20;
/// How old facts may be where their file does not say.
const MAX_AGE_DAYS: u32 = 180;

/// Everything that is known, section by section.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matrix {
    /// Until when each minor gets patches.
    pub releases: Part<Releases>,
    /// Container runtimes for each minor.
    pub runtimes: Part<Runtimes>,
    /// Kernels that work.
    pub kernels: Part<Kernels>,
    /// Until when cgroup v1 is enough.
    pub cgroup_v1: Part<CgroupV1>,
    /// Releases of etcd that an upgrade may begin from.
    pub etcd: Part<EtcdFloors>,
    /// What minors take away from how the components are configured.
    pub components: Part<Components>,
    /// What API servers stop to serve.
    pub removed_apis: Part<RemovedApis>,
    /// What kubelets stop to mount.
    pub volume_plugins: Part<VolumePlugins>,
    /// Dangers on the way between two versions. None is built in.
    pub risks: Part<Risks>,
    /// Which release of which add-on fits which minor.
    pub addons: Part<Addons>,
    /// What an operator wants where facts leave a choice. Wishes do not age.
    pub policy: Part<Policy>,
    /// What a person accepts although it stands in the way. Wishes too.
    pub accept: Part<Accepts>,
    /// The files that all of it is from, the later ones over the earlier ones.
    pub files: Vec<String>,
    /// What of them has taken the place of something newer.
    pub older: Vec<Older>,
    /// The mistakes of files that should have taken the place of these; none if these are what is wanted.
    pub refused: Vec<Mistake>,
}

/// A section with where it comes from and how old it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Part<T> {
    /// The file it was read from; empty if no file has it.
    pub file: String,
    /// The date of its facts. Of several files it is the oldest, or the newest where each row has its own.
    pub as_of: Option<Date>,
    /// How old the facts may be.
    pub max_age_days: u32,
    /// The facts.
    pub value: T,
}

/// How old a section is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// Its key.
    pub section: &'static str,
    /// The date of its facts; nothing if no file has it.
    pub as_of: Option<Date>,
    /// How old the facts may be.
    pub max_age_days: u32,
}

/// A kind of facts: a key of a file.
pub(crate) trait Section: for<'de> Deserialize<'de> + JsonSchema + Default + PartialEq {
    /// The key.
    const KEY: &'static str;

    /// Reads it; what is wrong has been noted where nothing comes back.
    fn read(field: &Field<'_>) -> Option<Self> {
        field.read()
    }

    /// What holds if a later file has the section too: that file's.
    fn join(self, later: Self) -> Self {
        later
    }

    /// What a later file has forgotten, where it must know everything that an earlier one does: what a person does not
    /// write down again would be lost unseen.
    fn forgotten(&self, _later: &Self) -> Vec<String> {
        Vec::new()
    }

    /// What a later file says otherwise, so that it must not be the older one. Wishes have no age.
    fn replaced(&self, later: &Self) -> Vec<Replaced> {
        if self == later { Vec::new() } else { vec![Replaced::WHOLE] }
    }

    /// Whether rows of both files count, so that it is as old as the older one.
    const IS_JOINED: bool = false;

    /// How many rows there may be of all files together, if there are too many of them.
    fn too_many(&self) -> Option<usize> {
        None
    }

    /// Whether each row has a date of its own, so that files of different age may be joined and only old rows are.
    const ROWS_ARE_DATED: bool = false;

    /// Dates the rows that have no date of their own.
    fn date(self, _as_of: Option<Date>) -> Self {
        self
    }
}

impl Matrix {
    /// What is built in.
    #[must_use]
    pub fn built_in() -> Self {
        Self::load(&[]).expect("a test reads the files that are built in")
    }

    /// What is built in, with `files` (name and text) over it, in their order.
    ///
    /// # Errors
    /// Every mistake of every file.
    pub fn load(files: &[(&str, &str)]) -> Result<Self, Vec<Mistake>> {
        let mut matrix = Self::default();
        let mut mistakes = matrix.lay(&BUILT_IN);
        mistakes.extend(matrix.lay(files));
        if mistakes.is_empty() { Ok(matrix) } else { Err(mistakes) }
    }

    /// Lays files over what is there; what comes back is wrong with them.
    pub fn lay(&mut self, files: &[(&str, &str)]) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        for (name, text) in files {
            let notes = Notes::new(name, schema::schema);
            match Tree::documents(name, text) {
                Ok(trees) => trees.iter().for_each(|tree| self.read(name, &Field::whole(tree, &notes))),
                Err(mistake) => mistakes.push(mistake),
            }
            mistakes.extend(notes.into_mistakes());
            self.files.push((*name).to_owned());
        }
        mistakes
    }

    /// The date of the facts of each section and how old they may be, for people and metrics. Wishes have none.
    #[must_use]
    pub fn ages(&self) -> Vec<Age> {
        let Self {
            releases,
            runtimes,
            kernels,
            cgroup_v1,
            etcd,
            components,
            removed_apis,
            volume_plugins,
            risks,
            addons,
            policy: _,
            accept: _,
            files: _,
            older: _,
            refused: _,
        } = self;
        // What no file has does not age.
        let risks = (!risks.file.is_empty()).then(|| age(risks));
        let built_in = [
            age(releases),
            age(runtimes),
            age(kernels),
            age(cgroup_v1),
            age(etcd),
            age(components),
            age(removed_apis),
            age(volume_plugins),
            age(addons),
        ];
        built_in.into_iter().chain(risks).collect()
    }

    fn read(&mut self, file: &str, field: &Field<'_>) {
        let head = field.part("head").read();
        if !field.is_mapping() {
            return;
        }
        let head = Reading { file, head: head.unwrap_or_default() };
        let older = &mut self.older;
        head.section(field, &mut self.releases, older);
        head.section(field, &mut self.removed_apis, older);
        head.section(field, &mut self.volume_plugins, older);
        head.section(field, &mut self.risks, older);
        head.section(field, &mut self.addons, older);
        head.section(field, &mut self.policy, older);
        head.section(field, &mut self.accept, older);
        head.section(field, &mut self.runtimes, older);
        head.section(field, &mut self.kernels, older);
        head.section(field, &mut self.cgroup_v1, older);
        head.section(field, &mut self.etcd, older);
        head.section(field, &mut self.components, older);
        field.finish();
    }
}

/// Whether a text is meant to be a file of facts, also where it has mistakes: it has a `schema`.
#[must_use]
pub fn has_schema(text: &str) -> bool {
    let notes = Notes::new("", schema::schema);
    let has_it = |tree: &Tree| Field::whole(tree, &notes).get("schema").is_some();
    match Tree::documents("", text) {
        Ok(trees) => trees.iter().any(has_it),
        Err(_mistake) => text.lines().any(|line| {
            let line = line.trim_start_matches(|c: char| c == '{' || c.is_whitespace());
            line.starts_with("schema:") || line.starts_with("\"schema\"")
        }),
    }
}

/// Facts about versions, on top of the built-in ones.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
struct Head {
    /// Which kind of file this is: 2, the only schema of this version.
    #[serde(rename = "schema", deserialize_with = "only_schema")]
    #[schemars(extend("const" = 2))]
    _schema: u32,
    /// The day of the facts in this file. They say nothing once they are older than max_age_days.
    #[serde(with = "As::<Date>")]
    as_of: Option<Date>,
    /// How many days old the facts may be; 180 by default. Of rows that are joined with those of other files the
    /// shortest counts.
    #[serde(default = "max_age_days")]
    max_age_days: u32,
}

fn max_age_days() -> u32 {
    MAX_AGE_DAYS
}

fn only_schema<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    match u32::deserialize(from)? {
        2 => Ok(2),
        _ => Err(D::Error::custom("2, the only schema of this version")),
    }
}

/// A file that is read, and what its head says of all its sections.
struct Reading<'a> {
    file: &'a str,
    head: Head,
}

impl Reading<'_> {
    fn section<T: Section>(&self, field: &Field<'_>, part: &mut Part<T>, older: &mut Vec<Older>) {
        let Some(field) = field.get(T::KEY) else { return };
        let Some(later) = T::read(&field) else { return };
        let forgotten = part.value.forgotten(&later);
        if let Some(first) = forgotten.first() {
            let before = format!("what {} has too", part.file);
            field.wrong(format!(
                "{before} ({} are left out, such as {first}): a section is given whole",
                forgotten.len()
            ));
        }
        let is_first = part.file.is_empty();
        if !is_first {
            older.extend(self.older(part, &later));
        }
        part.value = std::mem::take(&mut part.value).join(later.date(self.head.as_of));
        if let Some(max) = part.value.too_many() {
            field.wrong(format!("at most {max} of them, with those before it"));
            // The file is refused, so the list need not grow any further.
            part.value = T::default();
        }
        part.as_of = match (is_first, T::ROWS_ARE_DATED, T::IS_JOINED) {
            (false, true, _) => part.as_of.max(self.head.as_of),
            (false, false, true) => part.as_of.min(self.head.as_of),
            (true, _, _) | (false, false, false) => self.head.as_of,
        };
        let stays = T::ROWS_ARE_DATED || T::IS_JOINED;
        let max_age_days = self.head.max_age_days;
        // Rows of several files: no file makes those of another one young.
        part.max_age_days =
            if is_first || !stays { max_age_days } else { part.max_age_days.min(max_age_days) };
        part.file =
            if is_first || !stays { self.file.to_owned() } else { format!("{}, {}", part.file, self.file) };
    }

    /// What takes the place of something newer.
    fn older<T: Section>(&self, part: &Part<T>, later: &T) -> Vec<Older> {
        let older = |Replaced { row, was, is }| {
            let (newer_as_of, as_of) = (was.or(part.as_of)?, is.or(self.head.as_of)?);
            (as_of < newer_as_of).then(|| Older {
                file: self.file.to_owned(),
                as_of,
                about: row.map_or_else(|| T::KEY.to_owned(), |row| format!("{} {row}", T::KEY)),
                newer_file: part.file.clone(),
                newer_as_of,
            })
        };
        part.value.replaced(later).into_iter().filter_map(older).collect()
    }
}

fn age<T: Section>(part: &Part<T>) -> Age {
    Age { section: T::KEY, as_of: part.as_of, max_age_days: part.max_age_days }
}

impl<T> Part<T> {
    /// The facts, if they are young enough to say anything.
    ///
    /// # Errors
    /// There are none, or they are too old.
    pub fn fresh(&self, now: Timestamp) -> Result<&T, Finding> {
        let stale = |why: String| Err(Finding::new(Reason::MatrixStale, self.file.clone(), why));
        let Some(as_of) = self.as_of else { return stale("there are no facts".to_owned()) };
        if is_of_the_future(as_of, now) {
            return stale(format!("its facts are of {as_of}, which is a day to come"));
        }
        if self.age_seconds(now) > u64::from(self.max_age_days) * 86_400 {
            return stale(format!(
                "its facts are of {as_of}, at most {} days are allowed",
                self.max_age_days
            ));
        }
        Ok(&self.value)
    }

    /// How old the facts are; those of tomorrow are new.
    #[must_use]
    pub fn age_seconds(&self, now: Timestamp) -> u64 {
        self.as_of.map_or(u64::MAX, |as_of| age_seconds(as_of, now))
    }
}

impl Part<Addons> {
    /// Whether a row is young enough to say anything. What is retired does not change any more.
    ///
    /// # Errors
    /// It is too old.
    pub fn young(&self, addon: &Addon, now: Timestamp) -> Result<(), Finding> {
        let Some(as_of) = addon.as_of.filter(|_| addon.lifecycle == Lifecycle::Active) else { return Ok(()) };
        let is_old = age_seconds(as_of, now) > u64::from(self.max_age_days) * 86_400;
        if !is_old && !is_of_the_future(as_of, now) {
            return Ok(());
        }
        let why = format!("its row is of {as_of}, at most {} days are allowed", self.max_age_days);
        Err(Finding::new(Reason::MatrixStale, &addon.name, why))
    }
}

/// Whether a day is later than tomorrow, which is today somewhere: what is dated so would never grow old.
fn is_of_the_future(as_of: Date, now: Timestamp) -> bool {
    now.to_zoned(jiff::tz::TimeZone::UTC).date().tomorrow().is_ok_and(|tomorrow| tomorrow < as_of)
}

/// How old facts of a day are; those of tomorrow are new.
pub(crate) fn age_seconds(as_of: Date, now: Timestamp) -> u64 {
    as_of
        .to_zoned(jiff::tz::TimeZone::UTC)
        .map_or(u64::MAX, |began| u64::try_from(now.duration_since(began.timestamp()).as_secs()).unwrap_or(0))
}

#[cfg(test)]
mod tests;
