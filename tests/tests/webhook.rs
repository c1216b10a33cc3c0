//! The webhook on the real parts: whoever sends what, only the start check decides, and every message is counted
//! under what was made of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lockkeeper_actuator::metrics::Metrics;
use lockkeeper_actuator::permits::PermitStore;
use lockkeeper_actuator::receive::{Receiver, TokenFile};
use lockkeeper_exporter::client::kubernetes::install_tls_provider;
use lockkeeper_exporter::server::http::{Limits, Listener};
use lockkeeper_rules::alert::{READY_ALERT, WATCHDOG_ALERT};
use lockkeeper_rules::api::WaitingStep;
use lockkeeper_rules::gate::Route;
use lockkeeper_rules::publish::route::{self, Humans, RouteOptions, RouteTls};
use lockkeeper_rules::reason::Reason;
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::wire::alertmanager::WEBHOOK_BYTES_MAX;
use lockkeeper_tests::World;
use lockkeeper_tests::certs::{Certs, Pair};
use lockkeeper_tests::part::Alertmanager;
use lockkeeper_tests::run_folder::RunFolder;
use lockkeeper_tests::site::SiteGate;
use lockkeeper_tests::wait::wait_for;
use reqwest::{Certificate, Client, Identity};
use serde_json::{Value, json};

const RUN: &str = "rung";

/// What is sent, and what shall be made of it.
struct Message {
    route: Route,
    bearer: Option<String>,
    body: Vec<u8>,
    status: u16,
    decision: &'static str,
}

