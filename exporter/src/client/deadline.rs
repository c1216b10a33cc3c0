//! Waiting for an answer, and not for ever.

use std::time::Duration;

/// There was no answer in time. What was asked for may have been done all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no answer within {} s", seconds(*.0))]
pub struct Late(pub Duration);

/// The answer, if it comes before `deadline` has passed.
///
/// # Errors
/// It does not.
pub async fn within<T>(deadline: Duration, answer: impl Future<Output = T>) -> Result<T, Late> {
    tokio::time::timeout(deadline, answer).await.map_err(|_elapsed| Late(deadline))
}

/// Seconds as people read them, to the millisecond: what is left of a deadline can be less than one.
pub(crate) fn seconds(deadline: Duration) -> f64 {
    (deadline.as_secs_f64() * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_below_a_second_is_shown_as_it_is() {
        for (millis, expected) in
            [(400, "within 0.4 s"), (37, "within 0.037 s"), (1_900, "within 1.9 s"), (5_000, "within 5 s")]
        {
            assert_eq!(Late(Duration::from_millis(millis)).to_string(), format!("no answer {expected}"));
        }
        assert_eq!(Late(Duration::from_micros(399_600)).to_string(), "no answer within 0.4 s");
    }
}
