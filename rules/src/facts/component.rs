//! What a minor takes away from how the components are configured.

use std::collections::{BTreeMap, BTreeSet};

use super::hand::Hand;
use super::{Section, minor, schema, source};
use crate::words::version::Minor;

/// What is known of feature gates, flags and admission plugins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Components {
    /// What each minor changes in feature gates. They are the same for every component.
    pub gates: Vec<GateChanges>,
    /// The gates that none of these minors removes or locks.
    pub other_gates: BTreeSet<String>,
    /// Flags that are gone.
    pub flags: Vec<RemovedFlags>,
    /// Admission plugins that are gone.
    pub admission_plugins: Vec<RemovedName>,
    /// kubeadm's own feature gates that are gone.
    pub kubeadm_gates: Vec<RemovedName>,
    /// Versions of its configuration that kubeadm reads, or has read.
    pub kubeadm_formats: Vec<Format>,
}

/// What one minor changes in feature gates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateChanges {
    /// The minor.
    pub minor: Minor,
    /// The gates that it no longer knows.
    pub removed: BTreeSet<String>,
    /// The gates that can only have this value from here on.
    pub locked: BTreeMap<String, bool>,
    /// Where that is said.
    pub source: String,
}

/// Flags of one component that go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedFlags {
    /// The component, such as `kubelet`.
    pub component: String,
    /// The first minor that does not start with them.
    pub removed: Minor,
    /// Their names, without dashes before them.
    pub flags: BTreeSet<String>,
    /// Where that is said.
    pub source: String,
}

/// A version of kubeadm's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// Its name.
    pub name: String,
    /// The first minor that does not read it; nothing where all do that are known.
    pub removed: Option<Minor>,
    /// Where that is said.
    pub source: String,
}

/// One thing that is gone: an admission plugin of kube-apiserver or a feature gate of kubeadm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedName {
    /// Its name.
    pub name: String,
    /// The first minor that does not know it.
    pub removed: Minor,
    /// Where that is said.
    pub source: String,
}

/// From which minor a component goes to which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    /// What runs.
    pub running: Minor,
    /// Where it goes.
    pub target: Minor,
}

