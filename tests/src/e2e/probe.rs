//! Asks a URL again and again and counts: what an upgrade costs whoever uses the cluster.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinHandle;

/// How often it asks.
const PAUSE: Duration = Duration::from_millis(100);

/// What was counted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counted {
    /// How many requests were made.
    pub(super) asked: u64,
    /// How many of them had no good answer.
    pub(super) failed: u64,
    /// The longest row of them.
    pub(super) failed_in_a_row_max: u64,
    /// How long there was no good answer, all in all, from the first that failed to the next that did not.
    pub(super) away: Duration,
    /// How long the slowest good answer took.
    pub(super) slowest: Duration,
    /// When the first of those was asked that have failed since.
    away_since: Option<Instant>,
    failed_in_a_row: u64,
}

impl Counted {
    fn count(&mut self, good: bool, asked_at: Instant) {
        self.asked += 1;
        if good {
            self.slowest = self.slowest.max(asked_at.elapsed());
            self.failed_in_a_row = 0;
            self.end_outage();
        } else {
            self.failed_in_a_row += 1;
            self.away_since.get_or_insert(asked_at);
            self.failed += 1;
            self.failed_in_a_row_max = self.failed_in_a_row_max.max(self.failed_in_a_row);
        }
    }

    fn end_outage(&mut self) {
        self.away += self.away_since.take().map_or(Duration::ZERO, |since| since.elapsed());
    }
}

/// A probe that runs until it is dropped.
#[derive(Debug)]
pub(super) struct Probe {
    counted: Arc<Mutex<Counted>>,
    task: JoinHandle<()>,
}

impl Probe {
    /// Begins to ask. An answer may take this long.
    ///
    /// # Errors
    /// No client can be built.
    pub(super) fn start(url: String, timeout: Duration) -> Result<Self> {
        crate::part::install_crypto();
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(timeout)
            .tls_danger_accept_invalid_certs(true)
            // Each request finds its own way, as those of different users do.
            .pool_max_idle_per_host(0)
            .build()?;
        let counted = Arc::new(Mutex::new(Counted::default()));
        let own = counted.clone();
        let task = tokio::spawn(async move {
            loop {
                let asked_at = Instant::now();
                let good = client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success());
                own.lock().expect("no one panics while counting").count(good, asked_at);
                tokio::time::sleep(PAUSE).await;
            }
        });
        Ok(Self { counted, task })
    }

    /// What it has counted so far, with an outage that still lasts.
    #[must_use]
    pub(super) fn counted(&self) -> Counted {
        let mut counted = *self.counted.lock().expect("no one panics while counting");
        counted.end_outage();
        counted
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.task.abort();
    }
}
