use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use semver::{Op, VersionReq};
use serde::Deserialize;

use crate::facts::text::{As, Text};

/// A release of an add-on, such as `3.30.1`; `3.30` is `3.30.0`. Pre-releases are none: nobody states what they fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema)]
#[serde(from = "As<Self>")]
pub struct AddonVersion {
    /// The major number.
    pub major: u64,
    /// The minor number.
    pub minor: u64,
    /// The patch number.
    pub patch: u64,
}

/// A text that is no release of an add-on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no version such as 3.30 or 3.30.1")]
pub struct NotAnAddonVersion(String);

/// The longest text that is looked at.
const TEXT_LENGTH_MAX: usize = 64;

impl AddonVersion {
    /// The release `major.minor.patch`.
    #[must_use]
    pub const fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self { major, minor, patch }
    }

    /// Major and minor: what most tables of vendors count in.
    #[must_use]
    pub fn line(self) -> (u64, u64) {
        (self.major, self.minor)
    }
}

impl FromStr for AddonVersion {
    type Err = NotAnAddonVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotAnAddonVersion(text.chars().take(TEXT_LENGTH_MAX).collect());
        if text.len() > TEXT_LENGTH_MAX {
            return Err(wrong());
        }
        let numbers: Option<Vec<u64>> =
            text.strip_prefix('v').unwrap_or(text).split('.').map(number).collect();
        match numbers.as_deref() {
            Some(&[major, minor]) => Ok(Self { major, minor, patch: 0 }),
            Some(&[major, minor, patch]) => Ok(Self { major, minor, patch }),
            Some(_) | None => Err(wrong()),
        }
    }
}

/// Digits only: no sign, no leading zero, no digits of other scripts.
fn number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}

impl fmt::Display for AddonVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Releases between bounds, such as `>=3.28.4 <3.29`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRange(VersionReq);

impl VersionRange {
    /// Whether a release is in it.
    #[must_use]
    pub fn contains(&self, version: AddonVersion) -> bool {
        let AddonVersion { major, minor, patch } = version;
        self.0.matches(&semver::Version::new(major, minor, patch))
    }

    /// The lowest number that meets every lower bound. Nothing is in the range unless this is.
    #[must_use]
    pub fn lowest(&self) -> AddonVersion {
        let lowest = |bound: &semver::Comparator| {
            let (major, minor) = (bound.major, bound.minor.unwrap_or(0));
            match bound.op {
                Op::GreaterEq | Op::Exact => Some(AddonVersion::new(major, minor, bound.patch.unwrap_or(0))),
                Op::Greater => Some(match bound.patch.and_then(|patch| patch.checked_add(1)) {
                    Some(patch) => AddonVersion::new(major, minor, patch),
                    None => match minor.checked_add(1) {
                        Some(minor) => AddonVersion::new(major, minor, 0),
                        None => AddonVersion::new(major.saturating_add(1), 0, 0),
                    },
                }),
                _ => None,
            }
        };
        self.0.comparators.iter().filter_map(lowest).max().unwrap_or(AddonVersion::new(0, 0, 0))
    }

    /// The first release that is in it for sure, if it has a lower bound.
    #[must_use]
    pub fn first(&self) -> Option<AddonVersion> {
        let bounds = self.0.comparators.iter().filter(|bound| matches!(bound.op, Op::GreaterEq | Op::Exact));
        let bound = |bound: &semver::Comparator| {
            AddonVersion::new(bound.major, bound.minor.unwrap_or(0), bound.patch.unwrap_or(0))
        };
        bounds.map(bound).max().filter(|first| self.contains(*first))
    }
}