/// What becomes of a feature gate that is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateFate<'a> {
    /// It can stay.
    Kept,
    /// It is gone.
    Removed(&'a GateChanges),
    /// It has another value, which can no longer be changed.
    Locked(&'a GateChanges),
    /// No list has it.
    Unknown,
}

impl Hop {
    /// Whether something changes on the way at all: within a minor nothing is taken away.
    #[must_use]
    pub fn is_one(self) -> bool {
        self.running < self.target
    }

    fn meets(self, minor: Minor) -> bool {
        self.running < minor && minor <= self.target
    }
}

impl Components {
    /// Everything that is known of, in a word each.
    fn names(&self) -> BTreeSet<String> {
        let Self { gates, other_gates, flags, admission_plugins, kubeadm_gates, kubeadm_formats } = self;
        let minors = gates.iter().map(|row| format!("the gates of {}", row.minor));
        let changed = gates.iter().flat_map(|row| row.removed.iter().chain(row.locked.keys()));
        let known = changed.chain(other_gates).map(|gate| format!("the gate {gate}"));
        let flags = flags
            .iter()
            .flat_map(|row| row.flags.iter().map(|flag| format!("--{flag} of {}", row.component)));
        let plugins = admission_plugins.iter().map(|row| format!("the plugin {}", row.name));
        let of_kubeadm = kubeadm_gates.iter().map(|row| &row.name);
        let of_kubeadm = of_kubeadm.chain(kubeadm_formats.iter().map(|row| &row.name));
        let of_kubeadm = of_kubeadm.map(|name| format!("{name} of kubeadm"));
        minors.chain(known).chain(flags).chain(plugins).chain(of_kubeadm).collect()
    }

    /// The first minor on the way of which nothing is known.
    #[must_use]
    pub fn missing(&self, hop: Hop) -> Option<Minor> {
        let known = |minor: Minor| self.gates.iter().any(|row| row.minor == minor);
        if hop.running.major != hop.target.major {
            return Some(hop.target);
        }
        // A target far away is named by its first unknown minor, so this is no longer than the table.
        let following = |minor: &Minor| Some(minor.next()).filter(|next| next > minor);
        let mut minors = std::iter::successors(following(&hop.running), following);
        minors.find(|&minor| minor > hop.target || !known(minor)).filter(|&minor| minor <= hop.target)
    }

    /// What becomes of a gate that is set to `value`.
    #[must_use]
    pub fn gate(&self, name: &str, value: bool, hop: Hop) -> GateFate<'_> {
        // The two that stand for all others are in no list.
        if matches!(name, "AllAlpha" | "AllBeta") {
            return GateFate::Kept;
        }
        let on_the_way = || self.gates.iter().filter(|row| hop.meets(row.minor));
        if let Some(row) = on_the_way().find(|row| row.removed.contains(name)) {
            return GateFate::Removed(row);
        }
        if let Some(row) = on_the_way().find(|row| row.locked.get(name).is_some_and(|to| *to != value)) {
            return GateFate::Locked(row);
        }
        let named = |row: &GateChanges| row.removed.contains(name) || row.locked.contains_key(name);
        let is_known = self.other_gates.contains(name) || self.gates.iter().any(named);
        if is_known { GateFate::Kept } else { GateFate::Unknown }
    }

    /// The flags of a component that go on the way.
    pub fn flags<'a>(&'a self, component: &'a str, hop: Hop) -> impl Iterator<Item = &'a RemovedFlags> {
        self.flags.iter().filter(move |row| row.component == component && hop.meets(row.removed))
    }

    /// The admission plugins that go on the way.
    pub fn plugins(&self, hop: Hop) -> impl Iterator<Item = &RemovedName> {
        self.admission_plugins.iter().filter(move |row| hop.meets(row.removed))
    }
}

impl Section for Components {
    const KEY: &'static str = "components";

    fn read(hand: &Hand<'_>) -> Option<Self> {
        let fields = hand.fields()?;
        let gates = rows(fields.required("gates"), gate_changes);
        let other_gates = rows(fields.required("other_gates"), text);
        let flags = rows(fields.required("flags"), removed_flags);
        let plugins = rows(fields.required("admission_plugins"), removed_name);
        let (mut kubeadm_gates, mut kubeadm_formats) = (None, None);
        if let Some(kubeadm) = fields.required("kubeadm").and_then(|hand| hand.fields()) {
            kubeadm_gates = rows(kubeadm.required("gates"), removed_name);
            kubeadm_formats = rows(kubeadm.required("formats"), format);
            kubeadm.finish();
        }
        fields.finish();
        Some(Self {
            gates: gates?,
            other_gates: other_gates?.into_iter().collect(),
            flags: flags?,
            admission_plugins: plugins?,
            kubeadm_gates: kubeadm_gates?,
            kubeadm_formats: kubeadm_formats?,
        })
    }

    fn forgotten(&self, later: &Self) -> Vec<String> {
        self.names().difference(&later.names()).cloned().collect()
    }

