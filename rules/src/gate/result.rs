//! What one live check found, and in which of its two forms it was asked.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::reason::Finding;
use crate::settings::Settings;
use crate::words::name::{NodeName, Token};
use crate::words::step::Step;

/// What the live check is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckOrder {
    /// The step that wants to go on.
    pub step: Step,
    /// Its token.
    pub token: Token,
    /// Before the step, or inside it.
    pub form: Form,
    /// When the token was minted.
    pub minted_at: Timestamp,
    /// Nodes that need not be Ready: the step's own and the skipped ones.
    pub exempt: Vec<NodeName>,
}

/// The proof that a mutation was allowed: which check, and when it began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The token that was checked.
    pub token: Token,
    /// When the first request of the check was sent.
    pub checked_at: Timestamp,
}

/// When the live check is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Before a step: every row.
    Start,
    /// Inside a step: without the rows that are true only while a step waits.
    Continue,
}

/// What one live check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// The token that it was asked for.
    pub token: Token,
    /// Which form was asked.
    pub form: Form,
    /// When its first request was sent.
    pub started_at: Timestamp,
    /// Every reason why not, sorted; empty means clear.
    pub findings: Vec<Finding>,
}

impl CheckResult {
    /// Whether it is a pass of this form for this token, and young enough to act on.
    #[must_use]
    pub fn allows(&self, token: &Token, form: Form, age: Duration, settings: &Settings) -> bool {
        self.findings.is_empty()
            && self.token == *token
            && self.form == form
            && age <= Duration::from_secs(settings.check_seconds_max)
    }
}
