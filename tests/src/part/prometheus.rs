//! Prometheus, with a generated configuration.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::service::{Service, client, probe};
use crate::parts;
use crate::process::Program;
use crate::run_folder::{RunFolder, free_port};

/// Its data, below the folder of the run.
const DATA: &str = "prometheus-data";
/// How long it may take to answer.
const READY_SECONDS_MAX: u64 = 60;

/// How often API servers are scraped: their page is long, and nobody waits for what is on it.
const API_SERVER_INTERVAL: &str = "5s";
/// What is kept of an API server's page.
const API_SERVER_SERIES: &str = "apiserver_request_total|apiserver_requested_deprecated_apis";

/// One scrape job.
#[derive(Debug, Clone)]
pub struct ScrapeJob {
    /// The label `job`.
    pub name: String,
    /// Each `address:port`.
    pub targets: Vec<String>,
    /// How an API server is scraped; nothing for everybody else.
    pub api_server: Option<ScrapeAuth>,
}

/// How an API server lets somebody scrape it.
#[derive(Debug, Clone)]
pub struct ScrapeAuth {
    /// The bearer token.
    pub token: String,
    /// The CA of its certificate.
    pub ca_file: PathBuf,
}

impl ScrapeJob {
    /// A job over plain HTTP.
    #[must_use]
    pub fn plain(name: &str, target: &str) -> Self {
        Self { name: name.to_owned(), targets: vec![target.to_owned()], api_server: None }
    }

    fn config(&self) -> Value {
        let mut config = json!({"job_name": self.name, "static_configs": [{"targets": self.targets}]});
        if let Some(ScrapeAuth { token, ca_file }) = &self.api_server {
            config["scheme"] = json!("https");
            config["authorization"] = json!({"credentials": token});
            config["tls_config"] = json!({"ca_file": ca_file});
            config["scrape_interval"] = json!(API_SERVER_INTERVAL);
            config["scrape_timeout"] = json!(API_SERVER_INTERVAL);
            config["metric_relabel_configs"] =
                json!([{"source_labels": ["__name__"], "regex": API_SERVER_SERIES, "action": "keep"}]);
        }
        config
    }
}

/// A Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    /// The process.
    pub service: Service,
    /// Where it listens.
    pub url: String,
    folder: Arc<RunFolder>,
    jobs: Vec<ScrapeJob>,
    alertmanagers: Vec<String>,
    rule_files: Vec<PathBuf>,
    interval_seconds: u64,
}

impl Prometheus {
    /// A Prometheus that does not run yet; alertmanagers are given as `address:port`.
    ///
    /// # Errors
    /// No port is free, or its folder cannot be made.
    pub fn new(
        folder: &Arc<RunFolder>,
        address: Ipv4Addr,
        jobs: Vec<ScrapeJob>,
        alertmanagers: Vec<String>,
        interval_seconds: u64,
    ) -> Result<Self> {
        let listen = format!("{address}:{}", free_port(address)?);
        let program = program(folder, &listen)?.arg("--rules.alert.resend-delay=1s");
        Ok(Self {
            service: Service::new(folder.clone(), program),
            url: format!("http://{listen}"),
            folder: folder.clone(),
            jobs,
            alertmanagers,
            rule_files: Vec::new(),
            interval_seconds,
        })
    }

    /// Lets it tell Alertmanager of an alert again as seldom as it does by itself, from the next start on.
    ///
    /// # Errors
    /// Its folder cannot be made.
    pub fn resend_by_default(&mut self) -> Result<()> {
        self.service.set_program(program(&self.folder, self.url.trim_start_matches("http://"))?);
        Ok(())
    }

    /// Scrapes itself under this name, so that rules about Prometheus have something to look at.
    pub fn scrape_itself(&mut self, job: &str) {
        let target = self.url.trim_start_matches("http://").to_owned();
        self.jobs.push(ScrapeJob::plain(job, &target));
    }

