//! The index of a Debian package repository: which versions of a package it offers.

use crate::version::{Minor, Version};

/// The package whose versions are read: it is the one that an upgrade begins with.
pub const PACKAGE: &str = "kubeadm";
/// More versions than any minor ever had.
const VERSIONS_MAX: usize = 10_000;

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
    /// It has no package of this name.
    #[error("the index has no package {0}")]
    NoPackage(&'static str),
    /// It has more than can be true.
    #[error("the index has more than {VERSIONS_MAX} versions of {0}")]
    TooMany(&'static str),
    /// A version of the package is none.
    #[error("line {line} of the index: {text:?} is no version of a Kubernetes package")]
    Version {
        /// The line, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
}

/// The versions of [`PACKAGE`] in a `Packages` index, in order, each once. Whatever cannot be understood is an
/// error: an index that is read by half would hide a release.
///
/// # Errors
/// The text is empty, no index, cut off, or has no such package.
pub fn parse(index: &str) -> Result<Vec<Version>, IndexError> {
    if index.trim().is_empty() {
        return Err(IndexError::Empty);
    }
    let mut versions = Vec::new();
    let mut stanza = Stanza::default();
    for (number, line) in (1..).zip(index.lines()) {
        if line.trim().is_empty() {
            stanza.take(&mut versions)?;
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
    stanza.take(&mut versions)?;
    if versions.is_empty() {
        return Err(IndexError::NoPackage(PACKAGE));
    }
    versions.sort();
    versions.dedup();
    Ok(versions)
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
    has_filename: bool,
    line_last: usize,
}

impl Stanza {
    fn take(&mut self, versions: &mut Vec<Version>) -> Result<(), IndexError> {
        let Self { package, version, has_filename: _, line_last } = std::mem::take(self);
        let Some((line, package)) = package else {
            // Fields without a package: a release file, or the tail of something.
            return if line_last == 0 { Ok(()) } else { Err(IndexError::Truncated { line: line_last }) };
        };
        let Some((line, text)) = version else { return Err(IndexError::Truncated { line }) };
        if package != PACKAGE {
            return Ok(());
        }
        if versions.len() >= VERSIONS_MAX {
            return Err(IndexError::TooMany(PACKAGE));
        }
        versions.push(of_package(&text).ok_or(IndexError::Version { line, text })?);
        Ok(())
    }
}

/// `1.36.3-1.1` is release 1.36.3 in packaging 1.1. An epoch has never been used.
fn of_package(text: &str) -> Option<Version> {
    let (upstream, _packaging) = text.rsplit_once('-')?;
    // Debian writes a pre-release as 1.37.0~rc.1, which sorts before 1.37.0.
    upstream.replacen('~', "-", 1).parse().ok()
}

/// What the indexes of the running minor and of the next one offer to a cluster that runs `running`.
#[must_use]
pub fn offer(running: &Version, mut versions: Vec<Version>) -> crate::snapshot::Packages {
    versions.sort();
    versions.dedup();
    let newest = |minor: Minor| {
        let mut of_minor =
            versions.iter().filter(|version| version.minor() == minor && !version.is_prerelease());
        of_minor.next_back().cloned()
    };
    let patch = newest(running.minor()).filter(|version| version.cmp_precedence(running).is_gt());
    let minor = newest(running.minor().next());
    crate::snapshot::Packages { patch, minor, versions }
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

Package: kubeadm
Version: 1.36.1-1.1
Filename: amd64/kubeadm_1.36.1-1.1_amd64.deb
";

    fn texts(versions: &[Version]) -> Vec<String> {
        versions.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_versions_of_the_one_package_are_read_in_order() {
        assert_eq!(texts(&parse(INDEX).unwrap()), ["v1.36.1", "v1.36.3"]);
        assert_eq!(
            texts(&parse("Package: kubeadm\nVersion: 1.37.0~rc.1-1.1\n\n").unwrap()),
            ["v1.37.0-rc.1"]
        );
    }

    #[test]
    fn whatever_is_no_whole_index_is_an_error_and_never_nothing_new() {
        let html = "<!DOCTYPE html>\n<html><body>Sign in</body></html>\n";
        type Expected = fn(&IndexError) -> bool;
        let cases: [(&str, Expected); 11] = [
            ("", |error| *error == IndexError::Empty),
            (" \n\n", |error| *error == IndexError::Empty),
            (html, |error| matches!(error, IndexError::NotAnIndex { line: 1, .. })),
            ("{\"error\": 1}\n", |error| matches!(error, IndexError::NotAnIndex { .. })),
            ("Package: kubelet\nVersion: 1.36.1-1.1\n\n", |error| matches!(error, IndexError::NoPackage(_))),
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
        let whole = parse(INDEX).unwrap();
        for end in 0..INDEX.len() {
            if let Ok(versions) = parse(&INDEX[..end]) {
                assert!(versions.iter().all(|version| whole.contains(version)), "{end}");
                assert!(INDEX[..end].ends_with('\n'), "{end}");
            }
        }
    }

    #[test]
    fn the_newest_patch_and_the_next_minor_are_offered_and_no_candidate() {
        let versions =
            |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Version>>();
        let all = ["1.36.1", "1.36.3", "1.36.2", "1.37.1", "1.37.0", "1.37.2-rc.0"];
        let offered = offer(&Version::new(1, 36, 1), versions(&all));
        assert_eq!(
            (offered.patch, offered.minor),
            (Some(Version::new(1, 36, 3)), Some(Version::new(1, 37, 1)))
        );
        let newest = offer(&Version::new(1, 36, 3), versions(&["1.36.3"]));
        assert_eq!((newest.patch, newest.minor), (None, None));
    }
}
