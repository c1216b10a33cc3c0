//! Dangers on the way between two versions: known ones, and an operator's own.

use std::collections::BTreeSet;

use super::addon::{AddonVersion, VersionRange};
use super::hand::Hand;
use super::older::Replaced;
use super::{Section, schema, source};
use crate::words::version::Version;

/// How many risks there may be: the expression of each is asked once a minute.
const RISKS_MAX: usize = 50;

/// A danger on the way between two versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Risk {
    /// Its name, by which a person may accept it.
    pub name: String,
    /// What happens.
    pub why: String,
    /// The running versions that are in danger; every one if nothing is said.
    pub from: Option<VersionRange>,
    /// The targets that bring it.
    pub to: VersionRange,
    /// What it does to a verdict.
    pub severity: Severity,
    /// What Prometheus is asked: one sample, 1 where the danger is and 0 where it is not. The danger is everywhere
    /// if nothing is said.
    pub promql: Option<String>,
    /// Where it is described.
    pub source: String,
}

/// What a risk does to a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It is in the way.
    Block,
    /// It is told.
    Note,
}

impl Severity {
    const WORDS: [(&str, Self); 2] = [("block", Self::Block), ("note", Self::Note)];
}

/// Every known risk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Risks(pub Vec<Risk>);

impl Risk {
    /// Whether the way from one version to another is in danger.
    #[must_use]
    pub fn is_on_the_way(&self, running: &Version, target: &Version) -> bool {
        self.from.as_ref().is_none_or(|range| holds(range, running)) && holds(&self.to, target)
    }
}

/// Whether a version is in a range. A pre-release is as its release: it may have the danger already.
fn holds(range: &VersionRange, version: &Version) -> bool {
    let minor = version.minor();
    range.contains(AddonVersion::new(minor.major, minor.minor, version.patch()))
}

impl Risks {
    /// What Prometheus is asked, each expression once.
    #[must_use]
    pub fn expressions(&self) -> BTreeSet<&str> {
        self.0.iter().filter_map(|risk| risk.promql.as_deref()).collect()
    }
}

impl Section for Risks {
    const KEY: &'static str = "risks";

    fn read(hand: &Hand<'_>) -> Option<Self> {
        let rows = hand.list()?;
        if rows.len() > RISKS_MAX {
            hand.wrong(format!("at most {RISKS_MAX} of them"));
            return None;
        }
        let mut seen = BTreeSet::new();
        let mut read = |hand: &Hand<'_>| {
            let risk = risk(hand)?;
            let is_new = seen.insert(risk.name.clone());
            if !is_new {
                hand.wrong(format!("one of {}", risk.name));
            }
            is_new.then_some(risk)
        };
        rows.iter().map(&mut read).collect::<Vec<_>>().into_iter().collect::<Option<_>>().map(Self)
    }

    const IS_JOINED: bool = true;

    fn replaced(&self, later: &Self) -> Vec<Replaced> {
        let is_other = |row: &&Risk| self.0.iter().any(|known| known.name == row.name && known != *row);
        let replaced = |row: &Risk| Replaced { row: Some(row.name.clone()), ..Replaced::WHOLE };
        later.0.iter().filter(is_other).map(replaced).collect()
    }

    /// A later file says more risks, or one of them anew: no danger is forgotten because there is a second file.
    fn join(self, later: Self) -> Self {
        let mut risks = self.0;
        risks.retain(|risk| later.0.iter().all(|other| other.name != risk.name));
        risks.extend(later.0);
        Self(risks)
    }

    fn schema() -> serde_json::Value {
        use schema::{filled, list, object, optional, required, source, text, words};
        let row = [
            required("name", filled("Its name, by which it may be accepted.", "SELinuxMountGA")),
            required("why", filled("What happens.", "volumes are mounted with one label for all pods")),
            optional("from", text("The running versions in danger; all of them without it.", "<1.37")),
            required("to", text("The targets that bring the danger.", ">=1.37 <1.37.4")),
            required("severity", words("What it does to a verdict.", &Severity::WORDS)),
            optional(
                "promql",
                filled(
                    "One sample: 1 where the danger is, 0 where it is not. Without it the danger is everywhere.",
                    "max(etcd_below_3_5_26) or 0 * max(etcd_server_version)",
                ),
            ),
            required("source", source("The page that describes it.")),
        ];
        list("Dangers on the way between two versions.", object("One danger.", row))
    }
}

