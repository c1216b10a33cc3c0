//! Channels before an API server that answers as it is told, or not at all.

use std::collections::BTreeMap;
use std::sync::Mutex;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use kube::Client;
use lockkeeper_exporter::server::http::{Handler, Limits, Listener, reply};
use lockkeeper_rules::api::UpgradeRunSpec;
use lockkeeper_rules::notice;
use lockkeeper_rules::reason::{Finding, Reason};
use lockkeeper_rules::run::{Halted, Milestone, State, Unsent};
use lockkeeper_rules::words::step::Step;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::*;

/// What a server has been asked, and how it answers.
struct Server {
    asked: Mutex<Vec<Value>>,
    /// How often it fails before it stores anything.
    failures: Mutex<u32>,
    stored: Mutex<BTreeMap<String, Value>>,
    /// Each answer takes one.
    answers: Semaphore,
    /// A question that nobody has counted yet.
    questions: Semaphore,
}

impl Server {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let event: Value = serde_json::from_slice(&body).unwrap();
        self.asked.lock().unwrap().push(event.clone());
        self.questions.add_permits(1);
        self.answers.acquire().await.unwrap().forget();
        let has_failed = {
            let mut failures = self.failures.lock().unwrap();
            let left = failures.checked_sub(1);
            *failures = left.unwrap_or(0);
            left.is_some()
        };
        if has_failed {
            return failure(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
        }
        let mut stored = self.stored.lock().unwrap();
        let generated = format!("generated-{}", stored.len());
        let name = event["metadata"]["name"].as_str().map_or(generated, str::to_owned);
        if stored.contains_key(&name) {
            return failure(StatusCode::CONFLICT, "AlreadyExists");
        }
        stored.insert(name, event.clone());
        reply(StatusCode::CREATED, "application/json", event.to_string())
    }

    async fn is_asked(&self) {
        self.questions.acquire().await.unwrap().forget();
    }

    fn stored(&self) -> Vec<(String, String)> {
        let stored = self.stored.lock().unwrap();
        let text = |event: &Value| event["reason"].as_str().unwrap().to_owned();
        stored.iter().map(|(name, event)| (name.clone(), text(event))).collect()
    }
}

fn failure(code: StatusCode, reason: &str) -> Response<Full<Bytes>> {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                        "message": "no", "reason": reason, "code": code.as_u16()});
    reply(code, "application/json", status.to_string())
}

/// More answers than any test waits for.
const ALWAYS: usize = 1_000;

async fn server(answers: usize, failures: u32) -> (Arc<Server>, Client) {
    lockkeeper_exporter::client::kubernetes::install_tls_provider();
    let server = Arc::new(Server {
        asked: Mutex::default(),
        failures: Mutex::new(failures),
        stored: Mutex::default(),
        answers: Semaphore::new(answers),
        questions: Semaphore::new(0),
    });
    let listener = Listener::bind("127.0.0.1:0", None, Limits::default()).await.unwrap();
    let url = format!("http://{}", listener.local_addr()).parse().unwrap();
    let served = Arc::clone(&server);
    let handler: Handler = Arc::new(move |request| {
        let server = Arc::clone(&served);
        Box::pin(async move { server.answer(request).await })
    });
    drop(tokio::spawn(listener.serve(handler, std::future::pending())));
    (server, Client::try_from(kube::Config::new(url)).unwrap())
}

/// Channels with little room and no patience, and what they count.
fn channels(client: &Client) -> (Channels, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new());
    let bounds = Bounds {
        queue_length_max: 2,
        deadline: Duration::from_secs(60),
        tries_max: 3,
        pause: Duration::from_millis(1),
    };
    let events = Channel::Events(Events::new(client.clone(), "us".to_owned()));
    (Channels::start(vec![events], &metrics, bounds), metrics)
}

fn dropped_count(metrics: &Metrics) -> u64 {
    let page = metrics.page();
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix("k8s_upgrade_notices_dropped_total{channel=\"events\"} "));
    line.unwrap().parse().unwrap()
}

fn run() -> UpgradeRun {
    UpgradeRun {
        namespace: "k8s-upgrade".to_owned(),
        name: "spring".to_owned(),
        uid: "u".to_owned(),
        resource_version: "7".to_owned(),
        generation: 3,
        created_at: None,
        deleting: false,
        has_finalizer: true,
        spec: UpgradeRunSpec { target: "v1.36.3".to_owned(), ..UpgradeRunSpec::default() },
        status: None,
    }
}

