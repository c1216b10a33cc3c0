//! By what an add-on is recognised beside its usual place and the pattern of its image: names that its own project, or
//! a well-known repackager, gives to what it publishes. A mirror, a release's name or a digest changes some of them, and
//! rarely all.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::facts::text::{List, Text};

/// How many names a list may have: far more than any project publishes.
const NAMES_MAX: usize = 50;
/// What many projects call a part of themselves: by these names alone nothing is recognised.
pub(crate) const NO_NAMES: [&str; 10] = [
    "agent",
    "controller",
    "controller-manager",
    "driver",
    "manager",
    "node",
    "operator",
    "plugin",
    "server",
    "webhook",
];
/// API groups that several projects bring: their definitions tell of none of them.
const SHARED_GROUPS: [&str; 7] = [
    "argoproj.io",
    "cilium.io",
    "gateway.networking.k8s.io",
    "groupsnapshot.storage.k8s.io",
    "monitoring.coreos.com",
    "policy.networking.k8s.io",
    "snapshot.storage.k8s.io",
];

/// Names that tell of an add-on. One of a workload marks it as the add-on's; one of the cluster tells that the add-on
/// is, or was, there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Witnesses {
    /// How the paths of its main images end: the last part, or the last two, whatever the registry. Its version is read from
    /// their tags.
    #[serde(with = "List::<Image>")]
    pub images: BTreeSet<String>,
    /// How the paths of images of another project end that is called alike: what runs them is not this add-on.
    #[serde(with = "List::<Path>")]
    pub not_images: BTreeSet<String>,
    /// What app.kubernetes.io/name is on its workload or on its pods.
    #[serde(with = "List::<Name>")]
    pub names: BTreeSet<String>,
    /// What app.kubernetes.io/part-of is, where all its parts live beside its main workload.
    #[serde(with = "List::<Name>")]
    pub part_of: BTreeSet<String>,
    /// What helm.sh/chart is, without the version.
    #[serde(with = "List::<Name>")]
    pub charts: BTreeSet<String>,
    /// Other labels that its own project sets, as key=value.
    #[serde(with = "List::<Label>")]
    pub labels: BTreeSet<(String, String)>,
    /// Labels of its tools, as key=value: what bears one runs its main image and is no installation, whatever its version.
    #[serde(with = "List::<Label>")]
    pub not_labels: BTreeSet<(String, String)>,
    /// API groups of definitions that it owns alone. Of a group that other projects bring definitions of too, such as
    /// gateway.networking.k8s.io, snapshot.storage.k8s.io or monitoring.coreos.com: the whole names of its own definitions.
    #[serde(with = "List::<Group>")]
    pub crd_groups: BTreeSet<String>,
    /// The names of its webhooks, or of their configurations.
    #[serde(with = "List::<Name>")]
    pub webhooks: BTreeSet<String>,
}

impl Witnesses {
    /// Whether any of these would be seen without a workload.
    #[must_use]
    pub fn has_of_cluster(&self) -> bool {
        !self.crd_groups.is_empty() || !self.webhooks.is_empty()
    }
}

/// The chart that a value of `helm.sh/chart` names: what stands before the version.
pub(crate) fn chart_name(value: &str) -> &str {
    let is_version = |rest: &str| {
        let rest = rest.strip_prefix('v').unwrap_or(rest);
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        digits > 0 && rest[digits..].starts_with('.')
    };
    let mut dashes = value.match_indices('-').map(|(at, _)| at);
    dashes.find(|at| is_version(&value[at + 1..])).map_or(value, |at| &value[..at])
}

struct Image;
struct Path;
struct Name;
struct Label;
struct Group;

fn is_specific(text: &str) -> bool {
    !text.trim().is_empty() && !NO_NAMES.contains(&text)
}

fn is_part(part: &str) -> bool {
    let is_plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b"._-".contains(&it);
    !part.is_empty() && part.bytes().all(is_plain)
}

impl Text for Name {
    type Is = String;
    const WHAT: &'static str = "One name.";
    const EXPECTED: &'static str = "a name that tells of one project only; many call something so";
    const PATTERN: &'static str = r"\S";
    const EXAMPLE: &'static str = "cert-manager";
    const MAX: usize = NAMES_MAX;
    const READ: fn(&str) -> Option<String> = |text| is_specific(text).then(|| text.to_owned());
    const NEVER: fn() -> Value = || json!({"enum": NO_NAMES});
}

