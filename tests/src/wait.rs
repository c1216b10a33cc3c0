//! Waiting for something to become true, with a deadline.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition is looked at. Short, since a look costs one request on loopback.
const POLL: Duration = Duration::from_millis(50);

/// Looks until there is an answer.
///
/// The look returns `Ok(None)` for "not yet", which is waited out, and `Err` for "not yet, because", which is
/// waited out too and named when the time is over.
///
/// # Errors
/// There was no answer before the deadline: what was waited for, how long, and the last thing that stood in the way.
pub async fn wait_for<T, L, F>(what: &str, deadline: Duration, mut look: L) -> Result<T>
where
    L: FnMut() -> F,
    F: Future<Output = Result<Option<T>>>,
{
    let started = Instant::now();
    let mut obstacle = String::new();
    loop {
        let left = deadline.saturating_sub(started.elapsed());
        match tokio::time::timeout(left.max(POLL), look()).await {
            Ok(Ok(Some(answer))) => return Ok(answer),
            Ok(Ok(None)) => obstacle.clear(),
            Ok(Err(error)) => obstacle = format!(": {error:#}"),
            // The last look is cut short by the deadline; what stood in the way before it tells more.
            Err(_) if obstacle.is_empty() => obstacle = ": no answer".to_owned(),
            Err(_) => {}
        }
        if started.elapsed() >= deadline {
            bail!("waited {} s in vain for {what}{obstacle}", deadline.as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
}
