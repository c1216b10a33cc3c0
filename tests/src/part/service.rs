//! What all parts have in common.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::{Process, Program, tail};
use crate::run_folder::RunFolder;
use crate::wait::wait_for;

/// A program that is run, and run again.
#[derive(Debug)]
pub struct Service {
    folder: Arc<RunFolder>,
    program: Program,
    process: Option<Process>,
}

impl Service {
    /// A service that does not run yet.
    #[must_use]
    pub fn new(folder: Arc<RunFolder>, program: Program) -> Self {
        Self { folder, program, process: None }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.program.name
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.log(&self.program.name)
    }

    /// The process, while it runs.
    #[must_use]
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref().filter(|process| process.exit().is_none())
    }

    /// Runs this instead, from the next start on.
    pub fn set_program(&mut self, program: Program) {
        self.program = program;
    }

    /// Starts it; one that still runs is killed first.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&mut self) -> Result<()> {
        self.kill();
        self.process = Some(Process::start(&self.folder, &self.program)?);
        Ok(())
    }

    /// Asks it to end, and kills it when it does not in time.
    pub async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop().await;
        }
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Waits until it answers, or has ended, or the deadline is over.
    ///
    /// # Errors
    /// It does not answer; the message names its log and has the end of it.
    pub async fn ready<L, F>(&self, deadline: Duration, mut look: L) -> Result<()>
    where
        L: FnMut() -> F,
        F: Future<Output = Result<Option<()>>>,
    {
        let ended = || self.process.as_ref().map_or(Ok(()), Process::check_running);
        let answer = wait_for(&format!("{} to be ready", self.program.name), deadline, || {
            let ended = ended();
            let look = look();
            // A process that has ended is found at the next line, not at the deadline.
            async move { if ended.is_err() { Ok(Some(())) } else { look.await } }
        })
        .await;
        ended()?;
        answer.with_context(|| format!("its log is {}:\n{}", self.log().display(), tail(&self.log(), 15)))
    }
}

/// A client for the parts: no proxy, no redirects, short limits.
///
/// # Errors
/// The client cannot be built.
pub(crate) fn client() -> Result<reqwest::Client> {
    install_crypto();
    Ok(reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(5))
        .tls_danger_accept_invalid_certs(true)
        .build()?)
}

/// Chooses the one TLS provider; everybody who builds a client calls it, and the first call counts.
pub(crate) fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Whether a URL answers 200.
///
/// # Errors
/// It cannot be asked.
pub(crate) async fn probe(client: &reqwest::Client, url: &str) -> Result<Option<()>> {
    Ok(client.get(url).send().await?.status().is_success().then_some(()))
}