/// So many parts that no other project's path ends so.
impl Text for Path {
    type Is = String;
    const WHAT: &'static str = "One end of a path.";
    const EXPECTED: &'static str = "two or more last parts of an image's path, without a tag";
    const PATTERN: &'static str = "^[a-z0-9._-]+(/[a-z0-9._-]+)+$";
    const EXAMPLE: &'static str = "aks/karpenter/controller";
    const MAX: usize = NAMES_MAX;
    const READ: fn(&str) -> Option<String> =
        |text| (text.contains('/') && text.split('/').all(is_part)).then(|| text.to_owned());
}

/// One part of a path, or two.
impl Text for Image {
    type Is = String;
    const WHAT: &'static str = "One end of a path.";
    const EXPECTED: &'static str =
        "the last part of an image's path, or the last two where many call the last one so, without a tag";
    const PATTERN: &'static str = "^[a-z0-9._-]+(/[a-z0-9._-]+)?$";
    const EXAMPLE: &'static str = "cert-manager-controller";
    const MAX: usize = NAMES_MAX;
    const READ: fn(&str) -> Option<String> = |text| {
        let is_end = match text.split_once('/') {
            Some((before, last)) => is_part(before) && is_part(last),
            None => is_part(text) && is_specific(text),
        };
        is_end.then(|| text.to_owned())
    };
    const NEVER: fn() -> Value = Name::NEVER;
}

impl Text for Label {
    type Is = (String, String);
    const WHAT: &'static str = "One label.";
    const EXPECTED: &'static str =
        "key=value that tells of one project only; names, part_of and charts are lists of their own";
    const PATTERN: &'static str = r"^[^=\s]+=[^=\s]+$";
    const EXAMPLE: &'static str = "app=istiod";
    const MAX: usize = NAMES_MAX;
    const READ: fn(&str) -> Option<(String, String)> = |text| {
        let (key, value) = text.split_once('=')?;
        let has_own_list = key.starts_with("app.kubernetes.io/") || key.starts_with("helm.sh/");
        let is_word = |it: &str| !it.is_empty() && !it.contains(['=', ' ', '\t', '\n']);
        let is_label = is_word(key) && is_word(value) && is_specific(value) && !has_own_list;
        is_label.then(|| (key.to_owned(), value.to_owned()))
    };
    const NEVER: fn() -> Value =
        || json!({"pattern": format!("^(app\\.kubernetes\\.io|helm\\.sh)/|=({})$", NO_NAMES.join("|"))});
}

impl Text for Group {
    type Is = String;
    const WHAT: &'static str = "One group, or one definition.";
    const EXPECTED: &'static str =
        "an API group that no other project brings, or the whole name of a definition";
    const PATTERN: &'static str = r"^[^/\s]+\.[^/\s]+$";
    const EXAMPLE: &'static str = "cert-manager.io";
    const MAX: usize = NAMES_MAX;
    const READ: fn(&str) -> Option<String> = |text| {
        let is_name = !text.contains(['/', ' ', '\t', '\n']);
        let has_domain =
            text.split_once('.').is_some_and(|(first, rest)| !first.is_empty() && !rest.is_empty());
        let is_own = is_name && has_domain && !SHARED_GROUPS.contains(&text);
        is_own.then(|| text.to_owned())
    };
    const NEVER: fn() -> Value = || json!({"enum": SHARED_GROUPS});
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_what_stands_before_its_version() {
        for (value, name) in [
            ("cert-manager-v1.16.2", "cert-manager"),
            ("cert-manager-v1.17.0-beta.0", "cert-manager"),
            ("ingress-nginx-4.11.3", "ingress-nginx"),
            ("rke2-ingress-nginx-4.12.401", "rke2-ingress-nginx"),
            ("k8s-1-app-1.2.3_4", "k8s-1-app"),
            ("plain", "plain"),
            ("", ""),
        ] {
            assert_eq!(chart_name(value), name, "{value}");
        }
    }
}
