//! The parts of the actuator, started and tied together; ended in the opposite order.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use lockkeeper_exporter::client::kubernetes::Cluster;
use lockkeeper_exporter::read::alertmanager::Alertmanager;
use lockkeeper_exporter::read::inventory::Inventories;
use lockkeeper_exporter::read::matrix::MatrixFiles;
use lockkeeper_exporter::read::packages::Repository;
use lockkeeper_exporter::read::polled_sources::{POLLED_DEADLINE, PolledConfig};
use lockkeeper_exporter::read::prometheus::Prometheus;
use lockkeeper_exporter::server::http::{Handler, Limits, Listener, reply, text};
use lockkeeper_rules::cluster::snapshot::{Packages, Source};
use lockkeeper_rules::driver::kubeadm::node_script::ScriptSettings;
use lockkeeper_rules::facts::reload::InForce;
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::words::name::NodeName;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::channel::{Bounds, Channel, Channels, Events};
use crate::config::Config;
use crate::decision_log::DecisionLog;
use crate::driver::kubeadm::Ssh;
use crate::executor::Executor;
use crate::leader::{LEASE_NAMESPACE, Leader};
use crate::live_check::LiveCheck;
use crate::metrics::{self, Metrics};
use crate::parts::Parts;
use crate::permits::PermitStore;
use crate::reader::ClusterView;
use crate::receive::{Receiver, TokenFile};
use crate::rounds::Rounds;
use crate::turn::Actuator;
use crate::under_way::UnderWay;

/// The parts, built and not started: nothing has been asked or written, but the ports are taken.
#[derive(Debug)]
pub struct Service {
    actuator: Actuator,
    receiver: Receiver,
    webhook: Listener,
    scrape: Listener,
    probes: Listener,
    repository: Repository,
    matrix: MatrixFiles,
    packages: watch::Sender<Source<Packages>>,
    packages_pause: Duration,
}

impl Service {
    /// Builds every part; `own_node` is the node that this process runs on, where it runs on one.
    ///
    /// # Errors
    /// Something that the configuration names cannot be used: a port, a file, a client. The message names the field.
    pub async fn prepare(
        config: &Config,
        matrix: MatrixFiles,
        kubeconfig: Option<&Path>,
        own_node: Option<NodeName>,
    ) -> anyhow::Result<Self> {
        let token = TokenFile::open(&config.webhook.token_file).await.context("webhook.tokenFile")?;
        let webhook = config.webhook.web_config_file.as_deref();
        let webhook = Listener::bind(&config.webhook.listen_address, webhook, Limits::default());
        let webhook = webhook.await.context("webhook.listenAddress")?;
        let scrape = config.metrics.web_config_file.as_deref();
        let scrape = Listener::bind(&config.metrics.listen_address, scrape, Limits::default());
        let scrape = scrape.await.context("metrics.listenAddress")?;
        let probes = Listener::bind(&config.probes.listen_address, None, Limits::probes());
        let probes = probes.await.context("probes.listenAddress")?;
        let repository = Repository::new(&config.packages.url)?;
        let cluster = Arc::new(Cluster::connect(kubeconfig).await.context("the Kubernetes client")?);
        let settings = Arc::new(config.settings.clone().served_from(cluster.own_namespace()));
        let identity = identity(config.identity.as_deref())?;
        let metrics = Arc::new(Metrics::new());
        let permits = PermitStore::new(Arc::clone(&settings));
        let leader = Leader::new(cluster.client.clone(), LEASE_NAMESPACE, &identity, settings.lease_seconds);
        let (sender, packages) = watch::channel(Source::unread());
        let polled_config = PolledConfig {
            prometheus: polled_prometheus(config)?,
            selector: config.settings.selector.clone(),
            facts: matrix.in_force(),
        };
        let inventories = Arc::new(Inventories::new(&Arc::new(Notify::new()), polled_config));
        let cluster = ClusterView {
            api: cluster,
            namespaces: settings.namespaces.clone(),
            packages,
            inventories,
            facts: matrix.in_force(),
        };
        let live_check = live_check(config, &settings, &cluster, &leader, &permits)?;
        let executor = executor(config, live_check, &metrics, identity, own_node)?;
        let actuator = Actuator {
            cluster,
            settings,
            leader,
            permits: permits.clone(),
            executor: Arc::new(executor),
            metrics: Arc::clone(&metrics),
            leading_since: None,
            memories: BTreeMap::new(),
            under_way: UnderWay::default(),
            looked_elsewhere: None,
        };
        let receiver = Receiver { permits, token, metrics };
        let packages_pause = config.packages.pause();
        Ok(Self {
            actuator,
            receiver,
            webhook,
            scrape,
            probes,
            repository,
            matrix,
            packages: sender,
            packages_pause,
        })
    }

