//! Versions of Kubernetes and their minors.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A Kubernetes version such as `v1.36.1`, ordered by precedence.
///
/// Read with or without the leading `v`, written with it. Build metadata (`+k3s1`) is kept and does not order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(semver::Version);

/// A minor release such as `1.36`: what skew and upgrade paths are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minor {
    /// The major number, 1 for every Kubernetes so far.
    pub major: u64,
    /// The minor number.
    pub minor: u64,
}

/// A text that is no Kubernetes version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a version such as v1.36.1: {why}")]
pub struct VersionError {
    text: String,
    why: String,
}

/// The longest text that is looked at; a version is a dozen characters.
const TEXT_LENGTH_MAX: usize = 128;

impl Version {
    /// The release `vMAJOR.MINOR.PATCH`.
    #[must_use]
    pub const fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self(semver::Version::new(major, minor, patch))
    }

    /// The minor that this version belongs to.
    #[must_use]
    pub fn minor(&self) -> Minor {
        Minor { major: self.0.major, minor: self.0.minor }
    }

    /// The patch number.
    #[must_use]
    pub fn patch(&self) -> u64 {
        self.0.patch
    }

    /// The release without what follows the patch number.
    #[must_use]
    pub fn release(&self) -> Self {
        Self::new(self.0.major, self.0.minor, self.0.patch)
    }

    /// Whether this is an alpha, beta or release candidate.
    #[must_use]
    pub fn is_prerelease(&self) -> bool {
        !self.0.pre.is_empty()
    }

    /// What marks a build that is not one of the project's own, such as `k3s1` of `v1.36.1+k3s1`, `eks-3a1b2c4` of
    /// `v1.36.1-eks-3a1b2c4` and `gke.1000` of `v1.36.1-gke.1000`.
    #[must_use]
    pub fn vendor(&self) -> Option<&str> {
        let is_own = |pre: &str| ["alpha.", "beta.", "rc."].iter().any(|stage| pre.starts_with(stage));
        match (self.0.build.as_str(), self.0.pre.as_str()) {
            ("", "") => None,
            ("", pre) => Some(pre).filter(|pre| !is_own(pre)),
            (build, _) => Some(build),
        }
    }

    /// The order by precedence alone: build metadata makes no difference.
    #[must_use]
    pub fn cmp_precedence(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp_precedence(&other.0)
    }

    /// The version without the leading `v`, as packages are numbered.
    #[must_use]
    pub fn bare(&self) -> String {
        self.0.to_string()
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // Precedence first, so that build metadata decides only between versions that are otherwise equal.
        self.0.cmp_precedence(&other.0).then_with(|| self.0.cmp(&other.0))
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let shown = || text.chars().take(TEXT_LENGTH_MAX).collect::<String>();
        if text.len() > TEXT_LENGTH_MAX {
            return Err(VersionError { text: shown(), why: "too long".to_owned() });
        }
        semver::Version::parse(text.strip_prefix('v').unwrap_or(text))
            .map(Self)
            .map_err(|error| VersionError { text: shown(), why: error.to_string() })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Minor {
    /// Reads a minor such as `1.36`, and nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_short = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        format!("{text}.0").parse::<Version>().ok().filter(|_| is_short).map(|version| version.minor())
    }

    /// The minor that follows; the last number that there is stays itself.
    #[must_use]
    pub fn next(self) -> Self {
        Self { major: self.major, minor: self.minor.saturating_add(1) }
    }

    /// How many minors this one is ahead of `other`: negative if behind, nothing across majors.
    #[must_use]
    pub fn ahead_of(self, other: Self) -> Option<i64> {
        if self.major != other.major {
            return None;
        }
        i64::try_from(self.minor).ok()?.checked_sub(i64::try_from(other.minor).ok()?)
    }
}

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_with_and_without_v_and_written_with_it() {
        for (text, written) in
            [("1.36.1", "v1.36.1"), ("v1.36.1", "v1.36.1"), ("1.30.2+k3s1", "v1.30.2+k3s1")]
        {
            assert_eq!(text.parse::<Version>().unwrap().to_string(), written);
        }
    }

    #[test]
    fn nonsense_is_refused_and_named() {
        for text in ["", "v", "1.36", "latest", "1.36.x", "-1.0.0", "vv1.2.3", "1.036.1", &"9".repeat(200)] {
            let error = text.parse::<Version>().unwrap_err().to_string();
            assert!(error.contains("is not a version such as v1.36.1"), "{error}");
        }
    }

    #[test]
    fn a_build_that_is_not_the_projects_own_is_told_by_what_it_is_marked_with() {
        for (text, vendor) in [
            ("v1.36.1", None),
            ("v1.37.0-alpha.2", None),
            ("v1.37.0-rc.1", None),
            ("v1.36.1+k3s1", Some("k3s1")),
            ("v1.37.0-rc.1+rke2r1", Some("rke2r1")),
            ("v1.36.1-eks-3a1b2c4", Some("eks-3a1b2c4")),
            ("v1.36.1-gke.1000400", Some("gke.1000400")),
            ("v1.36.1-rc", Some("rc")),
        ] {
            assert_eq!(text.parse::<Version>().unwrap().vendor(), vendor, "{text}");
        }
    }

    #[test]
    fn order_is_by_number_and_a_candidate_comes_before_its_release() {
        let order =
            ["1.9.0", "1.10.0-rc.1", "1.10.0", "1.10.1", "1.36.0"].map(|v| v.parse::<Version>().unwrap());
        assert!(order.is_sorted());
        assert!(order[1].is_prerelease() && !order[2].is_prerelease());
    }

    #[test]
    fn a_minor_is_two_numbers() {
        assert_eq!(Minor::parse("1.36"), Some(Minor { major: 1, minor: 36 }));
        for text in ["", "1", "1.", ".1", "v1.36", "1.36.1", "1.36-rc", "1.036", "next"] {
            assert_eq!(Minor::parse(text), None, "{text}");
        }
    }

    #[test]
    fn minors_are_counted_inside_one_major_only() {
        let minor = |major, minor| Minor { major, minor };
        assert_eq!(minor(1, 36).ahead_of(minor(1, 34)), Some(2));
        assert_eq!(minor(1, 34).ahead_of(minor(1, 36)), Some(-2));
        assert_eq!(minor(2, 0).ahead_of(minor(1, 36)), None);
        assert_eq!(minor(1, u64::MAX).ahead_of(minor(1, 36)), None);
        assert_eq!(minor(1, 36).next(), minor(1, 37));
        assert_eq!(minor(1, u64::MAX).next(), minor(1, u64::MAX));
    }
}
