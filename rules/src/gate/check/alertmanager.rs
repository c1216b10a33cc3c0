//! The rows about Alertmanager: its age, its alerts, its silences.

use super::{Check, describe, seconds};
use crate::alert::GATE_LABEL;
use crate::alert::{READY_ALERT, WATCHDOG_ALERT};
use crate::gate::AlertmanagerAnswers;
use crate::gate::ask::has;
use crate::reason::Reason;
use crate::wire::alertmanager::{Alert, AlertState, ClusterStatus, Silence};
use crate::wire::prometheus::Labels;
use crate::words::gate_class::Class;

/// How much longer than one resend delay an Alertmanager must have been up: Prometheus has sent all it has by then.
const SETTLE_SECONDS: u64 = 10;

impl<'a> Check<'a> {
    pub(super) fn alertmanager(&mut self) {
        if self.answers.alertmanager.is_empty() {
            self.found(Reason::AlertmanagerUnreachable, "alertmanager.urls", "no Alertmanager is configured");
        }
        for alertmanager in &self.answers.alertmanager {
            let unreachable = Reason::AlertmanagerUnreachable;
            self.status(alertmanager);
            let silences = self.usable(&alertmanager.silences, &alertmanager.url, "silences", unreachable);
            let silences = silences.map_or(&[][..], Vec::as_slice);
            let alerts = self.usable(&alertmanager.alerts, &alertmanager.url, "alerts", unreachable);
            if let Some(alerts) = alerts {
                self.alerts(&alertmanager.url, alerts, silences);
            }
        }
        if self.is_start() {
            self.pauses();
        }
    }

    fn status(&mut self, alertmanager: &'a AlertmanagerAnswers) {
        let url = &alertmanager.url;
        let status = self.usable(&alertmanager.status, url, "status", Reason::AlertmanagerUnreachable);
        let Some(status) = status else { return };
        match status.cluster {
            ClusterStatus::Ready | ClusterStatus::Disabled => {}
            ClusterStatus::Settling => {
                self.found(Reason::AlertmanagerNotReady, url, "its cluster is settling")
            }
        }
        let up = self.now.duration_since(status.started_at);
        if up <= seconds(self.settings.resend_delay_seconds + SETTLE_SECONDS) {
            self.found(Reason::AlertmanagerYoung, url, format!("started at {}", status.started_at));
        }
    }

    fn alerts(&mut self, url: &str, alerts: &'a [Alert], silences: &[Silence]) {
        if !alerts.iter().any(|alert| self.is_own(&alert.labels, WATCHDOG_ALERT)) {
            self.found(Reason::WatchdogMissing, url, format!("{WATCHDOG_ALERT} is not in its list"));
        }
        for alert in alerts.iter().filter(|alert| self.closes(&alert.labels)).collect::<Vec<_>>() {
            self.gate_alert(alert, silences);
        }
        if self.is_start() {
            self.ready(url, alerts);
        }
    }

    /// Silencing a gate does not open it.
    fn gate_alert(&mut self, alert: &Alert, silences: &[Silence]) {
        let name = alert.labels.get("alertname").cloned().unwrap_or_default();
        match alert.state {
            AlertState::Active | AlertState::Unprocessed => {
                self.found(Reason::GateFiring, &name, describe(&alert.labels));
            }
            AlertState::Suppressed => {
                let by = silences.iter().filter(|silence| alert.silenced_by.contains(&silence.id));
                let by: Vec<_> = by.map(describe_silence).collect();
                self.found(
                    Reason::GateSuppressed,
                    &name,
                    format!("{} {}", describe(&alert.labels), by.join(", ")),
                );
            }
        }
        if alert.labels.get(GATE_LABEL).is_some_and(|label| !Class::is_known(label)) {
            self.found(Reason::GateMisspelt, &name, describe(&alert.labels));
        }
    }

    /// The ready alert of our token is there, and everything of it is sent.
    fn ready(&mut self, url: &str, alerts: &'a [Alert]) {
        let token = self.order.token.to_string();
        let ours: Vec<_> = alerts.iter().filter(|alert| is_ready(&alert.labels, &token)).collect();
        if ours.is_empty() {
            self.found(Reason::ReadyAbsent, url, format!("{READY_ALERT} for {token} is not in its list"));
        }
        for alert in ours {
            match alert.state {
                AlertState::Active => {}
                AlertState::Unprocessed => self.found(Reason::ReadyAbsent, url, "it is not processed yet"),
                AlertState::Suppressed if alert.silenced_by.is_empty() => {
                    self.found(Reason::ReadySuppressed, url, "it is inhibited or muted");
                }
                AlertState::Suppressed => {
                    self.found(Reason::ReadySilenced, url, format!("by {}", alert.silenced_by.join(", ")));
                    if !alert.inhibited_by.is_empty() {
                        self.found(Reason::ReadySuppressed, url, "it is inhibited");
                    }
                }
            }
        }
    }
}

pub(super) fn is_ready(labels: &Labels, token: &str) -> bool {
    has(labels, "alertname", READY_ALERT) && has(labels, "token", token)
}

pub(super) fn describe_silence(silence: &Silence) -> String {
    format!("silence {} by {}: {}", silence.id, silence.created_by, silence.comment)
}
