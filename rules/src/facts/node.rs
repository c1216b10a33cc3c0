//! What a node must run below its kubelet, and the control plane below its API server.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Section;
use super::text::{As, Lack, List, Row, Rows, Source, Via};
use crate::words::version::{Minor, Version};

/// For one minor.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Recommended {
    /// The minor of Kubernetes.
    pub kubernetes: Minor,
    /// The first good patch of each branch.
    #[serde(with = "List::<Version>")]
    #[schemars(extend("minItems" = 1))]
    pub releases: Vec<Version>,
    /// The page that says so.
    #[serde(with = "As::<Source>")]
    pub source: String,
}

/// One floor: a release below which something breaks, from a minor of Kubernetes on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Floor {
    /// The first minor of Kubernetes that needs it.
    pub from: Minor,
    /// The lowest release that works.
    #[serde(with = "As::<Version>")]
    pub release: Version,
    /// The page that says so.
    #[serde(with = "As::<Source>")]
    pub source: String,
}

/// Container runtimes for each minor.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub struct Runtimes {
    /// containerd.
    pub containerd: Containerd,
    /// CRI-O; its minors are those of Kubernetes.
    #[serde(with = "Via::<CriO>")]
    pub cri_o: Option<CriO>,
    /// Docker.
    #[serde(with = "Via::<Docker>")]
    pub docker: Option<Docker>,
}

/// What is known of containerd.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub struct Containerd {
    /// What its project recommends.
    #[serde(with = "Rows::<Recommended>")]
    pub recommended: Vec<Recommended>,
    /// Below these a kubelet does not start.
    #[serde(with = "Rows::<Floor>")]
    pub hard: Vec<Floor>,
}

/// What is known of CRI-O.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct CriO {
    /// How many minors it may be behind the kubelet.
    pub behind_max: u32,
    /// The page that says so.
    #[serde(with = "As::<Source>")]
    pub source: String,
}

/// What is known of Docker.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Docker {
    /// The first minor that cannot use it.
    pub removed: Minor,
    /// The page that says so.
    #[serde(with = "As::<Source>")]
    pub source: String,
}

impl Runtimes {
    /// What is recommended for a minor: its own row, else that of the nearest lower one. The second value says whether
    /// it is the minor's own.
    #[must_use]
    pub fn recommended(&self, kubernetes: Minor) -> Option<(&Recommended, bool)> {
        let rows = self.containerd.recommended.iter().filter(|row| row.kubernetes <= kubernetes);
        rows.max_by_key(|row| row.kubernetes).map(|row| (row, row.kubernetes == kubernetes))
    }

    /// Whether it is known what a minor cannot do without: the floors reach at least to it.
    #[must_use]
    pub fn are_floors_known(&self, kubernetes: Minor) -> bool {
        self.containerd.hard.iter().any(|floor| kubernetes <= floor.from)
    }

    /// The floor of containerd that a minor cannot do without.
    #[must_use]
    pub fn hard(&self, kubernetes: Minor) -> Option<&Floor> {
        self.containerd.hard.iter().filter(|floor| floor.from <= kubernetes).max_by_key(|floor| floor.from)
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

/// Kernels that nodes may run: those that the node validator of kubeadm knows. Of others it only warns.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub struct Kernels {
    /// Long-term branches that work.
    #[serde(with = "List::<Minor>")]
    pub branches: Vec<Minor>,
    /// Every branch from this one on works.
    #[serde(with = "As::<Minor>")]
    pub from: Option<Minor>,
    /// The page that says so.
    #[serde(with = "As::<Source>")]
    pub source: String,
}

/// Releases of etcd below which no upgrade may begin.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub struct EtcdFloors(#[serde(with = "Rows::<EtcdFloor>")] pub Vec<Floor>);

/// One floor.
#[derive(Deserialize, JsonSchema)]
struct EtcdFloor {
    /// The first minor of Kubernetes that needs it.
    target_from: Minor,
    /// The lowest release that works.
    #[serde(with = "As::<Version>")]
    release: Version,
    /// The page that says so.
    #[serde(with = "As::<Source>")]
    source: String,
}

impl From<EtcdFloor> for Floor {
    fn from(EtcdFloor { target_from, release, source }: EtcdFloor) -> Self {
        Self { from: target_from, release, source }
    }
}

/// Of two rows for one minor the order of the file would decide.
impl Row for Recommended {
    fn once(&self) -> Option<String> {
        Some(format!("one row for {}", self.kubernetes))
    }

    /// Without a release every other runtime would be newer than all of them.
    fn lacks(&self) -> Option<Lack> {
        self.releases.is_empty().then(|| (Some("releases"), "at least one release".to_owned()))
    }
}

impl Row for Floor {
    fn once(&self) -> Option<String> {
        Some(format!("one floor from {}", self.from))
    }
}

impl Row for EtcdFloor {
    fn once(&self) -> Option<String> {
        Some(format!("one floor from {}", self.target_from))
    }
}

impl Row for CriO {}
impl Row for Docker {}

impl Section for Runtimes {
    const KEY: &'static str = "runtimes";

    fn forgotten(&self, later: &Self) -> Vec<String> {
        let names = |all: &Self| {
            let recommended = all
                .containerd
                .recommended
                .iter()
                .map(|row| format!("what is recommended for {}", row.kubernetes));
            let hard = all.containerd.hard.iter().map(|floor| format!("the floor from {}", floor.from));
            recommended.chain(hard).collect::<BTreeSet<_>>()
        };
        names(self).difference(&names(later)).cloned().collect()
    }
}

impl Section for Kernels {
    const KEY: &'static str = "kernel";
}

/// From which minor on kubelets no longer start on cgroup v1.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub struct CgroupV1 {
    /// The first minor whose kubelets do not start there by themselves.
    #[serde(with = "As::<Minor>")]
    pub fails_from: Option<Minor>,
    /// The page that says so.
    #[serde(with = "As::<Source>")]
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
}

impl Section for EtcdFloors {
    const KEY: &'static str = "etcd";

    fn forgotten(&self, later: &Self) -> Vec<String> {
        let names = |all: &Self| {
            all.0.iter().map(|floor| format!("the floor from {}", floor.from)).collect::<BTreeSet<_>>()
        };
        names(self).difference(&names(later)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::Matrix;
    use crate::words::version::{Minor, Version};

    #[test]
    fn a_recommendation_without_a_release_is_refused() {
        let built_in = include_str!("../../data/nodes.yaml");
        let less = built_in.replace("releases: [\"2.3.0\", \"2.2.0\"]", "releases: []");
        assert_ne!(less, built_in);
        let told = Matrix::load(&[("mine.yaml", &less)]).unwrap_err();
        let [told] = told.as_slice() else { panic!("{told:#?}") };
        assert!(told.field.ends_with(".releases") && told.expected == "at least one release", "{told}");
    }

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
