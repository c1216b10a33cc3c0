//! The client of Prometheus: asks, and leaves the judging to the rules.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use lockkeeper_rules::gate::{Answer, PrometheusAnswers};
use lockkeeper_rules::wire::prometheus::{self, Sample};

use crate::client::backend::{Backend, BackendConfig, BackendError, CALL_DEADLINE, Reading};

/// One Prometheus server.
#[derive(Debug, Clone)]
pub struct Prometheus(Backend);

impl Prometheus {
    /// The configured servers.
    ///
    /// # Errors
    /// A URL is none, or the HTTP client cannot be built.
    pub fn all(config: &BackendConfig) -> Result<Vec<Self>, BackendError> {
        Self::all_within(config, CALL_DEADLINE)
    }

    /// The same for questions that may take longer.
    ///
    /// # Errors
    /// A URL is none, or the HTTP client cannot be built.
    pub fn all_within(config: &BackendConfig, deadline: Duration) -> Result<Vec<Self>, BackendError> {
        Ok(Backend::all(config, deadline)?.into_iter().map(Self).collect())
    }

    /// Its URL, without user and password.
    #[must_use]
    pub fn url(&self) -> String {
        self.0.shown()
    }

    /// Asks everything that live checks want to know, all at once; these are the expressions of all of them.
    pub async fn ask(&self, expressions: &BTreeSet<&str>) -> PrometheusAnswers {
        let (runtime, rules, queries) = tokio::join!(
            self.0.ask("api/v1/status/runtimeinfo", &[], reading(prometheus::runtime_info)),
            self.0.ask("api/v1/rules", &[("type", "alert")], reading(prometheus::rules)),
            join_all(expressions.iter().map(async |expr| ((*expr).to_owned(), self.query(expr).await))),
        );
        PrometheusAnswers { url: self.url(), runtime, rules, queries: queries.into_iter().collect() }
    }

    /// Evaluates an expression now and gives the answer as it came.
    ///
    /// # Errors
    /// There is no answer, or it is larger than what is read.
    pub async fn raw(&self, expr: &str) -> Result<Vec<u8>, String> {
        let answer = self.0.ask("api/v1/query", &[("query", expr)], reading(|body| Ok(body.to_vec()))).await;
        answer.result.map_err(|error| error.to_string())
    }

    /// Evaluates an expression now.
    pub async fn query(&self, expr: &str) -> Answer<Vec<Sample>> {
        self.0.ask("api/v1/query", &[("query", expr)], reading(prometheus::vector)).await
    }

    /// The same, where who could not answer is told with the rest.
    pub(super) async fn samples(&self, expr: &str) -> Result<Vec<Sample>, String> {
        self.query(expr).await.result.map_err(|error| format!("{}: {error}", self.url()))
    }
}

fn reading<T>(parse: fn(&[u8]) -> Result<T, prometheus::ParseError>) -> Reading<T> {
    Reading { parse, error_text: prometheus::error_text }
}

/// Asks every server at once.
pub async fn ask_all(servers: &[Prometheus], expressions: &BTreeSet<&str>) -> Vec<PrometheusAnswers> {
    join_all(servers.iter().map(|server| server.ask(expressions))).await
}