    /// Runs until the process is told to stop.
    ///
    /// # Errors
    /// A part has ended by itself. Nothing is put in order then: the process ends as if it were killed, and whoever
    /// leads next looks at what was under way.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self {
            actuator,
            receiver,
            webhook,
            scrape,
            probes,
            repository,
            matrix,
            packages,
            packages_pause,
        } = self;
        tracing::info!(
            webhook = %webhook.local_addr(),
            metrics = %scrape.local_addr(),
            probes = %probes.local_addr(),
            "listening"
        );
        let namespaces = actuator.settings.namespaces.join(" ");
        tracing::info!(namespaces, "runs of these namespaces are served");
        for exception in actuator.executor.ssh.scripts.kubeadm.weakened() {
            tracing::warn!(exception, "kubeadm is told to be less careful");
        }
        let (stop, stopping) = watch::channel(false);
        let metrics = Arc::clone(&actuator.metrics);
        let view = actuator.cluster.clone();
        let leader = actuator.leader.clone();
        let mut watches = JoinSet::new();
        view.inventories.open(&view.api, &mut watches);
        let (end_lease, lease_ends) = watch::channel(false);
        let mut parts = Parts {
            turns: tokio::spawn(actuator.work(stopped(stopping.clone()))),
            lease: tokio::spawn(async move { leader.keep(stopped(lease_ends)).await }),
            packages: tokio::spawn(crate::packages::keep(view.api, repository, packages_pause, packages)),
            matrix: tokio::spawn(matrix.keep()),
            watches: tokio::spawn(async move { drop(watches.join_next().await) }),
            webhook: tokio::spawn(webhook.serve(receiver.handler(), stopped(stopping.clone()))),
            metrics: tokio::spawn(scrape.serve(scrape_handler(metrics, view.facts), stopped(stopping))),
            probes: tokio::spawn(probes.serve(probe_handler(), std::future::pending())),
        };
        tokio::select! {
            () = stop_signal() => {}
            ended = parts.first_to_end() => return Err(ended.into()),
        }
        tracing::info!("stopping");
        let _listeners_hear_it = stop.send(true);
        parts.turns.await.context("the turns")?;
        // Only now may another replica lead: nothing of ours is under way any more.
        let _keeper_hears_it = end_lease.send(true);
        parts.lease.await.context("the Lease")?;
        parts.packages.abort();
        parts.matrix.abort();
        parts.watches.abort();
        parts.webhook.await.context("the webhook's listener")?;
        parts.metrics.await.context("the metrics' listener")?;
        // Last: what ends in good order is alive until it has.
        parts.probes.abort();
        Ok(())
    }
}

fn live_check(
    config: &Config,
    settings: &Arc<Settings>,
    cluster: &ClusterView,
    leader: &Leader,
    permits: &PermitStore,
) -> anyhow::Result<LiveCheck> {
    Ok(LiveCheck {
        prometheus: Prometheus::all(&config.prometheus).context("prometheus.urls")?,
        alertmanager: Alertmanager::all(&config.alertmanager).context("alertmanager.urls")?,
        cluster: cluster.clone(),
        leader: leader.clone(),
        rounds: Rounds::default(),
        settings: Arc::clone(settings),
        counts: permits.counts(),
    })
}

