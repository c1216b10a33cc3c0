//! Dangers on the way between two versions: known ones, and an operator's own.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Section;
use super::addon::{AddonVersion, VersionRange};
use super::older::Replaced;
use super::text::{As, Filled, Row, Rows, Source};
use crate::words::version::Version;

/// How many risks there may be: the expression of each is asked once a minute.
const RISKS_MAX: usize = 50;

/// A danger on the way between two versions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Risk {
    /// Its name, by which a person may accept it.
    #[serde(with = "As::<Filled>")]
    #[schemars(example = &"SELinuxMountGA")]
    pub name: String,
    /// What happens.
    #[serde(with = "As::<Filled>")]
    #[schemars(example = &"volumes are mounted with one label for all pods")]
    pub why: String,
    /// The running versions in danger; all of them without it.
    #[serde(default, with = "As::<VersionRange>")]
    pub from: Option<VersionRange>,
    /// The targets that bring the danger.
    #[serde(with = "As::<VersionRange>")]
    pub to: VersionRange,
    /// What it does to a verdict.
    pub severity: Severity,
    /// What Prometheus is asked. One sample: 1 where the danger is, 0 where it is not. Without it the danger is everywhere.
    #[serde(default, with = "As::<Filled>")]
    #[schemars(example = &"max(etcd_below_3_5_26) or 0 * max(etcd_server_version)")]
    pub promql: Option<String>,
    /// The page that describes it.
    #[serde(with = "As::<Source>")]
    pub source: String,
}

/// What a risk does to a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It is in the way.
    Block,
    /// It is told.
    Note,
}

/// Dangers on the way between two versions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub struct Risks(#[serde(with = "Rows::<Risk>")] pub Vec<Risk>);

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

    const IS_JOINED: bool = true;

    fn too_many(&self) -> Option<usize> {
        (self.0.len() > RISKS_MAX).then_some(RISKS_MAX)
    }

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
}

impl Row for Risk {
    const MAX: usize = RISKS_MAX;

    fn once(&self) -> Option<String> {
        Some(format!("one of {}", self.name))
    }
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
