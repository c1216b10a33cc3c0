//! The sources of the verdict that are not watched but asked once a minute: who uses APIs that go, which risks are there, and which
//! webhooks answer.
//!
//! ```text
//!   Prometheus ──▶ api_requests ─┐
//!              ├─▶ risk_answers ─┤
//!              └─▶ webhook_calls ┤
//!   managedFields ▶ api_writes ──┼─▶ Inventory      each by itself: one that hangs holds up no other
//!   Helm's Secrets ▶ manifests ──┘
//! ```
//!
//! They speak of weeks, or of an hour, so the actuator acts on what was polled, too: a minute more or less changes nothing, and
//! each of them costs the cluster too much to be asked right before every change.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use kube::Client;
use lockkeeper_rules::cluster::inventory::{
    ApiRequests, ApiWrites, HelmRelease, Inventory, RiskAnswer, WebhookCalls,
};
use lockkeeper_rules::cluster::snapshot::Source;
use lockkeeper_rules::facts::reload::InForce;
use lockkeeper_rules::facts::{HelmManifests, Matrix};
use lockkeeper_rules::wire::risk;
use lockkeeper_rules::words::selector::Selector;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::api_requests::api_requests;
use super::api_writes::api_writes;
use super::helm;
use super::polled::Polled;
use super::prometheus::Prometheus;
use super::webhook_calls::webhook_calls;
use crate::client::deadline::seconds;

/// How often each source is asked.
const PAUSE: Duration = Duration::from_secs(60);
/// The pause after one that has not answered.
const RETRY: Duration = Duration::from_secs(5);
/// How long each may take. A Prometheus needs seconds for the samples of a month.
pub const POLLED_DEADLINE: Duration = Duration::from_secs(30);
/// How long a day is.
const DAY_SECONDS: u64 = 86_400;

/// Whom to ask, and by which facts.
#[derive(Debug, Clone)]
pub struct PolledConfig {
    /// Every Prometheus; none is a source that cannot be read.
    pub prometheus: Vec<Prometheus>,
    /// What tells this cluster's series from those of others.
    pub selector: Selector,
    /// What is known of versions: which kinds go, what the operator wants to know of their use, and the risks.
    pub facts: watch::Receiver<InForce>,
}

impl PolledConfig {
    fn matrix(&self) -> Arc<Matrix> {
        Arc::clone(&self.facts.borrow().matrix)
    }

    /// Whether the operator wants the releases of Helm to be looked at.
    fn wants_manifests(&self) -> bool {
        match self.matrix().policy.value.helm_manifests {
            HelmManifests::Required => true,
            HelmManifests::Note => false,
        }
    }

    async fn requests(&self) -> Result<ApiRequests, String> {
        let days = self.matrix().policy.value.deprecated_api_window_days;
        api_requests(&self.prometheus, u64::from(days) * DAY_SECONDS, &self.selector).await
    }

    async fn writes(&self, client: &Client, deadline: Duration) -> Result<ApiWrites, String> {
        api_writes(client, &self.matrix().removed_apis.value, deadline).await
    }

    async fn webhook_calls(&self) -> Result<WebhookCalls, String> {
        webhook_calls(&self.prometheus, &self.selector).await
    }

    fn has_risks_to_ask(&self) -> bool {
        !self.matrix().risks.value.expressions().is_empty()
    }

    /// Each expression by itself: one that is wrong takes nothing from the others.
    async fn risks(&self) -> Result<Vec<RiskAnswer>, String> {
        let matrix = self.matrix();
        let asked =
            matrix.risks.value.expressions().into_iter().map(|promql| risk_answer(&self.prometheus, promql));
        Ok(join_all(asked).await)
    }

