//! The pattern of an add-on row that finds the version in its images. The rows are written for the seed's engine;
//! here they are read ([`read`]), said again in the words of a kept engine, and matched with a bound on its work.
//!
//! What cannot be said with the same meaning is refused by name, and never a pattern that does not match: too large
//! counts, backtracking without end, conditions, named characters, repeats of what may match nothing, and characters
//! beyond ASCII where letter case or words are asked for.

mod class;
mod flags;
mod read;

use fancy_regex::RegexBuilder;

/// Steps back that one search may take: a fraction of a second.
const BACKTRACK_MAX: usize = 100_000;
/// The most memory of one compiled pattern, in bytes.
const COMPILED_BYTES_MAX: usize = 2 * 1024 * 1024;
/// The most instructions of one compiled pattern.
const INSTRUCTIONS_MAX: usize = 20_000;
/// The longest pattern that is read, in characters.
const PATTERN_LENGTH_MAX: usize = 4_096;

/// Why a pattern cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PatternError {
    /// It is no pattern in any engine.
    #[error("is no valid pattern: {0}")]
    Invalid(String),
    /// It is one, but not here.
    #[error("is not supported: {0}")]
    NotSupported(String),
}

/// What a pattern finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// It does not match.
    Nothing,
    /// It matches, and has no group that would hold the version.
    NoGroup,
    /// It matches; the text of the first group, if that took part.
    Version(Option<String>),
}

/// Searches for a pattern from left to right.
pub(super) fn search(pattern: &str, text: &str) -> Result<Found, PatternError> {
    let refused = |why: &str| Err(PatternError::NotSupported(why.to_owned()));
    if pattern.chars().count() > PATTERN_LENGTH_MAX {
        return refused(&format!("it has more than {PATTERN_LENGTH_MAX} characters"));
    }
    let said = read::translate(pattern)?;
    let is_ascii = text.is_ascii() && (pattern.is_ascii() || !said.folds_case);
    if !is_ascii && (said.folds_case || said.asks_words) {
        return refused("letter case or words are asked for beyond ASCII");
    }
    let engine = |error: fancy_regex::Error| PatternError::NotSupported(error.to_string());
    let regex = RegexBuilder::new(&said.text)
        .backtrack_limit(BACKTRACK_MAX)
        .delegate_size_limit(COMPILED_BYTES_MAX)
        .delegate_dfa_size_limit(COMPILED_BYTES_MAX)
        .max_prog_size(INSTRUCTIONS_MAX)
        .build()
        .map_err(engine)?;
    let Some(captures) = regex.captures(text).map_err(engine)? else { return Ok(Found::Nothing) };
    if said.groups == 0 {
        return Ok(Found::NoGroup);
    }
    Ok(Found::Version(captures.get(1).map(|group| group.as_str().to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_what_it_means_to_the_seed() {
        let cases = [
            (r"calico/node:v(\d+\.\d+)", "docker.io/calico/node:v3.26.1 b:v9.9", Some("3.26")),
            (r"node:(v\d+\.\d+\.\d+)", "calico/node:v3.26.1", Some("v3.26.1")),
            (r"node:v(?P<v>\d+\.\d+)@(?P=v)", "node:v3.2@3.2", Some("3.2")),
            (r"(\d+\.\d+)$", "node:3.2\n", Some("3.2")),
            (r"(\d+\.\d+)\Z", "node:3.2\n", None),
            (r"(?m)^b:(\d+\.\d+)$", "a:1.1\nb:3.2\nc", Some("3.2")),
            (r"(?i)NODE:(\d+\.\d+)", "node:3.2", Some("3.2")),
            (r"(?i:NODE):V(\d+\.\d+)", "node:v3.2", None),
            (r"(?s:a.b)(\d)", "a\nb1", Some("1")),
            (r"a.b(\d)", "a\nb1", None),
            (r"(?x) node : v ( \d+ \. \d+ ) # the tag", "node:v3.2", Some("3.2")),
            (r"node:v(\d+\.\d+)(?=-gpu)", "node:v1.1 node:v3.2-gpu", Some("3.2")),
            (r"(?<!x)node:v(\d+\.\d+)", "xnode:v1.1 node:v3.2", Some("3.2")),
            (r"(?<=/)node:v(\d+\.\d+)(?!\.0)", "/node:v3.2.1", Some("3.2")),
            (r"node:v(\d+\.\d+)", "node:v３.\u{0662}", Some("３.\u{0662}")),
            (r"(?a)node:v(\d+\.\d+)", "node:v３.2", None),
            (r"[]a-c\w.[&&~-]+:(\x31\056\u0032)", "x]&[~-:1.2", Some("1.2")),
            (r"[^\W\d_]+(\d{,2})", "12ab345", Some("34")),
            (r"a{x}(b{2}){1,}?", "a{x}bbbb", Some("bb")),
            (r"(?>a+)b(\d)", "aab1", Some("1")),
            (r"(a++)b", "aab", Some("aa")),
            (r"a\sb(\d)", "a\u{1c}b1", Some("1")),
            (r"\bnode\b.(\d)", "xnode:1 node:2", Some("2")),
        ];
        for (pattern, text, expected) in cases {
            let found = match search(pattern, text) {
                Ok(Found::Version(version)) => version,
                Ok(Found::Nothing) => None,
                other => panic!("{pattern}: {other:?}"),
            };
            assert_eq!(found.as_deref(), expected, "{pattern} in {text:?}");
        }
        assert_eq!(search(r"a(b)?", "a"), Ok(Found::Version(None)));
        assert_eq!(search(r"a(?:b)?", "a"), Ok(Found::NoGroup));
    }

    #[test]
    fn what_is_no_pattern_is_named_and_does_not_merely_fail_to_match() {
        let invalid = [
            "(",
            ")",
            "a)",
            "(a",
            "[a",
            "[",
            "[z-a]",
            r"[\d-z]",
            "*a",
            "a**",
            "^*",
            "a{2,1}",
            r"\q",
            r"\1(a)",
            r"(a\1)",
            r"\x1",
            r"\u12",
            "(?P<1>a)",
            "(?P<a>b)(?P<a>c)",
            "(?P=a)",
            "(?<a>b)",
            "a(?i)b",
            "(?iu-u:a)",
            "(?i",
            "(?",
            "(?<=a+)b",
            "(?#",
            r"[\A]",
            r"\777",
            "(?L)a",
            "\\",
            r"\z",
            "(?au)a",
        ];
        for pattern in invalid {
            let found = search(pattern, "a");
            assert!(matches!(found, Err(PatternError::Invalid(_))), "{pattern}: {found:?}");
        }
    }

    #[test]
    fn what_the_engine_cannot_do_is_refused_and_never_no_match() {
        let long = "x".repeat(PATTERN_LENGTH_MAX + 1);
        let deep = "(".repeat(300) + &")".repeat(300);
        let cases = [
            (r"(a)?(?(1)b|c)", "ab"),
            (r"\N{BULLET}", "a"),
            (r"(a*)*b", "aab"),
            (r"(?i)(K)", "\u{212a}"),
            (r"(\w)", "\u{b2}"),
            (r"(a{1000}){1000}", "a"),
            (r"((?:a|aa)+)(?!.)(?=b)", &"a".repeat(60)),
            (&long, "a"),
            (&deep, "a"),
        ];
        for (pattern, text) in cases {
            let found = search(pattern, text);
            assert!(matches!(found, Err(PatternError::NotSupported(_))), "{pattern}: {found:?}");
        }
    }
}
