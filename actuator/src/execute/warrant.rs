//! What allows a mutation, asked once more right before each request.

use std::time::Instant;

use jiff::Timestamp;
use lockkeeper_rules::reason::{Finding, Reason};
use lockkeeper_rules::run::Proof;
use lockkeeper_rules::settings::Settings;

/// A proof and the leadership behind it.
#[derive(Clone, Copy)]
pub struct Warrant<'a> {
    /// The check that passed; nothing where something is given back, which is never gated.
    pub proof: Option<&'a Proof>,
    /// When that check was begun, by the clock that nobody sets.
    pub began: Instant,
    /// The thresholds.
    pub settings: &'a Settings,
    /// Whether we lead at this moment.
    pub leads: &'a (dyn Fn() -> bool + Send + Sync),
}

impl std::fmt::Debug for Warrant<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Warrant")
            .field("proof", &self.proof)
            .field("began", &self.began)
            .finish_non_exhaustive()
    }
}

impl Warrant<'_> {
    /// Whether a request may be sent now.
    ///
    /// # Errors
    /// The check is too old, or we do not lead any more.
    pub fn still_holds(&self) -> Result<(), Finding> {
        if !(self.leads)() {
            return Err(Finding::new(Reason::LeadershipLost, "", "before the request was sent"));
        }
        self.proof
            .map_or(Ok(()), |proof| proof.still_holds(Timestamp::now(), self.began.elapsed(), self.settings))
    }
}
