//! The client of Alertmanager: asks, and leaves the judging to the rules.

use futures::future::join_all;
use lockkeeper_rules::gate::AlertmanagerAnswers;
use lockkeeper_rules::wire::alertmanager;
use lockkeeper_rules::wire::prometheus::ParseError;

use crate::client::backend::{Backend, BackendConfig, BackendError, CALL_DEADLINE, Reading};

/// Every alert, whatever its state. No filter is sent: a misspelt one answers with an empty list.
const EVERY_STATE: [(&str, &str); 4] =
    [("active", "true"), ("silenced", "true"), ("inhibited", "true"), ("unprocessed", "true")];

/// One Alertmanager server.
#[derive(Debug, Clone)]
pub struct Alertmanager(Backend);

impl Alertmanager {
    /// The configured servers.
    ///
    /// # Errors
    /// A URL is none, or the HTTP client cannot be built.
    pub fn all(config: &BackendConfig) -> Result<Vec<Self>, BackendError> {
        Ok(Backend::all(config, CALL_DEADLINE)?.into_iter().map(Self).collect())
    }

    /// Its URL, without user and password.
    #[must_use]
    pub fn url(&self) -> String {
        self.0.shown()
    }

    /// Asks everything that a live check wants to know, all at once.
    pub async fn ask(&self) -> AlertmanagerAnswers {
        let (status, alerts, silences) = tokio::join!(
            self.0.ask("api/v2/status", &[], reading(alertmanager::status)),
            self.0.ask("api/v2/alerts", &EVERY_STATE, reading(alertmanager::alerts)),
            self.0.ask("api/v2/silences", &[], reading(alertmanager::silences)),
        );
        AlertmanagerAnswers { url: self.url(), status, alerts, silences }
    }
}

fn reading<T>(parse: fn(&[u8]) -> Result<T, ParseError>) -> Reading<T> {
    Reading { parse, error_text: alertmanager::error_text }
}

/// Asks every server at once.
pub async fn ask_all(servers: &[Alertmanager]) -> Vec<AlertmanagerAnswers> {
    join_all(servers.iter().map(Alertmanager::ask)).await
}
