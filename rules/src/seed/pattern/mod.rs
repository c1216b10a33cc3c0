//! The pattern of an add-on row that finds the version in its images. The rows are written for the seed's engine, and
//! this is one that answers as that one does: in what groups hold, in repeats of what may match nothing, in letter case.
//!
//! ```text
//!   pattern ── read, groups, class, flags ──▶ tree ── program ──▶ steps ── matcher, back ──▶ what is found
//! ```
//!
//! Refused by name, and never a pattern that does not match: what is beyond the bounds below, characters by name, and the
//! two oddities in docs/decisions/0019.

mod back;
mod class;
mod flags;
mod fold;
mod groups;
mod marks;
mod matcher;
mod program;
mod read;
#[cfg(test)]
mod tests;
mod tree;

use std::cell::Cell;

use matcher::Matcher;
use program::Step;
use tree::Place;

/// The longest pattern that is read, in characters.
const PATTERN_LENGTH_MAX: usize = 4_096;
/// How deep groups may be nested: far below what the stack bears.
const DEPTH_MAX: usize = 200;
/// Steps that all searches of a matrix may take together: about a second.
const STEPS_MAX: usize = 20_000_000;
/// What one search may keep for going back: some tens of megabytes. It is reached before the steps are where a group is
/// repeated over a long text.
const KEPT_MAX: usize = 250_000;

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

/// The steps that are left for the searches of a matrix.
#[derive(Debug)]
pub(super) struct Budget(Cell<usize>);

impl Budget {
    pub(super) fn of_a_matrix() -> Self {
        Self(Cell::new(STEPS_MAX))
    }

    fn takes(&self, steps: usize) -> Result<(), PatternError> {
        match self.0.get().checked_sub(steps) {
            Some(left) => {
                self.0.set(left);
                Ok(())
            }
            None => read::not_supported(&format!("searches of more than {STEPS_MAX} steps in one matrix")),
        }
    }
}

/// Searches for a pattern from left to right.
pub(super) fn search(pattern: &str, text: &str, budget: &Budget) -> Result<Found, PatternError> {
    let refused = |why: &str| Err(PatternError::NotSupported(why.to_owned()));
    if pattern.chars().count() > PATTERN_LENGTH_MAX {
        return refused(&format!("it has more than {PATTERN_LENGTH_MAX} characters"));
    }
    let tree = read::read(pattern)?;
    let (width, groups) = (tree.width, tree.groups);
    let steps = program::program(tree.nodes);
    budget.takes(steps.iter().map(Step::cost).sum())?;
    let text: Vec<char> = text.chars().collect();
    let fewest = usize::try_from(width.low).unwrap_or(usize::MAX);
    let Some(mut last) = text.len().checked_sub(fewest) else { return Ok(Found::Nothing) };
    if let Some(Step::Place(Place::Start | Place::TextStart)) = steps.first() {
        last = 0;
    }
    let mut matcher = Matcher::new(&steps, &text, groups, budget);
    for start in 0..=last {
        if matcher.matches(start)? {
            return found(&matcher, &text, groups);
        }
    }
    Ok(Found::Nothing)
}

fn found(matcher: &Matcher<'_>, text: &[char], groups: usize) -> Result<Found, PatternError> {
    // There the seed's engine breaks off, too: it says that this is an error of its own.
    if (1..=groups).filter_map(|group| matcher.marks.group(group)).any(|(start, end)| start > end) {
        return read::not_supported("a group that ends before it begins");
    }
    if groups == 0 {
        return Ok(Found::NoGroup);
    }
    let version = matcher.marks.group(1).and_then(|(start, end)| text.get(start..end));
    Ok(Found::Version(version.map(|letters| letters.iter().collect())))
}
