use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::version::RELEASES_MAX;
use super::{AddonVersion, VersionRange};
use crate::facts::text::{As, Lack, Remark, Row, Rows, Table};
use crate::words::version::Minor;

/// A claim of a vendor: what it says by a table of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Claim {
    /// It mends mistakes there.
    Supported,
    /// It tests there.
    Tested,
    /// It believes that it works.
    Expected,
    /// It states a lower bound only.
    MinOnly,
    /// The client library decides.
    ClientGo,
    /// It states nothing.
    None,
}

impl Claim {
    /// Whether it rules out what is outside its range. A range that was only tested, believed in or built for says nothing
    /// of what lies beyond it; one that states nothing is taken at its word where somebody has written a bound all the same.
    #[must_use]
    pub fn binds(self) -> bool {
        match self {
            Self::Supported | Self::MinOnly | Self::None => true,
            Self::Tested | Self::Expected | Self::ClientGo => false,
        }
    }

    /// The word, as in files.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// Releases whose majors are further apart are counted in two ways: by changes, and by years.
const MAJORS_APART_MAX: u64 = 10;

/// Whether a project counts both releases in the same way, so that what is known of one can hold for the other.
fn is_counted_alike(one: AddonVersion, other: AddonVersion) -> bool {
    one.line().0.abs_diff(other.line().0) <= MAJORS_APART_MAX
}

/// Minors from releases on: each holds until the next one, among those that are counted alike.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Floors(Vec<(AddonVersion, Minor)>);

impl Floors {
    /// In order, whatever the order of the file.
    #[must_use]
    pub fn new(mut floors: Vec<(AddonVersion, Minor)>) -> Self {
        floors.sort_unstable();
        Self(floors)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn of(&self, version: AddonVersion) -> Option<Minor> {
        let floor = self.0.iter().rev().find(|(floor, _)| *floor <= version);
        floor.filter(|(floor, _)| is_counted_alike(*floor, version)).map(|(_, minor)| *minor)
    }
}

impl FromIterator<(AddonVersion, Minor)> for Floors {
    fn from_iter<I: IntoIterator<Item = (AddonVersion, Minor)>>(floors: I) -> Self {
        Self::new(floors.into_iter().collect())
    }
}

/// The minors that some releases fit, where the tables are too coarse.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Window {
    /// The releases, by bounds.
    #[serde(rename = "version", with = "As::<VersionRange>")]
    pub versions: VersionRange,
    /// The oldest minor that they fit.
    #[serde(rename = "min_k8s")]
    pub min: Option<Minor>,
    /// The newest minor that they fit.
    #[serde(rename = "max_k8s")]
    pub max: Option<Minor>,
    /// What the vendor says by it, where that differs.
    pub claim: Option<Claim>,
    /// Why.
    #[serde(rename = "note", default, with = "As::<Remark>")]
    #[schemars(example = &"a patch raised the floor")]
    _note: Remark,
}

/// Which minors the releases of an add-on fit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Support {
    /// The oldest minor that each release fits, from the one that is named on.
    #[serde(rename = "min_k8s", default, with = "Table::<AddonVersion, Minor>")]
    pub min: Floors,
    /// The newest minor that each release fits, from the one that is named on.
    #[serde(rename = "max_k8s", default, with = "Table::<AddonVersion, Minor>")]
    pub max: Floors,
    /// That the vendor states no newest minor of new releases; needed where there is no max_k8s. Windows may still state those
    /// of old ones.
    #[serde(rename = "no_declared_ceiling", default = "yes", deserialize_with = "not")]
    pub has_ceiling: bool,
    /// Exceptions from the two tables; the first that matches holds.
    #[serde(default, with = "Rows::<Window>")]
    pub windows: Vec<Window>,
    /// What the vendor says by these tables.
    pub claim: Claim,
}

/// The minors that one release fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// The oldest, if one is declared.
    pub min: Option<Minor>,
    /// The newest, if one is declared.
    pub max: Option<Minor>,
    /// What the vendor says by it.
    pub claim: Claim,
}

/// What is known of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// What it fits.
    Known(Fit),
    /// It is older than every row, or than one of the two lists.
    Older,
    /// It is newer than every row.
    Newer,
}

impl Fit {
    /// Whether the release fits this minor.
    #[must_use]
    pub fn admits(&self, minor: Minor) -> bool {
        self.min.is_none_or(|min| min <= minor) && self.max.is_none_or(|max| minor <= max)
    }

    /// Whether a step from one minor to another leads no further away from what is known. To a range that was only tested a
    /// step may lead from below: what runs already is not made worse by it.
    #[must_use]
    pub fn admits_step(&self, from: Minor, to: Minor) -> bool {
        self.admits(to) && (self.admits(from) || !self.claim.binds())
    }
}

impl Support {
    /// What is known of a release.
    #[must_use]
    pub fn of(&self, version: AddonVersion) -> Coverage {
        self.of_among(version, &self.known())
    }