/// A World whose gate is closed and whose run waits with its second token.
struct Closed {
    world: World,
    old_token: String,
    waiting: WaitingStep,
    sent: BTreeMap<String, f64>,
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_starts_a_step_while_the_gate_is_closed_and_each_is_counted_under_its_own_decision() {
    let world = World::builder().settings(|settings| {
        settings.idle_check_pause_seconds = 1;
        // Longer than any wait here: a permit that nobody revokes must not end by itself meanwhile.
        settings.permit_seconds = 300;
    });
    let world = world.start().await.unwrap_or_else(|error| panic!("{error:#}"));
    let mut closed = close(world).await;
    let (before, counted) = (closed.state().await, closed.counted().await);
    for message in closed.harmless() {
        closed.send(message).await;
    }
    closed.world.wait_until_held(RUN, Reason::WaitingForPermit, "").await;

    // Alertmanager's own words for "the gates are clear", while they are not.
    closed.send(closed.gates("resolved", "ring")).await;
    closed.is_refused_by_the_start_check().await;
    closed.send(closed.gates("firing", "revoke")).await;
    closed.world.wait_until_held(RUN, Reason::WaitingForPermit, "").await;

    // So much of gates that nobody reads it, which might be good news, revokes too and says why.
    closed.send(closed.gates("resolved", "ring")).await;
    closed.is_refused_by_the_start_check().await;
    closed.send(closed.too_large_of_gates()).await;
    closed.world.wait_until_held(RUN, Reason::GatesTooLarge, "route").await;
    closed.world.wait_until_held(RUN, Reason::WaitingForPermit, "").await;

    // The right token, which anybody can read who may read the run.
    closed.send(closed.ready(&closed.waiting.token, "permit")).await;
    closed.send(closed.ready(&closed.waiting.token, "duplicate")).await;
    closed.is_refused_by_the_start_check().await;

    assert_eq!(closed.state().await, before, "the run is as it was");
    let mut expected = counted;
    for (series, count) in &closed.sent {
        *expected.get_mut(series).expect("every decision is shown from the start") += count;
    }
    assert_eq!(closed.counted().await, expected, "each message is counted once, under its own decision");

    // And all that was sent leaves nothing behind that would keep the run from going on.
    let (world, opened) = (&closed.world, Timestamp::now());
    let actuator = world.actuator.config["webhook"]["listenAddress"].as_str().unwrap();
    world.alertmanager.set_config(&world.route_to(actuator)).await.unwrap();
    world.site.open(SiteGate::All);
    world.wait_until_started(RUN, "snapshot", opened, 30).await;
}

/// Lets preflight start as it should, then closes the gate and lets the next step wait. Alertmanager, which tells of
/// gate alerts when it pleases, then talks to somebody else, so that every message is one of the test's own.
async fn close(world: World) -> Closed {
    world.create_run(RUN, json!({"target": "v1.36.3", "stopAfter": "preflight"})).await.unwrap();
    world.wait_until_held(RUN, Reason::StopAfter, "spec.stopAfter").await;
    let old_token = world.run_status(RUN).await.unwrap().unwrap().finished[0].token.clone();
    let gone = || async {
        let alerts = world.alertmanager.alerts().await?;
        Ok((!alerts.iter().any(|alert| alert["labels"]["alertname"] == READY_ALERT)).then_some(()))
    };
    world.wait_for("the ready alert of preflight to end", 30, gone).await;
    let mut closed = Closed {
        waiting: WaitingStep {
            step: String::new(),
            token: String::new(),
            minted_at: Timestamp::now(),
            not_before: Timestamp::now(),
            because: Vec::new(),
        },
        world,
        old_token,
        sent: BTreeMap::new(),
    };
    closed.send(closed.ready(&closed.old_token, "ignored_nothing_pending")).await;
    closed.send(closed.gates("resolved", "ignored_nothing_pending")).await;
    closed.sent.clear();
    let world = &closed.world;
    world.close_gate(SiteGate::All).await;
    let revoked =
        || async { Ok((world.actuator.sum(&series(Route::Gates, "revoke")).await? > 0.0).then_some(())) };
    world.wait_for("the gate alert to be told", 30, revoked).await;
    let elsewhere = world.site.target();
    world.alertmanager.set_config(&world.route_to(&elsewhere)).await.unwrap();
    world.patch_run(RUN, json!({"stopAfter": "snapshot"})).await.unwrap();
    world.wait_until_waiting(RUN, "snapshot", 30).await;
    world.wait_until_held(RUN, Reason::GateFiring, SiteGate::All.alert()).await;
    world.wait_until_held(RUN, Reason::WaitingForPermit, "").await;
    closed.waiting = world.run_status(RUN).await.unwrap().unwrap().waiting.unwrap();
    closed
}

fn series(route: Route, decision: &str) -> String {
    let endpoint = route.label();
    format!("k8s_upgrade_webhook_requests_total{{endpoint=\"{endpoint}\",decision=\"{decision}\"}}")
}

impl Closed {
    fn body(&self, status: &str, labels: &Value, change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let _ = self;
        let mut message = World::webhook_message(status, labels, Timestamp::now());
        change(&mut message);
        message.to_string().into_bytes()
    }

    fn message(&self, route: Route, body: Vec<u8>, decision: &'static str) -> Message {
        Message { route, bearer: Some(self.world.webhook_token.clone()), body, status: 200, decision }
    }

    fn ready(&self, token: &str, decision: &'static str) -> Message {
        let labels = json!({"alertname": READY_ALERT, "token": token});
        self.message(Route::Ready, self.body("firing", &labels, |_| {}), decision)
    }

    fn gates(&self, status: &str, decision: &'static str) -> Message {
        let labels = json!({"alertname": SiteGate::All.alert(), "k8s_upgrade_gate": "all"});
        self.message(Route::Gates, self.body(status, &labels, |_| {}), decision)
    }

    fn too_large_of_gates(&self) -> Message {
        let mut message = self.gates("resolved", "revoke_too_large");
        message.body.resize(WEBHOOK_BYTES_MAX + 1, b' ');
        message
    }

