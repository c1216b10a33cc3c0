//! A reason with what it is about.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Reason;

/// One reason with what it is about: a node, a rule, a URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// Why.
    pub reason: Reason,
    /// What it is about, empty where the reason says it all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// What was seen, in words: never used to decide.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The same words with `{}` for each figure that changes by itself, such as an age: with others it says nothing new.
    /// Empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub words: String,
}

impl Finding {
    /// A finding about `subject`, with what was seen.
    pub fn new(reason: Reason, subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { reason, subject: subject.into(), detail: detail.into(), words: String::new() }
    }

    /// The same where what was seen has figures that change by themselves: each takes the place of one `{}` in `words`.
    pub fn with_figures(
        reason: Reason,
        subject: impl Into<String>,
        words: impl Into<String>,
        figures: &[&dyn fmt::Display],
    ) -> Self {
        let words = words.into();
        let fill = |text: String, figure: &&dyn fmt::Display| text.replacen("{}", &figure.to_string(), 1);
        let detail = figures.iter().fold(words.clone(), fill);
        Self { words, ..Self::new(reason, subject, detail) }
    }

    /// Why, and what about: what tells one finding from another.
    #[must_use]
    pub fn about(&self) -> (Reason, &str) {
        (self.reason, &self.subject)
    }

    /// Whether another one about the same says the same, whatever its figures.
    #[must_use]
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        self.words == other.words && (!self.words.is_empty() || self.detail == other.detail)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.reason)?;
        if !self.subject.is_empty() {
            write!(f, " {}", self.subject)?;
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}
