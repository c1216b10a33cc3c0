use std::fmt;

/// An image reference in its parts: `registry:port/repository:tag@digest`.
///
/// A name is matched only after it has been taken apart, so that the port of a registry is never read as a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageReference<'a> {
    /// Where it is pulled from, with its port; nothing where the runtime's default is meant.
    pub registry: Option<&'a str>,
    /// The path in the registry, such as `calico/node`.
    pub repository: &'a str,
    /// The tag, such as `v3.30.1`.
    pub tag: Option<&'a str>,
    /// The digest, such as `sha256:…`.
    pub digest: Option<&'a str>,
}

/// What some put behind the name of an image that is a build of the same software.
const BUILDS: [&str; 22] = [
    "alpine",
    "amd64",
    "arm",
    "arm64",
    "chroot",
    "debian",
    "distroless",
    "fips",
    "hardened",
    "iamguarded",
    "linux",
    "ppc64le",
    "rhel10",
    "rhel8",
    "rhel9",
    "s390x",
    "slim",
    "ubi",
    "ubi10",
    "ubi8",
    "ubi9",
    "wolfi",
];

impl<'a> ImageReference<'a> {
    /// Takes a reference apart; nothing if it names no repository.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let last = name.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match name[last..].split_once(':') {
            Some((path, tag)) => (&name[..last + path.len()], Some(tag)),
            None => (name, None),
        };
        let (registry, repository) = match name.split_once('/') {
            Some((host, path)) if host == "localhost" || host.contains(['.', ':']) => (Some(host), path),
            Some(_) | None => (None, name),
        };
        let is_whole = !repository.is_empty()
            && tag.is_none_or(|tag| !tag.is_empty())
            && digest.is_none_or(|digest| !digest.is_empty());
        is_whole.then_some(Self { registry, repository, tag, digest })
    }

    /// The path without what marks a build of the same software: `x/controller-fips` is `x/controller`.
    #[must_use]
    pub fn plain_repository(&self) -> &'a str {
        let mut plain = self.repository;
        while let Some((name, _)) = plain.rsplit_once('-').filter(|(_, word)| BUILDS.contains(word)) {
            plain = name;
        }
        plain
    }

    /// Repository and tag, which is what a pattern is held against.
    #[must_use]
    pub fn tagged(&self) -> Option<String> {
        self.tag.map(|tag| format!("{}:{tag}", self.repository))
    }
}

impl fmt::Display for ImageReference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(registry) = self.registry {
            write!(f, "{registry}/")?;
        }
        f.write_str(self.repository)?;
        if let Some(tag) = self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn a_reference_is_taken_apart_before_anything_is_read_from_it() {
        for (text, registry, repository, tag, digest) in [
            ("nginx", None, "nginx", None, None),
            ("calico/node:v3.30.1", None, "calico/node", Some("v3.30.1"), None),
            ("quay.io/calico/node:v3.30.1", Some("quay.io"), "calico/node", Some("v3.30.1"), None),
            ("10.96.0.1:5000/a/node:v3.30", Some("10.96.0.1:5000"), "a/node", Some("v3.30"), None),
            ("10.96.0.1:5000/a/node", Some("10.96.0.1:5000"), "a/node", None, None),
            ("localhost/node:1", Some("localhost"), "node", Some("1"), None),
            ("node:1@sha256:ab", None, "node", Some("1"), Some("sha256:ab")),
            ("quay.io/node@sha256:ab", Some("quay.io"), "node", None, Some("sha256:ab")),
        ] {
            let expected = ImageReference { registry, repository, tag, digest };
            assert_eq!(ImageReference::parse(text), Some(expected), "{text}");
        }
        for text in ["", "quay.io/", "node:", "node@", ":v1", "quay.io/:v1"] {
            assert_eq!(ImageReference::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_marks_a_build_is_left_out_and_other_words_are_not() {
        for (text, plain) in [
            ("r.io/x/controller-fips:1", "x/controller"),
            ("x/controller-iamguarded-fips", "x/controller"),
            ("x/controller-linux-s390x", "x/controller"),
            ("x/controller-webhook:1", "x/controller-webhook"),
            ("fips", "fips"),
            ("x-fips/controller", "x-fips/controller"),
        ] {
            assert_eq!(ImageReference::parse(text).unwrap().plain_repository(), plain, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_apart_is_the_same_together(text in any::<String>()) {
            if let Some(parsed) = ImageReference::parse(&text) {
                prop_assert_eq!(parsed.to_string(), text);
            }
        }
    }
}
