//! Until when each minor gets patches.

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Section;
use super::text::{As, Row, Rows, Source};
use crate::words::version::Minor;

/// One minor.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Release {
    /// The minor.
    pub minor: Minor,
    /// The last day on which it gets patches.
    #[serde(with = "As::<Date>")]
    pub end_of_life: Date,
    /// The page that says so.
    #[serde(with = "As::<Source>")]
    pub source: String,
}

/// Until when each minor of Kubernetes gets patches.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub struct Releases(#[serde(with = "Rows::<Release>")] pub Vec<Release>);

impl Releases {
    /// The last day of a minor, if it is known.
    #[must_use]
    pub fn end_of_life(&self, minor: Minor) -> Option<Date> {
        self.0.iter().find(|release| release.minor == minor).map(|release| release.end_of_life)
    }
}

impl Section for Releases {
    const KEY: &'static str = "releases";
}

impl Row for Release {
    fn once(&self) -> Option<String> {
        Some(format!("one row for {}", self.minor))
    }
}
