//! The live check: asks Prometheus, Alertmanager and the API server all at once, and lets the rules judge.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lockkeeper_exporter::read::alertmanager::{self, Alertmanager};
use lockkeeper_exporter::read::prometheus::{self, Prometheus};
use lockkeeper_rules::api::SilenceRecord;
use lockkeeper_rules::gate::{self, Answers, CheckResult, Questions};
use lockkeeper_rules::gate::{CheckOrder, LockView};
use lockkeeper_rules::run::Checked;
use lockkeeper_rules::settings::Settings;
use tokio::sync::watch;

use crate::leader::Leader;
use crate::lock::Holder;
use crate::permits::PermitCounts;
use crate::reader::ClusterView;
use crate::rounds::Rounds;

/// Who is asked.
#[derive(Debug)]
pub struct LiveCheck {
    /// Every configured Prometheus.
    pub prometheus: Vec<Prometheus>,
    /// Every configured Alertmanager.
    pub alertmanager: Vec<Alertmanager>,
    /// The cluster as it is now.
    pub cluster: ClusterView,
    /// Our Lease.
    pub leader: Leader,
    /// The rounds of requests.
    pub rounds: Rounds<CheckOrder, Arc<Round>>,
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

/// What one round of requests brought, for every order that was there when it began.
#[derive(Debug)]
pub struct Round {
    /// When the first request was sent.
    began: Instant,
    /// How often permits had been revoked by then.
    revocations: u64,
    /// Who holds the lock: whose it is depends on the run that asks.
    holder: Holder,
    answers: Answers,
}

impl LiveCheck {
    /// Asks everything, and tells beside it which silences the run is to keep, where that can be told. Orders that come at
    /// the same time are answered by one round of requests, and judged each for itself. `lock` says whose the lock is for
    /// the run of this order.
    pub async fn ask(
        &self,
        order: &CheckOrder,
        lock: impl FnOnce(&Holder) -> LockView,
    ) -> (TimedResult, Option<Vec<SilenceRecord>>) {
        let round = self.rounds.ask(order.clone(), |orders| self.round(orders)).await;
        let answers = Answers { lock: lock(&round.holder), ..round.answers.clone() };
        let (now, started_at) = (Timestamp::now(), answers.started_at);
        let findings = gate::check(order, &answers, &self.settings, now);
        let silences = gate::silences(order, &answers, &self.settings, now);
        let result = CheckResult { token: order.token.clone(), form: order.form, started_at, findings };
        (TimedResult { result, began: round.began, revocations: round.revocations }, silences)
    }

    /// One round: the questions of all these orders, each once.
    async fn round(&self, orders: Vec<CheckOrder>) -> Arc<Round> {
        let questions: Vec<_> = orders.iter().map(|order| Questions::of(order, &self.settings)).collect();
        let expressions = questions.iter().flat_map(Questions::all).collect();
        let (began, started_at, revocations) = (Instant::now(), Timestamp::now(), self.revocations());
        let (prometheus, alertmanager, cluster, lease, holder) = tokio::join!(
            prometheus::ask_all(&self.prometheus, &expressions),
            alertmanager::ask_all(&self.alertmanager),
            self.cluster.snapshot_for_check(),
            self.leader.held(),
            Holder::read(self.cluster.by_name()),
        );
        let lock = LockView::Unknown("not judged yet".to_owned());
        let answers = Answers { started_at, prometheus, alertmanager, cluster, lease, lock };
        Arc::new(Round { began, revocations, holder, answers })
    }

    /// How often permits have been revoked: a check that began under another count is worth nothing.
    #[must_use]
    pub fn revocations(&self) -> u64 {
        self.counts.borrow().revocations
    }
}
