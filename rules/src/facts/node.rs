//! What a node must run below its kubelet, and the control plane below its API server.

use std::collections::BTreeSet;

use super::hand::Hand;
use super::{Section, minor, schema, source};
use crate::words::version::{Minor, Version};

/// Releases of a runtime that are recommended for one minor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recommended {
    /// The minor of Kubernetes.
    pub kubernetes: Minor,
    /// The first good patch of each branch.
    pub releases: Vec<Version>,
    /// Where that is said.
    pub source: String,
}

/// A release below which something breaks, from a minor of Kubernetes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Floor {
    /// The first minor of Kubernetes that needs it.
    pub from: Minor,
    /// The lowest release that works.
    pub release: Version,
    /// Where that is said.
    pub source: String,
}

/// What is known of container runtimes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Runtimes {
    /// What containerd's project recommends, by minor.
    pub containerd_recommended: Vec<Recommended>,
    /// Below these releases of containerd a kubelet does not start.
    pub containerd_hard: Vec<Floor>,
    /// How many minors CRI-O may be behind the kubelet, and where that is said.
    pub cri_o_behind_max: Option<(u32, String)>,
    /// The first minor that cannot use Docker, and where that is said.
    pub docker_removed: Option<(Minor, String)>,
}

impl Runtimes {
    /// What is recommended for a minor: its own row, else that of the nearest lower one. The second value says whether
    /// it is the minor's own.
    #[must_use]
    pub fn recommended(&self, kubernetes: Minor) -> Option<(&Recommended, bool)> {
        let rows = self.containerd_recommended.iter().filter(|row| row.kubernetes <= kubernetes);
        rows.max_by_key(|row| row.kubernetes).map(|row| (row, row.kubernetes == kubernetes))
    }

    /// Whether it is known what a minor cannot do without: the floors reach at least to it.
    #[must_use]
    pub fn are_floors_known(&self, kubernetes: Minor) -> bool {
        self.containerd_hard.iter().any(|floor| kubernetes <= floor.from)
    }

    /// The floor of containerd that a minor cannot do without.
    #[must_use]
    pub fn hard(&self, kubernetes: Minor) -> Option<&Floor> {
        self.containerd_hard.iter().filter(|floor| floor.from <= kubernetes).max_by_key(|floor| floor.from)
    }
}

impl Recommended {
    /// Whether a release is at or above the first good patch of its branch, or of a branch newer than all of them.
    /// Nothing for a pre-release of such a newer branch: nobody can say what it still lacks.
    #[must_use]
    pub fn has(&self, running: &Version) -> Option<bool> {
        let own = self.releases.iter().find(|release| release.minor() == running.minor());
        match own {
            Some(first) => Some(running >= first),
            None if self.releases.iter().any(|release| release >= running) => Some(false),
            None => (!running.is_prerelease()).then_some(true),
        }
    }
}

/// Kernels that the node validator of kubeadm knows. Of others it only warns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kernels {
    /// Long-term branches.
    pub branches: Vec<Minor>,
    /// Every branch from this one on.
    pub from: Option<Minor>,
    /// Where that is said.
    pub source: String,
}

/// Releases of etcd from which an upgrade may begin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EtcdFloors(pub Vec<Floor>);

impl Section for Runtimes {
    const KEY: &'static str = "runtimes";

    fn read(hand: &Hand<'_>) -> Option<Self> {
        let fields = hand.fields()?;
        let mut runtimes = Self::default();
        if let Some(containerd) = fields.required("containerd").and_then(|hand| hand.fields()) {
            runtimes.containerd_recommended = rows(containerd.required("recommended"), recommended)?;
            runtimes.containerd_hard = rows(containerd.required("hard"), |hand| floor(hand, "from"))?;
            containerd.finish();
        }
        if let Some(cri_o) = fields.required("cri_o").and_then(|hand| hand.fields()) {
            let behind_max = cri_o.required("behind_max").and_then(|hand| hand.count());
            runtimes.cri_o_behind_max =
                behind_max.zip(cri_o.required("source").and_then(|hand| source(&hand)));
            cri_o.finish();
        }
        if let Some(docker) = fields.required("docker").and_then(|hand| hand.fields()) {
            let removed = docker.required("removed").and_then(|hand| minor(&hand));
            runtimes.docker_removed = removed.zip(docker.required("source").and_then(|hand| source(&hand)));
            docker.finish();
        }
        fields.finish();
        Some(runtimes)
    }

