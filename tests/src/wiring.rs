//! Who speaks to whom: the observers' and the products' configurations, for a World and for a real cluster alike.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use lockkeeper_rules::alert;
use lockkeeper_rules::publish::route;
use lockkeeper_rules::publish::route::{Humans, RouteOptions, RouteTls};
use lockkeeper_rules::settings::Settings;
use serde_json::{Value, json};

use crate::machine::machine_id;
use crate::part::{Alertmanager, Prometheus, ScrapeJob};
use crate::product::Product;
use crate::run_folder::{RunFolder, free_port};
use crate::site::{Site, rules};

/// How often Alertmanager repeats a call that stays true.
pub const REPEAT_SECONDS: u64 = 2;

/// How fast observers tell what they see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// At once: who looks whether somebody was told would look too early.
    Hurried,
    /// As the generated route ships, and as Prometheus does by itself.
    Shipped,
}

/// Where the products listen, and what the webhook asks for: known before anything starts, since Prometheus and
/// Alertmanager are told first.
pub(crate) struct Wiring<'a> {
    folder: &'a Arc<RunFolder>,
    settings: &'a Settings,
    center: Ipv4Addr,
    exporter: String,
    actuator: String,
    webhook: String,
    token_file: PathBuf,
    /// What the operator wishes of verdicts.
    facts: PathBuf,
    pace: Pace,
    /// The bearer token of the webhook.
    pub(crate) token: String,
}

/// Where the cluster is, and what it is upgraded from.
pub(crate) struct Reached<'a> {
    /// The index of packages, with `{minor}`.
    pub(crate) packages: &'a str,
    /// The kubeconfig of the product.
    pub(crate) kubeconfig: &'a Path,
}

impl<'a> Wiring<'a> {
    /// Takes ports at this address; `facts` is what the operator lays over the built-in ones.
    pub(crate) fn new(
        folder: &'a Arc<RunFolder>,
        settings: &'a Settings,
        center: Ipv4Addr,
        facts: &str,
    ) -> Result<Self> {
        let listen = || Ok::<_, anyhow::Error>(format!("{center}:{}", free_port(center)?));
        let token = format!("secret-{}", machine_id()?);
        let token_file = folder.write("webhook-token", &token)?;
        let facts = folder.write("facts.yaml", facts)?;
        Ok(Self {
            folder,
            settings,
            center,
            exporter: listen()?,
            actuator: listen()?,
            webhook: listen()?,
            token_file,
            facts,
            pace: Pace::Hurried,
            token,
        })
    }

    /// Leaves the observers' times as people get them.
    #[must_use]
    pub(crate) fn unhurried(mut self) -> Self {
        self.pace = Pace::Shipped;
        self
    }

    /// Starts Alertmanager with the generated route.
    pub(crate) async fn alertmanager(&self, site: &Site) -> Result<Alertmanager> {
        let mut alertmanager = Alertmanager::new(self.folder, self.center)?;
        let token_file = self.token_file.display().to_string();
        let route = match self.pace {
            Pace::Hurried => route_to(&self.webhook, &token_file, site, self.settings),
            Pace::Shipped => route::to_yaml(&options_to(&self.webhook, &token_file, site), self.settings),
        };
        alertmanager.set_config(&route).await?;
        alertmanager.start().await?;
        Ok(alertmanager)
    }

    /// Starts Prometheus with the generated rules and the site's.
    pub(crate) async fn prometheus(
        &self,
        alertmanager: &Alertmanager,
        site: &Site,
        api_servers: ScrapeJob,
    ) -> Result<Prometheus> {
        let settings = self.settings;
        let jobs = vec![
            ScrapeJob::plain(&settings.exporter_job, &self.exporter),
            ScrapeJob::plain(&settings.actuator_job, &self.actuator),
            ScrapeJob::plain("site", &site.target()),
            api_servers,
        ];
        let alertmanagers = vec![alertmanager.target().to_owned()];
        let interval = settings.scrape_interval_seconds;
        let mut prometheus = Prometheus::new(self.folder, self.center, jobs, alertmanagers, interval)?;
        match self.pace {
            Pace::Hurried => {}
            Pace::Shipped => prometheus.resend_by_default()?,
        }
        prometheus.scrape_itself(&settings.prometheus_job);
        let ours = self.folder.write("rules/lockkeeper.yml", alert::to_yaml(&alert::groups(settings)))?;
        let sites = self.folder.write("rules/site.yml", rules(settings.evaluation_interval_seconds))?;
        prometheus.set_rule_files(vec![ours, sites]).await?;
        prometheus.start().await?;
        Ok(prometheus)
    }