    /// What gives no permit.
    fn harmless(&self) -> Vec<Message> {
        let token = &self.waiting.token;
        let labels = json!({"alertname": READY_ALERT, "token": token});
        let changed = |change: fn(&mut Value), decision| {
            self.message(Route::Ready, self.body("firing", &labels, change), decision)
        };
        let guessed = token.rsplit_once('.').expect("a nonce").0.to_owned() + ".0000000000000000";
        let long_ago = self.waiting.minted_at - SignedDuration::from_hours(1);
        let early = World::webhook_message("firing", &labels, long_ago).to_string().into_bytes();
        let mut large = self.body("firing", &labels, |_| {});
        large.resize(WEBHOOK_BYTES_MAX + 1, b' ');
        let refused = |message: Message, status| Message { status, ..message };
        let from = |bearer: Option<&str>| Message {
            bearer: bearer.map(str::to_owned),
            ..refused(self.ready(token, "rejected_unauthenticated"), 401)
        };
        let malformed =
            |body: &[u8]| refused(self.message(Route::Ready, body.to_vec(), "rejected_malformed"), 400);
        let other = json!({"alertname": SiteGate::All.alert(), "token": token});
        vec![
            from(None),
            from(Some("")),
            from(Some("secret-of-somebody-else")),
            Message { route: Route::Gates, ..from(None) },
            refused(self.message(Route::Ready, large, "rejected_too_large"), 413),
            malformed(b""),
            malformed(b"{"),
            malformed(b"[1]"),
            malformed(b"{\"version\": \"4\"}"),
            changed(|message| message["version"] = json!("3"), "rejected_version"),
            changed(|message| message["truncatedAlerts"] = json!(1), "rejected_truncated"),
            self.message(Route::Ready, early, "rejected_before_mint"),
            self.message(Route::Ready, self.body("resolved", &labels, |_| {}), "ignored_resolved"),
            self.message(Route::Ready, self.body("firing", &other, |_| {}), "ignored_other_alert"),
            self.ready(&self.old_token, "stale_token"),
            self.ready(&guessed, "stale_token"),
        ]
    }

    async fn send(&mut self, message: Message) {
        let Message { route, bearer, body, status, decision } = message;
        let answer = self.world.post_webhook(route.path(), bearer.as_deref(), body).await.unwrap();
        assert_eq!(answer, (status, format!("{{\"decision\":\"{decision}\"}}\n")), "{route:?}");
        *self.sent.entry(series(route, decision)).or_default() += 1.0;
    }

    /// A permit lives, the live check is asked under it, and says that no ready alert fires.
    async fn is_refused_by_the_start_check(&self) {
        let world = &self.world;
        let permitted = || async {
            let holds = world.run_status(RUN).await?.map(|status| status.holds).unwrap_or_default();
            let waits = holds.iter().any(|hold| hold.reason == Reason::WaitingForPermit.code());
            Ok((!holds.is_empty() && !waits).then_some(()))
        };
        world.wait_for("the permit to be seen", 10, permitted).await;
        world.nothing_starts(RUN, 3, false).await;
        world.wait_until_held(RUN, Reason::ReadyAbsent, &world.prometheus.url).await;
        world.wait_until_held(RUN, Reason::GateFiring, SiteGate::All.alert()).await;
        world.wait_for("the permit, which has lived all the while,", 10, permitted).await;
    }

    /// What a message must not change: the run but for what it waits for, and everything that anybody wrote.
    async fn state(&self) -> Value {
        let status = self.world.run_status(RUN).await.unwrap().unwrap();
        let mut status = serde_json::to_value(status).unwrap();
        let fields = status.as_object_mut().unwrap();
        for shown in ["holds", "conditions"] {
            fields.remove(shown);
        }
        fields["summary"].as_object_mut().unwrap().remove("waitingFor");
        let mut writes: Vec<_> = self.world.audit("actuator");
        writes.retain(|entry| {
            !matches!(&*entry.resource, "leases" | "events") && entry.subresource != "status"
        });
        let writes: Vec<_> =
            writes.iter().map(|entry| format!("{} {}/{}", entry.verb, entry.resource, entry.name)).collect();
        let permits = self.world.actuator.sum("k8s_upgrade_permits_consumed_total").await.unwrap();
        json!({"status": status, "writes": writes, "permits": permits, "cordons": self.world.cordons().await.unwrap()})
    }

