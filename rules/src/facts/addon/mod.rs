//! Which release of which add-on fits which minor, and how an add-on is recognised in a cluster.

mod image;
mod read;
mod schema;
mod support;
#[cfg(test)]
mod tests;
mod version;
mod witnesses;

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::cluster::inventory::WorkloadKind;
use crate::reason::Reason;
use crate::words::version::Minor;

pub use image::ImagePattern;
pub(crate) use image::{last_part, version_of_tag};
pub use support::{Claim, Coverage, Fit, Floors, Support, Window};
pub use version::{AddonVersion, NotAnAddonVersion, VersionRange};
pub use witnesses::Witnesses;
pub(crate) use witnesses::{NO_NAMES, chart_name};

/// The add-ons that are known. A later file's row takes the place of an earlier one of the same name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Addons(pub Vec<Addon>);

/// One add-on.
#[derive(Debug, Clone, PartialEq)]
pub struct Addon {
    /// Its name.
    pub name: String,
    /// How it is found, and its version read.
    pub detection: Detection,
    /// Which minors its releases fit.
    pub support: Support,
    /// What else it asks of a cluster.
    pub requires: Requires,
    /// What raises its ceiling.
    pub ceiling_raised_by: CeilingRaisedBy,
    /// Whether it still gets releases.
    pub lifecycle: Lifecycle,
    /// Somebody wants it to stay as it is.
    pub pin: Option<Pin>,
    /// Where its windows are stated.
    pub source: String,
    /// The date of its facts: its own, or the file's.
    pub as_of: Option<Date>,
}

/// How an add-on is found, and its version read.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// What it usually is.
    pub kind: WorkloadKind,
    /// Where it usually is.
    pub namespace: String,
    /// What it is usually called.
    pub resource: String,
    /// Whether kubeadm upgrades it with the control plane. Then only its usual place is its own, and only the minor that
    /// is asked for counts, not the one that runs.
    pub of_kubeadm: bool,
    /// Reads the version from an image; nothing where images do not tell it.
    pub image: Option<ImagePattern>,
    /// The container to read; nothing for every one whose image is meant.
    pub container: Option<String>,
    /// By what else it is recognised.
    pub witnesses: Witnesses,
    /// Whether init containers are read too.
    pub init_containers: bool,
    /// What absence means.
    pub if_absent: IfAbsent,
    /// The labels of the workload that tell the version too.
    pub also_read: Vec<String>,
    /// Whether all readings must say the same.
    pub agree: Agree,
    /// The versions behind digests, for images without a tag.
    pub digests: BTreeMap<String, AddonVersion>,
    /// Where its publisher's own manifest or chart confirms this; nothing if nobody has looked.
    pub verified: Option<String>,
}

/// What it means that an add-on is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfAbsent {
    /// It should be there: something is hidden.
    Unknown,
    /// It need not be there.
    NotApplicable,
    /// The cluster needs it.
    Required,
}

/// How several readings are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agree {
    /// The first that says something holds.
    Any,
    /// Each must say something, and all the same.
    All,
}

/// What else an add-on asks of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Requires {
    /// The kernels that it works on.
    pub kernel: Kernel,
    /// The window holds for some operating systems only. Not checked: people are told.
    pub os_table: bool,
}

/// The kernels that releases of an add-on work on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kernel {
    /// The oldest branch, such as 5.10.
    pub oldest: Option<Minor>,
    /// The first release that asks for it; nothing where all do.
    pub since: Option<AddonVersion>,
    /// What builds of distributions have in their names that are as good whatever their number, such as `.el8_10`.
    pub like: Vec<String>,
    /// The page that says so; nothing where that of its window does.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CeilingRaisedBy {
    /// A release.
    Release,
    /// A change of its documentation, sometimes long after the release.
    Docs,
}

/// Whether an add-on still gets releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lifecycle {
    /// It does.
    Active,
    /// It does not, and never will.
    Retired {
        /// What takes its place.
        replacement: String,
    },
}

/// Somebody wants an add-on to stay as it is for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
    /// Until which day, that day included.
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
