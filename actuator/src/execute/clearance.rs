//! What allows a mutation, asked once more right before each request.

use std::time::Instant;

use jiff::Timestamp;
use lockkeeper_rules::gate::Proof;
use lockkeeper_rules::reason::{Finding, Reason};
use lockkeeper_rules::settings::Settings;

/// A proof and the leadership behind it.
#[derive(Clone, Copy)]
pub struct Clearance<'a> {
    /// The check that passed; nothing where something is given back, which is never gated.
    pub proof: Option<&'a Proof>,
    /// When that check was begun, by the clock that nobody sets.
    pub began: Instant,
    /// The thresholds.
    pub settings: &'a Settings,
    /// Whether we lead at this moment.
    pub leads: &'a (dyn Fn() -> bool + Send + Sync),
    /// Whether somebody has said since that check began that a gate fires.
    pub is_revoked: &'a (dyn Fn() -> bool + Send + Sync),
}

impl std::fmt::Debug for Clearance<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clearance")
            .field("proof", &self.proof)
            .field("began", &self.began)
            .finish_non_exhaustive()
    }
}

impl Clearance<'_> {
    /// Whether a request may be sent now.
    ///
    /// # Errors
    /// The check is too old or worth nothing any more, or we do not lead any more.
    pub fn still_holds(&self) -> Result<(), Finding> {
        if !(self.leads)() {
            return Err(Finding::new(Reason::LeadershipLost, "", "before the request was sent"));
        }
        let Some(proof) = self.proof else { return Ok(()) };
        if (self.is_revoked)() {
            let detail = "a gate is said to fire since the check began";
            return Err(Finding::new(Reason::CheckExpired, proof.token.to_string(), detail));
        }
        proof.still_holds(Timestamp::now(), self.began.elapsed(), self.settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_that_is_said_to_fire_ends_a_clearance_but_not_what_is_given_back() {
        let settings = Settings::default();
        let proof = Proof { token: "u.1.1.ff".parse().unwrap(), checked_at: Timestamp::now() };
        let holds = |proof, leads, is_revoked| {
            let clearance =
                Clearance { proof, began: Instant::now(), settings: &settings, leads, is_revoked };
            clearance.still_holds().map_err(|finding| finding.reason)
        };
        assert_eq!(holds(Some(&proof), &|| true, &|| false), Ok(()));
        assert_eq!(holds(Some(&proof), &|| true, &|| true), Err(Reason::CheckExpired));
        assert_eq!(holds(None, &|| true, &|| true), Ok(()));
        assert_eq!(holds(None, &|| false, &|| false), Err(Reason::LeadershipLost));
    }
}