fn risk(hand: &Hand<'_>) -> Option<Risk> {
    let fields = hand.fields()?;
    let filled = |name: &str| fields.required(name).and_then(|hand| hand.filled());
    let (name, why) = (filled("name"), filled("why"));
    let from = fields.optional_as("from", range);
    let to = fields.required("to").and_then(|hand| range(&hand));
    let severity = fields.required("severity").and_then(|hand| hand.one_of(&Severity::WORDS));
    let promql = fields.optional_as("promql", Hand::filled);
    let source = fields.required("source").and_then(|hand| source(&hand));
    fields.finish();
    Some(Risk {
        name: name?,
        why: why?,
        from: from?,
        to: to?,
        severity: severity?,
        promql: promql?,
        source: source?,
    })
}

fn range(hand: &Hand<'_>) -> Option<VersionRange> {
    hand.parsed("bounds such as \">=1.36.4 <1.37\"", |text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Matrix;

    const ROW: &str = "name: A, why: b, from: \"<1.37\", to: \">=1.37 <1.37.4\", severity: block, \
                       promql: \"max(x)\", source: \"https://example.com/a\"";

    fn load(files: &[&str]) -> Result<Vec<Risk>, String> {
        let texts: Vec<String> =
            files.iter().map(|rows| format!("schema: 2\nas_of: \"2026-08-22\"\nrisks: [{rows}]\n")).collect();
        let named: Vec<(&str, &str)> = texts.iter().map(|text| ("mine.yaml", text.as_str())).collect();
        let loaded = Matrix::load(&named);
        loaded.map(|matrix| matrix.risks.value.0).map_err(|mistakes| mistakes[0].to_string())
    }

    #[test]
    fn a_risk_is_on_the_way_between_its_versions_only() {
        let risk = &load(&[&format!("{{{ROW}}}")]).unwrap()[0];
        for (running, target, is_on_the_way) in [
            ("1.36.9", "1.37.0", true),
            ("1.36.9", "1.37.3", true),
            ("1.36.9", "1.37.0-rc.1", true),
            ("1.36.9", "1.37.4", false),
            ("1.37.0", "1.37.3", false),
            ("1.36.1", "1.36.9", false),
        ] {
            let [running, target] = [running, target].map(|text| text.parse().unwrap());
            assert_eq!(risk.is_on_the_way(&running, &target), is_on_the_way, "{running} {target}");
        }
    }

    #[test]
    fn a_second_file_says_more_and_takes_nothing_away() {
        let second = ROW.replace("name: A", "name: B");
        let anew = ROW.replace("severity: block", "severity: note");
        let read = load(&[&format!("{{{ROW}}}, {{{second}}}"), &format!("{{{anew}}}")]).unwrap();
        let found: Vec<_> = read.iter().map(|risk| (risk.name.as_str(), risk.severity)).collect();
        assert_eq!(found, [("B", Severity::Block), ("A", Severity::Note)]);
        assert_eq!(Risks(read).expressions(), BTreeSet::from(["max(x)"]));
    }

    #[test]
    fn a_row_that_cannot_be_read_names_its_field() {
        for (row, told) in [
            (ROW.replace("\"<1.37\"", "\"1.37\""), "risks[0].from"),
            (ROW.replace(">=1.37 <1.37.4", "newest"), "risks[0].to"),
            (ROW.replace("severity: block", "severity: hold"), "risks[0].severity"),
            (ROW.replace("max(x)", " "), "risks[0].promql"),
            (ROW.replace("why: b, ", ""), "no why"),
            (format!("{ROW}}}, {{{ROW}"), "one of A"),
        ] {
            let said = load(&[&format!("{{{row}}}")]).unwrap_err();
            assert!(said.contains(told), "{told:?} in {said}");
        }
        let many = (0..=RISKS_MAX).map(|n| format!("{{{}}}", ROW.replace("name: A", &format!("name: A{n}"))));
        assert!(load(&[&many.collect::<Vec<_>>().join(", ")]).unwrap_err().contains("at most 50"));
    }
}
