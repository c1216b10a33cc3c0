use regex::bytes::{Captures, Regex, RegexBuilder};

use super::AddonVersion;
use crate::facts::text::Text;

/// How large a compiled pattern may become: eight times what the largest of the built-in ones needs.
const PATTERN_BYTES_MAX: usize = 16 << 10;
/// Words behind the version, with or without a number of their own, where the release is none yet.
const PRERELEASES: [&str; 12] = [
    "alpha",
    "beta",
    "canary",
    "dev",
    "devel",
    "development",
    "nightly",
    "pre",
    "prerelease",
    "preview",
    "rc",
    "snapshot",
];

/// A pattern that reads a version from `repository:tag`, in its first group.
///
/// References are ASCII, and so are the digits that `\d` means here.
#[derive(Debug, Clone)]
pub struct ImagePattern {
    regex: Regex,
    /// What every repository that is meant ends with, where the pattern says it plainly. Most repositories are not
    /// meant, and this is told without the pattern.
    tail: Option<String>,
}

/// Compiled as it is read: one that cannot be used must not become one that never matches.
impl Text for ImagePattern {
    /// Nothing where images do not tell the version.
    type Is = Option<Self>;
    const EXAMPLE: &'static str = r"calico/node:v(\d+\.\d+(?:\.\d+)?)";
    const READ: fn(&str) -> Option<Option<Self>> =
        |text| if text.is_empty() { Some(None) } else { Self::new(text).ok().map(Some) };

    fn expected(text: &str) -> String {
        let why = Self::new(text).err().unwrap_or_default();
        format!("a pattern with a group for the version: {why}")
    }
}

impl PartialEq for ImagePattern {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str()
    }
}

impl ImagePattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// It is none (look-around and back-references are not supported), it has no group, or it names a registry.
    pub fn new(text: &str) -> Result<Self, String> {
        let built = RegexBuilder::new(text).unicode(false).size_limit(PATTERN_BYTES_MAX).build();
        let regex = built.map_err(|error| error.to_string().lines().last().unwrap_or_default().to_owned())?;
        if regex.captures_len() < 2 {
            return Err("it has no group that captures the version".to_owned());
        }
        if has_registry(text) {
            return Err("write it without the registry, which is cut off before it is tried".to_owned());
        }
        Ok(Self { tail: tail(text), regex })
    }

    /// Whether images of this repository are meant, whatever their tag.
    #[must_use]
    pub fn names(&self, repository: &str) -> bool {
        if self.tail.as_ref().is_some_and(|tail| !repository.ends_with(tail.as_str())) {
            return false;
        }
        let any_tag = format!("{repository}:v0.0.0");
        let is_named = |tagged: &str| self.find(tagged).is_some();
        is_named(&any_tag) || is_named(&any_tag.replacen(":v", ":", 1))
    }

    /// How the path of every repository that is meant ends, where the pattern says it plainly. Whoever has many
    /// repositories need not look at the others.
    #[must_use]
    pub fn end(&self) -> Option<&str> {
        let end = self.tail.as_deref()?.trim_start_matches('/');
        (!end.is_empty() && !end.ends_with('/')).then_some(end)
    }

    /// The version in `repository:tag`; nothing if another image is meant.
    ///
    /// # Errors
    /// Why what was captured is no version.
    pub fn version(&self, tagged: &str) -> Result<Option<AddonVersion>, String> {
        let Some(captures) = self.find(tagged) else { return Ok(None) };
        let Some(group) = captures.get(1) else { return Err("nothing was captured".to_owned()) };
        let version = String::from_utf8_lossy(group.as_bytes()).parse::<AddonVersion>();
        let version = version.map_err(|error| error.to_string())?;
        // Behind a whole version there is a whole character.
        suffix(&tagged[group.end()..]).map(|()| Some(version))
    }

    /// The first match that begins where a part of the name begins: `my-node` is not `node`.
    fn find<'t>(&self, tagged: &'t str) -> Option<Captures<'t>> {
        let bytes = tagged.as_bytes();
        let begins = |at: usize| at == 0 || bytes[at - 1] == b'/' || bytes.get(at) == Some(&b'/');
        self.regex
            .captures_iter(bytes)
            .find(|captures| captures.get(0).is_some_and(|whole| begins(whole.start())))
    }
}

/// The release that a tag names, whatever stands behind it: `v1.16.2`, `1.16.2-debian-12-r0`, `1.24.3-distroless`.
/// Nothing if it does not begin with a version.
///
/// # Errors
/// Why what it begins with is no release.
pub(crate) fn version_of_tag(tag: &str) -> Result<Option<AddonVersion>, String> {
    let plain = tag.strip_prefix('v').unwrap_or(tag);
    let numbers = plain.bytes().take_while(|it| it.is_ascii_digit() || *it == b'.').count();
    let (numbers, rest) = plain.split_at(numbers);
    let Ok(version) = numbers.parse::<AddonVersion>() else { return Ok(None) };
    suffix(rest).map(|()| Some(version))
}

