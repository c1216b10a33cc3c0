//! One of the two products, as a process with a configuration file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use crate::part::Service;
use crate::parts;
use crate::process::Program;
use crate::run_folder::RunFolder;

/// How long it may take to be ready.
const READY_SECONDS_MAX: u64 = 60;

/// The exporter or the actuator.
#[derive(Debug)]
pub struct Product {
    /// The process.
    pub service: Service,
    /// Its configuration, written at each start.
    pub config: Value,
    /// Where its metrics are.
    pub url: String,
    folder: Arc<RunFolder>,
    /// What its log and its configuration file are called.
    name: String,
    binary: String,
    args: Vec<String>,
}

impl Product {
    pub(crate) fn new(
        folder: &Arc<RunFolder>,
        name: &'static str,
        url: String,
        config: Value,
        args: Vec<String>,
    ) -> Self {
        let service = Service::new(folder.clone(), Program::new(name, ""));
        let binary = format!("lockkeeper-{name}");
        Self { service, config, url, folder: folder.clone(), name: name.to_owned(), binary, args }
    }

    /// A second one of the same kind with the same configuration, under a name of its own. Whoever wants both to run
    /// gives it addresses of its own.
    #[must_use]
    pub fn twin(&self, name: &str) -> Self {
        Self {
            service: Service::new(self.folder.clone(), Program::new(name, "")),
            config: self.config.clone(),
            url: self.url.clone(),
            folder: self.folder.clone(),
            name: name.to_owned(),
            binary: self.binary.clone(),
            args: self.args.clone(),
        }
    }

    /// Puts one more word on its command line, from the next start on.
    pub fn add_arg(&mut self, word: &str) {
        self.args.push(word.to_owned());
    }

    /// Its configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join(format!("{}.yaml", self.name))
    }

    /// Starts it with its configuration as it is now, and waits until it is ready.
    ///
    /// # Errors
    /// It cannot be started, has ended, or does not become ready.
    pub async fn start(&mut self) -> Result<()> {
        self.launch()?;
        self.ready().await
    }

    /// Starts it without waiting.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn launch(&mut self) -> Result<()> {
        // JSON is YAML.
        self.folder.write(&format!("{}.yaml", self.name), serde_json::to_string_pretty(&self.config)?)?;
        let program = Program::new(self.name.clone(), parts::own(&self.binary)?)
            .arg(format!("--config.file={}", self.config_file().display()))
            .args(self.args.clone())
            .env("RUST_LOG", std::env::var("LOCKKEEPER_LOG").unwrap_or_else(|_| "info".to_owned()))
            .env("RUST_BACKTRACE", "1");
        self.service.set_program(program);
        self.service.start()
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// It has ended or does not become ready.
    pub async fn ready(&self) -> Result<()> {
        let client = crate::part::client()?;
        let url = format!("{}/readyz", self.url);
        self.service.ready(Duration::from_secs(READY_SECONDS_MAX), || crate::part::probe(&client, &url)).await
    }

    /// Asks it to end and waits until it has.
    pub async fn stop(&mut self) {
        self.service.stop().await;
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        self.service.kill();
    }

    /// The text of one of its pages.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn get(&self, path: &str) -> Result<String> {
        let answer = crate::part::client()?.get(format!("{}{path}", self.url)).send().await?;
        Ok(answer.text().await?)
    }

    /// Every series of its metrics, by name and labels as they are written there.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn series(&self) -> Result<BTreeMap<String, f64>> {
        let page = self.get("/metrics").await?;
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        let series = lines.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Ok(series.collect())
    }

    /// The sum of its series that begin like this, such as a name or a name with its first labels.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn sum(&self, start: &str) -> Result<f64> {
        Ok(self
            .series()
            .await?
            .iter()
            .filter(|(name, _)| name.starts_with(start))
            .map(|(_, value)| value)
            .sum())
    }
}