    /// The exporter, configured and not started.
    pub(crate) fn exporter(&self, prometheus: &Prometheus, reached: &Reached<'_>) -> Product {
        let config = json!({
            "packages": {"url": reached.packages, "intervalSeconds": 2},
            "prometheus": {"urls": [prometheus.url]},
            "matrix": {"files": [self.facts]},
            "settings": self.settings,
        });
        let listen = format!("--web.listen-address={}", self.exporter);
        // Any port: nobody probes it here.
        let probes = format!("--web.probe-address={}:0", self.center);
        let args = vec![kubeconfig_flag(reached), listen, probes];
        Product::new(self.folder, "exporter", format!("http://{}", self.exporter), config, args)
    }

    /// The actuator, configured and not started; `more` are the sections that differ, such as `ssh`.
    pub(crate) fn actuator(
        &self,
        prometheus: &Prometheus,
        alertmanager: &Alertmanager,
        reached: &Reached<'_>,
        more: Value,
    ) -> Product {
        let mut config = json!({
            "identity": "actuator-1",
            "prometheus": {"urls": [prometheus.url]},
            "alertmanager": {"urls": [alertmanager.url]},
            "webhook": {"listenAddress": self.webhook, "tokenFile": self.token_file},
            "metrics": {"listenAddress": self.actuator},
            "probes": {"listenAddress": format!("{}:0", self.center)},
            "packages": {"url": reached.packages},
            "matrix": {"files": [self.facts]},
            "decisionLog": self.folder.path().join("decisions.jsonl"),
            "settings": self.settings,
        });
        if let (Value::Object(config), Value::Object(more)) = (&mut config, more) {
            config.extend(more);
        }
        let args = vec![kubeconfig_flag(reached)];
        Product::new(self.folder, "actuator", format!("http://{}", self.actuator), config, args)
    }
}

fn kubeconfig_flag(reached: &Reached<'_>) -> String {
    format!("--kubeconfig={}", reached.kubeconfig.display())
}

/// The generated route to an actuator at `address:port`, with a World's times.
pub(crate) fn route_to(actuator: &str, token_file: &str, site: &Site, settings: &Settings) -> String {
    let options = RouteOptions {
        group_interval_seconds: 1,
        repeat_interval_seconds: REPEAT_SECONDS,
        ..options_to(actuator, token_file, site)
    };
    notify_at_once(&route::to_yaml(&options, settings))
}

/// The same with the times that it ships with.
fn options_to(actuator: &str, token_file: &str, site: &Site) -> RouteOptions {
    RouteOptions {
        actuator_url: format!("http://{actuator}"),
        token_file: token_file.to_owned(),
        tls: RouteTls::default(),
        humans: Humans { receiver: "humans".to_owned(), webhook_url: Some(site.people_url()) },
        ..RouteOptions::default()
    }
}

/// People of a World are told each alert by itself and at once. Alertmanager would gather them for 30 s, and tell
/// more of them only after 5 min: who looks whether somebody was told would look too early.
fn notify_at_once(yaml: &str) -> String {
    let root = "route:\n  receiver: humans\n";
    assert!(yaml.contains(root), "the generated route begins otherwise");
    let times = "  group_by: ['...']\n  group_wait: 0s\n  group_interval: 1s\n";
    yaml.replacen(root, &format!("{root}{times}"), 1)
}
