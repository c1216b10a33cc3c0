//! The index of a Debian package repository: which versions of Kubernetes it offers, and for which architectures.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::snapshot::{ByArchitecture, Node, Packages, Snapshot};
use crate::words::version::{Minor, Version};

/// The package that an upgrade begins with: without it there is no version to speak of.
const FIRST: &str = "kubeadm";
/// What an upgrade installs on each node, all of one version.
const INSTALLED: [&str; 3] = [FIRST, "kubelet", "kubectl"];
/// What Debian calls a package that is the same on every architecture.
const ANY_ARCHITECTURE: &str = "all";
/// More than all minors together ever had, on every architecture.
const PACKAGES_MAX: usize = 100_000;

/// Why an index says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// There is nothing in it.
    #[error("the index is empty")]
    Empty,
    /// It is no index, such as the HTML page of a proxy.
    #[error("line {line} of the index is no field: {text:?}")]
    NotAnIndex {
        /// The line, from 1.
        line: usize,
        /// Its beginning.
        text: String,
    },
    /// It breaks off in the middle of a package.
    #[error("the index is cut off in the package at line {line}")]
    Truncated {
        /// The line of the package, from 1.
        line: usize,
    },
    /// It has no kubeadm.
    #[error("the index has no package {FIRST}")]
    NoPackage,
    /// It has more than can be true.
    #[error("the index has more than {PACKAGES_MAX} packages of Kubernetes")]
    TooMany,
    /// A package does not say which architecture it is for.
    #[error("the package at line {line} of the index has no architecture")]
    NoArchitecture {
        /// The line of the package, from 1.
        line: usize,
    },
    /// A version of the package is none.
    #[error("line {line} of the index: {text:?} is no version of a Kubernetes package")]
    Version {
        /// The line, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
}

/// The packages of Kubernetes in a `Packages` index, each version in order and once. Whatever cannot be understood is an
/// error: an index that is read by half would hide a release.
///
/// # Errors
/// The text is empty, no index, cut off, or has no kubeadm.
pub fn parse(index: &str) -> Result<ByArchitecture, IndexError> {
    if index.trim().is_empty() {
        return Err(IndexError::Empty);
    }
    let mut found = Vec::new();
    let mut stanza = Stanza::default();
    for (number, line) in (1..).zip(index.lines()) {
        if line.trim().is_empty() {
            stanza.take(&mut found)?;
            continue;
        }
        // Continued fields and comments.
        if line.starts_with([' ', '\t', '#']) {
            continue;
        }
        let Some((key, value)) = field(line) else {
            return Err(IndexError::NotAnIndex { line: number, text: line.chars().take(60).collect() });
        };
        stanza.line_last = number;
        if key.eq_ignore_ascii_case("Package") {
            stanza.package = Some((number, value.to_owned()));
        } else if key.eq_ignore_ascii_case("Version") {
            stanza.version = Some((number, value.to_owned()));
        } else if key.eq_ignore_ascii_case("Architecture") {
            stanza.architecture = Some(value.to_owned());
        } else if key.eq_ignore_ascii_case("Filename") {
            stanza.has_filename = true;
        }
    }
    // A whole index ends with the end of a line; what does not was cut off. Nearly all end with an empty one; in
    // those that do not, the last package must at least say which file it is.
    let is_last_whole = index.ends_with("\n\n") || stanza.line_last == 0 || stanza.has_filename;
    if !index.ends_with('\n') || !is_last_whole {
        return Err(IndexError::Truncated { line: stanza.line_last });
    }
    stanza.take(&mut found)?;
    if !found.iter().any(|(_, package, _)| package == FIRST) {
        return Err(IndexError::NoPackage);
    }
    Ok(sorted(found))
}

fn sorted(found: impl IntoIterator<Item = (String, String, Version)>) -> ByArchitecture {
    let mut by_architecture = ByArchitecture::new();
    for (architecture, package, version) in found {
        by_architecture.entry(architecture).or_default().entry(package).or_default().push(version);
    }
    for versions in by_architecture.values_mut().flat_map(BTreeMap::values_mut) {
        versions.sort();
        versions.dedup();
    }
    by_architecture
}

fn field(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    let is_name = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    is_name.then(|| (key, value.trim()))
}