    fn forgotten(&self, later: &Self) -> Vec<String> {
        let names = |all: &Self| {
            let recommended = all
                .containerd_recommended
                .iter()
                .map(|row| format!("what is recommended for {}", row.kubernetes));
            let hard = all.containerd_hard.iter().map(|floor| format!("the floor from {}", floor.from));
            recommended.chain(hard).collect::<BTreeSet<_>>()
        };
        names(self).difference(&names(later)).cloned().collect()
    }

    fn schema() -> serde_json::Value {
        use schema::{count, list, minor, object, release, required, source};
        let recommended = [
            required("kubernetes", minor("The minor of Kubernetes.")),
            required("releases", list("The first good patch of each branch.", release("A release."))),
            required("source", source("The page that says so.")),
        ];
        let containerd = [
            required(
                "recommended",
                list("What its project recommends.", object("For one minor.", recommended)),
            ),
            required("hard", floors("Below these a kubelet does not start.", "from")),
        ];
        let cri_o = [
            required("behind_max", count("How many minors it may be behind the kubelet.", 0)),
            required("source", source("The page that says so.")),
        ];
        let docker = [
            required("removed", minor("The first minor that cannot use it.")),
            required("source", source("The page that says so.")),
        ];
        object(
            "Container runtimes for each minor.",
            [
                required("containerd", object("containerd.", containerd)),
                required("cri_o", object("CRI-O; its minors are those of Kubernetes.", cri_o)),
                required("docker", object("Docker.", docker)),
            ],
        )
    }
}

impl Section for Kernels {
    const KEY: &'static str = "kernel";

    fn read(hand: &Hand<'_>) -> Option<Self> {
        let fields = hand.fields()?;
        let branches = rows(fields.required("branches"), minor);
        let from = fields.required("from").and_then(|hand| minor(&hand));
        let source = fields.required("source").and_then(|hand| source(&hand));
        fields.finish();
        Some(Self { branches: branches?, from: Some(from?), source: source? })
    }

    fn schema() -> serde_json::Value {
        use schema::{list, minor, object, required, source};
        object(
            "Kernels that nodes may run.",
            [
                required("branches", list("Long-term branches that work.", minor("A branch, such as 5.10."))),
                required("from", minor("Every branch from this one on works.")),
                required("source", source("The page that says so.")),
            ],
        )
    }
}

/// When cgroup v1 stops to be enough for a kubelet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CgroupV1 {
    /// The first minor whose kubelets do not start there by themselves.
    pub fails_from: Option<Minor>,
    /// Where that is said.
    pub source: String,
}

impl CgroupV1 {
    /// The minor in words.
    #[must_use]
    pub fn from(&self) -> String {
        self.fails_from.map_or_else(String::new, |minor| minor.to_string())
    }
}

impl Section for CgroupV1 {
    const KEY: &'static str = "cgroup_v1";

    fn read(hand: &Hand<'_>) -> Option<Self> {
        let fields = hand.fields()?;
        let fails_from = fields.required("fails_from").and_then(|hand| minor(&hand));
        let source = fields.required("source").and_then(|hand| source(&hand));
        fields.finish();
        Some(Self { fails_from: Some(fails_from?), source: source? })
    }

    fn schema() -> serde_json::Value {
        use schema::{minor, object, required, source};
        object(
            "When cgroup v1 stops to be enough for a kubelet.",
            [
                required(
                    "fails_from",
                    minor("The first minor whose kubelets do not start there by themselves."),
                ),
                required("source", source("The page that says so.")),
            ],
        )
    }
}

impl Section for EtcdFloors {
    const KEY: &'static str = "etcd";

