//! Waiting for an answer, and not for ever.

use std::time::Duration;

/// There was no answer in time. What was asked for may have been done all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no answer within {} s", .0.as_secs())]
pub struct Late(pub Duration);

/// The answer, if it comes before `deadline` has passed.
///
/// # Errors
/// It does not.
pub async fn within<T>(deadline: Duration, answer: impl Future<Output = T>) -> Result<T, Late> {
    tokio::time::timeout(deadline, answer).await.map_err(|_elapsed| Late(deadline))
}
