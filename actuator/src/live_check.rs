//! The live check: asks Prometheus, Alertmanager and the API server all at once, and lets the rules judge.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lockkeeper_exporter::client::backend::CALL_DEADLINE;
use lockkeeper_exporter::client::deadline::within;
use lockkeeper_exporter::client::kubernetes::Cluster;
use lockkeeper_exporter::read::alertmanager::{self, Alertmanager};
use lockkeeper_exporter::read::now::snapshot_now;
use lockkeeper_exporter::read::prometheus::{self, Prometheus};
use lockkeeper_rules::api::SilenceRecord;
use lockkeeper_rules::cluster::snapshot::Source;
use lockkeeper_rules::gate::{self, Answers, CheckResult, Held, Questions};
use lockkeeper_rules::gate::{CheckOrder, LockView};
use lockkeeper_rules::run::Checked;
use lockkeeper_rules::settings::Settings;
use tokio::sync::watch;

use crate::permits::PermitCounts;

/// Who is asked.
#[derive(Debug, Clone)]
pub struct LiveCheck {
    /// Every configured Prometheus.
    pub prometheus: Vec<Prometheus>,
    /// Every configured Alertmanager.
    pub alertmanager: Vec<Alertmanager>,
    /// The API server.
    pub cluster: Arc<Cluster>,
    /// The thresholds.
    pub settings: Arc<Settings>,
    /// How often permits were given and revoked.
    pub counts: watch::Receiver<PermitCounts>,
}

/// What a live check found, and when it was begun by the clock that nobody sets.
#[derive(Debug, Clone)]
pub struct TimedResult {
    /// What was found.
    pub result: CheckResult,
    /// When the first request was sent.
    pub began: Instant,
    /// How often permits had been revoked by then.
    pub revocations: u64,
}

impl TimedResult {
    /// The check with its age now: the larger of monotonic and wall time since its first request.
    #[must_use]
    pub fn checked(&self, now: Timestamp) -> Checked {
        let wall = Duration::try_from(now.duration_since(self.result.started_at)).unwrap_or(Duration::ZERO);
        Checked { result: self.result.clone(), age: self.began.elapsed().max(wall) }
    }
}

impl LiveCheck {
    /// Asks everything, and tells beside it which silences the run is to keep, where that can be told. `ownership` reads
    /// our Lease and the cluster lock; it is awaited beside the other questions.
    pub async fn ask(
        &self,
        order: &CheckOrder,
        ownership: impl Future<Output = (Held, LockView)>,
    ) -> (TimedResult, Option<Vec<SilenceRecord>>) {
        let questions = Questions::of(order, &self.settings);
        let (began, started_at, revocations) = (Instant::now(), Timestamp::now(), self.revocations());
        let (prometheus, alertmanager, cluster, (lease, lock)) = tokio::join!(
            prometheus::ask_all(&self.prometheus, &questions),
            alertmanager::ask_all(&self.alertmanager),
            // What packages there are has nothing to do with the gate.
            snapshot_now(&self.cluster, Source::unread(), &self.settings.namespaces, CALL_DEADLINE),
            owned(ownership),
        );
        let answers = Answers { started_at, prometheus, alertmanager, cluster, lease, lock };
        let now = Timestamp::now();
        let findings = gate::check(order, &answers, &self.settings, now);
        let silences = gate::silences(order, &answers, &self.settings, now);
        let result = CheckResult { token: order.token.clone(), form: order.form, started_at, findings };
        (TimedResult { result, began, revocations }, silences)
    }

    /// How often permits have been revoked: a check that began under another count is worth nothing.
    #[must_use]
    pub fn revocations(&self) -> u64 {
        self.counts.borrow().revocations
    }
}

async fn owned(ownership: impl Future<Output = (Held, LockView)>) -> (Held, LockView) {
    within(CALL_DEADLINE, ownership)
        .await
        .unwrap_or_else(|late| (Held::Unreadable(late.to_string()), LockView::Unknown(late.to_string())))
}
