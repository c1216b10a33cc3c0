//! How a row is written where that is not how it is used, and what its fields must be together.

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Addon, Addons, Detection, Lifecycle, Pin};
use crate::cluster::inventory::{Workload, WorkloadKind};
use crate::facts::Section;
use crate::facts::older::Replaced;
use crate::facts::text::{As, Filled, Lack, Remark, Row, Source, Text};
use crate::words::version::Minor;

/// How many rows a list may have, and those of all files together: with the bound of each pattern, this is what they may
/// take of memory.
const ADDONS_MAX: usize = 1000;
const JOINED_MAX: usize = 2 * ADDONS_MAX;

impl Section for Addons {
    const KEY: &'static str = "addons";

    const ROWS_ARE_DATED: bool = true;

    fn date(mut self, as_of: Option<Date>) -> Self {
        for row in &mut self.0 {
            row.as_of = row.as_of.or(as_of);
        }
        self
    }

    fn too_many(&self) -> Option<usize> {
        (self.0.len() > JOINED_MAX).then_some(JOINED_MAX)
    }

    fn replaced(&self, later: &Self) -> Vec<Replaced> {
        let replaced = |row: &Addon| {
            let known = self.0.iter().find(|known| known.name == row.name)?;
            let is_same = *known == Addon { as_of: known.as_of, ..row.clone() };
            (!is_same).then(|| Replaced { row: Some(row.name.clone()), was: known.as_of, is: row.as_of })
        };
        later.0.iter().filter_map(replaced).collect()
    }

    /// Row by row: a later file's row takes the place of the one of its name.
    fn join(mut self, later: Self) -> Self {
        for row in later.0 {
            match self.0.iter_mut().find(|known| known.name == row.name) {
                Some(known) => *known = row,
                None => self.0.push(row),
            }
        }
        self
    }
}

impl Row for Addon {
    const MAX: usize = ADDONS_MAX;

    fn once(&self) -> Option<String> {
        Some(format!("one row for {}", self.name))
    }
}

impl Row for Detection {
    fn lacks(&self) -> Option<Lack> {
        let tells_version = self.image.is_some() || !self.also_read.is_empty();
        let expected = "an image_re, or a label in also_read, to read the version from";
        (!tells_version).then(|| (None, expected.to_owned()))
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(remote = "WorkloadKind")]
pub(super) enum Kind {
    #[serde(rename = "deploy")]
    Deployment,
    #[serde(rename = "ds")]
    DaemonSet,
    #[serde(rename = "sts")]
    StatefulSet,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum UpgradedBy {
    People,
    Kubeadm,
}

impl Row for UpgradedBy {}

impl From<UpgradedBy> for bool {
    fn from(by: UpgradedBy) -> Self {
        matches!(by, UpgradedBy::Kubeadm)
    }
}

/// One more place that tells the version.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Reading {
    /// A label of the workload.
    #[serde(with = "As::<Label>")]
    label: String,
}

impl Row for Reading {}

impl From<Reading> for String {
    fn from(reading: Reading) -> Self {
        reading.label
    }
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct Verified {
    /// Whether somebody has looked.
    status: Looked,
    /// What was looked at; needed for `verified`.
    #[serde(default, with = "As::<Source>")]
    place: Option<String>,
}

#[derive(PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Looked {
    Verified,
    Unverified,
}

impl Row for Verified {
    fn lacks(&self) -> Option<Lack> {
        let is_told = self.status == Looked::Unverified || self.place.is_some();
        (!is_told).then(|| (None, "the place of what was looked at".to_owned()))
    }
}

impl From<Verified> for Option<String> {
    fn from(Verified { status, place }: Verified) -> Self {
        place.filter(|_| status == Looked::Verified)
    }
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct Stage {
    /// Whether it does.
    status: Status,
    /// Since when it does not.
    #[serde(rename = "retired_on", default, with = "As::<Remark>")]
    #[schemars(example = &"2026-03-31")]
    _retired_on: Remark,
    /// What takes its place; needed for `retired`.
    #[serde(default, with = "As::<Filled>")]
    #[schemars(example = &"gateway-api")]
    replacement: Option<String>,
}

#[derive(PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Status {
    Active,
    Retired,
}

impl Row for Stage {
    fn lacks(&self) -> Option<Lack> {
        let is_told = self.status == Status::Active || self.replacement.is_some();
        (!is_told).then(|| (None, "the replacement of what is retired".to_owned()))
    }
}

impl From<Stage> for Lifecycle {
    fn from(Stage { status, replacement, .. }: Stage) -> Self {
        let replacement = replacement.filter(|_| status == Status::Retired);
        replacement.map_or(Self::Active, |replacement| Self::Retired { replacement })
    }
}

/// A pin names who wants it, why, and until when: one without an end is forgotten.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Pinned {
    /// Whether `pin` holds; it does by default.
    pinned: Option<bool>,
    /// Somebody wants it to stay as it is for a while.
    pin: Option<Pin>,
}

impl Row for Pinned {
    fn lacks(&self) -> Option<Lack> {
        let is_told = self.pinned != Some(true) || self.pin.is_some();
        let expected = "a pin with reason, by and until beside it";
        (!is_told).then(|| (Some("pinned"), expected.to_owned()))
    }
}

impl From<Pinned> for Option<Pin> {
    fn from(Pinned { pinned, pin }: Pinned) -> Self {
        pin.filter(|_| pinned != Some(false))
    }
}

struct Label;
pub(super) struct Digest;
pub(super) struct OldestKernel;
pub(super) struct KernelPart;

impl Text for Label {
    type Is = String;
    const READ: fn(&str) -> Option<String> = |text| (Self::WORDS)().contains(&text).then(|| text.to_owned());
    const WORDS: fn() -> Vec<&'static str> = || Workload::LABELS.to_vec();
}

impl Text for Digest {
    type Is = String;
    const EXPECTED: &'static str = "a digest such as \"sha256:…\"";
    const PATTERN: &'static str = "^sha256:[0-9a-f]+$";
    const READ: fn(&str) -> Option<String> = |text| {
        let digits = text.strip_prefix("sha256:").filter(|digits| !digits.is_empty())?;
        digits.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f')).then(|| text.to_owned())
    };
}

impl Text for OldestKernel {
    type Is = Minor;
    const EXPECTED: &'static str = "the oldest branch of a kernel, such as \">=5.10\"";
    const PATTERN: &'static str = r"^>=\d+\.\d+$";
    const EXAMPLE: &'static str = ">=5.10";
    const READ: fn(&str) -> Option<Minor> = |text| Minor::parse(text.strip_prefix(">=")?);
}

impl Text for KernelPart {
    type Is = String;
    const WHAT: &'static str = "A part of a kernel's release.";
    const EXPECTED: &'static str = Filled::EXPECTED;
    const PATTERN: &'static str = Filled::PATTERN;
    const EXAMPLE: &'static str = ".el8_10";
    const READ: fn(&str) -> Option<String> = |text| (Filled::READ)(text);
}
