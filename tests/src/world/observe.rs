//! Looking at a World: waiting with a deadline, and telling everything when the wait was in vain.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Result;
use kube::api::ListParams;
use serde_json::Value;

use super::World;
use crate::machine::Folder;
use crate::process::tail;
use crate::site::SiteGate;
use crate::wait::wait_for;

impl World {
    /// Waits until the look has an answer.
    ///
    /// # Panics
    /// There is none before the deadline; the message has the state of every run and names every log.
    pub async fn wait_for<T, L, F>(&self, what: &str, seconds: u64, look: L) -> T
    where
        L: FnMut() -> F,
        F: Future<Output = Result<Option<T>>>,
    {
        match wait_for(what, Duration::from_secs(seconds), look).await {
            Ok(answer) => answer,
            Err(error) => panic!("{error:#}\n{}", self.report().await),
        }
    }

    /// Closes a gate, and waits until Prometheus has seen it: until then a step may rightly start.
    ///
    /// # Panics
    /// Prometheus does not see it before the deadline.
    pub async fn close_gate(&self, gate: SiteGate) {
        self.site.close(gate);
        let state = if gate == SiteGate::Pending { "pending" } else { "firing" };
        let seen = || async {
            let alerts = self.prometheus.alerts().await?;
            let mut ours = alerts.iter().filter(|alert| alert["labels"]["alertname"] == gate.alert());
            Ok(ours.any(|alert| alert["state"] == state).then_some(()))
        };
        self.wait_for(&format!("{} to be {state}", gate.alert()), 30, seen).await;
    }

    /// Waits until a run says `Succeeded`.
    ///
    /// # Panics
    /// It does not before the deadline, or it halts.
    pub async fn wait_until_succeeded(&self, run: &str, seconds: u64) {
        use lockkeeper_rules::api::RunPhase;
        let phase = self
            .wait_for(&format!("{run} to succeed"), seconds, || async move {
                let phase = self.run_status(run).await?.map(|status| status.phase);
                Ok(phase.filter(|phase| matches!(phase, RunPhase::Succeeded | RunPhase::Halted)))
            })
            .await;
        assert!(phase == RunPhase::Succeeded, "{run} halted\n{}", self.report().await);
    }

    /// Every line of the actuator's decision log.
    #[must_use]
    pub fn decisions(&self) -> Vec<Value> {
        Folder::lines(&self.folder.path().join("decisions.jsonl"))
    }

    /// What a node has written below `/var/lib/lockkeeper`: path and content of every file, sorted.
    #[must_use]
    pub fn ledger(&self, node: &str) -> Vec<(String, String)> {
        let root = self.machine(node).var_lib("lockkeeper");
        let mut files = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(text) = std::fs::read_to_string(&path) {
                    let name = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
                    files.push((name, text));
                }
            }
        }
        files.sort();
        files
    }

    /// Everything that helps to see why a test fails.
    pub async fn report(&self) -> String {
        let mut text = String::from("---- the World as it is ----\n");
        match tokio::time::timeout(Duration::from_secs(5), self.runs().list(&ListParams::default())).await {
            Ok(Ok(runs)) => {
                for run in runs {
                    let status = serde_json::to_string_pretty(&run.data).unwrap_or_default();
                    let _ = writeln!(text, "run {}: {status}", run.metadata.name.unwrap_or_default());
                }
            }
            Ok(Err(error)) => drop(writeln!(text, "the runs cannot be read: {error}")),
            Err(_) => text.push_str("the runs cannot be read: no answer\n"),
        }
        match tokio::time::timeout(Duration::from_secs(5), self.prometheus.query("ALERTS")).await {
            Ok(Ok(alerts)) => {
                for alert in alerts {
                    let _ = writeln!(text, "alert {}", alert["metric"]);
                }
            }
            Ok(Err(error)) => drop(writeln!(text, "the alerts cannot be read: {error:#}")),
            Err(_) => text.push_str("the alerts cannot be read: no answer\n"),
        }
        for decision in self.decisions().iter().rev().take(5).rev() {
            let _ = writeln!(text, "decision: {decision}");
        }
        for machine in &self.machines {
            for (name, content) in self.ledger(&machine.spec.name) {
                if name == "ledger" || name.ends_with(".log") {
                    let _ = writeln!(text, "{} {name}:\n{content}", machine.spec.name);
                }
            }
        }
        let logs = self.folder.path().join("logs");
        for entry in std::fs::read_dir(&logs).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let lines = if matches!(name.as_str(), "actuator.log" | "exporter.log" | "kubelets.log") {
                15
            } else {
                0
            };
            let _ = writeln!(text, "log {}\n{}", entry.path().display(), tail(&entry.path(), lines));
        }
        text
    }
}
