//! Prometheus, with a generated configuration.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::service::{Service, answers, client};
use crate::parts;
use crate::run_folder::{RunFolder, free_port};

/// How long it may take to answer.
const READY_SECONDS_MAX: u64 = 60;

/// One scrape job.
#[derive(Debug, Clone)]
pub struct ScrapeJob {
    /// The label `job`.
    pub name: String,
    /// `address:port`.
    pub target: String,
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
        let program = parts::prometheus_program("prometheus", "prometheus")?
            .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.folder("prometheus-data")?.display()))
            .arg(format!("--web.listen-address={listen}"))
            .args(["--web.enable-lifecycle", "--rules.alert.resend-delay=1s"]);
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

    /// Scrapes itself under this name, so that rules about Prometheus have something to look at.
    pub fn scrape_itself(&mut self, job: &str) {
        let target = self.url.trim_start_matches("http://").to_owned();
        self.jobs.push(ScrapeJob { name: job.to_owned(), target });
    }

    /// Starts it, on its old data if it ran before, and waits until it is ready.
    ///
    /// # Errors
    /// It cannot be started or does not become ready.
    pub async fn start(&mut self) -> Result<()> {
        self.write_config()?;
        self.service.start()?;
        let (client, url) = (client()?, format!("{}/-/ready", self.url));
        self.service.ready(Duration::from_secs(READY_SECONDS_MAX), || answers(&client, &url)).await
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
        let jobs: Vec<Value> = self
            .jobs
            .iter()
            .map(|job| json!({"job_name": job.name, "static_configs": [{"targets": [job.target]}]}))
            .collect();
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