    fn schema() -> serde_json::Value {
        use schema::{entries, list, minor, object, optional, required, source, text, truth};
        let gate = || text("A feature gate.", "SidecarContainers");
        let gates = [
            required("minor", minor("The minor.")),
            required("removed", list("The gates that it no longer knows.", gate())),
            required(
                "locked",
                entries("The gates that it locks.", "^[A-Za-z0-9]+$", truth("The one value that is left.")),
            ),
            required("source", source("Upstream's list of that minor.")),
        ];
        let flags = [
            required("component", text("The component.", "kubelet")),
            required("removed", minor("The first minor that does not start with them.")),
            required(
                "flags",
                list("Their names.", text("A flag without its dashes.", "register-schedulable")),
            ),
            required("source", source("The page that says so.")),
        ];
        let gone = |example: &str| {
            [
                required("name", text("Its name.", example)),
                required("removed", minor("The first minor that does not have it.")),
                required("source", source("The page that says so.")),
            ]
        };
        let formats = [
            required("name", text("Its name.", "v1beta3")),
            optional("removed", minor("The first minor that does not read it, if one does not.")),
            required("source", source("The page that says so.")),
        ];
        let kubeadm = [
            required(
                "gates",
                list("Its own feature gates that are gone.", object("One of them.", gone("PublicKeysECDSA"))),
            ),
            required(
                "formats",
                list(
                    "Versions of its configuration. Of one that is not here nothing is known.",
                    object("One of them.", formats),
                ),
            ),
        ];
        object(
            "What minors take away from how the components are configured.",
            [
                required("gates", list("Feature gates, by minor.", object("One minor.", gates))),
                required(
                    "other_gates",
                    list("The gates that none of these minors removes or locks.", gate()),
                ),
                required("flags", list("Flags that are gone.", object("Flags that went together.", flags))),
                required(
                    "admission_plugins",
                    list(
                        "Admission plugins that are gone.",
                        object("One of them.", gone("PodGroupWorkloadExists")),
                    ),
                ),
                required("kubeadm", object("What kubeadm no longer knows.", kubeadm)),
            ],
        )
    }
}

fn rows<T>(list: Option<Hand<'_>>, read: impl Fn(&Hand<'_>) -> Option<T>) -> Option<Vec<T>> {
    let rows: Vec<Option<T>> = list?.list()?.iter().map(read).collect();
    rows.into_iter().collect()
}

fn text(hand: &Hand<'_>) -> Option<String> {
    hand.text().map(str::to_owned)
}

fn gate_changes(hand: &Hand<'_>) -> Option<GateChanges> {
    let fields = hand.fields()?;
    let minor = fields.required("minor").and_then(|hand| minor(&hand));
    let removed = rows(fields.required("removed"), text);
    let locked = fields.required("locked").and_then(|hand| hand.entries()).unwrap_or_default();
    let locked: Vec<Option<(String, bool)>> =
        locked.iter().map(|(name, to)| Some(((*name).to_owned(), to.bool()?))).collect();
    let source = fields.required("source").and_then(|hand| source(&hand));
    fields.finish();
    let locked: Option<BTreeMap<String, bool>> = locked.into_iter().collect();
    Some(GateChanges {
        minor: minor?,
        removed: removed?.into_iter().collect(),
        locked: locked?,
        source: source?,
    })
}

fn removed_flags(hand: &Hand<'_>) -> Option<RemovedFlags> {
    let fields = hand.fields()?;
    let component = fields.required("component").and_then(|hand| text(&hand));
    let removed = fields.required("removed").and_then(|hand| minor(&hand));
    let flags = rows(fields.required("flags"), text);
    let source = fields.required("source").and_then(|hand| source(&hand));
    fields.finish();
    let flags = flags?.into_iter().collect();
    Some(RemovedFlags { component: component?, removed: removed?, flags, source: source? })
}

fn format(hand: &Hand<'_>) -> Option<Format> {
    let fields = hand.fields()?;
    let name = fields.required("name").and_then(|hand| text(&hand));
    let removed = fields.optional_as("removed", minor);
    let source = fields.required("source").and_then(|hand| source(&hand));
    fields.finish();
    Some(Format { name: name?, removed: removed?, source: source? })
}

