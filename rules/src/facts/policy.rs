//! What an operator wants where the facts leave a choice.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};

use super::Section;
use super::addon::{AddonVersion, Claim, Coverage, Support};
use super::field::Field;
use super::older::Replaced;
use super::text::{Filled, List, Rows, Text};
use crate::words::version::Minor;

/// What an operator wants where the facts leave a choice. What a file leaves out is as it is by default.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Policy {
    /// The claims of a vendor that may let an add-on pass on the way to another minor.
    #[serde(deserialize_with = "Rows::<Claim>::deserialize")]
    pub accept_claims: Vec<Claim>,
    /// An add-on that is newer than every row, on the way to another minor.
    pub newer_addon_than_matrix: NewerAddon,
    /// A target that is newer than a row's ceiling.
    pub newer_k8s_than_row: NewerKubernetes,
    /// A target outside the range that a release of an add-on was tested with; hold by default.
    pub outside_tested: OutsideTested,
    /// What looks like an add-on and has no row.
    pub not_covered: NotCovered,
    /// A patch of the minor that runs, which an add-on is not known to fit: its ceiling, its rows or its claim.
    pub patch_beyond_ceiling: Beyond,
    /// A run whose control plane is at a minor already that an add-on is not known to fit.
    pub resume_beyond_ceiling: Beyond,
    /// For how many days nobody may have called an API that the target removes; 30 by default: a month sees what runs
    /// monthly.
    #[serde(deserialize_with = "days")]
    #[schemars(range(min = 1, max = WINDOW_DAYS_MAX))]
    pub deprecated_api_window_days: u32,
    /// Fewer days of samples; hold is a hold below 7 and a note above.
    pub deprecated_api_short_proof: ShortProof,
    /// An API that was called, but not lately.
    pub deprecated_api_ghosts: Ghosts,
    /// Up to which minor somebody has checked the flags that kubelets are started with.
    pub kubelet_flags_checked: Option<Minor>,
    /// More managers whose writes follow the control plane.
    #[serde(deserialize_with = "List::<Manager>::deserialize")]
    #[schemars(with = "List::<Manager>")]
    pub ignored_api_writers: Vec<String>,
    /// What Helm has stored; required needs the right to list Secrets.
    pub helm_manifests: HelmManifests,
    /// What the pods of add-ons run; required needs the right to list pods.
    pub addon_pods: AddonPods,
    /// What a file says of these; the rest is as it is by default.
    #[serde(skip)]
    given: BTreeSet<String>,
}

/// Whether the pods of add-ons are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AddonPods {
    /// They are, and where they cannot be read nobody knows.
    Required,
    /// They are not, which is noted: the templates are believed.
    Note,
}

/// Whether the manifests that Helm has stored are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HelmManifests {
    /// They are, and where they cannot be read nobody knows.
    Required,
    /// They are not, which is noted.
    Note,
}

/// What a proof is that does not reach over the whole window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ShortProof {
    /// A note from a week on: what runs daily or weekly was seen, and what runs monthly may not have been. A hold below, until
    /// more is proved or a person accepts it.
    Hold,
    /// None.
    Unknown,
    /// Good enough; it is noted.
    Note,
}

/// What an API is that was asked for, but not lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ghosts {
    /// In the way: some callers come once a week.
    Block,
    /// Noted.
    Note,
}

/// What an add-on that is newer than every row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NewerAddon {
    /// Unknown.
    Unknown,
    /// Like the newest release that is known.
    AssumeHighest,
}

/// What a target beyond a ceiling is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NewerKubernetes {
    /// In the way.
    Block,
    /// Unknown: vendors say of many that they may work.
    Unknown,
}

/// What becomes of a target outside the range that a release of an add-on was tested with, where its vendor rules nothing
/// out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OutsideTested {
    /// Held until somebody accepts it, or until a release or a newer page covers it.
    Hold,
    /// It is noted.
    Note,
    /// In the way.
    Block,
}

/// What becomes of an add-on without a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NotCovered {
    /// It is noted.
    Warn,
    /// It makes the verdict unknown.
    Unknown,
}

/// What becomes of an add-on that is not known to fit the minor that runs already, which the step at hand does not change:
/// beyond its ceiling, newer or older than every row, or without a claim that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Beyond {
    /// It is noted.
    Note,
    /// It is judged like any other.
    Judge,
}

impl Policy {
    /// What a release of an add-on fits, as far as the operator lets one that is newer than every row count.
    #[must_use]
    pub fn coverage(&self, support: &Support, version: AddonVersion) -> Coverage {
        match (support.of(version), self.newer_addon_than_matrix) {
            (Coverage::Newer, NewerAddon::AssumeHighest) => support.of_newest(version),
            (coverage, _) => coverage,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            accept_claims: vec![Claim::Supported, Claim::Tested, Claim::ClientGo, Claim::MinOnly],
            newer_addon_than_matrix: NewerAddon::Unknown,
            newer_k8s_than_row: NewerKubernetes::Block,
            outside_tested: OutsideTested::Hold,
            not_covered: NotCovered::Warn,
            patch_beyond_ceiling: Beyond::Note,
            resume_beyond_ceiling: Beyond::Judge,
            deprecated_api_window_days: 30,
            deprecated_api_short_proof: ShortProof::Hold,
            deprecated_api_ghosts: Ghosts::Block,
            kubelet_flags_checked: None,
            ignored_api_writers: Vec::new(),
            helm_manifests: HelmManifests::Note,
            addon_pods: AddonPods::Note,
            given: BTreeSet::new(),
        }
    }
}

impl Policy {
    /// The choices alone, whether a file has made them or nobody.
    #[must_use]
    pub fn choices(self) -> Self {
        Self { given: BTreeSet::new(), ..self }
    }
}

