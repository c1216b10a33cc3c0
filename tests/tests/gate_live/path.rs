//! A whole alert path of real parts: metrics, Prometheus with the generated rules, Alertmanager with the generated
//! route, and the actuator's receiver at its end. Only the cluster is made up.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, bail};
use jiff::Timestamp;
use lockkeeper_actuator::metrics::Metrics;
use lockkeeper_actuator::permits::PermitStore;
use lockkeeper_actuator::receive::{Receiver, TokenFile};
use lockkeeper_exporter::client::backend::BackendConfig;
use lockkeeper_exporter::client::kubernetes::install_tls_provider;
use lockkeeper_exporter::read::{alertmanager, prometheus};
use lockkeeper_exporter::server::http::{Limits, Listener};
use lockkeeper_rules::alert;
use lockkeeper_rules::api;
use lockkeeper_rules::cluster::snapshot::{ApiServer, Node, Role, Snapshot, Source};
use lockkeeper_rules::gate::{self, Answers, Form, Held, Pending, Questions};
use lockkeeper_rules::gate::{CheckOrder, LockView};
use lockkeeper_rules::publish::route::{self, Humans, RouteOptions, RouteTls};
use lockkeeper_rules::reason::{Finding, Reason};
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::words::name::Token;
use lockkeeper_rules::words::step::Step;
use lockkeeper_tests::part::{Alertmanager, Prometheus, ScrapeJob};
use lockkeeper_tests::run_folder::RunFolder;
use lockkeeper_tests::serve::{Server, status, text};
use lockkeeper_tests::site::{self, Site};
use lockkeeper_tests::wait::wait_for;
use serde_json::json;

/// How long the path may take to show what has changed: scrapes, evaluations, a start.
const CHANGE_SECONDS_MAX: u64 = 60;
const NODES: [&str; 3] = ["cp-1", "w-1", "w-2"];
const RUN: &str = "0b9f3c6e-1111-4222-8333-444455556666";

/// The step that waits in every test, or runs.
pub(crate) fn step() -> Step {
    Step::Worker("w-1".into())
}

pub(crate) fn token() -> Token {
    format!("{RUN}.7.1.00ff00ff00ff00ff").parse().expect("it is a token")
}

/// A stand-in for the exporter: what it would show of a step that waits and that runs, both.
pub(crate) struct FakeExporter {
    server: Server,
    nodes: Arc<Mutex<Vec<String>>>,
}

impl FakeExporter {
    async fn start(folder: &RunFolder) -> Result<Self> {
        let nodes = Arc::new(Mutex::new(NODES.map(str::to_owned).to_vec()));
        let shown = Arc::clone(&nodes);
        let handler = Arc::new(move |request: &http::Request<bytes::Bytes>| match request.uri().path() {
            "/metrics" => text("text/plain; version=0.0.4", page(&shown.lock().expect("no one panics here"))),
            _ => status(http::StatusCode::NOT_FOUND),
        });
        Ok(Self { server: Server::start(folder.address(1), handler).await?, nodes })
    }

    /// Shows these nodes from now on.
    pub(crate) fn show(&self, nodes: &[&str]) {
        *self.nodes.lock().expect("no one panics here") = nodes.iter().map(|&node| node.to_owned()).collect();
    }
}

fn page(nodes: &[String]) -> String {
    let (token, now) = (token(), Timestamp::now().as_second());
    let step = format!("run=\"r\",step=\"{}\",phase=\"worker\",token=\"{token}\"", step());
    let mut page = format!(
        "k8s_upgrade_state_timestamp_seconds {now}\n\
         k8s_upgrade_source_up{{source=\"kube_api\"}} 1\n\
         k8s_upgrade_step_pending{{{step},gate_class=\"mutating\"}} 1\n\
         k8s_upgrade_step_not_before_timestamp_seconds{{token=\"{token}\"}} 0\n\
         k8s_upgrade_step_running{{{step}}} 1\n"
    );
    for node in nodes {
        page.push_str(&format!(
            "k8s_upgrade_node_info{{node=\"{node}\",role=\"worker\"}} 1\n\
             k8s_upgrade_node_ready{{node=\"{node}\"}} 1\n\
             k8s_upgrade_node_pressure{{node=\"{node}\",condition=\"disk\"}} 0\n"
        ));
    }
    page
}