    fn read(hand: &Hand<'_>) -> Option<Self> {
        rows(Some(hand.clone()), |hand| floor(hand, "target_from")).map(Self)
    }

    fn forgotten(&self, later: &Self) -> Vec<String> {
        let names = |all: &Self| {
            all.0.iter().map(|floor| format!("the floor from {}", floor.from)).collect::<BTreeSet<_>>()
        };
        names(self).difference(&names(later)).cloned().collect()
    }

    fn schema() -> serde_json::Value {
        floors("Releases of etcd below which no upgrade may begin.", "target_from")
    }
}

/// What an editor is told of floors.
fn floors(description: &str, from: &'static str) -> serde_json::Value {
    use schema::{list, minor, object, release, required, source};
    let row = [
        required(from, minor("The first minor of Kubernetes that needs it.")),
        required("release", release("The lowest release that works.")),
        required("source", source("The page that says so.")),
    ];
    list(description, object("One floor.", row))
}

/// Every row of a list, if all of them can be read; each is looked at, so that every mistake is told.
fn rows<T>(list: Option<Hand<'_>>, read: impl Fn(&Hand<'_>) -> Option<T>) -> Option<Vec<T>> {
    let rows: Vec<Option<T>> = list?.list()?.iter().map(read).collect();
    rows.into_iter().collect()
}

fn release(hand: &Hand<'_>) -> Option<Version> {
    hand.parsed("a release such as \"2.1.3\"", |text| text.parse().ok())
}

fn recommended(hand: &Hand<'_>) -> Option<Recommended> {
    let fields = hand.fields()?;
    let kubernetes = fields.required("kubernetes").and_then(|hand| minor(&hand));
    let releases = rows(fields.required("releases"), release);
    let source = fields.required("source").and_then(|hand| source(&hand));
    fields.finish();
    Some(Recommended { kubernetes: kubernetes?, releases: releases?, source: source? })
}

fn floor(hand: &Hand<'_>, from: &str) -> Option<Floor> {
    let fields = hand.fields()?;
    let from = fields.required(from).and_then(|hand| minor(&hand));
    let release = fields.required("release").and_then(|hand| release(&hand));
    let source = fields.required("source").and_then(|hand| source(&hand));
    fields.finish();
    Some(Floor { from: from?, release: release?, source: source? })
}

#[cfg(test)]
mod tests {
    use crate::facts::Matrix;
    use crate::words::version::{Minor, Version};

    #[test]
    fn each_branch_has_its_own_first_good_patch() {
        let runtimes = Matrix::built_in().runtimes.value;
        let (row, is_own) = runtimes.recommended(Minor { major: 1, minor: 34 }).unwrap();
        assert!(is_own);
        for (running, good) in [
            ("2.1.3", Some(true)),
            ("2.1.2", Some(false)),
            ("2.0.6", Some(true)),
            ("1.7.28", Some(true)),
            ("1.7.27", Some(false)),
            ("1.6.39", Some(true)),
            ("1.5.99", Some(false)),
            ("1.5.99-rc.1", Some(false)),
            ("2.2.0", Some(true)),
            ("2.2.0-alpha.0", None),
            ("2.1.3-rc.1", Some(false)),
        ] {
            assert_eq!(row.has(&running.parse::<Version>().unwrap()), good, "{running}");
        }
        assert!(runtimes.recommended(Minor { major: 1, minor: 39 }).is_some_and(|(_, is_own)| !is_own));
        assert!(runtimes.recommended(Minor { major: 1, minor: 20 }).is_none());
        let hard = |minor| runtimes.hard(Minor { major: 1, minor }).map(|floor| floor.release.to_string());
        assert_eq!(hard(25), None);
        assert_eq!(hard(37).as_deref(), Some("v1.6.0"));
        assert_eq!(hard(39).as_deref(), Some("v2.0.0"));
        let known = |minor| runtimes.are_floors_known(Minor { major: 1, minor });
        assert_eq!((known(38), known(39)), (true, false));
    }
}