    /// Every count of a webhook.
    async fn counted(&self) -> BTreeMap<String, f64> {
        let mut series = self.world.actuator.series().await.unwrap();
        series.retain(|name, _| name.starts_with("k8s_upgrade_webhook_requests_total"));
        series
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_client_certificates_are_demanded_alertmanager_is_heard_with_its_own_and_nobody_without() {
    install_tls_provider();
    let folder = Arc::new(RunFolder::create().unwrap());
    let address = folder.address(1);
    // Two authorities: one signs servers, the other one clients; a third one is nobody's.
    let certs = Certs::make(&folder, address).unwrap();
    let web_config = json!({"tls_server_config": {
        "cert_file": certs.apiserver.cert, "key_file": certs.apiserver.key, "client_ca_file": certs.etcd_ca.cert,
        "client_auth_type": "RequireAndVerifyClientCert",
    }});
    let web_config = folder.write("web.yml", web_config.to_string()).unwrap();
    let listener =
        Listener::bind(&format!("{address}:0"), Some(&web_config), Limits::default()).await.unwrap();
    let url = format!("https://{}", listener.local_addr());
    let (settings, metrics) = (Settings::default(), Arc::new(Metrics::new()));
    let permits = PermitStore::new(Arc::new(settings.clone()));
    permits.set_leader(true);
    let secret = "0123456789abcdef0123456789abcdef";
    let token_file = folder.write("webhook-token", secret).unwrap();
    let token = TokenFile::open(&token_file).await.unwrap();
    let receiver = Receiver { permits, token, metrics: Arc::clone(&metrics) };
    tokio::spawn(listener.serve(receiver.handler(), std::future::pending()));

    let file = |path: &std::path::Path| path.display().to_string();
    let options = RouteOptions {
        actuator_url: url.clone(),
        token_file: file(&token_file),
        tls: RouteTls {
            ca_file: Some(file(&certs.ca.cert)),
            client: Some((file(&certs.etcd_client.cert), file(&certs.etcd_client.key))),
        },
        humans: Humans { receiver: "humans".to_owned(), webhook_url: None },
        group_interval_seconds: 1,
        repeat_interval_seconds: 1,
    };
    let mut alertmanager = Alertmanager::new(&folder, address).unwrap();
    alertmanager.set_config(&route::to_yaml(&options, &settings)).await.unwrap();
    alertmanager.start().await.unwrap();
    let alert = json!([{"labels": {"alertname": WATCHDOG_ALERT, "severity": "none"}}]);
    let alerts = format!("{}/api/v2/alerts", alertmanager.url);
    assert!(Client::new().post(alerts).json(&alert).send().await.unwrap().status().is_success());
    let none = format!("{} 0", series(Route::Heartbeat, "heartbeat"));
    let heard = || async { Ok((!metrics.page().lines().any(|line| line == none)).then_some(())) };
    wait_for("the heartbeat", Duration::from_secs(20), heard).await.unwrap();
    alertmanager.service.kill();

    let counts = || {
        metrics
            .page()
            .lines()
            .filter(|line| line.contains("requests_total{"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let before = counts();
    let post = async |client: Option<&Pair>, bearer: &str| {
        let request = client_with(&certs.ca, client).post(format!("{url}{}", Route::Ready.path()));
        request.bearer_auth(bearer).body("{}").send().await.map(|answer| answer.status().as_u16())
    };
    assert!(post(None, secret).await.is_err(), "without a certificate");
    assert!(
        post(Some(&certs.front), secret).await.is_err(),
        "with a certificate of somebody else's authority"
    );
    assert_eq!(counts(), before, "neither was even a request");
    assert_eq!(post(Some(&certs.etcd_client), "no").await.unwrap(), 401, "a certificate is not a token");
    assert_eq!(post(Some(&certs.etcd_client), secret).await.unwrap(), 400);
}

/// A client that trusts this authority and shows this certificate.
fn client_with(authority: &Pair, shown: Option<&Pair>) -> Client {
    let authority = Certificate::from_pem(&std::fs::read(&authority.cert).unwrap()).unwrap();
    let mut client = Client::builder().no_proxy().tls_certs_only([authority]);
    if let Some(pair) = shown {
        let pem = [std::fs::read(&pair.cert).unwrap(), std::fs::read(&pair.key).unwrap()].concat();
        client = client.identity(Identity::from_pem(&pem).unwrap());
    }
    client.build().unwrap()
}