/// The path, and who asks at its end.
pub(crate) struct AlertPath {
    pub(crate) exporter: FakeExporter,
    pub(crate) site: Site,
    pub(crate) prometheus: Prometheus,
    pub(crate) alertmanager: Alertmanager,
    pub(crate) permits: PermitStore,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) folder: Arc<RunFolder>,
    pub(crate) minted_at: Timestamp,
    /// Where the receiver listens.
    pub(crate) webhook: String,
    /// The rule files: ours, and the site's.
    pub(crate) rule_files: Vec<std::path::PathBuf>,
}

fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings {
        scrape_interval_seconds: 1,
        evaluation_interval_seconds: 1,
        unbroken_evaluation_seconds: 10,
        resend_delay_seconds: 1,
        ..Settings::default()
    };
    settings.alerts.interval_seconds = 1;
    change(&mut settings);
    settings
}

impl AlertPath {
    /// Starts every part. Nothing has been scraped yet when it returns.
    async fn start(change: impl FnOnce(&mut Settings)) -> Result<Self> {
        install_tls_provider();
        let folder = Arc::new(RunFolder::create()?);
        let settings = Arc::new(settings(change));
        let (exporter, site) = (FakeExporter::start(&folder).await?, Site::start(folder.address(1)).await?);
        let (permits, metrics) = (PermitStore::new(Arc::clone(&settings)), Arc::new(Metrics::new()));
        let secret = folder.write("webhook-token", "0123456789abcdef0123456789abcdef")?;
        let webhook = receive(&folder, &permits, &metrics, &secret).await?;
        let mut alertmanager = Alertmanager::new(&folder, folder.address(1))?;
        alertmanager.set_config(&route_to(&webhook, &secret, &settings)).await?;
        alertmanager.start().await?;
        let jobs = vec![
            ScrapeJob::plain(&settings.exporter_job, &exporter.server.address.to_string()),
            ScrapeJob::plain("site", &site.target()),
        ];
        let targets = vec![alertmanager.target().to_owned()];
        let mut prometheus = Prometheus::new(&folder, folder.address(1), jobs, targets, 1)?;
        let rule_files = vec![
            folder.write("rules/lockkeeper.yml", alert::to_yaml(&alert::groups(&settings)))?,
            folder.write("rules/site.yml", site::rules(1))?,
        ];
        prometheus.set_rule_files(rule_files.clone()).await?;
        prometheus.start().await?;
        let minted_at = Timestamp::now();
        permits.set_leader(true);
        permits.set_pending(Some(Pending { token: token(), minted_at }));
        Ok(Self {
            exporter,
            site,
            prometheus,
            alertmanager,
            permits,
            metrics,
            settings,
            folder,
            minted_at,
            webhook,
            rule_files,
        })
    }

    /// Starts every part and waits until the gate is open in both forms.
    pub(crate) async fn open() -> Self {
        Self::open_with(|_| ()).await
    }

    /// The same with other thresholds.
    pub(crate) async fn open_with(change: impl FnOnce(&mut Settings)) -> Self {
        let path = Self::start(change).await.expect("the parts start");
        path.until(&[]).await;
        path.until_in(Form::Continue, &[]).await;
        path
    }

    /// Asks the real parts now, with the product's own clients, and judges.
    pub(crate) async fn check(&self, form: Form) -> Result<Vec<Finding>> {
        let config = |url: &str| BackendConfig { urls: vec![url.to_owned()], token_file: None };
        self.check_at(form, &config(&self.prometheus.url), &config(&self.alertmanager.url)).await
    }

    /// The same with other addresses configured.
    pub(crate) async fn check_at(
        &self,
        form: Form,
        prometheus_at: &BackendConfig,
        alertmanager_at: &BackendConfig,
    ) -> Result<Vec<Finding>> {
        let order = CheckOrder {
            step: step(),
            token: token(),
            form,
            minted_at: self.minted_at,
            exempt: vec!["w-1".into()],
        };
        let questions = Questions::of(&order, &self.settings);
        let expressions = questions.all().into_iter().collect();
        let prometheus = prometheus::Prometheus::all(prometheus_at)?;
        let alertmanager = alertmanager::Alertmanager::all(alertmanager_at)?;
        let started_at = Timestamp::now();
        let (prometheus, alertmanager) = tokio::join!(
            prometheus::ask_all(&prometheus, &expressions),
            alertmanager::ask_all(&alertmanager),
        );
        let cluster = cluster(Timestamp::now());
        let answers = Answers {
            started_at,
            prometheus,
            alertmanager,
            cluster,
            lease: Held::Ours,
            lock: LockView::Ours,
        };
        Ok(gate::check(&order, &answers, &self.settings, Timestamp::now()))
    }

