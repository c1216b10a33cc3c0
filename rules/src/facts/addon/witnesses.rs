//! By what an add-on is recognised beside its usual place and the pattern of its image: names that its own project, or
//! a well-known repackager, gives to what it publishes. A mirror, a release's name or a digest changes some of them, and
//! rarely all.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::facts::hand::Hand;
use crate::facts::schema::{Field, filled, list, object, optional, patterned};

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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Witnesses {
    /// The ends of repositories: the last part of a path, or the last two.
    pub images: BTreeSet<String>,
    /// The ends of repositories of another project that is called alike: what runs them is not this add-on.
    pub not_images: BTreeSet<String>,
    /// Values of `app.kubernetes.io/name`.
    pub names: BTreeSet<String>,
    /// Values of `app.kubernetes.io/part-of`.
    pub part_of: BTreeSet<String>,
    /// Charts, as `helm.sh/chart` names them before their version.
    pub charts: BTreeSet<String>,
    /// Other labels with their values.
    pub labels: BTreeSet<(String, String)>,
    /// Labels of its tools, which run its main image and are no installation, whatever their version.
    pub not_labels: BTreeSet<(String, String)>,
    /// API groups of its definitions, or whole names of definitions.
    pub crd_groups: BTreeSet<String>,
    /// Names of its webhooks or of their configurations.
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

pub(super) fn read(hand: &Hand<'_>) -> Option<Witnesses> {
    let fields = hand.fields()?;
    let list = |name, read: fn(&Hand<'_>) -> Option<String>| {
        fields.optional_as(name, |hand| each(hand, read)).map(Option::unwrap_or_default)
    };
    let images = list("images", image);
    let not_images = list("not_images", path);
    let names = list("names", name);
    let part_of = list("part_of", name);
    let charts = list("charts", name);
    let labels_of = |name| fields.optional_as(name, |hand| each(hand, label)).map(Option::unwrap_or_default);
    let (labels, not_labels) = (labels_of("labels"), labels_of("not_labels"));
    let crd_groups = list("crd_groups", group);
    let webhooks = list("webhooks", name);
    fields.finish();
    Some(Witnesses {
        images: images?,
        not_images: not_images?,
        names: names?,
        part_of: part_of?,
        charts: charts?,
        labels: labels?,
        not_labels: not_labels?,
        crd_groups: crd_groups?,
        webhooks: webhooks?,
    })
}

/// A list of names, each once.
fn each<T: Ord>(hand: &Hand<'_>, read: impl Fn(&Hand<'_>) -> Option<T>) -> Option<BTreeSet<T>> {
    let all = hand.list()?;
    if all.len() > NAMES_MAX {
        hand.wrong(format!("at most {NAMES_MAX} names"));
        return None;
    }
    all.iter().map(read).collect::<Vec<_>>().into_iter().collect()
}

fn is_telling(text: &str) -> bool {
    !text.trim().is_empty() && !NO_NAMES.contains(&text)
}

fn name(hand: &Hand<'_>) -> Option<String> {
    let read = |text: &str| is_telling(text).then(|| text.to_owned());
    hand.parsed("a name that tells of one project only; many call something so", read)
}

fn is_part(part: &str) -> bool {
    let is_plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b"._-".contains(&it);
    !part.is_empty() && part.bytes().all(is_plain)
}

/// So many parts that no other project's path ends so.
fn path(hand: &Hand<'_>) -> Option<String> {
    let read = |text: &str| (text.contains('/') && text.split('/').all(is_part)).then(|| text.to_owned());
    hand.parsed("two or more last parts of an image's path, without a tag", read)
}

/// One part of a path, or two.
fn image(hand: &Hand<'_>) -> Option<String> {
    let read = |text: &str| {
        let is_end = match text.split_once('/') {
            Some((before, last)) => is_part(before) && is_part(last),
            None => is_part(text) && is_telling(text),
        };
        is_end.then(|| text.to_owned())
    };
    hand.parsed(
        "the last part of an image's path, or the last two where many call the last one so, without a tag",
        read,
    )
}

