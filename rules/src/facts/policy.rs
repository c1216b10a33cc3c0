//! What an operator wants where the facts leave a choice.

use std::collections::BTreeSet;

use super::addon::{AddonVersion, Claim, Coverage, Support};
use super::hand::{Fields, Hand};
use super::older::Replaced;
use super::{Section, minor, schema};
use crate::words::version::Minor;

/// The choices. What a file leaves out is as it is by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Which claims of a vendor may let an add-on pass.
    pub accept_claims: Vec<Claim>,
    /// An add-on that is newer than every row.
    pub newer_addon_than_matrix: NewerAddon,
    /// A target that is newer than a row's ceiling.
    pub newer_k8s_than_row: NewerKubernetes,
    /// A target outside the range that a release of an add-on was tested with.
    pub outside_tested: OutsideTested,
    /// What looks like an add-on and has no row.
    pub not_covered: NotCovered,
    /// A patch of the minor that runs, which an add-on is not known to fit.
    pub patch_beyond_ceiling: Beyond,
    /// A run that goes on after its control plane has reached a minor that an add-on is not known to fit.
    pub resume_beyond_ceiling: Beyond,
    /// For how many days nobody may have asked for an API that goes: a month sees what runs monthly.
    pub deprecated_api_window_days: u32,
    /// Where Prometheus has samples of less than that.
    pub deprecated_api_short_proof: ShortProof,
    /// An API that was asked for, but not lately.
    pub deprecated_api_ghosts: Ghosts,
    /// Up to which minor a person has looked at the flags that kubelets are started with.
    pub kubelet_flags_checked: Option<Minor>,
    /// More managers whose writes follow the control plane.
    pub ignored_api_writers: Vec<String>,
    /// What Helm has stored, which nobody reads without the right to list every Secret.
    pub helm_manifests: HelmManifests,
    /// What the pods of add-ons run, which nobody reads without the right to list every pod.
    pub addon_pods: AddonPods,
    /// What a file says of these; the rest is as it is by default.
    given: BTreeSet<String>,
}

/// Whether the pods of add-ons are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddonPods {
    /// They are, and where they cannot be read nobody knows.
    Required,
    /// They are not, which is noted: the templates are believed.
    Note,
}

/// Whether the manifests that Helm has stored are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelmManifests {
    /// They are, and where they cannot be read nobody knows.
    Required,
    /// They are not, which is noted.
    Note,
}

/// What a proof is that does not reach over the whole window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ghosts {
    /// In the way: some callers come once a week.
    Block,
    /// Noted.
    Note,
}

/// What an add-on that is newer than every row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewerAddon {
    /// Unknown.
    Unknown,
    /// Like the newest release that is known.
    AssumeHighest,
}

/// What a target beyond a ceiling is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewerKubernetes {
    /// In the way.
    Block,
    /// Unknown: vendors say of many that they may work.
    Unknown,
}

/// What becomes of a target outside the range that a release of an add-on was tested with, where its vendor rules nothing
/// out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutsideTested {
    /// Held until somebody accepts it, or until a release or a newer page covers it.
    Hold,
    /// It is noted.
    Note,
    /// In the way.
    Block,
}

/// What becomes of an add-on without a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotCovered {
    /// It is noted.
    Warn,
    /// It makes the verdict unknown.
    Unknown,
}

/// What becomes of an add-on that is not known to fit the minor that runs already, which the step at hand does not change:
/// beyond its ceiling, newer or older than every row, or without a claim that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
const NEWER_ADDON: [(&str, NewerAddon); 2] =
    [("unknown", NewerAddon::Unknown), ("assume-highest", NewerAddon::AssumeHighest)];
const NEWER_KUBERNETES: [(&str, NewerKubernetes); 2] =
    [("block", NewerKubernetes::Block), ("unknown", NewerKubernetes::Unknown)];
const OUTSIDE_TESTED: [(&str, OutsideTested); 3] =
    [("hold", OutsideTested::Hold), ("note", OutsideTested::Note), ("block", OutsideTested::Block)];
const NOT_COVERED: [(&str, NotCovered); 2] = [("warn", NotCovered::Warn), ("unknown", NotCovered::Unknown)];
const GHOSTS: [(&str, Ghosts); 2] = [("block", Ghosts::Block), ("note", Ghosts::Note)];
const SHORT_PROOF: [(&str, ShortProof); 3] =
    [("hold", ShortProof::Hold), ("unknown", ShortProof::Unknown), ("note", ShortProof::Note)];