/// What stands before the colon, if the pattern begins with plain letters up to one and goes one way only: a
/// repository has no colon of its own.
fn tail(pattern: &str) -> Option<String> {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '/' | '-' | '_');
    let (plain, rest) = pattern.split_once(':')?;
    let is_optional = rest.starts_with(['?', '*', '{']);
    // The colon before a path is that of a port.
    let is_port = rest.contains('/');
    let is_one_way = plain.chars().all(is_plain) && !pattern.contains('|') && !is_optional && !is_port;
    is_one_way.then(|| plain.to_owned())
}

/// Whether one of the ways that a pattern goes begins with a registry: such a way would never match.
fn has_registry(pattern: &str) -> bool {
    let (mut depth, mut is_class, mut is_later) = (0_u32, false, false);
    let mut first = String::new();
    for it in pattern.replace("(?:", "(").chars() {
        match it {
            '[' => is_class = true,
            ']' => is_class = false,
            _ if is_class => {}
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => (is_later, first) = (false, String::new()),
            '|' if !is_later => first.clear(),
            '/' if !is_later && is_registry(&first) => return true,
            '/' => is_later = true,
            _ if is_later => {}
            _ => first.push(it),
        }
    }
    false
}

/// Whether the first part of a reference is a registry, in a pattern: it has a port or a dot, or is this machine.
fn is_registry(first: &str) -> bool {
    let is_of_name = |it: Option<char>| it.is_some_and(|it| it.is_ascii_alphanumeric() || it == '-');
    let is_dot = |(at, _): (usize, &str)| {
        let (before, after) = (&first[..at], &first[at + 1..]);
        before.ends_with('\\') || is_of_name(before.chars().last()) && is_of_name(after.chars().next())
    };
    first.contains(':')
        || first.trim_start_matches('^') == "localhost"
        || first.match_indices('.').any(is_dot)
}

