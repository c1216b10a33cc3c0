//! What a check says: lines, and faults where there is nothing to say.

use std::fmt;

use super::LINES_BYTES_MAX;

/// More faults than anybody reads.
const FAULTS_MAX: usize = 1_000;
/// The most text of a value that is shown, in characters.
const SHOWN_LENGTH_MAX: usize = 100;

/// A place in the input that has no meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where: the add-on and its field.
    pub place: String,
    /// What is wrong there.
    pub found: String,
    /// What to do about it.
    pub remedy: String,
}

impl Fault {
    pub(super) fn new(place: impl fmt::Display, found: impl fmt::Display, remedy: &str) -> Self {
        Self { place: place.to_string(), found: found.to_string(), remedy: remedy.to_owned() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.found, self.remedy)
    }
}

/// The beginning of a text, in quotation marks.
pub(super) fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(SHOWN_LENGTH_MAX).collect::<String>())
}

/// All that the checks say, in order.
#[derive(Debug, Default)]
pub(super) struct CheckOutput {
    pub(super) lines: Vec<String>,
    pub(super) faults: Vec<Fault>,
    bytes: usize,
}

impl CheckOutput {
    /// Takes a line, until there are more than can be read.
    pub(super) fn line(&mut self, line: String) {
        let fitted = self.bytes <= LINES_BYTES_MAX;
        self.bytes = self.bytes.saturating_add(line.len());
        if self.bytes <= LINES_BYTES_MAX {
            self.lines.push(line);
        } else if fitted {
            let found = format!("more than {LINES_BYTES_MAX} bytes of lines");
            self.fault(Fault::new("the answer", found, "shorten the names and versions in the matrix"));
        }
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }
}