const HELM_MANIFESTS: [(&str, HelmManifests); 2] =
    [("required", HelmManifests::Required), ("note", HelmManifests::Note)];
const ADDON_PODS: [(&str, AddonPods); 2] = [("required", AddonPods::Required), ("note", AddonPods::Note)];
const BEYOND: [(&str, Beyond); 2] = [("note", Beyond::Note), ("judge", Beyond::Judge)];

impl Section for Policy {
    const KEY: &'static str = "policy";

    fn read(hand: &Hand<'_>) -> Option<Self> {
        let fields = hand.fields()?;
        let given = hand.entries().unwrap_or_default();
        let usual = Self::default();
        let accept_claims =
            fields.optional("accept_claims").map_or(Some(usual.accept_claims.clone()), |hand| {
                let claim = |hand: &Hand<'_>| hand.one_of(&Claim::WORDS);
                hand.list()?.iter().map(claim).collect::<Vec<_>>().into_iter().collect()
            });
        let newer_addon_than_matrix = fields
            .optional("newer_addon_than_matrix")
            .map_or(Some(usual.newer_addon_than_matrix), |hand| hand.one_of(&NEWER_ADDON));
        let newer_k8s_than_row = fields
            .optional("newer_k8s_than_row")
            .map_or(Some(usual.newer_k8s_than_row), |hand| hand.one_of(&NEWER_KUBERNETES));
        let outside_tested = fields
            .optional("outside_tested")
            .map_or(Some(usual.outside_tested), |hand| hand.one_of(&OUTSIDE_TESTED));
        let not_covered =
            fields.optional("not_covered").map_or(Some(usual.not_covered), |hand| hand.one_of(&NOT_COVERED));
        let beyond =
            |name: &str, usual| fields.optional(name).map_or(Some(usual), |hand| hand.one_of(&BEYOND));
        let patch_beyond_ceiling = beyond("patch_beyond_ceiling", usual.patch_beyond_ceiling);
        let resume_beyond_ceiling = beyond("resume_beyond_ceiling", usual.resume_beyond_ceiling);
        let apis = deprecated_apis(&fields, &usual);
        let ghosts = fields
            .optional("deprecated_api_ghosts")
            .map_or(Some(usual.deprecated_api_ghosts), |hand| hand.one_of(&GHOSTS));
        let writers = fields.optional("ignored_api_writers").map_or(Some(Vec::new()), |hand| {
            hand.list()?.iter().map(|hand| hand.text().map(str::to_owned)).collect()
        });
        let flags_checked = fields.optional("kubelet_flags_checked").map(|hand| minor(&hand));
        let helm_manifests = fields
            .optional("helm_manifests")
            .map_or(Some(usual.helm_manifests), |hand| hand.one_of(&HELM_MANIFESTS));
        let addon_pods =
            fields.optional("addon_pods").map_or(Some(usual.addon_pods), |hand| hand.one_of(&ADDON_PODS));
        fields.finish();
        let kubelet_flags_checked = match flags_checked {
            None => None,
            Some(checked) => Some(checked?),
        };
        let (deprecated_api_window_days, deprecated_api_short_proof) = apis?;
        Some(Self {
            accept_claims: accept_claims?,
            newer_addon_than_matrix: newer_addon_than_matrix?,
            newer_k8s_than_row: newer_k8s_than_row?,
            outside_tested: outside_tested?,
            not_covered: not_covered?,
            patch_beyond_ceiling: patch_beyond_ceiling?,
            resume_beyond_ceiling: resume_beyond_ceiling?,
            deprecated_api_window_days,
            deprecated_api_short_proof,
            deprecated_api_ghosts: ghosts?,
            kubelet_flags_checked,
            ignored_api_writers: writers?,
            helm_manifests: helm_manifests?,
            addon_pods: addon_pods?,
            given: given.into_iter().map(|(name, _)| name.to_owned()).collect(),
        })
    }

    const IS_JOINED: bool = true;

    /// Wishes do not age.
    fn replaced(&self, _later: &Self) -> Vec<Replaced> {
        Vec::new()
    }

