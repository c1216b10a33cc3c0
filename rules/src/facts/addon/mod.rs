//! Which release of which add-on fits which minor, and how an add-on is recognised in a cluster.

mod image;
mod read;
mod support;
#[cfg(test)]
mod tests;
mod version;
mod witnesses;

use std::collections::BTreeMap;

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::Deserialize;

use self::read::{Digest, KernelPart, Kind, OldestKernel, Pinned, Reading, Stage, UpgradedBy, Verified};
use crate::cluster::inventory::WorkloadKind;
use crate::facts::text::{As, Filled, List, Rows, Source, Table, Via};
use crate::reason::Reason;
use crate::words::version::Minor;

pub use image::ImagePattern;
pub(crate) use image::{last_part, version_of_tag};
pub use support::{Claim, Coverage, Fit, Floors, Support, Window};
pub use version::{AddonVersion, NotAnAddonVersion, VersionRange};
pub use witnesses::Witnesses;
pub(crate) use witnesses::{NO_NAMES, chart_name};

/// Which releases of add-ons fit which minors of Kubernetes, and how they are recognised. A later file's row takes the place
/// of an earlier one of the same name.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
pub struct Addons(#[serde(with = "Rows::<Addon>")] pub Vec<Addon>);

/// One add-on.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct Addon {
    /// Its name; a row of this name takes the place of the built-in one.
    #[serde(with = "As::<Filled>")]
    #[schemars(example = &"calico")]
    pub name: String,
    /// How it is found, and its version read.
    #[serde(rename = "..detection", with = "Via::<Detection>")]
    #[schemars(flatten)]
    pub detection: Detection,
    /// Which minors its releases fit.
    #[serde(rename = "..support", with = "Via::<Support>")]
    #[schemars(flatten)]
    pub support: Support,
    /// What else it asks of a cluster.
    #[serde(default)]
    pub requires: Requires,
    /// What raises its newest minor: a release, or its documentation alone.
    #[serde(default)]
    pub ceiling_raised_by: CeilingRaisedBy,
    /// Whether it still gets releases.
    #[serde(default, with = "Via::<Stage>")]
    pub lifecycle: Lifecycle,
    /// Somebody wants it to stay as it is.
    #[serde(rename = "..pin", with = "Via::<Pinned>")]
    #[schemars(flatten)]
    pub pin: Option<Pin>,
    /// The page that states the windows.
    #[serde(with = "As::<Source>")]
    pub source: String,
    /// The day somebody looked at that page; the file's by default.
    #[serde(default, with = "As::<Date>")]
    pub as_of: Option<Date>,
}

/// How an add-on is found, and its version read.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct Detection {
    /// What it usually is: a Deployment, a DaemonSet or a StatefulSet.
    #[serde(with = "Kind")]
    pub kind: WorkloadKind,
    /// Where it usually is.
    #[serde(with = "As::<Filled>")]
    #[schemars(example = &"calico-system")]
    pub namespace: String,
    /// What it is usually called.
    #[serde(with = "As::<Filled>")]
    #[schemars(example = &"calico-node")]
    pub resource: String,
    /// Who upgrades it; people by default. What kubeadm upgrades with the control plane is only what is in its usual
    /// place, and has to fit only the minor that is asked for, not the one that runs.
    #[serde(rename = "upgraded_by", default, with = "Via::<UpgradedBy>")]
    pub of_kubeadm: bool,
    /// Reads the version from `repository:tag`, without the registry, in its first group; empty where images do not tell it.
    #[serde(rename = "image_re", with = "As::<ImagePattern>")]
    pub image: Option<ImagePattern>,
    /// The container to read; every one with such an image by default.
    #[serde(default, with = "As::<Filled>")]
    #[schemars(example = &"calico-node")]
    pub container: Option<String>,
    /// By what else it is recognised: names that its own project or a well-known repackager publishes, and nobody else. One
    /// that a workload bears is enough to find it; one in the cluster without any workload is what it left behind.
    #[serde(default)]
    pub witnesses: Witnesses,
    /// Whether init containers are read too; false by default.
    #[serde(default)]
    pub init_containers: bool,
    /// What it means that it is not there; unknown by default.
    #[serde(default)]
    pub if_absent: IfAbsent,
    /// What else tells its version.
    #[serde(default, with = "Rows::<Reading>")]
    pub also_read: Vec<String>,
    /// Whether one reading is enough, or all must say the same; any by default.
    #[serde(default)]
    pub agree: Agree,
    /// The releases behind digests, for images without a tag.
    #[serde(default, with = "Table::<Digest, AddonVersion>")]
    pub digests: BTreeMap<String, AddonVersion>,
    /// Whether name, kind and image were compared with what its project publishes, and where that is.
    #[serde(rename = "detection", default, with = "Via::<Verified>")]
    pub verified: Option<String>,
}