    /// Starts it, on its old data if it ran before, and waits until it is ready.
    ///
    /// # Errors
    /// It cannot be started or does not become ready.
    pub async fn start(&mut self) -> Result<()> {
        self.write_config()?;
        self.service.start()?;
        let (client, url) = (client()?, format!("{}/-/ready", self.url));
        self.service.ready(Duration::from_secs(READY_SECONDS_MAX), || probe(&client, &url)).await
    }

    /// Kills it and takes its data away, as a disk or a pod without a volume does.
    ///
    /// # Errors
    /// The data cannot be taken away.
    pub fn lose_data(&mut self) -> Result<()> {
        self.service.kill();
        std::fs::remove_dir_all(self.folder.folder(DATA)?)?;
        self.folder.folder(DATA).map(drop)
    }

    /// Uses these rule files; a running Prometheus reloads.
    ///
    /// # Errors
    /// The configuration cannot be written, or Prometheus refuses it.
    pub async fn set_rule_files(&mut self, files: Vec<PathBuf>) -> Result<()> {
        self.rule_files = files;
        self.reload().await
    }

    /// Reads its configuration and rule files again, if it runs.
    ///
    /// # Errors
    /// The configuration cannot be written, or Prometheus refuses it.
    pub async fn reload(&self) -> Result<()> {
        self.write_config()?;
        if self.service.process().is_none() {
            return Ok(());
        }
        let answer = client()?.post(format!("{}/-/reload", self.url)).send().await?;
        if !answer.status().is_success() {
            bail!("prometheus refuses its configuration: {}", answer.text().await?);
        }
        Ok(())
    }

    /// The result of an instant query.
    ///
    /// # Errors
    /// It cannot be asked, or refuses the query.
    pub async fn query(&self, expression: &str) -> Result<Vec<Value>> {
        self.ask("query", &[("query", expression)]).await
    }

    /// The result of a query over time.
    ///
    /// # Errors
    /// It cannot be asked, or refuses the query.
    pub async fn query_range(
        &self,
        expression: &str,
        from: Timestamp,
        to: Timestamp,
        step_seconds: u64,
    ) -> Result<Vec<Value>> {
        let (start, end, step) = (from.to_string(), to.to_string(), step_seconds.to_string());
        self.ask("query_range", &[("query", expression), ("start", &start), ("end", &end), ("step", &step)])
            .await
    }

    async fn ask(&self, endpoint: &str, parameters: &[(&str, &str)]) -> Result<Vec<Value>> {
        let url = reqwest::Url::parse_with_params(&format!("{}/api/v1/{endpoint}", self.url), parameters)?;
        let answer: Value = client()?.get(url).send().await?.json().await?;
        let result = answer.pointer("/data/result").and_then(Value::as_array);
        Ok(result.with_context(|| format!("{parameters:?}: {answer}"))?.clone())
    }

    /// What it says about its alerts, pending ones too: pairs of labels and state.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn alerts(&self) -> Result<Vec<Value>> {
        let answer: Value = client()?.get(format!("{}/api/v1/alerts", self.url)).send().await?.json().await?;
        Ok(answer
            .pointer("/data/alerts")
            .and_then(Value::as_array)
            .context("no alerts in the answer")?
            .clone())
    }

    fn write_config(&self) -> Result<()> {
        let interval = format!("{}s", self.interval_seconds);
        let jobs: Vec<Value> = self.jobs.iter().map(ScrapeJob::config).collect();
        let config = json!({
            "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
            "rule_files": self.rule_files,
            "scrape_configs": jobs,
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": self.alertmanagers}]}]},
        });
        // JSON is YAML.
        self.folder.write("prometheus.yml", serde_json::to_string_pretty(&config)?)?;
        Ok(())
    }
}

fn program(folder: &RunFolder, listen: &str) -> Result<Program> {
    Ok(parts::prometheus_program("prometheus", "prometheus")?
        .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", folder.folder(DATA)?.display()))
        .arg(format!("--web.listen-address={listen}"))
        .arg("--web.enable-lifecycle"))
}
