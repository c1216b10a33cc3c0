//! What a minor takes away from how the components are configured.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;

use super::Section;
use super::text::{As, Filled, List, Row, Rows, Source, Table, Text, is_alphanumeric};
use crate::cluster::snapshot::{CONTROL_PLANE, ETCD};
use crate::words::version::Minor;

/// What minors take away from how the components are configured.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub struct Components {
    /// Feature gates, by minor. They are the same for every component.
    #[serde(with = "Rows::<GateChanges>")]
    pub gates: Vec<GateChanges>,
    /// The gates that none of these minors removes or locks.
    #[serde(with = "List::<Gate>")]
    pub other_gates: BTreeSet<String>,
    /// Flags that were removed.
    #[serde(with = "Rows::<RemovedFlags>")]
    pub flags: Vec<RemovedFlags>,
    /// Admission plugins that were removed.
    #[serde(with = "Rows::<RemovedName>")]
    pub admission_plugins: Vec<RemovedName>,
    /// What kubeadm no longer knows.
    pub kubeadm: Kubeadm,
}

/// What is known of kubeadm.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub struct Kubeadm {
    /// Its own feature gates that were removed.
    #[serde(with = "Rows::<RemovedName>")]
    pub gates: Vec<RemovedName>,
    /// Versions of its configuration that it reads, or has read. Of one that is not here nothing is known.
    #[serde(with = "Rows::<Format>")]
    pub formats: Vec<Format>,
}

/// What one minor changes in feature gates.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct GateChanges {
    /// The minor.
    pub minor: Minor,
    /// The gates that it no longer knows.
    #[serde(with = "List::<Gate>")]
    pub removed: BTreeSet<String>,
    /// The gates that it locks, with the one value that is left.
    #[serde(with = "Table::<Gate, bool>")]
    pub locked: BTreeMap<String, bool>,
    /// The page that says so.
    #[serde(with = "As::<Source>")]
    pub source: String,
}

/// Flags of one component that the same minor removes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct RemovedFlags {
    /// The component.
    #[serde(with = "As::<Component>")]
    pub component: String,
    /// The first minor that does not start with them.
    pub removed: Minor,
    /// Their names, without dashes before them.
    #[serde(with = "List::<Flag>")]
    pub flags: BTreeSet<String>,
    /// The page that says so.
    #[serde(with = "As::<Source>")]
    pub source: String,
}

/// A version of kubeadm's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Format {
    /// Its name.
    #[serde(with = "As::<Filled>")]
    #[schemars(example = &"v1beta3")]
    pub name: String,
    /// The first minor that does not read it; nothing where all do that are known.
    pub removed: Option<Minor>,
    /// The page that says so.
    #[serde(with = "As::<Source>")]
    pub source: String,
}

/// One thing that is gone: an admission plugin of kube-apiserver or a feature gate of kubeadm.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct RemovedName {
    /// Its name.
    #[serde(with = "As::<Filled>")]
    #[schemars(example = &"PublicKeysECDSA")]
    pub name: String,
    /// The first minor that does not know it.
    pub removed: Minor,
    /// The page that says so.
    #[serde(with = "As::<Source>")]
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
pub enum GateOutcome<'a> {
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
        let Self { gates, other_gates, flags, admission_plugins, kubeadm } = self;
        let minors = gates.iter().map(|row| format!("the gates of {}", row.minor));
        let changed = gates.iter().flat_map(|row| row.removed.iter().chain(row.locked.keys()));
        let known = changed.chain(other_gates).map(|gate| format!("the gate {gate}"));
        let flags = flags
            .iter()
            .flat_map(|row| row.flags.iter().map(|flag| format!("--{flag} of {}", row.component)));
        let plugins = admission_plugins.iter().map(|row| format!("the plugin {}", row.name));
        let of_kubeadm = kubeadm.gates.iter().map(|row| &row.name);
        let of_kubeadm = of_kubeadm.chain(kubeadm.formats.iter().map(|row| &row.name));
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
    pub fn gate(&self, name: &str, value: bool, hop: Hop) -> GateOutcome<'_> {
        // The two that stand for all others are in no list.
        if matches!(name, "AllAlpha" | "AllBeta") {
            return GateOutcome::Kept;
        }
        let on_the_way = || self.gates.iter().filter(|row| hop.meets(row.minor));
        if let Some(row) = on_the_way().find(|row| row.removed.contains(name)) {
            return GateOutcome::Removed(row);
        }
        if let Some(row) = on_the_way().find(|row| row.locked.get(name).is_some_and(|to| *to != value)) {
            return GateOutcome::Locked(row);
        }
        let named = |row: &GateChanges| row.removed.contains(name) || row.locked.contains_key(name);
        let is_known = self.other_gates.contains(name) || self.gates.iter().any(named);
        if is_known { GateOutcome::Kept } else { GateOutcome::Unknown }
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

    fn forgotten(&self, later: &Self) -> Vec<String> {
        self.names().difference(&later.names()).cloned().collect()
    }
}