/// The last part of a path.
pub(crate) fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What may stand behind a version: nothing, or a word that names a build of the same release.
fn suffix(rest: &str) -> Result<(), String> {
    let Some(first) = rest.chars().next() else { return Ok(()) };
    if !matches!(first, '-' | '_' | '+') {
        return Err(format!("{rest:?} follows what was captured"));
    }
    let word = rest[1..].to_ascii_lowercase();
    // A word that only begins so is another one: `preprod`, `devops1`.
    let is_one = |part: &str| {
        let numbers = PRERELEASES.iter().filter_map(|name| part.strip_prefix(name));
        numbers.into_iter().any(|rest| rest.is_empty() || rest.starts_with(|it: char| it.is_ascii_digit()))
    };
    let is_prerelease = word.split(['-', '_', '.', '+']).any(is_one);
    if is_prerelease { Err(format!("{rest:?} marks a pre-release")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_cannot_be_used_is_refused() {
        for pattern in
            [r"node:v\d+", r"(?<=node:)v(\d+)", r"(node):\1", "(", r"(\w{1000}){1000}", r"n:v(\d{500})"]
        {
            assert!(ImagePattern::new(pattern).is_err(), "{pattern}");
        }
        assert!(ImagePattern::new(r"node:v(?P<v>\d+\.\d+)").is_ok());
    }

    /// It would be accepted and never match: references are read without their registry.
    #[test]
    fn a_pattern_with_a_registry_is_refused() {
        for (pattern, has_one) in [
            (r"corp.example.com/team/op:v(\d+\.\d+(?:\.\d+)?)", true),
            (r"corp\.example\.com/team/op:v(\d+)", true),
            (r"^corp\.example\.com/op:v(\d+)", true),
            (r"registry:5000/team/op:v(\d+)", true),
            (r"registry(?::\d+)?/team/op:v(\d+)", true),
            (r"localhost/team/op:v(\d+)", true),
            (r"(?:docker\.io|quay\.io)/team/op:v(\d+)", true),
            (r"(?:team|quay\.io)/op:v(\d+)", true),
            (r"(?:quay\.io/)?team/op:v(\d+)", true),
            (r"op:v(\d+\.\d+)|quay\.io/op:v(\d+)", true),
            (r"team/op:v(\d+\.\d+(?:\.\d+)?)", false),
            (r"op:v(\d+\.\d+)|team/op:v(\d+)", false),
            (r"team/(?:a|b\.c)/op:v(\d+)", false),
            (r"[\w\.-]+/op:v(\d+)", false),
            (r"(?:.*/)?op:v(\d+)", false),
            (r"/op:(\d+\.\d+)", false),
            (r"op:v(\d+\.\d+\.\d+)$", false),
        ] {
            let read = ImagePattern::new(pattern);
            assert_eq!(read.is_err_and(|why| why.contains("without the registry")), has_one, "{pattern}");
        }
        assert_eq!(tail(r"registry:5000/team/op:v(\d+)"), None, "the colon of a port ends no repository");
    }

    #[test]
    fn only_the_named_repository_is_read() {
        let pattern = ImagePattern::new(r"calico/node:v(\d+\.\d+(?:\.\d+)?)").unwrap();
        let version = |text: &str| Ok(Some(text.parse::<AddonVersion>().unwrap()));
        for (tagged, expected) in [
            ("calico/node:v3.30.1", version("3.30.1")),
            ("mirror/calico/node:v3.30", version("3.30")),
            ("calico/node:v3.30.1-amd64", version("3.30.1")),
            ("calico/node:v3.30.1_fips", version("3.30.1")),
            ("notcalico/node:v3.30.1", Ok(None)),
            ("calico/node-driver:v3.30.1", Ok(None)),
            ("calico/node:latest", Ok(None)),
        ] {
            assert_eq!(pattern.version(tagged), expected, "{tagged}");
        }
        for tagged in ["calico/node:v3.30.1-rc.1", "calico/node:v3.30.1-0.dev-ab12", "calico/node:v3.30.1.4"]
        {
            assert!(pattern.version(tagged).is_err(), "{tagged}");
        }
        assert!(pattern.names("mirror/calico/node") && !pattern.names("calico/typha"));
    }

    #[test]
    fn a_plain_beginning_is_a_shortcut_and_changes_no_answer() {
        for (pattern, plain) in [
            (r"calico/node:v(\d+)", Some("calico/node")),
            (r"/pilot:(\d+)", Some("/pilot")),
            (r"a/b:v(\d+)|c/d:v(\d+)", None),
            (r"no.e:v(\d+)", None),
            (r"node:?v(\d+)", None),
            (r"(?i)node:v(\d+)", None),
            (r"node@(\d+)", None),
            (r"calico/:v(\d+)", Some("calico/")),
            (r":v(\d+)", Some("")),
        ] {
            let short = ImagePattern::new(pattern).unwrap();
            assert_eq!(short.tail.as_deref(), plain, "{pattern}");
            let long = ImagePattern { tail: None, ..short.clone() };
            for repository in [
                "calico/node",
                "m/calico/node",
                "xcalico/node",
                "istio/pilot",
                "pilot",
                "c/d",
                "node",
                "m/calico/",
            ] {
                assert_eq!(short.names(repository), long.names(repository), "{pattern} {repository}");
                let ends_so = short.end().is_none_or(|end| repository.ends_with(end));
                assert!(ends_so || !long.names(repository), "{pattern} {repository}");
            }
        }
    }

    #[test]
    fn a_tag_names_a_release_whatever_stands_behind_it() {
        let version = |text: &str| Ok(Some(text.parse::<AddonVersion>().unwrap()));
        for (tag, expected) in [
            ("v1.11.3", version("1.11.3")),
            ("1.16.2-debian-12-r0", version("1.16.2")),
            ("1.24.3-distroless", version("1.24.3")),
            ("v1.12.1-hardened1", version("1.12.1")),
            ("v1.21.0-devops1", version("1.21.0")),
            ("v1.21.0-preprod.2", version("1.21.0")),
            ("v3.30.1_linux_amd64", version("3.30.1")),
            ("1.29", version("1.29")),
            ("1.29-alpine", version("1.29")),
            ("latest", Ok(None)),
            ("distroless", Ok(None)),
            ("3", Ok(None)),
            ("1.2.3.4", Ok(None)),
            ("1.", Ok(None)),
            ("2024.01.02", Ok(None)),
            ("controller-v1.11.3", Ok(None)),
            ("vv1.2", Ok(None)),
            ("", Ok(None)),
        ] {
            assert_eq!(version_of_tag(tag), expected, "{tag}");
        }
        for tag in [
            "v1.17.0-beta.0",
            "1.24-alpha.abc",
            "1.24.3-rc1-debian",
            "1.24.3-beta2a",
            "1.24.3-preview",
            "1.2.3amd64",
            "1.2.x",
            // Some call so a release with a shell: what runs would be read as older or newer where others mean none yet.
            "1.2-dev",
        ] {
            let read = version_of_tag(tag);
            assert!(!matches!(read, Ok(Some(_))), "{tag}: {read:?}");
        }
    }

    #[test]
    fn what_is_captured_must_be_a_version() {
        let loose = ImagePattern::new(r"node:(\w+)").unwrap();
        assert!(loose.version("node:latest").is_err());
        let optional = ImagePattern::new(r"node:v(\d+\.\d+)?").unwrap();
        assert!(optional.version("node:vnext").is_err());
    }
}
