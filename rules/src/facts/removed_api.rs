//! Kinds that an API server stops to serve.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Section;
use super::field::Field;
use super::text::{As, Filled, List, Row, Rows, Source, Text, is_alphanumeric};
use crate::cluster::inventory::ApiKind;
use crate::words::version::Minor;

/// Kinds of one group and version that the same minor removes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct RemovedApi {
    /// The group; empty for the core group.
    #[schemars(example = &"policy")]
    pub group: String,
    /// The version.
    #[serde(with = "As::<Filled>")]
    #[schemars(example = &"v1beta1")]
    pub version: String,
    /// The kinds.
    #[serde(with = "List::<Kind>")]
    pub kinds: Vec<String>,
    /// The first minor that does not serve them, as their types declare it; an API server marks an API by it.
    #[serde(rename = "removed")]
    pub declared: Minor,
    /// The first minor without the types, where that is earlier.
    // Once it is read: the first minor whose API server does not serve them, by either.
    #[serde(rename = "gone", default = "never")]
    pub removed: Minor,
    /// The page that says so, where it is not the section's.
    #[serde(default, with = "As::<Source>")]
    pub source: String,
}

/// Kinds that API servers stop serving.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub struct RemovedApis {
    /// The page that says so of every row without one of its own.
    #[serde(with = "As::<Source>")]
    source: String,
    /// The kinds, by group and version.
    #[serde(with = "Rows::<RemovedApi>")]
    pub kinds: Vec<RemovedApi>,
    /// Managers whose writes follow the control plane: they are upgraded with it.
    #[serde(default, with = "Rows::<IgnoredWriter>")]
    pub ignored_writers: Vec<IgnoredWriter>,
}

/// A part of the control plane.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct IgnoredWriter {
    /// The name of a field manager, as in `managedFields`.
    #[serde(with = "As::<Filled>")]
    #[schemars(example = &"kube-controller-manager")]
    pub manager: String,
    /// The page that says what it is a part of.
    #[serde(with = "As::<Source>")]
    pub source: String,
}

impl RemovedApis {
    /// The first minor that does not serve a kind, if it is known to go.
    #[must_use]
    pub fn of_kind(&self, group: &str, version: &str, kind: &str) -> Option<&RemovedApi> {
        self.of(group, version, |known| known.kind == kind)
    }

    /// The same by the plural name under which the API server serves it, such as `ingresses`.
    #[must_use]
    pub fn of_resource(&self, group: &str, version: &str, resource: &str) -> Option<&RemovedApi> {
        self.of(group, version, |known| known.resource() == resource)
    }

    /// Every kind that goes after `running`, up to `last`: what an upgrade between them would take away.
    #[must_use]
    pub fn going(&self, running: Minor, last: Minor) -> BTreeSet<ApiKind> {
        let going = self.kinds.iter().filter(|api| running < api.removed && api.removed <= last);
        going.flat_map(RemovedApi::each).collect()
    }

    fn of(&self, group: &str, version: &str, is_it: impl Fn(&ApiKind) -> bool) -> Option<&RemovedApi> {
        let fits = |api: &&RemovedApi| {
            api.group == group && api.version == version && api.each().any(|kind| is_it(&kind))
        };
        self.kinds.iter().filter(fits).min_by_key(|api| api.removed)
    }
}

impl RemovedApi {
    fn each(&self) -> impl Iterator<Item = ApiKind> {
        let Self { group, version, kinds, .. } = self;
        kinds.iter().map(|kind| ApiKind {
            group: group.clone(),
            version: version.clone(),
            kind: kind.clone(),
        })
    }
}

impl Section for RemovedApis {
    const KEY: &'static str = "removed_apis";

    fn read(field: &Field<'_>) -> Option<Self> {
        let mut read: Self = field.read()?;
        for row in &mut read.kinds {
            row.removed = row.removed.min(row.declared);
            if row.source.is_empty() {
                row.source.clone_from(&read.source);
            }
        }
        Some(read)
    }

    fn forgotten(&self, later: &Self) -> Vec<String> {
        let kinds = |all: &Self| all.kinds.iter().flat_map(RemovedApi::each).collect::<BTreeSet<_>>();
        kinds(self).difference(&kinds(later)).map(ToString::to_string).collect()
    }
}