impl Row for GateChanges {
    fn once(&self) -> Option<String> {
        Some(format!("one row for {}", self.minor))
    }
}

impl Row for RemovedFlags {}

impl Row for RemovedName {
    fn once(&self) -> Option<String> {
        Some(format!("one row for {}", self.name))
    }
}

impl Row for Format {
    fn once(&self) -> Option<String> {
        Some(format!("one row for {}", self.name))
    }
}

struct Component;
struct Gate;
struct Flag;

/// One whose flags are looked at: of any other a row would never be asked for.
impl Text for Component {
    type Is = String;
    const READ: fn(&str) -> Option<String> = |text| (Self::WORDS)().contains(&text).then(|| text.to_owned());
    const WORDS: fn() -> Vec<&'static str> = || CONTROL_PLANE.into_iter().chain([ETCD, "kubelet"]).collect();
}

impl Text for Gate {
    type Is = String;
    const WHAT: &'static str = "A feature gate.";
    const PATTERN: &'static str = "^[A-Za-z0-9]+$";
    const EXAMPLE: &'static str = "SidecarContainers";
    const EXPECTED: &'static str = "the name of a feature gate, in letters and digits";
    const READ: fn(&str) -> Option<String> = |text| is_alphanumeric(text).then(|| text.to_owned());
}

impl Text for Flag {
    type Is = String;
    const WHAT: &'static str = "A flag without its dashes.";
    const EXPECTED: &'static str = "the name of a flag, without dashes before it and without a value";
    const PATTERN: &'static str = r"^[^-=\s][^=\s]*$";
    const EXAMPLE: &'static str = "register-schedulable";
    const READ: fn(&str) -> Option<String> = |text| {
        let is_name = !text.is_empty() && !text.starts_with('-');
        let has_more = text.contains(|it: char| it == '=' || it.is_whitespace());
        (is_name && !has_more).then(|| text.to_owned())
    };
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
        let outcome = |name, value, running, target| match known.gate(name, value, hop(running, target)) {
            GateOutcome::Kept => "kept".to_owned(),
            GateOutcome::Removed(row) => format!("removed {}", row.minor),
            GateOutcome::Locked(row) => format!("locked {}", row.minor),
            GateOutcome::Unknown => "unknown".to_owned(),
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
            assert_eq!(outcome(name, value, running, target), expected, "{name} {running} {target}");
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

    /// What is accepted and never found would be a fact that nobody misses.
    #[test]
    fn a_name_that_cannot_be_one_is_refused() {
        let built_in = include_str!("../../data/components.yaml");
        for (from, to, field) in [
            ("component: kubelet", "component: kublet", "component"),
            ("component: kubelet", "component: kube-proxy", "component"),
            ("other_gates: [", "other_gates: [SidecarContainers=true, ", "other_gates[0]"),
            ("other_gates: [", "other_gates: ['', ", "other_gates[0]"),
            ("[container-runtime]", "[container-runtime, \"--config\"]", "flags[1]"),
            ("[container-runtime]", "[container-runtime, config=a]", "flags[1]"),
            ("[container-runtime]", "[container-runtime, '']", "flags[1]"),
            ("name: JobValidation", "name: ' '", "name"),
        ] {
            let text = built_in.replacen(from, to, 1);
            assert_ne!(text, built_in, "{from}");
            let told = Matrix::load(&[("mine.yaml", &text)]).unwrap_err();
            assert!(told.len() == 1 && told[0].field.ends_with(field), "{to}: {told:#?}");
        }
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