    /// The same, where it has been listed which releases are known.
    fn of_among(&self, version: AddonVersion, known: &[AddonVersion]) -> Coverage {
        let window = self.windows.iter().find(|window| window.versions.contains(version));
        if window.is_none()
            && newest_like(version, known).is_some_and(|newest| newest.line() < version.line())
        {
            return Coverage::Newer;
        }
        let min = window.and_then(|window| window.min).or_else(|| self.min.of(version));
        let max = window.and_then(|window| window.max).or_else(|| self.max.of(version));
        // Without a bound that other releases have, nothing is said about this one.
        let has_floor = !self.min.is_empty() || !self.has_ceiling;
        let (lacks_min, lacks_max) = (has_floor && min.is_none(), self.has_ceiling && max.is_none());
        if lacks_min || lacks_max {
            return Coverage::Older;
        }
        let claim = window.and_then(|window| window.claim).unwrap_or(self.claim);
        Coverage::Known(Fit { min, max, claim })
    }

    /// As if this release, which is newer than every row, were like the newest that is known.
    #[must_use]
    pub fn of_newest(&self, version: AddonVersion) -> Coverage {
        self.newest_like(version).map_or(Coverage::Older, |newest| self.of(newest))
    }

    /// The releases that are known to exist, in order.
    #[must_use]
    pub fn known(&self) -> Vec<AddonVersion> {
        let floors = self.min.0.iter().chain(&self.max.0).map(|(floor, _)| *floor);
        let windows = self.windows.iter().filter_map(|window| window.versions.first());
        let mut known: Vec<AddonVersion> = floors.chain(windows).collect();
        known.sort_unstable();
        known.dedup();
        known
    }

    /// The newest release that is known of those that are counted as this one is, or that are older than it.
    #[must_use]
    pub fn newest_like(&self, version: AddonVersion) -> Option<AddonVersion> {
        newest_like(version, &self.known())
    }

    /// The known releases that fit every one of these minors, in order.
    pub fn fitting(&self, minors: &[Minor]) -> impl Iterator<Item = AddonVersion> {
        let known = self.known();
        let fits = |version: &AddonVersion| match self.of_among(*version, &known) {
            Coverage::Known(fit) => minors.iter().all(|minor| fit.admits(*minor)),
            Coverage::Older | Coverage::Newer => false,
        };
        known.iter().copied().filter(fits).collect::<Vec<_>>().into_iter()
    }
}

fn newest_like(version: AddonVersion, known: &[AddonVersion]) -> Option<AddonVersion> {
    let is_like = |known: &AddonVersion| is_counted_alike(*known, version) || *known < version;
    known.iter().copied().rfind(is_like)
}

impl Row for Claim {}

impl Row for Window {
    const MAX: usize = RELEASES_MAX;

    fn lacks(&self) -> Option<Lack> {
        let is_bounded = self.min.is_some() || self.max.is_some();
        (!is_bounded).then(|| (None, "a min_k8s, a max_k8s, or both".to_owned()))
    }

    /// No release has two windows that say different things: the order of the file must not decide.
    fn all_lack(windows: &[Self]) -> Option<String> {
        let mut sorted: Vec<_> = windows.iter().map(|window| (window.versions.lowest(), window)).collect();
        sorted.sort_unstable_by_key(|(lowest, _)| *lowest);
        for (index, (_, one)) in sorted.iter().enumerate() {
            let later = sorted[index + 1..].iter().take_while(|(lowest, _)| one.versions.contains(*lowest));
            for (lowest, other) in later {
                let is_same = (one.min, one.max, one.claim) == (other.min, other.max, other.claim);
                if other.versions.contains(*lowest) && !is_same {
                    return Some(format!("no other bounds for {lowest} in a second window"));
                }
            }
        }
        None
    }
}

impl Row for Support {
    /// Every known release has a window that is not empty.
    fn lacks(&self) -> Option<Lack> {
        let wrong = |expected: &str| Some((None, expected.to_owned()));
        let is_stated = !self.max.is_empty() || self.windows.iter().any(|window| window.max.is_some());
        let is_contradicted = !self.has_ceiling && !self.max.is_empty();
        if is_contradicted || self.has_ceiling && !is_stated {
            return wrong("either max_k8s or no_declared_ceiling: true");
        }
        let known = self.known();
        if known.is_empty() {
            return wrong("a version in min_k8s, max_k8s or windows");
        }
        let upside_down = known.iter().copied().find(|version| match self.of_among(*version, &known) {
            Coverage::Known(fit) => fit.min.zip(fit.max).is_some_and(|(min, max)| max < min),
            Coverage::Older | Coverage::Newer => false,
        });
        let expected =
            |version| format!("a newest minor that is not older than the oldest one, for {version}");
        upside_down.map(|version| (None, expected(version)))
    }
}

fn yes() -> bool {
    true
}

fn not<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    bool::deserialize(from).map(|is_so| !is_so)
}