    /// Asks all of them once, each within `deadline`, and puts what they say into the inventory.
    pub async fn ask_once(&self, client: &Client, deadline: Duration, inventory: &mut Inventory) {
        let manifests = async {
            match self.wants_manifests() {
                true => Some(read_within(deadline, helm::releases(client)).await),
                false => None,
            }
        };
        let risks = async {
            match self.has_risks_to_ask() {
                true => Some(read_within(deadline, self.risks()).await),
                false => None,
            }
        };
        let (requests, writes, webhook_calls, manifests, risks) = tokio::join!(
            read_within(deadline, self.requests()),
            read_within(deadline, self.writes(client, deadline)),
            read_within(deadline, self.webhook_calls()),
            manifests,
            risks,
        );
        inventory.api_requests = requests;
        inventory.api_writes = writes;
        inventory.webhook_calls = webhook_calls;
        inventory.manifests = manifests;
        inventory.risk_answers = risks;
    }
}

async fn risk_answer(servers: &[Prometheus], promql: &str) -> RiskAnswer {
    let said = join_all(servers.iter().map(async |server| {
        let samples = server.query(promql).await.result.map_err(|error| error.to_string());
        let is_present = samples.and_then(|samples| risk::is_present(&samples));
        is_present.map_err(|error| format!("{}: {error}", server.url()))
    }));
    RiskAnswer { promql: promql.to_owned(), is_present: risk::any_present(said.await) }
}

async fn read_within<T>(deadline: Duration, read: impl Future<Output = Result<T, String>>) -> Source<T> {
    // Taken before the first request: a proof is never younger than the question.
    let asked_at = Timestamp::now();
    match within(deadline, read).await {
        Ok(value) => Source::read(value, asked_at),
        Err(error) => Source::failed(error),
    }
}

async fn within<T>(deadline: Duration, read: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let late = |_elapsed| format!("no whole answer within {} s", seconds(deadline));
    timeout(deadline, read).await.map_err(late)?
}

/// What the sources have said last.
#[derive(Debug)]
pub(super) struct PolledSources {
    ask: PolledConfig,
    requests: Polled<ApiRequests>,
    writes: Polled<ApiWrites>,
    webhook_calls: Polled<WebhookCalls>,
    manifests: Polled<Vec<HelmRelease>>,
    risks: Polled<Vec<RiskAnswer>>,
    changed: Arc<Notify>,
}

impl PolledSources {
    /// None has been polled yet. `changed` is told of every answer.
    pub(super) fn new(ask: PolledConfig, changed: Arc<Notify>) -> Self {
        Self {
            ask,
            requests: Polled::new(),
            writes: Polled::new(),
            webhook_calls: Polled::new(),
            manifests: Polled::new(),
            risks: Polled::new(),
            changed,
        }
    }

    /// Begins to ask. The tasks end when the set is dropped.
    pub(super) fn open(self: &Arc<Self>, client: &Client, tasks: &mut JoinSet<()>) {
        tasks.spawn(Arc::clone(self).poll_requests());
        tasks.spawn(Arc::clone(self).poll_writes(client.clone()));
        tasks.spawn(Arc::clone(self).poll_webhook_calls());
        tasks.spawn(Arc::clone(self).poll_manifests(client.clone()));
        tasks.spawn(Arc::clone(self).poll_risks());
    }

    /// Puts what they said into the inventory.
    pub(super) fn fill(&self, inventory: &mut Inventory) {
        inventory.api_requests = self.requests.source();
        inventory.api_writes = self.writes.source();
        inventory.webhook_calls = self.webhook_calls.source();
        inventory.manifests = self.ask.wants_manifests().then(|| self.manifests.source());
        inventory.risk_answers = self.ask.has_risks_to_ask().then(|| self.risks.source());
    }

