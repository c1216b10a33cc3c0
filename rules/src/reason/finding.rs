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
}

impl Finding {
    /// A finding about `subject`, with what was seen.
    pub fn new(reason: Reason, subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { reason, subject: subject.into(), detail: detail.into() }
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
