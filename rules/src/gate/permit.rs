//! Permits: what a message of a webhook is worth, and for how long.

use jiff::Timestamp;

use crate::settings::Settings;
use crate::words::name::Token;

/// The leave to ask the live check for one token. It lives in memory only and decides nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// The token that rang.
    pub token: Token,
    /// When it rang last.
    pub granted_at: Timestamp,
}

impl Permit {
    /// Whether it is worth something for this token now. A permit from the future is worth nothing: the clock
    /// has been set back.
    #[must_use]
    pub fn covers(&self, token: &Token, now: Timestamp, settings: &Settings) -> bool {
        let age = now.duration_since(self.granted_at).as_secs();
        self.token == *token && u64::try_from(age).is_ok_and(|age| age < settings.permit_seconds)
    }
}
