//! Why a run waits, and every place that must say so; and that it does wait.

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use lockkeeper_rules::gate::REASONS;
use lockkeeper_rules::reason::Reason;

use super::World;
use crate::wiring::route_to;

impl World {
    /// Whether a run waits for this reason and all places say so: its status and its condition, the exporter's
    /// verdict and metrics, the actuator's metrics and log. The subject is a part of what the reason is about.
    ///
    /// # Errors
    /// One of them does not say it: which one.
    pub async fn shows_hold(&self, run: &str, reason: Reason, subject: &str) -> Result<()> {
        let code = reason.code();
        let status = self.run_status(run).await?.context("no status")?;
        let mut holds = status.holds.iter();
        let hold = holds.find(|hold| hold.reason == code && hold.subject.contains(subject));
        let subject = &hold.with_context(|| format!("no hold {code} {subject}: {:?}", status.holds))?.subject;
        let condition = status.conditions.iter().find(|condition| condition.type_ == "Progressing");
        let condition = condition.context("no condition Progressing")?;
        let meaning = reason.entry().meaning;
        let is_told = condition.message.contains(meaning) && condition.message.contains(subject.as_str());
        if condition.status != "False" || !is_told {
            bail!("the condition does not say {code} {subject}: {condition:?}");
        }
        let said = format!("{code} {subject}").trim_end().to_owned();
        let verdict = self.exporter.get("/verdict").await?;
        if !verdict.contains(&format!("waits for {said}")) {
            bail!("/verdict does not say {said}:\n{verdict}");
        }
        let shown = self.exporter.series().await?;
        if shown.get(&format!("k8s_upgrade_hold_reason{{run=\"{run}\",reason=\"{code}\"}}")) != Some(&1.0) {
            bail!("the exporter does not show {code}");
        }
        // What the live check cannot find is not shown as a reason of the gate.
        let shown = self.actuator.series().await?;
        if REASONS.contains(&reason)
            && shown.get(&format!("k8s_upgrade_gate_reason{{reason=\"{code}\"}}")) != Some(&1.0)
        {
            bail!("the actuator does not show {code}");
        }
        let log = std::fs::read_to_string(self.actuator.service.log())?;
        if !log.lines().any(|line| line.contains("holding") && line.contains(&said)) {
            bail!("the actuator's log does not say {said}");
        }
        Ok(())
    }

    /// Waits until a run waits for this reason, and all places say so.
    ///
    /// # Panics
    /// They do not before the deadline.
    pub async fn wait_until_held(&self, run: &str, reason: Reason, subject: &str) {
        let what = format!("{run} to wait for {reason} {subject}, and every place to say so");
        self.wait_for(&what, 60, || async move { self.shows_hold(run, reason, subject).await.map(Some) })
            .await;
    }

    /// Waits until this step waits.
    ///
    /// # Panics
    /// It does not before the deadline.
    pub async fn wait_until_waiting(&self, run: &str, step: &str, seconds: u64) {
        let waits = || async move {
            let waiting = self.run_status(run).await?.and_then(|status| status.waiting);
            Ok(waiting.filter(|waiting| waiting.step == step).map(drop))
        };
        self.wait_for(&format!("{step} to wait"), seconds, waits).await;
    }

    /// Lets what could start a step happen again and again, and sees that nothing starts: this many more live
    /// checks of a start, and as many more heartbeats where the alert path is whole, each of them one repeat.
    ///
    /// # Panics
    /// Something starts, or the opportunities do not come.
    pub async fn nothing_starts(&self, run: &str, opportunities: u32, heartbeats: bool) {
        let look = async || {
            let status = self.run_status(run).await.ok().flatten().expect("the run can be read");
            let permits = self.actuator.sum("k8s_upgrade_permits_consumed_total").await.expect("it answers");
            let nodes = self.audit("actuator").into_iter().filter(|entry| entry.resource != "upgraderuns");
            let writes = nodes.filter(|entry| !matches!(&*entry.resource, "leases" | "events")).count();
            let ledgers: Vec<_> =
                self.machines.iter().map(|machine| self.ledger(&machine.spec.name)).collect();
            let waiting = status.waiting.expect("a step waits").token;
            assert!(status.active.is_empty(), "{:?}", status.active);
            (waiting, permits, writes, ledgers, status.sequence, status.finished)
        };
        let checks = "k8s_upgrade_checks_total{form=\"start\"";
        let beats = "k8s_upgrade_webhook_requests_total{endpoint=\"heartbeat\",decision=\"heartbeat\"}";
        let count = async |series: &str| self.actuator.sum(series).await;
        let (before, checks_before) = (look().await, count(checks).await.expect("it answers"));
        let beats_before = count(beats).await.expect("it answers");
        let enough = f64::from(opportunities);
        let chances = || async {
            let checked = count(checks).await? - checks_before >= enough;
            let beaten = count(beats).await? - beats_before >= enough;
            Ok((checked && (beaten || !heartbeats)).then_some(()))
        };
        self.wait_for("opportunities to start", 60, chances).await;
        assert_eq!(look().await, before, "nothing starts");
    }

    /// Waits until a step starts after this moment: when it did.
    ///
    /// # Panics
    /// It does not before the deadline.
    pub async fn wait_until_started(
        &self,
        run: &str,
        step: &str,
        after: Timestamp,
        seconds: u64,
    ) -> Timestamp {
        let started = || async move {
            let status = self.run_status(run).await?.context("no status")?;
            let mut lines = status.history.iter().rev();
            let line = lines.find(|line| line.step == step && line.event == "started" && line.at >= after);
            Ok(line.map(|line| line.at))
        };
        self.wait_for(&format!("{step} to start"), seconds, started).await
    }

    /// The generated route, as Alertmanager has it but to another `address:port`.
    #[must_use]
    pub fn route_to(&self, actuator: &str) -> String {
        let token_file = self.actuator.config["webhook"]["tokenFile"].as_str().unwrap_or_default();
        route_to(actuator, token_file, &self.site, &self.settings)
    }
}