fn label(hand: &Hand<'_>) -> Option<(String, String)> {
    let read = |text: &str| {
        let (key, value) = text.split_once('=')?;
        let has_own_list = key.starts_with("app.kubernetes.io/") || key.starts_with("helm.sh/");
        let is_word = |it: &str| !it.is_empty() && !it.contains(['=', ' ', '\t', '\n']);
        let is_label = is_word(key) && is_word(value) && is_telling(value) && !has_own_list;
        is_label.then(|| (key.to_owned(), value.to_owned()))
    };
    hand.parsed(
        "key=value that tells of one project only; names, part_of and charts are lists of their own",
        read,
    )
}

fn group(hand: &Hand<'_>) -> Option<String> {
    let read = |text: &str| {
        let is_name = !text.contains(['/', ' ', '\t', '\n']);
        let has_domain =
            text.split_once('.').is_some_and(|(first, rest)| !first.is_empty() && !rest.is_empty());
        let is_own = is_name && has_domain && !SHARED_GROUPS.contains(&text);
        is_own.then(|| text.to_owned())
    };
    hand.parsed("an API group that no other project brings, or the whole name of a definition", read)
}

pub(super) fn field() -> Field {
    let telling = |example: &str| but(filled("One name.", example), json!({"enum": NO_NAMES}));
    let image = patterned("One end of a path.", "^[a-z0-9._-]+(/[a-z0-9._-]+)?$", "cert-manager-controller");
    let label = patterned("One label.", "^[^=\\s]+=[^=\\s]+$", "app=istiod");
    let elsewhere = format!("^(app\\.kubernetes\\.io|helm\\.sh)/|=({})$", NO_NAMES.join("|"));
    let group = patterned("One group, or one definition.", "^[^/\\s]+\\.[^/\\s]+$", "cert-manager.io");
    let fields = [
        (
            "images",
            "How the paths of its main images end: the last part, or the last two, whatever the registry. Its version is read from their tags.",
            but(image, json!({"enum": NO_NAMES})),
        ),
        (
            "not_images",
            "How the paths of images of another project end that is called alike: what runs them is not this add-on.",
            patterned("One end of a path.", "^[a-z0-9._-]+(/[a-z0-9._-]+)+$", "aks/karpenter/controller"),
        ),
        ("names", "What app.kubernetes.io/name is on its workload or on its pods.", telling("cert-manager")),
        (
            "part_of",
            "What app.kubernetes.io/part-of is, where all its parts live beside its main workload.",
            telling("kyverno"),
        ),
        ("charts", "What helm.sh/chart is, without the version.", telling("cert-manager")),
        (
            "labels",
            "Other labels that its own project sets, as key=value.",
            but(label.clone(), json!({"pattern": elsewhere})),
        ),
        (
            "not_labels",
            "Labels of its tools, as key=value: what bears one runs its main image and is no installation, whatever its version.",
            but(label, json!({"pattern": elsewhere})),
        ),
        (
            "crd_groups",
            "API groups of definitions that it owns alone. Of a group that other projects bring definitions of too, such as gateway.networking.k8s.io, snapshot.storage.k8s.io or monitoring.coreos.com: the whole names of its own definitions.",
            but(group, json!({"enum": SHARED_GROUPS})),
        ),
        (
            "webhooks",
            "What its webhooks, or their configurations, are called.",
            telling("webhook.cert-manager.io"),
        ),
    ];
    let fields = fields.map(|(name, description, item)| {
        let mut names = list(description, item);
        names["maxItems"] = json!(NAMES_MAX);
        optional(name, names)
    });
    optional(
        "witnesses",
        object(
            "By what else it is recognised: names that its own project or a well-known repackager publishes, and nobody else. One that a workload bears is enough to find it; one in the cluster without any workload is what it left behind.",
            fields,
        ),
    )
}

/// The same, without what `not` says.
fn but(mut schema: Value, not: Value) -> Value {
    schema["not"] = not;
    schema
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
