//! Until when each minor gets patches.

use jiff::civil::Date;

use super::hand::Hand;
use super::{Section, date, minor, schema, source};
use crate::words::version::Minor;

/// One minor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The minor.
    pub minor: Minor,
    /// Its last day.
    pub end_of_life: Date,
    /// Where that is said.
    pub source: String,
}

/// The minors that are known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Releases(pub Vec<Release>);

impl Releases {
    /// The last day of a minor, if it is known.
    #[must_use]
    pub fn end_of_life(&self, minor: Minor) -> Option<Date> {
        self.0.iter().find(|release| release.minor == minor).map(|release| release.end_of_life)
    }
}

impl Section for Releases {
    const KEY: &'static str = "releases";

    fn read(hand: &Hand<'_>) -> Option<Self> {
        hand.list()?.iter().map(release).collect::<Vec<_>>().into_iter().collect::<Option<_>>().map(Self)
    }

    fn schema() -> serde_json::Value {
        use schema::{day, list, minor, object, required, source};
        let row = [
            required("minor", minor("The minor.")),
            required("end_of_life", day("The last day on which it gets patches.")),
            required("source", source("The page that says so.")),
        ];
        list("Until when each minor of Kubernetes gets patches.", object("One minor.", row))
    }
}

fn release(hand: &Hand<'_>) -> Option<Release> {
    let fields = hand.fields()?;
    let minor = fields.required("minor").and_then(|hand| minor(&hand));
    let end_of_life = fields.required("end_of_life").and_then(|hand| date(&hand));
    let source = fields.required("source").and_then(|hand| source(&hand));
    fields.finish();
    Some(Release { minor: minor?, end_of_life: end_of_life?, source: source? })
}