impl FromStr for VersionRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let commas = text.split_whitespace().collect::<Vec<_>>().join(", ");
        let range: VersionReq = commas.parse().map_err(|error: semver::Error| error.to_string())?;
        let is_plain = |bound: &semver::Comparator| {
            let is_bound =
                matches!(bound.op, Op::Exact | Op::Greater | Op::GreaterEq | Op::Less | Op::LessEq);
            is_bound && bound.minor.is_some() && bound.pre.is_empty()
        };
        if range.comparators.is_empty() || !range.comparators.iter().all(is_plain) {
            return Err("each bound is one of >= > <= < = and a version".to_owned());
        }
        let range = Self(range);
        if !range.contains(range.lowest()) {
            return Err("no version is within these bounds".to_owned());
        }
        Ok(range)
    }
}

/// How many versions a row may name: far more than any project has lines of releases.
pub(super) const RELEASES_MAX: usize = 500;

impl Text for AddonVersion {
    type Is = Self;
    const EXPECTED: &'static str = "a version such as \"3.30\" or \"3.30.1\"";
    const PATTERN: &'static str = r"^v?\d+\.\d+(\.\d+)?$";
    const EXAMPLE: &'static str = "3.30.1";
    const MAX: usize = RELEASES_MAX;
    const READ: fn(&str) -> Option<Self> = |text| text.parse().ok();
}

impl From<As<Self>> for AddonVersion {
    fn from(As(version): As<Self>) -> Self {
        version
    }
}

impl Text for VersionRange {
    type Is = Self;
    const EXAMPLE: &'static str = ">=3.28.4 <3.29";
    const READ: fn(&str) -> Option<Self> = |text| text.parse().ok();

    fn expected(text: &str) -> String {
        let why = text.parse::<Self>().err().unwrap_or_default();
        format!("bounds such as \"{}\": {why}", Self::EXAMPLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_two_or_three_plain_numbers() {
        for (text, expected) in [
            ("3.30", AddonVersion::new(3, 30, 0)),
            ("v3.30.1", AddonVersion::new(3, 30, 1)),
            ("26.3.0", AddonVersion::new(26, 3, 0)),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in ["", "3", "latest", "3.x", "3.30.1.2", "3.+1", "3.01", "3.٣", "3.30-rc.1", "vv3.30"] {
            assert!(text.parse::<AddonVersion>().is_err(), "{text}");
        }
        assert!(format!("3.{}", "9".repeat(90)).parse::<AddonVersion>().is_err());
        let order = ["3.9", "3.10", "3.10.1", "3.26"].map(|text| text.parse::<AddonVersion>().unwrap());
        assert!(order.is_sorted());
    }

    #[test]
    fn a_range_is_made_of_bounds() {
        let range: VersionRange = ">=3.28.4 <3.29".parse().unwrap();
        for (version, is_in) in [("3.28.3", false), ("3.28.4", true), ("3.28.9", true), ("3.29", false)] {
            assert_eq!(range.contains(version.parse().unwrap()), is_in, "{version}");
        }
        assert_eq!(range.first(), Some(AddonVersion::new(3, 28, 4)));
        assert_eq!("<3.29".parse::<VersionRange>().unwrap().first(), None);
        for (text, lowest) in [
            (">=3.28.4 <3.29", "3.28.4"),
            (">=3.28 >=3.30", "3.30"),
            (">3.28", "3.29"),
            (">3.28.4", "3.28.5"),
            (">3.28.18446744073709551615", "3.29"),
            (">3.18446744073709551615", "4.0"),
            ("=3.28", "3.28"),
            ("<=3.28", "0.0"),
        ] {
            let range: VersionRange = text.parse().unwrap();
            assert_eq!(range.lowest(), lowest.parse().unwrap(), "{text}");
            assert!(range.contains(range.lowest()), "{text}");
        }
        let empty = [">=1.38 <1.37", ">=3.28 <3.28", ">3.28 <=3.28", "=3.28 =3.29", "<0.0"];
        for text in
            ["", "3.28", "^3.28", "~3.28", "*", ">=3", ">=3.28.0-rc.1", "newest"].into_iter().chain(empty)
        {
            assert!(text.parse::<VersionRange>().is_err(), "{text}");
        }
    }
}