#[derive(Default)]
struct Stanza {
    package: Option<(usize, String)>,
    version: Option<(usize, String)>,
    architecture: Option<String>,
    has_filename: bool,
    line_last: usize,
}

impl Stanza {
    fn take(&mut self, found: &mut Vec<(String, String, Version)>) -> Result<(), IndexError> {
        let Self { package, version, architecture, has_filename: _, line_last } = std::mem::take(self);
        let Some((line, package)) = package else {
            // Fields without a package: a release file, or the tail of something.
            return if line_last == 0 { Ok(()) } else { Err(IndexError::Truncated { line: line_last }) };
        };
        let Some((line, text)) = version else { return Err(IndexError::Truncated { line }) };
        if !INSTALLED.contains(&&*package) {
            return Ok(());
        }
        if found.len() >= PACKAGES_MAX {
            return Err(IndexError::TooMany);
        }
        let version = of_package(&text).ok_or(IndexError::Version { line, text })?;
        found.push((architecture.ok_or(IndexError::NoArchitecture { line })?, package, version));
        Ok(())
    }
}

/// `1.36.3-1.1` is release 1.36.3 in packaging 1.1. An epoch has never been used.
fn of_package(text: &str) -> Option<Version> {
    let (upstream, _packaging) = text.rsplit_once('-')?;
    // Debian writes a pre-release as 1.37.0~rc.1, which sorts before 1.37.0.
    upstream.replacen('~', "-", 1).parse().ok()
}

/// What several indexes have together.
#[must_use]
pub fn together(indexes: impl IntoIterator<Item = ByArchitecture>) -> Packages {
    let all = indexes.into_iter().flatten().flat_map(|(architecture, packages)| {
        packages.into_iter().flat_map(move |(package, versions)| {
            let architecture = architecture.clone();
            versions.into_iter().map(move |version| (architecture.clone(), package.clone(), version))
        })
    });
    let by_architecture = sorted(all);
    let of_first = by_architecture.values().filter_map(|packages| packages.get(FIRST));
    let versions: BTreeSet<&Version> = of_first.flatten().collect();
    Packages {
        versions: versions.into_iter().cloned().collect(),
        by_architecture: Some(by_architecture),
        next_error: None,
    }
}

impl Packages {
    /// Which of the packages that an upgrade installs are not there in this version for this architecture, as nodes call it;
    /// nothing if that was not read.
    #[must_use]
    pub fn lacking(&self, version: &Version, architecture: &str) -> Option<Vec<&'static str>> {
        let by_architecture = self.by_architecture.as_ref()?;
        let of = [of_debian(architecture), ANY_ARCHITECTURE];
        let of = of.map(|architecture| by_architecture.get(architecture));
        let has = |package: &str| {
            let mut versions = of.iter().flatten().filter_map(|packages| packages.get(package)).flatten();
            versions.any(|it| it == version)
        };
        Some(INSTALLED.into_iter().filter(|package| !has(package)).collect())
    }

    /// The newest release of a minor that is there whole for all of these architectures; for any, if there are none. Where only
    /// kubeadm was read, that has to do: whoever decides asks [`Packages::lacking`].
    #[must_use]
    pub fn newest(&self, minor: Minor, architectures: &BTreeSet<&str>) -> Option<&Version> {
        let is_whole = |version: &Version| {
            let mut each = architectures.iter().map(|architecture| self.lacking(version, architecture));
            each.all(|lacking| lacking.is_none_or(|lacking| lacking.is_empty()))
        };
        let of_minor = self.versions.iter().filter(|it| it.minor() == minor && !it.is_prerelease());
        let mut newest_first: Vec<&Version> = of_minor.collect();
        newest_first.sort_by(|one, other| other.cmp(one));
        newest_first.into_iter().find(|version| is_whole(version))
    }
}

/// The architectures of the nodes that packages are installed on, as far as they tell. Windows has none of them.
#[must_use]
pub fn architectures(nodes: &[Node]) -> BTreeSet<&str> {
    let nodes = nodes.iter().filter(|node| node.is_linux());
    nodes.map(|node| node.architecture.as_str()).filter(|it| !it.is_empty()).collect()
}

