//! Who speaks to whom in a World: the observers' and the products' configurations.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use lockkeeper_rules::kubeadm::KubeadmSettings;
use lockkeeper_rules::route::{Humans, RouteOptions, RouteTls};
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::{alert, route};
use serde_json::json;

use super::Product;
use crate::machine::{SshKeys, machine_id};
use crate::packages::Packages;
use crate::part::{Alertmanager, ApiServer, Etcd, Prometheus, ScrapeJob, User};
use crate::run_folder::{RunFolder, free_port};
use crate::site::{Site, rules};

/// How often Alertmanager repeats a call that stays true.
pub const REPEAT_SECONDS: u64 = 2;

/// A World lives for minutes, and its Prometheus cannot have watched for a month.
const FACTS: &str = r#"schema: 2
as_of: "2026-09-01"
policy: {deprecated_api_short_proof: note}
"#;

/// Where the products listen, and what the webhook asks for: known before anything starts, since Prometheus and
/// Alertmanager are told first.
pub(super) struct Wiring<'a> {
    folder: &'a Arc<RunFolder>,
    settings: &'a Settings,
    center: Ipv4Addr,
    exporter: String,
    actuator: String,
    webhook: String,
    token_file: PathBuf,
    /// What the operator of a World wishes of verdicts.
    facts: PathBuf,
    /// The bearer token of the webhook.
    pub(super) token: String,
}

/// What the actuator reaches besides Prometheus and Alertmanager.
pub(super) struct Reached<'a> {
    pub(super) packages: &'a Packages,
    pub(super) etcd: &'a Etcd,
    pub(super) keys: &'a SshKeys,
    pub(super) ssh_port: u16,
    pub(super) kubeadm: &'a KubeadmSettings,
}

impl<'a> Wiring<'a> {
    /// Takes ports at this address.
    pub(super) fn new(folder: &'a Arc<RunFolder>, settings: &'a Settings, center: Ipv4Addr) -> Result<Self> {
        let listen = || Ok::<_, anyhow::Error>(format!("{center}:{}", free_port(center)?));
        let token = format!("secret-{}", machine_id()?);
        let token_file = folder.write("webhook-token", &token)?;
        let facts = folder.write("facts.yaml", FACTS)?;
        Ok(Self {
            folder,
            settings,
            center,
            exporter: listen()?,
            actuator: listen()?,
            webhook: listen()?,
            token_file,
            facts,
            token,
        })
    }

    /// Starts Alertmanager with the generated route.
    pub(super) async fn alertmanager(&self, site: &Site) -> Result<Alertmanager> {
        let mut alertmanager = Alertmanager::new(self.folder, self.center)?;
        let token_file = self.token_file.display().to_string();
        alertmanager.set_config(&route_to(&self.webhook, &token_file, site, self.settings)).await?;
        alertmanager.start().await?;
        Ok(alertmanager)
    }

    /// Starts Prometheus with the generated rules and the site's.
    pub(super) async fn prometheus(
        &self,
        alertmanager: &Alertmanager,
        site: &Site,
        apiserver: &ApiServer,
    ) -> Result<Prometheus> {
        let settings = self.settings;
        let jobs = vec![
            ScrapeJob::plain(&settings.exporter_job, &self.exporter),
            ScrapeJob::plain(&settings.actuator_job, &self.actuator),
            ScrapeJob::plain("site", &site.target()),
            apiserver.scrape_job(),
        ];
        let alertmanagers = vec![alertmanager.target().to_owned()];
        let interval = settings.scrape_interval_seconds;
        let mut prometheus = Prometheus::new(self.folder, self.center, jobs, alertmanagers, interval)?;
        prometheus.scrape_itself(&settings.prometheus_job);
        let ours = self.folder.write("rules/lockkeeper.yml", alert::to_yaml(&alert::groups(settings)))?;
        let sites = self.folder.write("rules/site.yml", rules(settings.evaluation_interval_seconds))?;
        prometheus.set_rule_files(vec![ours, sites]).await?;
        prometheus.start().await?;
        Ok(prometheus)
    }

    /// The exporter, configured and not started.
    pub(super) fn exporter(&self, packages: &Packages, prometheus: &Prometheus) -> Product {
        let config = json!({
            "packages": {"url": packages.url(), "intervalSeconds": 2},
            "prometheus": {"urls": [prometheus.url]},
            "matrix": {"files": [self.facts]},
            "settings": self.settings,
        });
        let listen = format!("--web.listen-address={}", self.exporter);
        let args = vec![self.kubeconfig_flag(User::Exporter), listen];
        Product::new(self.folder, "exporter", format!("http://{}", self.exporter), config, args)
    }

    /// The actuator, configured and not started.
    pub(super) fn actuator(
        &self,
        prometheus: &Prometheus,
        alertmanager: &Alertmanager,
        reached: &Reached<'_>,
    ) -> Result<Product> {
        let Reached { packages, etcd, keys, ssh_port, kubeadm } = reached;
        let pki = |name: &str| format!("/etc/kubernetes/pki/etcd/{name}");
        let config = json!({
            "identity": "actuator-1",
            "prometheus": {"urls": [prometheus.url]},
            "alertmanager": {"urls": [alertmanager.url]},
            "webhook": {"listenAddress": self.webhook, "tokenFile": self.token_file},
            "metrics": {"listenAddress": self.actuator},
            "ssh": {"user": "root", "port": ssh_port, "keyFile": keys.identity, "knownHostsFile": keys.known_hosts,
                    "controlDirectory": self.folder.folder("c")?},
            "etcd": {"endpoints": etcd.endpoint, "caFile": pki("ca.crt"), "certFile": pki("healthcheck-client.crt"),
                     "keyFile": pki("healthcheck-client.key")},
            "kubeadm": kubeadm,
            "packages": {"url": packages.url()},
            "matrix": {"files": [self.facts]},
            "decisionLog": self.folder.path().join("decisions.jsonl"),
            "settings": self.settings,
        });
        let args = vec![self.kubeconfig_flag(User::Actuator)];
        Ok(Product::new(self.folder, "actuator", format!("http://{}", self.actuator), config, args))
    }

    fn kubeconfig_flag(&self, user: User) -> String {
        format!("--kubeconfig={}", crate::part::kubeconfig_path(self.folder, user).display())
    }
}

/// The generated route to an actuator at `address:port`.
pub(super) fn route_to(actuator: &str, token_file: &str, site: &Site, settings: &Settings) -> String {
    let options = RouteOptions {
        actuator_url: format!("http://{actuator}"),
        token_file: token_file.to_owned(),
        tls: RouteTls::default(),
        humans: Humans { receiver: "humans".to_owned(), webhook_url: Some(site.people_url()) },
        group_interval_seconds: 1,
        repeat_interval_seconds: REPEAT_SECONDS,
    };
    told_at_once(&route::to_yaml(&options, settings))
}

/// People of a World are told each alert by itself and at once. Alertmanager would gather them for 30 s, and tell
/// more of them only after 5 min: who looks whether somebody was told would look too early.
fn told_at_once(yaml: &str) -> String {
    let root = "route:\n  receiver: humans\n";
    assert!(yaml.contains(root), "the generated route begins otherwise");
    let times = "  group_by: ['...']\n  group_wait: 0s\n  group_interval: 1s\n";
    yaml.replacen(root, &format!("{root}{times}"), 1)
}
