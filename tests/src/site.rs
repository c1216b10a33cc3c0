//! What a site brings along: metrics of its own, alerts on them that carry the gate label, and people who are told.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};

use anyhow::Result;
use http::StatusCode;
use serde_json::Value;

use crate::serve::{Server, status, text};

/// An alert of the site that closes the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SiteGate {
    /// Closes every step, firing at once.
    All,
    /// Closes preflight, firing at once.
    Start,
    /// Closes prepare and node steps, firing at once.
    Mutating,
    /// Of class `all`, and pending for an hour.
    Pending,
    /// Firing, of a class that does not exist.
    Misspelt,
}

impl SiteGate {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::All, Self::Start, Self::Mutating, Self::Pending, Self::Misspelt];

    /// The alert's name.
    #[must_use]
    pub fn alert(self) -> &'static str {
        match self {
            Self::All => "SiteGateAll",
            Self::Start => "SiteGateStart",
            Self::Mutating => "SiteGateMutating",
            Self::Pending => "SiteGatePending",
            Self::Misspelt => "SiteGateMisspelt",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::All | Self::Pending => "all",
            Self::Start => "start",
            Self::Mutating => "mutating",
            Self::Misspelt => "mutatign",
        }
    }

    fn for_duration(self) -> &'static str {
        if self == Self::Pending { "1h" } else { "0s" }
    }
}

/// The rule file of the site's gate alerts.
#[must_use]
pub fn rules(interval_seconds: u64) -> String {
    let mut file = format!("groups:\n  - name: site\n    interval: {interval_seconds}s\n    rules:\n");
    for gate in SiteGate::ALL {
        let (alert, class, wait) = (gate.alert(), gate.class(), gate.for_duration());
        file.push_str(&format!(
            "      - alert: {alert}\n        expr: site_gate{{name=\"{alert}\"}} == 1\n        for: {wait}\n        \
             labels: {{severity: warning, k8s_upgrade_gate: {class}}}\n        \
             annotations: {{summary: a gate alert of the site}}\n"
        ));
    }
    file
}

#[derive(Debug, Default)]
struct State {
    closed: BTreeSet<SiteGate>,
    notifications: Vec<Value>,
}

/// The site.
#[derive(Debug)]
pub struct Site {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl Site {
    /// Serves its metrics, every gate open, and takes the messages for people.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(address: Ipv4Addr) -> Result<Self> {
        let state = Arc::new(Mutex::new(State::default()));
        let own = state.clone();
        let server = Server::start(
            address,
            Arc::new(move |request| match request.uri().path() {
                "/metrics" => text("text/plain; version=0.0.4", metrics(&lock(&own))),
                "/people" => {
                    if let Ok(message) = serde_json::from_slice(request.body()) {
                        lock(&own).notifications.push(message);
                    }
                    status(StatusCode::OK)
                }
                "/gate/close" => {
                    lock(&own).closed.insert(SiteGate::All);
                    status(StatusCode::OK)
                }
                "/gate/open" => {
                    lock(&own).closed.remove(&SiteGate::All);
                    status(StatusCode::OK)
                }
                _ => status(StatusCode::NOT_FOUND),
            }),
        )
        .await?;
        Ok(Self { server, state })
    }

    /// `address:port` of its metrics.
    #[must_use]
    pub fn target(&self) -> String {
        self.server.address.to_string()
    }

    /// Where Alertmanager sends what is for people.
    #[must_use]
    pub fn people_url(&self) -> String {
        format!("{}/people", self.server.url())
    }

    /// Where another process closes (`/close`) and opens (`/open`) the gate.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("{}/gate", self.server.url())
    }

    /// Raises an alert that closes the gate, from Prometheus' next scrape and evaluation on; `World::close_gate` waits
    /// for that.
    pub fn close(&self, gate: SiteGate) {
        lock(&self.state).closed.insert(gate);
    }

    /// Clears an alert that closes the gate.
    pub fn open(&self, gate: SiteGate) {
        lock(&self.state).closed.remove(&gate);
    }

    /// Every message that people got, oldest first, as Alertmanager sent it.
    #[must_use]
    pub fn notifications(&self) -> Vec<Value> {
        lock(&self.state).notifications.clone()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no one panics while holding the site")
}

fn metrics(state: &State) -> String {
    let mut text =
        "# HELP site_gate Whether this gate alert of the site shall fire.\n# TYPE site_gate gauge\n"
            .to_owned();
    for gate in SiteGate::ALL {
        let (name, class, value) = (gate.alert(), gate.class(), u8::from(state.closed.contains(&gate)));
        text.push_str(&format!("site_gate{{name=\"{name}\",class=\"{class}\"}} {value}\n"));
    }
    text
}
