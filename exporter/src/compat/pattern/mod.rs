//! The pattern of an add-on row that finds the version in its images. Rows are written for CPython's `re`; here a pattern
//! is read, said again in the notation of `fancy-regex`, and searched for with a bound on its work.
//!
//! ```text
//!   pattern ── read, class ──▶ the same in sets, groups and repeats ── fancy-regex ──▶ what is found
//! ```
//!
//! What that engine asks otherwise than CPython does, or may, is refused by name (docs/decisions/0057): a wrong answer
//! would be worse than none. So a pattern that cannot be asked is never one that does not match.

mod class;
mod read;
#[cfg(test)]
mod tests;

use fancy_regex::RegexBuilder;

/// The longest pattern that is read, in characters.
const PATTERN_LENGTH_MAX: usize = 1_000;
/// Steps back that one search may take: a fraction of a second.
const STEPS_BACK_MAX: usize = 100_000;
/// The most memory of each part that a pattern is compiled to, in bytes.
const COMPILED_BYTES_MAX: usize = 1024 * 1024;

/// Why a pattern cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PatternError {
    /// It is no pattern to CPython either.
    #[error("is no valid pattern: {0}")]
    Invalid(String),
    /// It is one, but not here.
    #[error("is not supported: {0}")]
    NotSupported(String),
}

fn invalid<T>(why: &str) -> Result<T, PatternError> {
    Err(PatternError::Invalid(why.to_owned()))
}

fn not_supported<T>(why: &str) -> Result<T, PatternError> {
    Err(PatternError::NotSupported(why.to_owned()))
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
    if pattern.chars().count() > PATTERN_LENGTH_MAX {
        return not_supported(&format!("it has more than {PATTERN_LENGTH_MAX} characters"));
    }
    let said = read::translate(pattern)?;
    if said.asks_ascii && !text.is_ascii() {
        return not_supported("letter case and words in an image beyond ASCII");
    }
    let engine = |error: fancy_regex::Error| PatternError::NotSupported(error.to_string());
    let regex = RegexBuilder::new(&said.text)
        .backtrack_limit(STEPS_BACK_MAX)
        .delegate_size_limit(COMPILED_BYTES_MAX)
        .delegate_dfa_size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(engine)?;
    let Some(captures) = regex.captures(text).map_err(engine)? else { return Ok(Found::Nothing) };
    if said.has_group {
        Ok(Found::Version(captures.get(1).map(|group| group.as_str().to_owned())))
    } else {
        Ok(Found::NoGroup)
    }
}