/// The newest patch of the oldest version that an API server runs, if one is newer, and the newest release of the minor after
/// it, of what can be installed on every node. Nothing if what runs or what is published was never read.
#[must_use]
pub fn offered(snapshot: &Snapshot) -> Option<[Option<&Version>; 2]> {
    let servers = snapshot.api_servers.value.iter().flatten();
    let running = servers.filter_map(|server| server.version.as_ref().ok()).min()?;
    let packages = snapshot.packages.value.as_ref()?;
    let architectures = architectures(snapshot.nodes.value.as_deref().unwrap_or_default());
    let newest = |minor: Minor| packages.newest(minor, &architectures);
    let patch = newest(running.minor()).filter(|version| version.cmp_precedence(running).is_gt());
    Some([patch, newest(running.minor().next())])
}

/// What Debian calls an architecture that Go and nodes call so.
fn of_debian(architecture: &str) -> &str {
    match architecture {
        "ppc64le" => "ppc64el",
        "mips64le" => "mips64el",
        "arm" => "armhf",
        "386" => "i386",
        same => same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "\
Package: kubeadm
Version: 1.36.3-1.1
Architecture: amd64
Description: Command-line utility
 for administering: a cluster

Package: kubelet
Version: 1.36.9-1.1
Architecture: amd64

Package: cri-tools
Version: odd

Package: kubeadm
Version: 1.36.1-1.1
Architecture: arm64
Filename: arm64/kubeadm_1.36.1-1.1_arm64.deb
";

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    /// Everything in an index, as `architecture package version`.
    fn texts(index: &str) -> Vec<String> {
        let mut all = Vec::new();
        for (architecture, packages) in parse(index).unwrap() {
            for (package, versions) in packages {
                all.extend(versions.iter().map(|version| format!("{architecture} {package} {version}")));
            }
        }
        all
    }

    #[test]
    fn the_packages_of_kubernetes_are_read_by_architecture() {
        let all = ["amd64 kubeadm v1.36.3", "amd64 kubelet v1.36.9", "arm64 kubeadm v1.36.1"];
        assert_eq!(texts(INDEX), all);
        let candidate = "Package: kubeadm\nVersion: 1.37.0~rc.1-1.1\nArchitecture: all\n\n";
        assert_eq!(texts(candidate), ["all kubeadm v1.37.0-rc.1"]);
    }

    #[test]
    fn whatever_is_no_whole_index_is_an_error_and_never_nothing_new() {
        let html = "<!DOCTYPE html>\n<html><body>Sign in</body></html>\n";
        type Expected = fn(&IndexError) -> bool;
        let cases: [(&str, Expected); 12] = [
            ("", |error| *error == IndexError::Empty),
            (" \n\n", |error| *error == IndexError::Empty),
            (html, |error| matches!(error, IndexError::NotAnIndex { line: 1, .. })),
            ("{\"error\": 1}\n", |error| matches!(error, IndexError::NotAnIndex { .. })),
            ("Package: kubelet\nVersion: 1.36.1-1.1\nArchitecture: amd64\n\n", |error| {
                *error == IndexError::NoPackage
            }),
            ("Package: kubeadm\nVersion: 1.36.1-1.1\n\n", |error| {
                matches!(error, IndexError::NoArchitecture { line: 2 })
            }),
            ("Package: kubeadm\n", |error| matches!(error, IndexError::Truncated { line: 1 })),
            ("Package: kubeadm\nVersion: 1.36.1-1", |error| matches!(error, IndexError::Truncated { .. })),
            ("Package: kubeadm\nVersion: 1.36.1-1.1\n", |error| {
                matches!(error, IndexError::Truncated { .. })
            }),
            ("Version: 1.36.1-1.1\n", |error| matches!(error, IndexError::Truncated { .. })),
            ("Package: kubeadm\nVersion: soon-1\n\n", |error| {
                matches!(error, IndexError::Version { line: 2, .. })
            }),
            ("Package: kubeadm\nVersion: 1.36.1\n\n", |error| matches!(error, IndexError::Version { .. })),
        ];
        for (text, is_expected) in cases {
            let error = parse(text).unwrap_err();
            assert!(is_expected(&error), "{text:?}: {error:?}");
        }
    }

    #[test]
    fn every_prefix_of_an_index_is_read_as_no_more_than_the_index() {
        let whole = texts(INDEX);
        for end in 0..INDEX.len() {
            if parse(&INDEX[..end]).is_ok() {
                assert!(texts(&INDEX[..end]).iter().all(|one| whole.contains(one)), "{end}");
                assert!(INDEX[..end].ends_with('\n'), "{end}");
            }
        }
    }

    /// An index of these packages, as `architecture package version`.
    fn packages(all: &[&str]) -> Packages {
        let words = all.iter().map(|one| one.split(' ').collect::<Vec<_>>());
        let index = words.map(|it| (it[0].to_owned(), it[1].to_owned(), version(it[2])));
        together([sorted(index)])
    }

    fn whole(architecture: &str, release: &str) -> Vec<String> {
        INSTALLED.map(|package| format!("{architecture} {package} {release}")).to_vec()
    }

    #[test]
    fn a_version_is_there_if_all_that_is_installed_is_for_the_architecture() {
        for (all, architecture, lacking) in [
            (&["amd64 kubeadm 1.36.3", "amd64 kubelet 1.36.3", "amd64 kubectl 1.36.3"][..], "amd64", &[][..]),
            (&["all kubeadm 1.36.3", "amd64 kubelet 1.36.3", "amd64 kubectl 1.36.3"], "amd64", &[]),
            (&["ppc64el kubeadm 1.36.3", "ppc64el kubelet 1.36.3", "ppc64el kubectl 1.36.3"], "ppc64le", &[]),
            (
                &["amd64 kubeadm 1.36.3", "amd64 kubelet 1.36.2", "amd64 kubectl 1.36.3"],
                "amd64",
                &["kubelet"],
            ),
            (&["amd64 kubeadm 1.36.3", "arm64 kubelet 1.36.3"], "arm64", &["kubeadm", "kubectl"]),
            (&["amd64 kubeadm 1.36.3"], "arm64", &INSTALLED),
        ] {
            let found = packages(all).lacking(&version("1.36.3"), architecture);
            assert_eq!(found.as_deref(), Some(lacking), "{all:?} {architecture}");
        }
        let before = Packages { versions: vec![version("1.36.3")], by_architecture: None, next_error: None };
        assert_eq!(before.lacking(&version("1.36.3"), "amd64"), None);
    }

    #[test]
    fn the_newest_patch_and_the_next_minor_that_fit_every_node_are_offered_and_no_candidate() {
        let mut cluster = crate::verdict::healthy();
        let mut offered = |amd64: &[&str], arm64: &[&str], running: &str| {
            let all = amd64.iter().flat_map(|release| whole("amd64", release));
            let all: Vec<String> =
                all.chain(arm64.iter().flat_map(|release| whole("arm64", release))).collect();
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            cluster.snapshot.packages.value = Some(packages(&all));
            cluster.snapshot.api_servers.value.as_mut().unwrap()[0].version = Ok(version(running));
            if !arm64.is_empty() {
                cluster.snapshot.nodes.value.as_mut().unwrap()[1].architecture = "arm64".to_owned();
            }
            let offered = super::offered(&cluster.snapshot).expect("both were read");
            offered.map(|version| version.map(ToString::to_string).unwrap_or_default())
        };
        let all = ["1.36.1", "1.36.3", "1.36.2", "1.37.1", "1.37.0", "1.37.2-rc.0"];
        assert_eq!(offered(&all, &[], "1.36.1"), ["v1.36.3", "v1.37.1"]);
        assert_eq!(offered(&["1.36.3"], &[], "1.36.3"), ["", ""]);
        assert_eq!(offered(&all, &["1.36.1", "1.36.2", "1.37.0"], "1.36.1"), ["v1.36.2", "v1.37.0"]);
    }

    #[test]
    fn a_windows_node_asks_for_no_package() {
        let nodes = crate::verdict::healthy().snapshot.nodes.value.unwrap();
        let windows = Node {
            operating_system: "windows".to_owned(),
            architecture: "arm64".to_owned(),
            ..nodes[1].clone()
        };
        let untold = Node { architecture: String::new(), ..nodes[1].clone() };
        assert_eq!(architectures(&[nodes[0].clone(), windows, untold]), BTreeSet::from(["amd64"]));
    }
}