/// That the run has opened and halted, as it is read from the status.
fn kept() -> Vec<Notice> {
    let at = Timestamp::UNIX_EPOCH;
    let finding = Finding::new(Reason::NodeMissing, "w", "");
    let halted = Halted { step: Step::Worker("w".into()), attempt: 1, at, finding };
    let unsent = vec![
        Unsent { sequence: 1, at, milestone: Milestone::Opened },
        Unsent { sequence: 5, at, milestone: Milestone::Halted(halted) },
    ];
    notice::unsent(&run(), &State { unsent, ..State::new() })
}

fn notify(channels: &Channels, times: usize) {
    for _ in 0..times {
        channels.notify(&run(), News::StepStarted(Step::Preflight));
    }
}

async fn until(mut what: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !what() {
        assert!(tokio::time::Instant::now() < deadline, "it did not come to that");
        tokio::task::yield_now().await;
    }
}

fn are_sent(deliveries: &Deliveries) -> bool {
    kept().iter().all(|notice| deliveries.is_sent(notice.id.as_ref().unwrap()))
}

#[tokio::test]
async fn what_is_sent_again_after_a_restart_is_one_event() {
    let (server, client) = server(ALWAYS, 0).await;
    for _process in 0..2 {
        let (channels, metrics) = channels(&client);
        let mut deliveries = Deliveries::default();
        for _turn in 0..3 {
            channels.deliver(&kept(), &mut deliveries);
        }
        until(|| are_sent(&deliveries)).await;
        assert_eq!(dropped_count(&metrics), 0);
    }
    assert_eq!(server.asked.lock().unwrap().len(), 4, "two by each process, however many turns it took");
    let event = |name: &str, reason: &str| (name.to_owned(), reason.to_owned());
    assert_eq!(server.stored(), [event("u.1.opened", "Opened"), event("u.5.halted", "Halted")]);
}

#[tokio::test]
async fn a_server_that_does_not_answer_delays_nobody_and_what_finds_no_room_is_counted() {
    let (server, client) = server(0, 0).await;
    let (channels, metrics) = channels(&client);
    notify(&channels, 1);
    server.is_asked().await;
    // One is being sent, two wait. No turn waits for any of them: there is nothing to await.
    notify(&channels, 5);
    assert_eq!(dropped_count(&metrics), 3);
    let mut deliveries = Deliveries::default();
    channels.deliver(&kept(), &mut deliveries);
    assert!(!are_sent(&deliveries));
    assert_eq!(dropped_count(&metrics), 3, "what must not be lost waits for the next turn");
    server.answers.add_permits(ALWAYS);
    until(|| server.stored().len() == 3).await;
    until(|| {
        channels.deliver(&kept(), &mut deliveries);
        are_sent(&deliveries)
    })
    .await;
    let reasons: Vec<String> = server.stored().into_iter().map(|(_, reason)| reason).collect();
    assert_eq!(reasons, ["StepStarted", "StepStarted", "StepStarted", "Opened", "Halted"]);
    assert_eq!(dropped_count(&metrics), 3);
}

#[tokio::test]
async fn what_must_not_be_lost_is_tried_again_and_all_else_is_not() {
    let (server, client) = server(ALWAYS, 3).await;
    let (channels, metrics) = channels(&client);
    notify(&channels, 1);
    until(|| dropped_count(&metrics) == 1).await;
    let mut deliveries = Deliveries::default();
    channels.deliver(&kept(), &mut deliveries);
    until(|| are_sent(&deliveries)).await;
    assert_eq!(server.stored().len(), 2);
    assert_eq!(server.asked.lock().unwrap().len(), 1 + 3 + 1, "the first one was tried three times");
    assert_eq!(dropped_count(&metrics), 1);
}

#[tokio::test]
async fn what_is_tried_in_vain_is_given_up_and_counted() {
    let (server, client) = server(ALWAYS, u32::MAX).await;
    let (channels, metrics) = channels(&client);
    let mut deliveries = Deliveries::default();
    channels.deliver(&kept(), &mut deliveries);
    until(|| are_sent(&deliveries)).await;
    until(|| dropped_count(&metrics) == 2).await;
    assert_eq!(server.asked.lock().unwrap().len(), 2 * 3);
    // The status says so no more: nothing is remembered of it.
    channels.deliver(&[], &mut deliveries);
    assert!(deliveries.0.is_empty());
}