    /// Waits until a start is closed for exactly these reasons; none means that it is open.
    pub(crate) async fn until(&self, reasons: &[Reason]) -> Vec<Finding> {
        self.until_in(Form::Start, reasons).await
    }

    /// The same in this form.
    pub(crate) async fn until_in(&self, form: Form, reasons: &[Reason]) -> Vec<Finding> {
        let what = format!("a {form:?} to be closed by {reasons:?}");
        let found = wait_for(&what, Duration::from_secs(CHANGE_SECONDS_MAX), || async {
            let findings = self.check(form).await?;
            let mut found: Vec<_> = findings.iter().map(|finding| finding.reason).collect();
            found.dedup();
            if found == reasons {
                return Ok(Some(findings));
            }
            bail!("{}", findings.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | "))
        })
        .await;
        found.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// The count of a decision of the webhook.
    pub(crate) fn count(&self, endpoint: &str, decision: &str) -> u64 {
        let line =
            format!("k8s_upgrade_webhook_requests_total{{endpoint=\"{endpoint}\",decision=\"{decision}\"}} ");
        let page = self.metrics.page();
        let shown = page.lines().find_map(|shown| shown.strip_prefix(&line)).expect("every series is shown");
        shown.parse().expect("a counter is a number")
    }
}

async fn receive(
    folder: &RunFolder,
    permits: &PermitStore,
    metrics: &Arc<Metrics>,
    secret: &std::path::Path,
) -> Result<String> {
    let listener = Listener::bind(&format!("{}:0", folder.address(1)), None, Limits::default()).await?;
    let url = format!("http://{}", listener.local_addr());
    let token = TokenFile::open(secret).await?;
    let receiver = Receiver { permits: permits.clone(), token, metrics: Arc::clone(metrics) };
    tokio::spawn(listener.serve(receiver.handler(), std::future::pending()));
    Ok(url)
}

/// The generated route to this address.
pub(crate) fn route_to(webhook: &str, secret: &std::path::Path, settings: &Settings) -> String {
    let options = RouteOptions {
        actuator_url: webhook.to_owned(),
        token_file: secret.display().to_string(),
        tls: RouteTls::default(),
        humans: Humans { receiver: "humans".to_owned(), webhook_url: None },
        group_interval_seconds: 1,
        repeat_interval_seconds: 2,
    };
    route::to_yaml(&options, settings)
}

fn cluster(now: Timestamp) -> Snapshot {
    let node = |name: &str, role| Node {
        uid: name.to_owned(),
        resource_version: "1".to_owned(),
        kubelet_version: Ok("v1.36.1".parse().expect("it is a version")),
        ready: true,
        lease_renewed_at: Some(now),
        ..Node::silent(name, role)
    };
    let nodes =
        vec![node(NODES[0], Role::ControlPlane), node(NODES[1], Role::Worker), node(NODES[2], Role::Worker)];
    let server = ApiServer { name: "api".to_owned(), version: nodes[0].kubelet_version.clone(), ready: true };
    Snapshot {
        nodes: Source::read(nodes, now),
        api_servers: Source::read(vec![server], now),
        controller_leases: Source::read(Vec::new(), now),
        runs: Source::read(vec![run()], now),
        ..Snapshot::unread()
    }
}

fn run() -> api::UpgradeRun {
    let status = json!({
        "schemaVersion": 1, "phase": "Running",
        "snapshot": {"node": "cp-1", "path": "/s", "sizeBytes": 1, "hash": "1", "takenAt": "2026-01-01T00:00:00Z"},
    });
    api::UpgradeRun {
        namespace: "k8s-upgrade".to_owned(),
        name: "r".to_owned(),
        uid: RUN.to_owned(),
        resource_version: "1".to_owned(),
        generation: 1,
        created_at: None,
        deleting: false,
        has_finalizer: true,
        spec: api::UpgradeRunSpec { target: "v1.36.3".to_owned(), ..api::UpgradeRunSpec::default() },
        status: Some(serde_json::from_value(status).expect("it is a status")),
    }
}