fn removed_name(hand: &Hand<'_>) -> Option<RemovedName> {
    let fields = hand.fields()?;
    let name = fields.required("name").and_then(|hand| text(&hand));
    let removed = fields.required("removed").and_then(|hand| minor(&hand));
    let source = fields.required("source").and_then(|hand| source(&hand));
    fields.finish();
    Some(RemovedName { name: name?, removed: removed?, source: source? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Matrix;

    fn hop(running: u64, target: u64) -> Hop {
        let minor = |minor| Minor { major: 1, minor };
        Hop { running: minor(running), target: minor(target) }
    }

    #[test]
    fn a_gate_is_judged_by_every_minor_on_the_way() {
        let known = Matrix::built_in().components.value;
        let fate = |name, value, running, target| match known.gate(name, value, hop(running, target)) {
            GateFate::Kept => "kept".to_owned(),
            GateFate::Removed(row) => format!("removed {}", row.minor),
            GateFate::Locked(row) => format!("locked {}", row.minor),
            GateFate::Unknown => "unknown".to_owned(),
        };
        for (name, value, running, target, expected) in [
            ("SidecarContainers", true, 36, 37, "removed 1.37"),
            ("SidecarContainers", true, 35, 36, "kept"),
            ("SidecarContainers", true, 34, 37, "removed 1.37"),
            ("HostnameOverride", false, 36, 37, "locked 1.37"),
            ("HostnameOverride", true, 36, 37, "kept"),
            ("SeparateCacheWatchRPC", true, 35, 36, "locked 1.36"),
            ("SeparateCacheWatchRPC", false, 35, 36, "kept"),
            // Locked in one minor and gone in a later one: gone is what it is told as.
            ("APIServerTracing", false, 33, 37, "removed 1.37"),
            ("APIServerTracing", false, 33, 36, "locked 1.34"),
            ("NativeHistograms", true, 36, 37, "kept"),
            ("AllAlpha", true, 36, 37, "kept"),
            ("NoSuchGate", true, 36, 37, "unknown"),
        ] {
            assert_eq!(fate(name, value, running, target), expected, "{name} {running} {target}");
        }
    }

    #[test]
    fn a_minor_that_nobody_has_looked_at_is_named() {
        let known = Matrix::built_in().components.value;
        for (running, target, missing) in [
            (33, 37, None),
            (36, 36, None),
            (36, 35, None),
            (32, 34, Some(33)),
            (36, 38, Some(38)),
            (37, u64::MAX, Some(38)),
            (u64::MAX - 1, u64::MAX, Some(u64::MAX)),
            (u64::MAX, u64::MAX, None),
        ] {
            let found = known.missing(hop(running, target)).map(|minor| minor.minor);
            assert_eq!(found, missing, "{running} {target}");
        }
        let other = Hop { running: Minor { major: 1, minor: 36 }, target: Minor { major: 2, minor: 0 } };
        assert_eq!(known.missing(other), Some(other.target));
    }

    #[test]
    fn what_goes_with_a_minor_is_known_by_component() {
        let known = Matrix::built_in().components.value;
        let flags = |component, running, target| {
            let rows = known.flags(component, hop(running, target));
            rows.map(|row| row.flags.len()).sum::<usize>()
        };
        for (component, running, target, count) in [
            ("kubelet", 36, 37, 18),
            ("kubelet", 34, 37, 19),
            ("kubelet", 35, 36, 0),
            ("kube-controller-manager", 36, 37, 1),
            ("kube-apiserver", 36, 37, 0),
        ] {
            assert_eq!(flags(component, running, target), count, "{component} {running} {target}");
        }
        let plugins: Vec<&str> = known.plugins(hop(36, 37)).map(|row| row.name.as_str()).collect();
        assert_eq!(plugins, ["PodGroupWorkloadExists", "JobValidation"]);
    }

    #[test]
    fn no_gate_stands_twice() {
        let known = Matrix::built_in().components.value;
        for row in &known.gates {
            let names = row.removed.iter().chain(row.locked.keys());
            let both: Vec<_> = names.filter(|name| known.other_gates.contains(*name)).collect();
            assert!(both.is_empty(), "{}: {both:?}", row.minor);
        }
        assert!(known.gates.is_sorted_by_key(|row| row.minor), "the minors are in their order");
    }
}