impl Row for RemovedApi {}
impl Row for IgnoredWriter {}

fn never() -> Minor {
    Minor { major: u64::MAX, minor: u64::MAX }
}

struct Kind;

impl Text for Kind {
    type Is = String;
    const WHAT: &'static str = "A kind.";
    const EXPECTED: &'static str = "the name of a kind, in letters and digits";
    const PATTERN: &'static str = "^[A-Za-z0-9]+$";
    const EXAMPLE: &'static str = "PodDisruptionBudget";
    const READ: fn(&str) -> Option<String> = |text| is_alphanumeric(text).then(|| text.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Matrix;

    #[test]
    fn a_writer_is_ignored_only_with_a_source() {
        let load = |writer: &str| {
            let built_in = include_str!("../../data/removed-apis.yaml");
            let text =
                built_in.replace("  ignored_writers:\n", &format!("  ignored_writers:\n    - {writer}\n"));
            let loaded = Matrix::load(&[("mine.yaml", &text)]);
            loaded.map(|matrix| matrix.removed_apis.value.ignored_writers).map_err(|all| all[0].to_string())
        };
        let good = load("{manager: own, source: \"https://example.com/own\"}").unwrap();
        assert_eq!((&*good[0].manager, &*good[0].source), ("own", "https://example.com/own"));
        for (writer, told) in [
            ("own", "ignored_writers[0]"),
            ("{manager: own}", "source"),
            ("{source: \"https://example.com/own\"}", "manager"),
            ("{manager: own, source: \"https://example.com/own\", why: x}", "why"),
        ] {
            let said = load(writer).unwrap_err();
            assert!(said.contains(told), "{writer}: {said}");
        }
    }

    #[test]
    fn a_file_that_forgets_a_kind_is_refused_and_says_which() {
        let built_in = include_str!("../../data/removed-apis.yaml");
        let less = built_in.replace("[Eviction, PodDisruptionBudget,", "[PodDisruptionBudget,");
        assert_ne!(less, built_in);
        let said = Matrix::load(&[("mine.yaml", &less)]).unwrap_err()[0].to_string();
        let told = "1 are left out, such as policy/v1beta1 Eviction): a section is given whole";
        assert!(said.contains("removed-apis.yaml") && said.contains(told), "{said}");
    }

    #[test]
    fn the_smaller_of_declared_and_real_counts() {
        let known = Matrix::built_in().removed_apis.value;
        for (group, version, resource, removed) in [
            ("extensions", "v1beta1", "ingresses", Some(22)),
            ("extensions", "v1beta1", "networkpolicies", Some(16)),
            ("networking.k8s.io", "v1beta1", "ingressclasses", Some(22)),
            ("flowcontrol.apiserver.k8s.io", "v1beta1", "flowschemas", Some(26)),
            ("autoscaling", "v2beta2", "horizontalpodautoscalers", Some(26)),
            ("storage.k8s.io", "v1beta1", "csistoragecapacities", Some(27)),
            ("networking.k8s.io", "v1alpha1", "clustercidrs", Some(29)),
            ("storagemigration.k8s.io", "v1alpha1", "storageversionmigrations", Some(35)),
            ("resource.k8s.io", "v1alpha3", "resourceclaims", Some(34)),
            ("resource.k8s.io", "v1alpha3", "devicetaintrules", Some(39)),
            ("apiextensions.k8s.io", "v1beta1", "customresourcedefinitions", Some(22)),
            ("apps", "v1", "deployments", None),
        ] {
            let found = known.of_resource(group, version, resource).map(|api| api.removed.minor);
            assert_eq!(found, removed, "{group}/{version} {resource}");
        }
        let minor = |minor| Minor { major: 1, minor };
        let going: Vec<String> = known.going(minor(32), minor(33)).iter().map(ToString::to_string).collect();
        assert_eq!(
            going,
            [
                "authentication.k8s.io/v1beta1 SelfSubjectReview",
                "networking.k8s.io/v1alpha1 IPAddress",
                "networking.k8s.io/v1alpha1 ServiceCIDR"
            ]
        );
        assert!(known.of_kind("policy", "v1beta1", "PodDisruptionBudget").is_some());
    }
}