    /// How often each has failed.
    pub(super) fn polls(&self) -> [(&'static str, u64); 5] {
        [
            ("api_requests", self.requests.errors()),
            ("api_writes", self.writes.errors()),
            ("webhook_calls", self.webhook_calls.errors()),
            ("manifests", self.manifests.errors()),
            ("risk_answers", self.risks.errors()),
        ]
    }

    async fn poll_requests(self: Arc<Self>) {
        loop {
            let pause = self.poll("api_requests", &self.requests, self.ask.requests()).await;
            sleep(pause).await;
        }
    }

    async fn poll_writes(self: Arc<Self>, client: Client) {
        loop {
            let read = self.ask.writes(&client, POLLED_DEADLINE);
            let pause = self.poll("api_writes", &self.writes, read).await;
            sleep(pause).await;
        }
    }

    async fn poll_webhook_calls(self: Arc<Self>) {
        loop {
            let read = self.ask.webhook_calls();
            let pause = self.poll("webhook_calls", &self.webhook_calls, read).await;
            sleep(pause).await;
        }
    }

    async fn poll_manifests(self: Arc<Self>, client: Client) {
        loop {
            let pause = if self.ask.wants_manifests() {
                let read = helm::releases(&client);
                self.poll("manifests", &self.manifests, read).await
            } else {
                RETRY
            };
            sleep(pause).await;
        }
    }

    async fn poll_risks(self: Arc<Self>) {
        loop {
            let pause = if self.ask.has_risks_to_ask() {
                self.poll("risk_answers", &self.risks, self.ask.risks()).await
            } else {
                RETRY
            };
            sleep(pause).await;
        }
    }

    /// Polls one source once; returns when to ask it again.
    async fn poll<T: Clone>(
        &self,
        source: &'static str,
        polled: &Polled<T>,
        read: impl Future<Output = Result<T, String>>,
    ) -> Duration {
        let asked_at = Timestamp::now();
        let read = within(POLLED_DEADLINE, read).await;
        let pause = if read.is_ok() { PAUSE } else { RETRY };
        // Whoever may not list Secrets is told so once and not every few seconds.
        if let Some(error) =
            read.as_ref().err().filter(|&error| polled.source().error.as_ref() != Some(error))
        {
            tracing::warn!(source, error, "a source cannot be read");
        }
        polled.note(read, asked_at);
        self.changed.notify_one();
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(policy: &str) -> PolledConfig {
        let text = format!("schema: 2\nas_of: \"2026-09-01\"\npolicy: {policy}\n");
        let matrix = Matrix::load(&[("mine.yaml", &text)]).unwrap();
        let facts = InForce { matrix: Arc::new(matrix), loaded_at: Timestamp::now() };
        PolledConfig { prometheus: Vec::new(), selector: Selector::default(), facts: watch::channel(facts).1 }
    }

    #[tokio::test]
    async fn a_source_that_hangs_is_an_error_within_its_deadline() {
        let source =
            read_within(Duration::from_millis(20), std::future::pending::<Result<(), String>>()).await;
        assert_eq!((source.value, source.error.as_deref()), (None, Some("no whole answer within 0.02 s")));
    }

    #[tokio::test]
    async fn helm_is_told_of_only_where_the_operator_asks_for_it() {
        for (policy, is_told) in [("{}", false), ("{helm_manifests: required}", true)] {
            let sources = PolledSources::new(ask(policy), Arc::new(Notify::new()));
            let mut inventory = Inventory::unread();
            sources.fill(&mut inventory);
            assert_eq!(inventory.manifests.is_some(), is_told, "{policy}");
        }
    }

    #[tokio::test]
    async fn a_failure_is_asked_again_sooner_and_counted() {
        let sources = PolledSources::new(ask("{}"), Arc::new(Notify::new()));
        let refused = sources.poll("api_requests", &sources.requests, sources.ask.requests()).await;
        assert_eq!((refused, sources.polls()[0]), (RETRY, ("api_requests", 1)));
        let error = sources.requests.source().error.unwrap();
        assert!(error.contains("set prometheus.urls"), "{error}");
        let empty = ApiWrites { asked: [].into(), objects: 0, writes: Vec::new() };
        let polled = sources.poll("api_writes", &sources.writes, async { Ok(empty) }).await;
        assert_eq!((polled, sources.polls()[1]), (PAUSE, ("api_writes", 0)));
    }
}