fn executor(
    config: &Config,
    live_check: LiveCheck,
    metrics: &Arc<Metrics>,
    identity: String,
    own_node: Option<NodeName>,
) -> anyhow::Result<Executor> {
    let cluster = Arc::clone(&live_check.cluster.api);
    let events = Channel::Events(Events::new(cluster.client.clone(), identity));
    Ok(Executor {
        ssh: ssh(config),
        started: Instant::now(),
        leader: live_check.leader.clone(),
        log: DecisionLog::open(config.decision_log.as_deref()).context("decisionLog")?,
        metrics: Arc::clone(metrics),
        channels: Channels::start(vec![events], metrics, Bounds::default()),
        settings: Arc::clone(&live_check.settings),
        cluster,
        live_check,
        own_node,
    })
}

/// Prometheus for what is asked once a minute: questions about weeks, which may take longer than those of a live
/// check.
fn polled_prometheus(config: &Config) -> anyhow::Result<Vec<Prometheus>> {
    Prometheus::all_within(&config.prometheus, POLLED_DEADLINE).context("prometheus.urls")
}

fn ssh(config: &Config) -> Ssh {
    let ssh = config.ssh.clone();
    Ssh {
        user: ssh.user,
        port: ssh.port,
        key_file: ssh.key_file,
        known_hosts_file: ssh.known_hosts_file,
        control_directory: ssh.control_directory,
        scripts: ScriptSettings::new(&config.settings, config.etcd.clone(), config.kubeadm.clone()),
    }
}

/// Who we are: the configured name or the host's, and something that no other process ever had. A process that is
/// started again is another one, because the one before may still be at work.
fn identity(configured: Option<&str>) -> anyhow::Result<String> {
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = configured.map_or_else(host, str::to_owned);
    let bits = getrandom::u64().context("random numbers")?;
    Ok(format!("{}_{bits:016x}", name.trim()))
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    // A sender that is gone is a process that ends.
    let _told = stopping.wait_for(|stop| *stop).await;
}

async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("a handler for SIGTERM can be set");
    tokio::select! {
        _interrupted = tokio::signal::ctrl_c() => {}
        _terminated = terminate.recv() => {}
    }
}

fn scrape_handler(metrics: Arc<Metrics>, facts: watch::Receiver<InForce>) -> Handler {
    Arc::new(move |request: Request<Incoming>| {
        metrics.facts(&facts.borrow());
        let metrics = Arc::clone(&metrics);
        Box::pin(async move { scrape(&metrics, request.method(), request.uri().path()) })
    })
}

fn probe_handler() -> Handler {
    Arc::new(|request: Request<Incoming>| {
        Box::pin(async move { probe(request.method(), request.uri().path()) })
    })
}

fn probe(method: &Method, path: &str) -> Response<Full<Bytes>> {
    match (method, path) {
        (&Method::GET | &Method::HEAD, "/livez" | "/readyz") => text(StatusCode::OK, "ok\n"),
        _ => text(StatusCode::NOT_FOUND, "there are /livez and /readyz\n"),
    }
}

fn scrape(metrics: &Metrics, method: &Method, path: &str) -> Response<Full<Bytes>> {
    match (method, path) {
        (&Method::GET, "/metrics") => reply(StatusCode::OK, metrics::CONTENT_TYPE, metrics.page()),
        (&Method::GET, "/livez" | "/readyz") => text(StatusCode::OK, "ok\n"),
        (&Method::GET, "/") => text(StatusCode::OK, "lockkeeper-actuator\n/metrics\n/livez\n/readyz\n"),
        (&Method::GET, _) => text(StatusCode::NOT_FOUND, "no such page\n"),
        _ => text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listener_of_probes_answers_them_and_nothing_else() {
        for (method, path, status) in [
            (Method::GET, "/livez", 200),
            (Method::HEAD, "/readyz", 200),
            (Method::GET, "/metrics", 404),
            (Method::POST, "/livez", 404),
        ] {
            assert_eq!(probe(&method, path).status(), status, "{method} {path}");
        }
    }
}
