//! Alertmanager; its configuration is handed in.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::service::{Service, client, probe};
use crate::parts;
use crate::run_folder::{RunFolder, free_port};

/// Its data, below the folder of the run.
const DATA: &str = "alertmanager-data";
/// How long it may take to answer.
const READY_SECONDS_MAX: u64 = 60;

/// An Alertmanager.
#[derive(Debug)]
pub struct Alertmanager {
    /// The process.
    pub service: Service,
    /// Where it listens.
    pub url: String,
    folder: Arc<RunFolder>,
}

impl Alertmanager {
    /// An Alertmanager that does not run yet.
    ///
    /// # Errors
    /// No port is free, or its folder cannot be made.
    pub fn new(folder: &Arc<RunFolder>, address: Ipv4Addr) -> Result<Self> {
        let listen = format!("{address}:{}", free_port(address)?);
        let program = parts::prometheus_program("alertmanager", "alertmanager")?
            .arg(format!("--config.file={}", folder.path().join("alertmanager.yml").display()))
            .arg(format!("--storage.path={}", folder.folder(DATA)?.display()))
            .arg(format!("--web.listen-address={listen}"))
            .arg("--cluster.listen-address=");
        Ok(Self {
            service: Service::new(folder.clone(), program),
            url: format!("http://{listen}"),
            folder: folder.clone(),
        })
    }

    /// `address:port`.
    #[must_use]
    pub fn target(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Starts it, on its old data if it ran before, and waits until it is ready.
    ///
    /// # Errors
    /// It cannot be started or does not become ready.
    pub async fn start(&mut self) -> Result<()> {
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

    /// Uses this configuration; a running Alertmanager reloads.
    ///
    /// # Errors
    /// It cannot be written, or Alertmanager refuses it.
    pub async fn set_config(&self, yaml: &str) -> Result<()> {
        self.folder.write("alertmanager.yml", yaml)?;
        if self.service.process().is_none() {
            return Ok(());
        }
        let answer = client()?.post(format!("{}/-/reload", self.url)).send().await?;
        if !answer.status().is_success() {
            bail!("alertmanager refuses its configuration: {}", answer.text().await?);
        }
        Ok(())
    }

    /// Every alert that it knows, silenced ones too.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn alerts(&self) -> Result<Vec<Value>> {
        Ok(client()?.get(format!("{}/api/v2/alerts", self.url)).send().await?.json().await?)
    }

    /// Silences every alert of this name for an hour; the answer is the silence's id.
    ///
    /// # Errors
    /// It is refused.
    pub async fn silence(&self, alert: &str) -> Result<String> {
        let now = Timestamp::now();
        let body = json!({
            "matchers": [{"name": "alertname", "value": alert, "isRegex": false, "isEqual": true}],
            "startsAt": now.to_string(),
            "endsAt": (now + jiff::SignedDuration::from_hours(1)).to_string(),
            "createdBy": "a person", "comment": "by a test",
        });
        let answer = client()?.post(format!("{}/api/v2/silences", self.url)).json(&body).send().await?;
        let answer: Value = answer.error_for_status()?.json().await?;
        Ok(answer["silenceID"].as_str().context("no id in the answer")?.to_owned())
    }

    /// Ends a silence.
    ///
    /// # Errors
    /// It is refused.
    pub async fn end_silence(&self, id: &str) -> Result<()> {
        client()?.delete(format!("{}/api/v2/silence/{id}", self.url)).send().await?.error_for_status()?;
        Ok(())
    }
}