/// What it means that an add-on is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IfAbsent {
    /// It should be there: something is hidden.
    #[default]
    Unknown,
    /// It need not be there.
    NotApplicable,
    /// The cluster needs it.
    Required,
}

/// How several readings are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Agree {
    /// The first that says something holds.
    #[default]
    Any,
    /// Each must say something, and all the same.
    All,
}

/// What else an add-on asks of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub struct Requires {
    /// The kernels that it works on.
    #[serde(rename = "..kernel")]
    #[schemars(flatten)]
    pub kernel: Kernel,
    /// That the windows hold for some operating systems only. Not checked: people are told.
    #[serde(default)]
    pub os_table: bool,
}

/// The kernels that releases of an add-on work on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub struct Kernel {
    /// Kernels that it works on, by the oldest branch.
    #[serde(rename = "kernel", default, with = "As::<OldestKernel>")]
    pub oldest: Option<Minor>,
    /// The first release that asks for that; all do by default.
    #[serde(rename = "kernel_since", default, with = "As::<AddonVersion>")]
    pub since: Option<AddonVersion>,
    /// What builds of distributions have in their names that are as good whatever their number.
    #[serde(rename = "kernel_like", default, with = "List::<KernelPart>")]
    pub like: Vec<String>,
    /// The page that says so, if that of the window does not.
    #[serde(rename = "kernel_source", default, with = "As::<Source>")]
    pub source: Option<String>,
}

impl Kernel {
    /// The oldest branch that a release asks for.
    #[must_use]
    pub fn of(&self, version: AddonVersion) -> Option<Minor> {
        self.oldest.filter(|_| self.since.is_none_or(|since| since <= version))
    }
}

/// What raises the ceiling of an add-on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CeilingRaisedBy {
    /// A release.
    #[default]
    Release,
    /// A change of its documentation, sometimes long after the release.
    Docs,
}

/// Whether an add-on still gets releases.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Lifecycle {
    /// It does.
    #[default]
    Active,
    /// It does not, and never will.
    Retired {
        /// What takes its place.
        replacement: String,
    },
}

/// Somebody wants it to stay as it is for a while.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Pin {
    /// Why.
    #[serde(with = "As::<Filled>")]
    #[schemars(example = &"the next release loses our settings")]
    pub reason: String,
    /// Who.
    #[serde(with = "As::<Filled>")]
    #[schemars(example = &"ops")]
    pub by: String,
    /// Until which day, that day included.
    #[serde(with = "As::<Date>")]
    pub until: Date,
}

impl Detection {
    /// How the repositories of its main images end, at the beginning of a part: what its witnesses say, and what its
    /// pattern says plainly. What kubeadm upgrades is known by its place, whoever else runs its image.
    pub(crate) fn ends(&self) -> impl Iterator<Item = &str> {
        let of_pattern = self.image.as_ref().filter(|_| !self.of_kubeadm).and_then(ImagePattern::end);
        self.witnesses.images.iter().map(String::as_str).chain(of_pattern)
    }
}

impl Addon {
    /// Whether somebody wants it to stay as it is on this day.
    #[must_use]
    pub fn is_pinned(&self, today: Date) -> bool {
        self.pin.as_ref().is_some_and(|pin| today <= pin.until)
    }

    /// Why nobody can do anything but wait for another release.
    #[must_use]
    pub fn waiting(&self) -> Reason {
        match self.ceiling_raised_by {
            CeilingRaisedBy::Release => Reason::AddonWaitingUnreleased,
            CeilingRaisedBy::Docs => Reason::AddonWaitingDocsLag,
        }
    }
}
