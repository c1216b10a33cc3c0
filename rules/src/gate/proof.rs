//! Whether a proof still holds at the moment of acting.

use std::time::Duration;

use jiff::Timestamp;

use super::Proof;
use crate::reason::{Finding, Reason};
use crate::settings::Settings;

impl Proof {
    /// Asks once more, right before a request is sent. `elapsed` is the time since the check began by the clock that
    /// nobody sets; the larger of it and the wall clock's counts. A check from the future means that the clock was
    /// set back, and proves nothing.
    ///
    /// # Errors
    /// The check is too old.
    pub fn still_holds(&self, now: Timestamp, elapsed: Duration, settings: &Settings) -> Result<(), Finding> {
        let allowed = Duration::from_secs(settings.check_seconds_max);
        let wall = Duration::try_from(now.duration_since(self.checked_at));
        match wall {
            Ok(wall) if wall.max(elapsed) <= allowed => Ok(()),
            Ok(wall) => {
                let age = wall.max(elapsed).as_millis();
                let words =
                    format!("the check is {{}} ms old, at most {} ms are allowed", allowed.as_millis());
                Err(Finding::with_figures(Reason::CheckExpired, self.token.to_string(), words, &[&age]))
            }
            Err(_from_the_future) => {
                Err(Finding::new(Reason::CheckExpired, self.token.to_string(), "the clock was set back"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_counts_for_five_seconds_by_both_clocks() {
        let checked_at = Timestamp::from_second(1_000_000).unwrap();
        let proof = Proof { token: "u.1.1.ff".parse().unwrap(), checked_at };
        for (wall_ms, elapsed_ms, expected) in
            [(0, 0, true), (5_000, 5_000, true), (5_001, 0, false), (0, 5_001, false), (-1, 0, false)]
        {
            let now = checked_at + jiff::SignedDuration::from_millis(wall_ms);
            let result = proof.still_holds(now, Duration::from_millis(elapsed_ms), &Settings::default());
            assert_eq!(result.is_ok(), expected, "{wall_ms} {elapsed_ms}");
        }
    }
}