/// The longest window for requests of APIs that go.
const WINDOW_DAYS_MAX: u32 = 365;
impl Section for Policy {
    const KEY: &'static str = "policy";

    fn read(field: &Field<'_>) -> Option<Self> {
        let given = field.entries().unwrap_or_default().into_iter().map(|(name, _)| name.to_owned());
        Some(Self { given: given.collect(), ..field.read()? })
    }

    const IS_JOINED: bool = true;

    /// Wishes do not age.
    fn replaced(&self, _later: &Self) -> Vec<Replaced> {
        Vec::new()
    }

    /// A later file changes what it says, and leaves the other choices of an earlier one as they are.
    fn join(self, later: Self) -> Self {
        let [mut choices, others] = [&self, &later].map(|policy| serde_json::json!(policy));
        for name in &later.given {
            choices[name] = others[name].clone();
        }
        let joined: Self = serde_json::from_value(choices).expect("each choice has been read before");
        Self { given: &self.given | &later.given, ..joined }
    }
}

/// No day at all would prove nothing, and years are in no Prometheus.
fn days<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let days = u32::deserialize(from)?;
    let is_good = (1..=WINDOW_DAYS_MAX).contains(&days);
    is_good.then_some(days).ok_or_else(|| D::Error::custom("a number of days from 1 to 365"))
}

struct Manager;

impl Text for Manager {
    type Is = String;
    const WHAT: &'static str = "The name of a field manager.";
    const EXPECTED: &'static str = Filled::EXPECTED;
    const PATTERN: &'static str = Filled::PATTERN;
    const EXAMPLE: &'static str = "velero-server";
    const READ: fn(&str) -> Option<String> = Filled::READ;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Matrix, schema};

    fn load(policy: &str) -> Result<Policy, String> {
        let text = format!("schema: 2\nas_of: \"2026-08-22\"\npolicy: {policy}\n");
        let loaded = Matrix::load(&[("mine.yaml", &text)]);
        loaded.map(|matrix| matrix.policy.value).map_err(|mistakes| mistakes[0].to_string())
    }

    #[test]
    fn what_is_left_out_is_as_usual_and_what_is_wrong_is_told() {
        assert_eq!(load("{}"), Ok(Policy::default()));
        assert_eq!(
            Policy { given: BTreeSet::new(), ..load("{not_covered: warn}").unwrap() },
            Policy::default()
        );
        let some = load("{accept_claims: [tested], not_covered: unknown}").unwrap();
        let expected = Policy {
            accept_claims: vec![Claim::Tested],
            not_covered: NotCovered::Unknown,
            given: ["accept_claims", "not_covered"].map(str::to_owned).into(),
            ..Policy::default()
        };
        assert_eq!(some, expected);
        for (policy, told) in [
            ("{accept_claims: [all]}", "policy.accept_claims[0]"),
            ("{newer_addon_than_matrix: pass}", "one of unknown, assume-highest"),
            ("{newer_k8s_than_row: pass}", "one of block, unknown"),
            ("{outside_tested: pass}", "one of hold, note, block"),
            ("{patch_beyond_ceiling: true}", "expected a text"),
            ("{resume: note}", "no field of that name"),
            ("{deprecated_api_window_days: 0}", "from 1 to 365"),
            ("{deprecated_api_short_proof: pass}", "one of hold, unknown, note"),
            ("{deprecated_api_ghosts: true}", "expected a text"),
            ("{kubelet_flags_checked: 1.37}", "policy.kubelet_flags_checked"),
            ("{helm_manifests: unknown}", "one of required, note"),
            ("{addon_pods: true}", "expected a text"),
            ("{ignored_api_writers: [1]}", "policy.ignored_api_writers[0]"),
        ] {
            let said = load(policy).unwrap_err();
            assert!(said.contains(told), "{said}");
        }
    }

    #[test]
    fn a_later_file_leaves_the_other_choices_as_they_are() {
        let file = |policy: &str| format!("schema: 2\nas_of: \"2026-08-22\"\npolicy: {policy}\n");
        let [one, two] =
            ["{helm_manifests: required, not_covered: unknown}", "{not_covered: warn, addon_pods: required}"]
                .map(file);
        let policy = Matrix::load(&[("a.yaml", &one), ("b.yaml", &two)]).unwrap().policy.value;
        let found = (policy.helm_manifests, policy.not_covered, policy.addon_pods);
        assert_eq!(found, (HelmManifests::Required, NotCovered::Warn, AddonPods::Required));
        // One without a value would take the choice back unseen.
        let told = Matrix::load(&[("a.yaml", &one), ("b.yaml", &file("{helm_manifests: }"))]).unwrap_err()[0]
            .to_string();
        assert!(
            told.contains("b.yaml:3:10: policy.helm_manifests: found nothing, expected a value"),
            "{told}"
        );
        // Every choice can be made by a later file: none is forgotten where they are joined.
        for (name, value) in schema::of::<Policy>()["properties"].as_object().unwrap() {
            let other = match value["type"].as_str().unwrap() {
                "integer" => "7".to_owned(),
                "array" if name == "accept_claims" => "[tested]".to_owned(),
                "array" => "[me]".to_owned(),
                _ => value["enum"]
                    .as_array()
                    .and_then(|words| {
                        words.iter().find(|word| {
                            load(&format!("{{{name}: {word}}}"))
                                .is_ok_and(|read| read.choices() != Policy::default())
                        })
                    })
                    .map_or_else(|| "\"1.40\"".to_owned(), ToString::to_string),
            };
            let alone = load(&format!("{{{name}: {other}}}")).unwrap();
            let joined = Policy::default().join(alone.clone());
            assert_eq!(joined, alone, "{name}");
            assert_ne!(joined.choices(), Policy::default(), "{name}: {other}");
        }
    }
}