    /// A later file changes what it says, and leaves the other choices of an earlier one as they are.
    fn join(self, later: Self) -> Self {
        /// The later choice where it was made.
        macro_rules! joined {
            ($($choice:ident),+ $(,)?) => {
                Self {
                    $($choice: if later.given.contains(stringify!($choice)) { later.$choice } else { self.$choice },)+
                    given: &self.given | &later.given,
                }
            };
        }
        joined!(
            accept_claims,
            newer_addon_than_matrix,
            newer_k8s_than_row,
            outside_tested,
            not_covered,
            patch_beyond_ceiling,
            resume_beyond_ceiling,
            deprecated_api_window_days,
            deprecated_api_short_proof,
            deprecated_api_ghosts,
            kubelet_flags_checked,
            ignored_api_writers,
            helm_manifests,
            addon_pods,
        )
    }

    fn schema() -> serde_json::Value {
        use schema::{list, object, optional, words};
        let claims = words("A claim of a vendor.", &Claim::WORDS);
        object(
            "What an operator wants where the facts leave a choice.",
            [
                optional(
                    "accept_claims",
                    list("The claims that may let an add-on pass on the way to another minor.", claims),
                ),
                optional(
                    "newer_addon_than_matrix",
                    words(
                        "An add-on that is newer than every row, on the way to another minor.",
                        &NEWER_ADDON,
                    ),
                ),
                optional(
                    "newer_k8s_than_row",
                    words("A target that is newer than a row's ceiling.", &NEWER_KUBERNETES),
                ),
                optional(
                    "kubelet_flags_checked",
                    schema::minor("Up to which minor a person has looked at the flags of every kubelet."),
                ),
                optional(
                    "outside_tested",
                    words(
                        "A target outside the range that a release of an add-on was tested with; hold if nothing is said.",
                        &OUTSIDE_TESTED,
                    ),
                ),
                optional("not_covered", words("What looks like an add-on and has no row.", &NOT_COVERED)),
                optional(
                    "patch_beyond_ceiling",
                    words(
                        "A patch of the minor that runs, which an add-on is not known to fit: its ceiling, its rows or its claim.",
                        &BEYOND,
                    ),
                ),
                optional(
                    "resume_beyond_ceiling",
                    words(
                        "A run whose control plane is at a minor already that an add-on is not known to fit.",
                        &BEYOND,
                    ),
                ),
            ]
            .into_iter()
            .chain(proof_schema()),
        )
    }
}

/// The choices about APIs that go, and about what proves that something is as it looks.
fn proof_schema() -> Vec<schema::Field> {
    use schema::{list, optional, text, words};
    let writer = text("The name of a field manager.", "velero-server");
    vec![
        optional("deprecated_api_window_days", window_schema()),
        optional(
            "deprecated_api_short_proof",
            words("Fewer days of samples; hold is a hold below 7 and a note above.", &SHORT_PROOF),
        ),
        optional("deprecated_api_ghosts", words("An API that was asked for, but not lately.", &GHOSTS)),
        optional("ignored_api_writers", list("More managers whose writes follow the control plane.", writer)),
        optional(
            "helm_manifests",
            words("What Helm has stored; required needs the right to list Secrets.", &HELM_MANIFESTS),
        ),
        optional(
            "addon_pods",
            words("What the pods of add-ons run; required needs the right to list pods.", &ADDON_PODS),
        ),
    ]
}

fn window_schema() -> serde_json::Value {
    let what = "For how many days nobody may have asked for an API that goes; 30 if nothing is said.";
    let mut days = schema::count(what, 1);
    days["maximum"] = WINDOW_DAYS_MAX.into();
    days
}

/// The window, and what a shorter proof is. No day at all would prove nothing, and years are in no Prometheus.
fn deprecated_apis(fields: &Fields<'_>, usual: &Policy) -> Option<(u32, ShortProof)> {
    let usual_days = usual.deprecated_api_window_days;
    let days = fields.optional("deprecated_api_window_days").map_or(Some(usual_days), |hand| {
        let days = hand.count()?;
        if !(1..=WINDOW_DAYS_MAX).contains(&days) {
            hand.wrong("a number of days from 1 to 365");
        }
        Some(days)
    });
    let short = fields
        .optional("deprecated_api_short_proof")
        .map_or(Some(usual.deprecated_api_short_proof), |hand| hand.one_of(&SHORT_PROOF));
    days.zip(short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Matrix;

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
        // Every choice can be made by a later file: none is forgotten where they are joined.
        for (name, value) in Policy::schema()["properties"].as_object().unwrap() {
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
