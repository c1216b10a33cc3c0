use super::{AddonVersion, VersionRange};
use crate::words::version::Minor;

/// What a vendor says by a table of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Every claim with its word.
    pub const WORDS: [(&str, Self); 6] = [
        ("supported", Self::Supported),
        ("tested", Self::Tested),
        ("expected", Self::Expected),
        ("min-only", Self::MinOnly),
        ("client-go", Self::ClientGo),
        ("none", Self::None),
    ];

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
        Self::WORDS.iter().find(|(_, claim)| *claim == self).map_or("", |(word, _)| word)
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

/// What holds for some releases whatever the floors say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Which releases.
    pub versions: VersionRange,
    /// Their oldest minor.
    pub min: Option<Minor>,
    /// Their newest minor.
    pub max: Option<Minor>,
    /// What the vendor says by it, where that differs.
    pub claim: Option<Claim>,
}

/// Which minors the releases of an add-on fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Support {
    /// The oldest minor from a release on.
    pub min: Floors,
    /// The newest minor from a release on.
    pub max: Floors,
    /// Whether the vendor declares newest minors. One that declares none may still rule some releases out, by windows.
    pub has_ceiling: bool,
    /// Exceptions; the first that matches holds.
    pub windows: Vec<Window>,
    /// What the vendor says by all that.
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
        let window = self.windows.iter().find(|window| window.versions.contains(version));
        if window.is_none() && self.newest_like(version).is_some_and(|newest| newest.line() < version.line())
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
        let is_like = |known: &AddonVersion| is_counted_alike(*known, version) || *known < version;
        self.known().into_iter().rfind(is_like)
    }

    /// The known releases that fit every one of these minors, in order.
    pub fn fitting(&self, minors: &[Minor]) -> impl Iterator<Item = AddonVersion> {
        let fits = move |version: &AddonVersion| match self.of(*version) {
            Coverage::Known(fit) => minors.iter().all(|minor| fit.admits(*minor)),
            Coverage::Older | Coverage::Newer => false,
        };
        self.known().into_iter().filter(fits)
    }
}
